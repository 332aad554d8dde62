//! TLS on a socket that its owner polls: plaintext in, plaintext out, and nothing kept longer than it must be.
//!
//! ```text
//! socket ─► ciphertext (32 KiB) ─► rustls ─► poll_read        seal ─► rustls ─► flush ─► socket
//! ```
//!
//! `tokio_rustls` would do for this, but hides how much it has encrypted ahead of the socket, and an urgent message
//! waits behind that; and it reads 4 KiB at a time.
//!
//! Not here: the handshake ([`super::handshake`]), what the plaintext means ([`super::session`]).

use rustls::Connection;
use std::{
    io::{self, IoSlice, Read, Write},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsStream;

/// Octets taken from the socket at once: two records of TLS.
const CIPHERTEXT_BYTES: usize = 32 << 10;

/// A connection that is through the handshake.
pub struct Channel<S> {
    socket: S,
    tls: Connection,
    /// What the socket gave and TLS has not taken yet: between `start` and `end`.
    ciphertext: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<S> Channel<S> {
    pub(super) fn new(stream: TlsStream<S>) -> Channel<S> {
        let (socket, mut tls) = match stream {
            TlsStream::Client(stream) => {
                let (socket, tls) = stream.into_inner();
                (socket, Connection::Client(tls))
            }
            TlsStream::Server(stream) => {
                let (socket, tls) = stream.into_inner();
                (socket, Connection::Server(tls))
            }
        };
        // Who seals bounds what is sealed.
        tls.set_buffer_limit(None);
        Channel { socket, tls, ciphertext: vec![0; CIPHERTEXT_BYTES].into(), start: 0, end: 0 }
    }

    /// Encrypts octets; it is sent later.
    pub(super) fn seal(&mut self, plaintext: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(plaintext)
    }

    /// Whether something that was encrypted has not been sent.
    pub(super) fn has_sealed(&self) -> bool {
        self.tls.wants_write()
    }

    /// What TLS has ready. `Ok(None)` = it needs more from the socket; 0 = the other end has closed.
    fn decrypted(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.tls.reader().read(into) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            let mut fresh = &self.ciphertext[self.start..self.end];
            if fresh.is_empty() {
                return Ok(None);
            }
            self.start += self.tls.read_tls(&mut fresh)?;
            self.tls
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }
}

impl Channel<TcpStream> {
    /// Reads plaintext, and has the task woken for more. 0 = the other end has closed.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if let Some(count) = self.decrypted(into)? {
                return Poll::Ready(Ok(count));
            }
            let mut buffer = ReadBuf::new(&mut self.ciphertext);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buffer))?;
            (self.start, self.end) = (0, buffer.filled().len());
            if self.end == 0 {
                return Poll::Ready(Ok(0));
            }
        }
    }

    /// Sends what was encrypted, as far as the socket takes it now: how many octets.
    pub(super) fn send(&mut self) -> io::Result<usize> {
        let mut sent = 0;
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Nonblocking(&self.socket)) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Has the task woken when the socket takes more.
    pub(super) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(cx)
    }
}

impl Channel<TcpStream> {
    /// For a thread of its own: reading and writing wait, each for at most `patience`.
    ///
    /// # Errors
    /// The system refuses.
    pub fn into_blocking(self, patience: Duration) -> io::Result<Channel<std::net::TcpStream>> {
        let Channel { socket, tls, ciphertext, start, end } = self;
        let socket = socket.into_std()?;
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))?;
        Ok(Channel { socket, tls, ciphertext, start, end })
    }
}

impl Read for Channel<std::net::TcpStream> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = self.decrypted(into)? {
                return Ok(count);
            }
            (self.start, self.end) = (0, self.socket.read(&mut self.ciphertext)?);
            if self.end == 0 {
                return Ok(0);
            }
        }
    }
}

impl Write for Channel<std::net::TcpStream> {
    fn write(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        self.seal(plaintext)?;
        self.flush()?;
        Ok(plaintext.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }
}

/// Writes what the socket takes at once.
struct Nonblocking<'a>(&'a TcpStream);

impl Write for Nonblocking<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(octets)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
