//! Who votes, who learns, and which change leads to which next configuration.
//!
//! ```text
//! named.conf of an empty directory ─► first: id 1, base 0
//! log entry s: Change ─► next: voters differ  ─► id + 1, base s + 1, a new consensus instance on the same log
//!                              learners, stores, tokens ─► the same id and base
//! ```
//!
//! A configuration is replicated state. Its id fences every message between nodes; its base is the index at which its
//! consensus begins: whatever the configuration before holds at the base or above is void.
//!
//! Invariants: a change adds or removes one voter, so that majorities of neighbours intersect; ids of nodes are never
//! used again; every function here is pure and total; nodes are listed in ascending order of their ids.
//!
//! Not here: when a change is safe to ask for (`reconfigure`), how a replica switches (`replica`).

use super::NodeId;
use crate::store::log::{Ballot, EntryBytes};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// Most voters; even numbers are for the way from one odd number to the next.
pub const VOTERS_MAX: usize = 7;
/// Most learners at a time.
pub const LEARNERS_MAX: usize = 8;
/// Most tokens that are neither used nor expired.
pub const TOKENS_MAX: usize = 16;

/// SHA-256 of what a token proves to know.
pub type TokenDigest = [u8; 32];

/// A node that votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// Its node id.
    pub id: NodeId,
    /// Where it listens for the others.
    pub address: SocketAddr,
    /// Its directory, once that is registered: a node with another one has lost what it promised.
    pub store_id: Option<u64>,
}

/// A node that follows the log without a vote, until it is near enough to be given one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learner {
    /// Its node id.
    pub id: NodeId,
    /// Where it listens for the others.
    pub address: SocketAddr,
    /// Its directory.
    pub store_id: u64,
    /// The voter whose place it takes.
    pub replaces: Option<NodeId>,
}

/// A right to join, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What the joiner must know the preimage of.
    pub digest: TokenDigest,
    /// Unix seconds from which on it is worth nothing.
    pub expires_secs: u64,
    /// The voter whose place the joiner takes.
    pub replaces: Option<NodeId>,
    /// The directory that joined with it, and the node id that it got.
    pub used_by: Option<(u64, NodeId)>,
}

/// Who takes part in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Counts the sets of voters from 1.
    pub id: u32,
    /// Tells clusters apart whose configurations have equal ids.
    pub cluster_id: u64,
    /// Index of the first entry that is decided under this configuration.
    pub base: u64,
    /// Who votes, ascending.
    pub members: Vec<Voter>,
    /// Who follows, ascending.
    pub learners: Vec<Learner>,
    /// Rights to join.
    pub tokens: Vec<Token>,
    /// The id that the next node gets.
    pub next_node_id: NodeId,
}

/// What the log can ask of the current configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A new node, which follows the log for the time being.
    AddLearner {
        /// Where it listens for the others.
        address: SocketAddr,
        /// Its directory.
        store_id: u64,
        /// The voter whose place it takes.
        replaces: Option<NodeId>,
    },
    /// A learner becomes a voter.
    Promote {
        /// The learner.
        node: NodeId,
    },
    /// A voter or learner leaves.
    Remove {
        /// Who.
        node: NodeId,
    },
}

/// Why a change did not take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// Another change came first.
    #[error("the configuration has changed meanwhile")]
    Superseded,
    /// No such node.
    #[error("there is no node {0} in the cluster")]
    UnknownNode(NodeId),
    /// Promoted already, or never a learner.
    #[error("node {0} is a member already")]
    IsMember(NodeId),
    /// A cluster needs one.
    #[error("node {0} is the last member")]
    LastMember(NodeId),
    /// Enough.
    #[error("a cluster has at most {VOTERS_MAX} members")]
    TooManyMembers,
    /// Enough.
    #[error("there are {LEARNERS_MAX} nodes on their way into the cluster already")]
    TooManyLearners,
    /// Enough.
    #[error("{TOKENS_MAX} tokens wait to be used already")]
    TooManyTokens,
    /// Two nodes cannot listen at one address.
    #[error("node {0} has this address")]
    AddressInUse(NodeId),
    /// The directory belongs to a node of the cluster.
    #[error("this directory belongs to node {0} of the cluster")]
    StoreInUse(NodeId),
    /// The node works on another directory than the registered one.
    #[error("node {0} is registered with another directory")]
    OtherStore(NodeId),
    /// No such token, or it is long gone.
    #[error("the token is unknown or has been used")]
    UnknownToken,
    /// Too late.
    #[error("the token has expired")]
    ExpiredToken,
}

