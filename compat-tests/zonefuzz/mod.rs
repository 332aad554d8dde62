//! Zone files made from a seed: mutations of the corpus, and files from a grammar.
//!
//! ```text
//! zonefiles/{good,warn,bad} ─► mutate ─┐
//! grammar ─► generate ─► (mutate) ─────┴─► bytes of a zone file
//! ```
//!
//! Each file goes to named-checkzone and to checkzone, with the same options: both must come to the same verdict in
//! the same words, but for differences that are meant (the rules of `compare`, each with its row in DEVIATIONS.md).
//! `COMPAT_FUZZ_FILES=20000` makes a long run, `COMPAT_SEED` another one. What differs is made smaller and shown, once
//! for each kind of difference.
//!
//! What is made is bounded: no `$GENERATE` makes more than some thousand records, no file has more than some
//! hundred kilobytes.

mod compare;
mod generate;
mod minimise;
mod mutate;
mod rdata;

pub(crate) use generate::{fragment, generate};
pub(crate) use mutate::mutate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use trimaran::zonefile;

use crate::harness::rng::Rng;
use compare::{Verdict, ours, signature, theirs, verdict};

/// The zone files of the corpus, in order.
pub(crate) fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in ["good", "warn", "bad"] {
        let entries =
            std::fs::read_dir(format!("zonefiles/{folder}")).expect("tests run in the package's folder");
        paths.extend(entries.map(|entry| entry.expect("a folder can be listed").path()));
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "zone"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).expect("a corpus file can be read")))
        .collect()
}

/// A zone file from a seed: half of them from the grammar, half of them mutations of the corpus.
pub(crate) fn file(rng: &mut Rng, corpus: &[(PathBuf, Vec<u8>)], zone: &str, siblings: &[&str]) -> Vec<u8> {
    let other = &rng.pick(corpus).1;
    if rng.chance(50) {
        let text = generate(rng, zone, siblings);
        return if rng.chance(50) { mutate(rng, &text, other) } else { text };
    }
    let text = &rng.pick(corpus).1;
    mutate(rng, text, other)
}

#[test]
fn a_seed_makes_the_same_files_again_and_all_of_them_can_be_read() {
    let corpus = corpus();
    let (mut first, mut second) = (Rng::new(7), Rng::new(7));
    let (mut zones, mut refused) = (0, 0);
    for _ in 0..300 {
        let made = if first.chance(80) {
            file(&mut first, &corpus, "example", &[])
        } else {
            fragment(&mut first, "example", &[])
        };
        let again = if second.chance(80) {
            file(&mut second, &corpus, "example", &[])
        } else {
            fragment(&mut second, "example", &[])
        };
        assert_eq!(made, again);
        let apex = "example.".parse().expect("a name");
        let loaded = zonefile::load_bytes(&made, "made", &apex, &zonefile::Options::default());
        *if loaded.contents.is_some() { &mut zones } else { &mut refused } += 1;
    }
    // Both kinds are worth making.
    assert!(zones > 30 && refused > 30, "{zones} zones, {refused} refused");
}

/// Files of a run when `COMPAT_FUZZ_FILES` does not say.
const FILES: usize = 1_000;
/// The files of a normal run are the same ones each time: a new one may show what is nobody's present work.
const SEED: u64 = 6;
/// A process of BIND's takes longer than everything else; two cores are what the machines of this project have.
const THREADS: usize = 2;
/// The most differences that a run shows.
const SHOWN_MAX: usize = 60;
/// Options that a part of the runs is done with.
const OPTIONS: [&[&str]; 18] = [
    &["-k", "ignore"],
    &["-k", "fail"],
    &["-m", "ignore"],
    &["-m", "fail"],
    &["-n", "ignore"],
    &["-n", "fail"],
    &["-r", "ignore"],
    &["-r", "fail"],
    &["-M", "ignore"],
    &["-M", "fail"],
    &["-S", "ignore"],
    &["-S", "fail"],
    &["-T", "ignore"],
    &["-W", "ignore"],
    &["-l", "3600"],
    &["-i", "none"],
    &["-i", "local-sibling"],
    &["-q"],
];

/// What a run has found.
#[derive(Default)]
struct Findings {
    exit_codes: usize,
    texts: usize,
    hung: usize,
    crashed: usize,
    explained: BTreeMap<&'static str, usize>,
    /// By what the difference looks like: how often, and one file that shows it.
    shown: BTreeMap<String, (usize, String)>,
}

