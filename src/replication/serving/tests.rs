//! Leases step by step: the test says what time it is, who hears whom, and how far each node is.

use super::*;

const DURATION: Duration = Duration::from_millis(1000);
/// What granters wait for.
const GRANTED: u64 = 1200;
const TICK: u64 = 10;

/// Members whose messages arrive at once.
struct Bench {
    now: u64,
    nodes: BTreeMap<NodeId, (Leases, View)>,
    /// Who says nothing and hears nothing.
    dead: Vec<NodeId>,
    /// Pairs that do not hear each other.
    cuts: Vec<(NodeId, NodeId)>,
}

fn millis(millis: u64) -> Time {
    Duration::from_millis(millis)
}

fn leases(node_id: NodeId, incarnation: u64, members: &[NodeId], now: u64) -> Leases {
    let config = LeaseConfig { node_id, incarnation, duration: DURATION, rules: Rules::default() };
    Leases::new(config, members, millis(now))
}

fn at(index: u64) -> View {
    View { is_ready: true, log_end: index, decided_index: index, applied_index: index }
}

impl Bench {
    /// Members that have just started, all at `index`.
    fn new(members: &[NodeId], index: u64) -> Bench {
        let now = 5000;
        let nodes = members.iter().map(|id| (*id, (leases(*id, 1, members, now), at(index)))).collect();
        Bench { now, nodes, dead: Vec::new(), cuts: Vec::new() }
    }

    /// The same some time later.
    fn running(members: &[NodeId], index: u64) -> Bench {
        let mut bench = Bench::new(members, index);
        bench.pass(2 * GRANTED);
        bench
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / TICK {
            self.now += TICK;
            self.settle();
        }
    }

    /// Steps everywhere until nobody has anything to say.
    fn settle(&mut self) {
        let now = millis(self.now);
        loop {
            let mut said = Vec::new();
            for (id, (leases, view)) in self.nodes.iter_mut().filter(|(id, _)| !self.dead.contains(id)) {
                let mut out = Vec::new();
                leases.step(now, *view, &mut out);
                said.extend(out.into_iter().map(|(to, message)| (*id, to, message)));
            }
            if said.is_empty() {
                return;
            }
            for (from, to, message) in said {
                let is_cut = self.cuts.contains(&(from, to)) || self.cuts.contains(&(to, from));
                if !is_cut
                    && !self.dead.contains(&to)
                    && let Some((leases, _)) = self.nodes.get_mut(&to)
                {
                    leases.receive(from, message, now);
                }
            }
        }
    }

    /// An entry of `proposer` is decided, and applied by these.
    fn decide(&mut self, proposer: NodeId, index: u64, applied_by: &[NodeId]) {
        for (id, (leases, view)) in &mut self.nodes {
            if self.dead.contains(id) {
                continue;
            }
            view.decided_index = index;
            view.log_end = index;
            if applied_by.contains(id) {
                view.applied_index = index;
                leases.report_to(proposer);
            }
        }
        self.settle();
    }

    fn leases(&mut self, id: NodeId) -> &mut Leases {
        &mut self.nodes.get_mut(&id).expect("a node").0
    }

    fn is_leased(&mut self, id: NodeId) -> bool {
        let now = millis(self.now);
        now < self.leases(id).valid_until()
    }

    fn everywhere(&mut self, id: NodeId) -> u64 {
        self.leases(id).everywhere_index()
    }
}

#[test]
fn what_all_have_applied_is_everywhere_without_a_tick() {
    for members in [&[1, 2][..], &[1, 2, 3], &[1, 2, 3, 4], &[1, 2, 3, 4, 5]] {
        let mut bench = Bench::running(members, 7);
        for id in members {
            assert!(bench.is_leased(*id), "node {id} of {members:?}");
        }
        bench.decide(1, 8, &members[..members.len() - 1]);
        assert_eq!(bench.everywhere(1), 7, "one has not applied it");
        bench.decide(1, 8, members);
        assert_eq!(bench.everywhere(1), 8);
    }
}

