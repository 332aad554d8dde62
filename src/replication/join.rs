//! How a node that is no member becomes one: with a token that a member issued, good for one node and a short time.
//!
//! ```text
//! member:  issue ─► IssueToken { digest } in the log          token = addresses, digest of the authority, key
//! joiner   TLS 1.3, ALPN "trimaran-join": the authority has to be the token's ────────► member
//!          Request { cluster, store, address }, HMAC(digest of the key, exporter + request) ►
//!                                    Join { digest, store, address } in the log, once
//!          ◄──────────────────────── node id, secret, configuration; or why not
//! ```
//!
//! Invariants: a joiner says nothing to whoever cannot show the authority that its token names, and a proof is good for its
//! own TLS connection only, so that nobody in the middle can use it; nothing enters the log before a token is proved;
//! a directory that asks again gets the same answer, because the first may have been lost.
//!
//! Not here: what a token leads to ([`super::configuration`]), the command line (`cli`).
//!
//! Caveats: the digest of a token is as good as the token until that is used or expires, and it is in the log and in
//! the directories of all members. With given certificates, the joiner's has to be for the node id that it will get.

use super::{
    NodeId,
    command::{Command, Outcome},
    configuration::{self, Configuration, TokenDigest},
    credentials::{ALPN_JOIN, Credentials, Secret, keyed, mac, provider, server_name, store},
    handshake::{Refusal, exporter},
    proposer::Proposer,
};
use crate::clock;
use hmac::Mac;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{cell::RefCell, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Time that one member is given to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most octets of a request, and of an answer.
const REQUEST_BYTES_MAX: usize = 128;
const ANSWER_BYTES_MAX: usize = 64 << 10;
const KEY_BYTES: usize = 32;
const PROOF_BYTES: usize = 32;
const PREFIX: &str = "trimaran1-";
const CHECKSUM_BYTES: usize = 4;
const PROOF_LABEL: &[u8] = b"trimaran join";

/// The right to join a cluster, once. Whoever has it can use it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    cluster_id: u64,
    /// SHA-256 of the certificate of the authority that members' certificates are from.
    authority: [u8; 32],
    key: [u8; KEY_BYTES],
    members: Vec<(NodeId, SocketAddr)>,
}

impl std::fmt::Debug for Token {
    /// The key stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("members", &self.members).finish_non_exhaustive()
    }
}

impl Token {
    fn digest(&self) -> TokenDigest {
        Sha256::digest(self.key).into()
    }

    /// For people to copy: one word.
    ///
    /// # Panics
    /// Never: a token always encodes.
    pub fn to_text(&self) -> String {
        let mut octets = postcard::to_stdvec(self).expect("a token always encodes");
        let checksum = Sha256::digest(&octets);
        octets.extend_from_slice(&checksum[..CHECKSUM_BYTES]);
        format!("{PREFIX}{}", data_encoding::BASE64URL_NOPAD.encode(&octets))
    }

    /// Reads what [`Token::to_text`] gave; `None` if a part of it is missing or changed.
    pub fn parse(text: &str) -> Option<Token> {
        let octets =
            data_encoding::BASE64URL_NOPAD.decode(text.trim().strip_prefix(PREFIX)?.as_bytes()).ok()?;
        let (octets, checksum) = octets.split_last_chunk::<CHECKSUM_BYTES>()?;
        let is_whole = Sha256::digest(octets).starts_with(checksum);
        match postcard::take_from_bytes(octets) {
            Ok((token, [])) if is_whole => Some(token),
            _ => None,
        }
    }
}

#[cfg(test)]
impl Token {
    pub(super) fn with_other_key(&self) -> Token {
        Token { key: [7; KEY_BYTES], ..self.clone() }
    }

    pub(super) fn with_other_authority(&self) -> Token {
        Token { authority: [7; 32], ..self.clone() }
    }

    /// Names one member only.
    pub(super) fn at(&self, member: NodeId, address: SocketAddr) -> Token {
        Token { members: vec![(member, address)], ..self.clone() }
    }

    /// Names the member at `index` first.
    pub(super) fn asking_first(&self, index: usize) -> Token {
        let mut token = self.clone();
        token.members.rotate_left(index);
        token
    }
}

