//! DNS over TLS (RFC 7858): from files and options to what a handshake needs.
//!
//! ```text
//! tls statement ─► certificate and key ───────────┐
//!                  ca-file: who may connect ──────┼─► ServerConfig ─► tcp::Listener
//!                  protocols, ciphers, tickets ───┘
//! ```
//!
//! Not here: connections and handshakes ([`super::tcp`]), the statement (`config`).
//!
//! Caveats: no finite-field Diffie-Hellman and no ciphers without forward secrecy: rustls has none.

use crate::config::Tls;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CipherSuite, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of DNS over TLS in ALPN (RFC 7858 §9.2 as registered). RFC 9103 §8.1 asks for it in transfers.
pub const ALPN: &[u8] = b"dot";

/// Why there can be no TLS as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not in PEM.
    #[error("'{}': {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The key and the certificate cannot be used, or not with each other.
    #[error("certificate and key cannot be used: {0}")]
    Identity(rustls::Error),
    /// No cipher of the list is known here.
    #[error("none of the ciphers '{0}' is supported")]
    Ciphers(String),
    /// Anything else that TLS refuses.
    #[error("TLS cannot be set up: {0}")]
    Other(String),
}

/// Reads the files and puts everything together.
///
/// # Errors
/// [`TlsError`].
pub fn server_config(settings: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(provider(settings)?);
    let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
    versions.extend(settings.allows_tls13.then_some(&version::TLS13));
    versions.extend(settings.allows_tls12.then_some(&version::TLS12));
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| TlsError::Other(error.to_string()))?;
    let builder = match &settings.client_ca_file {
        Some(path) => builder.with_client_cert_verifier(client_verifier(path, provider)?),
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = identity(settings)?;
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Identity)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.ignore_client_order = settings.prefers_own_ciphers;
    // Tickets hold the session themselves: clients that do not come back take no memory (RFC 5077).
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if settings.gives_tickets {
        config.ticketer = ring::Ticketer::new().map_err(|error| TlsError::Other(error.to_string()))?;
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

/// The provider, with the ciphers that are wanted.
fn provider(settings: &Tls) -> Result<CryptoProvider, TlsError> {
    let mut provider = ring::default_provider();
    let Some(list) = &settings.ciphers else { return Ok(provider) };
    let suites = std::mem::take(&mut provider.cipher_suites);
    let known: Vec<Cipher> = suites.iter().filter_map(|suite| cipher(suite.suite())).collect();
    let wanted = select(list, &known);
    // The list is about TLS 1.2; without that it says nothing.
    if settings.allows_tls12 && wanted.is_empty() {
        return Err(TlsError::Ciphers(list.clone()));
    }
    provider.cipher_suites.extend(suites.iter().filter(|suite| cipher(suite.suite()).is_none()));
    for cipher in &wanted {
        provider.cipher_suites.extend(suites.iter().filter(|suite| suite.suite() == cipher.suite));
    }
    Ok(provider)
}

/// Who the server is: what the files say, or somebody who is made up now.
fn identity(settings: &Tls) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let Some((certificate, key)) = &settings.certificate_and_key else {
        let made = rcgen::generate_simple_self_signed(Vec::new())
            .map_err(|error| TlsError::Other(error.to_string()))?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        return Ok((vec![made.cert.der().clone()], key.into()));
    };
    let chain = certificates(certificate)?;
    let octets = read(key)?;
    let key = PrivateKeyDer::from_pem_slice(&octets)
        .map_err(|error| file_error(key, format!("no private key: {error}")))?;
    Ok((chain, key))
}

fn client_verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| file_error(path, error.to_string()))?;
    }
    // BIND: with `ca-file`, a client without a certificate is not let in.
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| file_error(path, error.to_string()))
}

/// All certificates of a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let octets = read(path)?;
    let found = CertificateDer::pem_slice_iter(&octets)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| file_error(path, format!("not in PEM: {error}")))?;
    if found.is_empty() {
        return Err(file_error(path, "no certificate in it".to_owned()));
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| file_error(path, error.to_string()))
}

fn file_error(path: &Path, reason: String) -> TlsError {
    TlsError::File { path: path.to_owned(), reason }
}

/// A cipher suite of TLS 1.2 under OpenSSL's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cipher {
    suite: CipherSuite,
    name: &'static str,
}

fn cipher(suite: CipherSuite) -> Option<Cipher> {
    let name = match suite {
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => return None,
    };
    Some(Cipher { suite, name })
}

