//! Configurations with something changed: tokens left out, doubled, exchanged, moved and broken.

use crate::harness::rng::Rng;
use trimaran::config::statement_table::{OWN_STATEMENTS, STATEMENTS};

/// Words and signs that something can be exchanged for.
const EXTREMES: [&str; 48] = [
    "0",
    "1",
    "-1",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "99999999999999999999",
    "010",
    "0x10",
    "08",
    "1k",
    "1x",
    "100%",
    "0%",
    "-5%",
    "P1D",
    "PT1M",
    "P1Y2M3W",
    "1w2d",
    "yes",
    "no",
    "maybe",
    "none",
    "any",
    "unlimited",
    "default",
    "auto",
    "*",
    "127.0.0.1",
    "::1",
    "fe80::1%lo",
    "10/8",
    "10.0.0.1/8",
    "1.2.3",
    "!",
    "{",
    "}",
    ";",
    "/",
    "\"",
    "\"\"",
    "\"a b\"",
    "port",
    "key",
    "tls",
    "/* c */",
    "# c\n",
];

/// Cuts a text into words, strings, signs and what stands between them; nothing is lost.
pub(super) fn tokens(text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let is_word = |byte: &u8| !byte.is_ascii_whitespace() && !b"{};/!\"".contains(byte);
        let length = match text[at] {
            byte if byte.is_ascii_whitespace() => {
                text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
            }
            b'"' => text[at + 1..].iter().position(|byte| *byte == b'"').map_or(1, |end| end + 2),
            byte if is_word(&byte) => text[at..].iter().take_while(|byte| is_word(byte)).count(),
            _ => 1,
        };
        found.push(text[at..at + length].to_vec());
        at += length;
    }
    found
}

/// The end of the statement that begins at `start`: behind its semicolon, or at a brace that is not its own.
fn statement_end(tokens: &[Vec<u8>], start: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.as_slice() {
            b"{" => depth += 1,
            b"}" if depth == 0 => return at,
            b"}" => depth -= 1,
            b";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The start of a statement at or behind a place.
fn statement_start(tokens: &[Vec<u8>], from: usize) -> usize {
    let is_border = |token: &Vec<u8>| matches!(token.as_slice(), b"{" | b"}" | b";");
    tokens.iter().skip(from).position(is_border).map_or(tokens.len(), |offset| from + offset + 1)
}

/// Changes a text in a few places.
pub(super) fn mutate(rng: &mut Rng, text: &[u8], other: &[u8]) -> Vec<u8> {
    let mut tokens = tokens(text);
    for _ in 0..1 + rng.below(3) {
        if tokens.is_empty() {
            break;
        }
        change(rng, &mut tokens, other);
    }
    tokens.concat()
}

fn change(rng: &mut Rng, tokens: &mut Vec<Vec<u8>>, other: &[u8]) {
    let at = rng.below(tokens.len());
    match rng.below(13) {
        0 => drop(tokens.remove(at)),
        1 => tokens.insert(at, tokens[at].clone()),
        2 => {
            let second = rng.below(tokens.len());
            tokens.swap(at, second);
        }
        3 | 4 => tokens[at] = rng.pick(&EXTREMES).as_bytes().to_vec(),
        5 => {
            // This server's own statements are unknown to BIND.
            let name = rng.pick(STATEMENTS).name;
            if !OWN_STATEMENTS.contains(&name) {
                tokens[at] = name.as_bytes().to_vec();
            }
        }
        6 | 7 => {
            // A statement to another place, from here or from elsewhere.
            let source = if rng.chance(50) { tokens.clone() } else { self::tokens(other) };
            let start = statement_start(&source, rng.below(source.len().max(1)));
            let statement = source[start.min(source.len())..statement_end(&source, start)].to_vec();
            let place = statement_start(tokens, at).min(tokens.len());
            let _ = tokens.splice(place..place, statement).count();
        }
        8 => {
            let start = statement_start(tokens, at).min(tokens.len());
            let end = statement_end(tokens, start);
            let _ = tokens.drain(start..end.max(start)).count();
        }
        9 => {
            // A byte of a token.
            let token = &mut tokens[at];
            if !token.is_empty() {
                let place = rng.below(token.len());
                match rng.below(3) {
                    0 => drop(token.remove(place)),
                    1 => token[place] = *rng.pick(b"aZ09._-%*:;{}\"/!#\\\n\t @"),
                    _ => token.insert(place, *rng.pick(b"aZ09._-%*:;{}\"/!#\\\n\t @")),
                }
            }
        }
        10 => {
            let file =
                rng.pick(&["inc-top.conf", "inc-options.conf", "inc-odd.conf", "inc-*.conf", "nosuch"]);
            let include = format!("\ninclude \"{file}\";\n");
            let place = statement_start(tokens, at).min(tokens.len());
            tokens.insert(place, include.into_bytes());
        }
        11 => {
            // The file ends, perhaps inside something.
            tokens.truncate(at);
            let end = *rng.pick(&[
                "",
                "/*",
                " /*",
                " \"",
                "{",
                "{ /*",
                " 4294967296",
                "\ninclude \"inc-odd.conf\";",
            ]);
            tokens.push(end.as_bytes().to_vec());
        }
        _ => tokens
            .insert(at, rng.pick(&["/*", "//", "#", "\"", "{", "}", ";", "\n", " "]).as_bytes().to_vec()),
    }
}
