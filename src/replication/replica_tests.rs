//! The replica's contract, scripted.

use super::{
    NodeId,
    configuration::{Configuration, Installed},
    guards::Guards,
    lockstep::{Lockstep, SYNC_PART_BYTES, entry, first, texts},
    replica::{Replica, ReplicaConfig, ReplicaError, Role},
};
use crate::store::log::{LogOp, LogState};

fn alone(disk: LogState) -> Replica {
    let config = ReplicaConfig { log_bytes_min: 0, ..ReplicaConfig::new(7) };
    Replica::new(config, first(&[7]), disk).expect("a sound disk")
}

#[test]
fn entries_proposed_anywhere_are_decided_everywhere_in_the_same_order() {
    for count in [1, 3, 5, 7] {
        let (mut cluster, _) = Lockstep::elected(count, Guards::default());
        for node in (1..=count).map(|node| node * 10) {
            assert!(cluster.replica(node).is_ready());
            cluster.propose(node, &format!("from {node}"));
        }
        cluster.settle();
        let logs = cluster.logs();
        assert_eq!(logs[0].len(), count as usize);
        assert!(logs.iter().all(|log| *log == logs[0]), "{count} members: {logs:?}");
    }
}

#[test]
fn a_single_member_decides_what_is_durable() {
    let mut replica = alone(LogState::default());
    let mut disk = LogState::default();
    replica.propose(entry("a")).expect("room");
    assert_eq!(replica.take_decided(9), []);
    let ops = replica.take_write().expect("the entry is to be written");
    ops.iter().for_each(|op| disk.apply(op));
    replica.propose(entry("b")).expect("room");
    assert_eq!(replica.take_write(), None, "one write at a time");
    assert_eq!(replica.take_decided(9), []);
    replica.persisted();
    assert_eq!(replica.take_decided(9), [(0, entry("a"))]);
    assert_eq!((replica.role(), replica.leader(), replica.is_ready()), (Role::Leader, Some(7), true));
    // Restarted, it applies from where its zone store is.
    disk.apply(&LogOp::Append { from: 1, entries: vec![entry("b")] });
    let mut replica = alone(disk);
    replica.start_applying_at(1);
    assert_eq!(replica.take_decided(9), [(1, entry("b"))]);
    replica.set_durable_applied(2);
    assert_eq!(replica.compacted_index(), 2);
    assert_eq!(replica.missing_below(), None);
}

#[test]
fn only_the_decided_hint_is_not_worth_a_write() {
    let mut replica = alone(LogState::default());
    replica.propose(entry("a")).expect("room");
    replica.take_write().expect("the entry is to be written");
    replica.persisted();
    assert_eq!(replica.decided_index(), 1);
    assert_eq!(replica.take_write(), None);
    replica.propose(entry("b")).expect("room");
    let ops = replica.take_write().expect("the entry is to be written");
    assert_eq!(ops, [LogOp::Append { from: 1, entries: vec![entry("b")] }, LogOp::Decided(1)]);
}

#[test]
fn a_log_whose_promises_belong_to_another_configuration_is_refused() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let disk = cluster.member(leader).disk.clone();
    let refusal = |disk: LogState| {
        let replica = Replica::new(ReplicaConfig::new(leader), first(&[10, 20, 30]), disk);
        replica.err().map(|error| error.to_string())
    };
    let damaged = Some(ReplicaError::Damaged.to_string());
    assert_eq!(refusal(disk.clone()), None);
    let later = Configuration { id: 2, ..first(&[10, 20, 30]) };
    assert_eq!(refusal(LogState { configuration: Installed::from(later).encode(), ..disk.clone() }), damaged);
    assert_eq!(refusal(LogState { configuration: [1, 2, 3][..].into(), ..disk }), damaged);
}

