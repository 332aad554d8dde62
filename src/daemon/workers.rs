//! The threads that answer, and what they have counted.

use crate::control::status::Counter;
use crate::server::{tcp, udp};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
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
    pub(super) connections: Arc<tcp::Connections>,
}

impl Workers {
    /// Starts as many of each kind as there are sets of sockets.
    pub(super) fn start(
        udp: Vec<Vec<UdpSocket>>,
        tcp: Vec<Vec<TcpListener>>,
        service: tcp::Service,
        limits: tcp::Limits,
        connections_max: usize,
    ) -> io::Result<Workers> {
        let connections = Arc::new(tcp::Connections::new(connections_max));
        let tcp = tcp::Workers::start(tcp, &service, Arc::clone(&connections), limits)?;
        let tcp::Service { nameserver, zones, policy } = service;
        let udp = udp::Workers::start(udp, nameserver, zones, policy)?;
        Ok(Workers { udp, tcp, connections })
    }

    /// Serves one more address, with a socket of each kind for each worker.
    pub(super) fn listen(&self, udp: Vec<UdpSocket>, tcp: Vec<TcpListener>) -> io::Result<()> {
        self.udp.listen(udp)?;
        self.tcp.listen(tcp);
        Ok(())
    }

    /// Serves an address no longer.
    pub(super) fn stop_listening(&self, address: SocketAddr) {
        self.udp.stop_listening(address);
        self.tcp.stop_listening(address);
    }

    /// Stops all and waits for them.
    pub(super) fn shutdown(self) {
        self.udp.shutdown();
        self.tcp.shutdown();
    }

    /// What they have counted, all of a kind together.
    pub(super) fn counters(&self) -> Vec<Counter> {
        let mut counters = self.udp_counters();
        counters.extend(self.tcp_counters());
        counters
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

    fn tcp_counters(&self) -> Vec<Counter> {
        let sum = |counter: &dyn Fn(&tcp::Counters) -> &AtomicU64| {
            self.tcp.counters().iter().map(|counters| counter(counters).load(Ordering::Relaxed)).sum()
        };
        let mut counters = vec![
            single("tcp_accepted", "TCP connections accepted.", sum(&|counters| &counters.accepted)),
            single(
                "tcp_rejected",
                "TCP connections closed at once: too many, and none gave way.",
                self.connections.rejected(),
            ),
            single("tcp_evicted", "TCP connections that gave way to others.", self.connections.evicted()),
            single(
                "tcp_timeouts",
                "TCP connections closed because the client took too long.",
                sum(&|counters| &counters.timeouts),
            ),
            single("tcp_received", "Messages received over TCP.", sum(&|counters| &counters.received)),
            single(
                "tcp_slow",
                "Messages over TCP that were no plain queries.",
                sum(&|counters| &counters.slow),
            ),
            single(
                "tcp_dropped",
                "Messages over TCP without a response.",
                sum(&|counters| &counters.dropped),
            ),
        ];
        counters.extend(RCODES.iter().enumerate().map(|(rcode, text)| Counter {
            name: "tcp_responses",
            help: "Responses over TCP, those of transfers left out.",
            value: sum(&|counters| &counters.responses[rcode]),
            label: Some(("rcode", text)),
        }));
        counters
    }
}

fn single(name: &'static str, help: &'static str, value: u64) -> Counter {
    Counter { name, help, value, label: None }
}
