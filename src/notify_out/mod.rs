//! NOTIFY out: telling secondaries that a zone changed (RFC 1996).
//!
//! ```text
//! apply ──changed(zone)──► a set of zones ──► task: targets ──► Schedule ──► UDP ──► secondary
//!            never blocks   (coalesces)            ▲              ▲   │
//! leader? ──set_active────────────────────────────┘   response ──┘   └─ retries
//! ```
//!
//! Invariants: one node of the cluster sends, the leader, and it begins with every zone, because the one
//! before may have died with messages unsent; announcing a change costs a lock and no wait; what is sent is
//! the SOA of the moment of sending; a response counts only from the address asked, with the id and question
//! of the request, signed if the request was.
//!
//! Not here: NOTIFY that comes in (`nameserver`), refresh by secondaries that missed one (theirs).

mod message;
mod schedule;
mod targets;

use crate::clock;
use crate::dns::Name;
use crate::dns::message::Message;
use crate::dns::tsig::{Keys, Verifier};
use crate::zone::Zones;
use hickory_proto::op::ResponseCode;
use schedule::{Action, Schedule};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

/// Messages per second. BIND: `notify-rate` 20.
pub const RATE_PER_SEC_DEFAULT: u32 = 20;

/// Least time between messages about two changes of one zone to one target, whatever `notify-delay` says: under
/// steady updates a NOTIFY per update would only use up the rate that other zones need.
const DELAY_MIN: Duration = Duration::from_millis(100);

/// Somebody to notify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where to.
    pub address: SocketAddr,
    /// The key to sign with.
    pub key: Option<Name>,
}

/// Whom a zone notifies. A zone with `notify no` has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `also-notify`.
    pub also_notify: Vec<Target>,
    /// Whether the name servers in the zone's NS records are told (`notify yes`), or not (`notify explicit`).
    pub name_servers: bool,
    /// The least time between messages about two changes (`notify-delay`); below 100 ms it counts as that.
    pub delay: Duration,
}

/// What the configuration says about NOTIFY.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Zones that notify, by apex.
    pub policies: HashMap<Name, Policy>,
    /// The keys that policies name.
    pub keys: Keys,
    /// Addresses that are this cluster: they are never notified.
    pub own_addresses: HashSet<SocketAddr>,
    /// Messages per second, over all zones; 0 counts as 1.
    pub rate_per_sec: u32,
}

/// Announces changes; cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct NotifyOut(Arc<Shared>);

struct Shared {
    inbox: Mutex<Inbox>,
    wake: tokio::sync::Notify,
}

/// What the task has not taken yet. Bounded by the number of zones.
#[derive(Default)]
struct Inbox {
    changed: HashSet<Name>,
    active: bool,
    stopped: bool,
}

impl NotifyOut {
    /// Starts the sender of the zones in `zones`, inactive, on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(zones: Zones, settings: Settings) -> NotifyOut {
        let shared = Arc::new(Shared { inbox: Mutex::default(), wake: tokio::sync::Notify::new() });
        tokio::spawn(Sender::new(zones, settings, Arc::clone(&shared)).run());
        NotifyOut(shared)
    }

    /// Announces a new version of `zone`, which is published already. Does not block.
    pub fn changed(&self, zone: &Name) {
        let mut inbox = self.0.inbox();
        // An inactive node has nothing to say: the one that sends has seen the same change.
        if inbox.active && inbox.changed.insert(zone.clone()) {
            drop(inbox);
            self.0.wake.notify_one();
        }
    }

    /// Makes this node the one that sends, beginning with every zone; or stops it.
    pub fn set_active(&self, active: bool) {
        self.0.inbox().active = active;
        self.0.wake.notify_one();
    }

    /// Ends the task; nothing is sent any more.
    pub fn stop(&self) {
        self.0.inbox().stopped = true;
        self.0.wake.notify_one();
    }
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().expect("no panic while the inbox is held")
    }
}

/// The task: the only place with sockets.
struct Sender {
    zones: Zones,
    shared: Arc<Shared>,
    settings: Settings,
    active: bool,
    schedule: Schedule,
    /// What the response to the outstanding message must be signed with, for the messages that are signed.
    verifiers: HashMap<(Name, SocketAddr), Verifier>,
    v4: Socket,
    v6: Socket,
}

impl Sender {
    fn new(zones: Zones, settings: Settings, shared: Arc<Shared>) -> Sender {
        Sender {
            zones,
            shared,
            active: false,
            schedule: Schedule::new(settings.rate_per_sec),
            settings,
            verifiers: HashMap::new(),
            v4: Socket::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            v6: Socket::new(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        }
    }

    async fn run(mut self) {
        while self.take_inbox() {
            let now = clock::monotonic();
            while let Some(action) = self.schedule.poll(now, || clock::random_u64() as u16) {
                self.act(action).await;
            }
            let deadline = self.schedule.next_deadline();
            let (mut v4_packet, mut v6_packet) = ([0; 1232], [0; 1232]);
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = sleep_until(deadline) => {}
                (length, from) = self.v4.receive(&mut v4_packet) => self.receive(from, &v4_packet[..length]),
                (length, from) = self.v6.receive(&mut v6_packet) => self.receive(from, &v6_packet[..length]),
            }
        }
    }

