//! The end of a running node that is behind: one thread that fetches what is missing.
//!
//! ```text
//! driver ──Need──► thread: ask one member after the other ─► entries ──► driver applies them
//!                                                      └─► zones.sqlite.partial ─► state ──► driver puts both in place
//! ```
//!
//! Whatever goes wrong here is tried again, with another member: nothing that is in place is touched before the driver
//! has the whole new state.

use super::frames::{self, Wire};
use super::message::Message;
use super::receiver::{Fault, Progress, Receiver, Step};
use crate::replication::NodeId;
use crate::replication::configuration::Voter;
use crate::replication::restore::{self, RestoreError};
use crate::replication::state_machine::StateMachine;
use crate::store::OpenError;
use crate::store::log::EntryBytes;
use crate::store::partial::{self, CompleteStore, PartialError, PartialStore};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc as threads};
use std::task::{Context, Poll};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Connects to a member.
pub(in crate::replication) type Connect = Box<dyn FnMut(&Voter) -> io::Result<Box<dyn Wire>> + Send>;

/// What is missing.
pub(in crate::replication) struct Need {
    /// Applied here.
    pub(in crate::replication) have: u64,
    /// Gone from the log below this index.
    pub(in crate::replication) at_least: u64,
    /// Who may help, the best one first.
    pub(in crate::replication) members: Vec<Voter>,
    /// To be filled.
    pub(in crate::replication) blank: StateMachine,
}

/// What was fetched.
pub(in crate::replication) enum Fetched {
    /// Decided entries from this index on.
    Entries(u64, Vec<EntryBytes>),
    /// A whole state, and the store that holds it.
    State(CompleteStore, Box<StateMachine>),
    /// There is nothing more to come until the next [`Need`].
    Nothing,
}

/// How far catching up has come, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetching {
    /// Who helps.
    pub from: Option<NodeId>,
    /// Octets of an image that have arrived from it.
    pub image_bytes: u64,
    /// Why the last attempt failed.
    pub trouble: Option<String>,
}

/// The driver's side.
pub(in crate::replication) struct Fetcher {
    needs: threads::Sender<Need>,
    fetched: mpsc::Receiver<Fetched>,
    shared: Arc<Shared>,
    is_busy: bool,
}

#[derive(Default)]
struct Shared {
    /// What arrives is still wanted.
    is_wanted: AtomicBool,
    fetching: Mutex<Fetching>,
}

