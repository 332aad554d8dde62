//! TSIG records (RFC 8945) of every wrong form, and right ones in unusual dress.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::packet::{opt, record, with_name};
use super::reaction::Expect;
use super::requests::{self, Row};
use super::{ZONE, assert_unharmed, warm_up};
use crate::harness::wire::{self, FORMERR, NOERROR, NOTAUTH};
use crate::harness::{Site, tsig};

const REFUSED: u16 = wire::REFUSED;
const BADSIG: u16 = 16;
const BADKEY: u16 = 17;
const BADTIME: u16 = 18;
const BADTRUNC: u16 = 22;
const ALGORITHM: &str = "hmac-sha256.";

/// A signature, right until something is changed.
#[derive(Clone)]
struct Forged {
    /// The owner as the packet has it; what is signed is always the name of the key.
    owner: Vec<u8>,
    class: u16,
    ttl: u32,
    /// The algorithm as the packet has it.
    algorithm: Vec<u8>,
    /// What is signed and said of the time.
    time: u64,
    fudge: u16,
    /// How much of the MAC is left.
    mac_octets: usize,
    /// What the length of the MAC is said to be, if not the truth.
    mac_size: Option<u16>,
    /// Turns one bit of the MAC.
    breaks_mac: bool,
    original_id: Option<u16>,
    error: u16,
    other: Vec<u8>,
    other_len: Option<u16>,
    /// What the length of the record is said to be beyond the truth.
    rdlength_off: i32,
    /// Which section counts it.
    section: usize,
}

impl Forged {
    fn right() -> Forged {
        Forged {
            owner: wire::name(tsig::KEY.name),
            class: wire::CLASS_ANY,
            ttl: 0,
            algorithm: wire::name(ALGORITHM),
            time: std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_secs(),
            fudge: 300,
            mac_octets: 32,
            mac_size: None,
            breaks_mac: false,
            original_id: None,
            error: 0,
            other: Vec::new(),
            other_len: None,
            rdlength_off: 0,
            section: 3,
        }
    }

