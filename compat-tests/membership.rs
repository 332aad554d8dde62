//! Members that come and go under load: nothing acknowledged is lost, and who is out stays out.

use std::fs::File;
use std::process::{Child, Command, Output};
use std::time::Duration;

use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::rng::Rng;
use super::harness::wire::Rr;
use super::harness::writer::{Books, SerialWatch, Writers};
use super::harness::{Cluster, Site, client, http, wait, zonegen};

const ZONE: &str = "membership.test.";
const WRITERS: usize = 4;
const RESUME_LIMIT: Duration = Duration::from_secs(20);
const SETTLE_LIMIT: Duration = Duration::from_secs(20);

/// `trimaran cluster ...` against the directory of `node`.
fn cluster_command(node: &Named, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trimaran"));
    command.arg("cluster").args(arguments).arg("--directory").arg(node.path("."));
    command.output().expect("the command runs")
}

fn status(node: &Named) -> serde_json::Value {
    let output = cluster_command(node, &["status", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    answer["status"].clone()
}

/// The node ids of those who vote, as `node` sees it.
fn voters(node: &Named) -> Vec<u64> {
    let view = status(node);
    let nodes = view["nodes"].as_array().expect("a list of nodes");
    nodes.iter().filter(|node| node["votes"] == true).filter_map(|node| node["id"].as_u64()).collect()
}

/// The nodes in the cluster have the same zone, and it agrees with the books.
fn check(cluster: &Cluster, members: &[usize], books: &Books) {
    let mut first: Option<Vec<Rr>> = None;
    for &index in members {
        let node = &cluster.nodes[index];
        let what = format!("node {} to have what was acknowledged", index + 1);
        let records = wait::until(&what, SETTLE_LIMIT, || {
            let serials: Vec<_> =
                members.iter().map(|&index| client::serial(cluster.nodes[index].dns(), ZONE)).collect();
            let same = serials.windows(2).all(|pair| pair[0] == pair[1] && pair[0].is_some());
            same.then(|| client::axfr(node.dns(), ZONE).ok())?
        });
        books.check(node.label(), &records);
        let first = first.get_or_insert_with(|| records.clone());
        assert!(*first == records, "{} has another zone than the first node", node.label());
    }
}

#[test]
fn members_leave_one_by_one_under_load_the_leader_too_and_nothing_is_lost() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("membership-leave");
    let site = Site::new("membership-leave");
    let mut cluster = Cluster::start_new(&site, 5, &[Zone::primary(ZONE, &zonegen::small(ZONE))]);
    let servers = cluster.servers();
    let watch = SerialWatch::start(&servers, ZONE);
    let mut members: Vec<usize> = (0..5).collect();
    let mut books = Books::default();
    let mut round = 0;
    while members.len() > 1 {
        round += 1;
        let writers = Writers::start(WRITERS, round, &servers, ZONE, &mut rng);
        writers.await_acknowledged(50, RESUME_LIMIT);
        // Every second time it is the leader who leaves.
        let leader = leader_among(&cluster, &members);
        let others: Vec<usize> = members.iter().copied().filter(|&index| index != leader).collect();
        let leaves = if round % 2 == 1 { leader } else { others[rng.below(others.len())] };
        members.retain(|&index| index != leaves);
        let asked = members[rng.below(members.len())];
        if members.len() > 2 {
            // One of those who stay dies meanwhile and comes back.
            let dies = *members.iter().find(|&&index| index != asked).expect("more than one stays");
            cluster.nodes[dies].kill_nine();
            cluster.nodes[dies].start();
        }
        let output = cluster_command(&cluster.nodes[asked], &["remove", &(leaves + 1).to_string()]);
        assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stderr));
        writers.await_acknowledged(50, RESUME_LIMIT);
        books.absorb(writers.finish());
        check(&cluster, &members, &books);
        let ids: Vec<u64> = members.iter().map(|&index| index as u64 + 1).collect();
        assert_eq!(voters(&cluster.nodes[asked]), ids);
        let gone = &cluster.nodes[leaves];
        wait::until("who was removed to know it", SETTLE_LIMIT, || {
            (http::json(gone.http(), "/cluster")?.get("role")? == "removed").then_some(())
        });
        wait::until("who was removed to be silent", SETTLE_LIMIT, || {
            client::serial(gone.dns(), ZONE).is_none().then_some(())
        });
    }
    watch.finish();
    println!("5 -> 1 members: {}", books.summary());
    let last = cluster_command(&cluster.nodes[members[0]], &["remove", &(members[0] + 1).to_string()]);
    assert_eq!(last.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&last.stderr).contains("is the last member"));
    // Who is out stays out, and who is in goes on, from what they have on disk.
    for node in &mut cluster.nodes {
        node.kill_nine();
        node.start();
    }
    check(&cluster, &members, &books);
}

