//! RDATA of every type as text, from templates.

use crate::harness::rng::Rng;
use trimaran::dns::rdata::{Token, from_mnemonic, from_text};
use trimaran::dns::{Class, Name};

/// Types with templates for their RDATA. A letter between `<` and `>` stands for what [`fill`] puts there.
pub(super) const TYPES: [(&str, &[&str]); 73] = [
    ("A", &["<4>"]),
    ("NS", &["<h>", "<n>"]),
    ("CNAME", &["<n>"]),
    ("SOA", &["<n> <n> <w> <t> <t> <t> <t>"]),
    ("MB", &["<n>"]),
    ("MG", &["<n>"]),
    ("MR", &["<n>"]),
    (
        "WKS",
        &["<4> tcp smtp", "<4> 6 25 80", "<4> udp", "<4> udp domain <i>", "<4> xxx 1", "<4> <b> <i> <i>"],
    ),
    ("PTR", &["<n>", "<h>"]),
    ("HINFO", &["<s> <s>", "<s>", "<s> <s> <s>"]),
    ("MINFO", &["<n> <n>"]),
    ("MX", &["<i> <h>", "<i> <n>", "0 .", "10 192.0.2.1", "10 2001:db8::1", "10 192.0.2.1."]),
    ("TXT", &["<s>", "<s> <s> <s>", "\"v=spf1 -all\"", "v=spf1"]),
    ("RP", &["<n> <n>"]),
    ("AFSDB", &["<i> <h>"]),
    ("X25", &["311061700956", "\"311061700956\"", "123", "12a4", "<s>"]),
    ("ISDN", &["<s>", "<s> <s>"]),
    ("RT", &["<i> <h>"]),
    ("NSAP", &["0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00", "0x47", "47", "0x4", "0x"]),
    ("NSAP-PTR", &["<n>"]),
    ("SIG", &["<y> <b> <b> <w> <d> <d> <i> <n> <6>"]),
    (
        "KEY",
        &[
            "<i> <b> <b> <6>",
            "49152 3 5",
            "NOKEY|NTYP2 EMAIL RSASHA1",
            "512 ALL NONE <6>",
            "HOST|SIG0 DNSSEC 8 <6>",
        ],
    ),
    ("PX", &["<i> <n> <n>"]),
    ("GPOS", &["-32.6882 116.8652 10.0", "<s> <s> <s>", "91 0 0", "x 0 0"]),
    ("AAAA", &["<8>"]),
    (
        "LOC",
        &[
            "51 30 12.748 N 0 7 39.611 W 0.00m 0.00m 0.00m 0.00m",
            "1 N 1 E 0",
            "90 1 N 1 E 0",
            "1 2 3.4567 N 181 E 0m",
            "42 21 54 N 71 06 18 W -24m 30m",
            "1 1 1 N 1 1 1 E 42849672.95m",
            "1 N 1 E -100000m 90000000m 1 1",
            "1 N 1 E 1 9e9",
            "60 60 60 S 1 W 1",
        ],
    ),
    ("NXT", &["<n> A NS", "<n> <y> <y>", "<n> TYPE200"]),
    ("EID", &["<x>"]),
    ("NIMLOC", &["<x> <x>"]),
    ("SRV", &["<i> <i> <i> <h>", "0 0 0 .", "<i> <i> <i> <n>"]),
    (
        "NAPTR",
        &[
            "<i> <i> \"U\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
            "<i> <i> <s> <s> <s> <n>",
            "1 1 \"\" \"\" \"!a!b\" .",
            "1 1 s x \"\" a",
        ],
    ),
    ("KX", &["<i> <n>"]),
    ("CERT", &["PKIX <i> RSASHA1 <6>", "<i> <i> <b> <6>", "FOO 1 1 <6>"]),
    ("A6", &["0 <8>", "64 ::1 <n>", "128 <n>", "129 <n>", "128 ::1 a"]),
    ("DNAME", &["<n>"]),
    ("SINK", &["<b> <b> <b> <6>", "<b> <b> <b>"]),
    (
        "APL",
        &[
            "1:192.0.2.0/24 !2:2001:db8::/32",
            "1:1.2.3.4/33",
            "",
            "3:1/1",
            "1:192.0.2.1/24",
            "!1:0.0.0.0/0",
            "1:10.0.0.0",
        ],
    ),
    (
        "DS",
        &[
            "<i> <b> 2 <64>",
            "<i> RSASHA256 SHA-256 <64>",
            "<i> 8 1 <40>",
            "<i> <b> <b> <x>",
            "1 5 4 <96>",
            "1 8 2 <40>",
        ],
    ),
    ("SSHFP", &["1 1 <40>", "4 2 <64>", "<b> <b> <x>", "1 1 <x>"]),
    (
        "IPSECKEY",
        &[
            "<b> 1 2 <4> <6>",
            "<b> 0 2 . <6>",
            "<b> 2 2 <8> <6>",
            "<b> 3 2 <n> <6>",
            "1 0 0 .",
            "1 4 2 . <6>",
            "1 0 2 x <6>",
        ],
    ),
    (
        "RRSIG",
        &[
            "<y> <b> <b> <w> <d> <d> <i> <n> <6>",
            "A 8 2 3600 20991231235959 20200101000000 1 ORIGIN. <6>",
            "<y> 8 1 60 20200101000000 20190101000000 1 @ <6>",
        ],
    ),
    ("NSEC", &["<n> A NS SOA", "<n> <y> <y> <y>", "<n>"]),
    (
        "DNSKEY",
        &[
            "256 3 8 <6>",
            "257 3 13 <6>",
            "<i> <b> <b> <6>",
            "256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3",
            "256 3 8 AQMAAAAB",
            "49408 3 8",
        ],
    ),
    ("DHCID", &["<6>"]),
    (
        "NSEC3",
        &[
            "1 0 10 aabb 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG",
            "1 1 <i> - <r>",
            "<b> <b> <i> <x> <r> <y>",
            "1 0 1 - 2T7B= A",
        ],
    ),
    ("NSEC3PARAM", &["1 0 0 -", "1 0 10 aabb", "2 0 0 -", "1 0 <i> <x>", "<b> <b> <i> -", "1 0 1 aab"]),
    ("TLSA", &["3 1 1 <64>", "<b> <b> <b> <x>"]),
    ("SMIMEA", &["3 1 1 <64>", "<b> <b> <b> <x>"]),
    (
        "HIP",
        &[
            "2 200100107B1A74DF365639CC39F1D578 <6>",
            "2 200100107B1A74DF365639CC39F1D578 <6> <n> <n>",
            "<b> <x> <6>",
            "2 - <6>",
        ],
    ),
    ("NINFO", &["<s>", "<s> <s>"]),
    ("RKEY", &["0 255 1 <6>", "<i> <b> <b> <6>"]),
    ("TALINK", &["<n> <n>"]),
    ("CDS", &["0 0 0 00", "<i> <b> 2 <64>", "1 5 1 <40>"]),
    ("CDNSKEY", &["0 3 0 AA==", "257 3 13 <6>", "<i> <b> <b> <6>"]),
    ("OPENPGPKEY", &["<6>"]),
    ("CSYNC", &["<w> <i> A NS", "1 3"]),
    ("ZONEMD", &["<w> 1 1 <96>", "<w> <b> <b> <x>", "1 1 2 <40>", "1 1 1 <40>", "1 1 0 aabb"]),
    (
        "SVCB",
        &[
            "1 <n> alpn=h2,h3 port=<i>",
            "0 <n>",
            "1 . key667=hello key668=\"a b\"",
            "1 . ipv4hint=<4> ipv6hint=<8>",
            "1 . mandatory=alpn alpn=h2",
            "1 . no-default-alpn",
            "1 . no-default-alpn alpn=h2",
            "1 . ech=<6>",
            "1 . port",
            "0 . port=1",
            "1 . mandatory=port",
            "1 . alpn=\"\"",
            "1 . dohpath=/q{?dns}",
            "1 . key65535=x",
            "1 . port=1 port=2",
            "<i> <n> <s>",
            "1 . alpn=h2\\,h3",
            "1 . key0=x",
            "1 . ipv4hint=1.2.3",
            "1 . mandatory=key1 alpn=h2",
            "1 . mandatory=mandatory",
            "1 . key01=x",
        ],
    ),
    ("HTTPS", &["1 . alpn=h2", "0 <n>", "1 <h> port=443"]),
    ("SPF", &["\"v=spf1 -all\"", "<s>"]),
    ("UINFO", &["\\# 2 abcd", "x"]),
    ("NID", &["<i> 0014:4fff:ff20:ee64", "<i> 14:4fff:ff20:ee64", "<i> x"]),
    ("L32", &["<i> <4>"]),
    ("L64", &["<i> 2001:0DB8:1140:1000", "<i> 2001:0DB8:1140", "<i> 1:2:3:4:5"]),
    ("LP", &["<i> <n>"]),
    ("EUI48", &["00-00-5e-00-53-2a", "00-00-5e-00-53", "00:00:5e:00:53:2a"]),
    ("EUI64", &["00-00-5e-ef-10-00-00-2a", "00-00-5e-ef-10-00-00-2a-00"]),
    ("URI", &["<i> <i> \"ftp://ftp.example/\"", "<i> <i> <s>", "1 1 \"\""]),
    ("CAA", &["0 issue \"ca.example\"", "<b> <s> <s>", "128 iodef mailto:a@b", "0 is-sue x", "0 \"\" x"]),
    ("AVC", &["<s>"]),
    ("DOA", &["<w> <w> <b> <s> <6>", "1 1 1 \"\" -"]),
    (
        "AMTRELAY",
        &["10 0 1 <4>", "10 1 2 <8>", "10 0 3 <n>", "10 0 0 .", "10 2 0 .", "10 0 4 <x>", "10 0 128 ."],
    ),
    ("DLV", &["<i> 8 2 <64>", "1 1 1 <40>"]),
];

