//! The manual pages say what the program does, and can be read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use trimaran::config::statement_table::STATEMENTS;
use trimaran::config::statements::{Row, Treatment};

const PAGES: [&str; 4] = ["trimaran.1", "trimaran-named.8", "trimaran-journalprint.1", "trimaran.conf.5"];

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(page(name)).expect("a manual page can be read")
}

/// The keywords that start an entry: `.It Ic keyword ...`.
fn entries(page: &str) -> BTreeSet<&str> {
    page.lines().filter_map(|line| line.strip_prefix(".It Ic ")?.split(' ').next()).collect()
}

/// The keywords of the list behind `heading`, one `.Ic keyword ,` a line.
fn listed<'a>(page: &'a str, heading: &str) -> BTreeSet<&'a str> {
    let (_, behind) = page.split_once(heading).unwrap_or_else(|| panic!("{heading:?} is not in the page"));
    let list =
        behind.split_once(".Bd ").and_then(|(_, list)| list.split_once(".Ed")).expect("a list follows").0;
    list.lines().filter_map(|line| line.strip_prefix(".Ic ")?.split(' ').next()).collect()
}

/// The outermost statements that are treated so, and nowhere better.
fn rows(wanted: impl Fn(Treatment) -> bool) -> BTreeSet<&'static str> {
    let implemented = |row: &&Row| row.treatment == Treatment::Implemented;
    let better: BTreeSet<_> = STATEMENTS.iter().filter(implemented).map(|row| row.name).collect();
    let rows = STATEMENTS.iter().filter(|row| row.is_outermost() && wanted(row.treatment));
    rows.map(|row| row.name).filter(|name| !better.contains(name)).collect()
}

#[test]
fn every_implemented_statement_has_an_entry() {
    let page = text("trimaran.conf.5");
    let mut documented = entries(&page);
    // Not a statement of the table: it is replaced by what it names.
    assert!(documented.remove("include"), "include has no entry");
    let implemented = STATEMENTS.iter().filter(|row| row.treatment == Treatment::Implemented);
    let implemented: BTreeSet<_> = implemented.map(|row| row.name).collect();
    assert_eq!(documented, implemented);
}

#[test]
fn every_other_statement_is_in_the_list_of_its_treatment() {
    let page = text("trimaran.conf.5");
    let ignored = |t| matches!(t, Treatment::Ignored | Treatment::Deprecated | Treatment::Obsolete);
    assert_eq!(listed(&page, ".Sh STATEMENTS THAT ARE NOT IMPLEMENTED"), rows(ignored));
    assert_eq!(listed(&page, "These are errors,"), rows(|t| t == Treatment::Unsupported));
    assert_eq!(
        listed(&page, "These have been removed from BIND"),
        rows(|t| matches!(t, Treatment::Gone | Treatment::NotBuilt))
    );
}

#[test]
fn the_pages_are_well_formed() {
    for name in PAGES {
        let output = Command::new("mandoc").args(["-Tlint", "-Wwarning"]).arg(page(name)).output();
        let output = output.expect("mandoc is installed by compat-tests/run");
        let complaints = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{complaints}{}", String::from_utf8_lossy(&output.stderr));
    }
}
