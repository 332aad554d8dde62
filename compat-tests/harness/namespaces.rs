//! A network of its own for each node, so that a test can cut it.
//!
//! ```text
//! this process ── veth ──┬── hub: one bridge ──┬───────────┬───────────┐
//!       .254             │    (a namespace)   veth        veth        veth
//!                        └──                node 1 .1    node 2 .2   node 3 .3     namespaces; nftables inside
//! ```
//!
//! A link goes down, as when a cable is pulled; or a node hears nothing of another one (one way), by a rule of
//! nftables in its namespace. All of it is Linux's, so it takes root. Where namespaces cannot be made the test says so
//! and fails, unless `COMPAT_WITHOUT_NAMESPACES` excuses it. What a killed run left behind, the next one removes.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Excuses tests that need namespaces.
const EXCUSE: &str = "COMPAT_WITHOUT_NAMESPACES";
/// All names begin with it; the process id follows.
const PREFIX: &str = "trimaran";
/// Where nodes of a network answer queries, hear each other and tell their status.
const PORTS: [u16; 3] = [5300, 5301, 5302];

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// Namespaces on a bridge. Removed when dropped.
pub struct Network {
    /// The part of all names that is this network's own.
    name: String,
    /// The outer end of the link between this process and the hub.
    link: String,
    /// The first three octets of all addresses.
    prefix: [u8; 3],
    count: usize,
}

impl Network {
    /// A network of `count` nodes; nothing if this machine has none to give and the tests were told so.
    pub fn new(count: usize) -> Option<Network> {
        sweep();
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let pid = std::process::id();
        // Two processes with the same addresses would be 30,000 processes apart.
        let [.., high, low] = pid.wrapping_mul(4).wrapping_add(number % 4).to_be_bytes();
        let network = Network {
            name: format!("{PREFIX}-{pid}-{number}"),
            link: format!("tri{pid}-{number}"),
            prefix: [10, 128 | high, low],
            count,
        };
        match network.build() {
            Ok(()) => Some(network),
            Err(reason) if std::env::var_os(EXCUSE).is_some() => {
                println!("LEFT OUT ({EXCUSE} is set): no network namespaces here: {reason}");
                None
            }
            Err(reason) => {
                panic!(
                    "network namespaces cannot be made here (root? iproute2, nftables?): {reason}\n{EXCUSE}=1 leaves such tests out"
                )
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        let (hub, link) = (self.space(0), &self.link);
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "bridge", "up"])?;
        ip(&["link", "add", link, "type", "veth", "peer", "name", "port0", "netns", &hub])?;
        ip(&["-n", &hub, "link", "set", "port0", "master", "bridge", "up"])?;
        ip(&["address", "add", &format!("{}/24", self.address(254)), "dev", link])?;
        ip(&["link", "set", link, "up"])?;
        for node in 1..=self.count {
            let (space, port) = (self.space(node), format!("port{node}"));
            ip(&["netns", "add", &space])?;
            ip(&["-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &space])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "bridge", "up"])?;
            let address = format!("{}/24", self.address(node));
            ip(&["-n", &space, "address", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
            // A port where nobody listens says so every time, not a few times a second.
            self.inside(node, &["sh", "-c", "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit"])?;
            self.inside(node, &["nft", "add table inet faults; add chain inet faults heard { type filter hook input priority 0; }"])?;
        }
        Ok(())
    }

    fn space(&self, node: usize) -> String {
        format!("{}-{node}", self.name)
    }

    fn inside(&self, node: usize, command: &[&str]) -> Result<(), String> {
        ip(&[&["netns", "exec", &self.space(node)], command].concat())
    }

    fn address(&self, node: usize) -> Ipv4Addr {
        let [a, b, c] = self.prefix;
        Ipv4Addr::new(a, b, c, u8::try_from(node).expect("few nodes"))
    }

    /// Where a node (counted from 1) answers queries, hears the others and tells its status.
    pub fn addresses(&self, node: usize) -> [SocketAddr; 3] {
        PORTS.map(|port| SocketAddr::from((self.address(node), port)))
    }

    /// The words before a command that let it run as `node`.
    pub fn launcher(&self, node: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.space(node)].map(str::to_owned).to_vec()
    }

    /// Pulls the cable of a node (counted from 1).
    pub fn pull(&self, node: usize) {
        self.set_link(node, "down");
    }

    /// Plugs it in again.
    pub fn plug(&self, node: usize) {
        self.set_link(node, "up");
    }

    fn set_link(&self, node: usize, state: &str) {
        let port = format!("port{node}");
        ip(&["-n", &self.space(0), "link", "set", &port, state]).expect("a link of ours can be set");
    }

    /// From now on `node` hears nothing of `other`, which may well hear `node`.
    pub fn deafen(&self, node: usize, other: usize) {
        let rule = format!("add rule inet faults heard ip saddr {} drop", self.address(other));
        self.inside(node, &["nft", &rule]).expect("a rule in a namespace of ours");
    }

    /// Two nodes hear nothing of each other; everybody else hears both.
    pub fn part(&self, node: usize, other: usize) {
        self.deafen(node, other);
        self.deafen(other, node);
    }

    /// A node's link carries no more than so many bits a second, with a queue of 400 ms: delay, then loss.
    pub fn narrow(&self, node: usize, bits_per_second: u32) {
        let rate = format!("{bits_per_second}bit");
        let words = [
            "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", &rate, "burst", "4kb", "latency",
            "400ms",
        ];
        self.inside(node, &words).expect("a queue in a namespace of ours");
    }

    /// A node hears everybody again, at full speed, and its cable is in.
    pub fn heal(&self, node: usize) {
        self.plug(node);
        self.inside(node, &["nft", "flush chain inet faults heard"]).expect("a chain of ours");
        // Nothing to remove where nothing was narrowed.
        let _ = self.inside(node, &["tc", "qdisc", "del", "dev", "eth0", "root"]);
    }

    /// All of them.
    pub fn heal_all(&self) {
        (1..=self.count).for_each(|node| self.heal(node));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Links go with their namespaces.
        for node in 0..=self.count {
            let _ = ip(&["netns", "del", &self.space(node)]);
        }
        let _ = ip(&["link", "del", &self.link]);
    }
}

/// Runs ip(8).
fn ip(arguments: &[&str]) -> Result<(), String> {
    let run = Command::new("ip").args(arguments).output();
    let output = run.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// Removes namespaces of processes that are gone.
fn sweep() {
    let Ok(listed) = Command::new("ip").args(["netns", "list"]).output() else { return };
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1)?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = ip(&["netns", "del", name]);
        }
    }
}
