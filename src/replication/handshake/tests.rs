//! Two ends of one connection: who is let in, who is not, and what each of them can say about it.

use super::*;
use crate::replication::credentials::Secret;
use tokio::io::DuplexStream;

const SECRET: &[u8] = b"sixteen octets or more";

fn credentials(node_id: NodeId, secret: &[u8]) -> Arc<Credentials> {
    let secret = Secret::new(secret).expect("long enough");
    Arc::new(Credentials::from_secret(node_id, secret).expect("certificates"))
}

fn local(node_id: NodeId) -> Local {
    let credentials = credentials(node_id, SECRET);
    Local {
        node_id,
        store_id: node_id * 100,
        cluster_id: 7,
        configuration: node_id as u32,
        members: vec![1, 2, 3],
        credentials,
    }
}

type Shaken = Result<Authenticated, String>;

fn outcome(shaken: Result<(Channel<DuplexStream>, Authenticated), (Refusal, Option<NodeId>)>) -> Shaken {
    shaken.map(|(_, authenticated)| authenticated).map_err(|(refusal, _)| refusal.to_string())
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(test)
}

fn shake_hands(
    dialer: &Local,
    target: Side,
    listener: &Local,
    known: impl Fn(NodeId) -> Option<u64>,
) -> (Shaken, Shaken) {
    run(async {
        let (near, far) = tokio::io::duplex(64);
        let dialing = async { outcome(shake(near, dialer, target, &|_| None).await) };
        let listening = async { outcome(shake(far, listener, Side::Listener, &known).await) };
        tokio::join!(dialing, listening)
    })
}

const TO_1: Side = Side::Dialer(1, Role::Session);

#[test]
fn members_recognise_each_other() {
    let (near, far) = shake_hands(&local(2), TO_1, &local(1), |_| Some(200));
    let role = Role::Session;
    assert_eq!(near, Ok(Authenticated { peer: 1, store_id: 100, configuration: 1, role }));
    assert_eq!(far, Ok(Authenticated { peer: 2, store_id: 200, configuration: 2, role }));
}

#[test]
fn only_a_session_has_to_be_dialled_from_the_higher_node_id() {
    let (near, far) = shake_hands(&local(1), Side::Dialer(2, Role::CatchUp), &local(2), |_| None);
    assert_eq!(near.expect("admitted").role, Role::CatchUp);
    assert_eq!(far.expect("admitted").role, Role::CatchUp);
    let (near, far) = shake_hands(&local(1), Side::Dialer(2, Role::Session), &local(2), |_| None);
    assert!(near.is_err() && far.expect_err("misdirected").contains("belongs to another member"));
}

#[test]
fn everybody_else_is_refused_and_both_ends_can_say_why() {
    let other_secret = Local { credentials: credentials(2, &[7; 16]), ..local(2) };
    let nobody = Local { node_id: 9, credentials: credentials(9, SECRET), ..local(2) };
    let stranger = Local { configuration: 1, ..nobody.clone() };
    let removed = Local { configuration: 0, ..nobody };
    let other_cluster = Local { cluster_id: 8, ..local(2) };
    let other_certificate = Local { credentials: credentials(3, SECRET), ..local(2) };
    let to_2 = Side::Dialer(2, Role::Session);
    type Case<'a> = (&'a Local, Side, Option<u64>, &'a str, &'a str);
    let cases: [Case<'_>; 8] = [
        (
            &other_secret,
            TO_1,
            None,
            "another cluster secret",
            "refuses this node: the cluster secrets differ",
        ),
        (&stranger, TO_1, None, "refuses this node: the node-id is not a member", "is not a member"),
        (&removed, TO_1, None, "this node has been removed from the cluster", "is not a member"),
        (&other_cluster, TO_1, None, "list different members", "list different members"),
        (&local(1), TO_1, None, "both have the same node-id", "both have the same node-id"),
        (&local(3), to_2, None, "belongs to another member", "it refuses this node's certificate"),
        (
            &local(2),
            TO_1,
            Some(201),
            "it refuses this node: the directory of this known",
            "was wiped or replaced",
        ),
        (
            &other_certificate,
            TO_1,
            None,
            "refuses this node: the certificate is not for",
            "the certificate is not for",
        ),
    ];
    for (dialer, target, known, near_says, far_says) in cases {
        let (near, far) = shake_hands(dialer, target, &local(1), |_| known);
        let (near, far) = (near.expect_err(near_says), far.expect_err(far_says));
        assert!(near.contains(near_says), "{near_says:?}: {near}");
        assert!(far.contains(far_says), "{far_says:?}: {far}");
    }
}

#[test]
fn a_node_of_a_newer_configuration_is_let_in_although_it_is_not_known() {
    let newer = Local { node_id: 9, credentials: credentials(9, SECRET), configuration: 2, ..local(2) };
    let (near, far) = shake_hands(&newer, TO_1, &local(1), |_| None);
    assert_eq!((near.map(|ours| ours.peer), far.map(|theirs| theirs.peer)), (Ok(1), Ok(9)));
}

