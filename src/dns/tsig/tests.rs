//! Packets exchanged between nsupdate and named 9.18, one pair per algorithm, and what must go wrong.

use super::*;
use crate::dns::message::Header;
use crate::dns::wire::{Section, Writer};
use crate::dns::{Class, Opcode, RrType};
use data_encoding::HEXLOWER;

/// When the packets below were recorded.
const RECORDED_AT_SECS: u64 = 0x6b00_baef;
const SECRET: &[u8] = b"01234567890123456789012345678901";

/// Algorithm, name of the key, request of nsupdate, response of named.
const RECORDED: [(&str, &str, &str, &str); 7] = [
    (
        "hmac-md5",
        "k-md5",
        "f0c828000001000000010001076578616d706c6503636f6d00000600010161c00c000100010000003c0004c0000209056b2d6d64350000fa00ff00000000003a08686d61632d6d6435077369672d616c670372656703696e740000006b00baef012c00106eb95f671cb3ebdf18f057144608b5f3f0c800000000",
        "f0c8a8000001000000000001076578616d706c6503636f6d0000060001056b2d6d64350000fa00ff00000000003a08686d61632d6d6435077369672d616c670372656703696e740000006b00baef012c00102214f1b24c1927fc0f3e5bb32d3efa7cf0c800000000",
    ),
    (
        "hmac-sha1",
        "k-sha1",
        "479028000001000000010001076578616d706c6503636f6d00000600010161c00c000100010000003c0004c0000209066b2d736861310000fa00ff00000000002f09686d61632d736861310000006b00baef012c00147482b104ce392fd1f5986d88ab58f747e617a7d5479000000000",
        "4790a8050001000000000001076578616d706c6503636f6d0000060001066b2d736861310000fa00ff00000000002f09686d61632d736861310000006b00baef012c001403b8bc9b5d55e8152fd66b788c622a256114f365479000000000",
    ),
    (
        "hmac-sha224",
        "k-sha224",
        "9a6228000001000000010001076578616d706c6503636f6d00000600010161c00c000100010000003c0004c0000209086b2d7368613232340000fa00ff0000000000390b686d61632d7368613232340000006b00baef012c001c7002be549b7a479c41e7969a59bb32920b4d86ab49c72bd4edc793d59a6200000000",
        "9a62a8050001000000000001076578616d706c6503636f6d0000060001086b2d7368613232340000fa00ff0000000000390b686d61632d7368613232340000006b00baef012c001c05fb53e9496ebde10d4e381215a5db4396b4797a42085616429ff1739a6200000000",
    ),
    (
        "hmac-sha256",
        "k-sha256",
        "c4b328000001000000010001076578616d706c6503636f6d00000600010161c00c000100010000003c0004c0000209086b2d7368613235360000fa00ff00000000003d0b686d61632d7368613235360000006b00baef012c00201b4499df51ae34840132fae410e5df944786e6334239533776e6036219014aaec4b300000000",
        "c4b3a8000001000000000001076578616d706c6503636f6d0000060001086b2d7368613235360000fa00ff00000000003d0b686d61632d7368613235360000006b00baef012c002020926628547afdf1409bde18bf2fcc594ac25f6208e8cfe6f02132bdbe5f562ec4b300000000",
    ),
    (
        "hmac-sha384",
        "k-sha384",
        "955528000001000000010001076578616d706c6503636f6d00000600010161c00c000100010000003c0004c0000209086b2d7368613338340000fa00ff00000000004d0b686d61632d7368613338340000006b00baef012c0030dcb9ceeea0fb8b4d31293d61bda7dd1868d13501d43485584efac66aab5891023b3442199a42e7d5072a31e6bc56529d955500000000",
        "9555a8050001000000000001076578616d706c6503636f6d0000060001086b2d7368613338340000fa00ff00000000004d0b686d61632d7368613338340000006b00baef012c0030581415194d8b9ba81618b256d17cc4bdfecec4f4cf38dc62c5a0223282568743a3cd3d6af4bcc3b0921562788c304982955500000000",
    ),
    (
        "hmac-sha512",
        "k-sha512",
        "f39228000001000000010001076578616d706c6503636f6d00000600010161c00c000100010000003c0004c0000209086b2d7368613531320000fa00ff00000000005d0b686d61632d7368613531320000006b00baef012c004078f32c1b80429832969d87463ac46a1139ffb39a3c0441186bab95ff9edd331ca47d411981a5017d713ea0d4acc560639f78d7a14e8a196b703496168d5d98f5f39200000000",
        "f392a8050001000000000001076578616d706c6503636f6d0000060001086b2d7368613531320000fa00ff00000000005d0b686d61632d7368613531320000006b00baef012c0040233a9c19fbdc4d9ed60f6f93f4e8ff516cdf6a13508357e6484b43eb279c14180f75591004b4185a7e2db3880d619964f53966f6e913723affc4b3934f6dad78f39200000000",
    ),
    (
        "hmac-sha256-128",
        "t-sha256",
        "acd028000001000000010001076578616d706c6503636f6d00000600010161c00c000100010000003c0004c000020908742d7368613235360000fa00ff00000000002d0b686d61632d7368613235360000006b00baef012c00102d03b1a1651b12eb4b4255f4d5f49c75acd000000000",
        "acd0a8000001000000000001076578616d706c6503636f6d000006000108742d7368613235360000fa00ff00000000002d0b686d61632d7368613235360000006b00baef012c00103c2465150a3993b69b656940a3190fe6acd000000000",
    ),
];

