//! Skeleton: Request -> response.
pub mod acl;
pub mod axfr_out;
pub mod ixfr_out;
pub mod query;
pub mod transfer_out;
pub mod update_in;
