//! checkzone against named-checkzone: the golden corpus of `zonefiles`, and the options.
//!
//! `zonefiles/{good,warn,bad}` hold one defect per file, named after it; `.expected` beside each is what
//! named-checkzone 9.18 said. `COMPAT_RECORD=1` records them anew from the named-checkzone that is
//! installed; the normal run compares.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use trimaran::cli::checkzone;

/// What a command said and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: String,
    stderr: String,
    code: i32,
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
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

impl Said {
    fn recorded(&self) -> String {
        format!("{}{}exit {}\n", self.stdout, self.stderr, self.code)
    }
}

/// The zone files of a folder, by name.
fn corpus(folder: &str) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(Path::new("zonefiles").join(folder)).expect("tests run in the package's folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "zone"));
    files.sort();
    assert!(files.len() > 20, "zonefiles/{folder} has {} files", files.len());
    files
}

#[test]
fn the_corpus_gets_the_words_of_named_checkzone() {
    let mut wrong = Vec::new();
    for folder in ["good", "warn", "bad"] {
        for path in corpus(folder) {
            let args = ["-i", "local", "example", path.to_str().unwrap()];
            let expected_path = path.with_extension("expected");
            if std::env::var_os("COMPAT_RECORD").is_some() {
                std::fs::write(&expected_path, theirs("named-checkzone", &args).recorded()).unwrap();
            }
            let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
            let said = ours("named-checkzone", &args).recorded();
            if said != expected {
                wrong.push(format!("{}\n--- BIND\n{expected}--- Trimaran\n{said}", path.display()));
            }
            // A folder says what its files are good for: two lines and the exit code are a zone without a flaw.
            let (lines, loads) = (expected.lines().count(), expected.ends_with("exit 0\n"));
            let fits = match folder {
                "good" => loads && lines == 3,
                "warn" => loads && lines > 3,
                _ => !loads,
            };
            assert!(fits, "{}: {expected}", path.display());
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn good_zones_are_dumped_as_named_checkzone_dumps_them() {
    for path in corpus("good") {
        let args = ["-i", "local", "-D", "example", path.to_str().unwrap()];
        assert_eq!(ours("named-checkzone", &args), theirs("named-checkzone", &args), "{}", path.display());
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
