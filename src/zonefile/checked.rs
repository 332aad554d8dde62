//! A zone file to a zone that may be served, or the reasons why not, as named logs them.

use super::journal_file::{LaidOver, lay_over};
use super::{Arrival, Options, load};
use crate::dns::Name;
use crate::zone::{Contents, check};
use std::fmt::Display;
use std::path::Path;

/// A file that was read and checked as a server does before it serves a zone.
#[derive(Debug)]
pub struct Checked {
    /// The zone, if it may be served.
    pub contents: Option<Contents>,
    /// What there is to say, in BIND's words and order. Without a zone the last line says why.
    pub messages: Vec<String>,
    /// Without a zone: the result in BIND's words (`bad zone`, `unexpected end of input`, ...).
    pub failure: Option<String>,
    /// [`Outcome::digest`](super::Outcome::digest), of a zone that may be served.
    pub digest: Option<[u8; 32]>,
}

/// Reads a zone file and checks the zone as a whole.
pub fn load_checked(path: &Path, apex: &Name, reading: &Options, checking: &check::Options) -> Checked {
    load_checked_with_journal(path, None, apex, reading, checking)
}

/// The same, with the changes of a journal of BIND if there is one in this place.
pub fn load_checked_with_journal(
    path: &Path,
    journal: Option<&Path>,
    apex: &Name,
    reading: &Options,
    checking: &check::Options,
) -> Checked {
    let mut loaded = load(path, apex, reading);
    let zone = apex.undotted();
    // What has no text of its own is told by the failure below.
    let texts = loaded.outcome.diagnostics.iter().map(|diagnostic| diagnostic.to_string());
    let mut messages: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    if let Some(error) = loaded.outcome.first_error() {
        let result = error.kind.result();
        messages
            .push(format!("zone {zone}/IN: loading from master file {} failed: {result}", path.display()));
        return refused(zone, messages, result.to_owned());
    }
    if let Some(journal) = journal {
        let shown = zone.to_string();
        let LaidOver { messages: more, failure } =
            lay_over(journal, (&shown, reading.class), &mut loaded.contents, &mut Arrival::default());
        messages.extend(more);
        if let Some(failure) = failure {
            return refused(zone, messages, failure.to_string());
        }
    }
    let found = loaded.contents.as_ref().or(loaded.incomplete.as_ref());
    let report = found.map_or_else(check::Report::default, |contents| check::check(contents, checking));
    messages.extend(report.findings.iter().map(|finding| format!("zone {zone}/IN: {finding}")));
    match loaded.contents.filter(|_| report.fatal == 0) {
        Some(contents) => {
            Checked { contents: Some(contents), messages, failure: None, digest: loaded.outcome.digest }
        }
        None => refused(zone, messages, "bad zone".to_owned()),
    }
}

fn refused(zone: impl Display, mut messages: Vec<String>, failure: String) -> Checked {
    messages.push(format!("zone {zone}/IN: not loaded due to errors."));
    Checked { contents: None, messages, failure: Some(failure), digest: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, loads: bool, last: Option<&str>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("zone");
        std::fs::write(&path, text).unwrap();
        let apex = "example.".parse().unwrap();
        let checked = load_checked(&path, &apex, &Options::default(), &check::Options::default());
        assert_eq!(checked.contents.is_some(), loads, "{text}: {:?}", checked.messages);
        assert_eq!(checked.failure.is_none(), loads);
        let shown = checked.messages.iter().rev().nth(usize::from(!loads));
        assert_eq!(shown.map(String::as_str), last, "{:?}", checked.messages);
    }

    #[test]
    fn a_zone_that_may_not_be_served_is_refused_with_the_reason() {
        const SOA: &str = "$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n";
        check(&format!("{SOA}@ NS ns\nns A 192.0.2.1\n"), true, None);
        check(SOA, false, Some("zone example/IN: has no NS records"));
        check("$TTL 60\n@ NS ns.other.\n", false, Some("zone example/IN: has 0 SOA records"));
        check(
            &format!("{SOA}@ NS ns\n"),
            false,
            Some("zone example/IN: NS 'ns.example' has no address records (A or AAAA)"),
        );
        check(
            &format!("{SOA}@ NS ns\nns A 192.0.2.1\n@ MX 10 nowhere\n"),
            true,
            Some("zone example/IN: example/MX 'nowhere.example' has no address records (A or AAAA)"),
        );
    }
}
