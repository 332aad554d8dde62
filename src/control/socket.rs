//! The control socket: what an operator asks of a running node, and is told.
//!
//! ```text
//! trimaran cluster ... ──one line of JSON──► <directory>/trimaran.sock ──► Operator ──► proposer, driver
//!                      ◄─one line of JSON──
//! ```
//!
//! Who may open the socket may do everything: it belongs to the server's user, and nobody else can read or write it.
//!
//! Invariants: a request is one line of bounded length, and gets one line; a client that says nothing is dropped; a
//! change is asked of the log only when the one before it has reached the zone stores of a majority.
//!
//! Not here: what a change does (`replication::configuration`), the command line (`cli::cluster`).

use crate::replication::{
    NodeId,
    command::{Command, Outcome},
    configuration::Change,
    proposer::Proposer,
    replica::Role,
    status::Status,
};
use serde::{Deserialize, Serialize};
use std::{
    future::Future,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
    time::timeout,
};

/// Name of the socket within the directory.
pub const SOCKET_FILE: &str = "trimaran.sock";
/// Most octets of a request.
const REQUEST_BYTES_MAX: u64 = 4096;
/// Most clients at once; the others wait.
const CLIENTS_MAX: usize = 8;
/// Time for saying what is wanted.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// How long a change may take: the change before it has to be on the disks of a majority.
const CHANGE_TIME: Duration = Duration::from_secs(30);
/// How long the leader is given to hand over.
const HAND_OVER_TIME: Duration = Duration::from_secs(2);

/// What an operator asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Request {
    /// What the node knows of its cluster.
    Status,
    /// A node leaves.
    Remove {
        /// Which.
        node: NodeId,
    },
    /// A right to join.
    Token {
        /// How long it is good for.
        lifetime_secs: u64,
        /// The member whose place the joiner takes.
        replaces: Option<NodeId>,
    },
}

/// What the operator is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(ClusterView),
    /// It is done; the id of the configuration since then.
    Done {
        /// Its id.
        configuration: u32,
    },
    /// To [`Request::Token`].
    Token {
        /// For the joiner.
        token: String,
    },
    /// It is not done, or nobody knows.
    Error {
        /// Why.
        reason: String,
    },
}

/// A cluster as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterView {
    /// The node that was asked.
    pub node: NodeId,
    /// Its role.
    pub role: String,
    /// Whether it can have updates decided.
    pub ready: bool,
    /// Who leads.
    pub leader: Option<NodeId>,
    /// Tells clusters apart.
    pub cluster_id: String,
    /// Counts the sets of voters.
    pub configuration: u32,
    /// Index behind the last decided entry.
    pub decided_index: u64,
    /// Whether another change may follow.
    pub settled: bool,
    /// Voters, then learners.
    pub nodes: Vec<NodeView>,
}

/// A node of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its node id.
    pub id: NodeId,
    /// Where it listens for the others.
    pub address: String,
    /// Whether it votes.
    pub votes: bool,
    /// The member whose place it takes.
    pub replaces: Option<NodeId>,
    /// Whether the node that was asked has a session with it.
    pub connected: bool,
    /// How far it was when it last said so.
    pub applied_index: Option<u64>,
    /// Why there is no session.
    pub trouble: Option<String>,
}

/// The future of [`Issue`].
pub type Issuing = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;
/// Makes a token: for whose place, and for how long.
pub type Issue = Arc<dyn Fn(Option<NodeId>, Duration) -> Issuing + Send + Sync>;

/// Carries out what is asked.
#[derive(Clone)]
pub struct Operator {
    /// What the driver knows.
    pub status: watch::Receiver<Status>,
    /// The way into the log.
    pub proposer: Proposer,
    /// Set to have the leader hand over.
    pub hand_over: Arc<AtomicBool>,
    /// `None` on a node without a cluster port.
    pub issue: Option<Issue>,
}

impl Operator {
    /// One request, carried out.
    pub async fn answer(&self, request: Request) -> Response {
        let done = match request {
            Request::Status => return Response::Status(view(&self.status.borrow())),
            Request::Remove { node } => {
                timeout(CHANGE_TIME, self.remove(node)).await.unwrap_or_else(|_| Err(self.late()))
            }
            Request::Token { lifetime_secs, replaces } => {
                self.token(Duration::from_secs(lifetime_secs), replaces).await
            }
        };
        done.unwrap_or_else(|reason| Response::Error { reason })
    }

    async fn token(&self, lifetime: Duration, replaces: Option<NodeId>) -> Result<Response, String> {
        let issue =
            self.issue.as_ref().ok_or("this node has no cluster port: give it a cluster statement")?;
        Ok(Response::Token { token: issue(replaces, lifetime).await? })
    }

    async fn remove(&self, node: NodeId) -> Result<Response, String> {
        if self.status.borrow().leader == Some(node) && self.status.borrow().configuration.members.len() > 1 {
            self.let_another_lead(node).await;
        }
        self.change(Change::Remove { node }).await
    }

    /// Best effort: a leader that does not hand over is removed all the same, and the others elect.
    async fn let_another_lead(&self, node: NodeId) {
        self.hand_over.store(true, Ordering::Relaxed);
        let mut status = self.status.clone();
        let another = |status: &Status| status.leader.is_some_and(|leader| leader != node);
        if !matches!(timeout(HAND_OVER_TIME, status.wait_for(another)).await, Ok(Ok(_))) {
            tracing::warn!("the leader, node {node}, has not handed over");
        }
    }

