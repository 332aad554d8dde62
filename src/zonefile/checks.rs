//! What the reader says about single records that are legal but doubtful, and about some that may not stand
//! where they are.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Check;
use super::RecordRef;
use super::diagnostics::{Kind, Place, Severity, quoted};
use super::hostname::{self, has_form};
use super::lexer::Line;
use super::reader::{File, GiveUp, Head, Reader, Step};
use crate::dns::{Class, Name, RrType, name, rdata};

impl<F: FnMut(RecordRef<'_>)> Reader<'_, F> {
    /// Types that no zone holds. BIND reads on, so that there may be more to say.
    pub(super) fn check_type(&mut self, file: &File, line: &Line<'_>, head: &Head) {
        let at = line.on_first_line(head.type_at);
        // MD and MF are obsolete (RFC 973).
        if matches!(head.rtype.0, 3 | 4) {
            self.error(file, at, Kind::Obsolete(head.rtype));
        }
        // BIND: type 0 is refused for its RDATA only.
        if head.rtype.is_meta() && head.rtype.0 != 0 {
            self.error(file, at, Kind::MetaType(head.rtype));
        }
    }

    /// Whether the owner may have the type.
    pub(super) fn check_owner(&mut self, file: &File, line: &Line<'_>, head: &Head) {
        if self.options.check_names == Check::Ignore
            || hostname::is_owner(file.owner(), self.options.class, head.rtype)
        {
            return;
        }
        // A wrong owner of NSEC3 breaks the chain, however strict check-names is.
        let check = if head.rtype == RrType::NSEC3 { Check::Fail } else { self.options.check_names };
        let at = if line.starts_blank { head.type_at } else { 0 };
        self.report(file, line.on_first_line(at), severity(check), Kind::BadOwner(file.owner_name()));
    }

    /// SOA stands at the apex only, DS never.
    ///
    /// BIND: looks at the current owner even where glue stands between its records.
    pub(super) fn check_place(&mut self, file: &File, line: &Line<'_>, head: &Head) -> Step<()> {
        if !matches!(head.rtype, RrType::SOA | RrType::DS) {
            return Ok(());
        }
        let owner = &file.current.owner;
        let at = line.on_first_line(head.type_at);
        match (head.rtype == RrType::SOA, owner.eq_ignore_ascii_case(self.zone.as_wire())) {
            (true, false) => {
                self.error(file, at, Kind::NotAtTop(file.name_of(owner)));
                // BIND: is behind the end of the line already.
                Err(GiveUp::Skip)
            }
            (false, true) => {
                self.error(file, at, Kind::AtTop(file.name_of(owner)));
                Err(GiveUp::NextLine)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_ns(&mut self, file: &File, line: &Line<'_>, index: usize) -> Step<()> {
        // BIND: of the class IN alone, unlike MX.
        if self.options.check_ns == Check::Ignore || self.options.class != Class::IN {
            return Ok(());
        }
        let target = self.token(file, line, index)?;
        if is_address(target) {
            let kind = Kind::NsIsAddress(quoted(target));
            self.report(file, line.on_first_line(index), severity(self.options.check_ns), kind);
        }
        Ok(())
    }

    /// Looks at the names in RDATA, of which the first `read` tokens are right. `octets` are all of it, if it is.
    pub(super) fn check_rdata(
        &mut self,
        file: &File,
        line: &Line<'_>,
        head: &Head,
        read: usize,
        octets: Option<&[u8]>,
    ) -> Step<()> {
        let tokens = &line.tokens[head.rdata_at..head.rdata_at + read];
        let is_reverse = head.rtype == RrType::PTR && is_reverse(file.owner());
        let number = tokens.first().and_then(|token| std::str::from_utf8(token.text).ok()?.parse().ok());
        let checked = hostname::checked(head.rtype, is_reverse, number);
        if checked.is_empty() || tokens.first().is_some_and(|token| token.text == b"\\#") {
            return Ok(());
        }
        for &(at, index, form) in checked {
            let Some(token) = tokens.get(at) else { break };
            let place = Place { line: line.number_behind(head.rdata_at + at), ..line.at(head.rdata_at + at) };
            let fail = |reason| Err(GiveUp::Rdata { token: head.rdata_at + at, reason });
            if head.rtype == RrType::MX && self.options.check_mx != Check::Ignore && is_address(token.text) {
                if self.options.check_mx == Check::Fail {
                    return fail("MX is an address");
                }
                self.warn(file, place, Kind::MxIsAddress(quoted(token.text)));
            }
            if self.options.check_names == Check::Ignore {
                continue;
            }
            let named = match octets {
                Some(octets) => rdata::names(head.rtype, octets)
                    .nth(index)
                    .is_some_and(|name| has_form(&octets[name.offset..name.offset + name.length], form)),
                None => Name::parse(token.text, Some(&file.origin))
                    .is_ok_and(|name| has_form(name.as_wire(), form)),
            };
            if named {
                continue;
            }
            if self.options.check_names == Check::Fail {
                return fail("bad name (check-names)");
            }
            if let Ok(name) = Name::parse(token.text, Some(&file.origin)) {
                self.warn(file, place, Kind::BadName(name));
            }
        }
        Ok(())
    }

    pub(super) fn check_age(&mut self, file: &File, line: &Line<'_>, head: &Head, octets: &[u8]) {
        let expiry = octets.get(8..12).and_then(|octets| octets.first_chunk::<4>());
        if let (RrType::RRSIG, Some(now), Some(expiry)) = (head.rtype, self.options.now, expiry) {
            // Serial number arithmetic (RFC 4034 §3.1.5).
            let is_over = (u32::from_be_bytes(*expiry).wrapping_sub(now) as i32) < 0;
            if is_over && !std::mem::replace(&mut self.warned_expired, true) {
                self.warn(file, line.on_first_line(head.rdata_at + 4), Kind::SignatureExpired);
            }
        }
        // SIG and NXT (RFC 2535) have been replaced by RFC 4034's.
        if matches!(head.rtype.0, 24 | 30) && !std::mem::replace(&mut self.warned_old_dnssec, true) {
            self.warn(file, line.on_first_line(head.type_at), Kind::OldDnssec);
        }
    }
}

/// The severity of a report.
fn severity(check: Check) -> Severity {
    if check == Check::Fail { Severity::Error } else { Severity::Warning }
}

/// Whether a target is written like an address, with a final dot or without.
fn is_address(text: &[u8]) -> bool {
    // Nearly all targets have a letter that no address has.
    if !text.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')) {
        return false;
    }
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let text = text.strip_suffix('.').unwrap_or(text);
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()
}

/// Whether a name stands for an address. Those of DNS-SD do not (RFC 6763 §11).
fn is_reverse(owner: &[u8]) -> bool {
    let mut labels = name::labels(owner);
    let first = labels.next().unwrap_or_default();
    let is_service = ["b", "db", "r", "dr", "lb"].iter().any(|l| first.eq_ignore_ascii_case(l.as_bytes()))
        && labels.next().is_some_and(|label| label.eq_ignore_ascii_case(b"_dns-sd"))
        && labels.next().is_some_and(|label| label.eq_ignore_ascii_case(b"_udp"));
    !is_service
        && [b"\x07in-addr\x04arpa\x00".as_slice(), b"\x03ip6\x04arpa\x00", b"\x03ip6\x03int\x00"]
            .into_iter()
            .any(|suffix| name::is_at_or_below(owner, suffix))
}
