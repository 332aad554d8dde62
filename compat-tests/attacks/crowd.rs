//! A crowd of slow connections, and everybody else.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{ZONE, assert_answers, assert_unharmed, start_subject};
use crate::harness::wire::{self, Query};
use crate::harness::{Site, wait};

const CROWD: usize = 1_000;
const ROUNDS: usize = 10;

/// What a member of the crowd does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Never says a word.
    Silent,
    /// One octet a round, of a message that never ends.
    Trickling,
    /// Half a message, then no more, though it still listens.
    HalfClosed,
    /// Asks and asks, and takes no answer.
    NeverReading,
}

struct Member {
    stream: TcpStream,
    manner: Manner,
    /// Whether a half-closed one has been closed.
    is_done: bool,
}

impl Member {
    /// From another address than the tests' good clients have: limits per client are not what is tested here. Does not
    /// wait: a full listen queue is the crowd's own trouble.
    fn connect(server: SocketAddr, manner: Manner) -> Member {
        let socket =
            Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket can be made");
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 66), 0));
        socket.bind(&SockAddr::from(address)).expect("an address of loopback");
        // The smallest there is: what is not read fills the server's side soon.
        let _ = socket.set_recv_buffer_size(1);
        socket.set_nonblocking(true).expect("a socket can be made nonblocking");
        // In progress, and later open or not.
        let _ = socket.connect(&SockAddr::from(server));
        Member { stream: socket.into(), manner, is_done: false }
    }

    /// Does what it does; false when the server has hung up on it.
    fn act(&mut self, round: usize) -> bool {
        let query = Query::new(ZONE, wire::AXFR).packet(round as u16);
        let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
        let written = match self.manner {
            Manner::Trickling => self.stream.write(&[1]),
            Manner::HalfClosed if !self.is_done => {
                let written = self.stream.write(&framed[..7]);
                self.is_done = written.is_ok() && self.stream.shutdown(Shutdown::Write).is_ok();
                written
            }
            Manner::NeverReading => self.stream.write(&framed.repeat(20)),
            Manner::Silent | Manner::HalfClosed => Ok(1),
        };
        let mut octet = [0];
        let is_gone = match self.stream.peek(&mut octet) {
            Ok(0) => self.manner != Manner::HalfClosed,
            Ok(_) => false,
            Err(error) => !is_patience(&error),
        };
        !is_gone && written.map_or_else(|error| is_patience(&error), |octets| octets > 0)
    }
}

/// Whether an error says only that a connection is not there yet, or that its buffers are full.
fn is_patience(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

#[test]
fn a_thousand_slow_connections_keep_nobody_else_waiting() {
    let site = Site::new("attacks-crowd");
    let (mut subject, before) = start_subject(&site);
    let server = subject.dns();
    let manners = [Manner::Silent, Manner::Trickling, Manner::HalfClosed, Manner::NeverReading];
    let mut crowd: Vec<Member> = Vec::new();
    let (mut served, mut came) = (wait::Durations::default(), 0);
    for round in 0..ROUNDS {
        // More come until all are there; then those come back that were hung up on.
        for _ in 0..(CROWD - crowd.len()).min(CROWD / ROUNDS * 2) {
            crowd.push(Member::connect(server, manners[came % manners.len()]));
            came += 1;
            if came % 10 == 0 {
                assert_answers(&subject);
            }
        }
        crowd.retain_mut(|member| member.act(round));
        for _ in 0..20 {
            let asked = Instant::now();
            assert_answers(&subject);
            served.push(asked.elapsed());
        }
    }
    println!("{came} connections");
    assert!(came >= CROWD, "{came} connections");
    println!("beside the crowd, UDP and TCP: {}", served.summary());
    let resident = subject.process().resident_bytes();
    println!("with {} connections: {} MiB more", crowd.len(), resident.saturating_sub(before) >> 20);
    assert!(resident < before + super::GROWTH_BYTES_MAX, "the crowd takes {} MiB", (resident - before) >> 20);
    drop(crowd);
    assert_unharmed(&mut subject, before);
}

#[test]
fn who_is_slow_but_gets_there_is_answered() {
    let site = Site::new("attacks-patient");
    let (mut subject, before) = start_subject(&site);
    let query = Query::new(ZONE, wire::SOA).packet(7);
    let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
    let mut slow: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect_timeout(&subject.dns(), Duration::from_secs(5)).expect("a connection"))
        .collect();
    // Octet for octet, each time after others have been served.
    for octet in &framed {
        for stream in &mut slow {
            stream.write_all(&[*octet]).expect("a slow writer is not cut off at once");
        }
        assert_answers(&subject);
    }
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout can be set");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("an answer to the slow writer");
    }
    drop(slow);
    assert_unharmed(&mut subject, before);
}
