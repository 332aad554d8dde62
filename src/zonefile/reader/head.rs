//! What stands before RDATA: TTL and class in either order, and the type.

use super::{File, GiveUp, Reader, Step};
use crate::dns::{Class, RrType, rdata};
use crate::zonefile::RecordRef;
use crate::zonefile::diagnostics::{Kind, quoted};
use crate::zonefile::lexer::Line;

/// What may stand between owner and type.
pub(in crate::zonefile) struct TtlAndClass {
    /// Index of the TTL, if there is one.
    pub(in crate::zonefile) ttl_at: Option<usize>,
    /// The class and its index.
    pub(in crate::zonefile) class: Option<(Class, usize)>,
}

/// The head of a record: what stands before RDATA.
pub(in crate::zonefile) struct Head {
    /// Index of the TTL, if there is one.
    pub(in crate::zonefile) ttl_at: Option<usize>,
    pub(in crate::zonefile) rtype: RrType,
    /// Index of the type.
    pub(in crate::zonefile) type_at: usize,
    /// Index of the first RDATA token.
    pub(in crate::zonefile) rdata_at: usize,
}

impl Head {
    /// What to point at when the TTL is wrong: it may have come from elsewhere.
    pub(super) fn ttl_or_type_at(&self) -> usize {
        self.ttl_at.unwrap_or(self.type_at)
    }
}

impl<F: FnMut(RecordRef<'_>)> Reader<'_, F> {
    /// Reads `[TTL] [class]` in either order; the index of the token behind, and that token.
    pub(in crate::zonefile) fn ttl_and_class<'a>(
        &mut self,
        file: &File,
        line: &Line<'a>,
        first: usize,
    ) -> Step<(TtlAndClass, usize, &'a [u8])> {
        let mut at = first;
        let mut text = self.token(file, line, at)?;
        let mut found = TtlAndClass { ttl_at: None, class: parse_class(text).map(|class| (class, at)) };
        if found.class.is_some() {
            at += 1;
            text = self.token(file, line, at)?;
        }
        if let Ok(ttl) = rdata::parse_ttl(text) {
            self.ttl = self.limited(file, line.on_first_line(at), ttl);
            (self.ttl_known, found.ttl_at) = (true, Some(at));
            at += 1;
            text = self.token(file, line, at)?;
        }
        if found.class.is_none() {
            found.class = parse_class(text).map(|class| (class, at));
            if found.class.is_some() {
                at += 1;
                text = self.token(file, line, at)?;
            }
        }
        Ok((found, at, text))
    }

    /// Reads `[TTL] [class] type`.
    pub(in crate::zonefile) fn head(&mut self, file: &File, line: &Line<'_>, first: usize) -> Step<Head> {
        let (found, at, text) = self.ttl_and_class(file, line, first)?;
        let Some(rtype) = rdata::from_mnemonic(text) else {
            let kind = Kind::UnknownType(quoted(text));
            self.error(file, line.on_first_line(at), kind);
            return Err(GiveUp::Behind(at + 1));
        };
        self.check_class(file, line, found.class, at + 1)?;
        Ok(Head { ttl_at: found.ttl_at, rtype, type_at: at, rdata_at: at + 1 })
    }

    /// A zone is of one class (RFC 1035 §5.2). `read` tokens of the line have been read.
    pub(in crate::zonefile) fn check_class(
        &mut self,
        file: &File,
        line: &Line<'_>,
        class: Option<(Class, usize)>,
        read: usize,
    ) -> Step<()> {
        match class {
            None => Ok(()),
            // BIND: class 0 is as none.
            Some((found, _)) if found == self.options.class || found == Class(0) => Ok(()),
            Some((found, at)) => {
                let kind = Kind::WrongClass { found, zone: self.options.class };
                self.error(file, line.on_first_line(at), kind);
                Err(GiveUp::Behind(read))
            }
        }
    }
}

/// A class by its mnemonic or as CLASSnnn (RFC 3597 §5).
pub fn parse_class(text: &[u8]) -> Option<Class> {
    // Most tokens here are types or TTLs, which differ in length or in the first letter.
    let is = |mnemonic: &[u8]| mnemonic.eq_ignore_ascii_case(text);
    match (text.len(), text.first()?) {
        (2, b'I' | b'i') => return is(b"IN").then_some(Class::IN),
        (2, b'C' | b'c') => return is(b"CH").then_some(Class::CH),
        (2, b'H' | b'h') => return is(b"HS").then_some(Class::HS),
        (3, b'A' | b'a') => return is(b"ANY").then_some(Class::ANY),
        (4, b'N' | b'n') => return is(b"NONE").then_some(Class::NONE),
        (5, b'C' | b'c') => return is(b"CHAOS").then_some(Class::CH),
        (6, b'H' | b'h') => return is(b"HESIOD").then_some(Class::HS),
        (9, b'R' | b'r') => return is(b"RESERVED0").then_some(Class(0)),
        (6.., b'C' | b'c') => {}
        _ => return None,
    }
    let (prefix, digits) = text.split_at_checked(5)?;
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !prefix.eq_ignore_ascii_case(b"CLASS") || !is_number {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(Class)
}
