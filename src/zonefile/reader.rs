//! Lines to records: directives, inherited fields, TTL rules, and reading on after an error.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::commit::Commits;
use super::diagnostics::{Diagnostic, Kind, Place, Severity};
use super::lexer::{LexError, Lexer, Line, Quotes};
use super::{Check, Options, Outcome, RecordRef};
use crate::dns::rdata::{self, Token};
use crate::dns::{Class, Name, RrType, name};

/// How deep `$INCLUDE` may nest.
const INCLUDE_DEPTH_MAX: usize = 32;
/// BIND: so many octets of RDATA of one owner become part of the zone before the next ones are read.
const UNCOMMITTED_BYTES_MAX: usize = 65_537;
/// How often [`super::Progress`] is told: rarely enough to cost nothing.
const LINES_BETWEEN_NOTES: u32 = 4096;
/// Longest TTL (RFC 2181 §8).
const TTL_MAX: u32 = i32::MAX as u32;

/// What lasts over `$INCLUDE`.
pub(super) struct Reader<'s, F> {
    pub(super) zone: &'s Name,
    pub(super) options: &'s Options,
    sink: F,
    outcome: Outcome,
    pub(super) ttl: u32,
    pub(super) ttl_known: bool,
    default_ttl: Option<u32>,
    warned_1035: bool,
    pub(super) warned_expired: bool,
    pub(super) warned_old_dnssec: bool,
    /// Set when reading on makes no sense.
    pub(super) stopped: bool,
    /// Set while the rest of a line is not worth reading.
    pub(super) skipping: bool,
    /// `$ORIGIN` has been read, and the next name is the origin.
    pending_origin: bool,
    /// `$INCLUDE` of this file has been read, and the next name is its origin.
    pending_include: Option<Vec<u8>>,
    /// Whether `$DATE` tells of a time in the past.
    dated: bool,
    /// Whether the current owner has NS records.
    has_delegation: bool,
    /// Octets of RDATA since records were last committed.
    uncommitted: usize,
    /// The files being read, outermost first.
    stack: Vec<PathBuf>,
    rdata: Vec<u8>,
    /// What may not stand together is looked for only if there is such.
    commits: Option<Commits>,
}

/// Records of one owner, one after the other, which become part of the zone together.
#[derive(Clone, Default)]
pub(super) struct Run {
    /// The owner in wire format; empty before the first one.
    pub(super) owner: Vec<u8>,
    /// The RRsets so far: type, covered type, TTL.
    rrsets: Vec<(RrType, [u8; 2], u32)>,
    /// The line of the last record.
    last_line: u32,
}

/// What each file has of its own.
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) origin: Name,
    pub(super) current: Run,
    /// BIND: the addresses of the name servers just named stand between records of the current owner.
    glue: Run,
    in_glue: bool,
    /// The targets of the NS records of the current owner, in wire format.
    name_servers: Vec<Vec<u8>>,
    /// Whether the owner is outside the zone.
    pub(super) drop: bool,
    /// Whether `$ORIGIN` stood right before.
    origin_changed: bool,
}

impl File {
    pub(super) fn new(name: Arc<str>, origin: Name) -> File {
        File {
            name,
            origin,
            current: Run::default(),
            glue: Run::default(),
            in_glue: false,
            name_servers: Vec::new(),
            drop: false,
            origin_changed: true,
        }
    }

    /// The owner of the next record in wire format.
    pub(super) fn owner(&self) -> &[u8] {
        if self.in_glue { &self.glue.owner } else { &self.current.owner }
    }

    pub(super) fn owner_name(&self) -> Name {
        self.name_of(self.owner())
    }

    pub(super) fn name_of(&self, wire: &[u8]) -> Name {
        Name::from_wire(wire).unwrap_or_else(|_| self.origin.clone())
    }

    fn run(&mut self) -> &mut Run {
        if self.in_glue { &mut self.glue } else { &mut self.current }
    }
}

/// What may stand between owner and type.
pub(super) struct TtlAndClass {
    /// Index of the TTL, if there is one.
    pub(super) ttl_at: Option<usize>,
    /// The class and its index.
    pub(super) class: Option<(Class, usize)>,
}

/// The head of a record: what stands before RDATA.
pub(super) struct Head {
    /// Index of the TTL, if there is one.
    pub(super) ttl_at: Option<usize>,
    pub(super) rtype: RrType,
    /// Index of the type.
    pub(super) type_at: usize,
    /// Index of the first RDATA token.
    pub(super) rdata_at: usize,
}

