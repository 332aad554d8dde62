//! What nodes say to each other within a session.
//!
//! Every message carries the configuration it belongs to: the core's own messages do not, and a message of
//! another membership must never reach it. Encoding is postcard, without a length: the transport frames.

use super::{configuration::Installed, payload::Payload, serving};
use omnipaxos::messages::{Message, sequence_paxos::PaxosMsg};
use serde::{Deserialize, Serialize};

/// A message between replicas. The transport sees only bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerMessage {
    /// The id of the sender's configuration: fences messages of another one.
    pub(super) configuration: u32,
    pub(super) body: Body,
}

/// What a message says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Body {
    /// Of the consensus core.
    Core(Message<Payload>),
    /// The end of the log sync in the next message of the core, less the parts that came before this one.
    SyncPart(Vec<Payload>),
    /// The sender's zone store durably holds everything below this index.
    DurableApplied(u64),
    /// The leader asks the receiver to take over.
    TakeOver,
    /// The receiver, if it leads, is asked to let another member lead.
    HandOver,
    /// What the sender works under from here on: the first message of a session, and the first after a change.
    Configuration(Box<Installed>),
    /// The sender has applied everything below this index; one of the two nodes does not vote.
    Following(u64),
    /// About leases.
    Serving(serving::Message),
}

impl PeerMessage {
    /// Appends the bytes for the transport. They are at most a few times the log's size (a node that was away
    /// is sent what it misses in one message), usually a few hundred.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let buffer = std::mem::take(out);
        *out = postcard::to_extend(self, buffer).expect("serialising into memory does not fail");
    }

    /// Reads a message; `None` = malformed.
    pub fn decode(bytes: &[u8]) -> Option<PeerMessage> {
        match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => Some(message),
            _ => None,
        }
    }

    /// Whether it is a heartbeat, or about leases: it may leave past other messages, and must when those are long.
    pub fn is_urgent(&self) -> bool {
        matches!(self.body, Body::Core(Message::BLE(_)) | Body::Serving(_))
    }

    /// What it is, for logs and traces.
    pub fn kind(&self) -> &'static str {
        match &self.body {
            Body::Core(Message::BLE(_)) => "Heartbeat",
            Body::Core(Message::SequencePaxos(message)) => match message.msg {
                PaxosMsg::PrepareReq(_) => "PrepareReq",
                PaxosMsg::Prepare(_) => "Prepare",
                PaxosMsg::Promise(_) => "Promise",
                PaxosMsg::AcceptSync(_) => "AcceptSync",
                PaxosMsg::AcceptDecide(_) => "AcceptDecide",
                PaxosMsg::Accepted(_) => "Accepted",
                PaxosMsg::NotAccepted(_) => "NotAccepted",
                PaxosMsg::Decide(_) => "Decide",
                PaxosMsg::ProposalForward(_) => "ProposalForward",
                PaxosMsg::Compaction(_) => "Compaction",
                PaxosMsg::AcceptStopSign(_) => "AcceptStopSign",
                PaxosMsg::ForwardStopSign(_) => "ForwardStopSign",
            },
            Body::SyncPart(_) => "SyncPart",
            Body::DurableApplied(_) => "DurableApplied",
            Body::TakeOver => "TakeOver",
            Body::HandOver => "HandOver",
            Body::Configuration(_) => "Configuration",
            Body::Following(_) => "Following",
            Body::Serving(serving::Message::Standing { .. }) => "Standing",
            Body::Serving(serving::Message::Grant { .. }) => "Grant",
        }
    }
}
