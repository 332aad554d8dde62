//! `checkconf` and named-checkconf, side by side: on recorded words, and on a corpus of configurations.
//!
//! `COMPAT_RECORD=1` records the corpus anew from named-checkconf; a normal run compares both programs with what is
//! recorded. A corpus file is read with `-p`, so that a configuration that is accepted shows its canonical form.

use crate::conffuzz;
use crate::harness::Site;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// The cases that the unit tests of `config` hold the server to.
const VERDICTS: &str = include_str!("../src/config/verdicts.txt");

#[test]
fn bind_says_what_was_recorded_from_it() {
    let site = Site::new("checkconf");
    let directory = site.dir("conf");
    let mut different = Vec::new();
    for case in VERDICTS.split("\n\n").skip(1) {
        let (expected, source): (Vec<&str>, Vec<&str>) =
            case.lines().partition(|line| line.starts_with("=> "));
        let source = source.join("\n") + "\n";
        std::fs::write(directory.join("named.conf"), &source).expect("a file can be written");
        let output = Command::new("named-checkconf").arg("named.conf").current_dir(&directory).output();
        let output = output.expect("named-checkconf is installed by compat-tests/run");
        let said = String::from_utf8_lossy(&output.stdout);
        let bare = |line: &str| format!("=> {}", line.strip_prefix("named.conf:").unwrap_or(line).trim_end());
        let said: Vec<_> = said.lines().map(bare).collect();
        if said != expected || output.status.success() {
            different.push(format!("{source}{said:#?} is not {expected:#?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// What a program says of a file in this directory, with its exit code.
fn say(program: &mut Command, directory: &Path) -> String {
    let output = program.args(["-p", "named.conf"]).current_dir(directory).output();
    let output = output.expect("compat-tests/run installs named-checkconf, and checkconf is built");
    let mut said = format!("exit {}\n", output.status.code().unwrap_or(-1));
    let _ = write!(said, "{}", String::from_utf8_lossy(&output.stdout));
    said
}

#[test]
fn the_corpus_is_judged_as_named_checkconf_judges_it() {
    let site = Site::new("conf-corpus");
    let directory = site.dir("conf");
    let corpus = conffuzz::corpus();
    let mut different = Vec::new();
    for (path, source) in &corpus {
        std::fs::write(directory.join("named.conf"), source).expect("a file can be written");
        let theirs = say(&mut Command::new("named-checkconf"), &directory);
        let expected_path = path.with_extension("expected");
        if std::env::var_os("COMPAT_RECORD").is_some() {
            std::fs::write(&expected_path, &theirs).expect("a record can be written");
        }
        let expected = std::fs::read_to_string(&expected_path).expect("each file has its record");
        let ours = say(Command::new(env!("CARGO_BIN_EXE_trimaran")).arg("checkconf"), &directory);
        for (who, said) in [("named-checkconf", theirs), ("checkconf", ours)] {
            if said != expected {
                different.push(format!("{}: {who}:\n{said}is not\n{expected}", path.display()));
            }
        }
        let is_bad = path.parent().is_some_and(|folder| folder.ends_with("bad"));
        assert_eq!(is_bad, !expected.starts_with("exit 0\n"), "{}", path.display());
    }
    println!("{} configurations", corpus.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
}
