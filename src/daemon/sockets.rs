//! The sockets of a node, bound before anything else happens.

use super::{Family, Overrides, StartError};
use crate::config::interfaces::Interfaces;
use crate::config::{Config, ListenOn, Tls};
use crate::nameserver::acl::{self, Acl};
use crate::server::{tcp, tls, udp};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::ServerConfig;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

/// What a node listens on. UDP, TCP and TLS have a set for each worker, with a socket for each address.
pub(super) struct Sockets {
    /// Where the node is to listen, whatever addresses there are.
    pub(super) listen: Listen,
    /// The addresses that are listened on.
    pub(super) served: Vec<SocketAddr>,
    pub(super) udp: Vec<Vec<UdpSocket>>,
    pub(super) tcp: Vec<Vec<tcp::Listener>>,
    /// Empty if nothing is to listen for TLS.
    pub(super) tls: Vec<Vec<tcp::Listener>>,
    pub(super) cluster: Option<TcpListener>,
    pub(super) statistics: Vec<(TcpListener, Acl)>,
}

impl Sockets {
    /// Binds everything that the configuration asks for.
    pub(super) fn bind(
        config: &Config,
        overrides: &Overrides,
        interfaces: &Interfaces,
    ) -> Result<Sockets, StartError> {
        raise_descriptor_limit();
        let listen = Listen::new(config, overrides)?;
        let endpoints = listen.endpoints(interfaces);
        if endpoints.is_empty() {
            // BIND: it goes on, and listens once there is one.
            tracing::warn!(target: "network", "not listening on any interfaces");
        }
        let workers = listen.workers;
        let (mut udp, mut tcp) = (sets(workers), sets(workers));
        let mut tls = sets(if listen.has_tls() { workers } else { 0 });
        for endpoint in &endpoints {
            let address = endpoint.address;
            let bound = listen.bind(endpoint).map_err(|(what, source)| StartError::Listen {
                address,
                what,
                source,
            })?;
            match bound {
                AddressSockets::Dns { udp: datagrams, tcp: connections } => {
                    udp.iter_mut().zip(datagrams).for_each(|(set, socket)| set.push(socket));
                    tcp.iter_mut().zip(connections).for_each(|(set, listener)| set.push(listener));
                }
                AddressSockets::Tls(connections) => {
                    tls.iter_mut().zip(connections).for_each(|(set, listener)| set.push(listener));
                }
            }
        }
        let served = endpoints.into_iter().map(|endpoint| endpoint.address).collect();
        let (statistics, cluster) = (Vec::new(), None);
        let mut sockets = Sockets { listen, served, udp, tcp, tls, cluster, statistics };
        let bind = |address, what| TcpListener::bind(address).map_err(listen_error(address, what));
        for channel in &config.statistics_channels {
            let listener = bind(channel.address, "statistics-channels")?;
            sockets.statistics.push((listener, Acl::new(&channel.allow, interfaces)));
        }
        let cluster = config.cluster.as_ref();
        let own =
            cluster.and_then(|cluster| cluster.members.iter().find(|member| member.id == cluster.node_id));
        sockets.cluster =
            own.map(|own| bind(SocketAddr::new(own.address, own.port), "cluster")).transpose()?;
        Ok(sockets)
    }
}

fn sets<T>(count: usize) -> Vec<Vec<T>> {
    std::iter::repeat_with(Vec::new).take(count).collect()
}

/// Where a node is to listen, and how: the same for all times, while addresses come and go.
pub(super) struct Listen {
    statements: Vec<Statement>,
    workers: usize,
    listen_queue: u32,
}

/// A `listen-on` or `listen-on-v6`, with what its `tls` names.
struct Statement {
    listen_on: ListenOn,
    family: acl::Family,
    port: u16,
    tls: Option<Arc<ServerConfig>>,
}

/// An address and what is spoken there.
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    /// What a TLS handshake needs; `None`: plain DNS, over UDP and TCP.
    tls: Option<Arc<ServerConfig>>,
}

/// The sockets for one address, one of each kind for each worker.
pub(super) enum AddressSockets {
    Dns { udp: Vec<UdpSocket>, tcp: Vec<tcp::Listener> },
    Tls(Vec<tcp::Listener>),
}

