//! What a node shows the others and what it takes from them: keys and certificates of the cluster port.
//!
//! ```text
//! secret ─HKDF─► key of the authority ─► its certificate (the same octets on every node)
//!                      └─signs─► certificate of node-<id>.trimaran, its key made anew at every start
//! cert-file, key-file, ca-file ─────► read at the start and again by `renew`
//!           └──► ClientConfig, ServerConfigs: TLS 1.3 only, no tickets, no resumption, no early data
//! ```
//!
//! Invariant: whoever is let in under [`ALPN`] has shown a certificate of the cluster's authority for the node it says
//! it is. [`ALPN_JOIN`] asks for no certificate: a new node has none yet, and proves a token instead.
//!
//! Not here: what is said within TLS ([`super::handshake`], [`super::join`]).
//!
//! Caveats: certificates that are made from the secret are valid for ever: whoever has the secret can make others, so an
//! end would add nothing, and a name server must come up on a machine whose clock is not right yet. A session outlives
//! the certificate it began with.

use super::NodeId;
use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit, Mac};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    CertificateError, ClientConfig, RootCertStore, ServerConfig,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier},
    version,
};
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Fewest octets of a cluster secret.
pub const SECRET_BYTES_MIN: usize = 16;
/// What members speak, by its name in ALPN (RFC 7301).
pub const ALPN: &[u8] = b"trimaran";
/// What a node speaks that is no member yet.
pub const ALPN_JOIN: &[u8] = b"trimaran-join";

/// An Ed25519 private key in PKCS #8 (RFC 8410 §7) up to its 32 octets.
const ED25519_PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The secret that all members of a cluster share.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes a secret of at least [`SECRET_BYTES_MIN`] octets.
    pub fn new(bytes: &[u8]) -> Option<Secret> {
        (bytes.len() >= SECRET_BYTES_MIN).then(|| Secret(bytes.into()))
    }

    /// The octets, for a node that joins.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Where given certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// This node's certificate, and those between it and the authority's.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Certificates of the authorities that members' certificates are from.
    pub authority: PathBuf,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read, or is not what it should be.
    #[error("'{}': {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The certificate would be refused by every other member.
    #[error("'{}': {reason}", path.display())]
    Own {
        /// The certificate.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Anything else that TLS refuses.
    #[error("TLS between nodes cannot be set up: {0}")]
    Other(String),
}

/// A node's keys and certificates.
pub struct Credentials {
    node_id: NodeId,
    secret: Option<Secret>,
    files: Option<Files>,
    current: ArcSwap<Settings>,
}

/// What connections begin with.
pub(super) struct Settings {
    pub(super) client: Arc<ClientConfig>,
    pub(super) server: Arc<ServerConfig>,
    /// Asks for no certificate.
    pub(super) join_server: Arc<ServerConfig>,
    /// SHA-256 of the certificate of the authority, which is the last of what a server shows.
    pub(super) authority: [u8; 32],
}

impl Credentials {
    /// Makes everything from the cluster's secret.
    ///
    /// # Errors
    /// The crypto library refuses, which would be a defect.
    pub fn from_secret(node_id: NodeId, secret: Secret) -> Result<Credentials, CredentialsError> {
        let settings = made(node_id, &secret)?;
        let current = ArcSwap::from_pointee(settings);
        Ok(Credentials { node_id, secret: Some(secret), files: None, current })
    }

    /// Reads given certificates. A secret beside them is proved as well.
    ///
    /// # Errors
    /// What the files hold cannot be used, or no other member would take it.
    pub fn from_files(
        node_id: NodeId,
        files: Files,
        secret: Option<Secret>,
    ) -> Result<Credentials, CredentialsError> {
        let current = ArcSwap::from_pointee(given(node_id, &files)?);
        Ok(Credentials { node_id, secret, files: Some(files), current })
    }

    /// Reads given certificates again: new connections use what is there now.
    ///
    /// # Errors
    /// As for [`Credentials::from_files`]; what was there before stays in use.
    pub fn renew(&self) -> Result<(), CredentialsError> {
        if let Some(files) = &self.files {
            self.current.store(Arc::new(given(self.node_id, files)?));
        }
        Ok(())
    }

    /// Whether certificates are made from the secret.
    pub(super) fn are_from_secret(&self) -> bool {
        self.files.is_none()
    }

