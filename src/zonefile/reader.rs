//! Lines to records: directives, inherited fields, TTL rules, and reading on after an error.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostics::{Diagnostic, Kind, Near, Severity};
use super::hostname::{self, has_form};
use super::lexer::{LexError, Lexer, Line};
use super::{Check, Options, Outcome, RecordRef, generate};
use crate::dns::rdata::{self, Token};
use crate::dns::{Class, Name, RrType, name};

/// How deep `$INCLUDE` may nest.
const INCLUDE_DEPTH_MAX: usize = 32;
/// Longest TTL (RFC 2181 §8).
const TTL_MAX: u32 = i32::MAX as u32;

/// What lasts over `$INCLUDE`.
pub(super) struct Reader<'s, F> {
    zone: &'s Name,
    options: &'s Options,
    sink: F,
    outcome: Outcome,
    ttl: u32,
    ttl_known: bool,
    default_ttl: Option<u32>,
    warned_1035: bool,
    warned_expired: bool,
    warned_old_dnssec: bool,
    /// Set when reading on makes no sense.
    stopped: bool,
    /// The files being read, outermost first.
    stack: Vec<PathBuf>,
    rdata: Vec<u8>,
}

/// What each file has of its own.
struct File {
    name: Arc<str>,
    origin: Name,
    /// The current owner in wire format; empty before the first one.
    owner: Vec<u8>,
    /// Whether the current owner is outside the zone.
    drop: bool,
    /// Whether `$ORIGIN` stood right before.
    origin_changed: bool,
    /// The line the current owner was last written on.
    owner_line: u32,
    /// Counts the changes of the current owner.
    block: u32,
    /// The RRsets of the current owner so far: type, covered type, TTL.
    rrsets: Vec<(RrType, [u8; 2], u32)>,
}

impl File {
    fn new(name: Arc<str>, origin: Name) -> File {
        let (owner, rrsets) = (Vec::new(), Vec::new());
        File { name, origin, owner, drop: false, origin_changed: false, owner_line: 0, block: 0, rrsets }
    }

    fn owner_name(&self) -> Name {
        Name::from_wire(&self.owner).unwrap_or_else(|_| self.origin.clone())
    }
}

/// The head of a record: everything before RDATA.
struct Head {
    ttl_given: bool,
    class: Option<Class>,
    rtype: RrType,
    /// Index of the first RDATA token.
    rdata_at: usize,
}

/// A line that is given up; what is wrong with it has been reported.
struct GiveUp;

