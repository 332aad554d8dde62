//! Damage to zone files: bytes, tokens and lines, where the grammar has its corners.

use super::rdata::TYPES;
use crate::harness::rng::Rng;

/// No mutated file gets longer.
const FILE_BYTES_MAX: usize = 200_000;
/// The most records that one `$GENERATE` of a mutated file makes.
const GENERATED_MAX: u64 = 2_000;
/// What is put in between bytes.
const INSERTIONS: [&[u8]; 34] = [
    b"(",
    b")",
    b"\"",
    b"\\",
    b"\r",
    b"\0",
    b"\xff",
    b"\xc3\xa4",
    b";",
    b"\n",
    b"\n\n",
    b" ",
    b"\t",
    b".",
    b"..",
    b"@",
    b"$",
    b"*",
    b"\\#",
    b"\\000",
    b"\\255",
    b"\\256",
    b"\\1",
    b"\r\n",
    b"\"\"",
    b"()",
    b"(\n",
    b"\n)",
    b"-",
    b",",
    b"\x0c",
    b"\x1a",
    b"\x7f",
    b"_",
];
const NUMBERS: [&str; 18] = [
    "0",
    "1",
    "-1",
    "+1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "00",
    "1.5",
    "0x1",
    "1e3",
    "99999999999999999999999",
];
const DIRECTIVES: [&str; 22] = [
    "$TTL 0",
    "$TTL 1w",
    "$TTL",
    "$TTL x",
    "$TTL 4294967295",
    "$ORIGIN .",
    "$ORIGIN sub",
    "$ORIGIN",
    "$ORIGIN a..b",
    "$ORIGIN other.",
    "$INCLUDE",
    "$INCLUDE /nonexistent",
    "$GENERATE 1-3 h$ A 192.0.2.$",
    "$GENERATE 1-2 $ CNAME x",
    "$GENERATE 2-1 a A 192.0.2.1",
    "$GENERATE",
    "$DATE 20250101000000",
    "$DATE",
    "$DATE x",
    "$UNKNOWN x",
    "$",
    "$GENERATE 0-1 @ TXT \"$\" $",
];
const HEADS: [&str; 26] = [
    "IN",
    "CH",
    "HS",
    "CLASS1",
    "CLASS3",
    "ANY",
    "NONE",
    "0",
    "60",
    "1h",
    "2147483648",
    "4294967296",
    "IN 60",
    "60 IN",
    "IN IN",
    "60 60",
    "TYPE1",
    "TYPE65280",
    "TYPE65536",
    "TSIG",
    "OPT",
    "MD",
    "MAILB",
    "SIG",
    "FOO",
    "\"A\"",
];

/// A changed copy of `text`; lines and tokens of `other` may come in.
pub(crate) fn mutate(rng: &mut Rng, text: &[u8], other: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    let count = 1 + if rng.chance(50) { 0 } else { rng.below(5) };
    for _ in 0..count {
        step(rng, &mut text, other);
        text.truncate(FILE_BYTES_MAX);
    }
    bound_generate(&mut text);
    text
}

fn step(rng: &mut Rng, text: &mut Vec<u8>, other: &[u8]) {
    match rng.below(17) {
        0 => flip(rng, text),
        1..4 => insert(rng, text),
        4 => remove(rng, text),
        5 => change_tokens(rng, text, |_, tokens, at| {
            tokens.remove(at);
        }),
        6 => change_tokens(rng, text, |_, tokens, at| tokens.insert(at, tokens[at].clone())),
        7 => change_tokens(rng, text, |rng, tokens, at| {
            let with = rng.below(tokens.len());
            tokens.swap(at, with);
        }),
        8 => change_tokens(rng, text, |rng, tokens, at| tokens[at] = rng.pick(&NUMBERS).as_bytes().to_vec()),
        9 => change_tokens(rng, text, |rng, tokens, at| tokens[at] = rng.pick(&HEADS).as_bytes().to_vec()),
        10 => change_tokens(rng, text, |rng, tokens, at| tokens[at] = rng.pick(&TYPES).0.as_bytes().to_vec()),
        11 => change_tokens(rng, text, |rng, tokens, at| {
            let end: &[u8] = if rng.chance(90) { b"\"" } else { b"" };
            tokens[at] = [b"\"", &tokens[at][..], end].concat();
        }),
        12 => change_lines(rng, text, |rng, lines, at| {
            lines.insert(at, rng.pick(&DIRECTIVES).as_bytes().to_vec())
        }),
        13 => change_lines(rng, text, |rng, lines, at| {
            lines.splice(at..at, slice_of_lines(rng, other));
        }),
        14 => change_lines(rng, text, |rng, lines, at| {
            let with = rng.below(lines.len());
            lines.swap(at, with);
        }),
        15 => change_lines(rng, text, |_, lines, at| {
            lines.remove(at);
        }),
        _ => stretch(rng, text),
    }
}