    pub(super) fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        self.current.load_full()
    }
}

impl std::fmt::Debug for Credentials {
    /// Keys stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("node_id", &self.node_id)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// The name of a node in its certificate.
pub fn node_name(node: NodeId) -> String {
    format!("node-{node}.trimaran")
}

/// The same, where TLS wants it.
pub(super) fn server_name(node: NodeId) -> ServerName<'static> {
    ServerName::try_from(node_name(node)).expect("letters, digits, a hyphen and a dot")
}

/// Whether a certificate is for `node`. That its authority is ours has been checked by the handshake.
pub(super) fn is_for(certificate: &CertificateDer<'_>, node: NodeId) -> bool {
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &server_name(node)).is_ok())
}

/// A key for one purpose: HKDF-SHA256 (RFC 5869) with one block of output.
fn derive(secret: &[u8], salt: &[u8], purpose: &[u8]) -> [u8; 32] {
    let extracted = mac(salt, &[secret]);
    mac(&extracted, &[purpose, &[1]])
}

pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    keyed(key, parts).finalize().into_bytes().into()
}

pub(super) fn keyed(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// Ciphers of TLS 1.3 that cost little with and without AES in hardware.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
            ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..ring::default_provider()
    })
}

/// Certificates that the secret gives.
fn made(node_id: NodeId, secret: &Secret) -> Result<Settings, CredentialsError> {
    let other = |error: rcgen::Error| CredentialsError::Other(error.to_string());
    let seed = derive(&secret.0, b"trimaran cluster", b"certificate authority");
    let key = PrivatePkcs8KeyDer::from([&ED25519_PKCS8[..], &seed].concat());
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_ED25519).map_err(other)?;
    let mut authority = CertificateParams::default();
    // The name tells authorities apart, so that another secret is called an unknown issuer, not a bad signature.
    let name = data_encoding::HEXLOWER.encode(&Sha256::digest(key.public_key_raw())[..8]);
    authority.distinguished_name.push(DnType::CommonName, format!("trimaran cluster {name}"));
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.serial_number = Some(1.into());
    let root = authority.self_signed(&key).map_err(other)?;

    let own_key = KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(other)?;
    let mut own = CertificateParams::new(vec![node_name(node_id)]).map_err(other)?;
    own.distinguished_name.push(DnType::CommonName, node_name(node_id));
    own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let own = own.signed_by(&own_key, &Issuer::new(authority, key)).map_err(other)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own_key.serialize_der()));
    let root = root.der().clone();
    let authority = Sha256::digest(&root).into();
    settings(vec![own.der().clone(), root.clone()], key, &[root], authority)
}

/// Certificates that files hold.
fn given(node_id: NodeId, files: &Files) -> Result<Settings, CredentialsError> {
    let mut chain = certificates(&files.certificate)?;
    let roots = certificates(&files.authority)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| file_error(&files.key, format!("no private key: {error}")))?;
    let authority = own_authority(node_id, &chain, &roots)
        .map_err(|reason| CredentialsError::Own { path: files.certificate.clone(), reason })?;
    // Who joins knows the authority by its digest only, and has to be shown it.
    chain.retain(|certificate| certificate != authority);
    chain.push(authority.clone());
    settings(chain, key, &roots, Sha256::digest(authority).into())
}

/// The authority that the others check this node's certificate with.
fn own_authority<'a>(
    node_id: NodeId,
    chain: &[CertificateDer<'_>],
    roots: &'a [CertificateDer<'static>],
) -> Result<&'a CertificateDer<'static>, String> {
    let [own, between @ ..] = chain else { return Err("no certificate in it".to_owned()) };
    let mut reason = "no authority".to_owned();
    for root in roots {
        match is_taken(node_id, own, between, root) {
            Ok(()) => return Ok(root),
            Err(error) => reason = certificate_error(&error, node_id),
        }
    }
    Err(reason)
}

