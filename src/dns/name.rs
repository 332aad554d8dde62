//! Domain names in uncompressed wire format (RFC 1035 §3.1).
//!
//! [`Name`] owns its bytes and keeps the case it was given; comparison, hashing and order ignore ASCII
//! case (RFC 4343) and the order is the canonical one of RFC 4034 §6.1. The free functions work on
//! borrowed wire bytes, for places where an allocation per name would show.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Longest name in octets, root label included (RFC 1035 §2.3.4).
pub const NAME_BYTES_MAX: usize = 255;
/// Longest label in octets (RFC 1035 §2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;
/// Most labels a name can have, root label not counted.
pub const LABELS_MAX: usize = 127;

/// Why bytes or text are not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A label has more than 63 octets.
    #[error("label too long")]
    LabelTooLong,
    /// The name has more than 255 octets.
    #[error("name too long")]
    NameTooLong,
    /// No text at all.
    #[error("empty name")]
    Empty,
    /// Two dots in a row, or a dot at the start of a longer name.
    #[error("empty label")]
    EmptyLabel,
    /// A backslash that is followed by neither a character nor a number up to 255.
    #[error("bad escape")]
    BadEscape,
    /// The text ends inside an escape.
    #[error("escape cut short")]
    CutEscape,
    /// A label that starts as a bit string, which RFC 6891 §5 has taken back.
    #[error("bit-string label")]
    BitString,
    /// A relative name where there is no origin to complete it.
    #[error("relative name without an origin")]
    Relative,
    /// The bytes end inside the name, or go on behind it, or hold a compression pointer.
    #[error("malformed wire name")]
    Malformed,
}

/// A fully qualified domain name: uncompressed wire format, case kept.
#[derive(Clone)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The root name.
    pub fn root() -> Name {
        Name(Box::new([0]))
    }

    /// Takes a name from exactly `wire`, which must be uncompressed and nothing but the name.
    pub fn from_wire(wire: &[u8]) -> Result<Name, NameError> {
        match wire_len(wire) {
            Some(len) if len == wire.len() => Ok(Name(wire.into())),
            _ => Err(NameError::Malformed),
        }
    }

    /// Parses presentation format (RFC 1035 §5.1): `\DDD` and `\X` escapes, `@` for the origin; a name
    /// without a final dot is completed by `origin`.
    pub fn parse(text: &[u8], origin: Option<&Name>) -> Result<Name, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2 + origin.map_or(0, |o| o.0.len()));
        parse_into(text, origin.map(Name::as_wire), &mut wire)?;
        Ok(Name(wire.into_boxed_slice()))
    }

    /// The wire format, root label included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from the left, without the root label.
    pub fn labels(&self) -> Labels<'_> {
        labels(&self.0)
    }

    /// How many labels there are, the root label not counted.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Whether the leftmost label is a single asterisk (RFC 4592 §2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// The name without its leftmost label, unless it is the root.
    pub fn parent(&self) -> Option<Name> {
        if self.is_root() {
            return None;
        }
        Some(Name(self.0[1 + self.0[0] as usize..].into()))
    }

    /// This name with `label` put in front, if the result is a legal name.
    pub fn child(&self, label: &[u8]) -> Result<Name, NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > LABEL_BYTES_MAX {
            return Err(NameError::LabelTooLong);
        }
        if self.0.len() + 1 + label.len() > NAME_BYTES_MAX {
            return Err(NameError::NameTooLong);
        }
        let mut wire = Vec::with_capacity(self.0.len() + 1 + label.len());
        wire.push(label.len() as u8);
        wire.extend_from_slice(label);
        wire.extend_from_slice(&self.0);
        Ok(Name(wire.into_boxed_slice()))
    }

    /// Whether this name is `ancestor` or below it.
    pub fn is_at_or_below(&self, ancestor: &Name) -> bool {
        is_at_or_below(&self.0, &ancestor.0)
    }

    /// Whether this name is below `ancestor` and not the same.
    pub fn is_below(&self, ancestor: &Name) -> bool {
        self.0.len() > ancestor.0.len() && self.is_at_or_below(ancestor)
    }

    /// The same name in lower case.
    pub fn to_lowercase(&self) -> Name {
        Name(self.0.to_ascii_lowercase().into_boxed_slice())
    }

    /// The name as BIND writes it in its log: without the final dot. Costs nothing until it is written.
    pub fn undotted(&self) -> Undotted<'_> {
        Undotted(self)
    }

    /// Whether the bytes are the same, case included.
    pub fn eq_case(&self, other: &Name) -> bool {
        self.0 == other.0
    }
}

