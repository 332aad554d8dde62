//! Findings, as their `Debug` text without what does not matter. The wording is compared with BIND's in
//! `compat-tests/checkzone.rs`.

use super::*;

/// A zone of records `owner type rdata`; RDATA is given in wire format by the builders below.
fn zone(records: &[(&str, RrType, Vec<u8>)]) -> Contents {
    let mut builder = Contents::builder(name("example."));
    let mut push = |owner: &str, rtype: RrType, rdata: &[u8]| {
        let owner = if owner == "@" { name("example.") } else { name(&format!("{owner}.example.")) };
        builder.push(owner.as_wire(), rtype, 3600, rdata).expect("all owners are in the zone");
    };
    let soa = [name("ns.example.").as_wire(), name("h.example.").as_wire(), &[0; 20]].concat();
    push("@", RrType::SOA, &soa);
    for (owner, rtype, rdata) in records {
        push(owner, *rtype, rdata);
    }
    builder.finish().expect("there is an SOA")
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn a(owner: &str) -> (&str, RrType, Vec<u8>) {
    (owner, RrType::A, vec![192, 0, 2, 1])
}

fn to<'a>(owner: &'a str, rtype: RrType, target: &str) -> (&'a str, RrType, Vec<u8>) {
    let head: &[u8] = match rtype {
        RrType::MX => &[0, 10],
        RrType::SRV => &[0; 6],
        _ => &[],
    };
    let target = if target.ends_with('.') { name(target) } else { name(&format!("{target}.example.")) };
    (owner, rtype, [head, target.as_wire()].concat())
}

/// What a zone with a good name server and `records` gets.
fn findings(records: &[(&str, RrType, Vec<u8>)], options: &Options) -> (Vec<Finding>, usize) {
    let head = [to("@", RrType::NS, "ns"), a("ns")];
    let report = check(&zone(&[&head, records].concat()), options);
    (report.findings, report.fatal)
}

#[track_caller]
fn expect(records: &[(&str, RrType, Vec<u8>)], expected: Option<(&str, RrType, &str, Trouble)>) {
    let expected = expected.map(|(owner, rtype, target, trouble)| Finding::Target {
        owner: name(&format!("{owner}.example.")),
        rtype,
        target: name(&format!("{target}.example.")),
        trouble,
    });
    assert_eq!(findings(records, &Options::default()), (expected.into_iter().collect(), 0));
}

const NO_ADDRESS: Trouble = Trouble::NoAddress(Glue::None);

#[test]
fn a_zone_needs_name_servers_that_can_be_reached() {
    let fatal = |records: &[(&str, RrType, Vec<u8>)]| {
        let report = check(&zone(records), &Options { integrity: Integrity::None, ..Options::default() });
        assert_eq!(report.fatal, report.findings.len());
        assert_eq!(report.refusals, (0..report.fatal).collect::<Vec<_>>());
        report.findings
    };
    assert_eq!(fatal(&[]), [Finding::NoNs]);
    let trouble = |target: &str, trouble| vec![Finding::ApexNs { target: name(target), trouble }];
    assert_eq!(fatal(&[to("@", RrType::NS, "x")]), trouble("x.example.", NO_ADDRESS));
    assert_eq!(
        fatal(&[to("@", RrType::NS, "c"), to("c", RrType::CNAME, "d"), a("d")]),
        trouble("c.example.", Trouble::Cname)
    );
    assert_eq!(
        fatal(&[to("@", RrType::NS, "x.d"), to("d", RrType::DNAME, "other.")]),
        trouble("x.d.example.", Trouble::BelowDname(name("d.example.")))
    );
    assert_eq!(fatal(&[to("@", RrType::NS, "ns.elsewhere.")]), []);
    assert_eq!(fatal(&[to("@", RrType::NS, "x.sub"), to("sub", RrType::NS, "ns.elsewhere.")]), []);
}

