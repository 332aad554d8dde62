//! `--explain` and `--json` say what checkzone says, and more; the progress bar is seen on a terminal only.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use trimaran::cli::checkzone;

use crate::zonefuzz;

fn run(args: &[&str]) -> (i32, String) {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = checkzone::run("checkzone", &args, &mut stdout, &mut stderr);
    assert_eq!(String::from_utf8_lossy(&stderr), "", "{args:?}");
    (code, String::from_utf8_lossy(&stdout).into_owned())
}

/// The lines that `--explain` adds: an arrow, a frame with the line, a hint.
pub(crate) fn is_explanation(line: &str) -> bool {
    let behind = line.trim_start_matches(|character: char| character == ' ' || character.is_ascii_digit());
    let first = behind.split(' ').next().unwrap_or_default();
    line.starts_with(' ') && matches!(first, "-->" | "|" | "=") || line != behind && first == "|"
}

#[test]
fn explanations_stand_between_the_lines_of_bind_and_change_nothing_else() {
    let mut explained = 0;
    for (path, _) in zonefuzz::corpus() {
        let path = path.to_str().expect("names of the corpus are ASCII");
        let (code, plain) = run(&["-i", "local", "example", path]);
        let (explained_code, text) = run(&["--explain", "-i", "local", "example", path]);
        let bare: Vec<&str> = text.lines().filter(|line| !is_explanation(line)).collect();
        assert_eq!(bare, plain.lines().collect::<Vec<_>>(), "{path}");
        assert_eq!(explained_code, code, "{path}");
        explained += text.lines().count() - bare.len();
    }
    assert!(explained > 1000, "{explained} lines of explanations");
}

#[test]
fn many_findings_of_one_place_are_explained_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("zone");
    // Each zero octet is an error, and BIND says so each time.
    std::fs::write(&path, [&b"x TXT "[..], &[0; 70_000], b"\n"].concat()).expect("a file");
    let path = path.to_str().expect("ASCII");
    let (_, text) = run(&["--explain", "-i", "local", "example", path]);
    let (_, plain) = run(&["-i", "local", "example", path]);
    assert!(plain.lines().count() > 70_000, "{}", plain.lines().count());
    let added = text.lines().filter(|line| is_explanation(line)).count();
    assert!((1..50).contains(&added), "{added} lines of explanations");
}

#[test]
fn the_document_has_every_finding_with_its_place() {
    let (mut findings_seen, mut placed) = (0, 0);
    for (path, _) in zonefuzz::corpus() {
        let path = path.to_str().expect("names of the corpus are ASCII");
        let (code, plain) = run(&["-i", "local", "example", path]);
        let (json_code, text) = run(&["--json", "-i", "local", "example", path]);
        let document: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
        assert_eq!(json_code, code, "{path}");
        assert_eq!(document["exit_code"], code, "{path}");
        assert_eq!(document["loaded"], plain.contains(": loaded serial "), "{path}");
        for finding in document["findings"].as_array().expect("a list") {
            findings_seen += 1;
            let message = finding["message"].as_str().expect("a text");
            let code = finding["code"].as_str().expect("a text");
            assert!(
                code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            );
            // BIND says nothing of a wrong $TTL but the result, and that only if it is the first error.
            let is_silent = code == "bad-ttl";
            assert!(is_silent || plain.contains(message), "{path}: {message} is not in {plain}");
            assert!(!finding["hint"].as_str().expect("a text").is_empty(), "{path}");
            let Some(line) = finding["line"].as_u64() else { continue };
            let file = std::fs::read(finding["file"].as_str().expect("a text")).unwrap_or_default();
            let lines: Vec<&[u8]> = file.split(|&byte| byte == b'\n').collect();
            assert!(file.is_empty() || line as usize <= lines.len(), "{path}: line {line}");
            if let (Some(column), Some(bytes)) = (finding["column"].as_u64(), finding["bytes"].as_u64()) {
                placed += 1;
                let length = file.split(|&byte| byte == b'\n' || byte == b'\r').map(<[u8]>::len).max();
                assert!((column - 1 + bytes) as usize <= length.unwrap_or(0), "{path}: column {column}");
            }
        }
    }
    assert!(
        findings_seen > 300 && placed * 10 > findings_seen * 6,
        "{placed} of {findings_seen} have a column"
    );
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    for (args, complaint) in [
        (&["--json", "-q"][..], "--json and -q"),
        (&["--explain", "-q"], "--explain and -q"),
        (&["--json", "--explain"], "--explain and --json"),
        (&["--json", "-D"], "--json and the zone"),
        (&["--json", "-o", "-"], "--json and the zone"),
    ] {
        let args: Vec<OsString> = args.iter().copied().chain(["example", "f"]).map(OsString::from).collect();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        assert_eq!(checkzone::run("checkzone", &args, &mut stdout, &mut stderr), 1);
        let said = String::from_utf8(stderr).expect("text");
        assert!(said.starts_with(&format!("checkzone: {complaint}")) && stdout.is_empty(), "{said}");
    }
}

