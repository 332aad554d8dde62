//! Bytes to logical lines of tokens (RFC 1035 §5.1).
//!
//! [`piece`] is a nom parser whose leaves are driven by a table of byte classes; [`Lexer::next_line`] puts
//! pieces together until a line ends outside parentheses. Tokens borrow from the file and keep their
//! escapes.

use memchr::{memchr, memchr3};
use nom::IResult;
use nom::error::{Error, ErrorKind};

use super::diagnostics::{Place, Span};
use crate::dns::rdata::Token;

/// What a byte means to the lexer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Blank,
    Newline,
    Return,
    Comment,
    Open,
    Close,
    Quote,
    Escape,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Word; 256];
    classes[b' ' as usize] = Class::Blank;
    classes[b'\t' as usize] = Class::Blank;
    classes[b'\n' as usize] = Class::Newline;
    classes[b'\r' as usize] = Class::Return;
    classes[b';' as usize] = Class::Comment;
    classes[b'(' as usize] = Class::Open;
    classes[b')' as usize] = Class::Close;
    classes[b'"' as usize] = Class::Quote;
    classes[b'\\' as usize] = Class::Escape;
    classes
};

fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

/// The smallest unit that means something.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Blanks, or a comment without its newline.
    Gap,
    Newline,
    Open,
    Close,
    Word(&'a [u8]),
    /// The text between quotes, escapes still in it.
    Quoted(&'a [u8]),
    /// A quote that is not closed on its line; the rest of the line.
    Unclosed,
}

type Parsed<'a, T> = IResult<&'a [u8], T>;

/// Takes one piece; an error only at the end of the input.
fn piece(input: &[u8]) -> Parsed<'_, Piece<'_>> {
    let Some(&first) = input.first() else {
        return Err(nom::Err::Error(Error::new(input, ErrorKind::Eof)));
    };
    match class(first) {
        Class::Word | Class::Escape => word(input),
        Class::Blank => {
            let end = input.iter().position(|&byte| class(byte) != Class::Blank).unwrap_or(input.len());
            Ok((&input[end..], Piece::Gap))
        }
        Class::Newline => Ok((&input[1..], Piece::Newline)),
        // BIND: a carriage return ends a line as well, with a line feed behind it or without.
        Class::Return => Ok((input[1..].strip_prefix(b"\n").unwrap_or(&input[1..]), Piece::Newline)),
        Class::Comment => {
            let end = memchr(b'\n', input).unwrap_or(input.len());
            Ok((&input[end..], Piece::Gap))
        }
        Class::Open => Ok((&input[1..], Piece::Open)),
        Class::Close => Ok((&input[1..], Piece::Close)),
        Class::Quote => quoted(input),
    }
}

fn word(input: &[u8]) -> Parsed<'_, Piece<'_>> {
    let mut at = 0;
    while let Some(&byte) = input.get(at) {
        match class(byte) {
            Class::Word => at += 1,
            // An escape takes the next byte with it, but not the end of the line.
            Class::Escape => match input.get(at + 1) {
                Some(b'\n' | b'\r') | None => at += 1,
                Some(_) => at += 2,
            },
            _ => break,
        }
    }
    Ok((&input[at..], Piece::Word(&input[..at])))
}

fn quoted(input: &[u8]) -> Parsed<'_, Piece<'_>> {
    let mut at = 1;
    while let Some(found) = memchr3(b'"', b'\\', b'\n', &input[at..]) {
        at += found;
        match input[at] {
            b'"' => return Ok((&input[at + 1..], Piece::Quoted(&input[1..at]))),
            b'\\' if at + 1 < input.len() => at += 2,
            b'\\' => at += 1,
            _ => return Ok((&input[at..], Piece::Unclosed)),
        }
    }
    Ok((&input[input.len()..], Piece::Unclosed))
}

/// A line, continued over newlines inside parentheses. Reused for every line of a file.
#[derive(Default)]
pub(super) struct Line<'a> {
    /// Whether it starts with a blank: the owner is inherited.
    pub(super) starts_blank: bool,
    pub(super) tokens: Vec<Token<'a>>,
    /// For each token the line number at the end of the one before, which is what BIND reports.
    lines: Vec<u32>,
    /// The number of the line it starts on.
    pub(super) number: u32,
    /// The line number at the end of the last token.
    last_number: u32,
    /// What is wrong behind the last token.
    pub(super) error: Option<LexError>,
    /// Where in the file the quote or parenthesis stands that is wrong.
    error_at: usize,
    /// The file that the tokens are from.
    file: &'a [u8],
    /// Whether the file ends here without a newline.
    pub(super) ends_file: bool,
}

