//! From tokens to statements: the reader of named.conf, which says what BIND's says and stops where it stops.
//!
//! ```text
//! lexer ─► Parser ── the table's row ──► grammar: Syntax ──► values (leaves) ──► Map of Entries
//!             └──► diagnostics, in the order in which they are found
//! ```
//!
//! `BIND:` a missing semicolon and an unknown statement are reported and passed over; every other error ends
//! the reading. The line of a value is the line that reading had come to when the value began, peeked tokens
//! included, because that is the line BIND reports.

use super::diagnostic::{Diagnostic, Position, Severity};
use super::grammar::Syntax;
use super::include;
use super::lexer::{Kind, Lexer, Token, Want};
use super::statements::{self, Compiled, Context, Treatment};
use super::tree::{Entry, Map};
use super::values::{Located, Value};
use std::path::PathBuf;

/// Deepest nesting of braces; BIND has no limit but its stack.
const DEPTH_MAX: usize = 100;
/// Most files open at once; BIND has no limit but that of the system.
const FILES_MAX: usize = 1000;

/// Reading cannot go on. Holds BIND's word for the reason, which is said if nothing else has been.
pub(super) struct Stop(pub(super) &'static str);

pub(super) type Parsed<T> = Result<T, Stop>;

/// BIND's name of the commonest reason.
pub(super) const UNEXPECTED_TOKEN: Stop = Stop("unexpected token");

/// How a complaint refers to the token it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Nothing,
    Near,
    Before,
    /// The token follows without a preposition.
    Token,
}

/// Most bytes of a token that a message quotes.
const QUOTED_BYTES_MAX: usize = 30;

/// Reads files.
pub(super) struct Parser {
    lexer: Lexer,
    token: Token,
    /// Whether the token was put back.
    ungotten: bool,
    seen_end: bool,
    /// Set while there is no token because of a fault.
    faulty: bool,
    line: u32,
    depth: usize,
    /// What relative names of include files are relative to: BIND changes its directory at `directory`.
    pub(super) directory: PathBuf,
    pub(super) diagnostics: Vec<Diagnostic>,
    has_errors: bool,
}

impl Parser {
    /// A reader of a text that is called `name` in diagnostics.
    pub(super) fn new(name: &str, text: &[u8]) -> Parser {
        let mut lexer = Lexer::default();
        lexer.open(name.into(), text.to_vec());
        Parser {
            lexer,
            token: Token { kind: Kind::End, text: String::new(), raw: String::new() },
            ungotten: false,
            seen_end: false,
            faulty: false,
            line: 0,
            depth: 0,
            directory: PathBuf::new(),
            diagnostics: Vec::new(),
            has_errors: false,
        }
    }

    /// Reads everything as statements of the top level; nothing if there is an error.
    pub(super) fn read(&mut self) -> Option<Map> {
        let found = self.statements(Context::Top);
        if self.has_errors {
            return None;
        }
        match found {
            Ok(map) => {
                self.get(Want::WORD).ok()?;
                if self.token.kind == Kind::End {
                    return Some(map);
                }
                self.complain(About::Near, "syntax error");
            }
            Err(Stop(reason)) => self.complain(About::Nothing, &format!("parsing failed: {reason}")),
        }
        None
    }

    // Tokens.

    /// Where a value that begins now is said to be.
    pub(super) fn position(&self) -> Position {
        Position { file: self.lexer.place().0, line: self.line }
    }

    /// Takes the next token.
    pub(super) fn get(&mut self, want: Want) -> Parsed<Token> {
        if self.seen_end {
            return Ok(self.token.clone());
        }
        let next = self.lexer.next(want);
        self.ungotten = false;
        self.line = self.lexer.place().1;
        match next {
            Ok(token) => {
                self.seen_end = token.kind == Kind::End;
                self.faulty = false;
                self.token = token;
                Ok(self.token.clone())
            }
            Err(fault) => {
                self.faulty = true;
                self.complain(About::Near, fault.text());
                Err(Stop(fault.text()))
            }
        }
    }

    pub(super) fn unget(&mut self) {
        if !self.seen_end {
            self.lexer.unget();
            self.ungotten = true;
        }
    }

    /// Looks at the next token without taking it.
    pub(super) fn peek(&mut self, want: Want) -> Parsed<Token> {
        let token = self.get(want)?;
        self.unget();
        Ok(token)
    }

    /// Takes a special character, which must be there.
    pub(super) fn special(&mut self, special: u8) -> Parsed<()> {
        if self.get(Want::WORD)?.is(special) {
            return Ok(());
        }
        Err(self.fail(About::Near, &format!("'{}' expected", char::from(special))))
    }

