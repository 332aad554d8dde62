//! Each defect of omnipaxos 0.2.4, shown with its guard off and gone with it on.
//!
//! A test that stops showing the defect after an upgrade of the core says that the guard can go.

use super::{
    NodeId,
    guards::Guards,
    lockstep::{Letter, Lockstep, entry, first, texts},
    log_memory::LogMemory,
    message::{Body, PeerMessage},
    payload::Payload,
    replica::{ReplicaConfig, ReplicaError, Role},
};
use crate::store::log::{Ballot, LogState};
use omnipaxos::{
    ClusterConfig, CompactionErr, OmniPaxos, OmniPaxosConfig, ServerConfig,
    messages::{
        Message,
        sequence_paxos::{Compaction, PaxosMessage, PaxosMsg},
    },
    storage::StopSign,
};
use std::error::Error;

const ALL: Guards = Guards {
    drain_before_promise: true,
    normalise_log_sync: true,
    refuse_stop_sign: true,
    outrun_higher_promise: true,
    persist_before_send: true,
    gate_accepted: true,
};

/// Takes the letters `from` -> `to` that are on the wire now; all others are delivered.
fn intercept(cluster: &mut Lockstep, from: NodeId, to: NodeId) -> Vec<Letter> {
    let letters = std::mem::take(&mut cluster.wire);
    let (taken, others): (Vec<_>, Vec<_>) =
        letters.into_iter().partition(|letter| letter.from == from && letter.to == to);
    others.iter().for_each(|letter| cluster.deliver(letter));
    taken
}

/// D1: the AcceptSync is lost, the follower repeats its Promise, and the leader appends before and after it
/// in one turn. Gives the decided logs of leader and follower.
fn repeated_promise(guards: Guards) -> (Vec<String>, Vec<String>) {
    let (mut cluster, leader) = Lockstep::elected(3, guards);
    let follower = cluster.followers()[0];
    cluster.propose(leader, "before");
    cluster.settle();
    cluster.half_connect(follower, leader);
    let mut lost = 0;
    while lost == 0 {
        cluster.round(&mut |letter| {
            let sync = letter.message.kind() == "AcceptSync";
            lost += usize::from(sync);
            !sync
        });
    }
    let promise = loop {
        cluster.replica(follower).tick();
        cluster.turn(follower);
        cluster.turn(follower);
        let letters = std::mem::take(&mut cluster.wire);
        if let Some(promise) = letters.into_iter().find(|letter| letter.message.kind() == "Promise") {
            break promise;
        }
    };
    cluster.propose(leader, "first");
    cluster.deliver(&promise);
    cluster.propose(leader, "second");
    cluster.settle();
    cluster.propose(leader, "third");
    cluster.settle();
    cluster.propose(leader, "fourth");
    cluster.settle();
    (texts(&cluster.member(leader).applied), texts(&cluster.member(follower).applied))
}

#[test]
fn d1_an_entry_appended_after_a_repeated_promise_reaches_the_follower() {
    let (leader, follower) = repeated_promise(ALL);
    assert_eq!(leader, ["before", "first", "second", "third", "fourth"]);
    assert_eq!(follower, leader);
    let (leader, follower) = repeated_promise(Guards { drain_before_promise: false, ..ALL });
    assert_eq!(leader, ["before", "first", "second", "third", "fourth"]);
    assert_eq!(follower, ["before", "first", "third", "fourth"], "the defect is gone from the core");
}

/// D2: a follower that was away is sent what was decided meanwhile. Gives what it applied, and what it
/// missed.
fn catch_up(guards: Guards) -> (Vec<String>, Option<u64>) {
    let (mut cluster, leader) = Lockstep::elected(3, guards);
    let follower = cluster.followers()[0];
    cluster.propose(leader, "here");
    cluster.settle();
    cluster.away.push(follower);
    for text in ["away 1", "away 2"] {
        cluster.propose(leader, text);
        cluster.settle();
    }
    cluster.away.clear();
    cluster.connect(follower);
    cluster.settle();
    cluster.propose(leader, "back");
    cluster.settle();
    let member = cluster.member(follower);
    (texts(&member.applied), member.replica.missing_below())
}

#[test]
fn d2_a_follower_that_was_away_gets_every_entry_it_missed() {
    let (applied, missing) = catch_up(ALL);
    assert_eq!(applied, ["here", "away 1", "away 2", "back"]);
    assert_eq!(missing, None);
    let (applied, missing) = catch_up(Guards { normalise_log_sync: false, ..ALL });
    assert_eq!(applied, ["here"], "the defect is gone from the core");
    assert_eq!(missing, Some(3));
}

