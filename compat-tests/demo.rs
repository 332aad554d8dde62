//! `trimaran demo` as somebody at a terminal meets it: what it prints works, and nothing of it stays.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::harness::process::Process;
use super::harness::tsig::Key;
use super::harness::wire::{self, NOERROR, Rr};
use super::harness::{Site, client, wait};

/// The first of the built-in zones.
const ZONE: &str = "small-company.example.";
const LIMIT: Duration = Duration::from_secs(30);

/// The demo with its output in `log` and its temporary directory in `tmp`.
fn start(site: &Site, arguments: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trimaran"));
    command.arg("demo").args(arguments).env("TMPDIR", site.dir("tmp"));
    Process::start_reading("demo", &mut command, &site.dir("log").join("log"), Stdio::piped())
}

/// What it says: where the nodes answer, and the secret of the key `demo`.
fn read_instructions(demo: &mut Process) -> (Vec<SocketAddr>, Key) {
    let text = wait::until("the instructions", LIMIT, || {
        assert_eq!(demo.exited(), None, "the demo has ended by itself");
        Some(demo.log()).filter(|log| log.contains("Ctrl-C ends the demo."))
    });
    let servers = text.lines().filter_map(|line| {
        let (_, port) = line.trim().strip_prefix("node ")?.split_once(": dns 127.0.0.1 port ")?;
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.split(',').next()?.parse().ok()?)))
    });
    let (_, rest) = text.split_once("nsupdate -y hmac-sha256:demo:").expect("a command with the key");
    let secret = rest.split_whitespace().next().expect("a secret").to_owned();
    // Keys of tests are constants; this one lives as long.
    (servers.collect(), Key { name: "demo.", secret: secret.leak() })
}

/// All ports of all nodes, as their configurations have them.
fn configured_ports(home: &Path) -> BTreeSet<u16> {
    let nodes = (1..=3).map(|node| home.join(format!("node{node}/named.conf")));
    let texts = nodes.map(|path| std::fs::read_to_string(path).expect("a configuration can be read"));
    let ports = |text: String| -> Vec<u16> {
        let words: Vec<&str> = text.split([' ', ';', '\n']).collect();
        words.windows(2).filter(|pair| pair[0] == "port").filter_map(|pair| pair[1].parse().ok()).collect()
    };
    texts.flat_map(ports).collect()
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory can be read");
    entries.map(|entry| entry.expect("an entry can be read").path()).collect()
}

/// Adds `owner` through `server`, again and again until it is acknowledged.
fn add(server: SocketAddr, owner: &str, key: &Key) {
    let record = Rr::new(owner, wire::A, 60, &[192, 0, 2, 99]);
    wait::until(&format!("{owner} to be added"), LIMIT, || {
        let response = client::update(server, ZONE, &[], std::slice::from_ref(&record), Some(key))?;
        (response.rcode == NOERROR).then_some(())
    });
}

fn await_record(server: SocketAddr, owner: &str) {
    wait::until(&format!("{server} to have {owner}"), LIMIT, || {
        client::addresses(server, owner).filter(|found| *found == [[192, 0, 2, 99]])
    });
}

#[test]
fn the_demo_works_as_its_instructions_say_and_leaves_nothing_behind() {
    let site = Site::new("demo");
    let mut demo = start(&site, &[]);
    let (servers, key) = read_instructions(&mut demo);
    assert_eq!(servers.len(), 3, "{}", demo.log());
    for &server in &servers {
        wait::until(&format!("{server} to serve {ZONE}"), LIMIT, || client::serial(server, ZONE));
    }
    let (before, while_down) = (format!("hello.{ZONE}"), format!("while-down.{ZONE}"));
    add(servers[1], &before, &key);
    servers.iter().for_each(|&server| await_record(server, &before));

    demo.type_line("kill 1");
    wait::until("node 1 to be killed", LIMIT, || demo.log().contains("node 1 killed").then_some(()));
    assert!(is_free(servers[0].port()), "node 1 listens although it is down");
    add(servers[1], &while_down, &key);
    await_record(servers[2], &while_down);
    assert_eq!(client::addresses(servers[0], &while_down), None, "node 1 is down");
    demo.type_line("start 1");
    await_record(servers[0], &while_down);
    await_record(servers[0], &before);

    let homes = entries(&site.dir("tmp"));
    assert_eq!(homes.len(), 1, "{homes:?}");
    let ports = configured_ports(&homes[0]);
    assert_eq!(ports.len(), 9, "three ports for each of three nodes: {ports:?}");
    assert!(!ports.iter().any(|&port| is_free(port)), "all ports are taken while the demo runs");
    demo.signal(Signal::SIGINT);
    let status = demo.await_end(LIMIT);
    assert_eq!(status.code(), Some(0), "{status}");
    assert_eq!(entries(&site.dir("tmp")), Vec::<PathBuf>::new());
    let taken: Vec<&u16> = ports.iter().filter(|&&port| !is_free(port)).collect();
    assert!(taken.is_empty(), "somebody still listens at {taken:?}");
}

#[test]
fn the_demo_names_file_and_line_of_a_broken_zone_and_fails() {
    let site = Site::new("demo-broken");
    let file = site.dir("zones").join("broken.example.zone");
    let text = "$TTL 300\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.999\n";
    std::fs::write(&file, text).expect("a zone file can be written");
    let mut demo = start(&site, &[&file.display().to_string()]);
    let status = demo.await_end(LIMIT);
    assert_eq!(status.code(), Some(1), "{status}: {}", demo.log());
    let place = format!("{}:4:", file.display());
    assert!(demo.log().contains(&place), "the place {place} is missing: {}", demo.log());
    assert_eq!(entries(&site.dir("tmp")), Vec::<PathBuf>::new());
}
