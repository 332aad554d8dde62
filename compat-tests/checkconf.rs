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

/// Zone files that configurations refer to.
const ZONE_FILES: [(&str, &str); 20] = [
    ("good", "$TTL 60\n@ SOA ns h 7 60 60 60 60\n@ NS ns\nns A 192.0.2.1\n"),
    ("no-serial", "$TTL 60\n@ NS ns\nns A 192.0.2.1\n"),
    ("no-servers", "$TTL 60\n@ SOA ns h 7 60 60 60 60\n"),
    ("no-address", "$TTL 60\n@ SOA ns h 7 60 60 60 60\n@ NS ns\n"),
    ("empty", ""),
    ("syntax", "$TTL 60\n@ SOA ns h 7 60 60 60 60\n@ NS ns\nns A x\nns AAAA y\n"),
    (
        "mail",
        "$TTL 60\n@ SOA ns h 7 60 60 60 60\n@ NS ns\nns A 192.0.2.1\n@ MX 1 192.0.2.1\n@ MX 1 a\na CNAME ns\n@ MX 1 b\n",
    ),
    (
        "services",
        "$TTL 60\n@ SOA ns h 7 60 60 60 60\n@ NS ns\nns A 192.0.2.1\n_a._tcp SRV 1 1 1 a\na CNAME ns\n",
    ),
    ("names", "$TTL 60\n@ SOA ns h 7 60 60 60 60\n@ NS n_s\nn_s A 192.0.2.1\na.*.b A 192.0.2.1\n"),
    ("twice", "$TTL 60\n@ SOA ns h 7 60 60 60 60\n@ NS ns\nns A 192.0.2.1\na MB b\na MB B\n"),
    ("mail-policy", "$TTL 60\n@ SOA ns h 7 60 60 60 60\n@ NS ns\nns A 192.0.2.1\n@ SPF \"v=spf1 -all\"\n"),
    ("sibling", "$TTL 60\n@ SOA ns h 7 60 60 60 60\n@ NS ns\nns A 192.0.2.1\na NS ns.b\nb NS ns.c\n"),
    ("long", "$TTL 100000\n@ SOA ns h 7 60 60 60 60\n@ NS ns\nns A 192.0.2.1\n"),
    ("chaos", "$TTL 60\n@ CH SOA ns h 7 60 60 60 60\n@ CH NS ns.example.\nversion CH TXT x\n"),
    ("includes", "$INCLUDE good\n$INCLUDE nosuch\n"),
    ("hints", ". NS A.root.\na.root. A 192.0.2.1\n"),
    ("hints-glue", ". 60 NS a_b.root.\nb.root. 60 A 192.0.2.1\n"),
    ("hints-text", ". 60 NS a_b.root.\na_b.root. 60 TXT x\n"),
    ("hints-below", "x. 60 NS a.root.\na.root. 60 A 192.0.2.1\n"),
    ("hints-syntax", ". 60 NS a.\na 60 A x\nb 60 A y\n"),
];

