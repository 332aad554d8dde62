use super::*;
use crate::dns::Name;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn apex() -> Name {
    "example.".parse().unwrap()
}

fn names() -> impl Strategy<Value = Name> {
    let label = prop::sample::select(vec![&b"a"[..], b"b", b"ab", b"*", b"\xff", b"A"]);
    prop::collection::vec(label, 0..6)
        .prop_map(|labels| labels.iter().fold(apex(), |name, label| name.child(label).unwrap()))
}

fn zones() -> impl Strategy<Value = BTreeMap<Name, RrType>> {
    let rtype = prop::sample::select(vec![RrType::A, RrType::A, RrType::A, RrType::NS, RrType::DNAME]);
    prop::collection::btree_map(names(), rtype, 0..25)
}

/// What is at a name, in words: the same from the trie and from the model.
fn describe(contents: &Contents, found: Lookup<'_>) -> String {
    let owner = |leaf: &Leaf| leaf.owner(contents.apex()).to_lowercase();
    match found {
        Lookup::OutOfZone => "out of zone".into(),
        Lookup::Found(leaf) => format!("found {}", owner(leaf)),
        Lookup::Empty | Lookup::EmptyWildcard { .. } => "empty".into(),
        Lookup::Delegation(Delegation { cut, labels, at_cut, node }) => {
            format!("cut {} {labels} {at_cut} {:?}", owner(cut), node.map(owner))
        }
        Lookup::Dname { leaf, labels } => format!("dname {} {labels}", owner(leaf)),
        Lookup::Wildcard { leaf, encloser_labels } => format!("wildcard {} {encloser_labels}", owner(leaf)),
        Lookup::NoName { encloser_labels } => format!("no name {encloser_labels}"),
    }
}

/// RFC 1034 §4.3.2 word for word: down from the apex, label by label.
fn naive(zone: &BTreeMap<Name, RrType>, name: &Name) -> String {
    let mut path = vec![name.clone()];
    while path.last() != Some(&apex()) {
        path.push(path.last().and_then(Name::parent).unwrap());
    }
    path.reverse();
    let depth = path.len() - 1;
    let exists = |name: &Name| zone.keys().any(|owner| owner.is_at_or_below(name));
    for (labels, ancestor) in path.iter().enumerate() {
        match zone.get(ancestor) {
            Some(&RrType::NS) if labels > 0 => {
                let node = zone.contains_key(name).then(|| name.to_lowercase());
                return format!("cut {} {labels} {} {node:?}", ancestor.to_lowercase(), labels == depth);
            }
            Some(&RrType::DNAME) if labels < depth => {
                return format!("dname {} {labels}", ancestor.to_lowercase());
            }
            _ => {}
        }
    }
    if zone.contains_key(name) {
        return format!("found {}", name.to_lowercase());
    }
    if exists(name) {
        return "empty".into();
    }
    let encloser_labels = path.iter().rposition(exists).unwrap_or(0);
    let wildcard = path[encloser_labels].child(b"*").unwrap();
    match (zone.contains_key(&wildcard), exists(&wildcard)) {
        (true, _) => format!("wildcard {} {encloser_labels}", wildcard.to_lowercase()),
        (false, true) => "empty".into(),
        (false, false) => format!("no name {encloser_labels}"),
    }
}

