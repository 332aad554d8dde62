//! `demo`: a cluster in one process on loopback, ready to be queried and updated.
//!
//! ```text
//! zone files ──► one directory and named.conf per node ──► daemon::start for each ──► status, commands to try
//! stdin: "kill 2", "start 2", "quit"; Ctrl-C ends it
//! ```

use crate::config;
use crate::control::status::ClusterStatus;
use crate::daemon::{self, Hangup, Overrides, Running};
use crate::dns::Name;
use crate::logging::{self, Fallback, Setup};
use crate::store::{self, DirectoryLock};
use crate::zone::check;
use crate::{clock, zonefile};
use data_encoding::{BASE64, HEXLOWER};
use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// The sample zones of `zonefiles/`, built in so that the demo runs from anywhere.
const SAMPLES: [(&str, &str); 2] = [
    ("small-company.example.", include_str!("../../zonefiles/small-company.example.zone")),
    ("2.0.192.in-addr.arpa.", include_str!("../../zonefiles/2.0.192.in-addr.arpa.zone")),
];

/// How often the status is looked at.
const STATUS_EVERY: Duration = Duration::from_millis(500);

/// How many zones the status shows; a line is to be read.
const STATUS_ZONES_MAX: usize = 4;

/// A cluster in one process on loopback, with sample zones, ready to be queried and updated.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// How many nodes: 1, 3, 5 or 7.
    #[arg(long, default_value_t = 3, value_parser = parse_nodes)]
    nodes: u16,
    /// Where to keep the nodes' directories; kept at the end and used again. Default: a temporary one.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Zone files to serve instead of the samples: NAME=FILE, or a FILE called NAME.zone or db.NAME.
    zonefiles: Vec<String>,
}

fn parse_nodes(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(nodes @ (1 | 3 | 5 | 7)) => Ok(nodes),
        _ => Err("a cluster has 1, 3, 5 or 7 nodes".into()),
    }
}

/// Why the demo cannot start.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Directory(#[from] store::OpenError),
    #[error("cannot tell the zone's name from {0}: give NAME=FILE")]
    ZoneName(String),
    #[error("{0}")]
    Zone(String),
    #[error("no free ports on 127.0.0.1")]
    NoPorts,
    #[error("node {node}: {source}")]
    Start { node: u16, source: daemon::StartError },
    #[error("node {node}: the generated configuration is refused: {text}")]
    Configuration { node: u16, text: String },
}

/// Runs the demo until Ctrl-C, SIGTERM or `quit`; the exit code.
pub fn demo(arguments: &Demo) -> i32 {
    let setup = Setup {
        fallback: Fallback::Stderr,
        debug_level: 0,
        logging: None,
        directory: Path::new("."),
        owner: None,
    };
    // Standard error needs no opening.
    let _ = logging::start(setup);
    // First of all, so that a Ctrl-C while the nodes start leaves nothing behind, either.
    let inputs = inputs();
    match prepare(arguments).and_then(|mut cluster| {
        cluster.start_all()?;
        cluster.run(&inputs);
        Ok(())
    }) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("trimaran demo: {error}");
            1
        }
    }
}

/// The ports of one node, all on 127.0.0.1.
#[derive(Clone, Copy)]
struct Ports {
    dns: u16,
    cluster: u16,
    http: u16,
}

struct DemoNode {
    ports: Ports,
    configuration: PathBuf,
    running: Option<Running>,
}

struct DemoCluster {
    nodes: Vec<DemoNode>,
    zones: Vec<Name>,
    secret: String,
    // The last field: it goes after the nodes that work in it.
    home: Home,
}

impl Drop for DemoCluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(running) = node.running.take() {
                running.shutdown();
            }
        }
    }
}

/// The directory of the demo, held against a second demo; removed at the end if it is a temporary one.
struct Home {
    directory: PathBuf,
    temporary: bool,
    _lock: DirectoryLock,
}

