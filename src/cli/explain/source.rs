//! The lines that findings are about.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::Place;
use super::slip::Around;
use crate::dns::Name;
use crate::zonefile::Span;

/// How much of a line is shown at most, in columns.
const COLUMNS_MAX: usize = 100;
/// How much of a longer line stands before what is meant.
const COLUMNS_BEFORE: usize = 40;
const TAB_WIDTH: usize = 8;
/// How much of a line is looked at on either side, in bytes: more than can be shown.
const BYTES_AROUND: usize = 8 * COLUMNS_MAX;

/// Files, read once more for their text and kept.
#[derive(Default)]
pub struct Sources {
    /// Nothing for those that cannot be read.
    files: HashMap<Arc<str>, Option<Source>>,
}

struct Source {
    bytes: Vec<u8>,
    /// Where each line starts.
    starts: Vec<usize>,
}

/// A line as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) text: String,
    /// How many columns stand before what is meant.
    pub(super) indent: usize,
    /// How many columns are meant.
    pub(super) width: usize,
}

impl Sources {
    /// Gives the text of a file that cannot be read again, such as standard input.
    pub fn put(&mut self, file: &str, bytes: Vec<u8>) {
        self.files.insert(file.into(), Some(Source::new(bytes)));
    }

    fn get(&mut self, file: &Arc<str>) -> Option<&Source> {
        // A pipe or a device gives something else the second time, or nothing, or does not end.
        let again = |path: &Path| path.is_file().then(|| std::fs::read(path).ok()).flatten();
        let read = || again(Path::new(&**file)).map(Source::new);
        self.files.entry(Arc::clone(file)).or_insert_with(read).as_ref()
    }

    /// The place of `span`; without one, that of what stands on `line`. Raw files have no lines: `line` is 0.
    pub(super) fn place(&mut self, file: &Arc<str>, line: u32, span: Option<Span>) -> Option<Place> {
        if line == 0 {
            return None;
        }
        let whole = Place { file: Arc::clone(file), line: line as usize, column: None, bytes: 0 };
        let Some(source) = self.get(file) else { return Some(whole) };
        let Some(span) = span.filter(|span| span.start <= span.end && span.end <= source.bytes.len()) else {
            return Some(whole);
        };
        let index = source.starts.partition_point(|&start| start <= span.start).checked_sub(1)?;
        let in_line = span.start - source.starts[index];
        let length = source.line(index + 1)?.len();
        Some(Place {
            line: index + 1,
            column: Some(in_line + 1),
            // A quoted string may go on in the next line.
            bytes: (span.end - span.start).min(length.saturating_sub(in_line)),
            ..whole
        })
    }

    /// The place of the last word on `line` that may stand for `name`.
    pub(super) fn place_of_name(&mut self, file: &Arc<str>, line: u32, name: &Name) -> Option<Place> {
        let whole = self.place(file, line, None);
        let Some(text) = self.get(file).and_then(|source| source.line(line as usize)) else { return whole };
        let full = name.to_string().to_ascii_lowercase();
        let mut found = None;
        let mut at = 0;
        for word in text.split(|byte| b" \t();\"".contains(byte)) {
            if may_stand_for(word, &full) {
                found = Some((at, word.len()));
            }
            at += word.len() + 1;
        }
        let Some((start, bytes)) = found else { return whole };
        whole.map(|whole| Place { column: Some(start + 1), bytes, ..whole })
    }

    /// The place of `owner` at the start of `line`, which may have left it out.
    pub(super) fn place_of_owner(&mut self, file: &Arc<str>, line: u32, owner: &Name) -> Option<Place> {
        let whole = self.place(file, line, None)?;
        let Some(text) = self.get(file).and_then(|source| source.line(whole.line)) else {
            return Some(whole);
        };
        let word = text.split(|byte| b" \t();\"".contains(byte)).next().unwrap_or_default();
        let is_owner = word == b"@" || may_stand_for(word, &owner.to_string().to_ascii_lowercase());
        Some(if is_owner { Place { column: Some(1), bytes: word.len(), ..whole } } else { whole })
    }

    /// What stands around a place in its line.
    pub(super) fn around(&mut self, place: &Place) -> Option<Around<'_>> {
        Around::of(self.get(&place.file)?.line(place.line)?, place)
    }

    /// The line of a place, with what is meant in it; nothing if the file cannot be read or has changed.
    pub(super) fn excerpt(&mut self, place: &Place) -> Option<Excerpt> {
        let line = self.get(&place.file)?.line(place.line)?;
        let (start, end) = match place.column {
            Some(column) => (column - 1, column - 1 + place.bytes),
            None => {
                let start = line.len() - line.trim_ascii_start().len();
                (start, line.trim_ascii_end().len().max(start))
            }
        };
        Some(excerpt(line, start, end))
    }
}

/// Whether a word in a file is a name, in lower case, or the beginning of it.
fn may_stand_for(word: &[u8], name: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let rest = name.as_bytes().strip_prefix(lower.as_slice());
    !word.is_empty() && rest.is_some_and(|rest| rest.first().is_none_or(|&byte| byte == b'.'))
}

