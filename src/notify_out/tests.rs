//! The sender with real sockets on loopback: each step waits for the message it expects.

use super::*;
use crate::dns::tsig::{Algorithm, Key};
use crate::zone::Zone;
use crate::zone::zone_text::zone;

fn published(zones: &Zones, serial: u32) {
    let text =
        format!("example. 300 SOA ns hostmaster {serial} 3600 600 86400 60\n@ 300 NS ns\nns 300 A 192.0.2.1");
    let contents = zone(&text);
    let zone = Zone::new(contents.apex().clone(), Vec::new(), 0);
    zone.publish(Arc::new(contents), None);
    zones.insert(Arc::new(zone));
}

fn apex() -> Name {
    "example.".parse().unwrap()
}

fn key() -> Key {
    Key::new("k.".parse().unwrap(), Algorithm::HmacSha256, vec![7; 32])
}

/// A secondary, a zone, and settings with the secondary as the only target.
async fn site(key_name: Option<Name>) -> (UdpSocket, Zones, Settings) {
    let secondary = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = Target { address: secondary.local_addr().unwrap(), key: key_name };
    let policy = Policy { also_notify: vec![target], name_servers: false, delay: Duration::ZERO };
    let settings = Settings {
        policies: [(apex(), policy)].into(),
        keys: Keys::new([key()]),
        rate_per_sec: 1000,
        ..Settings::default()
    };
    let zones = Zones::default();
    published(&zones, 1);
    (secondary, zones, settings)
}

/// A secondary, and the sender with it as the only target.
async fn pair() -> (UdpSocket, Zones, NotifyOut) {
    let (secondary, zones, settings) = site(None).await;
    let notify = NotifyOut::start(zones.clone(), settings);
    (secondary, zones, notify)
}

/// The next message and its serial.
async fn received(secondary: &UdpSocket) -> (Vec<u8>, SocketAddr, u32) {
    let mut packet = vec![0; 1500];
    let (length, from) = secondary.recv_from(&mut packet).await.unwrap();
    packet.truncate(length);
    let message = Message::parse(&packet).unwrap();
    let serial = crate::zone::changeset::soa_serial(&message.answers[0].rdata).unwrap();
    (packet, from, serial)
}

fn response_to(request: &[u8]) -> Vec<u8> {
    // Up to the question, with QR set.
    let mut response = request[..12 + apex().as_wire().len() + 4].to_vec();
    response[2] |= 0x80;
    response[6..12].fill(0);
    response
}

#[tokio::test]
async fn becoming_active_tells_of_every_zone_and_then_of_each_change() {
    let (secondary, zones, notify) = pair().await;
    published(&zones, 2);
    notify.changed(&apex());
    notify.set_active(true);
    let (packet, from, serial) = received(&secondary).await;
    assert_eq!(serial, 2);
    secondary.send_to(&response_to(&packet), from).await.unwrap();
    published(&zones, 3);
    notify.changed(&apex());
    // The answer and the change may be seen in either order; in the end serial 3 is told.
    let (packet, from, serial) = received(&secondary).await;
    assert_eq!(serial, 3);
    secondary.send_to(&response_to(&packet), from).await.unwrap();
    notify.stop();
}

#[tokio::test]
async fn a_message_without_an_answer_is_sent_again_with_the_newest_soa() {
    let (secondary, zones, notify) = pair().await;
    notify.set_active(true);
    assert_eq!(received(&secondary).await.2, 1);
    published(&zones, 2);
    let (packet, from, serial) = received(&secondary).await;
    assert_eq!(serial, 2);
    // A server that is not ready is asked again too.
    let mut servfail = response_to(&packet);
    servfail[3] |= 2;
    secondary.send_to(&servfail, from).await.unwrap();
    assert_eq!(received(&secondary).await.2, 2);
    notify.stop();
}

#[tokio::test]
async fn with_a_key_the_message_is_signed_and_only_a_signed_answer_counts() {
    let (secondary, zones, settings) = site(Some(key().name)).await;
    let notify = NotifyOut::start(zones.clone(), settings.clone());
    notify.set_active(true);
    let mut sender = Sender::new(zones, settings, Arc::clone(&notify.0));
    assert!(sender.take_inbox());
    let Some(Action::Send { zone, target, id }) = sender.schedule.poll(clock::monotonic(), || 7) else {
        panic!("becoming active makes a message due");
    };
    sender.send(&zone, &target, id).await.unwrap();
    let (packet, _, _) = received(&secondary).await;
    let message = Message::parse(&packet).unwrap();
    let session = Keys::new([key()]).verify(&packet, &message, clock::unix_secs()).expect("a good signature");

    let mut response = response_to(&packet);
    sender.receive(target.address, &response);
    assert!(sender.schedule.is_outstanding(target.address, id, &zone), "not signed");
    session.expect("it is signed").sign(&mut response, clock::unix_secs());
    let mut forged = response.clone();
    forged[3] ^= 1;
    sender.receive(target.address, &forged);
    assert!(sender.schedule.is_outstanding(target.address, id, &zone), "changed on the way");
    sender.receive(target.address, &response);
    assert!(!sender.schedule.is_outstanding(target.address, id, &zone), "answered");
}
