//! A journal that is found beside a zone file when the zone is loaded.

use super::{Failure, Journal};
use crate::dns::Class;
use crate::zone::Contents;
use crate::zonefile::Arrival;
use std::path::Path;

/// What came of it.
#[derive(Debug, Default)]
pub struct LaidOver {
    /// What there is to say, in BIND's words and order.
    pub messages: Vec<String>,
    /// Why the zone cannot be used.
    pub failure: Option<Failure>,
}

/// Makes the changes of a journal, if there is one. `zone` is what messages call the zone.
pub fn lay_over(
    path: &Path,
    (zone, class): (&str, Class),
    contents: &mut Option<Contents>,
    arrival: &mut Arrival,
) -> LaidOver {
    let mut noted = Vec::new();
    let mut during = "open";
    let result = match Journal::open(path, &mut noted) {
        Err(Failure::NotFound) => Ok(()),
        Err(failure) => Err(failure),
        Ok(journal) if journal.is_empty() => Ok(()),
        Ok(mut journal) => {
            during = "rollforward";
            let rolled = match contents.as_ref() {
                Some(contents) => journal.roll_forward(contents, class, arrival),
                // BIND: a zone without a serial is one whose serial is not in the journal.
                None => Err(Failure::NotFound),
            };
            noted.extend(journal.take_messages());
            rolled.map(|rolled| *contents = Some(rolled))
        }
    };
    let mut messages: Vec<String> = noted.iter().map(ToString::to_string).collect();
    if let Err(failure) = result {
        let reason = match failure {
            Failure::NotFound | Failure::Range => "journal out of sync with zone".to_owned(),
            other => other.to_string(),
        };
        messages.push(format!("zone {zone}/{class}: journal {during} failed: {reason}"));
    }
    LaidOver { messages, failure: result.err() }
}
