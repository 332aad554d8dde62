//! Which files an `include` names: one, or those that a pattern matches (BIND: glob(3)).

use std::io;
use std::path::{Path, PathBuf};

/// The files in the order of their names, each as it is to be called in diagnostics, and where it is.
///
/// `*`, `?` and `[...]` are understood in the last part of the path. A pattern that matches nothing is an error.
pub(super) fn expand(directory: &Path, pattern: &str) -> io::Result<Vec<(String, PathBuf)>> {
    if !pattern.contains(['*', '?', '[']) {
        let path = directory.join(pattern);
        return std::fs::metadata(&path).map(|_| vec![(pattern.to_owned(), path)]);
    }
    let (parent, last) = pattern.rsplit_once('/').map_or(("", pattern), |(parent, last)| (parent, last));
    let prefix = &pattern[..pattern.len() - last.len()];
    let place = directory.join(if parent.is_empty() && !prefix.is_empty() { "/" } else { parent });
    let place = if place.as_os_str().is_empty() { PathBuf::from(".") } else { place };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&place)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // As in a shell, only a pattern that starts with a dot matches hidden files.
        if name.starts_with('.') == last.starts_with('.') && matches(last.as_bytes(), name.as_bytes()) {
            found.push((format!("{prefix}{name}"), entry.path()));
        }
    }
    found.sort();
    if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
}

/// Whether a name matches a pattern. Takes time at most proportional to the product of their lengths.
fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    // Behind the last asterisk, and what of the name it has not swallowed yet.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match (pattern, name) {
            ([], []) => return true,
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, name));
                pattern = rest;
                continue;
            }
            ([b'[', rest @ ..], [byte, ..]) => bracket(rest, *byte),
            ([b'?', rest @ ..], [_, ..]) => Some(rest),
            ([expected, rest @ ..], [byte, ..]) if expected == byte => Some(rest),
            _ => None,
        };
        match (step, retry) {
            (Some(rest), _) => (pattern, name) = (rest, &name[1..]),
            (None, Some((rest, [_, swallowed @ ..]))) => {
                retry = Some((rest, swallowed));
                (pattern, name) = (rest, swallowed);
            }
            (None, _) => return false,
        }
    }
}

/// Matches a byte against `abc]`, `a-z]`, `!a]`; gives the pattern behind the bracket.
fn bracket(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (negated, set) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    // A bracket right at the start belongs to the set.
    let end = 1 + set.get(1..)?.iter().position(|b| *b == b']')?;
    let (mut members, mut found) = (&set[..end], false);
    while let [first, rest @ ..] = members {
        if let [b'-', last, behind @ ..] = rest {
            found |= (*first..=*last).contains(&byte);
            members = behind;
        } else {
            found |= *first == byte;
            members = rest;
        }
    }
    (found != negated).then_some(&set[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        };
        check("*.conf", "a.conf", true);
        check("*.conf", ".conf", true);
        check("*.conf", "a.conf.bak", false);
        check("a*b*c", "axxbyybzc", true);
        check("a*b*c", "axxbyybz", false);
        check("?.zone", "a.zone", true);
        check("?.zone", ".zone", false);
        check("[a-c]1", "b1", true);
        check("[!a-c]1", "b1", false);
        check("[]]", "]", true);
        check("[", "[", false);
        check("", "", true);
        check("*", "", true);
    }

    #[test]
    fn matches_come_in_the_order_of_their_names_with_the_path_as_written() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            std::fs::write(dir.path().join("d").join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            expand(dir.path(), pattern).unwrap().into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("d/*.conf"), ["d/a.conf", "d/b.conf"]);
        assert_eq!(names("d/a.conf"), ["d/a.conf"]);
        assert_eq!(expand(dir.path(), "d/nosuch").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(expand(dir.path(), "d/*.none").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
