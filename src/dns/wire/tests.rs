//! Names and messages, octet by octet.

use super::*;
use crate::dns::Opcode;

fn name(text: &str) -> Name {
    text.parse().expect("a legal name")
}

/// A message of zeros up to `HEADER_BYTES`, then `body`.
fn packet(body: &[u8]) -> Vec<u8> {
    [&[0; HEADER_BYTES], body].concat()
}

#[test]
fn names_are_decompressed() {
    let message = packet(b"\x03www\x07Example\x00\x03ftp\xc0\x10\xc0\x10\xc0\x19\x00");
    for (at, text, behind) in [
        (12, "www.Example.", 25),
        (25, "ftp.Example.", 31),
        (31, "Example.", 33),
        (33, "ftp.Example.", 35),
        (35, ".", 36),
    ] {
        let mut reader = Reader::new(&message, at);
        let read = reader.name().expect("well-formed");
        assert!(read.eq_case(&name(text)), "{read} is not {text}");
        assert_eq!(reader.position(), behind, "{text}");
        let mut reader = Reader::new(&message, at);
        assert_eq!(reader.skip_name().map(|()| reader.position()), Ok(behind));
        let mut appended = vec![7];
        Reader::new(&message, at).name_into(&mut appended).expect("well-formed");
        assert_eq!(appended[1..], *read.as_wire());
    }
}

#[test]
fn malformed_names_are_refused_and_leave_nothing() {
    for (what, body) in [
        ("no octet", &b""[..]),
        ("no root label", b"\x01a"),
        ("label over the end", b"\x05ab"),
        ("pointer to itself", b"\xc0\x0c"),
        ("pointer forward", b"\xc0\x0e\x00"),
        ("pointer to its own name", b"\x01a\xc0\x0c"),
        ("pointer behind the end", b"\xff\xff"),
        ("half a pointer", b"\x01a\xc0"),
        ("pointer into the header", b"\xc0\x00"),
        ("label type 01", b"\x41a\x00"),
        ("label type 10", b"\x81a\x00"),
    ] {
        let message = packet(body);
        let mut reader = Reader::new(&message, HEADER_BYTES);
        assert_eq!(reader.name(), Err(Malformed), "{what}");
        let mut out = vec![1, 2];
        assert_eq!(reader.name_into(&mut out), Err(Malformed), "{what}");
        assert_eq!(out, [1, 2], "{what}");
        assert_eq!(reader.position(), HEADER_BYTES, "{what}");
    }
    assert_eq!(Reader::new(&[], 12).name(), Err(Malformed));
}

#[test]
fn two_pointers_that_lead_to_each_other_are_refused() {
    // 12: a -> 16, 16: b -> 12
    let message = packet(b"\x01a\xc0\x10\x01b\xc0\x0c");
    for at in [12, 16] {
        assert_eq!(Reader::new(&message, at).name(), Err(Malformed));
    }
}

#[test]
fn a_name_has_at_most_255_octets_compressed_or_not() {
    let long = |last: usize| {
        let mut body = Vec::new();
        for length in [63, 63, 63, last] {
            body.push(length as u8);
            body.resize(body.len() + length, b'x');
        }
        body.push(0);
        body
    };
    assert_eq!(packet(&long(61)).len(), 12 + 255);
    assert!(Reader::new(&packet(&long(61)), 12).name().is_ok());
    assert_eq!(Reader::new(&packet(&long(62)), 12).name(), Err(Malformed));
    // The same by way of a pointer: 253 octets and one more label of one octet.
    for (last, legal) in [(59, true), (60, false)] {
        let mut message = packet(&long(last));
        let at = message.len();
        message.extend_from_slice(b"\x01y\xc0\x0c");
        assert_eq!(Reader::new(&message, at).name().is_ok(), legal);
    }
}

#[test]
fn a_long_chain_of_pointers_is_followed_once_each() {
    let mut message = packet(b"\x00");
    let mut target = 12u16;
    for _ in 0..8000 {
        let at = message.len() as u16;
        message.extend_from_slice(&(0xc000 | target).to_be_bytes());
        target = at;
    }
    let at = usize::from(target);
    assert!(Reader::new(&message, at).name().expect("legal, if odd").is_root());
}

