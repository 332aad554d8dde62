//! Configurations from the table of statements: every statement, with values that mostly fit.

use crate::harness::rng::Rng;
use std::iter::Peekable;
use std::vec::IntoIter;
use trimaran::config::statement_table::{OWN_STATEMENTS, STATEMENTS};
use trimaran::config::statements::{Row, Treatment};

/// Statements in a block.
const STATEMENTS_MAX: usize = 7;

/// A whole configuration.
pub(super) fn configuration(rng: &mut Rng) -> Vec<u8> {
    let mut text = String::new();
    if rng.chance(50) {
        text += "key k { algorithm hmac-sha256; secret \"YWJjZA==\"; };\nacl a { 10/8; };\n\
                 primaries p { 192.0.2.1; };\ntls t { };\n";
    }
    let mut seen = Vec::new();
    for _ in 0..1 + rng.below(4) {
        let block = *rng.pick(&["options", "zone", "zone", "view", "", "", ""]);
        let rows: Vec<&Row> = STATEMENTS
            .iter()
            .filter(|row| {
                row.stands_in("top")
                    && (block.is_empty() || row.name == block)
                    && !OWN_STATEMENTS.contains(&row.name)
            })
            .collect();
        let row = *rng.pick(rows.as_slice());
        statement(rng, row, &mut text, &mut seen, 0);
        text.push('\n');
    }
    text.into_bytes()
}

fn statement(rng: &mut Rng, row: &Row, text: &mut String, seen: &mut Vec<&'static str>, depth: usize) {
    if seen.contains(&row.name) && !row.repeats && !rng.chance(3) {
        return;
    }
    seen.push(row.name);
    *text += row.name;
    text.push(' ');
    let mut words = words(row.notation);
    sequence(rng, &mut words, &[], text, depth);
    *text += ";";
    text.push(*rng.pick(&[' ', '\n', '\n']));
}

fn words(notation: &str) -> Peekable<IntoIter<String>> {
    let split = notation.split_whitespace().flat_map(|word| match word.strip_suffix(';') {
        Some(body) => vec![body.to_owned(), ";".to_owned()],
        None => vec![word.to_owned()],
    });
    split.collect::<Vec<_>>().into_iter().peekable()
}

/// Writes a sequence up to one of the closing words, which stays.
fn sequence(
    rng: &mut Rng,
    words: &mut Peekable<IntoIter<String>>,
    closing: &[&str],
    text: &mut String,
    depth: usize,
) {
    while let Some(word) = words.next_if(|word| !closing.contains(&word.as_str())) {
        match word.as_str() {
            "[" => {
                let mut part = String::new();
                sequence(rng, words, &["]"], &mut part, depth);
                words.next();
                if rng.chance(50) {
                    *text += &part;
                }
            }
            "(" => {
                let parts = alternatives(rng, words, ")", depth);
                *text += rng.pick(parts.as_slice()).as_str();
            }
            "(*" => {
                let mut parts = alternatives(rng, words, "*)", depth);
                for _ in 0..rng.below(4) {
                    let part = parts.swap_remove(rng.below(parts.len()));
                    *text += &part;
                    if parts.is_empty() {
                        break;
                    }
                }
            }
            "{" => braces(rng, words, text, depth),
            other => {
                let value = match other.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
                    Some(leaf) => value(rng, leaf),
                    None => other.to_owned(),
                };
                *text += &value;
                text.push(*rng.pick(&[' ', ' ', ' ', '\n']));
            }
        }
    }
}

fn alternatives(
    rng: &mut Rng,
    words: &mut Peekable<IntoIter<String>>,
    end: &str,
    depth: usize,
) -> Vec<String> {
    let mut parts = Vec::new();
    loop {
        let mut part = String::new();
        sequence(rng, words, &["|", end], &mut part, depth);
        parts.push(part);
        if words.next().as_deref() != Some("|") {
            return parts;
        }
    }
}

fn braces(rng: &mut Rng, words: &mut Peekable<IntoIter<String>>, text: &mut String, depth: usize) {
    *text += "{ ";
    if let Some(block) = words.next_if(|word| word.starts_with('@')) {
        block_of(rng, &block[1..], text, depth);
        words.by_ref().take_while(|word| word != "}").for_each(drop);
    } else {
        let inner: Vec<String> = element(words);
        for _ in 0..rng.below(4) {
            sequence(rng, &mut inner.clone().into_iter().peekable(), &[], text, depth);
            *text += "; ";
        }
    }
    *text += "} ";
}

