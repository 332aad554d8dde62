//! Every expectation here was seen at BIND 9.18.49 with the same zone and the same messages, unless the test says otherwise.

use super::*;
use crate::zone::zone_text::{listing, record, zone};
use proptest::prelude::*;

const ZONE: &str = "
    example.  300 SOA ns hostmaster 5 3600 600 86400 60
    @         300 NS ns
    @         300 NS ns2.other.
    ns        300 A 192.0.2.1
    www       300 A 192.0.2.2
    www       300 A 192.0.2.3
    alias     300 CNAME www
    mail      300 MX 10 ns
    sub       300 NS ns.sub
    ns.sub    300 A 192.0.2.9
    sub       300 DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000
    dn        300 DNAME target
    txt       300 TXT \"a\"
    a.b.ent   300 TXT \"x\"
    *.wild    300 A 192.0.2.77
    nsup      300 NS Target.Example.
";

const DS2_SHOWN: &str = "DS 2 8 2 01010101010101010101010101010101010101010101010101010101 01010101";
const DS2: &str = "DS 2 8 2 0101010101010101010101010101010101010101010101010101010101010101";

fn request(prerequisites: &[&str], updates: &[&str]) -> UpdateRequest {
    let apex: Name = "example.".parse().unwrap();
    let records = |lines: &[&str]| lines.iter().map(|line| record(&apex, line)).collect();
    UpdateRequest { prerequisites: records(prerequisites), updates: records(updates) }
}

/// What a transaction of these requests changes, `-` and `+` lines, the serial in front; empty if nothing.
fn changes(contents: &Contents, requests: &[UpdateRequest]) -> (Vec<Rcode>, Vec<String>) {
    let mut transaction = Transaction::new(contents);
    let rcodes = requests.iter().map(|request| transaction.apply(request)).collect();
    let Some((after, changeset)) = transaction.finish() else { return (rcodes, Vec::new()) };
    assert_eq!(changeset.to_serial, after.serial());
    assert!(serial::is_newer(changeset.to_serial, changeset.from_serial));
    let mut applied = contents.clone();
    changeset.apply(&mut applied).expect("a changeset fits the version it was made from");
    assert_eq!(listing(&applied), listing(&after), "the changeset leads to the new version");
    assert_eq!(Changeset::diff(contents, &after), changeset, "it is the difference of the two versions");
    let mut lines = vec![format!("{} -> {}", changeset.from_serial, changeset.to_serial)];
    lines.extend(changeset.removed[1..].iter().map(|record| format!("- {record}")));
    lines.extend(changeset.added[1..].iter().map(|record| format!("+ {record}")));
    (rcodes, lines)
}

/// Runs one request against [`ZONE`].
fn check(title: &str, prerequisites: &[&str], updates: &[&str], rcode: Rcode, expected: &[&str]) {
    check_in(ZONE, title, prerequisites, updates, rcode, expected);
}

fn check_in(
    zone_text: &str,
    title: &str,
    prerequisites: &[&str],
    updates: &[&str],
    rcode: Rcode,
    expected: &[&str],
) {
    let (rcodes, lines) = changes(&zone(zone_text), &[request(prerequisites, updates)]);
    assert_eq!(
        (rcodes, lines),
        (vec![rcode], expected.iter().map(|line| line.to_string()).collect()),
        "{title}"
    );
}

fn ignored(title: &str, updates: &[&str]) {
    check(title, &[], updates, Rcode::NOERROR, &[]);
}

fn refused(title: &str, updates: &[&str], rcode: Rcode) {
    check(title, &[], updates, rcode, &[]);
}

