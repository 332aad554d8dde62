//! From the stores' files to a state machine that serves what they hold.

use crate::replication::state_machine::StateMachine;
use crate::store::OpenError;
use crate::store::zones::{Loaded, OwnerRows, ZoneRow, ZoneStore};
use crate::zone::{Contents, PackedChangeset};
use std::sync::mpsc::sync_channel;

/// Why the stored zones cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The zone store cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What it holds contradicts itself.
    #[error(transparent)]
    State(#[from] crate::replication::state_machine::RestoreError),
    /// The system gives no thread to build zones on.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// A row cannot be understood.
    #[error("zone {zone} in the zone store: {what} is damaged")]
    Row {
        /// The zone.
        zone: crate::dns::Name,
        /// Which kind of row.
        what: &'static str,
    },
}

/// Reads every zone of `store` into a new state machine that publishes into `zones`.
pub(super) async fn state_machine(
    store: &mut ZoneStore,
    loaded: Loaded,
    mut state: StateMachine,
) -> Result<StateMachine, RestoreError> {
    state.restore(loaded.applied_index, &loaded.window)?;
    for row in loaded.zones {
        let contents = contents(store, &row).await?;
        let changesets = changesets(store, &row).await?;
        state.restore_zone(row, contents, changesets)?;
    }
    Ok(state)
}

/// Rows that may wait for the builder: a few, so that neither waits for the other and little is held.
const ROWS_WAITING_MAX: usize = 4;

/// Reads on the store's thread and builds on another.
async fn contents(store: &mut ZoneStore, row: &ZoneRow) -> Result<Contents, RestoreError> {
    let damaged = || RestoreError::Row { zone: row.name.clone(), what: "an owner" };
    let (read, to_build) = sync_channel::<OwnerRows>(ROWS_WAITING_MAX);
    let (mut builder, loading) = (Contents::builder(row.name.clone()), row.loading);
    let building = std::thread::Builder::new().name("zone-builder".into()).spawn(move || {
        let mut push = |owner: Option<&[u8]>| owner.is_some_and(|owner| builder.push_encoded(owner));
        // What comes behind a damaged row is not asked for.
        let readable = to_build.iter().all(|rows| rows.iter().all(&mut push));
        match readable {
            false => None,
            true if loading => Some(builder.finish_incomplete()),
            true => builder.finish().ok(),
        }
    });
    let building = building.map_err(RestoreError::Thread)?;
    store
        .owners(row.id, &mut |rows| {
            // The builder is gone if it met a damaged row, which it tells below.
            let _ = read.send(rows);
        })
        .await?;
    drop(read);
    building.join().expect("building a zone does not panic").ok_or_else(damaged)
}

async fn changesets(
    store: &mut ZoneStore,
    row: &ZoneRow,
) -> Result<Vec<(u64, PackedChangeset)>, RestoreError> {
    let mut changesets = Vec::new();
    let mut readable = true;
    store
        .changesets(row.id, &mut |index, bytes| match PackedChangeset::from_bytes(bytes) {
            Some(changeset) => changesets.push((index, changeset)),
            None => readable = false,
        })
        .await?;
    if !readable {
        return Err(RestoreError::Row { zone: row.name.clone(), what: "a changeset" });
    }
    Ok(changesets)
}
