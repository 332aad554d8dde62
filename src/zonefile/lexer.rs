//! Bytes to logical lines of tokens (RFC 1035 §5.1).
//!
//! [`piece`] is a nom parser whose leaves are driven by a table of byte classes; [`Lexer::next_line`] puts
//! pieces together until a line ends outside parentheses. Tokens borrow from the file and keep their
//! escapes. After an error the reader goes back to some place in the line and takes tokens one by one
//! ([`Lexer::token`]): where BIND does not expect a quoted string, a quote is a token of its own.

use memchr::{memchr, memchr3};
use nom::IResult;
use nom::error::{Error, ErrorKind};

use super::diagnostics::{Place, Span};
use crate::dns::rdata::Token;

/// Where the parameters of SVCB and HTTPS begin: behind priority and target.
pub(super) const PARAMS_AT: usize = 2;

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
    Nul,
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
    classes[0] = Class::Nul;
    classes
};

fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

/// The smallest unit that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Blanks, or a comment without its newline.
    Gap,
    Newline,
    /// A carriage return without a line feed.
    Return,
    Open,
    Close,
    Nul,
    Word(&'a [u8]),
    /// A word that the end of the file cuts in an escape.
    CutWord,
    /// The text between quotes, escapes still in it.
    Quoted(&'a [u8]),
    /// A quote that is not closed on its line; the text up to there.
    Unclosed(&'a [u8]),
}

type Parsed<'a, T> = IResult<&'a [u8], T>;

/// Takes one piece; an error only at the end of the input.
#[inline(always)]
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
        // BIND: a carriage return ends a line as well, but only a line feed is counted.
        Class::Return => match input.get(1) {
            Some(b'\n') => Ok((&input[2..], Piece::Newline)),
            _ => Ok((&input[1..], Piece::Return)),
        },
        Class::Comment => {
            let end = memchr(b'\n', input).unwrap_or(input.len());
            Ok((&input[end..], Piece::Gap))
        }
        Class::Open => Ok((&input[1..], Piece::Open)),
        Class::Close => Ok((&input[1..], Piece::Close)),
        Class::Quote => quoted(input),
        Class::Nul => Ok((&input[1..], Piece::Nul)),
    }
}

#[inline]
fn word(input: &[u8]) -> Parsed<'_, Piece<'_>> {
    let plain =
        |input: &[u8]| input.iter().position(|&byte| class(byte) != Class::Word).unwrap_or(input.len());
    let mut at = plain(input);
    while input.get(at) == Some(&b'\\') {
        // An escape takes the next byte with it, but not the end of the line.
        at += match input.get(at + 1) {
            None => return Ok((&[], Piece::CutWord)),
            Some(b'\n' | b'\r') => 1,
            Some(_) => 2,
        };
        at += plain(&input[at..]);
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
            _ => return Ok((&input[at..], Piece::Unclosed(&input[1..at]))),
        }
    }
    Ok((&input[input.len()..], Piece::Unclosed(&input[1..])))
}

/// A line, continued over newlines inside parentheses. Reused for every line of a file.
#[derive(Default)]
pub(super) struct Line<'a> {
    /// Whether it starts with a blank: the owner is inherited.
    pub(super) starts_blank: bool,
    pub(super) tokens: Vec<Token<'a>>,
    /// For each token the line number at the end of the one before, which is what BIND reports.
    lines: Vec<u32>,
    /// The number of the line its first token ends on; of the one it starts on, if it starts with a blank.
    pub(super) number: u32,
    /// Where it starts.
    start: Mark,
    /// The line number behind its end.
    pub(super) end_number: u32,
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

/// What no token can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LexError {
    /// A quote without another one on its line.
    UnbalancedQuotes,
    /// A quote without another one in the file.
    OpenQuotes,
    /// The same in `key="value"`.
    UnbalancedPair,
    OpenPair,
    /// A word whose last octet is a backslash, and the last one of the file.
    CutEscape,
    UnbalancedParentheses,
    /// The file ends inside parentheses.
    OpenParentheses,
    /// An octet that is zero; by itself only where no error has been yet.
    Nul,
}