/// Configurations of zones, `;`-separated statements of options in front of those of a zone.
const ZONE_CONFIGURATIONS: &[&str] = &[
    "zone a { type primary; file \"good\"; };\nzone \"b.c.\" { type master; file \"good\"; };\nzone . { type primary; file \"good\"; };",
    "zone a { type primary; file \"nosuch\"; };\nzone b { type primary; file \"/\"; };\nzone c { type primary; file \"nosuch/f\"; };",
    "zone a { type primary; file \"no-serial\"; };\nzone b { type primary; file \"no-servers\"; };\nzone c { type primary; file \"no-address\"; };",
    "zone a { type primary; file \"empty\"; };\nzone b { type primary; file \"syntax\"; };\nzone c { type primary; file \"includes\"; };",
    "zone a { type primary; file \"mail\"; };\nzone b { type primary; file \"services\"; };\nzone c { type primary; file \"names\"; };",
    "zone a { type primary; file \"mail\"; check-mx fail; };\nzone b { type primary; file \"mail\"; check-mx ignore; };",
    "zone a { type primary; file \"mail\"; check-mx-cname fail; };\nzone b { type primary; file \"mail\"; check-mx-cname ignore; };",
    "zone a { type primary; file \"services\"; check-srv-cname fail; };\nzone b { type primary; file \"services\"; check-srv-cname ignore; };",
    "zone a { type primary; file \"names\"; check-names warn; };\nzone b { type primary; file \"names\"; check-names ignore; check-wildcard no; };",
    "options { check-names primary warn; check-names secondary fail; check-wildcard no; };\nzone a { type primary; file \"names\"; };",
    "options { check-names master ignore; };\nview v { zone a { type primary; file \"names\"; }; };\nview w { check-names master fail; zone a { type primary; file \"names\"; }; };",
    "zone a { type primary; file \"twice\"; };\nzone b { type primary; file \"twice\"; check-dup-records fail; };\nzone c { type primary; file \"twice\"; check-dup-records ignore; };",
    "zone a { type primary; file \"mail-policy\"; };\nzone b { type primary; file \"mail-policy\"; check-spf ignore; };",
    "zone a { type primary; file \"sibling\"; };\nzone b { type primary; file \"sibling\"; check-sibling yes; };\nzone c { type primary; file \"no-address\"; check-integrity no; };",
    "zone a { type primary; file \"long\"; max-zone-ttl 1d; };\nzone b { type primary; file \"long\"; max-zone-ttl 2d; };",
    "options { max-zone-ttl 60; };\nzone a { type primary; file \"good\"; };\nzone b { type primary; file \"long\"; };",
    "zone a { type primary; file \"good\"; masterfile-format raw; };\nzone b { type primary; file \"good\"; masterfile-format text; };",
    "view v { zone a { type primary; file \"good\"; }; zone b { type primary; file \"nosuch\"; }; };\nview w { zone a { in-view v; }; zone c { type secondary; primaries { 192.0.2.1; }; }; };",
    "view v ch { recursion no; zone a { type primary; file \"chaos\"; }; zone b CH { type primary; file \"good\"; }; };\nview w hs { recursion no; zone c { type primary; file \"good\"; }; };",
    "view v CLASS3 { recursion no; zone a CHAOS { type primary; file \"chaos\"; }; };\nview w CLASS9 { recursion no; zone c class9 { type primary; file \"good\"; }; };",
    "zone a { type primary; file \"chaos\"; };\nzone b in { type primary; file \"good\"; };\nzone c CLASS1 { type primary; file \"good\"; };",
    "zone . { type redirect; file \"good\"; };\nzone . { type hint; file \"good\"; };",
    "zone . { type hint; file \"hints\"; };\nzone a { type hint; file \"hints\"; };\nzone b { type hint; file \"hints-glue\"; };",
    "zone . { type hint; file \"hints-text\"; };\nzone a { type hint; file \"hints-below\"; };\nzone b { type hint; file \"hints-syntax\"; };",
    "zone . { type redirect; primaries { 192.0.2.1; }; file \"nosuch\"; };\nzone . { type hint; file \"nosuch\"; };",
    "zone a { type secondary; primaries { 192.0.2.1; }; file \"nosuch\"; };\nzone b { type stub; primaries { 192.0.2.1; }; };\nzone c { type forward; };\nzone d { type static-stub; };\nzone . { type mirror; };",
    "zone a { type primary; database \"ldap x\"; };\nzone b { type primary; database rbt; file \"good\"; };\nzone d { type primary; dlz x; };",
    "options { directory \"zones\"; };\nzone a { type primary; file \"good\"; };\nzone b { type primary; file \"../good\"; };",
    "include \"zones.conf\";\nzone a { type primary; file \"good\"; };",
    "zone \"A.b\" { type primary; file \"syntax\"; };\nzone \"c\\.d\" { type primary; file \"syntax\"; };\nzone \"e f\" { type primary; file \"good\"; };",
    "zone a { type Primary; file \"good\"; };\nzone b { type MASTER; file \"good\"; };\nzone c { type Hint; file \"good\"; };\nzone d { type delegation-only; };",
    "zone a { type primary; file \"good\"; files 1; };\nzone b { type primary; file \"good\"; };",
    "options { recursing-file \"x\"; foo; };\nzone a { type primary; file \"good\"; };",
    "zone a { type primary; file \"good\"; dialup no; };\nkey k { algorithm hmac-md5; secret \"YWJj\"; };",
    "view a { zone a { type forward; }; zone b { type primary; file \"good\"; }; };\nview p any { recursion no; zone a { type primary; file \"nosuch\"; }; };\nview c { zone a { type primary; file \"nosuch\"; }; };",
    "view p NONE { recursion no; };",
    "view p CLASS0 { recursion no; };\nview q { zone a { type primary; file \"good\"; }; };",
    "",
];

/// Options, one set a line.
const OPTION_SETS: [&[&str]; 12] = [
    &["-z"],
    &["-l"],
    &["-z", "-l"],
    &["-z", "-j"],
    &["-z", "-p"],
    &["-z", "-i", "-p", "-x"],
    &["-i"],
    &["-c", "-z"],
    &["-x"],
    &["-p", "-l"],
    &["-m", "record", "-zi"],
    &["-q"],
];

#[test]
fn zones_are_listed_and_loaded_as_named_checkconf_does() {
    let site = Site::new("conf-zones");
    let directory = site.dir("conf");
    let write = |name: &str, text: &str| {
        std::fs::write(directory.join(name), text).expect("a file can be written");
    };
    for (name, text) in ZONE_FILES {
        write(name, text);
    }
    write("zones.conf", "zone i { type primary; file \"syntax\"; };\n");
    std::fs::create_dir_all(directory.join("zones")).expect("a folder can be made");
    let mut different = Vec::new();
    for (at, configuration) in ZONE_CONFIGURATIONS.iter().enumerate() {
        write("named.conf", configuration);
        for options in OPTION_SETS {
            let run = |program: &mut Command| {
                let output = program.args(options).arg("named.conf").current_dir(&directory).output();
                let output =
                    output.expect("compat-tests/run installs named-checkconf, and checkconf is built");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let errors = text(&output.stderr).replace("trimaran checkconf", "named-checkconf");
                (output.status.code(), text(&output.stdout), errors)
            };
            let theirs = run(&mut Command::new("named-checkconf"));
            let ours = run(Command::new(env!("CARGO_BIN_EXE_trimaran")).arg("checkconf"));
            if theirs != ours {
                different.push(format!(
                    "{at} {options:?}\n{configuration}\nnamed-checkconf {theirs:#?}\ncheckconf {ours:#?}"
                ));
            }
        }
    }
    assert!(different.is_empty(), "{}\n{} differ", different.join("\n"), different.len());
}
