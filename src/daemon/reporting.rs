//! What a node tells about itself: the status that `/cluster` and `/metrics` show.

use super::workers::Workers;
use crate::control::status::{self, ClusterStatus};
use crate::dns::{Class, Name};
use crate::nameserver::policy::Policy;
use crate::nameserver::rrl::Limiter;
use crate::replication::status::Status;
use crate::zone::Zones;
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Who knows something of it.
pub(super) struct Reported {
    pub(super) zones: Zones,
    pub(super) driver: watch::Receiver<Status>,
    /// The apexes of the zones that are to be served.
    pub(super) configured: Vec<Name>,
    pub(super) workers: Arc<Mutex<Option<Workers>>>,
    pub(super) policy: Arc<ArcSwap<Policy>>,
    /// Whether there are leases, and zones that need them.
    pub(super) needs_lease: bool,
}

/// Joins what the driver, the zones and the configuration know into one answer.
pub(super) fn status_source(reported: Reported) -> status::StatusSource {
    let Reported { zones, driver, configured, workers, policy, needs_lease } = reported;
    Arc::new(move || {
        let status = driver.borrow().clone();
        let table = zones.load();
        let mut listed: Vec<status::ZoneStatus> = table
            .iter()
            .map(|zone| {
                let contents = zone.contents();
                status::ZoneStatus {
                    name: zone.name().clone(),
                    serial: contents.as_ref().map(|contents| contents.serial()),
                    records: contents.as_ref().map_or(0, |contents| contents.record_count()),
                }
            })
            .collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let loaded = |apex: &Name| table.get(apex).is_some_and(|zone| zone.cell().load().is_some());
        let counters = status.counters;
        let policy = policy.load();
        let lease = &policy.lease;
        let workers = workers.lock().unwrap_or_else(PoisonError::into_inner);
        ClusterStatus {
            node: status.node_id,
            role: status.role,
            leader: status.leader,
            decided_index: status.decided_index,
            applied_index: status.applied_index,
            compacted_index: status.compacted_index,
            log_bytes: status.log_bytes,
            catching_up: status.catching_up.as_ref().map(|fetching| status::CatchingUp {
                from: fetching.from,
                image_bytes: fetching.image_bytes,
                trouble: fetching.trouble.clone(),
            }),
            ready: status.ready
                && status.catching_up.is_none()
                && configured.iter().all(loaded)
                && (!needs_lease || lease.is_valid()),
            lease: needs_lease.then(|| status::LeaseStatus {
                remaining: (!lease.is_endless()).then(|| lease.remaining()),
                everywhere_index: lease.everywhere_index(),
                withheld: lease.withheld(),
            }),
            members: status.members.iter().map(member_status).collect(),
            zones: listed,
            connections: workers.as_ref().map_or(0, Workers::connection_count),
            counters: [
                status::Counter {
                    name: "log_commits",
                    help: "Commits of the log, each one fsync.",
                    value: counters.commits,
                    label: None,
                },
                status::Counter {
                    name: "entries_applied",
                    help: "Log entries applied.",
                    value: counters.entries,
                    label: None,
                },
                status::Counter {
                    name: "commands_applied",
                    help: "Commands applied.",
                    value: counters.commands,
                    label: None,
                },
                status::Counter {
                    name: "dropped_messages",
                    help: "Messages of members that did not belong here.",
                    value: counters.dropped_messages,
                    label: None,
                },
            ]
            .into_iter()
            .chain(workers.iter().flat_map(Workers::counters))
            .chain(rate_limit_counters(&policy))
            .chain(observer_counters(&policy))
            .collect(),
        }
    })
}

fn member_status(member: &crate::replication::status::MemberStatus) -> status::MemberStatus {
    status::MemberStatus {
        id: member.id,
        address: member.address,
        connected: member.connected,
        applied_index: member.applied_index,
    }
}

/// What the query log and the tap have left out; nothing where there is none.
fn observer_counters(policy: &Policy) -> Vec<status::Counter> {
    let counter = |name, help, value| status::Counter { name, help, value, label: None };
    let log = policy.query_log.as_ref().map(|log| log.dropped());
    let log = log.map(|count| {
        counter("query_log_dropped", "Queries without a line, because the log was behind.", count)
    });
    let tap = policy.tap.as_ref().map(|tap| tap.dropped());
    let tap = tap.map(|count| counter("dnstap_dropped", "Messages of which the tap has no copy.", count));
    log.into_iter().chain(tap).collect()
}

/// What the rate limits have kept from being sent, by class; nothing of a class without a limit.
fn rate_limit_counters(policy: &Policy) -> Vec<status::Counter> {
    let limiters = [("IN", Class::IN), ("CH", Class::CH)];
    let limiters: Vec<_> =
        limiters.into_iter().filter_map(|(class, code)| Some((class, policy.limiter(code)?))).collect();
    let counters = |name, help, count: fn(&Limiter) -> u64| {
        let counter = move |(class, limiter): &(&'static str, &Limiter)| status::Counter {
            name,
            help,
            value: count(limiter),
            label: Some(("class", *class)),
        };
        limiters.iter().map(counter).collect::<Vec<_>>()
    };
    let mut all = counters("rate_limit_dropped", "Responses not sent for a rate limit.", Limiter::dropped);
    all.extend(counters("rate_limit_slipped", "Responses truncated for a rate limit.", Limiter::slipped));
    all
}