/// Parentheses or quotes that do not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LexError {
    UnbalancedQuotes,
    UnbalancedParentheses,
    /// The file ends inside parentheses.
    OpenParentheses,
}

impl LexError {
    /// BIND's result text.
    pub(super) fn reason(self) -> &'static str {
        match self {
            LexError::UnbalancedQuotes => "unbalanced quotes",
            LexError::UnbalancedParentheses | LexError::OpenParentheses => "unbalanced parentheses",
        }
    }
}

impl<'a> Line<'a> {
    /// Where a token is, with the line number that BIND reports for it.
    pub(super) fn at(&self, token: usize) -> Place {
        Place { line: self.number_of(token), span: self.span(token) }
    }

    /// The same for findings that BIND reports with the number of the line's start.
    pub(super) fn on_first_line(&self, token: usize) -> Place {
        Place { line: self.number, span: self.span(token) }
    }

    /// The bytes of a token, its quotes included. Behind the last one: what is wrong there, or its end.
    fn span(&self, token: usize) -> Option<Span> {
        if let Some(Token { text, quoted }) = self.tokens.get(token) {
            let (start, quotes) = (offset(self.file, text), usize::from(*quoted));
            return Some(Span { start: start - quotes, end: start + text.len() + quotes });
        }
        if self.error.is_some() {
            return Some(Span { start: self.error_at, end: self.error_at + 1 });
        }
        let end = self.span(self.tokens.len().checked_sub(1)?)?.end;
        Some(Span { start: end, end })
    }

    /// The line number to report for a token; for one behind the last that of the last one's end.
    fn number_of(&self, token: usize) -> u32 {
        self.lines.get(token).copied().unwrap_or(self.last_number)
    }

    /// The tokens from `first` on, in which `word=` and a quoted string right behind it are one token.
    ///
    /// BIND: only the lexer of SVCB parameters does so (RFC 9460 §2.1 would allow it nowhere else).
    pub(super) fn join_pairs(&mut self, first: usize, file: &'a [u8]) {
        let mut at = first;
        while at + 1 < self.tokens.len() {
            let (word, value) = (self.tokens[at], self.tokens[at + 1]);
            let start = offset(file, word.text);
            let adjacent = offset(file, value.text) == start + word.text.len() + 1;
            if !word.quoted && value.quoted && adjacent && word.text.ends_with(b"=") {
                let text = &file[start..start + word.text.len() + value.text.len() + 2];
                self.tokens[at] = Token { text, quoted: false };
                self.tokens.remove(at + 1);
                self.lines.remove(at + 1);
            }
            at += 1;
        }
    }

    fn clear(&mut self, number: u32) {
        self.starts_blank = false;
        self.tokens.clear();
        self.lines.clear();
        self.number = number;
        self.last_number = number;
        self.error = None;
        self.ends_file = false;
    }

    fn push(&mut self, text: &'a [u8], quoted: bool, number: u32) {
        self.tokens.push(Token { text, quoted });
        self.lines.push(self.last_number);
        self.last_number = number;
    }
}

fn offset(file: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - file.as_ptr() as usize
}

