//! IXFR: what changed since the client's version (RFC 1995).
//!
//! ```text
//! client's serial        TCP                                   UDP
//! ──────────────────────────────────────────────────────────────────────────────────────────────
//! current or newer       SOA                                   SOA
//! in the journal         SOA { old SOA removed* new SOA added* }+ SOA     the same if it fits, else SOA
//! not in the journal     the whole zone, as AXFR               SOA: come back over TCP
//! ```
//!
//! Difference sequences leave as they are in the journal, one per version: every node has the same ones,
//! so a secondary may go on at another node after any of them.
//!
//! Not here: who may ask (the dispatcher), how messages are filled and signed ([`super::transfer_out`]).

use super::axfr_out;
use super::transfer_out::{DifferenceRecords, Kind, Messages, Options, Records, Request};
use crate::config::IxfrRatio;
use crate::dns::message::Message;
use crate::dns::rdata::canonical;
use crate::dns::{Class, Rcode, RrType};
use crate::zone::changeset::soa_serial;
use crate::zone::{Contents, PackedChangeset, Zone, serial};

/// The serial of the version the client has: that of the SOA in the authority section (RFC 1995 §3).
///
/// # Errors
/// FORMERR if there is no SOA of the zone, or different ones. BIND: the same one twice is one.
pub fn client_serial(message: &Message) -> Result<u32, Rcode> {
    let question = message.question().ok_or(Rcode::FORMERR)?;
    let mut soas = message.authorities.iter().filter(|record| {
        record.rtype == RrType::SOA && record.class == Class::IN && record.owner == question.name
    });
    let first = canonical(RrType::SOA, &soas.next().ok_or(Rcode::FORMERR)?.rdata);
    match soas.all(|soa| canonical(RrType::SOA, &soa.rdata) == first) {
        true => soa_serial(&first).ok_or(Rcode::FORMERR),
        false => Err(Rcode::FORMERR),
    }
}

/// The messages that lead a client from the version `client_serial` to the current one, over TCP.
///
/// # Errors
/// SERVFAIL while the zone is not loaded.
pub fn transfer(
    zone: &Zone,
    client_serial: u32,
    ratio: IxfrRatio,
    request: Request,
    options: Options,
) -> Result<Messages, Rcode> {
    let (contents, changesets) = zone.since(client_serial).ok_or(Rcode::SERVFAIL)?;
    if is_current(&contents, client_serial) {
        return soa_only(&contents, request, options);
    }
    let reason = match changesets {
        Some(changesets) if is_within(ratio, &changesets, &contents) => {
            return differences(&contents, changesets, client_serial, request, options);
        }
        Some(_) => "IXFR delta size exceeds the maximum ratio to database size",
        None => "IXFR version not in journal",
    };
    tracing::debug!("transfer of '{}/IN': {reason}, falling back to AXFR", zone.name().undotted());
    axfr_out::whole_zone(contents, request, options, Kind::AxfrStyleIxfr)
}

/// The one message of at most `limit` octets that answers over UDP.
///
/// BIND: never sends differences over UDP; RFC 1995 §2 does where they fit.
///
/// # Errors
/// SERVFAIL while the zone is not loaded, or if its SOA does not fit.
pub fn datagram(
    zone: &Zone,
    client_serial: u32,
    limit: usize,
    request: Request,
    options: Options,
) -> Result<Vec<u8>, Rcode> {
    let (contents, changesets) = zone.since(client_serial).ok_or(Rcode::SERVFAIL)?;
    if let Some(changesets) = changesets.filter(|_| !is_current(&contents, client_serial)) {
        // Compression cannot make up for that much.
        let bytes: usize = changesets.iter().map(|changeset| changeset.wire_bytes()).sum();
        if bytes <= 4 * limit {
            let messages =
                differences(&contents, changesets, client_serial, request.clone(), options.clone())?;
            if let Some(message) = messages.single(limit) {
                return Ok(message);
            }
        }
    }
    soa_only(&contents, request, options)?.single(limit).ok_or(Rcode::SERVFAIL)
}

fn is_current(contents: &Contents, client_serial: u32) -> bool {
    client_serial == contents.serial() || serial::is_newer(client_serial, contents.serial())
}

fn soa_only(contents: &Contents, request: Request, options: Options) -> Result<Messages, Rcode> {
    let soa = contents.soa().ok_or(Rcode::SERVFAIL)?;
    Ok(Messages::new(request, options, Records::Soa { soa, sent: false }, Kind::Poll, contents.serial()))
}

fn differences(
    contents: &Contents,
    changesets: Vec<PackedChangeset>,
    client_serial: u32,
    request: Request,
    options: Options,
) -> Result<Messages, Rcode> {
    let soa = contents.soa().ok_or(Rcode::SERVFAIL)?;
    let serial = contents.serial();
    let records = Records::Differences(DifferenceRecords::new(changesets, &soa));
    Ok(Messages::new(request, options, records, Kind::Ixfr { client_serial }, serial))
}

/// Whether the differences are no larger than the zone, or the part of it that the ratio says.
///
/// Walks only as much of the zone as is needed to know.
fn is_within(ratio: IxfrRatio, changesets: &[PackedChangeset], contents: &Contents) -> bool {
    let IxfrRatio::Percent(percent) = ratio else { return true };
    let bytes: usize = changesets.iter().map(|changeset| changeset.wire_bytes()).sum();
    let mut left = bytes as u64 * 100;
    for rrset in contents.nodes().flat_map(|node| node.rrsets().collect::<Vec<_>>()) {
        for rdata in &rrset.rdatas {
            let bytes = rrset.owner.as_wire().len() + 10 + rdata.len();
            match left.checked_sub(bytes as u64 * u64::from(percent)) {
                Some(rest) => left = rest,
                None => return true,
            }
        }
    }
    left == 0
}