#[test]
fn prerequisites_are_those_of_rfc_2136_section_3_2() {
    let check = |title, prerequisites: &[&str], rcode| {
        let lines: &[&str] =
            if rcode == Rcode::NOERROR { &["5 -> 6", "+ new.example. 60 IN A 1.2.3.4"] } else { &[] };
        check(title, prerequisites, &["new IN 60 A 1.2.3.4"], rcode, lines);
    };
    check("TTL is not zero", &["www ANY 1 A"], Rcode::FORMERR);
    check("TTL comes before the zone", &["www.other. ANY 1 A"], Rcode::FORMERR);
    check("out of the zone", &["www.other. ANY 0 A"], Rcode::NOTZONE);
    check("another class", &["www CH 0 A 1.1.1.1"], Rcode::FORMERR);
    check("class ANY with RDATA", &["www ANY 0 A 1.1.1.1"], Rcode::FORMERR);
    check("class NONE with RDATA", &["www NONE 0 A 1.1.1.1"], Rcode::FORMERR);
    check("malformed RDATA", &["www IN 0 A"], Rcode::FORMERR);
    check("type ANY in class IN", &["www IN 0 ANY"], Rcode::NXRRSET);
    check("type AXFR in class ANY", &["www ANY 0 AXFR"], Rcode::NXRRSET);
    check("type AXFR in class NONE", &["www NONE 0 AXFR"], Rcode::NOERROR);

    check("name is in use", &["WWW ANY 0 ANY"], Rcode::NOERROR);
    check("name is not in use", &["nope ANY 0 ANY"], Rcode::NXDOMAIN);
    check("an empty non-terminal is not in use", &["b.ent ANY 0 ANY"], Rcode::NXDOMAIN);
    check("wildcards do not count", &["x.wild ANY 0 ANY"], Rcode::NXDOMAIN);
    check("DNAME does not count", &["x.dn ANY 0 ANY"], Rcode::NXDOMAIN);
    check("glue does", &["ns.sub ANY 0 ANY"], Rcode::NOERROR);
    check("name should not be in use", &["www NONE 0 ANY"], Rcode::YXDOMAIN);
    check("an empty non-terminal may be taken", &["b.ent NONE 0 ANY"], Rcode::NOERROR);

    check("RRset exists", &["www ANY 0 A"], Rcode::NOERROR);
    check("RRset does not exist", &["www ANY 0 AAAA"], Rcode::NXRRSET);
    check("aliases are not followed", &["alias ANY 0 A"], Rcode::NXRRSET);
    check("RRset should not exist", &["www NONE 0 A"], Rcode::YXRRSET);
    check("RRset may be created", &["www NONE 0 AAAA"], Rcode::NOERROR);

    check("exact set, any order", &["www IN 0 A 192.0.2.3", "www IN 0 A 192.0.2.2"], Rcode::NOERROR);
    check("a part of the set", &["www IN 0 A 192.0.2.3"], Rcode::NXRRSET);
    let all_and_more = ["www IN 0 A 192.0.2.3", "www IN 0 A 192.0.2.2", "www IN 0 A 192.0.2.4"];
    check("more than the set", &all_and_more, Rcode::NXRRSET);
    check("one record twice", &["www IN 0 A 192.0.2.3", "www IN 0 A 192.0.2.3"], Rcode::NXRRSET);
    check("names in RDATA without case", &["alias IN 0 CNAME WWW"], Rcode::NOERROR);
    check("text with case", &["txt IN 0 TXT \"A\""], Rcode::NXRRSET);
    check("sets are compared last", &["www IN 0 TXT \"a\"", "nope ANY 0 ANY"], Rcode::NXDOMAIN);
}

#[test]
fn the_prescan_finds_what_can_never_be_and_comes_before_the_prerequisites() {
    let unmet = ["nope ANY 0 ANY"];
    let check = |title, updates: &[&str], rcode| {
        super::tests::check(title, &unmet, updates, rcode, &[]);
        super::tests::check(title, &[], updates, rcode, &[]);
    };
    check("out of the zone", &["x.other. IN 0 A 1.1.1.1"], Rcode::NOTZONE);
    check("the first error counts", &["x IN 0 AXFR", "x.other. IN 0 A 1.1.1.1"], Rcode::FORMERR);
    check("another class", &["x CH 60 A 1.1.1.1"], Rcode::FORMERR);
    for meta in ["OPT", "TKEY", "TSIG", "IXFR", "AXFR", "MAILB", "MAILA", "TYPE128", "TYPE200"] {
        for class in ["IN", "ANY", "NONE"] {
            check(meta, &[&format!("x {class} 0 {meta}")], Rcode::FORMERR);
        }
    }
    check("type ANY added", &["x IN 60 ANY"], Rcode::FORMERR);
    check("type ANY as one record", &["x NONE 0 ANY"], Rcode::FORMERR);
    check("type 0 added", &["x IN 60 TYPE0"], Rcode::FORMERR);
    check("malformed RDATA added", &["x IN 60 A"], Rcode::FORMERR);
    check("malformed RDATA deleted", &["www NONE 0 A"], Rcode::FORMERR);
    check("one record with a TTL", &["www NONE 1 A 192.0.2.3"], Rcode::FORMERR);
    check("an RRset with a TTL", &["www ANY 1 A"], Rcode::FORMERR);
    check("an RRset with RDATA", &["www ANY 0 A 192.0.2.3"], Rcode::FORMERR);
    for of_the_signer in ["NSEC www A", "SIG A 8 1 300 20330518033320 20170714024000 1 example. AQE="] {
        check(of_the_signer, &[&format!("x IN 60 {of_the_signer}")], Rcode::REFUSED);
    }
    for of_the_signer in ["NSEC", "NSEC3", "SIG", "RRSIG"] {
        check(of_the_signer, &[&format!("x ANY 0 {of_the_signer}")], Rcode::REFUSED);
    }
    ignored("deleting type 0 deletes nothing", &["x ANY 0 TYPE0"]);
    // BIND takes signatures at the apex; without a signer they are refused there too.
    check("RRSIG at the apex", &["@ ANY 0 RRSIG"], Rcode::REFUSED);
}

