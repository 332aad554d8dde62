//! `zones.sqlite.partial`: a zone store that arrives in pieces, and takes the place of `zones.sqlite` when it is whole.
//!
//! ```text
//! begin ─► write, write, ... ─► finish: synced, closed ─► install: old one closed, renamed over it, directory synced
//!   └── each with its progress, in one transaction
//! ```
//!
//! Invariant: a crash at any point leaves either the old zone store or the whole new one under the name `zones.sqlite`,
//! never a mix; what is left of a partial one says itself how much of it is there.

use super::{
    OpenError, WriteError,
    database::Kind,
    zones::{self, Checkpoint, Loaded, ZoneStore},
};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

const KIND: Kind = Kind { file_name: "zones.sqlite.partial", thread_name: "image-store", ..zones::KIND };

const CREATE: &str = "CREATE TABLE IF NOT EXISTS arrival (progress BLOB NOT NULL)";
const READ: &str = "SELECT progress FROM arrival";
const NOTE: &str = "DELETE FROM arrival; INSERT INTO arrival VALUES (?)";
const FINISH: &str = "DROP TABLE arrival";

/// A zone store that is not whole yet.
#[derive(Debug)]
pub struct PartialStore {
    store: ZoneStore,
    directory: PathBuf,
    store_id: u64,
}

/// A whole zone store that is not in place yet.
#[derive(Debug)]
pub struct CompleteStore {
    directory: PathBuf,
    /// Entries below this index are contained.
    pub applied_index: u64,
}

impl PartialStore {
    /// Opens what is there, or an empty one: the store and its progress, if it has begun. What cannot be read is thrown
    /// away. It is to go with the log of `store_id`.
    ///
    /// # Errors
    /// [`OpenError`]: unusable directory, or held by another process.
    pub async fn open(directory: &Path, store_id: u64) -> Result<(PartialStore, Option<Vec<u8>>), OpenError> {
        match PartialStore::open_once(directory, store_id).await {
            Err(OpenError::Corrupt { .. } | OpenError::Newer { .. } | OpenError::Foreign { .. }) => {
                remove(directory)?;
                PartialStore::open_once(directory, store_id).await
            }
            opened => opened,
        }
    }

    async fn open_once(
        directory: &Path,
        store_id: u64,
    ) -> Result<(PartialStore, Option<Vec<u8>>), OpenError> {
        let (mut store, _) = ZoneStore::open_file(directory, &KIND).await?;
        if let Err(error) = store.pair(store_id, b"").await {
            // Not when it is dropped, which is some time later: its WAL would go with it, or that of the next one.
            let _ = store.close().await;
            return Err(error);
        }
        store.execute(CREATE).await?;
        let progress = store.read_blob(READ).await?;
        Ok((PartialStore { store, directory: directory.into(), store_id }, progress))
    }

    /// Throws away what is there and begins anew.
    ///
    /// # Errors
    /// [`OpenError`], [`WriteError`]: it cannot be used for now; what is in place is not touched.
    pub async fn begin(self, progress: Vec<u8>) -> Result<PartialStore, PartialError> {
        let PartialStore { store, directory, store_id } = self;
        store.close().await?;
        remove(&directory)?;
        let (mut begun, _) = PartialStore::open_once(&directory, store_id).await?;
        begun.store.note(NOTE, progress).await?;
        Ok(begun)
    }

    /// Writes a piece and how much is there with it, in one transaction.
    ///
    /// # Errors
    /// As [`PartialStore::begin`].
    pub async fn write(&mut self, piece: Checkpoint, progress: Vec<u8>) -> Result<(), PartialError> {
        Ok(self.store.write_with(piece, Some((NOTE, progress))).await?)
    }

    /// Reads it as if it were in place.
    ///
    /// # Errors
    /// [`OpenError`]: it cannot be read.
    pub async fn read(&mut self) -> Result<(&mut ZoneStore, Loaded), OpenError> {
        let loaded = self.store.load().await?;
        Ok((&mut self.store, loaded))
    }

    /// Closes it as it is.
    ///
    /// # Errors
    /// As [`PartialStore::begin`].
    pub async fn close(self) -> Result<(), PartialError> {
        Ok(self.store.close().await?)
    }

    /// Makes it durable and closes it.
    ///
    /// # Errors
    /// As [`PartialStore::begin`].
    pub async fn finish(mut self) -> Result<CompleteStore, PartialError> {
        let applied_index = self.store.load().await?.applied_index;
        self.store.execute(FINISH).await?;
        self.store.sync().await?;
        self.store.close().await?;
        Ok(CompleteStore { directory: self.directory, applied_index })
    }
}

impl CompleteStore {
    /// Puts it in the place of `old`, durably.
    ///
    /// # Errors
    /// The process must stop: memory and disk do not agree any more. It finds the old store or the new one.
    pub async fn install(self, old: ZoneStore) -> Result<ZoneStore, PartialError> {
        old.close().await?;
        // A WAL that is left would be taken for that of the new file.
        let (from, to) = (self.directory.join(KIND.file_name), self.directory.join(zones::KIND.file_name));
        for companion in companions(zones::KIND.file_name) {
            remove_file(&self.directory.join(companion))?;
        }
        sync_directory(&self.directory)?;
        std::fs::rename(&from, &to).map_err(|source| unusable(&to, source))?;
        sync_directory(&self.directory)?;
        Ok(ZoneStore::open(&self.directory).await?.0)
    }
}

