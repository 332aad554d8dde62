//! The language that the table of statements is written in.
//!
//! ```text
//! port                        this word                  <integer>         a value of this type
//! [ port <integer> ]          may be left out            ( yes | no )      one of these words
//! ( no | <integer> )          a word or a value          [ ( yes | no ) ]  one of these words or nothing
//! { <string>; ... }           a list                     { @options }      statements of that context
//! (* a <integer> | b <string> *)    any of these, each once and in any order; no other word may follow
//! (* *)                             no word may follow
//! ```
//!
//! It is the notation of named.conf(5) with the last line added, so that a row can be compared with BIND's page
//! by eye. Where BIND reads a value in a way of its own, the row names a type for it (`leaves` reads it).

use super::leaves::Leaf;
use super::statements::Context;

/// One element of a syntax.
#[derive(Clone, Debug)]
pub(super) enum Syntax {
    /// A word that must stand here.
    Label(&'static str),
    Leaf(Leaf),
    /// Words, printed as they are written.
    Words(Vec<&'static str>),
    /// The same, or nothing.
    OptionalWords(Vec<&'static str>),
    /// Words, or else a value.
    WordsOr(Vec<&'static str>, Leaf),
    /// Words, printed as the table has them, or else a value.
    LeafOr(Leaf, Vec<&'static str>),
    /// A word, or else a list.
    WordOrList(&'static str, Vec<Syntax>),
    Optional(Vec<Syntax>),
    AnyOrder(Vec<(&'static str, Vec<Syntax>)>),
    List(Vec<Syntax>),
    Block(Context),
}

type Words = std::iter::Peekable<std::vec::IntoIter<&'static str>>;

/// Reads the notation. Panics on a row that is not well formed: a test reads every row.
pub(super) fn compile(notation: &'static str) -> Vec<Syntax> {
    let words: Vec<_> = notation.split_whitespace().flat_map(split_punctuation).collect();
    let mut words = words.into_iter().peekable();
    let syntax = sequence(&mut words, &[]);
    assert!(words.next().is_none(), "unbalanced brackets in {notation:?}");
    syntax
}

/// `<string>;` is two words.
fn split_punctuation(word: &'static str) -> impl Iterator<Item = &'static str> {
    let (body, tail) = word.strip_suffix(';').map_or((word, None), |body| (body, Some(";")));
    std::iter::once(body).chain(tail)
}

fn sequence(words: &mut Words, closing: &[&str]) -> Vec<Syntax> {
    let mut found = Vec::new();
    while let Some(word) = words.next_if(|word| !closing.contains(word)) {
        found.push(match word {
            "[" => {
                let inner = sequence(words, &["]"]);
                words.next();
                match <[Syntax; 1]>::try_from(inner) {
                    Ok([Syntax::Words(words)]) => Syntax::OptionalWords(words),
                    Ok([one]) => Syntax::Optional(vec![one]),
                    Err(several) => Syntax::Optional(several),
                }
            }
            "(" => choice(alternatives(words, ")")),
            "(*" if words.next_if_eq(&"*)").is_some() => Syntax::AnyOrder(Vec::new()),
            "(*" => Syntax::AnyOrder(alternatives(words, "*)").into_iter().map(labelled).collect()),
            "{" => braces(words),
            other => leaf(other).map_or(Syntax::Label(other), Syntax::Leaf),
        });
    }
    found
}

fn leaf(word: &str) -> Option<Leaf> {
    word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).map(Leaf::named)
}

fn alternatives(words: &mut Words, end: &'static str) -> Vec<Vec<Syntax>> {
    let mut found = Vec::new();
    loop {
        found.push(sequence(words, &["|", end]));
        if words.next() != Some("|") {
            return found;
        }
    }
}

fn labelled(alternative: Vec<Syntax>) -> (&'static str, Vec<Syntax>) {
    let mut parts = alternative.into_iter();
    match parts.next() {
        Some(Syntax::Label(label)) => (label, parts.collect()),
        other => panic!("{other:?} is no label"),
    }
}

fn choice(alternatives: Vec<Vec<Syntax>>) -> Syntax {
    let starts_with_leaf = matches!(alternatives.first().map(Vec::as_slice), Some([Syntax::Leaf(_)]));
    let (mut words, mut leaves, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for alternative in alternatives {
        match <[Syntax; 1]>::try_from(alternative) {
            Ok([Syntax::Label(word)]) => words.push(word),
            Ok([Syntax::Leaf(leaf)]) => leaves.push(leaf),
            Ok([Syntax::List(element)]) => lists.push(element),
            other => panic!("{other:?} is no alternative"),
        }
    }
    match (leaves.as_slice(), lists.pop(), words.as_slice()) {
        ([], None, _) => Syntax::Words(words),
        ([leaf], None, _) if starts_with_leaf => Syntax::LeafOr(*leaf, words),
        ([leaf], None, _) => Syntax::WordsOr(words, *leaf),
        ([], Some(element), [word]) => Syntax::WordOrList(word, element),
        _ => panic!("{words:?}: too many kinds of alternatives"),
    }
}

fn braces(words: &mut Words) -> Syntax {
    let inner = sequence(words, &["}", ";"]);
    let ends: Vec<_> = words.by_ref().take_while(|word| *word != "}").collect();
    match inner.as_slice() {
        [Syntax::Label(word)] if word.starts_with('@') => Syntax::Block(Context::named(&word[1..])),
        _ => {
            assert_eq!(ends, [";", "..."], "a list is written {{ element; ... }}");
            Syntax::List(inner)
        }
    }
}