impl Shared {
    fn note(&self, change: impl FnOnce(&mut Fetching)) {
        change(&mut self.fetching.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Fault(#[from] Fault),
    #[error("{0}")]
    Refused(#[from] super::message::Refusal),
    #[error("{0}")]
    Partial(#[from] PartialError),
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Restore(#[from] RestoreError),
    #[error("the driver has stopped")]
    Stopped,
}

impl Fetcher {
    /// Starts the thread. An image arrives in `directory` and is to go with the log of `store_id`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(in crate::replication) fn start(
        directory: PathBuf,
        store_id: u64,
        connect: Connect,
    ) -> io::Result<Fetcher> {
        let (needs, need_queue) = threads::channel::<Need>();
        let (fetched_queue, fetched) = mpsc::channel(4);
        let shared = Arc::<Shared>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let mut work = Work {
            directory,
            store_id,
            connect,
            runtime,
            shared: Arc::clone(&shared),
            fetched: fetched_queue,
        };
        std::thread::Builder::new().name("catch-up".into()).spawn(move || {
            for need in need_queue {
                if work.meet(need).is_err() || work.fetched.blocking_send(Fetched::Nothing).is_err() {
                    return;
                }
            }
        })?;
        Ok(Fetcher { needs, fetched, shared, is_busy: false })
    }

    /// Whether a need is being met.
    pub(in crate::replication) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Begins to fetch; not while it is busy.
    pub(in crate::replication) fn begin(&mut self, need: Need) {
        self.shared.is_wanted.store(true, Ordering::Relaxed);
        self.is_busy = self.needs.send(need).is_ok();
    }

    /// Ends it, as soon as the thread notices.
    pub(in crate::replication) fn enough(&self) {
        self.shared.is_wanted.store(false, Ordering::Relaxed);
    }

    /// Takes what was fetched.
    pub(in crate::replication) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Fetched> {
        match self.fetched.poll_recv(cx) {
            Poll::Ready(Some(fetched)) => {
                self.is_busy &= !matches!(fetched, Fetched::Nothing);
                Poll::Ready(fetched)
            }
            // A thread that is gone fetches nothing.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// How far it has come.
    pub(in crate::replication) fn fetching(&self) -> Fetching {
        self.shared.fetching.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.enough();
    }
}

/// The thread's side.
struct Work {
    directory: PathBuf,
    store_id: u64,
    connect: Connect,
    runtime: Runtime,
    shared: Arc<Shared>,
    fetched: mpsc::Sender<Fetched>,
}

impl Work {
    /// Asks the members in turn, until one has helped.
    fn meet(&mut self, need: Need) -> Result<(), Failure> {
        let Need { have, at_least, members, mut blank } = need;
        for member in members {
            self.shared.note(|fetching| *fetching = Fetching { from: Some(member.id), ..fetching.clone() });
            let empty = blank.blank();
            match self.fetch(&member, have, at_least, blank) {
                Ok(()) => {
                    self.shared.note(|fetching| *fetching = Fetching::default());
                    break;
                }
                Err(Failure::Stopped) => return Err(Failure::Stopped),
                Err(failure) => {
                    tracing::info!("catching up from cluster member {}: {failure}", member.id);
                    let trouble = Some(format!("member {}: {failure}", member.id));
                    self.shared.note(|fetching| *fetching = Fetching { trouble, ..Fetching::default() });
                }
            }
            blank = empty;
        }
        Ok(())
    }

    fn is_wanted(&self) -> bool {
        self.shared.is_wanted.load(Ordering::Relaxed)
    }

    fn give(&self, fetched: Fetched) -> Result<(), Failure> {
        self.fetched.blocking_send(fetched).map_err(|_| Failure::Stopped)
    }

    fn fetch(
        &mut self,
        member: &Voter,
        have: u64,
        at_least: u64,
        blank: StateMachine,
    ) -> Result<(), Failure> {
        let mut wire = (self.connect)(member)?;
        let (mut store, progress) =
            self.runtime.block_on(PartialStore::open(&self.directory, self.store_id))?;
        let progress = progress.and_then(|progress| Progress::decode(&progress));
        let mut receiver = Receiver::new(have, at_least, progress);
        frames::write(&mut *wire, &receiver.request().encode())?;
        while self.is_wanted() {
            let frame = frames::read(&mut *wire)?;
            match receiver.receive(Message::decode(&frame).ok_or(Fault::Malformed)?) {
                Ok(Step::Wait) => {}
                Ok(Step::Apply(first, entries)) => self.give(Fetched::Entries(first, entries))?,
                Ok(Step::Begin(progress)) => {
                    tracing::info!(
                        "cluster member {} sends an image at log index {}",
                        member.id,
                        progress.applied_index
                    );
                    store = self.runtime.block_on(store.begin(progress.encode()))?;
                }
                Ok(Step::Write(piece, progress)) => {
                    self.runtime.block_on(store.write(*piece, progress.encode()))?;
                    self.shared.note(|fetching| fetching.image_bytes += frame.len() as u64);
                }
                Ok(Step::Install(_)) => return self.hand_over(store, blank),
                Ok(Step::Refused(refusal)) => return Err(refusal.into()),
                Err(fault) => {
                    if fault == Fault::Digest {
                        self.runtime.block_on(store.close())?;
                        partial::remove(&self.directory)?;
                    }
                    return Err(fault.into());
                }
            }
        }
        // Entries were enough: what there is of an image is of no use.
        self.runtime.block_on(store.close())?;
        Ok(partial::remove(&self.directory)?)
    }

    /// Makes a state of the whole image, which also shows that it can be read.
    fn hand_over(&self, mut store: PartialStore, blank: StateMachine) -> Result<(), Failure> {
        let (store, state) = self.runtime.block_on(async {
            let (zones, loaded) = store.read().await?;
            let state = restore::state_machine(zones, loaded, blank).await?;
            Ok::<_, Failure>((store.finish().await?, state))
        })?;
        self.give(Fetched::State(store, Box::new(state)))
    }
}
