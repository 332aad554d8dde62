//! checkzone against named-checkzone: the golden corpus of `zonefiles`, and the options.
//!
//! `zonefiles/{good,warn,bad}` hold one feature or defect per file, named after it. `.expected` beside each is
//! what named-checkzone 9.18 said of it, the exit code, and the zone as `-D` writes it; the first line of a
//! file may be a comment with the command and its options. `COMPAT_RECORD=1` records anew from the BIND that is
//! installed. The test of the records needs none; the others run both programs side by side.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::HEXLOWER;
use sha2::Digest as _;
use trimaran::cli::checkzone;

/// What a command said and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: String,
    stderr: String,
    code: i32,
}

/// Output as text; octets that are no UTF-8 stay visible.
fn text(bytes: Vec<u8>) -> String {
    let chunks = bytes.utf8_chunks();
    chunks.map(|chunk| format!("{}{}", chunk.valid(), chunk.invalid().escape_ascii())).collect()
}

fn ours(program: &str, args: &[&str]) -> Said {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = checkzone::run(program, &args, &mut stdout, &mut stderr);
    Said { stdout: text(stdout), stderr: text(stderr), code }
}

fn theirs(program: &str, args: &[&str]) -> Said {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let code = output.status.code().expect("it was not killed");
    Said { stdout: text(output.stdout), stderr: text(output.stderr), code }
}

/// How long a dump may be to be recorded as it is; of longer ones the digest is.
const DUMP_BYTES_MAX: usize = 8192;

/// Files of the corpus about which Trimaran says something else than BIND, and the first words of the row of
/// DEVIATIONS.md that says why. Exit codes are the same even here.
const DEVIATIONS: &[(&str, &str)] = &[
    ("bad/8-bit-rdata.zone", "octets that are no UTF-8"),
    ("bad/8-bit-type.zone", "octets that are no UTF-8"),
    ("bad/generate-bad-address-in-the-middle.zone", "RDATA errors in `$GENERATE`"),
    ("bad/generate-bad-extra.zone", "RDATA errors in `$GENERATE`"),
    ("bad/generate-bad-ranges.zone", "RDATA errors in `$GENERATE`"),
    ("bad/generate-bad-rdata.zone", "RDATA errors in `$GENERATE`"),
    ("bad/generate-in-parentheses.zone", "RDATA errors in `$GENERATE`"),
    ("good/name-in-all-cases.zone", "an owner that is written in several ways"),
];

/// The corpus does not shrink.
const CORPUS_FILES_MIN: usize = 500;

/// Fewer rows than this may be in the section of DEVIATIONS.md about zone files.
const DEVIATING_ROWS_MAX: usize = 10;

/// A file of the corpus and how it is checked.
struct Case {
    path: PathBuf,
    program: String,
    /// What stands before the name of the file.
    args: Vec<String>,
}

impl Case {
    /// The first line of a file may say how it is checked: `; named-checkzone -i local -k fail example`.
    fn new(path: PathBuf) -> Case {
        let bytes = std::fs::read(&path).unwrap();
        let first = String::from_utf8_lossy(bytes.split(|&byte| byte == b'\n').next().unwrap_or_default());
        let command = first.strip_prefix("; ").filter(|command| command.starts_with("named-"));
        let mut words = command.unwrap_or("named-checkzone -i local example").split(' ').map(str::to_owned);
        let program = words.next().unwrap();
        Case { path, program, args: words.collect() }
    }

    fn name(&self) -> &str {
        self.path.to_str().unwrap().strip_prefix("zonefiles/").unwrap()
    }

    fn run(&self, run: fn(&str, &[&str]) -> Said, extra: &[&str]) -> Said {
        let args = self.args.iter().map(String::as_str).chain([self.path.to_str().unwrap()]);
        run(&self.program, &[extra, &args.collect::<Vec<_>>()].concat())
    }

    fn recorded(&self) -> String {
        std::fs::read_to_string(self.path.with_extension("expected")).unwrap_or_default()
    }

    /// Whether the command does not write the zone by itself.
    fn is_recorded_with_dump(&self) -> bool {
        self.program == "named-checkzone" && !self.args.iter().any(|arg| arg == "-D")
    }

    /// What is recorded of a run: messages, exit code, and the zone in text if there is one.
    fn record(&self, run: fn(&str, &[&str]) -> Said) -> String {
        let said = self.run(run, &[]);
        let head = format!("{}{}exit {}\n", said.stdout, said.stderr, said.code);
        if said.code != 0 || !self.is_recorded_with_dump() {
            return head;
        }
        let dump = self.run(run, &["-q", "-D"]).stdout;
        match dump.len() {
            0..DUMP_BYTES_MAX => head + &dump,
            length => {
                let digest = HEXLOWER.encode(&sha2::Sha256::digest(dump.as_bytes()));
                format!("{head}{length} octets, SHA-256 {digest}\n")
            }
        }
    }
}

