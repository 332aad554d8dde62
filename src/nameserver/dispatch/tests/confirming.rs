//! Reads that wait until they are confirmed.

use super::*;
use crate::config::{Consistency, ZoneServing};

#[test]
fn a_linearizable_read_waits_until_it_is_confirmed() {
    let readers: Arc<Mutex<Vec<Reader>>> = Arc::default();
    let waiting = Arc::clone(&readers);
    let Fixture { nameserver, .. } = fixture();
    let mut policy = Policy::clone(&nameserver.policy.load());
    policy.confirms_reads = true;
    let zone = policy.zones.get_mut(&name("example.com.")).expect("a zone");
    zone.serving = ZoneServing { consistency: Consistency::Linearizable, ..ZoneServing::default() };
    nameserver.policy.store(Arc::new(policy));
    let nameserver =
        nameserver.confirming(Box::new(move |reader| waiting.lock().expect("no panic").push(reader)));
    let ask = |owner| {
        let packet = Packet::new(0, &[(owner, 1, 1)]).bytes();
        let (sender, responses) = mpsc::channel();
        let responder = Box::new(move |response: Vec<u8>| sender.send(response).expect("a listener"));
        let action = nameserver.handle(&packet, &client(Transport::Tcp), responder);
        (matches!(action, Action::Pending), responses)
    };
    let rcode = |response: Vec<u8>| Rcode(u16::from(response[3] & 0xf));
    assert!(!ask("www.elsewhere.test.").0, "another zone is not held up");
    for (is_current, expected) in [(true, Rcode::NOERROR), (false, Rcode::SERVFAIL)] {
        let (is_pending, responses) = ask("www.example.com.");
        assert!(is_pending && responses.try_recv().is_err(), "not before it is confirmed");
        let reader = readers.lock().expect("no panic").pop().expect("a reader");
        reader(is_current);
        assert_eq!(rcode(responses.try_recv().expect("a response")), expected);
    }
}