impl Configuration {
    /// What the first start of a cluster that is written down in named.conf begins with: the same on every node.
    pub fn first(members: impl IntoIterator<Item = (NodeId, SocketAddr)>) -> Configuration {
        let voter = |(id, address)| Voter { id, address, store_id: None };
        let mut members: Vec<Voter> = members.into_iter().map(voter).collect();
        members.sort_unstable_by_key(|voter| voter.id);
        let mut digest = Sha256::new();
        // With addresses: two clusters that were given one secret by mistake do not talk.
        members.iter().for_each(|voter| digest.update(format!("{} {}\n", voter.id, voter.address)));
        let cluster_id = digest.finalize().first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets));
        let next_node_id = members.last().map_or(1, |voter| voter.id.saturating_add(1));
        let (learners, tokens) = (Vec::new(), Vec::new());
        Configuration { id: 1, cluster_id, base: 0, members, learners, tokens, next_node_id }
    }

    /// The stored form.
    ///
    /// # Panics
    /// Never: a configuration always encodes.
    pub fn encode(&self) -> EntryBytes {
        postcard::to_stdvec(self).expect("a configuration always encodes").into()
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Option<Configuration> {
        postcard::from_bytes(bytes).ok()
    }

    /// The voters' node ids, ascending.
    pub fn voter_ids(&self) -> Vec<NodeId> {
        self.members.iter().map(|voter| voter.id).collect()
    }

    /// Whether `node` votes.
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.members.iter().any(|voter| voter.id == node)
    }

    /// Whether `node` follows without a vote.
    pub fn is_learner(&self, node: NodeId) -> bool {
        self.learners.iter().any(|learner| learner.id == node)
    }

    /// Everybody: id, address, and the directory if it is registered.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, SocketAddr, Option<u64>)> {
        let voters = self.members.iter().map(|voter| (voter.id, voter.address, voter.store_id));
        voters.chain(self.learners.iter().map(|node| (node.id, node.address, Some(node.store_id))))
    }

    /// Where `node` listens for the others.
    pub fn address_of(&self, node: NodeId) -> Option<SocketAddr> {
        self.nodes().find(|(id, ..)| *id == node).map(|(_, address, _)| address)
    }

    /// The directory of `node`, once it is registered.
    pub fn store_of(&self, node: NodeId) -> Option<u64> {
        self.nodes().find(|(id, ..)| *id == node).and_then(|(.., store_id)| store_id)
    }

    /// The configuration after `change`, which was meant for the configuration with the id `meant_for` and is decided at
    /// `log_index`; and the node that it is about.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn change(
        &self,
        meant_for: u32,
        change: &Change,
        log_index: u64,
    ) -> Result<(Configuration, NodeId), Refusal> {
        if meant_for != self.id {
            return Err(Refusal::Superseded);
        }
        match change {
            Change::AddLearner { address, store_id, replaces } => {
                self.with_learner(*address, *store_id, *replaces)
            }
            Change::Promote { node } => Ok((self.with_voter(*node, log_index)?, *node)),
            Change::Remove { node } => Ok((self.without(*node, log_index)?, *node)),
        }
    }

    fn with_learner(
        &self,
        address: SocketAddr,
        store_id: u64,
        replaces: Option<NodeId>,
    ) -> Result<(Configuration, NodeId), Refusal> {
        if let Some(gone) = replaces.filter(|node| !self.is_voter(*node)) {
            return Err(Refusal::UnknownNode(gone));
        }
        if let Some((node, ..)) = self.nodes().find(|(_, _, other)| *other == Some(store_id)) {
            return Err(Refusal::StoreInUse(node));
        }
        // A machine that lost its disk comes back at the address of the node it replaces.
        let taken = |(node, other, _): &(NodeId, SocketAddr, _)| *other == address && replaces != Some(*node);
        if let Some((node, ..)) = self.nodes().find(taken) {
            return Err(Refusal::AddressInUse(node));
        }
        if self.learners.len() >= LEARNERS_MAX {
            return Err(Refusal::TooManyLearners);
        }
        let mut next = self.clone();
        let id = self.next_node_id;
        next.next_node_id = id.saturating_add(1);
        next.learners.push(Learner { id, address, store_id, replaces });
        Ok((next, id))
    }

    fn with_voter(&self, node: NodeId, log_index: u64) -> Result<Configuration, Refusal> {
        if self.is_voter(node) {
            return Err(Refusal::IsMember(node));
        }
        let mut next = self.clone();
        let at = next.learners.iter().position(|learner| learner.id == node);
        let Learner { id, address, store_id, .. } =
            next.learners.remove(at.ok_or(Refusal::UnknownNode(node))?);
        if next.members.len() >= VOTERS_MAX {
            return Err(Refusal::TooManyMembers);
        }
        next.members.push(Voter { id, address, store_id: Some(store_id) });
        next.members.sort_unstable_by_key(|voter| voter.id);
        Ok(next.after(log_index))
    }

    fn without(&self, node: NodeId, log_index: u64) -> Result<Configuration, Refusal> {
        let mut next = self.clone();
        if self.is_learner(node) {
            next.learners.retain(|learner| learner.id != node);
            return Ok(next);
        }
        if !self.is_voter(node) {
            return Err(Refusal::UnknownNode(node));
        }
        if self.members.len() == 1 {
            return Err(Refusal::LastMember(node));
        }
        next.members.retain(|voter| voter.id != node);
        Ok(next.after(log_index))
    }

    /// Other voters from the index behind `log_index` on.
    fn after(self, log_index: u64) -> Configuration {
        Configuration { id: self.id + 1, base: log_index + 1, ..self }
    }

    /// The configuration in which `node` works on `store_id`: whoever says so first is right.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn register_store(&self, node: NodeId, store_id: u64) -> Result<Configuration, Refusal> {
        match self.store_of(node) {
            Some(registered) if registered != store_id => return Err(Refusal::OtherStore(node)),
            Some(_) => return Ok(self.clone()),
            None => {}
        }
        if let Some((other, ..)) = self.nodes().find(|(_, _, other)| *other == Some(store_id)) {
            return Err(Refusal::StoreInUse(other));
        }
        let mut next = self.clone();
        let voter = next.members.iter_mut().find(|voter| voter.id == node);
        voter.ok_or(Refusal::UnknownNode(node))?.store_id = Some(store_id);
        Ok(next)
    }

    /// The configuration with one more right to join. Tokens that have expired at `now_secs` are forgotten.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn issue_token(&self, token: Token, now_secs: u64) -> Result<Configuration, Refusal> {
        if let Some(gone) = token.replaces.filter(|node| !self.is_voter(*node)) {
            return Err(Refusal::UnknownNode(gone));
        }
        let mut next = self.clone();
        next.tokens.retain(|token| token.expires_secs > now_secs);
        if next.tokens.iter().filter(|token| token.used_by.is_none()).count() >= TOKENS_MAX {
            return Err(Refusal::TooManyTokens);
        }
        next.tokens.push(Token { used_by: None, ..token });
        Ok(next)
    }

    /// The configuration in which `store_id` at `address` is a learner by right of a token, and its node id. Asked again
    /// by the same directory, it gives the same node id: the first answer may have been lost.
    ///
    /// # Errors
    /// Why it has no effect.
    pub fn join(
        &self,
        digest: &TokenDigest,
        store_id: u64,
        address: SocketAddr,
        now_secs: u64,
    ) -> Result<(Configuration, NodeId), Refusal> {
        let at = self.tokens.iter().position(|token| token.digest == *digest);
        let token = at.and_then(|at| self.tokens.get(at)).ok_or(Refusal::UnknownToken)?;
        match token.used_by {
            Some((by, node)) if by == store_id && self.store_of(node) == Some(store_id) => {
                return Ok((self.clone(), node));
            }
            Some(_) => return Err(Refusal::UnknownToken),
            None if token.expires_secs <= now_secs => return Err(Refusal::ExpiredToken),
            None => {}
        }
        let (mut next, node) = self.with_learner(address, store_id, token.replaces)?;
        if let Some(token) = at.and_then(|at| next.tokens.get_mut(at)) {
            token.used_by = Some((store_id, node));
        }
        Ok((next, node))
    }
}