fn name(text: &str) -> Name {
    text.parse().expect("a legal name")
}

fn key(algorithm: &str, key_name: &str) -> Key {
    let (algorithm, mac_bytes) = Algorithm::from_mnemonic(algorithm).expect("a known algorithm");
    Key { name: name(key_name), algorithm, secret: SECRET.to_vec(), mac_bytes }
}

fn keys() -> Keys {
    Keys::new(RECORDED.iter().map(|row| key(row.0, row.1)))
}

fn parse(packet: &[u8]) -> Message {
    Message::parse(packet).expect("well-formed")
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).expect("hexadecimal")
}

/// A packet without its TSIG RR.
fn stripped(packet: &[u8]) -> Vec<u8> {
    let mut message = packet[..parse(packet).tsig_offset.expect("signed")].to_vec();
    message[11] -= 1;
    message
}

fn request() -> Vec<u8> {
    let mut writer = Writer::new(512);
    writer.question(&name("example.com."), RrType::SOA, Class::IN).expect("room");
    writer.finish(&Header::request(0x1234, Opcode::UPDATE))
}

fn response(text: &str) -> Vec<u8> {
    let mut writer = Writer::new(512);
    writer.question(&name("example.com."), RrType::SOA, Class::IN).expect("room");
    writer.record(Section::Answer, &name(text), RrType::NULL, Class::IN, 0, b"data").expect("room");
    writer.finish(&Header::request(0x1234, Opcode::QUERY).response(Rcode::NOERROR))
}

/// A request signed by the sha256 key and then changed.
fn signed_request(change: impl FnOnce(&mut Vec<u8>)) -> (Vec<u8>, Verifier) {
    let mut packet = request();
    let verifier =
        keys().sign_request(&name("k-sha256."), &mut packet, RECORDED_AT_SECS).expect("a known key");
    change(&mut packet);
    (packet, verifier)
}

fn verify(packet: &[u8], now_secs: u64) -> Result<Option<Session>, Failure> {
    keys().verify(packet, &parse(packet), now_secs)
}

#[test]
fn requests_of_nsupdate_are_verified_and_answered_as_named_answers() {
    for (algorithm, key_name, request, response) in RECORDED {
        let (request, response) = (hex(request), hex(response));
        let mut session = verify(&request, RECORDED_AT_SECS).expect("a good signature").expect("signed");
        assert_eq!(*session.key_name(), name(key_name));
        let mut ours = stripped(&response);
        let unsigned_len = ours.len();
        session.sign(&mut ours, RECORDED_AT_SECS);
        assert_eq!(HEXLOWER.encode(&ours), HEXLOWER.encode(&response), "{algorithm}");
        assert_eq!(ours.len() - unsigned_len, session.reserve());
    }
}

