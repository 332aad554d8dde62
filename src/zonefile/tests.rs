//! Zone text in, records and diagnostics out. Expected texts are those of named-checkzone 9.18.49.

use super::*;
use crate::dns::{Class, rdata};

/// Lines 1 to 3 of every zone here.
const HEAD: &str = "$TTL 3600\n@ SOA ns h 1 2h 15m 2w 1h\n@ NS ns\n";

fn zone() -> Name {
    "example.".parse().unwrap()
}

/// Records as `owner ttl type rdata`, and diagnostics as BIND prints them.
fn read_text(text: &str, options: &Options) -> (Vec<String>, Vec<String>) {
    let mut records = Vec::new();
    let outcome = read_bytes(text.as_bytes(), "f", &zone(), options, |record| {
        let owner = Name::from_wire(record.owner).expect("owners are legal names");
        assert!(owner.is_at_or_below(&zone()));
        assert_eq!(rdata::check(Class::IN, record.rtype, record.rdata), Ok(()));
        let text = rdata::to_text(Class::IN, record.rtype, record.rdata);
        records.push(format!("{owner} {} {} {text}", record.ttl, record.rtype));
    });
    assert_eq!(outcome.records, records.len() as u64);
    (records, outcome.diagnostics.iter().map(Diagnostic::to_string).collect())
}

/// What comes of `body` behind [`HEAD`]; its first line has number 4.
#[track_caller]
fn check(body: &str, records: &[&str], diagnostics: &[&str]) {
    let (found, said) = read_text(&format!("{HEAD}{body}"), &Options::default());
    assert_eq!(&found[2..], records, "{body}");
    assert_eq!(said, diagnostics, "{body}");
}

#[test]
fn owner_ttl_and_class_may_be_left_out_and_stand_in_either_order() {
    check(
        "a 60 IN A 1.1.1.1\nb IN 60 A 1.1.1.2\nc IN A 1.1.1.3\nd 1h A 1.1.1.4\n\tTXT x\n",
        &[
            "a.example. 60 A 1.1.1.1",
            "b.example. 60 A 1.1.1.2",
            "c.example. 3600 A 1.1.1.3",
            "d.example. 3600 A 1.1.1.4",
            "d.example. 3600 TXT \"x\"",
        ],
        &[],
    );
    // In the first column even a type or a class is an owner.
    check(
        "in a 1.1.1.1\ntxt txt txt\n",
        &["in.example. 3600 A 1.1.1.1", "txt.example. 3600 TXT \"txt\""],
        &[],
    );
    check("A CLASS1 TYPE1 \\# 4 01010101\n", &["A.example. 3600 A 1.1.1.1"], &[]);
}

#[test]
fn parentheses_quotes_escapes_and_comments() {
    check(
        "a TXT ( \"b;(\" ; comment\n\n  c\\;d ) \"e\\\"f\"\n",
        &["a.example. 3600 TXT \"b;(\" \"c;d\" \"e\\\"f\""],
        &[],
    );
    check("a TXT b\"c\"d\n", &["a.example. 3600 TXT \"b\" \"c\" \"d\""], &[]);
    check("\\097\\.b TXT x\n", &["a\\.b.example. 3600 TXT \"x\""], &[]);
    check("a HTTPS 1 . alpn=\"h2,h3\" port=1\n", &["a.example. 3600 HTTPS 1 . alpn=\"h2,h3\" port=1"], &[]);
    check("a TXT \"b\0c\" \u{fe}\n", &["a.example. 3600 TXT \"b\\000c\" \"\\195\\190\""], &[]);
}

#[test]
fn line_ends_of_other_systems_are_understood() {
    check("a A 1.1.1.1\r\nb A 1.1.1.2\r\n", &["a.example. 3600 A 1.1.1.1", "b.example. 3600 A 1.1.1.2"], &[]);
    check("a A 1.1.1.1", &["a.example. 3600 A 1.1.1.1"], &["f:4: file does not end with newline"]);
    check("a A 1.1.1.1\n  ", &["a.example. 3600 A 1.1.1.1"], &["f: file does not end with newline"]);
    check("a A 1.1.1.1\n; end", &["a.example. 3600 A 1.1.1.1"], &[]);
}

