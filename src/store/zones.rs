//! `zones.sqlite`: zones, journals, dedupe window and `applied_index`, written behind.
//!
//! ```text
//! Checkpoint ──write──► one transaction: dropped zones, zones, owners (sorted), journal, applied_index
//!            ──sync───► WAL into the database, both synced: applied_index survives a power loss
//! start      ◄─open──── Loaded, then owners() and changesets() of each zone
//! ```
//!
//! Invariant: the file holds exactly the log entries below its `applied_index`; what a crash takes away is
//! whole checkpoints, newest first, and the log brings them back.

use super::{
    OpenError, WriteError,
    database::{Database, Kind},
    log::row_list,
};
use crate::dns::Name;
use sqlx::{
    Row, Sqlite, query::Query, sqlite::SqliteArguments, sqlite::SqliteRow, sqlite::SqliteSynchronous,
};
use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

/// Everything that changed since the last checkpoint; written in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// Entries below this index are contained.
    pub applied_index: u64,
    /// The replicated window of entry ids, encoded by the state machine.
    pub window: Vec<u8>,
    /// The configuration of the cluster, encoded by the state machine.
    pub configuration: Vec<u8>,
    /// Zones that came, changed their attributes, or went.
    pub zones: Vec<ZoneRow>,
    /// Zones to delete with all they have, before anything else of this checkpoint is written.
    pub dropped_zones: Vec<u64>,
    /// Owners: (zone id, canonical key, `Some(Node::encode bytes)` or `None` = the owner is gone). At most one per owner.
    pub owners: Vec<(u64, Vec<u8>, Option<Vec<u8>>)>,
    /// Changesets: (zone id, to_serial order number = log index, `Changeset::encode` bytes).
    pub changesets: Vec<(u64, u64, Arc<[u8]>)>,
    /// Journal rows of a zone with a log index below this are forgotten.
    pub journal_floor: Vec<(u64, u64)>,
}

/// One zone's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRow {
    /// Assigned by the state machine, from the place of the command that created it in the log; never used again.
    pub id: u64,
    /// Apex.
    pub name: Name,
    /// Still being filled by a load that has not ended.
    pub loading: bool,
    /// Digest of the zone file that was merged last; empty if none was.
    pub file_digest: Vec<u8>,
    /// Opaque to the store: what the state machine wants to find again.
    pub extra: Vec<u8>,
}

/// What is read at start; owners and changesets follow zone by zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Entries below this index are contained.
    pub applied_index: u64,
    /// The dedupe window as of `applied_index`.
    pub window: Vec<u8>,
    /// The configuration of the cluster as of `applied_index`; empty if none was ever written.
    pub configuration: Vec<u8>,
    /// All zones.
    pub zones: Vec<ZoneRow>,
}

pub(super) const KIND: Kind = Kind {
    file_name: "zones.sqlite",
    thread_name: "zone-store",
    application_id: 0x5452_4d5a,
    migrations: &[include_str!("schema/zones_1.sql"), include_str!("schema/zones_2.sql")],
    synchronous: SqliteSynchronous::Normal,
    // 64 MiB: `sync` moves the WAL regularly, a large load also in between.
    wal_pages: "16384",
};

const CREATE: &str = "INSERT INTO meta (id, store_id, applied_index, window) \
     SELECT 1, NULL, 0, x'' WHERE NOT EXISTS (SELECT 1 FROM meta)";
const PAIR: &str = "UPDATE meta SET store_id = ? WHERE store_id IS NULL; \
     UPDATE meta SET configuration = ? WHERE configuration = x''";
const READ_PAIR: &str = "SELECT store_id FROM meta";
const READ_META: &str = "SELECT applied_index, window, configuration FROM meta";
const READ_ZONES: &str = "SELECT id, name, loading, file_digest, extra FROM zone ORDER BY id";
/// Hundreds of owners in one row: a row by itself costs more on its way out of sqlx than to be read and made an owner
/// of. SQLite appends the octets of a BLOB as they are (a test holds it to that); a NULL of an aggregate over nothing
/// is the end.
const READ_FIRST_OWNERS: &str = "SELECT max(key), group_concat(length(node)), CAST(group_concat(node, '') AS BLOB) \
     FROM (SELECT key, node FROM owner WHERE zone = ? AND key >= ? ORDER BY key LIMIT 512)";
