//! What the driver does when the state machine has another configuration of the cluster.

use super::Driver;
use crate::clock;
use crate::replication::failure::Failed;

impl Driver {
    /// What was applied may have changed who takes part. Says whether another configuration has begun.
    pub(super) fn follow_configuration(&mut self) -> Result<bool, Failed> {
        let configuration = self.machine.configuration();
        if self.followed == *configuration {
            return Ok(false);
        }
        self.followed = configuration.clone();
        if let Some(registered) = configuration.store_of(self.node_id).filter(|id| *id != self.store_id) {
            return Err(Failed::OtherStore { node_id: self.node_id, registered, store_id: self.store_id });
        }
        let begins = configuration.id > self.replica.configuration().id;
        if begins {
            tracing::info!(
                "configuration {} of the cluster: members {:?}",
                configuration.id,
                configuration.voter_ids()
            );
            self.replica.configure(configuration.clone(), self.machine.applied_index());
            // Another change has to wait until this is done.
            self.zones.sync_soon();
        } else {
            self.replica.configure(configuration.clone(), self.machine.applied_index());
        }
        if let Some(transport) = &mut self.transport
            && configuration.id >= self.replica.configuration().id
        {
            transport.configure(configuration, clock::monotonic());
        }
        Ok(begins)
    }
}
