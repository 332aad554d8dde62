//! One process per directory: the lock file.

use super::OpenError;
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    path::Path,
};

/// Name of the lock file within the directory.
const LOCK_FILE: &str = "trimaran.lock";

/// Holds the directory until it is dropped; the kernel gives it back when the process dies.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the directory and writes this process's id into the lock file.
    pub fn take(directory: &Path) -> Result<DirectoryLock, OpenError> {
        let path = directory.join(LOCK_FILE);
        let unusable = |source| OpenError::Unusable { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Held { holder: holder(&mut file), path });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        // The id is for people only; what counts is the lock.
        file.set_len(0).map_err(unusable)?;
        write!(file, "{}", std::process::id()).map_err(unusable)?;
        Ok(DirectoryLock { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(20).read_to_string(&mut text) {
        Ok(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => format!("process {text}"),
        _ => "another process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_has_the_directory() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let first = DirectoryLock::take(directory.path()).expect("free directory");
        let error = DirectoryLock::take(directory.path()).expect_err("taken directory").to_string();
        assert!(error.contains("trimaran.lock"), "{error}");
        assert!(error.ends_with(&format!("is held by process {}", std::process::id())), "{error}");
        drop(first);
        DirectoryLock::take(directory.path()).expect("free again");
    }

    #[test]
    fn a_directory_that_is_missing_or_a_file_is_unusable() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = directory.path().join("file");
        std::fs::write(&file, b"").expect("a file");
        for path in [directory.path().join("missing"), file] {
            let error = DirectoryLock::take(&path).expect_err("nothing to lock in");
            assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
        }
    }
}