fn build(zone: &BTreeMap<Name, RrType>) -> Contents {
    let mut contents = Contents::empty(apex());
    for (owner, rtype) in zone {
        contents.add(owner, *rtype, 60, b"\x01x\x00");
    }
    contents
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn lookup_finds_what_the_algorithm_of_rfc_1034_finds(zone in zones(), queries in prop::collection::vec(names(), 1..40)) {
        // An empty trie says nothing about names; a zone always has its apex.
        let mut zone = zone;
        zone.entry(apex()).or_insert(RrType::A);
        let contents = build(&zone);
        let mut batch: Vec<LookupName> = Vec::new();
        for query in &queries {
            let mut name = LookupName::default();
            prop_assert!(name.set(query.as_wire()));
            let found = describe(&contents, lookup(&contents, &mut name));
            prop_assert_eq!(&found, &naive(&zone, query), "{} in {:?}", query, zone);
            batch.push(name);
        }
        let zones = vec![Some(&contents); batch.len()];
        let mut results = vec![Lookup::OutOfZone; batch.len()];
        lookup_batch(&mut batch, &zones, &mut results);
        for (query, result) in queries.iter().zip(results) {
            prop_assert_eq!(describe(&contents, result), naive(&zone, query), "{} in a batch", query);
        }
    }

    #[test]
    fn reading_a_name_never_panics(message in prop::collection::vec(any::<u8>(), 0..300), at in 0..300usize) {
        let mut name = LookupName::default();
        if let Some(end) = name.read(&message, at) {
            prop_assert!(end <= message.len());
            prop_assert!(Name::from_wire(name.lower()).is_ok());
        }
    }
}

#[test]
fn a_label_longer_than_what_is_left_of_a_name_is_no_match() {
    let long = format!("{}.example.", "a".repeat(63));
    let zone = BTreeMap::from([(apex(), RrType::A), (long.parse().unwrap(), RrType::A)]);
    let contents = build(&zone);
    // 255 octets, the last label but those of the apex a short one.
    let labels = [&*"a".repeat(63), &"a".repeat(63), &"a".repeat(63), &"a".repeat(51), "a", "example"];
    let name: Name = format!("{}.", labels.join(".")).parse().unwrap();
    assert_eq!(name.as_wire().len(), 255);
    let mut lookup_name = LookupName::default();
    assert!(lookup_name.set(name.as_wire()));
    assert_eq!(describe(&contents, lookup(&contents, &mut lookup_name)), "no name 0");
}

#[test]
fn a_name_in_another_zone_is_out_of_zone() {
    let contents = build(&BTreeMap::from([(apex(), RrType::A)]));
    for text in [".", "test.", "xexample.", "a.test."] {
        let mut name = LookupName::default();
        assert!(name.set(text.parse::<Name>().unwrap().as_wire()));
        assert_eq!(describe(&contents, lookup(&contents, &mut name)), "out of zone", "{text}");
    }
}

#[test]
fn a_name_is_read_through_pointers_that_point_backwards() {
    let message = b"\x03Www\x07example\x00\x01a\xc0\x04\xc0\x0d\xc0\x13";
    let mut name = LookupName::default();
    assert_eq!(name.read(message, 17), Some(19));
    assert_eq!((name.lower(), name.label_count()), (&b"\x01a\x07example\x00"[..], 2));
    assert_eq!([0, 1, 2].map(|label| name.position(label)), [13, 4, 12]);
    assert_eq!(name.read(message, 0), Some(13));
    assert_eq!(name.placed(1).offset, Some(4));
    // At itself, and over the end.
    assert_eq!(name.read(b"\xc0\x00", 0), None);
    assert_eq!(name.read(b"\x03ab", 0), None);
}

#[test]
fn the_nsec_that_covers_a_name_below_a_cut_is_that_of_the_cut() {
    let mut contents = build(&BTreeMap::from([(apex(), RrType::A)]));
    for owner in ["example.", "b.example."] {
        contents.add(&owner.parse().unwrap(), RrType::NSEC, 60, b"\x00\x00\x01\x40");
    }
    contents.add(&"b.example.".parse().unwrap(), RrType::NS, 60, b"\x01x\x00");
    contents.add(&"ns.b.example.".parse().unwrap(), RrType::A, 60, &[1, 2, 3, 4]);
    for (query, absent, owner) in [
        ("c.example.", Absent::Name, Some("b.example.")),
        ("a.example.", Absent::Name, Some("example.")),
        ("c.example.", Absent::Wildcard { encloser_labels: 0 }, Some("example.")),
        ("c.test.", Absent::Name, None),
    ] {
        let mut name = LookupName::default();
        assert!(name.set(query.parse::<Name>().unwrap().as_wire()));
        let found =
            covering(&contents, &mut name, absent).map(|leaf| leaf.owner(contents.apex()).to_string());
        assert_eq!(found.as_deref(), owner, "{query}");
    }
}

