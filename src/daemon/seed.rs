//! Zone files into the log: what the store does not hold yet is read and loaded by one node.
//!
//! ```text
//! ready? ─► zone served already? ─ yes ─► the file changed since? say so
//!                │ no
//!                └─► my turn (the leader at once, others later)? ─► read, check, load_zone ─► served everywhere
//! ```
//!
//! A load takes the place of the one before it. So that nodes do not take it from each other for ever, nobody begins
//! while another's load moves.

use crate::clock;
use crate::config::{FileFormat, ZoneConfig};
use crate::replication::NodeId;
use crate::replication::command::LoadId;
use crate::replication::load::{LoadError, load_zone};
use crate::replication::proposer::Proposer;
use crate::zone::{Contents, Zones, check};
use crate::zonefile;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often a zone that waits for its turn is looked at again.
const POLL: Duration = Duration::from_millis(50);
/// How long nodes that do not lead wait for the leader to begin, and everybody for a load that does not move, before
/// they offer their file.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait after a load that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the cluster is doing, as far as seeding asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No leader is known, or this node has not caught up.
    NotReady,
    /// Somebody else leads.
    Follower,
    /// This node leads.
    Leader,
}

/// Brings configured zones into the log.
pub(super) struct Seeder {
    /// This node.
    pub(super) node: NodeId,
    /// The working directory of the configuration.
    pub(super) directory: PathBuf,
    /// The published zones.
    pub(super) zones: Zones,
    /// The way into the log.
    pub(super) proposer: Proposer,
    /// Asks where this node stands.
    pub(super) standing: Box<dyn Fn() -> Standing + Send + Sync>,
}

/// What became of one configured zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seeded {
    /// It is served.
    Served,
    /// Its file cannot be loaded, here; it is served as soon as another node loads it.
    NotLoaded,
}