/// Why a partial store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PartialError {
    /// It cannot be opened or read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Throws away a partial store, if there is one.
///
/// # Errors
/// [`OpenError::Unusable`]: the system refuses.
pub fn remove(directory: &Path) -> Result<(), OpenError> {
    // The database first: a WAL without one is nothing.
    remove_file(&directory.join(KIND.file_name))?;
    companions(KIND.file_name).iter().try_for_each(|name| remove_file(&directory.join(name)))
}

/// What SQLite keeps beside a file.
fn companions(file_name: &str) -> [String; 3] {
    ["-wal", "-shm", "-journal"].map(|suffix| format!("{file_name}{suffix}"))
}

fn remove_file(path: &Path) -> Result<(), OpenError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(path, error)),
        _ => Ok(()),
    }
}

fn sync_directory(directory: &Path) -> Result<(), OpenError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| unusable(directory, source))
}

fn unusable(path: &Path, source: io::Error) -> OpenError {
    OpenError::Unusable { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::zones::OwnerRows;

    fn piece(applied_index: u64, numbers: std::ops::Range<u8>) -> Checkpoint {
        let owner = |number| (1, vec![number], Some(vec![number; 9]));
        Checkpoint {
            applied_index,
            window: vec![applied_index as u8],
            owners: numbers.map(owner).collect(),
            ..Checkpoint::default()
        }
    }

    /// What a process finds that starts in a copy of the directory as it is now, as after kill -9.
    async fn found_after_a_crash(directory: &Path) -> (u64, usize, Option<Vec<u8>>) {
        let copy = tempfile::tempdir().expect("temporary directory");
        for file in std::fs::read_dir(directory).expect("a directory") {
            let file = file.expect("an entry");
            std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("a copy");
        }
        let (mut store, loaded) = ZoneStore::open(copy.path()).await.expect("a whole zone store");
        let mut owners = 0;
        store
            .owners(1, &mut |rows: OwnerRows| owners += rows.iter().flatten().count())
            .await
            .expect("owners");
        let progress = PartialStore::open(copy.path(), 7).await.expect("a partial store").1;
        (loaded.applied_index, owners, progress)
    }

    #[tokio::test]
    async fn a_crash_at_any_step_leaves_the_old_store_or_the_new_one() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path();
        let (mut old, _) = ZoneStore::open(path).await.expect("new store");
        old.pair(7, b"").await.expect("its log");
        old.write(piece(5, 0..3)).await.expect("write");
        let (partial, progress) = PartialStore::open(path, 7).await.expect("partial store");
        assert_eq!((progress, found_after_a_crash(path).await), (None, (5, 3, None)));
        let mut partial = partial.begin(vec![0]).await.expect("begin");
        assert_eq!(found_after_a_crash(path).await, (5, 3, Some(vec![0])));
        for (number, range) in [(1, 10..20), (2, 20..30)] {
            partial.write(piece(90, range), vec![number]).await.expect("write");
            assert_eq!(found_after_a_crash(path).await, (5, 3, Some(vec![number])));
        }
        assert_eq!(partial.read().await.expect("readable").1.applied_index, 90);
        let complete = partial.finish().await.expect("finish");
        assert_eq!(complete.applied_index, 90);
        // What was written to the old store is still in its WAL.
        assert!(path.join("zones.sqlite-wal").exists());
        assert_eq!(found_after_a_crash(path).await, (5, 3, None));
        let store = complete.install(old).await.expect("install");
        assert_eq!(found_after_a_crash(path).await, (90, 20, None));
        store.close().await.expect("close");
        assert_eq!(found_after_a_crash(path).await, (90, 20, None));
    }

    #[tokio::test]
    async fn a_store_that_was_cut_goes_on_and_another_one_begins_anew() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (partial, _) = PartialStore::open(directory.path(), 7).await.expect("partial store");
        let mut partial = partial.begin(vec![0]).await.expect("begin");
        partial.write(piece(90, 10..20), vec![1]).await.expect("write");
        partial.close().await.expect("close");
        let (mut partial, progress) = PartialStore::open(directory.path(), 7).await.expect("partial store");
        assert_eq!(progress, Some(vec![1]));
        partial.write(piece(90, 20..25), vec![2]).await.expect("write");
        let mut partial = partial.begin(vec![3]).await.expect("begin");
        assert_eq!(partial.read().await.expect("readable").1.applied_index, 0);
        partial.write(piece(91, 0..1), vec![4]).await.expect("write");
        partial.close().await.expect("close");
        // It belongs to another log, or is damaged: it is thrown away.
        let (partial, progress) = PartialStore::open(directory.path(), 8).await.expect("partial store");
        assert_eq!(progress, None);
        partial.begin(vec![5]).await.expect("begin").close().await.expect("close");
        std::fs::write(directory.path().join(KIND.file_name), b"no database").expect("write");
        assert_eq!(PartialStore::open(directory.path(), 8).await.expect("partial store").1, None);
        remove(directory.path()).expect("removed");
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0);
    }
}