#[test]
fn the_origin_changes_relative_names() {
    check(
        "$ORIGIN x\n@ A 1.1.1.1\n$origin .\ny.example A 1.1.1.2\n",
        &["x.example. 3600 A 1.1.1.1", "y.example. 3600 A 1.1.1.2"],
        &[],
    );
    check(
        "$ORIGIN x\n\tA 1.1.1.1\n",
        &["example. 3600 A 1.1.1.1"],
        &["f:5: record with inherited owner (example) immediately after $ORIGIN (x.example)"],
    );
    check("$ORIGIN a..b\n", &[], &["dns_master_load: f:4: empty label"]);
    check("$ORIGIN x y\n", &[], &["dns_master_load: f:4: extra input text"]);
}

#[test]
fn ttls_come_from_the_record_the_directive_the_soa_or_the_record_before() {
    let said = |text: &str| read_text(text, &Options::default());
    assert_eq!(
        said("@ SOA ns h 1 2h 15m 2w 1h\na A 1.1.1.1\n"),
        (
            vec![
                "example. 3600 SOA ns.example. h.example. 1 7200 900 1209600 3600".into(),
                "a.example. 3600 A 1.1.1.1".into()
            ],
            vec!["f:1: no TTL specified; using SOA MINTTL instead".to_owned()],
        )
    );
    assert_eq!(
        said("a 60 A 1.1.1.1\nb A 1.1.1.2\nc 30 A 1.1.1.3\nd A 1.1.1.4\n"),
        (
            [
                "a.example. 60 A 1.1.1.1",
                "b.example. 60 A 1.1.1.2",
                "c.example. 30 A 1.1.1.3",
                "d.example. 30 A 1.1.1.4"
            ]
            .map(String::from)
            .to_vec(),
            vec!["f:2: using RFC1035 TTL semantics".to_owned()],
        )
    );
    let rejected = "f:1: no TTL specified; zone rejected".to_owned();
    assert_eq!(said("a A 1.1.1.1\n"), (vec!["a.example. 0 A 1.1.1.1".to_owned()], vec![rejected]));
    check(
        "a 60 A 1.1.1.1\na 90 A 1.1.1.2\n",
        &["a.example. 60 A 1.1.1.1", "a.example. 60 A 1.1.1.2"],
        &["f:5: TTL set to prior TTL (60)"],
    );
    check(
        "a 3000000000 A 1.1.1.1\n",
        &["a.example. 0 A 1.1.1.1"],
        &["dns_master_load: f:4: $TTL 3000000000 > MAXTTL, setting $TTL to 0"],
    );
    let options = Options { max_ttl: Some(3600), ..Options::default() };
    let (records, said) = read_text(&format!("{HEAD}a 3601 A 1.1.1.1\n"), &options);
    assert_eq!(records.len(), 2);
    assert_eq!(
        said,
        [
            "dns_master_load: f:4: TTL 3601 exceeds configured max-zone-ttl 3600\ndns_master_load: f:4: out of range"
        ]
    );
}

