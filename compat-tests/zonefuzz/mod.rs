//! Zone files made from a seed: mutations of the corpus, and files from a grammar.
//!
//! ```text
//! zonefiles/{good,warn,bad} ─► mutate ─┐
//! grammar ─► generate ─► (mutate) ─────┴─► bytes of a zone file
//! ```
//!
//! What is made is bounded: no `$GENERATE` makes more than some thousand records, no file has more than some
//! hundred kilobytes.

mod generate;
mod mutate;
mod rdata;

pub(crate) use generate::{fragment, generate};
pub(crate) use mutate::mutate;

use std::path::PathBuf;

use trimaran::zonefile;

use crate::harness::rng::Rng;

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
