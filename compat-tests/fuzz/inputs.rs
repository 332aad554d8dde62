//! What each reader is given: files that stand for themselves, and files made from them.

use std::path::{Path, PathBuf};

use trimaran::dns::Name;
use trimaran::zonefile::{self, Loaded};

use super::mutations::{damaged, mutated};
use super::properties::{Reader, lenient};
use super::{journals, raw_zones};
use crate::harness::rng::Rng;
use crate::{conffuzz, zonefuzz};

/// The corpora, and what is made of them once.
pub(super) struct Inputs {
    zones: Vec<(PathBuf, Vec<u8>)>,
    configurations: Vec<(PathBuf, Vec<u8>)>,
    seeds: Vec<(Reader, Vec<Vec<u8>>)>,
    /// Records for journals, in wire format.
    records: Vec<Vec<u8>>,
}

impl Inputs {
    pub(super) fn new(rng: &mut Rng) -> Inputs {
        let zone_texts = files_below(Path::new("zonefiles"), "zone");
        let records = journals::records(&zone_texts);
        let seeds = |reader| match reader {
            Reader::Zone | Reader::Explained => zone_texts.clone(),
            Reader::Raw => zone_texts.iter().filter_map(|text| raw_zones::of_text(text, rng)).collect(),
            Reader::Journal => (0..100).map(|_| journals::generate(rng, &records)).collect(),
            Reader::Configuration => configurations(),
        };
        let seeds = Reader::ALL.map(seeds).into_iter();
        let seeds: Vec<_> = Reader::ALL.into_iter().zip(seeds).collect();
        for (reader, seeds) in &seeds {
            assert!(seeds.len() > 20, "{reader:?} has {} seeds", seeds.len());
        }
        Inputs { zones: zonefuzz::corpus(), configurations: conffuzz::corpus(), seeds, records }
    }

    /// All files that stand for themselves.
    pub(super) fn seeds(&self) -> impl Iterator<Item = (Reader, &Vec<u8>)> {
        self.seeds.iter().flat_map(|(reader, seeds)| seeds.iter().map(|seed| (*reader, seed)))
    }

    /// One more file for `reader`. Nearly right files get further into a reader than mere bytes do.
    pub(super) fn next(&self, reader: Reader, rng: &mut Rng) -> Vec<u8> {
        let seeds = self.seeds.iter().find(|(of, _)| *of == reader).map(|(_, seeds)| seeds);
        let seeds = seeds.expect("every reader has seeds");
        match reader {
            Reader::Zone | Reader::Explained if rng.chance(50) => self.zone(rng),
            Reader::Configuration if rng.chance(50) => conffuzz::file(rng, &self.configurations),
            Reader::Zone | Reader::Explained | Reader::Configuration => mutated(seeds, rng),
            Reader::Raw => {
                let fresh = if rng.chance(50) { raw_zones::of_text(&self.zone(rng), rng) } else { None };
                damaged(fresh.unwrap_or_else(|| rng.pick(seeds).clone()), rng)
            }
            Reader::Journal => damaged(journals::generate(rng, &self.records), rng),
        }
    }

    /// A zone file; some are so large that they are built on a thread of their own.
    fn zone(&self, rng: &mut Rng) -> Vec<u8> {
        let text = zonefuzz::file(rng, &self.zones, "example", &[]);
        if !rng.chance(2) {
            return text;
        }
        let many =
            format!("$GENERATE 1-{} pad$.example. 60 TXT \"{}\"\n", 500 + rng.below(2000), "x".repeat(200));
        [many.as_bytes(), &text].concat()
    }
}

/// The configurations with which the reader is tested, and those of the corpus.
fn configurations() -> Vec<Vec<u8>> {
    let cases = include_str!("../../src/config/verdicts.txt").split("\n\n").skip(1);
    let source = |case: &str| {
        let lines: Vec<&str> = case.lines().filter(|line| !line.starts_with("=> ")).collect();
        (lines.join("\n") + "\n").into_bytes()
    };
    cases.map(source).chain(conffuzz::corpus().into_iter().map(|(_, text)| text)).collect()
}

fn files_below(folder: &Path, extension: &str) -> Vec<Vec<u8>> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("tests run in the package's folder") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.iter().map(|path| std::fs::read(path).expect("a file of the corpus")).collect()
}

/// Reads a zone file that need not be one that BIND would take without a word.
pub(super) fn zone_of(text: &[u8]) -> (Loaded, zonefile::Arrival) {
    let apex: Name = "example.".parse().expect("a name");
    zonefile::load_bytes_with_arrival(text, "f", &apex, &lenient())
}
