//! Slips of the pen that the line itself gives away: what people mean when they write such a thing.

use super::Place;
use crate::zonefile::{Kind, Near};

/// How much of a line is looked at on either side of what is meant, in bytes.
const BYTES_AROUND: usize = 400;
/// What more than this between two quotes cannot be.
const STRING_BYTES_MAX: usize = 255;

const COMMENT: &str = "a comment begins with ; in a zone file";

/// How the data of types is written that are often got wrong.
const FORMS: [(&str, &str); 20] = [
    ("SOA", "server mailbox serial refresh retry expire minimum"),
    ("MX", "preference host"),
    ("SRV", "priority weight port host"),
    ("CAA", "flags tag \"value\""),
    ("DS", "key-tag algorithm digest-type digest"),
    ("CDS", "key-tag algorithm digest-type digest"),
    ("DNSKEY", "flags 3 algorithm key"),
    ("CDNSKEY", "flags 3 algorithm key"),
    ("TLSA", "usage selector matching-type data"),
    ("SMIMEA", "usage selector matching-type data"),
    ("SSHFP", "algorithm type fingerprint"),
    ("NAPTR", "order preference \"flags\" \"service\" \"regexp\" replacement"),
    ("SVCB", "priority target key=value ..."),
    ("HTTPS", "priority target key=value ..."),
    ("URI", "priority weight \"target\""),
    ("AFSDB", "subtype host"),
    ("KX", "preference host"),
    ("RP", "mailbox name-of-text"),
    ("CERT", "type key-tag algorithm certificate"),
    ("NSEC3PARAM", "hash-algorithm flags iterations salt"),
];

/// A part of a line, and what stands on either side of it.
pub(super) struct Around<'a> {
    /// Nothing if that is too much.
    before: Option<&'a [u8]>,
    meant: &'a [u8],
    after: &'a [u8],
}

impl<'a> Around<'a> {
    /// Looks at the place in its line; nothing if it is the whole line that is meant.
    pub(super) fn of(line: &'a [u8], place: &Place) -> Option<Around<'a>> {
        let (before, rest) = line.split_at_checked(place.column? - 1)?;
        let (meant, after) = rest.split_at_checked(place.bytes)?;
        let after = &after[..after.len().min(BYTES_AROUND)];
        Some(Around { before: Some(before).filter(|before| before.len() <= BYTES_AROUND), meant, after })
    }

    /// How to mend a slip, if it looks like one.
    pub(super) fn slip(&self, kind: &Kind) -> Option<String> {
        match kind {
            Kind::UnknownType(word) => self.in_place_of_type(word),
            Kind::Rdata { near, reason } => self.in_data(near, reason),
            _ => None,
        }
    }

    fn in_place_of_type(&self, word: &str) -> Option<String> {
        let before = self.before?;
        if is_comment(before) || is_comment(self.meant) {
            return Some(COMMENT.into());
        }
        let next = words(self.after).next().unwrap_or_default();
        let is_owner = is_blank(before) && !before.is_empty() && is_class_or_type(next);
        if is_owner {
            return Some(format!(
                "a line that starts with a blank takes the owner of the record before: if {word} is the owner, it \
                 stands at the very start of the line"
            ));
        }
        let is_ttl = word.starts_with(|first: char| first.is_ascii_digit()) && !word.contains(['.', ':']);
        is_ttl.then(|| {
            "if this is the TTL: every number of it has one of the units w, d, h, m and s, or none at all, as in \
             1w2d or 3600"
                .into()
        })
    }

    fn in_data(&self, near: &Near, reason: &str) -> Option<String> {
        let form = || self.form().map(|(rtype, form)| format!("the data of {rtype} is: {form}"));
        match reason {
            "extra input text" if self.before.is_some_and(is_blank) => {
                Some("the record above goes on here, for its ( is not closed: put ) where it ends".into())
            }
            "extra input text" if is_comment(self.meant) => Some(COMMENT.into()),
            "bad dotted quad" if self.meant.iter().all(u8::is_ascii_digit) => {
                Some("if this is the TTL, it stands in front of the type: owner TTL class type data".into())
            }
            "syntax error" if self.meant.len() > STRING_BYTES_MAX => Some(format!(
                "a quoted string has at most {STRING_BYTES_MAX} octets: cut it into several, \"...\" \"...\""
            )),
            "unexpected end of input" if matches!(near, Near::EndOfLine | Near::EndOfFile) => {
                let form = form()?;
                Some(format!(
                    "something is missing; {form}; data that goes on in the next line needs parentheses"
                ))
            }
            "not a valid number" | "unexpected token" | "unexpected end of input" => form(),
            _ => None,
        }
    }

    /// The type that the line names, and the form of its data.
    fn form(&self) -> Option<(&'static str, &'static str)> {
        let before = self.before?;
        let owners = usize::from(!before.first()?.is_ascii_whitespace());
        let find =
            |word: &[u8]| FORMS.into_iter().find(|(rtype, _)| word.eq_ignore_ascii_case(rtype.as_bytes()));
        words(before).skip(owners).find_map(find)
    }
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|octet| b" \t()".contains(octet)).filter(|word| !word.is_empty())
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|octet| b" \t".contains(octet))
}

fn is_comment(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    text.starts_with(b"#") || text.starts_with(b"//")
}

fn is_class_or_type(word: &[u8]) -> bool {
    let common = ["IN", "A", "AAAA", "CNAME", "MX", "NS", "TXT", "PTR", "SRV"];
    common.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use crate::cli::explain::{Found, Sources};
    use crate::zonefile::{self, Options};

    /// The hint for the first thing that is wrong with the lines.
    fn hint(lines: &str) -> String {
        let text = format!("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{lines}\n");
        let apex = "example.".parse().unwrap();
        let loaded = zonefile::load_bytes(text.as_bytes(), "f", &apex, &Options::default());
        let mut sources = Sources::default();
        sources.put("f", text.into_bytes());
        let diagnostic = loaded.outcome.diagnostics.first().expect("something is wrong");
        Found::of_diagnostic(diagnostic, &mut sources).hint
    }

    #[test]
    fn what_people_write_by_mistake_is_recognised() {
        for (lines, part) in [
            (" www IN A 192.0.2.1", "if www is the owner, it stands at the very start"),
            ("\tmx1 A 192.0.2.1", "if mx1 is the owner"),
            ("\tAAA 2001:db8::1", "did you mean AAAA?"),
            ("# my hosts", "a comment begins with ;"),
            ("www A 192.0.2.1 // web", "a comment begins with ;"),
            ("www A 192.0.2.1 #web", "a comment begins with ;"),
            ("www 1y IN A 192.0.2.1", "if this is the TTL: every number"),
            ("www 1h30 IN A 192.0.2.1", "if this is the TTL: every number"),
            ("www 192.0.2.1", "the type is missing"),
            ("www A 3600 192.0.2.1", "it stands in front of the type"),
            ("@ MX mail 10", "the data of MX is: preference host"),
            ("mx MX mail", "the data of MX is: preference host"),
            ("_sip._tcp SRV sip 5060 0 0", "the data of SRV is: priority weight port host"),
            ("x DS 1 8 2", "something is missing; the data of DS is: key-tag algorithm digest-type digest"),
            ("x A", "put ( in front of data"),
            ("x MX ( 10\n a\ny A 192.0.2.1", "its ( is not closed"),
        ] {
            let found = hint(lines);
            assert!(found.contains(part), "{lines}: {found}");
        }
        let long = hint(&format!("x TXT \"{}\"", "k".repeat(300)));
        assert!(long.contains("at most 255 octets"), "{long}");
    }
}
