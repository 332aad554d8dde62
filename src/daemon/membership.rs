//! What a node does about the membership of its cluster by itself.
//!
//! ```text
//! member without a registered directory ─► RegisterStore     leader, learner near enough ─► Remove(replaced), Promote
//! removed ─► stops answering
//! ```
//!
//! Not here: what an operator asks for (`control::socket`).

use crate::control::socket::{Issue, Operator};
use crate::replication::command::Command;
use crate::replication::configuration::Change;
use crate::replication::credentials::Credentials;
use crate::replication::driver::DriverHandle;
use crate::replication::join;
use crate::replication::replica::Role;
use crate::replication::status::Status;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Entries that a learner may be behind when it becomes a voter.
const LAG_MAX: u64 = 64;
/// Pause after something that has not worked.
const PAUSE: Duration = Duration::from_millis(500);

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Register,
    Change(Change),
}

/// Looks at the status whenever it changes, and does what is due. Ends with the driver.
pub(super) async fn tend(store_id: u64, operator: Operator) {
    let mut status: watch::Receiver<Status> = operator.status.clone();
    loop {
        let step = due(&status.borrow_and_update());
        match step {
            Some(Step::Register) => {
                let node = operator.status.borrow().node_id;
                // Refused or too late: the status tells whether it has to be said again.
                let _ = operator.proposer.call(Command::RegisterStore { node, store_id }).await;
                tokio::time::sleep(PAUSE).await;
            }
            Some(Step::Change(change)) => {
                let text = match &change {
                    Change::Promote { node } => format!("node {node} has caught up and becomes a member"),
                    change => format!("{change:?}"),
                };
                match tokio::time::timeout(PAUSE * 20, operator.change(change)).await {
                    Ok(Ok(_)) => tracing::info!("{text}"),
                    Ok(Err(reason)) => tracing::warn!("{text}: {reason}"),
                    Err(_) => {}
                }
                tokio::time::sleep(PAUSE).await;
            }
            None => {
                if status.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

fn due(status: &Status) -> Option<Step> {
    let configuration = &status.configuration;
    if !status.ready {
        return None;
    }
    let alone = configuration.nodes().count() == 1;
    if !alone && configuration.is_voter(status.node_id) && configuration.store_of(status.node_id).is_none() {
        return Some(Step::Register);
    }
    if status.role != Role::Leader || !status.settled {
        return None;
    }
    let near = |id| {
        let member = status.members.iter().find(|member| member.id == id);
        member.is_some_and(|member| {
            member.connected
                && member
                    .applied_index
                    .is_some_and(|applied| applied.saturating_add(LAG_MAX) >= status.decided_index)
        })
    };
    let learner = configuration.learners.iter().find(|learner| near(learner.id))?;
    Some(Step::Change(match learner.replaces.filter(|replaced| configuration.is_voter(*replaced)) {
        // A cluster of one has to keep its only member until there is another.
        Some(node) if configuration.members.len() > 1 => Change::Remove { node },
        _ => Change::Promote { node: learner.id },
    }))
}

/// Has the log take in a token, and gives its text.
pub(super) fn issue(driver: &DriverHandle, credentials: Arc<Credentials>) -> Issue {
    let (proposer, status) = (driver.proposer().clone(), driver.status().clone());
    Arc::new(move |replaces, lifetime| {
        let (proposer, credentials) = (proposer.clone(), Arc::clone(&credentials));
        let configuration = Arc::clone(&status.borrow().configuration);
        Box::pin(async move {
            let issued = join::issue_token(&proposer, &configuration, &credentials, lifetime, replaces).await;
            issued.map(|token| token.to_text()).map_err(|error| error.to_string())
        })
    })
}

/// Waits until this node is no longer part of the cluster.
pub(super) async fn removed(mut status: watch::Receiver<Status>) {
    if status.wait_for(|status| status.role == Role::Removed).await.is_err() {
        // The driver is gone: whoever stops it stops everything else.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::configuration::Configuration;
    use crate::replication::status::{Counters, MemberStatus};
    use std::net::SocketAddr;

    fn status(configuration: Configuration, learner_applied: u64) -> Status {
        let member = |(id, address, _): (u64, SocketAddr, Option<u64>)| MemberStatus {
            id,
            address,
            votes: configuration.is_voter(id),
            connected: true,
            applied_index: Some(learner_applied),
            trouble: None,
        };
        Status {
            node_id: 1,
            role: Role::Leader,
            leader: Some(1),
            ready: true,
            log_end: 1000,
            decided_index: 1000,
            applied_index: 1000,
            compacted_index: 0,
            log_bytes: 0,
            catching_up: None,
            members: configuration.nodes().map(member).collect(),
            configuration: Arc::new(configuration),
            settled: true,
            stranger: None,
            counters: Counters::default(),
        }
    }

    #[test]
    fn learners_become_voters_when_they_are_near_and_take_the_place_of_whom_they_replace() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let three = Configuration::first((1..=3).map(|id| (id, address(id as u16))));
        assert_eq!(due(&status(three.clone(), 0)), Some(Step::Register));
        let three = three.register_store(1, 11).expect("first");
        assert_eq!(due(&status(three.clone(), 0)), None);
        let add = |replaces| Change::AddLearner { address: address(9), store_id: 99, replaces };
        let (learning, _) = three.change(1, &add(None), 5).expect("room");
        assert_eq!(due(&status(learning.clone(), 900)), None, "too far behind");
        let promote = Some(Step::Change(Change::Promote { node: 4 }));
        assert_eq!(due(&status(learning.clone(), 990)), promote);
        assert_eq!(due(&Status { settled: false, ..status(learning.clone(), 990) }), None);
        assert_eq!(
            due(&Status { role: Role::Follower, ..status(learning, 990) }),
            None,
            "the leader does it"
        );
        let (replacing, _) = three.change(1, &add(Some(3)), 5).expect("room");
        let remove = Change::Remove { node: 3 };
        assert_eq!(due(&status(replacing.clone(), 990)), Some(Step::Change(remove.clone())));
        let (left, _) = replacing.change(1, &remove, 6).expect("a voter");
        assert_eq!(due(&status(left, 990)), promote);
    }
}
