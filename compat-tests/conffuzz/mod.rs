//! Configurations made from a seed, read by named-checkconf and by `checkconf`: they must say the same.
//!
//! ```text
//! conf/{good,warn,bad} ─► mutate ─┐                                     ┌─► named-checkconf ─┐
//! table of statements ─► generate ┴─► (mutate) ─► a file and options ───┤                    ├─► code, output: equal?
//!                                                                       └─► checkconf ───────┘
//! ```
//!
//! The normal run makes some hundred files, `COMPAT_FUZZ_CONFS=5000` as many as that; `COMPAT_SEED` repeats a run.
//! Exit codes must be equal on every file. Where the text differs, the difference must be one that is listed here
//! with its reason; a file that shows another one is made smaller and printed.

mod generate;
mod mutate;

use crate::harness::Site;
use crate::harness::rng::Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files of a normal run.
const FILES: usize = 300;
/// Files are made from this many streams, whatever the number of threads.
const THREADS: usize = 2;
/// How often a file is tried while it is made smaller.
const ATTEMPTS_MAX: usize = 400;
/// What the include files hold that configurations refer to.
const INCLUDES: [(&str, &str); 3] = [
    ("inc-top.conf", "acl included { 192.0.2.0/24; };\n"),
    ("inc-options.conf", "recursion no;\nnotify yes;\n"),
    ("inc-odd.conf", "}; options { port 54"),
];

/// What the normal run makes its files from: always the same ones, so that it fails for a reason in the change at hand.
const SEED: u64 = 13;
/// Zone files for `-z`; others that zones name are not there.
const ZONES: [(&str, &str); 2] = [
    ("f", "$TTL 60\n@ SOA ns h 1 60 60 60 60\n@ NS ns\nns A 192.0.2.1\n"),
    ("g", "$TTL 60\n@ NS ns\nns A x\n"),
];
/// What the programs are called with; the first is for most files.
const OPTIONS: [&str; 7] = ["-p", "-p", "-px", "-pi", "-pc", "-l", "-z"];

/// Differences of text that are meant: a part of BIND's line or of ours, and why. See DEVIATIONS.md.
const EXPLAINED: [(&str, &str); 3] = [
    ("plugin check failed", "plugins are not loaded"),
    ("valid cipher list", "there is no OpenSSL to ask"),
    ("braces are nested too deeply", "nesting is bounded"),
];

/// What a program said.
#[derive(Clone, PartialEq, Eq)]
struct Said {
    /// None if a signal ended it.
    code: Option<i32>,
    text: String,
}

fn say(program: &mut Command, options: &str, directory: &Path) -> Said {
    let output = program.args([options, "named.conf"]).current_dir(directory).output();
    let output = output.expect("compat-tests/run installs named-checkconf, and checkconf is built");
    let text = [output.stdout, output.stderr].concat();
    Said { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// How the two differ.
enum Difference {
    Code(Said, Said),
    Text(Said, Said),
    /// BIND ended itself.
    Crash,
}

fn compare(source: &[u8], options: &str, directory: &Path) -> Option<Difference> {
    std::fs::write(directory.join("named.conf"), source).expect("a file can be written");
    let theirs = say(&mut Command::new("named-checkconf"), options, directory);
    let ours = say(Command::new(env!("CARGO_BIN_EXE_trimaran")).arg("checkconf"), options, directory);
    match () {
        () if theirs.code.is_none() => Some(Difference::Crash),
        () if theirs.code != ours.code => Some(Difference::Code(theirs, ours)),
        () if theirs.text != ours.text => Some(Difference::Text(theirs, ours)),
        () => None,
    }
}

/// The first lines that differ.
fn first_difference(theirs: &Said, ours: &Said) -> (String, String) {
    let (mut left, mut right) = (theirs.text.lines(), ours.text.lines());
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if a == b => {}
            (a, b) => return (a.unwrap_or("(nothing)").to_owned(), b.unwrap_or("(nothing)").to_owned()),
        }
    }
}

fn reason(theirs: &Said, ours: &Said) -> Option<&'static str> {
    let (left, right) = first_difference(theirs, ours);
    EXPLAINED.iter().find(|(part, _)| left.contains(part) || right.contains(part)).map(|(_, reason)| *reason)
}

/// The configurations of the corpus.
pub(crate) fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["good", "warn", "bad"] {
        let entries = std::fs::read_dir(format!("compat-tests/conf/{folder}"));
        let entries = entries.expect("tests run in the package's folder");
        paths.extend(entries.map(|entry| entry.expect("a folder can be listed").path()));
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    paths.sort();
    let read = |path: PathBuf| (path.clone(), std::fs::read(path).expect("a corpus file can be read"));
    paths.into_iter().map(read).collect()
}