impl LexError {
    /// BIND's result text.
    pub(super) fn reason(self) -> &'static str {
        match self {
            LexError::UnbalancedQuotes | LexError::UnbalancedPair => "unbalanced quotes",
            LexError::OpenQuotes | LexError::OpenPair | LexError::CutEscape => "unexpected end of input",
            LexError::UnbalancedParentheses | LexError::OpenParentheses => "unbalanced parentheses",
            LexError::Nul => "unexpected token",
        }
    }

    /// Whether it begins with an octet that is a token of its own where quotes are not expected.
    pub(super) fn is_special(self) -> bool {
        matches!(self, LexError::UnbalancedQuotes | LexError::OpenQuotes | LexError::Nul)
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
        if let (Some(error), Some(last)) = (self.error, self.tokens.get(first..).and_then(<[_]>::last))
            && is_pair(*last)
            && offset(file, last.text) + last.text.len() == self.error_at
        {
            self.error = match error {
                LexError::UnbalancedQuotes => Some(LexError::UnbalancedPair),
                LexError::OpenQuotes => Some(LexError::OpenPair),
                other => Some(other),
            };
            if self.error != Some(error) {
                self.tokens.pop();
                self.last_number = self.lines.pop().unwrap_or(self.last_number);
            }
        }
        let mut at = first;
        while at + 1 < self.tokens.len() {
            let (word, value) = (self.tokens[at], self.tokens[at + 1]);
            let start = offset(file, word.text);
            let adjacent = offset(file, value.text) == start + word.text.len() + 1;
            if is_pair(word) && value.quoted && adjacent {
                let text = &file[start..start + word.text.len() + value.text.len() + 2];
                self.tokens[at] = Token { text, quoted: false };
                self.tokens.remove(at + 1);
                self.lines.remove(at + 1);
            }
            at += 1;
        }
    }

    /// Where a token ends, as an offset in the file.
    pub(super) fn end_of(&self, token: usize) -> Option<usize> {
        self.span(token).filter(|_| token < self.tokens.len()).map(|span| span.end)
    }

    /// The line number at the end of a token.
    pub(super) fn number_behind(&self, token: usize) -> u32 {
        self.number_of(token + 1)
    }

    fn clear(&mut self, start: Mark) {
        self.starts_blank = false;
        self.tokens.clear();
        self.lines.clear();
        self.start = start;
        self.number = start.number;
        self.last_number = start.number;
        self.end_number = start.number;
        self.error = None;
        self.ends_file = false;
    }

    fn push(&mut self, text: &'a [u8], quoted: bool, number: u32) {
        if self.tokens.is_empty() && !self.starts_blank {
            self.number = number;
        }
        self.tokens.push(Token { text, quoted });
        self.lines.push(self.last_number);
        self.last_number = number;
    }
}

/// Whether a word ends with its first `=`.
fn is_pair(word: Token<'_>) -> bool {
    let mut bytes = word.text.iter();
    let mut is_escaped = false;
    let first = bytes.position(|&byte| {
        let is_equals = byte == b'=' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_equals
    });
    !word.quoted && first.is_some() && bytes.as_slice().is_empty()
}

fn offset(file: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - file.as_ptr() as usize
}

/// A place between tokens, to come back to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    at: usize,
    number: u32,
    depth: usize,
    fresh: bool,
}

/// One token, taken by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lexed<'a> {
    Word(&'a [u8]),
    Quoted,
    /// A quote or a zero octet by itself.
    Special,
    EndOfLine,
    EndOfFile,
}

/// Whether a quote begins a string.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    Expected,
    Special,
}

