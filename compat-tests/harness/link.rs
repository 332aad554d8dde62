//! The ways between the nodes of a cluster, which a test can cut.
//!
//! ```text
//! node with the higher id ──connects──► Link ──► node with the lower id
//! ```
//!
//! A cut link takes what is sent and passes nothing on, as a network does: neither end is told. Healed, it passes on what
//! it has.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a cut link looks whether it is healed, and an idle one whether it is cut.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// How long its threads outlive a link, at most.
const READ_LIMIT: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    is_cut: AtomicBool,
    is_gone: AtomicBool,
}

/// A way to one node from another.
pub struct Link {
    state: Arc<State>,
    address: SocketAddr,
}

impl Link {
    /// A link to `target`.
    pub fn to(target: SocketAddr) -> Link {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.is_gone.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(from) = stream else { continue };
                let state = Arc::clone(&shared);
                std::thread::spawn(move || connect(&from, target, &state));
            }
        });
        Link { state, address }
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts it, or heals it.
    pub fn set_cut(&self, is_cut: bool) {
        self.state.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.state.is_gone.store(true, Ordering::Relaxed);
        // Wakes the listener; it has ended if that fails.
        let _ = TcpStream::connect(self.address);
    }
}

fn connect(from: &TcpStream, target: SocketAddr, state: &Arc<State>) {
    if !wait_for_healing(state) {
        return;
    }
    let Ok(to) = TcpStream::connect(target) else { return };
    let backwards = {
        let (from, to, state) = (from.try_clone(), to.try_clone(), Arc::clone(state));
        std::thread::spawn(move || {
            if let (Ok(from), Ok(to)) = (from, to) {
                pass(&to, &from, &state);
            }
        })
    };
    pass(from, &to, state);
    // A thread that ends is joined at once: both ends are shut down.
    let _ = backwards.join();
}

/// Passes octets on in one direction until an end closes.
fn pass(mut from: &TcpStream, mut to: &TcpStream, state: &State) {
    let mut buffer = vec![0; 64 << 10];
    let _ = from.set_read_timeout(Some(READ_LIMIT));
    let _ = to.set_nodelay(true);
    while !state.is_gone.load(Ordering::Relaxed) {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if !wait_for_healing(state) || to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    // Whoever is gone already need not be told.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// False if the link is gone.
fn wait_for_healing(state: &State) -> bool {
    while state.is_cut.load(Ordering::Relaxed) && !state.is_gone.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_INTERVAL);
    }
    !state.is_gone.load(Ordering::Relaxed)
}
