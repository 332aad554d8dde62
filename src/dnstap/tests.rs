use super::message::Dnstap as Decoded;
use super::*;
use crate::config::load_text;
use prost::Message as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

fn configured(text: &str) -> configured::Dnstap {
    let text = format!("options {{ {text} }};");
    load_text("named.conf", text.as_bytes()).expect("a good configuration").0.options.dnstap.expect("a tap")
}

fn start(text: &str, directory: &Path) -> Tap {
    Tap::start(&configured(text), directory, Some("host".into()), "version".into()).expect("it starts")
}

fn route() -> Route {
    Route {
        client: "192.0.2.1:5353".parse().unwrap(),
        server: Some("[2001:db8::53]:53".parse().unwrap()),
        protocol: Protocol::Tcp,
    }
}

/// A header with these flags, and a body.
fn packet(flags: u8, body_bytes: usize) -> Vec<u8> {
    [&[0, 7, flags, 0][..], &vec![0; 8 + body_bytes]].concat()
}

/// The messages of a stream of frames, which must have a start and an end.
fn decode(stream: &[u8]) -> Vec<Decoded> {
    let mut frames = Vec::new();
    let mut rest = stream;
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at(count);
        rest = tail;
        head.to_vec()
    };
    let number = |octets: Vec<u8>| u32::from_be_bytes(octets.try_into().unwrap()) as usize;
    loop {
        let length = number(take(4));
        if length > 0 {
            frames.push(Decoded::decode(&take(length)[..]).unwrap());
            continue;
        }
        let length = number(take(4));
        let control = take(length);
        match control[3] {
            2 => assert!(frames.is_empty() && control.ends_with(b"protobuf:dnstap.Dnstap")),
            3 => return frames,
            other => panic!("control frame {other}"),
        }
    }
}

/// The stream in a file, once its end is there.
fn finished(path: PathBuf) -> Vec<u8> {
    let began = std::time::Instant::now();
    loop {
        let stream = std::fs::read(&path).unwrap_or_default();
        if stream.ends_with(&[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 3]) {
            return stream;
        }
        assert!(began.elapsed().as_secs() < 30, "waited in vain for the end of {}", path.display());
        thread::yield_now();
    }
}

#[test]
fn messages_are_told_by_kind_with_all_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let tap = start("dnstap { auth query; client; update; }; dnstap-output file \"tap\";", folder.path());
    for flags in [0x00, 0x01, 5 << 3] {
        tap.query(&packet(flags, 3), route);
        tap.response(&packet(flags | 0x80, 4), route);
    }
    drop(tap);
    let messages = decode(&finished(folder.path().join("tap")));
    let kinds: Vec<i32> = messages.iter().map(|m| m.message.as_ref().unwrap().kind).collect();
    assert_eq!(kinds, [1, 1, 6, 13, 14]);
    let (query, response) = (messages[0].message.clone().unwrap(), messages[2].message.clone().unwrap());
    assert_eq!(
        (messages[0].identity.as_deref(), messages[0].version.as_deref()),
        (Some(&b"host"[..]), Some(&b"version"[..]))
    );
    assert_eq!((query.socket_family, query.socket_protocol), (Some(1), Some(2)));
    assert_eq!((query.query_address, query.query_port), (Some(vec![192, 0, 2, 1]), Some(5353)));
    assert_eq!(query.response_address.map(|address| address.len()), Some(16));
    assert_eq!((query.query_message, query.response_message), (Some(packet(0, 3)), None));
    assert!(query.query_time_sec.is_some() && query.response_time_sec.is_none());
    assert_eq!((response.query_message, response.response_message), (None, Some(packet(0x81, 4))));
    assert!(response.query_time_sec.is_none() && response.response_time_sec.is_some());
}

#[test]
fn a_file_that_is_full_gives_way_and_each_is_a_stream_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let tap = start("dnstap { all; }; dnstap-output file \"tap\" size 1k versions 2;", folder.path());
    for _ in 0..20 {
        tap.query(&packet(0, 200), route);
    }
    drop(tap);
    let last = decode(&finished(folder.path().join("tap")));
    let before = decode(&finished(folder.path().join("tap.0")));
    assert!(!last.is_empty() && before.len() == 4, "{} and {}", last.len(), before.len());
    assert!(!folder.path().join("tap.2").exists());
}

#[test]
fn a_file_that_cannot_give_way_stays_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tap.0")).unwrap();
    let tap = start("dnstap { all; }; dnstap-output file \"tap\" size 1k versions 1;", folder.path());
    for _ in 0..20 {
        tap.query(&packet(0, 200), route);
    }
    drop(tap);
    assert_eq!(decode(&finished(folder.path().join("tap"))).len(), 20);
}

#[test]
fn a_listener_is_greeted_and_told_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    let tap = start("dnstap { auth query; }; dnstap-output unix \"socket\";", folder.path());
    tap.query(&packet(0, 1), route);
    let (mut stream, _) = listener.accept().unwrap();
    let content_type = b"protobuf:dnstap.Dnstap";
    let frame = |kind: u8| {
        [&[0, 0, 0, 0, 0, 0, 0, 34, 0, 0, 0, kind, 0, 0, 0, 1, 0, 0, 0, 22][..], content_type].concat()
    };
    let mut ready = vec![0; 42];
    stream.read_exact(&mut ready).unwrap();
    assert_eq!(ready, frame(4));
    stream.write_all(&frame(1)).unwrap();
    drop(tap);
    let mut start_and_data = vec![0; 42 + 4];
    stream.read_exact(&mut start_and_data).unwrap();
    assert_eq!(start_and_data[..42], frame(2));
    let length = u32::from_be_bytes(start_and_data[42..].try_into().unwrap()) as usize;
    let mut rest = vec![0; length + 12];
    stream.read_exact(&mut rest).unwrap();
    stream.write_all(&frame(5)).unwrap();
    assert_eq!(decode(&[&start_and_data[..], &rest].concat()).len(), 1);
}

#[test]
fn what_cannot_be_kept_is_dropped_and_counted() {
    let (queue, _nobody_reads) = sync_channel(2);
    let wanted = configured("dnstap { auth; }; dnstap-output file \"x\";").wanted;
    let tap = Tap { wanted, queue, shared: Arc::default() };
    for _ in 0..5 {
        tap.query(&packet(0, 0), route);
    }
    assert_eq!((tap.dropped(), tap.shared.waiting_bytes.load(Ordering::Relaxed)), (3, 24));
    let (queue, _nobody_reads) = sync_channel(1_000);
    let tap = Tap { wanted, queue, shared: Arc::default() };
    for _ in 0..300 {
        tap.response(&packet(0, 65_000), route);
    }
    assert!(tap.dropped() > 30, "{} octets wait", tap.shared.waiting_bytes.load(Ordering::Relaxed));
}