fn flip(rng: &mut Rng, text: &mut [u8]) {
    if !text.is_empty() {
        let at = rng.below(text.len());
        text[at] = if rng.chance(50) { text[at] ^ 1 << rng.below(8) } else { rng.bits() as u8 };
    }
}

fn insert(rng: &mut Rng, text: &mut Vec<u8>) {
    let at = rng.below(text.len() + 1);
    text.splice(at..at, rng.pick(&INSERTIONS).iter().copied());
}

fn remove(rng: &mut Rng, text: &mut Vec<u8>) {
    let from = rng.below(text.len() + 1);
    let to = (from + 1 + rng.below(8)).min(text.len());
    // Mostly a few bytes; now and then the rest of the file.
    text.drain(from..if rng.chance(5) { text.len() } else { to });
}

/// Makes one token long: labels, names, strings and digits have their limits.
fn stretch(rng: &mut Rng, text: &mut Vec<u8>) {
    let length = *rng.pick(&[63, 64, 128, 255, 256, 600, 5_000, 66_000]);
    change_tokens(rng, text, |rng, tokens, at| {
        let unit = *rng.pick::<&[u8]>(&[b"a", b"a.", b"1", b"ab", b"\\097", b"0f", b"AAAA"]);
        let mut long: Vec<u8> = unit.iter().copied().cycle().take(length).collect();
        if rng.chance(50) {
            long.extend(&tokens[at]);
        }
        tokens[at] = long;
    });
}

/// Applies a change to the tokens of one line, with the index of one of them; blanks between them become single.
fn change_tokens(rng: &mut Rng, text: &mut Vec<u8>, change: impl FnOnce(&mut Rng, &mut Vec<Vec<u8>>, usize)) {
    change_lines(rng, text, |rng, lines, at| {
        let line = &lines[at];
        let starts_blank = line.first().is_some_and(u8::is_ascii_whitespace);
        let mut tokens: Vec<Vec<u8>> = line
            .split(u8::is_ascii_whitespace)
            .filter(|token| !token.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        if tokens.is_empty() {
            return;
        }
        let chosen = rng.below(tokens.len());
        change(rng, &mut tokens, chosen);
        let joined = tokens.join(&b' ');
        lines[at] = if starts_blank { [b" ", &joined[..]].concat() } else { joined };
    });
}

/// Applies a change to the lines, with the index of one of them.
fn change_lines(rng: &mut Rng, text: &mut Vec<u8>, change: impl FnOnce(&mut Rng, &mut Vec<Vec<u8>>, usize)) {
    let mut lines: Vec<Vec<u8>> = text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    let at = rng.below(lines.len());
    change(rng, &mut lines, at);
    *text = lines.join(&b'\n');
}

fn slice_of_lines(rng: &mut Rng, text: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    let from = rng.below(lines.len());
    lines[from..].iter().take(1 + rng.below(4)).map(|line| line.to_vec()).collect()
}

/// Takes the meaning from every `$GENERATE` that would make too much.
fn bound_generate(text: &mut [u8]) {
    const DIRECTIVE: &[u8] = b"$generate";
    for at in 0..text.len().saturating_sub(DIRECTIVE.len()) {
        let (directive, behind) = text[at..].split_at(DIRECTIVE.len());
        if directive.eq_ignore_ascii_case(DIRECTIVE) && generated(behind) > GENERATED_MAX {
            text[at + 1] = b'X';
        }
    }
}

/// How many records the range that is first in `text` makes at most.
fn generated(text: &[u8]) -> u64 {
    let mut numbers = text[..text.len().min(400)]
        .split(|byte| !byte.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| {
            std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX)
        });
    let (start, stop) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    stop.saturating_sub(start)
}
