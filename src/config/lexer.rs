//! Tokens of named.conf, cut as BIND's lexer cuts them, one at a time and as the reader asks for them.
//!
//! ```text
//! files (a stack: an include file stands on the one that names it) ─► bytes ─► Token
//! ```
//!
//! What a token is depends on who asks ([`Want`]): `"` opens a string only where one may stand, digits are a
//! number only where one is wanted. Words end at blanks, at a comment and at `{ } ; / ! "`; so `10/8` is three
//! tokens. In quotes `\"` is a quote and every other backslash is itself. Comments are `/* */`, `//` and `#`.
//!
//! `BIND:` a comment inside a word ends the word one byte before its own end: `yes/**/;` is `yes`, `/`, `;`.

use std::sync::Arc;

/// What the reader would take besides words and special characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Want {
    /// A string in quotes.
    pub(super) quoted: bool,
    /// A decimal number.
    pub(super) number: bool,
    /// A number as in C: octal with a leading zero, hexadecimal with `0x`.
    pub(super) c_number: bool,
    /// Everything between a brace and the one that closes it.
    pub(super) braced: bool,
}

impl Want {
    pub(super) const WORD: Want = Want { quoted: false, number: false, c_number: false, braced: false };
    pub(super) const STRING: Want = Want { quoted: true, ..Want::WORD };
    pub(super) const NUMBER: Want = Want { number: true, ..Want::WORD };
    pub(super) const C_NUMBER: Want = Want { number: true, c_number: true, ..Want::WORD };
    pub(super) const BRACED: Want = Want { braced: true, ..Want::WORD };
}

/// What kind of token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Quoted,
    Number(u32),
    Special(u8),
    /// The text between braces.
    Braced,
    /// The first file is at its end.
    End,
}

/// A token: what it means, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// The text with escapes of quotes removed. BIND: a NUL ends it.
    pub(super) text: String,
    /// The bytes of the file.
    pub(super) raw: String,
}

impl Token {
    pub(super) fn is(&self, special: u8) -> bool {
        self.kind == Kind::Special(special)
    }

    /// Whether it is this word, in whatever case, without quotes.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file ends inside a comment, a string or a braced text.
    UnexpectedEnd,
    /// A number does not fit into 32 bits.
    OutOfRange,
}

impl Fault {
    /// BIND's words for it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Fault::UnexpectedEnd => "unexpected end of input",
            Fault::OutOfRange => "out of range",
        }
    }
}

struct Source {
    name: Arc<str>,
    text: Vec<u8>,
    at: usize,
    line: u32,
    /// Where the last token was asked for: position and line.
    before: (usize, u32),
}

/// The files that are being read.
#[derive(Default)]
pub(super) struct Lexer {
    sources: Vec<Source>,
}

impl Lexer {
    /// Reads on in another file; what is open now follows behind it.
    pub(super) fn open(&mut self, name: Arc<str>, text: Vec<u8>) {
        self.sources.push(Source { name, text, at: 0, line: 1, before: (0, 1) });
    }

    /// How many files are open.
    pub(super) fn depth(&self) -> usize {
        self.sources.len()
    }

    /// The file that is read, and the line that reading has come to.
    pub(super) fn place(&self) -> (Arc<str>, u32) {
        self.sources
            .last()
            .map_or_else(|| ("none".into(), 0), |source| (Arc::clone(&source.name), source.line))
    }

    /// The next token. The file that named an include file follows behind that file's end.
    pub(super) fn next(&mut self, want: Want) -> Result<Token, Fault> {
        loop {
            let is_first = self.sources.len() <= 1;
            let Some(source) = self.sources.last_mut() else {
                return Ok(Token { kind: Kind::End, text: String::new(), raw: String::new() });
            };
            let token = source.next(want)?;
            if token.kind != Kind::End || is_first {
                return Ok(token);
            }
            self.sources.pop();
        }
    }

    /// Puts the last token back.
    pub(super) fn unget(&mut self) {
        if let Some(source) = self.sources.last_mut() {
            (source.at, source.line) = source.before;
        }
    }
}

