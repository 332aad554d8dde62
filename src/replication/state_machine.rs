//! Apply: the one function in which zone data changes.
//!
//! ```text
//! decided entry ──► window: seen before? ──► each command against the zones ──► new versions published
//!                                                                          └──► dirty owners, changesets
//! every 100 ms ──► take_checkpoint ──► zones.sqlite (one transaction with applied_index and the window)
//! ```
//!
//! Invariants: apply is total and deterministic: the same entry on the same state gives the same outcome,
//! the same version and the same changeset on every node. It reads no clock and waits for nothing.
//! All updates of one entry that touch a zone become one version, one serial and one changeset.
//!
//! Not here: who may update (`nameserver::update_in`), how an update is evaluated (`zone::update`), when a
//! checkpoint is written (`driver`), how rows are laid out (`store::zones`).

use super::command::{Batch, Command, LoadId, Outcome, unpack_record};
use super::window::Window;
use crate::dns::message::Message;
use crate::dns::{Name, Rcode, name};
use crate::store::zones::{Checkpoint, ZoneRow};
use crate::zone::update::{Transaction, UpdateRequest};
use crate::zone::{Changeset, Contents, PackedChangeset, Zone, Zones};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Told about every new version of a zone, after it is published. Must not block.
pub type OnPublish = Box<dyn FnMut(&Arc<Zone>) + Send>;

/// Bounds that do not influence what is decided, only how much history a node keeps.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most octets of changesets kept for IXFR, for a zone that is not in `journal_bytes`.
    pub journal_bytes_default: usize,
    /// The same for single zones, by apex.
    pub journal_bytes: HashMap<Name, usize>,
}

impl Limits {
    fn journal_bytes_max(&self, zone: &Name) -> usize {
        self.journal_bytes.get(zone).copied().unwrap_or(self.journal_bytes_default)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { journal_bytes_default: 4 << 20, journal_bytes: HashMap::new() }
    }
}

/// The replicated state of one node.
pub struct StateMachine {
    limits: Limits,
    zones: Zones,
    on_publish: OnPublish,
    held: BTreeMap<u64, HeldZone>,
    served: HashMap<Name, u64>,
    window: Window,
    applied_index: u64,
    changes: Changes,
}

/// A zone of the store: served, or still being loaded.
struct HeldZone {
    name: Name,
    file_digest: Vec<u8>,
    stage: Stage,
    dirty: BTreeMap<Vec<u8>, Name>,
    /// Log index and octets of each changeset in the stored journal, oldest first.
    journal: VecDeque<(u64, usize)>,
    journal_bytes: usize,
}

enum Stage {
    Loading { progress: LoadProgress, contents: Contents },
    Served(Arc<Zone>),
}

/// How far a load has come; kept in the zone's row so that a restart goes on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LoadProgress {
    load: LoadId,
    records: u64,
}

/// What the next checkpoint has to write, beside the dirty owners.
#[derive(Default)]
struct Changes {
    any: bool,
    zones: BTreeSet<u64>,
    dropped_zones: Vec<u64>,
    changesets: Vec<(u64, u64, Arc<[u8]>)>,
    journal_floor: BTreeMap<u64, u64>,
}

/// The updates of one entry to one zone.
struct OpenTransaction {
    zone: u64,
    transaction: Transaction,
}

/// The stored state contradicts itself: the store is damaged.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The window of applied entries cannot be read.
    #[error("the zone store's window of applied entries is damaged")]
    Window,
    /// A zone does not fit together.
    #[error("zone {name} in the zone store: {reason}")]
    Zone {
        /// The zone.
        name: Name,
        /// What does not fit.
        reason: &'static str,
    },
}

impl StateMachine {
    /// An empty state before the first log entry, publishing into `zones`.
    pub fn new(zones: Zones, limits: Limits, on_publish: OnPublish) -> StateMachine {
        StateMachine {
            limits,
            zones,
            on_publish,
            held: BTreeMap::new(),
            served: HashMap::new(),
            window: Window::default(),
            applied_index: 0,
            changes: Changes::default(),
        }
    }

    /// Takes over the stored applied index and window.
    ///
    /// # Errors
    /// The window cannot be read: the store is damaged.
    pub fn restore(&mut self, applied_index: u64, window: &[u8]) -> Result<(), RestoreError> {
        if applied_index > 0 || !window.is_empty() {
            self.window = postcard::from_bytes(window).map_err(|_| RestoreError::Window)?;
        }
        self.applied_index = applied_index;
        Ok(())
    }