#[test]
fn our_requests_and_named_s_responses_pass_the_verifier() {
    for (algorithm, key_name, request, response) in RECORDED {
        let (request, response) = (hex(request), hex(response));
        let mut ours = stripped(&request);
        let mut verifier =
            keys().sign_request(&name(key_name), &mut ours, RECORDED_AT_SECS).expect("a known key");
        assert_eq!(HEXLOWER.encode(&ours), HEXLOWER.encode(&request), "{algorithm}");
        assert!(!verifier.is_complete());
        assert_eq!(verifier.verify(&response, &parse(&response), RECORDED_AT_SECS), Ok(()), "{algorithm}");
        assert!(verifier.is_complete());
    }
}

#[test]
fn an_unsigned_request_has_no_session() {
    assert!(verify(&request(), RECORDED_AT_SECS).expect("nothing to object to").is_none());
    assert!(keys().sign_request(&name("unknown."), &mut request(), 0).is_none());
}

#[test]
fn the_original_id_is_what_was_signed() {
    let (packet, _) = signed_request(|packet| packet[0] ^= 0xff);
    assert!(verify(&packet, RECORDED_AT_SECS).is_ok_and(|session| session.is_some()));
    let (packet, _) = signed_request(|packet| {
        let id_at = packet.len() - 6;
        packet[id_at] ^= 0xff;
    });
    assert_eq!(
        verify(&packet, RECORDED_AT_SECS).err().and_then(|failure| failure.error),
        Some(Rcode::BADSIG)
    );
}

/// A request with a TSIG of any kind; the MAC is right unless `mac` replaces it.
struct Forged<'a> {
    key_name: &'a str,
    algorithm: &'a [u8],
    time_signed: u64,
    mac: &'a dyn Fn(Vec<u8>) -> Vec<u8>,
}

const FORGED: Forged<'static> = Forged {
    key_name: "k-sha256.",
    algorithm: b"\x0bhmac-sha256\x00",
    time_signed: RECORDED_AT_SECS,
    mac: &|mac| mac,
};

impl Forged<'_> {
    fn packet(&self) -> Vec<u8> {
        let mut packet = request();
        let key_name = name(self.key_name);
        let variables = Variables {
            key_name: key_name.as_wire(),
            ttl: 0,
            algorithm: self.algorithm,
            time_signed: self.time_signed,
            fudge: FUDGE_SECS,
            error: Rcode::NOERROR,
            other: &[],
        };
        let mut computation = Computation::new(Algorithm::HmacSha256, SECRET);
        computation.update(&packet);
        variables.digest(&mut computation);
        let mac = (self.mac)(computation.finish().as_bytes().to_vec());
        variables.append(&mac, &mut packet);
        packet
    }
}

#[test]
fn names_of_keys_and_algorithms_are_compared_without_case() {
    let forged = Forged { key_name: "K-Sha256.", algorithm: b"\x0bHMAC-sha256\x00", ..FORGED };
    assert!(verify(&forged.packet(), RECORDED_AT_SECS).is_ok_and(|session| session.is_some()));
}

