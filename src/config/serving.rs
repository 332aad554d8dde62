//! What is promised to those who update and ask: `acknowledge`, `stale-answers`, `consistency`, `lease-duration`.
//!
//! A zone has its own, or those of the `cluster` statement.

use super::model::{Acknowledge, ClusterConfig, Consistency, StaleAnswers, ZoneServing};
use super::resolve::Findings;
use super::tree::{Entry, Map};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a lease may last, in milliseconds: at least some round trips and ticks, and at most what whoever updates may be
/// kept waiting when a node dies.
const LEASE_MILLIS: RangeInclusive<u32> = 100..=60_000;

/// What `zone` promises, with what `cluster` says for all zones.
pub(super) fn of_zone(zone: &Map, cluster: Option<&Map>) -> ZoneServing {
    let statement = |name: &str| zone.get(name).or_else(|| cluster?.get(name));
    let acknowledge = match statement("acknowledge").and_then(Entry::text) {
        Some("everywhere") => Acknowledge::Everywhere,
        _ => Acknowledge::Quorum,
    };
    let stale_answers = match statement("stale-answers") {
        // A node that is no cluster always has the newest data.
        _ if cluster.is_none() => StaleAnswers::Yes,
        None if acknowledge == Acknowledge::Everywhere => StaleAnswers::No,
        None => StaleAnswers::Yes,
        Some(entry) => match entry.boolean() {
            Some(true) => StaleAnswers::Yes,
            Some(false) => StaleAnswers::No,
            None => StaleAnswers::Drop,
        },
    };
    let consistency = match statement("consistency").and_then(Entry::text) {
        Some("linearizable") => Consistency::Linearizable,
        _ => Consistency::Local,
    };
    ZoneServing { acknowledge, stale_answers, consistency }
}

/// `lease-duration`.
pub(super) fn lease_duration(cluster: &Map, findings: &mut Findings<'_>) -> Duration {
    let millis = cluster.get("lease-duration").and_then(|entry| {
        let millis = entry.integer()?;
        if !LEASE_MILLIS.contains(&millis) {
            let (least, most) = LEASE_MILLIS.into_inner();
            let text = format!("lease-duration {millis} is out of range ({least}..{most} milliseconds)");
            findings.error(&entry.position, text);
        }
        Some(millis)
    });
    millis.map_or(ClusterConfig::LEASE_DURATION_DEFAULT, |millis| Duration::from_millis(u64::from(millis)))
}
