//! temporary
use crate::nameserver::{Action, Client, Nameserver, Transport};
use crate::nameserver::policy::Policy;
use crate::zone::Zones;
use arc_swap::ArcSwap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
/// x
pub struct Workers { stop: Arc<AtomicBool>, threads: Vec<std::thread::JoinHandle<()>> }
/// x
pub fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let s = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::DGRAM, None)?;
    s.set_reuse_port(true)?;
    s.bind(&address.into())?;
    Ok(s.into())
}
impl Workers {
    /// x
    pub fn start(sockets: Vec<Vec<UdpSocket>>, ns: Arc<Nameserver>, _z: Zones, _p: Arc<ArcSwap<Policy>>) -> std::io::Result<Workers> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = vec![];
        for s in sockets.into_iter().flatten() {
            let (ns, stop) = (ns.clone(), stop.clone());
            s.set_read_timeout(Some(std::time::Duration::from_millis(200)))?;
            threads.push(std::thread::spawn(move || {
                let mut buf = vec![0; 65535];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((n, from)) = s.recv_from(&mut buf) else { continue };
                    let out = s.try_clone().unwrap();
                    let client = Client { address: from, local: None, transport: Transport::Udp };
                    match ns.handle(&buf[..n], &client, Box::new(move |r| { let _ = out.send_to(&r, from); })) {
                        Action::Respond(r) => { let _ = s.send_to(&r, from); }
                        _ => {}
                    }
                }
            }));
        }
        Ok(Workers { stop, threads })
    }
    /// x
    pub fn shutdown(self) { self.stop.store(true, Ordering::Relaxed); for t in self.threads { let _ = t.join(); } }
}
