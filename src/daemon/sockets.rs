//! The sockets of a node, bound before anything else happens.

use super::{Family, Overrides, StartError};
use crate::config::Config;
use crate::config::interfaces::Interfaces;
use crate::nameserver::acl::{self, Acl};
use crate::server::{tcp, udp};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// What a node listens on. UDP and TCP have a set for each worker, with a socket for each address.
pub(super) struct Sockets {
    pub(super) dns: Vec<SocketAddr>,
    pub(super) udp: Vec<Vec<UdpSocket>>,
    pub(super) tcp: Vec<Vec<TcpListener>>,
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
        let port = overrides.port.unwrap_or(config.options.port);
        let mut dns = Vec::new();
        if overrides.family != Family::V6 {
            dns.extend(acl::listen_addresses(&config.options.listen_on, acl::Family::V4, port, interfaces));
        }
        if overrides.family != Family::V4 {
            dns.extend(acl::listen_addresses(
                &config.options.listen_on_v6,
                acl::Family::V6,
                port,
                interfaces,
            ));
        }
        if dns.is_empty() {
            return Err(StartError::NoAddress);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = overrides.workers.unwrap_or(cores);
        for address in &dns {
            // Sockets of workers share their port, and would share it with another server, too.
            tcp::probe(*address).map_err(listen_error(*address, "TCP"))?;
        }
        let queue = config.options.tcp_listen_queue;
        let (mut udp, mut tcp) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let bind = |address: &SocketAddr| udp::bind(*address).map_err(listen_error(*address, "UDP"));
            udp.push(dns.iter().map(bind).collect::<Result<_, _>>()?);
            let bind =
                |address: &SocketAddr| tcp::bind(*address, queue).map_err(listen_error(*address, "TCP"));
            tcp.push(dns.iter().map(bind).collect::<Result<_, _>>()?);
        }
        let listen = |address, what| TcpListener::bind(address).map_err(listen_error(address, what));
        let mut statistics = Vec::new();
        for channel in &config.statistics_channels {
            let listener = listen(channel.address, "statistics-channels")?;
            statistics.push((listener, Acl::new(&channel.allow, interfaces)));
        }
        let cluster = config.cluster.as_ref().filter(|cluster| cluster.members.len() > 1);
        let own =
            cluster.and_then(|cluster| cluster.members.iter().find(|member| member.id == cluster.node_id));
        let cluster = own.map(|own| listen(SocketAddr::new(own.address, own.port), "cluster")).transpose()?;
        Ok(Sockets { dns, udp, tcp, cluster, statistics })
    }
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
