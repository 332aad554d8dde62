//! A journal, written anew: without its oldest transactions, or in the other version.
//!
//! ```text
//! old.jnl ─► transactions to keep ─► old.jnw, synced ─► renamed to old.jnl
//! ```
//!
//! Invariant: the old file is whole until the new one is on the disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::{
    Failure, HEADER_BYTES, Head, HeadVersion, INDEX_ENTRY_BYTES, Journal, MAGIC_V1, MAGIC_V2, Position, be32,
    is_newer, with_ending,
};
use crate::zonefile::diagnostics::JournalMessage;

/// How many transactions the index of a new journal holds.
const INDEX_ENTRIES: usize = 56;
/// BIND: does not make a journal smaller than this.
const TARGET_BYTES: u64 = 4096;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compaction {
    /// Dropping what is older than this serial, as far as that is worth it.
    Before(u32),
    /// Writing all of it in version 2.
    Upgrade,
    /// Writing all of it in version 1, for BIND before 9.16.
    Downgrade,
}

/// Does it.
pub fn compact(path: &Path, what: Compaction, messages: &mut Vec<JournalMessage>) -> Result<(), Failure> {
    let mut journal = Journal::open(path, messages)?;
    let result = journal.compacted(what);
    messages.extend(journal.take_messages());
    let Some(bytes) = result? else { return Ok(()) };
    replace(path, &bytes).map_err(|_| Failure::Failed)
}

/// Writes beside the file, then takes its place.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = with_ending(path, ".jnw");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    });
    if written.is_err() {
        // Nothing more can be done about it.
        let _ = fs::remove_file(&new);
    }
    written
}

impl Journal {
    /// The octets of the new journal; `None` if there is nothing to do.
    fn compacted(&mut self, what: Compaction) -> Result<Option<Vec<u8>>, Failure> {
        let serial = match what {
            Compaction::Before(_) if self.is_empty() => return Ok(None),
            Compaction::Before(serial) => serial,
            Compaction::Upgrade | Compaction::Downgrade => self.begin.serial,
        };
        if is_newer(self.begin.serial, serial) || is_newer(serial, self.end.serial) {
            return Err(Failure::Range);
        }
        // Heads of version 1 are always replaced.
        let rewrites = self.is_v1 || !matches!(what, Compaction::Before(_));
        let old_data = (HEADER_BYTES + self.index.len() * INDEX_ENTRY_BYTES) as u64;
        let target = match TARGET_BYTES {
            target if target < 2 * old_data => target / 2 + old_data,
            target => target,
        };
        if !rewrites && self.end.offset < target {
            return Ok(None);
        }
        let first = self.oldest_kept(serial, target - old_data)?;
        let mut new = NewJournal::new(what == Compaction::Downgrade);
        if self.end.offset != first.offset {
            self.copy(first, rewrites, &mut new)?;
            (new.begin, new.end.serial) = (first.serial, self.end.serial);
            (new.source_serial, new.flags) = (self.source_serial, self.flags & super::SERIAL_SET);
            // BIND: finds the end by the serials.
            if new.last_serial != new.end.serial {
                return Err(Failure::NoMore);
            }
        }
        Ok(Some(new.into_bytes()))
    }

    /// The transaction at which about half of `target` octets are left, or the one that starts from `serial` if that
    /// comes before.
    fn oldest_kept(&mut self, serial: u32, target: u64) -> Result<Position, Failure> {
        let end = self.end;
        let fits = move |position: &Position, best: &Position| {
            let is_old = serial == position.serial || is_newer(serial, position.serial);
            let left = (end.offset as u32).wrapping_sub(position.offset as u32);
            is_old && u64::from(left) >= target / 2 && position.offset > best.offset
        };
        let mut best = self.begin;
        for entry in self.index.iter().filter(|entry| entry.offset != 0) {
            if fits(entry, &best) {
                best = *entry;
            }
        }
        let mut current = best;
        while current.serial != serial {
            current = self.next(current)?;
            if current.serial == end.serial || !fits(&current, &best) {
                break;
            }
            best = current;
        }
        if best.serial != serial { self.next(best) } else { Ok(best) }
    }

    fn copy(&mut self, first: Position, rewrites: bool, new: &mut NewJournal) -> Result<(), Failure> {
        self.seek(first.offset);
        let mut serial = first.serial;
        new.last_serial = serial;
        // BIND: counts down in 32 bits, and reads to the end of the file if that goes below zero.
        let mut left = self.end.offset.wrapping_sub(first.offset) as u32;
        while left > 0 {
            let start = self.at;
            let (head, delta) = match self.delta(serial, rewrites, left) {
                Err(Failure::NoMore) if rewrites && self.is_at_end() => break,
                result => result?,
            };
            new.push(head, &delta);
            serial = head.to;
            left = left.wrapping_sub(self.at.wrapping_sub(start) as u32);
        }
        Ok(())
    }

