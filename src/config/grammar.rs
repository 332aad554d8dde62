//! The statement tree: named.conf without knowing any statement.
//!
//! ```text
//! block     = { statement }            statement = item ... ;
//! item      = word | "string" | / | ! | { block }
//! ```
//!
//! Elements of lists (`10/8;` in an address match list) are statements too. Nothing is lost at an error:
//! the tree holds what could be read, with the diagnostics beside it.

use super::diagnostic::Position;
use super::lexer::{Kind, Token, tokens};
use std::sync::Arc;

/// Deepest nesting of braces; BIND has no limit but its stack.
const DEPTH_MAX: usize = 100;

/// An item of a statement.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) form: Form,
    pub(super) position: Position,
}

/// What an item is.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Word(String),
    Quoted(String),
    Slash,
    Bang,
    Block(Block),
}

impl Item {
    /// How diagnostics name the item: `near 'x'`.
    pub(super) fn near(&self) -> &str {
        match &self.form {
            Form::Word(text) => text,
            Form::Quoted(_) => "\"",
            Form::Slash => "/",
            Form::Bang => "!",
            Form::Block(_) => "{",
        }
    }
}

/// Items up to a semicolon.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) items: Vec<Item>,
    /// Where the semicolon is, or what stands in its place.
    pub(super) end: Position,
}

/// Statements in braces, or those of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) statements: Vec<Statement>,
}

/// A diagnostic of the tree: all of them are errors.
pub(super) type Complaint = (Position, String);

/// Reads a file.
pub(super) fn parse(file: &Arc<str>, source: &[u8]) -> (Block, Vec<Complaint>) {
    let mut parser = Parser { file, tokens: tokens(source).into_iter().peekable(), complaints: Vec::new() };
    let block = parser.file();
    (block, parser.complaints)
}

struct Parser<'a> {
    file: &'a Arc<str>,
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    complaints: Vec<Complaint>,
}

impl Parser<'_> {
    fn file(&mut self) -> Block {
        let mut all = Block::default();
        loop {
            all.statements.append(&mut self.block(0).statements);
            let (kind, position) = self.peek();
            match kind {
                Kind::Close => {
                    self.tokens.next();
                    self.complain(position, "syntax error near '}'");
                    // What usually stands behind a brace too many is its semicolon.
                    if self.peek().0 == Kind::Semicolon {
                        self.tokens.next();
                    }
                }
                Kind::Unfinished => {
                    self.complain(position, "unexpected end of input");
                    return all;
                }
                _ => return all,
            }
        }
    }

    /// Statements up to `}` or the end of the file, which stay unread.
    fn block(&mut self, depth: usize) -> Block {
        let mut block = Block::default();
        loop {
            match self.peek().0 {
                Kind::Close | Kind::End | Kind::Unfinished => return block,
                _ => block.statements.extend(self.statement(depth)),
            }
        }
    }

    /// Items up to the semicolon; nothing if a comment or string without an end cuts them off.
    fn statement(&mut self, depth: usize) -> Option<Statement> {
        let mut items = Vec::new();
        loop {
            let (kind, position) = self.peek();
            let form = match kind {
                Kind::Semicolon => {
                    self.tokens.next();
                    return Some(Statement { items, end: position });
                }
                Kind::Close => {
                    self.complain(position.clone(), "missing ';' before '}'");
                    return Some(Statement { items, end: position });
                }
                Kind::End => {
                    self.complain(position.clone(), "missing ';' before end of file");
                    return Some(Statement { items, end: position });
                }
                // Reported once, for the file.
                Kind::Unfinished => return None,
                Kind::Slash => Form::Slash,
                Kind::Bang => Form::Bang,
                Kind::Word => Form::Word(self.take_text()),
                Kind::Quoted => Form::Quoted(self.take_text()),
                Kind::Open => {
                    self.tokens.next();
                    let (block, closed) = self.braces(depth + 1);
                    items.push(Item { form: Form::Block(block), position });
                    if !closed {
                        // The brace that is missing has been reported; its semicolon need not be.
                        return Some(Statement { items, end: self.peek().1 });
                    }
                    continue;
                }
            };
            if matches!(form, Form::Slash | Form::Bang) {
                self.tokens.next();
            }
            items.push(Item { form, position });
        }
    }

    /// A block behind its opening brace, and whether the closing one was there.
    fn braces(&mut self, depth: usize) -> (Block, bool) {
        if depth > DEPTH_MAX {
            let position = self.peek().1;
            self.complain(position, "braces are nested too deeply");
            while !matches!(self.peek().0, Kind::End | Kind::Unfinished) {
                self.tokens.next();
            }
            return (Block::default(), false);
        }
        let block = self.block(depth);
        let (kind, position) = self.peek();
        match kind {
            Kind::Close => {
                self.tokens.next();
                return (block, true);
            }
            Kind::End => self.complain_once(position, "'}' expected near end of file"),
            _ => {}
        }
        (block, false)
    }

    fn peek(&mut self) -> (Kind, Position) {
        let token = self.tokens.peek().expect("reading stops at the last token, which says so");
        (token.kind, Position { file: Arc::clone(self.file), line: token.line })
    }

    fn take_text(&mut self) -> String {
        self.tokens.next().map(|token| token.text).unwrap_or_default()
    }

    fn complain(&mut self, position: Position, text: &str) {
        self.complaints.push((position, text.to_owned()));
    }

    /// For what every open brace would say again.
    fn complain_once(&mut self, position: Position, text: &str) {
        if !self.complaints.iter().any(|(_, said)| said == text) {
            self.complain(position, text);
        }
    }
}
