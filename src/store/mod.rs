//! Skeleton: The zone store: SQLite through sqlx. The only folder with SQL.
pub mod log;
pub mod zones;
/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum OpenError {
    #[error("{0}")]
    Other(String),
}
/// A write that failed: the process must stop, its memory and its disk no longer agree.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(pub String);
