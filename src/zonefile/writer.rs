//! Records to text: the dump that `named-checkzone -D` makes, in its `full` style.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::dns::{Class, RrType, Rrset, name, rdata};
use crate::zone::Contents;
use crate::zone::contents::Node;
use crate::zone::leaf::StoredRrset;

/// Where TTL and RDATA begin in a line.
const TTL_COLUMN: usize = 46;
const RDATA_COLUMN: usize = 64;
const TAB_WIDTH: usize = 8;

/// The RRsets of a zone, owner by owner, in the order in which BIND writes them.
pub(super) fn dump_order(contents: &Contents) -> impl Iterator<Item = Vec<Rrset>> {
    let has_nsec3 = |node: &Node<'_>| {
        let of_nsec3 = |rrset: StoredRrset<'_>| [rrset.rtype(), rrset.covered()].contains(&RrType::NSEC3);
        node.leaf().rrsets().any(of_nsec3)
    };
    let names = contents.nodes().map(|node| node.rrsets().filter(|rrset| !is_of_nsec3(rrset)).collect());
    // BIND: the NSEC3 chain and its signatures are a tree of their own, which comes last.
    let hashes = contents.nodes().filter(has_nsec3).map(|node| node.rrsets().filter(is_of_nsec3).collect());
    names.chain(hashes).filter(|rrsets: &Vec<Rrset>| !rrsets.is_empty())
}

/// Writes every record on one line of its own, owners in canonical order, SOA and NS before other types. With `now`
/// comments may say that something is to be signed again at once.
pub fn write_zone(
    contents: &Contents,
    class: Class,
    now: Option<u32>,
    out: &mut impl Write,
) -> io::Result<()> {
    dump_order(contents).try_for_each(|rrsets| write_rrsets(rrsets, class, now, out))
}

/// Puts the RRsets of an owner into the order of text dumps.
pub(super) fn sort(rrsets: &mut [Rrset]) {
    rrsets.sort_by_key(|rrset| (place(sorted_by(rrset)), rrset.rtype == RrType::RRSIG));
}

/// Writes the RRsets of one owner.
fn write_rrsets(
    mut rrsets: Vec<Rrset>,
    class: Class,
    now: Option<u32>,
    out: &mut impl Write,
) -> io::Result<()> {
    sort(&mut rrsets);
    let mut text = String::new();
    for rrset in rrsets {
        for rdata in &rrset.rdatas {
            write_record(rrset.owner.as_wire(), class, rrset.rtype, rrset.ttl, rdata, &mut text);
        }
        if let Some(time) = rrset.rdatas.iter().filter_map(|rdata| resigned(rrset.rtype, rdata, now)).min() {
            // BIND: a comment says when the RRset would have to be signed again.
            text.push_str("; resign=");
            rdata::write_time(time, &mut text);
            text.push('\n');
        }
    }
    out.write_all(text.as_bytes())
}

pub(super) fn is_of_nsec3(rrset: &Rrset) -> bool {
    sorted_by(rrset) == RrType::NSEC3
}

/// Signatures stand behind what they sign.
fn sorted_by(rrset: &Rrset) -> RrType {
    match (rrset.rtype, rrset.rdatas.first().map_or(&[][..], |rdata| rdata)) {
        (RrType::RRSIG, &[high, low, ..]) => RrType(u16::from_be_bytes([high, low])),
        (rtype, _) => rtype,
    }
}

fn place(rtype: RrType) -> u32 {
    match rtype {
        RrType::SOA => 0,
        RrType::NS => 1,
        other => u32::from(other.0) + 2,
    }
}

/// When a signature must be replaced: when it ends (RFC 4034 §3.1.5), or now if it has not begun.
fn resigned(rtype: RrType, rdata: &[u8], now: Option<u32>) -> Option<u32> {
    let &[e1, e2, e3, e4, i1, i2, i3, i4] =
        rdata.get(8..)?.first_chunk::<8>().filter(|_| rtype == RrType::RRSIG)?;
    let (expiration, inception) =
        (u32::from_be_bytes([e1, e2, e3, e4]), u32::from_be_bytes([i1, i2, i3, i4]));
    let has_begun = |now: u32| inception.wrapping_sub(now) as i32 <= 0;
    Some(now.filter(|&now| !has_begun(now)).unwrap_or(expiration))
}

/// Appends a record as one line, with its newline.
pub fn write_record(owner: &[u8], class: Class, rtype: RrType, ttl: u32, rdata: &[u8], out: &mut String) {
    let mut line = Columns::new(out);
    line.put(|text| name::write_text(owner, text));
    line.indent(TTL_COLUMN);
    line.put(|text| write!(text, "{ttl}").expect("writing to a String does not fail"));
    line.indent(0);
    line.put(|text| write!(text, "{class}").expect("writing to a String does not fail"));
    line.indent(0);
    line.put(|text| rdata::write_mnemonic(rtype, text));
    line.indent(RDATA_COLUMN);
    rdata::write_text(class, rtype, rdata, out);
    out.push('\n');
}

/// A line that knows its column.
pub(super) struct Columns<'a> {
    text: &'a mut String,
    at: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn new(text: &'a mut String) -> Columns<'a> {
        Columns { text, at: 0 }
    }

    pub(super) fn put(&mut self, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(self.text);
        self.at += self.text.len() - start;
    }

    /// Fills with tabs and then blanks up to a column, or to the next one if that is past.
    pub(super) fn indent(&mut self, column: usize) {
        let to = column.max(self.at + 1);
        let tabs = to / TAB_WIDTH - self.at / TAB_WIDTH;
        let from = if tabs > 0 { to / TAB_WIDTH * TAB_WIDTH } else { self.at };
        self.text.extend(std::iter::repeat_n('\t', tabs));
        self.text.extend(std::iter::repeat_n(' ', to - from));
        self.at = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_named_checkzone() {
        let check = |owner: &str, rtype, rdata: &[u8], expected: &str| {
            let mut out = String::new();
            let owner: crate::dns::Name = owner.parse().unwrap();
            write_record(owner.as_wire(), Class::IN, rtype, 3600, rdata, &mut out);
            assert_eq!(out, expected);
        };
        check("example.", RrType::A, &[1, 2, 3, 4], "example.\t\t\t\t      3600 IN A\t\t1.2.3.4\n");
        check(
            "a\\.b\\@\\$\\(\\009.example.",
            RrType::A,
            &[1, 2, 3, 4],
            "a\\.b\\@\\$\\(\\009.example.\t\t\t      3600 IN A\t\t1.2.3.4\n",
        );
        check(
            "example.",
            RrType::NSEC3PARAM,
            &[1, 0, 0, 10, 0],
            "example.\t\t\t\t      3600 IN NSEC3PARAM 1 0 10 -\n",
        );
        check(
            &format!("{}.", "a".repeat(60)),
            RrType::NS,
            b"\x00",
            &format!("{}. 3600 IN NS .\n", "a".repeat(60)),
        );
    }
}