const READ_NEXT_OWNERS: &str = "SELECT max(key), group_concat(length(node)), CAST(group_concat(node, '') AS BLOB) \
     FROM (SELECT key, node FROM owner WHERE zone = ? AND key > ? ORDER BY key LIMIT 512)";
const READ_JOURNAL: &str =
    "SELECT log_index, changeset FROM journal WHERE zone = ? AND log_index > ? ORDER BY log_index LIMIT 256";
const BEGIN: &str = "BEGIN IMMEDIATE";
const DROP_ZONE: &str = "DELETE FROM zone WHERE id = ?1; DELETE FROM owner WHERE zone = ?1; \
     DELETE FROM journal WHERE zone = ?1";
const WRITE_ZONE: &str = "INSERT INTO zone (id, name, loading, file_digest, extra) VALUES (?,?,?,?,?) \
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, loading = excluded.loading, \
     file_digest = excluded.file_digest, extra = excluded.extra";
const FORGET_JOURNAL: &str = "DELETE FROM journal WHERE zone = ? AND log_index < ?";
const WRITE_META: &str = "UPDATE meta SET applied_index = ?, window = ?, configuration = ?";
const COMMIT: &str = "COMMIT";
const SYNC: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Rows per statement, tried in this order: a row alone costs nine times what it costs among a hundred.
const SHAPES: [usize; 3] = [128, 16, 1];

static WRITE_OWNERS: LazyLock<[String; 3]> = LazyLock::new(|| {
    SHAPES.map(|rows| {
        let values = row_list(rows, "(?,?,?)");
        format!(
            "INSERT INTO owner (zone, key, node) VALUES {values} \
             ON CONFLICT (zone, key) DO UPDATE SET node = excluded.node"
        )
    })
});
static DELETE_OWNERS: LazyLock<[String; 3]> = LazyLock::new(|| {
    SHAPES.map(|rows| format!("DELETE FROM owner WHERE (zone, key) IN (VALUES {})", row_list(rows, "(?,?)")))
});
static WRITE_JOURNAL: LazyLock<[String; 3]> = LazyLock::new(|| {
    SHAPES.map(|rows| {
        let values = row_list(rows, "(?,?,?)");
        format!(
            "INSERT INTO journal (zone, log_index, changeset) VALUES {values} \
             ON CONFLICT (zone, log_index) DO UPDATE SET changeset = excluded.changeset"
        )
    })
});

/// `zones.sqlite`, open.
#[derive(Debug)]
pub struct ZoneStore {
    database: Database,
}

type BoundQuery = Query<'static, Sqlite, SqliteArguments>;

impl ZoneStore {
    /// Opens or creates `directory/zones.sqlite`.
    ///
    /// # Errors
    /// [`OpenError`]: unusable directory, held by another process, newer schema, corrupt file.
    pub async fn open(directory: &Path) -> Result<(ZoneStore, Loaded), OpenError> {
        ZoneStore::open_file(directory, &KIND).await
    }

    pub(super) async fn open_file(directory: &Path, kind: &Kind) -> Result<(ZoneStore, Loaded), OpenError> {
        let mut database = Database::open(directory, kind).await?;
        let created = sqlx::query(CREATE).execute(&mut database.connection).await;
        created.map_err(|e| database.open_error(e))?;
        let mut store = ZoneStore { database };
        let loaded = store.load().await?;
        Ok((store, loaded))
    }

    /// Where the file is.
    pub fn directory(&self) -> &Path {
        self.database.path.parent().unwrap_or(Path::new("."))
    }

