//! The rate and the latency of updates beside BIND's, in turns in one run. Prints; never decides.

use std::net::SocketAddr;
use std::time::Duration;

use super::harness::load::{Amount, Load, Outcome};
use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::rng::Rng;
use super::harness::{Cluster, Site, zonegen};

const ZONE: &str = "load.test.";
const RECORDS: usize = 10_000;
const ROUNDS: usize = 5;
const EACH: Duration = Duration::from_secs(2);

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn updates_beside_one_bind_primary() {
    let mut rng = Rng::for_test("compare-bind");
    let site = Site::new("compare-bind");
    let zone = Zone::open(ZONE, &zonegen::zone(ZONE, RECORDS, 0, &mut rng).text);
    let mut bind = Named::start_new(&site, "bind", Program::Bind, std::slice::from_ref(&zone));
    bind.await_ready(START_LIMIT);
    let cluster = Cluster::start_new(&site, 3, &[zone]);
    let three = cluster.servers();
    let leader = vec![cluster.nodes[cluster.leader()].dns()];
    let sides: [(&str, Vec<SocketAddr>); 3] = [
        ("BIND", vec![bind.dns()]),
        ("three nodes, through all", three),
        ("three nodes, through the leader", leader),
    ];
    for in_flight in [64, 1] {
        let mut outcomes: Vec<Vec<Outcome>> = sides.iter().map(|_| Vec::new()).collect();
        for round in 0..=ROUNDS {
            for ((_, servers), outcomes) in sides.iter().zip(&mut outcomes) {
                let load = Load {
                    servers: servers.clone(),
                    zone: ZONE.into(),
                    in_flight,
                    amount: Amount::For(EACH),
                    tag: round as u8,
                };
                let outcome = load.run();
                // The first round warms up.
                if round > 0 {
                    outcomes.push(outcome);
                }
            }
        }
        let rates: Vec<f64> =
            outcomes.iter().map(|all| median(all.iter().map(Outcome::rate).collect())).collect();
        let p50s: Vec<f64> = outcomes
            .iter()
            .map(|all| median(all.iter().map(|o| o.latencies.quantile(0.5).as_secs_f64() * 1e3).collect()))
            .collect();
        println!("{in_flight} in flight, medians of {ROUNDS} runs of {EACH:?} in turns:");
        for (index, (name, _)) in sides.iter().enumerate() {
            let lost: usize = outcomes[index].iter().map(|outcome| outcome.lost + outcome.refused).sum();
            println!(
                "  {name:32} {:8.0}/s ({:5.2} of BIND)  p50 {:6.2} ms ({:5.2} of BIND)  lost or refused {lost}",
                rates[index],
                rates[index] / rates[0],
                p50s[index],
                p50s[index] / p50s[0]
            );
            assert!(rates[index] > 0.0, "{name} acknowledged nothing");
            assert_eq!(lost, 0, "{name} lost or refused updates");
        }
    }
}
