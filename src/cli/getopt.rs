//! Command lines as BIND's tools read them (`isc_commandline_parse`): single-letter options that may be
//! bundled, an argument attached or in the next word, and an end at the first word that is no option.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// One step of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An option without an argument.
    Flag(u8),
    /// An option with its argument.
    Value(u8, OsString),
    /// An option the program does not have.
    Unknown(u8),
    /// An option whose argument is missing.
    MissingArgument(u8),
    /// One of the long options that the program has besides BIND's.
    Long(&'static str),
}

/// Walks a command line; what is left over are the [`Options::operands`].
#[derive(Debug, Clone)]
pub struct Options<'a> {
    spec: &'static str,
    long: &'static [&'static str],
    args: &'a [OsString],
    at: usize,
    /// Offset in the current word while bundled options are taken from it; 0 = at the start of a word.
    within: usize,
}

impl<'a> Options<'a> {
    /// `spec` lists the option letters, each with a `:` behind it if it takes an argument.
    pub fn new(spec: &'static str, args: &'a [OsString]) -> Options<'a> {
        Options { spec, long: &[], args, at: 0, within: 0 }
    }

    /// Knows `--name` for each of `names` as well. BIND has no long options: other words are read as BIND reads them.
    pub fn with_long(self, names: &'static [&'static str]) -> Options<'a> {
        Options { long: names, ..self }
    }

    /// The words behind the options. Complete once the iteration has ended.
    pub fn operands(&self) -> &'a [OsString] {
        &self.args[self.at..]
    }

    fn end_of_word(&mut self) {
        self.at += 1;
        self.within = 0;
    }
}

impl Iterator for Options<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let word = self.args.get(self.at)?.as_bytes();
        if self.within == 0 {
            if word == b"--" {
                self.at += 1;
                return None;
            }
            let long = word.strip_prefix(b"--");
            if let Some(name) = self.long.iter().find(|name| long == Some(name.as_bytes())) {
                self.end_of_word();
                return Some(Step::Long(name));
            }
            if word.len() < 2 || word[0] != b'-' {
                return None;
            }
            self.within = 1;
        }
        let letter = word[self.within];
        self.within += 1;
        let rest = &word[self.within..];
        let place = self.spec.bytes().position(|known| known == letter && letter != b':');
        let takes_argument = place.is_some_and(|place| self.spec.as_bytes().get(place + 1) == Some(&b':'));
        if takes_argument {
            let attached = (!rest.is_empty()).then(|| OsString::from_vec(rest.to_vec()));
            self.end_of_word();
            if let Some(value) = attached {
                return Some(Step::Value(letter, value));
            }
            let Some(value) = self.args.get(self.at) else { return Some(Step::MissingArgument(letter)) };
            self.at += 1;
            return Some(Step::Value(letter, value.clone()));
        }
        if rest.is_empty() {
            self.end_of_word();
        }
        Some(if place.is_some() { Step::Flag(letter) } else { Step::Unknown(letter) })
    }
}

/// The last component of the path a program was started by.
pub fn program_name(argv0: Option<&OsString>) -> String {
    let path = argv0.map(OsString::as_os_str).unwrap_or(OsStr::new("trimaran"));
    let name = std::path::Path::new(path).file_name().unwrap_or(path);
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], steps: &[Step], operands: &[&str]) {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let mut options = Options::new("c:dqv", &args).with_long(&["json"]);
        assert_eq!(options.by_ref().collect::<Vec<_>>(), steps, "{args:?}");
        assert_eq!(options.operands(), operands.iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        use Step::*;
        check(&["-d", "-c", "x", "zone", "file"], &[Flag(b'd'), Value(b'c', "x".into())], &["zone", "file"]);
        check(&["-dqcx", "zone"], &[Flag(b'd'), Flag(b'q'), Value(b'c', "x".into())], &["zone"]);
        check(&["-d", "--", "-q"], &[Flag(b'd')], &["-q"]);
        check(&["zone", "-q"], &[], &["zone", "-q"]);
        check(&["-c"], &[MissingArgument(b'c')], &[]);
        check(&["-xd"], &[Unknown(b'x'), Flag(b'd')], &[]);
        check(&["-:"], &[Unknown(b':')], &[]);
        check(&["-", "z"], &[], &["-", "z"]);
        check(
            &["-d", "--json", "-q", "z", "--json"],
            &[Flag(b'd'), Long("json"), Flag(b'q')],
            &["z", "--json"],
        );
        check(&["-c", "--json"], &[Value(b'c', "--json".into())], &[]);
        check(&["--jso"], &[Unknown(b'-'), Unknown(b'j'), Unknown(b's'), Unknown(b'o')], &[]);
    }
}
