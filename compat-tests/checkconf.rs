//! The recorded words of named-checkconf are what it says today.

use crate::harness::Site;
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