    pub(super) async fn load(&mut self) -> Result<Loaded, OpenError> {
        let meta = sqlx::query(READ_META).fetch_one(&mut self.database.connection).await;
        let (applied_index, window, configuration) = meta
            .and_then(|row| Ok((row.try_get::<i64, _>(0)? as u64, row.try_get(1)?, row.try_get(2)?)))
            .map_err(|e| self.database.open_error(e))?;
        let rows = sqlx::query(READ_ZONES).fetch_all(&mut self.database.connection).await;
        let rows = rows.map_err(|e| self.database.open_error(e))?;
        let mut zones = Vec::with_capacity(rows.len());
        for row in &rows {
            let (name, zone) = decode_zone(row).map_err(|e| self.database.open_error(e))?;
            let name = Name::from_wire(name)
                .map_err(|e| self.database.corrupt(&format!("name of zone {}: {e}", zone.id)))?;
            zones.push(ZoneRow { name, ..zone });
        }
        Ok(Loaded { applied_index, window, configuration, zones })
    }

    /// Ties the file to the log with `store_id`, and begins with `configuration`, at the first start; later, makes sure
    /// that it is the one.
    ///
    /// # Errors
    /// [`OpenError::Foreign`] if the file holds what another log gave: one of the two was replaced.
    pub async fn pair(&mut self, store_id: u64, configuration: &[u8]) -> Result<(), OpenError> {
        let query = sqlx::query(PAIR).bind(store_id as i64).bind(configuration.to_vec());
        let written = query.execute(&mut self.database.connection).await;
        written.map_err(|e| self.database.open_error(e))?;
        let row = sqlx::query(READ_PAIR).fetch_one(&mut self.database.connection).await;
        let found = row.and_then(|row| row.try_get::<i64, _>(0)).map_err(|e| self.database.open_error(e))?;
        if found as u64 == store_id {
            return Ok(());
        }
        Err(OpenError::Foreign {
            path: self.database.path.clone(),
            found: format!("the log with store id {:016x}", found as u64),
            configured: format!("{store_id:016x} by the log.sqlite beside it"),
        })
    }

    /// Streams the owner rows of a zone in key order, as many at a time as are read at once.
    ///
    /// # Errors
    /// [`OpenError`]: the file cannot be read.
    pub async fn owners(&mut self, zone: u64, each: &mut dyn FnMut(OwnerRows)) -> Result<(), OpenError> {
        let (mut sql, mut after) = (READ_FIRST_OWNERS, Vec::new());
        loop {
            let row = sqlx::query(sql)
                .bind(zone as i64)
                .bind(&after)
                .fetch_one(&mut self.database.connection)
                .await
                .map_err(|e| self.database.open_error(e))?;
            let decoded = decode_owners(&row).map_err(|e| self.database.open_error(e))?;
            let Some((rows, last_key)) = decoded else { return Ok(()) };
            each(rows);
            after = last_key;
            sql = READ_NEXT_OWNERS;
        }
    }

    /// Streams the changesets of a zone in order.
    ///
    /// # Errors
    /// [`OpenError`]: the file cannot be read.
    pub async fn changesets(&mut self, zone: u64, each: &mut dyn FnMut(u64, &[u8])) -> Result<(), OpenError> {
        let mut after = -1;
        loop {
            let rows = sqlx::query(READ_JOURNAL)
                .bind(zone as i64)
                .bind(after)
                .fetch_all(&mut self.database.connection)
                .await
                .map_err(|e| self.database.open_error(e))?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in &rows {
                after = row.try_get(0).map_err(|e| self.database.open_error(e))?;
                each(after as u64, row.try_get(1).map_err(|e| self.database.open_error(e))?);
            }
        }
    }

    /// Writes a checkpoint: one transaction, not synced (WAL, synchronous=NORMAL).
    ///
    /// # Errors
    /// [`WriteError`]: the process must stop.
    pub async fn write(&mut self, checkpoint: Checkpoint) -> Result<(), WriteError> {
        self.write_with(checkpoint, None).await
    }

