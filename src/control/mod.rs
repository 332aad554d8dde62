//! What the server tells about itself, apart from DNS, and takes from its operator.
//!
//! ```text
//! statistics-channels ──► status::serve ──► /healthz /readyz /cluster    (ask the source, write JSON)
//!                                           /metrics                     (the same as Prometheus text)
//! trimaran.sock ──► socket::serve ──► status, token, remove                   (for `trimaran cluster`)
//! ```
//!
//! Invariants: nothing changes by HTTP; connections are counted, limited in number and in time; a client
//! outside the allow list does not get a byte.
//!
//! Not here: where the numbers come from (`daemon` gives a [`status::StatusSource`]), who is allowed
//! (`nameserver::acl`).
//!
//! Caveats: the `controls` channel of rndc does not exist yet.

mod metrics;
pub mod socket;
pub mod status;
