//! Options about connections: how many, and how long they may take.

use super::diagnostic::Severity;
use super::model::Options;
use super::resolve::Findings;
use super::tree::{Entry, Map};

/// The shortest queue there is, except for 0, which leaves it to the system. BIND: the same.
const LISTEN_QUEUE_MIN: u32 = 10;

/// Reads them. BIND: a time that is out of range is moved into it, with a warning.
pub(super) fn read(map: &Map, options: &mut Options, findings: &mut Findings<'_>) {
    if let Some(clients) = map.get("tcp-clients").and_then(Entry::integer) {
        options.tcp_clients = clients;
    }
    if let Some(queue) = map.get("tcp-listen-queue").and_then(Entry::integer) {
        options.tcp_listen_queue = if queue == 0 { 0 } else { queue.max(LISTEN_QUEUE_MIN) };
    }
    for (name, lowest, highest, tenths) in [
        ("tcp-initial-timeout", 25, 1200, &mut options.tcp_initial_timeout),
        ("tcp-idle-timeout", 1, 1200, &mut options.tcp_idle_timeout),
        ("tcp-keepalive-timeout", 1, 65_535, &mut options.tcp_keepalive_timeout),
        ("tcp-advertised-timeout", 0, 65_535, &mut options.tcp_advertised_timeout),
    ] {
        let Some(entry) = map.get(name) else { continue };
        let Some(number) = entry.integer() else { continue };
        *tenths = number.clamp(lowest, highest);
        if *tenths != number {
            let towards = if *tenths < number { "lowering" } else { "raising" };
            let text = format!("{name} value is out of range: {towards} to {tenths}");
            findings.say(Severity::Warning, &entry.position, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{ReadOptions, read_text};

    #[test]
    fn times_are_moved_into_their_range() {
        // The statement, its number, what becomes of the four times, and what is said.
        let cases = [
            ("tcp-initial-timeout", 24, [25, 300, 300, 300], "raising to 25"),
            ("tcp-initial-timeout", 25, [25, 300, 300, 300], ""),
            ("tcp-initial-timeout", 1201, [1200, 300, 300, 300], "lowering to 1200"),
            ("tcp-idle-timeout", 0, [300, 1, 300, 300], "raising to 1"),
            ("tcp-idle-timeout", 1200, [300, 1200, 300, 300], ""),
            ("tcp-keepalive-timeout", 65_536, [300, 300, 65_535, 300], "lowering to 65535"),
            ("tcp-advertised-timeout", 0, [300, 300, 300, 0], ""),
        ];
        for (name, number, expected, said) in cases {
            let text = format!("options {{ {name} {number}; }};");
            let reading = read_text("named.conf", text.as_bytes(), ReadOptions::default());
            let (config, diagnostics) = reading.resolve(None);
            let options = config.expect("a configuration").options;
            let times = [
                options.tcp_initial_timeout,
                options.tcp_idle_timeout,
                options.tcp_keepalive_timeout,
                options.tcp_advertised_timeout,
            ];
            assert_eq!(times, expected, "{text}");
            let about = |text: &&str| text.starts_with(name) && text.contains("out of range");
            let texts: Vec<&str> = diagnostics.iter().map(|found| found.text.as_str()).collect();
            let wanted = format!("{name} value is out of range: {said}");
            let wanted = if said.is_empty() { None } else { Some(wanted.as_str()) };
            assert_eq!(texts.into_iter().find(about), wanted, "{text}");
        }
    }
}