#[test]
fn the_reader_goes_on_after_every_error() {
    for (line, said) in [
        ("a A 1.1.1", "dns_rdata_fromtext: f:4: near '1.1.1': bad dotted quad"),
        ("a A", "dns_rdata_fromtext: f:4: near eol: unexpected end of input"),
        ("a A \"1.1.1.1\"", "dns_rdata_fromtext: f:4: unexpected token"),
        ("a A 1.1.1.1 x", "dns_rdata_fromtext: f:4: near 'x': extra input text"),
        ("a TXT \"x", "dns_rdata_fromtext: f:4: unbalanced quotes"),
        ("a MX 10 b..c", "dns_rdata_fromtext: f:4: near 'b..c': empty label"),
        ("a FOO x", "f:4: unknown RR type 'FOO'"),
        ("a CH TXT x", "f:4: class 'CH' != zone class 'IN'"),
        ("a..b A 1.1.1.1", "dns_master_load: f:4: empty label"),
        ("@ DS 1 8 9 aa", "f:4: DS record at top of zone (example)"),
        ("$INCLUDE /nonexistent/x", "dns_master_load: f:4: /nonexistent/x: file not found"),
        ("$TTL 1h x", "dns_master_load: f:4: extra input text"),
    ] {
        check(&format!("{line}\nok 60 A 1.1.1.2\n"), &["ok.example. 60 A 1.1.1.2"], &[said]);
    }
    check("a MD b\n", &["a.example. 3600 MD b.example."], &["f:4: type 'MD': obsolete"]);
    // BIND: is behind the end of a line when it misses something there, and leaves out the next one.
    let missing =
        "dns_master_load: f:4: unexpected end of line\ndns_master_load: f:4: unexpected end of input";
    for (line, said) in [
        ("$TTL", missing),
        ("a", missing),
        ("a 60", missing),
        ("a SOA a b 1 2 3 4 5", "f:4: SOA record not at top of zone (a.example)"),
    ] {
        check(
            &format!("{line}\nlost 60 A 1.1.1.2\nok 60 A 1.1.1.2\n"),
            &["ok.example. 60 A 1.1.1.2"],
            &[said],
        );
    }
    let quotes = "dns_master_load: f:4: isc_lex_gettoken() failed: unbalanced quotes\n\
                  dns_master_load: f:4: unbalanced quotes";
    check("a \"A\" 1.1.1.1\n", &[], &["dns_master_load: f:4: syntax error", quotes]);
    check(
        "a A 1.1.1.1 ) b A 1.1\n",
        &[],
        &[
            "dns_rdata_fromtext: f:4: unbalanced parentheses",
            "dns_rdata_fromtext: f:4: near '1.1': bad dotted quad",
        ],
    );
    check(
        "$ORIGIN a..b\nx\n@ A 1.1.1.1\n",
        &["x.example. 3600 A 1.1.1.1"],
        &["dns_master_load: f:4: empty label"],
    );
    check(
        "$FOO bar\nok A 1.1.1.2\n",
        &["ok.example. 3600 A 1.1.1.2"],
        &["dns_master_load: f:4: unknown $ directive '$FOO'", "f:4: unknown RR type 'bar'"],
    );
    check(
        "a TSIG foo\nok A 1.1.1.2\n",
        &["ok.example. 3600 A 1.1.1.2"],
        &[
            "f:4: type 'TSIG': invalid use of a meta type",
            "dns_rdata_fromtext: f:4: near 'foo': unknown class/type",
        ],
    );
    check("a A ( 1.1.1.1\nok A 1.1.1.2\n", &[], &["dns_rdata_fromtext: f:4: near 'ok': extra input text"]);
    check("a TXT ( x\n", &[], &["dns_rdata_fromtext: f:5: near eof: unbalanced parentheses"]);
    let (records, said) = read_text("\tA 1.1.1.1\n$TTL 1\na A 1.1.1.1\n", &Options::default());
    assert_eq!((records.len(), said), (1, vec!["f:1: no current owner name".to_owned()]));
}

#[test]
fn line_numbers_are_those_bind_reports() {
    check(
        "b A (\n 1.2.3\n)\nc MX (\n\n 10\n  b..c )\nd MX (\n 10\n)\n",
        &[],
        &[
            "dns_rdata_fromtext: f:4: near '1.2.3': bad dotted quad",
            "dns_rdata_fromtext: f:9: near 'b..c': empty label",
            "dns_rdata_fromtext: f:12: near eol: unexpected end of input",
        ],
    );
}

