//! POSIX extended regular expressions, as far as NAPTR asks: are they well formed, and how many groups have they?
//!
//! BIND: the rules are those of its own validator for the C locale, which is stricter than POSIX in places (`a**`)
//! and laxer in others (a `)` too many).

const CLASSES: [&[u8]; 12] = [
    b"alnum", b"digit", b"punct", b"alpha", b"graph", b"space", b"blank", b"lower", b"upper", b"cntrl",
    b"print", b"xdigit",
];
/// Longest repetition.
const BOUND_MAX: u32 = 255;

/// The number of groups of an expression; none if it is not well formed.
pub(super) fn groups(expression: &[u8]) -> Option<usize> {
    let mut parser =
        Parser { rest: expression, groups: 0, open: 0, atom: Atom::Missing, may_be_empty: false };
    while let Some(byte) = parser.next() {
        parser.step(byte)?;
    }
    (parser.open == 0 && parser.atom != Atom::Missing).then_some(parser.groups)
}

/// What stands in front.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Atom {
    /// Nothing that could be repeated or be an alternative.
    Missing,
    /// Something that may be repeated.
    Single,
    /// Something that may not be repeated (again).
    Repeated,
}

struct Parser<'a> {
    rest: &'a [u8],
    groups: usize,
    open: usize,
    atom: Atom,
    /// Whether the alternative may be empty: only right behind `(`.
    may_be_empty: bool,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes one element outside brackets.
    fn step(&mut self, byte: u8) -> Option<()> {
        self.atom = match byte {
            b'\\' => {
                let escaped = self.next()?;
                let reference = matches!(escaped, b'1'..=b'9');
                if reference && usize::from(escaped - b'0') > self.groups {
                    return None;
                }
                Atom::Single
            }
            b'[' => {
                self.bracket()?;
                Atom::Single
            }
            b'{' if self.peek().is_some_and(|next| next.is_ascii_digit()) => {
                self.bound()?;
                self.repeated()?
            }
            b'+' | b'*' | b'?' => self.repeated()?,
            b'(' => {
                self.groups += 1;
                self.open += 1;
                self.may_be_empty = true;
                Atom::Missing
            }
            b')' => {
                if self.open > 0 && self.atom == Atom::Missing && !self.may_be_empty {
                    return None;
                }
                self.open = self.open.saturating_sub(1);
                Atom::Single
            }
            b'|' => {
                if self.atom == Atom::Missing {
                    return None;
                }
                self.may_be_empty = false;
                Atom::Missing
            }
            b'^' | b'$' => Atom::Repeated,
            _ => Atom::Single,
        };
        Some(())
    }

    fn repeated(&self) -> Option<Atom> {
        (self.atom == Atom::Single).then_some(Atom::Repeated)
    }

    /// `low[,[high]]}`; the brace has been taken.
    fn bound(&mut self) -> Option<()> {
        let low = self.bound_number()?.unwrap_or(0);
        match self.next()? {
            b'}' => Some(()),
            b',' => {
                let high = self.bound_number()?;
                (self.next()? == b'}' && high.is_none_or(|high| low <= high)).then_some(())
            }
            _ => None,
        }
    }

    /// A number, if there is one; `None` if it is too large.
    fn bound_number(&mut self) -> Option<Option<u32>> {
        let mut number = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            let next = number.unwrap_or(0) * 10 + u32::from(digit - b'0');
            if next > BOUND_MAX {
                return None;
            }
            number = Some(next);
            self.next();
        }
        Some(number)
    }

    /// The members of a set up to `]`; the opening bracket has been taken.
    fn bracket(&mut self) -> Option<()> {
        if self.peek() == Some(b'^') {
            self.next();
        }
        let mut range = Range::Closed;
        // What the next member may not come before, if it ends a range; more than an octet for a longer element.
        let mut start = 0u16;
        let mut is_first = true;
        loop {
            let byte = self.next()?;
            match byte {
                b']' if !is_first => return Some(()),
                // Right behind `[` a bracket is a member, so there must be more.
                b']' if self.rest.is_empty() => return None,
                b'-' if !is_first && range != Range::Open => {
                    if range == Range::JustClosed {
                        return None;
                    }
                    range = Range::Open;
                }
                b'[' => match self.peek() {
                    Some(b'.') => {
                        start = self.element(b'.')?;
                        range = range.after_member();
                    }
                    Some(b'=') if range != Range::Open => {
                        self.element(b'=')?;
                    }
                    Some(b':') if range != Range::Open => self.class()?,
                    Some(b'=' | b':') => return None,
                    _ => {}
                },
                _ => {
                    if range == Range::Open && u16::from(byte) < start {
                        return None;
                    }
                    start = u16::from(byte);
                    range = range.after_member();
                }
            }
            is_first = false;
        }
    }

    /// What stands between `[.` and `.]` or `[=` and `=]`, as a number if it is one octet.
    fn element(&mut self, mark: u8) -> Option<u16> {
        self.next();
        let end = self.rest.windows(2).skip(1).position(|pair| pair == [mark, b']'])? + 1;
        let (element, rest) = self.rest.split_at(end);
        self.rest = &rest[2..];
        match element {
            [octet] => Some(u16::from(*octet)),
            _ => Some(256),
        }
    }

    /// `:name:]` of a class that exists.
    fn class(&mut self) -> Option<()> {
        self.next();
        let end = self.rest.windows(2).position(|pair| pair == b":]")?;
        let (name, rest) = self.rest.split_at(end);
        self.rest = &rest[2..];
        CLASSES.contains(&name).then_some(())
    }
}

/// Where a range `a-b` in brackets stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    Closed,
    /// Behind the hyphen.
    Open,
    /// Right behind the end of the range: another hyphen would have no start.
    JustClosed,
}

impl Range {
    fn after_member(self) -> Range {
        if self == Range::Open { Range::JustClosed } else { Range::Closed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_expressions_have_groups() {
        for (expression, expected) in [
            ("a", 0),
            ("^.*$", 0),
            ("(a)(b(c))", 3),
            ("()", 1),
            ("(a)\\1", 1),
            ("a{2}b{2,}c{2,255}", 0),
            ("a{,2}", 0),
            ("a{x", 0),
            ("[]x]", 0),
            ("[^]x]", 0),
            ("[-a-z0-9]", 0),
            ("[[:alpha:]_]", 0),
            ("[[.a.]-z]", 0),
            ("[[=a=]]", 0),
            ("a|b", 0),
            ("a)", 0),
        ] {
            assert_eq!(groups(expression.as_bytes()), Some(expected), "{expression}");
        }
    }

    #[test]
    fn others_have_none() {
        for expression in [
            "",
            "(",
            "(a",
            "*",
            "a**",
            "a+?",
            "^*",
            "|a",
            "a|",
            "(|a)",
            "(a|)",
            "a{256}",
            "a{2,1}",
            "a{2",
            "a{2x}",
            "[",
            "[]",
            "[a",
            "[z-a]",
            "[a-b-c]",
            "[a-z0-9-]",
            "[[:foo:]]",
            "[[:alpha]",
            "[a-[:alpha:]]",
            "[[.a]",
            "\\",
            "\\1",
            "(a)\\2",
        ] {
            assert_eq!(groups(expression.as_bytes()), None, "{expression}");
        }
    }
}
