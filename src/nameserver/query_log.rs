//! The query log: a line for each query, in BIND's words, written behind the query's back.
//!
//! ```text
//! worker: parsed query ─► copy of the packet ─► queue, bounded ─► thread: read, judge, one line in `queries`
//!                                                └ full: dropped and counted
//! ```
//!
//! `client @0x1a2b 192.0.2.1#5353/key k (www.example.com): query: www.example.com IN A +SE(0)TDCV (192.0.2.53)`:
//! RD or not, signed, EDNS version, TCP, DO, CD, a good cookie (V) or another one (K); then the address that was asked.
//!
//! Invariants: a worker never waits for the log; without `querylog` there is no thread, no queue and no copy.
//!
//! Not here: where lines go (`logging`). BIND: what is no query, cannot be read or is not signed well has no line.

use super::cookies::{CookieState, Cookies};
use super::edns::Asked;
use super::request::{Client, Transport};
use crate::clock;
use crate::dns::Name;
use crate::dns::edns::option::CLIENT_SUBNET;
use crate::dns::message::Message;
use std::fmt::{self, Write};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Queries that may wait for their lines.
const QUEUE_MAX: usize = 16_384;
/// What is kept of a packet: enough for any question with EDNS.
const PACKET_BYTES_MAX: usize = 1_024;

/// A query on its way into the log.
struct Noted {
    packet: Box<[u8]>,
    client: Client,
    key: Option<Name>,
}

/// The way into the log.
#[derive(Debug)]
pub struct QueryLog {
    queue: SyncSender<Noted>,
    dropped: Arc<AtomicU64>,
}