#[test]
fn doubtful_records_are_warned_of() {
    check("a.b.c. A 1.1.1.1\n\tTXT x\n", &[], &["f:4: ignoring out-of-zone data (a.b.c)"]);
    check(
        "_a A 1.1.1.1\nb_c MX 10 d_e\n*._x TXT ok\n",
        &[
            "_a.example. 3600 A 1.1.1.1",
            "b_c.example. 3600 MX 10 d_e.example.",
            "*._x.example. 3600 TXT \"ok\"",
        ],
        &[
            "f:4: _a.example: bad owner name (check-names)",
            "f:5: b_c.example: bad owner name (check-names)",
            "f:5: warning: d_e.example: bad name (check-names)",
        ],
    );
    check(
        "a NS 1.2.3.4\nb MX 10 1.2.3.4.\n",
        &["a.example. 3600 NS 1.2.3.4.example.", "b.example. 3600 MX 10 1.2.3.4."],
        &["f:4: NS record '1.2.3.4' appears to be an address", "f:5: warning: '1.2.3.4.': MX is an address"],
    );
    check(
        "a.*.b TXT x\n",
        &["a.*.b.example. 3600 TXT \"x\""],
        &["f:4: warning: ownername 'a.*.b.example' contains an non-terminal wildcard"],
    );
    let options = Options { now: Some(1_800_000_000), ..Options::default() };
    let signature = "a RRSIG A 13 2 3600 20200101000000 20190101000000 1 example. AAEC\n";
    let (records, said) = read_text(&format!("{HEAD}{signature}{signature}"), &options);
    assert_eq!((records.len(), said), (4, vec!["f:4: signature has expired".to_owned()]));
}

#[test]
fn checks_can_refuse() {
    let fail = Check::Fail;
    let options = Options { check_names: fail, check_mx: fail, check_ns: fail, ..Options::default() };
    let body = "_a A 1.1.1.1\na MX 10 1.2.3.4\nb NS 1.2.3.4\nc MX 10 _x\n";
    let outcome = read_bytes(format!("{HEAD}{body}").as_bytes(), "f", &zone(), &options, |_| {});
    assert!(outcome.diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Error));
    let said: Vec<String> = outcome.diagnostics.iter().map(Diagnostic::to_string).collect();
    assert_eq!(
        said,
        [
            "f:4: _a.example: bad owner name (check-names)",
            "dns_rdata_fromtext: f:5: near '1.2.3.4': MX is an address",
            "f:6: NS record '1.2.3.4' appears to be an address",
            "dns_rdata_fromtext: f:7: near '_x': bad name (check-names)",
        ]
    );
}

#[test]
fn generate_makes_records() {
    check(
        "$GENERATE 1-3/2 h$ 60 A 10.0.0.$\n$GENERATE 1-1 m IN MX \"10 m$\"\n",
        &["h1.example. 60 A 10.0.0.1", "h3.example. 60 A 10.0.0.3", "m.example. 3600 MX 10 m1.example."],
        &[],
    );
    check("$GENERATE 3-1 a A 1.1.1.1\n", &[], &["$GENERATE: f:4: invalid range '3-1'"]);
    check("$GENERATE 1-2 a FOO x\n", &[], &["$GENERATE: f:4: unknown RR type 'FOO'"]);
    check("$GENERATE 1-2 a AXFR x\n", &[], &["$GENERATE: f:4: meta RR type 'AXFR'"]);
    check("$GENERATE 1-2 a..$ A 1.1.1.1\n", &[], &["$GENERATE: f:4: empty label"]);
    check("$GENERATE 1-2 a A 1.1\n", &[], &["$GENERATE: f:4: bad dotted quad"]);
    check("$GENERATE 1-1 $.x. A 1.1.1.1\n", &[], &["f:4: ignoring out-of-zone data (1.x)"]);
}

