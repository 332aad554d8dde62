//! A sender and a receiver without anything between them.

use super::image::{Digest, Image, ImageId, decode};
use super::message::{Message, Refusal, Request};
use super::receiver::{Fault, Progress, Receiver, Step};
use super::sender::Sender;
use crate::dns::message::Header;
use crate::dns::wire::{Section, Writer};
use crate::dns::{Class, Name, Opcode, Rcode, Record, RrType};
use crate::replication::command::{Batch, Command, EntryId, LoadId, Outcome, WireName, pack_record};
use crate::replication::configuration::Configuration;
use crate::replication::state_machine::{Limits, StateMachine};
use crate::store::zones::{Checkpoint, ZoneRow};
use crate::zone::{Contents, PackedChangeset, Zones};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

const APEXES: [&str; 2] = ["example.", "second.example."];

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn entry(machine: &mut StateMachine, commands: Vec<Command>) {
    let index = machine.applied_index();
    let id = EntryId { node: 1, incarnation: 1, sequence: index + 1 };
    let outcomes = machine.apply(index, &Batch { id, time_secs: 0, commands }).expect("a new entry");
    let done = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Updated(Rcode::NOERROR));
    assert!(outcomes.iter().all(done), "{outcomes:?}");
}

fn records(apex: &str, count: u16) -> (Vec<u8>, u64) {
    let apex = name(apex);
    let mut soa = [apex.as_wire(), apex.as_wire()].concat();
    soa.extend([7_u32, 3600, 600, 86400, 60].into_iter().flat_map(u32::to_be_bytes));
    let mut packed = Vec::new();
    pack_record(apex.as_wire(), RrType::SOA, 60, &soa, &mut packed);
    pack_record(apex.as_wire(), RrType::NS, 60, name(&format!("host0.{apex}")).as_wire(), &mut packed);
    for number in 0..count {
        let owner = name(&format!("Host{number}.{apex}"));
        pack_record(owner.as_wire(), RrType::A, 60, &[10, 0, (number >> 8) as u8, number as u8], &mut packed);
    }
    (packed, u64::from(count) + 2)
}

fn update(apex: &str, number: u8) -> Command {
    let mut writer = Writer::new(65535);
    writer.question(&name(apex), RrType::SOA, Class::IN).expect("room");
    let record = Record::new(name(&format!("new{number}.{apex}")), RrType::A, 60, [192, 0, 2, number]);
    writer.push(Section::Authority, &record).expect("room");
    Command::Update {
        zone: WireName(name(apex)),
        message: writer.finish(&Header::request(7, Opcode::UPDATE)),
    }
}

fn first() -> Configuration {
    Configuration::first([(1, SocketAddr::from(([127, 0, 0, 1], 7101)))])
}

/// Two zones with a history, and one that is still being loaded.
fn machine() -> StateMachine {
    let mut machine = StateMachine::new(Zones::default(), first(), Limits::default(), Box::new(|_| {}));
    for (nonce, apex) in (1..).zip(APEXES) {
        let load = LoadId { node: 1, nonce };
        let (records, count) = records(apex, 40);
        let begin =
            Command::BeginLoad { load, zone: WireName(name(apex)), file_digest: vec![nonce as u8; 32] };
        let end = Command::EndLoad { load, records: count };
        entry(&mut machine, vec![begin, Command::LoadRecords { load, records }, end]);
        (0..9).for_each(|number| entry(&mut machine, vec![update(apex, number)]));
    }
    let load = LoadId { node: 1, nonce: 9 };
    let (records, _) = records("third.", 3);
    let begin = Command::BeginLoad { load, zone: WireName(name("third.")), file_digest: vec![] };
    entry(&mut machine, vec![begin, Command::LoadRecords { load, records }]);
    machine
}

fn image(machine: &StateMachine, chunk_bytes: usize) -> Arc<Image> {
    Arc::new(Image::new(ImageId(5), machine.snapshot(), chunk_bytes))
}