    /// Whether not even a head could be read.
    fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len() as u64
    }

    /// The head of a transaction, which must not be larger than what is left.
    fn bounded_head(&mut self, left: u32) -> Result<Head, Failure> {
        let head = self.read_head()?;
        if head.size > left {
            self.messages.push(JournalMessage::TransactionTooLarge { file: self.shown.clone() });
            return Err(Failure::Unexpected);
        }
        Ok(head)
    }

    /// A transaction and its octets, whatever version its head is of.
    fn delta(&mut self, serial: u32, rewrites: bool, left: u32) -> Result<(Head, Vec<u8>), Failure> {
        let start = self.at;
        let mut head = self.bounded_head(left)?;
        let mut delta = self.take(u64::from(head.size)).map(<[u8]>::to_vec);
        if rewrites && !delta.as_ref().is_ok_and(|delta| record_count(delta).is_some()) {
            // The head may be of the other version.
            self.heads = match self.heads {
                HeadVersion::V1 => HeadVersion::V2,
                HeadVersion::V2 => HeadVersion::V1,
            };
            self.seek(start);
            head = self.bounded_head(left)?;
            delta = Ok(self.take(u64::from(head.size))?.to_vec());
        }
        let delta = delta?;
        let count = record_count(&delta).ok_or(Failure::Unexpected)?;
        if rewrites {
            let is_shifted = head.count == serial && head.to == 0 && is_newer(head.from, head.count);
            if self.heads == HeadVersion::V2 && is_shifted {
                // BIND: has written heads of version 1 with four octets of zeros behind.
                head = Head { from: head.count, to: head.from, ..head };
            }
            head.count = count;
        }
        if !head.follows(serial) {
            return Err(Failure::Unexpected);
        }
        Ok((head, delta))
    }
}

/// How many records there are; `None` if the octets are not records.
fn record_count(delta: &[u8]) -> Option<u32> {
    let (mut rest, mut count) = (delta, 0);
    while !rest.is_empty() {
        let size = be32(rest.first_chunk::<4>()?, 0);
        if size < *super::RECORD_BYTES.start() {
            return None;
        }
        rest = rest[4..].get(usize::try_from(size).ok()?..)?;
        count += 1;
    }
    Some(count)
}

/// A journal under construction.
struct NewJournal {
    is_v1: bool,
    begin: u32,
    end: Position,
    source_serial: u32,
    flags: u8,
    last_serial: u32,
    index: Vec<Position>,
    data: Vec<u8>,
}

impl NewJournal {
    const DATA: usize = HEADER_BYTES + INDEX_ENTRIES * INDEX_ENTRY_BYTES;

    fn new(is_v1: bool) -> NewJournal {
        NewJournal {
            is_v1,
            begin: 0,
            end: Position::default(),
            source_serial: 0,
            flags: 0,
            last_serial: 0,
            index: Vec::new(),
            data: Vec::new(),
        }
    }

    fn push(&mut self, head: Head, delta: &[u8]) {
        if self.index.len() == INDEX_ENTRIES {
            // Every other entry makes room for new ones: the index is finest where it is needed most.
            let mut number = 0;
            self.index.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
        let offset = (NewJournal::DATA + self.data.len()) as u64;
        self.index.push(Position { serial: head.from, offset });
        let count = (!self.is_v1).then_some(head.count);
        for number in [Some(head.size), count, Some(head.from), Some(head.to)].into_iter().flatten() {
            self.data.extend_from_slice(&number.to_be_bytes());
        }
        self.data.extend_from_slice(delta);
        self.last_serial = head.to;
    }

    fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(NewJournal::DATA + self.data.len());
        bytes.extend_from_slice(if self.is_v1 { MAGIC_V1 } else { MAGIC_V2 });
        let (begin, end) = match self.data.len() {
            0 => (0, 0),
            octets => (NewJournal::DATA as u32, (NewJournal::DATA + octets) as u32),
        };
        for number in [self.begin, begin, self.end.serial, end, INDEX_ENTRIES as u32, self.source_serial] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.push(self.flags);
        bytes.resize(HEADER_BYTES, 0);
        for entry in &self.index {
            bytes.extend_from_slice(&entry.serial.to_be_bytes());
            bytes.extend_from_slice(&(entry.offset as u32).to_be_bytes());
        }
        bytes.resize(NewJournal::DATA, 0);
        bytes.extend_from_slice(&self.data);
        bytes
    }
}