/// A configuration as a replica works under it, and what proves that its base is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The configuration.
    pub configuration: Configuration,
    /// The ballot of the configuration before under which everything below the base was accepted: a node whose own log
    /// reaches the base under the same ballot holds the same entries.
    pub decided_in: Option<Ballot>,
}

impl Installed {
    /// The form in `log.sqlite`.
    ///
    /// # Panics
    /// Never: it always encodes.
    pub fn encode(&self) -> EntryBytes {
        postcard::to_stdvec(self).expect("a configuration always encodes").into()
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Option<Installed> {
        postcard::from_bytes(bytes).ok()
    }
}

impl From<Configuration> for Installed {
    fn from(configuration: Configuration) -> Installed {
        Installed { configuration, decided_in: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn of(ids: impl IntoIterator<Item = NodeId>) -> Configuration {
        Configuration::first(ids.into_iter().map(|id| (id, address(id as u16))))
    }

    fn added(configuration: &Configuration, port: u16, replaces: Option<NodeId>) -> Configuration {
        let change = Change::AddLearner { address: address(port), store_id: port.into(), replaces };
        configuration.change(configuration.id, &change, 7).expect("room").0
    }

    #[test]
    fn the_first_configuration_does_not_depend_on_the_order_of_its_members() {
        let first = of([3, 1, 2]);
        assert_eq!(first, of([1, 2, 3]));
        assert_ne!(first.cluster_id, of([1, 2, 4]).cluster_id);
        let moved = [(1, address(1)), (2, address(2)), (3, address(4))];
        assert_ne!(first.cluster_id, Configuration::first(moved).cluster_id);
        assert_eq!((first.id, first.base, first.next_node_id), (1, 0, 4));
        assert_eq!(Configuration::decode(&first.encode()), Some(first.clone()));
        let installed = Installed::from(first);
        assert_eq!(Installed::decode(&installed.encode()), Some(installed));
    }

    #[test]
    fn only_a_change_of_voters_begins_a_new_configuration() {
        let learning = added(&of([1]), 9, None);
        assert_eq!((learning.id, learning.base, learning.next_node_id), (1, 0, 3));
        assert!(learning.is_learner(2) && !learning.is_voter(2));
        let (two, node) = learning.change(1, &Change::Promote { node: 2 }, 40).expect("a learner");
        assert_eq!((two.id, two.base, node), (2, 41, 2));
        assert_eq!(
            (two.voter_ids(), two.store_of(2), two.address_of(2)),
            (vec![1, 2], Some(9), Some(address(9)))
        );
        let (one, _) = two.change(2, &Change::Remove { node: 1 }, 50).expect("a voter");
        assert_eq!((one.id, one.base, one.voter_ids(), one.next_node_id), (3, 51, vec![2], 3));
        let (gone, _) = added(&one, 11, None).change(3, &Change::Remove { node: 3 }, 60).expect("a learner");
        assert_eq!((gone.id, gone.base, gone.next_node_id), (3, 51, 4), "its id is never used again");
    }

    #[test]
    fn changes_that_make_no_sense_are_refused_with_the_reason() {
        let three = added(&of([1, 2, 3]), 9, None);
        let add =
            |port, store_id, replaces| Change::AddLearner { address: address(port), store_id, replaces };
        let full = (8..16).fold(of([1]), |configuration, port| added(&configuration, port, None));
        let seven = added(&of(1..=7), 20, None);
        for (configuration, meant_for, change, refusal) in [
            (&three, 2, Change::Remove { node: 1 }, Refusal::Superseded),
            (&three, 1, Change::Remove { node: 7 }, Refusal::UnknownNode(7)),
            (&three, 1, Change::Promote { node: 7 }, Refusal::UnknownNode(7)),
            (&three, 1, Change::Promote { node: 1 }, Refusal::IsMember(1)),
            (&three, 1, add(2, 1, None), Refusal::AddressInUse(2)),
            (&three, 1, add(2, 1, Some(1)), Refusal::AddressInUse(2)),
            (&three, 1, add(11, 9, None), Refusal::StoreInUse(4)),
            (&three, 1, add(11, 1, Some(4)), Refusal::UnknownNode(4)),
            (&of([5]), 1, Change::Remove { node: 5 }, Refusal::LastMember(5)),
            (&full, 1, add(20, 20, None), Refusal::TooManyLearners),
            (&seven, 1, Change::Promote { node: 8 }, Refusal::TooManyMembers),
        ] {
            assert_eq!(configuration.change(meant_for, &change, 7), Err(refusal), "{change:?}");
        }
        assert!(
            three.change(1, &add(2, 1, Some(2)), 7).is_ok(),
            "it takes the place of who has this address"
        );
    }

    #[test]
    fn the_first_store_that_a_member_shows_is_registered() {
        let three = of([1, 2, 3]);
        let registered = three.register_store(2, 77).expect("nobody has said otherwise");
        assert_eq!((registered.store_of(2), registered.id), (Some(77), 1));
        assert_eq!(registered.register_store(2, 77), Ok(registered.clone()));
        assert_eq!(registered.register_store(2, 78), Err(Refusal::OtherStore(2)));
        assert_eq!(registered.register_store(3, 77), Err(Refusal::StoreInUse(2)));
        assert_eq!(registered.register_store(4, 78), Err(Refusal::UnknownNode(4)));
    }

    #[test]
    fn a_token_lets_one_directory_in_and_only_in_time() {
        let token = |tag, replaces| Token { digest: [tag; 32], expires_secs: 100, replaces, used_by: None };
        let issued = of([1]).issue_token(token(1, None), 10).expect("room");
        assert_eq!(issued.join(&[2; 32], 7, address(7), 10).unwrap_err(), Refusal::UnknownToken);
        assert_eq!(issued.join(&[1; 32], 7, address(7), 100).unwrap_err(), Refusal::ExpiredToken);
        let (joined, node) = issued.join(&[1; 32], 7, address(7), 99).expect("in time");
        assert_eq!((node, joined.store_of(2)), (2, Some(7)));
        assert_eq!(joined.join(&[1; 32], 7, address(7), 200), Ok((joined.clone(), 2)), "the answer was lost");
        assert_eq!(joined.join(&[1; 32], 8, address(8), 99).unwrap_err(), Refusal::UnknownToken);
        let (left, _) = joined.change(1, &Change::Remove { node: 2 }, 7).expect("a learner");
        assert_eq!(left.join(&[1; 32], 7, address(7), 99).unwrap_err(), Refusal::UnknownToken);
        assert_eq!(of([1]).issue_token(token(1, Some(2)), 10).unwrap_err(), Refusal::UnknownNode(2));
        let full = (0..16).fold(of([1]), |next, tag| next.issue_token(token(tag, None), 10).expect("room"));
        assert_eq!(full.issue_token(token(99, None), 10).unwrap_err(), Refusal::TooManyTokens);
        assert_eq!(full.issue_token(token(99, None), 100).expect("all have expired").tokens.len(), 1);
    }
}