    /// Takes over one stored zone with its journal, oldest changeset first. Publishes it if it is served.
    ///
    /// # Errors
    /// The row contradicts itself: the store is damaged.
    pub fn restore_zone(
        &mut self,
        row: ZoneRow,
        contents: Contents,
        changesets: Vec<(u64, PackedChangeset)>,
    ) -> Result<(), RestoreError> {
        let damaged = |reason| RestoreError::Zone { name: row.name.clone(), reason };
        let mut journal = VecDeque::with_capacity(changesets.len());
        let stage = if row.loading {
            let progress =
                postcard::from_bytes(&row.extra).map_err(|_| damaged("its load's progress is damaged"))?;
            Stage::Loading { progress, contents }
        } else {
            let last = changesets.last().map(|(_, changeset)| changeset.to_serial());
            if last.is_some_and(|serial| serial != contents.serial()) {
                return Err(damaged("its journal does not end at its serial"));
            }
            journal.extend(changesets.iter().map(|(index, changeset)| (*index, changeset.wire_bytes())));
            let zone = Arc::new(Zone::new(
                row.name.clone(),
                row.file_digest.clone(),
                self.limits.journal_bytes_max(&row.name),
            ));
            zone.publish(Arc::new(contents), None);
            zone.restore_journal(changesets.into_iter().map(|(_, changeset)| changeset));
            self.zones.insert(Arc::clone(&zone));
            self.served.insert(row.name.clone(), row.id);
            Stage::Served(zone)
        };
        let journal_bytes = journal.iter().map(|(_, bytes)| bytes).sum();
        let held = HeldZone {
            name: row.name,
            file_digest: row.file_digest,
            stage,
            dirty: BTreeMap::new(),
            journal,
            journal_bytes,
        };
        self.held.insert(row.id, held);
        Ok(())
    }

    /// Entries below this index are contained in the state.
    pub fn applied_index(&self) -> u64 {
        self.applied_index
    }

    /// The zones this state publishes into.
    pub fn zones(&self) -> &Zones {
        &self.zones
    }

    /// Applies the entry at `log_index`, which must be the next one: the outcome of each command, or `None`
    /// for a repeat of an entry applied before.
    ///
    /// # Panics
    /// If an index is skipped or comes twice: the driver and the state would disagree about history.
    pub fn apply(&mut self, log_index: u64, batch: &Batch) -> Option<Vec<Outcome>> {
        assert_eq!(log_index, self.applied_index, "log entries are applied in order, each once");
        self.applied_index += 1;
        self.changes.any = true;
        if !self.window.admit(batch.id) {
            return None;
        }
        let mut open: Vec<OpenTransaction> = Vec::new();
        let outcomes =
            batch.commands.iter().map(|command| self.command(log_index, command, &mut open)).collect();
        for OpenTransaction { zone, transaction } in open {
            if let Some((contents, changeset)) = transaction.finish() {
                self.publish_change(log_index, zone, contents, changeset);
            }
        }
        Some(outcomes)
    }

    /// `id` names the command for ever: a zone that it creates has this id in the store.
    fn command(&mut self, id: u64, command: &Command, open: &mut Vec<OpenTransaction>) -> Outcome {
        match command {
            Command::Update { zone, message } => Outcome::Updated(self.update(&zone.0, message, open)),
            Command::BeginLoad { load, zone, file_digest } => {
                self.begin_load(id, *load, &zone.0, file_digest)
            }
            Command::LoadRecords { load, records } => self.load_records(*load, records),
            Command::EndLoad { load, records } => self.end_load(*load, *records),
            Command::RemoveZone { zone } => {
                let Some(id) = self.served.remove(&zone.0) else { return Outcome::Rejected };
                open.retain(|transaction| transaction.zone != id);
                self.zones.remove(&zone.0);
                self.drop_held(id);
                Outcome::Done
            }
            Command::Barrier => Outcome::Done,
        }
    }

    fn update(&mut self, zone: &Name, packet: &[u8], open: &mut Vec<OpenTransaction>) -> Rcode {
        let Some(&id) = self.served.get(zone) else { return Rcode::NOTAUTH };
        let Ok(message) = Message::parse(packet) else { return Rcode::FORMERR };
        let request = UpdateRequest::from_message(message);
        let at = match open.iter().position(|transaction| transaction.zone == id) {
            Some(at) => at,
            None => {
                let Stage::Served(zone) = &self.held[&id].stage else { return Rcode::NOTAUTH };
                let Some(contents) = zone.contents() else { return Rcode::SERVFAIL };
                open.push(OpenTransaction { zone: id, transaction: Transaction::new(&contents) });
                open.len() - 1
            }
        };
        open[at].transaction.apply(&request)
    }

