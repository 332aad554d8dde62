//! Listening where the addresses of the machine are, while they come and go.
//!
//! ```text
//! interface-interval ──────────┐
//! kernel: address added, gone ─┴─► addresses now ─┬─ asked for, not served ─► bind, for every worker
//!                                                 ├─ served, gone ──────────► close
//!                                                 └─ localhost, localnets ──► policy
//! ```
//!
//! Invariants: addresses that stay are not touched; an address that cannot be bound is left out with a word and tried
//! again at the next look.
//!
//! Caveats: a server that gave up being root cannot bind ports below 1024 that come later, unless the service manager
//! leaves it the right to. NOTIFY knows this server by the addresses it had at its start.

use super::policy;
use super::sockets::{Endpoint, Listen};
use super::workers::Workers;
use crate::config::Config;
use crate::config::interfaces::Interfaces;
use crate::nameserver::policy::Policy;
use arc_swap::ArcSwap;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;

/// RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR of rtnetlink(7).
const ADDRESS_GROUPS: u32 = 0x10 | 0x100;
/// What the kernel says of one address, and more.
const NETLINK_BYTES: usize = 8192;

/// What is listened on, and who listens.
pub(super) struct Listening {
    pub(super) config: Arc<Config>,
    pub(super) listen: Listen,
    /// The addresses that are served.
    pub(super) served: Vec<SocketAddr>,
    pub(super) interfaces: Interfaces,
    /// None until the node may answer, and when it stops.
    pub(super) workers: Arc<Mutex<Option<Workers>>>,
    pub(super) policy: Arc<ArcSwap<Policy>>,
}

impl Listening {
    /// Follows the addresses of the machine until `stopped` turns true or its sender is gone.
    pub(super) async fn follow(mut self, mut stopped: watch::Receiver<bool>) {
        let options = &self.config.options;
        let interval = Duration::from_secs(u64::from(options.interface_interval_secs));
        let mut events = None;
        if options.automatic_interface_scan {
            match AddressEvents::open() {
                Ok(opened) => events = Some(opened),
                // BIND: the interval is left.
                Err(error) => tracing::warn!("cannot hear of new addresses: {error}"),
            }
        }
        loop {
            // Whatever came or went before the events were listened to is found now.
            self.look();
            tokio::select! {
                () = elapsed(interval) => {}
                heard = next(&mut events) => if let Err(error) = heard {
                    tracing::warn!("cannot hear of new addresses any longer: {error}");
                    events = None;
                },
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Compares what is served with what there is.
    fn look(&mut self) {
        let interfaces = match Interfaces::of_this_machine() {
            Ok(interfaces) => interfaces,
            Err(error) => return tracing::warn!("cannot list the network interfaces: {error}"),
        };
        let wanted = self.listen.endpoints(&interfaces);
        {
            let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(workers) = &*workers else { return };
            self.served.retain(|address| {
                let stays = wanted.iter().any(|endpoint| endpoint.address == *address);
                if !stays {
                    tracing::info!(target: "network", "no longer listening on {}", Hashed(*address));
                    workers.stop_listening(*address);
                }
                stays
            });
            for endpoint in wanted {
                let address = endpoint.address;
                if !self.served.contains(&address) {
                    match self.serve(&endpoint, workers) {
                        Ok(()) => {
                            tracing::info!(target: "network", "listening on {}", Hashed(address));
                            self.served.push(address);
                        }
                        Err(error) => {
                            tracing::error!(target: "network", "could not listen on {}: {error}", Hashed(address));
                        }
                    }
                }
            }
        }
        if interfaces != self.interfaces {
            let before = self.policy.load_full();
            self.policy.store(Arc::new(policy::nameserver_after(&before, &self.config, &interfaces)));
            self.interfaces = interfaces;
        }
    }

    fn serve(&self, endpoint: &Endpoint, workers: &Workers) -> io::Result<()> {
        workers.listen(self.listen.bind(endpoint).map_err(|(_, error)| error)?)
    }
}

/// An address and port as BIND writes them.
struct Hashed(SocketAddr);

impl std::fmt::Display for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.0.ip(), self.0.port())
    }
}

/// Waits so long; for ever if it is no time at all.
async fn elapsed(interval: Duration) {
    match interval.is_zero() {
        true => std::future::pending().await,
        false => tokio::time::sleep(interval).await,
    }
}

/// Waits for the next event; for ever if there are none.
async fn next(events: &mut Option<AddressEvents>) -> io::Result<()> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

/// What the kernel says when addresses are added or deleted (rtnetlink(7)); only that it says something counts.
///
/// A netlink socket in the clothes of a UDP socket: the runtime wants some kind of datagram socket, and receives alike
/// from all of them.
struct AddressEvents(UdpSocket);

impl AddressEvents {
    fn open() -> io::Result<AddressEvents> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, ADDRESS_GROUPS))?;
        Ok(AddressEvents(UdpSocket::from_std(socket.into())?))
    }

    /// Waits for events, and takes all that are there.
    async fn next(&mut self) -> io::Result<()> {
        self.0.readable().await?;
        let mut buffer = [0; NETLINK_BYTES];
        loop {
            match self.0.try_recv(&mut buffer) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Events that were lost for want of room are events, too.
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_lets_this_process_hear_of_addresses() {
        let mut events = AddressEvents::open().unwrap();
        // Other tests of this machine may add addresses; a socket that was not bound well would fail.
        let first = tokio::select! { biased; heard = events.next() => Some(heard), () = std::future::ready(()) => None };
        assert!(first.is_none_or(|heard| heard.is_ok()));
    }
}
