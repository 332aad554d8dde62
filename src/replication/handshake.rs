//! Who is at the other end: TLS 1.3 with certificates on both sides, and what has to fit before anything else is said.
//!
//! ```text
//! dialer                                                          listener
//!   TLS 1.3, ALPN "trimaran": certificate of node-<id>.trimaran ◄────► certificate of node-<id>.trimaran
//!   ◄──── Hello { version, role, cluster, node, store, configuration, proof }
//!   Hello, verdict ────────────────────────────────────────────►
//!   ◄──── verdict
//! ```
//!
//! The proof is an HMAC under the cluster's secret over the hello, the side and the exporter of this TLS connection (RFC
//! 8446 §7.5): it is good for this one connection only, and for nobody in the middle of two. Each verdict says what
//! its sender thinks of the other's hello, so that both logs can name the reason. The listener speaks first: a dialer
//! whose certificate is refused reads the alert before it has sent anything that would reset the connection.
//! A node that is not known here but works under a newer configuration is let in: this node has been away. One that is not
//! known and works under an older one is told so, and knows that it has been removed.
//! All messages are of fixed length: nobody can make us take memory here.
//!
//! Not here: certificates ([`super::credentials`]), what follows ([`super::session`]).
//!
//! Caveat: without a secret, which given certificates allow, the proof proves nothing; the certificate does.

use super::{
    NodeId,
    channel::Channel,
    credentials::{self, ALPN, ALPN_JOIN, Credentials, certificate_error, is_for, keyed, mac, server_name},
    join::{self, Desk, Rejection},
};
use hmac::Mac;
use rustls::{
    AlertDescription, CertificateError, ConnectionCommon, Error as TlsError, pki_types::CertificateDer,
    server::Acceptor,
};
use std::{io, sync::Arc};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

/// Version of the protocol between nodes; nodes of different versions do not talk. Version 1 was without TLS.
pub const PROTOCOL_VERSION: u16 = 2;

const MAGIC: &[u8; 8] = b"TRIMARAN";
const PROOF_BYTES: usize = 32;
const HELLO_BYTES: usize = MAGIC.len() + 2 + 1 + 8 + 8 + 8 + 4 + PROOF_BYTES;
/// What the exporter of TLS is asked for (RFC 5705 §4).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-trimaran-cluster";

/// What this node says of itself, and holds the other to.
#[derive(Clone, Debug)]
pub struct Local {
    /// This node.
    pub node_id: NodeId,
    /// Its store.
    pub store_id: u64,
    /// Its cluster.
    pub cluster_id: u64,
    /// The configuration it votes under.
    pub configuration: u32,
    /// Everybody in that, this node included: voters and learners.
    pub members: Vec<NodeId>,
    /// Its keys and certificates.
    pub credentials: Arc<Credentials>,
}

/// What a connection between members is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Consensus: one at a time between two members, dialled by the higher node id.
    Session = 1,
    /// Fetching what the dialer misses.
    CatchUp = 2,
}

impl Role {
    fn of(code: u8) -> Option<Role> {
        [Role::Session, Role::CatchUp].into_iter().find(|role| *role as u8 == code)
    }
}

/// Which end of the connection a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Connected, to reach this member.
    Dialer(NodeId, Role),
    /// Was connected to.
    Listener,
}

impl Side {
    /// The member that should be at the other end.
    fn expected(self) -> Option<NodeId> {
        match self {
            Side::Dialer(peer, _) => Some(peer),
            Side::Listener => None,
        }
    }

    fn labels(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Side::Dialer(..) => (b"trimaran dialer", b"trimaran listener"),
            Side::Listener => (b"trimaran listener", b"trimaran dialer"),
        }
    }
}

/// The other end, after it proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Which member it is.
    pub peer: NodeId,
    /// The store it works on.
    pub store_id: u64,
    /// The configuration it votes under.
    pub configuration: u32,
    /// What the connection is for.
    pub role: Role,
}