/// Whether the others take a certificate on either end of a connection, if they trust `root` alone.
fn is_taken(
    node_id: NodeId,
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    root: &CertificateDer<'static>,
) -> Result<(), rustls::Error> {
    let general = |error: VerifierBuilderError| rustls::Error::General(error.to_string());
    let (roots, now) = (Arc::new(store([root])?), UnixTime::now());
    let server = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider());
    server.build().map_err(general)?.verify_server_cert(own, between, &server_name(node_id), &[], now)?;
    let client = WebPkiClientVerifier::builder_with_provider(roots, provider());
    client.build().map_err(general)?.verify_client_cert(own, between, now)?;
    Ok(())
}

pub(super) fn store<'a>(
    roots: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> Result<RootCertStore, rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone())?;
    }
    Ok(store)
}

/// What is wrong with a certificate, in words.
pub(super) fn certificate_error(error: &rustls::Error, node: NodeId) -> String {
    use CertificateError as E;
    match error {
        rustls::Error::InvalidCertificate(E::Expired | E::ExpiredContext { .. }) => {
            "the certificate has expired".to_owned()
        }
        rustls::Error::InvalidCertificate(E::NotValidYet | E::NotValidYetContext { .. }) => {
            "the certificate is not valid yet".to_owned()
        }
        rustls::Error::InvalidCertificate(E::UnknownIssuer | E::BadSignature) => {
            "the certificate is of another authority".to_owned()
        }
        rustls::Error::InvalidCertificate(E::NotValidForName | E::NotValidForNameContext { .. }) => {
            format!("the certificate is not for {}", node_name(node))
        }
        error => error.to_string(),
    }
}

fn settings(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: &[CertificateDer<'static>],
    authority: [u8; 32],
) -> Result<Settings, CredentialsError> {
    let other = |error: rustls::Error| CredentialsError::Other(error.to_string());
    let store = Arc::new(store(roots).map_err(other)?);
    let client_verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&store), provider())
        .build()
        .map_err(|error| CredentialsError::Other(error.to_string()))?;
    let server =
        || ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&version::TLS13]);
    let mutual = server()
        .map_err(other)?
        .with_client_cert_verifier(client_verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(other)?;
    let join = server()
        .map_err(other)?
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(other)?;
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(other)?
        .with_root_certificates(store)
        .with_client_auth_cert(chain, key)
        .map_err(other)?;
    client.alpn_protocols = vec![ALPN.to_vec()];
    client.resumption = Resumption::disabled();
    client.enable_sni = false;
    Ok(Settings {
        client: Arc::new(client),
        server: Arc::new(without_resumption(mutual, ALPN)),
        join_server: Arc::new(without_resumption(join, ALPN_JOIN)),
        authority,
    })
}

/// Every connection proves everything anew.
fn without_resumption(mut config: ServerConfig, alpn: &[u8]) -> ServerConfig {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// All certificates of a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file_error(path, error.to_string()))?;
    if found.is_empty() {
        return Err(file_error(path, "no certificate in it".to_owned()));
    }
    Ok(found)
}

