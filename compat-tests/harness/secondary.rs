//! Knot and NSD as secondaries. (BIND as a secondary is a [`super::Named`] with a secondary zone.)

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use super::process::{self, Process};
use super::site::Site;
use super::tsig::Key;

/// A secondary with one zone. Killed when dropped.
pub struct Secondary {
    server: SocketAddr,
    log: PathBuf,
    process: Process,
}

impl Secondary {
    /// knotd, following `zone` from any of `primaries`; with a key, all transfers and NOTIFYs need it.
    pub fn knot(
        site: &Site,
        server: SocketAddr,
        zone: &str,
        primaries: &[SocketAddr],
        key: Option<&Key>,
    ) -> Secondary {
        let (keys, keyed) = key.map_or_else(Default::default, |Key { name, secret }| {
            let keys = format!("key:\n  - id: {name}\n    algorithm: hmac-sha256\n    secret: {secret}\n");
            (keys, format!("    key: {name}\n"))
        });
        let directory = site.dir("knot");
        let remotes: String = primaries
            .iter()
            .enumerate()
            .map(|(index, primary)| {
                format!("  - id: p{index}\n    address: {}@{}\n{keyed}", primary.ip(), primary.port())
            })
            .collect();
        let masters = (0..primaries.len()).map(|index| format!("p{index}")).collect::<Vec<_>>().join(", ");
        let path = directory.display();
        let text = format!(
            "server:\n    listen: {}@{}\n    rundir: {path}\n    udp-workers: 1\n    tcp-workers: 1\n    \
             background-workers: 1\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n    storage: {path}\n\
             {keys}acl:\n  - id: local\n    address: 127.0.0.0/8\n{keyed}    action: [transfer, notify]\n\
             remote:\n{remotes}\
             zone:\n  - domain: {zone}\n    storage: {path}\n    file: zone.db\n    acl: local\n    master: [{masters}]\n",
            server.ip(),
            server.port(),
        );
        std::fs::write(directory.join("knot.conf"), text).expect("a configuration can be written");
        let log = directory.join("log");
        let process =
            Process::start("knot", Command::new("knotd").arg("-c").arg(directory.join("knot.conf")), &log);
        Secondary { server, log, process }
    }

    /// nsd, following `zone` from any of `primaries`; with a key, all transfers and NOTIFYs need it.
    pub fn nsd(
        site: &Site,
        server: SocketAddr,
        zone: &str,
        primaries: &[SocketAddr],
        key: Option<&Key>,
    ) -> Secondary {
        let (keys, key) = key.map_or((String::new(), "NOKEY"), |Key { name, secret }| {
            let keys =
                format!("key:\n  name: \"{name}\"\n  algorithm: hmac-sha256\n  secret: \"{secret}\"\n");
            (keys, *name)
        });
        let directory = site.dir("nsd");
        let requests: String = primaries
            .iter()
            .map(|primary| format!("  request-xfr: {}@{} {key}\n", primary.ip(), primary.port()))
            .collect();
        let path = directory.display();
        let log = directory.join("log");
        let text = format!(
            "server:\n  server-count: 1\n  ip-address: {ip}@{port}\n  do-ip6: no\n  username: \"\"\n  chroot: \"\"\n  \
             zonesdir: \"{path}\"\n  database: \"\"\n  pidfile: \"{path}/nsd.pid\"\n  logfile: \"{log}\"\n  \
             xfrdfile: \"{path}/xfrd.state\"\n  xfrdir: \"{path}\"\n  zonelistfile: \"{path}/zone.list\"\n  verbosity: 2\n  \
             rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n  xfrd-reload-timeout: 0\n\
             remote-control:\n  control-enable: no\n\
             {keys}zone:\n  name: \"{zone}\"\n  zonefile: \"zone.db\"\n  provide-xfr: 127.0.0.0/8 {key}\n{requests}  \
             allow-notify: 127.0.0.0/8 {key}\n",
            log = log.display(),
            ip = server.ip(),
            port = server.port(),
        );
        std::fs::write(directory.join("nsd.conf"), text).expect("a configuration can be written");
        let mut command = Command::new("nsd");
        command.arg("-d").arg("-c").arg(directory.join("nsd.conf"));
        let process = Process::start("nsd", &mut command, &directory.join("output"));
        Secondary { server, log, process }
    }

    /// Where it answers.
    pub fn dns(&self) -> SocketAddr {
        self.server
    }

    /// Its log.
    pub fn log(&self) -> String {
        process::read_log(&self.log)
    }

    /// Panics if the process has ended by itself.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.process.exited() {
            panic!("a secondary has ended by itself: {status}\n{}", self.log());
        }
    }
}