    fn publish_change(&mut self, log_index: u64, id: u64, contents: Contents, changeset: Changeset) {
        let held = self.held.get_mut(&id).expect("a transaction holds its zone open");
        let Stage::Served(zone) = &held.stage else { unreachable!("only served zones are updated") };
        let zone = Arc::clone(zone);
        for record in changeset.removed.iter().chain(&changeset.added) {
            held.mark_dirty(&record.owner);
        }
        let changeset = PackedChangeset::of(&changeset);
        self.changes.changesets.push((id, log_index, Arc::clone(changeset.bytes())));
        if let Some(floor) =
            held.extend_journal(log_index, changeset.wire_bytes(), self.limits.journal_bytes_max(zone.name()))
        {
            self.changes.journal_floor.insert(id, floor);
        }
        zone.publish(Arc::new(contents), Some(changeset));
        (self.on_publish)(&zone);
    }

    fn begin_load(&mut self, id: u64, load: LoadId, name: &Name, file_digest: &[u8]) -> Outcome {
        if self.served.contains_key(name) {
            return Outcome::Rejected;
        }
        // A load that was given up, by a node that died or lost patience, makes room for the next one.
        let abandoned = self.held.iter().find(|(_, held)| held.name == *name).map(|(id, _)| *id);
        if let Some(abandoned) = abandoned {
            self.drop_held(abandoned);
        }
        let stage = Stage::Loading {
            progress: LoadProgress { load, records: 0 },
            contents: Contents::empty(name.clone()),
        };
        let held = HeldZone {
            name: name.clone(),
            file_digest: file_digest.to_vec(),
            stage,
            dirty: BTreeMap::new(),
            journal: VecDeque::new(),
            journal_bytes: 0,
        };
        self.changes.zones.insert(id);
        self.note_load_step(&held.name);
        self.held.insert(id, held);
        Outcome::Done
    }

    /// Lets those who wait for the zone see that a load is under way.
    fn note_load_step(&self, name: &Name) {
        if let Some(zone) = self.zones.load().get(name) {
            zone.note_load_step();
        }
    }

    fn load_records(&mut self, load: LoadId, packed: &[u8]) -> Outcome {
        let Some((id, held)) = self.loading(load) else { return Outcome::Rejected };
        let Stage::Loading { progress, contents } = &mut held.stage else { return Outcome::Rejected };
        let mut rest = packed;
        while let Some(record) = unpack_record(&mut rest) {
            let Ok(owner) = Name::from_wire(record.owner) else { break };
            if !owner.is_at_or_below(&held.name) {
                break;
            }
            contents.add(&owner, record.rtype, record.ttl, record.rdata);
            progress.records += 1;
            held.dirty.entry(name::canonical_key(owner.as_wire())).or_insert(owner);
        }
        let name = held.name.clone();
        self.note_load_step(&name);
        self.changes.zones.insert(id);
        if rest.is_empty() { Outcome::Done } else { Outcome::Rejected }
    }

    fn end_load(&mut self, load: LoadId, records: u64) -> Outcome {
        let Some((id, held)) = self.loading(load) else { return Outcome::Rejected };
        let Stage::Loading { progress, contents } = &held.stage else { return Outcome::Rejected };
        if progress.records != records || contents.soa().is_none() {
            self.drop_held(id);
            return Outcome::Rejected;
        }
        let (name, file_digest) = (held.name.clone(), held.file_digest.clone());
        let journal_bytes_max = self.limits.journal_bytes_max(&name);
        let zone = Arc::new(Zone::new(name, file_digest, journal_bytes_max));
        let held = self.held.get_mut(&id).expect("found above");
        let Stage::Loading { contents, .. } =
            std::mem::replace(&mut held.stage, Stage::Served(Arc::clone(&zone)))
        else {
            unreachable!("found loading above")
        };
        zone.publish(Arc::new(contents), None);
        self.served.insert(held.name.clone(), id);
        self.changes.zones.insert(id);
        self.zones.insert(Arc::clone(&zone));
        (self.on_publish)(&zone);
        Outcome::Done
    }

    fn loading(&mut self, load: LoadId) -> Option<(u64, &mut HeldZone)> {
        self.held
            .iter_mut()
            .find(|(_, held)| matches!(&held.stage, Stage::Loading { progress, .. } if progress.load == load))
            .map(|(id, held)| (*id, held))
    }