#[test]
fn an_owner_of_nsec3_records_is_no_name_unless_something_else_is_there() {
    let hash = |first: &str| format!("{first}{}.example.", "0".repeat(31));
    let mut contents = build(&BTreeMap::from([(apex(), RrType::A)]));
    let mut add = |owner: &str, rtype, rdata: &[u8]| contents.add(&owner.parse().unwrap(), rtype, 60, rdata);
    for first in ["a", "b", "c", "d"] {
        add(&hash(first), RrType::NSEC3, b"\x01\x00\x00\x00\x00\x01\xff");
    }
    add(&hash("b"), RrType::A, &[192, 0, 2, 1]);
    add(&format!("www.{}", hash("c")), RrType::A, &[192, 0, 2, 1]);
    let check = |contents: &Contents, cases: &[(String, &str)]| {
        for (name, wanted) in cases {
            let mut lookup_name = LookupName::default();
            assert!(lookup_name.set(name.parse::<Name>().unwrap().as_wire()));
            assert_eq!(describe(contents, lookup(contents, &mut lookup_name)), *wanted, "{name}");
        }
    };
    let found = format!("found {}", hash("b"));
    let below = |first: &str| format!("x.{}", hash(first));
    let names_of_the_zone = [
        (hash("b"), found.as_str()),
        (below("b"), "no name 1"),
        (hash("c"), "empty"),
        (below("c"), "no name 1"),
    ];
    check(&contents, &names_of_the_zone);
    check(&contents, &[(hash("a"), "no name 0"), (below("a"), "no name 0"), (below("d"), "no name 0")]);

    contents.add(&"*.example.".parse().unwrap(), RrType::A, 60, &[192, 0, 2, 2]);
    check(&contents, &names_of_the_zone);
    check(&contents, &[(hash("a"), "wildcard *.example. 0"), (below("d"), "wildcard *.example. 0")]);

    let links = |contents: &Contents| {
        let leaves = contents.hashed_before(b"b0000000000000000000000000000001");
        leaves.map(|leaf| leaf.relative()[1] as char).collect::<String>()
    };
    assert_eq!(links(&contents), "badc");
    contents.remove(&hash("a").parse().unwrap(), RrType::NSEC3);
    contents.remove(&hash("b").parse().unwrap(), RrType::NSEC3);
    assert_eq!(links(&contents), "dc");
    contents.remove(&hash("c").parse().unwrap(), RrType::NSEC3);
    contents.remove(&hash("d").parse().unwrap(), RrType::NSEC3);
    assert_eq!(links(&contents), "");
}

#[test]
fn capital_letters_and_nothing_else_are_read_in_lower_case() {
    let mut name = LookupName::default();
    for start in (0..=u8::MAX).step_by(32) {
        let octets: Vec<u8> = (start..=start + 31).collect();
        // So that each of them stands in each place of a word.
        for shift in 0..8 {
            let label = [&b"-------"[..shift], &octets].concat();
            let wire = [&[label.len() as u8][..], &label, b"\x00"].concat();
            assert!(name.set(&wire));
            assert_eq!(name.lower()[1..], wire[1..].to_ascii_lowercase());
        }
    }
}

#[test]
fn the_longest_names_are_read_and_longer_ones_are_not() {
    let mut name = LookupName::default();
    let labels = |count: usize| [b"\x01a".repeat(count), vec![0]].concat();
    assert!(name.set(&labels(127)));
    assert_eq!((name.label_count(), name.lower().len(), name.suffix(127)), (127, 255, &b"\x00"[..]));
    assert!(!name.set(&labels(128)));
    let long = |last: usize| {
        let lens = [63, 63, 63, last];
        let labels = lens.iter().map(|&len| [vec![len as u8], vec![b'A'; len]].concat());
        [labels.collect::<Vec<_>>().concat(), vec![0]].concat()
    };
    assert!(name.set(&long(61)));
    assert_eq!(name.lower(), long(61).to_ascii_lowercase());
    assert!(!name.set(&long(62)));
    assert!(!name.set(&long(63)));
}