impl Seeder {
    /// Sees to it that `zone` is served; returns when it is, or when this node can do nothing for it.
    pub(super) async fn seed(&self, zone: &ZoneConfig) -> Seeded {
        let path = self.directory.join(&zone.file);
        let mut loads = Loads { steps: 0, moved: clock::monotonic() };
        loop {
            loads.look(self.load_steps(zone));
            match (self.standing)() {
                Standing::NotReady => {}
                _ if self.is_served(zone) => {
                    self.report_changed_file(zone, &path).await;
                    return Seeded::Served;
                }
                standing if !loads.may_begin(standing) => {}
                Standing::Follower | Standing::Leader => match self.load(zone, &path).await {
                    Ok(()) | Err(SeedError::Load(LoadError::Superseded)) => {}
                    Err(SeedError::Load(LoadError::NotDecided)) => tokio::time::sleep(RETRY_AFTER).await,
                    Err(SeedError::File) => return Seeded::NotLoaded,
                },
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The serial that `zone` is served at.
    pub(super) fn serial(&self, zone: &ZoneConfig) -> u32 {
        let table = self.zones.load();
        table.get(&zone.name).and_then(|zone| zone.contents()).map_or(0, |contents| contents.serial())
    }

    fn is_served(&self, zone: &ZoneConfig) -> bool {
        self.zones.load().get(&zone.name).is_some_and(|zone| zone.contents().is_some())
    }

    /// How many steps of loads of `zone` were seen.
    fn load_steps(&self, zone: &ZoneConfig) -> u64 {
        self.zones.load().get(&zone.name).map_or(0, |zone| zone.load_steps())
    }

    async fn load(&self, zone: &ZoneConfig, path: &Path) -> Result<(), SeedError> {
        let steps = self.load_steps(zone);
        let file = read(zone, path).await.ok_or(SeedError::File)?;
        // Reading takes its time; somebody else may have begun meanwhile.
        if self.load_steps(zone) != steps {
            return Err(SeedError::Load(LoadError::Superseded));
        }
        let load = LoadId { node: self.node, nonce: clock::random_u64() };
        load_zone(&self.proposer, load, file.contents, &file.digest).await.map_err(SeedError::Load)
    }

    /// The store is the truth: a file that was edited since it was loaded is not served, and that is said.
    async fn report_changed_file(&self, zone: &ZoneConfig, path: &Path) {
        let table = self.zones.load();
        let Some(served) = table.get(&zone.name) else { return };
        if served.file_digest().is_empty() || !path.exists() {
            return;
        }
        // Of a file that is as it was no second zone comes into memory.
        let digest = read_digest(zone, path).await;
        if digest.is_some_and(|digest| served.file_digest().starts_with(&digest)) {
            return;
        }
        let Some(file) = read(zone, path).await else { return };
        if !file.is_same_zone(served.file_digest()) {
            tracing::warn!(
                "zone {}/IN: {} differs from the file the zone was loaded from; the change is not served: use nsupdate",
                zone.name,
                path.display()
            );
        }
    }
}

/// The loads of one zone, as they were last seen.
struct Loads {
    steps: u64,
    moved: Instant,
}

impl Loads {
    fn look(&mut self, steps: u64) {
        if self.steps != steps {
            *self = Loads { steps, moved: clock::monotonic() };
        }
    }

    /// Whether a node may begin a load of its own: the leader if there was none yet, anybody if nothing has moved
    /// for a while.
    fn may_begin(&self, standing: Standing) -> bool {
        standing == Standing::Leader && self.steps == 0 || self.moved.elapsed() >= PATIENCE
    }
}

enum SeedError {
    /// The file cannot be read or is no zone; that has been logged.
    File,
    Load(LoadError),
}

/// A zone file that may be served.
struct ZoneFile {
    contents: Contents,
    /// SHA-256 of the records as they stand in the file, then of the zone they make: see [`zonefile::Outcome::digest`]
    /// and [`Contents::digest`].
    digest: Vec<u8>,
}

impl ZoneFile {
    /// Whether the file behind `digest` made the same zone, be it that its records stood in another order.
    fn is_same_zone(&self, digest: &[u8]) -> bool {
        self.digest.get(DIGEST_BYTES..) == digest.get(DIGEST_BYTES..)
    }
}

const DIGEST_BYTES: usize = 32;

fn reading(zone: &ZoneConfig) -> zonefile::Options {
    zonefile::Options {
        format: match zone.file_format {
            FileFormat::Text => zonefile::Format::Text,
            FileFormat::Raw => zonefile::Format::Raw,
        },
        now: u32::try_from(clock::unix_secs()).ok(),
        digest: true,
        ..Default::default()
    }
}

/// Reads and checks a zone file on a thread of its own; what is wrong with it goes to the log.
async fn read(zone: &ZoneConfig, path: &Path) -> Option<ZoneFile> {
    let (name, path, options) = (zone.name.clone(), path.to_path_buf(), reading(zone));
    let (messages, file) = on_its_own_thread(move || {
        let checked = zonefile::load_checked(&path, &name, &options, &check::Options::default());
        let file = checked.contents.map(|contents| {
            let digest = [checked.digest.unwrap_or_default(), contents.digest()].concat();
            ZoneFile { contents, digest }
        });
        (checked.messages, file)
    })
    .await;
    for message in &messages {
        match file {
            Some(_) => tracing::warn!("{message}"),
            None => tracing::error!("{message}"),
        }
    }
    file
}

/// The digest of the records of a zone file, if it can be read.
async fn read_digest(zone: &ZoneConfig, path: &Path) -> Option<[u8; DIGEST_BYTES]> {
    let (name, path, options) = (zone.name.clone(), path.to_path_buf(), reading(zone));
    let outcome = on_its_own_thread(move || zonefile::read(&path, &name, &options, |_| {})).await;
    outcome.digest.filter(|_| outcome.first_error().is_none())
}

/// Runs `work` on a thread that ends with it: its memory is free for others then, which that of an idle thread of a
/// pool is not.
async fn on_its_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = oneshot::channel();
    let started = std::thread::Builder::new().name("zone-file".into()).spawn(move || {
        // Nobody waits any more when the node shuts down.
        let _ = done.send(work());
    });
    started.expect("the system gives a thread");
    result.await.expect("reading a zone file does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_begins_a_load_while_another_moves() {
        let now = clock::monotonic();
        let Some(earlier) = now.checked_sub(PATIENCE) else { return };
        let check = |steps, moved, standing, expected| {
            assert_eq!(Loads { steps, moved }.may_begin(standing), expected, "{steps} steps, {standing:?}");
        };
        check(0, now, Standing::Leader, true);
        check(0, now, Standing::Follower, false);
        check(0, earlier, Standing::Follower, true);
        // Its own load was taken over, or an earlier leader's is still under way.
        check(7, now, Standing::Leader, false);
        check(7, now, Standing::Follower, false);
        check(7, earlier, Standing::Leader, true);
        let mut loads = Loads { steps: 7, moved: earlier };
        loads.look(7);
        assert!(loads.may_begin(Standing::Follower), "nothing moved");
        loads.look(8);
        assert!(!loads.may_begin(Standing::Follower), "it moved just now");
    }
}
