use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(in crate::zone) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(in crate::zone) fn soa_rdata(serial: u32) -> Vec<u8> {
    let mut rdata = b"\x02ns\x07example\x00\x04mail\x07example\x00".to_vec();
    for number in [serial, 2, 3, 4, 5] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    rdata
}

pub(in crate::zone) fn empty() -> Contents {
    let mut contents = Contents::empty(name("example."));
    contents.add(&name("example."), RrType::SOA, 300, &soa_rdata(7));
    contents
}

/// The records as text-like tuples, in the order they are stored.
pub(in crate::zone) fn listing(contents: &Contents) -> Vec<(Name, RrType, u32, Vec<u8>)> {
    let mut records = Vec::new();
    for rrset in contents.nodes().flat_map(|node| node.rrsets()) {
        records.extend(
            rrset.rdatas.iter().map(|rdata| (rrset.owner.clone(), rrset.rtype, rrset.ttl, rdata.to_vec())),
        );
    }
    records
}

#[test]
fn the_serial_is_that_of_the_soa() {
    assert_eq!(Contents::empty(name("example.")).serial(), 0);
    assert_eq!(empty().serial(), 7);
}

#[test]
fn the_case_of_the_first_record_stays() {
    let mut contents = empty();
    contents.add(&name("WwW.example."), RrType::A, 1, &[1, 2, 3, 4]);
    contents.add(&name("www.example."), RrType::A, 1, &[1, 2, 3, 5]);
    let owner = contents.node(&name("www.EXAMPLE.")).unwrap().owner();
    assert!(owner.eq_case(&name("WwW.example.")), "{owner}");
    assert_eq!(contents.rrset(&name("www.example."), RrType::A).unwrap().rdatas.len(), 2);
}

#[test]
fn an_rrset_keeps_its_first_ttl_and_drops_duplicates() {
    let mut contents = empty();
    for (ttl, last) in [(10, 2), (20, 1), (30, 2)] {
        contents.add(&name("a.example."), RrType::A, ttl, &[1, 2, 3, last]);
    }
    let rrset = contents.rrset(&name("a.example."), RrType::A).unwrap();
    assert_eq!((rrset.ttl, rrset.rdatas), (10, vec![[1, 2, 3, 1].into(), [1, 2, 3, 2].into()]));
    assert_eq!(contents.record_count(), 3);
}

#[test]
fn names_in_rdata_come_back_as_they_were_put_in() {
    let owner = name("Sub.example.");
    let targets = [
        "ns.sub.example.",
        "ns.Sub.example.",
        "a.ns.Sub.example.",
        "example.",
        "x.other.",
        "y.x.other.",
        ".",
    ];
    let mut contents = empty();
    for target in targets {
        contents.add(&owner, RrType::NS, 60, name(target).as_wire());
    }
    let mut kept: Vec<String> = contents
        .rrset(&owner, RrType::NS)
        .unwrap()
        .rdatas
        .iter()
        .map(|rdata| Name::from_wire(rdata).unwrap().to_string())
        .collect();
    kept.sort();
    // The two that differ in case only are one record once RDATA is compared without case.
    let mut expected: Vec<String> = targets.iter().map(|target| target.to_string()).collect();
    expected.sort();
    kept.dedup_by_key(|text| text.to_lowercase());
    expected.dedup_by_key(|text| text.to_lowercase());
    assert_eq!(kept.len(), expected.len());
    assert!(kept.iter().all(|text| targets.contains(&text.as_str())), "{kept:?}");
}

#[test]
fn signatures_have_the_ttl_of_what_they_cover() {
    let mut contents = empty();
    let owner = name("a.example.");
    contents.add(&owner, RrType::RRSIG, 300, &[0, 1, 9]);
    contents.add(&owner, RrType::RRSIG, 60, &[0, 47, 9]);
    let ttls: Vec<u32> = contents.node(&owner).unwrap().rrsets().map(|rrset| rrset.ttl).collect();
    assert_eq!(ttls, [300, 60]);
    let mut all = contents.rrset(&owner, RrType::RRSIG).unwrap();
    assert_eq!(all.rdatas.len(), 2);
    all.rdatas.push([0, 47, 8].into());
    all.ttl = 90;
    contents.put(&all);
    let ttls: Vec<(u32, usize)> =
        contents.node(&owner).unwrap().rrsets().map(|rrset| (rrset.ttl, rrset.rdatas.len())).collect();
    assert_eq!(ttls, [(300, 1), (90, 2)]);
}

