//! Writers that keep the books: what was acknowledged must be there afterwards, whatever was killed meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::{self, fresh_id};
use super::rng::Rng;
use super::tsig;
use super::wait;
use super::wire::{self, Rr};

/// How long a writer waits before it takes a node for silent and asks the next one.
const SILENCE: Duration = Duration::from_millis(200);

/// What one or more writers know of the zone.
#[derive(Default)]
pub struct Books {
    /// Owners whose addition was acknowledged: must be there.
    pub present: BTreeSet<String>,
    /// Owners whose removal was acknowledged: must be gone.
    pub removed: BTreeSet<String>,
    /// Owners of updates without an acknowledgement: may be there or not.
    pub open: BTreeSet<String>,
    /// Of each acknowledged update, when it was sent and when acknowledged.
    pub acknowledged: Vec<(Instant, Instant)>,
    /// Attempts that got another rcode, by rcode.
    pub rcodes: BTreeMap<u16, usize>,
    /// Attempts that got no response.
    pub silences: usize,
}

impl Books {
    /// Puts the books of another writer with these.
    pub fn absorb(&mut self, other: Books) {
        self.present.extend(other.present);
        self.removed.extend(other.removed);
        self.open.extend(other.open);
        self.acknowledged.extend(other.acknowledged);
        for (rcode, count) in other.rcodes {
            *self.rcodes.entry(rcode).or_default() += count;
        }
        self.silences += other.silences;
    }

    /// Panics with the first owners that `records`, a whole zone, lacks or should not have.
    pub fn check(&self, server: &str, records: &[Rr]) {
        let owners: BTreeSet<&str> = records.iter().map(|rr| rr.owner.as_str()).collect();
        let missing: Vec<&String> =
            self.present.iter().filter(|owner| !owners.contains(owner.as_str())).collect();
        let back: Vec<&String> =
            self.removed.iter().filter(|owner| owners.contains(owner.as_str())).collect();
        assert!(
            missing.is_empty(),
            "{server} lost {} acknowledged additions: {:?}",
            missing.len(),
            first(&missing)
        );
        assert!(
            back.is_empty(),
            "{server} has {} acknowledged removals back: {:?}",
            back.len(),
            first(&back)
        );
        let strange: Vec<&&str> = owners
            .iter()
            .filter(|owner| {
                is_writers(owner) && ![&self.present, &self.open].iter().any(|set| set.contains(**owner))
            })
            .collect();
        assert!(strange.is_empty(), "{server} has owners that nobody wrote: {:?}", first(&strange));
    }

    /// The time from `since` to the first acknowledgement of an update that was sent after it.
    pub fn resumed_after(&self, since: Instant) -> Option<Duration> {
        let later =
            self.acknowledged.iter().filter(|(sent, _)| *sent > since).map(|(_, acknowledged)| *acknowledged);
        later.min().map(|acknowledged| acknowledged - since)
    }

    /// One line for the record.
    pub fn summary(&self) -> String {
        format!(
            "{} acknowledged ({} present, {} removed), {} open, {} silences, other rcodes {:?}",
            self.acknowledged.len(),
            self.present.len(),
            self.removed.len(),
            self.open.len(),
            self.silences,
            self.rcodes
        )
    }
}

fn first<T: Clone>(owners: &[T]) -> Vec<T> {
    owners.iter().take(5).cloned().collect()
}

fn is_writers(owner: &str) -> bool {
    owner.split('.').next().is_some_and(|label| label.starts_with("writer-"))
}

/// Writers at work, each in a thread, all through all servers.
pub struct Writers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Books>>,
}

impl Writers {
    /// Starts `count` writers; writer k begins with server k. `run` keeps names of different runs apart.
    pub fn start(count: usize, run: usize, servers: &[SocketAddr], zone: &str, rng: &mut Rng) -> Writers {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let threads = (0..count).map(|id| {
            let writer = Writer {
                servers: servers.to_vec(),
                at: id,
                zone: zone.into(),
                prefix: format!("writer-{run}-{id}"),
                books: Books::default(),
                stop: Arc::clone(&stop),
                acknowledged: Arc::clone(&acknowledged),
            };
            let rng = rng.fork();
            std::thread::spawn(move || writer.work(rng))
        });
        Writers { threads: threads.collect(), stop, acknowledged }
    }

