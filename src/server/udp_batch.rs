//! Datagrams in batches: recvmmsg(2) and sendmmsg(2).
//!
//! The only file with system calls of its own. Buffers are plain octets; the structures that point to them live for
//! one call only, so that nothing outlives what it points to.

#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Most datagrams of a batch: beyond 16 to 32 there is little to gain.
pub(super) const BATCH_MAX: usize = crate::zone::lookup::BATCH_MAX;
/// Octets of a received datagram; the largest there is fits. Not a multiple of 4096, so that the beginnings of the
/// buffers do not compete for the same lines of the cache.
const INPUT_BYTES: usize = 65_536 + 128;
/// Octets of a response; more than any `max-udp-size`.
const OUTPUT_BYTES: usize = 4096 + 64;
/// `struct sockaddr_in6`, the larger of the two kinds of address.
const ADDRESS_BYTES: usize = 28;

/// A socket address as the kernel writes it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct RawAddress([u8; ADDRESS_BYTES]);

impl RawAddress {
    fn decode(&self) -> Option<SocketAddr> {
        let bytes = &self.0;
        let port = u16::from_be_bytes([bytes[2], bytes[3]]);
        match i32::from(u16::from_ne_bytes([bytes[0], bytes[1]])) {
            libc::AF_INET => {
                let ip: [u8; 4] = bytes[4..8].try_into().ok()?;
                Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), port))
            }
            libc::AF_INET6 => {
                let flow: [u8; 4] = bytes[4..8].try_into().ok()?;
                let ip: [u8; 16] = bytes[8..24].try_into().ok()?;
                let scope: [u8; 4] = bytes[24..28].try_into().ok()?;
                let (flow, scope) = (u32::from_be_bytes(flow), u32::from_ne_bytes(scope));
                Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope)))
            }
            _ => None,
        }
    }
}

/// What was received.
pub(super) struct Inputs {
    buffers: Vec<[u8; INPUT_BYTES]>,
    lengths: [usize; BATCH_MAX],
    addresses: [RawAddress; BATCH_MAX],
    address_lengths: [libc::socklen_t; BATCH_MAX],
}

impl Default for Inputs {
    fn default() -> Inputs {
        Inputs {
            buffers: vec![[0; INPUT_BYTES]; BATCH_MAX],
            lengths: [0; BATCH_MAX],
            addresses: [RawAddress([0; ADDRESS_BYTES]); BATCH_MAX],
            address_lengths: [0; BATCH_MAX],
        }
    }
}

impl Inputs {
    /// Waits for a datagram, as long as the socket's read timeout says, and takes all that are there. Returns how
    /// many.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH_MAX];
        let mut headers = empty_headers();
        for (index, header) in headers.iter_mut().enumerate() {
            vectors[index] =
                libc::iovec { iov_base: self.buffers[index].as_mut_ptr().cast(), iov_len: INPUT_BYTES };
            header.msg_hdr.msg_iov = &raw mut vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut self.addresses[index]).cast();
            header.msg_hdr.msg_namelen = ADDRESS_BYTES as libc::socklen_t;
        }
        // SAFETY: `headers` has BATCH_MAX entries, each with one iovec and one address that are writable for the
        // lengths given and live until the call returns; the timeout pointer may be null. Without MSG_WAITFORONE the
        // call would wait for a full batch.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH_MAX as libc::c_uint,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (index, header) in headers.iter().take(count).enumerate() {
            self.lengths[index] = (header.msg_len as usize).min(INPUT_BYTES);
            self.address_lengths[index] = header.msg_hdr.msg_namelen.min(ADDRESS_BYTES as libc::socklen_t);
        }
        Ok(count)
    }

    /// The datagram at `index` of the last batch, and who sent it.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], SocketAddr)> {
        let address = self.addresses.get(index)?.decode()?;
        Some((self.buffers.get(index)?.get(..self.lengths[index])?, address))
    }
}

/// One output buffer.
#[derive(Clone)]
pub(super) struct Output([u8; OUTPUT_BYTES]);

