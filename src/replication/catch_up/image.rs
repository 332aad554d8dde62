//! A snapshot as a run of numbered chunks, and back.
//!
//! ```text
//! chunk = applied_index u64 | window | configuration | parts        octets = length u32, then as many
//! part  = 1 zone        id u64, loading u8, name, file digest, extra
//!       | 2 owners      id u64, count u32, each: the node as the zone store has it
//!       | 3 changesets  id u64, count u32, each: log index u64, changeset
//! digest of k chunks = SHA-256(digest of k - 1 chunks, chunk k)      of none: zeros
//! ```
//!
//! Zones come by ascending id, each with its owners in canonical order and then its journal, oldest first. Every chunk
//! is a [`Checkpoint`]: written one after the other to an empty zone store, they make it that of the snapshot.

use crate::dns::{Name, name};
use crate::replication::state_machine::Snapshot;
use crate::store::zones::{Checkpoint, ZoneRow};
use crate::zone::{Contents, PackedChangeset};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// About so many octets make a chunk; only a single part can be longer.
pub const CHUNK_BYTES: usize = 256 << 10;

const ZONE: u8 = 1;
const OWNERS: u8 = 2;
const CHANGESETS: u8 = 3;

/// Names one image of one node, as long as that node keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageId(pub u64);

/// What a run of chunks comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of one chunk more.
    #[must_use]
    pub fn with(self, chunk: &[u8]) -> Digest {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(chunk);
        Digest(hash.finalize().into())
    }
}

/// The state at one log index, ready to be sent.
pub struct Image {
    /// Its name.
    pub id: ImageId,
    chunk_bytes: usize,
    head: Checkpoint,
    zones: Vec<ImageZone>,
}

struct ImageZone {
    row: ZoneRow,
    contents: Contents,
    changesets: Vec<(u64, PackedChangeset)>,
}

/// Where the next chunk begins.
#[derive(Clone, Debug, Default)]
pub struct Position {
    begun: bool,
    zone: usize,
    part: Part,
}

#[derive(Clone, Debug, Default)]
enum Part {
    #[default]
    Row,
    /// From the apex, or from this owner.
    Owners(Option<Name>),
    Changesets(usize),
}

impl Image {
    /// Copies the journals out of their zones, so that the image stays what it is. `chunk_bytes` is [`CHUNK_BYTES`],
    /// except in tests.
    pub fn new(id: ImageId, snapshot: Snapshot, chunk_bytes: usize) -> Image {
        let zones = snapshot.zones.into_iter().map(|zone| {
            let changesets = zone.changesets();
            ImageZone { row: zone.row, contents: zone.contents, changesets }
        });
        Image { id, chunk_bytes, head: snapshot.head, zones: zones.collect() }
    }

    /// Entries below this index are contained.
    pub fn applied_index(&self) -> u64 {
        self.head.applied_index
    }

    /// How many records it holds.
    pub fn record_count(&self) -> u64 {
        self.zones.iter().map(|zone| zone.contents.record_count()).sum()
    }

    /// The chunk at a position, which moves on; `None` behind the last one.
    pub fn next_chunk(&self, position: &mut Position) -> Option<Vec<u8>> {
        if position.begun && position.zone >= self.zones.len() {
            return None;
        }
        position.begun = true;
        let mut chunk = Vec::with_capacity(self.chunk_bytes + (self.chunk_bytes >> 3));
        chunk.extend_from_slice(&self.head.applied_index.to_be_bytes());
        put_octets(&self.head.window, &mut chunk);
        put_octets(&self.head.configuration, &mut chunk);
        let bytes_max = chunk.len() + self.chunk_bytes;
        while let Some(zone) = self.zones.get(position.zone)
            && chunk.len() < bytes_max
        {
            match zone.put_part(&position.part, bytes_max, &mut chunk) {
                Some(part) => position.part = part,
                None => (position.zone, position.part) = (position.zone + 1, Part::Row),
            }
        }
        Some(chunk)
    }
}