fn core(nodes: &[u64], pid: u64) -> OmniPaxos<Payload, LogMemory> {
    let cluster_config = ClusterConfig { configuration_id: 1, nodes: nodes.to_vec(), flexible_quorum: None };
    let server_config = ServerConfig { pid, election_tick_timeout: 5, ..ServerConfig::default() };
    OmniPaxosConfig { cluster_config, server_config }
        .build(LogMemory::new(LogState::default()))
        .expect("a valid configuration")
}

/// Bare cores, without any guard.
struct Bare(Vec<OmniPaxos<Payload, LogMemory>>);

impl Bare {
    fn elected(pids: &[u64]) -> (Bare, usize) {
        let mut bare = Bare(pids.iter().map(|pid| core(pids, *pid)).collect());
        for _ in 0..60 {
            bare.0.iter_mut().for_each(OmniPaxos::tick);
            bare.settle();
        }
        let leads = |core: &OmniPaxos<_, _>| core.get_current_leader() == Some((core.get_pid(), true));
        let leader = bare.0.iter().position(leads).expect("a leader");
        (bare, leader)
    }

    fn settle(&mut self) {
        loop {
            let mut letters = Vec::new();
            for core in &mut self.0 {
                let mut own = Vec::new();
                core.take_outgoing_messages(&mut own);
                letters.append(&mut own);
            }
            if letters.is_empty() {
                return;
            }
            for letter in letters {
                let to = self.0.iter_mut().find(|core| core.get_pid() == letter.get_receiver());
                to.expect("a member").handle_incoming(letter);
            }
        }
    }
}

fn stop_sign() -> StopSign {
    StopSign::with(ClusterConfig { configuration_id: 2, nodes: vec![1, 2, 3], flexible_quorum: None }, None)
}

/// The core takes the stop sign for an entry when it says where a sync starts, and adds it again.
#[test]
#[should_panic(expected = "append leaves a gap")]
fn d3_unguarded_a_follower_that_is_synced_again_counts_a_stop_sign_twice() {
    let (mut bare, leader) = Bare::elected(&[1, 2, 3]);
    bare.0[leader].append(Payload(entry("e"))).expect("not stopped");
    bare.settle();
    bare.0[leader].reconfigure(stop_sign().next_config, None).expect("not stopped");
    bare.settle();
    let (leader_pid, follower) = (bare.0[leader].get_pid(), (leader + 1) % 3);
    assert_eq!(bare.0[follower].get_accepted_idx(), 2);
    bare.0[follower].reconnected(leader_pid);
    bare.settle();
}

/// A message of the core from `from` to `to`, in a cluster of 10, 20, 30.
fn letter(cluster: &mut Lockstep, from: NodeId, to: NodeId, msg: PaxosMsg<Payload>) -> Letter {
    // Every new session starts with a message that shows the configuration.
    cluster.connect(from);
    cluster.turn(from);
    let configuration = cluster.wire.front().expect("a session starts with a message").message.configuration;
    cluster.settle();
    let message = Message::SequencePaxos(PaxosMessage { from: from / 10, to: to / 10, msg });
    Letter { from, to, message: PeerMessage { configuration, body: Body::Core(message) } }
}

/// D3: a stop sign arrives. Says whether the cluster still decides entries.
fn decides_after_a_stop_sign(guards: Guards) -> bool {
    let (mut cluster, leader) = Lockstep::elected(3, guards);
    let follower = cluster.followers()[0];
    let letter = letter(&mut cluster, follower, leader, PaxosMsg::ForwardStopSign(stop_sign()));
    cluster.deliver(&letter);
    cluster.settle();
    let taken = cluster.replica(leader).propose(entry("after")).is_ok();
    cluster.settle();
    taken && cluster.logs().iter().all(|log| *log == ["after"])
}

#[test]
fn d3_a_stop_sign_is_refused_and_cannot_seal_the_log() {
    assert!(decides_after_a_stop_sign(ALL));
    assert!(!decides_after_a_stop_sign(Guards { refuse_stop_sign: false, ..ALL }));
}

/// D4: a follower promised itself a ballot, crashed before its Prepare left, and comes back. Gives its role
/// after a while, and what it applied.
fn promise_above_the_leader(guards: Guards) -> (Role, Vec<String>) {
    let (mut cluster, leader) = Lockstep::elected(3, guards);
    let follower = cluster.followers()[0];
    cluster.propose(leader, "before");
    cluster.settle();
    let mut disk = cluster.member(follower).disk.clone();
    let promise = disk.promise.expect("it promised the leader");
    disk.promise = Some(Ballot { number: promise.number + 3, pid: follower / 10, ..promise });
    cluster.restart(follower, disk);
    cluster.ticks(200);
    cluster.propose(leader, "after");
    cluster.ticks(10);
    let member = cluster.member(follower);
    (member.replica.role(), texts(&member.applied))
}

