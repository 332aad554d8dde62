//! Arbitrary bytes for the readers of files: no panic, no hang, bounded memory, and more ([`properties`]).
//!
//! ```text
//! corpora ─► inputs: mutations, grammars ─► reader, watched ─► property broken: made small, written down, the
//!                                           test fails
//! ```
//!
//! Readers: master files, raw zones, journals of BIND, named.conf, and `--explain` and `--json` over master files.
//!
//! The normal run reads a fixed number of files; `COMPAT_FUZZ_SECONDS=3600` reads for that long. `COMPAT_SEED`
//! repeats a run. A file that was found goes to `zonefiles/bad` (or `good`) with its `.expected`, where every
//! reader is tested with it from then on.
//!
//! Memory is that of the whole process: run by itself, as `compat-tests/run` does it. Other tests in the same
//! process disturb it, so a case counts only if it takes too much three times.

mod inputs;
mod journals;
mod minimise;
mod mutations;
mod properties;
mod raw_zones;
mod told;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

use crate::harness::rng::Rng;
use inputs::Inputs;
use properties::Reader;

/// Counts what the readers allocate.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Files of each kind in a normal run.
const FILES: u64 = 1_500;
/// How long one file may take. The longest take milliseconds; this is for machines with much else to do.
const CASE_TIME_MAX: Duration = Duration::from_secs(60);

/// Runs one case; an error says what is wrong.
fn run(reader: Reader, input: &[u8]) -> Result<(), String> {
    let mut excess = None;
    for _ in 0..3 {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let read = std::panic::catch_unwind(|| reader.check(input));
        let taken = ALLOCATOR.peak_usage().saturating_sub(before);
        let work = read.map_err(|panic| minimise::panic_text(&*panic))??;
        let bytes_max = reader.bytes_max(input.len(), &work);
        if taken <= bytes_max {
            return Ok(());
        }
        excess = Some(format!("{taken} bytes of memory for {} of input; bound {bytes_max}", input.len()));
    }
    excess.map_or(Ok(()), Err)
}

/// The file that is being read, and since when.
type Current = Arc<Mutex<Option<(Reader, Vec<u8>, Instant)>>>;

/// How long, or how many.
#[derive(Clone, Copy)]
enum Budget {
    Files(u64),
    Time(Duration),
}

impl Budget {
    fn from_environment() -> Budget {
        match std::env::var("COMPAT_FUZZ_SECONDS") {
            Ok(text) => {
                Budget::Time(Duration::from_secs(text.parse().expect("COMPAT_FUZZ_SECONDS is a number")))
            }
            Err(_) => Budget::Files(FILES),
        }
    }

    fn is_used_up(self, files: u64, since: Instant) -> bool {
        match self {
            Budget::Files(limit) => files >= limit,
            Budget::Time(limit) => since.elapsed() >= limit,
        }
    }
}

/// Reads files until the budget is used up or something is wrong with one.
fn work(budget: Budget, mut rng: Rng, current: &Current) -> Result<u64, String> {
    let inputs = Inputs::new(&mut rng);
    for (reader, input) in inputs.seeds() {
        attempt(reader, input.clone(), current)?;
    }
    let (since, mut told, mut files) = (Instant::now(), 0, 0);
    while !budget.is_used_up(files, since) {
        for reader in Reader::ALL {
            attempt(reader, inputs.next(reader, &mut rng), current)?;
        }
        files += 1;
        if since.elapsed().as_secs() / 60 > told {
            told = since.elapsed().as_secs() / 60;
            println!("{told} min: {files} files of each kind");
        }
    }
    Ok(files)
}

fn attempt(reader: Reader, input: Vec<u8>, current: &Current) -> Result<(), String> {
    let set = |value| *current.lock().unwrap_or_else(PoisonError::into_inner) = value;
    set(Some((reader, input.clone(), Instant::now())));
    let outcome = run(reader, &input);
    set(None);
    let Err(complaint) = outcome else { return Ok(()) };
    let small = minimise::minimise(&input, |input| run(reader, input).is_err());
    let complaint = run(reader, &small).err().unwrap_or(complaint);
    Err(format!("{reader:?}: {complaint}\nwritten to {}", keep(reader, &small).display()))
}

/// Writes a finding down for whoever looks into it.
fn keep(reader: Reader, input: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-findings");
    std::fs::create_dir_all(&folder).expect("the target folder can be written to");
    let path = folder.join(format!("{reader:?}-{:08x}", crc(input)).to_lowercase());
    std::fs::write(&path, input).expect("the target folder can be written to");
    path
}

/// A short name for bytes.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[test]
fn arbitrary_files_are_read_without_a_panic_a_hang_or_too_much_memory() {
    let budget = Budget::from_environment();
    let rng = Rng::for_test("fuzz");
    let current = Current::default();
    let (done, wait) = mpsc::channel();
    let watched = Arc::clone(&current);
    let worker = std::thread::Builder::new().name("fuzz".into());
    let worker = worker.spawn(move || done.send(work(budget, rng, &watched))).expect("a thread");
    let outcome = loop {
        match wait.recv_timeout(Duration::from_secs(1)) {
            Ok(outcome) => break outcome,
            Err(RecvTimeoutError::Disconnected) => panic!("the worker ended: {:?}", worker.join()),
            Err(RecvTimeoutError::Timeout) => {
                let current = current.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((reader, input, since)) = &*current
                    && since.elapsed() > CASE_TIME_MAX
                {
                    panic!("{reader:?} hangs; written to {}", keep(*reader, input).display());
                }
            }
        }
    };
    match outcome {
        Ok(files) => println!("fuzz: {files} files of each kind, no findings"),
        Err(complaint) => panic!("{complaint}"),
    }
}
