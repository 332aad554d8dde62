//! Strangers on the port of the cluster: no panic, no growth, and no part in anything.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::{ZONE, assert_unharmed, warm_up, zones};
use crate::harness::named::{Named, Program, START_LIMIT};
use crate::harness::rng::Rng;
use crate::harness::wire::{self, Query, Rr};
use crate::harness::{Cluster, Site, client, cluster, http, tsig, wait};

#[test]
fn strangers_on_the_cluster_port_change_nothing() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("attacks-cluster");
    let site = Site::new("attacks-cluster");
    let mut cluster = Cluster::start_new(&site, 3, &zones());
    let before: Vec<u64> = cluster.nodes.iter().map(warm_up).collect();
    for &port in &cluster.addresses {
        for number in 0..100 {
            let Ok(mut stream) = TcpStream::connect_timeout(&port, Duration::from_secs(5)) else {
                panic!("the cluster port of {port} does not accept")
            };
            let length = 1 + rng.below(4_000);
            let bytes = match number % 4 {
                0 => rng.bytes(length),
                1 => vec![0xff; 64],
                2 => vec![0; 64],
                _ => Query::new(ZONE, wire::SOA).packet(1),
            };
            // Being hung up on is what should happen.
            let _ = stream.write_all(&bytes);
        }
    }
    // Held open and silent, too many for a server that keeps them all.
    let silent: Vec<TcpStream> =
        (0..300).filter_map(|_| TcpStream::connect(cluster.addresses[0]).ok()).collect();
    let add = |owner: &str| Rr::new(&format!("{owner}.{ZONE}"), wire::A, 60, &[192, 0, 2, 9]);
    let update = |cluster: &Cluster, owner: &str| {
        let response = client::update(cluster.nodes[0].dns(), ZONE, &[], &[add(owner)], Some(&tsig::KEY));
        assert_eq!(response.map(|message| message.rcode), Some(wire::NOERROR), "an update ({owner})");
    };
    update(&cluster, "beside-strangers");
    drop(silent);

    // Node 3 dies, and somebody with another secret takes its place; then somebody that the others do not know.
    cluster.nodes[2].kill_nine();
    for (label, id, secret) in [
        ("wrong-secret", 3, "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmc="),
        ("unknown-node", 4, cluster::SECRET),
    ] {
        let mut members = cluster.addresses.clone();
        if id == 4 {
            members.push(site.address());
        }
        let block = cluster::block(id, &members, secret);
        let mut stranger = Named::new(&site, label, Program::Trimaran, &zones(), &block);
        stranger.start();
        for number in 0..20 {
            update(&cluster, &format!("{label}{number}"));
        }
        let ready = wait::poll(Duration::from_secs(3), || {
            http::get(stranger.http(), "/readyz").filter(|(status, _)| *status == 200)
        });
        assert!(ready.is_none(), "{label} became part of the cluster");
        assert_eq!(
            client::addresses(stranger.dns(), &format!("{label}7.{ZONE}")).filter(|a| !a.is_empty()),
            None
        );
        stranger.kill_nine();
    }
    cluster.start_all();
    cluster.await_same_serial(ZONE, START_LIMIT);
    for (node, before) in cluster.nodes.iter_mut().zip(before) {
        assert_eq!(
            client::addresses(node.dns(), &format!("unknown-node19.{ZONE}")).map(|a| a.len()),
            Some(1)
        );
        assert_unharmed(node, before);
    }
}
