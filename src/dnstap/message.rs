//! The protobuf messages of dnstap.proto, as far as a server sends them.

use super::{Protocol, Tapped};
use prost::Message as _;
use std::net::{IpAddr, SocketAddr};

const NANOS_PER_SEC: i128 = 1_000_000_000;
/// `Dnstap.Type.MESSAGE`.
const TYPE_MESSAGE: i32 = 1;

/// `Message.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    AuthQuery = 1,
    AuthResponse = 2,
    ClientResponse = 6,
    UpdateQuery = 13,
    UpdateResponse = 14,
}

impl Kind {
    fn is_query(self) -> bool {
        matches!(self, Kind::AuthQuery | Kind::UpdateQuery)
    }
}

/// `dnstap.Dnstap`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Dnstap {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(super) identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) version: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    pub(super) message: Option<Message>,
    #[prost(int32, required, tag = "15")]
    pub(super) kind: i32,
}

/// `dnstap.Message`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Message {
    #[prost(int32, required, tag = "1")]
    pub(super) kind: i32,
    #[prost(int32, optional, tag = "2")]
    pub(super) socket_family: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(super) socket_protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) query_address: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub(super) response_address: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "6")]
    pub(super) query_port: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pub(super) response_port: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    pub(super) query_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    pub(super) query_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    pub(super) query_message: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    pub(super) response_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    pub(super) response_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    pub(super) response_message: Option<Vec<u8>>,
}

/// What is the same in every message.
pub(super) struct Encoder {
    pub(super) identity: Option<Vec<u8>>,
    pub(super) version: Option<Vec<u8>>,
}

impl Encoder {
    /// Replaces `out` by the encoded message.
    pub(super) fn encode(&self, tapped: &Tapped, out: &mut Vec<u8>) {
        let Tapped { kind, packet, route, time } = tapped;
        let (sec, nsec) = ((time / NANOS_PER_SEC) as u64, (time % NANOS_PER_SEC) as u32);
        let mut message = Message {
            kind: *kind as i32,
            socket_family: Some(if route.client.is_ipv4() { 1 } else { 2 }),
            socket_protocol: Some(match route.protocol {
                Protocol::Udp => 1,
                Protocol::Tcp => 2,
                Protocol::Tls => 3,
            }),
            query_address: Some(address(route.client)),
            query_port: Some(u32::from(route.client.port())),
            response_address: route.server.map(address),
            response_port: route.server.map(|server| u32::from(server.port())),
            ..Message::default()
        };
        if kind.is_query() {
            (message.query_time_sec, message.query_time_nsec) = (Some(sec), Some(nsec));
            message.query_message = Some(packet.to_vec());
        } else {
            (message.response_time_sec, message.response_time_nsec) = (Some(sec), Some(nsec));
            message.response_message = Some(packet.to_vec());
        }
        let dnstap = Dnstap {
            identity: self.identity.clone(),
            version: self.version.clone(),
            message: Some(message),
            kind: TYPE_MESSAGE,
        };
        out.clear();
        dnstap.encode(out).expect("a vector has room");
    }
}

fn address(address: SocketAddr) -> Vec<u8> {
    match address.ip() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