#[test]
fn numbers_and_octets_end_with_the_message() {
    let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 8], 0);
    assert_eq!((reader.u8(), reader.u16(), reader.u32()), (Ok(1), Ok(0x0203), Ok(0x0405_0607)));
    assert_eq!(
        (reader.u16(), reader.u32(), reader.bytes(2)),
        (Err(Malformed), Err(Malformed), Err(Malformed))
    );
    assert_eq!(reader.bytes(1), Ok(&[8][..]));
    assert_eq!((reader.u8(), reader.bytes(usize::MAX)), (Err(Malformed), Err(Malformed)));
    assert_eq!(Reader::new(&[1], 5).u8(), Err(Malformed));
}

#[test]
fn a_part_ends_where_it_was_told_and_reaches_back() {
    let message = packet(b"\x01a\x00\x01b\xc0\x0c\x01c\x00");
    let mut reader = Reader::new(&message, 15);
    let mut part = reader.take(4).expect("four octets");
    assert_eq!(part.name(), Ok(name("b.a.")));
    assert_eq!(part.name(), Err(Malformed));
    assert_eq!(reader.name(), Ok(name("c.")));
    assert!(reader.take(1).is_err());
}

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new(MESSAGE_BYTES_MAX);
    write(&mut writer);
    writer.finish(&Header::request(0x1234, Opcode::QUERY))
}

#[test]
fn names_are_compressed_to_the_longest_known_suffix() {
    let message = written(|writer| {
        for text in ["www.example.com.", "example.com.", "mail.Example.com.", "org.", ".", "www.example.com."]
        {
            writer.question(&name(text), RrType::A, Class::IN).expect("room");
        }
    });
    let expected: Vec<u8> = [
        &b"\x12\x34\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00"[..],
        b"\x03www\x07example\x03com\x00\x00\x01\x00\x01",
        b"\xc0\x10\x00\x01\x00\x01",
        // The case is kept: "Example" is not the "example" above.
        b"\x04mail\x07Example\xc0\x18\x00\x01\x00\x01",
        b"\x03org\x00\x00\x01\x00\x01",
        b"\x00\x00\x01\x00\x01",
        b"\xc0\x0c\x00\x01\x00\x01",
    ]
    .concat();
    assert_eq!(message, expected);
}

#[test]
fn whoever_ignores_case_gets_a_shorter_message() {
    let mut writer = Writer::new(MESSAGE_BYTES_MAX).ignoring_case();
    for text in ["example.com.", "mail.Example.COM."] {
        writer.question(&name(text), RrType::A, Class::IN).expect("room");
    }
    let message = writer.finish(&Header::request(0x1234, Opcode::QUERY));
    let expected =
        [&b"\x07example\x03com\x00\x00\x01\x00\x01"[..], b"\x04mail\xc0\x0c\x00\x01\x00\x01"].concat();
    assert_eq!(message[HEADER_BYTES..], expected);
}

#[test]
fn thousands_of_names_are_read_back_as_they_were_written() {
    let names: Vec<Name> =
        (0..6000u32).map(|i| name(&format!("h{}.s{}.{}.example.", i % 1500, i % 37, i % 5))).collect();
    let mut writer = Writer::new(MESSAGE_BYTES_MAX);
    let mut fitting = 0;
    for name in &names {
        if writer.question(name, RrType::A, Class::IN).is_err() {
            break;
        }
        fitting += 1;
    }
    let message = writer.finish(&Header::request(1, Opcode::QUERY));
    assert!(fitting > 3000 && message.len() > 60_000, "{fitting} names in {} octets", message.len());
    let mut reader = Reader::new(&message, HEADER_BYTES);
    for name in &names[..fitting] {
        assert!(reader.name().expect("well-formed").eq_case(name));
        assert_eq!(reader.u32(), Ok(0x0001_0001));
    }
    assert!(reader.rest().is_empty());
}

#[test]
fn pointers_reach_only_the_first_16_kib() {
    let message = written(|writer| {
        writer.question(&name("early.example."), RrType::A, Class::IN).expect("room");
        let filler = vec![0; 20_000];
        writer.record(Section::Answer, &name("."), RrType::NULL, Class::IN, 0, &filler).expect("room");
        for _ in 0..2 {
            writer.question(&name("late.early.example."), RrType::A, Class::IN).expect("room");
            writer.question(&name("other.test."), RrType::A, Class::IN).expect("room");
        }
    });
    let tail = b"\x04late\xc0\x0c\x00\x01\x00\x01\x05other\x04test\x00\x00\x01\x00\x01".repeat(2);
    assert!(message.ends_with(&tail));
}