impl ImageZone {
    /// Appends what fits; where it goes on, `None` behind the last part of this zone.
    fn put_part(&self, part: &Part, bytes_max: usize, chunk: &mut Vec<u8>) -> Option<Part> {
        match part {
            Part::Row => {
                chunk.push(ZONE);
                chunk.extend_from_slice(&self.row.id.to_be_bytes());
                chunk.push(u8::from(self.row.loading));
                put_octets(self.row.name.as_wire(), chunk);
                put_octets(&self.row.file_digest, chunk);
                put_octets(&self.row.extra, chunk);
                Some(Part::Owners(None))
            }
            Part::Owners(from) => {
                let mut nodes =
                    self.contents.nodes_from(from.as_ref().unwrap_or(self.contents.apex())).peekable();
                put_run(OWNERS, self.row.id, chunk, |chunk| {
                    let node = nodes.next_if(|_| chunk.len() < bytes_max)?;
                    put_with_length(chunk, |chunk| node.encode(chunk));
                    Some(())
                });
                Some(nodes.peek().map_or(Part::Changesets(0), |node| Part::Owners(Some(node.owner()))))
            }
            Part::Changesets(from) => {
                let mut changesets = self.changesets.iter().skip(*from).peekable();
                let count = put_run(CHANGESETS, self.row.id, chunk, |chunk| {
                    let (log_index, changeset) = changesets.next_if(|_| chunk.len() < bytes_max)?;
                    chunk.extend_from_slice(&log_index.to_be_bytes());
                    put_octets(changeset.bytes(), chunk);
                    Some(())
                });
                changesets.peek().map(|_| Part::Changesets(from + count))
            }
        }
    }
}

/// Appends a part that is a run of things, each appended by `next` until that gives `None`: how many there were.
fn put_run(
    kind: u8,
    id: u64,
    chunk: &mut Vec<u8>,
    mut next: impl FnMut(&mut Vec<u8>) -> Option<()>,
) -> usize {
    chunk.push(kind);
    chunk.extend_from_slice(&id.to_be_bytes());
    let at = chunk.len();
    chunk.extend_from_slice(&[0; 4]);
    let mut count = 0_u32;
    while next(chunk).is_some() {
        count += 1;
    }
    chunk[at..at + 4].copy_from_slice(&count.to_be_bytes());
    count as usize
}

fn put_octets(octets: &[u8], chunk: &mut Vec<u8>) {
    put_with_length(chunk, |chunk| chunk.extend_from_slice(octets));
}

fn put_with_length(chunk: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let at = chunk.len();
    chunk.extend_from_slice(&[0; 4]);
    put(chunk);
    let length = (chunk.len() - at - 4) as u32;
    chunk[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Reads a chunk; `None` = damaged.
pub fn decode(chunk: &[u8]) -> Option<Checkpoint> {
    let mut rest = chunk;
    let mut checkpoint = Checkpoint {
        applied_index: take_u64(&mut rest)?,
        window: take_octets(&mut rest)?.to_vec(),
        configuration: take_octets(&mut rest)?.to_vec(),
        ..Checkpoint::default()
    };
    while let Some((kind, behind)) = rest.split_first() {
        rest = behind;
        let id = take_u64(&mut rest)?;
        match *kind {
            ZONE => checkpoint.zones.push(ZoneRow {
                id,
                loading: match take::<1>(&mut rest)? {
                    [0] => false,
                    [1] => true,
                    _ => return None,
                },
                name: Name::from_wire(take_octets(&mut rest)?).ok()?,
                file_digest: take_octets(&mut rest)?.to_vec(),
                extra: take_octets(&mut rest)?.to_vec(),
            }),
            OWNERS => {
                for _ in 0..take_u32(&mut rest)? {
                    let node = take_octets(&mut rest)?;
                    let owner = node.get(..name::wire_len(node)?)?;
                    checkpoint.owners.push((id, name::canonical_key(owner), Some(node.to_vec())));
                }
            }
            CHANGESETS => {
                for _ in 0..take_u32(&mut rest)? {
                    let log_index = take_u64(&mut rest)?;
                    checkpoint.changesets.push((id, log_index, Arc::from(take_octets(&mut rest)?)));
                }
            }
            _ => return None,
        }
    }
    Some(checkpoint)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (octets, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*octets)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_be_bytes)
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_be_bytes)
}

fn take_octets<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_u32(rest)? as usize;
    let (octets, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(octets)
}