fn file_error(path: &Path, reason: String) -> CredentialsError {
    CredentialsError::File { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new(b"sixteen octets or more").expect("long enough")
    }

    #[test]
    fn keys_are_derived_as_rfc_5869_has_it() {
        // Appendix A.1, of which the first 32 octets of output are the first block.
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let okm = derive(&[0x0b; 22], &salt, &info);
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf";
        assert_eq!(data_encoding::HEXLOWER.encode(&okm), expected);
    }

    #[test]
    fn a_short_secret_is_not_taken() {
        assert!(Secret::new(&[1; SECRET_BYTES_MIN - 1]).is_none());
        assert!(Secret::new(&[1; SECRET_BYTES_MIN]).is_some());
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let credentials = Credentials::from_secret(7, secret()).expect("certificates");
        assert_eq!(format!("{credentials:?}"), "Credentials { node_id: 7, files: None, .. }");
        assert_eq!(format!("{:?}", secret()), "Secret");
    }

    #[test]
    fn a_certificate_is_for_one_node() {
        let shown = |node| {
            let key = KeyPair::generate().expect("a key");
            let certificate =
                CertificateParams::new(vec![node_name(node)]).expect("a name").self_signed(&key);
            certificate.expect("a certificate").der().clone()
        };
        assert!(is_for(&shown(1), 1));
        assert!(!is_for(&shown(1), 2));
        assert!(!is_for(&shown(12), 1));
        assert!(!is_for(&CertificateDer::from(vec![0x30, 0]), 1), "no certificate at all");
    }

    /// An authority and what it can issue into files of a directory.
    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        directory: tempfile::TempDir,
    }

    impl Authority {
        fn new() -> Authority {
            let directory = tempfile::tempdir().expect("temporary directory");
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let pem = params.self_signed(&key).expect("a certificate").pem();
            std::fs::write(directory.path().join("ca.crt"), pem).expect("a file");
            Authority { issuer: Issuer::new(params, key), directory }
        }

        fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Files {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
            change(&mut params);
            let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
            let path = |end: &str| self.directory.path().join(end);
            std::fs::write(path("own.crt"), certificate.pem()).expect("a file");
            std::fs::write(path("own.key"), key.serialize_pem()).expect("a file");
            Files { certificate: path("own.crt"), key: path("own.key"), authority: path("ca.crt") }
        }
    }

    #[test]
    fn a_certificate_that_the_others_would_refuse_is_refused_at_once() {
        let authority = Authority::new();
        let other = Authority::new();
        let now = crate::clock::now_utc();
        let day = time::Duration::days(1);
        type Change = Box<dyn FnOnce(&mut CertificateParams)>;
        let usage = |usage| -> Change { Box::new(move |params| params.extended_key_usages = vec![usage]) };
        let cases: [(&str, Change, &str); 6] = [
            ("node-2.trimaran", Box::new(|_| {}), ""),
            ("node-3.trimaran", Box::new(|_| {}), "own.crt': the certificate is not for node-2.trimaran"),
            (
                "node-2.trimaran",
                Box::new(move |params| params.not_after = now - day),
                "own.crt': the certificate has expired",
            ),
            (
                "node-2.trimaran",
                Box::new(move |params| params.not_before = now + day),
                "the certificate is not valid yet",
            ),
            ("node-2.trimaran", usage(ExtendedKeyUsagePurpose::ServerAuth), "own.crt': "),
            ("node-2.trimaran", usage(ExtendedKeyUsagePurpose::ClientAuth), "own.crt': "),
        ];
        let said = |files: Files| {
            Credentials::from_files(2, files, None).err().map_or(String::new(), |error| error.to_string())
        };
        for (name, change, expected) in cases {
            let said = said(authority.issue(name, change));
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{expected}: {said}");
        }
        let foreign = Files {
            authority: other.directory.path().join("ca.crt"),
            ..authority.issue("node-2.trimaran", |_| {})
        };
        assert!(said(foreign).contains("the certificate is of another authority"));
    }

    #[test]
    fn files_that_cannot_be_read_are_named() {
        let authority = Authority::new();
        let good = authority.issue("node-2.trimaran", |_| {});
        let nosuch = authority.directory.path().join("nosuch");
        std::fs::write(authority.directory.path().join("empty"), "").expect("a file");
        let empty = authority.directory.path().join("empty");
        for (files, expected) in [
            (Files { certificate: nosuch.clone(), ..good.clone() }, "nosuch': "),
            (Files { key: nosuch.clone(), ..good.clone() }, "nosuch': no private key: "),
            (Files { authority: nosuch, ..good.clone() }, "nosuch': "),
            (Files { certificate: empty.clone(), ..good.clone() }, "empty': no certificate in it"),
            (Files { key: good.certificate.clone(), ..good.clone() }, "own.crt': no private key: "),
            (Files { certificate: good.key.clone(), ..good.clone() }, "own.key': no certificate in it"),
        ] {
            let error = Credentials::from_files(2, files, None).expect_err(expected).to_string();
            assert!(error.contains(expected), "{expected}: {error}");
            assert!(!error.contains("BEGIN") && !error.contains("MIG"), "{error}");
        }
    }

    #[test]
    fn renewed_files_are_used_and_bad_ones_are_not() {
        let authority = Authority::new();
        let credentials =
            Credentials::from_files(2, authority.issue("node-2.trimaran", |_| {}), None).expect("good");
        let first = credentials.settings();
        authority.issue("node-2.trimaran", |_| {});
        credentials.renew().expect("good");
        let second = credentials.settings();
        assert!(!Arc::ptr_eq(&first, &second));
        authority.issue("node-3.trimaran", |_| {});
        assert!(credentials.renew().is_err());
        assert!(Arc::ptr_eq(&second, &credentials.settings()));
    }
}