/// Why a node has not joined, or there is no token.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// No member could be asked, or none knew.
    #[error("no member of the cluster could be asked; the last one, {address}: {reason}")]
    Nobody {
        /// The last one that was tried.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// The token has no members in it.
    #[error("the token names no member")]
    Empty,
    /// The cluster does not want it.
    #[error("the cluster refuses: {0}")]
    Refused(#[from] Rejection),
    /// Not decided in time.
    #[error("the cluster did not decide in time")]
    NotDecided,
}

/// What a member says to a joiner that it does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// No token fits the proof.
    #[error("the token is unknown, has been used or is for another cluster")]
    Token,
    /// As the configuration has it.
    #[error("{0}")]
    Configuration(configuration::Refusal),
    /// Not decided in time; it may be asked again.
    #[error("the cluster did not decide in time")]
    NotDecided,
}

/// What a new member begins with.
#[derive(Debug)]
pub struct Joined {
    /// Its node id.
    pub node_id: NodeId,
    /// The cluster's secret, if there is one.
    pub secret: Option<Secret>,
    /// Who takes part, this node included.
    pub configuration: Configuration,
}

/// Has the cluster take in whoever shows the token first, within `lifetime`, in place of `replaces` if that is given.
///
/// # Errors
/// The cluster refuses, or does not decide.
pub async fn issue_token(
    proposer: &Proposer,
    configuration: &Configuration,
    credentials: &Credentials,
    lifetime: Duration,
    replaces: Option<NodeId>,
) -> Result<Token, JoinError> {
    let mut key = [0; KEY_BYTES];
    clock::random_bytes(&mut key);
    let members = configuration.members.iter().map(|voter| (voter.id, voter.address)).collect();
    let authority = credentials.settings().authority;
    let token = Token { cluster_id: configuration.cluster_id, authority, key, members };
    let expires_secs = clock::unix_secs().saturating_add(lifetime.as_secs());
    let issue = Command::IssueToken { digest: token.digest(), expires_secs, replaces };
    match proposer.call(issue).await {
        Outcome::Configured(_) | Outcome::Done => Ok(token),
        Outcome::Refused(refusal) => Err(Rejection::Configuration(refusal).into()),
        _ => Err(JoinError::NotDecided),
    }
}

/// What a joiner asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    cluster_id: u64,
    store_id: u64,
    address: SocketAddr,
}

/// What it is given.
#[derive(Serialize, Deserialize)]
struct Welcome {
    node_id: NodeId,
    secret: Option<Vec<u8>>,
    configuration: Configuration,
}

type Answer = Result<Welcome, Rejection>;

/// Where a listener asks about joiners.
pub struct Desk {
    /// The way into the log.
    pub proposer: Proposer,
    /// As it is applied here: who applies a change puts it there before the outcome is given.
    pub configuration: Rc<RefCell<Configuration>>,
}

/// Asks the members that the token names, one after the other, until one of them knows. `listen` is where the others will find
/// this node, `store_id` its directory.
///
/// # Errors
/// Nobody can be asked, or the cluster does not want this node.
pub async fn join(token: &Token, listen: SocketAddr, store_id: u64) -> Result<Joined, JoinError> {
    let mut failed = JoinError::Empty;
    for (member, address) in &token.members {
        let asked = timeout(PATIENCE, ask(token, *member, *address, listen, store_id)).await;
        failed = match asked {
            Ok(Ok(Ok(welcome))) => {
                let secret = welcome.secret.as_deref().and_then(Secret::new);
                let Welcome { node_id, configuration, .. } = welcome;
                return Ok(Joined { node_id, secret, configuration });
            }
            Ok(Ok(Err(Rejection::NotDecided))) => JoinError::NotDecided,
            Ok(Ok(Err(rejection))) => return Err(rejection.into()),
            Ok(Err(error)) => JoinError::Nobody { address: *address, reason: error.to_string() },
            Err(_) => JoinError::Nobody { address: *address, reason: "no answer in time".to_owned() },
        };
    }
    Err(failed)
}