#[test]
fn included_files_have_an_origin_and_an_owner_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let write = |name: &str, text: String| std::fs::write(path(name), text).unwrap();
    write("inner", "@ A 1.1.1.1\n$ORIGIN z\n@ A 1.1.1.2\n".into());
    write("blank", "\tA 1.1.1.1\n".into());
    write("loop", format!("$INCLUDE {}\n", path("loop")));
    let main = format!(
        "{HEAD}a TXT x\n$INCLUDE {0}\n\tTXT y\n$INCLUDE {0} sub\nb TXT z\n$INCLUDE {1}\n$INCLUDE {2}\nc TXT x\n",
        path("inner"),
        path("blank"),
        path("loop"),
    );
    write("main", main);
    let mut found = Vec::new();
    let outcome = read(&dir.path().join("main"), &zone(), &Options::default(), |record| {
        found.push(format!("{} {}", Name::from_wire(record.owner).unwrap(), record.rtype));
    });
    assert_eq!(
        &found[2..],
        [
            "a.example. TXT",
            "example. A",
            "z.example. A",
            "a.example. TXT",
            "sub.example. A",
            "z.sub.example. A",
            "b.example. TXT",
            "b.example. A",
            "c.example. TXT"
        ]
    );
    let said: Vec<String> = outcome.diagnostics.iter().map(Diagnostic::to_string).collect();
    let looped = path("loop");
    assert_eq!(said, [format!("dns_master_load: {looped}:1: {looped}: too many open files"),]);
    assert_eq!(outcome.included.len(), 4);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let failure = |path: &str| load(Path::new(path), &zone(), &Options::default()).failure();
    assert_eq!(failure("/nonexistent/zone"), Some("file not found"));
    assert_eq!(failure("/"), Some("not a file"));
}

#[test]
fn records_that_exclude_each_other_refuse_the_zone() {
    let check = |body: &str, said: &[&str]| {
        let loaded = load_bytes(format!("{HEAD}{body}").as_bytes(), "f", &zone(), &Options::default());
        let texts: Vec<String> = loaded.outcome.diagnostics.iter().map(Diagnostic::to_string).collect();
        assert_eq!(texts, said, "{body}");
        assert_eq!(loaded.contents.is_some(), said.is_empty());
    };
    check("a A 1.1.1.1\na CNAME b\n", &["dns_master_load: f:5: a.example: CNAME and other data"]);
    check(
        "a A 1.1.1.1\nb A 1.1.1.1\na CNAME b\nc A 1.1\n",
        &[
            "dns_master_load: f:6: a.example: CNAME and other data",
            "dns_rdata_fromtext: f:7: near '1.1': bad dotted quad",
        ],
    );
    check("a CNAME b\na CNAME c\n", &["dns_master_load: f:5: a.example: multiple RRs of singleton type"]);
    check("a CNAME b\na CNAME B\na NSEC b A\n", &[]);
    check("a NSEC b A\na NSEC c A\n", &[]);
    check("*.a NS ns\n", &["dns_master_load: f:4: *.a.example: invalid NS owner name (wildcard)"]);
    check(
        "x A 1.1.1.1\n@ SOA ns h 2 1 1 1 1\n",
        &["dns_master_load: f:5: example: multiple RRs of singleton type"],
    );
    check("a A 1.1.1.1\na A 1.1.1.1\n", &[]);
}

#[test]
fn a_zone_needs_an_soa_record() {
    let loaded = load_bytes(b"$TTL 1\n@ NS ns\n", "f", &zone(), &Options::default());
    assert_eq!(loaded.failure(), Some("has 0 SOA records"));
    assert!(loaded.contents.is_none() && loaded.incomplete.is_some());
    let loaded = load_bytes(b"", "f", &zone(), &Options::default());
    assert!(loaded.contents.is_none());
}

#[test]
fn what_is_written_reads_back_the_same() {
    let text = format!("{HEAD}a 60 A 1.1.1.1\n*.a TXT \"x y\" z\n\\@.b MX 10 a\na TYPE65280 \\# 1 00\n");
    let first = load_bytes(text.as_bytes(), "f", &zone(), &Options::default()).contents.unwrap();
    let mut dump = Vec::new();
    write_zone(&first, Class::IN, None, &mut dump).unwrap();
    let second = load_bytes(&dump, "f", &zone(), &Options::default()).contents.unwrap();
    assert_eq!(first.digest(), second.digest());
    assert!(dump.starts_with(b"example.\t\t\t\t      3600 IN SOA\tns.example."));
}

