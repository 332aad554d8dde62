//! What a directory itself says of its node's place in a cluster: written by `trimaran cluster init` and `join`, so that
//! named.conf need not.
//!
//! ```text
//! cluster.key: node-id 4            named.conf without a cluster statement ─► the same as one with this node
//!              listen 192.0.2.4:7104
//!              secret <base64>
//! ```
//!
//! The file holds the secret, so nobody but its owner may read it. Who else takes part is in `log.sqlite`.

use crate::config::{ClusterConfig, Config, Member, Position};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Name of the file within the directory.
const KEY_FILE: &str = "cluster.key";
/// More than it ever is.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// What the file says.
#[derive(Clone, PartialEq, Eq)]
pub struct Membership {
    /// The node.
    pub node_id: u32,
    /// Where it listens for the others.
    pub listen: SocketAddr,
    /// The cluster's secret; none if certificates are given in named.conf.
    pub secret: Option<Vec<u8>>,
}

impl std::fmt::Debug for Membership {
    /// The secret stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = ("node_id", &self.node_id, "listen", &self.listen);
        f.debug_struct("Membership")
            .field(fields.0, fields.1)
            .field(fields.2, fields.3)
            .finish_non_exhaustive()
    }
}

impl Membership {
    fn to_text(&self) -> String {
        let mut text = format!("node-id {}\nlisten {}\n", self.node_id, self.listen);
        if let Some(secret) = &self.secret {
            text.push_str(&format!("secret {}\n", data_encoding::BASE64.encode(secret)));
        }
        text
    }

    fn parse(text: &str) -> Option<Membership> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let secret = match value("secret") {
            Some(secret) => Some(data_encoding::BASE64.decode(secret.as_bytes()).ok()?),
            None => None,
        };
        Some(Membership {
            node_id: value("node-id")?.parse().ok()?,
            listen: value("listen")?.parse().ok()?,
            secret,
        })
    }

    /// Writes the file, durably.
    ///
    /// # Errors
    /// The directory is not writable, or the node has a place already.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(directory.join(KEY_FILE))?;
        file.write_all(self.to_text().as_bytes())?;
        file.sync_all()?;
        File::open(directory)?.sync_all()
    }

    /// Reads the file; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, or makes no sense.
    pub fn read(directory: &Path) -> io::Result<Option<Membership>> {
        let path = directory.join(KEY_FILE);
        let mut text = String::new();
        match File::open(&path) {
            Ok(file) => file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display()));
        Membership::parse(&text).map(Some).ok_or_else(damaged)
    }
}

/// Completes a configuration that has no `cluster` statement by what the directory says, if it says something.
///
/// # Errors
/// As [`Membership::read`].
pub(super) fn complete(config: &mut Config, directory: &Path) -> io::Result<bool> {
    let Some(Membership { node_id, listen, secret }) = Membership::read(directory)? else { return Ok(false) };
    if config.cluster.is_none() {
        config.cluster = Some(ClusterConfig {
            node_id,
            members: vec![Member { id: node_id, address: listen.ip(), port: listen.port() }],
            secret,
            tls: None,
            lease_duration: ClusterConfig::LEASE_DURATION_DEFAULT,
            heartbeat_interval: ClusterConfig::HEARTBEAT_INTERVAL_DEFAULT,
            log_size_min: ClusterConfig::LOG_SIZE_MIN_DEFAULT,
            image_rate_max: ClusterConfig::IMAGE_RATE_MAX_DEFAULT,
            position: Position { file: directory.join(KEY_FILE).to_string_lossy().into(), line: 1 },
        });
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_never_overwritten() {
        let directory = tempfile::tempdir().expect("temporary directory");
        assert_eq!(Membership::read(directory.path()).expect("an empty directory"), None);
        let listen = "[::1]:7101".parse().expect("an address");
        let membership = Membership { node_id: 4, listen, secret: Some(b"sixteen octets..".to_vec()) };
        membership.write(directory.path()).expect("written");
        assert_eq!(Membership::read(directory.path()).expect("readable"), Some(membership.clone()));
        assert!(membership.write(directory.path()).is_err(), "there is one");
        assert!(!format!("{membership:?}").contains("115"), "{membership:?}");
        std::fs::write(directory.path().join(KEY_FILE), "node-id x\n").expect("written");
        assert!(Membership::read(directory.path()).is_err());
    }
}