#[test]
fn rdata_that_cannot_be_read_is_found_before_any_other_error() {
    let check = |title, prerequisites: &[&str], updates: &[&str], rcode| {
        super::tests::check(title, prerequisites, updates, rcode, &[]);
    };
    let out_of_zone = "x.other. IN 0 A 1.1.1.1";
    for bad in ["x IN 0 A", "x IN 0 TYPE0", "x NONE 0 A", "x NONE 0 TYPE0", "x ANY 0 A 1.1.1.1"] {
        check(bad, &[], &[out_of_zone, bad], Rcode::FORMERR);
    }
    for bad in ["x IN 0 A", "x IN 0 TYPE0", "x NONE 0 A 1.1.1.1", "x ANY 0 A 1.1.1.1"] {
        check(bad, &[bad], &[out_of_zone], Rcode::FORMERR);
        check(bad, &["nope ANY 0 ANY", bad], &[], Rcode::FORMERR);
    }
    for readable in ["x IN 0 AXFR", "x ANY 0 AXFR", "x CH 0 NULL", "x ANY 0 TYPE0", "x ANY 1 A"] {
        check(readable, &[], &[out_of_zone, readable], Rcode::NOTZONE);
        check(readable, &[readable], &[out_of_zone], Rcode::NOTZONE);
    }
}

#[test]
fn nothing_changes_when_one_of_many_fails() {
    refused("a bad record at the end", &["a IN 60 A 1.1.1.1", "b.other. IN 60 A 1.1.1.1"], Rcode::NOTZONE);
    refused("a zone that would not load", &["a IN 60 A 1.1.1.1", "a IN 60 MX 1 nowhere"], Rcode::REFUSED);
}

#[test]
fn records_are_added() {
    check(
        "a new name",
        &[],
        &["new IN 60 A 1.1.1.1"],
        Rcode::NOERROR,
        &["5 -> 6", "+ new.example. 60 IN A 1.1.1.1"],
    );
    check(
        "an unknown type",
        &[],
        &["x IN 60 TYPE65280 \\# 0"],
        Rcode::NOERROR,
        &["5 -> 6", "+ x.example. 60 IN TYPE65280 \\# 0"],
    );
    ignored("the same record", &["www IN 300 A 192.0.2.2"]);
    ignored("the same but for case", &["nsup IN 300 NS tARGET"]);
    ignored("the same alias but for case", &["alias IN 300 CNAME WWW"]);
    ignored("added and deleted", &["q IN 60 A 1.1.1.1", "q ANY 0 ANY"]);
    ignored("deleted and added", &["www ANY 0 A", "www IN 300 A 192.0.2.3", "www IN 300 A 192.0.2.2"]);
    let all_at_77 = [
        "5 -> 6",
        "- www.example. 300 IN A 192.0.2.2",
        "- www.example. 300 IN A 192.0.2.3",
        "+ www.example. 77 IN A 192.0.2.2",
        "+ www.example. 77 IN A 192.0.2.3",
    ];
    check("one TTL changes all", &[], &["www IN 77 A 192.0.2.2"], Rcode::NOERROR, &all_at_77);
    let with_one_more = [&all_at_77[..], &["+ www.example. 77 IN A 192.0.2.4"]].concat();
    check("by a new record too", &[], &["www IN 77 A 192.0.2.4"], Rcode::NOERROR, &with_one_more);
    check(
        "beneath DNAME",
        &[],
        &["x.dn IN 60 A 1.1.1.1"],
        Rcode::NOERROR,
        &["5 -> 6", "+ x.dn.example. 60 IN A 1.1.1.1"],
    );
}