/// The length of the uncompressed name at the start of `bytes`, root label included; `None` if there is
/// no complete legal name.
pub fn wire_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        let label = *bytes.get(at)? as usize;
        at += 1;
        if label == 0 {
            return (at <= NAME_BYTES_MAX).then_some(at);
        }
        if label > LABEL_BYTES_MAX {
            return None;
        }
        at += label;
        if at >= NAME_BYTES_MAX {
            return None;
        }
    }
}

/// The labels of an uncompressed wire name from the left, without the root label.
pub fn labels(wire: &[u8]) -> Labels<'_> {
    Labels { rest: wire }
}

/// Iterator over the labels of a name. See [`labels`].
#[derive(Clone)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&len, rest) = self.rest.split_first()?;
        if len == 0 {
            return None;
        }
        let (label, rest) = rest.split_at(len as usize);
        self.rest = rest;
        Some(label)
    }
}

/// Whether the wire name `name` is `ancestor` or below it; both must be legal uncompressed names.
pub fn is_at_or_below(name: &[u8], ancestor: &[u8]) -> bool {
    let Some(mut skip) = name.len().checked_sub(ancestor.len()) else { return false };
    if !name[skip..].eq_ignore_ascii_case(ancestor) {
        return false;
    }
    // The suffix matches as bytes; it is an ancestor only if it starts at a label boundary.
    let mut at = 0;
    while skip > 0 {
        let label = name[at] as usize + 1;
        if label > skip {
            return false;
        }
        at += label;
        skip -= label;
    }
    true
}

/// Compares two wire names in canonical order: label by label from the root, without case (RFC 4034 §6.1).
pub fn canonical_cmp(a: &[u8], b: &[u8]) -> Ordering {
    let (left, right) = (label_offsets(a), label_offsets(b));
    let common = left.1.min(right.1);
    for i in 1..=common {
        let (x, y) = (left.0[left.1 - i] as usize, right.0[right.1 - i] as usize);
        let (x, y) = (&a[x + 1..x + 1 + a[x] as usize], &b[y + 1..y + 1 + b[y] as usize]);
        let order = x.iter().map(u8::to_ascii_lowercase).cmp(y.iter().map(u8::to_ascii_lowercase));
        if order != Ordering::Equal {
            return order;
        }
    }
    left.1.cmp(&right.1)
}

fn label_offsets(wire: &[u8]) -> ([u8; LABELS_MAX + 1], usize) {
    let (mut offsets, mut count, mut at) = ([0u8; LABELS_MAX + 1], 0, 0);
    while wire[at] != 0 {
        offsets[count] = at as u8;
        count += 1;
        at += 1 + wire[at] as usize;
    }
    (offsets, count)
}

/// A key whose byte order is the canonical order of names: the labels from the root side in lower case, each
/// ended by a zero octet; zero and one inside a label are escaped by a one.
pub fn canonical_key(wire: &[u8]) -> Vec<u8> {
    let (offsets, count) = label_offsets(wire);
    let mut key = Vec::with_capacity(wire.len());
    for &offset in offsets[..count].iter().rev() {
        let start = offset as usize + 1;
        for byte in &wire[start..start + wire[start - 1] as usize] {
            match byte {
                0 | 1 => key.extend_from_slice(&[1, byte + 1]),
                other => key.push(other.to_ascii_lowercase()),
            }
        }
        key.push(0);
    }
    key
}

/// Parses presentation format and appends the wire format to `out`; on an error `out` may hold a part.
///
/// `origin` is a wire name that completes a relative name.
pub fn parse_into(text: &[u8], origin: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), NameError> {
    let start = out.len();
    match text {
        b"@" => {
            out.extend_from_slice(origin.ok_or(NameError::Relative)?);
            return Ok(());
        }
        b"." => {
            out.push(0);
            return Ok(());
        }
        b"" => return Err(NameError::Empty),
        _ => {}
    }
    if parse_plain(text, origin, out) {
        return Ok(());
    }
    out.truncate(start);
    let mut length_at = out.len();
    out.push(0);
    let mut at = 0;
    let mut ends_with_dot = false;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        ends_with_dot = false;
        let byte = match byte {
            b'.' => {
                let label = out.len() - length_at - 1;
                if label == 0 {
                    return Err(NameError::EmptyLabel);
                }
                out[length_at] = label as u8;
                length_at = out.len();
                out.push(0);
                ends_with_dot = true;
                continue;
            }
            // BIND: was once the start of a bit-string label (RFC 2673).
            b'\\' if text.get(at) == Some(&b'[') && out.len() == length_at + 1 => {
                return Err(NameError::BitString);
            }
            b'\\' => {
                let rest = &text[at..];
                unescape(text, &mut at).ok_or_else(|| bad_escape(rest))?
            }
            other => other,
        };
        out.push(byte);
        if out.len() - length_at - 1 > LABEL_BYTES_MAX {
            return Err(NameError::LabelTooLong);
        }
        if out.len() - start >= NAME_BYTES_MAX {
            return Err(NameError::NameTooLong);
        }
    }
    if !ends_with_dot {
        out[length_at] = (out.len() - length_at - 1) as u8;
        out.extend_from_slice(origin.ok_or(NameError::Relative)?);
    }
    if out.len() - start > NAME_BYTES_MAX {
        return Err(NameError::NameTooLong);
    }
    Ok(())
}

