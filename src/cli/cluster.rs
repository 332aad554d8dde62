//! `trimaran cluster`: what an operator asks of a running node, and how a cluster begins.
//!
//! ```text
//! status | token | replace | remove ──► control socket of a running node
//! init ──► an empty directory              join ──token──► a member ──► an empty directory ──► the server
//! ```
//!
//! Exit codes: 0 done, 1 refused or failed, 2 the node could not be asked.

use crate::clock;
use crate::config;
use crate::control::socket::{ClusterView, NodeView, Request, Response, SOCKET_FILE};
use crate::daemon::joined::Membership;
use crate::replication::NodeId;
use crate::replication::configuration::{Configuration, Installed};
use crate::replication::join;
use crate::store::log::{Founding, LogStore};
use clap::{Args, Subcommand};
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than any request takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most octets of an answer.
const RESPONSE_BYTES_MAX: u64 = 1 << 20;
const SECRET_BYTES: usize = 32;
/// Holds the store id of a directory that is to join.
const JOINING_FILE: &str = "cluster.joining";
const DONE: i32 = 0;
const REFUSED: i32 = 1;
const UNREACHABLE: i32 = 2;

/// Shows and changes who takes part in a cluster
#[derive(Args, Debug)]
pub struct Cluster {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Shows the members as a running node sees them
    Status {
        #[command(flatten)]
        node: Where,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Prints a token: whoever has it can join the cluster, once
    #[command(visible_alias = "add")]
    Token {
        /// How long it is good for, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        lifetime: u64,
        #[command(flatten)]
        node: Where,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Prints a token: whoever joins with it takes the place of a member, which is removed when the new one has caught up
    Replace {
        /// The node id of the member, whether it runs or not
        #[arg(value_name = "NODE")]
        target: NodeId,
        /// How long it is good for, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        lifetime: u64,
        #[command(flatten)]
        node: Where,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Joins a cluster with a token, and runs the server in the foreground from there on
    Join {
        /// What 'trimaran cluster token' printed on a member
        #[arg(long)]
        token: String,
        /// Where this node is to listen for the others: an address that they can reach, and a port
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: SocketAddr,
        /// The configuration of this node, without a cluster statement
        #[arg(short = 'c', long = "conf", value_name = "FILE", default_value = "/etc/bind/named.conf")]
        configuration: PathBuf,
    },
    /// Takes a node out of the cluster; the leader hands over first
    Remove {
        /// Its node id
        #[arg(value_name = "NODE")]
        target: NodeId,
        #[command(flatten)]
        node: Where,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Makes an empty directory the first member of a new cluster
    Init {
        /// Where it is to listen for the others: an address that they can reach, and a port
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: SocketAddr,
        #[command(flatten)]
        node: Where,
    },
}

/// Which node.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct Where {
    /// The configuration of the node, for its directory
    #[arg(short = 'c', long = "conf", value_name = "FILE", default_value = "/etc/bind/named.conf")]
    configuration: PathBuf,
    /// The directory of the node
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Why a command has not done what it was asked to.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Configuration(String),
    #[error("no node runs in {}: {source}", path.display())]
    Unreachable { path: PathBuf, source: io::Error },
    #[error("the node gave no answer that can be read: {0}")]
    Answer(String),
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    fn code(&self) -> i32 {
        match self {
            Failure::Unreachable { .. } | Failure::Answer(_) => UNREACHABLE,
            Failure::Configuration(_) | Failure::Refused(_) => REFUSED,
        }
    }
}

/// Runs the command; the exit code.
pub fn cluster(arguments: &Cluster) -> i32 {
    let done = match &arguments.command {
        Command::Status { node, json } => ask(node, &Request::Status).and_then(|answer| show(&answer, *json)),
        Command::Remove { target, node, json } => {
            ask(node, &Request::Remove { node: *target }).and_then(|answer| show(&answer, *json))
        }
        Command::Token { lifetime, node, json } => {
            let request = Request::Token { lifetime_secs: *lifetime, replaces: None };
            ask(node, &request).and_then(|answer| show(&answer, *json))
        }
        Command::Replace { target, lifetime, node, json } => {
            let request = Request::Token { lifetime_secs: *lifetime, replaces: Some(*target) };
            ask(node, &request).and_then(|answer| show(&answer, *json))
        }
        Command::Init { listen, node } => init(node, *listen),
        Command::Join { token, listen, configuration } => match join(configuration, token, *listen) {
            Ok(()) => {
                let options = ["-f".into(), "-c".into(), configuration.clone().into_os_string()];
                return super::named::named("trimaran cluster join", &options);
            }
            Err(failure) => Err(failure),
        },
    };
    match done {
        Ok(text) => {
            // Nobody reads it any more: there is nobody to tell.
            let _ = io::stdout().write_all(text.as_bytes());
            DONE
        }
        Err(failure) => {
            eprintln!("trimaran cluster: {failure}");
            failure.code()
        }
    }
}

impl Where {
    fn directory(&self) -> Result<PathBuf, Failure> {
        if let Some(directory) = &self.directory {
            return Ok(directory.clone());
        }
        let failed = |errors: Vec<_>| {
            let errors: Vec<String> =
                errors.iter().map(|error: &config::Diagnostic| error.to_string()).collect();
            Failure::Configuration(errors.join("\n"))
        };
        let (config, _) = config::load_with_port(&self.configuration, None).map_err(failed)?;
        Ok(config.options.directory.unwrap_or_else(|| PathBuf::from(".")))
    }
}

fn ask(node: &Where, request: &Request) -> Result<Response, Failure> {
    let path = node.directory()?.join(SOCKET_FILE);
    let mut socket = UnixStream::connect(&path)
        .map_err(|source| Failure::Unreachable { path: path.parent().unwrap_or(&path).into(), source })?;
    let answer = talk(&mut socket, request).map_err(|error| Failure::Answer(error.to_string()))?;
    match answer {
        Response::Error { reason } => Err(Failure::Refused(reason)),
        answer => Ok(answer),
    }
}

fn talk(socket: &mut UnixStream, request: &Request) -> io::Result<Response> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_string(request)?;
    line.push('\n');
    socket.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(io::Read::take(socket, RESPONSE_BYTES_MAX)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

fn show(answer: &Response, json: bool) -> Result<String, Failure> {
    if json {
        let text =
            serde_json::to_string_pretty(answer).map_err(|error| Failure::Answer(error.to_string()))?;
        return Ok(text + "\n");
    }
    Ok(match answer {
        Response::Status(view) => status(view),
        Response::Done { configuration } => format!("done; configuration {configuration}\n"),
        Response::Token { token } => format!("{token}\n"),
        Response::Error { reason } => return Err(Failure::Refused(reason.clone())),
    })
}

fn status(view: &ClusterView) -> String {
    let mut text = String::new();
    let leader = view.leader.map_or("none known".to_owned(), |leader| format!("node {leader}"));
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "cluster {}, configuration {}{}; asked node {} ({}{}), leader: {leader}",
        view.cluster_id,
        view.configuration,
        if view.settled { "" } else { " (not yet on the disks of a majority)" },
        view.node,
        view.role,
        if view.ready { "" } else { ", not ready" },
    );
    let _ = writeln!(text, "{:>6}  {:<24} {:<8} {:>12}  session", "node", "address", "role", "applied");
    view.nodes.iter().for_each(|node| row(&mut text, view, node));
    text
}

fn row(text: &mut String, view: &ClusterView, node: &NodeView) {
    let role = match (node.votes, view.leader == Some(node.id)) {
        (false, _) => "learner",
        (true, true) => "leader",
        (true, false) => "member",
    };
    let applied = node.applied_index.map_or("-".to_owned(), |index| index.to_string());
    let session = match (node.connected, &node.trouble) {
        (true, _) => "up".to_owned(),
        (false, Some(trouble)) => format!("down: {trouble}"),
        (false, None) => "down".to_owned(),
    };
    let replaces = node.replaces.map_or(String::new(), |id| format!(", replaces node {id}"));
    let _ =
        writeln!(text, "{:>6}  {:<24} {role:<8} {applied:>12}  {session}{replaces}", node.id, node.address);
}

/// The directory of the first member: its secret, and a log that nothing was written to.
fn init(node: &Where, listen: SocketAddr) -> Result<String, Failure> {
    let directory = node.directory()?;
    if listen.ip().is_unspecified() || listen.port() == 0 {
        return Err(Failure::Refused(format!("{listen}: other nodes cannot connect to this address")));
    }
    if directory.join("log.sqlite").exists() {
        return Err(Failure::Refused(format!("{} holds a node already", directory.display())));
    }
    let mut secret = vec![0; SECRET_BYTES];
    clock::random_bytes(&mut secret);
    let configuration =
        Configuration { cluster_id: clock::random_u64(), ..Configuration::first([(1, listen)]) };
    found(&directory, 1, None, &configuration).map_err(|error| Failure::Refused(error.to_string()))?;
    let membership = Membership { node_id: 1, listen, secret: Some(secret) };
    let unwritable = |error| Failure::Refused(format!("{}: {error}", directory.display()));
    membership.write(&directory).map_err(unwritable)?;
    Ok(format!(
        "{} is the first member of cluster {:016x}; start it with 'trimaran named'\n",
        directory.display(),
        configuration.cluster_id
    ))
}

/// Joins, unless this directory has joined before. The store id is written down first: asked again with the same one, the
/// cluster gives the same answer.
fn join(configuration: &Path, token: &str, listen: SocketAddr) -> Result<(), Failure> {
    let node = Where { configuration: configuration.to_path_buf(), directory: None };
    let directory = node.directory()?;
    let refused = |error: &dyn std::fmt::Display| Failure::Refused(error.to_string());
    if Membership::read(&directory).map_err(|error| refused(&error))?.is_some() {
        return Ok(());
    }
    let token =
        join::Token::parse(token).ok_or_else(|| refused(&"a part of the token is missing or changed"))?;
    if listen.ip().is_unspecified() || listen.port() == 0 {
        return Err(Failure::Refused(format!("{listen}: other nodes cannot connect to this address")));
    }
    let joining = directory.join(JOINING_FILE);
    if directory.join("log.sqlite").exists() && !joining.exists() {
        return Err(Failure::Refused(format!("{} holds a node already", directory.display())));
    }
    let store_id = store_id(&joining).map_err(|error| refused(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.map_err(|error| refused(&error))?.block_on(join::join(&token, listen, store_id));
    let joined = asked.map_err(|error| refused(&error))?;
    let node_id = u32::try_from(joined.node_id).map_err(|error| refused(&error))?;
    found(&directory, joined.node_id, Some(store_id), &joined.configuration)
        .map_err(|error| refused(&error))?;
    let secret = joined.secret.map(|secret| secret.octets().to_vec());
    Membership { node_id, listen, secret }.write(&directory).map_err(|error| refused(&error))?;
    // It is of no use any more, and of no harm.
    let _ = std::fs::remove_file(joining);
    Ok(())
}

/// The store id of a directory that is to join, the same at each attempt.
fn store_id(joining: &Path) -> io::Result<u64> {
    match std::fs::read_to_string(joining) {
        Ok(text) => text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let store_id = clock::random_u64();
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(joining)?;
            writeln!(file, "{store_id}")?;
            file.sync_all()?;
            Ok(store_id)
        }
        Err(error) => Err(error),
    }
}

/// Makes the log of a new node.
fn found(
    directory: &Path,
    node_id: NodeId,
    store_id: Option<u64>,
    configuration: &Configuration,
) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (members, encoded) = (configuration.voter_ids(), Installed::from(configuration.clone()).encode());
    let founding = Founding { node_id, store_id, members: &members, configuration: &encoded };
    runtime.block_on(async {
        let (log, ..) = LogStore::open(directory, Some(founding)).await?;
        Ok(log.close().await?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(directory: &Path) -> Where {
        Where { configuration: "named.conf".into(), directory: Some(directory.into()) }
    }

    #[test]
    fn a_cluster_begins_in_an_empty_directory_once() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let listen = "127.0.0.1:7101".parse().expect("an address");
        let refused = init(&at(directory.path()), "0.0.0.0:7101".parse().expect("an address"));
        assert!(refused.expect_err("nobody can connect").to_string().contains("cannot connect"));
        let said = init(&at(directory.path()), listen).expect("an empty directory");
        assert!(said.contains("is the first member of cluster"), "{said}");
        let membership = Membership::read(directory.path()).expect("readable").expect("written");
        assert_eq!((membership.node_id, membership.listen), (1, listen));
        let again = init(&at(directory.path()), listen).expect_err("it holds a node");
        assert_eq!((again.code(), again.to_string().contains("holds a node already")), (REFUSED, true));
    }

    #[test]
    fn a_directory_in_which_nothing_runs_cannot_be_asked() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let failure = ask(&at(directory.path()), &Request::Status).expect_err("nobody there");
        assert_eq!(failure.code(), UNREACHABLE);
        assert!(failure.to_string().starts_with("no node runs in "), "{failure}");
    }

    #[test]
    fn the_status_is_a_table() {
        let node = |id, votes, connected, trouble: Option<&str>| NodeView {
            id,
            address: format!("127.0.0.1:710{id}"),
            votes,
            replaces: (!votes).then_some(2),
            connected,
            applied_index: connected.then_some(12),
            trouble: trouble.map(str::to_owned),
        };
        let view = ClusterView {
            node: 1,
            role: "leader".into(),
            ready: true,
            leader: Some(1),
            cluster_id: "00ff".into(),
            configuration: 2,
            decided_index: 12,
            settled: true,
            nodes: vec![
                node(1, true, true, None),
                node(2, true, false, Some("gone")),
                node(4, false, true, None),
            ],
        };
        let expected = "\
cluster 00ff, configuration 2; asked node 1 (leader), leader: node 1
  node  address                  role          applied  session
     1  127.0.0.1:7101           leader             12  up
     2  127.0.0.1:7102           member              -  down: gone
     4  127.0.0.1:7104           learner            12  up, replaces node 2
";
        assert_eq!(status(&view), expected);
    }
}
