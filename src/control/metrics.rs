//! The status as Prometheus text (exposition format 0.0.4).

use super::status::ClusterStatus;
use crate::replication::replica::Role;
use std::fmt::Write;

/// The value of Content-Type for the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes all numbers of the status.
pub(super) fn render(status: &ClusterStatus) -> String {
    let mut page = Page(String::new());
    page.gauge("ready", "Whether zones are loaded and updates can be decided.", u64::from(status.ready));
    let leads = status.role == Role::Leader;
    page.gauge("leader", "Whether this node is the leader.", u64::from(leads));
    page.gauge("decided_index", "Index behind the last decided log entry.", status.decided_index);
    page.gauge("applied_index", "Index behind the last applied log entry.", status.applied_index);
    page.gauge("compacted_index", "Index of the oldest log entry kept.", status.compacted_index);
    if let Some(lease) = &status.lease {
        // A node that is alone needs nobody's leave.
        if let Some(remaining) = lease.remaining {
            let millis = remaining.as_millis() as u64;
            page.gauge("lease_remaining_milliseconds", "How long this node may answer.", millis);
        }
        let index = lease.everywhere_index;
        page.gauge("everywhere_index", "Entries below this index are in every answer of any node.", index);
        page.head("answers_withheld_total", "Queries not answered for want of a lease.", "counter");
        page.line("answers_withheld_total", lease.withheld);
    }
    page.gauge("log_bytes", "What the entries of the log cost, in octets.", status.log_bytes as u64);
    let is_behind = u64::from(status.catching_up.is_some());
    page.gauge("catching_up", "Whether entries are missing that the log does not have any more.", is_behind);
    page.gauge("connections", "Connections over TCP and TLS.", status.connections as u64);
    page.head("member_connected", "Whether a session with the member is up.", "gauge");
    for member in &status.members {
        page.labelled("member_connected", "member", &member.id.to_string(), u64::from(member.connected));
    }
    page.head("member_applied_index", "What the member last said it had applied.", "gauge");
    for member in &status.members {
        if let Some(index) = member.applied_index {
            page.labelled("member_applied_index", "member", &member.id.to_string(), index);
        }
    }
    page.head("zone_serial", "SOA serial of the zone.", "gauge");
    for zone in &status.zones {
        if let Some(serial) = zone.serial {
            page.labelled("zone_serial", "zone", &zone.name.to_string(), serial.into());
        }
    }
    page.head("zone_records", "Records of the zone.", "gauge");
    for zone in &status.zones {
        page.labelled("zone_records", "zone", &zone.name.to_string(), zone.records);
    }
    let mut previous = "";
    for counter in &status.counters {
        let name = format!("{}_total", counter.name);
        if counter.name != previous {
            page.head(&name, counter.help, "counter");
            previous = counter.name;
        }
        match counter.label {
            Some((label, text)) => page.labelled(&name, label, text, counter.value),
            None => page.line(&name, counter.value),
        }
    }
    page.0
}

struct Page(String);

/// Writing to a `String` cannot fail: its results are dropped.
impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP trimaran_{name} {help}\n# TYPE trimaran_{name} {kind}");
    }

    fn line(&mut self, name: &str, value: u64) {
        let _ = writeln!(self.0, "trimaran_{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help, "gauge");
        self.line(name, value);
    }

    fn labelled(&mut self, name: &str, label: &str, text: &str, value: u64) {
        // A name in presentation format has backslashes and may have quotes, but no line ends.
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = writeln!(self.0, "trimaran_{name}{{{label}=\"{text}\"}} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::tests::sample;
    use super::*;
    use crate::control::status::{Counter, LeaseStatus};
    use std::time::Duration;

    #[test]
    fn every_sample_stands_under_its_help_and_type() {
        let mut status = sample();
        let remaining = Some(Duration::from_millis(250));
        status.lease = Some(LeaseStatus { remaining, everywhere_index: 11, withheld: 4 });
        status.counters.push(Counter { name: "queries", help: "Queries answered.", value: 7, label: None });
        for (rcode, value) in [("NOERROR", 5), ("REFUSED", 2)] {
            let label = Some(("rcode", rcode));
            status.counters.push(Counter { name: "responses", help: "Responses sent.", value, label });
        }
        let text = render(&status);
        for line in [
            "trimaran_ready 1",
            "trimaran_leader 1",
            "trimaran_decided_index 12",
            "trimaran_connections 3",
            "trimaran_lease_remaining_milliseconds 250",
            "trimaran_everywhere_index 11",
            "trimaran_answers_withheld_total 4",
            "trimaran_member_connected{member=\"2\"} 0",
            "trimaran_member_applied_index{member=\"1\"} 12",
            "trimaran_zone_serial{zone=\"example.com.\"} 2024",
            "trimaran_zone_records{zone=\"odd\\\\\\\".example.\"} 0",
            "trimaran_queries_total 7",
            "trimaran_responses_total{rcode=\"NOERROR\"} 5",
            "trimaran_responses_total{rcode=\"REFUSED\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("member_applied_index{member=\"2\"}"), "unknown values are left out");
        assert_eq!(text.matches("# TYPE trimaran_responses_total ").count(), 1);
        let mut named = "";
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => named = rest.split(' ').next().unwrap(),
                None if line.starts_with('#') => {}
                None => assert_eq!(line.split(['{', ' ']).next(), Some(named), "{text}"),
            }
        }
    }
}