fn leader_among(cluster: &Cluster, members: &[usize]) -> usize {
    wait::until("a leader", RESUME_LIMIT, || {
        let leader = http::json(cluster.nodes[members[0]].http(), "/cluster")?.get("leader")?.as_u64()?;
        members.iter().copied().find(|&index| index as u64 + 1 == leader)
    })
}

/// A node on its way into the cluster: one command.
fn join(node: &Named, token: &str, listen: &str) -> Child {
    let log = File::create(node.path("join.log")).expect("a log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_trimaran"));
    command
        .args(["cluster", "join", "--token", token, "--listen", listen, "-c"])
        .arg(node.path("named.conf"));
    command.stdout(log.try_clone().expect("a handle")).stderr(log).spawn().expect("it starts")
}

fn token(node: &Named, arguments: &[&str]) -> String {
    let output = cluster_command(node, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Lets `node` in by a token of `by`, and starts it again when it votes, as its service would.
fn grow(site: &Site, node: &mut Named, by: &Named, arguments: &[&str], wanted: &[u64]) {
    let token = token(by, arguments);
    let mut joining = join(node, &token, &site.address().to_string());
    let voting = wait::poll(Duration::from_secs(60), || (voters(by) == wanted).then_some(()));
    joining.kill().expect("kill -9");
    joining.wait().expect("it ends");
    assert!(voting.is_some(), "{}\n{:#}\n{}", node.file("join.log"), status(by), by.log());
    node.start();
    node.await_ready(START_LIMIT);
}

#[test]
fn a_cluster_grows_from_one_to_five_and_shrinks_to_three_under_load_and_nothing_is_lost() {
    if Program::subject() == Program::Bind {
        return;
    }
    let mut rng = Rng::for_test("membership-grow");
    let site = Site::new("membership-grow");
    let zones = [Zone::primary(ZONE, &zonegen::small(ZONE))];
    let nodes: Vec<Named> =
        (1..=6).map(|id| Named::new(&site, &format!("node{id}"), Program::subject(), &zones, "")).collect();
    let mut cluster = Cluster { nodes, addresses: Vec::new() };
    let servers = cluster.servers();
    let listen = site.address().to_string();
    let made = cluster_command(&cluster.nodes[0], &["init", "--listen", &listen]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    cluster.nodes[0].start();
    cluster.nodes[0].await_ready(START_LIMIT);
    let mut books = Books::default();
    let mut ids = vec![1];
    for index in 1..5 {
        let writers = Writers::start(WRITERS, index, &servers[..index], ZONE, &mut rng);
        writers.await_acknowledged(50, RESUME_LIMIT);
        ids.push(index as u64 + 1);
        let (before, rest) = cluster.nodes.split_at_mut(index);
        grow(&site, &mut rest[0], &before[0], &["token"], &ids);
        writers.await_acknowledged(50, RESUME_LIMIT);
        books.absorb(writers.finish());
        check(&cluster, &(0..=index).collect::<Vec<_>>(), &books);
    }
    println!("1 -> 5 members: {}", books.summary());
    // One loses its disk: it is not let in again under its old name, and another takes its place.
    cluster.nodes[4].kill_nine();
    for file in ["log.sqlite", "log.sqlite-wal", "zones.sqlite", "zones.sqlite-wal"] {
        // What a checkpoint has moved is not there.
        let _ = std::fs::remove_file(cluster.nodes[4].path(file));
    }
    cluster.nodes[4].start();
    let ended = cluster.nodes[4].await_end(START_LIMIT);
    assert_eq!(ended.code(), Some(1));
    assert!(cluster.nodes[4].log().contains("holds no node yet"), "{}", cluster.nodes[4].log());
    let writers = Writers::start(WRITERS, 10, &servers[..4], ZONE, &mut rng);
    let (before, rest) = cluster.nodes.split_at_mut(5);
    grow(&site, &mut rest[0], &before[0], &["replace", "5"], &[1, 2, 3, 4, 6]);
    writers.await_acknowledged(50, RESUME_LIMIT);
    books.absorb(writers.finish());
    check(&cluster, &[0, 1, 2, 3, 5], &books);
    // Back to three.
    let writers = Writers::start(WRITERS, 11, &servers, ZONE, &mut rng);
    for leaves in ["1", "6"] {
        let output = cluster_command(&cluster.nodes[1], &["remove", leaves]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        writers.await_acknowledged(50, RESUME_LIMIT);
    }
    books.absorb(writers.finish());
    check(&cluster, &[1, 2, 3], &books);
    assert_eq!(voters(&cluster.nodes[1]), [2, 3, 4]);
    println!("and to 3: {}", books.summary());
}
