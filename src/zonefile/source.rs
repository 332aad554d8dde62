//! Zone files on disk: their octets, and what is said of those that cannot be read.
//!
//! Invariant: reading ends. A regular file is as long as it is; a pipe or a device may give octets for ever, so
//! no more than [`STREAM_BYTES_MAX`] of them are taken.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::diagnostics::Kind;

/// The most octets that are taken from what is not a regular file: 1 GiB.
const STREAM_BYTES_MAX: usize = 1 << 30;
/// How much is read first when nothing is known of a length.
const FIRST_BYTES: usize = 64 * 1024;

/// The whole of a file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // Of a pipe or a device this is zero.
    let length = usize::try_from(file.metadata()?.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    read_bounded(file, length, length.max(STREAM_BYTES_MAX))
}

/// The whole of a stream, such as standard input; an error if that is more than 1 GiB.
pub fn read_stream(stream: impl Read) -> io::Result<Vec<u8>> {
    read_bounded(stream, 0, STREAM_BYTES_MAX)
}

fn read_bounded(mut stream: impl Read, expected: usize, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut room = if expected > 0 { expected } else { FIRST_BYTES.min(bytes_max) };
    loop {
        // Never more than the bound: a vector that grows by itself would double.
        bytes.try_reserve_exact(room)?;
        stream.by_ref().take(room as u64).read_to_end(&mut bytes)?;
        let mut next = Vec::new();
        if stream.by_ref().take(1).read_to_end(&mut next)? == 0 {
            return Ok(bytes);
        }
        room = bytes.len().min(bytes_max - bytes.len());
        if room == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        bytes.try_reserve_exact(room)?;
        bytes.append(&mut next);
        room -= 1;
    }
}

/// The same file by whatever path, as far as the file system tells.
pub(super) fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// What is wrong with a file, in BIND's words where it has some.
pub(super) fn unreadable(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::NotFound => Kind::Unreadable("file not found"),
        io::ErrorKind::PermissionDenied => Kind::Unreadable("permission denied"),
        io::ErrorKind::IsADirectory => Kind::NotAFile,
        // ENAMETOOLONG and its like.
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => Kind::Unreadable("invalid file"),
        io::ErrorKind::OutOfMemory => Kind::Unreadable("out of memory"),
        io::ErrorKind::FileTooLarge => Kind::Unreadable(TOO_LARGE),
        _ => Kind::Unreadable("I/O error"),
    }
}

/// BIND: reads on until there is no memory left.
const TOO_LARGE: &str = "more than 1 GiB from a pipe or device";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_refused() {
        let read = |stream: &mut dyn Read, expected| {
            read_bounded(stream, expected, 1000).map(|bytes| bytes.len()).map_err(|error| unreadable(&error))
        };
        for expected in [0, 1, 999, 1000] {
            for length in [0, 1, 999, 1000] {
                assert_eq!(read(&mut io::repeat(0).take(length), expected), Ok(length as usize));
            }
            let refused = Err(Kind::Unreadable(TOO_LARGE));
            assert_eq!(read(&mut io::repeat(0).take(1001), expected), refused);
            assert_eq!(read(&mut io::repeat(0), expected), refused);
        }
    }

    #[test]
    fn memory_is_reserved_for_what_there_is() {
        let bytes = read_bounded(io::repeat(7).take(100_000), 100_000, 1 << 20).unwrap();
        assert_eq!((bytes.len(), bytes.capacity()), (100_000, 100_000));
        let bytes = read_bounded(io::repeat(7).take(100_000), 0, 110_000).unwrap();
        assert!(bytes.len() == 100_000 && bytes.capacity() <= 110_000);
    }
}