/// What a zone store makes of chunks.
#[derive(Default)]
struct Rows {
    applied_index: u64,
    window: Vec<u8>,
    configuration: Vec<u8>,
    zones: BTreeMap<u64, ZoneRow>,
    owners: BTreeMap<(u64, Vec<u8>), Vec<u8>>,
    journal: BTreeMap<(u64, u64), Arc<[u8]>>,
}

impl Rows {
    fn write(&mut self, checkpoint: Checkpoint) {
        (self.applied_index, self.window) = (checkpoint.applied_index, checkpoint.window);
        self.configuration = checkpoint.configuration;
        self.zones.extend(checkpoint.zones.into_iter().map(|row| (row.id, row)));
        for (zone, key, node) in checkpoint.owners {
            self.owners.insert((zone, key), node.expect("an image says what there is"));
        }
        self.journal.extend(checkpoint.changesets.into_iter().map(|(zone, at, bytes)| ((zone, at), bytes)));
    }

    fn restore(self, mut state: StateMachine) -> StateMachine {
        state.restore(self.applied_index, &self.window, &self.configuration).expect("a sound window");
        for (id, row) in self.zones {
            let mut builder = Contents::builder(row.name.clone());
            for (_, node) in self.owners.range((id, Vec::new())..(id + 1, Vec::new())) {
                assert!(builder.push_encoded(node));
            }
            let contents =
                if row.loading { builder.finish_incomplete() } else { builder.finish().expect("a zone") };
            let journal = self.journal.range((id, 0)..(id + 1, 0));
            let journal = journal.map(|((_, index), bytes)| {
                (*index, PackedChangeset::from_bytes(bytes).expect("a changeset"))
            });
            state.restore_zone(row, contents, journal.collect()).expect("a sound zone");
        }
        state
    }
}

/// One connection: `messages` at most, or to its end. True when the image is to be installed.
fn connection(
    sender: &mut Sender,
    receiver: &mut Receiver,
    rows: &mut Rows,
    kept: &mut Option<Progress>,
    messages: usize,
) -> bool {
    for _ in 0..messages {
        let Some(message) = sender.next_message() else { return false };
        let message = Message::decode(&message.encode()).expect("what was encoded decodes");
        match receiver.receive(message).expect("an honest sender") {
            Step::Begin(progress) => (*rows, *kept) = (Rows::default(), Some(progress)),
            Step::Write(checkpoint, progress) => {
                rows.write(*checkpoint);
                *kept = Progress::decode(&progress.encode());
            }
            Step::Install(_) => return true,
            Step::Wait => {}
            step @ (Step::Apply(..) | Step::Refused(_)) => panic!("not asked for: {step:?}"),
        }
    }
    false
}

fn digests(machine: &StateMachine) -> Vec<([u8; 32], usize)> {
    let zone = |apex| {
        let zone = Arc::clone(machine.zones().load().get(&name(apex)).expect("a zone"));
        let (contents, history) = zone.since(7).expect("a version");
        let history = history.unwrap_or_else(|| panic!("{contents:?} has no history from the start"));
        (contents.digest(), history.len())
    };
    APEXES.map(zone).to_vec()
}

#[test]
fn an_image_in_chunks_of_any_size_is_the_state_it_was_taken_of() {
    let source = machine();
    for chunk_bytes in [64, 100, 1000, 1 << 20] {
        let (mut rows, mut kept) = (Rows::default(), None);
        let mut sender = Sender::new(image(&source, chunk_bytes), 0);
        let mut receiver = Receiver::new(3, 20, None);
        assert!(connection(&mut sender, &mut receiver, &mut rows, &mut kept, usize::MAX));
        assert_eq!(sender.next_message().map(|message| message.encode()), None);
        let mut state = rows.restore(source.blank());
        assert_eq!(digests(&state), digests(&source), "{chunk_bytes}");
        assert_eq!(state.applied_index(), source.applied_index());
        // What was applied is known as a repeat, and the load that was under way goes on.
        let repeat = EntryId { node: 1, incarnation: 1, sequence: 3 };
        let batch = Batch { id: repeat, time_secs: 0, commands: vec![Command::Barrier] };
        assert_eq!(state.apply(source.applied_index(), &batch), None);
        let load = LoadId { node: 1, nonce: 9 };
        entry(&mut state, vec![Command::EndLoad { load, records: 5 }]);
        assert_eq!(state.zones().load().len(), 3);
    }
}