#[test]
fn what_does_not_fit_leaves_nothing() {
    let record = Record::new(name("a.example."), RrType::A, 300, *b"\x7f\x00\x00\x01");
    let mut writer = Writer::new(12 + 11 + 14 + 4);
    writer.push(Section::Answer, &record).expect("25 octets");
    assert_eq!((writer.len(), writer.count(Section::Answer)), (12 + 25, 1));
    assert_eq!(writer.push(Section::Answer, &record), Err(Full));
    assert_eq!((writer.len(), writer.count(Section::Answer)), (12 + 25, 1));
    let message = writer.finish(&Header::request(1, Opcode::QUERY));
    assert_eq!(message.len(), 12 + 25);
}

#[test]
fn reserved_octets_stay_free_until_they_are_released() {
    let record = Record::new(name("a."), RrType::A, 300, *b"\x7f\x00\x00\x01");
    let mut writer = Writer::new(12 + 17);
    writer.reserve(1);
    assert_eq!(writer.push(Section::Additional, &record), Err(Full));
    writer.release(1);
    assert_eq!(writer.push(Section::Additional, &record), Ok(()));
    let edns = Edns::default();
    assert_eq!(writer.opt(&edns, Rcode::NOERROR), Err(Full));
    assert_eq!(writer.count(Section::Additional), 1);
}

#[test]
fn a_rollback_forgets_names_and_counts() {
    let message = written(|writer| {
        writer.question(&name("example."), RrType::A, Class::IN).expect("room");
        let mark = writer.mark();
        for i in 0..100 {
            let owner = name(&format!("x{i}.gone.example."));
            writer.record(Section::Authority, &owner, RrType::A, Class::IN, 0, &[1, 2, 3, 4]).expect("room");
        }
        writer.rollback(mark);
        assert_eq!(writer.count(Section::Authority), 0);
        // "gone" must be written again: the place it was at is something else now.
        writer.question(&name("x1.gone.example."), RrType::A, Class::IN).expect("room");
        writer.question(&name("gone.example."), RrType::A, Class::IN).expect("room");
    });
    let body =
        b"\x07example\x00\x00\x01\x00\x01\x02x1\x04gone\xc0\x0c\x00\x01\x00\x01\xc0\x1c\x00\x01\x00\x01";
    assert_eq!(message[HEADER_BYTES..], body[..]);
    assert_eq!(message[4..12], [0, 3, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn names_in_rdata_are_compressed_only_where_rfc_3597_allows_it() {
    let target = b"\x01t\x07example\x00";
    let message = written(|writer| {
        writer.question(&name("example."), RrType::A, Class::IN).expect("room");
        let mx = [&[0, 10][..], target].concat();
        writer.record(Section::Answer, &name("example."), RrType::MX, Class::IN, 1, &mx).expect("room");
        let srv = [&[0, 0, 0, 0, 0, 53][..], target].concat();
        writer.record(Section::Answer, &name("t.example."), RrType::SRV, Class::IN, 1, &srv).expect("room");
    });
    let expected: Vec<u8> = [
        &b"\x07example\x00\x00\x01\x00\x01"[..],
        b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x01\x00\x06\x00\x0a\x01t\xc0\x0c",
        b"\xc0\x27\x00\x21\x00\x01\x00\x00\x00\x01\x00\x11\x00\x00\x00\x00\x00\x35\x01t\x07example\x00",
    ]
    .concat();
    assert_eq!(message[HEADER_BYTES..], expected);
}

#[test]
fn random_octets_never_panic_the_reader() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let mut message: Vec<u8> = (0..random() % 80).map(|_| random() as u8).collect();
        // Favour pointers and short labels.
        for byte in &mut message {
            match random() % 4 {
                0 => *byte = 0xc0,
                1 => *byte &= 0x07,
                _ => {}
            }
        }
        let at = random() as usize % 90;
        let mut reader = Reader::new(&message, at);
        if let Ok(read) = reader.name() {
            assert!(read.as_wire().len() <= NAME_BYTES_MAX);
        }
    }
}