/// A configuration: some from the grammar, some from the corpus, most of them mutated.
pub(crate) fn file(rng: &mut Rng, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let text = if rng.chance(60) { generate::configuration(rng) } else { rng.pick(corpus).1.clone() };
    if rng.chance(35) { text } else { mutate::mutate(rng, &text, &rng.clone().pick(corpus).1) }
}

/// Leaves out ever smaller runs of tokens as long as the two still differ in the same way.
fn minimise(source: &[u8], options: &str, directory: &Path, is_code: bool) -> Vec<u8> {
    let mut tokens = mutate::tokens(source);
    let (mut attempts, mut part) = (0, tokens.len() / 2);
    while part > 0 && attempts < ATTEMPTS_MAX {
        let mut at = 0;
        while at < tokens.len() && attempts < ATTEMPTS_MAX {
            let mut fewer = tokens.clone();
            fewer.drain(at..(at + part).min(tokens.len()));
            attempts += 1;
            let still = match compare(&fewer.concat(), options, directory) {
                Some(Difference::Code(..)) => is_code,
                Some(Difference::Text(theirs, ours)) => !is_code && reason(&theirs, &ours).is_none(),
                _ => false,
            };
            if still {
                tokens = fewer;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    tokens.concat()
}

/// What a run has found.
#[derive(Default)]
struct Tally {
    accepted: usize,
    explained: BTreeMap<&'static str, usize>,
    crashes: usize,
    unexplained: Vec<String>,
}

fn look_at(source: &[u8], options: &str, directory: &Path, tally: &Mutex<Tally>) {
    let difference = compare(source, options, directory);
    let (is_code, theirs, ours) = match difference {
        None => return,
        Some(Difference::Crash) => {
            tally.lock().expect("no thread has failed").crashes += 1;
            return;
        }
        Some(Difference::Code(theirs, ours)) => (true, theirs, ours),
        Some(Difference::Text(theirs, ours)) => (false, theirs, ours),
    };
    if let Some(reason) = reason(&theirs, &ours).filter(|_| !is_code) {
        *tally.lock().expect("no thread has failed").explained.entry(reason).or_default() += 1;
        return;
    }
    if tally.lock().expect("no thread has failed").unexplained.len() >= UNEXPLAINED_MAX {
        return;
    }
    let small = minimise(source, options, directory, is_code);
    let (theirs, ours) = match compare(&small, options, directory) {
        Some(Difference::Code(theirs, ours) | Difference::Text(theirs, ours)) => (theirs, ours),
        _ => (theirs, ours),
    };
    let (left, right) = first_difference(&theirs, &ours);
    let text = format!(
        "{options}\n{}\n  named-checkconf {:?}: {left}\n  checkconf       {:?}: {right}\n",
        String::from_utf8_lossy(&small),
        theirs.code,
        ours.code
    );
    tally.lock().expect("no thread has failed").unexplained.push(text);
}

/// So many are made smaller and printed.
const UNEXPLAINED_MAX: usize = 40;

#[test]
fn checkconf_and_named_checkconf_say_the_same() {
    let site = Site::new("conffuzz");
    let mut rng = Rng::for_test_with("conffuzz", SEED);
    let files = std::env::var("COMPAT_FUZZ_CONFS")
        .map_or(FILES, |text| text.parse().expect("COMPAT_FUZZ_CONFS is a number"));
    let corpus = corpus();
    let sources = (0..files).map(|_| {
        let mut rng = rng.fork();
        let source = file(&mut rng, &corpus);
        (source, if rng.chance(50) { OPTIONS[0] } else { *rng.pick(&OPTIONS) })
    });
    let sources: Vec<(Vec<u8>, &str)> = sources.collect();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let directory = site.dir(&format!("thread-{thread}"));
            for (name, text) in INCLUDES.into_iter().chain(ZONES) {
                std::fs::write(directory.join(name), text).expect("a file can be written");
            }
            let (sources, next, tally) = (&sources, &next, &tally);
            scope.spawn(move || {
                while let Some((source, options)) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    look_at(source, options, &directory, tally);
                    let ours = config_is_valid(source);
                    tally.lock().expect("no thread has failed").accepted += usize::from(ours);
                }
            });
        }
    });
    let tally = tally.into_inner().expect("no thread has failed");
    println!(
        "{files} configurations, {} accepted; the text differs in {} that are explained {:?}; BIND crashed on {}",
        tally.accepted,
        tally.explained.values().sum::<usize>(),
        tally.explained,
        tally.crashes
    );
    assert!(tally.unexplained.is_empty(), "{}", tally.unexplained.join("\n"));
    // Both kinds are worth making.
    assert!(tally.accepted * 50 > files && tally.accepted * 10 < files * 9, "{} accepted", tally.accepted);
}

fn config_is_valid(source: &[u8]) -> bool {
    trimaran::config::read_text("named.conf", source, Default::default()).is_valid()
}