#[test]
fn aliases_and_other_data_keep_apart() {
    ignored("an alias beside data", &["www IN 60 CNAME ns"]);
    ignored("data beside an alias", &["alias IN 60 A 1.1.1.1"]);
    ignored("DNAME beside an alias", &["alias IN 60 DNAME www"]);
    ignored("an alias beside DNAME", &["dn IN 60 CNAME www"]);
    check(
        "an alias replaces an alias",
        &[],
        &["alias IN 60 CNAME ns"],
        Rcode::NOERROR,
        &["5 -> 6", "- alias.example. 300 IN CNAME www.example.", "+ alias.example. 60 IN CNAME ns.example."],
    );
    check(
        "DNAME replaces DNAME",
        &[],
        &["dn IN 60 DNAME www"],
        Rcode::NOERROR,
        &["5 -> 6", "- dn.example. 300 IN DNAME target.example.", "+ dn.example. 60 IN DNAME www.example."],
    );
    check(
        "a KEY may stand beside an alias, whichever is first",
        &[],
        &["alias IN 79 KEY 256 3 5 AQIDBA==", "kc IN 79 KEY 256 3 5 AQIDBA==", "kc IN 79 CNAME ns"],
        Rcode::NOERROR,
        &[
            "5 -> 6",
            "+ alias.example. 79 IN KEY 256 3 5 AQIDBA==",
            "+ kc.example. 79 IN CNAME ns.example.",
            "+ kc.example. 79 IN KEY 256 3 5 AQIDBA==",
        ],
    );
    check(
        "an alias takes the place of what is deleted before it",
        &[],
        &["txt ANY 0 ANY", "txt IN 60 CNAME www"],
        Rcode::NOERROR,
        &["5 -> 6", "- txt.example. 300 IN TXT \"a\"", "+ txt.example. 60 IN CNAME www.example."],
    );
}

#[test]
fn types_that_cannot_be_there_are_ignored() {
    ignored("MD", &["md IN 60 MD www"]);
    ignored("MF", &["mf IN 60 MF www"]);
    ignored("a wildcard delegation", &["*.w IN 60 NS www"]);
    ignored("a wildcard DNAME", &["*.w IN 60 DNAME www"]);
    ignored("the state of BIND's signer", &["www IN 60 TYPE65534 \\# 5 0102030405"]);
    ignored("DS at the apex", &[&format!("@ IN 60 {DS2}")]);
    ignored("NSEC3PARAM with flags", &["www IN 60 NSEC3PARAM 1 128 0 -"]);
    // BIND takes it for the day the zone is signed and keeps a private record.
    ignored("NSEC3PARAM at the apex", &["@ IN 60 NSEC3PARAM 1 0 0 -"]);
}

#[test]
fn some_records_are_replaced_though_they_differ() {
    let with_wks = format!("{ZONE}\n wks 78 WKS 1.1.1.1 6 7");
    check_in(
        &with_wks,
        "WKS of the same address and protocol",
        &[],
        &["wks IN 78 WKS 1.1.1.1 6 8"],
        Rcode::NOERROR,
        &["5 -> 6", "- wks.example. 78 IN WKS 1.1.1.1 6 7", "+ wks.example. 78 IN WKS 1.1.1.1 6 8"],
    );
    check_in(
        &with_wks,
        "WKS of another protocol",
        &[],
        &["wks IN 78 WKS 1.1.1.1 17 7"],
        Rcode::NOERROR,
        &["5 -> 6", "+ wks.example. 78 IN WKS 1.1.1.1 17 7"],
    );
    check_in(
        &format!("{ZONE}\n www 60 NSEC3PARAM 1 0 0 -"),
        "NSEC3PARAM with another opt-out flag",
        &[],
        &["www IN 60 NSEC3PARAM 1 1 0 -"],
        Rcode::NOERROR,
        &["5 -> 6", "- www.example. 60 IN NSEC3PARAM 1 0 0 -", "+ www.example. 60 IN NSEC3PARAM 1 1 0 -"],
    );
}