impl Home {
    fn open(wanted: Option<&Path>) -> Result<Home, DemoError> {
        let directory = match wanted {
            Some(directory) => directory.to_path_buf(),
            None => {
                let mut suffix = [0; 8];
                clock::random_bytes(&mut suffix);
                std::env::temp_dir().join(format!("trimaran-demo-{}", HEXLOWER.encode(&suffix)))
            }
        };
        // Secrets will be in it. One that has to be made is nobody else's.
        DirBuilder::new()
            .recursive(wanted.is_some())
            .mode(0o700)
            .create(&directory)
            .map_err(file_error(&directory))?;
        let directory = directory.canonicalize().map_err(file_error(&directory))?;
        let lock = DirectoryLock::take(&directory)?;
        Ok(Home { directory, temporary: wanted.is_none(), _lock: lock })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.temporary {
            // What is left of a temporary directory is no reason to fail.
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

fn random_secret() -> String {
    let mut bytes = [0; 32];
    clock::random_bytes(&mut bytes);
    BASE64.encode(&bytes)
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> DemoError {
    let path = path.to_path_buf();
    |source| DemoError::File { path, source }
}

/// Takes the zone's name from `NAME=FILE`, `NAME.zone`, `NAME.db` or `db.NAME`.
fn zone_of(argument: &str) -> Result<(Name, PathBuf), DemoError> {
    let (name, path) = match argument.split_once('=') {
        Some((name, path)) => (name.to_string(), PathBuf::from(path)),
        None => {
            let path = PathBuf::from(argument);
            let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name = file.strip_suffix(".zone").or(file.strip_suffix(".db")).or(file.strip_prefix("db."));
            let name = name.ok_or_else(|| DemoError::ZoneName(argument.to_string()))?;
            (name.to_string(), path)
        }
    };
    let name = name.parse().map_err(|_| DemoError::ZoneName(argument.to_string()))?;
    let path = path.canonicalize().map_err(file_error(&path))?;
    Ok((name, path))
}

fn prepare(arguments: &Demo) -> Result<DemoCluster, DemoError> {
    let home = Home::open(arguments.dir.as_deref())?;
    let directory = &home.directory;
    let mut zones = Vec::new();
    if arguments.zonefiles.is_empty() {
        for (name, text) in SAMPLES {
            let path = directory.join(format!("{}zone", name));
            std::fs::write(&path, text).map_err(file_error(&path))?;
            zones.push((name.parse::<Name>().map_err(|_| DemoError::ZoneName(name.into()))?, path));
        }
    }
    for argument in &arguments.zonefiles {
        zones.push(zone_of(argument)?);
    }
    for (name, path) in &zones {
        let (reading, checking) = (zonefile::Options::default(), check::Options::default());
        let checked = zonefile::load_checked(path, name, &reading, &checking);
        if checked.contents.is_none() {
            return Err(DemoError::Zone(checked.messages.join("\n  ")));
        }
    }
    let secret = saved_secret(directory)?;
    let ports = free_ports(arguments.nodes)?;
    let mut nodes = Vec::new();
    for (index, own) in ports.iter().enumerate() {
        let state = directory.join(format!("node{}", index + 1));
        std::fs::create_dir_all(&state).map_err(file_error(&state))?;
        let configuration = state.join("named.conf");
        let text = named_conf(index + 1, *own, &ports, &state, &zones, &secret);
        std::fs::write(&configuration, text).map_err(file_error(&configuration))?;
        nodes.push(DemoNode { ports: *own, configuration, running: None });
    }
    let zones = zones.into_iter().map(|(name, _)| name).collect();
    Ok(DemoCluster { nodes, zones, secret, home })
}

/// The secret of an earlier run in the same directory, so that its commands go on working; else a new one.
fn saved_secret(directory: &Path) -> Result<String, DemoError> {
    let path = directory.join("secret");
    match std::fs::read_to_string(&path) {
        Ok(secret) if BASE64.decode(secret.trim().as_bytes()).is_ok() => Ok(secret.trim().to_string()),
        _ => {
            let secret = random_secret();
            std::fs::write(&path, &secret).map_err(file_error(&path))?;
            Ok(secret)
        }
    }
}

/// Ports that are free now: a demo beside another one takes the next hundred.
fn free_ports(nodes: u16) -> Result<Vec<Ports>, DemoError> {
    let free = |port| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
    };
    (0..100)
        .map(|attempt| {
            let ports = |node| Ports {
                dns: 5300 + attempt * 100 + node,
                cluster: 17100 + attempt * 100 + node,
                http: 28050 + attempt * 100 + node,
            };
            (1..=nodes).map(ports).collect::<Vec<_>>()
        })
        .find(|all| all.iter().all(|ports| free(ports.dns) && free(ports.cluster) && free(ports.http)))
        .ok_or(DemoError::NoPorts)
}

fn named_conf(
    node: usize,
    own: Ports,
    all: &[Ports],
    directory: &Path,
    zones: &[(Name, PathBuf)],
    secret: &str,
) -> String {
    let mut text = format!(
        "options {{\n    directory \"{}\";\n    listen-on port {} {{ 127.0.0.1; }};\n    listen-on-v6 {{ none; }};\n    \
         pid-file none;\n    recursion no;\n    allow-transfer {{ localhost; }};\n    notify explicit;\n}};\n\
         key \"demo\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};\n\
         statistics-channels {{ inet 127.0.0.1 port {}; }};\n",
        directory.display(),
        own.dns,
        own.http
    );
    // Writing to a String cannot fail.
    if all.len() > 1 {
        let _ = writeln!(text, "cluster {{\n    node-id {node};");
        for (index, ports) in all.iter().enumerate() {
            let _ = writeln!(text, "    member {} address 127.0.0.1 port {};", index + 1, ports.cluster);
        }
        let _ = writeln!(text, "    secret \"{secret}\";\n}};");
    }
    for (name, path) in zones {
        let _ = writeln!(
            text,
            "zone \"{name}\" {{ type primary; file \"{}\"; allow-update {{ key demo; }}; }};",
            path.display()
        );
    }
    text
}

impl DemoCluster {
    fn start_all(&mut self) -> Result<(), DemoError> {
        for index in 0..self.nodes.len() {
            self.start(index)?;
        }
        Ok(())
    }

    fn start(&mut self, index: usize) -> Result<(), DemoError> {
        let number = index as u16 + 1;
        let node = &mut self.nodes[index];
        let (config, _) = config::load(&node.configuration).map_err(|errors| DemoError::Configuration {
            node: number,
            text: errors.iter().map(|error| error.to_string()).collect::<Vec<_>>().join("; "),
        })?;
        let running = daemon::start(config, &Overrides::default())
            .map_err(|source| DemoError::Start { node: number, source })?;
        node.running = Some(running);
        Ok(())
    }

    fn run(&mut self, inputs: &mpsc::Receiver<Input>) {
        println!("{}", self.instructions());
        let mut shown = String::new();
        loop {
            match inputs.recv_timeout(STATUS_EVERY) {
                Ok(Input::Line(line)) => {
                    if !self.command(line.trim()) {
                        return;
                    }
                }
                Ok(Input::Signal) => {
                    println!();
                    return;
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                // Both sources are gone: nobody could ever end the demo.
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
            let status = self.status();
            if status != shown {
                println!("{status}");
                shown = status;
            }
        }
    }

    /// Carries out a line from the terminal; false = the demo ends.
    fn command(&mut self, line: &str) -> bool {
        let mut words = line.split_whitespace();
        let (verb, node) = (words.next(), words.next().and_then(|word| word.parse::<usize>().ok()));
        let index = node.and_then(|node| node.checked_sub(1)).filter(|index| *index < self.nodes.len());
        match (verb, index) {
            (None, _) => {}
            (Some("quit" | "exit"), _) => return false,
            (Some("kill"), Some(index)) => match self.nodes[index].running.take() {
                Some(running) => {
                    running.kill();
                    println!("node {} killed: nothing flushed, nobody told", index + 1);
                }
                None => println!("node {} is not running", index + 1),
            },
            (Some("start"), Some(index)) if self.nodes[index].running.is_some() => {
                println!("node {} is running", index + 1);
            }
            (Some("start"), Some(index)) => match self.start(index) {
                Ok(()) => println!("node {} started", index + 1),
                Err(error) => println!("{error}"),
            },
            _ => println!("kill N, start N (N from 1 to {}), quit", self.nodes.len()),
        }
        true
    }

    /// One line; nodes in the same state share a place in it.
    fn status(&self) -> String {
        let mut leader = None;
        let mut states: Vec<(String, String)> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let state = match &node.running {
                None => "down".to_string(),
                Some(running) => {
                    let status = running.status();
                    leader = leader.or(status.leader);
                    node_state(&status)
                }
            };
            let number = index + 1;
            match states.iter_mut().find(|(_, known)| *known == state) {
                Some((nodes, _)) => drop(write!(nodes, ", {number}")),
                None => states.push((number.to_string(), state)),
            }
        }
        let mut line = leader.map_or("no leader".to_string(), |leader| format!("leader {leader}"));
        for (nodes, state) in states {
            let _ = write!(line, " | node {nodes}: {state}");
        }
        line
    }

    fn instructions(&self) -> String {
        let number = self.nodes.len();
        let mut text = format!("Trimaran demo, nodes: {number}, in {}\n\n", self.home.directory.display());
        for (index, node) in self.nodes.iter().enumerate() {
            let Ports { dns, http, .. } = node.ports;
            let _ = writeln!(
                text,
                "  node {}: dns 127.0.0.1 port {dns}, http://127.0.0.1:{http}/cluster",
                index + 1
            );
        }
        let zone = self.zones.first().map(Name::to_string).unwrap_or_default();
        let port = |index: usize| self.nodes[index % number].ports.dns;
        let (ask, lose) = match number {
            1 => ("Ask, update, ask again", "Crash the node: type  kill 1  and Enter, then  start 1"),
            _ => (
                "Ask one node, update another, ask a third",
                "Lose a node and go on: type  kill 1  and Enter, update again, then  start 1",
            ),
        };
        // `cargo run` puts the program on no search path.
        let program = std::env::current_exe().unwrap_or_else(|_| "trimaran".into());
        let _ = write!(
            text,
            "\n{ask}:\n\n  \
             dig @127.0.0.1 -p {} {zone} SOA +short\n  \
             printf 'server 127.0.0.1 {}\\nzone {zone}\\nupdate add hello.{zone} 60 A 192.0.2.99\\nsend\\n' | \
             nsupdate -y hmac-sha256:demo:{}\n  \
             dig @127.0.0.1 -p {} hello.{zone} A +short\n  \
             dig @127.0.0.1 -p {} {zone} AXFR\n\n\
             {lose}\n\
             (or run it as a process of its own: {} named -g -c {})\n\
             Ctrl-C ends the demo.\n",
            port(0),
            port(1),
            self.secret,
            port(2),
            port(0),
            program.display(),
            self.nodes[0].configuration.display()
        );
        text
    }
}

/// What the status line says of a node that runs.
fn node_state(status: &ClusterStatus) -> String {
    let mut state = format!("decided {} applied {}", status.decided_index, status.applied_index);
    for zone in status.zones.iter().take(STATUS_ZONES_MAX) {
        let _ = match zone.serial {
            Some(serial) => write!(state, ", {} {serial}", zone.name),
            None => write!(state, ", {} not loaded", zone.name),
        };
    }
    if let more @ 1.. = status.zones.len().saturating_sub(STATUS_ZONES_MAX) {
        let _ = write!(state, ", {more} more zones");
    }
    state
}

enum Input {
    Line(String),
    Signal,
}

/// Lines of standard input, and the signals that end the process.
fn inputs() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel();
    let signals = sender.clone();
    std::thread::spawn(move || {
        daemon::wait_for_signal(Hangup::Ends);
        // A receiver that is gone means that the demo has ended.
        let _ = signals.send(Input::Signal);
    });
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(Input::Line(line)).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_configuration_is_accepted() {
        let ports = [1u16, 2, 3].map(|n| Ports { dns: 5300 + n, cluster: 7100 + n, http: 8050 + n });
        let zones = [("example.".parse().unwrap(), PathBuf::from("/tmp/example.zone"))];
        let secret = BASE64.encode(&[7; 32]);
        let text = named_conf(2, ports[1], &ports, Path::new("/tmp"), &zones, &secret);
        let (config, warnings) = config::load_text("named.conf", text.as_bytes()).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let cluster = config.cluster.unwrap();
        assert_eq!((cluster.node_id, cluster.members.len()), (2, 3));
    }

    #[test]
    fn the_zone_name_comes_from_the_argument_or_the_file_name() {
        let directory = tempfile::tempdir().unwrap();
        for file in ["example.com.zone", "db.example.org", "plain"] {
            std::fs::write(directory.path().join(file), "").unwrap();
        }
        let path = |file: &str| directory.path().join(file).display().to_string();
        let check =
            |argument: String, zone: &str| assert_eq!(zone_of(&argument).unwrap().0, zone.parse().unwrap());
        check(path("example.com.zone"), "example.com.");
        check(path("db.example.org"), "example.org.");
        check(format!("example.net={}", path("plain")), "example.net.");
        assert!(matches!(zone_of(&path("plain")), Err(DemoError::ZoneName(_))));
        assert!(matches!(zone_of(&path("missing.zone")), Err(DemoError::File { .. })));
    }
}