/// [`parse_into`] for a legal name without escapes: its wire format is the text with a length octet in place of
/// each dot, and one in front. False, and anything at the end of `out`, for all others.
#[inline]
fn parse_plain(text: &[u8], origin: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.push(0);
    out.extend_from_slice(text);
    let wire = &mut out[start..];
    let mut length_at = 0;
    for at in 1..wire.len() {
        let byte = wire[at];
        if byte == b'.' {
            let label = at - length_at - 1;
            if label == 0 || label > LABEL_BYTES_MAX {
                return false;
            }
            wire[length_at] = label as u8;
            length_at = at;
        } else if byte == b'\\' {
            return false;
        }
    }
    let label = wire.len() - length_at - 1;
    wire[length_at] = label as u8;
    if label > 0 {
        let Some(origin) = origin.filter(|_| label <= LABEL_BYTES_MAX) else { return false };
        out.extend_from_slice(origin);
    }
    out.len() - start <= NAME_BYTES_MAX
}

/// Reads what follows a backslash: three digits up to 255, or any other character (RFC 1035 §5.1).
fn unescape(text: &[u8], at: &mut usize) -> Option<u8> {
    let first = *text.get(*at)?;
    if !first.is_ascii_digit() {
        *at += 1;
        return Some(first);
    }
    let digits = text.get(*at..*at + 3)?;
    let mut value = 0u16;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u16::from(digit - b'0');
    }
    *at += 3;
    u8::try_from(value).ok()
}

/// Which error an escape is whose backslash stands in front of `rest`.
fn bad_escape(rest: &[u8]) -> NameError {
    let is_cut = rest.len() < 3 && rest.iter().all(u8::is_ascii_digit);
    if is_cut { NameError::CutEscape } else { NameError::BadEscape }
}

/// Appends the presentation format of a wire name to `out`, with a final dot, escaped as BIND does.
pub fn write_text(wire: &[u8], out: &mut String) {
    if wire.len() <= 1 {
        out.push('.');
        return;
    }
    for label in labels(wire) {
        write_label(label, out);
        out.push('.');
    }
}

/// Appends one label in presentation format, escaped as BIND does.
pub fn write_label(label: &[u8], out: &mut String) {
    for &byte in label {
        match byte {
            b'"' | b'(' | b')' | b'.' | b';' | b'\\' | b'@' | b'$' => {
                out.push('\\');
                out.push(byte as char);
            }
            0x21..=0x7e => out.push(byte as char),
            _ => {
                out.push('\\');
                for digit in [byte / 100, byte / 10 % 10, byte % 10] {
                    out.push((b'0' + digit) as char);
                }
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.0.len());
        write_text(&self.0, &mut text);
        f.write_str(&text)
    }
}

/// A name without its final dot. See [`Name::undotted`].
#[derive(Clone, Copy)]
pub struct Undotted<'a>(&'a Name);

