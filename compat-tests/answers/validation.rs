//! Signed zones before real validators: delv and unbound, each with a trust anchor for each zone.
//!
//! ```text
//! zone of each tool and denial ──► trimaran ◄── delv -a anchor +root=zone
//!      + signed child, unsigned child     ◄── unbound, stub zones
//! ```

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::signing::{Denial, Signed, Signer, Tool};
use crate::harness::named::{Named, Program, START_LIMIT, Zone};
use crate::harness::process::Process;
use crate::harness::wire::{self, Query};
use crate::harness::{Site, client, wait};

const AUTHENTIC: u16 = 0x20;
const DS: u16 = 43;
const DNSKEY: u16 = 48;
const MX: u16 = 15;

/// What a validator has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Secure,
    /// Provably not signed.
    Insecure,
    /// Secure, but what opt-out leaves open: insecure if the zone opts out (RFC 5155 §9.2).
    SecureUnlessOptOut,
}
use Expected::{Insecure, Secure, SecureUnlessOptOut};

/// Every kind of answer, by name below the zone and type.
const QUESTIONS: [(&str, u16, Expected); 25] = [
    ("", wire::SOA, Secure),
    ("", wire::NS, Secure),
    ("", DNSKEY, Secure),
    ("", MX, Secure),
    ("www.", wire::A, Secure),
    ("www.", wire::TXT, Secure),
    ("WwW.", wire::A, Secure),
    ("nosuch.", wire::A, SecureUnlessOptOut),
    ("a.b.nosuch.", wire::A, SecureUnlessOptOut),
    ("ent.", wire::A, Secure),
    ("nosuch.ent.", wire::A, SecureUnlessOptOut),
    ("x.wild.", wire::A, SecureUnlessOptOut),
    ("x.y.wild.", wire::A, SecureUnlessOptOut),
    ("x.wild.", wire::TXT, SecureUnlessOptOut),
    ("*.wild.", wire::A, Secure),
    ("x.wildalias.", wire::A, SecureUnlessOptOut),
    ("alias.", wire::A, Secure),
    ("www.dname.", wire::A, Secure),
    ("nosuch.dname.", wire::A, SecureUnlessOptOut),
    ("signed.", DS, Secure),
    ("www.signed.", wire::A, Secure),
    ("nosuch.signed.", wire::A, SecureUnlessOptOut),
    ("unsigned.", DS, SecureUnlessOptOut),
    ("www.unsigned.", wire::A, Insecure),
    ("nosuch.unsigned.", wire::A, Insecure),
];

/// A zone that is a trust anchor, with its children.
struct Family {
    origin: String,
    opts_out: bool,
    anchor: String,
    zones: Vec<Zone>,
}

fn apex(origin: &str) -> String {
    format!(
        "{origin} 300 IN SOA ns.{origin} host.{origin} 1 7200 900 1209600 60\n{origin} 300 IN NS ns.{origin}\n\
         ns.{origin} 300 IN A 192.0.2.53\nwww.{origin} 300 IN A 192.0.2.80\n"
    )
}

