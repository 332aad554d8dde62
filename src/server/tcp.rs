//! DNS over TCP (RFC 7766).
//!
//! ```text
//!              ┌──────────────── connection ────────────────┐
//! listener ──► │ read ─► handle ─┬─ response ─► queue ─► write │ ◄─ back-pressure: a full queue stops
//!              │                 ├─ transfer ─►   ║        │      reading, a full socket stops the transfer
//!              │                 └─ pending  ─► (later)    │
//!              └────────────────────────────────────────────┘
//! ```
//!
//! Requests may be sent one behind the other without waiting; responses leave as they become ready, in any
//! order (RFC 7766 §6.2.1.1, §7).
//!
//! Invariants: at most [`Limits::connections_max`] connections, where the one that has been without an
//! unanswered request for longest gives way to a new one; at most [`Limits::pipelined_max`] requests of a
//! connection are unanswered; every message is read and written within a time.

mod connections;

use crate::nameserver::transfer_out::Messages;
use crate::nameserver::{Action, Client, Nameserver, Transport};
use connections::{Connections, Owed, Slot};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};

/// How much room a message gets before more of it has arrived.
const READ_STEP_BYTES: usize = 4096;
/// How long to wait when the system has no descriptors or memory for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Bounds of TCP service. The default is BIND's.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. BIND: `tcp-clients`.
    pub connections_max: usize,
    /// Requests of one connection that may be unanswered. BIND: 23.
    pub pipelined_max: usize,
    /// How long a connection may be without a request. BIND: `tcp-idle-timeout`.
    pub idle_timeout: Duration,
    /// How long a message may take to arrive, from its first octet.
    pub read_timeout: Duration,
    /// How long a message may take to leave.
    pub write_timeout: Duration,
    /// How long answers may still leave when the server stops.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 150,
            pipelined_max: 23,
            idle_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(2),
        }
    }
}

/// TCP service of one server: the limits hold for all its listeners together.
#[derive(Clone)]
pub struct Server {
    nameserver: Arc<Nameserver>,
    limits: Limits,
    connections: Arc<Connections>,
}

impl Server {
    /// A server without a listener yet.
    pub fn new(nameserver: Arc<Nameserver>, limits: Limits) -> Server {
        Server { nameserver, limits, connections: Arc::new(Connections::new(limits.connections_max)) }
    }

    /// How many connections there are.
    pub fn connection_count(&self) -> usize {
        self.connections.count()
    }

