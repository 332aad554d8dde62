//! Many questions to one server: over UDP with many in flight, over TCP one behind the other on a connection.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::harness::client::Tcp;

/// How many queries are in flight.
const WINDOW: usize = 50;
/// How often a query is sent again, and after what time, before the server counts as silent.
const ATTEMPTS: usize = 4;
const ATTEMPT_LIMIT: Duration = Duration::from_millis(700);
const TCP_LIMIT: Duration = Duration::from_secs(3);
const TCP_BATCH: usize = 20;

/// Asks all; the responses in the order of the questions, `None` where the server stays silent.
pub fn udp(server: SocketAddr, packets: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket can be bound");
    socket.connect(server).expect("loopback can be reached");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a read timeout can be set");
    let mut responses = vec![None; packets.len()];
    let mut buffer = vec![0; 65_535];
    // By id: which question, how often it was sent, when last.
    let mut flying: HashMap<u16, (usize, usize, Instant)> = HashMap::new();
    let mut next = 0;
    let send = |id: u16, index: usize| {
        let mut packet = packets[index].clone();
        packet[..2].copy_from_slice(&id.to_be_bytes());
        // A full buffer is like a lost packet.
        let _ = socket.send(&packet);
    };
    while next < packets.len() || !flying.is_empty() {
        while next < packets.len() && flying.len() < WINDOW {
            let id = next as u16;
            flying.insert(id, (next, 1, Instant::now()));
            send(id, next);
            next += 1;
        }
        if let Ok(len) = socket.recv(&mut buffer)
            && let Some(&[high, low]) = buffer[..len].first_chunk::<2>()
            && let Some((index, ..)) = flying.remove(&u16::from_be_bytes([high, low]))
        {
            responses[index] = Some(buffer[..len].to_vec());
            continue;
        }
        flying.retain(|_, (_, attempts, sent)| *attempts < ATTEMPTS || sent.elapsed() < ATTEMPT_LIMIT);
        for (id, (index, attempts, sent)) in &mut flying {
            if sent.elapsed() >= ATTEMPT_LIMIT {
                (*attempts, *sent) = (*attempts + 1, Instant::now());
                send(*id, *index);
            }
        }
    }
    responses
}

/// The same over TCP.
pub fn tcp(server: SocketAddr, packets: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let mut responses = vec![None; packets.len()];
    let mut connection = None;
    for (batch, slots) in packets.chunks(TCP_BATCH).zip(responses.chunks_mut(TCP_BATCH)) {
        if exchange(server, &mut connection, batch, slots).is_none() {
            // One that the server does not answer, or ends the connection for: each again on its own.
            for (packet, slot) in batch.iter().zip(slots).filter(|(_, slot)| slot.is_none()) {
                let mut own = None;
                let _ = exchange(server, &mut own, std::slice::from_ref(packet), std::slice::from_mut(slot));
            }
            connection = None;
        }
    }
    responses
}

fn exchange(
    server: SocketAddr,
    connection: &mut Option<Tcp>,
    packets: &[Vec<u8>],
    responses: &mut [Option<Vec<u8>>],
) -> Option<()> {
    if connection.is_none() {
        *connection = Some(Tcp::connect(server, TCP_LIMIT).ok()?);
    }
    let connection = connection.as_mut()?;
    for (id, packet) in packets.iter().enumerate() {
        let mut packet = packet.clone();
        packet[..2].copy_from_slice(&(id as u16).to_be_bytes());
        connection.send(&packet).ok()?;
    }
    for _ in packets {
        let response = connection.receive().ok()?;
        let id = usize::from(u16::from_be_bytes(*response.first_chunk()?));
        *responses.get_mut(id)? = Some(response);
    }
    Some(())
}