type Step<T> = Result<T, GiveUp>;

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
                self.outcome.push(Diagnostic { file: shown, line: 1, severity: Severity::Error, kind });
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

    fn report(&mut self, file: &File, line: u32, severity: Severity, kind: Kind) {
        self.outcome.push(Diagnostic { file: Arc::clone(&file.name), line, severity, kind });
    }

    fn error(&mut self, file: &File, line: u32, kind: Kind) -> GiveUp {
        self.report(file, line, Severity::Error, kind);
        GiveUp
    }

    fn warn(&mut self, file: &File, line: u32, kind: Kind) {
        self.report(file, line, Severity::Warning, kind);
    }

    /// The error that there is no token where one must be.
    fn missing(&mut self, file: &File, line: &Line<'_>) -> GiveUp {
        let at = line.number_of(line.tokens.len());
        match line.error {
            Some(error) => self.error(file, at, Kind::Lexical(error.reason())),
            None if line.ends_file => self.error(file, at, Kind::EndOfFile),
            None => self.error(file, at, Kind::EndOfLine),
        }
    }

    /// An unquoted token in front of RDATA.
    fn token<'a>(&mut self, file: &File, line: &Line<'a>, index: usize) -> Step<&'a [u8]> {
        match line.tokens.get(index) {
            Some(Token { text, quoted: false }) => Ok(text),
            Some(_) => Err(self.error(file, line.number_of(index), Kind::Syntax("syntax error"))),
            None => Err(self.missing(file, line)),
        }
    }

    fn expect_end(&mut self, file: &File, line: &Line<'_>, index: usize) -> Step<()> {
        if line.tokens.len() > index {
            return Err(self.error(file, line.number_of(index), Kind::Syntax("extra input text")));
        }
        if line.error.is_some() {
            return Err(self.missing(file, line));
        }
        if line.ends_file {
            self.warn(file, line.number_of(index), Kind::NoFinalNewline { behind_record: true });
        }
        Ok(())
    }

    fn line<'a>(&mut self, file: &mut File, line: &mut Line<'a>, bytes: &'a [u8]) -> Step<()> {
        let Some(first) = line.tokens.first() else {
            if line.error.is_some() {
                return Err(self.missing(file, line));
            }
            if line.ends_file && line.starts_blank {
                self.warn(file, line.number, Kind::NoFinalNewline { behind_record: false });
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
                        self.report(file, line.number, Severity::Error, Kind::UnknownDirective(text));
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
            return Err(self.error(file, line.number, Kind::Syntax(rdata::name_reason(error))));
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
                self.warn(file, line.number, Kind::InnerWildcard(file.owner_name()));
            }
        }
        self.rdata = owner;
        if file.drop {
            self.warn(file, line.number, Kind::OutOfZone(file.owner_name()));
        }
        Ok(())
    }

    fn default_ttl(&mut self, file: &File, line: &Line<'_>) -> Step<()> {
        let text = self.token(file, line, 1)?;
        match rdata::parse_ttl(text) {
            Ok(ttl) => self.ttl = self.limited(file, line.number, ttl),
            Err(_) => {
                self.report(file, line.number, Severity::Error, Kind::BadTtl);
                self.ttl = 0;
            }
        }
        self.default_ttl = Some(self.ttl);
        self.expect_end(file, line, 2)
    }

    fn limited(&mut self, file: &File, line: u32, ttl: u32) -> u32 {
        if ttl > TTL_MAX {
            self.warn(file, line, Kind::TtlTooLong(ttl));
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
            .map_err(|error| self.error(file, line.number_of(index), Kind::Syntax(rdata::name_reason(error))))
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
            return Err(self.error(file, line.number, kind));
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
                Err(self.error(&included, 1, Kind::NotAFile))
            }
            Err(error) => {
                let kind = Kind::Include { path: shown, reason: unreadable(&error).result() };
                Err(self.error(file, line.number, kind))
            }
        }
    }

    /// Reads `[TTL] [class] type` in either order of the first two.
    fn head(&mut self, file: &File, line: &Line<'_>, first: usize) -> Step<Head> {
        let mut at = first;
        let mut text = self.token(file, line, at)?;
        let mut class = parse_class(text);
        if class.is_some() {
            at += 1;
            text = self.token(file, line, at)?;
        }
        let mut ttl_given = false;
        if let Ok(ttl) = rdata::parse_ttl(text) {
            self.ttl = self.limited(file, line.number, ttl);
            self.ttl_known = true;
            ttl_given = true;
            at += 1;
            text = self.token(file, line, at)?;
        }
        if class.is_none() {
            class = parse_class(text);
            if class.is_some() {
                at += 1;
                text = self.token(file, line, at)?;
            }
        }
        let Some(rtype) = rdata::from_mnemonic(text) else {
            let kind = Kind::UnknownType(String::from_utf8_lossy(text).into_owned());
            return Err(self.error(file, line.number_of(at), kind));
        };
        Ok(Head { ttl_given, class, rtype, rdata_at: at + 1 })
    }

    fn record<'a>(&mut self, file: &mut File, line: &mut Line<'a>, bytes: &'a [u8]) -> Step<()> {
        if line.starts_blank {
            if file.owner.is_empty() {
                return Err(self.error(file, line.number, Kind::NoOwner));
            }
            if file.origin_changed {
                let (owner, origin) = (file.owner_name(), file.origin.clone());
                self.warn(file, line.number, Kind::InheritedOwner { owner, origin });
            }
        }
        file.origin_changed = false;
        let head = self.head(file, line, usize::from(!line.starts_blank))?;
        if let Some(class) = head.class.filter(|&class| class != Class::IN) {
            return Err(self.error(file, line.number, Kind::WrongClass(class)));
        }
        self.check_place(file, line, head.rtype)?;
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

    /// Whether the type may stand here at all. Only SOA elsewhere than at the apex ends the line.
    fn check_place(&mut self, file: &File, line: &Line<'_>, rtype: RrType) -> Step<()> {
        let at_apex = || file.owner.eq_ignore_ascii_case(self.zone.as_wire());
        // MD and MF are obsolete (RFC 973).
        let kind = match rtype.0 {
            3 | 4 => Some(Kind::Obsolete(rtype)),
            _ if rtype == RrType::SOA && !file.drop && !at_apex() => Some(Kind::NotAtTop(file.owner_name())),
            _ if rtype == RrType::DS && at_apex() => Some(Kind::AtTop(file.owner_name())),
            _ if rtype.is_meta() => Some(Kind::MetaType(rtype)),
            _ => None,
        };
        if let Some(kind) = kind {
            let gives_up = !matches!(kind, Kind::MetaType(_));
            self.report(file, line.number, Severity::Error, kind);
            if gives_up {
                return Err(GiveUp);
            }
        }
        // A wrong owner of NSEC3 breaks the chain, whatever check-names says.
        let check = if rtype == RrType::NSEC3 { Check::Fail } else { self.options.check_names };
        if check != Check::Ignore && !file.drop {
            let owner = file.owner_name();
            if !hostname::is_owner(&owner, rtype) {
                self.report(file, line.number, severity(check), Kind::BadOwner(owner));
            }
        }
        Ok(())
    }

    fn check_ns(&mut self, file: &File, line: &Line<'_>, index: usize) -> Step<()> {
        if self.options.check_ns == Check::Ignore {
            return Ok(());
        }
        let target = self.token(file, line, index)?;
        if is_address(target) {
            let kind = Kind::NsIsAddress(String::from_utf8_lossy(target).into_owned());
            self.report(file, line.number, severity(self.options.check_ns), kind);
        }
        Ok(())
    }

    fn rdata(&mut self, file: &mut File, line: &Line<'_>, head: &Head, octets: &mut Vec<u8>) -> Step<()> {
        let tokens = &line.tokens[head.rdata_at..];
        let parsed = rdata::from_text(head.rtype, tokens, &file.origin, octets);
        let failure = match (parsed, line.error) {
            (Err(error), None) => Some((error.token, error.reason)),
            (Err(error), Some(_)) if error.token < tokens.len() => Some((error.token, error.reason)),
            (_, Some(error)) => Some((tokens.len(), error.reason())),
            (Ok(()), None) => None,
        };
        if let Some((token, reason)) = failure {
            let near = near(tokens.get(token), line);
            let at = line.number_of(head.rdata_at + token);
            return Err(self.error(file, at, Kind::Rdata { near, reason }));
        }
        self.check_mx(file, line, head)?;
        self.check_rdata_names(file, line, head, octets)?;
        if line.ends_file {
            self.warn(file, line.number_of(line.tokens.len()), Kind::NoFinalNewline { behind_record: true });
        }
        if file.drop {
            return Ok(());
        }
        self.settle_ttl(file, line, head, octets)?;
        self.check_age(file, line, head.rtype, octets);
        self.emit(file, line.number, head.rtype, octets)
    }

    fn check_mx(&mut self, file: &File, line: &Line<'_>, head: &Head) -> Step<()> {
        let Some(target) = line.tokens.get(head.rdata_at + 1).filter(|_| head.rtype == RrType::MX) else {
            return Ok(());
        };
        let is_generic = line.tokens[head.rdata_at].text == b"\\#";
        if self.options.check_mx == Check::Ignore || is_generic || !is_address(target.text) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(target.text).into_owned();
        let at = line.number_of(head.rdata_at + 1);
        if self.options.check_mx == Check::Fail {
            let kind = Kind::Rdata { near: Near::Word(text), reason: "MX is an address" };
            return Err(self.error(file, at, kind));
        }
        self.warn(file, at, Kind::MxIsAddress(text));
        Ok(())
    }

    fn check_rdata_names(&mut self, file: &File, line: &Line<'_>, head: &Head, octets: &[u8]) -> Step<()> {
        if self.options.check_names == Check::Ignore {
            return Ok(());
        }
        for &(token, index, form) in hostname::checked(head.rtype, is_reverse(&file.origin), octets) {
            let Some(embedded) = rdata::names(head.rtype, octets).nth(index) else { break };
            let wire = &octets[embedded.offset..embedded.offset + embedded.length];
            let Ok(found) = Name::from_wire(wire) else { break };
            if has_form(&found, form) {
                continue;
            }
            let at = line.number_of(head.rdata_at + token);
            if self.options.check_names == Check::Fail {
                let near = near(line.tokens.get(head.rdata_at + token), line);
                return Err(self.error(file, at, Kind::Rdata { near, reason: "bad name (check-names)" }));
            }
            self.warn(file, at, Kind::BadName(found));
        }
        Ok(())
    }

    /// The TTL of a record: given, from `$TTL`, from SOA, or that of the record before, in this order.
    fn settle_ttl(&mut self, file: &mut File, line: &Line<'_>, head: &Head, octets: &[u8]) -> Step<()> {
        match self.default_ttl {
            _ if head.ttl_given => {}
            Some(ttl) => self.ttl = ttl,
            None if self.ttl_known => {
                if !self.warned_1035 {
                    self.warned_1035 = true;
                    self.warn(file, line.number, Kind::Rfc1035Ttl);
                }
            }
            None if head.rtype == RrType::SOA => {
                self.warn(file, line.number, Kind::SoaMinimum);
                let minimum = octets.last_chunk::<4>().map_or(0, |octets| u32::from_be_bytes(*octets));
                self.ttl = self.limited(file, line.number, minimum);
                self.default_ttl = Some(self.ttl);
            }
            None => {
                self.ttl = 0;
                return Err(self.error(file, line.number, Kind::NoTtl));
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
                self.warn(file, line.number, Kind::PriorTtl(prior));
                self.ttl = prior;
            }
            Some(_) => {}
            None => file.rrsets.push((head.rtype, covered, self.ttl)),
        }
        match self.options.max_ttl {
            Some(maximum) if self.ttl > maximum => {
                // BIND: stops here. With a wrong maximum every record would be reported.
                self.stopped = true;
                Err(self.error(file, line.number, Kind::TtlAboveMaximum { ttl: self.ttl, maximum }))
            }
            _ => Ok(()),
        }
    }

    fn check_age(&mut self, file: &File, line: &Line<'_>, rtype: RrType, octets: &[u8]) {
        let expiry = octets.get(8..12).and_then(|octets| octets.first_chunk::<4>());
        if let (RrType::RRSIG, Some(now), Some(expiry)) = (rtype, self.options.now, expiry) {
            // Serial number arithmetic (RFC 4034 §3.1.5).
            let is_over = (u32::from_be_bytes(*expiry).wrapping_sub(now) as i32) < 0;
            if is_over && !std::mem::replace(&mut self.warned_expired, true) {
                self.warn(file, line.number, Kind::SignatureExpired);
            }
        }
        // SIG and NXT (RFC 2535) have been replaced by RFC 4034's.
        if matches!(rtype.0, 24 | 30) && !std::mem::replace(&mut self.warned_old_dnssec, true) {
            self.warn(file, line.number, Kind::OldDnssec);
        }
    }

    fn emit(&mut self, file: &File, line: u32, rtype: RrType, rdata: &[u8]) -> Step<()> {
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

    fn generate(&mut self, file: &mut File, line: &Line<'_>) -> Step<()> {
        let range_text = self.token(file, line, 1)?;
        let owner = self.token(file, line, 2)?;
        let (mut at, mut class) = (3, None);
        let mut ttl_given = false;
        let mut text = self.token(file, line, at)?;
        for _ in 0..2 {
            if class.is_none() && parse_class(text).is_some() {
                class = parse_class(text);
            } else if let Some(ttl) = rdata::parse_ttl(text).ok().filter(|_| !ttl_given) {
                self.ttl = self.limited(file, line.number, ttl);
                (self.ttl_known, ttl_given) = (true, true);
            } else {
                break;
            }
            at += 1;
            text = self.token(file, line, at)?;
        }
        let Some(template) = line.tokens.get(at + 1) else { return Err(self.missing(file, line)) };
        let shown = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        if let Some(class) = class.filter(|&class| class != Class::IN) {
            return Err(self.error(file, line.number, Kind::WrongClass(class)));
        }
        let Some(range) = generate::range(range_text) else {
            return Err(self.error(file, line.number, Kind::GenerateRange(shown(range_text))));
        };
        let Some(rtype) = rdata::from_mnemonic(text) else {
            return Err(self.error(file, line.number, Kind::GenerateType(shown(text))));
        };
        if rtype.is_meta() {
            return Err(self.error(file, line.number, Kind::GenerateMeta(shown(text))));
        }
        let head = Head { ttl_given, class, rtype, rdata_at: 0 };
        for number in range.numbers() {
            self.generate_one(file, line, &head, owner, template.text, number)?;
        }
        self.expect_end(file, line, at + 2)
    }

    fn generate_one(
        &mut self,
        file: &mut File,
        line: &Line<'_>,
        head: &Head,
        owner: &[u8],
        template: &[u8],
        number: u32,
    ) -> Step<()> {
        let fail = |reason| Kind::Generate(reason);
        let owner =
            generate::expand(owner, number).map_err(|reason| self.error(file, line.number, fail(reason)))?;
        let text = generate::expand(template, number)
            .map_err(|reason| self.error(file, line.number, fail(reason)))?;
        let mut wire = Vec::with_capacity(owner.len() + 32);
        if let Err(error) = name::parse_into(&owner, Some(file.origin.as_wire()), &mut wire) {
            return Err(self.error(file, line.number, fail(rdata::name_reason(error))));
        }
        if !name::is_at_or_below(&wire, self.zone.as_wire()) {
            let name = Name::from_wire(&wire).unwrap_or_else(|_| file.origin.clone());
            self.warn(file, line.number, Kind::OutOfZone(name));
            return Ok(());
        }
        let mut lexer = Lexer::new(&text);
        let mut made = Line::default();
        lexer.next_line(&mut made);
        if matches!(head.rtype, RrType::SVCB | RrType::HTTPS) {
            made.join_pairs(0, lexer.file());
        }
        let mut octets = Vec::new();
        let parsed = rdata::from_text(head.rtype, &made.tokens, &file.origin, &mut octets);
        let reason = parsed.map_err(|error| error.reason).err().or(made.error.map(LexError::reason));
        if let Some(reason) = reason {
            return Err(self.error(file, line.number, fail(reason)));
        }
        // The names that are made are owners of their own; the current owner stays what it was.
        let mut generated = File::new(Arc::clone(&file.name), file.origin.clone());
        generated.owner = wire;
        generated.owner_line = line.number;
        self.settle_ttl(&mut generated, line, head, &octets)?;
        self.emit(&generated, line.number, head.rtype, &octets)
    }
}