/// Walks one file.
pub(super) struct Lexer<'a> {
    file: &'a [u8],
    rest: &'a [u8],
    number: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(file: &'a [u8]) -> Lexer<'a> {
        Lexer { file, rest: file, number: 1 }
    }

    /// The whole file.
    pub(super) fn file(&self) -> &'a [u8] {
        self.file
    }

    /// Reads the next line into `line`; false at the end of the file.
    ///
    /// After an unclosed quote the line ends at its newline; after a stray `)` the rest of it is skipped.
    pub(super) fn next_line(&mut self, line: &mut Line<'a>) -> bool {
        line.clear(self.number);
        line.file = self.file;
        if self.rest.is_empty() {
            return false;
        }
        line.starts_blank = matches!(class(self.rest[0]), Class::Blank);
        let mut depth = 0usize;
        let mut opened_at = 0;
        while let Ok((rest, piece)) = piece(self.rest) {
            let at = offset(self.file, self.rest);
            self.rest = rest;
            match piece {
                Piece::Gap => {}
                Piece::Newline => {
                    self.number += 1;
                    if depth == 0 {
                        return true;
                    }
                }
                Piece::Open => {
                    if depth == 0 {
                        opened_at = at;
                    }
                    depth += 1;
                }
                Piece::Close if depth > 0 => depth -= 1,
                Piece::Close => {
                    (line.error, line.error_at) = (Some(LexError::UnbalancedParentheses), at);
                    self.skip_line();
                    return true;
                }
                Piece::Word(text) => line.push(text, false, self.number),
                Piece::Quoted(text) => {
                    // An escaped newline does not end the string.
                    self.number += memchr::memchr_iter(b'\n', text).count() as u32;
                    line.push(text, true, self.number);
                }
                Piece::Unclosed => {
                    (line.error, line.error_at) = (Some(LexError::UnbalancedQuotes), at);
                    self.skip_line();
                    return true;
                }
            }
        }
        if depth > 0 {
            (line.error, line.error_at) = (Some(LexError::OpenParentheses), opened_at);
            line.last_number = self.number;
        }
        line.ends_file = true;
        true
    }

    fn skip_line(&mut self) {
        let end = memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        self.number += u32::from(end > 0 && self.rest[end - 1] == b'\n');
        self.rest = &self.rest[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line as `number[blank]: token|"quoted"|...` with `!` for an error and `$` for no final newline.
    fn lines(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut line = Line::default();
        let mut found = Vec::new();
        while lexer.next_line(&mut line) {
            let tokens: Vec<String> = (line.tokens.iter())
                .map(|token| {
                    let text = String::from_utf8_lossy(token.text);
                    if token.quoted { format!("\"{text}\"") } else { text.into_owned() }
                })
                .collect();
            let blank = if line.starts_blank { "+" } else { "" };
            let error = if line.error.is_some() { "!" } else { "" };
            let end = if line.ends_file { "$" } else { "" };
            found.push(format!("{}{blank}:{}{error}{end}", line.number, tokens.join("|")));
        }
        found
    }

    #[test]
    fn lines_are_cut_into_tokens() {
        assert_eq!(lines("a b\n c ; d\n"), ["1:a|b", "2+:c"]);
        assert_eq!(lines("a (b ; x\n c)\nd\n"), ["1:a|b|c", "3:d"]);
        assert_eq!(lines("a \"b ; (c\" d\"e\"f\n"), ["1:a|\"b ; (c\"|d|\"e\"|f"]);
        assert_eq!(lines("a\\ b\\;c \"\\\"\"\n"), ["1:a\\ b\\;c|\"\\\"\""]);
        assert_eq!(lines("a\r\nb\r\n"), ["1:a", "2:b"]);
        assert_eq!(lines("a"), ["1:a$"]);
        assert_eq!(lines("\n;x\n"), ["1:", "2:"]);
        assert_eq!(lines("a\\"), ["1:a\\$"]);
        assert_eq!(lines("\"a\\\nb\" c\nd\n"), ["1:\"a\\\nb\"|c", "3:d"]);
    }

    #[test]
    fn what_does_not_match_is_an_error_of_its_line() {
        assert_eq!(lines("a \"b\nc\n"), ["1:a!", "2:c"]);
        assert_eq!(lines("a ) b\nc\n"), ["1:a!", "2:c"]);
        assert_eq!(lines("a ( b\nc\n"), ["1:a|b|c!$"]);
        assert_eq!(lines("\""), ["1:!"]);
    }

    #[test]
    fn a_token_is_reported_on_the_line_where_the_one_before_ends() {
        let mut lexer = Lexer::new(b"a (\n\n b\n c )\n");
        let mut line = Line::default();
        assert!(lexer.next_line(&mut line));
        assert_eq!((0..4).map(|token| line.number_of(token)).collect::<Vec<_>>(), [1, 1, 3, 4]);
    }

    #[test]
    fn pairs_of_svcb_are_joined() {
        let file = b"a=\"b c\" d= \"e\" f\n";
        let mut lexer = Lexer::new(file);
        let mut line = Line::default();
        assert!(lexer.next_line(&mut line));
        line.join_pairs(0, file);
        let texts: Vec<&[u8]> = line.tokens.iter().map(|token| token.text).collect();
        assert_eq!(texts, [b"a=\"b c\"".as_slice(), b"d=", b"e", b"f"]);
    }
}
