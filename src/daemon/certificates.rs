//! Certificates of the cluster port: made from the secret or read from files, which are read again once in a while.
//!
//! Not here: what is done with them (`replication::credentials`), certificates of DNS over TLS (`server::tls`).

use super::StartError;
use crate::config::{ClusterConfig, Config};
use crate::replication::credentials::{Credentials, Files, Secret};
use std::sync::Arc;
use std::time::Duration;

/// How often given certificates are read again: much less than any certificate is valid for.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(3600);

/// What this node shows the others.
pub(super) fn credentials(config: &Config, cluster: &ClusterConfig) -> Result<Arc<Credentials>, StartError> {
    let node_id = u64::from(cluster.node_id);
    let secret = match &cluster.secret {
        Some(octets) => Some(Secret::new(octets).ok_or(StartError::Secret)?),
        None => None,
    };
    let (credentials, position) = match (&cluster.tls, secret) {
        (Some(tls), secret) => {
            let files = Files {
                certificate: config.path(&tls.certificate),
                key: config.path(&tls.key),
                authority: config.path(&tls.authority),
            };
            (Credentials::from_files(node_id, files, secret), &tls.position)
        }
        (None, Some(secret)) => (Credentials::from_secret(node_id, secret), &cluster.position),
        (None, None) => return Err(StartError::Secret),
    };
    let failed = |source| StartError::Credentials { position: position.clone(), source };
    credentials.map(Arc::new).map_err(failed)
}

/// Has new connections begin with what the files hold by then.
pub(super) async fn renew(credentials: Arc<Credentials>) {
    loop {
        tokio::time::sleep(RENEWAL_INTERVAL).await;
        let renewed = Arc::clone(&credentials);
        match tokio::task::spawn_blocking(move || renewed.renew()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!("certificate of the cluster port: {error}; the one before stays")
            }
            // The runtime stops.
            Err(_) => return,
        }
    }
}