#[test]
fn what_does_not_hold_is_answered_as_bind_answers_it() {
    const T: u64 = RECORDED_AT_SECS;
    let truncated = |length: usize| move |mac: Vec<u8>| mac[..length].to_vec();
    let flipped = |mut mac: Vec<u8>| {
        mac[0] ^= 1;
        mac
    };
    let empty = |_| Vec::new();
    let long = |mut mac: Vec<u8>| {
        mac.push(0);
        mac
    };
    let cut = [truncated(10), truncated(15), truncated(16), truncated(31)];
    let sha1 = b"\x09hmac-sha1\x00";
    for (what, forged, rcode, error, mac_len, other_len) in [
        ("unknown key", Forged { key_name: "nokey.", ..FORGED }, Rcode::NOTAUTH, Rcode::BADKEY, 0, 0),
        ("other algorithm", Forged { algorithm: sha1, ..FORGED }, Rcode::NOTAUTH, Rcode::BADKEY, 0, 0),
        ("no algorithm", Forged { algorithm: b"\x00", ..FORGED }, Rcode::NOTAUTH, Rcode::BADKEY, 0, 0),
        ("other MAC", Forged { mac: &flipped, ..FORGED }, Rcode::NOTAUTH, Rcode::BADSIG, 0, 0),
        ("no MAC", Forged { mac: &empty, ..FORGED }, Rcode::NOTAUTH, Rcode::BADSIG, 0, 0),
        ("MAC too long", Forged { mac: &long, ..FORGED }, Rcode::FORMERR, Rcode::BADSIG, 0, 0),
        ("MAC under 80 bits", Forged { mac: &cut[0], ..FORGED }, Rcode::FORMERR, Rcode::BADSIG, 0, 0),
        ("MAC under half", Forged { mac: &cut[1], ..FORGED }, Rcode::FORMERR, Rcode::BADSIG, 0, 0),
        ("half a MAC", Forged { mac: &cut[2], ..FORGED }, Rcode::NOTAUTH, Rcode::BADTRUNC, 32, 0),
        ("almost a MAC", Forged { mac: &cut[3], ..FORGED }, Rcode::NOTAUTH, Rcode::BADTRUNC, 32, 0),
        ("too old", Forged { time_signed: T - 301, ..FORGED }, Rcode::NOTAUTH, Rcode::BADTIME, 32, 6),
        ("too new", Forged { time_signed: T + 301, ..FORGED }, Rcode::NOTAUTH, Rcode::BADTIME, 32, 6),
        ("before all time", Forged { time_signed: 0, ..FORGED }, Rcode::NOTAUTH, Rcode::BADTIME, 32, 6),
        (
            "far future",
            Forged { time_signed: (1 << 48) - 1, ..FORGED },
            Rcode::NOTAUTH,
            Rcode::BADTIME,
            32,
            6,
        ),
        // The order of the checks: MAC before time, time before truncation.
        (
            "old and bad",
            Forged { time_signed: 0, mac: &flipped, ..FORGED },
            Rcode::NOTAUTH,
            Rcode::BADSIG,
            0,
            0,
        ),
        (
            "old and cut",
            Forged { time_signed: 0, mac: &cut[2], ..FORGED },
            Rcode::NOTAUTH,
            Rcode::BADTIME,
            32,
            6,
        ),
    ] {
        let packet = forged.packet();
        let failure = verify(&packet, T).expect_err(what);
        assert_eq!((failure.rcode, failure.error), (rcode, Some(error)), "{what}");
        assert_eq!(failure.key_name(), Some(&name(forged.key_name)), "{what}");

        let mut answer = response("x.example.com.");
        let unsigned_len = answer.len();
        failure.sign(&mut answer, T);
        assert!(answer.len() - unsigned_len <= failure.reserve(), "{what}");
        let message = parse(&answer);
        let tsig = TsigRecord::parse(&answer, message.tsig_offset.expect("a TSIG")).expect("well-formed");
        assert_eq!((tsig.error, tsig.mac.len(), tsig.other.len()), (error, mac_len, other_len), "{what}");
        if error == Rcode::BADTIME {
            assert_eq!((tsig.time_signed, tsig.other), (forged.time_signed, &time_bytes(T)[..]), "{what}");
        } else {
            assert_eq!(tsig.time_signed, T, "{what}");
        }
    }
}

#[test]
fn times_at_the_edge_of_the_fudge_hold() {
    for time_signed in [RECORDED_AT_SECS - 300, RECORDED_AT_SECS + 300] {
        assert!(verify(&Forged { time_signed, ..FORGED }.packet(), RECORDED_AT_SECS).is_ok());
    }
}

