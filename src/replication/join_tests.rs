//! Nodes that join a running cluster over its port, and those that may not.

use super::{
    configuration::{self, Configuration},
    driver_tests::{Member, Node, credentials, running},
    join::{JoinError, Joined, Rejection, Token, issue_token, join},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

const SECRET: &[u8] = b"the secret of this cluster";
const HOUR: Duration = Duration::from_secs(3600);

fn listen(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn first(members: &[Member]) -> Configuration {
    Configuration::first(members.iter().map(|member| (member.id, member.address)))
}

async fn issue(through: &Node, configuration: &Configuration, lifetime: Duration) -> Token {
    let proposer = through.handle().proposer();
    let issued = issue_token(proposer, configuration, &credentials(1, SECRET), lifetime, None).await;
    issued.expect("a cluster that decides")
}

fn refused(joined: Result<Joined, JoinError>) -> Rejection {
    match joined {
        Err(JoinError::Refused(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

fn unknown_token() -> Rejection {
    Rejection::Configuration(configuration::Refusal::UnknownToken)
}

#[tokio::test]
async fn a_token_admits_one_node_and_that_one_again() {
    let (mut nodes, members) = running(&[1, 2, 3]).await;
    let token = issue(&nodes[0], &first(&members), HOUR).await;
    let joined = join(&token, listen(5301), 77).await.expect("the first");
    assert_eq!(joined.node_id, 4);
    assert_eq!(joined.secret.expect("the cluster has one").octets(), SECRET);
    assert!(joined.configuration.is_learner(4));
    assert_eq!(joined.configuration.address_of(4), Some(listen(5301)));
    assert_eq!(joined.configuration.store_of(4), Some(77));
    // The answer may have been lost.
    assert_eq!(join(&token, listen(5301), 77).await.expect("the same directory").node_id, 4);
    assert_eq!(refused(join(&token, listen(5302), 78).await), unknown_token());
    let next = issue(&nodes[1], &first(&members), HOUR).await;
    assert_eq!(join(&next, listen(5302), 78).await.expect("a token of its own").node_id, 5);
    nodes.iter_mut().for_each(Node::stop);
}

#[tokio::test]
async fn tokens_that_are_wrong_expired_or_of_another_cluster_admit_nobody() {
    let (mut nodes, members) = running(&[1, 2, 3]).await;
    let configuration = first(&members);
    let good = issue(&nodes[0], &configuration, HOUR).await;
    let elsewhere = issue(&nodes[0], &Configuration { cluster_id: 5, ..configuration.clone() }, HOUR).await;
    let wrong = good.with_other_key();
    // The last one: the next that is issued makes the cluster forget it.
    let expired = issue(&nodes[0], &configuration, Duration::ZERO).await;
    for (what, token, expected) in [
        ("expired", expired, Rejection::Configuration(configuration::Refusal::ExpiredToken)),
        ("another cluster's", elsewhere, Rejection::Token),
        ("made up", wrong, Rejection::Token),
    ] {
        assert_eq!(refused(join(&token, listen(5301), 77).await), expected, "{what}");
    }
    assert_eq!(join(&good, listen(5301), 77).await.expect("the control").node_id, 4);
    nodes.iter_mut().for_each(Node::stop);
}

#[tokio::test]
async fn of_nodes_that_join_at_once_with_one_token_one_gets_in() {
    let (mut nodes, members) = running(&[1, 2, 3]).await;
    let token = issue(&nodes[0], &first(&members), HOUR).await;
    let joining = (0..6u16).map(|number| {
        let token = token.asking_first(usize::from(number % 3));
        tokio::spawn(async move { join(&token, listen(5301 + number), 77 + u64::from(number)).await })
    });
    let joining: Vec<_> = joining.collect();
    let mut admitted = 0;
    for joined in joining {
        match joined.await.expect("no panic") {
            Ok(joined) => {
                assert_eq!(joined.node_id, 4);
                admitted += 1;
            }
            refusal => assert_eq!(refused(refusal), unknown_token()),
        }
    }
    assert_eq!(admitted, 1);
    nodes.iter_mut().for_each(Node::stop);
}

/// Passes on whatever comes, and lets `look` see what the joiner sends.
async fn relay(to: SocketAddr) -> (SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let relaying = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.expect("a joiner");
        let mut far = TcpStream::connect(to).await.expect("a member");
        let (mut from_near, mut to_near) = near.split();
        let (mut from_far, mut to_far) = far.split();
        let mut seen = Vec::new();
        let forth = async {
            let mut octets = [0; 4096];
            while let Ok(count @ 1..) = from_near.read(&mut octets).await {
                seen.extend_from_slice(&octets[..count]);
                if tokio::io::AsyncWriteExt::write_all(&mut to_far, &octets[..count]).await.is_err() {
                    break;
                }
            }
        };
        // Whoever ends first ends both.
        tokio::select! { () = forth => {}, _ = tokio::io::copy(&mut from_far, &mut to_near) => {} }
        seen
    });
    (address, relaying)
}

#[tokio::test]
async fn nobody_in_the_middle_learns_anything_or_can_use_what_was_seen() {
    let (mut nodes, members) = running(&[1, 2, 3]).await;
    let (mut others, other_members) = running(&[1, 2, 3]).await;
    let configuration = first(&members);
    let token = issue(&nodes[0], &configuration, HOUR).await;

    // A node with a certificate for node 1, but of another authority: it never gets to see a request.
    let pinned_elsewhere = token.with_other_authority().at(1, other_members[0].address);
    let error = join(&pinned_elsewhere, listen(5301), 77).await.expect_err("another authority").to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    // The right authority, but the certificate of another node.
    let misdirected = token.at(2, members[0].address);
    let error = join(&misdirected, listen(5301), 77).await.expect_err("another node").to_string();
    assert!(error.contains("not valid for name"), "{error}");

    // What a joiner sent, sent again.
    let (address, relaying) = relay(members[0].address).await;
    assert_eq!(join(&token.at(1, address), listen(5301), 77).await.expect("the control").node_id, 4);
    let seen = relaying.await.expect("no panic");
    assert!(!seen.windows(8).any(|octets| octets == 77u64.to_be_bytes()), "it is encrypted");
    let mut replay = TcpStream::connect(members[0].address).await.expect("listening");
    tokio::io::AsyncWriteExt::write_all(&mut replay, &seen).await.expect("taken by the kernel");
    nodes[0].wait_for("the refusal", |status| status.stranger.is_some()).await;
    nodes.iter_mut().chain(&mut others).for_each(Node::stop);
}

#[test]
fn a_token_is_one_word_that_shows_when_it_was_damaged() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let (mut nodes, members) = running(&[1, 2, 3]).await;
        let token = issue(&nodes[0], &first(&members), HOUR).await;
        nodes.iter_mut().for_each(Node::stop);
        let text = token.to_text();
        assert!(!text.contains(char::is_whitespace));
        assert_eq!(Token::parse(&format!(" {text}\n")), Some(token.clone()));
        for cut in 0..text.len() {
            assert_eq!(Token::parse(&text[..cut]), None, "{cut} characters");
            let replacement = if text.as_bytes()[cut] == b'A' { "B" } else { "A" };
            let changed = format!("{}{replacement}{}", &text[..cut], &text[cut + 1..]);
            assert_ne!(Token::parse(&changed), Some(token.clone()), "character {cut}");
        }
        let shown = format!("{token:?}");
        assert!(shown.starts_with("Token { members: [(1, "), "{shown}");
        assert!(shown.ends_with(".. }") && !shown.contains("key"), "{shown}");
    });
}