/// Messages queued without any write of their own while a write runs must not be overtaken by later ones: the
/// core takes a gap in their numbers for a lost session.
#[test]
fn messages_to_a_peer_keep_their_order_behind_one_that_waits() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let follower = cluster.followers()[0];
    cluster.member(follower).slow_disk = true;
    cluster.propose(leader, "e");
    cluster.settle();
    cluster.propose(follower, "forwarded");
    cluster.turn(follower);
    assert!(cluster.wire.is_empty(), "the proposal is behind the Accepted that waits for the disk");
    cluster.persist(follower);
    cluster.turn(follower);
    let kinds: Vec<_> = cluster.wire.iter().map(|letter| letter.message.kind()).collect();
    assert_eq!(kinds, ["Accepted", "ProposalForward"]);
    cluster.member(follower).slow_disk = false;
    cluster.settle();
    assert!(cluster.logs().iter().all(|log| *log == ["e", "forwarded"]), "{:?}", cluster.logs());
}

#[test]
fn heartbeats_do_not_wait_for_the_disk() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    cluster.members.values_mut().for_each(|member| member.slow_disk = true);
    cluster.propose(leader, "e");
    cluster.settle();
    for _ in 0..100 {
        cluster.members.values_mut().for_each(|member| member.replica.tick());
        cluster.settle();
    }
    assert_eq!(cluster.leader(), leader, "a second of slow disks is no reason to elect");
    assert!(cluster.logs().iter().all(Vec::is_empty));
}

#[test]
fn proposals_without_a_leader_are_held_up_to_the_bound_and_then_given_back() {
    let nodes = [10, 20, 30];
    let mut cluster = Lockstep::new(&nodes, Guards::default());
    let big = "x".repeat(1 << 18);
    let taken = (0..9).filter(|_| cluster.replica(10).propose(entry(&big)).is_ok()).count();
    assert_eq!(taken, 4, "a MiB of them");
    cluster.ticks(60);
    assert!(
        cluster.logs().iter().all(|log| log.len() == 4),
        "held proposals are decided once there is a leader"
    );
}

#[test]
fn a_leader_without_its_majority_does_not_grow_its_log() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let followers = cluster.followers();
    for follower in &followers {
        cluster.replica(leader).session_down(*follower);
    }
    assert!(!cluster.replica(leader).is_ready());
    assert_eq!(cluster.replica(leader).leader(), None);
    cluster.propose(leader, "held");
    cluster.turn(leader);
    assert_eq!(cluster.member(leader).disk.entries.len(), 0);
    // The sessions look up, but nothing arrives: the bound on undecided entries holds.
    followers.iter().for_each(|follower| cluster.half_connect(leader, *follower));
    cluster.away = followers;
    for count in 0..3000 {
        let _ = cluster.replica(leader).propose(entry(&format!("e{count}")));
    }
    cluster.settle();
    assert!(cluster.member(leader).disk.entries.len() <= 1024);
}

#[test]
fn nothing_is_sent_to_a_peer_without_a_session() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let follower = cluster.followers()[0];
    cluster.propose(leader, "e");
    cluster.replica(leader).session_down(follower);
    cluster.replica(leader).tick();
    cluster.turn(leader);
    assert!(cluster.wire.iter().all(|letter| letter.to != follower));
    let epoch = cluster.replica(follower).leadership_epoch();
    cluster.replica(follower).session_down(leader);
    assert_eq!(cluster.replica(follower).leadership_epoch(), epoch + 1, "proposals under way may be lost");
}

#[test]
fn the_log_is_compacted_below_what_its_node_and_a_majority_hold() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    for text in ["a", "b", "c"] {
        cluster.propose(leader, text);
    }
    cluster.settle();
    let compacted = |cluster: &Lockstep| {
        cluster.members.values().map(|member| member.replica.compacted_index()).collect::<Vec<_>>()
    };
    cluster.replica(10).set_durable_applied(3);
    cluster.ticks(40);
    assert_eq!(compacted(&cluster), [0, 0, 0], "one is no majority");
    cluster.replica(20).set_durable_applied(1);
    cluster.ticks(40);
    assert_eq!(compacted(&cluster), [1, 1, 0], "30 has not spoken");
    cluster.replica(30).set_durable_applied(2);
    cluster.ticks(40);
    assert_eq!(compacted(&cluster), [2, 1, 2]);
    assert_eq!(cluster.replica(30).peer_applied(10), Some(3));
    // A member that starts again needs nothing from below.
    let disk = cluster.member(30).disk.clone();
    cluster.restart(30, disk);
    cluster.replica(30).start_applying_at(2);
    cluster.ticks(40);
    let leader = cluster.leader();
    cluster.propose(leader, "d");
    cluster.settle();
    assert_eq!(texts(&cluster.member(30).applied), ["c", "d"]);
}

