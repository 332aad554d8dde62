//! One `named -g -c F`: BIND, or Trimaran with the same configuration file.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::process::{self, Process};
use super::site::Site;
use super::tsig::{self, Key};
use super::{client, http, wait};

/// How long a server may take to load what it serves, zones of a million records apart.
pub const START_LIMIT: Duration = Duration::from_secs(30);

/// Which program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Debian's named.
    Bind,
    /// `trimaran named`.
    Trimaran,
}

impl Program {
    /// The program that the tests are about: Trimaran, or BIND when the tests themselves are tested.
    pub fn subject() -> Program {
        match std::env::var("COMPAT_SUBJECT").as_deref() {
            Ok("bind") => Program::Bind,
            Ok(other) => panic!("COMPAT_SUBJECT={other} is not known"),
            Err(_) => Program::Trimaran,
        }
    }
}

/// A zone as named.conf has it.
#[derive(Clone)]
pub struct Zone {
    /// Its name, absolute.
    pub origin: String,
    /// Its statements inside `zone { }`, the type included; `{file}` stands for a file in the server's directory.
    statements: String,
    /// The zone file to start from; none for a secondary.
    text: Option<String>,
    /// Whether the server is expected to load it.
    is_loadable: bool,
}

impl Zone {
    /// A primary zone that [`tsig::KEY`] may update and anybody may transfer.
    pub fn primary(origin: &str, text: &str) -> Zone {
        let statements =
            format!("type primary; file \"{{file}}\"; allow-update {{ key \"{}\"; }};", tsig::KEY.name);
        Zone { origin: origin.into(), statements, text: Some(text.into()), is_loadable: true }
    }

    /// A primary zone that anybody on this machine may update.
    pub fn open(origin: &str, text: &str) -> Zone {
        let statements = "type primary; file \"{file}\"; allow-update { 127.0.0.0/8; };";
        Zone {
            origin: origin.into(),
            statements: statements.into(),
            text: Some(text.into()),
            is_loadable: true,
        }
    }

    /// A primary zone without updates.
    pub fn fixed(origin: &str, text: &str) -> Zone {
        Zone {
            origin: origin.into(),
            statements: "type primary; file \"{file}\";".into(),
            text: Some(text.into()),
            is_loadable: true,
        }
    }

    /// A secondary zone, transferred with `key`.
    pub fn secondary(origin: &str, primaries: &[SocketAddr], key: Option<&Key>) -> Zone {
        let statements = format!(
            "type secondary; file \"{{file}}\"; primaries {{ {} }}; allow-notify {{ 127.0.0.0/8; }};",
            address_list(primaries, key)
        );
        Zone { origin: origin.into(), statements, text: None, is_loadable: true }
    }

    /// The same zone, which no server is expected to load.
    pub fn refused(self) -> Zone {
        Zone { is_loadable: false, ..self }
    }

    /// The same zone with more statements.
    pub fn with(mut self, statements: &str) -> Zone {
        write!(self.statements, " {statements}").expect("a string grows");
        self
    }

    /// The same zone, its secondaries told of changes, signed with `key`.
    pub fn notifying(self, secondaries: &[SocketAddr], key: Option<&Key>) -> Zone {
        self.with(&format!("notify explicit; also-notify {{ {} }};", address_list(secondaries, key)))
    }
}

/// `address port number key name; ...` as lists of servers have it.
fn address_list(servers: &[SocketAddr], key: Option<&Key>) -> String {
    let key = key.map(|key| format!(" key \"{}\"", key.name)).unwrap_or_default();
    servers.iter().map(|server| format!("{} port {}{key}; ", server.ip(), server.port())).collect()
}

/// A server, running or not.
pub struct Named {
    program: Program,
    label: String,
    dns: SocketAddr,
    http: SocketAddr,
    directory: PathBuf,
    process: Option<Process>,
    origins: Vec<String>,
    /// Whether every zone is expected to load: otherwise a node never says that it is ready.
    loads_all: bool,
    arguments: Vec<String>,
    /// Words before the program: what it runs under.
    launcher: Vec<String>,
    log_path: PathBuf,
    /// `-g`: everything is logged to standard error. `-f`: where the configuration says.
    mode: &'static str,
}

