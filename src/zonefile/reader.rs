//! Lines to records: directives, inherited fields, TTL rules, and reading on after an error.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostics::{Diagnostic, Kind, Near, Place, Severity};
use super::lexer::{LexError, Lexer, Line};
use super::{Check, Options, Outcome, RecordRef};
use crate::dns::rdata::{self, Token};
use crate::dns::{Class, Name, RrType, name};

/// How deep `$INCLUDE` may nest.
const INCLUDE_DEPTH_MAX: usize = 32;
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
    stopped: bool,
    /// The files being read, outermost first.
    stack: Vec<PathBuf>,
    rdata: Vec<u8>,
}

/// What each file has of its own.
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) origin: Name,
    /// The current owner in wire format; empty before the first one.
    pub(super) owner: Vec<u8>,
    /// Whether the current owner is outside the zone.
    pub(super) drop: bool,
    /// Whether `$ORIGIN` stood right before.
    origin_changed: bool,
    /// The line the current owner was last written on.
    pub(super) owner_line: u32,
    /// Counts the changes of the current owner.
    pub(super) block: u32,
    /// The RRsets of the current owner so far: type, covered type, TTL.
    rrsets: Vec<(RrType, [u8; 2], u32)>,
}

impl File {
    pub(super) fn new(name: Arc<str>, origin: Name) -> File {
        let (owner, rrsets) = (Vec::new(), Vec::new());
        File { name, origin, owner, drop: false, origin_changed: false, owner_line: 0, block: 0, rrsets }
    }

