//! A DNS client over UDP and TCP that waits briefly and tells the truth about silence.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::Message as HickoryMessage;

use super::tsig::Key;
use super::wire::{self, Message, Query, Rr};

/// How long an ordinary query may take before the server counts as silent.
pub const QUERY_LIMIT: Duration = Duration::from_secs(2);
/// How long a server may take to decide an update (its own deadline is shorter).
pub const UPDATE_LIMIT: Duration = Duration::from_secs(8);

static NEXT_ID: AtomicU16 = AtomicU16::new(1);

/// A message id that the last 65,535 requests did not have.
pub fn fresh_id() -> u16 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// What came back for one packet.
pub enum Exchange {
    /// The response with the same id.
    Response(Vec<u8>),
    /// Nobody listens there: the packet has reached no process.
    Refused,
    /// Nothing within the limit; the packet may have arrived.
    Silence,
}

/// Sends one packet over UDP, once, and waits for the response with the same id.
pub fn exchange(server: SocketAddr, packet: &[u8], limit: Duration) -> Exchange {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a socket can be bound");
    if socket.connect(server).is_err() || socket.send(packet).is_err() {
        return Exchange::Refused;
    }
    let started = Instant::now();
    let mut buffer = vec![0; 65_535];
    loop {
        let left = limit.checked_sub(started.elapsed()).filter(|left| !left.is_zero());
        let Some(left) = left else { return Exchange::Silence };
        socket.set_read_timeout(Some(left)).expect("a read timeout can be set");
        match socket.recv(&mut buffer) {
            Ok(len) if len >= 2 && buffer[..2] == packet[..2] => {
                return Exchange::Response(buffer[..len].to_vec());
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Exchange::Refused,
            Err(_) => return Exchange::Silence,
        }
    }
}

/// Sends one packet over UDP and returns the response with the same id, if one comes within `limit`.
pub fn udp(server: SocketAddr, packet: &[u8], limit: Duration) -> Option<Vec<u8>> {
    match exchange(server, packet, limit) {
        Exchange::Response(response) => Some(response),
        Exchange::Refused | Exchange::Silence => None,
    }
}

/// A TCP connection that speaks DNS (RFC 1035 §4.2.2).
pub struct Tcp(TcpStream);

impl Tcp {
    /// Connects; every later read and write is limited by `limit`.
    pub fn connect(server: SocketAddr, limit: Duration) -> io::Result<Tcp> {
        let stream = TcpStream::connect_timeout(&server, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        stream.set_nodelay(true)?;
        Ok(Tcp(stream))
    }

    /// Sends one message.
    pub fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let len = u16::try_from(packet.len()).map_err(io::Error::other)?;
        self.0.write_all(&[&len.to_be_bytes(), packet].concat())
    }

    /// Receives one message.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut len = [0; 2];
        self.0.read_exact(&mut len)?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes(len))];
        self.0.read_exact(&mut packet)?;
        Ok(packet)
    }
}

/// Sends one packet over TCP and returns the response.
pub fn tcp(server: SocketAddr, packet: &[u8], limit: Duration) -> io::Result<Vec<u8>> {
    let mut connection = Tcp::connect(server, limit)?;
    connection.send(packet)?;
    connection.receive()
}

/// Reads a response, with hickory-proto as the second reader: what it cannot read is a defect of the server.
pub fn read(packet: &[u8]) -> Message {
    let message = match Message::read(packet) {
        Ok(message) => message,
        Err(error) => panic!("unreadable response: {error}\n{}", data_encoding::HEXLOWER.encode(packet)),
    };
    if let Err(error) = HickoryMessage::from_vec(packet) {
        panic!("hickory-proto cannot read a response: {error}\n{message:?}");
    }
    message
}

/// Asks over UDP.
pub fn ask(server: SocketAddr, query: &Query) -> Option<Message> {
    udp(server, &query.packet(fresh_id()), QUERY_LIMIT).map(|packet| read(&packet))
}

