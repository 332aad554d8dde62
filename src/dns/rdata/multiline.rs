//! Wire format to presentation format over several lines, as BIND's `named-checkzone -D -s relative` prints it.
//!
//! Names below the origin are relative to it, long hexadecimal and base64 is broken into lines between parentheses,
//! and numbers that people cannot read have a comment.

use std::fmt::Write;

use data_encoding::{BASE64, HEXUPPER};

use super::print::{separate, write_a6_head, write_field};
use super::table::{self, Field};
use super::{address, key, walk};
use crate::dns::{Class, Name, RrType, name};

/// Behind this the text goes on in the column of RDATA.
const LINE_BREAK: &str = "\n\t\t\t\t";
/// BIND: 48 columns are for RDATA, of which a word of base64 or hexadecimal fills whole groups of four.
const WORD_CHARS: usize = 44;

/// See [`super::write_multiline`].
pub(super) fn write(class: Class, rtype: RrType, rdata: &[u8], origin: &Name, out: &mut String) {
    let start = out.len();
    let fields = table::fields(class, rtype);
    let mut lines = Lines { rtype, rdata, origin, out };
    if matches!(fields, [Field::Opaque | Field::KeyData]) || lines.write(fields).is_none() {
        lines.out.truncate(start);
        lines.generic();
    }
}

struct Lines<'a> {
    rtype: RrType,
    rdata: &'a [u8],
    origin: &'a Name,
    out: &'a mut String,
}