/// What an OpenSSL cipher list leaves of `known`, in its order (`ciphers(1)`): `:`, `,` or blanks between items; a
/// word adds those that are left, `!` and `-` take away, `+` moves behind the others, `A+B` is both.
fn select(list: &str, known: &[Cipher]) -> Vec<Cipher> {
    let mut chosen: Vec<Cipher> = Vec::new();
    let mut killed: Vec<Cipher> = Vec::new();
    let items = list.split([':', ',', ' ', ';']).filter(|item| !item.is_empty() && !item.starts_with('@'));
    for item in items {
        let (mark, word) = match item.split_at_checked(1) {
            Some((mark @ ("!" | "-" | "+"), word)) => (mark, word),
            _ => ("", item),
        };
        let is_meant = |cipher: &Cipher| word.split('+').all(|part| has(cipher, part));
        let meant: Vec<Cipher> = known.iter().copied().filter(is_meant).collect();
        match mark {
            "" => {
                let new = meant.iter().filter(|cipher| !chosen.contains(cipher) && !killed.contains(cipher));
                let new: Vec<Cipher> = new.copied().collect();
                chosen.extend(new);
            }
            "+" => {
                let (back, front) =
                    chosen.iter().partition::<Vec<Cipher>, _>(|cipher| meant.contains(cipher));
                chosen = front.into_iter().chain(back).collect();
            }
            _ => {
                chosen.retain(|cipher| !meant.contains(cipher));
                if mark == "!" {
                    killed.extend(meant);
                }
            }
        }
    }
    chosen
}

/// Whether a cipher is one of those that a word of OpenSSL means.
fn has(cipher: &Cipher, word: &str) -> bool {
    let name = cipher.name;
    match word {
        "ALL" | "DEFAULT" | "HIGH" | "ECDHE" | "EECDH" | "kECDHE" | "kEECDH" | "TLSv1.2" => true,
        "FIPS" => !name.contains("CHACHA20"),
        "ECDSA" | "aECDSA" => name.contains("-ECDSA-"),
        "aRSA" => name.contains("-RSA-"),
        "AES" | "AESGCM" => name.contains("-AES"),
        "AES128" | "AES256" | "CHACHA20" => name.contains(word),
        "SHA256" | "SHA384" => name.ends_with(word),
        _ => word == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> String {
        let provider = ring::default_provider();
        let known: Vec<Cipher> =
            provider.cipher_suites.iter().filter_map(|suite| cipher(suite.suite())).collect();
        assert_eq!(known.len(), 6, "every suite of TLS 1.2 has a name");
        let short = |cipher: &Cipher| {
            let part = |long, short| if cipher.name.contains(long) { short } else { "" };
            [part("-ECDSA-", "e"), part("-RSA-", "r"), part("128", "1"), part("256-", "2"), part("CHA", "c")]
                .concat()
        };
        select(list, &known).iter().map(short).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn cipher_lists_are_read_as_openssl_reads_them() {
        let cases = [
            ("HIGH:!aNULL", "e2 e1 ec r2 r1 rc"),
            ("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", "r1 e2"),
            ("HIGH:!ECDSA:+AES256", "r1 rc r2"),
            ("ECDHE+AESGCM+aRSA", "r2 r1"),
            ("AES128,CHACHA20 -aRSA", "e1 ec"),
            ("HIGH:-AES:AES256", "ec rc e2 r2"),
            ("!AES:HIGH", "ec rc"),
            ("DHE-RSA-AES256-GCM-SHA384:kRSA", ""),
            ("HIGH:@STRENGTH", "e2 e1 ec r2 r1 rc"),
        ];
        for (list, expected) in cases {
            assert_eq!(names(list), expected, "{list}");
        }
    }

    /// A key and its certificate in two files.
    fn files(directory: &Path, name: &str) -> Tls {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let path = |end: &str| directory.join(format!("{name}.{end}"));
        std::fs::write(path("crt"), made.cert.pem()).unwrap();
        std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
        Tls { certificate_and_key: Some((path("crt"), path("key"))), ..Tls::default() }
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let (one, other) = (files(directory.path(), "one"), files(directory.path(), "other"));
        std::fs::write(at("empty"), "").unwrap();
        std::fs::write(at("half"), "-----BEGIN CERTIFICATE-----\nAAAA").unwrap();
        let identity = |certificate: &str, key: &str| Tls {
            certificate_and_key: Some((at(certificate), at(key))),
            ..Tls::default()
        };
        let ca = |name: &str| Tls { client_ca_file: Some(at(name)), ..Tls::default() };
        let ciphers = |list: &str| Tls { ciphers: Some(list.to_owned()), ..Tls::default() };
        let cases = [
            (one, ""),
            (Tls { allows_tls12: false, ..other }, ""),
            (identity("one.crt", "other.key"), "certificate and key cannot be used: "),
            (identity("missing", "one.key"), "missing': No such file"),
            (identity("one.crt", "missing"), "missing': No such file"),
            (identity("empty", "one.key"), "empty': no certificate in it"),
            (identity("half", "one.key"), "half': not in PEM"),
            (identity("one.key", "one.key"), "one.key': no certificate in it"),
            (identity("one.crt", "one.crt"), "one.crt': no private key"),
            (ca("one.crt"), ""),
            (ca("empty"), "empty': no certificate in it"),
            (ciphers("HIGH"), ""),
            (ciphers("kRSA"), "none of the ciphers 'kRSA' is supported"),
            (Tls { allows_tls12: false, ..ciphers("kRSA") }, ""),
            (Tls { gives_tickets: false, ..Tls::default() }, ""),
        ];
        for (settings, expected) in cases {
            let said = server_config(&settings).err().map_or(String::new(), |error| error.to_string());
            assert!(
                said.contains(expected) && said.is_empty() == expected.is_empty(),
                "{settings:?}: {said}"
            );
        }
    }
}
