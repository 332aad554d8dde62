//! From the stores' files to a state machine that serves what they hold.

use crate::replication::state_machine::StateMachine;
use crate::store::OpenError;
use crate::store::zones::{Loaded, OwnerRows, ZoneRow, ZoneStore};
use crate::zone::{Contents, PackedChangeset};
use std::sync::mpsc::sync_channel;
use tokio::runtime::Handle;

/// Why the stored zones cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The zone store cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What it holds contradicts itself.
    #[error(transparent)]
    State(#[from] crate::replication::state_machine::RestoreError),
    /// The system gives no thread to read rows on.
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

/// Reads every zone of `store` into an empty state machine.
///
/// # Errors
/// The store cannot be read, or contradicts itself.
pub async fn state_machine(
    store: &mut ZoneStore,
    loaded: Loaded,
    mut state: StateMachine,
) -> Result<StateMachine, RestoreError> {
    state.restore(loaded.applied_index, &loaded.window, &loaded.configuration)?;
    for row in loaded.zones {
        let contents = contents(store, &row)?;
        let changesets = changesets(store, &row).await?;
        state.restore_zone(row, contents, changesets)?;
    }
    Ok(state)
}

/// Rows that may wait for the builder: a few, so that neither waits for the other and little is held.
const ROWS_WAITING_MAX: usize = 4;

/// Builds on this thread what another one reads. This one is the driver's: memory that a thread both takes and gives back
/// has no holes, and updates of a zone that was built elsewhere made it a tenth larger.
fn contents(store: &mut ZoneStore, row: &ZoneRow) -> Result<Contents, RestoreError> {
    let (read, to_build) = sync_channel::<OwnerRows>(ROWS_WAITING_MAX);
    let mut builder = Contents::builder(row.name.clone());
    let runtime = Handle::current();
    let (all_read, readable) = std::thread::scope(|scope| {
        let reading = std::thread::Builder::new().name("zone-reader".into()).spawn_scoped(scope, move || {
            // A builder that met a damaged row is gone; it tells below.
            let mut each = |rows| _ = read.send(rows);
            runtime.block_on(store.owners(row.id, &mut each))
        });
        let reading = reading.map_err(RestoreError::Thread)?;
        let mut push = |owner: Option<&[u8]>| owner.is_some_and(|owner| builder.push_encoded(owner));
        let readable = to_build.iter().all(|rows| rows.iter().all(&mut push));
        drop(to_build);
        Ok::<_, RestoreError>((reading.join().expect("reading a store does not panic"), readable))
    })?;
    all_read?;
    let contents = match readable {
        false => None,
        true if row.loading => Some(builder.finish_incomplete()),
        true => builder.finish().ok(),
    };
    contents.ok_or_else(|| RestoreError::Row { zone: row.name.clone(), what: "an owner" })
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
