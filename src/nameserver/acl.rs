//! Skeleton: Address match lists (BIND's `address_match_list`): the first element that matches decides.
use crate::dns::Name; use std::net::IpAddr;
/// A resolved address match list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl { _private: () }
impl Acl {
    /// Matches nobody.
    pub fn none() -> Acl { todo!() }
    /// Matches everybody.
    pub fn any() -> Acl { todo!() }
    /// Whether a client with this address, and this verified TSIG key, is let in.
    pub fn allows(&self, _address: IpAddr, _key: Option<&Name>) -> bool { todo!() }
}
