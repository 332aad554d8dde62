//! The thread that drops what is no longer served and large: see `zone::retired`.

use crate::zone::Zones;
use std::io;
use std::time::Duration;

/// How long what it has been given stays at least, so that it is not looked at without end while it is read.
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