impl AsMut<[u8]> for Output {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl AsRef<[u8]> for Output {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Room for the responses of a batch.
pub(super) fn outputs() -> Vec<Output> {
    vec![Output([0; OUTPUT_BYTES]); BATCH_MAX]
}

/// Sends the responses: `lengths` says how many octets of each output go to the sender of the datagram at the same
/// place, 0 = none. Returns how many could not be sent; their clients will ask again.
pub(super) fn send(socket: BorrowedFd<'_>, inputs: &Inputs, outputs: &[Output], lengths: &[usize]) -> usize {
    let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH_MAX];
    let mut headers = empty_headers();
    let mut count = 0;
    for (index, (&len, output)) in
        lengths.iter().zip(outputs).enumerate().take(BATCH_MAX).filter(|(_, pair)| *pair.0 > 0)
    {
        vectors[count] =
            libc::iovec { iov_base: output.0.as_ptr().cast_mut().cast(), iov_len: len.min(OUTPUT_BYTES) };
        let header = &mut headers[count].msg_hdr;
        header.msg_iov = &raw mut vectors[count];
        header.msg_iovlen = 1;
        header.msg_name = (&raw const inputs.addresses[index]).cast_mut().cast();
        header.msg_namelen = inputs.address_lengths[index];
        count += 1;
    }
    let (mut next, mut failed) = (0, 0);
    while next < count {
        // SAFETY: the headers from `next` to `count` each have one iovec over an output buffer and one address, which
        // live until the call returns; the kernel only reads what they point to.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers[next..].as_mut_ptr(),
                (count - next) as libc::c_uint,
                0,
            )
        };
        match usize::try_from(sent) {
            Ok(sent) if sent > 0 => next += sent,
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            // It is about the first of them: the others may still go.
            _ => {
                next += 1;
                failed += 1;
            }
        }
    }
    failed
}

/// Sockets that are waited for together, made once and used for every batch.
pub(super) struct Watched<'s> {
    polled: Vec<libc::pollfd>,
    /// The descriptors stay open for as long as they are watched.
    sockets: PhantomData<BorrowedFd<'s>>,
}

impl<'s> Watched<'s> {
    pub(super) fn new(sockets: impl Iterator<Item = BorrowedFd<'s>>) -> Watched<'s> {
        let polled =
            sockets.map(|socket| libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        Watched { polled: polled.collect(), sockets: PhantomData }
    }

    /// Waits until one of the sockets can be read, or the time is over.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        // After an error the kernel may have left what the last call found.
        self.polled.iter_mut().for_each(|polled| polled.revents = 0);
        let timeout_ms = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
        let count = self.polled.len() as libc::nfds_t;
        // SAFETY: the pointer and the length are those of `polled`, which lives until the call returns.
        let count = unsafe { libc::poll(self.polled.as_mut_ptr(), count, timeout_ms) };
        if count < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Whether the last wait ended with something to be read from the socket at `index`, or an error to be taken from it.
    pub(super) fn is_readable(&self, index: usize) -> bool {
        self.polled.get(index).is_some_and(|polled| polled.revents != 0)
    }
}

fn empty_headers() -> [libc::mmsghdr; BATCH_MAX] {
    // SAFETY: a mmsghdr is integers and pointers; zero and null are valid for all of them.
    unsafe { std::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn echo_over(host: &str) {
        let server = UdpSocket::bind((host, 0)).unwrap();
        server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let client = UdpSocket::bind((host, 0)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let large = vec![7; 60_000];
        for packet in [&b"a"[..], b"", &large] {
            client.send(packet).unwrap();
        }
        let mut inputs = Inputs::default();
        let mut outputs = outputs();
        let mut seen = Vec::new();
        while seen.len() < 3 {
            let count = inputs.receive(server.as_fd()).unwrap();
            let mut lengths = [0; BATCH_MAX];
            for index in 0..count {
                let (packet, address) = inputs.get(index).unwrap();
                assert_eq!(address, client.local_addr().unwrap());
                seen.push(packet.to_vec());
                outputs[index].as_mut()[..2].copy_from_slice(&(packet.len() as u16).to_be_bytes());
                lengths[index] = if packet.is_empty() { 0 } else { 2 };
            }
            assert_eq!(send(server.as_fd(), &inputs, &outputs, &lengths), 0);
        }
        assert_eq!(seen, [b"a".to_vec(), Vec::new(), large]);
        let mut echo = [0; 8];
        let lengths = [(); 2].map(|()| {
            assert_eq!(client.recv(&mut echo).unwrap(), 2);
            u16::from_be_bytes([echo[0], echo[1]])
        });
        assert_eq!(lengths, [1, 60_000]);
    }

    #[test]
    fn datagrams_come_and_go_over_ipv4() {
        echo_over("127.0.0.1");
    }

    #[test]
    fn datagrams_come_and_go_over_ipv6() {
        echo_over("::1");
    }

    #[test]
    fn waiting_says_which_socket_has_something() {
        let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut watched = Watched::new(sockets.iter().map(AsFd::as_fd));
        let readable = |watched: &Watched<'_>| [0, 1].map(|index| watched.is_readable(index));
        for (from, to, expected) in [(0, 1, [false, true]), (1, 0, [true, false])] {
            sockets[from].send_to(b"x", sockets[to].local_addr().unwrap()).unwrap();
            watched.wait(Duration::from_secs(10)).unwrap();
            assert_eq!(readable(&watched), expected);
            sockets[to].recv(&mut [0; 8]).unwrap();
        }
        watched.wait(Duration::ZERO).unwrap();
        assert_eq!(readable(&watched), [false, false]);
    }
}