/// Asks over TCP.
pub fn ask_tcp(server: SocketAddr, query: &Query) -> Option<Message> {
    tcp(server, &query.packet(fresh_id()), QUERY_LIMIT).ok().map(|packet| read(&packet))
}

/// The serial that a server answers for `zone` with authority.
pub fn serial(server: SocketAddr, zone: &str) -> Option<u32> {
    let response = ask(server, &Query::new(zone, wire::SOA))?;
    if response.rcode != wire::NOERROR || !response.has(wire::AA) {
        return None;
    }
    response.answers.first()?.serial()
}

/// The A records that a server answers for `owner`, as their four octets, sorted.
pub fn addresses(server: SocketAddr, owner: &str) -> Option<Vec<Vec<u8>>> {
    let response = ask(server, &Query::new(owner, wire::A))?;
    let mut addresses: Vec<_> =
        response.answers.into_iter().filter(|rr| rr.rtype == wire::A).map(|rr| rr.rdata).collect();
    addresses.sort();
    Some(addresses)
}

/// The rcode of a signed update over UDP, if the server answers.
pub fn update(
    server: SocketAddr,
    zone: &str,
    prerequisites: &[Rr],
    updates: &[Rr],
    key: Option<&Key>,
) -> Option<Message> {
    let mut packet = wire::update(fresh_id(), zone, prerequisites, updates);
    if let Some(key) = key {
        key.sign(&mut packet);
    }
    udp(server, &packet, UPDATE_LIMIT).map(|packet| read(&packet))
}

/// A whole zone by AXFR: the SOA record once, then all others, sorted.
pub fn axfr(server: SocketAddr, zone: &str) -> Result<Vec<Rr>, String> {
    axfr_with(server, zone, None)
}

/// As [`axfr`], the request signed with `key`. (Whether the response is signed well is for the peers to say.)
pub fn axfr_with(server: SocketAddr, zone: &str, key: Option<&Key>) -> Result<Vec<Rr>, String> {
    let mut request = Query::new(zone, wire::AXFR).packet(fresh_id());
    if let Some(key) = key {
        key.sign(&mut request);
    }
    let mut records = transfer(server, &request)?;
    let last = records.pop();
    if records.first() != last.as_ref() {
        return Err(format!("an AXFR that begins with {:?} and ends with {last:?}", records.first()));
    }
    records[1..].sort();
    Ok(records)
}

/// The records of a transfer in their order: up to the second SOA record with the first one's serial, or a single
/// SOA record in a message of its own for an IXFR that has nothing to say.
pub fn transfer(server: SocketAddr, request: &[u8]) -> Result<Vec<Rr>, String> {
    let mut connection = Tcp::connect(server, Duration::from_secs(30)).map_err(|error| error.to_string())?;
    connection.send(request).map_err(|error| error.to_string())?;
    let is_ixfr =
        request.get(2..4).is_some() && Message::read(request).is_ok_and(|m| m.questions[0].1 == wire::IXFR);
    let mut records: Vec<Rr> = Vec::new();
    loop {
        let packet =
            connection.receive().map_err(|error| format!("after {} records: {error}", records.len()))?;
        let message = read(&packet);
        if message.rcode != wire::NOERROR {
            return Err(format!("rcode {}", message.rcode));
        }
        records.extend(message.answers);
        let Some(serial) = records.first().and_then(Rr::serial) else {
            return Err("no SOA record first".into());
        };
        let ends = records.iter().skip(1).filter(|rr| rr.serial() == Some(serial)).count();
        // An IXFR names the new serial at its start, before the last additions, and at its end (RFC 1995 §4);
        // an AXFR-style answer at its start and end only, and there the second record is no SOA.
        let incremental = is_ixfr && records.get(1).is_some_and(|rr| rr.rtype == wire::SOA);
        if records.len() == 1 && is_ixfr || ends == if incremental { 2 } else { 1 } {
            return Ok(records);
        }
    }
}