#[test]
fn files_of_a_seed_get_the_verdict_and_the_words_of_named_checkzone() {
    let mut rng = Rng::for_test_with("zonefuzz", SEED);
    let count =
        std::env::var("COMPAT_FUZZ_FILES").map_or(FILES, |text| text.parse().expect("a number of files"));
    let seeds: Vec<Rng> = (0..count).map(|_| rng.fork()).collect();
    let corpus = corpus();
    let (next, findings) = (AtomicUsize::new(0), Mutex::new(Findings::default()));
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let own = folder.path().join(thread.to_string());
            std::fs::create_dir(&own).expect("a folder");
            let (next, findings, seeds, corpus) = (&next, &findings, &seeds, &corpus);
            scope.spawn(move || {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    Case::new(seed.clone(), corpus, &own).judge(findings);
                }
            });
        }
    });
    let Findings { exit_codes, texts, hung, crashed, explained, shown } =
        findings.into_inner().expect("no thread panicked");
    println!(
        "{count} files: {exit_codes} exit codes differ, {texts} texts; explained: {explained:?}; \
         BIND hung: {hung}, crashed: {crashed}"
    );
    let mut shown: Vec<(String, (usize, String))> = shown.into_iter().collect();
    shown.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let shown = shown.iter().map(|(signature, (count, shown))| format!("{count} x {signature}\n{shown}\n\n"));
    assert!(exit_codes + texts == 0, "{}", shown.collect::<String>());
}

/// One file, those that it includes, and the options it is checked with.
struct Case {
    path: PathBuf,
    text: Vec<u8>,
    args: Vec<String>,
}

impl Case {
    fn new(mut rng: Rng, corpus: &[(PathBuf, Vec<u8>)], folder: &Path) -> Case {
        let zone = if rng.chance(85) { "example" } else { "2.0.192.in-addr.arpa" };
        let siblings = ["one.inc", "two.inc"].map(|name| folder.join(name));
        let shown = siblings.each_ref().map(|path| path.to_str().expect("a path of ASCII letters"));
        // The second may include the first, but nothing includes itself.
        for (at, path) in siblings.iter().enumerate() {
            let part = fragment(&mut rng, zone, &shown[..at]);
            std::fs::write(path, part).expect("a file can be written");
        }
        let text = file(&mut rng, corpus, zone, &shown);
        let path = folder.join("zone");
        let mut args = vec!["-i".to_owned(), "local".to_owned()];
        while rng.chance(25) {
            args.extend(rng.pick(&OPTIONS).iter().map(|&option| option.to_owned()));
        }
        if rng.chance(60) {
            args.push("-D".to_owned());
        }
        args.extend([zone.to_owned(), path.to_str().expect("a path of ASCII letters").to_owned()]);
        Case { path, text, args }
    }

    fn compare(&self, text: &[u8]) -> (Verdict, String) {
        std::fs::write(&self.path, text).expect("a file can be written");
        let (theirs, ours) = (theirs(&self.args), ours(&self.args));
        (verdict(&theirs, &ours), signature(&theirs, &ours))
    }

    fn judge(&self, findings: &Mutex<Findings>) {
        let found = self.compare(&self.text);
        let (verdict, signature) = &found;
        {
            let mut findings = findings.lock().expect("no thread panicked");
            match verdict {
                Verdict::Same => return,
                Verdict::Hung => findings.hung += 1,
                Verdict::Crashed => findings.crashed += 1,
                Verdict::Explained(reason) => *findings.explained.entry(reason).or_default() += 1,
                Verdict::Text => findings.texts += 1,
                Verdict::ExitCode => findings.exit_codes += 1,
            }
            let is_meant = matches!(verdict, Verdict::Hung | Verdict::Crashed | Verdict::Explained(_));
            let is_new = findings.shown.len() < SHOWN_MAX && !findings.shown.contains_key(signature);
            if !is_meant && !is_new {
                findings.shown.entry(signature.clone()).and_modify(|(count, _)| *count += 1);
            }
            if is_meant || !is_new {
                return;
            }
            findings.shown.insert(signature.clone(), (1, String::new()));
        }
        let smallest = minimise::minimise(&self.text, |text| self.compare(text) == found);
        self.compare(&smallest);
        let shown = self.shown(&smallest);
        findings
            .lock()
            .expect("no thread panicked")
            .shown
            .entry(signature.clone())
            .and_modify(|entry| entry.1 = shown);
    }

    /// A file and what the two say of it.
    fn shown(&self, text: &[u8]) -> String {
        let shown = |text: &[u8]| text.escape_ascii().to_string().replace("\\n", "\n");
        let text = shown(text);
        let included = ["one.inc", "two.inc"].map(|name| {
            let part = std::fs::read(self.path.with_file_name(name)).expect("a file can be read");
            format!("--- {name}\n{}", shown(&part))
        });
        let included = if text.contains(".inc") { included.join("\n") } else { String::new() };
        let [bind, trimaran] = [theirs(&self.args), ours(&self.args)]
            .map(|said| format!("{}{}exit {}", said.stdout, said.stderr, said.code));
        format!(
            "named-checkzone {}\n{text}\n{included}\n--- BIND\n{bind}\n--- Trimaran\n{trimaran}",
            self.args.join(" ")
        )
    }
}