#[test]
fn the_soa_moves_forward_only() {
    let soa = |serial: u32| format!("@ IN 300 SOA ns hostmaster {serial} 3600 600 86400 60");
    let from = |serial: u32| ZONE.replacen(" 5 ", &format!(" {serial} "), 1);
    ignored("the same serial", &[&soa(5)]);
    ignored("an older serial", &[&soa(1)]);
    ignored("an SOA elsewhere", &["www IN 300 SOA ns hostmaster 9 3600 600 86400 60"]);
    check("a newer serial is adopted", &[], &[&soa(1000)], Rcode::NOERROR, &["5 -> 1000"]);
    check(
        "also beside data",
        &[],
        &[&soa(9), "q IN 60 A 1.1.1.1"],
        Rcode::NOERROR,
        &["5 -> 9", "+ q.example. 60 IN A 1.1.1.1"],
    );
    check(
        "an older serial beside data leaves it to the server",
        &[],
        &[&soa(4), "q IN 60 A 1.1.1.1"],
        Rcode::NOERROR,
        &["5 -> 6", "+ q.example. 60 IN A 1.1.1.1"],
    );
    check(
        "each of several must be newer",
        &[],
        &[&soa(2500), &soa(2400), &soa(2600)],
        Rcode::NOERROR,
        &["5 -> 2600"],
    );
    refused("half the circle away", &[&soa(5 + (1 << 31))], Rcode::SERVFAIL);
    check("just less than half", &[], &[&soa(4 + (1 << 31))], Rcode::NOERROR, &["5 -> 2147483652"]);
    check_in(&from(u32::MAX), "zero, when asked for", &[], &[&soa(0)], Rcode::NOERROR, &["4294967295 -> 0"]);
    let added = "+ q.example. 60 IN A 1.1.1.1";
    check_in(
        &from(u32::MAX),
        "never by itself",
        &[],
        &["q IN 60 A 1.1.1.1"],
        Rcode::NOERROR,
        &["4294967295 -> 1", added],
    );
    check_in(&from(0), "from zero", &[], &["q IN 60 A 1.1.1.1"], Rcode::NOERROR, &["0 -> 1", added]);

    let contents = zone(ZONE);
    let mut transaction = Transaction::new(&contents);
    let other_soa = "@ IN 999 SOA ns2 admin 7 1 2 3 4";
    assert_eq!(transaction.apply(&request(&[], &[other_soa])), Rcode::NOERROR);
    let (_, changeset) = transaction.finish().expect("the SOA changed");
    let soas: Vec<String> = [&changeset.removed[0], &changeset.added[0]].map(|soa| soa.to_string()).into();
    assert_eq!(
        soas,
        [
            "example. 300 IN SOA ns.example. hostmaster.example. 5 3600 600 86400 60",
            "example. 999 IN SOA ns2.example. admin.example. 7 1 2 3 4"
        ]
    );
}

#[test]
fn records_are_deleted() {
    check(
        "one record",
        &[],
        &["www NONE 0 A 192.0.2.2"],
        Rcode::NOERROR,
        &["5 -> 6", "- www.example. 300 IN A 192.0.2.2"],
    );
    check(
        "names in RDATA without case",
        &[],
        &["nsup NONE 0 NS TARGET"],
        Rcode::NOERROR,
        &["5 -> 6", "- nsup.example. 300 IN NS Target.Example."],
    );
    ignored("a record that is not there", &["www NONE 0 A 192.0.2.4"]);
    check(
        "an RRset",
        &[],
        &["www ANY 0 A"],
        Rcode::NOERROR,
        &["5 -> 6", "- www.example. 300 IN A 192.0.2.2", "- www.example. 300 IN A 192.0.2.3"],
    );
    ignored("an RRset that is not there", &["www ANY 0 AAAA"]);
    check("a name", &[], &["txt ANY 0 ANY"], Rcode::NOERROR, &["5 -> 6", "- txt.example. 300 IN TXT \"a\""]);
    ignored("a name that is not there", &["nope ANY 0 ANY"]);
    ignored("the names below stay", &["ent ANY 0 ANY"]);
}

