//! Journals made octet by octet. What real ones hold is in `compat-tests/formats.rs`.

use super::*;
use crate::zone::Contents;
use crate::zonefile::{Arrival, Options, load_bytes};

const APEX: &[u8] = b"\x07example\0";

fn soa(serial: u32) -> Vec<u8> {
    [b"\x02ns\x07example\0\0".as_slice(), &serial.to_be_bytes(), &[0; 16]].concat()
}

fn record(owner: &[u8], rtype: RrType, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rdata.len()).expect("short");
    let fixed = [&rtype.0.to_be_bytes()[..], &[0, 1], &ttl.to_be_bytes(), &length.to_be_bytes()].concat();
    let octets = [owner, &fixed, rdata].concat();
    [&u32::try_from(octets.len()).expect("short").to_be_bytes()[..], &octets].concat()
}

/// A transaction: the serials, what is removed and what is added.
fn transaction(from: u32, removed: &[Vec<u8>], added: &[Vec<u8>]) -> (Head, Vec<u8>) {
    let delta = [
        record(APEX, RrType::SOA, 60, &soa(from)),
        removed.concat(),
        record(APEX, RrType::SOA, 60, &soa(from + 1)),
        added.concat(),
    ];
    let count = u32::try_from(removed.len() + added.len() + 2).expect("few");
    let delta = delta.concat();
    (Head { size: u32::try_from(delta.len()).expect("short"), count, from, to: from + 1 }, delta)
}

fn a(owner: &[u8], last: u8) -> Vec<u8> {
    record(&[owner, APEX].concat(), RrType::A, 60, &[192, 0, 2, last])
}

/// A journal of two transactions.
fn journal() -> Vec<u8> {
    let mut bytes = [MAGIC_V2.as_slice(), &[0; 48]].concat();
    for (head, delta) in
        [transaction(1, &[], &[a(b"\x01x", 1)]), transaction(2, &[a(b"\x01x", 1)], &[a(b"\x01x", 2)])]
    {
        for number in [head.size, head.count, head.from, head.to] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(&delta);
    }
    let end = u32::try_from(bytes.len()).expect("short");
    for (at, number) in [(16, 1), (20, 64), (24, 3), (28, end)] {
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    bytes
}

fn open(bytes: Vec<u8>) -> Result<Journal, Failure> {
    Journal::from_bytes(bytes, "j".into(), &mut Vec::new())
}

fn zone(serial: u32) -> Contents {
    let apex: Name = "example.".parse().expect("a name");
    let text = format!("$TTL 60\n@ SOA ns . {serial} 0 0 0 0\n@ NS ns\nns A 192.0.2.9\n");
    load_bytes(text.as_bytes(), "f", &apex, &Options::default()).contents.expect("a zone")
}

fn rolled(bytes: Vec<u8>, serial: u32) -> Result<Contents, Failure> {
    open(bytes)?.roll_forward(&zone(serial), Class::IN, &mut Arrival::default())
}

fn printed(bytes: Vec<u8>, heads: Heads) -> (Result<(), Failure>, String, Vec<String>) {
    let (mut journal, mut out) = (open(bytes).expect("a journal"), Vec::new());
    let result = journal.print(heads, &mut out).expect("memory is written");
    let messages = journal.take_messages().iter().map(ToString::to_string).collect();
    (result, String::from_utf8(out).expect("a listing is ASCII"), messages)
}

#[test]
fn a_zone_is_brought_up_to_date_from_any_serial_of_the_journal() {
    let x: Name = "x.example.".parse().expect("a name");
    let check = |serial, expected: Result<u32, Failure>| {
        let found = rolled(journal(), serial);
        assert_eq!(found.as_ref().map(Contents::serial).map_err(|failure| *failure), expected, "{serial}");
        found.ok().and_then(|zone| zone.rrset(&x, RrType::A))
    };
    let rdatas = check(1, Ok(3)).expect("x is there").rdatas;
    assert_eq!(rdatas, [Box::from([192, 0, 2, 2])]);
    // The second transaction removes what the zone does not have.
    check(2, Err(Failure::NotExact));
    check(3, Ok(3));
    check(4, Err(Failure::Range));
    check(0, Err(Failure::Range));
}

#[test]
fn records_are_shown_with_what_is_done_with_them() {
    let (result, text, messages) = printed(journal(), Heads::Hidden);
    assert_eq!((result, messages), (Ok(()), vec![]));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7);
    assert_eq!(lines[0], "del example.\t\t60\tIN\tSOA\tns.example. . 1 0 0 0 0");
    assert_eq!(lines[6], "add x.example.\t\t60\tIN\tA\t192.0.2.2");
    let (_, text, _) = printed(journal(), Heads::Shown);
    assert!(text.starts_with(
        "Journal format = BIND LOG V9.2\nHeader version = 2\nStart serial = 1\nEnd serial = 3\n"
    ));
    assert!(text.contains("\nTransaction: version 2 offset 64 size 141 rrcount 3 start 1 end 2\n"), "{text}");
}