    /// Takes a semicolon; if there is none, says so and goes on.
    fn semicolon(&mut self) -> Parsed<()> {
        if !self.get(Want::WORD)?.is(b';') {
            self.complain(About::Before, "missing ';'");
            self.unget();
        }
        Ok(())
    }

    // Diagnostics.

    /// Reports an error that ends the reading.
    pub(super) fn fail(&mut self, about: About, text: &str) -> Stop {
        self.complain(about, text);
        UNEXPECTED_TOKEN
    }

    pub(super) fn complain(&mut self, about: About, text: &str) {
        self.has_errors = true;
        self.say(Severity::Error, about, text);
    }

    pub(super) fn warn(&mut self, severity: Severity, text: &str) {
        self.say(severity, About::Nothing, text);
    }

    fn say(&mut self, severity: Severity, about: About, text: &str) {
        let position = self.position();
        let mut text = text.to_owned();
        if about != About::Nothing {
            if self.ungotten && self.get(Want::WORD).is_err() {
                return;
            }
            text += match about {
                _ if self.faulty => " ",
                About::Near => " near ",
                About::Before => " before ",
                About::Token | About::Nothing => " ",
            };
            if !self.faulty {
                text += &self.quoted_token();
            }
        }
        self.diagnostics.push(Diagnostic { severity, position: Some(position), text });
    }

    fn quoted_token(&self) -> String {
        if self.token.kind == Kind::End {
            return "end of file".to_owned();
        }
        let raw = &self.token.raw;
        if raw.len() <= QUOTED_BYTES_MAX {
            return format!("'{raw}'");
        }
        let mut end = QUOTED_BYTES_MAX;
        while !raw.is_char_boundary(end) {
            end -= 1;
        }
        format!("'{}...'", &raw[..end])
    }

    // Statements.

    /// Reads statements up to something that is no word.
    fn statements(&mut self, context: Context) -> Parsed<Map> {
        let mut map = Map { context, position: self.position(), entries: Vec::new() };
        loop {
            let token = self.get(Want::WORD)?;
            if token.kind != Kind::Word {
                self.unget();
                return Ok(map);
            }
            if token.is_word("include") {
                self.include()?;
                continue;
            }
            let keyword = token.text.to_ascii_lowercase();
            match statements::find(context, &keyword) {
                Some(compiled) => self.statement(compiled, &mut map)?,
                None => {
                    self.complain(About::Token, "unknown option");
                    self.skip_unknown()?;
                    self.semicolon()?;
                }
            }
        }
    }

    fn statement(&mut self, compiled: &'static Compiled, map: &mut Map) -> Parsed<()> {
        let row = compiled.row;
        let name = row.name;
        match row.treatment {
            Treatment::Gone => {
                self.complain(About::Nothing, &format!("option '{name}' no longer exists"));
                return Err(Stop("failure"));
            }
            Treatment::NotBuilt => {
                self.complain(About::Nothing, &format!("option '{name}' was not enabled at compile time"));
                return Err(Stop("failure"));
            }
            Treatment::Deprecated => {
                self.warn(Severity::Deprecation, &format!("option '{name}' is deprecated"));
            }
            Treatment::Obsolete => {
                self.warn(Severity::Warning, &format!("option '{name}' is obsolete and should be removed "));
            }
            Treatment::Implemented | Treatment::Ignored | Treatment::Unsupported => {}
        }
        if !row.repeats && map.get(name).is_some() {
            self.complain(About::Near, &format!("'{name}' redefined"));
            return Err(Stop("already exists"));
        }
        let position = self.position();
        let mut values = Vec::new();
        self.sequence(&compiled.syntax, &mut values)?;
        let is_tuple = compiled.syntax.len() > 1;
        let entry = Entry { row, values, position, is_tuple };
        if name == "directory" {
            self.enter_directory(&entry)?;
        }
        map.entries.push(entry);
        self.semicolon()
    }

    /// Passes over what follows an unknown keyword: anything with balanced braces up to a semicolon.
    fn skip_unknown(&mut self) -> Parsed<()> {
        let mut braces = 0i64;
        loop {
            let token = self.peek(Want::WORD)?;
            match token.kind {
                Kind::Special(b'{') => braces += 1,
                Kind::Special(b'}') => braces -= 1,
                Kind::Special(b';') if braces == 0 => return Ok(()),
                _ => {}
            }
            if token.kind == Kind::End || braces < 0 {
                return Err(self.fail(About::Near, "unexpected token"));
            }
            self.get(Want::STRING)?;
        }
    }