#[test]
fn the_apex_keeps_soa_and_ns() {
    ignored("the SOA as a record", &["@ NONE 0 SOA ns hostmaster 5 3600 600 86400 60"]);
    ignored("the SOA as an RRset", &["@ ANY 0 SOA"]);
    ignored("the NS RRset", &["@ ANY 0 NS"]);
    check(
        "one NS of two",
        &[],
        &["@ NONE 0 NS ns2.other."],
        Rcode::NOERROR,
        &["5 -> 6", "- example. 300 IN NS ns2.other."],
    );
    check(
        "not the last NS",
        &[],
        &["@ NONE 0 NS ns2.other.", "@ NONE 0 NS ns"],
        Rcode::NOERROR,
        &["5 -> 6", "- example. 300 IN NS ns2.other."],
    );
    check(
        "all NS at once are replaced by way of a third",
        &[],
        &[
            "@ IN 300 NS dns.invalid.",
            "@ NONE 0 NS ns2.other.",
            "@ NONE 0 NS ns",
            "@ IN 300 NS ns3.other.",
            "@ NONE 0 NS dns.invalid.",
        ],
        Rcode::NOERROR,
        &[
            "5 -> 6",
            "- example. 300 IN NS ns.example.",
            "- example. 300 IN NS ns2.other.",
            "+ example. 300 IN NS ns3.other.",
        ],
    );
    check_in(
        &format!("{ZONE}\n @ 1 TXT \"t\""),
        "all from the name",
        &[],
        &["@ ANY 0 ANY"],
        Rcode::NOERROR,
        &["5 -> 6", "- example. 1 IN TXT \"t\""],
    );
    check(
        "elsewhere the last NS goes",
        &[],
        &["nsup ANY 0 NS"],
        Rcode::NOERROR,
        &["5 -> 6", "- nsup.example. 300 IN NS Target.Example."],
    );
}

#[test]
fn a_ds_stands_at_a_delegation_only() {
    check(
        "at a delegation",
        &[],
        &[&format!("sub IN 300 {DS2}")],
        Rcode::NOERROR,
        &["5 -> 6", &format!("+ sub.example. 300 IN {DS2_SHOWN}")],
    );
    ignored("elsewhere", &[&format!("www IN 300 {DS2}")]);
    let (rcodes, lines) = changes(&zone(ZONE), &[request(&[], &["sub ANY 0 NS"])]);
    assert_eq!(rcodes, [Rcode::NOERROR]);
    assert_eq!(lines.len(), 3, "the DS goes with the NS: {lines:?}");
    assert!(lines[1].contains("NS ns.sub") && lines[2].contains("DS 1 8 2"), "{lines:?}");
}

#[test]
fn a_zone_that_would_not_load_is_refused() {
    refused("a name server without address", &["@ IN 300 NS nowhere"], Rcode::REFUSED);
    refused("a name server that is an alias", &["@ IN 300 NS alias"], Rcode::REFUSED);
    refused("the address of a name server deleted", &["ns ANY 0 A"], Rcode::REFUSED);
    refused("mail to nowhere", &["m IN 300 MX 1 nowhere"], Rcode::REFUSED);
    refused("mail to an alias", &["m IN 300 MX 1 alias"], Rcode::REFUSED);
    refused("mail below a DNAME", &["m IN 300 MX 1 q.dn"], Rcode::REFUSED);
    refused("mail to an empty non-terminal", &["m IN 300 MX 1 b.ent"], Rcode::REFUSED);
    let accepted =
        |title, update: &str, line: &str| check(title, &[], &[update], Rcode::NOERROR, &["5 -> 6", line]);
    accepted("a name server elsewhere", "@ IN 300 NS d.invalid.", "+ example. 300 IN NS d.invalid.");
    accepted("a name server below a cut", "@ IN 300 NS foo.sub", "+ example. 300 IN NS foo.sub.example.");
    accepted("a delegation without glue", "s2 IN 300 NS nowhere", "+ s2.example. 300 IN NS nowhere.example.");
    accepted("mail below a cut", "m IN 300 MX 1 q.sub", "+ m.example. 300 IN MX 1 q.sub.example.");
    accepted("mail at a cut", "m IN 300 MX 1 sub", "+ m.example. 300 IN MX 1 sub.example.");
    accepted("mail to a wildcard", "m IN 300 MX 1 q.wild", "+ m.example. 300 IN MX 1 q.wild.example.");
    accepted("mail elsewhere", "m IN 300 MX 1 q.other.", "+ m.example. 300 IN MX 1 q.other.");
    accepted("no mail", "m IN 300 MX 0 .", "+ m.example. 300 IN MX 0 .");
    accepted(
        "a service nowhere",
        "s IN 300 SRV 1 1 1 nowhere",
        "+ s.example. 300 IN SRV 1 1 1 nowhere.example.",
    );
    check(
        "mail to a host that comes with it",
        &[],
        &["m IN 300 MX 1 h", "h IN 300 AAAA ::1"],
        Rcode::NOERROR,
        &["5 -> 6", "+ h.example. 300 IN AAAA ::1", "+ m.example. 300 IN MX 1 h.example."],
    );
    refused("a CDS without a key", &[&format!("@ IN 300 C{DS2}")], Rcode::REFUSED);
    accepted("a CDS that asks for removal", "@ IN 300 CDS 0 0 0 00", "+ example. 300 IN CDS 0 0 0 00");
}