/// Targets that have addresses, have none, are aliases, are outside or odd.
const NAMES: [&str; 24] = [
    "a",
    "b",
    "c",
    "d",
    "x.d",
    "ns",
    "ns1",
    "ns.sub",
    "www",
    "mail",
    "sub",
    "*",
    "@",
    ".",
    "ns.other.",
    "NS",
    "under_score",
    "nowhere",
    "a.b.c",
    "192.0.2.1",
    "a..b",
    "a\\.b",
    "\\000x",
    "192.0.2.1.",
];
const STRINGS: [&str; 18] = [
    "text",
    "\"a b\"",
    "\"\"",
    "\"a\\\"b\"",
    "a\\\\b",
    "\"\\000\\255\"",
    "\\065",
    "\"semi;colon\"",
    "\"(paren)\"",
    "a\\;b",
    "\"tab\tin\"",
    "\"a\" \"b\"",
    "\\300",
    "\\12",
    "\"\\@\"",
    "@",
    "$x",
    "\"v=spf1 a\"",
];
const NUMBERS: [&str; 12] =
    ["0", "1", "2", "10", "255", "256", "65535", "65536", "4294967295", "4294967296", "-1", "0x10"];
const TYPE_NAMES: [&str; 12] =
    ["A", "NS", "SOA", "MX", "TXT", "AAAA", "RRSIG", "TYPE1", "TYPE65280", "CAA", "a", "FOO"];
