//! A cluster for unit tests: the test says when each message arrives and each write becomes durable.
//!
//! (The simulator in `compat-tests` leaves both to chance; here every step is scripted.)

use super::{
    NodeId,
    configuration::{Configuration, Installed},
    guards::Guards,
    message::{Body, PeerMessage},
    replica::{Replica, ReplicaConfig, Role},
};
use crate::store::log::{EntryBytes, LogOp, LogState};
use std::collections::{BTreeMap, VecDeque};

/// Small enough that a few entries more than the tests of the core's defects need make a log sync of parts.
pub(super) const SYNC_PART_BYTES: usize = 32;

/// A message under way.
pub(super) struct Letter {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) message: PeerMessage,
}

pub(super) struct Member {
    pub(super) replica: Replica,
    pub(super) disk: LogState,
    in_flight: Option<Vec<LogOp>>,
    /// Writes stay in flight until `persist`.
    pub(super) slow_disk: bool,
    /// As of what it applied.
    configuration: Configuration,
    /// Everything handed out since the start of the process.
    pub(super) applied: Vec<(u64, EntryBytes)>,
}

pub(super) struct Lockstep {
    pub(super) members: BTreeMap<NodeId, Member>,
    pub(super) wire: VecDeque<Letter>,
    /// Members that are cut off: their messages vanish, in both directions.
    pub(super) away: Vec<NodeId>,
    /// Members to whom much waits to be sent.
    pub(super) full: Vec<NodeId>,
    guards: Guards,
    /// Who is in the first configuration.
    founders: Vec<NodeId>,
}

pub(super) fn entry(text: &str) -> EntryBytes {
    text.as_bytes().into()
}

/// The first configuration of a cluster.
pub(super) fn first(nodes: &[NodeId]) -> Configuration {
    Configuration::first(nodes.iter().map(|node| (*node, ([192, 0, 2, *node as u8], 53).into())))
}

/// Entries as text, for comparison.
pub(super) fn texts(entries: &[(u64, EntryBytes)]) -> Vec<String> {
    entries.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect()
}

impl Member {
    /// An entry "voters 1 2 3" changes the configuration.
    fn apply(&mut self) {
        loop {
            let decided = self.replica.take_decided(usize::MAX);
            if decided.is_empty() {
                return;
            }
            for (index, bytes) in decided {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.applied.push((index, bytes));
                let Some(voters) = text.strip_prefix("voters ") else { continue };
                let voters: Vec<NodeId> = voters.split(' ').map(|id| id.parse().expect("an id")).collect();
                let (id, base) = (self.configuration.id + 1, index + 1);
                self.configuration =
                    Configuration { id, base, cluster_id: self.configuration.cluster_id, ..first(&voters) };
                if id > self.replica.configuration().id {
                    self.replica.configure(self.configuration.clone(), base);
                    // What was handed out from behind it is void.
                    break;
                }
            }
        }
    }
}

impl Lockstep {
    pub(super) fn new(nodes: &[NodeId], guards: Guards) -> Lockstep {
        let mut lockstep = Lockstep {
            members: BTreeMap::new(),
            wire: VecDeque::new(),
            away: Vec::new(),
            full: Vec::new(),
            guards,
            founders: nodes.to_vec(),
        };
        for node in nodes {
            let member = lockstep.start(*node, nodes, LogState::default());
            lockstep.members.insert(*node, member);
        }
        for node in nodes {
            lockstep.connect(*node);
        }
        lockstep
    }

    /// A cluster of 10, 20, 30 ... with a leader, and that leader.
    pub(super) fn elected(count: u64, guards: Guards) -> (Lockstep, NodeId) {
        let nodes: Vec<NodeId> = (1..=count).map(|node| node * 10).collect();
        let mut lockstep = Lockstep::new(&nodes, guards);
        lockstep.ticks(60);
        let leader = lockstep.leader();
        (lockstep, leader)
    }

    fn start(&self, node: NodeId, nodes: &[NodeId], disk: LogState) -> Member {
        let mut config = ReplicaConfig::new(node);
        config.resend_ticks = 30;
        config.held_bytes_max = 1 << 20;
        config.log_bytes_min = 0;
        config.sync_part_bytes = SYNC_PART_BYTES;
        config.guards = self.guards;
        let replica = Replica::new(config, first(nodes), disk.clone()).expect("a sound disk");
        let configuration = first(nodes);
        Member { replica, disk, in_flight: None, slow_disk: false, configuration, applied: Vec::new() }
    }

    /// Starts `node` again from `disk`.
    pub(super) fn restart(&mut self, node: NodeId, disk: LogState) {
        let nodes = self.founders.clone();
        let member = self.start(node, &nodes, disk);
        self.members.insert(node, member);
        self.connect(node);
    }

