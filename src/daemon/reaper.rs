//! The thread that drops what is no longer served: see `zone::retired`.

use crate::zone::Zones;
use std::io;
use std::time::Duration;

/// How long replaced versions stay at least: with a thousand of them a second, they go by dozens.
const ROUND: Duration = Duration::from_millis(50);

/// Starts the thread, which ends with the last of the zones.
pub(super) fn start(zones: &Zones) -> io::Result<()> {
    let Some(mut reaper) = zones.reaper() else { return Ok(()) };
    std::thread::Builder::new().name("reaper".into()).spawn(move || {
        while reaper.wait() {
            std::thread::sleep(ROUND);
            reaper.drop_unread();
        }
    })?;
    Ok(())
}