impl fmt::Display for Undotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(if self.0.is_root() { &text } else { text.strip_suffix('.').unwrap_or(&text) })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    /// Parses an absolute name; the final dot may be left out.
    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text.as_bytes(), Some(&Name::root()))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in &*self.0 {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        canonical_cmp(&self.0, &other.0)
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn text_goes_to_wire_and_back() {
        for text in [
            ".",
            "example.com.",
            "a.b.c.",
            "\\000\\255.x.",
            "a\\.b.example.",
            "*.example.",
            "1/2.in-addr.arpa.",
        ] {
            assert_eq!(name(text).to_string(), text);
        }
        assert_eq!(name("\\065b.").to_string(), "Ab.");
        let undotted = |text| name(text).undotted().to_string();
        assert_eq!((undotted("a.b."), undotted(".")), ("a.b".into(), ".".into()));
    }

    #[test]
    fn a_relative_name_is_completed_by_the_origin() {
        let origin = name("example.com.");
        assert_eq!(Name::parse(b"www", Some(&origin)).unwrap().to_string(), "www.example.com.");
        assert_eq!(Name::parse(b"@", Some(&origin)).unwrap(), origin);
        assert_eq!(Name::parse(b"www", None), Err(NameError::Relative));
    }

    #[test]
    fn illegal_text_says_what_is_wrong() {
        let check =
            |text: &str, error| assert_eq!(Name::parse(text.as_bytes(), Some(&Name::root())), Err(error));
        check("a..b.", NameError::EmptyLabel);
        check(".a.", NameError::EmptyLabel);
        check("", NameError::Empty);
        check("a\\", NameError::CutEscape);
        check("a\\25", NameError::CutEscape);
        check("a\\256.", NameError::BadEscape);
        check("a\\2x.", NameError::BadEscape);
        check(&"x".repeat(64), NameError::LabelTooLong);
        check(&"abcdefg.".repeat(32), NameError::NameTooLong);
    }

    #[test]
    fn names_without_escapes_are_what_they_are_with_escapes() {
        let origin = name("example.com.");
        for text in ["a", "a.", "www.a", "a.b.c.", "A-b_c.1", "a@b", "*", "a..b", ".a", "a..", "a.@"] {
            check_escaped(text, &origin);
        }
        for length in 62..66 {
            check_escaped(&"x".repeat(length), &origin);
            check_escaped(&format!("a.{}.", "x".repeat(length)), &origin);
        }
        for length in 225..260 {
            check_escaped(&"abcdefg.".repeat(40)[..length], &origin);
        }
    }

    /// With an escape, text takes the long way.
    #[track_caller]
    fn check_escaped(text: &str, origin: &Name) {
        let escaped: String = text
            .chars()
            .map(|c| if matches!(c, 'a' | 'x' | '*') { format!("\\{:03}", c as u32) } else { c.to_string() })
            .collect();
        let parse =
            |text: &str| Name::parse(text.as_bytes(), Some(origin)).map(|name| name.as_wire().to_vec());
        assert_eq!(parse(text), parse(&escaped), "{text}");
    }

    #[test]
    fn the_longest_name_has_255_octets() {
        let text = format!("{}{}.", "abcdefg.".repeat(31), "abcde");
        assert_eq!(name(&text).as_wire().len(), 255);
        let text = format!("{}{}.", "abcdefg.".repeat(31), "abcdef");
        assert_eq!(text.parse::<Name>(), Err(NameError::NameTooLong));
    }

    #[test]
    fn order_is_that_of_rfc_4034_section_6_1() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn keys_sort_as_names_do() {
        let mut names: Vec<Name> =
            ["b.a.", "a.", "\\000.a.", "\\001.a.", "\\001\\001.a.", "\\002.a.", "B.", "aa.", "x.b.a."]
                .map(name)
                .to_vec();
        let mut keys: Vec<_> = names.iter().map(|n| canonical_key(n.as_wire())).collect();
        names.sort();
        keys.sort();
        assert_eq!(names.iter().map(|n| canonical_key(n.as_wire())).collect::<Vec<_>>(), keys);
    }

    #[test]
    fn ancestors_match_at_label_boundaries_only() {
        assert!(name("www.example.com.").is_at_or_below(&name("EXAMPLE.com.")));
        assert!(!name("badexample.com.").is_at_or_below(&name("example.com.")));
        // The bytes of the ancestor stand inside a label: \007example\003com\000 as label text.
        let tricky = Name::from_wire(b"\x0cx\x07example\x03com\x00").err();
        assert_eq!(tricky, Some(NameError::Malformed));
        assert!(name("a.").is_below(&Name::root()));
        assert!(!Name::root().is_below(&Name::root()));
    }

    #[test]
    fn wire_names_are_checked() {
        assert_eq!(Name::from_wire(b"\x01a"), Err(NameError::Malformed));
        assert_eq!(Name::from_wire(b"\x01a\x00x"), Err(NameError::Malformed));
        assert_eq!(Name::from_wire(b"\xc0\x0c"), Err(NameError::Malformed));
        assert_eq!(wire_len(b"\x01a\x00rest"), Some(3));
    }
}
