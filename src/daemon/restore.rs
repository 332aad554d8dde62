//! From the stores' files to a state machine that serves what they hold.

use crate::replication::state_machine::StateMachine;
use crate::store::OpenError;
use crate::store::zones::{Loaded, ZoneRow, ZoneStore};
use crate::zone::{Changeset, Contents};

/// Why the stored zones cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The zone store cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What it holds contradicts itself.
    #[error(transparent)]
    State(#[from] crate::replication::state_machine::RestoreError),
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

async fn contents(store: &mut ZoneStore, row: &ZoneRow) -> Result<Contents, RestoreError> {
    let damaged = || RestoreError::Row { zone: row.name.clone(), what: "an owner" };
    let mut builder = Contents::builder(row.name.clone());
    let mut readable = true;
    store.owners(row.id, &mut |owner| readable &= builder.push_encoded(owner)).await?;
    if !readable {
        return Err(damaged());
    }
    if row.loading {
        return Ok(builder.finish_incomplete());
    }
    builder.finish().map_err(|_| damaged())
}

async fn changesets(store: &mut ZoneStore, row: &ZoneRow) -> Result<Vec<(u64, Changeset)>, RestoreError> {
    let mut changesets = Vec::new();
    let mut readable = true;
    store
        .changesets(row.id, &mut |index, bytes| match Changeset::decode(bytes) {
            Some(changeset) => changesets.push((index, changeset)),
            None => readable = false,
        })
        .await?;
    if !readable {
        return Err(RestoreError::Row { zone: row.name.clone(), what: "a changeset" });
    }
    Ok(changesets)
}
