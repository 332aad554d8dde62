use super::*;
use crate::zone::contents::tests::{empty, listing, name, names, soa_rdata};
use proptest::prelude::*;

#[test]
fn a_zone_without_soa_cannot_be_built() {
    let mut builder = Contents::builder(name("example."));
    builder.push(name("a.example.").as_wire(), RrType::A, 1, &[1, 2, 3, 4]).unwrap();
    assert_eq!(builder.finish().err(), Some(BuildError::NoSoa));
}

#[test]
fn an_owner_out_of_the_zone_is_refused() {
    let mut builder = Contents::builder(name("example."));
    let result = builder.push(name("a.test.").as_wire(), RrType::A, 1, &[1, 2, 3, 4]);
    assert_eq!(result, Err(BuildError::OutOfZone(name("a.test."))));
    let mut contents = empty();
    contents.add(&name("a.test."), RrType::A, 1, &[1, 2, 3, 4]);
    assert_eq!(contents.record_count(), 1);
}

#[test]
fn rrsets_over_the_limits_of_a_message_are_kept() {
    let mut builder = Contents::builder(name("example."));
    builder.push(name("example.").as_wire(), RrType::SOA, 1, &soa_rdata(1)).unwrap();
    for number in 0..70_000u32 {
        builder.push(name("big.example.").as_wire(), RrType::A, 1, &number.to_be_bytes()).unwrap();
    }
    let mut contents = builder.finish().unwrap();
    contents.add(&name("big.example."), RrType::TXT, 1, &[1, b'x']);
    assert_eq!(contents.record_count(), 70_002);
    let rrset = contents.rrset(&name("big.example."), RrType::A).unwrap();
    assert!(rrset.rdatas.iter().enumerate().all(|(number, rdata)| **rdata == (number as u32).to_be_bytes()));
}

#[test]
fn encoded_owners_build_the_same_zone() {
    let mut contents = empty();
    contents.add(&name("B.example."), RrType::A, 5, &[1, 2, 3, 4]);
    contents.add(&name("B.example."), RrType::RRSIG, 6, &[0, 1, 9]);
    contents.add(&name("b.b.example."), RrType::TXT, 7, &[1, b'x']);
    let mut builder = Contents::builder(name("example."));
    for node in contents.nodes() {
        let mut row = Vec::new();
        node.encode(&mut row);
        assert!(builder.push_encoded(&row));
        // What is cut off between two records is whole as far as it goes.
        let whole = (0..row.len()).filter(|cut| Builder::new(name("example.")).push_encoded(&row[..*cut]));
        assert!(whole.count() < node.rrsets().count());
    }
    let copy = builder.finish().unwrap();
    assert_eq!(listing(&copy), listing(&contents));
    assert_eq!(copy.digest(), contents.digest());
}

/// Owners whose keys are the same over more than a window, in the order given.
fn built(owners: &[Name]) -> Contents {
    let mut builder = Contents::builder(name("example."));
    for (number, owner) in owners.iter().enumerate() {
        builder.push(owner.as_wire(), RrType::A, 5, &(number as u32).to_be_bytes()).unwrap();
    }
    builder.finish_incomplete()
}

#[test]
fn keys_that_are_the_same_for_long_are_sorted_too() {
    let mut owners = Vec::new();
    for (label, count) in [("x", 60), ("y.x", 60), ("", 20)] {
        let parent = name(format!("{label}.example.").trim_start_matches('.'));
        let mut owner = parent.child(b"a-label-that-is-longer-than-a-window-of-codes").unwrap();
        for number in 0..count {
            let label = format!("{}", number * 7919 % 61);
            owners.push(owner.child(label.as_bytes()).unwrap());
            if number % 20 == 0 {
                owner = owner.child(b"another-label-that-is-longer-than-a-window").unwrap();
                owners.push(owner.clone());
            }
        }
    }
    let contents = built(&owners);
    let mut expected = owners.clone();
    expected.sort();
    expected.dedup();
    let listed: Vec<Name> = contents.nodes().map(|node| node.owner()).collect();
    assert_eq!(listed, expected);
    assert!(owners.iter().all(|owner| contents.node(owner).is_some()));
    assert_eq!(contents.record_count(), owners.len() as u64);
}

#[test]
fn owners_are_marked_for_what_they_have_together() {
    let mut builder = Builder::marking(name("example."), |leaf| leaf.rrsets().count() > 1);
    let mut push = |owner: &str, rtype| builder.push(name(owner).as_wire(), rtype, 5, &[1]).unwrap();
    push("b.example.", RrType(65280));
    push("c.example.", RrType(65280));
    push("c.example.", RrType(65281));
    push("a.example.", RrType(65280));
    push("d.example.", RrType(65280));
    push("A.example.", RrType(65281));
    let (contents, marked) = builder.finish_marked();
    assert_eq!(marked, [name("a.example."), name("c.example.")]);
    assert_eq!(contents.record_count(), 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_built_zone_is_the_zone_of_its_records_in_any_order(records in prop::collection::vec((names(), 0..3u16, 0..9u8), 0..60)) {
        let mut builder = Contents::builder(name("example."));
        let mut added = empty();
        builder.push(name("example.").as_wire(), RrType::SOA, 300, &soa_rdata(7)).unwrap();
        for (owner, rtype, rdata) in &records {
            builder.push(owner.as_wire(), RrType(65280 + rtype), 5, &[*rdata]).unwrap();
            added.add(owner, RrType(65280 + rtype), 5, &[*rdata]);
        }
        let built = builder.finish().unwrap();
        prop_assert_eq!(listing(&built), listing(&added));
        prop_assert_eq!(built.record_count(), added.record_count());
    }
}