    /// New sessions between `node` and every other member.
    pub(super) fn connect(&mut self, node: NodeId) {
        let others: Vec<NodeId> = self.members.keys().copied().filter(|other| *other != node).collect();
        self.wire.retain(|letter| letter.from != node && letter.to != node);
        for other in others {
            self.replica(node).session_up(other);
            self.replica(other).session_up(node);
        }
    }

    /// A session of which only `node` knows: as if the other end had said what it works under, and no more.
    pub(super) fn half_connect(&mut self, node: NodeId, other: NodeId) {
        let replica = &self.members[&other].replica;
        let installed = Installed::from(replica.configuration().clone());
        let message = PeerMessage {
            configuration: installed.configuration.id,
            body: Body::Configuration(Box::new(installed)),
        };
        self.replica(node).session_up(other);
        self.replica(node).receive(other, message);
    }

    /// `node` hears of the current configuration of `other` as a learner does: with all entries below its base.
    pub(super) fn admit(&mut self, node: NodeId, other: NodeId) {
        let configuration = self.members[&other].configuration.clone();
        let base = configuration.base;
        let applied =
            self.members[&other].applied.iter().filter(|(index, _)| *index < base).cloned().collect();
        let nodes = self.founders.clone();
        let mut member = self.start(node, &nodes, LogState::default());
        member.replica.configure(configuration.clone(), base);
        (member.configuration, member.applied) = (configuration, applied);
        self.members.insert(node, member);
        self.connect(node);
    }

    pub(super) fn member(&mut self, node: NodeId) -> &mut Member {
        self.members.get_mut(&node).expect("a member")
    }

    pub(super) fn replica(&mut self, node: NodeId) -> &mut Replica {
        &mut self.member(node).replica
    }

    pub(super) fn leader(&self) -> NodeId {
        let mut leaders = self.members.iter().filter(|(_, member)| member.replica.role() == Role::Leader);
        *leaders.next().expect("a leader").0
    }

    pub(super) fn followers(&self) -> Vec<NodeId> {
        self.others(self.leader())
    }

    pub(super) fn others(&self, node: NodeId) -> Vec<NodeId> {
        self.members.keys().copied().filter(|other| *other != node).collect()
    }

    pub(super) fn propose(&mut self, node: NodeId, text: &str) {
        self.replica(node).propose(entry(text)).expect("room for a proposal");
    }

    /// The output side of one turn of `node`: messages to the wire, ops to the disk, decided entries applied.
    pub(super) fn turn(&mut self, node: NodeId) {
        let mut messages = Vec::new();
        let full = self.full.clone();
        let member = self.member(node);
        member.replica.take_messages(&mut messages, &|peer| !full.contains(&peer));
        if let Some(ops) = member.replica.take_write() {
            member.in_flight = Some(ops);
        }
        let slow = member.slow_disk;
        member.apply();
        self.wire.extend(messages.into_iter().map(|(to, message)| Letter { from: node, to, message }));
        if !slow {
            self.persist(node);
        }
    }

    /// The write in flight at `node`, if any, becomes durable.
    pub(super) fn persist(&mut self, node: NodeId) {
        let member = self.member(node);
        if let Some(ops) = member.in_flight.take() {
            ops.iter().for_each(|op| member.disk.apply(op));
            member.replica.persisted();
        }
    }

    /// Delivers one letter through its encoding.
    pub(super) fn deliver(&mut self, letter: &Letter) {
        if self.away.contains(&letter.from) || self.away.contains(&letter.to) {
            return;
        }
        let mut bytes = Vec::new();
        letter.message.encode(&mut bytes);
        let message = PeerMessage::decode(&bytes).expect("what was encoded decodes");
        self.replica(letter.to).receive(letter.from, message);
    }

    /// Turns everywhere, then delivers what `keep` says of what is on the wire; the rest is lost.
    pub(super) fn round(&mut self, keep: &mut dyn FnMut(&Letter) -> bool) {
        let nodes: Vec<NodeId> = self.members.keys().copied().collect();
        nodes.iter().for_each(|node| self.turn(*node));
        for letter in std::mem::take(&mut self.wire) {
            if keep(&letter) {
                self.deliver(&letter);
            }
        }
    }

    /// Rounds until nothing is under way.
    pub(super) fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 2 {
            let mut letters = 0;
            self.round(&mut |_| {
                letters += 1;
                true
            });
            quiet = if letters == 0 { quiet + 1 } else { 0 };
        }
    }

    /// Ticks everywhere, settling after each.
    pub(super) fn ticks(&mut self, count: u64) {
        for _ in 0..count {
            self.members.values_mut().for_each(|member| member.replica.tick());
            self.settle();
        }
    }

    /// Everything each member applied, as text.
    pub(super) fn logs(&self) -> Vec<Vec<String>> {
        self.members.values().map(|member| texts(&member.applied)).collect()
    }
}