#[test]
fn an_image_that_is_cut_anywhere_goes_on_where_it_was() {
    let source = machine();
    let image = image(&source, 300);
    let all = std::iter::repeat_with({
        let mut sender = Sender::new(Arc::clone(&image), 0);
        move || sender.next_message()
    });
    let all = all.take_while(Option::is_some).count();
    assert!(all > 10, "{all} messages");
    for cut in 0..all {
        let (mut rows, mut kept) = (Rows::default(), None);
        let mut receiver = Receiver::new(0, 0, None);
        assert!(!connection(
            &mut Sender::new(Arc::clone(&image), 0),
            &mut receiver,
            &mut rows,
            &mut kept,
            cut
        ));
        let mut receiver = Receiver::new(0, 0, kept);
        let chunks = receiver.request().partial.map_or(0, |(_, chunks)| chunks);
        assert_eq!(chunks as usize, cut.saturating_sub(1));
        let mut sender = Sender::new(Arc::clone(&image), chunks);
        assert!(connection(&mut sender, &mut receiver, &mut rows, &mut kept, all - cut + 1), "cut at {cut}");
        assert_eq!(digests(&rows.restore(source.blank())), digests(&source), "cut at {cut}");
    }
}

#[test]
fn an_image_stays_what_it_is_while_the_state_goes_on() {
    let mut source = machine();
    let before = digests(&source);
    let snapshot = source.snapshot();
    entry(&mut source, vec![update(APEXES[0], 77)]);
    let image = Arc::new(Image::new(ImageId(5), snapshot, 300));
    entry(&mut source, vec![update(APEXES[0], 78)]);
    let (mut rows, mut kept) = (Rows::default(), None);
    assert!(connection(
        &mut Sender::new(image, 0),
        &mut Receiver::new(0, 0, None),
        &mut rows,
        &mut kept,
        usize::MAX
    ));
    assert_eq!(digests(&rows.restore(source.blank())), before);
}

#[test]
fn a_state_that_is_replaced_publishes_what_is_new_and_goes_on() {
    let source = machine();
    let (published, tell) = std::sync::mpsc::channel();
    let on_publish = Box::new(move |zone: &Arc<crate::zone::Zone>| {
        published.send(zone.name().to_string()).expect("somebody listens");
    });
    let mut behind = StateMachine::new(Zones::default(), first(), Limits::default(), on_publish);
    behind.zones().insert(Arc::new(crate::zone::Zone::new(name("expected."), vec![], 0)));
    let (packed, count) = records("gone.", 1);
    let load = LoadId { node: 3, nonce: 3 };
    let begin = Command::BeginLoad { load, zone: WireName(name("gone.")), file_digest: vec![] };
    let commands = vec![
        begin,
        Command::LoadRecords { load, records: packed },
        Command::EndLoad { load, records: count },
    ];
    entry(&mut behind, commands);
    let (mut rows, mut kept) = (Rows::default(), None);
    connection(
        &mut Sender::new(image(&source, 300), 0),
        &mut Receiver::new(1, 2, None),
        &mut rows,
        &mut kept,
        usize::MAX,
    );
    let state = rows.restore(behind.blank());
    assert_eq!(tell.try_iter().collect::<Vec<_>>(), ["gone."], "nothing of the new state yet");
    behind.replace(state);
    let mut told: Vec<_> = tell.try_iter().collect();
    told.sort();
    assert_eq!(told, APEXES);
    let table = behind.zones().load();
    assert!(table.get(&name("gone.")).is_none() && table.get(&name("expected.")).is_some());
    assert_eq!(digests(&behind), digests(&source));
    assert!(behind.take_checkpoint().is_none(), "the store holds it already");
    entry(&mut behind, vec![update(APEXES[0], 200)]);
    assert_eq!(tell.try_iter().collect::<Vec<_>>(), APEXES[..1]);
}

