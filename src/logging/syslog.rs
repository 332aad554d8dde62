//! The system's log: datagrams to `/dev/log`, as syslog(3) sends them.

use crate::clock;
use crate::config::logging::Severity;
use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/dev/log";
/// Facilities and their numbers (RFC 5424 §6.2.1).
const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];
const DAEMON: u8 = 3;

/// A way to the system's log.
pub(super) struct Syslog {
    facility: u8,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    pub(super) fn new(facility: &str) -> Syslog {
        let number =
            FACILITIES.iter().find(|(name, _)| *name == facility).map_or(DAEMON, |(_, number)| *number);
        Syslog { facility: number, socket: None }
    }

    /// Sends a line. One that cannot be taken at once is lost: the server does not wait for the log.
    pub(super) fn send(&mut self, severity: Severity, line: &str) {
        let datagram = datagram(self.facility, severity, line);
        let is_sent = |socket: &UnixDatagram| socket.send(datagram.as_bytes()).is_ok();
        if !self.socket.as_ref().is_some_and(is_sent) {
            // The daemon may have been restarted: its socket is another one then.
            self.socket = connect().filter(is_sent);
        }
    }
}

fn connect() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect(SOCKET).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// `<priority>Mmm dd hh:mm:ss named[pid]: line` (RFC 3164 §4.1).
fn datagram(facility: u8, severity: Severity, line: &str) -> String {
    let level = match severity {
        Severity::Critical => 2,
        Severity::Error => 3,
        Severity::Warning => 4,
        Severity::Notice => 5,
        Severity::Info => 6,
        Severity::Debug(_) => 7,
    };
    let now = clock::now_utc();
    let month = &now.month().to_string()[..3];
    let (hour, minute, second) = now.time().as_hms();
    let (priority, day, pid) = (facility * 8 + level, now.day(), std::process::id());
    format!("<{priority}>{month} {day:>2} {hour:02}:{minute:02}:{second:02} named[{pid}]: {line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_facility_and_severity() {
        for (facility, severity, priority) in [
            ("daemon", Severity::Info, "<30>"),
            ("local7", Severity::Debug(9), "<191>"),
            ("kern", Severity::Critical, "<2>"),
            ("no-such", Severity::Error, "<27>"),
        ] {
            let datagram = datagram(Syslog::new(facility).facility, severity, "text");
            assert!(datagram.starts_with(priority), "{datagram}");
            assert!(datagram.ends_with(&format!("named[{}]: text", std::process::id())), "{datagram}");
        }
    }
}
