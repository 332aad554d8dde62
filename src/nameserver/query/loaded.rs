//! The zones of a batch, and whether they may be answered from.

use super::{Context, Request};
use crate::config::Consistency;
use crate::nameserver::policy::{Withheld, ZonePolicy};
use crate::zone::{Contents, Zone};
use arc_swap::Guard;
use std::sync::Arc;

/// A zone of the batch, with the version that the batch answers from.
pub(super) struct Loaded<'a> {
    pub(super) zone: &'a Arc<Zone>,
    pub(super) policy: &'a ZonePolicy,
    pub(super) access: Access,
    pub(super) contents: Guard<Option<Arc<Contents>>>,
}

/// Whether a zone may be answered from at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Open,
    /// This node may not have the newest data.
    Withheld(Withheld),
    /// The dispatcher has to make sure of that first.
    Unconfirmed,
}

impl<'a> Loaded<'a> {
    pub(super) fn new(
        context: &Context<'a>,
        request: &Request<'_>,
        zone: &'a Arc<Zone>,
        policy: &'a ZonePolicy,
    ) -> Loaded<'a> {
        let access = match context.policy.withholds(policy, &request.client) {
            Some(withheld) => Access::Withheld(withheld),
            // What the dispatcher has opened it has confirmed, too.
            None if policy.serving.consistency == Consistency::Linearizable
                && request.bytes_max.is_none() =>
            {
                Access::Unconfirmed
            }
            None => Access::Open,
        };
        // In this order: see `Lease::is_valid`.
        Loaded { zone, policy, access, contents: zone.cell().load() }
    }
}
