//! What concerns resolution: forwarding, recursion, DNS64, rate limits, the order of answers, dnstap.

use super::super::diagnostic::Position;
use super::super::tree::{Entry, Map};
use super::super::values::{Address, Located, Value};
use super::{Checker, View, class_number, domain_name, entries, is_rr_type};
use std::net::IpAddr;

impl<'a> Checker<'a> {
    /// `forward` needs `forwarders`; and the root zone may have none if `options` has.
    pub(super) fn forward(&mut self, map: &Map, general: Option<&Entry>) {
        let forwarders = map.get("forwarders");
        if let (Some(own), Some(general)) = (forwarders, general) {
            let text = format!(
                "forwarders declared in root zone and in general configuration: {}",
                general.object_position()
            );
            self.error(own.object_position(), text);
        } else if let (Some(forward), None) = (map.get("forward"), forwarders) {
            self.error(forward.value_position(), "no matching 'forwarders' statement".to_owned());
        }
    }

    pub(super) fn dual_stack_servers(&mut self, map: &Map) {
        let Some(entry) = map.get("dual-stack-servers") else { return };
        self.port(entry.behind("port"));
        for element in entry.list() {
            let Some(first) = element.first() else { continue };
            let Some(name) = first.text() else { continue };
            if domain_name(name).is_none() {
                self.error(&first.position, format!("bad name '{name}'"));
            }
            self.port(super::super::tree::behind(element, "port"));
        }
    }

    fn port(&mut self, located: Option<&Located>) {
        if let Some((located, number)) = located.and_then(|located| Some((located, located.integer()?)))
            && number > u32::from(u16::MAX)
        {
            self.error(&located.position, format!("port '{number}' out of range"));
        }
    }

    pub(super) fn rrset_order(&mut self, map: &Map) {
        let Some(entry) = map.get("rrset-order") else { return };
        for element in entry.list() {
            let label = |label: &str| {
                super::super::tree::behind(element, label).and_then(|value| Some((value, value.text()?)))
            };
            if let Some((value, class)) = label("class")
                && class_number(class).is_none()
            {
                self.error(&value.position, format!("rrset-order: invalid class '{class}'"));
            }
            if let Some((value, rr_type)) = label("type")
                && !is_rr_type(rr_type)
            {
                self.error(&value.position, format!("rrset-order: invalid type '{rr_type}'"));
            }
            if let Some((value, name)) = label("name")
                && domain_name(name).is_none()
            {
                self.error(&value.position, format!("rrset-order: invalid name '{name}'"));
            }
            if let [.., order, ordering] = element.as_slice() {
                self.ordering(element.first().map_or(&entry.position, |v| &v.position), order, ordering);
            }
        }
    }

    fn ordering(&mut self, element: &Position, order: &Located, ordering: &Located) {
        if !order.text().is_some_and(|text| text.eq_ignore_ascii_case("order")) {
            self.error(element, "rrset-order: keyword 'order' missing".to_owned());
        }
        let text = ordering.text().unwrap_or_default();
        match text.to_ascii_lowercase().as_str() {
            "fixed" => {
                let text = "rrset-order: order 'fixed' was disabled at compilation time";
                self.warn(&ordering.position, text.to_owned());
            }
            "random" | "cyclic" | "none" => {}
            _ => self.error(&ordering.position, format!("rrset-order: invalid order '{text}'")),
        }
    }

    pub(super) fn dnstap(&mut self, view: &View<'a>) {
        if self.options.is_some_and(|options| options.get("dnstap-output").is_some()) {
            return;
        }
        if let Some(entry) = self.inherited(view, "dnstap") {
            let text = "'dnstap-output' must be set if 'dnstap' is set";
            self.error(entry.value_position(), text.to_owned());
        }
    }

    /// Checks who may ask for recursion, and whether that fits `recursion`.
    pub(super) fn recursion_acls(&mut self, view: &mut View<'a>) {
        let recursion = self.inherited(view, "recursion").and_then(Entry::boolean).unwrap_or(true);
        for name in ["allow-recursion", "allow-recursion-on"] {
            let Some(entry) = self.inherited(view, name) else { continue };
            let Ok(summary) = self.list_of(&mut view.acls, entry) else { continue };
            if !recursion && !summary.is_none() {
                let text = format!("both \"recursion no;\" and \"{name}\" active{}", view.suffix());
                self.warn(entry.value_position(), text);
            }
        }
    }

