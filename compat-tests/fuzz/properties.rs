//! What must hold for any bytes at all, one function per reader.
//!
//! Besides "no panic": reading twice gives the same; findings lie within the file; what could be loaded can be
//! written, and is the same zone when it is read again.

use std::io::Write;

use tempfile::NamedTempFile;
use trimaran::config::{self, Secrets};
use trimaran::dns::{Class, Name};
use trimaran::zone::check;
use trimaran::zonefile::{self, Check, Format, Kind, Loaded, Options};

use super::{journals, raw_zones, told};

/// What reading takes whatever the size of the file: the chunks in which records go to the thread that builds the zone.
const FIXED_BYTES: usize = 4 << 20;

/// A reader that is given arbitrary bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Master files.
    Zone,
    /// Master files, of which is told what was found.
    Explained,
    /// Zones in raw format.
    Raw,
    /// Journals of BIND.
    Journal,
    /// named.conf.
    Configuration,
}

/// What reading came to; by this its use of memory is judged.
pub(super) struct Work {
    /// How many records were handed on, `$GENERATE` included.
    pub(super) records: u64,
}

impl Reader {
    /// All of them.
    pub(super) const ALL: [Reader; 5] =
        [Reader::Zone, Reader::Explained, Reader::Raw, Reader::Journal, Reader::Configuration];

    /// Reads `input`; an error says which property does not hold.
    pub(super) fn check(self, input: &[u8]) -> Result<Work, String> {
        match self {
            Reader::Zone => zone(input),
            Reader::Explained => told::check(input),
            Reader::Raw => raw_zones::check(input),
            Reader::Journal => journals::check(input),
            Reader::Configuration => configuration(input),
        }
    }

    /// The most memory that reading may take at once, in bytes.
    ///
    /// A file is held whole, twice while it is read again; a token, a finding and a record each cost a fixed
    /// number of bytes beside their text, and none of them can be shorter than two bytes of the file or than
    /// what `$GENERATE` makes.
    pub(super) fn bytes_max(self, input_bytes: usize, work: &Work) -> usize {
        let per_input_byte = match self {
            // A zero octet or a parenthesis too many is a finding, of which the list is held twice while it grows.
            Reader::Zone | Reader::Raw | Reader::Journal => 1024,
            // What is written about a finding of one octet is held as well: a line of text, the excerpt, a hint.
            Reader::Explained => 4096,
            Reader::Configuration => 2048,
        };
        FIXED_BYTES + per_input_byte * input_bytes + 2048 * work.records as usize
    }
}

/// Warnings where `strictness` is even, refusals where it is odd, so that both ways are taken.
pub(super) fn options(strictness: usize) -> Options {
    let check = if strictness.is_multiple_of(2) { Check::Warn } else { Check::Fail };
    Options {
        class: Class::IN,
        format: Format::Text,
        check_names: check,
        check_mx: check,
        check_ns: check,
        check_wildcard: check,
        now: Some(1_800_000_000),
        ..Options::default()
    }
}

pub(super) fn lenient() -> Options {
    let check = Check::Ignore;
    Options { check_names: check, check_mx: check, check_ns: check, check_wildcard: check, ..options(0) }
}

fn zone(input: &[u8]) -> Result<Work, String> {
    let apex: Name = "example.".parse().expect("a name");
    let options = options(input.len());
    let loaded = zonefile::load_bytes(input, "f", &apex, &options);
    let again = zonefile::load_bytes(input, "f", &apex, &options);
    if loaded.outcome != again.outcome || digest(&loaded) != digest(&again) {
        return Err("reading twice gives two outcomes".into());
    }
    within_the_file(input, &loaded)?;
    let Some(contents) = &loaded.contents else { return Ok(Work { records: loaded.outcome.records }) };
    let _ = check::check(contents, &check::Options::default());
    let mut text = Vec::new();
    zonefile::write_zone(contents, Class::IN, None, &mut text)
        .map_err(|error| format!("not written: {error}"))?;
    let copy = zonefile::load_bytes(&text, "copy", &apex, &lenient());
    if copy.outcome.diagnostics.iter().any(|diagnostic| only_generated(&diagnostic.kind)) {
        return Ok(Work { records: loaded.outcome.records });
    }
    if digest(&loaded) != digest(&copy) {
        let said = copy.outcome.first_error().map(ToString::to_string);
        return Err(format!("what is written reads back differently ({said:?}):\n{}", lossy(&text)));
    }
    let mut rewritten = Vec::new();
    let copied = copy.contents.as_ref().ok_or("the copy is no zone")?;
    zonefile::write_zone(copied, Class::IN, None, &mut rewritten)
        .map_err(|error| format!("not written: {error}"))?;
    if text != rewritten {
        return Err(format!("written differently the second time:\n{}", lossy(&rewritten)));
    }
    let mut relative = Vec::new();
    zonefile::write_zone_relative(contents, Class::IN, &mut relative)
        .map_err(|error| format!("not written: {error}"))?;
    let copy = zonefile::load_bytes(&relative, "copy", &apex, &lenient());
    if digest(&loaded) != digest(&copy) {
        return Err(format!("the relative form reads back differently:\n{}", lossy(&relative)));
    }
    Ok(Work { records: loaded.outcome.records })
}

