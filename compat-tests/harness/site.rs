//! The directory and the ports of one test.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports are looked for from here on, below those that the kernel gives to clients (32768 and up): a client cannot
/// take a port between its choice and the server's start.
const FIRST_PORT: u32 = 10_000;
const PORTS: u32 = 22_000;

static PORTS_TRIED: AtomicU32 = AtomicU32::new(0);

/// A test's place on disk. Removed at the end, kept when the test fails.
pub struct Site {
    root: PathBuf,
}

impl Site {
    /// A fresh place, on the disk that holds the build and not in a tmpfs: what tests show of fsync would mean
    /// nothing there.
    pub fn new(test: &str) -> Site {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        if root.exists() {
            std::fs::remove_dir_all(&root).expect("an old test directory can be removed");
        }
        std::fs::create_dir_all(&root).expect("a test directory can be made");
        Site { root }
    }

    /// A new directory inside.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.root.join(name);
        std::fs::create_dir_all(&path).expect("a directory can be made");
        path
    }

    /// An address on loopback whose port is free for UDP and TCP. BIND listens on addresses of interfaces only, so
    /// that servers differ by port.
    pub fn address(&self) -> SocketAddr {
        loop {
            let tried = PORTS_TRIED.fetch_add(1, Ordering::Relaxed);
            assert!(tried < PORTS, "no free port");
            let port = FIRST_PORT + std::process::id().wrapping_mul(97).wrapping_add(tried) % PORTS;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port as u16));
            if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
                return address;
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for inspection: {}", self.root.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.root) {
            eprintln!("could not remove {}: {error}", self.root.display());
        }
    }
}