impl Source {
    fn next(&mut self, want: Want) -> Result<Token, Fault> {
        self.before = (self.at, self.line);
        let found = self.cut(want);
        let passed = self.text.get(self.before.0..self.at).unwrap_or_default();
        self.line = self.before.1 + memchr::memchr_iter(b'\n', passed).count() as u32;
        found
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn cut(&mut self, want: Want) -> Result<Token, Fault> {
        self.skip_blanks()?;
        let start = self.at;
        let Some(byte) = self.peek() else { return Ok(self.token(Kind::End, start, start, start)) };
        match byte {
            b'"' if want.quoted => self.quoted(start),
            b'{' if want.braced => self.braced(start),
            _ if is_special(byte) => {
                self.at += 1;
                Ok(self.token(Kind::Special(byte), start, start, self.at))
            }
            _ => self.word(start, want),
        }
    }

    fn token(&self, kind: Kind, start: usize, text_start: usize, text_end: usize) -> Token {
        let text = self.text.get(text_start..text_end).unwrap_or_default();
        Token {
            kind,
            text: into_text(text),
            raw: into_text(self.text.get(start..self.at).unwrap_or_default()),
        }
    }

    /// Blanks and comments, any number of them.
    fn skip_blanks(&mut self) -> Result<(), Fault> {
        while let Some(byte) = self.peek() {
            match (byte, self.text.get(self.at + 1)) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => self.at += 1,
                (b'/', Some(b'*')) => self.skip_block_comment()?,
                (b'/', Some(b'/')) | (b'#', _) => self.skip_line_comment(),
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn skip_block_comment(&mut self) -> Result<(), Fault> {
        let body = self.text.get(self.at + 2..).unwrap_or_default();
        match memchr::memmem::find(body, b"*/") {
            Some(length) => {
                self.at += 2 + length + 2;
                Ok(())
            }
            None => {
                self.at = self.text.len();
                Err(Fault::UnexpectedEnd)
            }
        }
    }

    /// Up to the newline, which stays.
    fn skip_line_comment(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn quoted(&mut self, start: usize) -> Result<Token, Fault> {
        let mut text = Vec::new();
        self.at += 1;
        loop {
            match (self.peek(), self.text.get(self.at + 1).copied()) {
                (Some(b'\\'), Some(b'"')) => {
                    text.push(b'"');
                    self.at += 2;
                }
                (Some(b'\\'), Some(next)) => {
                    text.extend([b'\\', next]);
                    self.at += 2;
                }
                (Some(b'"'), _) => {
                    self.at += 1;
                    let mut token = self.token(Kind::Quoted, start, start, start);
                    token.text = into_text(&text);
                    return Ok(token);
                }
                (Some(byte), _) => {
                    text.push(byte);
                    self.at += 1;
                }
                (None, _) => return Err(Fault::UnexpectedEnd),
            }
        }
    }

    fn braced(&mut self, start: usize) -> Result<Token, Fault> {
        let (mut depth, mut escaped) = (0u32, false);
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'{' if !escaped => depth += 1,
                b'}' if !escaped => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(self.token(Kind::Braced, start, start + 1, self.at - 1));
                    }
                }
                _ => {}
            }
            escaped = byte == b'\\' && !escaped;
        }
        Err(Fault::UnexpectedEnd)
    }

    fn word(&mut self, start: usize, want: Want) -> Result<Token, Fault> {
        let mut end = None;
        while let Some(byte) = self.peek() {
            if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                break;
            }
            match (byte, self.text.get(self.at + 1)) {
                (b'/', Some(b'*')) => {
                    end = Some(self.at);
                    self.skip_block_comment()?;
                    self.at -= 1;
                    break;
                }
                (b'/', Some(b'/')) | (b'#', _) => {
                    end = Some(self.at);
                    self.skip_line_comment();
                    break;
                }
                _ if is_special(byte) => break,
                _ => self.at += 1,
            }
        }
        let end = end.unwrap_or(self.at);
        let mut token = self.token(Kind::Word, start, start, end);
        if want.number && token.text.starts_with(|c: char| c.is_ascii_digit()) {
            match number(&token.text, want.c_number) {
                Some(Ok(number)) => token.kind = Kind::Number(number),
                Some(Err(fault)) => return Err(fault),
                None => {}
            }
        }
        Ok(token)
    }
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b';' | b'/' | b'"' | b'!')
}