impl Head {
    /// What to point at when the TTL is wrong: it may have come from elsewhere.
    fn ttl_or_type_at(&self) -> usize {
        self.ttl_at.unwrap_or(self.type_at)
    }
}

/// A line that is given up; what is wrong with it has been reported. Says how to read on.
pub(super) enum GiveUp {
    /// With the next line.
    NextLine,
    /// Where the lexer is, but not before the end of that line.
    Skip,
    /// Behind so many tokens of the line, but not before its end.
    Behind(usize),
    /// The same, where the end of the line was expected.
    Extra(usize),
    /// Behind the quote or zero octet that this token begins with, but not before the end of the line.
    Special(usize),
    /// The RDATA is wrong from this token of the line on.
    Rdata { token: usize, reason: &'static str },
    /// The RDATA is wrong because there is no token where the lexer has stopped.
    RdataEnd { reason: &'static str },
}

pub(super) type Step<T> = Result<T, GiveUp>;

impl<'s, F: FnMut(RecordRef<'_>)> Reader<'s, F> {
    pub(super) fn new(zone: &'s Name, options: &'s Options, sink: F) -> Reader<'s, F> {
        Reader {
            zone,
            options,
            sink,
            outcome: Outcome::default(),
            ttl: 0,
            ttl_known: false,
            default_ttl: None,
            warned_1035: false,
            warned_expired: false,
            warned_old_dnssec: false,
            stopped: false,
            skipping: false,
            pending_origin: false,
            pending_include: None,
            dated: false,
            has_delegation: false,
            uncommitted: 0,
            stack: Vec::new(),
            rdata: Vec::new(),
            commits: None,
        }
    }

    /// Looks for records that may not stand together at these owners as well.
    pub(super) fn watching(self, suspects: Option<Vec<Name>>) -> Reader<'s, F> {
        Reader { commits: suspects.map(|suspects| Commits::of(self.zone.clone(), suspects)), ..self }
    }

    pub(super) fn finish(self) -> Outcome {
        self.outcome
    }

    /// Reads the file that the zone is in.
    pub(super) fn read_file(&mut self, path: &Path) {
        let shown: Arc<str> = path.to_string_lossy().into();
        match read(path) {
            Ok(bytes) => {
                self.stack.push(identity(path));
                self.read_bytes(&bytes, shown, self.zone.clone());
                self.stack.pop();
            }
            Err(error) => {
                let kind = unreadable(&error);
                self.outcome.push(Diagnostic {
                    file: shown,
                    line: 1,
                    span: None,
                    severity: Severity::Error,
                    kind,
                });
            }
        }
    }

    /// Reads a file that is in memory already.
    pub(super) fn read_bytes(&mut self, bytes: &[u8], shown: Arc<str>, origin: Name) {
        let mut file = File::new(shown, origin);
        self.lines(bytes, &mut file);
        if !self.stopped {
            self.commit_all(&mut file);
        }
    }

    fn lines(&mut self, bytes: &[u8], file: &mut File) {
        let mut lexer = Lexer::new(bytes);
        let mut line = Line::default();
        let mut noted = 0;
        let mut note = |at: usize| {
            if let Some(progress) = &self.options.progress {
                progress.advance(at - std::mem::replace(&mut noted, at));
            }
        };
        if let Some(progress) = &self.options.progress {
            progress.file(bytes.len());
        }
        while !self.stopped {
            if self.skipping {
                self.skip_line(file, &mut lexer);
                if self.skipping {
                    break;
                }
            }
            if !lexer.next_line(&mut line) {
                break;
            }
            if line.number.is_multiple_of(LINES_BETWEEN_NOTES) {
                note(lexer.position());
            }
            if let Err(how) = self.line(file, &mut lexer, &mut line) {
                self.read_on(file, &mut lexer, &line, how);
            }
        }
        note(bytes.len());
        if self.skipping && !self.stopped {
            self.warn(file, Place::line(lexer.number()), Kind::NoFinalNewline { behind_record: false });
        }
    }

    pub(super) fn report(&mut self, file: &File, place: Place, severity: Severity, kind: Kind) {
        let Place { line, span } = place;
        self.outcome.push(Diagnostic { file: Arc::clone(&file.name), line, span, severity, kind });
    }

    pub(super) fn error(&mut self, file: &File, place: Place, kind: Kind) {
        self.report(file, place, Severity::Error, kind);
    }

    pub(super) fn warn(&mut self, file: &File, place: Place, kind: Kind) {
        self.report(file, place, Severity::Warning, kind);
    }

    /// The error that there is no token where one must be.
    pub(super) fn missing(&mut self, file: &File, line: &Line<'_>, quotes: Quotes) -> GiveUp {
        let index = line.tokens.len();
        let at = line.on_first_line(index);
        let noticed = line.end_number;
        let kind = match line.error {
            Some(LexError::Nul) => return self.special(file, line, index),
            Some(error) if quotes == Quotes::Special && error.is_special() => {
                return self.special(file, line, index);
            }
            Some(error) => Kind::Lexical { reason: error.reason(), noticed },
            None if line.ends_file => Kind::EndOfFile { noticed },
            // BIND: is behind the end of the line already.
            None => Kind::EndOfLine { noticed: noticed.saturating_sub(1) },
        };
        self.error(file, at, kind);
        GiveUp::Skip
    }

    /// The error that there is a quote or a zero octet.
    pub(super) fn special(&mut self, file: &File, line: &Line<'_>, index: usize) -> GiveUp {
        self.error(file, line.on_first_line(index), Kind::Syntax("syntax error"));
        GiveUp::Special(index)
    }

    /// An unquoted token in front of RDATA.
    pub(super) fn token<'a>(&mut self, file: &File, line: &Line<'a>, index: usize) -> Step<&'a [u8]> {
        match line.tokens.get(index) {
            Some(Token { text, quoted: false }) => Ok(text),
            Some(_) => Err(self.special(file, line, index)),
            None => Err(self.missing(file, line, Quotes::Special)),
        }
    }

    pub(super) fn expect_end(&mut self, file: &File, line: &Line<'_>, index: usize) -> Step<()> {
        match line.tokens.get(index) {
            Some(Token { quoted: true, .. }) => return Err(self.special(file, line, index)),
            None if line.error.is_some() => return Err(self.missing(file, line, Quotes::Special)),
            None if !line.ends_file => return Ok(()),
            _ => {}
        }
        // BIND: the end of the file is not the end of a line here.
        self.error(file, line.on_first_line(index), Kind::Syntax("extra input text"));
        Err(GiveUp::Extra(index))
    }

    fn line<'a>(&mut self, file: &mut File, lexer: &mut Lexer<'a>, line: &mut Line<'a>) -> Step<()> {
        let Some(first) = line.tokens.first() else {
            if line.error.is_some() {
                let quotes = if line.starts_blank { Quotes::Special } else { Quotes::Expected };
                return Err(self.missing(file, line, quotes));
            }
            if line.ends_file && line.starts_blank {
                self.warn(file, line.at(0), Kind::NoFinalNewline { behind_record: false });
            }
            return Ok(());
        };
        if !line.starts_blank {
            let text = first.text;
            let mut name_at = 0;
            if text.starts_with(b"$") {
                // BIND: in quotes there may be a zero octet, and the text ends there.
                let directive = text.split(|&byte| byte == 0).next().unwrap_or(text).to_ascii_uppercase();
                match directive.as_slice() {
                    b"$TTL" => return self.default_ttl(file, line),
                    b"$DATE" => return self.date(file, line),
                    b"$GENERATE" => return self.generate(file, line),
                    b"$ORIGIN" => {
                        self.token(file, line, 1)?;
                        self.pending_origin = true;
                        name_at = 1;
                    }
                    b"$INCLUDE" => match self.included(file, line)? {
                        (path, true) => {
                            self.pending_include = Some(path);
                            name_at = 2;
                        }
                        (path, false) => return self.include(file, line, &path, None),
                    },
                    _ => {
                        // BIND: says so, and then takes the line for a record.
                        let text = String::from_utf8_lossy(text).into_owned();
                        self.error(file, line.at(0), Kind::UnknownDirective(text));
                    }
                }
            }
            if !self.name(file, lexer, line, name_at)? {
                return Ok(());
            }
        }
        self.record(file, line, lexer.file())
    }

    /// A name in the first column, or behind a directive: an owner or an origin. Says whether a record follows.
    ///
    /// BIND: an origin that was missing behind its directive is taken from the next line that has a name.
    fn name<'a>(
        &mut self,
        file: &mut File,
        lexer: &mut Lexer<'a>,
        line: &Line<'a>,
        index: usize,
    ) -> Step<bool> {
        let text = line.tokens.get(index).map_or(&b""[..], |token| token.text);
        let mut name = std::mem::take(&mut self.rdata);
        name.clear();
        if let Err(error) = name::parse_into(text, Some(file.origin.as_wire()), &mut name) {
            self.rdata = name;
            self.error(file, line.on_first_line(index), Kind::Syntax(rdata::name_reason(error)));
            return Err(GiveUp::Behind(index + 1));
        }
        let origin = |name: &[u8]| file.name_of(name);
        if std::mem::take(&mut self.pending_origin) {
            (file.origin, file.origin_changed) = (origin(&name), true);
            self.rdata = name;
            return self.expect_end(file, line, index + 1).map(|()| false);
        }
        if let Some(path) = self.pending_include.take() {
            let origin = origin(&name);
            self.rdata = name;
            match self.expect_end(file, line, index + 1) {
                // BIND: includes the file all the same, and loses its first line.
                Err(GiveUp::Extra(extra)) => {
                    lexer.rewind(line, extra);
                    self.skipping = true;
                }
                end => end?,
            }
            return self.include(file, line, &path, Some(origin)).map(|()| false);
        }
        self.rdata = self.take_owner(file, line, name);
        Ok(true)
    }

    /// Makes a name the owner; returns a buffer for the next one.
    fn take_owner(&mut self, file: &mut File, line: &Line<'_>, mut owner: Vec<u8>) -> Vec<u8> {
        if file.in_glue && file.glue.owner != owner {
            self.commit(file);
            file.in_glue = false;
        }
        if !file.in_glue && file.current.owner != owner {
            if self.has_delegation
                && file.name_servers.iter().any(|target| target.eq_ignore_ascii_case(&owner))
            {
                file.in_glue = true;
                std::mem::swap(&mut file.glue.owner, &mut owner);
            } else {
                self.commit(file);
                std::mem::swap(&mut file.current.owner, &mut owner);
                self.has_delegation = false;
                file.name_servers.clear();
                self.uncommitted = 0;
            }
            let is_inner_wildcard = |owner| name::labels(owner).skip(1).any(|label| label == b"*");
            if self.options.check_wildcard != Check::Ignore && is_inner_wildcard(file.owner()) {
                self.warn(file, line.at(0), Kind::InnerWildcard(file.owner_name()));
            }
        }
        file.drop = !name::is_at_or_below(file.owner(), self.zone.as_wire());
        if file.drop {
            self.warn(file, line.on_first_line(0), Kind::OutOfZone(file.owner_name()));
        }
        owner
    }

    fn default_ttl(&mut self, file: &File, line: &Line<'_>) -> Step<()> {
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
    fn date(&mut self, file: &File, line: &Line<'_>) -> Step<()> {
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

    pub(super) fn limited(&mut self, file: &File, place: Place, ttl: u32) -> u32 {
        if ttl > TTL_MAX {
            self.warn(file, place, Kind::TtlTooLong(ttl));
            return 0;
        }
        ttl
    }

    /// The path behind `$INCLUDE`, and whether an origin follows.
    fn included(&mut self, file: &mut File, line: &Line<'_>) -> Step<(Vec<u8>, bool)> {
        self.commit_all(file);
        if self.dated {
            self.stopped = true;
            self.error(file, line.on_first_line(0), Kind::IncludeWithDate);
            return Err(GiveUp::NextLine);
        }
        let Some(path) = line.tokens.get(1) else { return Err(self.missing(file, line, Quotes::Expected)) };
        // BIND: takes escapes for what they are, but for that of a quote in quotes.
        let path = if path.quoted { unescape_quotes(path.text) } else { path.text.to_vec() };
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
    fn include(&mut self, file: &File, line: &Line<'_>, path: &[u8], origin: Option<Name>) -> Step<()> {
        let origin_changed = file.origin_changed || origin.is_some();
        let origin = origin.unwrap_or_else(|| file.origin.clone());
        let shown = String::from_utf8_lossy(path).into_owned();
        let path = PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path));
        // BIND: a file that includes itself runs out of file descriptors.
        let identity = identity(&path);
        if self.stack.len() >= INCLUDE_DEPTH_MAX || self.stack.contains(&identity) {
            let kind = Kind::Include { path: shown, reason: "too many open files" };
            self.error(file, line.on_first_line(1), kind);
            return Ok(());
        }
        match read(&path) {
            Ok(bytes) => {
                let mut part = File::new(shown.into(), origin);
                part.current.owner = file.owner().to_vec();
                part.drop = file.drop;
                part.origin_changed = origin_changed;
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

    /// Reads `[TTL] [class]` in either order; the index of the token behind, and that token.
    pub(super) fn ttl_and_class<'a>(
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
    fn head(&mut self, file: &File, line: &Line<'_>, first: usize) -> Step<Head> {
        let (found, at, text) = self.ttl_and_class(file, line, first)?;
        let Some(rtype) = rdata::from_mnemonic(text) else {
            let kind = Kind::UnknownType(String::from_utf8_lossy(text).into_owned());
            self.error(file, line.on_first_line(at), kind);
            return Err(GiveUp::Behind(at + 1));
        };
        self.check_class(file, line, found.class, at + 1)?;
        Ok(Head { ttl_at: found.ttl_at, rtype, type_at: at, rdata_at: at + 1 })
    }

    /// A zone is of one class (RFC 1035 §5.2). `read` tokens of the line have been read.
    pub(super) fn check_class(
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

    fn record<'a>(&mut self, file: &mut File, line: &mut Line<'a>, bytes: &'a [u8]) -> Step<()> {
        if line.starts_blank {
            self.token(file, line, 0)?;
            if file.current.owner.is_empty() {
                self.error(file, line.at(0), Kind::NoOwner);
                return Err(GiveUp::Behind(1));
            }
            if file.origin_changed {
                // BIND: names the current owner even if glue is what inherits.
                let (owner, origin) = (file.name_of(&file.current.owner), file.origin.clone());
                self.warn(file, line.at(0), Kind::InheritedOwner { owner, origin });
            }
        } else {
            self.token(file, line, 1)?;
        }
        file.origin_changed = false;
        let head = self.head(file, line, usize::from(!line.starts_blank))?;
        self.has_delegation |= head.rtype == RrType::NS && !file.in_glue;
        self.check_type(file, line, &head);
        if matches!(head.rtype, RrType::SVCB | RrType::HTTPS) {
            line.join_pairs(head.rdata_at, bytes);
        }
        if head.rtype == RrType::NS {
            self.check_ns(file, line, head.rdata_at)?;
        }
        self.check_owner(file, line, &head);
        let mut octets = std::mem::take(&mut self.rdata);
        octets.clear();
        let done = self.rdata(file, line, &head, &mut octets);
        self.rdata = octets;
        done
    }

    fn rdata(&mut self, file: &mut File, line: &Line<'_>, head: &Head, octets: &mut Vec<u8>) -> Step<()> {
        let tokens = &line.tokens[head.rdata_at..];
        let parsed = rdata::from_text(self.options.class, head.rtype, tokens, &file.origin, octets);
        if parsed.is_err() || line.error.is_some() {
            return Err(self.wrong_rdata(file, line, head, parsed.err()));
        }
        self.check_rdata(file, line, head, tokens.len(), Some(octets))?;
        if line.ends_file {
            let place = Place { line: line.end_number, ..line.at(line.tokens.len()) };
            self.warn(file, place, Kind::NoFinalNewline { behind_record: true });
        }
        if file.drop {
            return Ok(());
        }
        self.check_place(file, line, head)?;
        self.settle_ttl(file, line, head, octets);
        self.check_age(file, line, head, octets);
        self.keep_rrset_ttl(file, line, head, octets)?;
        if head.rtype == RrType::NS && !file.in_glue {
            file.name_servers.push(octets.clone());
        }
        self.emit(file, line.number, head.rtype, octets);
        Ok(())
    }

    /// The TTL of a record: given, from `$TTL`, from SOA, or that of the record before, in this order.
    fn settle_ttl(&mut self, file: &File, line: &Line<'_>, head: &Head, octets: &[u8]) {
        match self.default_ttl {
            _ if head.ttl_at.is_some() => {}
            Some(ttl) => self.ttl = ttl,
            None if self.ttl_known => {
                if !self.warned_1035 {
                    self.warned_1035 = true;
                    self.warn(file, line.on_first_line(head.type_at), Kind::Rfc1035Ttl);
                }
            }
            None if head.rtype == RrType::SOA => {
                self.warn(file, line.on_first_line(head.type_at), Kind::SoaMinimum);
                let minimum = octets.last_chunk::<4>().map_or(0, |octets| u32::from_be_bytes(*octets));
                self.ttl = self.limited(file, line.on_first_line(head.rdata_at + 6), minimum);
                self.default_ttl = Some(self.ttl);
            }
            None => {
                self.ttl = 0;
                self.error(file, line.on_first_line(head.type_at), Kind::NoTtl);
            }
        }
    }

    /// All records of an RRset have the TTL of the first (RFC 2181 §5.2), and none a longer one than allowed.
    fn keep_rrset_ttl(&mut self, file: &mut File, line: &Line<'_>, head: &Head, octets: &[u8]) -> Step<()> {
        // RRSIGs are of one RRset with those that cover the same type (RFC 4034 §3).
        let covered = match (head.rtype, octets) {
            (RrType::RRSIG | RrType::SIG, &[high, low, ..]) => [high, low],
            _ => [0, 0],
        };
        let ttl = self.ttl;
        let rrsets = &mut file.run().rrsets;
        match rrsets.iter().find(|rrset| rrset.0 == head.rtype && rrset.1 == covered) {
            Some(&(_, _, prior)) if prior != ttl => {
                self.warn(file, line.on_first_line(head.ttl_or_type_at()), Kind::PriorTtl(prior));
                self.ttl = prior;
            }
            Some(_) => {}
            None => rrsets.push((head.rtype, covered, ttl)),
        }
        match self.options.max_ttl {
            Some(maximum) if self.ttl > maximum => {
                // BIND: stops here. With a wrong maximum every record would be reported.
                self.stopped = true;
                let kind = Kind::TtlAboveMaximum { ttl: self.ttl, maximum };
                self.error(file, line.on_first_line(head.ttl_or_type_at()), kind);
                Err(GiveUp::NextLine)
            }
            _ => Ok(()),
        }
    }

    fn emit(&mut self, file: &mut File, line: u32, rtype: RrType, rdata: &[u8]) {
        self.hand_on(file, file.owner(), line, 1, rtype, rdata);
        let in_glue = file.in_glue;
        let run = file.run();
        run.last_line = line;
        if let Some(commits) = &mut self.commits {
            commits.add(in_glue, &run.owner, rtype, rdata);
        }
        self.uncommitted += rdata.len();
        if self.uncommitted > UNCOMMITTED_BYTES_MAX {
            self.commit_all(file);
        }
    }

    fn hand_on(&mut self, file: &File, owner: &[u8], line: u32, block: u32, rtype: RrType, rdata: &[u8]) {
        self.outcome.records += 1;
        (self.sink)(RecordRef { owner, rtype, ttl: self.ttl, rdata, file: &file.name, line, block });
    }

    /// The records of the owner are complete: says which of them may not stand together.
    fn commit(&mut self, file: &mut File) {
        let in_glue = file.in_glue;
        let run = file.run();
        run.rrsets.clear();
        let line = run.last_line;
        let Some(commits) = &mut self.commits else { return };
        for reason in commits.commit(in_glue, &run.owner) {
            let kind = Kind::Conflict { owner: file.owner_name(), reason };
            self.error(file, Place::line(line), kind);
        }
    }

    /// The same for the current owner and glue.
    fn commit_all(&mut self, file: &mut File) {
        let in_glue = file.in_glue;
        for which in [false, true] {
            file.in_glue = which;
            self.commit(file);
        }
        file.in_glue = in_glue;
        file.name_servers.clear();
        self.uncommitted = 0;
    }

    /// A record that `$GENERATE` has made is an owner of its own.
    pub(super) fn commit_generated(
        &mut self,
        file: &File,
        owner: &[u8],
        line: &Line<'_>,
        rtype: RrType,
        rdata: &[u8],
    ) {
        self.hand_on(file, owner, line.number, 0, rtype, rdata);
        let Some(commits) = &mut self.commits else { return };
        for reason in commits.commit_one(owner, rtype, rdata) {
            let kind = Kind::Conflict { owner: file.name_of(owner), reason };
            self.error(file, line.on_first_line(2), kind);
        }
    }

    pub(super) fn has_no_ttl(&self) -> bool {
        !self.ttl_known && self.default_ttl.is_none()
    }

    pub(super) fn inherit_ttl(&mut self) {
        if let Some(ttl) = self.default_ttl {
            self.ttl = ttl;
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

fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// The same file by whatever path, as far as the file system tells.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn unreadable(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Kind::Unreadable("file not found"),
        io::ErrorKind::PermissionDenied => Kind::Unreadable("permission denied"),
        io::ErrorKind::IsADirectory => Kind::NotAFile,
        // ENAMETOOLONG and its like.
        io::ErrorKind::InvalidFilename => Kind::Unreadable("invalid file"),
        _ => Kind::Unreadable("I/O error"),
    }
}
