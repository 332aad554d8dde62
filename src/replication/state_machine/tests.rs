//! What commands do to the state, and what a checkpoint restores.

use super::*;
use crate::dns::message::Header;
use crate::dns::wire::{Section, Writer};
use crate::dns::{Class, Opcode, Record, RrType};
use crate::replication::command::{EntryId, WireName, pack_record};
use crate::replication::configuration::Change;

const LOAD: LoadId = LoadId { node: 1, nonce: 42 };

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn soa_rdata(serial: u32) -> Vec<u8> {
    let mut rdata = b"\x02ns\x07example\x00\x05admin\x07example\x00".to_vec();
    for number in [serial, 7200, 3600, 1_209_600, 300] {
        rdata.extend_from_slice(&u32::to_be_bytes(number));
    }
    rdata
}

fn packed_zone() -> (Vec<u8>, u64) {
    let mut packed = Vec::new();
    let apex = name("example.");
    pack_record(apex.as_wire(), RrType::SOA, 3600, &soa_rdata(10), &mut packed);
    pack_record(apex.as_wire(), RrType::NS, 3600, b"\x02ns\x07example\x00", &mut packed);
    pack_record(name("ns.example.").as_wire(), RrType::A, 3600, &[192, 0, 2, 1], &mut packed);
    (packed, 3)
}

fn add(owner: &str, address: [u8; 4]) -> Record {
    Record::new(name(owner), RrType::A, 60, address)
}

fn update(prerequisites: &[Record], updates: &[Record]) -> Command {
    let mut writer = Writer::new(65535);
    writer.question(&name("example."), RrType::SOA, Class::IN).unwrap();
    prerequisites.iter().for_each(|record| writer.push(Section::Answer, record).unwrap());
    updates.iter().for_each(|record| writer.push(Section::Authority, record).unwrap());
    let message = writer.finish(&Header::request(7, Opcode::UPDATE));
    Command::Update { zone: WireName(name("example.")), message }
}

/// A state machine with the log index and entry ids counted for it.
struct Bench {
    machine: StateMachine,
    sequence: u64,
}

impl Bench {
    fn new() -> Bench {
        let machine = StateMachine::new(Zones::default(), first(), Limits::default(), Box::new(|_| {}));
        Bench { machine, sequence: 0 }
    }

    fn loaded() -> Bench {
        let mut bench = Bench::new();
        let (records, count) = packed_zone();
        let zone = WireName(name("example."));
        let outcomes = bench.entry(vec![
            Command::BeginLoad { load: LOAD, zone, file_digest: vec![1] },
            Command::LoadRecords { load: LOAD, records },
            Command::EndLoad { load: LOAD, records: count },
        ]);
        assert_eq!(outcomes, Some(vec![Outcome::Done; 3]));
        bench
    }

    fn entry(&mut self, commands: Vec<Command>) -> Option<Vec<Outcome>> {
        self.sequence += 1;
        self.repeat(commands)
    }

    fn repeat(&mut self, commands: Vec<Command>) -> Option<Vec<Outcome>> {
        let id = EntryId { node: 1, incarnation: 1, sequence: self.sequence };
        self.machine.apply(self.machine.applied_index(), &Batch { id, time_secs: 0, commands })
    }

    fn zone(&self) -> Arc<Zone> {
        Arc::clone(self.machine.zones().load().get(&name("example.")).unwrap())
    }

    fn serial(&self) -> u32 {
        self.zone().contents().unwrap().serial()
    }
}

#[test]
fn a_loaded_zone_is_served_and_a_second_load_is_rejected() {
    let mut bench = Bench::loaded();
    assert_eq!((bench.serial(), bench.zone().contents().unwrap().record_count()), (10, 3));
    let begin = Command::BeginLoad { load: LOAD, zone: WireName(name("example.")), file_digest: vec![] };
    assert_eq!(bench.entry(vec![begin]), Some(vec![Outcome::Rejected]));
}

#[test]
fn a_load_that_lacks_records_serves_nothing() {
    let mut bench = Bench::new();
    let (records, count) = packed_zone();
    let zone = WireName(name("example."));
    let outcomes = bench.entry(vec![
        Command::BeginLoad { load: LOAD, zone, file_digest: vec![] },
        Command::LoadRecords { load: LOAD, records },
        Command::EndLoad { load: LOAD, records: count + 1 },
    ]);
    assert_eq!(outcomes.unwrap()[2], Outcome::Rejected);
    assert!(bench.machine.zones().load().is_empty());
}

