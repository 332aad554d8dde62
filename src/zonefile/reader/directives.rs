//! `$TTL`, `$INCLUDE`, and BIND's `$DATE`; `$ORIGIN` is a name in another place, `$GENERATE` has a module of its own.

use std::io;
use std::path::PathBuf;

use super::{File, GiveUp, Reader, Step};
use crate::dns::{Name, rdata};
use crate::zonefile::RecordRef;
use crate::zonefile::diagnostics::{Kind, Place, up_to_zero};
use crate::zonefile::lexer::{Lexer, Line, Quotes};
use crate::zonefile::source::{self, unreadable};

/// How deep `$INCLUDE` may nest.
const INCLUDE_DEPTH_MAX: usize = 32;

impl<F: FnMut(RecordRef<'_>)> Reader<'_, F> {
    pub(in crate::zonefile) fn default_ttl(&mut self, file: &File, line: &Line<'_>) -> Step<()> {
        let text = match self.token(file, line, 1) {
            Ok(text) => text,
            Err(how) => {
                // BIND: a `$TTL` without a TTL counts as one all the same.
                if matches!(how, GiveUp::Skip) {
                    self.ttl = 0;
                    self.default_ttl = self.default_ttl.or(Some(0));
                }
                return Err(how);
            }
        };
        match rdata::parse_ttl(text) {
            Ok(ttl) => self.ttl = self.limited(file, line.on_first_line(1), ttl),
            Err(reason) => {
                let reason = if reason == "out of range" { reason } else { "bad ttl" };
                self.error(file, line.on_first_line(1), Kind::BadTtl(reason));
                self.ttl = 0;
            }
        }
        self.default_ttl = Some(self.ttl);
        self.expect_end(file, line, 2)
    }

    /// `$DATE time`: when a cache was dumped. It changes nothing, but forbids `$INCLUDE`.
    pub(in crate::zonefile) fn date(&mut self, file: &File, line: &Line<'_>) -> Step<()> {
        let text = self.token(file, line, 1)?;
        let seconds = match rdata::parse_date(text) {
            Ok(seconds) => seconds,
            Err(reason) => {
                self.error(file, line.on_first_line(1), Kind::Syntax(reason));
                0i64
            }
        };
        let Ok(seconds) = u32::try_from(seconds) else {
            self.stopped = true;
            self.error(file, line.on_first_line(1), Kind::DateOutsideEpoch);
            return Err(GiveUp::NextLine);
        };
        match self.options.now {
            Some(now) if seconds > now => {
                self.dated = false;
                self.warn(file, line.on_first_line(1), Kind::DateInFuture);
            }
            now => self.dated = now != Some(seconds),
        }
        self.expect_end(file, line, 2)
    }

    /// The path behind `$INCLUDE`, and whether an origin follows.
    pub(in crate::zonefile) fn included(
        &mut self,
        file: &mut File,
        line: &Line<'_>,
    ) -> Step<(Vec<u8>, bool)> {
        self.commit_all(file);
        if self.dated {
            self.stopped = true;
            self.error(file, line.on_first_line(0), Kind::IncludeWithDate);
            return Err(GiveUp::NextLine);
        }
        let Some(path) = line.tokens.get(1) else { return Err(self.missing(file, line, Quotes::Expected)) };
        // BIND: takes escapes for what they are, but for that of a quote in quotes.
        let text = up_to_zero(path.text);
        let path = if path.quoted { unescape_quotes(text) } else { text.to_vec() };
        match line.tokens.get(2) {
            Some(_) => self.token(file, line, 2).map(|_| (path, true)),
            None if line.error.is_some() => Err(self.missing(file, line, Quotes::Special)),
            None => {
                if line.ends_file {
                    self.warn(file, line.at(2), Kind::NoFinalNewline { behind_record: false });
                }
                Ok((path, false))
            }
        }
    }

    /// Reads a file as part of another: origin and current owner are as before afterwards (RFC 1035 §5.1).
    pub(in crate::zonefile) fn include(
        &mut self,
        file: &File,
        lexer: &mut Lexer<'_>,
        line: &Line<'_>,
        path: &[u8],
        origin: Option<Name>,
    ) -> Step<()> {
        let origin_changed = file.origin_changed || origin.is_some();
        let origin = origin.unwrap_or_else(|| file.origin.clone());
        let shown = String::from_utf8_lossy(path).into_owned();
        let path = PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path));
        // BIND: a file that includes itself runs out of file descriptors.
        let identity = source::identity(&path);
        if self.stack.len() >= INCLUDE_DEPTH_MAX || self.stack.contains(&identity) {
            let kind = Kind::Include { path: shown, reason: "too many open files" };
            self.error(file, line.on_first_line(1), kind);
            return Ok(());
        }
        match source::read(&path) {
            Ok(bytes) => {
                let mut part = File::new(shown.into(), origin);
                part.current.owner = file.owner().to_vec();
                part.drop = file.drop;
                part.origin_changed = origin_changed;
                // BIND: what an origin's line leaves open is open here, and the end of this file closes it.
                part.open_parentheses = lexer.take_parentheses();
                part.first_blanks_count = !line.ends_file && part.open_parentheses == 0;
                self.outcome.included.push(path);
                self.stack.push(identity);
                self.lines(&bytes, &mut part);
                if !self.stopped {
                    self.commit_all(&mut part);
                }
                self.stack.pop();
            }
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                let included = File::new(shown.into(), origin);
                self.error(&included, Place::line(1), Kind::NotAFile);
            }
            Err(error) => {
                let kind = Kind::Include { path: shown, reason: unreadable(&error).result() };
                self.error(file, line.on_first_line(1), kind);
            }
        }
        Ok(())
    }
}

/// Takes the backslash from every escaped quote.
fn unescape_quotes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (index, &byte) in text.iter().enumerate() {
        if byte == b'"' && index > 0 {
            out.pop();
        }
        out.push(byte);
    }
    out
}
