//! Lines to records: owners, directives, RDATA, and what becomes part of the zone together.
//!
//! ```text
//! line ─┬─► directives: $TTL, $DATE, $INCLUDE      generate: $GENERATE
//!       └─► owner ─► head: [TTL] [class] type ─► RDATA ─► ttl ─► sink
//!               └── checks: what is doubtful          └── commits: what may not stand together
//! a line that is wrong ─► GiveUp ─► recovery: where to read on
//! ```
//!
//! Invariants: nothing is handed on that is not well-formed; what is wrong with a line is said once, where it
//! is noticed.

mod directives;
mod head;
mod ttl;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::commit::Commits;
use super::diagnostics::{Diagnostic, Kind, Place, Severity, quoted, up_to_zero};
use super::lexer::{LexError, Lexer, Line, PARAMS_AT, Quotes};
use super::source::{self, identity, unreadable};
use super::{Check, Options, Outcome, RecordRef};
use crate::dns::rdata::{self, Token};
use crate::dns::{Name, RrType, name};

pub(super) use self::head::Head;
pub use self::head::parse_class;

/// BIND: so many octets of RDATA of one owner become part of the zone before the next ones are read.
const UNCOMMITTED_BYTES_MAX: usize = 131_072 - rdata::BYTES_MAX;
/// How often [`super::Progress`] is told: rarely enough to cost nothing.
const LINES_BETWEEN_NOTES: u32 = 4096;

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
    /// BIND: behind an `$INCLUDE` that ends its file, blanks in front of the first line mean nothing.
    first_blanks_count: bool,
    /// Parentheses that are open where it begins.
    open_parentheses: usize,
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
            first_blanks_count: true,
            open_parentheses: 0,
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
        match source::read(path) {
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
        let mut lexer = if file.first_blanks_count {
            Lexer::new(bytes)
        } else {
            Lexer::within_line(bytes, file.open_parentheses)
        };
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
                let directive = up_to_zero(text).to_ascii_uppercase();
                match directive.as_slice() {
                    b"$TTL" => return self.default_ttl(file, line),
                    b"$DATE" => return self.date(file, line),
                    b"$GENERATE" => return self.generate(file, lexer, line),
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
                        (path, false) => {
                            // BIND: an origin that is still missing is this file's from now on.
                            if let Some(pending) = &mut self.pending_include {
                                pending.clone_from(&path);
                            }
                            return self.include(file, lexer, line, &path, None);
                        }
                    },
                    _ => {
                        // BIND: says so, up to a zero octet, and then takes the line for a record.
                        self.error(file, line.on_first_line(0), Kind::UnknownDirective(quoted(text)));
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
            return self.include(file, lexer, line, &path, Some(origin)).map(|()| false);
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
                self.warn(file, line.on_first_line(0), Kind::InnerWildcard(file.owner_name()));
            }
        }
        file.drop = !name::is_at_or_below(file.owner(), self.zone.as_wire());
        if file.drop {
            self.warn(file, line.on_first_line(0), Kind::OutOfZone(file.owner_name()));
        }
        owner
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
            line.join_pairs(head.rdata_at + PARAMS_AT, bytes);
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

    fn emit(&mut self, file: &mut File, line: u32, rtype: RrType, rdata: &[u8]) {
        self.hand_on(file, file.owner(), line, 1, rtype, rdata);
        let in_glue = file.in_glue;
        let run = file.run();
        run.last_line = line;
        if let Some(commits) = &mut self.commits {
            commits.add(in_glue, &run.owner, self.ttl, rtype, rdata);
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
        for reason in commits.commit_one(owner, self.ttl, rtype, rdata) {
            let kind = Kind::Conflict { owner: file.name_of(owner), reason };
            self.error(file, line.on_first_line(2), kind);
        }
    }
}
