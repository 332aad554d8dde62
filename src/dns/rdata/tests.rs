//! Every row of the table: text to wire to text, and bytes that are nobody's.

use super::*;
use crate::dns::name;

/// Splits at blanks and quotes as the zone-file lexer does; enough for text without comments.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let quoted = bytes[at] == b'"';
        let start = at + usize::from(quoted);
        if bytes[at] == b' ' {
            at += 1;
            continue;
        }
        at = start;
        let mut inner = false;
        while at < bytes.len() && (inner || bytes[at] != if quoted { b'"' } else { b' ' }) {
            if bytes[at] == b'\\' {
                at += 1;
            } else if bytes[at] == b'"' {
                inner = !inner;
            }
            at += 1;
        }
        found.push(Token { text: &bytes[start..at], quoted });
        at += usize::from(quoted);
    }
    found
}

fn rtype(mnemonic: &str) -> RrType {
    from_mnemonic(mnemonic.as_bytes()).expect("a mnemonic of the table")
}

fn wire(kind: &str, text: &str) -> Result<Vec<u8>, RdataTextError> {
    let mut out = Vec::new();
    from_text(Class::IN, rtype(kind), &tokens(text), &"example.".parse().unwrap(), &mut out)?;
    Ok(out)
}

/// What was written, and how `named-checkzone -D` 9.18.49 prints it.
const TEXTS: &[(&str, &str, &str)] = &[
    ("A", "192.0.2.1", "192.0.2.1"),
    ("NS", "ns", "ns.example."),
    ("MD", "a.", "a."),
    ("MF", "a.", "a."),
    ("CNAME", "@", "example."),
    ("SOA", "ns h\\.x 1 2h 15m 2w 1h", "ns.example. h\\.x.example. 1 7200 900 1209600 3600"),
    ("MB", "a.", "a."),
    ("MG", "a.", "a."),
    ("MR", "a.", "a."),
    ("WKS", "1.2.3.4 TCP 25 80", "1.2.3.4 6 25 80"),
    ("WKS", "1.2.3.4 udp domain", "1.2.3.4 17 53"),
    ("PTR", "a\\.b\\@\\$\\(\\009.", "a\\.b\\@\\$\\(\\009."),
    ("HINFO", "PC \"Linux 2\"", "\"PC\" \"Linux 2\""),
    ("MINFO", "a b", "a.example. b.example."),
    ("MX", "10 mail", "10 mail.example."),
    (
        "TXT",
        "\"a b\\\"c\\\\d;e\\009\\200\" foo \"\" \"x@y$\"",
        "\"a b\\\"c\\\\d;e\\009\\200\" \"foo\" \"\" \"x@y$\"",
    ),
    ("RP", "a .", "a.example. ."),
    ("AFSDB", "1 a", "1 a.example."),
    ("X25", "311061700956", "\"311061700956\""),
    ("ISDN", "150862028003217 004", "\"150862028003217\" \"004\""),
    ("ISDN", "150862028003217", "\"150862028003217\""),
    ("RT", "10 a", "10 a.example."),
    ("NSAP", "0x47.0005.80", "0x47000580"),
    ("NSAP-PTR", "a", "a.example."),
    (
        "SIG",
        "A 5 2 3600 20300101000000 20200101000000 12345 example. AAEC",
        "A 5 2 3600 20300101000000 20200101000000 12345 example. AAEC",
    ),
    ("KEY", "256 3 RSASHA1 AAEC", "256 3 5 AAEC"),
    ("KEY", "0xc000 3 5", "49152 3 5"),
    ("KEY", "NOKEY DNSSEC RSASHA1", "49152 3 5"),
    ("PX", "10 a b", "10 a.example. b.example."),
    ("GPOS", "-32.6882 116.8652 10.0", "\"-32.6882\" \"116.8652\" \"10.0\""),
    ("AAAA", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    ("AAAA", "::1.2.3.4", "::1.2.3.4"),
    ("AAAA", "::ffff:1.2.3.4", "::ffff:1.2.3.4"),
    (
        "LOC",
        "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
        "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
    ),
    ("LOC", "52 N 4 W 12", "52 0 0.000 N 4 0 0.000 W 12.00m 1m 10000m 10m"),
    ("NXT", "a A MX", "a.example. A MX"),
    ("EID", "01 02", "0102"),
    ("NIMLOC", "0102", "0102"),
    ("SRV", "1 2 3 a", "1 2 3 a.example."),
    (
        "NAPTR",
        "100 10 \"u\" E2U+sip \"!^.*$!sip:info@example!\" .",
        "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:info@example!\" .",
    ),
    ("KX", "10 a", "10 a.example."),
    ("CERT", "PKIX 1 RSASHA1 AAEC", "PKIX 1 RSASHA1 AAEC"),
    ("CERT", "100 1 200 AAEC", "100 1 200 AAEC"),
    ("DNAME", "a", "a.example."),
    ("SINK", "1 2 3 AAEC", "1 2 3 AAEC"),
    (
        "APL",
        "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8",
        "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8",
    ),
    ("APL", "", ""),
    (
        "DS",
        "1 RSASHA256 SHA-256 e3b0c44298fc1c149afbf4c8996fb924 27ae41e4649b934ca495991b7852b855",
        "1 8 2 E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B 7852B855",
    ),
    (
        "SSHFP",
        "4 2 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "4 2 E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B 7852B855",
    ),
    ("IPSECKEY", "10 0 2 . AAEC", "10 0 2 . AAEC"),
    ("IPSECKEY", "10 1 2 192.0.2.38 AAEC", "10 1 2 192.0.2.38 AAEC"),
    ("IPSECKEY", "10 2 2 2001:db8::8 AAEC", "10 2 2 2001:db8::8 AAEC"),
    ("IPSECKEY", "10 3 2 a AAEC", "10 3 2 a.example. AAEC"),
    (
        "RRSIG",
        "A 13 2 3600 20300101000000 1577836800 12345 Example. AAEC",
        "A 13 2 3600 20300101000000 20200101000000 12345 Example. AAEC",
    ),
    ("NSEC", "h A MX TYPE65280 CAA", "h.example. A MX CAA TYPE65280"),
    (
        "DNSKEY",
        "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
        "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+ KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
    ),
    (
        "DHCID",
        "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
        "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
    ),
    (
        "NSEC3",
        "1 0 10 aabb 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG",
        "1 0 10 AABB 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG",
    ),
    ("NSEC3", "1 1 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr", "1 1 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR"),
    ("NSEC3PARAM", "1 0 10 -", "1 0 10 -"),
    ("TLSA", "3 1 1 aabb", "3 1 1 AABB"),
    ("SMIMEA", "0 0 1 AABB", "0 0 1 AABB"),
    (
        "HIP",
        "2 200100107b1a74df365639cc39f1d578 AwEAAbdx rvs.example.com. rvs2",
        "2 200100107B1A74DF365639CC39F1D578 AwEAAbdx rvs.example.com. rvs2.example.",
    ),
    ("HIP", "2 00 AAEC", "2 00 AAEC"),
    ("NINFO", "x", "\"x\""),
    ("RKEY", "0 3 5 AAEC", "0 3 5 AAEC"),
    ("TALINK", "a b", "a.example. b.example."),
    ("CDS", "0 0 0 00", "0 0 0 00"),
    ("CDNSKEY", "0 3 0 AA==", "0 3 0 AA=="),
    ("OPENPGPKEY", "AAEC", "AAEC"),
    ("CSYNC", "66 3 A NS AAAA", "66 3 A NS AAAA"),
    ("CSYNC", "66 3", "66 3"),
    (
        "ZONEMD",
        "2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE 7EB1A7B641A47BA7FED2DD5B97AE499FAFA4F22C6BD647DE",
        "2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE7EB1A7B6 41A47BA7FED2DD5B97AE499FAFA4F22C6BD647DE",
    ),
    (
        "SVCB",
        "1 foo mandatory=port,alpn alpn=h2 no-default-alpn port=53",
        "1 foo.example. mandatory=alpn,port alpn=\"h2\" no-default-alpn port=53",
    ),
    (
        "HTTPS",
        "1 . key667=\"he\\\"l lo\" alpn=\"h2,h3\" port=443 ipv4hint=1.2.3.4,5.6.7.8 ech=AAECAw== ipv6hint=2001:db8::1",
        "1 . alpn=\"h2,h3\" port=443 ipv4hint=1.2.3.4,5.6.7.8 ech=AAECAw== ipv6hint=2001:db8::1 key667=\"he\\\"l lo\"",
    ),
    ("HTTPS", "1 . dohpath=/q{?dns}", "1 . key7=\"/q{?dns}\""),
    ("HTTPS", "0 foo", "0 foo.example."),
    ("HTTPS", "1 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", "1 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\""),
    ("SPF", "\"v=spf1 -all\"", "\"v=spf1 -all\""),
    ("NID", "10 0014:4fff:ff20:ee64", "10 14:4fff:ff20:ee64"),
    ("L32", "10 10.1.2.0", "10 10.1.2.0"),
    ("L64", "10 2001:0DB8:1140:1000", "10 2001:db8:1140:1000"),
    ("LP", "10 l64", "10 l64.example."),
    ("EUI48", "00-00-5e-00-53-2A", "00-00-5e-00-53-2a"),
    ("EUI64", "00-00-5e-ef-10-00-00-2A", "00-00-5e-ef-10-00-00-2a"),
    ("URI", "10 1 \"https://example/\\\"x\"", "10 1 \"https://example/\\\"x\""),
    ("CAA", "0 issue \"ca.example; x=\\\"y\\\"\"", "0 issue \"ca.example; x=\\\"y\\\"\""),
    ("CAA", "128 ISSUE \"\"", "128 ISSUE \"\""),
    ("AVC", "foo", "\"foo\""),
    ("DOA", "0 1 2 \"\" aHR0cHM6", "0 1 2 \"\" aHR0cHM6"),
    ("DOA", "0 1 2 \"text/plain\" -", "0 1 2 \"text/plain\" -"),
    ("AMTRELAY", "10 0 0 .", "10 0 0 ."),
    ("AMTRELAY", "10 0 1 203.0.113.15", "10 0 1 203.0.113.15"),
    ("AMTRELAY", "10 1 3 amt", "10 1 3 amt.example."),
    ("RESINFO", "qnamemin", "\"qnamemin\""),
    ("WALLET", "foo bar", "\"foo\" \"bar\""),
    (
        "TA",
        "1 8 1 0000000000000000000000000000000000000000",
        "1 8 1 0000000000000000000000000000000000000000",
    ),
    ("DLV", "1 8 9 00", "1 8 9 00"),
    ("NULL", "\\# 2 01 02", "\\# 2 0102"),
    ("ATMA", "+358.400", "+358400"),
    ("ATMA", "39.246F", "39246f"),
    ("ATMA", "\\# 2 0201", "\\# 2 0201"),
    ("A6", "0 ::1", "0 ::1"),
    ("A6", "65 2001:db8::8000:0:0:1 p", "65 ::1 p.example."),
    ("A6", "128 p", "128  p.example."),
    ("DSYNC", "CDS notify 5359 scanner", "CDS NOTIFY 5359 scanner.example."),
    ("DSYNC", "TYPE65280 2 0 .", "TYPE65280 2 0 ."),
    ("HHIT", "AAEC", "AAEC"),
    ("BRID", "AAEC", "AAEC"),
    ("AMTRELAY", "\\# 3 000400", "\\# 3 000400"),
    ("SINK", "1 2 3", "1 2 3"),
    ("TXT", "\\# a", "\"#\" \"a\""),
    (
        "KEYDATA",
        "20300101000000 20300101000000 20300101000000 256 3 8 AAEC",
        "\\# 19 70DBD88070DBD88070DBD88001000308000102",
    ),
    ("UINFO", "\\# 1 01", "\\# 1 01"),
    ("UID", "\\# 1 01", "\\# 1 01"),
    ("GID", "\\# 1 01", "\\# 1 01"),
    ("UNSPEC", "\\# 1 01", "\\# 1 01"),
    ("TYPE65280", "\\# 4 0a000001", "\\# 4 0A000001"),
    ("TYPE65280", "\\# 0", "\\# 0"),
    ("A", "\\# 4 01020304", "1.2.3.4"),
    ("MX", "\\# 3 000100", "1 ."),
];

#[test]
fn every_type_goes_from_text_to_wire_and_back() {
    for &(kind, written, printed) in TEXTS {
        let octets = wire(kind, written).unwrap_or_else(|error| panic!("{kind} {written}: {error:?}"));
        assert_eq!(check(Class::IN, rtype(kind), &octets), Ok(()), "{kind} {written}");
        assert_eq!(to_text(Class::IN, rtype(kind), &octets), printed, "{kind}");
        assert_eq!(wire(kind, printed).as_ref(), Ok(&octets), "{kind} {printed}");
        let mut reader = Reader::new(&octets, 0);
        let mut read = Vec::new();
        assert_eq!(read_wire(rtype(kind), octets.len(), &mut reader, &mut read), Ok(()));
        assert_eq!(read, octets);
    }
}

#[test]
fn every_row_has_an_example() {
    for row in table::ROWS.iter().filter(|row| !RrType(row.number).is_meta()) {
        assert!(TEXTS.iter().any(|&(kind, ..)| kind == row.mnemonic), "{}", row.mnemonic);
    }
}

#[test]
fn wire_format_is_what_the_rfcs_draw() {
    let check = |kind: &str, text: &str, hex: &str| {
        assert_eq!(data_encoding::HEXLOWER.encode(&wire(kind, text).unwrap()), hex, "{kind} {text}");
    };
    check("MX", "10 mail.example.com.", "000a046d61696c076578616d706c6503636f6d00");
    check("SRV", "1 2 3 a.", "000100020003016100");
    check("TXT", "a \"b c\"", "016103622063");
    // RFC 4034 §4.3.
    check(
        "NSEC",
        "host.example.com. A MX RRSIG NSEC TYPE1234",
        "04686f7374076578616d706c6503636f6d00000640010000000304\
         1b000000000000000000000000000000000000000000000000000020",
    );
    // RFC 3123 §4.
    check("APL", "1:192.168.32.0/21 !1:192.168.38.0/28", "00011503c0a82000011c83c0a826");
    // RFC 9460 appendix D.2, figures 4, 6 and 8.
    check("SVCB", "16 foo.example.com. port=53", "001003666f6f076578616d706c6503636f6d00000300020035");
    check(
        "SVCB",
        "1 foo.example.com. key667=\"hello\\210qoo\"",
        "000103666f6f076578616d706c6503636f6d00029b000968656c6c6fd2716f6f",
    );
    check(
        "SVCB",
        "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
        "001003666f6f076578616d706c65036f7267000001000c08665c6f6f2c626172026832",
    );
    // RFC 1876 §4: size 30 m, horizontal precision 10 m.
    check(
        "LOC",
        "42 21 54 N 71 06 18 W -24m 30m",
        "003316138917 2dd070be15f000988d20".replace(' ', "").as_str(),
    );
}

#[test]
fn bad_text_is_refused_where_and_why_bind_says() {
    let check = |kind: &str, text: &str, token: usize, reason: &'static str| {
        assert_eq!(wire(kind, text), Err(RdataTextError { token, reason }), "{kind} {text}");
    };
    check("A", "", 0, "unexpected end of input");
    check("A", "1.2.3", 0, "bad dotted quad");
    check("A", "01.2.3.4", 0, "bad dotted quad");
    check("A", "\"1.2.3.4\"", 0, "unexpected token");
    check("A", "1.2.3.4 5", 1, "extra input text");
    check("AAAA", "::x", 0, "bad IPv6 address");
    check("MX", "x foo", 0, "not a valid number");
    check("MX", "70000 foo", 0, "out of range");
    check("MX", "99999999999 foo", 0, "out of range");
    check("NS", "a..b", 0, "empty label");
    check("TXT", "\\256", 0, "syntax error");
    check("TXT", "\\\u{0}12", 0, "syntax error");
    check("TXT", "\\25\u{0}", 0, "syntax error");
    check("TXT", &"a".repeat(256), 0, "syntax error");
    check("HINFO", "x", 1, "unexpected end of input");
    check("CAA", "0 is-sue \"x\"", 1, "syntax error");
    check("NAPTR", "1 1 \"\" \"\" \"!a\" .", 4, "syntax error");
    check("DS", "1 8 2 e3b0", 4, "unexpected end of input");
    check("DS", "1 8 2 zz", 4, "bad hex encoding");
    check("DS", "1 FOO 2 aa", 1, "unknown class/type");
    check("DNSKEY", "257 3 13 AAE", 4, "bad base64 encoding");
    check("DNSKEY", "FOO 3 13 AAE=", 0, "unknown flag");
    check("RRSIG", "A 13 0 1 20300101000000 20200101000000 1 example. AAEC", 7, "out of range");
    check("RRSIG", "A 13 2 1 20300101000000 20200101000000 65536 example. AAEC", 7, "out of range");
    check("SIG", "A 13 2 1 0 20200101000000 1 example. AAEC", 4, "syntax error");
    check("RRSIG", "A 13 2 foo 20300101000000 20200101000000 1 example. AAEC", 3, "not a valid number");
    check("RRSIG", "A 13 2 1 20301301000000 20200101000000 1 example. AAEC", 4, "out of range");
    check("NSEC", "b", 1, "FORMERR");
    check("NSEC", "b FOO", 1, "unknown class/type");
    check("LOC", "91 N 1 E 1", 0, "out of range");
    check("LOC", "1 X 1 E 1", 1, "not a valid number");
    check("LOC", "1 1 1.1234 N 1 E 1", 2, "syntax error");
    check("HTTPS", "1 . foo=bar", 2, "syntax error");
    check("HTTPS", "1 . key01=bar", 2, "syntax error");
    check("HTTPS", "1 . alpn=", 2, "syntax error");
    check("HTTPS", "1 . port=70000", 2, "out of range");
    check("HTTPS", "1 . port=1 port=2", 4, "duplicate query");
    check("HTTPS", "1 . no-default-alpn", 3, "disallowed (by application policy)");
    check("HTTPS", "1 . mandatory=alpn", 3, "disallowed (by application policy)");
    check("HTTPS", "1 . mandatory=alpn port=1", 4, "inconsistent resource record");
    check("HTTPS", "1 . key1=x", 2, "FORMERR");
    check("HTTPS", "1 . dohpath=/x", 2, "FORMERR");
    check("HTTPS", "1 . dohpath=x{?dns}", 2, "FORMERR");
    check("HTTPS", "1 . dohpath=/x{?dns", 2, "FORMERR");
    check("EUI48", "00-00-5e-00-53", 1, "bad EUI");
    check("NID", "10 1:2:3", 1, "syntax error");
    check("APL", "3:1.2.3.4/1", 0, "not implemented");
    check("IPSECKEY", "10 0 2 foo AQNR", 3, "syntax error");
    check("X25", "12", 0, "syntax error");
    check("NSEC3", "1 0 10 - xyz A", 4, "bad base32 encoding");
    check("TYPE65280", "foo", 0, "unknown class/type");
    check("TYPE65280", "\\# 3 0102", 3, "unexpected end of input");
    check("TYPE65280", "\\# 2 010203", 3, "ran out of space");
    check("A", "\\# 3 010203", 3, "unexpected end of input");
    check("NULL", "foo", 0, "syntax error");
    check("SOA", "a b 1 2 3 4 x", 6, "syntax error");
}