/// Why two nodes do not talk.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The connection broke.
    #[error("the connection failed during the handshake: {0}")]
    Io(io::Error),
    /// Took too long.
    #[error("the handshake was not finished in time")]
    Slow,
    /// Something else talks to the cluster port, or listens at the member's address.
    #[error("it does not speak the protocol between nodes")]
    Protocol,
    /// An older TLS, or one with other ciphers.
    #[error("it does not speak TLS 1.3 as nodes do")]
    Tls,
    /// Another version.
    #[error("it speaks version {theirs} of the protocol between nodes, this node speaks {PROTOCOL_VERSION}")]
    Version {
        /// What it speaks.
        theirs: u16,
    },
    /// The proof is wrong, or the authority of its certificate is one that another secret gives.
    #[error("it has another cluster secret")]
    Secret,
    /// Its certificate is refused.
    #[error("{0}")]
    Certificate(String),
    /// Ours is.
    #[error("it refuses this node's certificate: {0}")]
    CertificateRefused(&'static str),
    /// Of its hello.
    #[error("{0}")]
    Verdict(Verdict),
    /// This node works under an older configuration, and the other's does not name it.
    #[error("this node has been removed from the cluster")]
    Removed,
    /// It wants to become a member.
    #[error("a node may not join: {0}")]
    Joiner(Rejection),
    /// Of ours.
    #[error("it refuses this node: {0}")]
    Refused(Verdict),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        Refusal::Io(error)
    }
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
    /// The member lists differ, or the clusters do.
    Cluster,
    /// A known member that works on a new store.
    Store,
    /// Not the member that should be at this address, or not the one that should connect.
    Misdirected,
    /// The certificate is another node's.
    Certificate,
}

impl Verdict {
    const ALL: [Verdict; 8] = [
        Verdict::Welcome,
        Verdict::Secret,
        Verdict::UnknownNode,
        Verdict::OwnId,
        Verdict::Cluster,
        Verdict::Store,
        Verdict::Misdirected,
        Verdict::Certificate,
    ];
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Welcome => "welcome",
            Verdict::Secret => "the cluster secrets differ",
            Verdict::UnknownNode => "the node-id is not a member of the cluster",
            Verdict::OwnId => "both have the same node-id",
            Verdict::Cluster => {
                "it is of another cluster: the cluster blocks that the two began with list different members"
            }
            Verdict::Store => {
                "the directory of this known member was wiped or replaced, its promises are lost and it must not \
                 vote again: put the old directory back, or replace the member with 'trimaran cluster replace'"
            }
            Verdict::Misdirected => "the address belongs to another member",
            Verdict::Certificate => "the certificate is not for that node-id",
        })
    }
}

/// The first thing either side says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hello {
    role: Role,
    cluster_id: u64,
    node_id: NodeId,
    store_id: u64,
    configuration: u32,
}

impl Hello {
    fn of(local: &Local, role: Role) -> Hello {
        Hello {
            role,
            cluster_id: local.cluster_id,
            node_id: local.node_id,
            store_id: local.store_id,
            configuration: local.configuration,
        }
    }

    fn encode(&self, key: &[u8], label: &[u8], exporter: &[u8]) -> [u8; HELLO_BYTES] {
        let mut encoded = Vec::with_capacity(HELLO_BYTES);
        encoded.extend_from_slice(MAGIC);
        encoded.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
        encoded.push(self.role as u8);
        encoded.extend_from_slice(&self.cluster_id.to_be_bytes());
        encoded.extend_from_slice(&self.node_id.to_be_bytes());
        encoded.extend_from_slice(&self.store_id.to_be_bytes());
        encoded.extend_from_slice(&self.configuration.to_be_bytes());
        let proof = mac(key, &[label, exporter, &encoded]);
        encoded.extend_from_slice(&proof);
        encoded.try_into().expect("the parts add up to HELLO_BYTES")
    }

    /// Reads the other's, and whether its proof is right; nothing behind the version is looked at if that is not ours.
    async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        key: &[u8],
        label: &[u8],
        exporter: &[u8],
    ) -> Result<(Hello, bool), Refusal> {
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
        let (said, proof) = bytes.split_at(HELLO_BYTES - PROOF_BYTES);
        let proven = keyed(key, &[label, exporter, said]).verify_slice(proof).is_ok();
        let fields = || {
            let (role, rest) = said.get(MAGIC.len() + 2..)?.split_first()?;
            let (cluster_id, rest) = rest.split_first_chunk()?;
            let (node_id, rest) = rest.split_first_chunk()?;
            let (store_id, rest) = rest.split_first_chunk()?;
            Some(Hello {
                role: Role::of(*role)?,
                cluster_id: u64::from_be_bytes(*cluster_id),
                node_id: u64::from_be_bytes(*node_id),
                store_id: u64::from_be_bytes(*store_id),
                configuration: u32::from_be_bytes(*rest.first_chunk()?),
            })
        };
        Ok((fields().ok_or(Refusal::Protocol)?, proven))
    }
}