#[test]
fn d4_a_member_with_a_promise_above_the_leader_joins_again() {
    assert_eq!(
        promise_above_the_leader(ALL),
        (Role::Follower, vec!["before".to_string(), "after".to_string()])
    );
    let (role, applied) = promise_above_the_leader(Guards { outrun_higher_promise: false, ..ALL });
    assert_eq!(role, Role::Candidate, "the defect is gone from the core");
    assert!(!applied.contains(&"after".to_string()));
}

/// D4 without a restart: a follower promised itself to a candidate that died before anybody else heard of it.
/// Gives what the follower applied after a while.
fn promise_to_a_dead_candidate(guards: Guards) -> Vec<String> {
    let (mut cluster, leader) = Lockstep::elected(5, guards);
    let [candidate, follower, ..] = cluster.followers()[..] else { panic!("four followers") };
    let mut take_over = letter(&mut cluster, leader, candidate, PaxosMsg::ProposalForward(Vec::new()));
    take_over.message.body = Body::TakeOver;
    cluster.deliver(&take_over);
    for _ in 0..2 {
        cluster.turn(candidate);
    }
    let heard = std::mem::take(&mut cluster.wire);
    let heard = heard.iter().filter(|letter| letter.to == follower && letter.message.kind() == "Prepare");
    assert_eq!(heard.map(|letter| cluster.deliver(letter)).count(), 1);
    cluster.away.push(candidate);
    cluster.ticks(20);
    assert_eq!(cluster.leader(), leader);
    cluster.propose(leader, "refused by the follower");
    cluster.ticks(200);
    let leader = cluster.leader();
    cluster.propose(leader, "after");
    cluster.ticks(10);
    texts(&cluster.member(follower).applied)
}

#[test]
fn d4_a_member_with_a_promise_to_a_dead_candidate_joins_again() {
    assert_eq!(promise_to_a_dead_candidate(ALL), ["refused by the follower", "after"]);
    let unguarded = promise_to_a_dead_candidate(Guards { outrun_higher_promise: false, ..ALL });
    assert!(unguarded.is_empty(), "the defect is gone from the core");
}

#[test]
fn d5_the_log_is_compacted_although_node_ids_have_gaps() {
    let (mut bare, leader) = Bare::elected(&[1, 2, 4]);
    bare.0[leader].append(Payload(entry("e"))).expect("not stopped");
    bare.settle();
    let trimmed = bare.0[leader].trim(Some(1));
    assert!(
        matches!(trimmed, Err(CompactionErr::NotAllDecided(0))),
        "the defect is gone from the core: {trimmed:?}"
    );

    let mut cluster = Lockstep::new(&[1, 2, 4], ALL);
    cluster.ticks(60);
    let leader = cluster.leader();
    cluster.propose(leader, "e");
    cluster.settle();
    cluster.members.values_mut().for_each(|member| member.replica.set_durable_applied(1));
    cluster.ticks(40);
    for member in cluster.members.values() {
        assert_eq!(member.replica.compacted_index(), 1);
        assert_eq!((member.disk.compacted_index, member.disk.entries.len()), (1, 0));
    }
}

/// Length of an error's chain, 100 if it does not end.
fn chain_length(error: &dyn Error) -> usize {
    let mut next = Some(error);
    let mut length = 0;
    while let Some(error) = next.filter(|_| length < 100) {
        length += 1;
        next = error.source();
    }
    length
}

#[test]
fn d6_the_chain_of_a_configuration_error_ends() {
    let refused = ClusterConfig::default()
        .build_for_server::<Payload, LogMemory>(ServerConfig::default(), LogMemory::new(LogState::default()));
    let Err(refused) = refused else { panic!("an empty member list is refused") };
    assert_eq!(chain_length(&refused), 100, "the defect is gone from the core");

    let mut config = ReplicaConfig::new(1);
    config.election_ticks = 0;
    let refused = super::replica::Replica::new(config, first(&[1, 2, 3]), LogState::default());
    let Err(refused) = refused else { panic!("a round of no ticks is refused") };
    assert!(matches!(refused, ReplicaError::Core(_)), "{refused}");
    assert_eq!(chain_length(&refused), 1);
}

