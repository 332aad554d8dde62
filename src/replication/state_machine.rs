//! Apply: the one function in which zone data changes.
//!
//! ```text
//! decided entry ──► window: seen before? ──► each command against the zones ──► new versions published
//!                                                                          └──► dirty owners, changesets
//! every 100 ms ──► take_checkpoint ──► zones.sqlite (one transaction with applied_index and the window)
//! ```
//!
//! The configuration of the cluster is part of the state (`configuration`): what the log says of members is applied here
//! as well; the driver compares it with the one that its replica works under.
//!
//! Invariants: apply is total and deterministic: the same entry on the same state gives the same outcome,
//! the same version and the same changeset on every node. It reads no clock and waits for nothing.
//! All updates of one entry that touch a zone become one version, one serial and one changeset.
//!
//! Not here: who may update (`nameserver::update_in`), how an update is evaluated (`zone::update`), when a
//! checkpoint is written (`driver`), how rows are laid out (`store::zones`).

mod snapshot;

pub use snapshot::Snapshot;

use super::NodeId;
use super::command::{Batch, Command, ENTRY_COMMANDS_MAX, LoadId, Outcome, unpack_record};
use super::configuration::{Configuration, Refusal, Token};
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
    configuration: Configuration,
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
    /// The configuration of the cluster cannot be read.
    #[error("the zone store's configuration of the cluster is damaged")]
    Configuration,
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
    /// An empty state before the first log entry, of a cluster that begins with `first`, publishing into `zones`.
    pub fn new(zones: Zones, first: Configuration, limits: Limits, on_publish: OnPublish) -> StateMachine {
        StateMachine {
            limits,
            zones,
            on_publish,
            held: BTreeMap::new(),
            served: HashMap::new(),
            window: Window::default(),
            configuration: first,
            applied_index: 0,
            changes: Changes::default(),
        }
    }

    /// Takes over the stored applied index, window and configuration; an empty configuration is that of a store that
    /// nothing was written to, or that is older than configurations: the first one holds.
    ///
    /// # Errors
    /// The store is damaged.
    pub fn restore(
        &mut self,
        applied_index: u64,
        window: &[u8],
        configuration: &[u8],
    ) -> Result<(), RestoreError> {
        if applied_index > 0 || !window.is_empty() {
            self.window = postcard::from_bytes(window).map_err(|_| RestoreError::Window)?;
        }
        if !configuration.is_empty() {
            self.configuration = Configuration::decode(configuration).ok_or(RestoreError::Configuration)?;
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

    /// Who takes part in the cluster, as of the applied index.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
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
        let commands = zone_ids(log_index).zip(&batch.commands);
        let outcomes =
            commands.map(|(id, command)| self.command(id, batch.time_secs, command, &mut open)).collect();
        for OpenTransaction { zone, transaction } in open {
            if let Some((contents, changeset)) = transaction.finish() {
                self.publish_change(log_index, zone, contents, changeset);
            }
        }
        Some(outcomes)
    }

    /// `id` names the command for ever (`zone_ids`): a zone that it creates has this id in the store.
    fn command(
        &mut self,
        id: u64,
        now_secs: u64,
        command: &Command,
        open: &mut Vec<OpenTransaction>,
    ) -> Outcome {
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
            Command::Reconfigure { configuration, change } => {
                // The index of this entry.
                let log_index = self.applied_index - 1;
                self.configure(self.configuration.change(*configuration, change, log_index))
            }
            Command::RegisterStore { node, store_id } => {
                let next = self.configuration.register_store(*node, *store_id);
                self.configure(next.map(|next| (next, *node)))
            }
            Command::IssueToken { digest, expires_secs, replaces } => {
                let token = Token {
                    digest: *digest,
                    expires_secs: *expires_secs,
                    replaces: *replaces,
                    used_by: None,
                };
                let next = self.configuration.issue_token(token, now_secs);
                self.configure(next.map(|next| (next, replaces.unwrap_or_default())))
            }
            Command::Join { digest, store_id, address } => {
                self.configure(self.configuration.join(digest, *store_id, *address, now_secs))
            }
        }
    }

    fn configure(&mut self, next: Result<(Configuration, NodeId), Refusal>) -> Outcome {
        match next {
            Ok((configuration, node)) => {
                self.configuration = configuration;
                Outcome::Configured(node)
            }
            Err(refusal) => Outcome::Refused(refusal),
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
            zones: changes
                .zones
                .iter()
                .filter_map(|id| self.held.get(id).map(|held| held.row(*id)))
                .collect(),
            dropped_zones: changes.dropped_zones,
            owners,
            changesets: changes.changesets,
            journal_floor: changes.journal_floor.into_iter().collect(),
            ..self.head()
        })
    }

    /// What every checkpoint says, whatever has changed.
    fn head(&self) -> Checkpoint {
        Checkpoint {
            applied_index: self.applied_index,
            window: postcard::to_stdvec(&self.window).expect("the window always encodes"),
            configuration: self.configuration.encode().to_vec(),
            ..Checkpoint::default()
        }
    }
}

/// One id for each command of the entry at `log_index`, never used again: an entry may create several zones, or the
/// same one twice.
fn zone_ids(log_index: u64) -> impl Iterator<Item = u64> {
    // An entry has fewer commands than that, and the store's 63 bits leave room for 10^14 entries.
    const COMMANDS: u64 = 1 << 16;
    const { assert!(ENTRY_COMMANDS_MAX < COMMANDS as usize) };
    log_index * COMMANDS..
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
mod tests;