#[test]
fn a_listener_with_the_certificate_of_another_node_is_refused() {
    let impostor = Local { credentials: credentials(3, SECRET), ..local(1) };
    let (near, far) = shake_hands(&local(2), TO_1, &impostor, |_| None);
    assert!(near.expect_err("an impostor").contains("belongs to another member"));
    assert!(far.expect_err("an impostor").contains("refuses this node's certificate"));
}

/// What a listener says to a client that sends `octets` and listens.
fn told(octets: &[u8]) -> String {
    run(async {
        let (mut near, far) = tokio::io::duplex(4096);
        near.write_all(octets).await.expect("room");
        near.shutdown().await.expect("shutdown");
        outcome(shake(far, &local(1), Side::Listener, &|_| None).await).expect_err("refused")
    })
}

#[test]
fn what_is_not_tls_is_refused_at_its_first_octets() {
    // Version 1 of the protocol between nodes had no TLS.
    let version_1 = [&b"TRIMARAN\x00\x01"[..], &[0; 80]].concat();
    for (octets, said) in [
        (&version_1[..], "does not speak the protocol"),
        (b"GET / HTTP/1.1\r\n\r\n", "does not speak the protocol"),
        (&[0; 64], "does not speak the protocol"),
        (&[0xff; 64], "does not speak the protocol"),
        // A record longer than TLS has.
        (&[0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 0], "does not speak the protocol"),
        (&[0x16, 3, 1, 0, 9, 1], "connection failed"),
        (b"", "connection failed"),
    ] {
        let error = told(octets);
        assert!(error.contains(said), "{said}: {error}");
    }
}

/// Connects to a listener with TLS as `config` has it, and says what both make of it.
async fn connect_with(config: rustls::ClientConfig, first: &[u8]) -> (io::Result<Vec<u8>>, Shaken) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let dialing = async {
        let connector = TlsConnector::from(Arc::new(config));
        let mut tls = connector.connect(server_name(1), near).await?;
        tls.write_all(first).await?;
        let mut answer = vec![0; HELLO_BYTES];
        tls.read_exact(&mut answer).await?;
        Ok(answer)
    };
    let member = local(1);
    let listening = async { outcome(shake(far, &member, Side::Listener, &|_| None).await) };
    tokio::join!(dialing, listening)
}

fn client() -> rustls::ClientConfig {
    rustls::ClientConfig::clone(&credentials(2, SECRET).settings().client)
}

#[test]
fn downgrades_are_refused() {
    let ring = || Arc::new(rustls::crypto::ring::default_provider());
    let old = {
        let builder = rustls::ClientConfig::builder_with_provider(ring())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("TLS 1.2 is there");
        let roots = rustls::RootCertStore::empty();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        config
    };
    let (near, far) = run(connect_with(old, b""));
    assert!(near.is_err());
    assert_eq!(far, Err("it does not speak TLS 1.3 as nodes do".to_owned()));

    let mut other_protocol = client();
    other_protocol.alpn_protocols = vec![b"trimaran-9".to_vec()];
    let mut no_protocol = client();
    no_protocol.alpn_protocols.clear();
    for config in [other_protocol, no_protocol] {
        let (near, far) = run(connect_with(config, b""));
        assert!(near.is_err());
        assert_eq!(far, Err("it does not speak the protocol between nodes".to_owned()));
    }

    for (version, said) in [(1, "it speaks version 1"), (9, "it speaks version 9")] {
        let hello = [&MAGIC[..], &u16::to_be_bytes(version), &[0; 80]].concat();
        let (near, far) = run(connect_with(client(), &hello));
        assert_eq!(near.expect("the hello of this node")[MAGIC.len()..][..2], PROTOCOL_VERSION.to_be_bytes());
        assert!(far.expect_err(said).contains(said));
    }
}

#[test]
fn nobody_is_let_in_without_a_certificate() {
    #[derive(Debug)]
    struct Nothing;
    impl rustls::client::ResolvesClientCert for Nothing {
        fn resolve(
            &self,
            _: &[&[u8]],
            _: &[rustls::SignatureScheme],
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            None
        }
        fn has_certs(&self) -> bool {
            false
        }
    }
    let mut config = client();
    config.client_auth_cert_resolver = Arc::new(Nothing);
    let (near, far) = run(connect_with(config, b""));
    assert!(near.is_err());
    assert_eq!(far, Err("it shows no certificate".to_owned()));
}

#[test]
fn a_hello_is_good_for_its_own_connection_only() {
    // Right in every field, and proved, but over another connection's exporter.
    let member = local(2);
    let replayed = Hello::of(&member, Role::Session).encode(SECRET, b"trimaran dialer", &[9; 32]);
    let (_, far) = run(connect_with(client(), &[&replayed[..], &[Verdict::Welcome as u8]].concat()));
    assert_eq!(far, Err("it has another cluster secret".to_owned()));
}