impl Named {
    /// Writes configuration and zone files; `more` is appended to the configuration (a `cluster` block).
    pub fn new(site: &Site, label: &str, program: Program, zones: &[Zone], more: &str) -> Named {
        Named::at(site, label, program, site.address(), zones, more)
    }

    /// As [`Named::new`], with the address where it is to answer queries.
    pub fn at(
        site: &Site,
        label: &str,
        program: Program,
        dns: SocketAddr,
        zones: &[Zone],
        more: &str,
    ) -> Named {
        Named::with_status_at(site, label, program, [dns, site.address()], zones, more)
    }

    /// As [`Named::at`], with the address of its status channel as well.
    pub fn with_status_at(
        site: &Site,
        label: &str,
        program: Program,
        [dns, http]: [SocketAddr; 2],
        zones: &[Zone],
        more: &str,
    ) -> Named {
        let directory = site.dir(label);
        let mut text = format!(
            "options {{\n  directory \"{}\";\n  listen-on port {} {{ {}; }};\n  listen-on-v6 {{ none; }};\n  \
             recursion no;\n  empty-zones-enable no;\n  dnssec-validation no;\n  allow-transfer {{ 127.0.0.0/8; 10.0.0.0/8; }};\n  \
             notify no;\n  pid-file none;\n  session-keyfile none;\n  lock-file none;\n  notify-delay 0;\n",
            directory.display(),
            dns.port(),
            dns.ip(),
        );
        if program == Program::Bind {
            // Without these BIND sends 20 messages a second to its secondaries and primaries at most.
            text.push_str("  notify-rate 1000; startup-notify-rate 1000; serial-query-rate 1000;\n");
        }
        text.push_str("};\n");
        text.push_str(&tsig::KEY.statement());
        writeln!(
            text,
            "controls {{ }};\nstatistics-channels {{ inet {} port {}; }};",
            http.ip(),
            http.port()
        )
        .expect("a string grows");
        for zone in zones {
            let file = format!("{}zone", if zone.origin == "." { "root." } else { &zone.origin });
            if let Some(zone_text) = &zone.text {
                std::fs::write(directory.join(&file), zone_text).expect("a zone file can be written");
            }
            let statements = zone.statements.replace("{file}", &file);
            writeln!(text, "zone \"{}\" {{ {statements} }};", zone.origin).expect("a string grows");
        }
        text.push_str(more);
        std::fs::write(directory.join("named.conf"), text).expect("a configuration can be written");
        let origins = zones.iter().filter(|zone| zone.is_loadable).map(|zone| zone.origin.clone()).collect();
        Named {
            program,
            label: label.into(),
            dns,
            http,
            log_path: directory.join("log"),
            directory,
            process: None,
            origins,
            loads_all: zones.iter().all(|zone| zone.is_loadable),
            arguments: Vec::new(),
            launcher: Vec::new(),
            mode: "-g",
        }
    }

    /// Writes the files and starts.
    pub fn start_new(site: &Site, label: &str, program: Program, zones: &[Zone]) -> Named {
        let mut named = Named::new(site, label, program, zones, "");
        named.start();
        named
    }

