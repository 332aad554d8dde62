//! Changes of the configuration, scripted: each test says which messages arrive.

use super::{
    NodeId,
    configuration::Change,
    guards::Guards,
    lockstep::{Lockstep, first, texts},
    replica::{Replica, ReplicaConfig, Role},
};
use crate::store::log::LogState;

/// The entry that changes the voters.
fn voters(nodes: &[NodeId]) -> String {
    format!("voters {}", nodes.iter().map(u64::to_string).collect::<Vec<_>>().join(" "))
}

/// Everybody of `nodes` is ready and decides what it is given; all have the same log.
fn check_alive(cluster: &mut Lockstep, nodes: &[NodeId]) {
    for node in nodes {
        assert!(cluster.replica(*node).is_ready(), "node {node}: {:?}", cluster.replica(*node).role());
        cluster.propose(*node, &format!("from {node}"));
        cluster.settle();
    }
    let log = texts(&cluster.member(nodes[0]).applied);
    for node in nodes {
        assert_eq!(texts(&cluster.member(*node).applied), log, "node {node}");
    }
}

#[test]
fn a_cluster_grows_and_shrinks_without_an_election_timeout() {
    let (mut cluster, _) = Lockstep::elected(1, Guards::default());
    cluster.propose(10, "first");
    cluster.settle();
    let mut members = vec![10];
    for node in [20, 30, 40, 50] {
        members.push(node);
        cluster.propose(members[0], &voters(&members));
        cluster.turn(10);
        cluster.settle();
        cluster.admit(node, 10);
        cluster.settle();
        check_alive(&mut cluster, &members);
    }
    while members.len() > 1 {
        let leader = cluster.members.iter().find(|(_, member)| member.replica.role() == Role::Leader);
        let leader = *leader.expect("a leader").0;
        members.retain(|member| *member != leader);
        cluster.propose(leader, &voters(&members));
        cluster.settle();
        assert_eq!(cluster.replica(leader).role(), Role::Removed);
        assert!(!cluster.replica(leader).is_ready());
        check_alive(&mut cluster, &members);
    }
}

#[test]
fn after_a_change_everything_goes_on_from_the_disks() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    cluster.propose(leader, "before");
    cluster.propose(leader, &voters(&[10, 20, 30, 40]));
    cluster.settle();
    cluster.admit(40, leader);
    cluster.settle();
    check_alive(&mut cluster, &[10, 20, 30, 40]);
    let logs = cluster.logs();
    for node in [10, 20, 30] {
        let disk: LogState = cluster.member(node).disk.clone();
        cluster.restart(node, disk);
    }
    cluster.ticks(60);
    assert_eq!(cluster.logs(), logs);
    check_alive(&mut cluster, &[10, 20, 30, 40]);
}

#[test]
fn entries_behind_a_change_are_void_and_their_proposers_notice() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let follower = cluster.followers()[0];
    let epoch = cluster.replica(follower).leadership_epoch();
    cluster.propose(leader, &voters(&[10, 20, 30, 40]));
    cluster.propose(leader, "void");
    cluster.propose(leader, "void as well");
    cluster.settle();
    assert!(cluster.replica(follower).leadership_epoch() > epoch);
    cluster.admit(40, leader);
    cluster.settle();
    check_alive(&mut cluster, &[10, 20, 30, 40]);
    assert!(cluster.logs().iter().all(|log| log.iter().all(|text| !text.starts_with("void"))));
}

/// A follower holds the entries of a change, but nobody told it that they are decided.
#[test]
fn a_node_whose_log_reaches_the_base_takes_it_as_decided() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let [behind, other] = cluster.followers()[..] else { panic!("two followers") };
    cluster.propose(leader, &voters(&[10, 20]));
    let kinds = ["Decide", "Configuration"];
    for _ in 0..6 {
        cluster.round(&mut |letter| letter.to != behind || !kinds.contains(&letter.message.kind()));
    }
    let _ = other;
    assert_eq!(texts(&cluster.member(behind).applied), Vec::<String>::new());
    cluster.connect(behind);
    cluster.settle();
    assert_eq!(cluster.member(behind).applied.len(), 1, "decided, and applied");
    assert_eq!(cluster.replica(behind).missing_below(), None);
}

#[test]
fn a_node_that_was_away_takes_part_and_knows_what_it_misses() {
    let (mut cluster, leader) = Lockstep::elected(5, Guards::default());
    let behind = cluster.followers()[3];
    let gone = cluster.followers()[0];
    cluster.away = vec![behind];
    cluster.propose(leader, "missed");
    let left: Vec<NodeId> = [10, 20, 30, 40, 50].into_iter().filter(|node| *node != gone).collect();
    cluster.propose(leader, &voters(&left));
    cluster.settle();
    cluster.away.clear();
    cluster.connect(behind);
    cluster.settle();
    assert_eq!(cluster.replica(behind).configuration().id, 1, "what is missing may still be on its way");
    cluster.ticks(20);
    assert_eq!(cluster.replica(behind).configuration().id, 2);
    assert_eq!(cluster.replica(behind).missing_below(), Some(2));
    assert!(cluster.replica(behind).is_ready(), "it votes all the same");
    let disk = &cluster.member(behind).disk;
    assert_eq!((disk.compacted_index, disk.decided_index >= 2), (2, true));
}

#[test]
fn a_change_waits_until_the_one_before_is_in_the_zone_stores_of_a_majority() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    assert!(cluster.replica(leader).is_settled_among(&[10, 20, 30]), "nothing came before the first");
    cluster.propose(leader, &voters(&[10, 20, 30, 40]));
    cluster.settle();
    cluster.admit(40, leader);
    cluster.settle();
    assert!(!cluster.replica(leader).is_settled_among(&[10, 20, 30]));
    cluster.replica(10).set_durable_applied(1);
    cluster.replica(20).set_durable_applied(1);
    cluster.ticks(20);
    assert!(cluster.replica(leader).is_settled_among(&[10, 20, 30]));
    assert!(!cluster.replica(leader).is_settled_among(&[10, 20, 30, 40]), "two of four are no majority");
}

/// A learner is given a state from before it joined, and then the entries that name it.
#[test]
fn a_learner_is_removed_by_what_it_applies_only_after_that_has_named_it() {
    let address = |id: u64| std::net::SocketAddr::from(([192, 0, 2, id as u8], 53));
    let before = first(&[10]);
    let add = Change::AddLearner { address: address(11), store_id: 11, replaces: None };
    let (learning, node) = before.change(1, &add, 4).expect("room");
    let (after, _) = learning.change(1, &Change::Remove { node }, 5).expect("a learner");
    let mut replica =
        Replica::new(ReplicaConfig::new(node), learning.clone(), LogState::default()).expect("a sound disk");
    for (configuration, applied_index, role) in [
        (&learning, 0, Role::Learner),
        (&before, 4, Role::Learner),
        (&learning, 5, Role::Learner),
        (&after, 6, Role::Removed),
    ] {
        replica.configure(configuration.clone(), applied_index);
        assert_eq!(replica.role(), role, "at {applied_index}");
    }
}

#[test]
fn one_member_can_be_asked_to_let_another_lead() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    cluster.propose(leader, "e");
    cluster.settle();
    let follower = cluster.followers()[0];
    cluster.replica(follower).hand_over();
    cluster.settle();
    assert_ne!(cluster.leader(), leader);
}