impl Listen {
    /// Reads the files of the `tls` statements that are listened for, too: later there may be no right to.
    fn new(config: &Config, overrides: &Overrides) -> Result<Listen, StartError> {
        let options = &config.options;
        let v4 = options.listen_on.iter().map(|listen_on| (listen_on, acl::Family::V4, Family::V6));
        let v6 = options.listen_on_v6.iter().map(|listen_on| (listen_on, acl::Family::V6, Family::V4));
        let mut statements = Vec::new();
        for (listen_on, family, other) in v4.chain(v6) {
            if overrides.family == other {
                continue;
            }
            let tls = listen_on.tls.as_ref().map(|tls| tls_config(config, tls)).transpose()?;
            let port = match tls {
                Some(_) => options.tls_port,
                None => overrides.port.unwrap_or(options.port),
            };
            statements.push(Statement { listen_on: listen_on.clone(), family, port, tls });
        }
        let workers = overrides.workers;
        // As many as processors, if nothing else is said.
        let workers = workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        Ok(Listen { statements, workers, listen_queue: options.tcp_listen_queue })
    }

    fn has_tls(&self) -> bool {
        self.statements.iter().any(|statement| statement.tls.is_some())
    }

    /// Where queries are to be answered: the addresses of `interfaces` that `listen-on` and `listen-on-v6` ask for.
    /// What is asked for twice is as the first statement says.
    pub(super) fn endpoints(&self, interfaces: &Interfaces) -> Vec<Endpoint> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for Statement { listen_on, family, port, tls } in &self.statements {
            for address in acl::listen_addresses(listen_on, *family, *port, interfaces) {
                if !endpoints.iter().any(|endpoint| endpoint.address == address) {
                    endpoints.push(Endpoint { address, tls: tls.clone() });
                }
            }
        }
        endpoints
    }

    /// Binds the sockets of an address; if that fails, for which protocol and why.
    pub(super) fn bind(&self, endpoint: &Endpoint) -> Result<AddressSockets, (&'static str, io::Error)> {
        let Endpoint { address, tls } = endpoint;
        let protocol = if tls.is_some() { "TLS" } else { "TCP" };
        let listener = || {
            let socket = tcp::bind(*address, self.listen_queue)?;
            Ok(tcp::Listener { socket, tls: tls.clone() })
        };
        // Sockets of workers share their port, and would share it with another server, too.
        let listeners = tcp::probe(*address)
            .and_then(|()| (0..self.workers).map(|_| listener()).collect::<io::Result<Vec<_>>>())
            .map_err(|error| (protocol, error))?;
        if tls.is_some() {
            return Ok(AddressSockets::Tls(listeners));
        }
        let udp = (0..self.workers).map(|_| udp::bind(*address)).collect::<io::Result<_>>();
        Ok(AddressSockets::Dns { udp: udp.map_err(|error| ("UDP", error))?, tcp: listeners })
    }
}

/// Reads what a `tls` statement names.
fn tls_config(config: &Config, settings: &Tls) -> Result<Arc<ServerConfig>, StartError> {
    let mut settings = settings.clone();
    let complete = |path: &mut PathBuf| *path = config.path(path);
    if let Some((certificate, key)) = &mut settings.certificate_and_key {
        complete(certificate);
        complete(key);
    }
    settings.client_ca_file.iter_mut().for_each(complete);
    tls::server_config(&settings).map_err(|source| StartError::Tls { position: settings.position, source })
}

fn listen_error(address: SocketAddr, what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Listen { address, what, source }
}

/// Takes as many descriptors as the system allows this process. BIND: the same; `tcp-clients` needs them.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| match soft < hard {
        true => setrlimit(Resource::RLIMIT_NOFILE, hard, hard),
        false => Ok(()),
    });
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ReadOptions, read_text};

    #[test]
    fn every_address_is_listened_on_once_as_the_first_statement_says() {
        let text = "options { listen-on { 127.0.0.1; }; listen-on port 853 tls ephemeral { any; }; \
                    listen-on tls ephemeral { any; }; listen-on port 853 { any; }; listen-on port 54 { any; }; \
                    listen-on-v6 tls ephemeral { any; }; };";
        let (config, _) = read_text("named.conf", text.as_bytes(), ReadOptions::default()).resolve(None);
        let config = config.expect("a configuration");
        let check = |family, port, expected: &[&str]| {
            let overrides = Overrides { family, port, workers: Some(1), ..Overrides::default() };
            let listen = Listen::new(&config, &overrides).expect("nothing to be read");
            let endpoints = listen.endpoints(&Interfaces::loopback());
            let text = |endpoint: &Endpoint| {
                let how = if endpoint.tls.is_some() { "tls" } else { "dns" };
                format!("{how} {}", endpoint.address)
            };
            assert_eq!(endpoints.iter().map(text).collect::<Vec<_>>(), expected);
        };
        let v4 = ["dns 127.0.0.1:53", "tls 127.0.0.1:853", "dns 127.0.0.1:54"];
        check(Family::V4, None, &v4);
        check(Family::V6, None, &["tls [::1]:853"]);
        check(Family::Both, Some(5300), &["dns 127.0.0.1:5300", v4[1], v4[2], "tls [::1]:853"]);
    }
}