impl QueryLog {
    /// Starts the thread that writes. `cookies` tells good cookies from others.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(cookies: Cookies) -> io::Result<QueryLog> {
        let (queue, noted) = sync_channel(QUEUE_MAX);
        thread::Builder::new().name("query-log".into()).spawn(move || write_lines(&noted, &cookies))?;
        Ok(QueryLog { queue, dropped: Arc::default() })
    }

    /// Notes a query that can be read.
    pub fn note(&self, packet: &[u8], client: &Client, key: Option<&Name>) {
        let packet = packet.get(..PACKET_BYTES_MAX).unwrap_or(packet).into();
        let noted = Noted { packet, client: *client, key: key.cloned() };
        if self.queue.try_send(noted).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many queries have no line because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes a line for each query, until nobody can note any more.
fn write_lines(noted: &Receiver<Noted>, cookies: &Cookies) {
    let mut text = String::new();
    for Noted { packet, client, key } in noted {
        text.clear();
        if line(&packet, &client, key.as_ref(), cookies, clock::unix_secs(), &mut text).is_ok() {
            tracing::info!(target: "queries", "{text}");
        }
    }
}

/// Writes the line of a query; an error if there is nothing to say about it.
fn line(
    packet: &[u8],
    client: &Client,
    key: Option<&Name>,
    cookies: &Cookies,
    now_secs: u64,
    out: &mut String,
) -> fmt::Result {
    let message = Message::parse(packet).map_err(|_| fmt::Error)?;
    let question = message.questions.first().ok_or(fmt::Error)?;
    let name = question.name.undotted();
    write!(out, "client @{:#x} {}#{}", message.header.id, client.address.ip(), client.address.port())?;
    if let Some(key) = key {
        write!(out, "/key {}", key.undotted())?;
    }
    write!(out, " ({name}): query: {name} {} {} ", question.qclass, question.qtype)?;
    out.push(if message.header.recursion_desired { '+' } else { '-' });
    let mut flag = |is_set: bool, flag: &str| out.push_str(if is_set { flag } else { "" });
    flag(key.is_some(), "S");
    let edns = message.edns.as_ref();
    flag(edns.is_some(), "E(0)");
    flag(client.transport != Transport::Udp, "T");
    flag(edns.is_some_and(|edns| edns.dnssec_ok), "D");
    flag(message.header.checking_disabled, "C");
    let cookie = edns.and_then(|edns| Asked::of(edns).cookie);
    match cookies.judge(cookie, client.address.ip(), now_secs) {
        CookieState::Good => out.push('V'),
        CookieState::ClientOnly | CookieState::Bad => out.push('K'),
        CookieState::None => {}
    }
    if let Some(local) = client.local {
        write!(out, " ({})", local.ip())?;
    }
    match edns.and_then(|edns| edns.option(CLIENT_SUBNET)) {
        Some([_, family, source, scope, prefix @ ..]) => match subnet_address(*family, prefix) {
            Some(address) => write!(out, " [ECS {address}/{source}/{scope}]"),
            None => write!(out, " [ECS <unknown address, family {family}>/{source}/{scope}]"),
        },
        _ => Ok(()),
    }
}

/// The address of a Client Subnet option (RFC 7871 §6), which has been checked.
fn subnet_address(family: u8, prefix: &[u8]) -> Option<IpAddr> {
    let mut octets = [0; 16];
    octets.get_mut(..prefix.len())?.copy_from_slice(prefix);
    match family {
        1 => Some(IpAddr::from([octets[0], octets[1], octets[2], octets[3]])),
        2 => Some(IpAddr::from(Ipv6Addr::from(octets))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::edns::Edns;
    use crate::dns::message::Header;
    use crate::dns::wire::Writer;
    use crate::dns::{Class, Opcode, RrType};
    use crate::nameserver::cookies::Secret;

    fn packet(name: &str, header: Header, edns: Option<Edns>) -> Vec<u8> {
        let mut writer = Writer::new(512);
        writer.question(&name.parse().unwrap(), RrType::A, Class::IN).unwrap();
        if let Some(edns) = edns {
            writer.opt(&edns, crate::dns::Rcode::NOERROR).unwrap();
        }
        writer.finish(&header)
    }

    #[test]
    fn a_line_is_worded_as_bind_words_it() {
        let cookies = Cookies { secrets: vec![Secret::new([7; 16])], required: false };
        let check = |name: &str, header: Header, edns, transport, key: Option<&str>, expected: &str| {
            let client = Client {
                address: "192.0.2.1:5353".parse().unwrap(),
                local: Some("192.0.2.53:53".parse().unwrap()),
                transport,
            };
            let key = key.map(|key| key.parse().unwrap());
            let mut text = String::new();
            line(&packet(name, header, edns), &client, key.as_ref(), &cookies, 1_000, &mut text).unwrap();
            assert_eq!(text, expected);
        };
        let plain = Header::request(0x1a2b, Opcode::QUERY);
        let with =
            |code: u16, data: &[u8]| Some(Edns { options: vec![(code, data.into())], ..Edns::default() });
        let head = "client @0x1a2b 192.0.2.1#5353";
        let udp = Transport::Udp;
        check(
            "wWw.test.",
            plain,
            None,
            udp,
            None,
            &format!("{head} (wWw.test): query: wWw.test IN A - (192.0.2.53)"),
        );
        check(".", plain, None, udp, None, &format!("{head} (.): query: . IN A - (192.0.2.53)"));
        let loud = Header { recursion_desired: true, checking_disabled: true, ..plain };
        let edns = Some(Edns { dnssec_ok: true, ..Edns::default() });
        let expected = format!("{head}/key k.test (a): query: a IN A +SE(0)TDC (192.0.2.53)");
        check("a.", loud, edns, Transport::Tcp, Some("k.test."), &expected);
        let tail = "(a): query: a IN A -E(0)";
        check("a.", plain, with(10, &[1; 8]), udp, None, &format!("{head} {tail}K (192.0.2.53)"));
        check("a.", plain, with(10, &[1; 24]), udp, None, &format!("{head} {tail}K (192.0.2.53)"));
        let good = cookies.answer(Some(&[1; 8]), "192.0.2.1".parse().unwrap(), 1_000).unwrap();
        check("a.", plain, with(10, &good), udp, None, &format!("{head} {tail}V (192.0.2.53)"));
        let subnet = format!("{head} {tail} (192.0.2.53) [ECS 198.51.100.0/24/0]");
        check("a.", plain, with(8, &[0, 1, 24, 0, 198, 51, 100]), udp, None, &subnet);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (queue, _nobody_reads) = sync_channel(2);
        let log = QueryLog { queue, dropped: Arc::default() };
        let client =
            Client { address: "192.0.2.1:1".parse().unwrap(), local: None, transport: Transport::Udp };
        for _ in 0..5 {
            log.note(&[0; 5_000], &client, None);
        }
        assert_eq!(log.dropped(), 3);
    }
}