    /// Serves `listener` until `shutdown` turns true or its sender is gone; returns when the connections
    /// that came through it are closed.
    pub async fn serve(&self, listener: TcpListener, mut shutdown: watch::Receiver<bool>) {
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = shutdown.wait_for(|stop| *stop) => break,
                Some(_) = tasks.join_next() => continue,
            };
            match accepted {
                // BIND: closed at once.
                Ok((_, address)) if self.nameserver.is_blackholed(address.ip()) => {}
                Ok((stream, _)) => {
                    let Some(slot) = self.connections.admit() else {
                        tracing::debug!("no more TCP clients: quota reached");
                        continue;
                    };
                    let (server, shutdown) = (self.clone(), shutdown.clone());
                    tasks.spawn(async move { server.connection(stream, slot, shutdown).await });
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!("TCP connection failed to be accepted: {error}");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
        drop(listener);
        while tasks.join_next().await.is_some() {}
    }

    /// Serves one connection to its end.
    async fn connection(&self, mut stream: TcpStream, slot: Slot, mut shutdown: watch::Receiver<bool>) {
        let (Ok(address), local) = (stream.peer_addr(), stream.local_addr().ok()) else { return };
        let client = Client { address, local, transport: Transport::Tcp };
        // Responses are written whole; waiting for more would only delay them. Failing costs only speed.
        let _ = stream.set_nodelay(true);
        let (read_half, write_half) = stream.split();
        let (sender, receiver) = mpsc::channel(self.limits.pipelined_max);
        let mut reading = Some(Box::pin(self.read_requests(read_half, &client, &slot, sender)));
        let writing = self.write_responses(write_half, receiver);
        tokio::pin!(writing);
        loop {
            tokio::select! {
                () = async { reading.as_mut().expect("guarded").await }, if reading.is_some() => reading = None,
                // Nothing more to write and nobody left to write, or the client does not take it.
                _ = &mut writing => return,
                () = slot.evicted() => return,
                _ = shutdown.wait_for(|stop| *stop) => break,
            }
        }
        // Read no more, but answer what was asked.
        drop(reading);
        let _ = timeout(self.limits.shutdown_timeout, writing).await;
    }

    /// Reads requests and has them dealt with, until the client has no more or takes too long.
    async fn read_requests(
        &self,
        mut stream: ReadHalf<'_>,
        client: &Client,
        slot: &Slot,
        sender: mpsc::Sender<Outgoing>,
    ) {
        loop {
            // The room for the response is taken before the request is read: nothing ever waits for it.
            let Ok(permit) = sender.clone().reserve_owned().await else { return };
            let Some(packet) = self.read_message(&mut stream, slot).await else { return };
            let turn = Turn::new(permit, slot.owe());
            let responder = {
                let turn = turn.clone();
                Box::new(move |response| turn.send(What::Message(response)))
            };
            match self.nameserver.handle(&packet, client, responder) {
                Action::Respond(response) => turn.send(What::Message(response)),
                Action::Transfer(messages) => turn.send(What::Transfer(messages)),
                Action::Drop | Action::Pending => {}
            }
        }
    }

    /// The next message; `None` when the connection is to be closed.
    async fn read_message(&self, stream: &mut ReadHalf<'_>, slot: &Slot) -> Option<Vec<u8>> {
        let first = loop {
            match timeout(self.limits.idle_timeout, stream.read_u8()).await {
                Ok(read) => break read.ok()?,
                // Somebody who waits for an answer is not idle.
                Err(_) if slot.is_owed() => {}
                Err(_) => return None,
            }
        };
        let deadline = Instant::now() + self.limits.read_timeout;
        timeout_at(deadline, read_rest(stream, first)).await.ok()?.ok()
    }

    /// Writes what is queued, until nobody can queue any more.
    async fn write_responses(
        &self,
        mut stream: WriteHalf<'_>,
        mut queue: mpsc::Receiver<Outgoing>,
    ) -> io::Result<()> {
        while let Some(Outgoing { what, owed: _owed }) = queue.recv().await {
            match what {
                What::Message(message) => self.write_message(&mut stream, message).await?,
                What::Transfer(messages) => {
                    // The next message is made when the one before has left.
                    for message in *messages {
                        // A transfer that cannot be finished ends with the connection (RFC 5936 §2.3).
                        let message = message.map_err(io::Error::other)?;
                        self.write_message(&mut stream, message).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn write_message(&self, stream: &mut WriteHalf<'_>, message: Vec<u8>) -> io::Result<()> {
        let Ok(length) = u16::try_from(message.len()) else {
            return Err(io::Error::other("response of more than 65,535 octets"));
        };
        // RFC 7766 §8: length and message in one write.
        let framed = [&length.to_be_bytes(), message.as_slice()].concat();
        timeout(self.limits.write_timeout, stream.write_all(&framed)).await?
    }
}

/// Reads a message whose length's first octet is known. Room grows with what arrives.
async fn read_rest(stream: &mut ReadHalf<'_>, first: u8) -> io::Result<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([first, stream.read_u8().await?]));
    let mut packet = Vec::new();
    while packet.len() < length {
        let step = (length - packet.len()).min(READ_STEP_BYTES);
        packet.reserve(step);
        if (&mut *stream).take(step as u64).read_buf(&mut packet).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(packet)
}

/// Whether an error of accept(2) says something of one connection only, which is gone already.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused)
}

/// What leaves on a connection.
enum What {
    Message(Vec<u8>),
    Transfer(Box<Messages>),
}

/// Something in the queue of a connection, and the debt it pays.
struct Outgoing {
    what: What,
    owed: Owed,
}

/// A place in the queue, and the debt that goes with it.
struct Place {
    permit: mpsc::OwnedPermit<Outgoing>,
    owed: Owed,
}

/// One request's place in the queue, used by whoever has the answer; given back if nobody has one.
#[derive(Clone)]
struct Turn(Arc<Mutex<Option<Place>>>);

impl Turn {
    fn new(permit: mpsc::OwnedPermit<Outgoing>, owed: Owed) -> Turn {
        Turn(Arc::new(Mutex::new(Some(Place { permit, owed }))))
    }

    fn send(&self, what: What) {
        let place = self.0.lock().expect("no panic while a turn is held").take();
        if let Some(Place { permit, owed }) = place {
            permit.send(Outgoing { what, owed });
        }
    }
}

#[cfg(test)]
mod tests;