    /// The same, and a statement with one value in the same transaction.
    pub(super) async fn write_with(
        &mut self,
        checkpoint: Checkpoint,
        note: Option<(&'static str, Vec<u8>)>,
    ) -> Result<(), WriteError> {
        self.run(sqlx::query(BEGIN)).await?;
        for zone in &checkpoint.dropped_zones {
            self.run(sqlx::query(DROP_ZONE).bind(*zone as i64)).await?;
        }
        for zone in checkpoint.zones {
            let query = sqlx::query(WRITE_ZONE)
                .bind(zone.id as i64)
                .bind(zone.name.as_wire().to_vec())
                .bind(zone.loading)
                .bind(zone.file_digest)
                .bind(zone.extra);
            self.run(query).await?;
        }
        self.write_owners(checkpoint.owners).await?;
        let mut changesets = checkpoint.changesets;
        changesets.sort_unstable_by_key(|(zone, index, _)| (*zone, *index));
        self.run_shaped(&WRITE_JOURNAL, changesets, |query, (zone, index, bytes)| {
            query.bind(zone as i64).bind(index as i64).bind(bytes.to_vec())
        })
        .await?;
        for (zone, floor) in checkpoint.journal_floor {
            self.run(sqlx::query(FORGET_JOURNAL).bind(zone as i64).bind(floor as i64)).await?;
        }
        let meta = sqlx::query(WRITE_META)
            .bind(checkpoint.applied_index as i64)
            .bind(checkpoint.window)
            .bind(checkpoint.configuration);
        self.run(meta).await?;
        if let Some((sql, value)) = note {
            self.run(sqlx::query(sql).bind(value)).await?;
        }
        self.run(sqlx::query(COMMIT)).await
    }

    /// Runs a statement with one value.
    pub(super) async fn note(&mut self, sql: &'static str, value: Vec<u8>) -> Result<(), WriteError> {
        self.run(sqlx::query(sql).bind(value)).await
    }

    /// Runs a statement that changes the schema.
    pub(super) async fn execute(&mut self, sql: &'static str) -> Result<(), OpenError> {
        let done = sqlx::query(sql).execute(&mut self.database.connection).await;
        done.map(|_| ()).map_err(|e| self.database.open_error(e))
    }

    /// The first value of the first row.
    pub(super) async fn read_blob(&mut self, sql: &'static str) -> Result<Option<Vec<u8>>, OpenError> {
        let row = sqlx::query(sql).fetch_optional(&mut self.database.connection).await;
        let value = row.and_then(|row| row.map(|row| row.try_get(0)).transpose());
        value.map_err(|e| self.database.open_error(e))
    }

    /// Writes owners in key order: neighbours share pages.
    async fn write_owners(
        &mut self,
        mut owners: Vec<(u64, Vec<u8>, Option<Vec<u8>>)>,
    ) -> Result<(), WriteError> {
        owners.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        let (mut present, mut gone) = (Vec::with_capacity(owners.len()), Vec::new());
        for (zone, key, node) in owners {
            match node {
                Some(node) => present.push((zone, key, node)),
                None => gone.push((zone, key)),
            }
        }
        self.run_shaped(&DELETE_OWNERS, gone, |query, (zone, key)| query.bind(zone as i64).bind(key)).await?;
        self.run_shaped(&WRITE_OWNERS, present, |query, (zone, key, node)| {
            query.bind(zone as i64).bind(key).bind(node)
        })
        .await
    }

    /// Runs a statement for all `rows`, as many at once as [`SHAPES`] allow.
    async fn run_shaped<T>(
        &mut self,
        shapes: &'static [String; 3],
        rows: Vec<T>,
        bind: impl Fn(BoundQuery, T) -> BoundQuery,
    ) -> Result<(), WriteError> {
        let mut rows = rows.into_iter();
        for (count, sql) in SHAPES.into_iter().zip(shapes) {
            while rows.len() >= count {
                let query = rows.by_ref().take(count).fold(sqlx::query(sql.as_str()), &bind);
                self.run(query).await?;
            }
        }
        Ok(())
    }

    async fn run(&mut self, query: BoundQuery) -> Result<(), WriteError> {
        let done = query.execute(&mut self.database.connection).await;
        done.map(drop).map_err(|e| self.database.write_error(e))
    }

    /// Syncs everything written so far to disk; afterwards the last written applied_index is durable against
    /// power loss.
    ///
    /// # Errors
    /// [`WriteError`]: the process must stop.
    pub async fn sync(&mut self) -> Result<(), WriteError> {
        let row = sqlx::query(SYNC).fetch_one(&mut self.database.connection).await;
        let busy = row.and_then(|row| row.try_get::<i64, _>(0)).map_err(|e| self.database.write_error(e))?;
        if busy == 0 {
            return Ok(());
        }
        // We hold the file exclusively: nobody can be in the way.
        Err(self.database.write_error(sqlx::Error::Protocol("checkpoint of the WAL was blocked".into())))
    }

    /// Closes the file.
    ///
    /// # Errors
    /// [`WriteError`]: the WAL could not be moved into the database; it is still there.
    pub async fn close(self) -> Result<(), WriteError> {
        self.database.close().await
    }
}

/// Owners that were read at once.
#[derive(Debug)]
pub struct OwnerRows {
    lengths: String,
    nodes: Vec<u8>,
}

impl OwnerRows {
    /// The bytes of each owner; `None` stands for what does not fit together.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut rest = self.nodes.as_slice();
        self.lengths.split(',').map(move |length| {
            let (node, behind) = rest.split_at_checked(length.parse().ok()?)?;
            rest = behind;
            Some(node)
        })
    }
}