    /// The same server with more arguments on its command line.
    pub fn with_arguments(mut self, arguments: &[&str]) -> Named {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// The same server, run by other words (`ip netns exec N`), its output in a file of its own.
    pub fn launched_by(self, launcher: Vec<String>, log_path: PathBuf) -> Named {
        Named { launcher, log_path, ..self }
    }

    /// The same server, logging where its configuration says.
    pub fn logging_as_configured(self) -> Named {
        Named { mode: "-f", ..self }
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The contents of a file in its directory; empty if there is none.
    pub fn file(&self, name: &str) -> String {
        process::read_log(&self.path(name))
    }

    /// The same server with more statements in its options.
    pub fn with_options(self, statements: &str) -> Named {
        let path = self.directory.join("named.conf");
        let text = std::fs::read_to_string(&path).expect("the configuration was written");
        let text = text.replacen("options {\n", &format!("options {{\n  {statements}\n"), 1);
        std::fs::write(&path, text).expect("a configuration can be written");
        self
    }

    /// Starts the process, without waiting for anything.
    pub fn start(&mut self) {
        let launcher = self.launcher.clone();
        self.start_under(&launcher.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Starts the process behind a tracer (`strace ...`), without waiting for anything.
    pub fn start_under(&mut self, tracer: &[&str]) {
        assert!(self.process.is_none(), "{} already runs", self.label);
        let trimaran = env!("CARGO_BIN_EXE_trimaran");
        let program: &[&str] = match self.program {
            Program::Bind => &["named", self.mode],
            Program::Trimaran => &[trimaran, "named", self.mode],
        };
        let words: Vec<&str> = tracer.iter().chain(program).copied().collect();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("-c").arg(self.directory.join("named.conf")).args(&self.arguments);
        self.process = Some(Process::start(&self.label, &mut command, &self.log_path));
    }

    /// Waits until every zone is answered with authority, and a node of a cluster says that it is ready.
    pub fn await_ready(&mut self, limit: Duration) {
        for origin in self.origins.clone() {
            let what = format!("{} to serve {origin}", self.label);
            wait::until(&what, limit, || {
                self.assert_running();
                client::serial(self.dns(), &origin)
            });
        }
        if self.program == Program::Trimaran && self.loads_all {
            let what = format!("{} to be ready", self.label);
            wait::until(&what, limit, || {
                self.assert_running();
                http::get(self.http(), "/readyz").filter(|(status, _)| *status == 200)
            });
        }
    }

    /// Panics if the process has ended by itself.
    pub fn assert_running(&mut self) {
        let label = self.label.clone();
        if let Some(status) = self.process.as_mut().and_then(Process::exited) {
            panic!("{label} has ended by itself: {status}\n{}", self.log());
        }
    }

    /// Where it answers queries.
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// Where its status channel is.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Its name in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The running process.
    pub fn process(&self) -> &Process {
        self.process.as_ref().unwrap_or_else(|| panic!("{} does not run", self.label))
    }

    /// Whether it was started and not ended by the test.
    pub fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// kill -9, if it runs.
    pub fn kill_nine(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill_nine();
        }
    }

    /// Waits until it has ended by itself, as a node does whose disk has failed.
    pub fn await_end(&mut self, limit: Duration) -> std::process::ExitStatus {
        let status = self.process.as_mut().expect("it runs").await_end(limit);
        self.process = None;
        status
    }

    /// Whether it has ended by itself; if so, it counts as stopped.
    pub fn take_end(&mut self) -> Option<std::process::ExitStatus> {
        let status = self.process.as_mut().and_then(Process::exited)?;
        self.process = None;
        Some(status)
    }

    /// SIGTERM; panics unless it ends with success.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            let status = process.terminate(Duration::from_secs(20));
            assert!(status.success(), "{} ended with {status} after SIGTERM\n{}", self.label, self.log());
        }
    }

    /// SIGTERM at any moment: a server that has not started completely may be ended by it at once.
    pub fn stop_even_while_it_starts(&mut self) {
        use std::os::unix::process::ExitStatusExt;
        if let Some(process) = self.process.take() {
            let status = process.terminate(Duration::from_secs(20));
            let at_once = status.signal() == Some(nix::sys::signal::Signal::SIGTERM as i32);
            assert!(at_once || status.success(), "{} ended with {status}\n{}", self.label, self.log());
        }
    }

    /// Its log over all runs.
    pub fn log(&self) -> String {
        process::read_log(&self.log_path)
    }
}

/// A key whose name a server can print back; see [`tsig`].
pub fn key_argument(key: &Key) -> String {
    format!("hmac-sha256:{}:{}", key.name.trim_end_matches('.'), key.secret)
}
