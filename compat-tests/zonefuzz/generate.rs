//! Zone files from a grammar: mostly right, so that what comes behind the syntax is reached too.

use super::rdata::{self, TYPES};
use crate::harness::rng::Rng;

/// Owners, few enough to meet again.
const OWNERS: [&str; 34] = [
    "@",
    "a",
    "b",
    "c",
    "A",
    "B.a",
    "ns",
    "ns1",
    "ns2",
    "www",
    "mail",
    "*",
    "*.a",
    "*.sub",
    "a.*",
    "a.*.b",
    "sub",
    "ns.sub",
    "x.y.sub",
    "d",
    "x.d",
    "ent.ent.ent",
    "_sip._tcp",
    "_sip",
    "under_score",
    "-dash",
    "gc._msdcs",
    "host.other.",
    "other.",
    ".",
    "1",
    "a\\.b",
    "\\097",
    "2T7B4G4VSA5SMI47K61MV5BV1A22BOJR",
];
/// Origins that are set in the middle of a file.
const ORIGINS: [&str; 11] = ["@", "sub", "a", "d", "x.y", "other.", ".", "*", "ORIGIN", "sub.ORIGIN", "a..b"];
const TTLS: [&str; 16] = [
    "0",
    "1",
    "60",
    "300",
    "3600",
    "1h",
    "1W2D3H4M5S",
    "1d1d",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "1h30",
    "1x",
    "9999999w",
    "007",
];
const CLASSES: [&str; 12] =
    ["IN", "in", "IN", "IN", "CLASS1", "CH", "HS", "ANY", "NONE", "CLASS255", "CLASS65536", "CHAOS"];
const BLANKS: [&str; 6] = [" ", "\t", "  ", " \t", "   ", "\t\t"];

/// A file for the zone `zone` (without a final dot) that may include the files `siblings`.
pub(crate) fn generate(rng: &mut Rng, zone: &str, siblings: &[&str]) -> Vec<u8> {
    let mut writer = Writer::new(rng, zone, siblings);
    writer.head();
    for _ in 0..writer.rng.below(24) {
        writer.item();
    }
    writer.finish()
}

/// What may stand in a file that another one includes.
pub(crate) fn fragment(rng: &mut Rng, zone: &str, siblings: &[&str]) -> Vec<u8> {
    let mut writer = Writer::new(rng, zone, siblings);
    for _ in 0..writer.rng.below(8) {
        writer.item();
    }
    writer.finish()
}

struct Writer<'a> {
    rng: &'a mut Rng,
    zone: &'a str,
    siblings: &'a [&'a str],
    /// Whether errors are rare, so that the zone may come to the checks behind the syntax.
    careful: bool,
    out: String,
}

