//! Records on their way from the reader to the builder, which works beside it once there are enough of them.
//!
//! ```text
//! reader ─► batch ─► channel ─► builder on a thread of its own        from the second batch on
//!             ▲                    │
//!             └──── empty batch ◄──┘
//! ```
//!
//! Invariant: the builder gets every record in the order in which the reader gave it, whichever thread it is on.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::RecordRef;
use crate::dns::RrType;
use crate::zone::builder::Builder;

/// Octets of a full batch: small enough for the caches, large enough for a switch between threads.
const BATCH_BYTES: usize = 64 * 1024;
/// Batches that may wait for the builder.
const BATCHES_WAITING_MAX: usize = 3;

/// Hands the records that `read` gives to the builder; returns both results.
pub(super) fn feed<R>(
    builder: Builder,
    read: impl FnOnce(&mut dyn FnMut(RecordRef<'_>)) -> R,
) -> (R, Builder) {
    feed_on(builder, thread::available_parallelism().map_or(1, usize::from), read)
}

fn feed_on<R>(
    builder: Builder,
    cores: usize,
    read: impl FnOnce(&mut dyn FnMut(RecordRef<'_>)) -> R,
) -> (R, Builder) {
    thread::scope(|scope| {
        let mut batch = Batch::default();
        let mut lane = Lane::Here(builder);
        let result = read(&mut |record| {
            batch.push(&record);
            if batch.octets.len() >= BATCH_BYTES {
                if cores > 1 {
                    lane = std::mem::replace(&mut lane, Lane::Nowhere).or_beside(scope);
                }
                batch = lane.send(std::mem::take(&mut batch));
            }
        });
        lane.send(batch);
        (result, lane.finish())
    })
}

/// Records behind one another, each with its owner if that is not the one before.
#[derive(Default)]
struct Batch {
    octets: Vec<u8>,
    heads: Vec<Head>,
    /// Where the last owner is in `octets`.
    owner: std::ops::Range<usize>,
}

struct Head {
    /// 0: the owner of the record before.
    owner_len: u8,
    rdata_len: u16,
    rtype: RrType,
    ttl: u32,
}

impl Batch {
    fn push(&mut self, record: &RecordRef<'_>) {
        let is_new = self.octets[self.owner.clone()] != *record.owner;
        if is_new {
            let start = self.octets.len();
            self.octets.extend_from_slice(record.owner);
            self.owner = start..self.octets.len();
        }
        self.octets.extend_from_slice(record.rdata);
        self.heads.push(Head {
            owner_len: if is_new { record.owner.len() as u8 } else { 0 },
            rdata_len: record.rdata.len() as u16,
            rtype: record.rtype,
            ttl: record.ttl,
        });
    }

    /// Gives all records to the builder and is empty then.
    fn drain(&mut self, builder: &mut Builder) {
        let (mut owner, mut rest) = (&[][..], &self.octets[..]);
        for head in &self.heads {
            if head.owner_len > 0 {
                (owner, rest) = rest.split_at(head.owner_len.into());
            }
            let (rdata, behind) = rest.split_at(head.rdata_len.into());
            rest = behind;
            let pushed = builder.push(owner, head.rtype, head.ttl, rdata);
            debug_assert!(pushed.is_ok(), "the reader hands on what is in the zone only");
        }
        self.octets.clear();
        self.heads.clear();
        self.owner = 0..0;
    }
}

/// Where the builder is.
enum Lane<'scope> {
    Here(Builder),
    Beside {
        full: SyncSender<Batch>,
        empty: Receiver<Batch>,
        thread: ScopedJoinHandle<'scope, Builder>,
    },
    /// On its way from one to the other.
    Nowhere,
}

const GONE: &str = "the builder's thread ends when its channel does";

impl<'scope> Lane<'scope> {
    /// Puts the builder on a thread of its own, if there is one to be had.
    fn or_beside(self, scope: &'scope Scope<'scope, '_>) -> Lane<'scope> {
        let Lane::Here(builder) = self else { return self };
        let (full, batches) = sync_channel::<Batch>(BATCHES_WAITING_MAX);
        let (give_back, empty) = sync_channel(BATCHES_WAITING_MAX + 1);
        let (hand_over, builders) = sync_channel::<Builder>(1);
        let work = move || {
            let mut builder = builders.recv().expect("the builder is sent first");
            for mut batch in batches {
                batch.drain(&mut builder);
                // Nobody wants it back at the end.
                let _ = give_back.try_send(batch);
            }
            builder
        };
        match thread::Builder::new().name("zone-builder".into()).spawn_scoped(scope, work) {
            Ok(thread) => {
                hand_over.send(builder).expect(GONE);
                Lane::Beside { full, empty, thread }
            }
            Err(_) => Lane::Here(builder),
        }
    }

    /// Passes a batch on; returns an empty one.
    fn send(&mut self, mut batch: Batch) -> Batch {
        match self {
            Lane::Here(builder) => {
                batch.drain(builder);
                batch
            }
            Lane::Beside { full, empty, .. } => {
                full.send(batch).expect(GONE);
                empty.try_recv().unwrap_or_default()
            }
            Lane::Nowhere => batch,
        }
    }

    fn finish(self) -> Builder {
        match self {
            Lane::Here(builder) => builder,
            Lane::Beside { full, thread, .. } => {
                drop(full);
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            Lane::Nowhere => unreachable!("a lane is replaced at once"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zonefile::{Options, read_bytes};

    /// A zone of many batches in which owners come back and RRsets have several TTLs.
    fn text() -> String {
        let mut text = "$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n".to_string();
        for number in 0..40_000 {
            let owner = number * 7919 % 30_011;
            text +=
                &format!("h{owner}.s{} {} A 10.0.{}.{}\n", owner % 7, 60 + number % 3, number % 5, owner % 9);
        }
        text
    }

    #[test]
    fn a_builder_beside_the_reader_makes_the_same_zone() {
        let (text, apex) = (text(), "example.".parse().unwrap());
        let build = |cores| {
            let read = |sink: &mut dyn FnMut(RecordRef<'_>)| {
                read_bytes(text.as_bytes(), "zone", &apex, &Options::default(), sink)
            };
            let (outcome, builder) = feed_on(Builder::new(apex.clone()), cores, read);
            let contents = builder.finish().unwrap();
            (outcome, contents.digest(), contents.record_count())
        };
        let alone = build(1);
        assert!(alone.2 > 30_000);
        assert!(build(2) == alone);
    }
}
