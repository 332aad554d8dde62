//! Zone files on disk: their octets, and what is said of those that cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use crate::zonefile::diagnostics::Kind;

pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// The same file by whatever path, as far as the file system tells.
pub(super) fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

pub(super) fn unreadable(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Kind::Unreadable("file not found"),
        io::ErrorKind::PermissionDenied => Kind::Unreadable("permission denied"),
        io::ErrorKind::IsADirectory => Kind::NotAFile,
        // ENAMETOOLONG and its like.
        io::ErrorKind::InvalidFilename => Kind::Unreadable("invalid file"),
        _ => Kind::Unreadable("I/O error"),
    }
}
