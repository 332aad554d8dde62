//! Why members are not connected: kept for the status, logged once in a while.

use super::NodeId;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How often the same peer's trouble is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Why members are not connected, each logged once in a while.
#[derive(Default)]
pub(super) struct Troubles {
    /// By the member it is about; `None` for connections that named none.
    of: BTreeMap<Option<NodeId>, Trouble>,
}

struct Trouble {
    /// Empty when it is over; the time stays, so that a peer that comes and goes does not fill the log.
    text: String,
    logged: Instant,
}

impl Troubles {
    pub(super) fn note(&mut self, peer: Option<NodeId>, reason: &dyn std::error::Error, now: Instant) {
        let text = reason.to_string();
        let before = self.of.get(&peer).filter(|trouble| now - trouble.logged < LOG_INTERVAL);
        let logged = before.map_or(now, |trouble| trouble.logged);
        if before.is_none() {
            match peer {
                Some(peer) => tracing::warn!("no session with cluster member {peer}: {text}"),
                None => tracing::warn!("refused a connection to the cluster port: {text}"),
            }
        }
        self.of.insert(peer, Trouble { text, logged });
    }

    pub(super) fn clear(&mut self, peer: NodeId) {
        if let Some(trouble) = self.of.get_mut(&Some(peer)) {
            trouble.text.clear();
        }
    }

    pub(super) fn text(&self, peer: Option<NodeId>) -> Option<&str> {
        self.of.get(&peer).map(|trouble| trouble.text.as_str()).filter(|text| !text.is_empty())
    }
}