#[test]
fn a_node_that_dies_is_waited_for_until_its_lease_has_run_out() {
    for members in [&[1, 2, 3][..], &[1, 2, 3, 4, 5]] {
        let mut bench = Bench::running(members, 7);
        bench.dead.push(3);
        bench.decide(1, 8, &[1, 2, 4, 5]);
        let died = bench.now;
        while bench.everywhere(1) < 8 {
            assert!(!bench.is_leased(3) || bench.everywhere(2) < 8);
            assert!(bench.now <= died + GRANTED + TICK, "nobody waits any longer");
            bench.pass(TICK);
        }
        assert!(bench.now > died + GRANTED / 2, "its last grant was not long ago");
        assert!(!bench.is_leased(3));
        bench.decide(1, 9, &[1, 2, 4, 5]);
        assert_eq!(bench.everywhere(1), 9, "the next ones need not wait");
    }
}

#[test]
fn a_node_that_is_there_and_does_not_apply_loses_its_lease() {
    let mut bench = Bench::running(&[1, 2, 3], 7);
    bench.decide(1, 8, &[1, 2]);
    let since = bench.now;
    while bench.everywhere(1) < 8 {
        assert!(
            bench.now <= since + 500 + GRANTED + 250,
            "half a lease, a lease, and the time between two requests"
        );
        bench.pass(TICK);
    }
    assert!(!bench.is_leased(3));
    // It comes back while entries are decided faster than it can say where it is.
    bench.nodes.get_mut(&3).expect("a node").1 = at(8);
    for index in 9..400 {
        bench.decide(1, index, &[1, 2]);
        let (leases, view) = bench.nodes.get_mut(&3).expect("a node");
        view.applied_index = index - 1;
        leases.report_to(1);
        bench.pass(TICK);
    }
    assert!(bench.is_leased(3), "it was always one behind");
    assert!(bench.everywhere(1) >= 397);
}

#[test]
fn nodes_that_do_not_hear_each_other_learn_from_the_third() {
    let mut bench = Bench::running(&[1, 2, 3], 7);
    bench.cuts.push((1, 3));
    bench.decide(1, 8, &[1, 2, 3]);
    bench.pass(600);
    assert_eq!(bench.everywhere(1), 8);
    bench.pass(5000);
    assert!(bench.is_leased(1) && bench.is_leased(3), "two of three are a majority");
}

#[test]
fn a_node_without_a_majority_stops_and_the_others_go_on() {
    let mut bench = Bench::running(&[1, 2, 3], 7);
    bench.cuts = vec![(1, 2), (1, 3)];
    bench.pass(1010);
    assert!(!bench.is_leased(1), "not a moment longer than the lease");
    assert!(bench.is_leased(2) && bench.is_leased(3));
}

#[test]
fn a_node_that_starts_recovers_before_it_asks_or_grants() {
    let mut bench = Bench::running(&[1, 2, 3], 7);
    let now = bench.now;
    let restarted = leases(3, 2, &[1, 2, 3], now);
    bench
        .nodes
        .insert(3, (restarted, View { is_ready: false, log_end: 4, decided_index: 4, applied_index: 4 }));
    bench.pass(500);
    assert!(!bench.is_leased(3), "not synced");
    bench.nodes.get_mut(&3).expect("a node").1 = View { is_ready: true, ..at(4) };
    bench.nodes.get_mut(&3).expect("a node").1.log_end = 7;
    bench.pass(500);
    assert!(!bench.is_leased(3), "not applied");
    // Another leader: its log may be longer.
    bench.nodes.get_mut(&3).expect("a node").1 = View { is_ready: false, ..at(7) };
    bench.pass(TICK);
    bench.nodes.get_mut(&3).expect("a node").1 = View { log_end: 8, ..at(7) };
    bench.pass(500);
    assert!(!bench.is_leased(3), "not applied what the new leader had");
    bench.decide(1, 8, &[1, 2, 3]);
    bench.pass(300);
    assert!(bench.is_leased(3));
}

