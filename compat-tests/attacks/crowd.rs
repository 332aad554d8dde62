//! A crowd of slow connections, and everybody else.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{ZONE, assert_answers, assert_unharmed, start_subject};
use crate::harness::wire::{self, Query};
use crate::harness::{Site, wait};

const CROWD: usize = 1_000;
const ROUNDS: usize = 6;

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
}

impl Member {
    /// From another address than the tests' good clients have: limits per client are not what is tested here.
    fn connect(server: SocketAddr, manner: Manner) -> Option<Member> {
        let socket =
            Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket can be made");
        socket
            .bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 66), 0))))
            .expect("an address of loopback");
        // The smallest there is: what is not read fills the server's side soon.
        let _ = socket.set_recv_buffer_size(1);
        socket.connect_timeout(&SockAddr::from(server), Duration::from_secs(5)).ok()?;
        socket.set_nonblocking(true).expect("a socket can be made nonblocking");
        Some(Member { stream: socket.into(), manner })
    }

    /// Does what it does; false when the server has hung up on it.
    fn act(&mut self, round: usize) -> bool {
        let query = Query::new(ZONE, wire::AXFR).packet(round as u16);
        let framed = [&(query.len() as u16).to_be_bytes()[..], &query].concat();
        let written = match (self.manner, round) {
            (Manner::Trickling, _) => self.stream.write(&[1]),
            (Manner::HalfClosed, 0) => {
                let written = self.stream.write(&framed[..7]);
                let _ = self.stream.shutdown(Shutdown::Write);
                written
            }
            (Manner::NeverReading, _) => self.stream.write(&framed.repeat(20)),
            (Manner::Silent | Manner::HalfClosed, _) => Ok(1),
        };
        let mut octet = [0];
        let is_open = self.manner == Manner::NeverReading
            || !matches!(self.stream.peek(&mut octet), Ok(0))
                && self.stream.take_error().is_ok_and(|e| e.is_none());
        is_open && written.map_or_else(|error| error.kind() == ErrorKind::WouldBlock, |octets| octets > 0)
    }
}

#[test]
fn a_thousand_slow_connections_keep_nobody_else_waiting() {
    let site = Site::new("attacks-crowd");
    let (mut subject, before) = start_subject(&site);
    let server = subject.dns();
    let manners = [Manner::Silent, Manner::Trickling, Manner::HalfClosed, Manner::NeverReading];
    let mut crowd: Vec<Member> =
        (0..CROWD).filter_map(|number| Member::connect(server, manners[number % manners.len()])).collect();
    assert!(crowd.len() >= CROWD * 9 / 10, "only {} connections", crowd.len());
    let mut served = wait::Durations::default();
    for round in 0..ROUNDS {
        crowd.retain_mut(|member| member.act(round));
        for _ in 0..50 {
            let asked = Instant::now();
            assert_answers(&subject);
            served.push(asked.elapsed());
        }
        // Whoever was hung up on comes back.
        while crowd.len() < CROWD {
            let Some(member) = Member::connect(server, manners[crowd.len() % manners.len()]) else { break };
            crowd.push(member);
        }
        assert_answers(&subject);
    }
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