/// The leader's disk is slow, one follower is away. Gives what the leader and the fast follower applied
/// before the leader's write was durable.
fn decided_before_own_write(guards: Guards) -> [Vec<String>; 2] {
    let (mut cluster, leader) = Lockstep::elected(3, guards);
    let followers = cluster.followers();
    cluster.away.push(followers[1]);
    cluster.member(leader).slow_disk = true;
    cluster.propose(leader, "e");
    cluster.settle();
    assert_eq!(cluster.member(leader).disk.entries.len(), 0);
    let logs = [leader, followers[0]].map(|node| texts(&cluster.member(node).applied));
    cluster.persist(leader);
    cluster.settle();
    for node in [leader, followers[0]] {
        assert_eq!(texts(&cluster.member(node).applied), ["e"]);
    }
    logs
}

#[test]
fn a_leader_decides_nothing_that_rests_on_its_own_unwritten_entry() {
    assert_eq!(decided_before_own_write(ALL), [Vec::<String>::new(), Vec::new()]);
    let ungated = decided_before_own_write(Guards { gate_accepted: false, ..ALL });
    assert_eq!(ungated, [vec!["e".to_string()], vec!["e".to_string()]], "one disk of three held it");
}

/// Whether an Accepted leaves a follower whose disk has not taken the entry.
fn accepted_leaves_before_its_write(guards: Guards) -> bool {
    let (mut cluster, leader) = Lockstep::elected(3, guards);
    let follower = cluster.followers()[0];
    cluster.member(follower).slow_disk = true;
    cluster.propose(leader, "e");
    cluster.turn(leader);
    let accept = intercept(&mut cluster, leader, follower);
    accept.iter().for_each(|letter| cluster.deliver(letter));
    cluster.turn(follower);
    cluster.turn(follower);
    cluster.wire.iter().any(|letter| letter.from == follower && letter.message.kind() == "Accepted")
}

#[test]
fn an_accepted_waits_for_its_own_write() {
    assert!(!accepted_leaves_before_its_write(ALL));
    assert!(accepted_leaves_before_its_write(Guards { persist_before_send: false, ..ALL }));
}

#[test]
fn messages_that_do_not_belong_here_are_dropped_and_counted() {
    let (mut cluster, leader) = Lockstep::elected(3, ALL);
    let [follower, other] = cluster.followers()[..] else { panic!("two followers") };
    cluster.propose(leader, "e");
    cluster.settle();
    let forward = || PaxosMsg::ProposalForward(vec![Payload(entry("x"))]);
    let mut of_another_membership = letter(&mut cluster, follower, leader, forward());
    of_another_membership.message.configuration ^= 1;
    let mut of_another_sender = letter(&mut cluster, follower, leader, forward());
    of_another_sender.from = other;
    let cases = [
        ("another membership", of_another_membership),
        ("another sender than the session's", of_another_sender),
        ("a stop sign", letter(&mut cluster, follower, leader, PaxosMsg::ForwardStopSign(stop_sign()))),
        ("trimming", letter(&mut cluster, follower, leader, PaxosMsg::Compaction(Compaction::Trim(1)))),
        (
            "a snapshot",
            letter(&mut cluster, follower, leader, PaxosMsg::Compaction(Compaction::Snapshot(None))),
        ),
    ];
    for (name, letter) in cases {
        let before = cluster.replica(leader).dropped_messages();
        cluster.deliver(&letter);
        cluster.settle();
        assert_eq!(cluster.replica(leader).dropped_messages(), before + 1, "{name}");
        assert_eq!(cluster.replica(leader).compacted_index(), 0, "{name}");
    }
    assert!(cluster.logs().iter().all(|log| *log == ["e"]), "{:?}", cluster.logs());
}

/// Peers are authenticated, but a node must survive another's bug: real messages with flipped bytes,
/// delivered in place of the real ones, never panic.
#[test]
fn damaged_messages_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    };
    let mut damaged = 0;
    for run in 0..40 {
        let nodes = [10, 20, 30];
        let mut cluster = Lockstep::new(&nodes, ALL);
        for step in 0..200 {
            for node in nodes {
                cluster.replica(node).tick();
                let _ = cluster.replica(node).propose(entry(&format!("{run} {step} {node}")));
                cluster.turn(node);
            }
            if random(20) == 0 {
                cluster.connect(nodes[random(3)]);
            }
            for mut letter in std::mem::take(&mut cluster.wire) {
                let mut bytes = Vec::new();
                letter.message.encode(&mut bytes);
                if random(10) == 0 {
                    for _ in 0..1 + random(3) {
                        let at = random(bytes.len());
                        bytes[at] = random(256) as u8;
                    }
                    let Some(message) = PeerMessage::decode(&bytes) else { continue };
                    letter.message = message;
                    damaged += 1;
                }
                cluster.deliver(&letter);
            }
        }
    }
    assert!(damaged > 1000, "only {damaged} damaged messages decoded");
}