    /// BIND: of several files that a pattern matches the last is read first.
    fn include(&mut self) -> Parsed<()> {
        let pattern = self.quoted_string()?;
        self.semicolon()?;
        let paths = include::expand(&self.directory, &pattern).map_err(|error| Stop(reason(&error)))?;
        for (name, path) in paths {
            if self.lexer.depth() >= FILES_MAX {
                self.complain(About::Nothing, &format!("open: {name}: too many open files"));
                return Err(Stop("too many open files"));
            }
            if path.is_dir() {
                // BIND opens it, and finds out when it reads.
                let position = Some(Position { file: name.into(), line: 1 });
                let text = "not a file ".to_owned();
                self.diagnostics.push(Diagnostic { severity: Severity::Error, position, text });
                self.has_errors = true;
                return Err(Stop("not a file"));
            }
            match std::fs::read(&path) {
                Ok(text) => self.lexer.open(name.into(), text),
                Err(error) => {
                    self.complain(About::Nothing, &format!("open: {name}: {}", reason(&error)));
                    return Err(Stop(reason(&error)));
                }
            }
        }
        Ok(())
    }

    fn enter_directory(&mut self, entry: &Entry) -> Parsed<()> {
        let name = entry.text().unwrap_or_default();
        let directory = self.directory.join(name);
        let failure = match std::fs::metadata(&directory) {
            Ok(found) if found.is_dir() => {
                self.directory = directory;
                return Ok(());
            }
            Ok(_) => "invalid file",
            Err(error) => reason(&error),
        };
        // BIND ends this line twice.
        let text = format!("change directory to '{name}' failed: {failure}\n");
        let position = entry.values.first().map(|value| value.position.clone());
        self.diagnostics.push(Diagnostic { severity: Severity::Error, position, text });
        Err(Stop(failure))
    }

    // Values.

    /// Reads a sequence of values.
    pub(super) fn sequence(&mut self, sequence: &[Syntax], out: &mut Vec<Located>) -> Parsed<()> {
        for (at, syntax) in sequence.iter().enumerate() {
            let before = out.len();
            self.one(syntax, out)?;
            // BIND prints a blank for a port that is not there, if words in any order may follow it.
            let is_absent = matches!(syntax, Syntax::Optional(_)) && out.len() == before;
            if is_absent && matches!(sequence.get(at + 1), Some(Syntax::AnyOrder(_))) {
                self.push(Value::Spaced(Vec::new()), out);
            }
        }
        Ok(())
    }

    fn one(&mut self, syntax: &Syntax, out: &mut Vec<Located>) -> Parsed<()> {
        match syntax {
            Syntax::Label(word) => {
                if !self.peek(Want::WORD)?.is_word(word) {
                    return Err(self.fail(About::Near, &format!("expected '{word}'")));
                }
                self.get(Want::WORD)?;
                self.push(Value::Label(word), out);
            }
            Syntax::Leaf(leaf) => self.leaf(*leaf, out)?,
            Syntax::Words(words) => {
                let value = self.word_of(words)?;
                self.push(value, out);
            }
            Syntax::OptionalWords(words) => {
                if self.peeks_word_of(words)? {
                    let value = self.word_of(words)?;
                    self.push(value, out);
                }
            }
            Syntax::WordsOr(words, leaf) => {
                if self.peeks_word_of(words)? {
                    let value = self.word_of(words)?;
                    self.push(value, out);
                } else {
                    self.leaf(*leaf, out)?;
                }
            }
            Syntax::LeafOr(leaf, words) => self.leaf_or(*leaf, words, out)?,
            Syntax::WordOrList(word, element) => {
                if self.peek(Want::WORD)?.is(b'{') {
                    self.list(element, out)?;
                } else if self.peek(Want::WORD)?.is_word(word) {
                    self.get(Want::WORD)?;
                    self.push(Value::Word(word, (*word).to_owned()), out);
                } else {
                    // BIND says nothing more about it.
                    return Err(UNEXPECTED_TOKEN);
                }
            }
            Syntax::Optional(inner) => {
                if self.starts(inner)? {
                    self.sequence(inner, out)?;
                }
            }
            Syntax::AnyOrder(alternatives) => self.any_order(alternatives, out)?,
            Syntax::List(element) => self.list(element, out)?,
            Syntax::Block(context) => {
                self.special(b'{')?;
                let position = self.position();
                self.deeper()?;
                let map = self.statements(*context)?;
                self.special(b'}')?;
                self.depth -= 1;
                out.push(Located { value: Value::Map(map), position });
            }
        }
        Ok(())
    }