#[test]
fn the_digest_sees_every_field_but_not_the_case_of_owners() {
    let zone = |owner: &str, ttl, last| {
        let mut contents = empty();
        contents.add(&name(owner), RrType::A, ttl, &[1, 2, 3, last]);
        contents.digest()
    };
    assert_eq!(zone("a.example.", 1, 1), zone("A.example.", 1, 1));
    assert_ne!(zone("a.example.", 1, 1), zone("b.example.", 1, 1));
    assert_ne!(zone("a.example.", 1, 1), zone("a.example.", 2, 1));
    assert_ne!(zone("a.example.", 1, 1), zone("a.example.", 1, 2));
}

#[test]
fn a_name_without_records_exists_if_one_below_it_has_some() {
    let mut contents = empty();
    contents.add(&name("a.b.c.example."), RrType::A, 1, &[1, 2, 3, 4]);
    for (text, exists) in [
        ("b.c.example.", true),
        ("c.example.", true),
        ("a.b.c.example.", true),
        ("bc.example.", false),
        ("x.a.b.c.example.", false),
        ("b.example.", false),
    ] {
        assert_eq!(contents.name_exists(&name(text)), exists, "{text}");
    }
    assert!(contents.node(&name("b.c.example.")).is_none());
    assert!(contents.remove(&name("a.b.c.example."), RrType::A));
    assert!(!contents.name_exists(&name("c.example.")));
    assert!(!contents.remove(&name("a.b.c.example."), RrType::A));
}