/// The DS records of a zone's keys.
fn ds(folder: &Path, origin: &str, anchor: &str) -> String {
    let file = folder.join("dsfromkey");
    let records: String = keys(anchor).iter().map(|key| format!("{origin} 300 IN DNSKEY {key}\n")).collect();
    std::fs::write(&file, records).expect("a file can be written");
    let mut command = Command::new("dnssec-dsfromkey");
    let output =
        command.args(["-2", "-A", "-f"]).arg(&file).arg(origin).output().expect("dnssec-dsfromkey runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The DNSKEY records of a text: flags, protocol, algorithm and key.
fn keys(anchor: &str) -> Vec<String> {
    let key = |line: &str| {
        let line = line.split(';').next()?;
        let (_, rdata) = line.split_once("DNSKEY")?;
        let words: Vec<&str> = rdata.split_whitespace().filter(|word| !["(", ")"].contains(word)).collect();
        Some(format!("{} {} {} {}", words.first()?, words.get(1)?, words.get(2)?, words.get(3..)?.concat()))
    };
    let keys: Vec<String> = anchor.lines().filter_map(key).collect();
    assert!(!keys.is_empty(), "no key in {anchor:?}");
    keys
}

impl Family {
    fn sign(site: &Site, signer: Signer) -> Family {
        let origin = format!("{:?}-{:?}.valid.", signer.tool, signer.denial).to_lowercase();
        let folder = |part: &str| site.dir(&format!("{origin}{part}"));
        let sign = |part: &str, origin: &str, text: &str| -> Signed {
            signer.sign(&folder(part), origin, text).unwrap_or_else(|error| panic!("{origin}: {error}"))
        };
        let (signed, unsigned) = (format!("signed.{origin}"), format!("unsigned.{origin}"));
        let child = sign("child", &signed, &apex(&signed));
        let text = format!(
            "{}{origin} 300 IN MX 10 www.{origin}\na.ent.{origin} 300 IN A 192.0.2.1\n\
             *.wild.{origin} 300 IN A 192.0.2.2\n*.wildalias.{origin} 300 IN CNAME www.{origin}\n\
             alias.{origin} 300 IN CNAME www.{origin}\ndname.{origin} 300 IN DNAME {origin}\n\
             {signed} 300 IN NS ns.{origin}\n{}{unsigned} 300 IN NS ns.{origin}\n",
            apex(&origin),
            ds(&folder("child"), &signed, &child.anchor),
        );
        let parent = sign("parent", &origin, &text);
        let zones = vec![
            Zone::fixed(&origin, &parent.text),
            Zone::fixed(&signed, &child.text),
            Zone::fixed(&unsigned, &apex(&unsigned)),
        ];
        Family { origin, opts_out: signer.denial == Denial::OptOut, anchor: parent.anchor, zones }
    }

    /// A zone in which one address is not what was signed.
    fn forge(site: &Site, signer: Signer) -> Family {
        let origin = "forged.valid.".to_owned();
        let signed =
            signer.sign(&site.dir("forged"), &origin, &apex(&origin)).expect("the zone can be signed");
        let text = signed.text.replace("192.0.2.80", "192.0.2.81");
        assert_ne!(text, signed.text, "the address stands in the signed zone");
        Family { zones: vec![Zone::fixed(&origin, &text)], origin, opts_out: false, anchor: signed.anchor }
    }

    fn expects(&self, expected: Expected) -> &'static [&'static str] {
        match expected {
            Secure => &["secure"],
            Insecure => &["insecure"],
            SecureUnlessOptOut if self.opts_out => &["secure", "insecure"],
            SecureUnlessOptOut => &["secure"],
        }
    }
}

/// What delv finds, asking `server` and trusting the family's keys.
fn delv(site: &Site, server: SocketAddr, family: &Family, name: &str, qtype: u16) -> String {
    let mut anchors = String::from("trust-anchors {\n");
    for key in keys(&family.anchor) {
        let (parameters, key) = key.rsplit_once(' ').expect("a key has four parts");
        writeln!(anchors, "  \"{}\" static-key {parameters} \"{key}\";", family.origin)
            .expect("a string grows");
    }
    anchors.push_str("};\n");
    let file = site.dir("delv").join(&family.origin);
    std::fs::write(&file, anchors).expect("a file can be written");
    let output = Command::new("delv")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string(), "-a"])
        .arg(&file)
        .arg(format!("+root={}", family.origin))
        .args([name, &format!("TYPE{qtype}")])
        .output()
        .expect("delv runs");
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    match said {
        _ if said.contains("resolution failed") && !said.contains("ncache") => format!("bogus: {said}"),
        _ if said.contains("fully validated") => "secure".into(),
        _ if said.contains("unsigned answer") => "insecure".into(),
        _ => format!("bogus: {said}"),
    }
}

