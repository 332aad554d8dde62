//! A cluster of Trimaran nodes, or one BIND primary in its place (see the module above).

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use super::named::{Named, Program, START_LIMIT, Zone};
use super::namespaces::Network;
use super::site::Site;
use super::{client, http, wait};

/// The secret that the nodes of a cluster share.
pub const SECRET: &str = "c2l4dGVlbiBieXRlcyBvciBtb3JlIGFyZSBiZXN0";

/// How long a cluster may take to have a leader again.
pub const ELECTION_LIMIT: Duration = Duration::from_secs(20);

/// The nodes of one cluster, running or not.
pub struct Cluster {
    /// In the order of their node ids, which count from 1.
    pub nodes: Vec<Named>,
    /// Where the nodes listen for each other.
    pub addresses: Vec<SocketAddr>,
}

impl Cluster {
    /// Writes the configuration of `count` nodes and starts none.
    pub fn new(site: &Site, count: usize, zones: &[Zone]) -> Cluster {
        let program = Program::subject();
        let count = if program == Program::Bind { 1 } else { count };
        let addresses: Vec<SocketAddr> = (0..count).map(|_| site.address()).collect();
        let nodes = (1..=count).map(|id| {
            let block = if count > 1 { block(id, &addresses, SECRET) } else { String::new() };
            Named::new(site, &format!("node{id}"), program, zones, &block)
        });
        Cluster { nodes: nodes.collect(), addresses: addresses.clone() }
    }

    /// Writes the configuration of nodes in namespaces of their own and starts none.
    pub fn in_namespaces(site: &Site, network: &Network, count: usize, zones: &[Zone]) -> Cluster {
        let addresses: Vec<SocketAddr> = (1..=count).map(|node| network.addresses(node)[1]).collect();
        let nodes = (1..=count).map(|id| {
            let [dns, _, http] = network.addresses(id);
            let (label, block) = (format!("node{id}"), block(id, &addresses, SECRET));
            let log = site.dir("logs").join(&label);
            Named::with_status_at(site, &label, Program::Trimaran, [dns, http], zones, &block)
                .launched_by(network.launcher(id), log)
        });
        Cluster { nodes: nodes.collect(), addresses: addresses.clone() }
    }

    /// Starts `count` nodes and waits until all are ready.
    pub fn start_new(site: &Site, count: usize, zones: &[Zone]) -> Cluster {
        let mut cluster = Cluster::new(site, count, zones);
        cluster.start_all();
        cluster
    }

    /// Starts every node that does not run and waits until all are ready.
    pub fn start_all(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| !node.is_started()) {
            node.start();
        }
        for node in &mut self.nodes {
            node.await_ready(START_LIMIT);
        }
    }

    /// Where the nodes answer queries.
    pub fn servers(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Named::dns).collect()
    }

    /// The index of the node that a majority of the running nodes calls leader.
    pub fn leader(&self) -> usize {
        if Program::subject() == Program::Bind {
            return 0;
        }
        wait::until("a leader that a majority agrees on", ELECTION_LIMIT, || {
            let named: Vec<u64> =
                self.nodes.iter().filter(|node| node.is_started()).filter_map(leader_of).collect();
            (0..self.nodes.len()).find(|&index| {
                let votes = named.iter().filter(|&&id| id == index as u64 + 1).count();
                votes > self.nodes.len() / 2 && self.nodes[index].is_started()
            })
        })
    }

    /// Waits until all running nodes answer `zone` at one serial, the same twice in a row, and returns it.
    pub fn await_same_serial(&self, zone: &str, limit: Duration) -> u32 {
        let what = format!("all nodes to have the same serial of {zone}");
        let mut before = None;
        wait::until(&what, limit, || {
            let running = self.nodes.iter().filter(|node| node.is_started());
            let serials: Option<Vec<u32>> = running.map(|node| client::serial(node.dns(), zone)).collect();
            let serials = serials?;
            let same = serials.windows(2).all(|pair| pair[0] == pair[1]).then(|| serials[0]);
            let settled = same.filter(|_| same == before);
            before = same;
            settled
        })
    }
}

fn leader_of(node: &Named) -> Option<u64> {
    http::json(node.http(), "/cluster")?.get("leader")?.as_u64()
}

/// The `cluster` block of node `id`.
pub fn block(id: usize, addresses: &[SocketAddr], secret: &str) -> String {
    let mut text = format!("cluster {{\n  node-id {id};\n");
    for (index, address) in addresses.iter().enumerate() {
        writeln!(text, "  member {} address {} port {};", index + 1, address.ip(), address.port())
            .expect("a string grows");
    }
    writeln!(text, "  secret \"{secret}\";\n}};").expect("a string grows");
    text
}