/// checkzone on a terminal of its own, and what it shows there.
struct OnTerminal {
    child: Child,
    terminal: File,
    shown: String,
}

impl OnTerminal {
    fn start(args: &[&str]) -> OnTerminal {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let clone = || pty.slave.try_clone().expect("a descriptor");
        let child = Command::new(env!("CARGO_BIN_EXE_trimaran"))
            .arg("checkzone")
            .args(args)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .stdout(clone())
            .stderr(clone())
            .spawn()
            .expect("the program starts");
        OnTerminal { child, terminal: File::from(pty.master), shown: String::new() }
    }

    /// Waits until `text` is shown, or until the program has ended: then the terminal is closed.
    fn until(&mut self, text: &str) -> bool {
        let mut buffer = [0; 4096];
        while !self.shown.contains(text) {
            match self.terminal.read(&mut buffer) {
                Ok(count) if count > 0 => self.shown.push_str(&String::from_utf8_lossy(&buffer[..count])),
                _ => return false,
            }
        }
        true
    }

    /// All that is shown until the program ends.
    fn shown_to_the_end(mut self) -> String {
        self.until("\0 never shown");
        assert!(self.child.wait().expect("it ends").success(), "{}", self.shown);
        self.shown
    }
}

/// A zone that is not read before the writer of the pipe has let go of it.
struct SlowFile {
    directory: tempfile::TempDir,
}

impl SlowFile {
    fn new() -> SlowFile {
        let directory = tempfile::tempdir().expect("a directory");
        let slow = SlowFile { directory };
        nix::unistd::mkfifo(slow.path().as_str(), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        slow
    }

    fn path(&self) -> String {
        self.directory.path().join("zone").to_str().expect("ASCII").to_owned()
    }

    /// Waits until the program has opened it.
    fn open(&self) -> File {
        std::fs::OpenOptions::new().write(true).open(self.path()).expect("the program opens the pipe")
    }
}

const ZONE: &[u8] = b"$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
const LOADED: &str = "zone example/IN: loaded serial 1\r\nOK\r\n";

#[test]
fn a_file_that_takes_long_shows_that_it_is_read_and_leaves_no_trace() {
    let slow = SlowFile::new();
    let mut checking = OnTerminal::start(&["-i", "local", "example", &slow.path()]);
    let mut file = slow.open();
    assert!(checking.until("reading"), "{}", checking.shown);
    file.write_all(ZONE).expect("the program reads the pipe");
    drop(file);
    let shown = checking.shown_to_the_end();
    // The line is cleared before the messages.
    assert!(shown.ends_with(&format!("\x1b[2K{LOADED}")), "{shown:?}");
}

#[test]
fn a_file_that_is_read_at_once_shows_no_bar() {
    let path = "zonefiles/good/ttl-units.zone";
    let plain = run(&["-i", "local", "example", path]).1.replace('\n', "\r\n");
    assert_eq!(OnTerminal::start(&["-i", "local", "example", path]).shown_to_the_end(), plain);
    assert_eq!(OnTerminal::start(&["-q", "-i", "local", "example", path]).shown_to_the_end(), "");
}

#[test]
fn explanations_are_in_colours_on_a_terminal() {
    let shown =
        OnTerminal::start(&["--explain", "-i", "local", "example", "zonefiles/warn/mx-to-cname.zone"]);
    let shown = shown.shown_to_the_end();
    assert!(shown.contains("\x1b[1;36mhint\x1b[0m"), "{shown:?}");
}