    fn drop_held(&mut self, id: u64) {
        self.held.remove(&id);
        self.changes.zones.remove(&id);
        self.changes.journal_floor.remove(&id);
        self.changes.changesets.retain(|(zone, _, _)| *zone != id);
        self.changes.dropped_zones.push(id);
    }

    /// Everything that changed since the last checkpoint; `None` if nothing was applied.
    pub fn take_checkpoint(&mut self) -> Option<Checkpoint> {
        let changes = std::mem::take(&mut self.changes);
        if !changes.any {
            return None;
        }
        let mut owners = Vec::new();
        for (id, held) in &mut self.held {
            let contents = match &held.stage {
                Stage::Loading { contents, .. } => contents.clone(),
                Stage::Served(zone) => {
                    Contents::clone(&*zone.contents().expect("a served zone has contents"))
                }
            };
            for (key, owner) in std::mem::take(&mut held.dirty) {
                let row = contents.node(&owner).map(|node| {
                    let mut row = Vec::new();
                    node.encode(&mut row);
                    row
                });
                owners.push((*id, key, row));
            }
        }
        Some(Checkpoint {
            applied_index: self.applied_index,
            window: postcard::to_stdvec(&self.window).expect("the window always encodes"),
            zones: changes
                .zones
                .iter()
                .filter_map(|id| self.held.get(id).map(|held| held.row(*id)))
                .collect(),
            dropped_zones: changes.dropped_zones,
            owners,
            changesets: changes.changesets,
            journal_floor: changes.journal_floor.into_iter().collect(),
        })
    }
}

impl HeldZone {
    fn mark_dirty(&mut self, owner: &Name) {
        self.dirty.entry(name::canonical_key(owner.as_wire())).or_insert_with(|| owner.clone());
    }

    /// Counts a changeset in; the log index below which stored changesets are to be forgotten, if that moved.
    fn extend_journal(&mut self, log_index: u64, bytes: usize, bytes_max: usize) -> Option<u64> {
        self.journal.push_back((log_index, bytes));
        self.journal_bytes += bytes;
        let mut floor = None;
        while self.journal_bytes > bytes_max && self.journal.len() > 1 {
            let (_, bytes) = self.journal.pop_front().expect("more than one");
            self.journal_bytes -= bytes;
            floor = self.journal.front().map(|(index, _)| *index);
        }
        floor
    }

    fn row(&self, id: u64) -> ZoneRow {
        let extra = match &self.stage {
            Stage::Loading { progress, .. } => {
                postcard::to_stdvec(progress).expect("progress always encodes")
            }
            Stage::Served(_) => Vec::new(),
        };
        ZoneRow {
            id,
            name: self.name.clone(),
            loading: matches!(self.stage, Stage::Loading { .. }),
            file_digest: self.file_digest.clone(),
            extra,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::message::Header;
    use crate::dns::wire::{Section, Writer};
    use crate::dns::{Class, Opcode, Record, RrType};
    use crate::replication::command::{EntryId, WireName, pack_record};

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
            let machine = StateMachine::new(Zones::default(), Limits::default(), Box::new(|_| {}));
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
        let outcomes = bench
            .entry(vec![update(&[exists], &[add("a.example.", [1, 2, 3, 4])]), foreign, damaged])
            .unwrap();
        assert_eq!(
            outcomes,
            [Rcode::NXDOMAIN, Rcode::NOTAUTH, Rcode::FORMERR].map(Outcome::Updated).to_vec()
        );
        assert_eq!((bench.serial(), bench.zone().contents().unwrap().digest()), (10, digest));
    }

    #[test]
    fn the_checkpoint_restores_the_same_state() {
        let mut bench = Bench::loaded();
        bench.entry(vec![update(
            &[],
            &[add("a.example.", [192, 0, 2, 2]), add("a.b.example.", [192, 0, 2, 9])],
        )]);
        let gone = Record { class: Class::ANY, ..Record::new(name("a.b.example."), RrType::ANY, 0, []) };
        bench.entry(vec![update(&[], &[gone])]);
        let checkpoint = bench.machine.take_checkpoint().unwrap();
        assert!(bench.machine.take_checkpoint().is_none(), "nothing was applied since");

        let mut restored = StateMachine::new(Zones::default(), Limits::default(), Box::new(|_| {}));
        restored.restore(checkpoint.applied_index, &checkpoint.window).unwrap();
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
        let outcomes =
            bench.entry(vec![update(&[], &[add("a.example.", [1, 2, 3, 4])]), remove.clone(), remove]);
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
}