/// Runs the handshake on a fresh connection. `known_store` gives the store that a member showed first.
///
/// The second half of an error is the member that the other end says it is.
pub async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    local: &Local,
    side: Side,
    known_store: &dyn Fn(NodeId) -> Option<u64>,
) -> Result<(Channel<S>, Authenticated), (Refusal, Option<NodeId>)> {
    let secured = secure(stream, local, side).await;
    greet(secured.map_err(|refusal| (refusal, side.expected()))?, local, side, known_store).await
}

/// The same for a listener that lets nodes join: those are answered, and `None` is what is left of them.
pub(super) async fn shake_or_answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    local: &Local,
    known_store: &dyn Fn(NodeId) -> Option<u64>,
    desk: &Desk,
) -> Result<Option<(Channel<S>, Authenticated)>, (Refusal, Option<NodeId>)> {
    let (mut tls, exporter) =
        secure(stream, local, Side::Listener).await.map_err(|refusal| (refusal, None))?;
    if tls.get_ref().1.alpn_protocol() == Some(ALPN_JOIN) {
        let answered = join::answer(&mut tls, &exporter, &local.credentials, desk).await;
        return answered.map(|()| None).map_err(|refusal| (refusal, None));
    }
    greet((tls, exporter), local, Side::Listener, known_store).await.map(Some)
}

async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    (mut tls, exporter): (TlsStream<S>, [u8; 32]),
    local: &Local,
    side: Side,
    known_store: &dyn Fn(NodeId) -> Option<u64>,
) -> Result<(Channel<S>, Authenticated), (Refusal, Option<NodeId>)> {
    let expected = side.expected();
    let (_, state) = tls.get_ref();
    if state.alpn_protocol() != Some(ALPN) {
        return Err((Refusal::Protocol, expected));
    }
    let certificate =
        state.peer_certificates().and_then(<[_]>::first).map(|shown| shown.clone().into_owned());
    let mut greeting = Greeting { tls: &mut tls, local, side, exporter, certificate, claimed: expected };
    match greeting.exchange(known_store).await {
        Ok(authenticated) => Ok((Channel::new(tls), authenticated)),
        Err(Refusal::Io(error)) => Err((explain(error, local, greeting.claimed), greeting.claimed)),
        Err(refusal) => Err((refusal, greeting.claimed)),
    }
}

/// TLS itself, and what identifies this connection for ever.
async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    local: &Local,
    side: Side,
) -> Result<(TlsStream<S>, [u8; 32]), Refusal> {
    let failed = |error| explain(error, local, side.expected());
    let settings = local.credentials.settings();
    match side {
        Side::Dialer(peer, _) => {
            let connector = TlsConnector::from(Arc::clone(&settings.client));
            let tls = connector.connect(server_name(peer), stream).await.map_err(failed)?;
            let exporter = exporter(tls.get_ref().1)?;
            Ok((tls.into(), exporter))
        }
        Side::Listener => {
            let started = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(failed)?;
            let joins =
                started.client_hello().alpn().is_some_and(|mut names| names.all(|name| name == ALPN_JOIN));
            let config = if joins { &settings.join_server } else { &settings.server };
            let tls = started.into_stream(Arc::clone(config)).await.map_err(failed)?;
            let exporter = exporter(tls.get_ref().1)?;
            Ok((tls.into(), exporter))
        }
    }
}

/// What both ends of this connection, and nobody else, can name it by.
pub(super) fn exporter<D>(connection: &ConnectionCommon<D>) -> io::Result<[u8; 32]> {
    connection.export_keying_material([0; 32], EXPORTER_LABEL, None).map_err(io::Error::other)
}

