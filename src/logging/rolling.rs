//! A file that is replaced when it has grown too large.
//!
//! ```text
//! increment:  log.1 ─► log.2    log.0 ─► log.1    log ─► log.0    log anew
//! timestamp:  log ─► log.20261120212000123        log anew, and the oldest removed
//! ```
//!
//! BIND: with `versions` and without `size` it is replaced when the server starts; with `size` and without
//! `versions` it is no longer written to once it has that size.
//!
//! A file that cannot give way goes on growing: too many lines are better than none.

use crate::clock;
use crate::config::logging::{LogFile, Suffix, Versions};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use time::OffsetDateTime;

/// Versions that are renamed one by one: `unlimited` ends somewhere.
const VERSIONS_MAX: u32 = 10_000;
/// Digits of a time in a file's name.
const STAMP_DIGITS: usize = 17;

/// An open file with its limits.
pub struct RollingFile {
    limits: LogFile,
    owner: Option<(u32, u32)>,
    file: File,
    bytes: u64,
    schedule: Schedule,
}

/// When a file gives way: when it has its size, and, if it cannot, each time it has grown by that much again.
pub struct Schedule {
    bytes_max: Option<u64>,
    due: u64,
    has_failed: bool,
}

impl Schedule {
    /// For a file that may have so many octets.
    pub fn new(bytes_max: Option<u64>) -> Schedule {
        Schedule { bytes_max, due: bytes_max.unwrap_or(u64::MAX), has_failed: false }
    }

    /// Whether a file of so many octets is to give way.
    pub fn is_due(&self, bytes: u64) -> bool {
        bytes >= self.due
    }

    /// Notes that a file of so many octets could not give way. True if that is news.
    pub fn put_off(&mut self, bytes: u64) -> bool {
        self.due = bytes.saturating_add(self.bytes_max.unwrap_or(u64::MAX));
        !std::mem::replace(&mut self.has_failed, true)
    }
}

impl RollingFile {
    /// Opens the file for appending, replacing what is there if its limits say so. Files that are made belong to
    /// `owner`, user and group.
    ///
    /// # Errors
    /// What the system says about the file.
    pub fn open(limits: LogFile, owner: Option<(u32, u32)>) -> io::Result<RollingFile> {
        let is_full = match fs::metadata(&limits.path) {
            Ok(found) if !found.is_file() => false,
            Ok(found) => match limits.bytes_max {
                Some(most) => found.len() >= most,
                None => found.len() > 0,
            },
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if is_full && limits.versions != Versions::Never {
            roll(&limits, clock::now_utc())?;
        }
        let (file, bytes) = append(&limits.path, owner)?;
        let schedule = Schedule::new(limits.bytes_max);
        Ok(RollingFile { limits, owner, file, bytes, schedule })
    }

    /// Appends bytes; `now` names the old file if it has to give way. If it cannot, it goes on as it was.
    ///
    /// # Errors
    /// What the system says of writing.
    pub fn write(&mut self, bytes: &[u8], now: OffsetDateTime) -> io::Result<()> {
        if self.schedule.is_due(self.bytes) {
            if self.limits.versions == Versions::Never {
                return Ok(());
            }
            if let Err(error) = self.replace(now)
                && self.schedule.put_off(self.bytes)
            {
                // The log is no place to say that of itself.
                let path = self.limits.path.display();
                let _ =
                    writeln!(io::stderr(), "{path}: log file cannot be rolled and goes on growing: {error}");
            }
        }
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Begins a new file.
    fn replace(&mut self, now: OffsetDateTime) -> io::Result<()> {
        roll(&self.limits, now)?;
        (self.file, self.bytes) = append(&self.limits.path, self.owner)?;
        self.schedule = Schedule::new(self.limits.bytes_max);
        Ok(())
    }
}

fn append(path: &Path, owner: Option<(u32, u32)>) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let found = file.metadata()?;
    if let Some((user, group)) = owner.filter(|_| found.is_file()) {
        // Whoever may not give it away is the one who will write it.
        let _ = std::os::unix::fs::fchown(&file, Some(user), Some(group));
    }
    Ok((file, found.len()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Makes room for a new file at the path of `limits`; `now` names the old one, where names are times.
///
/// # Errors
/// What the system says about the files.
pub fn roll(limits: &LogFile, now: OffsetDateTime) -> io::Result<()> {
    let path = &limits.path;
    let keep = match limits.versions {
        Versions::Keep(0) => return unless_gone(fs::remove_file(path)),
        Versions::Keep(count) => count.min(VERSIONS_MAX),
        Versions::Never | Versions::Unlimited => VERSIONS_MAX,
    };
    match limits.suffix {
        Suffix::Increment => {
            let numbered = |number: u32| with_suffix(path, &number.to_string());
            let used = (0..keep - 1).take_while(|number| numbered(*number).exists()).count() as u32;
            for number in (0..used).rev() {
                fs::rename(numbered(number), numbered(number + 1))?;
            }
            unless_gone(fs::rename(path, numbered(0)))
        }
        Suffix::Timestamp => {
            remove_oldest(path, keep.saturating_sub(1) as usize)?;
            let (hour, minute, second, milli) = now.time().as_hms_milli();
            let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
            let stamp = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{milli:03}");
            unless_gone(fs::rename(path, with_suffix(path, &stamp)))
        }
    }
}

/// BIND: a file that somebody else has moved away makes room, too.
fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Keeps the youngest of the files named by time.
fn remove_oldest(path: &Path, keep: usize) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut old: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let found = entry?.file_name();
        let stamp = found.to_str().and_then(|found| found.strip_prefix(name)?.strip_prefix('.'));
        if stamp.is_some_and(|stamp| stamp.len() == STAMP_DIGITS && stamp.bytes().all(|b| b.is_ascii_digit()))
        {
            old.push(folder.join(found));
        }
    }
    old.sort();
    let excess = old.len().saturating_sub(keep);
    old.iter().take(excess).try_for_each(fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of a folder with their contents.
    fn files(folder: &Path) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
            })
            .collect();
        found.sort();
        found
    }