#[test]
fn signed_errors_and_refusals_are_told_apart_by_the_client() {
    let verdict = |forged: Forged<'_>, verifier: &mut Verifier| {
        let failure = verify(&forged.packet(), RECORDED_AT_SECS).expect_err("something is wrong");
        let mut answer = response("x.example.com.");
        failure.sign(&mut answer, RECORDED_AT_SECS);
        verifier.verify(&answer, &parse(&answer), RECORDED_AT_SECS)
    };
    let (_, mut verifier) = signed_request(|_| ());
    let flipped = |mut mac: Vec<u8>| {
        mac[3] ^= 1;
        mac
    };
    assert_eq!(
        verdict(Forged { mac: &flipped, ..FORGED }, &mut verifier),
        Err(ResponseError::Refused(Rcode::BADSIG))
    );
    // Signed with the MAC of that forged request, not with ours.
    assert_eq!(verdict(Forged { time_signed: 0, ..FORGED }, &mut verifier), Err(ResponseError::BadSignature));
    assert_eq!(verdict(Forged { key_name: "nokey.", ..FORGED }, &mut verifier), Err(ResponseError::OtherKey));

    // The server's clock is ten minutes ahead: it says so, signed, and we can believe it.
    let (packet, mut verifier) = signed_request(|_| ());
    let failure = verify(&packet, RECORDED_AT_SECS + 600).expect_err("too old");
    let mut answer = response("x.example.com.");
    failure.sign(&mut answer, RECORDED_AT_SECS + 600);
    let verdict = verifier.verify(&answer, &parse(&answer), RECORDED_AT_SECS);
    assert_eq!(verdict, Err(ResponseError::Refused(Rcode::BADTIME)));
}

#[test]
fn every_message_of_a_sequence_is_signed_and_verified() {
    let (packet, mut verifier) = signed_request(|_| ());
    let mut session = verify(&packet, RECORDED_AT_SECS).expect("a good signature").expect("signed");
    for text in ["first.", "second.", "third.", "fourth."] {
        let mut message = response(text);
        session.sign(&mut message, RECORDED_AT_SECS);
        assert_eq!(verifier.verify(&message, &parse(&message), RECORDED_AT_SECS), Ok(()), "{text}");
        assert!(verifier.is_complete());
    }
}

#[test]
fn a_sequence_that_was_tampered_with_fails() {
    let (packet, _) = signed_request(|_| ());
    let mut session = verify(&packet, RECORDED_AT_SECS).expect("a good signature").expect("signed");
    let mut messages: Vec<Vec<u8>> = ["first.", "second.", "third."].map(response).into();
    for message in &mut messages {
        session.sign(message, RECORDED_AT_SECS);
    }
    let run = |messages: &[&Vec<u8>]| {
        let (_, mut verifier) = signed_request(|_| ());
        messages.iter().try_for_each(|message| verifier.verify(message, &parse(message), RECORDED_AT_SECS))
    };
    let [first, second, third] = &messages[..] else { unreachable!("three messages") };
    assert_eq!(run(&[first, second, third]), Ok(()));
    assert_eq!(run(&[second]), Err(ResponseError::BadSignature), "the first is missing");
    assert_eq!(run(&[first, third]), Err(ResponseError::BadSignature), "the second is missing");
    assert_eq!(run(&[first, third, second]), Err(ResponseError::BadSignature), "out of order");
    assert_eq!(run(&[first, first]), Err(ResponseError::BadSignature), "repeated");
    let mut tampered = second.clone();
    let at = tampered.windows(4).position(|window| window == b"data").expect("the RDATA");
    tampered[at] ^= 1;
    assert_eq!(run(&[first, &tampered]), Err(ResponseError::BadSignature), "one bit");
}

