//! Who is at the other end: mutual proof of the cluster secret, before anything else is said.
//!
//! ```text
//! dialer                                                    listener
//!   Hello { version, node, store, members, nonce } ────────►
//!   ◄──────── Hello { version, node, store, members, nonce }
//!   verdict, HMAC(secret, "dialer" + verdict + hellos) ────►  wrong: refused
//!   ◄──── verdict, HMAC(secret, "listener" + verdict + hellos)
//!   both keys = HMAC(HMAC(secret, "session" + hellos), direction)
//! ```
//!
//! Both proofs cover both hellos, so a proof is good for these two nonces, identities, member lists and this
//! version only; the labels keep one side's proof from passing as the other's. Each verdict says what its
//! sender thinks of the other's hello, so that both logs can name the reason. All messages are of fixed length:
//! nobody can make us take memory here.
//!
//! Caveats: what follows is authenticated ([`super::session`]) but not encrypted. A weak secret can be guessed
//! offline from one observed or solicited proof, hence [`SECRET_BYTES_MIN`].

use super::NodeId;
use crate::clock;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Version of the protocol between nodes; nodes of different versions do not talk.
pub const PROTOCOL_VERSION: u16 = 1;
/// Fewest octets of a cluster secret.
pub const SECRET_BYTES_MIN: usize = 16;

const MAGIC: &[u8; 8] = b"TRIMARAN";
const NONCE_BYTES: usize = 32;
const DIGEST_BYTES: usize = 32;
const PROOF_BYTES: usize = 32;
const HELLO_BYTES: usize = MAGIC.len() + 2 + 8 + 8 + DIGEST_BYTES + NONCE_BYTES;

/// The secret that all members of a cluster share.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes a secret of at least [`SECRET_BYTES_MIN`] octets.
    pub fn new(bytes: &[u8]) -> Option<Secret> {
        (bytes.len() >= SECRET_BYTES_MIN).then(|| Secret(bytes.into()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What this node says of itself, and holds the other to.
#[derive(Clone, Debug)]
pub struct Local {
    /// This node.
    pub node_id: NodeId,
    /// Its store.
    pub store_id: u64,
    /// All members, this node included.
    pub members: Vec<NodeId>,
    /// The cluster's secret.
    pub secret: Secret,
}

impl Local {
    /// Digest of the member list, whatever its order.
    fn members_digest(&self) -> [u8; DIGEST_BYTES] {
        let mut members = self.members.clone();
        members.sort_unstable();
        let mut digest = Sha256::new();
        members.iter().for_each(|member| digest.update(member.to_be_bytes()));
        digest.finalize().into()
    }
}

/// Which end of the connection a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Connected, to reach this member.
    Dialer(NodeId),
    /// Was connected to.
    Listener,
}

impl Side {
    fn labels(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Side::Dialer(_) => (b"trimaran dialer", b"trimaran listener"),
            Side::Listener => (b"trimaran listener", b"trimaran dialer"),
        }
    }
}

/// The other end, after it proved the secret.
#[derive(Debug)]
pub struct Authenticated {
    /// Which member it is.
    pub peer: NodeId,
    /// The store it works on.
    pub store_id: u64,
    /// Keys of the session.
    pub keys: SessionKeys,
}

/// One key for each direction of one session.
#[derive(Debug)]
pub struct SessionKeys {
    /// Of what we send.
    pub send: [u8; 32],
    /// Of what we receive.
    pub receive: [u8; 32],
}

/// Why two nodes do not talk.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The connection broke.
    #[error("the connection failed during the handshake: {0}")]
    Io(#[from] io::Error),
    /// Took too long.
    #[error("the handshake was not finished in time")]
    Slow,
    /// Something else talks to the cluster port, or listens at the member's address.
    #[error("it does not speak the protocol between nodes")]
    Protocol,
    /// Another version.
    #[error("it speaks version {theirs} of the protocol between nodes, this node speaks {PROTOCOL_VERSION}")]
    Version {
        /// What it speaks.
        theirs: u16,
    },
    /// The proof is wrong.
    #[error("it has another cluster secret")]
    Secret,
    /// Of its hello.
    #[error("{0}")]
    Verdict(Verdict),
    /// Of ours.
    #[error("it refuses this node: {0}")]
    Refused(Verdict),
}

/// What a node thinks of another's hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let us talk.
    Welcome,
    /// The proof does not fit the secret.
    Secret,
    /// Not a member.
    UnknownNode,
    /// The receiver's own node id.
    OwnId,
    /// The member lists differ.
    Members,
    /// A known member that works on a new store.
    Store,
    /// Not the member that should be at this address, or not the one that should connect.
    Misdirected,
}

