//! Knot and NSD as primaries of many zones. (As secondaries: [`super::secondary`].)

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{self, Process};
use super::site::Site;

/// A server that answers from zone files. Killed when dropped.
pub struct Peer {
    server: SocketAddr,
    log: PathBuf,
    process: Process,
}

/// Writes the zone files; their names.
fn write_zones(directory: &Path, zones: &[(String, String)]) -> Vec<String> {
    let name = |origin: &str| if origin == "." { "root.zone".to_owned() } else { format!("{origin}zone") };
    for (origin, text) in zones {
        std::fs::write(directory.join(name(origin)), text).expect("a zone file can be written");
    }
    zones.iter().map(|(origin, _)| name(origin)).collect()
}

impl Peer {
    /// knotd, with zones as name and text.
    pub fn knot(site: &Site, label: &str, zones: &[(String, String)]) -> Peer {
        Peer::knot_with(site, label, zones, "", "")
    }

    /// knotd with one module, configured by its section, for all zones.
    pub fn knot_with(
        site: &Site,
        label: &str,
        zones: &[(String, String)],
        module: &str,
        section: &str,
    ) -> Peer {
        let (server, directory) = (site.address(), site.dir(label));
        let path = directory.display();
        let use_module =
            if module.is_empty() { String::new() } else { format!("    global-module: {module}\n") };
        let mut text = format!(
            "server:\n    listen: {}@{}\n    rundir: {path}\n    udp-workers: 1\n    tcp-workers: 1\n    \
             background-workers: 1\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n    storage: {path}\n\
             {section}\
             template:\n  - id: default\n    storage: {path}\n    semantic-checks: off\n    journal-content: none\n    \
             zonefile-sync: -1\n    zonefile-load: whole\n\
             {use_module}\
             zone:\n",
            server.ip(),
            server.port(),
        );
        for ((origin, _), file) in zones.iter().zip(write_zones(&directory, zones)) {
            writeln!(text, "  - domain: \"{origin}\"\n    file: \"{file}\"").expect("a string grows");
        }
        std::fs::write(directory.join("knot.conf"), text).expect("a configuration can be written");
        let log = directory.join("log");
        let mut command = Command::new("knotd");
        let process = Process::start(label, command.arg("-c").arg(directory.join("knot.conf")), &log);
        Peer { server, log, process }
    }

    /// nsd, with zones as name and text.
    pub fn nsd(site: &Site, label: &str, zones: &[(String, String)], minimal_responses: bool) -> Peer {
        let (server, directory) = (site.address(), site.dir(label));
        let (path, log) = (directory.display(), directory.join("log"));
        let minimal_responses = if minimal_responses { "yes" } else { "no" };
        let mut text = format!(
            "server:\n  server-count: 1\n  ip-address: {ip}@{port}\n  do-ip6: no\n  username: \"\"\n  chroot: \"\"\n  \
             zonesdir: \"{path}\"\n  database: \"\"\n  pidfile: \"{path}/nsd.pid\"\n  logfile: \"{log}\"\n  \
             xfrdfile: \"{path}/xfrd.state\"\n  xfrdir: \"{path}\"\n  zonelistfile: \"{path}/zone.list\"\n  verbosity: 1\n  \
             rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n  minimal-responses: {minimal_responses}\n\
             remote-control:\n  control-enable: no\n",
            log = log.display(),
            ip = server.ip(),
            port = server.port(),
        );
        for ((origin, _), file) in zones.iter().zip(write_zones(&directory, zones)) {
            writeln!(text, "zone:\n  name: \"{origin}\"\n  zonefile: \"{file}\"").expect("a string grows");
        }
        std::fs::write(directory.join("nsd.conf"), text).expect("a configuration can be written");
        let mut command = Command::new("nsd");
        command.arg("-d").arg("-c").arg(directory.join("nsd.conf"));
        let process = Process::start(label, &mut command, &directory.join("output"));
        Peer { server, log, process }
    }

    /// Where it answers.
    pub fn dns(&self) -> SocketAddr {
        self.server
    }

    /// Panics if the process has ended by itself.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.process.exited() {
            panic!("a peer has ended by itself: {status}\n{}", process::read_log(&self.log));
        }
    }
}
