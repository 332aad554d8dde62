//! What the log carries: requests, not results.
//!
//! ```text
//! entry = Batch { id, time, commands }      id = (node, incarnation, sequence): applied at most once
//! command = Update | BeginLoad | LoadRecords | EndLoad | RemoveZone | Barrier
//!         | Reconfigure | RegisterStore | IssueToken | Join
//! ```
//!
//! A node packs the commands that wait in one turn of its driver into one entry; the SOA serial of a zone
//! moves once per entry. Everything an evaluation depends on is in the entry: nothing below reads a clock.

use super::NodeId;
use super::configuration::{Change, Refusal, TokenDigest};
use crate::dns::{Name, Rcode, RrType, name};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Most bytes of one encoded entry; a single larger command travels alone.
pub const ENTRY_BYTES_MAX: usize = 256 * 1024;
/// Most commands in one entry.
pub const ENTRY_COMMANDS_MAX: usize = 512;

/// Names an entry for ever: a repeat is dropped by every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntryId {
    /// The node that proposed it.
    pub node: NodeId,
    /// The start of that node's process it belongs to; grows with every start.
    pub incarnation: u64,
    /// Counts the entries of that incarnation from 1.
    pub sequence: u64,
}

/// Names a zone load in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LoadId {
    /// The node that loads.
    pub node: NodeId,
    /// Random.
    pub nonce: u64,
}

/// A request to the replicated state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// RFC 2136, already authorised by the node that took it.
    Update {
        /// The zone of the zone section, in wire format.
        zone: WireName,
        /// The UPDATE message as received, TSIG and all; prerequisites and updates are taken from it in apply.
        message: Vec<u8>,
    },
    /// Starts filling a zone that does not exist yet (or `replace`s one that does).
    BeginLoad {
        /// Names the load.
        load: LoadId,
        /// The apex in wire format.
        zone: WireName,
        /// Digest of the zone file.
        file_digest: Vec<u8>,
    },
    /// Records of a load: repeated owner, type, TTL, RDATA length, RDATA, packed by [`pack_record`].
    LoadRecords {
        /// The load.
        load: LoadId,
        /// Packed records.
        records: Vec<u8>,
    },
    /// Ends a load: the zone is served from here on.
    EndLoad {
        /// The load.
        load: LoadId,
        /// How many records were sent; a different count on arrival fails the load.
        records: u64,
    },
    /// Takes a zone away.
    RemoveZone {
        /// The apex in wire format.
        zone: WireName,
    },
    /// Changes nothing: once it is applied here, everything decided before it is applied too.
    Barrier,
    /// Changes who votes or learns.
    Reconfigure {
        /// The id of the configuration that the change was made for.
        configuration: u32,
        /// What changes.
        change: Change,
    },
    /// Ties a member to its directory, once.
    RegisterStore {
        /// The member.
        node: NodeId,
        /// Its directory.
        store_id: u64,
    },
    /// Lets whoever knows the preimage of `digest` join, once.
    IssueToken {
        /// SHA-256 of what the token holds.
        digest: TokenDigest,
        /// Unix seconds from which on it is worth nothing.
        expires_secs: u64,
        /// The member whose place the joiner takes.
        replaces: Option<NodeId>,
    },
    /// Uses a token: a new learner.
    Join {
        /// Of the token.
        digest: TokenDigest,
        /// The joiner's directory.
        store_id: u64,
        /// Where it listens for the others.
        address: SocketAddr,
    },
}

/// What applying a command gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The rcode of an update.
    Updated(Rcode),
    /// A load step, removal or barrier took effect.
    Done,
    /// The zone exists already (BeginLoad), or the load was given up or superseded.
    Rejected,
    /// The configuration has changed; the node that this was about.
    Configured(NodeId),
    /// The configuration has not changed.
    Refused(Refusal),
    /// Not decided before its deadline: what becomes of it is unknown.
    Expired,
}

/// A domain name as uncompressed wire bytes, checked when it is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WireName(pub Name);

impl Serialize for WireName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_wire().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WireName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<WireName, D::Error> {
        let wire = Vec::<u8>::deserialize(deserializer)?;
        Name::from_wire(&wire).map(WireName).map_err(serde::de::Error::custom)
    }
}

/// One log entry: the commands of one driver turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its id.
    pub id: EntryId,
    /// Unix seconds at the proposing node.
    pub time_secs: u64,
    /// The commands, evaluated in this order.
    pub commands: Vec<Command>,
}