#[test]
fn classes_other_than_in_have_their_own_address_and_know_fewer_types() {
    let parse = |class: Class, kind: &str, text: &str| {
        let mut out = Vec::new();
        let parsed = from_text(class, rtype(kind), &tokens(text), &"example.".parse().unwrap(), &mut out);
        parsed.map(|()| (to_text(class, rtype(kind), &out), out)).map_err(|error| (error.token, error.reason))
    };
    let good = |class: Class, kind: &str, text: &str, printed: &str, octets: &[u8]| {
        assert_eq!(parse(class, kind, text), Ok((printed.into(), octets.to_vec())), "{class} {kind} {text}");
        assert_eq!(check(class, rtype(kind), octets), Ok(()), "{class} {kind} {text}");
    };
    let bad = |class: Class, kind: &str, text: &str, token: usize, reason: &'static str| {
        assert_eq!(parse(class, kind, text), Err((token, reason)), "{class} {kind} {text}");
    };
    good(Class::CH, "A", "a 777", "a.example. 777", b"\x01a\x07example\0\x01\xff");
    bad(Class::CH, "A", "a 8", 1, "not a valid number");
    bad(Class::CH, "A", "a 200000", 1, "out of range");
    bad(Class::CH, "A", "1.2.3.4", 1, "unexpected end of input");
    good(Class::HS, "A", "1.2.3.4", "1.2.3.4", &[1, 2, 3, 4]);
    good(Class::CH, "TXT", "a", "\"a\"", b"\x01a");
    good(Class::CH, "AAAA", "\\# 1 00", "\\# 1 00", &[0]);
    bad(Class::CH, "AAAA", "::1", 0, "unknown class/type");
    bad(Class(77), "A", "1.2.3.4", 0, "unknown class/type");
}