/// The zone files of a folder, by name.
fn corpus(folder: &str) -> Vec<Case> {
    let entries =
        std::fs::read_dir(Path::new("zonefiles").join(folder)).expect("tests run in the package's folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "zone"));
    files.sort();
    files.into_iter().map(Case::new).collect()
}

fn whole_corpus() -> Vec<Case> {
    ["good", "warn", "bad"].into_iter().flat_map(corpus).collect()
}

/// Whether this file is meant to get other words than BIND's; then they must be others.
fn is_meant_to_differ(case: &Case) -> bool {
    DEVIATIONS.iter().any(|&(file, _)| file == case.name())
}

fn exit_code(record: &str) -> Option<&str> {
    record.lines().find(|line| line.starts_with("exit "))
}

/// Whether the folder says what a file is good for.
fn is_in_its_folder(case: &Case, record: &str) -> bool {
    let lines = record.lines().take_while(|line| !line.starts_with("exit ")).count();
    let loads = exit_code(record) == Some("exit 0");
    // "loaded" and "OK" are what named-checkzone says of a zone without a flaw.
    let has_warning = lines > 2 && case.is_recorded_with_dump();
    match case.name().split_once('/') {
        Some(("good", _)) => loads && !has_warning,
        Some(("warn", _)) => loads && has_warning,
        _ => !loads,
    }
}

#[test]
fn the_corpus_gets_the_words_of_named_checkzone() {
    let mut wrong = Vec::new();
    let cases = whole_corpus();
    assert!(cases.len() >= CORPUS_FILES_MIN, "the corpus has {} files", cases.len());
    for case in &cases {
        if std::env::var_os("COMPAT_RECORD").is_some() {
            std::fs::write(case.path.with_extension("expected"), case.record(theirs)).unwrap();
        }
        let expected = case.recorded();
        assert!(is_in_its_folder(case, &expected), "{}: {expected}", case.name());
        let said = case.record(ours);
        let is_same_code = exit_code(&said) == exit_code(&expected);
        if !is_same_code || (said == expected) == is_meant_to_differ(case) {
            wrong.push(format!("{}\n--- BIND\n{expected}--- Trimaran\n{said}", case.name()));
        }
    }
    assert!(wrong.is_empty(), "{} are not as they should be\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_corpus_gets_the_streams_and_the_dump_of_named_checkzone_side_by_side() {
    let mut wrong = Vec::new();
    for case in whole_corpus() {
        for extra in [&[][..], &["-D"], &["-q"]] {
            let (bind, trimaran) = (case.run(theirs, extra), case.run(ours, extra));
            if bind.code != trimaran.code || (bind != trimaran && !is_meant_to_differ(&case)) {
                wrong.push(format!(
                    "{} {extra:?}\n--- BIND\n{bind:?}\n--- Trimaran\n{trimaran:?}",
                    case.name()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn few_differences_are_meant_and_each_has_its_reason() {
    let text = std::fs::read_to_string("compat-tests/DEVIATIONS.md").unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with("Zone files")).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    assert!(rows.clone().count() < DEVIATING_ROWS_MAX, "{} rows are about zone files", rows.count());
    let rows: Vec<&str> = rows.filter(|row| row.starts_with("| zone files: ")).collect();
    for row in &rows {
        let is_shown = DEVIATIONS.iter().any(|(_, words)| row.starts_with(&format!("| zone files: {words}")));
        assert!(is_shown, "no file of the corpus shows: {row}");
    }
    for (file, words) in DEVIATIONS {
        let has_reason = rows.iter().any(|row| row.starts_with(&format!("| zone files: {words}")));
        assert!(has_reason && Path::new("zonefiles").join(file).exists(), "{file}: {words}");
    }
}

#[test]
fn sample_zones_pass_without_a_warning_and_are_dumped_alike() {
    let samples = [
        ("small-company.example", "small-company.example.zone"),
        ("2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa.zone"),
        ("signed.example", "signed.example.zone"),
        ("nsec3.example", "nsec3.example.zone"),
        ("delegations.example", "delegations.example.zone"),
    ];
    for (zone, file) in samples {
        let path = format!("zonefiles/{file}");
        let args = ["-i", "local", zone, &path];
        let (bind, trimaran) = (theirs("named-checkzone", &args), ours("named-checkzone", &args));
        assert_eq!(bind, trimaran, "{file}");
        assert_eq!((bind.stdout.lines().count(), bind.code), (2, 0), "{file}: {}", bind.stdout);
        let args = ["-i", "local", "-D", zone, &path];
        assert_eq!(ours("named-checkzone", &args), theirs("named-checkzone", &args), "{file}");
    }
}

#[test]
fn options_have_the_meaning_the_messages_and_the_exit_codes_of_named_checkzone() {
    let good = "zonefiles/good/ttl-units.zone";
    let warn = |name: &str| format!("zonefiles/warn/{name}.zone");
    let run = |program: &str, args: &[&str]| {
        assert_eq!(ours(program, args), theirs(program, args), "{program} {args:?}");
    };
    for args in [
        &[][..],
        &["-h"],
        &["a", "b", "c"],
        &["-c"],
        &["-u", "example", good],
        &["-c", "FOO", "example", good],
        &["-f", "xx", "example", good],
        &["-F", "yy", "example", good],
        &["-F", "raw=7", "example", good],
        &["-k", "no", "example", good],
        &["-i", "no", "example", good],
        &["-T", "fail", "example", good],
        &["-l", "x", "example", good],
        &["-L", "x", "example", good],
        &["-s", "x", "example", good],
        &["-w", "/nonexistent", "example", good],
        &["-W", "x", "-i", "local", "example", good],
        &["-o", "/nonexistent/x", "-i", "local", "example", good],
        &["-q", "-i", "local", "example", good],
        &["-d", "-i", "local", "example", good],
        &["-d", "-D", "-i", "local", "example", good],
        &["-qD", "-i", "local", "example", good],
        &["-i", "local", "-o", "-", "EXAMPLE.", good],
        &["-j", "-i", "local", "example", good],
        &["-l", "60", "-i", "local", "example", good],
        &["-l", "0x1000000", "-i", "local", "example", good],
        &["-l", "-1", "-i", "local", "example", good],
        &["-l", "", "-i", "local", "example", good],
        &["-l", "5x", "-i", "local", "example", good],
        &["-f", "TEXT", "-i", "local", "example", good],
        &["-F", "Text", "-D", "-i", "local", "example", good],
        &["-d", "-i", "local", "ex\\046ample", good],
        &["-i", "local", "ex ample", good],
        &["-i", "local", "@", good],
        &["-c", "CH", "example", "zonefiles/warn/ns-is-an-address.zone"],
        &["-c", "CLASS77", "example", "zonefiles/warn/bad-owner.zone"],
        &["-w", good, "example", good],
        &["example", "/dev/null/x"],
        &["-?"],
        &["a..b", good],
        &["example", "/nonexistent/file"],
        &["example", "/"],
        &["-q", "example", "zonefiles/bad/no-ns.zone"],
    ] {
        run("named-checkzone", args);
    }
    for (file, options) in [
        ("bad-owner", ["-k", "ignore"]),
        ("bad-owner", ["-k", "fail"]),
        ("bad-target", ["-k", "fail"]),
        ("ns-is-an-address", ["-n", "ignore"]),
        ("ns-is-an-address", ["-n", "fail"]),
        ("mx-is-an-address", ["-m", "ignore"]),
        ("mx-is-an-address", ["-m", "fail"]),
        ("mx-without-address", ["-m", "fail"]),
        ("mx-to-cname", ["-M", "ignore"]),
        ("mx-to-cname", ["-M", "fail"]),
        ("srv-to-cname", ["-S", "ignore"]),
        ("srv-to-cname", ["-S", "fail"]),
        ("records-differ-in-case", ["-r", "ignore"]),
        ("records-differ-in-case", ["-r", "fail"]),
        ("spf-without-txt", ["-T", "ignore"]),
        ("inner-wildcard", ["-W", "ignore"]),
        ("sibling-glue-missing", ["-i", "local-sibling"]),
        ("required-glue-missing", ["-i", "none"]),
    ] {
        run("named-checkzone", &["-i", "local", options[0], options[1], "example", &warn(file)]);
    }
}

#[test]
fn compilezone_writes_what_named_compilezone_writes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    let out = file.to_str().unwrap();
    let good = "zonefiles/good/svcb.zone";
    let bad = "zonefiles/warn/bad-owner.zone";
    for args in [
        &["example", good][..],
        &["-o", out, "example", good],
        &["-d", "-o", out, "example", good],
        &["-q", "-o", out, "example", good],
        &["-o", "-", "example", good],
        &["-o", out, "example", bad],
        &["-o", out, "example", "zonefiles/bad/no-soa.zone"],
        &["-o", "-", "example", "zonefiles/bad/bad-hex.zone"],
    ] {
        let run = |run: fn(&str, &[&str]) -> Said| {
            let _ = std::fs::remove_file(&file);
            (run("named-compilezone", args), std::fs::read_to_string(&file).ok())
        };
        assert_eq!(run(ours), run(theirs), "{args:?}");
    }
}