impl Verdict {
    const ALL: [Verdict; 7] = [
        Verdict::Welcome,
        Verdict::Secret,
        Verdict::UnknownNode,
        Verdict::OwnId,
        Verdict::Members,
        Verdict::Store,
        Verdict::Misdirected,
    ];
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Welcome => "welcome",
            Verdict::Secret => "the cluster secrets differ",
            Verdict::UnknownNode => "the node-id is not a member of the cluster",
            Verdict::OwnId => "both have the same node-id",
            Verdict::Members => "the cluster blocks list different members",
            Verdict::Store => {
                "the directory of this known member was wiped or replaced, its promises are lost and it must not \
                 vote again: put the old directory back, or replace the member by one with a new node-id"
            }
            Verdict::Misdirected => "the address belongs to another member",
        })
    }
}

/// The first thing either side says.
#[derive(Clone, Debug)]
struct Hello {
    node_id: NodeId,
    store_id: u64,
    members: [u8; DIGEST_BYTES],
    bytes: [u8; HELLO_BYTES],
}

impl Hello {
    fn of(local: &Local) -> Hello {
        let mut nonce = [0; NONCE_BYTES];
        clock::random_bytes(&mut nonce);
        let members = local.members_digest();
        let mut encoded = Vec::with_capacity(HELLO_BYTES);
        encoded.extend_from_slice(MAGIC);
        encoded.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
        encoded.extend_from_slice(&local.node_id.to_be_bytes());
        encoded.extend_from_slice(&local.store_id.to_be_bytes());
        encoded.extend_from_slice(&members);
        encoded.extend_from_slice(&nonce);
        let bytes = encoded.try_into().expect("the parts add up to HELLO_BYTES");
        Hello { node_id: local.node_id, store_id: local.store_id, members, bytes }
    }