#[test]
fn ttls_may_have_units() {
    for (text, expected) in [
        ("0", Ok(0)),
        ("3600", Ok(3600)),
        ("1w2d3h4m5s", Ok(788_645)),
        ("1H", Ok(3600)),
        ("4294967295", Ok(u32::MAX)),
        ("4294967296", Err("syntax error")),
        ("9999w", Err("out of range")),
        ("9999w@", Err("syntax error")),
        ("9999w1", Err("syntax error")),
        (&"0s".repeat(31), Ok(0)),
        (&"0s".repeat(32), Err("syntax error")),
        ("1h30", Err("syntax error")),
        ("h", Err("syntax error")),
        ("", Err("syntax error")),
        ("1x", Err("syntax error")),
    ] {
        assert_eq!(parse_ttl(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn compressed_names_are_expanded_where_a_receiver_must() {
    // A message that is "example." behind the header, with RDATA behind it.
    let read = |kind: &str, rdata: &[u8]| {
        let message = [[0; 12].as_slice(), b"\x07example\x00", rdata].concat();
        let mut out = Vec::new();
        read_wire(rtype(kind), rdata.len(), &mut Reader::new(&message, 21), &mut out).map(|()| out)
    };
    assert_eq!(read("MX", b"\x00\x0a\x01a\xc0\x0c"), Ok(b"\x00\x0a\x01a\x07example\x00".to_vec()));
    assert_eq!(read("RP", b"\xc0\x0c\xc0\x0c"), Ok(b"\x07example\x00\x07example\x00".to_vec()));
    assert_eq!(read("SRV", b"\0\x01\0\x02\0\x03\xc0\x0c"), Ok(b"\0\x01\0\x02\0\x03\x07example\x00".to_vec()));
    assert_eq!(
        read("DNAME", b"\xc0\x0c"),
        Err(BadRdata::COMPRESSED),
        "RFC 6672 §2.5 and BIND: never compressed"
    );
    assert_eq!(read("SVCB", b"\0\x01\xc0\x0c"), Err(BadRdata::COMPRESSED));
    assert_eq!(read("NS", b"\xc0\x0c\x00"), Err(BadRdata::EXTRA), "octets behind the name");
    assert_eq!(read("NS", b""), Err(BadRdata::END));
}

#[test]
fn canonical_form_lowers_the_names_of_rfc_4034_only() {
    let lowered = |kind: &str, text: &str| {
        to_text(Class::IN, rtype(kind), &canonical(rtype(kind), &wire(kind, text).unwrap()))
    };
    assert_eq!(lowered("MX", "10 MaIl"), "10 mail.example.");
    assert_eq!(lowered("DNAME", "A.B."), "a.b.");
    assert_eq!(lowered("SRV", "1 2 3 A."), "1 2 3 a.");
    assert_eq!(lowered("NSEC", "A. A"), "A. A");
    assert_eq!(lowered("SVCB", "1 A."), "1 A.");
    assert_eq!(lowered("TXT", "ABC"), "\"ABC\"");
}

#[test]
fn embedded_names_are_found() {
    let found = |kind: &str, text: &str| {
        let octets = wire(kind, text).unwrap();
        let names = names(rtype(kind), &octets);
        names.map(|n| (n.offset, n.length, n.compressible)).collect::<Vec<_>>()
    };
    assert_eq!(found("SOA", "a. b. 1 2 3 4 5"), [(0, 3, true), (3, 3, true)]);
    assert_eq!(found("MX", "1 a."), [(2, 3, true)]);
    assert_eq!(found("SRV", "1 2 3 a."), [(6, 3, false)]);
    assert_eq!(found("RRSIG", "A 13 2 1 2 1 1 a. AAEC"), [(18, 3, false)]);
    assert_eq!(found("HIP", "2 00 AAEC a. b."), [(8, 3, false), (11, 3, false)]);
    assert_eq!(found("IPSECKEY", "1 3 2 a. AAEC"), [(3, 3, false)]);
    assert_eq!(found("IPSECKEY", "1 1 2 1.2.3.4 AAEC"), []);
    assert_eq!(found("TXT", "a"), []);
}

/// A small generator, so that a failure can be repeated (SplitMix64).
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

#[test]
fn octets_that_are_nobodys_never_panic_and_what_passes_can_be_written() {
    let mut random = Seeded(20_261_120);
    let samples: Vec<(RrType, Vec<u8>)> =
        TEXTS.iter().map(|&(kind, text, _)| (rtype(kind), wire(kind, text).unwrap())).collect();
    for round in 0..60_000 {
        let (kind, mut octets) = samples[random.below(samples.len())].clone();
        if round % 3 == 0 {
            octets = (0..random.below(40)).map(|_| random.next() as u8).collect();
        }
        for _ in 0..random.below(4) {
            match random.below(3) {
                0 if !octets.is_empty() => {
                    let at = random.below(octets.len());
                    octets[at] = random.next() as u8;
                }
                1 => octets.truncate(random.below(octets.len() + 1)),
                _ => octets.push(random.next() as u8),
            }
        }
        let _ = canonical(kind, &octets);
        let _ = names(kind, &octets).count();
        let text = to_text(Class::IN, kind, &octets);
        let rdlen = random.below(octets.len() + 2);
        let _ = read_wire(kind, rdlen, &mut Reader::new(&octets, 0), &mut Vec::new());
        if check(Class::IN, kind, &octets).is_err() {
            continue;
        }
        assert!(names(kind, &octets).all(|n| name::wire_len(&octets[n.offset..]) == Some(n.length)));
        let mut again = Vec::new();
        from_text(Class::IN, kind, &tokens(&text), &Name::root(), &mut again)
            .unwrap_or_else(|error| panic!("{kind} {octets:02x?} {text}: {error:?}"));
        assert_eq!(canonical(kind, &again), canonical(kind, &octets), "{kind} {text}");
    }
}

#[test]
fn text_that_is_nobodys_never_panics() {
    let mut random = Seeded(7);
    for _ in 0..30_000 {
        let (kind, text, _) = TEXTS[random.below(TEXTS.len())];
        let mut text = text.as_bytes().to_vec();
        for _ in 0..1 + random.below(3) {
            let at = random.below(text.len() + 1);
            let byte = b" \\\"=,:./-0129azAZ\x00\xff()"[random.below(21)];
            if random.below(2) == 0 { text.insert(at, byte) } else { text.truncate(at) }
        }
        let parts: Vec<Token<'_>> =
            text.split(|&b| b == b' ').map(|text| Token { text, quoted: text.starts_with(b"\"") }).collect();
        let mut out = Vec::new();
        if from_text(Class::IN, rtype(kind), &parts, &Name::root(), &mut out).is_ok() {
            assert_eq!(
                check(Class::IN, rtype(kind), &out),
                Ok(()),
                "{kind} {}",
                String::from_utf8_lossy(&text)
            );
        } else {
            assert!(out.is_empty());
        }
    }
}
