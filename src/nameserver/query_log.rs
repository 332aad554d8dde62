//! The query log: a line for each query, in BIND's words, written behind the query's back.
//!
//! ```text
//! worker: parsed query ─► copy of the packet ─► queue, bounded in count and octets ─► thread: one line in `queries`
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
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Queries that may wait for their lines.
const QUEUE_MAX: usize = 16_384;
/// Octets of queries that may wait.
const QUEUE_BYTES_MAX: usize = 16 << 20;

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
    waiting_bytes: Arc<AtomicUsize>,
    dropped: AtomicU64,
}

impl QueryLog {
    /// Starts the thread that writes. `cookies` tells good cookies from others.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(cookies: Cookies) -> io::Result<QueryLog> {
        let (queue, noted) = sync_channel(QUEUE_MAX);
        let waiting_bytes = Arc::<AtomicUsize>::default();
        let waiting = Arc::clone(&waiting_bytes);
        let write = move || write_lines(&noted, &waiting, &cookies);
        thread::Builder::new().name("query-log".into()).spawn(write)?;
        Ok(QueryLog { queue, waiting_bytes, dropped: AtomicU64::new(0) })
    }

    /// Notes a query that can be read.
    pub fn note(&self, packet: &[u8], client: &Client, key: Option<&Name>) {
        let waiting = self.waiting_bytes.fetch_add(packet.len(), Ordering::Relaxed);
        let is_taken = waiting < QUEUE_BYTES_MAX && {
            let noted = Noted { packet: packet.into(), client: *client, key: key.cloned() };
            self.queue.try_send(noted).is_ok()
        };
        if !is_taken {
            self.waiting_bytes.fetch_sub(packet.len(), Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many queries have no line because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes a line for each query, until nobody can note any more.
fn write_lines(noted: &Receiver<Noted>, waiting_bytes: &AtomicUsize, cookies: &Cookies) {
    let mut text = String::new();
    for Noted { packet, client, key } in noted {
        waiting_bytes.fetch_sub(packet.len(), Ordering::Relaxed);
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

    /// A log that nobody reads, with this many places.
    fn unread(places: usize) -> (QueryLog, Receiver<Noted>, Client) {
        let (queue, noted) = sync_channel(places);
        let log = QueryLog { queue, waiting_bytes: Arc::default(), dropped: AtomicU64::new(0) };
        let client =
            Client { address: "192.0.2.1:1".parse().unwrap(), local: None, transport: Transport::Udp };
        (log, noted, client)
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (log, _noted, client) = unread(2);
        for _ in 0..5 {
            log.note(&[0; 5_000], &client, None);
        }
        assert_eq!(log.dropped(), 3);
        let (log, _noted, client) = unread(QUEUE_MAX);
        for _ in 0..300 {
            log.note(&[0; 65_535], &client, None);
        }
        // The octets that may wait, and those of the last one.
        assert_eq!(log.dropped(), 300 - 257);
    }

    #[test]
    fn a_query_has_its_line_however_long_it_is() {
        let (log, noted, client) = unread(1);
        let padding = Edns { options: vec![(12, vec![0; 4_000].into())], ..Edns::default() };
        let mut writer = Writer::new(5_000);
        writer.question(&"a.".parse().unwrap(), RrType::A, Class::IN).unwrap();
        writer.opt(&padding, crate::dns::Rcode::NOERROR).unwrap();
        log.note(&writer.finish(&Header::request(7, Opcode::QUERY)), &client, None);
        let packet = noted.try_recv().unwrap().packet;
        let mut text = String::new();
        line(&packet, &client, None, &Cookies::default(), 1_000, &mut text).unwrap();
        assert_eq!(text, "client @0x7 192.0.2.1#1 (a): query: a IN A -E(0)");
    }
}