fn near(token: Option<&Token<'_>>, line: &Line<'_>) -> Near {
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

/// The severity of a report.
fn severity(check: Check) -> Severity {
    if check == Check::Fail { Severity::Error } else { Severity::Warning }
}

/// A class by its mnemonic or as CLASSnnn (RFC 3597 §5).
fn parse_class(text: &[u8]) -> Option<Class> {
    // Most tokens here are types or TTLs: cheap to tell apart by length and first letter.
    match text.first()?.to_ascii_uppercase() {
        b'I' | b'C' | b'H' | b'A' | b'N' => {}
        _ => return None,
    }
    for (mnemonic, class) in [
        ("IN", Class::IN),
        ("CH", Class::CH),
        ("HS", Class::HS),
        ("ANY", Class::ANY),
        ("NONE", Class::NONE),
        ("CHAOS", Class::CH),
        ("HESIOD", Class::HS),
    ] {
        if mnemonic.as_bytes().eq_ignore_ascii_case(text) {
            return Some(class);
        }
    }
    let (prefix, digits) = text.split_at_checked(5)?;
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if !prefix.eq_ignore_ascii_case(b"CLASS") || !is_number {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().map(Class)
}

/// Whether a target is written like an address, with a final dot or without.
fn is_address(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let text = text.strip_suffix('.').unwrap_or(text);
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()
}

/// Whether names below `origin` stand for addresses.
fn is_reverse(origin: &Name) -> bool {
    [b"\x07in-addr\x04arpa\x00".as_slice(), b"\x03ip6\x04arpa\x00", b"\x03ip6\x03int\x00"]
        .into_iter()
        .any(|suffix| name::is_at_or_below(origin.as_wire(), suffix))
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