impl Source {
    fn new(bytes: Vec<u8>) -> Source {
        // As the lexer counts: a carriage return ends a line, with a line feed behind it or without.
        let ends = memchr::memchr2_iter(b'\n', b'\r', &bytes);
        let ends = ends.filter(|&at| bytes[at] == b'\n' || bytes.get(at + 1) != Some(&b'\n'));
        let starts = [0].into_iter().chain(ends.map(|at| at + 1)).collect();
        Source { bytes, starts }
    }

    /// A line without its end; they are counted from 1.
    fn line(&self, number: usize) -> Option<&[u8]> {
        let start = *self.starts.get(number.checked_sub(1)?)?;
        let end = self.starts.get(number).copied().unwrap_or(self.bytes.len());
        let line = self.bytes.get(start..end)?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Shows `line` with the bytes from `start` to `end` marked. What cannot be shown becomes U+FFFD.
fn excerpt(line: &[u8], start: usize, end: usize) -> Excerpt {
    let mut shown: Vec<char> = Vec::new();
    let mut first = start.min(line.len()).saturating_sub(BYTES_AROUND);
    // Not in the middle of a character.
    first += line[first..].iter().take_while(|&&byte| first > 0 && byte & 0xc0 == 0x80).take(3).count();
    let last = line.len().min(start.saturating_add(BYTES_AROUND));
    let (mut at, mut indent, mut behind) = (first, None, None);
    let mut mark = |at: usize, column: usize| {
        if at >= start {
            indent.get_or_insert(column);
        }
        if at >= end {
            behind.get_or_insert(column);
        }
    };
    for chunk in line[first..last].utf8_chunks() {
        for character in chunk.valid().chars() {
            mark(at, shown.len());
            at += character.len_utf8();
            match character {
                '\t' => shown.resize((shown.len() / TAB_WIDTH + 1) * TAB_WIDTH, ' '),
                other if other.is_control() => shown.push(char::REPLACEMENT_CHARACTER),
                other => shown.push(other),
            }
        }
        for _ in chunk.invalid() {
            mark(at, shown.len());
            at += 1;
            shown.push(char::REPLACEMENT_CHARACTER);
        }
    }
    let all = shown.len();
    let (indent, behind) = (indent.unwrap_or(all), behind.unwrap_or(all));
    let from = if all <= COLUMNS_MAX { 0 } else { indent.saturating_sub(COLUMNS_BEFORE) };
    let to = all.min(from + COLUMNS_MAX);
    let (before, after) = (if from > 0 { "..." } else { "" }, if to < all { "..." } else { "" });
    let text = format!("{before}{}{after}", shown[from..to].iter().collect::<String>());
    let text = text.trim_end().to_owned();
    Excerpt { text, indent: before.len() + indent - from, width: behind.min(to) - indent.min(to) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_as_they_stand_with_tabs_as_blanks() {
        let shown = |line: &str, start, end| {
            let Excerpt { text, indent, width } = excerpt(line.as_bytes(), start, end);
            (text, indent, width)
        };
        assert_eq!(shown("a\tb c", 2, 3), ("a       b c".to_owned(), 8, 1));
        assert_eq!(shown("ä b", 3, 4), ("ä b".to_owned(), 2, 1));
        assert_eq!(shown("a", 1, 1), ("a".to_owned(), 1, 0));
        assert_eq!(
            excerpt(b"\xff\x01b", 2, 3),
            Excerpt { text: "\u{fffd}\u{fffd}b".into(), indent: 2, width: 1 }
        );
        let long = format!("{} here {}", "x".repeat(300), "y".repeat(300));
        let (text, indent, width) = shown(&long, 301, 305);
        assert_eq!((&text[indent..indent + width], text.len()), ("here", COLUMNS_MAX + 6));
        let wide = format!("{} here", "x\u{1f600}".repeat(9_000));
        for shift in 0..5 {
            let (text, indent, width) = shown(&wide[5 * shift..], 45_001 - 5 * shift, 45_005 - 5 * shift);
            assert_eq!(text.chars().skip(indent).take(width).collect::<String>(), "here", "{text}");
            assert!(!text.contains(char::REPLACEMENT_CHARACTER));
        }
    }

    #[test]
    fn places_are_lines_and_bytes_of_them() {
        let mut sources = Sources::default();
        sources.put("f", b"ab\r\ncd ef\n\n".to_vec());
        let file: Arc<str> = "f".into();
        let mut place = |start, end| {
            let place = sources.place(&file, 1, Some(Span { start, end })).unwrap();
            (place.line, place.column, place.bytes)
        };
        assert_eq!(place(0, 2), (1, Some(1), 2));
        assert_eq!(place(7, 9), (2, Some(4), 2));
        assert_eq!(place(7, 11), (2, Some(4), 2));
        assert_eq!(place(9, 9), (2, Some(6), 0));
        assert_eq!(place(9, 99), (1, None, 0));
        let name = "CD.example.".parse().unwrap();
        let found = sources.place_of_name(&file, 2, &name).unwrap();
        assert_eq!((found.column, found.bytes), (Some(1), 2));
        assert_eq!(sources.excerpt(&Place { line: 9, ..found }), None);
    }
}