    /// Reads the other's; nothing behind the version is looked at if the version is not ours.
    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Hello, Refusal> {
        let mut bytes = [0; HELLO_BYTES];
        let (prefix, rest) = bytes.split_at_mut(MAGIC.len() + 2);
        stream.read_exact(prefix).await?;
        let Some((magic, version)) = prefix.split_last_chunk::<2>() else { return Err(Refusal::Protocol) };
        if magic != MAGIC {
            return Err(Refusal::Protocol);
        }
        let theirs = u16::from_be_bytes(*version);
        if theirs != PROTOCOL_VERSION {
            return Err(Refusal::Version { theirs });
        }
        stream.read_exact(rest).await?;
        let number = |rest: &[u8], at| {
            rest.get(at..).and_then(<[u8]>::first_chunk::<8>).map_or(0, |octets| u64::from_be_bytes(*octets))
        };
        let members = rest.get(16..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        Ok(Hello { node_id: number(rest, 0), store_id: number(rest, 8), members, bytes })
    }
}

/// Runs the handshake on a fresh connection. `known_store` gives the store that a member showed first.
///
/// The second half of an error is the member that the other end says it is.
pub async fn shake(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    local: &Local,
    side: Side,
    known_store: &dyn Fn(NodeId) -> Option<u64>,
) -> Result<Authenticated, (Refusal, Option<NodeId>)> {
    let ours = Hello::of(local);
    let theirs = exchange_hellos(stream, &ours, side).await.map_err(|refusal| (refusal, None))?;
    let claimed = local.members.contains(&theirs.node_id).then_some(theirs.node_id);
    prove(stream, local, side, known_store, &ours, &theirs).await.map_err(|refusal| (refusal, claimed))
}

async fn exchange_hellos(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ours: &Hello,
    side: Side,
) -> Result<Hello, Refusal> {
    if let Side::Dialer(_) = side {
        stream.write_all(&ours.bytes).await?;
        return Hello::read(stream).await;
    }
    match Hello::read(stream).await {
        Ok(theirs) => {
            stream.write_all(&ours.bytes).await?;
            Ok(theirs)
        }
        Err(Refusal::Version { theirs }) => {
            // Lets the other end see which version this is.
            stream.write_all(&ours.bytes).await?;
            Err(Refusal::Version { theirs })
        }
        Err(refusal) => Err(refusal),
    }
}

async fn prove(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    local: &Local,
    side: Side,
    known_store: &dyn Fn(NodeId) -> Option<u64>,
    ours: &Hello,
    theirs: &Hello,
) -> Result<Authenticated, Refusal> {
    let transcript = match side {
        Side::Dialer(_) => [&ours.bytes[..], &theirs.bytes].concat(),
        Side::Listener => [&theirs.bytes[..], &ours.bytes].concat(),
    };
    let verdict = judge(local, side, known_store, theirs);
    let said = match side {
        Side::Dialer(_) => {
            write_proof(stream, local, side, verdict, &transcript).await?;
            read_proof(stream, local, side, &transcript).await?
        }
        Side::Listener => {
            let said = read_proof(stream, local, side, &transcript).await;
            if matches!(said, Err(Refusal::Secret)) {
                // Whoever cannot prove the secret gets no proof of ours.
                stream.write_all(&[&[Verdict::Secret as u8][..], &[0; PROOF_BYTES]].concat()).await?;
            }
            let said = said?;
            write_proof(stream, local, side, verdict, &transcript).await?;
            said
        }
    };
    // What we found wrong ourselves says more than what the other end makes of it.
    if verdict != Verdict::Welcome {
        return Err(Refusal::Verdict(verdict));
    }
    if said != Verdict::Welcome {
        return Err(Refusal::Refused(said));
    }
    let session = mac(&local.secret.0, &[b"trimaran session", &transcript]);
    let (send, receive) = side.labels();
    let keys = SessionKeys { send: mac(&session, &[send]), receive: mac(&session, &[receive]) };
    Ok(Authenticated { peer: theirs.node_id, store_id: theirs.store_id, keys })
}

fn judge(local: &Local, side: Side, known_store: &dyn Fn(NodeId) -> Option<u64>, theirs: &Hello) -> Verdict {
    let in_place = match side {
        Side::Dialer(expected) => theirs.node_id == expected,
        // The higher node id connects to the lower.
        Side::Listener => theirs.node_id > local.node_id,
    };
    if theirs.node_id == local.node_id {
        Verdict::OwnId
    } else if theirs.members != local.members_digest() {
        Verdict::Members
    } else if !local.members.contains(&theirs.node_id) {
        Verdict::UnknownNode
    } else if !in_place {
        Verdict::Misdirected
    } else if known_store(theirs.node_id).is_some_and(|known| known != theirs.store_id) {
        Verdict::Store
    } else {
        Verdict::Welcome
    }
}

async fn write_proof(
    stream: &mut (impl AsyncWrite + Unpin),
    local: &Local,
    side: Side,
    verdict: Verdict,
    transcript: &[u8],
) -> io::Result<()> {
    let proof = mac(&local.secret.0, &[side.labels().0, &[verdict as u8], transcript]);
    stream.write_all(&[&[verdict as u8][..], &proof].concat()).await
}

/// Reads the other's verdict and its proof.
async fn read_proof(
    stream: &mut (impl AsyncRead + Unpin),
    local: &Local,
    side: Side,
    transcript: &[u8],
) -> Result<Verdict, Refusal> {
    let (mut code, mut proof) = ([0; 1], [0; PROOF_BYTES]);
    stream.read_exact(&mut code).await?;
    stream.read_exact(&mut proof).await?;
    let expected = keyed(&local.secret.0, &[side.labels().1, &code, transcript]);
    expected.verify_slice(&proof).map_err(|_| Refusal::Secret)?;
    Verdict::ALL.get(usize::from(code[0])).copied().ok_or(Refusal::Protocol)
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    keyed(key, parts).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(node_id: NodeId) -> Local {
        let secret = Secret::new(b"sixteen octets or more").expect("long enough");
        Local { node_id, store_id: node_id * 100, members: vec![1, 2, 3], secret }
    }

    fn shake_hands(
        dialer: &Local,
        target: NodeId,
        listener: &Local,
        known: impl Fn(NodeId) -> Option<u64>,
    ) -> (Result<Authenticated, String>, Result<Authenticated, String>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let text =
            |result: Result<Authenticated, (Refusal, Option<NodeId>)>| result.map_err(|e| e.0.to_string());
        runtime.block_on(async {
            let (mut near, mut far) = tokio::io::duplex(64);
            let dialing = async {
                let result = shake(&mut near, dialer, Side::Dialer(target), &|_| None).await;
                drop(near);
                result
            };
            let listening = async {
                let result = shake(&mut far, listener, Side::Listener, &known).await;
                drop(far);
                result
            };
            let (near, far) = tokio::join!(dialing, listening);
            (text(near), text(far))
        })
    }

    #[test]
    fn members_recognise_each_other_and_agree_on_keys() {
        let (near, far) = shake_hands(&local(2), 1, &local(1), |_| Some(200));
        let (near, far) = (near.expect("dialer"), far.expect("listener"));
        assert_eq!((near.peer, near.store_id, far.peer, far.store_id), (1, 100, 2, 200));
        assert_eq!((near.keys.send, near.keys.receive), (far.keys.receive, far.keys.send));
        assert_ne!(near.keys.send, near.keys.receive);
        let (again, _) = shake_hands(&local(2), 1, &local(1), |_| None);
        assert_ne!(near.keys.send, again.expect("dialer").keys.send, "every session has keys of its own");
    }

    #[test]
    fn everybody_else_is_refused_and_both_ends_can_say_why() {
        let other_secret = Local { secret: Secret::new(&[7; 16]).expect("long enough"), ..local(2) };
        let stranger = Local { node_id: 9, ..local(2) };
        let other_members = Local { members: vec![1, 2, 3, 4, 5], ..local(2) };
        type Case<'a> = (&'a Local, NodeId, Option<u64>, &'a str, &'a str);
        let cases: [Case<'_>; 7] = [
            (&other_secret, 1, None, "another cluster secret", "another cluster secret"),
            (&stranger, 1, None, "refuses this node: the node-id is not a member", "is not a member"),
            (&other_members, 1, None, "list different members", "list different members"),
            (&local(1), 1, None, "both have the same node-id", "both have the same node-id"),
            (&local(3), 2, None, "belongs to another member", "it refuses this node: the address belongs"),
            (
                &local(2),
                1,
                Some(201),
                "it refuses this node: the directory of this known",
                "was wiped or replaced",
            ),
            (&Local { node_id: 1, ..local(2) }, 2, None, "both have", "both have"),
        ];
        for (dialer, target, known, near_says, far_says) in cases {
            let (near, far) = shake_hands(dialer, target, &local(1), |_| known);
            let (near, far) = (near.expect_err(near_says), far.expect_err(far_says));
            assert!(near.contains(near_says), "{near_says:?}: {near}");
            assert!(far.contains(far_says), "{far_says:?}: {far}");
        }
    }