impl Lines<'_> {
    /// `None` if the RDATA has no form of its own; then a part may have been written.
    fn write(&mut self, fields: &[Field]) -> Option<()> {
        match self.rtype {
            RrType::SOA => return self.soa(),
            RrType::SIG | RrType::RRSIG => return self.signature(fields),
            _ => {}
        }
        let start = self.out.len();
        let mut at = 0;
        for &field in fields {
            let length = walk::extent(field, self.rdata, at).ok()?;
            let bytes = &self.rdata[at..at + length];
            if length > 0
                || matches!(
                    field,
                    Field::Base64OrDash | Field::Prefixes | Field::LongText | Field::QuotedText
                )
            {
                separate(start, self.out);
                self.field(field, bytes, at)?;
            }
            at += length;
        }
        if self.rtype == RrType::NSEC3 {
            self.out.push_str(" )");
        }
        (at == self.rdata.len()).then_some(())
    }

    /// Writes one field; a blank stands in front of it unless it is the first.
    fn field(&mut self, field: Field, bytes: &[u8], at: usize) -> Option<()> {
        match field {
            // BIND: writes the names of these types out.
            Field::Name(_) | Field::QuotableName(_) | Field::LateName(_) if self.rtype != RrType::NSEC => {
                self.name(bytes)
            }
            Field::Hex | Field::Digest | Field::Fingerprint | Field::ZoneDigest => {
                self.block(&HEXUPPER.encode(bytes), at);
            }
            Field::Base64 if self.rtype == IPSECKEY => {
                self.out.pop();
                self.line_break();
                self.words(&BASE64.encode(bytes));
                self.out.push_str(" )");
            }
            Field::Base64 if matches!(self.rtype, HHIT | BRID) => {
                self.out.push_str(" (");
                self.words(&BASE64.encode(bytes));
                self.out.push_str(" )");
            }
            Field::OptionalBase64 => self.block(&BASE64.encode(bytes), at),
            Field::PrefixedIpv6 => {
                let head = address::a6_head(bytes[0]);
                write_a6_head(&bytes[..head], self.out);
                if bytes[0] > 0 {
                    self.out.push(' ');
                    self.name(&bytes[head..]);
                }
            }
            Field::Base64 => {
                self.block(&BASE64.encode(bytes), at);
                if self.rtype == DHCID && bytes.len() > 2 {
                    let kind = u16::from_be_bytes([bytes[0], bytes[1]]);
                    self.append(format_args!(" ; {kind} {} {}", bytes[2], bytes.len() - 3));
                }
            }
            Field::KeyMaterial | Field::KeyMaterialOrNone => self.key(bytes),
            Field::U8 if self.rtype == IPSECKEY => {
                self.append(format_args!("( {}", bytes[0]));
            }
            Field::HashedOwner => {
                self.out.push('(');
                self.line_break();
                write_field(field, bytes, self.out).then_some(())?;
            }
            Field::OptionalBitmap if self.rtype == RrType::NSEC3 => {
                self.out.pop();
                let mut rest = bytes;
                while let Some(&length) = rest.get(1) {
                    let (window, behind) = rest.split_at_checked(2 + usize::from(length))?;
                    self.line_break();
                    write_field(field, window, self.out).then_some(())?;
                    rest = behind;
                }
            }
            Field::HostIdentity => self.host_identity(bytes),
            Field::Names => return self.rendezvous_servers(bytes),
            _ => write_field(field, bytes, self.out).then_some(())?,
        }
        Some(())
    }

    fn append(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("writing to a String does not fail");
    }

    fn line_break(&mut self) {
        self.out.push_str(LINE_BREAK);
    }

    /// BIND: the origin itself is written out, and so is a name whose end differs from it in case.
    fn name(&mut self, wire: &[u8]) {
        let origin = self.origin.as_wire();
        let split = wire.len().saturating_sub(origin.len());
        let is_below = origin.len() > 1 && split > 0 && name::is_at_or_below(wire, origin);
        if !is_below || wire[split..] != *origin {
            return name::write_text(wire, self.out);
        }
        write_labels(&wire[..split], self.out);
    }

    /// Words of base64 or hexadecimal, one on each line.
    fn words(&mut self, text: &str) {
        let mut rest = text;
        while rest.len() > WORD_CHARS {
            let (word, tail) = rest.split_at(WORD_CHARS);
            self.out.push_str(word);
            self.line_break();
            rest = tail;
        }
        self.out.push_str(rest);
    }

    /// The same in parentheses, which begin on a line of their own if they are not all there is.
    fn block(&mut self, text: &str, at: usize) {
        self.out.push('(');
        if at > 0 {
            self.line_break();
        } else {
            self.out.push(' ');
        }
        self.words(text);
        self.out.push_str(" )");
    }

    fn generic(&mut self) {
        self.append(format_args!("\\# {}", self.rdata.len()));
        if !self.rdata.is_empty() {
            self.out.push_str(" ( ");
            self.words(&HEXUPPER.encode(self.rdata));
            self.out.push_str(" )");
        }
    }

    fn soa(&mut self) -> Option<()> {
        let mname = name::wire_len(self.rdata)?;
        let names = mname + name::wire_len(self.rdata.get(mname..)?)?;
        let numbers: &[u8; 20] = self.rdata.get(names..)?.try_into().ok()?;
        self.name(&self.rdata[..mname]);
        self.out.push(' ');
        self.name(&self.rdata[mname..names]);
        self.out.push_str(" (");
        for (octets, what) in numbers.chunks_exact(4).zip(["serial", "refresh", "retry", "expire", "minimum"])
        {
            let number = u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]);
            self.line_break();
            self.append(format_args!("{number:<10} ; {what}"));
            if what != "serial" {
                self.out.push_str(" (");
                write_period(number, self.out);
                self.out.push(')');
            }
        }
        self.line_break();
        self.out.push(')');
        Some(())
    }

    /// SIG breaks the line in front of the inception, RRSIG in front of the expiration.
    fn signature(&mut self, fields: &[Field]) -> Option<()> {
        // type covered, algorithm, labels, original TTL; expiration, inception, key tag, signer; signature
        let is_old = self.rtype == RrType::SIG;
        let mut at = 0;
        for (index, &field) in fields.iter().enumerate() {
            let length = walk::extent(field, self.rdata, at).ok()?;
            let bytes = &self.rdata[at..at + length];
            at += length;
            match (index, field) {
                (_, Field::Base64 | Field::Signature) => {
                    self.line_break();
                    self.words(&BASE64.encode(bytes));
                    self.out.push_str(" )");
                    continue;
                }
                (0, _) => {}
                (4, _) if !is_old => self.open(),
                (5, _) if is_old => self.open(),
                _ => self.out.push(' '),
            }
            match field {
                // BIND: the signer of RRSIG is written out.
                Field::Name(_) if is_old => self.name(bytes),
                _ => write_field(field, bytes, self.out).then_some(())?,
            }
        }
        (at == self.rdata.len()).then_some(())
    }

    fn open(&mut self) {
        self.out.push_str(" (");
        self.line_break();
    }

    /// A public key, and in a comment what it is for.
    fn key(&mut self, material: &[u8]) {
        let [_, flags, _, algorithm, ..] = *self.rdata else { return };
        self.out.push('(');
        self.line_break();
        self.words(&BASE64.encode(material));
        self.line_break();
        self.out.push(')');
        if matches!(self.rtype, RrType::DNSKEY | CDNSKEY) {
            self.out.push_str(match (flags & SECURE_ENTRY_POINT != 0, flags & REVOKED != 0) {
                (false, _) => " ; ZSK",
                (true, false) => " ; KSK",
                (true, true) => " ; revoked KSK",
            });
        }
        self.out.push_str("; alg = ");
        match name::wire_len(material) {
            // The owner of a private algorithm (RFC 4034 §A.1.1).
            Some(length) if algorithm == PRIVATE_DNS => {
                let start = self.out.len();
                name::write_text(&material[..length], self.out);
                if self.out.len() > start + 1 {
                    self.out.pop();
                }
            }
            _ => match key::name_of(key::ALGORITHMS, u16::from(algorithm)) {
                Some(mnemonic) => self.out.push_str(mnemonic),
                None => self.append(format_args!("{algorithm}")),
            },
        }
        self.append(format_args!(" ; key id = {}", key_tag(self.rdata)));
    }

    fn host_identity(&mut self, bytes: &[u8]) {
        // As on one line, but for where the lines are broken: algorithm and tag, key.
        let mut text = String::new();
        write_field(Field::HostIdentity, bytes, &mut text);
        let (head, key) = text.rsplit_once(' ').unwrap_or((&text, ""));
        self.append(format_args!("( {head}{LINE_BREAK}{key}"));
        if bytes.len() == self.rdata.len() {
            self.out.push_str(" )");
        }
    }

    fn rendezvous_servers(&mut self, bytes: &[u8]) -> Option<()> {
        self.out.pop();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (server, tail) = rest.split_at(name::wire_len(rest)?);
            self.line_break();
            name::write_text(server, self.out);
            rest = tail;
        }
        self.out.push_str(" )");
        Some(())
    }
}