#[test]
fn what_is_wrong_is_said() {
    let check = |at: usize, octets: &[u8], expected: &str| {
        let mut bytes = journal();
        bytes[at..at + octets.len()].copy_from_slice(octets);
        let (result, _, messages) = printed(bytes, Heads::Hidden);
        assert!(matches!(result, Err(Failure::Unexpected | Failure::Failed)), "{result:?}");
        assert_eq!(messages, [expected, "j: cannot print: journal file corrupt"]);
    };
    check(72, &[0, 0, 0, 7], "j: journal file corrupt: expected serial 1, got 7");
    check(64, &[0, 0, 0, 0], "j: journal corrupt: empty transaction");
    check(80, &[0xff; 4], "j: journal corrupt: impossible RR size (-1 bytes)");
    check(80, &[0, 0, 0, 10], "j: journal corrupt: impossible RR size (10 bytes)");
    check(215, &[0xff, 0xff], "j: journal corrupt: impossible rdlen (65535 bytes)");
    check(28, &[0, 0, 0, 70], "j: journal corrupt: possible integer overflow");
    check(94, &[10], "j: journal file corrupt: missing initial SOA");
    let mut bytes = journal();
    bytes[13] = b'1';
    assert_eq!(open(bytes).err(), Some(Failure::Unexpected));
}

#[test]
fn a_journal_whose_end_is_within_a_transaction_is_not_rewritten() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("z.jnl");
    let whole = u32::from_be_bytes(*journal()[28..].first_chunk().expect("a header"));
    for what in [Compaction::Upgrade, Compaction::Downgrade] {
        for end in [65, 100, whole - 60, whole - 17] {
            let mut bytes = journal();
            bytes[28..32].copy_from_slice(&end.to_be_bytes());
            std::fs::write(&path, &bytes).expect("a file is written");
            let mut messages = Vec::new();
            assert_eq!(compact(&path, what, &mut messages), Err(Failure::Unexpected), "{what:?} {end}");
            let said = messages.pop().map(|message| message.to_string()).unwrap_or_default();
            assert!(said.ends_with("z.jnl: journal file corrupt, transaction too large"), "{end}: {said}");
            assert_eq!(std::fs::read(&path).expect("a file"), bytes);
        }
    }
}

#[test]
fn an_rrset_does_not_grow_beyond_what_a_message_holds() {
    let texts = |octets: u8| {
        let rdata: Vec<u8> = (0..180).flat_map(|_| [&[254][..], &[octets; 254]].concat()).collect();
        record(APEX, RrType::TXT, 60, &rdata)
    };
    let (head, delta) = transaction(1, &[], &[texts(b'a'), texts(b'b')]);
    let mut bytes = journal();
    bytes.truncate(HEADER_BYTES);
    for number in [head.size, head.count, head.from, head.to] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&delta);
    let end = u32::try_from(bytes.len()).expect("short");
    for (at, number) in [(24, 2), (28, end)] {
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    assert_eq!(rolled(bytes, 1).err(), Some(Failure::NoSpace));
}

#[test]
fn no_damage_is_worse_than_a_failure() {
    let whole = journal();
    for cut in 0..whole.len() {
        let bytes = whole[..cut].to_vec();
        assert_eq!(open(bytes.clone()).is_err(), cut < HEADER_BYTES);
        // A journal that ends too early counts up to there.
        let result = rolled(bytes, 1);
        assert!(cut < HEADER_BYTES || result.is_ok(), "{cut}: {:?}", result.err());
    }
    for at in 0..whole.len() {
        for octet in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = octet;
            let _ = rolled(bytes.clone(), 1);
            if let Ok(mut journal) = open(bytes) {
                journal.print(Heads::Shown, &mut Vec::new()).expect("memory is written").ok();
            }
        }
    }
}

#[test]
fn a_journal_survives_the_way_to_the_old_format_and_back() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("z.jnl");
    std::fs::write(&path, journal()).expect("a file is written");
    let records = || {
        let bytes = std::fs::read(&path).expect("a file");
        (bytes[..14].to_vec(), printed(bytes, Heads::Hidden).1)
    };
    let (_, before) = records();
    for (what, magic) in [
        (Compaction::Upgrade, b";BIND LOG V9.2"),
        (Compaction::Downgrade, b";BIND LOG V9\n\0"),
        (Compaction::Before(1), b";BIND LOG V9.2"),
    ] {
        compact(&path, what, &mut Vec::new()).expect("it is rewritten");
        assert_eq!(records(), (magic.to_vec(), before.clone()), "{what:?}");
    }
    assert_eq!(compact(&path, Compaction::Before(9), &mut Vec::new()), Err(Failure::Range));
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing is left behind: {left:?}");
    assert_eq!(
        compact(&directory.path().join("none"), Compaction::Upgrade, &mut Vec::new()),
        Err(Failure::NotFound)
    );
}