    /// Whether anybody in a view may ask for recursion, as far as two statements tell.
    pub(super) fn has_recursion(&mut self, view: &mut View<'a>) -> bool {
        if self.inherited(view, "recursion").and_then(Entry::boolean) == Some(false) {
            return false;
        }
        // BIND: a list that cannot be used lets everybody in.
        let list = self.inherited(view, "allow-recursion");
        list.is_none_or(|entry| {
            self.list_of(&mut view.acls, entry).map_or(true, |summary| !summary.is_none())
        })
    }

    pub(super) fn dns64(&mut self, view: &mut View<'a>) {
        let own = view.map.filter(|map| map.get("dns64").is_some()).or(self.options);
        for entry in own.into_iter().flat_map(|map| entries(map, "dns64")) {
            let (Some(Value::Prefix(block)), Some(map)) = (entry.value(), entry.map()) else { continue };
            let fault = match block.address.ip {
                IpAddr::V4(_) => Some("must be IPv6"),
                IpAddr::V6(v6) if v6.octets()[8] != 0 => Some("bits [64..71] must be zero"),
                IpAddr::V6(_) if !matches!(block.bits, 32 | 40 | 48 | 56 | 64 | 96) => {
                    Some("length is not 32/40/48/56/64/96")
                }
                IpAddr::V6(_) => None,
            };
            if let Some(fault) = fault {
                self.error(&map.position, format!("dns64 prefix {block} {fault}"));
                continue;
            }
            for name in ["clients", "exclude", "mapped"] {
                if let Some(list) = map.get(name) {
                    let _ = self.list_of(&mut view.acls, list);
                }
            }
            if let Some(suffix) = map.get("suffix")
                && let Some(Value::Socket(socket)) = suffix.value()
            {
                self.dns64_suffix(suffix, socket.address, block.bits);
            }
        }
    }

    fn dns64_suffix(&mut self, entry: &Entry, address: Address, prefix_bits: u32) {
        let IpAddr::V6(v6) = address.ip else { return };
        let octets = prefix_bits as usize / 8 + if prefix_bits <= 64 { 5 } else { 4 };
        if v6.octets().iter().take(octets).any(|octet| *octet != 0) {
            let text = format!("bad suffix '{address}' leading {octets} octets not zeros");
            self.error(entry.value_position(), text);
        }
    }

    pub(super) fn rate_limit(&mut self, view: &mut View<'a>) {
        let Some(map) = self.inherited(view, "rate-limit").and_then(Entry::map) else { return };
        let number = |name: &str| map.get(name).and_then(|entry| Some((entry, entry.integer()? as i32)));
        let mut faults: Vec<(&Entry, String)> = Vec::new();
        let least = number("min-table-size").map_or(500, |(_, size)| size.max(1));
        if let Some((entry, most)) = number("max-table-size").filter(|(_, most)| *most < least) {
            faults.push((entry, format!("max-table-size {most} < min-table-size {least}")));
        }
        let rates = [
            ("responses-per-second", 1000),
            ("referrals-per-second", 1000),
            ("nodata-per-second", 1000),
            ("nxdomains-per-second", 1000),
            ("errors-per-second", 1000),
            ("all-per-second", 1000),
            ("slip", 10),
        ];
        for (name, most) in rates {
            if let Some((entry, rate)) = number(name).filter(|(_, rate)| *rate > most) {
                faults.push((entry, format!("{name} {rate} > {most}")));
            }
        }
        if let Some((entry, secs)) = number("window").filter(|(_, secs)| !(1..=3600).contains(secs)) {
            faults.push((entry, format!("window {secs} < 1 or > 3600")));
        }
        if let Some((entry, scale)) = number("qps-scale").filter(|(_, scale)| *scale < 1) {
            faults.push((entry, format!("invalid 'qps-scale {scale}'")));
        }
        if let Some((entry, bits)) = number("ipv4-prefix-length").filter(|(_, bits)| !(8..=32).contains(bits))
        {
            faults.push((entry, format!("invalid 'ipv4-prefix-length {bits}'")));
        }
        if let Some((entry, bits)) =
            number("ipv6-prefix-length").filter(|(_, bits)| !(16..=64).contains(bits))
        {
            faults.push((entry, format!("ipv6-prefix-length {bits} < 16 or > 64")));
        }
        for (entry, text) in faults {
            self.error(entry.value_position(), text);
        }
        if let Some(entry) = map.get("exempt-clients") {
            let _ = self.list_of(&mut view.acls, entry);
        }
    }
}