/// BIND: what `$GENERATE` makes is looked at less closely than what stands in the file, so that a dump need not be
/// a file that can be read.
fn only_generated(kind: &Kind) -> bool {
    matches!(kind, Kind::Obsolete(_) | Kind::NotAtTop(_) | Kind::AtTop(_))
}

pub(super) fn digest(loaded: &Loaded) -> Option<[u8; 32]> {
    loaded.contents.as_ref().map(|contents| contents.digest())
}

/// A file with these bytes, which is gone when it is let go of.
pub(super) fn scratch(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("the folder for temporary files can be written to");
    file.write_all(bytes).expect("the folder for temporary files can be written to");
    file
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn within_the_file(input: &[u8], loaded: &Loaded) -> Result<(), String> {
    let ends = input.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    for diagnostic in loaded.outcome.diagnostics.iter().filter(|diagnostic| &*diagnostic.file == "f") {
        let line = diagnostic.line as usize;
        if line == 0 || line > ends + 1 {
            return Err(format!("line {line} of {}: {diagnostic}", ends + 1));
        }
        if let Some(span) = diagnostic.span
            && (span.start > span.end || span.end > input.len())
        {
            return Err(format!("{span:?} of {} bytes: {diagnostic}", input.len()));
        }
    }
    Ok(())
}

fn configuration(input: &[u8]) -> Result<Work, String> {
    let (reading, again) = (
        config::read_text("f", input, Default::default()),
        config::read_text("f", input, Default::default()),
    );
    if reading.diagnostics != again.diagnostics {
        return Err("reading twice gives two outcomes".into());
    }
    let ends = input.iter().filter(|&&byte| byte == b'\n').count();
    for diagnostic in &reading.diagnostics {
        let Some(position) = &diagnostic.position else { continue };
        let line = position.line as usize;
        if &*position.file == "f" && (line == 0 || line > ends + 1) {
            return Err(format!("line {line} of {}: {diagnostic}", ends + 1));
        }
    }
    let canonical = reading.canonical(Secrets::Shown);
    // BIND: does not escape what it prints, so a name that ends in a backslash cannot be read back; nor can `geoip`;
    // and the braces of `dyndb` and `dnsrps-options` get more blanks each time.
    let is_repeatable = !["\\", "dyndb ", "dnsrps-options "].iter().any(|part| canonical.contains(part));
    if reading.is_valid() && is_repeatable && !String::from_utf8_lossy(input).contains("geoip") {
        let copy = config::read_text("copy", canonical.as_bytes(), Default::default());
        if !copy.is_valid() || copy.canonical(Secrets::Shown) != canonical {
            let said: Vec<String> = copy.diagnostics.iter().map(ToString::to_string).collect();
            return Err(format!("canonical form reads back differently: {said:?}\n{canonical}"));
        }
    }
    let _ = reading.zones().zones.len() + reading.canonical(Secrets::Hidden).len();
    let (ours, again) = (reading.resolve(None), again.resolve(None));
    let said = |(_, found): &(Option<config::Config>, Vec<config::Diagnostic>)| format!("{found:?}");
    if ours.0.is_some() != again.0.is_some() || said(&ours) != said(&again) {
        return Err("what the server makes of it differs from time to time".into());
    }
    if ours.0.is_some() && !reading.is_valid() {
        return Err("the server takes what BIND does not".into());
    }
    Ok(Work { records: 0 })
}
