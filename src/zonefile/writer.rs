//! Records to text: the dump that `named-checkzone -D` makes, in its `full` style.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::dns::{RrType, name, rdata};
use crate::zone::Contents;

/// Where TTL and RDATA begin in a line, counted with tab stops every eight.
const TTL_COLUMN: usize = 46;
const RDATA_COLUMN: usize = 64;

/// Writes every record on one line of its own, owners in canonical order, SOA and NS before other types.
pub fn write_zone(contents: &Contents, out: &mut impl Write) -> io::Result<()> {
    let mut text = String::new();
    for node in contents.nodes() {
        let mut rrsets: Vec<_> = node.rrsets().collect();
        rrsets.sort_by_key(|rrset| order(rrset.rtype, rrset.rdatas.first().map_or(&[], |rdata| rdata)));
        for rrset in rrsets {
            for rdata in &rrset.rdatas {
                text.clear();
                write_record(rrset.owner.as_wire(), rrset.rtype, rrset.ttl, rdata, &mut text);
                out.write_all(text.as_bytes())?;
            }
        }
    }
    Ok(())
}

/// Signatures stand behind what they sign.
fn order(rtype: RrType, first_rdata: &[u8]) -> (u32, bool) {
    let (sorted_by, is_signature) = match (rtype, first_rdata) {
        (RrType::RRSIG, &[high, low, ..]) => (RrType(u16::from_be_bytes([high, low])), true),
        _ => (rtype, false),
    };
    let place = match sorted_by {
        RrType::SOA => 0,
        RrType::NS => 1,
        other => u32::from(other.0) + 2,
    };
    (place, is_signature)
}

/// Appends a record as one line, with its newline.
pub fn write_record(owner: &[u8], rtype: RrType, ttl: u32, rdata: &[u8], out: &mut String) {
    let start = out.len();
    name::write_text(owner, out);
    let column = pad(out.len() - start, TTL_COLUMN, out);
    let start = out.len();
    write!(out, "{ttl} IN {rtype}").expect("writing to a String does not fail");
    pad(column + out.len() - start, RDATA_COLUMN, out);
    rdata::write_text(rtype, rdata, out);
    out.push('\n');
}

/// Fills with tabs and then blanks from one column to another, with one blank at least; returns where it ends.
fn pad(from: usize, to: usize, out: &mut String) -> usize {
    if from >= to {
        out.push(' ');
        return from + 1;
    }
    let mut at = from;
    while at / 8 < to / 8 {
        out.push('\t');
        at = (at / 8 + 1) * 8;
    }
    for _ in at..to {
        out.push(' ');
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_named_checkzone() {
        let check = |owner: &str, rtype, rdata: &[u8], expected: &str| {
            let mut out = String::new();
            let owner: crate::dns::Name = owner.parse().unwrap();
            write_record(owner.as_wire(), rtype, 3600, rdata, &mut out);
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
