//! What the nodes propose: one small zone, and RFC 2136 updates of it whose outcome depends on their order.

use crate::harness::rng::Rng;
use crate::harness::wire::{self, Rr};
use std::collections::BTreeMap;
use std::sync::Arc;
use trimaran::dns::{Name, RrType};
use trimaran::replication::NodeId;
use trimaran::replication::command::{Batch, Command, EntryId, LoadId, WireName, pack_record};
use trimaran::replication::replica::Replica;

const ZONE: &str = "sim.example.";
const A: u16 = 1;
const SOA: u16 = 6;
const NS: u16 = 2;
const CNAME: u16 = 5;
const TXT: u16 = 16;
const ANY: u16 = 255;
const CLASS_NONE: u16 = 254;
const CLASS_ANY: u16 = 255;
/// Proposals a node has under way at most.
const PENDING_MAX: usize = 64;
/// Steps after which a proposal is made again under the same id.
const RETRY_STEPS: u64 = 150;

fn zone() -> WireName {
    WireName(Name::from_wire(&wire::name(ZONE)).expect("a name"))
}

/// Brings the zone into being; rejected when it is there already.
fn load(load: LoadId) -> Vec<Command> {
    let mut records = Vec::new();
    let mut soa = [wire::name("ns.sim.example."), wire::name("admin.sim.example.")].concat();
    // The serial starts just below the wrap of RFC 1982.
    soa.extend([u32::MAX - 20, 3600, 600, 86400, 60].into_iter().flat_map(u32::to_be_bytes));
    let apex = wire::name(ZONE);
    pack_record(&apex, RrType(SOA), 60, &soa, &mut records);
    pack_record(&apex, RrType(NS), 60, &wire::name("ns.sim.example."), &mut records);
    pack_record(&wire::name("ns.sim.example."), RrType(A), 60, &[192, 0, 2, 1], &mut records);
    vec![
        Command::BeginLoad { load, zone: zone(), file_digest: vec![1; 32] },
        Command::LoadRecords { load, records },
        Command::EndLoad { load, records: 3 },
    ]
}

/// An update of one of a dozen owners, often with a prerequisite that another update may have made true or
/// false.
fn update(rng: &mut Rng) -> Command {
    let owner = format!("host{}.{ZONE}", rng.below(12));
    let address = [192, 0, 2, rng.below(4) as u8];
    let prerequisites = match rng.below(6) {
        0 => vec![Rr::new(&owner, ANY, 0, &[]).with_class(CLASS_ANY)],
        1 => vec![Rr::new(&owner, ANY, 0, &[]).with_class(CLASS_NONE)],
        2 => vec![Rr::new(&owner, A, 0, &address)],
        3 => vec![Rr::new(&owner, A, 0, &[]).with_class(CLASS_NONE)],
        _ => Vec::new(),
    };
    let update = match rng.below(8) {
        0 => Rr::new(&owner, ANY, 0, &[]).with_class(CLASS_ANY),
        1 => Rr::new(&owner, A, 0, &[]).with_class(CLASS_ANY),
        2 => Rr::new(&owner, A, 0, &address).with_class(CLASS_NONE),
        3 => Rr::new(&owner, CNAME, 60, &wire::name(ZONE)),
        4 => Rr::new(&owner, TXT, 60, &[1, b'a' + rng.below(26) as u8]),
        _ => Rr::new(&owner, A, 60, &address),
    };
    Command::Update {
        zone: zone(),
        message: wire::update(rng.bits() as u16, ZONE, &prerequisites, &[update]),
    }
}

struct Pending {
    entry: Arc<[u8]>,
    /// When and in which leadership it was proposed last; `None` = it was given back.
    proposed: Option<(u64, u64)>,
}

/// The proposals of one process, retried until they are applied here.
pub(super) struct Proposals {
    node: NodeId,
    incarnation: u64,
    sequence: u64,
    pending: BTreeMap<u64, Pending>,
}

impl Proposals {
    pub(super) fn new(node: NodeId, incarnation: u64) -> Proposals {
        Proposals { node, incarnation, sequence: 0, pending: BTreeMap::new() }
    }

    /// Makes up the next entry: the zone first, then one to three updates at a time.
    pub(super) fn make(&mut self, now: u64, rng: &mut Rng) {
        if self.pending.len() >= PENDING_MAX {
            return;
        }
        self.sequence += 1;
        let commands = match self.sequence {
            1 => load(LoadId { node: self.node, nonce: self.incarnation }),
            _ => (0..=rng.below(3)).map(|_| update(rng)).collect(),
        };
        let id = EntryId { node: self.node, incarnation: self.incarnation, sequence: self.sequence };
        let entry = Batch { id, time_secs: now, commands }.encode();
        self.pending.insert(self.sequence, Pending { entry, proposed: None });
    }

    /// Proposes what was not proposed yet, was given back, or may have been lost.
    pub(super) fn propose(&mut self, replica: &mut Replica, now: u64) {
        let epoch = replica.leadership_epoch();
        for pending in self.pending.values_mut() {
            let under_way = pending
                .proposed
                .is_some_and(|(at, proposed_in)| proposed_in == epoch && now < at + RETRY_STEPS);
            if !under_way {
                pending.proposed = replica.propose(pending.entry.clone()).ok().map(|()| (now, epoch));
            }
        }
    }

    /// The entry was applied here for the first time: whether it is one of ours, and acknowledged by this.
    pub(super) fn acknowledge(&mut self, id: EntryId) -> bool {
        id.node == self.node
            && id.incarnation == self.incarnation
            && self.pending.remove(&id.sequence).is_some()
    }

    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }
}