const IPSECKEY: RrType = RrType(45);
const DHCID: RrType = RrType(49);
const CDNSKEY: RrType = RrType(60);
const HHIT: RrType = RrType(67);
const BRID: RrType = RrType(68);
const SECURE_ENTRY_POINT: u8 = 1;
const REVOKED: u8 = 0x80;
const PRIVATE_DNS: u8 = 253;

/// The key tag (RFC 4034 appendix B).
fn key_tag(rdata: &[u8]) -> u16 {
    let sum: u32 = rdata
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    (sum + (sum >> 16)) as u16
}

/// Appends the labels of a name without its end, dots between them; `@` if there are none.
pub(super) fn write_labels(labels: &[u8], out: &mut String) {
    if labels.is_empty() {
        out.push('@');
    }
    let mut rest = labels;
    while let Some((&length, tail)) = rest.split_first() {
        let (label, tail) = tail.split_at(usize::from(length).min(tail.len()));
        name::write_label(label, out);
        if !tail.is_empty() {
            out.push('.');
        }
        rest = tail;
    }
}

/// Appends a number of seconds in words.
pub(super) fn write_period(seconds: u32, out: &mut String) {
    let start = out.len();
    for (count, unit) in [
        (seconds / 604_800, "week"),
        (seconds / 86_400 % 7, "day"),
        (seconds / 3_600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ] {
        if count == 0 && (unit != "second" || out.len() > start) {
            continue;
        }
        separate(start, out);
        let plural = if count == 1 { "" } else { "s" };
        write!(out, "{count} {unit}{plural}").expect("writing to a String does not fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_told_in_words() {
        let check = |seconds, expected: &str| {
            let mut text = String::new();
            write_period(seconds, &mut text);
            assert_eq!(text, expected);
        };
        check(0, "0 seconds");
        check(1, "1 second");
        check(3600, "1 hour");
        check(86_460, "1 day 1 minute");
        check(694_861, "1 week 1 day 1 hour 1 minute 1 second");
        check(u32::MAX, "7101 weeks 3 days 6 hours 28 minutes 15 seconds");
    }

    #[test]
    fn names_are_relative_to_what_they_end_in_letter_by_letter() {
        let check = |name: &str, origin: &str, expected: &str| {
            let (name, origin): (Name, Name) =
                (name.parse().expect("a name"), origin.parse().expect("a name"));
            let mut text = String::new();
            write(Class::IN, RrType::CNAME, name.as_wire(), &origin, &mut text);
            assert_eq!(text, expected);
        };
        check("a.b.example.", "example.", "a.b");
        check("example.", "example.", "example.");
        check("a.Example.", "example.", "a.Example.");
        check("a.example.", ".", "a.example.");
        check("a.xample.", "example.", "a.xample.");
        check(".", "example.", ".");
    }
}