impl<'a> Writer<'a> {
    fn new(rng: &'a mut Rng, zone: &'a str, siblings: &'a [&'a str]) -> Writer<'a> {
        let careful = rng.chance(60);
        Writer { rng, zone, siblings, careful, out: String::new() }
    }

    fn finish(self) -> Vec<u8> {
        let mut text = self.out;
        if self.rng.chance(5) {
            text = text.replace('\n', "\r\n");
        }
        if self.rng.chance(8) {
            text.truncate(text.trim_end().len());
        }
        text.into_bytes()
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        if self.rng.chance(5) {
            self.out.push_str(" ; comment (\"");
        }
        self.out.push('\n');
    }

    fn blank(&mut self) -> &'static str {
        if self.rng.chance(80) { " " } else { BLANKS[self.rng.below(BLANKS.len())] }
    }

    /// What makes a zone of the file, in most files complete.
    fn head(&mut self) {
        if self.rng.chance(85) {
            let ttl = if self.rng.chance(80) { "3600" } else { self.rng.pick(&TTLS) };
            self.line(&format!("$TTL {ttl}"));
        }
        if self.rng.chance(20) {
            self.line(&format!("$ORIGIN {}.", self.zone));
        }
        if self.rng.chance(97) {
            let ttl = if self.rng.chance(15) { *self.rng.pick(&TTLS) } else { "" };
            let class = if self.rng.chance(40) { "IN" } else { "" };
            let rdata = *self.rng.pick(&[
                "ns hostmaster 1 7200 900 1209600 3600",
                "ns hostmaster 1 2h 15m 2w 1h",
                "ns.ORIGIN. hostmaster.ORIGIN. ( 1 2h ; refresh\n 15m 2w\n\t\t1h )",
                "ns host\\.master 4294967295 0 0 0 0",
                "ns_1 host_master 1 2 3 4 2147483648",
            ]);
            let rdata = rdata.replace("ORIGIN", self.zone);
            self.line(&format!("@ {ttl} {class} SOA {rdata}"));
        }
        if self.rng.chance(97) {
            let owner = if self.rng.chance(70) { " " } else { "@" };
            let target = if self.rng.chance(85) { "ns" } else { self.rng.pick(&OWNERS) };
            self.line(&format!("{owner} NS {target}"));
        }
        if self.rng.chance(95) {
            self.line("ns A 192.0.2.1");
        }
    }

    fn item(&mut self) {
        match self.rng.below(100) {
            0..8 => self.delegation(),
            8..12 => self.alias(),
            12..17 => self.directive(),
            17..19 => self.generate_directive(),
            19..21 if !self.careful => self.generate_directive(),
            21..25 => self.include(),
            25..27 => self.line(""),
            27..29 => self.line("  "),
            29..31 if !self.careful => self.odd_line(),
            _ if self.careful => self.right_record(),
            _ => self.record(),
        }
    }

    fn owner(&mut self) -> String {
        if self.rng.chance(30) {
            return String::new();
        }
        let owner = *self.rng.pick(&OWNERS);
        match self.rng.below(20) {
            0 => format!("{owner}.{}.", self.zone),
            1 => owner.to_uppercase(),
            _ => owner.to_owned(),
        }
    }

    /// Nothing, TTL, class, or both in either order, with a blank behind.
    fn ttl_and_class(&mut self) -> String {
        let ttl = match self.rng.below(10) {
            0 if !self.careful => *self.rng.pick(&TTLS),
            0 => *self.rng.pick(&TTLS[..10]),
            1 => "60",
            _ => "",
        };
        let class = if !self.careful && self.rng.chance(2) {
            *self.rng.pick(&CLASSES)
        } else if self.rng.chance(30) {
            "IN"
        } else {
            ""
        };
        if self.rng.chance(50) { format!("{ttl} {class} ") } else { format!("{class} {ttl} ") }
    }

    fn record(&mut self) {
        let usual =
            ["A", "AAAA", "NS", "MX", "SRV", "TXT", "PTR", "CNAME", "DNAME", "DS", "RRSIG", "SVCB", "CAA"];
        let (mnemonic, templates) = if self.rng.chance(45) {
            let wanted = *self.rng.pick(&usual);
            *TYPES.iter().find(|(mnemonic, _)| *mnemonic == wanted).expect("the usual types are in the table")
        } else {
            *self.rng.pick(&TYPES)
        };
        let template = *self.rng.pick(templates);
        let rdata = rdata::fill(self.rng, template, self.zone);
        self.written(mnemonic, rdata);
    }

    /// A record that is right in itself, or nothing.
    fn right_record(&mut self) {
        // These go with few others, or with few owners.
        const LONELY: [&str; 6] = ["SOA", "CNAME", "DNAME", "NSEC", "NSEC3", "DS"];
        let (mnemonic, templates) = *self.rng.pick(&TYPES);
        let template = *self.rng.pick(templates);
        let rdata = rdata::fill(self.rng, template, self.zone);
        if !rdata::is_right(mnemonic, &rdata, self.zone) {
            return;
        }
        if LONELY.contains(&mnemonic) {
            let owner = match mnemonic {
                "SOA" => "@".to_owned(),
                "NSEC3" => "2T7B4G4VSA5SMI47K61MV5BV1A22BOJR".to_owned(),
                _ => format!("only{}", self.out.len()),
            };
            self.line(&format!("{owner} {mnemonic} {rdata}"));
        } else {
            self.written(mnemonic, rdata);
        }
    }

    /// A record in one of the ways in which it may be written.
    fn written(&mut self, mnemonic: &str, mut rdata: String) {
        if self.rng.chance(if self.careful { 1 } else { 8 }) {
            rdata = rdata::generic(self.rng, mnemonic, &rdata, self.zone);
        }
        if self.rng.chance(4) {
            rdata = rdata.replacen(' ', " ( ", 1) + "\n )";
        }
        let mnemonic = match self.rng.below(if self.careful { 400 } else { 40 }) {
            0 => mnemonic.to_lowercase(),
            1 => format!("TYPE{}", self.rng.below(300)),
            2 => (*self.rng.pick(&["TSIG", "ANY", "OPT", "AXFR", "MD", "TYPE0", "TYPE65535", "FOO"]))
                .to_owned(),
            _ => mnemonic.to_owned(),
        };
        let (owner, middle, blank) = (self.owner(), self.ttl_and_class(), self.blank());
        self.line(&format!("{owner}{blank}{middle}{mnemonic}{blank}{rdata}"));
    }

    fn delegation(&mut self) {
        let cut = *self.rng.pick(&["sub", "d", "deleg", "x.deleg", "a", "Deleg"]);
        let target = match self.rng.below(6) {
            0 => format!("ns.{cut}"),
            1 => "ns.sub".to_owned(),
            2 => "ns.other.".to_owned(),
            3 => "nowhere".to_owned(),
            4 => (*self.rng.pick(&OWNERS)).to_owned(),
            _ => "ns".to_owned(),
        };
        self.line(&format!("{cut} NS {target}"));
        if self.rng.chance(50) {
            let ttl = if self.rng.chance(10) { "60" } else { "" };
            let last = self.rng.below(4);
            self.line(&format!("{target} {ttl} A 192.0.2.{last}"));
        }
        if self.rng.chance(20) {
            let last = self.rng.below(4);
            self.line(&format!("{target} AAAA 2001:db8::{last}"));
        }
    }

    fn alias(&mut self) {
        let owner = *self.rng.pick(&OWNERS);
        let target = *self.rng.pick(&OWNERS);
        let mnemonic = if self.rng.chance(60) { "CNAME" } else { "DNAME" };
        self.line(&format!("{owner} {mnemonic} {target}"));
    }

    fn directive(&mut self) {
        let text = match self.rng.below(if self.careful { 7 } else { 9 }) {
            0..4 => {
                format!("$ORIGIN {}", self.rng.pick(&ORIGINS).replace("ORIGIN", &format!("{}.", self.zone)))
            }
            4..7 => format!("$TTL {}", self.rng.pick(&TTLS)),
            7 => format!(
                "$DATE {}",
                self.rng.pick(&[
                    "20250101000000",
                    "20991231235959",
                    "1",
                    "x",
                    "",
                    "20251301000000",
                    "20250101000000 x"
                ])
            ),
            _ => (*self.rng.pick(&[
                "$FOO",
                "$",
                "$origin a",
                "$Ttl 5",
                "$TTL",
                "$ORIGIN",
                "$INCLUDE",
                "$GENERATE",
                "$TTL 1 2",
            ]))
            .to_owned(),
        };
        self.line(&text);
    }

    fn generate_directive(&mut self) {
        let start = self.rng.below(12);
        let range = match self.rng.below(12) {
            0 => format!("{start}-{}/2", start + self.rng.below(9)),
            1 => format!("{}-{start}", start + 1),
            2 => (*self.rng.pick(&[
                "1-3/0",
                "1",
                "1-",
                "x-3",
                "1-3/",
                "1-3x",
                "-1-3",
                "0-0",
                "007-9",
                "1-3/99999999999",
                "2147483646-2147483647",
            ]))
            .to_owned(),
            _ => format!("{start}-{}", start + self.rng.below(6)),
        };
        let owner = *self.rng.pick(&[
            "h$",
            "h${0,3}",
            "$",
            "h$.sub",
            "h$.other.",
            "${-1,2,d}",
            "h${0,3,x}",
            "h${1,0,X}",
            "h${0,4,o}",
            "${0,7,n}",
            "${0,3,N}",
            "h",
            "@",
            "h$$",
            "h\\$",
            "${",
            "${0,3,q}",
            "${x}",
            "$.",
            "h$..x",
            "${0,300}",
            "*",
            "_$",
            "${+1}",
            "${ 1}",
            "${1,}",
            "${0,3,d",
        ]);
        let middle = self.ttl_and_class();
        let right = *self.rng.pick(&[
            "A 192.0.2.$",
            "A 192.0.2.${10}",
            "A 192.0.$",
            "CNAME h$.other.",
            "CNAME x${0,3,d}",
            "PTR host-$",
            "PTR host-$.ORIGIN.",
            "AAAA 2001:db8::${0,0,x}",
            "TXT text-$",
            "TXT \"text $ text\"",
            "TXT \"a\" \"$\"",
            "MX \"$ mail\"",
            "MX 10 mail$",
            "NS ns$",
            "SRV \"0 0 $ ns\"",
            "SOA ns",
            "TSIG x",
            "FOO $",
            "TYPE65280 \"\\\\# 1 0$\"",
            "DS \"$ 8 2 aa\"",
            "A",
            "",
            "CNAME $$",
            "DNAME d$",
            "A 192.0.2.$ x",
            "NS 192.0.2.$",
            "A ${0,3",
            "SVCB \"$ . alpn=h2\"",
            "CNAME under_$",
        ]);
        let right = right.replace("ORIGIN", self.zone);
        self.line(&format!("$GENERATE {range} {owner} {middle}{right}"));
    }

    fn include(&mut self) {
        let path = match self.rng.below(20) {
            0 => "/nonexistent/file",
            1 => "/",
            _ if self.siblings.is_empty() => return,
            _ => self.rng.pick(self.siblings),
        };
        let origin = match self.rng.below(10) {
            0..3 => format!(" {}", self.rng.pick(&ORIGINS).replace("ORIGIN", &format!("{}.", self.zone))),
            3 => " sub extra".to_owned(),
            _ => String::new(),
        };
        let path = if self.rng.chance(10) { format!("\"{path}\"") } else { path.to_owned() };
        self.line(&format!("$INCLUDE {path}{origin}"));
    }

    fn odd_line(&mut self) {
        let text = *self.rng.pick(&[
            "a",
            "a IN",
            "a 60",
            "a 60 IN",
            "\"a\" A 192.0.2.1",
            "a \"A\" 192.0.2.1",
            "a ( A 192.0.2.1 )",
            "( a A 192.0.2.1 )",
            "a A ( 192.0.2.1",
            "a A 192.0.2.1 )",
            ")",
            "(",
            "\"",
            "a A \"192.0.2.1\"",
            "a..b A 192.0.2.1",
            "a\\",
            "a\\300 A 192.0.2.1",
            "a TXT \"open",
            "  60",
            "  IN",
            " ( )",
            "()",
            "a IN IN A 192.0.2.1",
            "a 60 60 A 192.0.2.1",
            "a 60 IN 60 A 192.0.2.1",
            "a A",
            "a TXT",
            "a TXT \\# 0",
            "a A \\# 4 01020304",
            "a A 192.0.2.1 extra",
            "; only a comment",
            "a A 192.0.2.1 ; comment",
            "a\tTXT\ta\\ b",
            "a TXT (\n\"b\"\n)",
        ]);
        self.line(text);
    }
}
