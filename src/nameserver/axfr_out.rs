//! AXFR: the whole zone (RFC 5936).
//!
//! ```text
//! SOA  all other records, by owner in canonical order, the apex first  SOA
//! ```
//!
//! Everything the zone holds is sent: glue, and what a zone cut or a DNAME occludes (RFC 5936 §3.5).
//!
//! Not here: who may ask (the dispatcher), how messages are filled and signed ([`super::transfer_out`]).

use super::transfer_out::{Kind, Messages, Options, Records, Request, ZoneRecords};
use crate::dns::Rcode;
use crate::zone::{Contents, Zone};
use std::sync::Arc;

/// The messages of the current version of `zone`, for a request that came over TCP.
///
/// # Errors
/// SERVFAIL while the zone is not loaded.
pub fn transfer(zone: &Zone, request: Request, options: Options) -> Result<Messages, Rcode> {
    let contents = zone.contents().ok_or(Rcode::SERVFAIL)?;
    whole_zone(contents, request, options, Kind::Axfr)
}

/// The messages of one version.
pub(super) fn whole_zone(
    contents: Arc<Contents>,
    request: Request,
    options: Options,
    kind: Kind,
) -> Result<Messages, Rcode> {
    let soa = contents.soa().ok_or(Rcode::SERVFAIL)?;
    let serial = contents.serial();
    let records = Records::Zone(ZoneRecords::new(contents, &soa));
    Ok(Messages::new(request, options, records, kind, serial))
}