#[test]
fn a_member_that_was_away_for_long_finds_a_gap_and_goes_on_voting() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let away = cluster.followers()[0];
    let others = cluster.others(away);
    cluster.away = vec![away];
    others.iter().for_each(|node| cluster.replica(*node).session_down(away));
    for text in ["a", "b", "c", "d"] {
        cluster.propose(leader, text);
    }
    cluster.settle();
    others.iter().for_each(|node| cluster.replica(*node).set_durable_applied(3));
    cluster.ticks(40);
    assert_eq!(cluster.replica(leader).compacted_index(), 3, "one that is away holds nothing up");
    cluster.away.clear();
    let disk = cluster.member(away).disk.clone();
    cluster.restart(away, disk);
    cluster.ticks(60);
    assert_eq!(
        (cluster.replica(away).missing_below(), texts(&cluster.member(away).applied)),
        (Some(3), vec![])
    );
    // With one of the others gone it takes both that are left to decide.
    let leader = cluster.leader();
    let gone = *others.iter().find(|node| **node != leader).expect("two others");
    cluster.away = vec![gone];
    [away, leader].iter().for_each(|node| cluster.replica(*node).session_down(gone));
    cluster.propose(leader, "e");
    cluster.settle();
    assert_eq!(cluster.replica(leader).decided_index(), 5);
    // An image of everything below 4 has been installed.
    cluster.replica(away).start_applying_at(4);
    cluster.settle();
    assert_eq!(
        (cluster.replica(away).missing_below(), texts(&cluster.member(away).applied)),
        (None, vec!["e".into()])
    );
}

#[test]
fn the_newest_entries_stay_for_those_who_were_away_for_a_moment() {
    let of_five = |log_bytes_min| {
        let config = ReplicaConfig { log_bytes_min, ..ReplicaConfig::new(7) };
        let mut replica = Replica::new(config, first(&[7]), LogState::default()).expect("a sound disk");
        (0..5).for_each(|_| replica.propose(entry("abcd")).expect("room"));
        replica.take_write().expect("entries to write");
        replica.persisted();
        replica
    };
    let one = of_five(0).log_bytes() / 5;
    for (bytes_min, applied, compacted) in
        [(0, 5, 5), (0, 3, 3), (2 * one, 5, 3), (2 * one + 1, 5, 2), (6 * one, 5, 0)]
    {
        let mut replica = of_five(bytes_min);
        replica.set_durable_applied(applied);
        assert_eq!(replica.compacted_index(), compacted, "at least {bytes_min} octets, {applied} applied");
        assert_eq!(replica.log_bytes(), (5 - compacted as usize) * one);
    }
    let replica = of_five(0);
    assert_eq!(replica.decided_entries(1, 9, 1).map(|entries| entries.len()), Some(1));
    assert_eq!(replica.decided_entries(1, 9, 9).map(|entries| entries.len()), Some(3));
    assert_eq!(replica.decided_entries(5, 9, 9), Some(vec![]));
    let mut replica = of_five(0);
    replica.set_durable_applied(2);
    assert_eq!(replica.decided_entries(1, 9, 9), None);
}

#[test]
fn entries_are_kept_for_somebody_who_catches_up() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    cluster.propose(leader, "a");
    cluster.propose(leader, "b");
    cluster.settle();
    cluster.members.values_mut().for_each(|member| member.replica.set_durable_applied(2));
    cluster.replica(leader).keep_from(Some(1));
    cluster.ticks(40);
    let others = cluster.others(leader);
    assert!(others.iter().all(|node| cluster.replica(*node).compacted_index() == 2));
    assert_eq!(cluster.replica(leader).compacted_index(), 1);
    cluster.replica(leader).keep_from(None);
    cluster.ticks(1);
    assert_eq!(cluster.replica(leader).compacted_index(), 2);
}