#[test]
fn a_signed_zone_takes_no_updates_without_its_keys() {
    let signed = format!("{ZONE}\n @ 300 DNSKEY 257 3 8 AwEAAYGB");
    check_in(&signed, "a change", &[], &["q IN 60 A 1.1.1.1"], Rcode::SERVFAIL, &[]);
    check_in(&signed, "no change", &[], &["q ANY 0 A"], Rcode::NOERROR, &[]);
    check_in(&signed, "the keys away", &[], &["@ ANY 0 DNSKEY"], Rcode::REFUSED, &[]);
    refused("the first key", &["@ IN 300 DNSKEY 257 3 8 AwEAAYGB"], Rcode::SERVFAIL);
    check(
        "a key elsewhere",
        &[],
        &["k IN 1 DNSKEY 257 3 8 AwEAAYGB"],
        Rcode::NOERROR,
        &["5 -> 6", "+ k.example. 1 IN DNSKEY 257 3 8 AwEAAYGB"],
    );
}

#[test]
fn rrsets_and_names_have_their_limits() {
    let add = |range: std::ops::Range<usize>| -> Vec<String> {
        range.map(|i| format!("many IN 60 A 1.1.0.{i}")).collect()
    };
    let refs = |lines: &[String]| -> UpdateRequest {
        request(&[], &lines.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let contents = zone(ZONE);
    let (rcodes, lines) = changes(&contents, &[refs(&add(0..100)), refs(&add(100..101)), refs(&add(50..51))]);
    assert_eq!(rcodes, [Rcode::NOERROR, Rcode::SERVFAIL, Rcode::NOERROR]);
    assert_eq!(lines.len(), 101);
    let types: Vec<String> = (0..101).map(|i| format!("types IN 60 TYPE{} \\# 0", 65280 + i)).collect();
    let (rcodes, _) = changes(&contents, &[refs(&types[..100]), refs(&types[100..]), refs(&types[..1])]);
    assert_eq!(rcodes, [Rcode::NOERROR, Rcode::SERVFAIL, Rcode::NOERROR]);
}

#[test]
fn a_transaction_shows_each_request_the_ones_before_and_moves_the_serial_once() {
    let contents = zone(ZONE);
    let add = |name: &str| request(&[&format!("{name} NONE 0 ANY")], &[&format!("{name} IN 60 A 1.1.1.1")]);
    let (rcodes, lines) = changes(&contents, &[add("a"), add("a"), add("b"), request(&[], &["b ANY 0 ANY"])]);
    assert_eq!(rcodes, [Rcode::NOERROR, Rcode::YXDOMAIN, Rcode::NOERROR, Rcode::NOERROR]);
    assert_eq!(lines, ["5 -> 6", "+ a.example. 60 IN A 1.1.1.1"]);

    // BIND makes two versions of it.
    let (rcodes, lines) = changes(&contents, &[add("a"), request(&["a ANY 0 A"], &["a ANY 0 ANY"])]);
    assert_eq!((rcodes, lines), (vec![Rcode::NOERROR; 2], vec![]), "no net effect is no new version");
}

#[test]
fn of_two_requests_that_require_the_same_soa_only_one_succeeds() {
    let soa = "@ IN 0 SOA ns hostmaster 5 3600 600 86400 60";
    let add = |address: &str| request(&[soa], &[&format!("q IN 60 A {address}")]);
    let (rcodes, lines) = changes(&zone(ZONE), &[add("1.1.1.1"), add("2.2.2.2")]);
    assert_eq!(rcodes, [Rcode::NOERROR, Rcode::NXRRSET]);
    assert_eq!(lines, ["5 -> 6", "+ q.example. 60 IN A 1.1.1.1"]);
}

#[test]
fn serials_set_in_one_transaction_end_newer_than_they_began() {
    let soa =
        |serial: u32| request(&[], &[&format!("@ IN 300 SOA ns hostmaster {serial} 3600 600 86400 60")]);
    let data = request(&[], &["q IN 60 A 1.1.1.1"]);
    let check = |requests: &[UpdateRequest], serials: &str| {
        let (rcodes, lines) = changes(&zone(ZONE), requests);
        assert!(rcodes.iter().all(|rcode| *rcode == Rcode::NOERROR), "{rcodes:?}");
        assert_eq!(lines[0], serials);
    };
    check(&[soa(9), data.clone()], "5 -> 9");
    check(&[data.clone(), soa(9)], "5 -> 9");
    check(&[data.clone(), soa(6)], "5 -> 6");
    // Two steps of nearly half the circle would arrive behind the start.
    check(&[soa(0x7fff_0000), soa(0xfffe_0000)], "5 -> 2147418112");
}

/// One line of a prerequisite or update section, legal or not, about few names so that they meet.
fn lines(prerequisites: bool) -> impl Strategy<Value = Vec<String>> {
    let owner =
        prop_oneof![Just("@"), Just("www"), Just("alias"), Just("sub"), Just("ns"), Just("q"), Just("x.q")];
    let data = prop_oneof![
        Just("A 192.0.2.1"),
        Just("A 192.0.2.2"),
        Just("AAAA ::1"),
        Just("CNAME www"),
        Just("NS ns2.other."),
        Just("NS q"),
        Just("MX 10 q"),
        Just("DNAME q"),
        Just("TXT \"a\""),
        Just("DS 1 8 1 0101010101010101010101010101010101010101"),
    ];
    let line = (owner, data, 0..8u8).prop_map(move |(owner, data, form)| {
        let rtype = data.split(' ').next().expect("a type");
        let ttl = if prerequisites { 0 } else { 60 + u32::from(form % 2) };
        match form {
            0..4 => format!("{owner} IN {ttl} {data}"),
            4 => format!("{owner} ANY 0 {rtype}"),
            5 => format!("{owner} ANY 0 ANY"),
            6 if prerequisites => format!("{owner} NONE 0 {rtype}"),
            _ if prerequisites => format!("{owner} NONE 0 ANY"),
            _ => format!("{owner} NONE 0 {data}"),
        }
    });
    proptest::collection::vec(line, 0..if prerequisites { 2 } else { 5 })
}

proptest! {
    #[test]
    fn requests_in_one_transaction_do_what_they_do_one_by_one(
        requests in proptest::collection::vec((lines(true), lines(false)), 1..8),
    ) {
        let refs = |lines: &[String]| lines.iter().map(|line| record(&"example.".parse().unwrap(), line)).collect();
        let requests: Vec<UpdateRequest> = requests
            .iter()
            .map(|(prerequisites, updates)| UpdateRequest { prerequisites: refs(prerequisites), updates: refs(updates) })
            .collect();
        // The SOA differs in its serial only; it is the first line.
        let data = |contents: &Contents| listing(contents)[1..].to_vec();
        let start = zone(ZONE);
        let (mut one_by_one, mut rcodes) = (start.clone(), Vec::new());
        for request in &requests {
            let mut transaction = Transaction::new(&one_by_one);
            let rcode = transaction.apply(request);
            let result = transaction.finish();
            prop_assert!(rcode == Rcode::NOERROR || result.is_none(), "{} changed something", rcode);
            if let Some((contents, _)) = result {
                one_by_one = contents;
            }
            rcodes.push(rcode);
        }
        let mut transaction = Transaction::new(&start);
        let together: Vec<Rcode> = requests.iter().map(|request| transaction.apply(request)).collect();
        prop_assert_eq!(together, rcodes);
        let end = transaction.finish().map_or_else(|| start.clone(), |(contents, _)| contents);
        prop_assert_eq!(data(&end), data(&one_by_one));
        // The helper checks that changeset, difference and new version agree.
        changes(&start, &requests);
    }
}
