//! What `bench/answers/run` needs besides the servers: zones with queries for them, a server that does nothing, and
//! a stream of updates.
//!
//! ```text
//! answers_load zone DIRECTORY ORIGIN RECORDS QUERIES    writes `zone` and a file of queries for each mix
//! answers_load echo PORT                                sends every datagram back with QR set
//! answers_load updates PORT ORIGIN RATE                 so many updates a second until killed
//! ```

#[allow(
    dead_code,
    unreachable_pub,
    reason = "the harness belongs to the compatibility tests; a bench uses a part of it"
)]
#[path = "../../compat-tests/harness/rng.rs"]
mod rng;
#[allow(dead_code, unreachable_pub, reason = "as above")]
#[path = "../../compat-tests/harness/zonegen.rs"]
mod zonegen;

use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockType, SockaddrIn, bind, recvmmsg, sendmmsg,
    setsockopt, socket, sockopt,
};
use rng::Rng;
use std::error::Error;
use std::fmt::Write;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Zones and queries are always the same.
const SEED: u64 = 20_250_101;
/// As many datagrams as a worker takes at once.
const BATCH: usize = 32;
const DATAGRAM_BYTES: usize = 1500;
/// How many owners the updates go round.
const UPDATED_NAMES: u64 = 10_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["zone", directory, origin, records, queries] => zone(directory, origin, records, queries),
        ["echo", port] => echo(port),
        ["updates", port, origin, rate] => updates(port, origin, rate),
        _ => {
            Err("usage: zone DIRECTORY ORIGIN RECORDS QUERIES | echo PORT | updates PORT ORIGIN RATE".into())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes a zone, and as many queries of each mix as dnsperf reads them.
fn zone(directory: &str, origin: &str, records: &str, queries: &str) -> Result<(), Box<dyn Error>> {
    let (records, queries): (usize, usize) = (records.parse()?, queries.parse()?);
    let mut rng = Rng::new(SEED);
    let generated = zonegen::zone(origin, records, queries, &mut rng);
    let owners_of = |types: &[&str]| -> Vec<(String, &'static str)> {
        generated.owners.iter().filter(|(_, rtype)| types.contains(rtype)).cloned().collect()
    };
    let (leading, cuts) = (owners_of(&["MX", "SRV"]), owners_of(&["NS"]));
    let missing = |rng: &mut Rng| {
        format!("nx{:07}.{}.{origin} A\n", rng.below(10_000_000), rng.pick(&["ams", "fra", "lon", "nyc"]))
    };
    let existing = |(owner, rtype): &(String, &'static str)| match *rtype {
        // Who follows an alias or a referral asks for an address.
        "CNAME" => format!("{owner}.{origin} A\n"),
        "NS" => format!("www.{owner}.{origin} A\n"),
        rtype => format!("{owner}.{origin} {rtype}\n"),
    };
    let write = |name: &str, text: String| std::fs::write(Path::new(directory).join(name), text);
    let mut mix = |name: &str, draw: &dyn Fn(&mut Rng) -> String| {
        let text = (0..queries).fold(String::new(), |mut text, _| {
            text.write_str(&draw(&mut rng)).expect("a string grows");
            text
        });
        write(name, text)
    };
    mix("mixed", &|rng| if rng.chance(5) { missing(rng) } else { existing(rng.pick(&generated.owners)) })?;
    mix("nxdomain", &missing)?;
    mix("referral", &|rng| existing(rng.pick(&cuts)))?;
    mix("additional", &|rng| match rng.chance(5) {
        true => format!("{origin} NS\n"),
        false => existing(rng.pick(&leading)),
    })?;
    Ok(write("zone", generated.text)?)
}

/// What the system calls cost without a server between them.
fn echo(port: &str) -> Result<(), Box<dyn Error>> {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::empty(), None)?;
    let buffer_bytes = 4 << 20;
    setsockopt(&socket, sockopt::RcvBuf, &buffer_bytes)?;
    setsockopt(&socket, sockopt::SndBuf, &buffer_bytes)?;
    let [a, b, c, d] = Ipv4Addr::LOCALHOST.octets();
    bind(socket.as_raw_fd(), &SockaddrIn::new(a, b, c, d, port.parse()?))?;
    let mut buffers = vec![[0u8; DATAGRAM_BYTES]; BATCH];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut answers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    loop {
        let mut received = Vec::with_capacity(BATCH);
        {
            let mut slices: Vec<_> = buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
            let packets = recvmmsg(
                socket.as_raw_fd(),
                &mut headers,
                slices.iter_mut(),
                MsgFlags::MSG_WAITFORONE,
                None,
            )?;
            received.extend(packets.map(|packet| (packet.bytes, packet.address)));
        }
        for (buffer, _) in buffers.iter_mut().zip(&received) {
            buffer[2] |= 0x80;
        }
        let addresses: Vec<Option<SockaddrIn>> = received.iter().map(|(_, address)| *address).collect();
        let slices: Vec<_> = buffers
            .iter()
            .zip(&received)
            .map(|(buffer, (bytes, _))| [IoSlice::new(&buffer[..*bytes])])
            .collect();
        // What the kernel does not take is lost, as it would be on a network.
        let _ = sendmmsg(socket.as_raw_fd(), &mut answers, &slices, &addresses, [], MsgFlags::empty());
    }
}

/// Replaces the address of one owner after the other (RFC 2136), however fast the responses come.
fn updates(port: &str, origin: &str, rate: &str) -> Result<(), Box<dyn Error>> {
    let (port, rate): (u16, u32) = (port.parse()?, rate.parse()?);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_nonblocking(true)?;
    let started = Instant::now();
    let mut response = [0; 512];
    for number in 0u64.. {
        let due = Duration::from_secs(number / u64::from(rate))
            + Duration::from_secs(number % u64::from(rate)) / rate;
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        socket.send(&update(origin, number))?;
        while socket.recv(&mut response).is_ok() {
            if response[3] & 0xf != 0 {
                return Err(format!("an update got rcode {}", response[3] & 0xf).into());
            }
        }
    }
    Ok(())
}

/// Deletes the A RRset of an owner and adds one record.
fn update(origin: &str, number: u64) -> Vec<u8> {
    let mut message = (number as u16).to_be_bytes().to_vec();
    // Opcode UPDATE; one zone, no prerequisites, two updates.
    message.extend([0x28, 0, 0, 1, 0, 0, 0, 2, 0, 0]);
    for label in origin.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    if !origin.ends_with('.') {
        message.push(0);
    }
    message.extend([0, 6, 0, 1]);
    let owner = format!("dyn{:06}", number % UPDATED_NAMES);
    // Where the zone's name stands behind the header.
    let zone_pointer = [0xc0, 12];
    let address = (number as u32 | 0x0a00_0000).to_be_bytes();
    for (class, ttl, rdata) in [(255u16, 0u32, &[][..]), (1, 300, &address[..])] {
        message.push(owner.len() as u8);
        message.extend(owner.as_bytes());
        message.extend(zone_pointer);
        message.extend([0, 1]);
        message.extend(class.to_be_bytes());
        message.extend(ttl.to_be_bytes());
        message.extend((rdata.len() as u16).to_be_bytes());
        message.extend(rdata);
    }
    message
}
