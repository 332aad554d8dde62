//! The threads that answer, and what they have counted.

use super::sockets::AddressSockets;
use crate::control::status::Counter;
use crate::server::{tcp, udp};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// By the lower four bits of the RCODE.
const RCODES: [&str; 16] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
    "NOTAUTH", "NOTZONE", "11", "12", "13", "14", "15",
];

/// All workers of a node.
pub(super) struct Workers {
    pub(super) udp: udp::Workers,
    pub(super) tcp: tcp::Workers,
    /// None if nothing listens for TLS.
    pub(super) tls: tcp::Workers,
    pub(super) connections: Arc<tcp::Connections>,
}

impl Workers {
    /// Starts as many of each kind as there are sets of sockets.
    pub(super) fn start(
        udp: Vec<Vec<UdpSocket>>,
        tcp: Vec<Vec<tcp::Listener>>,
        tls: Vec<Vec<tcp::Listener>>,
        service: tcp::Service,
        limits: tcp::Limits,
        connections_max: usize,
    ) -> io::Result<Workers> {
        let connections = Arc::new(tcp::Connections::new(connections_max));
        let tcp = tcp::Workers::start("tcp", tcp, &service, Arc::clone(&connections), limits)?;
        let tls = tcp::Workers::start("tls", tls, &service, Arc::clone(&connections), limits)?;
        let tcp::Service { nameserver, zones, policy } = service;
        let udp = udp::Workers::start(udp, nameserver, zones, policy)?;
        Ok(Workers { udp, tcp, tls, connections })
    }

    /// Serves one more address, with a socket of each kind for each worker.
    pub(super) fn listen(&self, sockets: AddressSockets) -> io::Result<()> {
        match sockets {
            AddressSockets::Dns { udp, tcp } => {
                self.udp.listen(udp)?;
                self.tcp.listen(tcp);
            }
            AddressSockets::Tls(tls) => self.tls.listen(tls),
        }
        Ok(())
    }

    /// Serves an address no longer.
    pub(super) fn stop_listening(&self, address: SocketAddr) {
        self.udp.stop_listening(address);
        self.tcp.stop_listening(address);
        self.tls.stop_listening(address);
    }

    /// Stops all and waits for them.
    pub(super) fn shutdown(self) {
        self.udp.shutdown();
        self.tcp.shutdown();
        self.tls.shutdown();
    }

    /// What they have counted, all of a kind together.
    pub(super) fn counters(&self) -> Vec<Counter> {
        let mut counters = self.udp_counters();
        counters.extend([
            single(
                "connections_rejected",
                "Connections closed at once: too many, and none gave way.",
                self.connections.rejected(),
            ),
            single("connections_evicted", "Connections that gave way to others.", self.connections.evicted()),
        ]);
        counters.extend(stream_counters(self.tcp.counters(), &TCP));
        counters.extend(stream_counters(self.tls.counters(), &TLS));
        let failed = |counters: &Arc<tcp::Counters>| counters.handshakes_failed.load(Ordering::Relaxed);
        let failed = self.tls.counters().iter().map(failed).sum();
        counters.push(single("tls_handshakes_failed", "TLS handshakes that failed.", failed));
        counters
    }

    /// How many connections there are.
    pub(super) fn connection_count(&self) -> usize {
        self.connections.count()
    }

    fn udp_counters(&self) -> Vec<Counter> {
        let sum = |counter: &dyn Fn(&udp::Counters) -> &AtomicU64| {
            self.udp.counters().iter().map(|counters| counter(counters).load(Ordering::Relaxed)).sum()
        };
        let mut counters = vec![
            single("udp_received", "Datagrams received.", sum(&|counters| &counters.received)),
            single("udp_slow", "Datagrams that were no plain queries.", sum(&|counters| &counters.slow)),
            single("udp_dropped", "Datagrams without a response.", sum(&|counters| &counters.dropped)),
            single(
                "udp_send_errors",
                "Responses not taken by the kernel.",
                sum(&|counters| &counters.send_errors),
            ),
        ];
        counters.extend(RCODES.iter().enumerate().map(|(rcode, text)| Counter {
            name: "udp_responses",
            help: "Responses to plain queries over UDP.",
            value: sum(&|counters| &counters.responses[rcode]),
            label: Some(("rcode", text)),
        }));
        counters
    }
}

/// How the counters of one kind of connection are called.
struct Names {
    accepted: (&'static str, &'static str),
    timeouts: (&'static str, &'static str),
    received: (&'static str, &'static str),
    slow: (&'static str, &'static str),
    dropped: (&'static str, &'static str),
    responses: (&'static str, &'static str),
}

const TCP: Names = Names {
    accepted: ("tcp_accepted", "TCP connections accepted."),
    timeouts: ("tcp_timeouts", "TCP connections closed because the client took too long."),
    received: ("tcp_received", "Messages received over TCP."),
    slow: ("tcp_slow", "Messages over TCP that were no plain queries."),
    dropped: ("tcp_dropped", "Messages over TCP without a response."),
    responses: ("tcp_responses", "Responses over TCP, those of transfers left out."),
};

const TLS: Names = Names {
    accepted: ("tls_accepted", "TLS connections accepted."),
    timeouts: ("tls_timeouts", "TLS connections closed because the client took too long."),
    received: ("tls_received", "Messages received over TLS."),
    slow: ("tls_slow", "Messages over TLS that were no plain queries."),
    dropped: ("tls_dropped", "Messages over TLS without a response."),
    responses: ("tls_responses", "Responses over TLS, those of transfers left out."),
};

/// What workers for connections have counted; nothing if there are none.
fn stream_counters(workers: &[Arc<tcp::Counters>], names: &Names) -> Vec<Counter> {
    if workers.is_empty() {
        return Vec::new();
    }
    let sum = |counter: &dyn Fn(&tcp::Counters) -> &AtomicU64| {
        workers.iter().map(|counters| counter(counters).load(Ordering::Relaxed)).sum::<u64>()
    };
    let one = |(name, help), counter: &dyn Fn(&tcp::Counters) -> &AtomicU64| single(name, help, sum(counter));
    let mut counters = vec![
        one(names.accepted, &|counters| &counters.accepted),
        one(names.timeouts, &|counters| &counters.timeouts),
        one(names.received, &|counters| &counters.received),
        one(names.slow, &|counters| &counters.slow),
        one(names.dropped, &|counters| &counters.dropped),
    ];
    counters.extend(RCODES.iter().enumerate().map(|(rcode, text)| Counter {
        name: names.responses.0,
        help: names.responses.1,
        value: sum(&|counters| &counters.responses[rcode]),
        label: Some(("rcode", text)),
    }));
    counters
}

fn single(name: &'static str, help: &'static str, value: u64) -> Counter {
    Counter { name, help, value, label: None }
}