/// Hellos and verdicts on a connection that is through the handshake of TLS.
struct Greeting<'a, S> {
    tls: &'a mut TlsStream<S>,
    local: &'a Local,
    side: Side,
    exporter: [u8; 32],
    certificate: Option<CertificateDer<'static>>,
    claimed: Option<NodeId>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Greeting<'_, S> {
    async fn exchange(
        &mut self,
        known_store: &dyn Fn(NodeId) -> Option<u64>,
    ) -> Result<Authenticated, Refusal> {
        let local = self.local;
        let key = local.credentials.secret().map_or(&[][..], credentials::Secret::octets);
        let (send, receive) = self.side.labels();
        let role = match self.side {
            Side::Dialer(_, role) => role,
            Side::Listener => Role::Session,
        };
        let ours = Hello::of(local, role).encode(key, send, &self.exporter);
        if self.side == Side::Listener {
            self.say(&ours).await?;
        }
        let read = Hello::read(self.tls, key, receive, &self.exporter).await;
        if let (Err(Refusal::Version { .. }), Side::Dialer(..)) = (&read, self.side) {
            // Lets the other end see which version this is.
            self.say(&ours).await?;
        }
        let (theirs, proven) = read?;
        if local.members.contains(&theirs.node_id) {
            self.claimed = Some(theirs.node_id);
        }
        let verdict = if proven { self.judge(&theirs, known_store) } else { Verdict::Secret };
        let said = if self.side == Side::Listener {
            let said = self.hear().await?;
            self.say(&[verdict as u8]).await?;
            said
        } else {
            self.say(&[&ours[..], &[verdict as u8]].concat()).await?;
            self.hear().await?
        };
        // What we found wrong ourselves says more than what the other end makes of it.
        match (verdict, said) {
            (Verdict::Welcome, Verdict::Welcome) => {}
            (Verdict::Secret, _) => return Err(Refusal::Secret),
            (Verdict::Welcome, Verdict::UnknownNode) if theirs.configuration > local.configuration => {
                return Err(Refusal::Removed);
            }
            (Verdict::Welcome, said) => return Err(Refusal::Refused(said)),
            (verdict, _) => return Err(Refusal::Verdict(verdict)),
        }
        let role = if self.side == Side::Listener { theirs.role } else { role };
        let Hello { node_id: peer, store_id, configuration, .. } = theirs;
        Ok(Authenticated { peer, store_id, configuration, role })
    }

    async fn say(&mut self, octets: &[u8]) -> io::Result<()> {
        self.tls.write_all(octets).await?;
        self.tls.flush().await
    }

    async fn hear(&mut self) -> Result<Verdict, Refusal> {
        let code = self.tls.read_u8().await?;
        Verdict::ALL.get(usize::from(code)).copied().ok_or(Refusal::Protocol)
    }

    fn judge(&self, theirs: &Hello, known_store: &dyn Fn(NodeId) -> Option<u64>) -> Verdict {
        let local = self.local;
        let in_place = match self.side {
            Side::Dialer(expected, _) => theirs.node_id == expected,
            // The higher node id connects to the lower.
            Side::Listener => theirs.role != Role::Session || theirs.node_id > local.node_id,
        };
        if theirs.node_id == local.node_id {
            Verdict::OwnId
        } else if !self.certificate.as_ref().is_some_and(|shown| is_for(shown, theirs.node_id)) {
            Verdict::Certificate
        } else if theirs.cluster_id != local.cluster_id {
            Verdict::Cluster
        } else if !local.members.contains(&theirs.node_id) && theirs.configuration <= local.configuration {
            Verdict::UnknownNode
        } else if !in_place {
            Verdict::Misdirected
        } else if known_store(theirs.node_id).is_some_and(|known| known != theirs.store_id) {
            Verdict::Store
        } else {
            Verdict::Welcome
        }
    }
}

/// What an error of TLS says about the other end.
fn explain(error: io::Error, local: &Local, peer: Option<NodeId>) -> Refusal {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else {
        return Refusal::Io(error);
    };
    let from_secret = local.credentials.are_from_secret();
    match tls {
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
            if from_secret =>
        {
            Refusal::Secret
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Refusal::Verdict(Verdict::Misdirected),
        TlsError::InvalidCertificate(_) => {
            Refusal::Certificate(certificate_error(tls, peer.unwrap_or_default()))
        }
        TlsError::NoCertificatesPresented => Refusal::Certificate("it shows no certificate".to_owned()),
        TlsError::AlertReceived(AlertDescription::UnknownCA | AlertDescription::DecryptError)
            if from_secret =>
        {
            Refusal::Refused(Verdict::Secret)
        }
        TlsError::AlertReceived(AlertDescription::UnknownCA) => {
            Refusal::CertificateRefused("it is of another authority")
        }
        TlsError::AlertReceived(AlertDescription::CertificateExpired) => {
            Refusal::CertificateRefused("it has expired")
        }
        TlsError::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRequired,
        ) => Refusal::CertificateRefused("it is not for this node, or not for this purpose"),
        TlsError::PeerIncompatible(_)
        | TlsError::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) => {
            Refusal::Tls
        }
        _ => Refusal::Protocol,
    }
}

#[cfg(test)]
mod tests;