/// unbound, that asks `server` about the families' zones and trusts their keys.
fn start_unbound(site: &Site, server: SocketAddr, families: &[&Family]) -> (SocketAddr, Process) {
    let (address, directory) = (site.address(), site.dir("unbound"));
    let mut text = format!(
        "server:\n  interface: {}@{}\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: \"{path}\"\n  \
         pidfile: \"\"\n  use-syslog: no\n  num-threads: 1\n  do-ip6: no\n  do-not-query-localhost: no\n  \
         module-config: \"validator iterator\"\n  val-log-level: 2\n  qname-minimisation: no\n  aggressive-nsec: no\n  \
         trust-anchor-signaling: no\n  trust-anchor-file: \"{path}/anchors\"\n\
         remote-control:\n  control-enable: no\n",
        address.ip(),
        address.port(),
        path = directory.display(),
    );
    let mut anchors = String::new();
    for family in families {
        for key in keys(&family.anchor) {
            writeln!(anchors, "{} IN DNSKEY {key}", family.origin).expect("a string grows");
        }
        for zone in &family.zones {
            let (ip, port) = (server.ip(), server.port());
            writeln!(text, "stub-zone:\n  name: \"{}\"\n  stub-addr: {ip}@{port}", zone.origin)
                .expect("a string grows");
        }
    }
    std::fs::write(directory.join("anchors"), anchors).expect("a file can be written");
    std::fs::write(directory.join("unbound.conf"), text).expect("a configuration can be written");
    let mut command = Command::new("unbound");
    command.arg("-d").arg("-c").arg(directory.join("unbound.conf"));
    let process = Process::start("unbound", &mut command, &directory.join("log"));
    (address, process)
}

/// What unbound finds.
fn unbound(server: SocketAddr, name: &str, qtype: u16) -> String {
    let query = Query { name: name.into(), qtype, recursion_desired: true, edns: Some((1232, true)) };
    match client::ask(server, &query) {
        None => "silence".into(),
        Some(response) if response.rcode == wire::SERVFAIL => "bogus: SERVFAIL".into(),
        Some(response) if response.has(AUTHENTIC) => "secure".into(),
        Some(_) => "insecure".into(),
    }
}

#[test]
fn validators_find_every_answer_secure_or_provably_insecure() {
    let site = Site::new("validation");
    let algorithms = ["ECDSAP256SHA256", "ED25519", "RSASHA256"];
    let tools = [Tool::Bind, Tool::Knot, Tool::Ldns];
    let denials = [Denial::Nsec, Denial::Nsec3, Denial::OptOut];
    let ways = tools.iter().zip(algorithms).flat_map(|(&tool, algorithm)| {
        denials.iter().map(move |&denial| Signer { tool, denial, algorithm, iterations: 0, has_salt: false })
    });
    let families: Vec<Family> = ways.map(|signer| Family::sign(&site, signer)).collect();
    let first = Signer {
        tool: Tool::Bind,
        denial: Denial::Nsec,
        algorithm: algorithms[0],
        iterations: 0,
        has_salt: false,
    };
    let forged = Family::forge(&site, first);
    let all: Vec<&Family> = families.iter().chain([&forged]).collect();
    let zones: Vec<Zone> = all.iter().flat_map(|family| family.zones.clone()).collect();
    let mut named = Named::start_new(&site, "subject", Program::subject(), &zones);
    named.await_ready(START_LIMIT);
    let (resolver, mut process) = start_unbound(&site, named.dns(), &all);
    wait::until("unbound to answer", START_LIMIT, || {
        assert!(process.exited().is_none(), "unbound has ended by itself\n{}", process.log());
        client::ask(resolver, &Query::new(&forged.origin, wire::SOA))
    });
    let (mut wrong, mut counts) = (Vec::new(), [0; 2]);
    for family in &families {
        for (prefix, qtype, expected) in QUESTIONS {
            let name = format!("{prefix}{}", family.origin);
            let found = [delv(&site, named.dns(), family, &name, qtype), unbound(resolver, &name, qtype)];
            for (validator, found) in ["delv", "unbound"].into_iter().zip(found) {
                counts[usize::from(found == "insecure")] += 1;
                if !family.expects(expected).contains(&&*found) {
                    wrong.push(format!("{validator}: {name} type {qtype}: {found}, not {expected:?}"));
                }
            }
        }
    }
    println!("{} zones: {} answers secure, {} provably insecure", families.len(), counts[0], counts[1]);
    assert!(wrong.is_empty(), "{} answers:\n{}", wrong.len(), wrong.join("\n"));
    // The validators do look: what was changed after it was signed is bogus.
    let name = format!("www.{}", forged.origin);
    let found = [delv(&site, named.dns(), &forged, &name, wire::A), unbound(resolver, &name, wire::A)];
    assert!(found.iter().all(|found| found.starts_with("bogus")), "{found:?}");
    assert_eq!(unbound(resolver, &forged.origin, wire::SOA), "secure");
}