#[test]
fn entries_are_taken_in_order_only() {
    let entries = |first, count| Message::Entries(first, vec![Arc::<[u8]>::from([1]).into(); count]);
    let mut receiver = Receiver::new(5, 5, None);
    assert_eq!(receiver.request(), &Request { have: 5, at_least: 5, partial: None });
    assert!(matches!(receiver.receive(entries(5, 2)), Ok(Step::Apply(5, two)) if two.len() == 2));
    assert!(matches!(receiver.receive(entries(7, 0)), Ok(Step::Wait)));
    assert!(matches!(receiver.receive(entries(7, 1)), Ok(Step::Apply(7, _))));
    for wrong in [6, 9] {
        assert_eq!(receiver.receive(entries(wrong, 1)).map(|_| ()), Err(Fault::OutOfOrder));
    }
    let refused = receiver.receive(Message::Refusal(Refusal::Busy));
    assert!(matches!(refused, Ok(Step::Refused(Refusal::Busy))));
}

#[test]
fn what_does_not_fit_together_is_no_image() {
    let source = machine();
    let image = image(&source, 300);
    let messages: Vec<Message> = {
        let mut sender = Sender::new(image, 0);
        std::iter::from_fn(move || sender.next_message()).collect()
    };
    let last = messages.len() - 1;
    let fault = |spoil: &dyn Fn(&mut Vec<Message>)| {
        let mut messages = messages.clone();
        spoil(&mut messages);
        let mut receiver = Receiver::new(0, 0, None);
        messages.into_iter().find_map(|message| receiver.receive(message).err())
    };
    assert_eq!(fault(&|_| {}), None);
    assert_eq!(fault(&|messages| drop(messages.remove(0))), Some(Fault::OutOfOrder), "no beginning");
    assert_eq!(fault(&|messages| drop(messages.remove(2))), Some(Fault::Digest), "a chunk is missing");
    assert_eq!(fault(&|messages| messages.swap(2, 3)), Some(Fault::Digest), "chunks in another order");
    assert_eq!(fault(&|messages| messages.insert(2, messages[2].clone())), Some(Fault::Digest), "one twice");
    assert_eq!(fault(&|messages| messages.insert(2, messages[0].clone())), Some(Fault::OutOfOrder));
    assert_eq!(fault(&|messages| messages.insert(2, Message::Entries(0, vec![]))), Some(Fault::OutOfOrder));
    let flipped = |at: usize| {
        fault(&|messages| {
            let Message::Chunk(chunk) = &messages[2] else { panic!("a chunk") };
            let mut bytes = chunk.bytes().to_vec();
            bytes[at] ^= 1;
            messages[2] = Message::Chunk(Arc::<[u8]>::from(bytes).into());
        })
    };
    assert_eq!(flipped(0), Some(Fault::OutOfOrder), "of another log index");
    assert_eq!(flipped(8), Some(Fault::Malformed), "a length");
    assert!((0..300).all(|at| flipped(at).is_some()), "no octet may change");
    let another = fault(&|messages| {
        messages[last] = Message::End { chunks: last as u64 - 1, digest: Digest::default() }
    });
    assert_eq!(another, Some(Fault::Digest));
    let mut ahead = Receiver::new(0, 1000, None);
    assert_eq!(ahead.receive(messages[0].clone()).map(|_| ()), Err(Fault::OutOfOrder), "it is too old");
    for cut in 0..600 {
        assert!(decode(&vec![0xff; cut]).is_none());
    }
}