#[test]
fn a_crashed_leader_is_replaced_and_a_change_of_ballot_shows() {
    let (mut cluster, leader) = Lockstep::elected(5, Guards::default());
    let followers = cluster.followers();
    let epochs: Vec<u64> = followers.iter().map(|node| cluster.replica(*node).leadership_epoch()).collect();
    cluster.away.push(leader);
    cluster.ticks(60);
    for (node, epoch) in followers.iter().zip(epochs) {
        assert!(cluster.replica(*node).leadership_epoch() > epoch);
    }
    cluster.propose(followers[0], "after");
    cluster.settle();
    cluster.away.clear();
    cluster.connect(leader);
    cluster.ticks(60);
    assert!(cluster.logs().iter().all(|log| *log == ["after"]), "{:?}", cluster.logs());
}

#[test]
fn a_leader_that_resigns_is_followed_without_an_election() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    cluster.propose(leader, "before");
    cluster.settle();
    cluster.replica(leader).resign();
    cluster.settle();
    let heir = cluster.leader();
    assert_ne!(heir, leader);
    cluster.propose(leader, "after");
    cluster.ticks(50);
    assert_eq!(cluster.leader(), heir);
    assert!(cluster.logs().iter().all(|log| *log == ["before", "after"]), "{:?}", cluster.logs());
}

#[test]
fn a_leader_whose_disk_hangs_hands_over() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    cluster.member(leader).slow_disk = true;
    cluster.propose(leader, "stuck");
    cluster.ticks(30);
    assert_eq!(cluster.leader(), leader, "three rounds are no reason to hand over");
    cluster.ticks(30);
    let others = cluster.others(leader);
    let heir =
        others.into_iter().find(|node| cluster.replica(*node).role() == Role::Leader).expect("an heir");
    cluster.propose(heir, "moving");
    cluster.settle();
    let log = texts(&cluster.member(heir).applied);
    assert_eq!(log, ["stuck", "moving"], "two disks of three hold the entries");
}

#[test]
fn a_leader_that_was_cut_off_does_not_come_between_the_others_when_it_reaches_one_of_them() {
    let (mut cluster, old) = Lockstep::elected(3, Guards::default());
    cluster.away.push(old);
    for node in cluster.others(old) {
        cluster.replica(node).session_down(old);
        cluster.replica(old).session_down(node);
    }
    cluster.ticks(60);
    let others = cluster.others(old);
    let new =
        others.into_iter().find(|node| cluster.replica(*node).role() == Role::Leader).expect("a new leader");
    let epoch = cluster.replica(new).leadership_epoch();
    // The cut heals on one side first.
    cluster.away.clear();
    cluster.connect(old);
    cluster.replica(old).session_down(new);
    cluster.replica(new).session_down(old);
    cluster.propose(old, "from the old leader");
    cluster.ticks(100);
    assert_eq!(cluster.replica(new).role(), Role::Leader);
    assert_eq!(cluster.replica(new).leadership_epoch(), epoch, "nobody was elected meanwhile");
    cluster.connect(old);
    cluster.ticks(100);
    cluster.propose(new, "from the new leader");
    cluster.settle();
    assert_eq!(cluster.leader(), new);
    let logs = cluster.logs();
    assert!(logs.iter().all(|log| *log == logs[0]), "{logs:?}");
    assert!(logs[0].iter().any(|text| text == "from the new leader"), "{logs:?}");
}

#[test]
fn a_leader_whose_disk_is_slower_than_those_of_a_majority_hands_over() {
    let (mut cluster, leader) = Lockstep::elected(5, Guards::default());
    cluster.member(leader).slow_disk = true;
    for number in 0..4 {
        cluster.propose(leader, &number.to_string());
        cluster.ticks(9);
        cluster.persist(leader);
        cluster.settle();
    }
    cluster.member(leader).slow_disk = false;
    cluster.persist(leader);
    cluster.ticks(5);
    assert_ne!(cluster.leader(), leader);
    assert!(cluster.logs().iter().all(|log| *log == ["0", "1", "2", "3"]), "{:?}", cluster.logs());
}