    /// Takes what came since the last turn; false when it is time to end.
    fn take_inbox(&mut self) -> bool {
        let (changed, active) = {
            let mut inbox = self.shared.inbox();
            if inbox.stopped {
                return false;
            }
            (std::mem::take(&mut inbox.changed), inbox.active)
        };
        if active && !self.active {
            let zones = self.zones.load();
            zones.iter().for_each(|zone| self.announce(zone.name()));
        } else if !active {
            self.schedule.clear();
            self.verifiers.clear();
        }
        self.active = active;
        if active {
            changed.iter().for_each(|zone| self.announce(zone));
        }
        true
    }

    /// Puts a zone's targets on the schedule.
    fn announce(&mut self, apex: &Name) {
        let Some(policy) = self.settings.policies.get(apex) else { return };
        let zones = self.zones.load();
        let Some(contents) = zones.get(apex).and_then(|zone| zone.contents()) else { return };
        let now = clock::monotonic();
        let mut is_scheduled = false;
        for target in targets::targets(policy, &contents, &zones, &self.settings.own_addresses) {
            is_scheduled |= self.schedule.changed(now, apex, &target, policy.delay.max(DELAY_MIN));
        }
        if is_scheduled {
            tracing::info!("zone {}/IN: sending notifies (serial {})", apex.undotted(), contents.serial());
        }
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Send { zone, target, id } => {
                let Err(error) = self.send(&zone, &target, id).await else { return };
                tracing::warn!("zone {}/IN: notify to {} failed: {error}", zone.undotted(), target.address);
            }
            Action::GiveUp { zone, target } => {
                self.verifiers.remove(&(zone.clone(), target.address));
                tracing::info!("zone {}/IN: notify to {}: retries exceeded", zone.undotted(), target.address);
            }
        }
    }

    async fn send(&mut self, zone: &Name, target: &Target, id: u16) -> io::Result<()> {
        let contents = self.zones.load().get(zone).and_then(|zone| zone.contents());
        let soa = contents.and_then(|contents| contents.soa());
        let packet = soa.and_then(|soa| message::request(id, &soa));
        let Some(mut packet) = packet else { return Err(io::Error::other("the zone is gone")) };
        if let Some(key) = &target.key {
            let verifier = self.settings.keys.sign_request(key, &mut packet, clock::unix_secs());
            let Some(verifier) = verifier else { return Err(io::Error::other(format!("no key {key}"))) };
            self.verifiers.insert((zone.clone(), target.address), verifier);
        }
        let socket = if target.address.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        socket.send(&packet, target.address).await
    }

    fn receive(&mut self, from: SocketAddr, packet: &[u8]) {
        let Some(response) = message::response(packet) else { return };
        let zone = response.zone;
        if !self.schedule.is_outstanding(from, response.id, &zone) {
            return;
        }
        if let Some(verifier) = self.verifiers.get_mut(&(zone.clone(), from)) {
            let Ok(parsed) = Message::parse(packet) else { return };
            if let Err(error) = verifier.verify(packet, &parsed, clock::unix_secs()) {
                tracing::warn!("zone {}/IN: notify response from {from}: {error}", zone.undotted());
                return;
            }
        }
        // A server that is only starting up says SERVFAIL: to be asked again like one that says nothing.
        if response.rcode == ResponseCode::ServFail {
            return;
        }
        self.schedule.answered(clock::monotonic(), from, response.id, &zone);
        self.verifiers.remove(&(zone.clone(), from));
        if response.rcode != ResponseCode::NoError {
            tracing::info!("zone {}/IN: notify response from {from}: {}", zone.undotted(), response.rcode);
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// A UDP socket that is opened when there is something to send.
struct Socket {
    local: SocketAddr,
    socket: Option<UdpSocket>,
}

impl Socket {
    fn new(local: SocketAddr) -> Socket {
        Socket { local, socket: None }
    }

    async fn send(&mut self, packet: &[u8], to: SocketAddr) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => UdpSocket::bind(self.local).await?,
        };
        let sent = socket.send_to(packet, to).await;
        self.socket = Some(socket);
        sent.map(|_| ())
    }

    /// The next packet; waits for ever while the socket is closed. An error closes it.
    async fn receive(&mut self, packet: &mut [u8]) -> (usize, SocketAddr) {
        if let Some(socket) = &self.socket {
            match socket.recv_from(packet).await {
                Ok(received) => return received,
                Err(error) => tracing::warn!("notify socket closed: {error}"),
            }
            self.socket = None;
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests;