#[test]
fn up_to_99_messages_in_a_row_may_come_unsigned_but_not_the_first_or_last() {
    let (packet, mut verifier) = signed_request(|_| ());
    let unsigned = response("unsigned.");
    let verdict = verifier.verify(&unsigned, &parse(&unsigned), RECORDED_AT_SECS);
    assert_eq!(verdict, Err(ResponseError::Unsigned));

    let mut session = verify(&packet, RECORDED_AT_SECS).expect("a good signature").expect("signed");
    let mut message = response("first.");
    session.sign(&mut message, RECORDED_AT_SECS);
    assert_eq!(verifier.verify(&message, &parse(&message), RECORDED_AT_SECS), Ok(()));
    for _ in 0..99 {
        assert_eq!(verifier.verify(&unsigned, &parse(&unsigned), RECORDED_AT_SECS), Ok(()));
        assert!(!verifier.is_complete());
    }
    let verdict = verifier.verify(&unsigned, &parse(&unsigned), RECORDED_AT_SECS);
    assert_eq!(verdict, Err(ResponseError::Unsigned));

    // The next signature covers them all.
    let mut computation = Computation::new(Algorithm::HmacSha256, SECRET);
    computation.update_mac(&session.prior);
    for _ in 0..99 {
        computation.update(&unsigned);
    }
    let mut last = response("last.");
    computation.update(&last);
    computation.update(&time_bytes(RECORDED_AT_SECS));
    computation.update(&FUDGE_SECS.to_be_bytes());
    let mac = computation.finish();
    session.key.variables(RECORDED_AT_SECS, Rcode::NOERROR, &[]).append(mac.as_bytes(), &mut last);
    assert_eq!(verifier.verify(&last, &parse(&last), RECORDED_AT_SECS), Ok(()));
    assert!(verifier.is_complete());
}

#[test]
fn rdata_whose_lengths_do_not_fit_is_a_format_error_without_a_tsig() {
    let (packet, _) = signed_request(|_| ());
    let tsig_at = parse(&packet).tsig_offset.expect("signed");
    let mac_length_at = packet.len() - 6 - 32 - 2;
    let other_length_at = packet.len() - 2;
    let rdata_length_at = tsig_at + 10 + 8;
    for (what, at, value) in [
        ("MAC over the end", mac_length_at, 0xffffu16),
        ("MAC into the rest", mac_length_at, 37),
        ("MAC too short for the RDATA", mac_length_at, 31),
        ("other data over the end", other_length_at, 1),
        ("other data far over the end", other_length_at, 0xffff),
        ("RDATA empty", rdata_length_at, 0),
        ("RDATA short", rdata_length_at, 60),
    ] {
        let mut packet = packet.clone();
        packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
        let failure = verify(&packet, RECORDED_AT_SECS).expect_err(what);
        assert_eq!((failure.rcode, failure.error, failure.reserve()), (Rcode::FORMERR, None, 0), "{what}");
        let mut answer = response("x.");
        let before = answer.clone();
        failure.sign(&mut answer, RECORDED_AT_SECS);
        assert_eq!(answer, before, "{what}");
    }
}

#[test]
fn changed_octets_never_panic_and_never_verify() {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let (keys, originals) = (keys(), RECORDED.map(|row| hex(row.2)));
    for round in 0..30_000 {
        let original = &originals[round % originals.len()];
        let mut packet = original.clone();
        for _ in 0..1 + random() % 3 {
            let at = random() as usize % packet.len();
            match random() % 3 {
                0 => packet[at] = random() as u8,
                1 => packet[at] ^= 1 << (random() % 8),
                _ => packet.truncate(at.max(1)),
            }
        }
        let Ok(message) = Message::parse(&packet) else { continue };
        match keys.verify(&packet, &message, RECORDED_AT_SECS) {
            Err(failure) => {
                let mut answer = response("x.example.com.");
                failure.sign(&mut answer, RECORDED_AT_SECS);
                assert!(Message::parse(&answer).is_ok());
            }
            // Only the id in the header, octets behind the end and the case of names are not covered.
            Ok(Some(_)) => {
                let (changed, signed) = (&packet[2..], &original[2..]);
                assert!(changed.eq_ignore_ascii_case(signed), "{}", HEXLOWER.encode(&packet));
            }
            Ok(None) => {}
        }
    }
}
