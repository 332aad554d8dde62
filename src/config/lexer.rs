//! Tokens of named.conf, as BIND's lexer cuts them.
//!
//! Words end at blanks, at a comment, and at the special characters `{ } ; / ! "`; so `10/8` is three
//! tokens. In quotes `\"` is a quote and every other backslash is itself. Comments are `/* */`, `//` and `#`.

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_until, take_while1};
use nom::combinator::value;
use nom::error::{Error, ErrorKind};
use nom::multi::many0_count;
use nom::{IResult, Parser};

/// What kind of token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Quoted,
    Open,
    Close,
    Semicolon,
    Slash,
    Bang,
    /// The file is at its end.
    End,
    /// The file ends inside a comment or a quoted string.
    Unfinished,
}

/// A token: where it starts, and its text with escapes of quotes removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    /// The line it starts on, from 1; the end of the file is on the line behind its last newline.
    pub(super) line: u32,
}

/// Cuts a whole file. The last token is `End` or `Unfinished`.
pub(super) fn tokens(source: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    loop {
        let (behind_blanks, ()) = blanks(rest).unwrap_or((rest, ()));
        line += newlines(rest, behind_blanks);
        let (behind, (kind, text)) = token(behind_blanks).unwrap_or_else(|_| {
            // Nothing can follow: either nothing is left, or it has no end.
            let kind = if behind_blanks.is_empty() { Kind::End } else { Kind::Unfinished };
            (&[], (kind, String::new()))
        });
        let passed = newlines(behind_blanks, behind);
        // BIND reports what has no end at the end.
        let line_of_token = if kind == Kind::Unfinished { line + passed } else { line };
        tokens.push(Token { kind, text, line: line_of_token });
        if matches!(kind, Kind::End | Kind::Unfinished) {
            return tokens;
        }
        (rest, line) = (behind, line + passed);
    }
}

/// How many lines end between `from` and its tail `to`.
fn newlines(from: &[u8], to: &[u8]) -> u32 {
    memchr::memchr_iter(b'\n', &from[..from.len() - to.len()]).count() as u32
}

fn token(input: &[u8]) -> IResult<&[u8], (Kind, String)> {
    let special =
        |kind: Kind, text: &'static str| value(kind, tag(text)).map(move |kind| (kind, text.to_owned()));
    alt((
        special(Kind::Open, "{"),
        special(Kind::Close, "}"),
        special(Kind::Semicolon, ";"),
        special(Kind::Bang, "!"),
        slash,
        quoted,
        word,
    ))
    .parse(input)
}

/// Blanks and comments, any number of them.
fn blanks(input: &[u8]) -> IResult<&[u8], ()> {
    let spaces = take_while1(|byte: u8| byte.is_ascii_whitespace() || byte == 0x0b);
    let to_end_of_line = |start| (tag(start), nom::combinator::opt(is_not("\n")));
    value(
        (),
        many0_count(alt((
            value((), spaces),
            value((), to_end_of_line("//")),
            value((), to_end_of_line("#")),
            value((), (tag("/*"), take_until("*/"), tag("*/"))),
        ))),
    )
    .parse(input)
}

/// A slash that does not open a comment: what [`blanks`] left standing at `/*` has no end.
fn slash(input: &[u8]) -> IResult<&[u8], (Kind, String)> {
    if input.starts_with(b"/*") {
        return Err(nom::Err::Error(Error::new(input, ErrorKind::Tag)));
    }
    value(Kind::Slash, tag("/")).map(|kind| (kind, "/".to_owned())).parse(input)
}

fn quoted(input: &[u8]) -> IResult<&[u8], (Kind, String)> {
    let (body, _) = tag("\"")(input)?;
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        match body.get(at..) {
            Some([b'\\', b'"', ..]) => {
                text.push(b'"');
                at += 2;
            }
            Some([b'\\', next, ..]) => {
                text.extend([b'\\', *next]);
                at += 2;
            }
            Some([b'"', behind @ ..]) => return Ok((behind, (Kind::Quoted, into_text(&text)))),
            Some([byte, ..]) => {
                text.push(*byte);
                at += 1;
            }
            _ => return Err(nom::Err::Error(Error::new(input, ErrorKind::Eof))),
        }
    }
}

fn word(input: &[u8]) -> IResult<&[u8], (Kind, String)> {
    take_while1(|byte: u8| !byte.is_ascii_whitespace() && !b"{};/!\"#\x0b".contains(&byte))
        .map(|bytes| (Kind::Word, into_text(bytes)))
        .parse(input)
}

/// Bytes that are not UTF-8 become U+FFFD: they show in the diagnostic of whatever refuses them.
fn into_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &[(Kind, &str, u32)]) {
        let found = tokens(source.as_bytes());
        let found: Vec<_> = found.iter().map(|t| (t.kind, t.text.as_str(), t.line)).collect();
        assert_eq!(found, expected, "{source:?}");
    }

    #[test]
    fn words_end_at_blanks_comments_and_special_characters() {
        use Kind::*;
        check(
            "a{b;}\n!10/8",
            &[
                (Word, "a", 1),
                (Open, "{", 1),
                (Word, "b", 1),
                (Semicolon, ";", 1),
                (Close, "}", 1),
                (Bang, "!", 2),
                (Word, "10", 2),
                (Slash, "/", 2),
                (Word, "8", 2),
                (End, "", 2),
            ],
        );
        check(
            "a#b\nc//d\n/* e\n */f/**/g",
            &[(Word, "a", 1), (Word, "c", 2), (Word, "f", 4), (Word, "g", 4), (End, "", 4)],
        );
    }

    #[test]
    fn quoted_strings_keep_everything_but_the_escape_of_a_quote() {
        use Kind::*;
        check(
            r#""a b;{}//" "x\"y" "\\" "\.""#,
            &[
                (Quoted, "a b;{}//", 1),
                (Quoted, "x\"y", 1),
                (Quoted, "\\\\", 1),
                (Quoted, "\\.", 1),
                (End, "", 1),
            ],
        );
        check("\"a\nb\" c", &[(Quoted, "a\nb", 1), (Word, "c", 2), (End, "", 2)]);
    }

    #[test]
    fn a_file_that_ends_inside_a_comment_or_quotes_is_unfinished() {
        check("a /* b\n", &[(Kind::Word, "a", 1), (Kind::Unfinished, "", 2)]);
        check("a \"b\n", &[(Kind::Word, "a", 1), (Kind::Unfinished, "", 2)]);
        check("a // b", &[(Kind::Word, "a", 1), (Kind::End, "", 1)]);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_end_the_reading() {
        check("\n", &[(Kind::End, "", 2)]);
        let found = tokens(b"\xff\xfe; \0;");
        assert_eq!(found.iter().filter(|t| t.kind == Kind::Semicolon).count(), 2);
    }
}
