//! Zones in raw format: made by the writer from zones of the corpus, and what must hold when they are read.

use trimaran::dns::{Class, Name};
use trimaran::zone::{Contents, check};
use trimaran::zonefile::raw::{self, Header, Version};
use trimaran::zonefile::{self, Arrival, Format, Options};

use super::inputs::zone_of;
use super::properties::{Work, digest, lenient, options, scratch};
use crate::harness::rng::Rng;

/// The zone of a text file in raw format; nothing if it is none.
pub(super) fn of_text(text: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let (loaded, arrival) = zone_of(text);
    let version = if rng.chance(50) { Version::V0 } else { Version::V1 };
    let source_serial = rng.chance(30).then(|| rng.bits() as u32);
    let header = Header { class: Class::IN, version, dump_time: rng.bits() as u32, source_serial };
    Some(written(loaded.contents.as_ref()?, &header, &arrival))
}

fn written(contents: &Contents, header: &Header, arrival: &Arrival) -> Vec<u8> {
    let mut bytes = Vec::new();
    raw::write_zone(contents, header, arrival, &mut bytes).expect("memory is written");
    bytes
}

/// Reading twice gives the same; what could be loaded is the same zone when it is written and read again.
pub(super) fn check(input: &[u8]) -> Result<Work, String> {
    let apex: Name = "example.".parse().expect("a name");
    let read = |bytes: &[u8], options: Options| {
        let file = scratch(bytes);
        zonefile::load_with_arrival(file.path(), &apex, &Options { format: Format::Raw, ..options })
    };
    let (loaded, arrival) = read(input, options(input.len()));
    let (again, _) = read(input, options(input.len()));
    let kinds = |outcome: &zonefile::Outcome| {
        outcome.diagnostics.iter().map(|found| format!("{:?}", found.kind)).collect::<Vec<_>>()
    };
    if kinds(&loaded.outcome) != kinds(&again.outcome) || digest(&loaded) != digest(&again) {
        return Err("reading twice gives two outcomes".into());
    }
    let work = Work { records: loaded.outcome.records };
    let Some(contents) = &loaded.contents else { return Ok(work) };
    let _ = check::check(contents, &check::Options::default());
    zonefile::write_zone(contents, Class::IN, None, &mut Vec::new()).map_err(|error| error.to_string())?;
    zonefile::write_zone_relative(contents, Class::IN, &mut Vec::new()).map_err(|error| error.to_string())?;
    let header = Header { class: Class::IN, version: Version::V1, dump_time: 0, source_serial: None };
    let bytes = written(contents, &header, &arrival);
    let (copy, copied_arrival) = read(&bytes, lenient());
    if digest(&loaded) != digest(&copy) {
        let said = copy.outcome.first_error().map(|error| error.kind.result());
        return Err(format!("what is written reads back differently ({said:?})"));
    }
    // BIND: the RRsets of an owner come in the opposite order each time.
    let copied = copy.contents.as_ref().ok_or("the copy is no zone")?;
    let (third, third_arrival) = read(&written(copied, &header, &copied_arrival), lenient());
    let third = third.contents.as_ref().ok_or("the copy of the copy is no zone")?;
    if written(third, &header, &third_arrival) != bytes {
        return Err("written differently the third time".into());
    }
    Ok(work)
}