#[test]
fn zones_that_one_entry_creates_are_kept_apart() {
    let mut bench = Bench::loaded();
    let begin = |node, zone: &str| Command::BeginLoad {
        load: LoadId { node, nonce: 1 },
        zone: WireName(name(zone)),
        file_digest: vec![],
    };
    let remove = Command::RemoveZone { zone: WireName(name("example.")) };
    bench.machine.take_checkpoint();
    let commands =
        vec![begin(1, "one."), begin(2, "two."), remove, begin(3, "example."), begin(4, "example.")];
    assert_eq!(bench.entry(commands), Some(vec![Outcome::Done; 5]));
    let checkpoint = bench.machine.take_checkpoint().unwrap();
    let kept: Vec<&Name> = checkpoint.zones.iter().map(|row| &row.name).collect();
    assert_eq!(kept, [&name("one."), &name("two."), &name("example.")]);
    assert_eq!(checkpoint.dropped_zones.len(), 2, "the served one, and the load that was superseded");
    assert!(checkpoint.zones.iter().all(|row| !checkpoint.dropped_zones.contains(&row.id)));
}

#[test]
fn an_abandoned_load_makes_room_for_the_next() {
    let mut bench = Bench::new();
    let (records, count) = packed_zone();
    let begin = |load| Command::BeginLoad { load, zone: WireName(name("example.")), file_digest: vec![] };
    let second = LoadId { node: 2, nonce: 1 };
    bench.entry(vec![begin(LOAD), Command::LoadRecords { load: LOAD, records: records.clone() }]);
    bench.entry(vec![begin(second), Command::LoadRecords { load: second, records }]);
    let end = |load| Command::EndLoad { load, records: count };
    assert_eq!(bench.entry(vec![end(LOAD), end(second)]), Some(vec![Outcome::Rejected, Outcome::Done]));
    let checkpoint = bench.machine.take_checkpoint().unwrap();
    assert_eq!((checkpoint.zones.len(), checkpoint.dropped_zones.len()), (1, 1));
    assert!(checkpoint.owners.iter().all(|(zone, _, _)| *zone == checkpoint.zones[0].id));
}

#[test]
fn all_updates_of_an_entry_move_the_serial_once() {
    let mut bench = Bench::loaded();
    let outcomes = bench.entry(vec![
        update(&[], &[add("a.example.", [192, 0, 2, 2])]),
        update(&[], &[add("b.example.", [192, 0, 2, 3])]),
    ]);
    assert_eq!(outcomes, Some(vec![Outcome::Updated(Rcode::NOERROR); 2]));
    assert_eq!(bench.serial(), 11);
    let (_, changesets) = bench.zone().since(10).unwrap();
    assert_eq!(changesets.unwrap().len(), 1);
}

#[test]
fn a_repeated_entry_changes_nothing() {
    let mut bench = Bench::loaded();
    let commands = vec![update(&[], &[add("a.example.", [192, 0, 2, 2])])];
    bench.entry(commands.clone());
    assert_eq!(bench.repeat(commands), None);
    assert_eq!(bench.serial(), 11);
}

#[test]
fn a_failed_prerequisite_and_a_foreign_zone_change_nothing() {
    let mut bench = Bench::loaded();
    let digest = bench.zone().contents().unwrap().digest();
    let exists = Record { class: Class::ANY, ..Record::new(name("no.example."), RrType::ANY, 0, []) };
    let foreign = Command::Update { zone: WireName(name("other.")), message: vec![0; 12] };
    let damaged = Command::Update { zone: WireName(name("example.")), message: vec![1, 2, 3] };
    let outcomes =
        bench.entry(vec![update(&[exists], &[add("a.example.", [1, 2, 3, 4])]), foreign, damaged]).unwrap();
    assert_eq!(outcomes, [Rcode::NXDOMAIN, Rcode::NOTAUTH, Rcode::FORMERR].map(Outcome::Updated).to_vec());
    assert_eq!((bench.serial(), bench.zone().contents().unwrap().digest()), (10, digest));
}

