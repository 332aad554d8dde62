//! Zone files into the log: what the store does not hold yet is read and loaded by one node.
//!
//! ```text
//! ready? ─► zone served already? ─ yes ─► the file changed since? say so
//!                │ no
//!                └─► my turn (the leader at once, others later)? ─► read, check, load_zone ─► served everywhere
//! ```

use crate::clock;
use crate::config::ZoneConfig;
use crate::replication::NodeId;
use crate::replication::command::LoadId;
use crate::replication::load::{LoadError, load_zone};
use crate::replication::proposer::Proposer;
use crate::zone::{Contents, Zones};
use crate::zonefile;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a zone that waits for its turn is looked at again.
const POLL: Duration = Duration::from_millis(50);
/// How long nodes that do not lead wait for the leader to load a zone, before they offer theirs.
const FOLLOWER_PATIENCE: Duration = Duration::from_secs(5);
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
        let asked = clock::monotonic();
        loop {
            match (self.standing)() {
                Standing::NotReady => {}
                _ if self.is_served(zone) => {
                    self.report_changed_file(zone, &path).await;
                    return Seeded::Served;
                }
                Standing::Follower if asked.elapsed() < FOLLOWER_PATIENCE => {}
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

    async fn load(&self, zone: &ZoneConfig, path: &Path) -> Result<(), SeedError> {
        let contents = read(zone, path).await.ok_or(SeedError::File)?;
        let load = LoadId { node: self.node, nonce: clock::random_u64() };
        load_zone(&self.proposer, load, &contents, &contents.digest()).await.map_err(SeedError::Load)
    }

    /// The store is the truth: a file that was edited since it was loaded is not served, and that is said.
    async fn report_changed_file(&self, zone: &ZoneConfig, path: &Path) {
        let table = self.zones.load();
        let Some(served) = table.get(&zone.name) else { return };
        if served.file_digest().is_empty() || !path.exists() {
            return;
        }
        let Some(contents) = read(zone, path).await else { return };
        if contents.digest() != *served.file_digest() {
            tracing::warn!(
                "zone {}/IN: {} differs from the file the zone was loaded from; the change is not served: use nsupdate",
                zone.name,
                path.display()
            );
        }
    }
}

enum SeedError {
    /// The file cannot be read or is no zone; that has been logged.
    File,
    Load(LoadError),
}

/// Reads a zone file on a thread of its own; what is wrong with it goes to the log.
async fn read(zone: &ZoneConfig, path: &Path) -> Option<Contents> {
    let (name, path) = (zone.name.clone(), path.to_path_buf());
    let read =
        tokio::task::spawn_blocking(move || zonefile::load(&path, &name, &zonefile::Options::default()));
    let loaded = read.await.expect("reading a zone file does not panic");
    for diagnostic in &loaded.outcome.diagnostics {
        tracing::warn!("{diagnostic}");
    }
    if let Some(failure) = loaded.failure() {
        tracing::error!(
            "zone {}/IN: loading from master file {} failed: {failure}",
            zone.name,
            zone.file.display()
        );
    }
    loaded.contents
}