async fn ask(
    token: &Token,
    member: NodeId,
    address: SocketAddr,
    listen: SocketAddr,
    store_id: u64,
) -> io::Result<Answer> {
    let stream = TcpStream::connect(address).await?;
    let config = client(token.authority).map_err(io::Error::other)?;
    let mut tls = TlsConnector::from(Arc::new(config)).connect(server_name(member), stream).await?;
    let (_, connection) = tls.get_ref();
    if connection.alpn_protocol() != Some(ALPN_JOIN) {
        return Err(io::Error::other(Refusal::Protocol));
    }
    let exporter = exporter(connection)?;
    let request = Request { cluster_id: token.cluster_id, store_id, address: listen };
    let request = postcard::to_stdvec(&request).map_err(io::Error::other)?;
    let proof = mac(&token.digest(), &[PROOF_LABEL, &exporter, &request]);
    tls.write_all(&[&[request.len() as u8][..], &request, &proof].concat()).await?;
    tls.flush().await?;
    let length = tls.read_u32().await? as usize;
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::other(Refusal::Protocol));
    }
    let mut answer = vec![0; length];
    tls.read_exact(&mut answer).await?;
    postcard::from_bytes(&answer).map_err(|_| io::Error::other(Refusal::Protocol))
}

/// Answers a joiner on a connection that is through the handshake of TLS.
///
/// # Errors
/// It is none, or shows no token.
pub(super) async fn answer(
    tls: &mut (impl AsyncRead + AsyncWrite + Unpin),
    exporter: &[u8; 32],
    credentials: &Credentials,
    desk: &Desk,
) -> Result<(), Refusal> {
    let length = usize::from(tls.read_u8().await?);
    if length > REQUEST_BYTES_MAX {
        return Err(Refusal::Protocol);
    }
    let (mut octets, mut proof) = (vec![0; length], [0; PROOF_BYTES]);
    tls.read_exact(&mut octets).await?;
    tls.read_exact(&mut proof).await?;
    let request: Request = postcard::from_bytes(&octets).map_err(|_| Refusal::Protocol)?;
    let answer = decide(&request, &octets, &proof, exporter, credentials, desk).await;
    let encoded = postcard::to_stdvec(&answer).map_err(|_| Refusal::Protocol)?;
    tls.write_all(&[&(encoded.len() as u32).to_be_bytes()[..], &encoded].concat()).await?;
    tls.shutdown().await?;
    match answer {
        Ok(welcome) => {
            tracing::info!("node {} at {} joins the cluster", welcome.node_id, request.address);
            Ok(())
        }
        Err(rejection) => Err(Refusal::Joiner(rejection)),
    }
}

async fn decide(
    request: &Request,
    octets: &[u8],
    proof: &[u8],
    exporter: &[u8; 32],
    credentials: &Credentials,
    desk: &Desk,
) -> Answer {
    let configuration = desk.configuration.borrow().clone();
    let proves =
        |digest: &TokenDigest| keyed(digest, &[PROOF_LABEL, exporter, octets]).verify_slice(proof).is_ok();
    let digest = configuration.tokens.iter().map(|token| token.digest).find(proves);
    let digest = digest.filter(|_| request.cluster_id == configuration.cluster_id).ok_or(Rejection::Token)?;
    let Request { store_id, address, .. } = *request;
    match desk.proposer.call(Command::Join { digest, store_id, address }).await {
        Outcome::Configured(node_id) => {
            let secret = credentials.secret().map(|secret| secret.octets().to_vec());
            Ok(Welcome { node_id, secret, configuration: desk.configuration.borrow().clone() })
        }
        Outcome::Refused(refusal) => Err(Rejection::Configuration(refusal)),
        _ => Err(Rejection::NotDecided),
    }
}

/// TLS that trusts one authority, by its digest.
fn client(authority: [u8; 32]) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { authority }))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// Takes certificates of one authority, which the server has to show.
#[derive(Debug)]
struct Pinned {
    authority: [u8; 32],
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let is_pinned = |shown: &&CertificateDer<'_>| Sha256::digest(shown)[..] == self.authority;
        let root = intermediates.iter().find(is_pinned).ok_or(CertificateError::UnknownIssuer)?;
        let roots = store([&root.clone().into_owned()])?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| TlsError::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
