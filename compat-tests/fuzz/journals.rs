//! Journals of BIND, made from records of the corpus, and what must hold when they are read.

use std::sync::LazyLock;

use trimaran::dns::{Class, Name, RrType};
use trimaran::zone::Contents;
use trimaran::zonefile::journal_file::{Compaction, Failure, Heads, Journal, compact};
use trimaran::zonefile::{self, Arrival};

use super::inputs::zone_of;
use super::properties::{Work, lenient, scratch};
use crate::harness::rng::Rng;

const APEX: &[u8] = b"\x07example\0";
const HEADER_BYTES: usize = 64;

/// Zones that a journal may go with, by their serial.
static ZONES: LazyLock<[Contents; 2]> = LazyLock::new(|| {
    [1, 2].map(|serial| {
        let text = format!("$TTL 60\n@ SOA ns . {serial} 0 0 0 0\n@ NS ns\nns A 192.0.2.9\n");
        zone_of(text.as_bytes()).0.contents.expect("a zone")
    })
});

fn record(owner: &[u8], rtype: RrType, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rdata.len()).expect("RDATA is short");
    let fixed = [&rtype.0.to_be_bytes()[..], &[0, 1], &ttl.to_be_bytes(), &length.to_be_bytes()].concat();
    let octets = [owner, &fixed, rdata].concat();
    [&u32::try_from(octets.len()).expect("a record is short").to_be_bytes()[..], &octets].concat()
}

fn soa(serial: u32) -> Vec<u8> {
    let rdata = [b"\x02ns\x07example\0\0".as_slice(), &serial.to_be_bytes(), &[0; 16]].concat();
    record(APEX, RrType::SOA, 60, &rdata)
}

/// The records of some zone files, as they stand in a journal.
pub(super) fn records(texts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let apex: Name = "example.".parse().expect("a name");
    let mut records = Vec::new();
    for text in texts {
        let mut left: u32 = 50;
        zonefile::read_bytes(text, "f", &apex, &lenient(), |found| {
            left = left.saturating_sub(1);
            if left > 0 && found.rtype != RrType::SOA {
                records.push(record(found.owner, found.rtype, found.ttl, found.rdata));
            }
        });
    }
    records
}

/// A journal that starts with serial 1 or 2: of either version, some with heads of both.
pub(super) fn generate(rng: &mut Rng, records: &[Vec<u8>]) -> Vec<u8> {
    let is_v1 = rng.chance(40);
    let index_entries = *rng.pick(&[0, 1, 3, 56]);
    let mut bytes = if is_v1 { *b";BIND LOG V9\n\0\0\0" } else { *b";BIND LOG V9.2\n\0" }.to_vec();
    bytes.resize(HEADER_BYTES + 8 * index_entries, 0);
    let begin = (1 + rng.below(2)) as u32;
    let (mut serial, mut present, mut index) = (begin, Vec::new(), Vec::new());
    put(&mut bytes, 20, HEADER_BYTES + 8 * index_entries);
    for _ in 0..rng.below(6) {
        index.push((serial, bytes.len()));
        let next = serial + 1 + rng.below(2) as u32;
        let mut octets = soa(serial);
        let mut count = 2;
        for _ in 0..rng.below(4).min(present.len()) {
            octets.extend(present.swap_remove(rng.below(present.len())));
            count += 1;
        }
        octets.extend(soa(next));
        for _ in 0..rng.below(6) {
            let record = rng.pick(records).clone();
            octets.extend(&record);
            present.push(record);
            count += 1;
        }
        let size = u32::try_from(octets.len()).expect("a transaction is short");
        let has_count = !is_v1 || rng.chance(20);
        let head = [Some(size), has_count.then_some(count), Some(serial), Some(next)];
        bytes.extend(head.into_iter().flatten().flat_map(u32::to_be_bytes));
        if !has_count && rng.chance(10) {
            bytes.extend([0; 4]);
        }
        bytes.extend(octets);
        serial = next;
    }
    for (place, (serial, offset)) in index.into_iter().take(index_entries).enumerate() {
        put(&mut bytes, HEADER_BYTES + 8 * place, serial as usize);
        put(&mut bytes, HEADER_BYTES + 8 * place + 4, offset);
    }
    let end = bytes.len();
    for (at, number) in [(16, begin as usize), (24, serial as usize), (28, end), (32, index_entries)] {
        put(&mut bytes, at, number);
    }
    bytes[40] = u8::from(rng.chance(20));
    bytes
}

fn put(bytes: &mut [u8], at: usize, number: usize) {
    bytes[at..at + 4].copy_from_slice(&u32::try_from(number).expect("a journal is short").to_be_bytes());
}

/// What is shown of a journal.
fn printed(journal: &Journal, heads: Heads) -> (Result<(), Failure>, String) {
    let (mut journal, mut out) = (journal.clone(), Vec::new());
    let result = journal.print(heads, &mut out).expect("memory is written");
    (result, String::from_utf8_lossy(&out).into_owned())
}

/// Showing twice gives the same, and so does a journal that was written anew.
pub(super) fn check(input: &[u8]) -> Result<Work, String> {
    let work = Work { records: 0 };
    let Ok(mut journal) = Journal::from_bytes(input.to_vec(), "j".into(), &mut Vec::new()) else {
        return Ok(work);
    };
    let (result, text) = printed(&journal, Heads::Hidden);
    if printed(&journal, Heads::Hidden) != (result, text.clone()) {
        return Err("showing twice gives two outcomes".into());
    }
    let _ = printed(&journal, Heads::Shown);
    for zone in &*ZONES {
        let rolled = journal.clone().roll_forward(zone, Class::IN, &mut Arrival::default());
        let again = journal.roll_forward(zone, Class::IN, &mut Arrival::default());
        if rolled.map(|zone| zone.digest()) != again.map(|zone| zone.digest()) {
            return Err("rolling forward twice gives two zones".into());
        }
    }
    // BIND: forgets the source serial of a journal without transactions. What is written is synced, which takes long.
    if journal.is_empty() || !input.len().is_multiple_of(4) {
        return Ok(work);
    }
    for what in [Compaction::Upgrade, Compaction::Downgrade, Compaction::Before(2)] {
        let file = scratch(input);
        let written = compact(file.path(), what, &mut Vec::new());
        if written.is_err() || result.is_err() {
            continue;
        }
        let bytes = std::fs::read(file.path()).map_err(|error| error.to_string())?;
        let anew = Journal::from_bytes(bytes, "j".into(), &mut Vec::new());
        let anew = anew.map_err(|failure| format!("{what:?} writes what cannot be read: {failure}"))?;
        if what != Compaction::Before(2) && printed(&anew, Heads::Hidden) != (result, text.clone()) {
            let now = printed(&anew, Heads::Hidden).1;
            return Err(format!("{what:?} changes the journal from\n{text}to\n{now}"));
        }
    }
    Ok(work)
}