    fn check(versions: Versions, bytes_max: Option<u64>, suffix: Suffix, expected: &[(&str, &str)]) {
        let folder = tempfile::tempdir().unwrap();
        let limits = LogFile { path: folder.path().join("log"), versions, bytes_max, suffix };
        let at = |second: i64| OffsetDateTime::from_unix_timestamp(1_795_209_600 + second).unwrap();
        let mut file = RollingFile::open(limits, None).unwrap();
        for (second, text) in ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n"].iter().enumerate() {
            file.write(text.as_bytes(), at(second as i64)).unwrap();
        }
        let found = files(folder.path());
        let found: Vec<(&str, &str)> =
            found.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(found, expected, "{versions:?} {bytes_max:?} {suffix:?}");
    }

    #[test]
    fn a_file_gives_way_when_it_is_full_and_so_many_are_kept() {
        let (increment, timestamp) = (Suffix::Increment, Suffix::Timestamp);
        check(
            Versions::Keep(2),
            Some(5),
            increment,
            &[("log", "dddd\n"), ("log.0", "cccc\n"), ("log.1", "bbbb\n")],
        );
        check(Versions::Keep(1), Some(6), increment, &[("log", "cccc\ndddd\n"), ("log.0", "aaaa\nbbbb\n")]);
        check(Versions::Keep(0), Some(5), increment, &[("log", "dddd\n")]);
        let all = [("log", "dddd\n"), ("log.0", "cccc\n"), ("log.1", "bbbb\n"), ("log.2", "aaaa\n")];
        check(Versions::Unlimited, Some(1), increment, &all);
        let named =
            [("log", "dddd\n"), ("log.20261120212002000", "bbbb\n"), ("log.20261120212003000", "cccc\n")];
        check(Versions::Keep(2), Some(5), timestamp, &named);
    }

    #[test]
    fn without_versions_a_full_file_is_no_longer_written_to() {
        check(Versions::Never, Some(6), Suffix::Increment, &[("log", "aaaa\nbbbb\n")]);
        check(Versions::Never, None, Suffix::Increment, &[("log", "aaaa\nbbbb\ncccc\ndddd\n")]);
        check(Versions::Keep(3), None, Suffix::Increment, &[("log", "aaaa\nbbbb\ncccc\ndddd\n")]);
    }

    #[test]
    fn a_file_that_somebody_has_moved_away_is_made_anew() {
        for (versions, suffix) in [
            (Versions::Keep(0), Suffix::Increment),
            (Versions::Keep(2), Suffix::Increment),
            (Versions::Keep(2), Suffix::Timestamp),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let limits = LogFile { path: path.clone(), versions, bytes_max: Some(5), suffix };
            let mut file = RollingFile::open(limits, None).unwrap();
            file.write(b"aaaa\n", OffsetDateTime::UNIX_EPOCH).unwrap();
            fs::rename(&path, folder.path().join("moved")).unwrap();
            file.write(b"bbbb\n", OffsetDateTime::UNIX_EPOCH).unwrap();
            let expected =
                [("log".to_owned(), "bbbb\n".to_owned()), ("moved".to_owned(), "aaaa\n".to_owned())];
            assert_eq!(files(folder.path()), expected, "{versions:?} {suffix:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_give_way_goes_on_and_tries_again_after_another_size() {
        let folder = tempfile::tempdir().unwrap();
        let (path, in_the_way) = (folder.path().join("log"), folder.path().join("log.0"));
        let (versions, suffix) = (Versions::Keep(1), Suffix::Increment);
        let limits = LogFile { path: path.clone(), versions, bytes_max: Some(10), suffix };
        let mut file = RollingFile::open(limits, None).unwrap();
        let mut write = |text: &str| file.write(text.as_bytes(), OffsetDateTime::UNIX_EPOCH).unwrap();
        fs::create_dir(&in_the_way).unwrap();
        ["aaaa\n", "bbbb\n", "cccc\n"].into_iter().for_each(&mut write);
        fs::remove_dir(&in_the_way).unwrap();
        write("dddd\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "aaaa\nbbbb\ncccc\ndddd\n");
        assert!(!in_the_way.exists(), "it is not tried with every line");
        ["eeee\n", "ffff\n"].into_iter().for_each(write);
        let expected = [("log", "eeee\nffff\n"), ("log.0", "aaaa\nbbbb\ncccc\ndddd\n")];
        assert_eq!(files(folder.path()), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn that_a_file_cannot_give_way_is_news_once() {
        let mut schedule = Schedule::new(Some(10));
        assert!(!schedule.is_due(9) && schedule.is_due(10));
        assert!(schedule.put_off(12));
        assert!(!schedule.is_due(21) && schedule.is_due(22));
        assert!(!schedule.put_off(25));
        assert!(!Schedule::new(None).is_due(1 << 60));
    }

    #[test]
    fn versions_without_a_size_give_way_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let limits = LogFile {
            path: path.clone(),
            versions: Versions::Keep(2),
            bytes_max: None,
            suffix: Suffix::Increment,
        };
        for text in ["1", "2", "3", "4"] {
            let mut file = RollingFile::open(limits.clone(), None).unwrap();
            file.write(text.as_bytes(), OffsetDateTime::UNIX_EPOCH).unwrap();
        }
        let expected =
            [("log", "4"), ("log.0", "3"), ("log.1", "2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(files(folder.path()), expected);
    }
}
