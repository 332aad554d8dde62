//! The language that the table of statements is written in, and how a statement is read by it.
//!
//! ```text
//! port                        this word                  <integer>       a value of this type
//! [ port <integer> ]          may be left out; neighbours in brackets come in any order
//! ( yes | no | <integer> )    one of these               { <string>; ... }   a list
//! { @options }                statements of that context
//! ```
//!
//! It is the notation of named.conf(5), so that a row can be compared with BIND's page by eye. What a reading
//! gives is a flat sequence of values in the order of the file.

use super::diagnostic::Position;
use super::grammar::{Form, Item, Statement};
use super::statements::Context;
use super::values::{self, AclItem, Leaf, Value};

/// One element of a syntax.
#[derive(Clone, Debug)]
pub(super) enum Syntax {
    Word(&'static str),
    Leaf(Leaf),
    Optional(Vec<Syntax>),
    Choice(Vec<Vec<Syntax>>),
    List(Vec<Syntax>),
    Block(Context),
    /// A block that nobody looks into.
    Unspecified,
}

/// Reads the notation. Panics on a row that is not well formed: a test reads every row.
pub(super) fn compile(notation: &'static str) -> Vec<Syntax> {
    let mut words = notation.split_whitespace().flat_map(split_punctuation).peekable();
    let syntax = compile_until(&mut words, &[]);
    assert!(words.next().is_none(), "unbalanced brackets in {notation:?}");
    syntax
}

/// `<string>;` is two words.
fn split_punctuation(word: &'static str) -> impl Iterator<Item = &'static str> {
    let (body, tail) = word.strip_suffix(';').map_or((word, None), |body| (body, Some(";")));
    std::iter::once(body).chain(tail)
}

fn compile_until(
    words: &mut std::iter::Peekable<impl Iterator<Item = &'static str>>,
    closing: &[&str],
) -> Vec<Syntax> {
    let mut sequence = Vec::new();
    while let Some(word) = words.next_if(|word| !closing.contains(word)) {
        sequence.push(match word {
            "[" => {
                let inner = compile_until(words, &["]"]);
                words.next();
                Syntax::Optional(inner)
            }
            "(" => {
                let mut choices = Vec::new();
                loop {
                    choices.push(compile_until(words, &["|", ")"]));
                    if words.next() != Some("|") {
                        break Syntax::Choice(choices);
                    }
                }
            }
            "{" => compile_braces(words),
            other => match other.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
                Some(leaf) => Syntax::Leaf(Leaf::named(leaf)),
                None => Syntax::Word(other),
            },
        });
    }
    sequence
}

fn compile_braces(words: &mut std::iter::Peekable<impl Iterator<Item = &'static str>>) -> Syntax {
    let inner = compile_until(words, &["}", ";"]);
    let ends: Vec<_> = words.by_ref().take_while(|word| *word != "}").collect();
    match inner.as_slice() {
        [Syntax::Word(word)] if word.starts_with('@') => Syntax::Block(Context::named(&word[1..])),
        [Syntax::Leaf(Leaf::UnspecifiedText)] => Syntax::Unspecified,
        _ => {
            assert_eq!(ends, [";", "..."], "a list is written {{ element; ... }}");
            Syntax::List(inner)
        }
    }
}

/// Why a statement does not fit its syntax.
pub(super) struct Misfit {
    pub(super) position: Position,
    pub(super) text: String,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) value: Value,
    pub(super) position: Position,
}

/// Takes items from the front of a statement.
pub(super) struct Cursor<'a> {
    pub(super) items: &'a [Item],
    end: &'a Position,
    /// Blocks of statements are read by the caller, who knows the contexts.
    pub(super) misfits: Vec<Misfit>,
}

impl<'a> Cursor<'a> {
    /// At the items of `statement` behind the first `skip`.
    pub(super) fn new(statement: &'a Statement, skip: usize) -> Cursor<'a> {
        Cursor {
            items: statement.items.get(skip..).unwrap_or_default(),
            end: &statement.end,
            misfits: Vec::new(),
        }
    }

    pub(super) fn peek(&self) -> Option<&'a Item> {
        self.items.first()
    }