#[test]
fn delegations_need_glue_where_nothing_else_can_lead_there() {
    let ns = RrType::NS;
    expect(&[to("s", ns, "ns.s"), a("ns.s")], None);
    expect(&[to("s", ns, "s"), a("s")], None);
    expect(&[to("s", ns, "ns.s")], Some(("s", ns, "ns.s", Trouble::NoAddress(Glue::Required))));
    expect(&[to("s", ns, "nothing")], Some(("s", ns, "nothing", NO_ADDRESS)));
    expect(&[to("s", ns, "c"), to("c", RrType::CNAME, "ns")], Some(("s", ns, "c", Trouble::Cname)));
    expect(&[to("s", ns, "host.wild"), a("*.wild")], None);
    let siblings = [to("s", ns, "ns.t"), to("t", ns, "ns.elsewhere.")];
    expect(&siblings, Some(("s", ns, "ns.t", Trouble::NoAddress(Glue::Sibling))));
    let options = Options { integrity: Integrity::Local { sibling: false }, ..Options::default() };
    assert_eq!(findings(&siblings, &options).0, []);
}

#[test]
fn mail_and_services_need_hosts() {
    let (mx, srv, cname) = (RrType::MX, RrType::SRV, RrType::CNAME);
    expect(&[to("m", mx, "ns"), to("m", mx, "."), to("s", srv, ".")], None);
    expect(&[to("m", mx, "nothing")], Some(("m", mx, "nothing", NO_ADDRESS)));
    expect(&[to("m", mx, "ent"), a("x.ent")], Some(("m", mx, "ent", NO_ADDRESS)));
    expect(&[to("m", mx, "c"), to("c", cname, "ns")], Some(("m", mx, "c", Trouble::Cname)));
    expect(&[to("s", srv, "nothing")], Some(("s", srv, "nothing", NO_ADDRESS)));
    // What is below a cut or a DNAME is not looked at.
    expect(&[to("d", RrType::DNAME, "other."), to("x.d", mx, "nothing")], None);
    expect(&[to("s", RrType::NS, "ns"), to("x.s", mx, "nothing")], None);
    let refused = |records: &[(&str, RrType, Vec<u8>)], options: Options| findings(records, &options).1;
    let fail = Check::Fail;
    assert_eq!(refused(&[to("m", mx, "nothing")], Options { mx: fail, ..Options::default() }), 1);
    let alias = [to("m", mx, "c"), to("s", srv, "c"), to("c", cname, "ns")];
    assert_eq!(refused(&alias, Options { mx: fail, mx_cname: fail, ..Options::default() }), 1);
    assert_eq!(refused(&alias, Options { srv_cname: fail, ..Options::default() }), 1);
    let ignore = Options { mx_cname: Check::Ignore, srv_cname: Check::Ignore, ..Options::default() };
    assert_eq!(findings(&alias, &ignore).0, []);
}

fn found(canonical: &str, addresses: &[&str]) -> Resolved {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Resolved::Addresses { canonical: Some(canonical.to_owned()), addresses }
}

/// What a resolver of fixed knowledge brings about.
fn asking(records: &[(&str, RrType, Vec<u8>)], options: Options) -> (Vec<Finding>, usize, Vec<String>) {
    let head = [to("@", RrType::NS, "ns"), a("ns")];
    let mut asked = Vec::new();
    let options = Options { integrity: Integrity::Full { sibling: true }, ..options };
    let report = check_asking(&zone(&[&head, records].concat()), &options, &mut |name: &Name| {
        asked.push(name.to_string());
        match name.to_string().as_str() {
            "alias.elsewhere." => found("Real.elsewhere", &["192.0.2.9"]),
            "nothing.elsewhere." => Resolved::NoAddress,
            "broken.elsewhere." => Resolved::Failed("Temporary failure in name resolution".to_owned()),
            bare => found(bare.trim_end_matches('.'), &["192.0.2.1", "2001:db8::1"]),
        }
    });
    (report.findings, report.fatal, asked)
}

#[test]
fn a_resolver_is_asked_about_targets_outside_once_for_each_name() {
    let (mx, srv, ns) = (RrType::MX, RrType::SRV, RrType::NS);
    let records = [
        to("m", mx, "good.elsewhere."),
        to("m", mx, "alias.elsewhere."),
        to("n", mx, "alias.elsewhere."),
        to("o", srv, "alias.elsewhere."),
        to("p", ns, "nothing.elsewhere."),
        to("q", mx, "nothing.elsewhere."),
        to("r", mx, "broken.elsewhere."),
    ];
    assert_eq!(findings(&records, &Options::default()).0, [], "unless nobody may be asked");
    let outside = |owner: &str, rtype, target: &str, trouble| Finding::Outside {
        owner: name(owner),
        rtype,
        target: name(target),
        trouble,
    };
    let alias = || OutsideTrouble::Cname("Real.elsewhere".to_owned());
    let (said, fatal, asked) = asking(&records, Options { mx_cname: Check::Fail, ..Options::default() });
    assert_eq!(
        said,
        [
            outside("m.example.", mx, "alias.elsewhere.", alias()),
            outside("o.example.", srv, "alias.elsewhere.", alias()),
            outside("q.example.", mx, "nothing.elsewhere.", OutsideTrouble::NoAddress),
            Finding::NotResolved {
                target: name("broken.elsewhere."),
                reason: "Temporary failure in name resolution".to_owned()
            },
        ]
    );
    assert_eq!(fatal, 2, "each alias that an MX record points to");
    assert_eq!(asked, ["good.elsewhere.", "alias.elsewhere.", "nothing.elsewhere.", "broken.elsewhere."]);
}

