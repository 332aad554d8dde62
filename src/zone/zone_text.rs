//! Zones and records written as text, for tests.

use super::Contents;
use crate::dns::rdata::{self, Token};
use crate::dns::{Class, Name, Record, RrType, Rrset};

/// A zone of one line per record, `owner ttl type rdata`; the first line is the SOA and names the apex.
/// Relative names end at the apex.
pub(crate) fn zone(text: &str) -> Contents {
    let apex: Name =
        text.split_whitespace().next().expect("a zone has records").parse().expect("an absolute apex");
    let mut builder = Contents::builder(apex.clone());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let record = record(&apex, &line.trim().replacen(' ', " IN ", 1));
        builder
            .push(record.owner.as_wire(), record.rtype, record.ttl, &record.rdata)
            .expect("inside of the zone");
    }
    builder.finish().expect("a zone with an SOA")
}

/// A record, `owner class ttl type rdata`; without rdata it is empty.
pub(crate) fn record(apex: &Name, text: &str) -> Record {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [owner, class, ttl, rtype, rdata @ ..] = words.as_slice() else { panic!("not a record: {text}") };
    let owner = Name::parse(owner.as_bytes(), Some(apex)).unwrap_or_else(|error| panic!("{error}: {text}"));
    let class = match *class {
        "IN" => Class::IN,
        "CH" => Class::CH,
        "NONE" => Class::NONE,
        "ANY" => Class::ANY,
        other => panic!("class {other}: {text}"),
    };
    let rtype = match *rtype {
        "ANY" => RrType::ANY,
        other => rdata::from_mnemonic(other.as_bytes()).unwrap_or_else(|| panic!("type {other}: {text}")),
    };
    let tokens: Vec<Token<'_>> = rdata
        .iter()
        .map(|word| match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
            Some(quoted) => Token { text: quoted.as_bytes(), quoted: true },
            None => Token { text: word.as_bytes(), quoted: false },
        })
        .collect();
    let mut wire = Vec::new();
    if !tokens.is_empty() {
        rdata::from_text(Class::IN, rtype, &tokens, apex, &mut wire)
            .unwrap_or_else(|error| panic!("{error}: {text}"));
    }
    let ttl = ttl.parse().unwrap_or_else(|_| panic!("TTL {ttl}: {text}"));
    Record { owner, rtype, class, ttl, rdata: wire.into() }
}

/// All records of a zone as lines in canonical order.
pub(crate) fn listing(contents: &Contents) -> Vec<String> {
    let rrsets = contents.nodes().flat_map(|node| node.rrsets().collect::<Vec<_>>());
    let mut lines = Vec::new();
    for Rrset { owner, rtype, ttl, rdatas } in rrsets {
        lines.extend(
            rdatas.into_iter().map(|rdata| Record::new(owner.clone(), rtype, ttl, rdata).to_string()),
        );
    }
    lines
}