/// The words of a list's element.
fn element(words: &mut Peekable<IntoIter<String>>) -> Vec<String> {
    let (mut inner, mut depth) = (Vec::new(), 0);
    for word in words.by_ref() {
        match word.as_str() {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            _ => {}
        }
        inner.push(word);
    }
    // Its end is `; ...`.
    inner.truncate(inner.len().saturating_sub(2));
    inner
}

fn block_of(rng: &mut Rng, block: &str, text: &mut String, depth: usize) {
    let mut seen = Vec::new();
    if block == "zone" && rng.chance(85) {
        let kind =
            *rng.pick(&["primary", "primary", "master", "secondary", "hint", "stub", "forward", "mirror"]);
        *text += &format!("type {kind}; ");
        seen.push("type");
        if matches!(kind, "primary" | "master" | "hint") || rng.chance(30) {
            *text += &format!("file \"{}\"; ", rng.pick(&["f", "g", "h", "F"]));
            seen.push("file");
        }
        if matches!(kind, "secondary" | "stub" | "mirror") {
            *text += "primaries { 192.0.2.1; }; ";
            seen.push("primaries");
        }
    }
    let is_zone = block == "zone";
    let with_gone = rng.chance(10);
    let is_gone = |row: &Row| matches!(row.treatment, Treatment::Gone | Treatment::NotBuilt);
    let rows: Vec<&Row> = STATEMENTS
        .iter()
        .filter(|row| !OWN_STATEMENTS.contains(&row.name))
        .filter(|row| row.stands_in(block) && (with_gone || !is_gone(row)))
        .collect();
    let count = if depth > 2 { rng.below(2) } else { rng.below(STATEMENTS_MAX) };
    for _ in 0..if is_zone { count / 2 } else { count } {
        let row = *rng.pick(rows.as_slice());
        statement(rng, row, text, &mut seen, depth + 1);
    }
}

