//! Skeleton: EDNS(0): the OPT pseudo-RR (RFC 6891).
/// What an OPT RR says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Edns {
    pub udp_size: u16,
    pub extended_rcode: u8,
    pub version: u8,
    pub dnssec_ok: bool,
    pub options: Vec<(u16, Box<[u8]>)>,
}
