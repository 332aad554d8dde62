//! WKS: an address, a protocol and its ports (RFC 1035 §3.4.2).
//!
//! ```text
//! 192.0.2.1 tcp smtp 80 ─► names by protocols.txt and services.txt ─► address, protocol, bitmap of ports
//! ```
//!
//! BIND asks the database of the machine that it runs on. Here the names are part of the program, so that a zone
//! file means the same everywhere: they are those that Debian's netbase has (`compat-tests/rrtypes.rs` compares).

use super::RdataTextError;
use super::number;
use super::text::Input;

type Parsed<T> = Result<T, RdataTextError>;

/// A line per protocol: number, name, aliases.
const PROTOCOLS: &str = include_str!("protocols.txt");
/// A line per service: port and protocol, name, aliases. The first one counts.
const SERVICES: &str = include_str!("services.txt");
/// BIND: of a service in capitals so many letters count.
const LOWERED_BYTES_MAX: usize = 31;

/// Reads the presentation format.
pub(super) fn parse(input: &mut Input<'_>, out: &mut Vec<u8>) -> Parsed<()> {
    out.extend(input.ipv4()?.octets());
    let token = input.word()?;
    let protocol = numeric(token).or_else(|| protocol(token));
    let protocol = protocol.ok_or_else(|| input.bad("unknown protocol"))?;
    let protocol = u8::try_from(protocol).map_err(|_| input.bad("out of range"))?;
    out.push(protocol);
    let start = out.len();
    while input.has_more() {
        let token = input.word()?;
        let port = numeric(token).or_else(|| service(token, protocol));
        let port = port.ok_or_else(|| input.bad("unknown service"))?;
        let port = usize::from(u16::try_from(port).map_err(|_| input.bad("out of range"))?);
        if out.len() <= start + port / 8 {
            out.resize(start + port / 8 + 1, 0);
        }
        out[start + port / 8] |= 0x80 >> (port % 8);
    }
    Ok(())
}

fn numeric(token: &[u8]) -> Option<i64> {
    let (value, rest) = number::leading(token);
    rest.is_empty().then_some(value)
}

/// What the first line begins with that has a name and is of the right kind.
fn find(lines: &'static str, name: &[u8], is_right: impl Fn(&str) -> bool) -> Option<&'static str> {
    lines.lines().find_map(|line| {
        let (key, names) = line.split_once(' ')?;
        (is_right(key) && names.split(' ').any(|known| known.as_bytes() == name)).then_some(key)
    })
}

fn protocol(name: &[u8]) -> Option<i64> {
    find(PROTOCOLS, name, |_| true)?.parse().ok()
}

/// The port of a service: over TCP and UDP of that one, else of any.
fn service(name: &[u8], protocol: u8) -> Option<i64> {
    let ending = match protocol {
        6 => "/tcp",
        17 => "/udp",
        _ => "",
    };
    let lowered = name[..name.len().min(LOWERED_BYTES_MAX)].to_ascii_lowercase();
    let find = |name: &[u8]| find(SERVICES, name, |key| key.ends_with(ending));
    find(&lowered).or_else(|| find(name))?.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_number_and_a_name() {
        let is_number = |text: &str| text.parse::<u16>().is_ok_and(|number| number > 0);
        for line in SERVICES.lines() {
            let (port, names) = line.split_once('/').expect(line);
            let (kind, name) = names.split_once(' ').expect(line);
            assert!(is_number(port) && matches!(kind, "tcp" | "udp" | "sctp" | "dccp" | "ddp"), "{line}");
            assert!(service(name.split(' ').next().expect(line).as_bytes(), 0).is_some(), "{line}");
        }
        for line in PROTOCOLS.lines() {
            let (number, names) = line.split_once(' ').expect(line);
            for name in names.split(' ') {
                assert_eq!(
                    protocol(name.as_bytes()).map(|number| number.to_string()).as_deref(),
                    Some(number)
                );
            }
        }
    }

    #[test]
    fn services_belong_to_a_protocol() {
        for (name, protocol, port) in [
            ("smtp", 6, Some(25)),
            ("SMTP", 6, Some(25)),
            ("mail", 6, Some(25)),
            ("smtp", 17, None),
            ("tftp", 17, Some(69)),
            ("tftp", 6, None),
            ("tftp", 1, Some(69)),
            ("nonsense", 6, None),
        ] {
            assert_eq!(service(name.as_bytes(), protocol), port, "{name} {protocol}");
        }
        assert_eq!(
            [&b"tcp"[..], b"TCP", b"Tcp"].map(protocol),
            [Some(6), Some(6), None],
            "BIND: looks for protocols as they are written"
        );
    }
}
