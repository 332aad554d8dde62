//! The manual pages say what the program does, and can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use trimaran::cli::help::{self, Help};
use trimaran::cli::{checkconf, checkzone, journalprint};
use trimaran::config::statement_table::STATEMENTS;
use trimaran::config::statements::{Row, Treatment};

const PAGES: [&str; 8] = [
    "trimaran.1",
    "trimaran-checkconf.1",
    "trimaran-checkzone.1",
    "trimaran-compilezone.1",
    "trimaran-journalprint.1",
    "trimaran-cluster.8",
    "trimaran-named.8",
    "trimaran.conf.5",
];

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

/// Options, and whether they have an argument.
type Options = BTreeMap<String, bool>;

/// Those of getopt(3).
fn known(short: &str, long: &[&str]) -> Options {
    let letters = short.char_indices().filter(|&(_, letter)| letter != ':');
    let short = letters.map(|(at, letter)| (format!("-{letter}"), short[at + 1..].starts_with(':')));
    short.chain(long.iter().map(|name| (format!("--{name}"), false))).collect()
}

/// Those of a page: `.It Fl c Ar class`.
fn in_page(page: &str) -> Options {
    let entries = page.lines().filter_map(|line| line.strip_prefix(".It Fl "));
    let options = entries.flat_map(|entry| entry.split(" , Fl "));
    let option = |text: &str| {
        let (option, argument) = text.split_once(' ').unwrap_or((text, ""));
        (format!("-{}", option.replace("\\-", "-")), argument.starts_with("Ar "))
    };
    options.map(option).collect()
}

/// Those of the text of `--help`: lines that begin with two blanks and a hyphen.
fn in_help(help: &Help) -> Options {
    let text = help.text("program");
    let lines = text.lines().filter_map(|line| line.strip_prefix("  -"));
    let option = |line: &str| {
        // At least two blanks stand in front of the explanation.
        let (head, _) = line.split_once("  ").unwrap_or((line, ""));
        let (option, argument) = head.split_once(' ').unwrap_or((head, ""));
        (format!("-{option}"), !argument.is_empty())
    };
    lines.map(option).collect()
}

#[test]
fn options_are_the_same_in_the_program_its_page_and_its_help() {
    for (name, help, known) in [
        ("checkzone", help::CHECKZONE, known(checkzone::OPTIONS, checkzone::LONG_OPTIONS)),
        ("compilezone", help::COMPILEZONE, known(checkzone::OPTIONS, checkzone::LONG_OPTIONS)),
        ("checkconf", help::CHECKCONF, known(checkconf::OPTIONS, checkconf::LONG_OPTIONS)),
        ("journalprint", help::JOURNALPRINT, known(journalprint::OPTIONS, journalprint::LONG_OPTIONS)),
    ] {
        assert!(known.len() > 4, "{known:?}");
        assert_eq!(in_page(&text(&format!("trimaran-{name}.1"))), known, "the page of {name}");
        assert_eq!(in_help(&help), known, "the help of {name}");
    }
}

#[test]
fn help_is_printed_and_the_usage_of_bind_is_not_touched() {
    for (program, help) in [("named-checkzone", help::CHECKZONE), ("named-compilezone", help::COMPILEZONE)] {
        let run = |option: &str| {
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let code = checkzone::run(program, &[option.into()], &mut stdout, &mut stderr);
            (code, String::from_utf8(stdout).expect("text"), String::from_utf8(stderr).expect("text"))
        };
        assert_eq!(run("--help"), (0, help.text(program), String::new()));
        let theirs = Command::new(program).arg("-h").output().expect("BIND is installed by compat-tests/run");
        let theirs = (
            theirs.status.code().expect("it was not killed"),
            String::from_utf8(theirs.stdout).expect("text"),
            String::from_utf8(theirs.stderr).expect("text"),
        );
        assert_eq!(run("-h"), theirs);
    }
}