#[test]
fn a_leader_as_slow_as_the_others_stays() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let nodes = [leader, cluster.followers()[0]];
    nodes.iter().for_each(|node| cluster.member(*node).slow_disk = true);
    for number in 0..20 {
        cluster.propose(leader, &number.to_string());
        cluster.ticks(9);
        nodes.iter().for_each(|node| cluster.persist(*node));
        cluster.settle();
    }
    assert_eq!(cluster.leader(), leader);
}

/// What a large sync needs to arrive is more than the time after which the core asks again; each answer would
/// be the whole sync once more.
#[test]
fn a_large_sync_is_not_sent_again_while_it_is_under_way() {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let follower = cluster.followers()[0];
    cluster.away.push(follower);
    for _ in 0..12 {
        cluster.propose(leader, &"x".repeat(1 << 19));
        cluster.settle();
    }
    cluster.away.clear();
    cluster.connect(follower);
    // The AcceptSync is on its way for long; the follower repeats its Promise.
    let mut syncs = Vec::new();
    for _ in 0..120 {
        cluster.members.values_mut().for_each(|member| member.replica.tick());
        for _ in 0..4 {
            cluster.round(&mut |letter| {
                letter.message.kind() != "AcceptSync" || {
                    syncs.push(letter.to);
                    false
                }
            });
        }
    }
    assert_eq!(syncs, [follower]);
    cluster.ticks(400);
    assert_eq!(cluster.member(follower).applied.len(), 12, "it is sent again when it must have been lost");
}

/// A cluster of three in which a follower has missed 40 entries and has a session with the leader again.
fn behind() -> (Lockstep, NodeId, NodeId) {
    let (mut cluster, leader) = Lockstep::elected(3, Guards::default());
    let follower = cluster.followers()[0];
    cluster.away.push(follower);
    for number in 0..40 {
        cluster.propose(leader, &format!("entry {number}"));
        cluster.settle();
    }
    assert!(cluster.member(follower).applied.is_empty());
    cluster.away.clear();
    cluster.connect(follower);
    (cluster, leader, follower)
}

#[test]
fn what_a_member_has_missed_comes_in_parts_also_when_the_session_breaks_half_way() {
    for break_after in [None, Some(1), Some(5)] {
        let (mut cluster, leader, follower) = behind();
        let (mut parts, mut longest, mut broken) = (0, 0, false);
        while cluster.member(follower).applied.len() < 40 {
            cluster.round(&mut |letter| {
                if letter.to == follower {
                    parts += usize::from(letter.message.kind() == "SyncPart");
                    let mut bytes = Vec::new();
                    letter.message.encode(&mut bytes);
                    longest = longest.max(bytes.len());
                }
                true
            });
            if break_after.is_some_and(|after| parts >= after) && !broken {
                broken = true;
                cluster.connect(follower);
            }
        }
        assert!(parts > 40 * "entry 0".len() / SYNC_PART_BYTES, "{parts} parts");
        assert!(longest < 4 * SYNC_PART_BYTES, "a message of {longest} octets");
        let logs = cluster.logs();
        assert_eq!(logs[0].len(), 40);
        assert!(logs.iter().all(|log| *log == logs[0]), "{leader}: {logs:?}");
    }
}

#[test]
fn a_long_sync_waits_for_room_and_heartbeats_do_not() {
    let (mut cluster, leader, follower) = behind();
    cluster.full.push(follower);
    let mut heartbeats = 0;
    for _ in 0..100 {
        cluster.members.values_mut().for_each(|member| member.replica.tick());
        cluster.round(&mut |letter| {
            let between = letter.from == leader && letter.to == follower;
            heartbeats += usize::from(between && letter.message.kind() == "Heartbeat");
            assert!(!(between && matches!(letter.message.kind(), "SyncPart" | "AcceptSync")));
            true
        });
    }
    assert!(heartbeats > 10);
    assert_eq!((cluster.leader(), cluster.member(follower).applied.len()), (leader, 0));
    cluster.full.clear();
    cluster.settle();
    assert_eq!(cluster.member(follower).applied.len(), 40);
}