    /// Has the log carry a change, as soon as the one before it is where it must be.
    pub async fn change(&self, change: Change) -> Result<Response, String> {
        let mut status = self.status.clone();
        loop {
            let configuration = {
                let settled = status.wait_for(|status| status.ready && status.settled).await;
                settled.map_err(|_| "the node is stopping".to_owned())?.configuration.id
            };
            let proposed = Command::Reconfigure { configuration, change: change.clone() };
            match self.proposer.call(proposed).await {
                Outcome::Configured(_) => {
                    // The status follows with the next tick.
                    let seen = status.wait_for(|status| is_done(&change, status)).await;
                    return Ok(Response::Done {
                        configuration: seen.map_or(configuration, |seen| seen.configuration.id),
                    });
                }
                Outcome::Refused(refusal) => return Err(refusal.to_string()),
                // It may have been decided all the same: a second one is refused then.
                _ if is_done(&change, &self.status.borrow()) => {
                    return Ok(Response::Done { configuration: status.borrow().configuration.id });
                }
                _ => {}
            }
        }
    }

    fn late(&self) -> String {
        let status = self.status.borrow();
        match (status.ready, status.settled) {
            (false, _) => "the cluster has no leader: a majority of its members has to be up".into(),
            (true, false) => "the change before this one has not reached the disks of a majority yet".into(),
            (true, true) => {
                "the cluster did not decide in time: ask for its status before trying again".into()
            }
        }
    }
}

/// Whether the configuration is as `change` wants it.
fn is_done(change: &Change, status: &Status) -> bool {
    let configuration = &status.configuration;
    match change {
        Change::Remove { node } => configuration.nodes().all(|(id, ..)| id != *node),
        Change::Promote { node } => configuration.is_voter(*node),
        Change::AddLearner { store_id, .. } => configuration.nodes().any(|(.., id)| id == Some(*store_id)),
    }
}

fn view(status: &Status) -> ClusterView {
    let configuration = &status.configuration;
    let replaces = |id| configuration.learners.iter().find(|learner| learner.id == id)?.replaces;
    ClusterView {
        node: status.node_id,
        role: role_name(status.role).into(),
        ready: status.ready,
        leader: status.leader,
        cluster_id: format!("{:016x}", configuration.cluster_id),
        configuration: configuration.id,
        decided_index: status.decided_index,
        settled: status.settled,
        nodes: status
            .members
            .iter()
            .map(|member| NodeView {
                id: member.id,
                address: member.address.to_string(),
                votes: member.votes,
                replaces: replaces(member.id),
                connected: member.connected,
                applied_index: member.applied_index,
                trouble: member.trouble.clone(),
            })
            .collect(),
    }
}

/// A role, for people and programs.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Removed => "removed",
    }
}

/// Makes the socket in `directory`, for this process's user only. Who holds the directory may take the place of a socket
/// that a process left behind.
///
/// # Errors
/// The directory is not writable, or its path is too long for a socket.
pub fn bind(directory: &Path) -> io::Result<(std::os::unix::net::UnixListener, PathBuf)> {
    let path = directory.join(SOCKET_FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok((listener, path))
}

/// Answers clients until `stopped` resolves.
pub async fn serve(listener: UnixListener, operator: Operator, stopped: impl Future<Output = ()>) {
    let permits = Arc::new(Semaphore::new(CLIENTS_MAX));
    let accept = async {
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((client, _)) => {
                    let operator = operator.clone();
                    tokio::spawn(async move {
                        if let Err(error) = attend(client, &operator).await {
                            tracing::debug!("control socket: {error}");
                        }
                        drop(permit);
                    });
                }
                // Out of file descriptors: it may have some again in a moment.
                Err(error) => {
                    tracing::warn!("control socket: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    };
    tokio::select! { () = accept => {}, () = stopped => {} }
}

async fn attend(mut client: UnixStream, operator: &Operator) -> io::Result<()> {
    let (read, mut write) = client.split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(REQUEST_BYTES_MAX));
    timeout(REQUEST_TIME, reader.read_line(&mut line)).await.map_err(io::Error::other)??;
    let response = match serde_json::from_str(&line) {
        Ok(request) => operator.answer(request).await,
        Err(error) => Response::Error { reason: format!("not a request: {error}") },
    };
    let mut octets = serde_json::to_vec(&response).map_err(io::Error::other)?;
    octets.push(b'\n');
    write.write_all(&octets).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_responses_survive_their_encoding() {
        let requests = [
            (Request::Status, r#"{"command":"status"}"#),
            (Request::Remove { node: 3 }, r#"{"command":"remove","node":3}"#),
            (
                Request::Token { lifetime_secs: 60, replaces: None },
                r#"{"command":"token","lifetime_secs":60,"replaces":null}"#,
            ),
        ];
        for (request, text) in requests {
            assert_eq!(serde_json::to_string(&request).expect("encodes"), text);
            assert_eq!(serde_json::from_str::<Request>(text).expect("decodes"), request);
        }
        let response = Response::Error { reason: "no".into() };
        let text = serde_json::to_string(&response).expect("encodes");
        assert_eq!(serde_json::from_str::<Response>(&text).expect("decodes"), response);
    }

    #[test]
    fn a_socket_that_was_left_behind_is_replaced_and_nobody_else_may_use_it() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (first, path) = bind(directory.path()).expect("a new socket");
        drop(first);
        let (_second, again) = bind(directory.path()).expect("in its place");
        assert_eq!(path, again);
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
