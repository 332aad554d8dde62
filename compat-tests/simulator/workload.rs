//! What clients ask for, as commands of the log.
//!
//! One zone holds the registers and is never removed; the others come, are changed, replaced and go. Every update
//! ends with a number of its own, in the additional section where nothing looks, so that it is recognised in the log.

use crate::harness::rng::Rng;
use crate::harness::wire::{self, Rr};
use std::sync::LazyLock;
use trimaran::dns::{Name, RrType};
use trimaran::replication::command::{Command, LoadId, WireName, pack_record};

/// The zone of the registers.
pub(super) const REGISTERS: &str = "sim.example.";
/// Zones that come and go.
pub(super) const OTHERS: [&str; 3] = ["one.example.", "two.example.", "three.example."];

pub(super) const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
pub(super) const TXT: u16 = 16;
pub(super) const ANY: u16 = 255;
pub(super) const CLASS_NONE: u16 = 254;
pub(super) const CLASS_ANY: u16 = 255;

/// Names an operation of a client for ever.
pub(super) type OperationId = u64;

/// Its apex.
pub(super) static REGISTERS_APEX: LazyLock<Name> = LazyLock::new(|| apex(REGISTERS));

fn apex(zone: &str) -> Name {
    Name::from_wire(&wire::name(zone)).expect("a name")
}

/// The commands that bring a zone into being, in their order; rejected when it is there already.
pub(super) fn load(zone: &str, load: LoadId) -> Vec<Command> {
    let ns = format!("ns.{zone}");
    let mut soa = [wire::name(&ns), wire::name(&format!("admin.{zone}"))].concat();
    // The serial starts just below the wrap of RFC 1982.
    soa.extend([u32::MAX - 20, 3600, 600, 86400, 60].into_iter().flat_map(u32::to_be_bytes));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    pack_record(&wire::name(zone), RrType(SOA), 60, &soa, &mut first);
    pack_record(&wire::name(zone), RrType(NS), 60, &wire::name(&ns), &mut first);
    pack_record(&wire::name(&ns), RrType(A), 60, &[192, 0, 2, 1], &mut second);
    vec![
        Command::BeginLoad { load, zone: WireName(apex(zone)), file_digest: vec![1; 32] },
        Command::LoadRecords { load, records: first },
        Command::LoadRecords { load, records: second },
        Command::EndLoad { load, records: 3 },
    ]
}

pub(super) fn remove(zone: &str) -> Command {
    Command::RemoveZone { zone: WireName(apex(zone)) }
}

/// An update under a number of its own.
pub(super) fn update(id: OperationId, zone: &str, prerequisites: &[Rr], updates: &[Rr]) -> Command {
    let mut message = wire::update(id as u16, zone, prerequisites, updates);
    // One record in the additional section: the root's TXT with the number as its text.
    message[11] = 1;
    message.extend([0, 0, TXT as u8, 0, 1, 0, 0, 0, 0, 0, 9, 8]);
    message.extend(id.to_be_bytes());
    Command::Update { zone: WireName(apex(zone)), message }
}

/// The number of an update.
pub(super) fn operation_of(command: &Command) -> Option<OperationId> {
    let Command::Update { message, .. } = command else { return None };
    message.last_chunk().map(|octets| u64::from_be_bytes(*octets))
}

/// An update of one of a dozen owners, often with a prerequisite that another update may have made true or
/// false.
pub(super) fn any_update(id: OperationId, zone: &str, rng: &mut Rng) -> Command {
    let owner = format!("host{}.{zone}", rng.below(12));
    let address = [192, 0, 2, rng.below(4) as u8];
    let prerequisites = match rng.below(6) {
        0 => vec![Rr::new(&owner, ANY, 0, &[]).with_class(CLASS_ANY)],
        1 => vec![Rr::new(&owner, ANY, 0, &[]).with_class(CLASS_NONE)],
        2 => vec![Rr::new(&owner, A, 0, &address)],
        3 => vec![Rr::new(&owner, A, 0, &[]).with_class(CLASS_NONE)],
        _ => Vec::new(),
    };
    let update_of = match rng.below(8) {
        0 => Rr::new(&owner, ANY, 0, &[]).with_class(CLASS_ANY),
        1 => Rr::new(&owner, A, 0, &[]).with_class(CLASS_ANY),
        2 => Rr::new(&owner, A, 0, &address).with_class(CLASS_NONE),
        3 => Rr::new(&owner, CNAME, 60, &wire::name(zone)),
        4 => Rr::new(&owner, TXT, 60, &[1, b'a' + rng.below(26) as u8]),
        _ => Rr::new(&owner, A, 60, &address),
    };
    update(id, zone, &prerequisites, &[update_of])
}
