//! What the reader says about single records that are legal but doubtful, and about some that may not stand
//! where they are.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Check;
use super::RecordRef;
use super::diagnostics::{Kind, Near, Severity};
use super::hostname::{self, has_form};
use super::lexer::Line;
use super::reader::{File, GiveUp, Head, Reader, Step, near};
use crate::dns::{Name, RrType, name, rdata};

impl<F: FnMut(RecordRef<'_>)> Reader<'_, F> {
    /// Whether the type may stand here at all. Only SOA elsewhere than at the apex ends the line.
    pub(super) fn check_place(&mut self, file: &File, line: &Line<'_>, head: &Head) -> Step<()> {
        let rtype = head.rtype;
        let at_apex = || file.owner.eq_ignore_ascii_case(self.zone.as_wire());
        // MD and MF are obsolete (RFC 973).
        let kind = match rtype.0 {
            3 | 4 => Some(Kind::Obsolete(rtype)),
            _ if rtype == RrType::SOA && !file.drop && !at_apex() => Some(Kind::NotAtTop(file.owner_name())),
            _ if rtype == RrType::DS && at_apex() => Some(Kind::AtTop(file.owner_name())),
            _ if rtype.is_meta() => Some(Kind::MetaType(rtype)),
            _ => None,
        };
        if let Some(kind) = kind {
            let gives_up = !matches!(kind, Kind::MetaType(_));
            self.report(file, line.on_first_line(head.type_at), Severity::Error, kind);
            if gives_up {
                return Err(GiveUp);
            }
        }
        // A wrong owner of NSEC3 breaks the chain: a warning is not enough.
        let check = match self.options.check_names {
            Check::Warn if rtype == RrType::NSEC3 => Check::Fail,
            check => check,
        };
        if check != Check::Ignore && !file.drop && !hostname::is_owner(&file.owner, rtype) {
            let at = if line.starts_blank { head.type_at } else { 0 };
            let kind = Kind::BadOwner(file.owner_name());
            self.report(file, line.on_first_line(at), severity(check), kind);
        }
        Ok(())
    }

    pub(super) fn check_ns(&mut self, file: &File, line: &Line<'_>, index: usize) -> Step<()> {
        if self.options.check_ns == Check::Ignore {
            return Ok(());
        }
        let target = self.token(file, line, index)?;
        if is_address(target) {
            let kind = Kind::NsIsAddress(String::from_utf8_lossy(target).into_owned());
            self.report(file, line.on_first_line(index), severity(self.options.check_ns), kind);
        }
        Ok(())
    }

    pub(super) fn check_mx(&mut self, file: &File, line: &Line<'_>, head: &Head) -> Step<()> {
        let Some(target) = line.tokens.get(head.rdata_at + 1).filter(|_| head.rtype == RrType::MX) else {
            return Ok(());
        };
        let is_generic = line.tokens[head.rdata_at].text == b"\\#";
        if self.options.check_mx == Check::Ignore || is_generic || !is_address(target.text) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(target.text).into_owned();
        let at = line.at(head.rdata_at + 1);
        if self.options.check_mx == Check::Fail {
            let kind = Kind::Rdata { near: Near::Word(text), reason: "MX is an address" };
            return Err(self.error(file, at, kind));
        }
        self.warn(file, at, Kind::MxIsAddress(text));
        Ok(())
    }

    pub(super) fn check_rdata_names(
        &mut self,
        file: &File,
        line: &Line<'_>,
        head: &Head,
        octets: &[u8],
    ) -> Step<()> {
        if self.options.check_names == Check::Ignore {
            return Ok(());
        }
        let in_reverse = head.rtype == RrType::PTR && is_reverse(&file.origin);
        for &(token, index, form) in hostname::checked(head.rtype, in_reverse, octets) {
            let Some(embedded) = rdata::names(head.rtype, octets).nth(index) else { break };
            let wire = &octets[embedded.offset..embedded.offset + embedded.length];
            if has_form(wire, form) {
                continue;
            }
            let Ok(found) = Name::from_wire(wire) else { break };
            let at = line.at(head.rdata_at + token);
            if self.options.check_names == Check::Fail {
                let near = near(line.tokens.get(head.rdata_at + token), line);
                return Err(self.error(file, at, Kind::Rdata { near, reason: "bad name (check-names)" }));
            }
            self.warn(file, at, Kind::BadName(found));
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

/// Whether names below `origin` stand for addresses.
fn is_reverse(origin: &Name) -> bool {
    [b"\x07in-addr\x04arpa\x00".as_slice(), b"\x03ip6\x04arpa\x00", b"\x03ip6\x03int\x00"]
        .into_iter()
        .any(|suffix| name::is_at_or_below(origin.as_wire(), suffix))
}