/// A value of a type of the notation; one in ten does not fit.
fn value(rng: &mut Rng, leaf: &str) -> String {
    let (good, odd): (&[&str], &[&str]) = match leaf {
        "boolean" => (&["yes", "no", "true", "False", "1", "0"], &["maybe", "\"yes\"", "2"]),
        "integer" => (
            &["0", "1", "5", "10", "53", "100", "500", "1000", "3600", "65535"],
            &[
                "-1",
                "65536",
                "4294967295",
                "4294967296",
                "99999999999",
                "x",
                "\"5\"",
                "08",
                "0x10",
                "010",
                "5s",
            ],
        ),
        "string" | "facility" => (
            &[
                "a",
                "k",
                "p",
                "t",
                "x.example",
                "\"a b\"",
                ".",
                "any",
                "default",
                "none",
                "ephemeral",
                "local0",
            ],
            &["\"a..b\"", "\"\"", "*", "a/b", "@", "aes", "\"x\\\"y\"", "rsasha256", "tcp", "udp"],
        ),
        "bare" => (
            &["IN", "A", "ANY", "order", "none", "cyclic", "13", "rsasha256", "ed25519"],
            &["\"x\"", "foo", "5"],
        ),
        "class" => (&["IN", "in", "IN", "CH", "HS"], &["XX", "CLASS5", "ANY", "\"IN\""]),
        "quoted_string" => {
            (&["\"a\"", "\"/tmp\"", "\"b.db\"", "\"x\""], &["a", "\"\"", "\"a\nb\"", "none", "\"/nosuch\""])
        }
        "secret" => (
            &["\"YWJjZA==\"", "\"aaaa\"", "\"00112233445566778899aabbccddeeff\""],
            &["\"!!\"", "abc", "\"\"", "\"a\""],
        ),
        "duration" | "duration_or_unlimited" => (
            &["0", "5", "60", "3600", "1h", "1h30m", "1d", "P1D", "PT1M", "P5W", "P60D", "10w"],
            &[
                "1x",
                "P1X",
                "P1W1D",
                "-1",
                "unlimited",
                "\"5\"",
                "99999999999",
                "P200Y",
                "pt0s",
                "PT",
                "P",
                "1h30",
            ],
        ),
        "sizeval" | "sizeval_or_percentage" => (
            &["1", "10k", "5m", "2G", "2097152"],
            &["-1", "+5", "1x", "k", "99999999999999999999", "20000000000g", "10%", "\"5\"", "1kk"],
        ),
        "percentage" => (&["1%", "50%", "100%", "150%"], &["0%", "5", "-1%", "x%", "99999999999%", "%"]),
        "fixedpoint" => {
            (&["0.5", "1", "1.25", "100.00"], &["1.255", ".", "-1", "x", "1.", ".5", "123456", "12345.1"])
        }
        "ipv4_address" | "net_address" => (&["192.0.2.1", "10.0.0.1"], &["1.2.3", "::1", "x", "*"]),
        "ipv6_address" => {
            (&["::", "::1", "2001:db8::1", "64:ff9b::"], &["1.2.3.4", "x", "fe80::1%lo", "::1.2.3.4"])
        }
        "netprefix" => (
            &["192.0.2.0/24", "10/8", "192.0.2.1", "::1", "2001:db8::/32", "64:ff9b::/96"],
            &["10.0.0.1/8", "10", "1.2.3.4/33", "x", "fe80::/10", "1.2.3.4/", "::/129", "10./8"],
        ),
        "address_match_element" => (
            &[
                "any",
                "none",
                "localhost",
                "localnets",
                "10/8",
                "!10.1/16",
                "::1",
                "key k",
                "a",
                "{ any; }",
                "!{ a; }",
                "192.0.2.1",
            ],
            &[
                "nosuch",
                "10.0.0.1/8",
                "10",
                "!!any",
                "geoip country US",
                "key \"a..b\"",
                "\"any\"",
                ";",
                "{ }",
                "!key k",
                "geoip asnum x",
            ],
        ),
        "portrange" => (&["5", "range 5 10", "65535"], &["range 10 5", "65536", "x", "range 5", "0x10"]),
        "source4" => (
            &["*", "192.0.2.1", "* port 5", "192.0.2.1 port *"],
            &["::1", "* port 53", "* port 99999", "* dscp 4", "* port 5 port 6", "x"],
        ),
        "source6" => (
            &["*", "::1", "* port 5", "2001:db8::1 port *"],
            &["192.0.2.1", "* port 53", "* dscp 4", "fe80::1%lo", "fe80::1%nosuch"],
        ),
        "query_source4" => (
            &["*", "address *", "192.0.2.1 port 5", "port 5", "address 192.0.2.1 port *"],
            &["port 5 port 6", "address *  foo", "::1", "foo", "port x", "dscp 5"],
        ),
        "query_source6" => (
            &["*", "address *", "::1 port 5", "port 5", "address ::1"],
            &["192.0.2.1", "foo", "address foo", "port 53"],
        ),
        "controls_address" => (
            &["*", "127.0.0.1", "::1", "127.0.0.1 port 953", "* port *"],
            &["x", "127.0.0.1 port 99999", "127.0.0.1 dscp 4"],
        ),
        "remote_server" => (
            &["192.0.2.1", "::1", "192.0.2.1 port 5", "p", "\"p\""],
            &["nosuch", "192.0.2.1 port 99999", "192.0.2.1 port *", "*", ";"],
        ),
        "forwarder" => (&["192.0.2.1", "::1 port 5"], &["x", "192.0.2.1 dscp 4", "192.0.2.1 port 99999"]),
        "dual_stack_server" => {
            (&["192.0.2.1", "a.example", "\"a\" port 5"], &["\"a..b\"", "a port 99999", ";", "a dscp 4"])
        }
        "log_file" => (
            &["\"l\"", "\"l\" versions 3 size 1m", "\"l\" suffix increment size unlimited"],
            &["l", "\"l\" foo", "\"l\" versions x", "\"l\" size 5 size 6"],
        ),
        "dnstap_output" => (
            &["file \"d\"", "file \"d\" size 5m", "unix \"d\""],
            &["unix \"d\" size 5", "x \"d\"", "file d", "file \"d\" foo"],
        ),
        "log_severity" => {
            (&["info", "debug", "debug 3", "dynamic", "Critical"], &["x", "debug x", "\"info\""])
        }
        "match_rule" => (
            &["name b.", "subdomain b.", "zonesub", "self .", "wildcard *.b.", "6to4-self ."],
            &["self b.", "wildcard b.", "name A", "foo b.", "ms-self b.", "name \"a..b\""],
        ),
        "rrtypelist" => (&["", "A", "A TXT", "ANY", "TYPE500"], &["FOO", "\"A\"", "A FOO"]),
        "rpz_policy" => (&["given", "nxdomain", "cname x.", "tcp-only"], &["cname", "foo", "no-op"]),
        "server_key" => (&["k", "{ k; }", "\"k\"", "{ k }"], &["nosuch", "{ k; k; }", "\"a..b\"", "{ }"]),
        "unspecified-text" => (&["{ a b; }", "{ }", "{ x { y; } }"], &["a", "{ \\} }", "{ \"}\" }"]),
        other => panic!("<{other}> has no values"),
    };
    (*if rng.chance(90) { rng.pick(good) } else { rng.pick(odd) }).to_owned()
}