impl Batch {
    /// The bytes of the entry.
    pub fn encode(&self) -> std::sync::Arc<[u8]> {
        postcard::to_stdvec(self).expect("a batch always encodes").into()
    }

    /// Reads an entry; `None` = malformed, which stops the process: the log holds only what we wrote.
    pub fn decode(bytes: &[u8]) -> Option<Batch> {
        postcard::from_bytes(bytes).ok()
    }
}

/// Appends a record to the payload of [`Command::LoadRecords`].
pub fn pack_record(owner_wire: &[u8], rtype: RrType, ttl: u32, rdata: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(owner_wire);
    out.extend_from_slice(&rtype.0.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    out.extend_from_slice(rdata);
}

/// A record of a load, borrowed from the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedRecord<'a> {
    /// The owner in uncompressed wire format.
    pub owner: &'a [u8],
    /// The RR type.
    pub rtype: RrType,
    /// Time to live in seconds.
    pub ttl: u32,
    /// RDATA, uncompressed.
    pub rdata: &'a [u8],
}

/// Takes the first record off `rest`; `None` = malformed, or nothing left.
pub fn unpack_record<'a>(rest: &mut &'a [u8]) -> Option<PackedRecord<'a>> {
    let (owner, tail) = rest.split_at_checked(name::wire_len(rest)?)?;
    let (fixed, tail) = tail.split_first_chunk::<8>()?;
    let [t0, t1, l0, l1, l2, l3, n0, n1] = *fixed;
    let (rdata, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes([n0, n1])))?;
    *rest = tail;
    let rtype = RrType(u16::from_be_bytes([t0, t1]));
    Some(PackedRecord { owner, rtype, ttl: u32::from_be_bytes([l0, l1, l2, l3]), rdata })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_survives_its_encoding() {
        let zone = WireName("example.com.".parse().unwrap());
        let load = LoadId { node: 2, nonce: 9 };
        let batch = Batch {
            id: EntryId { node: 1, incarnation: 2, sequence: 3 },
            time_secs: 1_700_000_000,
            commands: vec![
                Command::Update { zone: zone.clone(), message: vec![1, 2, 3] },
                Command::BeginLoad { load, zone: zone.clone(), file_digest: vec![7; 32] },
                Command::LoadRecords { load, records: vec![] },
                Command::EndLoad { load, records: 0 },
                Command::RemoveZone { zone },
                Command::Barrier,
                Command::Reconfigure { configuration: 3, change: Change::Remove { node: 2 } },
                Command::RegisterStore { node: 2, store_id: u64::MAX },
                Command::IssueToken { digest: [7; 32], expires_secs: 9, replaces: Some(2) },
                Command::Join {
                    digest: [7; 32],
                    store_id: 1,
                    address: SocketAddr::from(([127, 0, 0, 1], 5300)),
                },
            ],
        };
        assert_eq!(Batch::decode(&batch.encode()), Some(batch));
    }

    #[test]
    fn damaged_bytes_are_no_batch() {
        let batch = Batch {
            id: EntryId { node: 1, incarnation: 2, sequence: 3 },
            time_secs: 0,
            commands: vec![Command::RemoveZone { zone: WireName(Name::root()) }],
        };
        let bytes = batch.encode();
        assert_eq!(Batch::decode(&bytes[..bytes.len() - 1]), None);
        // The length octet of the root name becomes a label that never ends.
        let mut damaged = bytes.to_vec();
        *damaged.last_mut().unwrap() = 9;
        assert_eq!(Batch::decode(&damaged), None);
    }

    #[test]
    fn packed_records_come_back_until_the_bytes_are_damaged() {
        let mut packed = Vec::new();
        pack_record(b"\x01a\x00", RrType::A, 300, &[192, 0, 2, 1], &mut packed);
        pack_record(b"\x00", RrType::TXT, 0, b"", &mut packed);
        let mut rest = packed.as_slice();
        let first = unpack_record(&mut rest).unwrap();
        assert_eq!(
            (first.owner, first.rtype, first.ttl, first.rdata),
            (&b"\x01a\x00"[..], RrType::A, 300, &[192, 0, 2, 1][..])
        );
        assert_eq!(unpack_record(&mut rest).unwrap().rtype, RrType::TXT);
        assert_eq!(unpack_record(&mut rest), None);
        for cut in 1..packed.len() {
            let mut rest = &packed[..cut];
            while unpack_record(&mut rest).is_some() {}
        }
    }
}