const TIMES: [&str; 10] = [
    "20200101000000",
    "20991231235959",
    "20300101000000",
    "19700101000000",
    "1700000000",
    "20201301000000",
    "20200230000000",
    "20200101246060",
    "0",
    "21060207062816",
];
const BASE64: [&str; 9] =
    ["AQPS", "AQPSKmyn fzW4kyBv", "AQ==", "AQI=", "A", "AQ=", "A*==", "", "AQMAAAABAQAB"];
const ADDRESSES: [&str; 10] = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "0.0.0.0",
    "255.255.255.255",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.01",
    "1.2.3.4.5",
    "192.0.2.1.",
];
const ADDRESSES_6: [&str; 10] = [
    "2001:db8::1",
    "::",
    "::1",
    "::ffff:192.0.2.1",
    "1:2:3:4:5:6:7:8",
    "fe80::1%1",
    "1::2::3",
    "12345::",
    "2001:DB8::A",
    "192.0.2.1",
];

/// Replaces the placeholders of a template; ORIGIN becomes the zone.
pub(super) fn fill(rng: &mut Rng, template: &str, zone: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('<') {
        let (code, behind) = after.split_once('>').expect("a template closes what it opens");
        out.push_str(before);
        out.push_str(&value(rng, code, zone));
        rest = behind;
    }
    out.push_str(rest);
    out.replace("ORIGIN", zone)
}