    /// Waits until `count` more updates than now are acknowledged.
    pub fn await_acknowledged(&self, count: usize, limit: Duration) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + count;
        let what = format!("{count} more acknowledged updates");
        wait::until(&what, limit, || (self.acknowledged.load(Ordering::Relaxed) >= goal).then_some(()));
    }

    /// Lets every writer finish its attempt and returns their books together.
    pub fn finish(mut self) -> Books {
        self.stop.store(true, Ordering::Relaxed);
        let mut books = Books::default();
        for thread in self.threads.drain(..) {
            books.absorb(thread.join().expect("a writer does not panic"));
        }
        books
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Writer {
    servers: Vec<SocketAddr>,
    at: usize,
    zone: String,
    prefix: String,
    books: Books,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
}

impl Writer {
    fn work(mut self, mut rng: Rng) -> Books {
        // Owners that may be removed: present, and added by one attempt alone. After several attempts an early one
        // could still be on its way, and rightly add the owner again after its removal.
        let mut removable: Vec<String> = Vec::new();
        let mut number = 0u16;
        while !self.stop.load(Ordering::Relaxed) {
            if rng.chance(25) && !removable.is_empty() {
                let owner = removable.swap_remove(rng.below(removable.len()));
                let removal = Rr::new(&owner, wire::A, 0, &[]).with_class(wire::CLASS_ANY);
                self.books.present.remove(&owner);
                match self.update_until_acknowledged(&removal) {
                    Some(_) => self.books.removed.insert(owner),
                    None => self.books.open.insert(owner),
                };
            } else {
                number += 1;
                let owner = format!("{}-{number}.{}", self.prefix, self.zone);
                let address = [10, self.at as u8, (number >> 8) as u8, number as u8];
                match self.update_until_acknowledged(&Rr::new(&owner, wire::A, 300, &address)) {
                    Some(attempts) => {
                        if attempts == 1 {
                            removable.push(owner.clone());
                        }
                        self.books.present.insert(owner);
                    }
                    None => {
                        self.books.open.insert(owner);
                    }
                }
            }
        }
        self.books
    }

    /// Tries node after node; returns after how many attempts, or nothing if told to stop before.
    fn update_until_acknowledged(&mut self, record: &Rr) -> Option<usize> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let server = self.servers[self.at % self.servers.len()];
            let sent = Instant::now();
            match attempt(server, &self.zone, record) {
                Some(wire::NOERROR) => {
                    self.books.acknowledged.push((sent, Instant::now()));
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    return Some(attempts);
                }
                Some(rcode) => *self.books.rcodes.entry(rcode).or_default() += 1,
                None => self.books.silences += 1,
            }
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            self.at += 1;
            // Refused ports answer at once; without a pause a writer would do nothing but try dead nodes.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn attempt(server: SocketAddr, zone: &str, record: &Rr) -> Option<u16> {
    let mut packet = wire::update(fresh_id(), zone, &[], std::slice::from_ref(record));
    tsig::KEY.sign(&mut packet);
    client::udp(server, &packet, SILENCE).map(|packet| client::read(&packet).rcode)
}

/// Watches the serials of all servers, and remembers every one that went back.
pub struct SerialWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl SerialWatch {
    /// Starts to watch.
    pub fn start(servers: &[SocketAddr], zone: &str) -> SerialWatch {
        let stop = Arc::new(AtomicBool::new(false));
        let (servers, zone, stopped) = (servers.to_vec(), zone.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let (mut highest, mut seen, mut backwards) = (vec![0; servers.len()], 0, Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                for (server, highest) in servers.iter().zip(&mut highest) {
                    let Some(serial) = client::serial(*server, &zone) else { continue };
                    seen += 1;
                    if serial < *highest {
                        backwards.push(format!("{server} went from {highest} to {serial}"));
                    }
                    *highest = serial;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            (seen, backwards)
        });
        SerialWatch { stop, thread }
    }

    /// Panics if a serial went back, or if none was ever seen.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (seen, backwards) = self.thread.join().expect("the watcher does not panic");
        assert!(seen > 0, "no serial was seen");
        assert!(backwards.is_empty(), "{backwards:?}");
        println!("{seen} serials seen, none went back");
    }
}