#[test]
fn a_grant_of_a_former_life_means_nothing() {
    let (mut before, mut out) = (leases(1, 1, &[1, 2, 3], 0), Vec::new());
    before.step(millis(10), at(7), &mut out);
    let asked = out.iter().find_map(|(_, message)| match message {
        Message::Standing { seq, .. } => *seq,
        Message::Grant { .. } => None,
    });
    let seq = asked.expect("a request");
    let grant = Message::Grant { seq, floor: 0, duration: DURATION };
    before.receive(2, grant.clone(), millis(20));
    assert_eq!(before.valid_until(), millis(1010));
    let mut after = leases(1, 2, &[1, 2, 3], 30);
    after.step(millis(30), at(7), &mut Vec::new());
    after.receive(2, grant, millis(40));
    assert_eq!(after.valid_until(), Time::ZERO);
}

#[test]
fn a_lease_is_no_longer_than_either_side_says_and_needs_its_floor() {
    let mut lease = leases(1, 1, &[1, 2, 3], 0);
    let mut out = Vec::new();
    lease.step(millis(10), at(7), &mut out);
    let seq = (1 << 32) + 1;
    lease.receive(2, Message::Grant { seq, floor: 8, duration: millis(400) }, millis(20));
    assert_eq!(lease.valid_until(), Time::ZERO, "the floor is not applied");
    lease.step(millis(30), at(8), &mut out);
    assert_eq!(lease.valid_until(), millis(410));
    lease.receive(3, Message::Grant { seq, floor: 0, duration: millis(9999) }, millis(40));
    assert_eq!(lease.valid_until(), millis(1010));
    let stranger = Message::Grant { seq, floor: 0, duration: DURATION };
    let mut lonely = leases(1, 1, &[1, 2, 3], 0);
    lonely.step(millis(10), at(7), &mut out);
    lonely.receive(9, stranger, millis(20));
    assert_eq!(lonely.valid_until(), Time::ZERO, "it is no member");
}

#[test]
fn a_node_that_is_alone_answers_after_a_start_when_it_has_applied_its_log() {
    let mut alone = leases(4, 2, &[4], 0);
    let behind = View { applied_index: 3, ..at(5) };
    for (view, valid_until) in [(behind, Time::ZERO), (at(5), Time::MAX), (at(6), Time::MAX)] {
        alone.step(millis(TICK), view, &mut Vec::new());
        assert_eq!(alone.valid_until(), valid_until, "{view:?}");
    }
}

#[test]
fn a_node_that_is_alone_always_answers() {
    let mut bench = Bench::new(&[4], 7);
    bench.pass(GRANTED);
    assert_eq!(bench.leases(4).valid_until(), Time::MAX);
    assert_eq!(bench.everywhere(4), 7, "no other can be left of a former configuration");
    bench.decide(4, 8, &[4]);
    assert_eq!(bench.everywhere(4), 8);
}

#[test]
fn a_member_that_was_removed_is_waited_for_until_nothing_is_left_of_its_lease() {
    let mut bench = Bench::running(&[1, 2, 3], 7);
    bench.dead.push(3);
    let now = millis(bench.now);
    bench.leases(1).reconfigure(&[1, 2], 8, now);
    bench.leases(2).reconfigure(&[1, 2], 8, now);
    assert!(bench.is_leased(1) && bench.is_leased(2), "the lease goes over");
    bench.decide(1, 8, &[1, 2]);
    bench.pass(GRANTED - 2 * TICK);
    assert_eq!(bench.everywhere(1), 7);
    bench.pass(3 * TICK);
    assert_eq!(bench.everywhere(1), 8);
    assert!(bench.is_leased(1) && bench.is_leased(2));
    bench.leases(3).reconfigure(&[1, 2], 8, now);
    assert!(!bench.is_leased(3), "it is no member");
}

#[test]
fn a_member_that_is_added_holds_nobody_up() {
    let mut bench = Bench::running(&[1, 2], 7);
    let now = bench.now;
    for id in [1, 2] {
        bench.leases(id).reconfigure(&[1, 2, 3], 8, millis(now));
    }
    bench.nodes.insert(3, (leases(3, 1, &[1, 2, 3], now), at(7)));
    bench.decide(1, 8, &[1, 2, 3]);
    assert_eq!(bench.everywhere(1), 8);
    bench.pass(300);
    assert!(bench.is_leased(3));
}