/// The owners of a row and the key of the last one; `None` behind the last row.
fn decode_owners(row: &SqliteRow) -> Result<Option<(OwnerRows, Vec<u8>)>, sqlx::Error> {
    let Some(last_key) = row.try_get(0)? else { return Ok(None) };
    Ok(Some((OwnerRows { lengths: row.try_get(1)?, nodes: row.try_get(2)? }, last_key)))
}

fn decode_zone(row: &SqliteRow) -> Result<(&[u8], ZoneRow), sqlx::Error> {
    let zone = ZoneRow {
        id: row.try_get::<i64, _>(0)? as u64,
        name: Name::root(),
        loading: row.try_get(2)?,
        file_digest: row.try_get(3)?,
        extra: row.try_get(4)?,
    };
    Ok((row.try_get(1)?, zone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::database;
    use std::collections::BTreeMap;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("runtime")
    }

    fn zone(id: u64, text: &[u8]) -> ZoneRow {
        let name = Name::parse(text, None).expect("name");
        ZoneRow { id, name, loading: id % 2 == 1, file_digest: vec![id as u8; 32], extra: vec![7] }
    }

    fn key(number: u64) -> Vec<u8> {
        number.to_be_bytes()[5..].to_vec()
    }

    async fn owners(store: &mut ZoneStore, zone: u64) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut each = |rows: OwnerRows| all.extend(rows.iter().map(|node| node.expect("a node").to_vec()));
        store.owners(zone, &mut each).await.expect("owners");
        all
    }

    async fn journal(store: &mut ZoneStore, zone: u64) -> Vec<(u64, Vec<u8>)> {
        let mut all = Vec::new();
        store
            .changesets(zone, &mut |index, bytes| all.push((index, bytes.to_vec())))
            .await
            .expect("changesets");
        all
    }

    #[test]
    fn every_statement_fits_the_schema() {
        let fixed = [
            CREATE,
            READ_PAIR,
            READ_META,
            READ_ZONES,
            READ_FIRST_OWNERS,
            READ_NEXT_OWNERS,
            READ_JOURNAL,
            BEGIN,
            WRITE_ZONE,
            FORGET_JOURNAL,
            WRITE_META,
            COMMIT,
            SYNC,
        ];
        let shaped =
            [&WRITE_OWNERS, &DELETE_OWNERS, &WRITE_JOURNAL].into_iter().flat_map(|shapes| shapes.iter());
        let all = fixed
            .into_iter()
            .chain(DROP_ZONE.split(';'))
            .chain(PAIR.split(';'))
            .chain(shaped.map(String::as_str));
        runtime().block_on(database::tests::check_statements(&KIND, all));
    }

    #[test]
    fn checkpoints_are_found_again_after_reopening() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("temporary directory");
            let (mut store, loaded) = ZoneStore::open(directory.path()).await.expect("new store");
            assert_eq!(
                loaded,
                Loaded { applied_index: 0, window: vec![], configuration: vec![], zones: vec![] }
            );
            // 700 owners written in falling order: every statement shape, more than one page on the way back.
            let present = |zone: u64, number: u64| (zone, key(number), Some(vec![number as u8; 9]));
            let first = Checkpoint {
                applied_index: 9,
                window: vec![1, 2],
                configuration: vec![8],
                zones: vec![zone(3, b"example.com."), zone(4, b"."), zone(5, b"gone.example.")],
                owners: (0..700).rev().map(|n| present(3, n)).chain([present(4, 0), present(5, 1)]).collect(),
                changesets: (0..150).map(|n| (3, n, [n as u8].into())).chain([(5, 1, [1].into())]).collect(),
                ..Checkpoint::default()
            };
            store.write(first).await.expect("write");
            store.sync().await.expect("sync");
            let second = Checkpoint {
                applied_index: 12,
                window: vec![3],
                configuration: vec![8, 9],
                zones: vec![zone(4, b"four.example.")],
                dropped_zones: vec![5],
                owners: (0..300)
                    .map(|n| (3, key(n * 2), None))
                    .chain([(3, key(1), Some(vec![42]))])
                    .collect(),
                changesets: vec![(3, 150, [150].into())],
                journal_floor: vec![(3, 149)],
            };
            store.write(second).await.expect("write");
            store.close().await.expect("close");

            let (mut store, loaded) = ZoneStore::open(directory.path()).await.expect("reopen");
            let zones = vec![zone(3, b"example.com."), zone(4, b"four.example.")];
            assert_eq!(
                loaded,
                Loaded { applied_index: 12, window: vec![3], configuration: vec![8, 9], zones }
            );
            let expected: BTreeMap<_, _> = (0..700_u64)
                .filter(|n| n % 2 == 1 || *n >= 600)
                .map(|n| (key(n), if n == 1 { vec![42] } else { vec![n as u8; 9] }))
                .collect();
            assert_eq!(owners(&mut store, 3).await, expected.into_values().collect::<Vec<_>>());
            assert_eq!(owners(&mut store, 4).await, [vec![0; 9]]);
            assert!(owners(&mut store, 5).await.is_empty());
            assert_eq!(journal(&mut store, 3).await, [(149, vec![149]), (150, vec![150])]);
            assert!(journal(&mut store, 5).await.is_empty());
        });
    }

    #[test]
    fn an_owner_with_an_empty_key_is_read_like_any_other() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("temporary directory");
            let (mut store, _) = ZoneStore::open(directory.path()).await.expect("new store");
            let owners_written =
                (0..256).map(|n| (1, if n == 0 { vec![] } else { key(n) }, Some(key(n)))).collect();
            store.write(Checkpoint { owners: owners_written, ..Checkpoint::default() }).await.expect("write");
            assert_eq!(owners(&mut store, 1).await, (0..256).map(key).collect::<Vec<_>>());
        });
    }

    #[test]
    fn owners_are_read_octet_for_octet() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("temporary directory");
            let (mut store, _) = ZoneStore::open(directory.path()).await.expect("new store");
            // Zero octets, what is no UTF-8, what looks like the separator, every length there may be, and none.
            let node = |n: u64| (0..n * 7 % 1200).map(|at| (at * at * n % 256) as u8).collect::<Vec<u8>>();
            let nodes = [vec![], vec![0], vec![0; 70_000], b",1,2".to_vec(), (0..=255).collect()];
            let nodes: Vec<Vec<u8>> = nodes.into_iter().chain((0..1100).map(node)).collect();
            let owners_written = (0..).zip(&nodes).map(|(n, node)| (1, key(n), Some(node.clone()))).collect();
            store.write(Checkpoint { owners: owners_written, ..Checkpoint::default() }).await.expect("write");
            assert!(owners(&mut store, 1).await == nodes);
        });
    }

    #[test]
    fn a_store_follows_one_log_only() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("temporary directory");
            let (mut store, _) = ZoneStore::open(directory.path()).await.expect("new store");
            store.pair(u64::MAX, b"c").await.expect("first log");
            store.pair(u64::MAX, b"c").await.expect("same log");
            let error = store.pair(5, b"c").await.expect_err("other log").to_string();
            assert!(
                error.contains("zones.sqlite belongs to the log with store id ffffffffffffffff"),
                "{error}"
            );
        });
    }

    #[test]
    fn files_that_are_not_ours_are_refused_with_the_reason() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("temporary directory");
            let (mut store, _) = ZoneStore::open(directory.path()).await.expect("new store");
            let held = ZoneStore::open(directory.path()).await.expect_err("second open").to_string();
            assert!(held.contains("zones.sqlite is held by another process"), "{held}");
            let owners = (0..2000).map(|n| (1, key(n), Some(vec![1; 100]))).collect();
            store.write(Checkpoint { owners, ..Checkpoint::default() }).await.expect("write");
            store.close().await.expect("close");
            let path = directory.path().join(KIND.file_name);
            let good = std::fs::read(&path).expect("the file");
            let mut newer = good.clone();
            newer[60..64].copy_from_slice(&[0, 0, 0, 9]);
            for (bytes, said) in [
                (&good[..99], "it ends after 99 bytes"),
                (&good[..good.len() - 1], "its header says"),
                (&newer[..], "has schema version 9, this program knows versions up to 2"),
            ] {
                std::fs::write(&path, bytes).expect("write");
                let error = ZoneStore::open(directory.path()).await.expect_err(said).to_string();
                assert!(error.contains("zones.sqlite") && error.contains(said), "{said}: {error}");
            }
        });
    }

    #[test]
    fn a_file_left_by_a_checkpoint_that_did_not_end_is_whole_with_its_wal() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("temporary directory");
            let [path, wal] =
                ["", "-wal"].map(|end| directory.path().join(format!("{}{end}", KIND.file_name)));
            let (mut store, _) = ZoneStore::open(directory.path()).await.expect("new store");
            let owners_written = (0..2000).map(|n| (1, key(n), Some(vec![1; 100]))).collect();
            store.write(Checkpoint { owners: owners_written, ..Checkpoint::default() }).await.expect("write");
            let frames = std::fs::read(&wal).expect("a WAL");
            store.close().await.expect("close");
            let whole = std::fs::read(&path).expect("the file");
            // Of the pages that a checkpoint moves the first is written first, and it says how many there are.
            for pages in [1, 2, whole.len() / 4096 / 2] {
                std::fs::write(&path, &whole[..pages * 4096]).expect("write");
                std::fs::write(&wal, &frames).expect("write");
                let (mut store, _) = ZoneStore::open(directory.path()).await.expect("the rest is in the WAL");
                assert_eq!(owners(&mut store, 1).await.len(), 2000, "{pages} pages");
                store.close().await.expect("close");
            }
        });
    }

    #[test]
    fn a_damaged_page_is_an_error_when_it_is_read() {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("temporary directory");
            let (mut store, _) = ZoneStore::open(directory.path()).await.expect("new store");
            let owners = (0..2000).map(|n| (1, key(n), Some(vec![1; 100]))).collect();
            store.write(Checkpoint { owners, ..Checkpoint::default() }).await.expect("write");
            store.close().await.expect("close");
            let path = directory.path().join(KIND.file_name);
            let mut bytes = std::fs::read(&path).expect("the file");
            let half = bytes.len() / 2;
            bytes[half..].fill(0x5a);
            std::fs::write(&path, bytes).expect("write");
            let (mut store, _) = ZoneStore::open(directory.path()).await.expect("meta is whole");
            let error = store.owners(1, &mut |_| {}).await.expect_err("damaged").to_string();
            assert!(error.contains("zones.sqlite is corrupt"), "{error}");
        });
    }
}