/// The first choices are the right ones; one of the others now and then.
fn mostly<'a>(rng: &mut Rng, right: usize, choices: &'a [&'a str]) -> &'a str {
    let count = if rng.chance(6) { choices.len() } else { right };
    choices[rng.below(count)]
}

fn value(rng: &mut Rng, code: &str, zone: &str) -> String {
    let text = match code {
        "4" => mostly(rng, 5, &ADDRESSES),
        "8" => mostly(rng, 5, &ADDRESSES_6),
        "n" => mostly(rng, 19, &NAMES),
        "h" => mostly(rng, 6, &NAMES),
        "s" => mostly(rng, 12, &STRINGS),
        "b" => mostly(rng, 5, &NUMBERS),
        "i" => mostly(rng, 7, &NUMBERS),
        "w" => mostly(rng, 9, &NUMBERS),
        "t" => mostly(rng, 4, &["60", "1h", "3600", "1w2d", "x", "2147483648", "4294967296"]),
        "y" => mostly(rng, 11, &TYPE_NAMES),
        "d" => mostly(rng, 5, &TIMES),
        "6" => mostly(rng, 4, &BASE64),
        "r" => mostly(
            rng,
            2,
            &["2T7B4G4VSA5SMI47K61MV5BV1A22BOJR", "2t7b4g4vsa5smi47k61mv5bv1a22bojr", "2T7B", "x!", "-"],
        ),
        "x" => mostly(rng, 3, &["aabb", "AABBCC dd", "00", "abc", "xx", "", "-"]),
        digits => return hex(rng, digits.parse().expect("a placeholder is a letter or a number of digits")),
    };
    if code == "n" && rng.chance(5) { format!("{text}.{zone}.") } else { text.to_owned() }
}

/// That many hexadecimal digits, now and then one octet off.
fn hex(rng: &mut Rng, digits: usize) -> String {
    let digits = if rng.chance(5) { digits - 2 } else { digits };
    (0..digits).map(|_| char::from_digit(rng.below(16) as u32, 16).expect("below 16")).collect()
}

/// The wire format of RDATA in which nothing is quoted, if it has one.
fn octets(mnemonic: &str, rdata: &str, zone: &str) -> Option<Vec<u8>> {
    let rtype = from_mnemonic(mnemonic.as_bytes())?;
    let tokens: Vec<Token<'_>> =
        rdata.split_ascii_whitespace().map(|text| Token { text: text.as_bytes(), quoted: false }).collect();
    let origin: Name = format!("{zone}.").parse().expect("the zone is a name");
    let mut octets = Vec::new();
    from_text(Class::IN, rtype, &tokens, &origin, &mut octets).ok().map(|()| octets)
}

/// Whether the text is RDATA of its type.
pub(super) fn is_right(mnemonic: &str, rdata: &str, zone: &str) -> bool {
    octets(mnemonic, &rdata.replace('"', ""), zone).is_some()
}

/// The same RDATA as `\# length hex` (RFC 3597 §5), with octets changed, added or taken away now and then.
pub(super) fn generic(rng: &mut Rng, mnemonic: &str, rdata: &str, zone: &str) -> String {
    let mut octets = octets(mnemonic, rdata, zone).unwrap_or_else(|| {
        let count = rng.below(20);
        rng.bytes(count)
    });
    if rng.chance(40) {
        let at = rng.below(octets.len() + 1);
        match rng.below(3) {
            0 => octets.truncate(at),
            1 => octets.insert(at, rng.bits() as u8),
            _ => octets.iter_mut().skip(at).take(1).for_each(|octet| *octet = rng.bits() as u8),
        }
    }
    let length = if rng.chance(5) { rng.below(70_000) } else { octets.len() };
    let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    format!("\\# {length} {digits}")
}