#[test]
fn the_checkpoint_restores_the_same_state() {
    let mut bench = Bench::loaded();
    bench.entry(vec![update(&[], &[add("a.example.", [192, 0, 2, 2]), add("a.b.example.", [192, 0, 2, 9])])]);
    let gone = Record { class: Class::ANY, ..Record::new(name("a.b.example."), RrType::ANY, 0, []) };
    bench.entry(vec![update(&[], &[gone])]);
    let checkpoint = bench.machine.take_checkpoint().unwrap();
    assert!(bench.machine.take_checkpoint().is_none(), "nothing was applied since");

    let mut restored = StateMachine::new(Zones::default(), first(), Limits::default(), Box::new(|_| {}));
    restored.restore(checkpoint.applied_index, &checkpoint.window, &checkpoint.configuration).unwrap();
    let mut builder = Contents::builder(name("example."));
    for (_, _, row) in checkpoint.owners {
        assert!(row.is_none_or(|row| builder.push_encoded(&row)));
    }
    let changesets = checkpoint
        .changesets
        .iter()
        .map(|(_, index, bytes)| (*index, PackedChangeset::from_bytes(bytes).unwrap()));
    restored
        .restore_zone(checkpoint.zones[0].clone(), builder.finish().unwrap(), changesets.collect())
        .unwrap();
    let zone = Arc::clone(restored.zones().load().get(&name("example.")).unwrap());
    assert_eq!(zone.contents().unwrap().digest(), bench.zone().contents().unwrap().digest());
    assert_eq!(zone.since(10).unwrap().1.unwrap().len(), 2);
    let repeat = EntryId { node: 1, incarnation: 1, sequence: bench.sequence };
    let batch = Batch { id: repeat, time_secs: 0, commands: vec![Command::Barrier] };
    assert_eq!(restored.apply(checkpoint.applied_index, &batch), None);
}

#[test]
fn a_removed_zone_is_gone_from_table_and_store() {
    let mut bench = Bench::loaded();
    bench.machine.take_checkpoint();
    let remove = Command::RemoveZone { zone: WireName(name("example.")) };
    let outcomes = bench.entry(vec![update(&[], &[add("a.example.", [1, 2, 3, 4])]), remove.clone(), remove]);
    assert_eq!(outcomes.unwrap()[1..], [Outcome::Done, Outcome::Rejected]);
    assert!(bench.machine.zones().load().is_empty());
    let checkpoint = bench.machine.take_checkpoint().unwrap();
    assert_eq!((checkpoint.dropped_zones.len(), checkpoint.owners.len()), (1, 0));
}

#[test]
fn the_stored_journal_is_bounded_in_octets() {
    let mut bench = Bench::loaded();
    bench.machine.limits.journal_bytes_default = 2000;
    for i in 0..50 {
        bench.entry(vec![update(&[], &[add("a.example.", [192, 0, 2, i])])]);
    }
    let checkpoint = bench.machine.take_checkpoint().unwrap();
    let floor = checkpoint.journal_floor[0].1;
    let kept = checkpoint.changesets.iter().filter(|(_, index, _)| *index >= floor).count();
    assert!((1..50).contains(&kept), "{kept} changesets kept");
}

fn first() -> Configuration {
    Configuration::first([(1, std::net::SocketAddr::from(([127, 0, 0, 1], 53)))])
}

#[test]
fn changes_of_the_configuration_are_part_of_the_state() {
    let mut bench = Bench::new();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 54));
    let outcomes = bench.entry(vec![
        Command::IssueToken { digest: [1; 32], expires_secs: u64::MAX, replaces: None },
        Command::Join { digest: [1; 32], store_id: 9, address },
        Command::RegisterStore { node: 1, store_id: 9 },
        Command::RegisterStore { node: 1, store_id: 8 },
    ]);
    let refused = Outcome::Refused(Refusal::StoreInUse(2));
    assert_eq!(
        outcomes,
        Some(vec![Outcome::Configured(0), Outcome::Configured(2), refused, Outcome::Configured(1)])
    );
    let promote = || Command::Reconfigure { configuration: 1, change: Change::Promote { node: 2 } };
    let again = Outcome::Refused(Refusal::Superseded);
    assert_eq!(bench.entry(vec![promote(), promote()]), Some(vec![Outcome::Configured(2), again]));
    let configuration = bench.machine.configuration().clone();
    assert_eq!((configuration.id, configuration.base), (2, bench.machine.applied_index()));
    let checkpoint = bench.machine.take_checkpoint().unwrap();
    let mut restored = StateMachine::new(Zones::default(), first(), Limits::default(), Box::new(|_| {}));
    restored.restore(checkpoint.applied_index, &checkpoint.window, &checkpoint.configuration).unwrap();
    assert_eq!(*restored.configuration(), configuration);
    assert!(restored.restore(0, &checkpoint.window, &[1, 2, 3]).is_err(), "damaged");
}