    pub(super) fn take(&mut self) -> Option<&'a Item> {
        let (first, rest) = self.items.split_first()?;
        self.items = rest;
        Some(first)
    }

    /// Where the next item is, or the semicolon behind the last.
    pub(super) fn position(&self) -> Position {
        self.peek().map_or(self.end, |item| &item.position).clone()
    }

    /// What a diagnostic names as the place.
    pub(super) fn near(&self) -> &'a str {
        self.items.first().map_or(";", Item::near)
    }

    /// `text near 'x'`.
    pub(super) fn misfit(&self, expected: &str) -> Misfit {
        Misfit { position: self.position(), text: format!("{expected} near '{}'", self.near()) }
    }

    /// Reads a sequence; what was understood stays in `out` even if the rest does not fit.
    pub(super) fn read(&mut self, sequence: &[Syntax], out: &mut Vec<Located>) -> Result<(), Misfit> {
        let mut at = 0;
        while at < sequence.len() {
            let brackets = sequence[at..].iter().take_while(|s| matches!(s, Syntax::Optional(_))).count();
            if brackets > 0 {
                self.read_optional(&sequence[at..at + brackets], out)?;
                at += brackets;
            } else {
                self.read_one(&sequence[at], out)?;
                at += 1;
            }
        }
        Ok(())
    }

    /// Neighbours in brackets: each at most once, in any order.
    fn read_optional(&mut self, brackets: &[Syntax], out: &mut Vec<Located>) -> Result<(), Misfit> {
        let mut open: Vec<&[Syntax]> = Vec::with_capacity(brackets.len());
        open.extend(
            brackets
                .iter()
                .filter_map(|s| if let Syntax::Optional(inner) = s { Some(&**inner) } else { None }),
        );
        while let Some(found) = open.iter().position(|inner| self.starts(inner)) {
            self.read(open.remove(found), out)?;
        }
        Ok(())
    }

    fn read_one(&mut self, syntax: &Syntax, out: &mut Vec<Located>) -> Result<(), Misfit> {
        let position = self.position();
        let value = match syntax {
            Syntax::Word(word) => {
                if !self.starts(std::slice::from_ref(syntax)) {
                    return Err(self.misfit(&format!("expected '{word}'")));
                }
                self.take();
                Value::Word(word)
            }
            Syntax::Leaf(leaf) => values::read(*leaf, self)?,
            Syntax::Choice(choices) => {
                let Some(chosen) = choices.iter().find(|choice| self.starts(choice)) else {
                    return Err(self.no_choice(choices));
                };
                return self.read(chosen, out);
            }
            Syntax::List(element) => {
                let Some(Item { form: Form::Block(block), .. }) = self.peek() else {
                    return Err(self.misfit("'{' expected"));
                };
                self.take();
                if let [Syntax::Leaf(Leaf::AddressMatchElement)] = element.as_slice() {
                    Value::Acl(values::read_match_list(block, &mut self.misfits))
                } else {
                    Value::List(read_list(element, &block.statements, &mut self.misfits))
                }
            }
            Syntax::Block(context) => {
                let Some(Item { form: Form::Block(block), .. }) = self.take_block() else {
                    return Err(self.misfit("'{' expected"));
                };
                Value::Unread(*context, block.clone())
            }
            Syntax::Unspecified => {
                if self.take_block().is_none() {
                    return Err(self.misfit("'{' expected"));
                }
                Value::Unspecified
            }
            Syntax::Optional(inner) => return self.read_optional(&[Syntax::Optional(inner.clone())], out),
        };
        out.push(Located { value, position });
        Ok(())
    }

    fn take_block(&mut self) -> Option<&'a Item> {
        self.peek().filter(|item| matches!(item.form, Form::Block(_)))?;
        self.take()
    }

    /// Whether the next item can begin this sequence.
    fn starts(&self, sequence: &[Syntax]) -> bool {
        let (Some(first), Some(item)) = (sequence.first(), self.peek()) else { return sequence.is_empty() };
        match first {
            Syntax::Word(word) => matches!(&item.form, Form::Word(text) if text.eq_ignore_ascii_case(word)),
            Syntax::Leaf(leaf) => leaf.starts(item),
            Syntax::Choice(choices) => choices.iter().any(|choice| self.starts(choice)),
            Syntax::Optional(inner) => self.starts(inner) || self.starts(&sequence[1..]),
            Syntax::List(_) | Syntax::Block(_) | Syntax::Unspecified => matches!(item.form, Form::Block(_)),
        }
    }

    /// BIND names the type of the last resort, or just what it found if there are only words.
    fn no_choice(&self, choices: &[Vec<Syntax>]) -> Misfit {
        let has =
            |leaf: Leaf| choices.iter().any(|c| matches!(c.first(), Some(Syntax::Leaf(l)) if *l == leaf));
        let star = choices.iter().any(|c| matches!(c.first(), Some(Syntax::Word("*"))));
        let expected = match (has(Leaf::Ipv4Address), has(Leaf::Ipv6Address)) {
            (true, true) if has(Leaf::RemoteServers) => "expected IP address or remote servers list name",
            (true, true) if star => "expected IP address or '*'",
            (true, true) => "expected IP address",
            (true, false) if star => "expected IPv4 address or '*'",
            (true, false) => "expected IPv4 address",
            (false, true) if star => "expected IPv6 address or '*'",
            (false, true) => "expected IPv6 address",
            (false, false) if has(Leaf::Percentage) && has(Leaf::SizeValue) => {
                "expected integer and optional unit or percent"
            }
            _ => match choices.iter().filter_map(|c| c.first()).find_map(|s| s.as_leaf()) {
                Some(leaf) => leaf.expectation(),
                None => {
                    return Misfit {
                        position: self.position(),
                        text: format!("'{}' unexpected", self.near()),
                    };
                }
            },
        };
        self.misfit(expected)
    }
}

impl Syntax {
    fn as_leaf(&self) -> Option<Leaf> {
        if let Syntax::Leaf(leaf) = self { Some(*leaf) } else { None }
    }
}

/// Reads the elements of a list; each that does not fit is reported and left out.
fn read_list(element: &[Syntax], statements: &[Statement], misfits: &mut Vec<Misfit>) -> Vec<Vec<Located>> {
    let mut elements = Vec::with_capacity(statements.len());
    for statement in statements {
        let mut cursor = Cursor::new(statement, 0);
        loop {
            let mut values = Vec::new();
            let result = cursor.read(element, &mut values);
            misfits.append(&mut cursor.misfits);
            if let Err(misfit) = result {
                misfits.push(misfit);
                break;
            }
            elements.push(values);
            // What is left over is the next element, its separator was forgotten.
            let Some(next) = cursor.peek() else { break };
            misfits.push(missing_semicolon(next));
        }
    }
    elements
}

/// The complaint about an item that should have been another statement.
pub(super) fn missing_semicolon(next: &Item) -> Misfit {
    Misfit { position: next.position.clone(), text: format!("missing ';' before '{}'", next.near()) }
}

/// The elements of a match list value, for readers of [`Located`].
pub(super) fn as_match_list(values: &[Located]) -> Option<&[AclItem]> {
    values
        .iter()
        .find_map(|located| if let Value::Acl(items) = &located.value { Some(&**items) } else { None })
}