#[test]
fn the_deepest_trie_is_built_changed_and_dropped_on_a_small_stack() {
    let work = || {
        let mut contents = empty();
        let mut owners = Vec::new();
        let mut parent = name("example.");
        for _ in 0..3 {
            // Each name is the beginning of the next: a branch for each of them, one below the other.
            owners.extend((1..=63).map(|len| parent.child(&b"a".repeat(len)).unwrap()));
            parent = owners.last().unwrap().clone();
        }
        for owner in &owners {
            contents.add(owner, RrType::A, 1, &[1, 2, 3, 4]);
        }
        let before = contents.clone();
        assert!(owners.iter().rev().all(|owner| contents.remove(owner, RrType::A)));
        assert_eq!((before.record_count(), contents.record_count()), (1 + 3 * 63, 1));
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(work).unwrap().join().unwrap();
}

/// The model: records in a map. Two-letter alphabets make names meet.
type Model = BTreeMap<(Name, RrType), Vec<Vec<u8>>>;

pub(in crate::zone) fn names() -> impl Strategy<Value = Name> {
    let label = prop::sample::select(vec![&b"a"[..], b"b", b"ab", b"*", b"\x00", b"\xff", b"B"]);
    prop::collection::vec(label, 0..5)
        .prop_map(|labels| labels.iter().fold(name("example."), |name, label| name.child(label).unwrap()))
}

#[derive(Clone, Debug)]
enum Step {
    Add(Name, RrType, u8),
    Put(Name, RrType, Vec<u8>),
    Remove(Name, RrType),
    Snapshot,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let rtype = prop_oneof![Just(RrType::A), Just(RrType::TXT), Just(RrType(65280))];
    let step = prop_oneof![
        4 => (names(), rtype.clone(), 0..4u8).prop_map(|(name, rtype, rdata)| Step::Add(name, rtype, rdata)),
        2 => (names(), rtype.clone(), prop::collection::vec(0..4u8, 0..4)).prop_map(|(name, rtype, rdatas)| Step::Put(name, rtype, rdatas)),
        3 => (names(), rtype).prop_map(|(name, rtype)| Step::Remove(name, rtype)),
        1 => Just(Step::Snapshot),
    ];
    prop::collection::vec(step, 1..80)
}

fn check_against_model(contents: &Contents, model: &Model, probes: &[Name]) {
    let listed: Model = contents
        .nodes()
        .flat_map(|node| node.rrsets())
        .map(|rrset| ((rrset.owner, rrset.rtype), rrset.rdatas.iter().map(|rdata| rdata.to_vec()).collect()))
        .collect();
    assert_eq!(&listed, model);
    let owners: Vec<Name> = contents.nodes().map(|node| node.owner()).collect();
    assert!(owners.windows(2).all(|pair| pair[0] < pair[1]), "canonical order: {owners:?}");
    assert_eq!(contents.record_count(), model.values().map(|rdatas| rdatas.len() as u64).sum::<u64>());
    let wildcards = owners.iter().filter(|owner| owner.labels().any(|label| label == b"*")).count();
    assert_eq!(contents.has_wildcards(), wildcards > 0);
    for probe in probes {
        assert_eq!(contents.node(probe).is_some(), owners.contains(probe), "{probe}");
        assert_eq!(
            contents.name_exists(probe),
            owners.iter().any(|owner| owner.is_at_or_below(probe)),
            "{probe}"
        );
        let before = owners.iter().rev().find(|owner| *owner <= probe);
        assert_eq!(contents.predecessor(probe).map(|node| node.owner()).as_ref(), before, "{probe}");
        let behind: Vec<Name> = contents.nodes_from(probe).map(|node| node.owner()).collect();
        assert!(behind.iter().eq(owners.iter().filter(|owner| *owner >= probe)), "from {probe}: {behind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn contents_behave_like_a_map_and_versions_stay_as_they_were(steps in steps(), probes in prop::collection::vec(names(), 10)) {
        let mut contents = Contents::empty(name("example."));
        let mut model = Model::new();
        let mut versions = Vec::new();
        for step in steps {
            match step {
                Step::Add(owner, rtype, rdata) => {
                    contents.add(&owner, rtype, 5, &[rdata]);
                    let rdatas = model.entry((owner, rtype)).or_default();
                    rdatas.push(vec![rdata]);
                    rdatas.sort();
                    rdatas.dedup();
                }
                Step::Put(owner, rtype, rdatas) => {
                    let rrset = Rrset { owner: owner.clone(), rtype, ttl: 5, rdatas: rdatas.iter().map(|rdata| [*rdata].into()).collect() };
                    contents.put(&rrset);
                    let mut rdatas: Vec<Vec<u8>> = rdatas.into_iter().map(|rdata| vec![rdata]).collect();
                    rdatas.sort();
                    rdatas.dedup();
                    match rdatas.is_empty() {
                        true => model.remove(&(owner, rtype)),
                        false => model.insert((owner, rtype), rdatas),
                    };
                }
                Step::Remove(owner, rtype) => {
                    let removed = contents.remove(&owner, rtype);
                    assert_eq!(removed, model.remove(&(owner, rtype)).is_some());
                }
                Step::Snapshot => versions.push((contents.clone(), model.clone())),
            }
        }
        check_against_model(&contents, &model, &probes);
        for (version, model) in &versions {
            check_against_model(version, model, &probes);
        }
    }
}

#[test]
fn leaves_of_a_zone_that_is_handed_on_come_in_canonical_order() {
    let mut contents = empty();
    for owner in ["b.example.", "a.b.example.", "ns.example.", "B.example."] {
        contents.add(&name(owner), RrType::TXT, 60, owner.as_bytes());
    }
    let kept = contents.clone();
    let owners: Vec<Name> = kept.nodes().map(|node| node.owner()).collect();
    let leaves: Vec<Leaf> = contents.into_leaves().collect();
    let found: Vec<Name> = leaves.iter().map(|leaf| Node::of(kept.apex(), leaf).owner()).collect();
    assert_eq!((found, kept.nodes().count()), (owners, 4));
}