#[test]
fn text_that_is_nobodys_never_panics() {
    let seed = format!(
        "{HEAD}a TXT ( \"x\" ; y\n z )\n$ORIGIN b\n\tMX 10 c\n$GENERATE 1-3 d${{0,2,x}} A 1.1.1.$\n\
         e HTTPS 1 . alpn=\"h2\" \n$TTL 1h\nf LOC 1 N 1 E 1\ng APL 1:1.1.1.1/8\n@ RRSIG A 1 1 1 1 1 1 . AAAA\n"
    );
    let mut state = 0x2026_1120_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for _ in 0..3000 {
        let mut bytes = seed.clone().into_bytes();
        for _ in 0..1 + next(6) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = next(256) as u8,
                1 => bytes.truncate(at + 1),
                2 => bytes.insert(at, b"\n\"();\\$ @\t\r\x00"[next(12)]),
                _ => {
                    bytes.remove(at);
                    bytes.push(b'\n');
                }
            }
        }
        load_bytes(&bytes, "f", &zone(), &Options::default());
    }
}

#[test]
fn findings_point_at_the_bytes_that_are_meant() {
    let check = |body: &str, expected: &[&str]| {
        let text = format!("{HEAD}{body}");
        let outcome = read_bytes(text.as_bytes(), "f", &zone(), &Options::default(), |_| {});
        let found = outcome.diagnostics.iter().map(|diagnostic| {
            let span = diagnostic.span.expect("the place is known");
            // An empty place is shown by what stands before it.
            if span.start == span.end {
                format!("{}|", &text[..span.end].lines().last().unwrap())
            } else {
                text[span.start..span.end].to_owned()
            }
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{body}");
    };
    check("a A 1.1.1.x\n", &["1.1.1.x"]);
    check("a A ( ; comment\n  \"1.1.1.1\" )\n", &["\"1.1.1.1\""]);
    check("a MX 10\n", &["a MX 10|"]);
    check("a TXT x ( y\n", &["("]);
    check("a TXT x ) y\n", &[")"]);
    check("a TXT x \"y\n", &["\""]);
    check("a 60 CH A 1.1.1.1\n", &["CH"]);
    check("a WHAT x\n", &["WHAT"]);
    check("a..b A 1.1.1.1\n", &["a..b"]);
    check("a.other. A 1.1.1.1\n", &["a.other."]);
    check("a_b A 1.1.1.1\n", &["a_b"]);
    check("$TTL x\n", &["x"]);
    check("$FOO x\n", &["$FOO", "x"]);
    check("$INCLUDE /nonexistent/x\n", &["/nonexistent/x"]);
    check("a 60 A 1.1.1.1\na 30 IN A 1.1.1.2\n", &["30"]);
    check("@ MX 10 1.1.1.1\n", &["1.1.1.1"]);
    check("$GENERATE 3-1 a$ A 1.1.1.$\n", &["3-1"]);
    check("$GENERATE 1-1 a$ A 1.1.1.x\n", &["1.1.1.x"]);
    check("a HTTPS 1 . alpn=\"h2\" foo=\"x y\"\n", &["foo=\"x y\""]);
}

#[test]
fn the_digest_tells_other_records_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("zone");
    let digest = |body: &str| {
        std::fs::write(&path, format!("{HEAD}{body}")).unwrap();
        let outcome = read(&path, &zone(), &Options { digest: true, ..Options::default() }, |_| {});
        outcome.digest.unwrap()
    };
    let first = digest("a A 192.0.2.1\nb TXT x\n");
    assert_eq!(
        digest("; said otherwise\na\tIN 3600 A 192.0.2.1 ; here\n$ORIGIN b.example.\n@ TXT \"x\"\n"),
        first
    );
    for other in [
        "a A 192.0.2.2\nb TXT x\n",
        "a A 192.0.2.1\n",
        "a 60 A 192.0.2.1\nb TXT x\n",
        "b TXT x\na A 192.0.2.1\n",
    ] {
        assert_ne!(digest(other), first, "{other}");
    }
    assert_eq!(read(&path, &zone(), &Options::default(), |_| {}).digest, None);
}