/// Walks one file.
pub(super) struct Lexer<'a> {
    file: &'a [u8],
    rest: &'a [u8],
    number: u32,
    /// Parentheses that are open; not zero between lines only after an error.
    depth: usize,
    /// Whether a line has ended right before; not so between lines only after an error.
    fresh: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(file: &'a [u8]) -> Lexer<'a> {
        Lexer { file, rest: file, number: 1, depth: 0, fresh: true }
    }

    /// For a file whose first line goes on one of another file, where so many parentheses are open.
    pub(super) fn within_line(file: &'a [u8], depth: usize) -> Lexer<'a> {
        Lexer { fresh: false, depth, ..Lexer::new(file) }
    }

    /// Leaves the parentheses that are open to another lexer, and says how many they are.
    pub(super) fn take_parentheses(&mut self) -> usize {
        std::mem::take(&mut self.depth)
    }

    /// How many bytes have been read.
    pub(super) fn position(&self) -> usize {
        self.file.len() - self.rest.len()
    }

    /// The whole file.
    pub(super) fn file(&self) -> &'a [u8] {
        self.file
    }

    /// The number of the line that is read next.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    fn mark(&self) -> Mark {
        let at = self.file.len() - self.rest.len();
        Mark { at, number: self.number, depth: self.depth, fresh: self.fresh }
    }

    fn go_to(&mut self, mark: Mark) {
        self.rest = &self.file[mark.at..];
        (self.number, self.depth, self.fresh) = (mark.number, mark.depth, mark.fresh);
    }

    /// Goes back into a line, behind its first `tokens` tokens.
    pub(super) fn rewind(&mut self, line: &Line<'a>, tokens: usize) {
        let end = tokens.checked_sub(1).and_then(|last| line.end_of(last));
        self.go_to(line.start);
        if line.starts_blank {
            self.fresh = false;
        }
        while end.is_some_and(|end| self.file.len() - self.rest.len() < end) {
            // Up to there the line has been read without an error before.
            if !matches!(self.token(Quotes::Expected), Ok(Lexed::Word(_) | Lexed::Quoted)) {
                return;
            }
        }
    }

    /// Whether parentheses are open behind the first `tokens` tokens of a line.
    pub(super) fn is_open_behind(&mut self, line: &Line<'a>, tokens: usize) -> bool {
        let here = self.mark();
        self.rewind(line, tokens);
        let is_open = self.depth > 0;
        self.go_to(here);
        is_open
    }

    /// Goes back into a line, behind its first `tokens` tokens, as if no parentheses were open.
    pub(super) fn rewind_closed(&mut self, line: &Line<'a>, tokens: usize) {
        self.rewind(line, tokens);
        self.depth = 0;
    }

    /// Takes one token. Blanks are nothing; newlines inside parentheses neither.
    pub(super) fn token(&mut self, quotes: Quotes) -> Result<Lexed<'a>, LexError> {
        while let Ok((rest, piece)) = piece(self.rest) {
            let before = self.rest;
            self.rest = rest;
            if !matches!(piece, Piece::Gap | Piece::Newline | Piece::Return) {
                self.fresh = false;
            }
            match piece {
                Piece::Gap => {}
                Piece::Newline | Piece::Return => {
                    self.count(piece);
                    self.fresh = true;
                    if self.depth == 0 {
                        return Ok(Lexed::EndOfLine);
                    }
                }
                Piece::Open => self.depth += 1,
                Piece::Close if self.depth > 0 => self.depth -= 1,
                Piece::Close => return Err(LexError::UnbalancedParentheses),
                Piece::Nul => return Ok(Lexed::Special),
                Piece::Word(text) => return Ok(Lexed::Word(text)),
                Piece::CutWord => return Err(LexError::CutEscape),
                Piece::Quoted(_) | Piece::Unclosed(_) if quotes == Quotes::Special => {
                    self.rest = &before[1..];
                    return Ok(Lexed::Special);
                }
                Piece::Quoted(text) => {
                    self.number = self.number.saturating_add(newlines(text));
                    return Ok(Lexed::Quoted);
                }
                Piece::Unclosed(text) => {
                    self.number = self.number.saturating_add(newlines(text));
                    return Err(unclosed(rest));
                }
            }
        }
        if std::mem::take(&mut self.depth) > 0 {
            Err(LexError::OpenParentheses)
        } else {
            Ok(Lexed::EndOfFile)
        }
    }

    /// Reads the next line into `line`; false at the end of the file.
    ///
    /// Ends at what no token can be made of: the next line begins behind it, or at the newline that came too
    /// early for a quote.
    pub(super) fn next_line(&mut self, line: &mut Line<'a>) -> bool {
        line.clear(self.mark());
        line.file = self.file;
        if self.rest.is_empty() && self.depth == 0 {
            return false;
        }
        let is_blank = |byte: &u8| matches!(class(*byte), Class::Blank);
        line.starts_blank = self.fresh && self.depth == 0 && self.rest.first().is_some_and(is_blank);
        self.fresh = false;
        let mut opened_at = 0;
        while let Ok((rest, piece)) = piece(self.rest) {
            let at = offset(self.file, self.rest);
            self.rest = rest;
            match piece {
                Piece::Gap => {}
                Piece::Newline | Piece::Return => {
                    self.count(piece);
                    if self.depth == 0 {
                        self.fresh = true;
                        line.end_number = self.number;
                        return true;
                    }
                }
                Piece::Open => {
                    if self.depth == 0 {
                        opened_at = at;
                    }
                    self.depth += 1;
                }
                Piece::Close if self.depth > 0 => self.depth -= 1,
                Piece::Word(text) => line.push(text, false, self.number),
                Piece::CutWord => return self.fail(line, LexError::CutEscape, at),
                Piece::Quoted(text) => {
                    // An escaped newline does not end the string.
                    self.number = self.number.saturating_add(newlines(text));
                    line.push(text, true, self.number);
                }
                Piece::Unclosed(text) => {
                    self.number = self.number.saturating_add(newlines(text));
                    return self.fail(line, unclosed(rest), at);
                }
                Piece::Close => return self.fail(line, LexError::UnbalancedParentheses, at),
                Piece::Nul => return self.fail(line, LexError::Nul, at),
            }
        }
        if std::mem::take(&mut self.depth) > 0 {
            self.fail(line, LexError::OpenParentheses, opened_at);
        }
        line.ends_file = true;
        line.end_number = self.number;
        true
    }

    /// Counts a newline, however many there are; a carriage return is none.
    #[inline]
    fn count(&mut self, piece: Piece<'_>) {
        self.number = self.number.saturating_add(u32::from(piece == Piece::Newline));
    }

    fn fail(&mut self, line: &mut Line<'a>, error: LexError, at: usize) -> bool {
        (line.error, line.error_at) = (Some(error), at);
        line.end_number = self.number;
        true
    }
}

/// An escaped newline does not end a string, but it is counted.
fn newlines(text: &[u8]) -> u32 {
    memchr::memchr_iter(b'\n', text).count() as u32
}

/// What a quote lacks, by what stands where the string stops.
fn unclosed(rest: &[u8]) -> LexError {
    if rest.is_empty() { LexError::OpenQuotes } else { LexError::UnbalancedQuotes }
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
        assert_eq!(lines("a\\"), ["1:!"]);
        assert_eq!(lines("\"a\\\nb\" c\nd\n"), ["2:\"a\\\nb\"|c", "3:d"]);
    }

    #[test]
    fn what_does_not_match_is_an_error_of_its_line() {
        assert_eq!(lines("a \"b\nc\n"), ["1:a!", "1:", "2:c"]);
        assert_eq!(lines("a ) b\nc\n"), ["1:a!", "1:b", "2:c"]);
        assert_eq!(lines("a\0b\n"), ["1:a!", "1:b"]);
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