    pub(super) fn owner_name(&self) -> Name {
        Name::from_wire(&self.owner).unwrap_or_else(|_| self.origin.clone())
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

/// A line that is given up; what is wrong with it has been reported.
pub(super) struct GiveUp;

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
            stack: Vec::new(),
            rdata: Vec::new(),
        }
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
        let mut lexer = Lexer::new(bytes);
        let mut line = Line::default();
        while !self.stopped && lexer.next_line(&mut line) {
            // A line that is given up has been reported; the next one is read all the same.
            let _ = self.line(&mut file, &mut line, lexer.file());
        }
    }

    pub(super) fn report(&mut self, file: &File, place: Place, severity: Severity, kind: Kind) {
        let Place { line, span } = place;
        self.outcome.push(Diagnostic { file: Arc::clone(&file.name), line, span, severity, kind });
    }

    pub(super) fn error(&mut self, file: &File, place: Place, kind: Kind) -> GiveUp {
        self.report(file, place, Severity::Error, kind);
        GiveUp
    }

    pub(super) fn warn(&mut self, file: &File, place: Place, kind: Kind) {
        self.report(file, place, Severity::Warning, kind);
    }

    /// The error that there is no token where one must be.
    pub(super) fn missing(&mut self, file: &File, line: &Line<'_>) -> GiveUp {
        let at = line.at(line.tokens.len());
        match line.error {
            Some(error) => self.error(file, at, Kind::Lexical(error.reason())),
            None if line.ends_file => self.error(file, at, Kind::EndOfFile),
            None => self.error(file, at, Kind::EndOfLine),
        }
    }

    /// An unquoted token in front of RDATA.
    pub(super) fn token<'a>(&mut self, file: &File, line: &Line<'a>, index: usize) -> Step<&'a [u8]> {
        match line.tokens.get(index) {
            Some(Token { text, quoted: false }) => Ok(text),
            Some(_) => Err(self.error(file, line.at(index), Kind::Syntax("syntax error"))),
            None => Err(self.missing(file, line)),
        }
    }

    pub(super) fn expect_end(&mut self, file: &File, line: &Line<'_>, index: usize) -> Step<()> {
        if line.tokens.len() > index {
            return Err(self.error(file, line.at(index), Kind::Syntax("extra input text")));
        }
        if line.error.is_some() {
            return Err(self.missing(file, line));
        }
        if line.ends_file {
            self.warn(file, line.at(index), Kind::NoFinalNewline { behind_record: true });
        }
        Ok(())
    }

    fn line<'a>(&mut self, file: &mut File, line: &mut Line<'a>, bytes: &'a [u8]) -> Step<()> {
        let Some(first) = line.tokens.first() else {
            if line.error.is_some() {
                return Err(self.missing(file, line));
            }
            if line.ends_file && line.starts_blank {
                self.warn(file, line.at(0), Kind::NoFinalNewline { behind_record: false });
            }
            return Ok(());
        };
        if !line.starts_blank {
            let first = first.text;
            if first.starts_with(b"$") {
                let directive = first.to_ascii_uppercase();
                match directive.as_slice() {
                    b"$TTL" => return self.default_ttl(file, line),
                    b"$ORIGIN" => return self.origin(file, line),
                    b"$INCLUDE" => return self.include(file, line),
                    b"$GENERATE" => return self.generate(file, line),
                    _ => {
                        // BIND: says so, and then takes the line for a record.
                        let text = String::from_utf8_lossy(first).into_owned();
                        self.report(file, line.at(0), Severity::Error, Kind::UnknownDirective(text));
                    }
                }
            }
            self.new_owner(file, line, first)?;
        }
        self.record(file, line, bytes)
    }

    fn new_owner(&mut self, file: &mut File, line: &Line<'_>, text: &[u8]) -> Step<()> {
        let mut owner = std::mem::take(&mut self.rdata);
        owner.clear();
        let parsed = name::parse_into(text, Some(file.origin.as_wire()), &mut owner);
        if let Err(error) = parsed {
            self.rdata = owner;
            return Err(self.error(file, line.at(0), Kind::Syntax(rdata::name_reason(error))));
        }
        file.owner_line = line.number;
        if file.owner != owner {
            std::mem::swap(&mut file.owner, &mut owner);
            file.block += 1;
            file.rrsets.clear();
            file.drop = !name::is_at_or_below(&file.owner, self.zone.as_wire());
            if self.options.check_wildcard != Check::Ignore
                && name::labels(&file.owner).skip(1).any(|label| label == b"*")
            {
                self.warn(file, line.at(0), Kind::InnerWildcard(file.owner_name()));
            }
        }
        self.rdata = owner;
        if file.drop {
            self.warn(file, line.at(0), Kind::OutOfZone(file.owner_name()));
        }
        Ok(())
    }

    fn default_ttl(&mut self, file: &File, line: &Line<'_>) -> Step<()> {
        let text = self.token(file, line, 1)?;
        match rdata::parse_ttl(text) {
            Ok(ttl) => self.ttl = self.limited(file, line.on_first_line(1), ttl),
            Err(_) => {
                self.report(file, line.on_first_line(1), Severity::Error, Kind::BadTtl);
                self.ttl = 0;
            }
        }
        self.default_ttl = Some(self.ttl);
        self.expect_end(file, line, 2)
    }

    pub(super) fn limited(&mut self, file: &File, place: Place, ttl: u32) -> u32 {
        if ttl > TTL_MAX {
            self.warn(file, place, Kind::TtlTooLong(ttl));
            return 0;
        }
        ttl
    }

    fn origin(&mut self, file: &mut File, line: &Line<'_>) -> Step<()> {
        let text = self.token(file, line, 1)?;
        let origin = self.name(file, line, 1, text)?;
        file.origin = origin;
        file.origin_changed = true;
        self.expect_end(file, line, 2)
    }

    fn name(&mut self, file: &File, line: &Line<'_>, index: usize, text: &[u8]) -> Step<Name> {
        Name::parse(text, Some(&file.origin))
            .map_err(|error| self.error(file, line.at(index), Kind::Syntax(rdata::name_reason(error))))
    }

    /// `$INCLUDE file [origin]`: origin and current owner are as before afterwards (RFC 1035 §5.1).
    fn include(&mut self, file: &mut File, line: &Line<'_>) -> Step<()> {
        let Some(path) = line.tokens.get(1) else { return Err(self.missing(file, line)) };
        let path = rdata::unescape(path.text).unwrap_or(path.text.into());
        let origin = match line.tokens.get(2) {
            Some(_) => {
                let text = self.token(file, line, 2)?;
                let origin = self.name(file, line, 2, text)?;
                self.expect_end(file, line, 3)?;
                origin
            }
            None => {
                self.expect_end(file, line, 2)?;
                file.origin.clone()
            }
        };
        let shown = String::from_utf8_lossy(&path).into_owned();
        let path = PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&path));
        let identity = identity(&path);
        // BIND: a file that includes itself runs out of file descriptors.
        if self.stack.len() >= INCLUDE_DEPTH_MAX || self.stack.contains(&identity) {
            let kind = Kind::Include { path: shown, reason: "too many open files" };
            return Err(self.error(file, line.on_first_line(1), kind));
        }
        match read(&path) {
            Ok(bytes) => {
                self.outcome.included.push(path);
                self.stack.push(identity);
                self.read_bytes(&bytes, shown.into(), origin);
                self.stack.pop();
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                let included = File::new(shown.into(), origin);
                Err(self.error(&included, Place::line(1), Kind::NotAFile))
            }
            Err(error) => {
                let kind = Kind::Include { path: shown, reason: unreadable(&error).result() };
                Err(self.error(file, line.on_first_line(1), kind))
            }
        }
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
            return Err(self.error(file, line.at(at), kind));
        };
        self.check_class(file, line, found.class)?;
        Ok(Head { ttl_at: found.ttl_at, rtype, type_at: at, rdata_at: at + 1 })
    }

    /// Only class IN is served.
    pub(super) fn check_class(
        &mut self,
        file: &File,
        line: &Line<'_>,
        class: Option<(Class, usize)>,
    ) -> Step<()> {
        match class {
            Some((Class::IN, _)) | None => Ok(()),
            Some((other, at)) => Err(self.error(file, line.on_first_line(at), Kind::WrongClass(other))),
        }
    }

    fn record<'a>(&mut self, file: &mut File, line: &mut Line<'a>, bytes: &'a [u8]) -> Step<()> {
        if line.starts_blank {
            if file.owner.is_empty() {
                return Err(self.error(file, line.at(0), Kind::NoOwner));
            }
            if file.origin_changed {
                let (owner, origin) = (file.owner_name(), file.origin.clone());
                self.warn(file, line.at(0), Kind::InheritedOwner { owner, origin });
            }
        }
        file.origin_changed = false;
        let head = self.head(file, line, usize::from(!line.starts_blank))?;
        self.check_place(file, line, &head)?;
        if matches!(head.rtype, RrType::SVCB | RrType::HTTPS) {
            line.join_pairs(head.rdata_at, bytes);
        }
        if head.rtype == RrType::NS {
            self.check_ns(file, line, head.rdata_at)?;
        }
        let mut octets = std::mem::take(&mut self.rdata);
        octets.clear();
        let done = self.rdata(file, line, &head, &mut octets);
        self.rdata = octets;
        done
    }

    fn rdata(&mut self, file: &mut File, line: &Line<'_>, head: &Head, octets: &mut Vec<u8>) -> Step<()> {
        let tokens = &line.tokens[head.rdata_at..];
        let parsed = rdata::from_text(Class::IN, head.rtype, tokens, &file.origin, octets);
        let failure = match (parsed, line.error) {
            (Err(error), None) => Some((error.token, error.reason)),
            (Err(error), Some(_)) if error.token < tokens.len() => Some((error.token, error.reason)),
            (_, Some(error)) => Some((tokens.len(), error.reason())),
            (Ok(()), None) => None,
        };
        if let Some((token, reason)) = failure {
            let near = near(tokens.get(token), line);
            let at = line.at(head.rdata_at + token);
            return Err(self.error(file, at, Kind::Rdata { near, reason }));
        }
        self.check_mx(file, line, head)?;
        self.check_rdata_names(file, line, head, octets)?;
        if line.ends_file {
            self.warn(file, line.at(line.tokens.len()), Kind::NoFinalNewline { behind_record: true });
        }
        if file.drop {
            return Ok(());
        }
        self.settle_ttl(file, line, head, octets)?;
        self.check_age(file, line, head, octets);
        self.emit(file, line.number, head.rtype, octets)
    }

    /// The TTL of a record: given, from `$TTL`, from SOA, or that of the record before, in this order.
    pub(super) fn settle_ttl(
        &mut self,
        file: &mut File,
        line: &Line<'_>,
        head: &Head,
        octets: &[u8],
    ) -> Step<()> {
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
                return Err(self.error(file, line.on_first_line(head.type_at), Kind::NoTtl));
            }
        }
        // RRSIGs are of one RRset with those that cover the same type (RFC 4034 §3).
        let covered = match (head.rtype, octets) {
            (RrType::RRSIG | RrType::SIG, &[high, low, ..]) => [high, low],
            _ => [0, 0],
        };
        let same = |rrset: &&(RrType, [u8; 2], u32)| rrset.0 == head.rtype && rrset.1 == covered;
        match file.rrsets.iter().find(same) {
            Some(&(_, _, prior)) if prior != self.ttl => {
                self.warn(file, line.on_first_line(head.ttl_or_type_at()), Kind::PriorTtl(prior));
                self.ttl = prior;
            }
            Some(_) => {}
            None => file.rrsets.push((head.rtype, covered, self.ttl)),
        }
        match self.options.max_ttl {
            Some(maximum) if self.ttl > maximum => {
                // BIND: stops here. With a wrong maximum every record would be reported.
                self.stopped = true;
                let kind = Kind::TtlAboveMaximum { ttl: self.ttl, maximum };
                Err(self.error(file, line.on_first_line(head.ttl_or_type_at()), kind))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn emit(&mut self, file: &File, line: u32, rtype: RrType, rdata: &[u8]) -> Step<()> {
        self.outcome.records += 1;
        (self.sink)(RecordRef {
            owner: &file.owner,
            rtype,
            ttl: self.ttl,
            rdata,
            file: &file.name,
            line,
            owner_line: file.owner_line,
            block: file.block,
        });
        Ok(())
    }
}

pub(super) fn near(token: Option<&Token<'_>>, line: &Line<'_>) -> Near {
    match token {
        Some(token) if token.quoted => Near::Special,
        Some(token) => Near::Word(String::from_utf8_lossy(token.text).into_owned()),
        None => match line.error {
            Some(LexError::OpenParentheses) => Near::EndOfFile,
            Some(_) => Near::Special,
            None if line.ends_file => Near::EndOfFile,
            None => Near::EndOfLine,
        },
    }
}

/// A class by its mnemonic or as CLASSnnn (RFC 3597 §5).
pub(super) fn parse_class(text: &[u8]) -> Option<Class> {
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
        _ => Kind::Unreadable("I/O error"),
    }
}