#[test]
fn glue_is_compared_with_what_the_delegated_zone_says() {
    let differs = |address: &str, missing| Finding::GlueDiffers {
        owner: name("s.example."),
        target: name("ns.s.example."),
        address: address.parse().unwrap(),
        missing,
    };
    let delegation = || to("s", RrType::NS, "ns.s");
    let glue = |last: u8| ("ns.s", RrType::A, vec![192, 0, 2, last]);
    let v6 = ("ns.s", RrType::AAAA, "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec());
    let said = |records: &[_]| asking(records, Options::default()).0;
    assert_eq!(said(&[delegation(), glue(1), v6.clone()]), []);
    assert_eq!(said(&[delegation(), glue(1)]), [differs("2001:db8::1", Missing::Here)]);
    assert_eq!(said(&[delegation(), glue(1), glue(2), v6]), [differs("192.0.2.2", Missing::There)]);
    let missing = said(&[delegation()]);
    assert_eq!(missing[1..], [differs("192.0.2.1", Missing::Here), differs("2001:db8::1", Missing::Here)]);
}

#[test]
fn old_records_are_pointed_out() {
    let found = |record| findings(&[record], &Options::default());
    let owner = || name("x.example.");
    let txt = |text: &[u8]| [&[text.len() as u8], text].concat();
    assert_eq!(found(("x", RrType::SPF, txt(b"v=spf1 -all"))), (vec![Finding::SpfOnly(owner())], 0));
    let both = [("x", RrType::SPF, txt(b"v=spf1")), ("x", RrType::TXT, txt(b"v=spf1"))];
    assert_eq!(findings(&both, &Options::default()).0, []);
    let ds = [&[0, 1, 5, 1][..], &[0; 20]].concat();
    let delegation = [to("x", RrType::NS, "ns"), ("x", RrType::DS, ds)];
    assert_eq!(
        findings(&delegation, &Options::default()).0,
        [
            Finding::DeprecatedDigest { owner: owner(), digest: 1 },
            Finding::DeprecatedAlgorithm { owner: owner(), rtype: RrType::DS, algorithm: 5 },
        ]
    );
    let key = vec![1, 0, 3, 5, 1, 3, 0xff, 0xff];
    assert_eq!(
        found(("@", RrType::DNSKEY, key)).0,
        [
            Finding::WeakKey { algorithm: 5, key_tag: 0x0508 },
            Finding::DeprecatedKey(5),
            Finding::OnlyDeprecatedKeys,
        ]
    );
    assert_eq!(found(("@", RrType::NSEC3PARAM, vec![1, 0, 0, 151, 0])).0, [Finding::Nsec3Iterations(151)]);
    assert_eq!(
        found(("@", RrType::NSEC3PARAM, vec![2, 0, 0, 1, 0])),
        (vec![Finding::UnknownNsec3Hash(2), Finding::NoNsec3Hash], 1)
    );
}

#[test]
fn cds_and_cdnskey_are_of_algorithms_that_sign_and_deletion_stands_alone() {
    let (cds, cdnskey) = (RrType::CDS, RrType::CDNSKEY);
    let key = |rtype, algorithm| ("@", rtype, vec![1, 1, 3, algorithm, 1]);
    let digest =
        |algorithm, digest_type| ("@", cds, [&[0, 1, algorithm, digest_type][..], &[0; 20]].concat());
    let delete = |rtype| ("@", rtype, if rtype == cds { vec![0; 5] } else { vec![0, 0, 3, 0, 0] });
    let said = |records: &[_]| findings(records, &Options::default());
    let (good, bad) = ((vec![], 0), (vec![Finding::BadCds], 1));
    assert_eq!(said(&[key(RrType::DNSKEY, 13), key(cdnskey, 13), digest(13, 2)]), good);
    assert_eq!(said(&[delete(cds), delete(cdnskey)]), good);
    assert_eq!(said(&[key(cdnskey, 13)]), bad);
    assert_eq!(said(&[digest(13, 1)]), bad);
    assert_eq!(said(&[key(RrType::DNSKEY, 13), digest(8, 2)]), bad);
    assert_eq!(said(&[key(RrType::DNSKEY, 13), digest(13, 2), delete(cds)]), bad);
    let deprecated = vec![Finding::DeprecatedCdsDigest(1)];
    assert_eq!(said(&[key(RrType::DNSKEY, 13), digest(13, 1)]), (deprecated, 0));
}

#[test]
fn records_that_differ_in_case_are_duplicates() {
    let hip = |server: &str| ("x", RrType(55), [&[1, 2, 0, 1, 9, 9][..], name(server).as_wire()].concat());
    let owner = name("x.example.");
    let records = [hip("a."), hip("A."), hip("b.")];
    let expected = vec![Finding::Duplicates { owner, rtype: RrType(55) }];
    assert_eq!(findings(&records, &Options::default()), (expected.clone(), 0));
    let fail = Options { duplicates: Check::Fail, ..Options::default() };
    assert_eq!(findings(&records, &fail), (expected, 1));
}

#[test]
fn a_zone_is_signed_when_its_apex_says_so() {
    let key = |flags: u8| ("@", RrType::DNSKEY, vec![flags, 0, 3, 13, 1]);
    let nsec = || ("@", RrType::NSEC, [name("example.").as_wire(), &[0, 1, 0x40]].concat());
    let signature =
        || ("@", RrType::RRSIG, [&[0, 47, 13, 1][..], &[0; 14], name("example.").as_wire(), &[1]].concat());
    let nsec3 = |flags| ("@", RrType::NSEC3PARAM, vec![1, flags, 0, 1, 0]);
    assert!(is_signed(&zone(&[key(1), nsec(), signature()])));
    assert!(is_signed(&zone(&[key(1), nsec3(0)])));
    assert!(!is_signed(&zone(&[key(1), nsec()])), "NSEC without a signature");
    assert!(!is_signed(&zone(&[key(0), nsec3(0)])), "not a zone key");
    assert!(!is_signed(&zone(&[key(1), nsec3(1)])), "a chain that is being made");
    assert!(!is_signed(&zone(&[nsec(), signature()])));
}

#[test]
fn findings_do_not_depend_on_parts_and_threads() {
    let mut records = Vec::new();
    let owners: Vec<String> =
        (0..400).map(|number| format!("h{}.s{}", number * 37 % 400, number % 7)).collect();
    for (number, owner) in owners.iter().enumerate() {
        records.push(match number % 5 {
            0 => a(owner),
            1 => to(owner, RrType::MX, &owners[number / 2]),
            2 => to(owner, RrType::NS, owner),
            3 => to(owner, RrType::SRV, "nowhere"),
            _ => to(owner, RrType::DNAME, "elsewhere"),
        });
    }
    // Below a cut and below a DNAME, so that a part may start there.
    let below: Vec<String> = owners.iter().map(|owner| format!("x.{owner}")).collect();
    records.extend(below.iter().map(|owner| to(owner, RrType::MX, "nowhere.either")));
    records.push(to("s3", RrType::NS, "ns.s3"));
    records.push(to("s4", RrType::DNAME, "elsewhere"));
    let head = [to("@", RrType::NS, "ns"), a("ns")];
    let zone = zone(&[&head[..], &records].concat());
    let options = Options { integrity: Integrity::Full { sibling: true }, ..Options::default() };
    let expected = owners::check_in_parts(&zone, &options, true, 1, 1);
    let (findings, questions) = (expected.integrity.findings.len(), expected.questions.len());
    assert!(findings > 100 && questions > 0, "{findings} findings, {questions} questions");
    for (threads, parts) in [(2, 2), (2, 16), (3, 1000)] {
        let found = owners::check_in_parts(&zone, &options, true, threads, parts);
        assert_eq!(found.integrity, expected.integrity, "{threads} threads, {parts} parts");
        assert_eq!(found.questions, expected.questions, "{threads} threads, {parts} parts");
    }
}