/// A number, or nothing if it is a word after all.
fn number(text: &str, c_number: bool) -> Option<Result<u32, Fault>> {
    // BIND: `x` makes it hexadecimal, but the digits behind it must be decimal ones.
    let (digits, radix) = match text.strip_prefix('0') {
        Some(rest) if c_number && rest.starts_with(['x', 'X']) => (&rest[1..], 16),
        Some(rest) if c_number && !rest.is_empty() => (rest, 8),
        _ => (text, 10),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if radix == 8 && digits.bytes().any(|byte| byte > b'7') {
        return None;
    }
    Some(u32::from_str_radix(digits, radix).map_err(|_| Fault::OutOfRange))
}

/// Bytes that are not UTF-8 become U+FFFD: they show in the diagnostic of whatever refuses them.
fn into_text(bytes: &[u8]) -> String {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts a whole text; `want` holds for every token.
    fn check(source: &str, want: Want, expected: &[(Kind, &str, u32)]) {
        let mut lexer = Lexer::default();
        lexer.open("f".into(), source.as_bytes().to_vec());
        let mut found = Vec::new();
        loop {
            let token = lexer.next(want).unwrap();
            if token.kind == Kind::End {
                break;
            }
            found.push((token.kind, token.text, lexer.place().1));
        }
        let found: Vec<_> = found.iter().map(|(kind, text, line)| (*kind, text.as_str(), *line)).collect();
        assert_eq!(found, expected, "{source:?}");
    }

    #[test]
    fn words_end_at_blanks_comments_and_special_characters() {
        use Kind::*;
        check(
            "a{b;}\n!10/8",
            Want::WORD,
            &[
                (Word, "a", 1),
                (Special(b'{'), "{", 1),
                (Word, "b", 1),
                (Special(b';'), ";", 1),
                (Special(b'}'), "}", 1),
                (Special(b'!'), "!", 2),
                (Word, "10", 2),
                (Special(b'/'), "/", 2),
                (Word, "8", 2),
            ],
        );
        check("a#b\nc//d\n /* e\n */ f", Want::WORD, &[(Word, "a", 1), (Word, "c", 2), (Word, "f", 4)]);
        check("f/**/g", Want::WORD, &[(Word, "f", 1), (Special(b'/'), "/", 1), (Word, "g", 1)]);
        check(
            "\"a\" \"",
            Want::WORD,
            &[(Special(b'"'), "\"", 1), (Word, "a", 1), (Special(b'"'), "\"", 1), (Special(b'"'), "\"", 1)],
        );
    }

    #[test]
    fn quoted_strings_keep_everything_but_the_escape_of_a_quote() {
        use Kind::Quoted;
        check(
            r#""a b;{}//" "x\"y" "\\" "\.""#,
            Want::STRING,
            &[(Quoted, "a b;{}//", 1), (Quoted, "x\"y", 1), (Quoted, "\\\\", 1), (Quoted, "\\.", 1)],
        );
        check("\"a\nb\" c", Want::STRING, &[(Quoted, "a\nb", 2), (Kind::Word, "c", 2)]);
    }

    #[test]
    fn numbers_are_words_where_nobody_asks_for_them() {
        use Kind::{Number, Word};
        check("5 x5 5x", Want::NUMBER, &[(Number(5), "5", 1), (Word, "x5", 1), (Word, "5x", 1)]);
        check(
            "010 0x10 0x1f 089 0",
            Want::C_NUMBER,
            &[
                (Number(8), "010", 1),
                (Number(16), "0x10", 1),
                (Word, "0x1f", 1),
                (Word, "089", 1),
                (Number(0), "0", 1),
            ],
        );
        check("010", Want::NUMBER, &[(Number(10), "010", 1)]);
        check("{ a { b\n} c }", Want::BRACED, &[(Kind::Braced, " a { b\n} c ", 2)]);
    }

    #[test]
    fn a_file_that_ends_inside_something_is_a_fault() {
        for (source, want) in
            [("/* b\n", Want::WORD), ("\"b\n", Want::STRING), ("{ {}", Want::BRACED), ("a/*", Want::WORD)]
        {
            let mut lexer = Lexer::default();
            lexer.open("f".into(), source.as_bytes().to_vec());
            assert_eq!(lexer.next(want), Err(Fault::UnexpectedEnd), "{source:?}");
        }
        let mut lexer = Lexer::default();
        lexer.open("f".into(), b"4294967296".to_vec());
        assert_eq!(lexer.next(Want::NUMBER), Err(Fault::OutOfRange));
    }

    #[test]
    fn the_file_that_includes_another_follows_behind_it() {
        let mut lexer = Lexer::default();
        lexer.open("outer".into(), b"a b".to_vec());
        lexer.next(Want::WORD).unwrap();
        lexer.open("inner".into(), b"\nc".to_vec());
        assert_eq!(lexer.next(Want::WORD).unwrap().text, "c");
        assert_eq!(lexer.place(), ("inner".into(), 2));
        lexer.unget();
        assert_eq!(lexer.next(Want::WORD).unwrap().text, "c");
        assert_eq!(lexer.next(Want::WORD).unwrap().text, "b");
        assert_eq!(lexer.place(), ("outer".into(), 1));
        assert_eq!(lexer.next(Want::WORD).unwrap().kind, Kind::End);
    }
}
