//! named-checkzone and checkzone side by side, and the differences that are meant.

use std::ffi::OsString;
use std::process::Command;

use trimaran::cli::checkzone;

/// What a command wrote, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) code: i32,
}

/// How the two compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    /// Different text for a reason in [`RULES`].
    Explained(&'static str),
    Text,
    ExitCode,
    /// named-checkzone came to no end.
    Hung,
    /// named-checkzone ended with a failed assertion.
    Crashed,
}

/// One reason for different text: what becomes of a line of either so that the reason goes away.
type Rule = (&'static str, fn(&str) -> Option<String>);

/// The differences of compat-tests/DEVIATIONS.md that files of the fuzzer can show, by words of their rows.
const RULES: [Rule; 7] = [
    ("a buffer's address", without_buffer),
    ("a line of `master.c`", without_date),
    ("more than 8 KiB", cut),
    ("RDATA of more than 65,512 octets", without_space),
    ("octets that are no UTF-8", without_octets),
    ("`; resign=`", without_time),
    ("an owner that is written in several ways", |line| Some(line.to_ascii_lowercase())),
];

const INCLUDED_AGAIN: &str = "`$INCLUDE` of a file that is being read";
const TKEY: &str = "what else is wrong with a TKEY";
/// What is said of files that named-checkzone does not survive.
const CRASH: &str = "a failed assertion";

#[test]
fn every_reason_for_different_words_is_in_the_list_of_differences() {
    let list =
        std::fs::read_to_string("compat-tests/DEVIATIONS.md").expect("tests run in the package's folder");
    let reasons = RULES.iter().map(|(reason, _)| *reason).chain([INCLUDED_AGAIN, TKEY, CRASH]);
    for reason in reasons {
        assert!(list.contains(reason), "{reason}");
    }
}

fn without_buffer(line: &str) -> Option<String> {
    (!line.starts_with("dns_rdata_fromtext: buffer-0x")).then(|| line.to_owned())
}

fn without_rdata_errors(line: &str) -> Option<String> {
    (!line.starts_with("dns_rdata_fromtext: ")).then(|| line.to_owned())
}

fn without_date(line: &str) -> Option<String> {
    let is_of_date =
        line.ends_with("$DATE outside epoch") || line.ends_with("$DATE in future, using current date");
    (!is_of_date).then(|| line.to_owned())
}

fn without_space(line: &str) -> Option<String> {
    (!line.ends_with(" near eol: ran out of space")).then(|| line.to_owned())
}

/// Octets above 127 become question marks, and so does what stands for them.
fn without_octets(line: &str) -> Option<String> {
    let marks = line.replace(|c: char| !c.is_ascii(), "?");
    Some(marks.split('?').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("?"))
}

/// Signatures that are not valid yet are to be made again at once, and the two programs run one after the other.
fn without_time(line: &str) -> Option<String> {
    (!line.starts_with("; resign=")).then(|| line.to_owned())
}

fn cut(line: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&line.as_bytes()[..line.len().min(8191)]).into_owned())
}

/// The longest that named-checkzone may take, in seconds.
const SECONDS_MAX: &str = "20";
/// Stands for the exit code of what a signal has ended.
const CRASHED: i32 = -1;

pub(super) fn ours(args: &[String]) -> Said {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = checkzone::run("named-checkzone", &args, &mut stdout, &mut stderr);
    Said { stdout: text(&stdout), stderr: text(&stderr), code }
}

pub(super) fn theirs(args: &[String]) -> Said {
    let output = Command::new("timeout")
        .args([SECONDS_MAX, "named-checkzone"])
        .args(args)
        .output()
        .expect("coreutils are installed");
    let code = output.status.code().unwrap_or(CRASHED);
    Said { stdout: text(&output.stdout), stderr: text(&output.stderr), code }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn verdict(theirs: &Said, ours: &Said) -> Verdict {
    if theirs == ours {
        return Verdict::Same;
    }
    if theirs.code == 124 {
        return Verdict::Hung;
    }
    if theirs.code == CRASHED {
        return Verdict::Crashed;
    }
    if theirs.code != ours.code {
        return Verdict::ExitCode;
    }
    let opens_too_many =
        |said: &Said| format!("{}{}", said.stdout, said.stderr).contains(": too many open files\n");
    if opens_too_many(ours) {
        return Verdict::Explained(INCLUDED_AGAIN);
    }
    let (mut left, mut right) = (theirs.clone(), ours.clone());
    if format!("{}{}", theirs.stdout, theirs.stderr).contains("type 'TKEY': invalid use of a meta type\n") {
        for said in [&mut left, &mut right] {
            said.stdout = apply(&said.stdout, without_rdata_errors);
            said.stderr = apply(&said.stderr, without_rdata_errors);
        }
        if left == right {
            return Verdict::Explained(TKEY);
        }
    }
    for (reason, rule) in RULES {
        for said in [&mut left, &mut right] {
            said.stdout = apply(&said.stdout, rule);
            said.stderr = apply(&said.stderr, rule);
        }
        if left == right {
            return Verdict::Explained(reason);
        }
    }
    Verdict::Text
}

fn apply(text: &str, rule: fn(&str) -> Option<String>) -> String {
    text.lines().filter_map(rule).map(|line| line + "\n").collect()
}

/// What a difference looks like: the first lines that differ, without what is particular to the file.
pub(super) fn signature(theirs: &Said, ours: &Said) -> String {
    let lines = |said: &Said| -> Vec<String> {
        let text = format!("{}{}exit {}", said.stderr, said.stdout, said.code);
        text.lines().map(masked).collect()
    };
    let (left, right) = (lines(theirs), lines(ours));
    let at = left.iter().zip(&right).take_while(|(left, right)| left == right).count();
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
    format!("{} | {}", line(&left), line(&right))
}

/// A line without quoted words, names, numbers and blanks.
fn masked(line: &str) -> String {
    let mut out = String::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            out.push('\'');
            continue;
        }
        for word in part.split_ascii_whitespace() {
            let is_particular = word.contains(|c: char| c.is_ascii_digit() || c == '/' || c == '\\')
                || word.contains('.') && word.len() > 1;
            out.push_str(if is_particular { "*" } else { word });
            out.push(' ');
        }
    }
    out
}
