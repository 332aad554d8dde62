use super::*;
use crate::zone::zone_text;

/// Names and hashes of RFC 5155 appendix A: SHA-1, 12 iterations, salt aabbccdd. One is of another chain.
const ZONE: &str = "
    example. 3600 SOA ns1 host 1 2 3 4 300
    example. 3600 NSEC3PARAM 1 0 12 aabbccdd
    2t7b4g4vsa5smi47k61mv5bv1a22bojr 3600 NSEC3 1 1 12 aabbccdd k8udemvp1j2f7eg6jebps17vp3n8i58h A
    35mthgpgcu1qg68fab165klnsnk3dpvl 3600 NSEC3 1 1 7 aabbccdd 35mthgpgcu1qg68fab165klnsnk3dpvl A
    k8udemvp1j2f7eg6jebps17vp3n8i58h 3600 NSEC3 1 0 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr
";

fn wire(name: &str) -> Vec<u8> {
    name.parse::<crate::dns::Name>().unwrap().as_wire().to_vec()
}

#[test]
fn names_hash_as_in_rfc_5155_appendix_a() {
    let contents = zone_text::zone(ZONE);
    let chain = Chain::of(&contents).unwrap();
    for (name, hash) in [
        ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
        ("a.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
        ("ns1.example.", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
        ("*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
        ("xx.example.", "t644ebqk9bibcna874givr6joj62mlhv"),
    ] {
        assert_eq!(std::str::from_utf8(&chain.hash(&wire(name))).unwrap(), hash, "{name}");
    }
}

#[test]
fn a_link_is_the_names_own_or_the_one_before_it_of_the_same_chain() {
    let contents = zone_text::zone(ZONE);
    let chain = Chain::of(&contents).unwrap();
    for (name, owner, matches, opt_out) in [
        ("ns1.example.", "2t7b", true, true),
        // Its own hash is there, but of a chain with other parameters.
        ("a.example.", "2t7b", false, true),
        ("w.example.", "k8ud", true, false),
        // Behind the last hash.
        ("xx.example.", "k8ud", false, false),
        // 0p9m: before the first hash, what the last record covers.
        ("example.", "k8ud", false, false),
    ] {
        let link = chain.link(&wire(name)).unwrap();
        let label = std::str::from_utf8(&link.leaf.relative()[1..5]).unwrap();
        assert_eq!((label, link.matches, link.opt_out), (owner, matches, opt_out), "{name}");
    }
}

#[test]
fn a_chain_is_followed_only_if_its_parameters_can_be() {
    for (params, is_followed) in [
        ("1 0 12 aabbccdd", true),
        ("1 0 2500 -", true),
        ("1 0 2501 -", false),
        ("1 1 12 aabbccdd", false),
        ("2 0 12 aabbccdd", false),
    ] {
        let text = ZONE.replace("NSEC3PARAM 1 0 12 aabbccdd", &format!("NSEC3PARAM {params}"));
        assert_eq!(Chain::of(&zone_text::zone(&text)).is_some(), is_followed, "{params}");
    }
}

#[test]
fn a_zone_without_links_proves_nothing() {
    let contents = zone_text::zone("example. 60 SOA ns host 1 2 3 4 5\n example. 60 NSEC3PARAM 1 0 0 -");
    let chain = Chain::of(&contents).unwrap();
    assert!(chain.link(&wire("a.example.")).is_none());
    assert!(chain.provable_encloser(0, |_| b"\x07example\x00").is_none());
}