    #[test]
    fn another_version_or_protocol_is_recognised_by_its_first_octets() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        for (first, said) in [
            (&b"TRIMARAN\x00\x09 and what version 9 may bring"[..], "version 9"),
            (b"GET / HTTP/1.1\r\n\r\n", "does not speak"),
            (b"TRIMARAN\x00\x01 too short", "connection failed"),
            (b"", "connection failed"),
        ] {
            let error = runtime.block_on(async {
                let (mut near, mut far) = tokio::io::duplex(256);
                near.write_all(first).await.expect("room");
                near.shutdown().await.expect("shutdown");
                shake(&mut far, &local(1), Side::Listener, &|_| None)
                    .await
                    .expect_err("refused")
                    .0
                    .to_string()
            });
            assert!(error.contains(said), "{said}: {error}");
        }
    }

    #[test]
    fn a_proof_sent_back_to_its_author_is_no_proof() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let error = runtime.block_on(async {
            let (mut near, mut far) = tokio::io::duplex(256);
            let mirror = async {
                let mut bytes = [0; 256];
                while let Ok(count @ 1..) = near.read(&mut bytes).await {
                    if near.write_all(&bytes[..count]).await.is_err() {
                        break;
                    }
                }
            };
            let dialing = async {
                let error =
                    shake(&mut far, &local(2), Side::Dialer(1), &|_| None).await.expect_err("a mirror").0;
                drop(far);
                error.to_string()
            };
            tokio::join!(mirror, dialing).1
        });
        assert!(error.contains("another cluster secret"), "{error}");
    }

    #[test]
    fn a_short_secret_is_not_taken() {
        assert!(Secret::new(&[1; SECRET_BYTES_MIN - 1]).is_none());
        assert_eq!(format!("{:?}", Secret::new(&[1; SECRET_BYTES_MIN])), "Some(Secret)");
    }
}
