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
        let dns = dns_addresses(config, overrides, interfaces);
        if dns.is_empty() {
            // BIND: it goes on, and listens once there is one.
            tracing::warn!(target: "network", "not listening on any interfaces");
        }
        let workers = worker_count(overrides);
        let (mut udp, mut tcp) = (sets(workers), sets(workers));
        for address in &dns {
            let bound = AddressSockets::bind(*address, workers, config.options.tcp_listen_queue)
                .map_err(|(what, source)| StartError::Listen { address: *address, what, source })?;
            udp.iter_mut().zip(bound.udp).for_each(|(set, socket)| set.push(socket));
            tcp.iter_mut().zip(bound.tcp).for_each(|(set, listener)| set.push(listener));
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

fn sets<T>(count: usize) -> Vec<Vec<T>> {
    std::iter::repeat_with(Vec::new).take(count).collect()
}

/// How many workers there are: as many as processors, if nothing else is said.
pub(super) fn worker_count(overrides: &Overrides) -> usize {
    overrides.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Where queries are to be answered: the addresses of `interfaces` that `listen-on` and `listen-on-v6` ask for.
pub(super) fn dns_addresses(
    config: &Config,
    overrides: &Overrides,
    interfaces: &Interfaces,
) -> Vec<SocketAddr> {
    let options = &config.options;
    let port = overrides.port.unwrap_or(options.port);
    let mut addresses = Vec::new();
    if overrides.family != Family::V6 {
        addresses.extend(acl::listen_addresses(&options.listen_on, acl::Family::V4, port, interfaces));
    }
    if overrides.family != Family::V4 {
        addresses.extend(acl::listen_addresses(&options.listen_on_v6, acl::Family::V6, port, interfaces));
    }
    addresses
}

/// The sockets for one address, one of each kind for each worker.
pub(super) struct AddressSockets {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
}

impl AddressSockets {
    /// Binds them; if that fails, for which protocol and why.
    pub(super) fn bind(
        address: SocketAddr,
        workers: usize,
        listen_queue: u32,
    ) -> Result<AddressSockets, (&'static str, io::Error)> {
        // Sockets of workers share their port, and would share it with another server, too.
        tcp::probe(address).map_err(|error| ("TCP", error))?;
        let udp = (0..workers).map(|_| udp::bind(address)).collect::<io::Result<_>>();
        let tcp = (0..workers).map(|_| tcp::bind(address, listen_queue)).collect::<io::Result<_>>();
        Ok(AddressSockets {
            udp: udp.map_err(|error| ("UDP", error))?,
            tcp: tcp.map_err(|error| ("TCP", error))?,
        })
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