    pub(super) fn push(&self, value: Value, out: &mut Vec<Located>) {
        out.push(Located { value, position: self.position() });
    }

    pub(super) fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fail(About::Nothing, "braces are nested too deeply"));
        }
        Ok(())
    }

    pub(super) fn shallower(&mut self) {
        self.depth -= 1;
    }

    fn peeks_word_of(&mut self, words: &[&'static str]) -> Parsed<bool> {
        let token = self.peek(Want::WORD)?;
        Ok(words.iter().any(|word| token.is_word(word)))
    }

    /// Takes one of these words, which must be there.
    pub(super) fn word_of(&mut self, words: &[&'static str]) -> Parsed<Value> {
        let token = self.get(Want::WORD)?;
        if token.kind != Kind::Word {
            return Err(self.fail(About::Near, "expected unquoted string"));
        }
        let text = token.text.clone();
        match words.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
            Some(word) => Ok(Value::Word(word, text)),
            None => Err(self.fail(About::Nothing, &format!("'{text}' unexpected"))),
        }
    }

    fn leaf_or(
        &mut self,
        leaf: super::leaves::Leaf,
        words: &[&'static str],
        out: &mut Vec<Located>,
    ) -> Parsed<()> {
        let token = self.peek(Want::STRING)?;
        let Some(word) = words.iter().find(|word| token.is_word(word)) else {
            return self.leaf(leaf, out);
        };
        self.get(Want::WORD)?;
        self.push(Value::Word(word, (*word).to_owned()), out);
        Ok(())
    }

    /// Whether the next token begins what may be left out.
    fn starts(&mut self, sequence: &[Syntax]) -> Parsed<bool> {
        match sequence.first() {
            Some(Syntax::Label(word)) => Ok(self.peek(Want::WORD)?.is_word(word)),
            Some(Syntax::Leaf(leaf)) => leaf.starts(self),
            _ => Ok(true),
        }
    }

    fn any_order(
        &mut self,
        alternatives: &[(&'static str, Vec<Syntax>)],
        out: &mut Vec<Located>,
    ) -> Parsed<()> {
        let mut found: Vec<Option<Vec<Located>>> = alternatives.iter().map(|_| None).collect();
        loop {
            let token = self.peek(Want::STRING)?;
            if token.kind != Kind::Word {
                break;
            }
            let text = token.text.clone();
            let place = alternatives
                .iter()
                .zip(&found)
                .position(|((label, _), taken)| taken.is_none() && label.eq_ignore_ascii_case(&text));
            let Some(place) = place else {
                return Err(self.fail(About::Nothing, &format!("unexpected '{text}'")));
            };
            self.get(Want::WORD)?;
            let mut values = Vec::new();
            self.push(Value::Label(alternatives[place].0), &mut values);
            self.sequence(&alternatives[place].1, &mut values)?;
            found[place] = Some(values);
        }
        out.extend(found.into_iter().flatten().flatten());
        Ok(())
    }

    fn list(&mut self, element: &[Syntax], out: &mut Vec<Located>) -> Parsed<()> {
        self.special(b'{')?;
        let position = self.position();
        self.deeper()?;
        if let [Syntax::Leaf(super::leaves::Leaf::AddressMatchElement)] = element {
            let value = Value::Acl(self.match_list()?);
            self.depth -= 1;
            out.push(Located { value, position });
            return Ok(());
        }
        let mut elements = Vec::new();
        while !self.peek(Want::WORD)?.is(b'}') {
            let mut values = Vec::new();
            // What BIND reports about an element stands where the element begins to be read.
            let start = self.position();
            self.sequence(element, &mut values)?;
            if values.is_empty() {
                values.push(Located { value: Value::Spaced(Vec::new()), position: start });
            }
            elements.push(values);
            self.semicolon()?;
        }
        self.special(b'}')?;
        self.depth -= 1;
        out.push(Located { value: Value::List(elements), position });
        Ok(())
    }

    /// The elements of an address match list behind its brace, and the brace that closes it.
    pub(super) fn match_list(&mut self) -> Parsed<Vec<super::values::AclItem>> {
        let mut elements = Vec::new();
        while !self.peek(Want::WORD)?.is(b'}') {
            elements.push(self.match_element()?);
            self.semicolon()?;
        }
        self.special(b'}')?;
        Ok(elements)
    }
}

/// BIND's words for the commonest reasons why a file cannot be read.
pub(super) fn reason(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => "file not found",
        std::io::ErrorKind::PermissionDenied => "permission denied",
        std::io::ErrorKind::IsADirectory => "invalid file",
        _ => "unexpected error",
    }
}