    /// Appends the signature to a message.
    fn sign(&self, mut message: Vec<u8>) -> Vec<u8> {
        let id = self.original_id.unwrap_or_else(|| u16::from_be_bytes([message[0], message[1]]));
        let time_and_fudge = [&self.time.to_be_bytes()[2..], &self.fudge.to_be_bytes()].concat();
        let other_len = self.other_len.unwrap_or(self.other.len() as u16).to_be_bytes();
        let secret = data_encoding::BASE64.decode(tsig::KEY.secret.as_bytes()).expect("secrets are base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("HMAC takes any key");
        mac.update(&id.to_be_bytes());
        mac.update(&message[2..]);
        mac.update(&wire::name(tsig::KEY.name));
        // RFC 8945 §4.3.3: class and TTL as they should be, names in lower case.
        mac.update(&[0, 255, 0, 0, 0, 0]);
        mac.update(&wire::name(ALGORITHM));
        for part in [&time_and_fudge[..], &self.error.to_be_bytes(), &other_len, &self.other] {
            mac.update(part);
        }
        let mut mac = mac.finalize().into_bytes().to_vec();
        mac[5] ^= u8::from(self.breaks_mac);
        mac.resize(self.mac_octets, 0);

        let mut rdata = [&self.algorithm[..], &time_and_fudge].concat();
        rdata.extend_from_slice(&self.mac_size.unwrap_or(mac.len() as u16).to_be_bytes());
        rdata.extend_from_slice(&mac);
        rdata.extend_from_slice(&id.to_be_bytes());
        rdata.extend_from_slice(&self.error.to_be_bytes());
        rdata.extend_from_slice(&other_len);
        rdata.extend_from_slice(&self.other);
        let rdlength = (rdata.len() as i32 + self.rdlength_off) as u16;
        message.extend(record(&self.owner, wire::TSIG, self.class, self.ttl, rdlength, &rdata));
        let at = 4 + 2 * self.section;
        let count = u16::from_be_bytes([message[at], message[at + 1]]) + 1;
        message[at..at + 2].copy_from_slice(&count.to_be_bytes());
        message
    }
}

fn rows() -> Vec<Row> {
    let plain = |name: &str| with_name(0, [1, 0, 0, 0], &wire::name(name), wire::A);
    let www = format!("www.{ZONE}");
    let forged = |change: &dyn Fn(&mut Forged)| {
        let mut forged = Forged::right();
        change(&mut forged);
        forged.sign(plain(&www))
    };
    let row =
        |name: &str, change: &dyn Fn(&mut Forged), expect: Expect| Row::new(name, forged(change), expect);
    let (ok, broken) = (Expect::Rcode(NOERROR), Expect::Rcode(FORMERR));
    let bad = |error| Expect::Tsig(NOTAUTH, error);
    let signed = Forged::right().sign(plain(&www));
    let counted = |mut packet: Vec<u8>, more: &[u8]| {
        packet.extend_from_slice(more);
        packet[11] += 1;
        packet
    };
    let second = record(&wire::name(tsig::KEY.name), wire::TSIG, 255, 0, 0, &[]);
    let mut rows = vec![
        row("a signature as it should be", &|_| {}, ok),
        row("a key name in capitals", &|f| f.owner.make_ascii_uppercase(), ok),
        row("an algorithm in capitals", &|f| f.algorithm.make_ascii_uppercase(), ok),
        row("an unknown key", &|f| f.owner = wire::name("nobody."), bad(BADKEY)),
        row("the root as key", &|f| f.owner = vec![0], bad(BADKEY)),
        row("an unknown algorithm", &|f| f.algorithm = wire::name("hmac-sha999."), bad(BADKEY)),
        row("another algorithm than the key's", &|f| f.algorithm = wire::name("hmac-sha1."), bad(BADKEY)),
        row("a MAC with a wrong bit", &|f| f.breaks_mac = true, bad(BADSIG)),
        row("a MAC of another message", &|f| f.original_id = Some(7), ok),
        row("time zero", &|f| f.time = 0, bad(BADTIME)),
        row("the last time there is", &|f| f.time = (1 << 48) - 1, bad(BADTIME)),
        row("a time ten minutes ago", &|f| f.time -= 600, bad(BADTIME)),
        row("a time in ten minutes", &|f| f.time += 600, bad(BADTIME)),
        row("a time ten minutes ago, fudge 65,535", &|f| (f.time, f.fudge) = (f.time - 600, 65_535), ok),
        row("time zero and fudge 65,535", &|f| (f.time, f.fudge) = (0, 65_535), bad(BADTIME)),
        row("a time ten minutes ago, fudge 0", &|f| (f.time, f.fudge) = (f.time - 600, 0), bad(BADTIME)),
        row("an error in a request", &|f| f.error = BADTIME, ok).bind(ok),
        row("other data in a request", &|f| f.other = vec![0; 6], ok),
        row("a TTL that is not zero", &|f| f.ttl = 1, bad(BADSIG)),
        row("class IN", &|f| f.class = 1, broken),
        row("class NONE", &|f| f.class = 254, broken),
        row("a MAC said to be of 65,535 octets", &|f| f.mac_size = Some(65_535), broken),
        row("a MAC said to be of 33 octets", &|f| f.mac_size = Some(33), broken),
        row("a MAC said to be of none", &|f| f.mac_size = Some(0), broken),
        row("other data said to be of 65,535 octets", &|f| f.other_len = Some(65_535), broken),
        row("other data said to be of one octet", &|f| f.other_len = Some(1), broken),
        row("a record one octet short", &|f| f.rdlength_off = -1, broken),
        row("a record one octet long", &|f| f.rdlength_off = 1, broken),
        row("a record of 16 octets", &|f| f.rdlength_off = -46, broken),
        row("a signature in the answer section", &|f| f.section = 1, broken),
        row("a signature in the authority section", &|f| f.section = 2, broken),
        row("a MAC of 33 octets", &|f| f.mac_octets = 33, broken),
        Row::new("a signature, then EDNS", counted(signed.clone(), &opt(1232, 0, &[])), broken),
        Row::new("two signatures", counted(signed.clone(), &signed[plain(&www).len()..]), broken),
        Row::new("a signature, then an empty one", counted(signed.clone(), &second), broken),
        Row::new("octets behind the signature", [&signed[..], &[0]].concat(), ok),
    ];
    for octets in [1, 9, 10, 15] {
        rows.push(row(&format!("a MAC cut to {octets} octets"), &|f| f.mac_octets = octets, broken));
    }
    for octets in [16, 20, 31] {
        rows.push(row(&format!("a MAC cut to {octets} octets"), &|f| f.mac_octets = octets, bad(BADTRUNC)));
    }
    rows.push(row("a MAC cut to nothing", &|f| f.mac_octets = 0, bad(BADSIG)));
    // Names that are pointers to the question.
    let mut by_pointer = Forged::right();
    by_pointer.owner = vec![0xc0, 12];
    rows.push(Row::new(
        "a compressed key name",
        by_pointer.sign(plain(tsig::KEY.name)),
        Expect::Rcode(REFUSED),
    ));
    let mut by_pointer = Forged::right();
    by_pointer.algorithm = vec![0xc0, 12];
    rows.push(Row::new("a compressed algorithm", by_pointer.sign(plain(ALGORITHM)), Expect::Rcode(REFUSED)));
    rows
}

#[test]
fn signatures_of_every_wrong_form_get_the_error_that_is_right() {
    let site = Site::new("attacks-signatures");
    let (bind, mut subject) = requests::start_both(&site);
    let before = warm_up(&subject);
    let rows = rows();
    let wrong = requests::compare(&rows, &bind, &subject);
    println!("{} signatures, over UDP and TCP, to BIND and to us", rows.len());
    assert_unharmed(&mut subject, before);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
