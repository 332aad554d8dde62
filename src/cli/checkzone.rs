//! `checkzone` and `compilezone`: named-checkzone and named-compilezone 9.18.
//!
//! Options, messages, streams and exit codes are BIND's. Not supported, and refused aloud: the `raw` format,
//! the `relative` style, classes other than IN, and journal files of BIND that exist.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::ToSocketAddrs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::getopt::{self, Step};
use crate::clock;
use crate::dns::{Name, RrType};
use crate::zone::Contents;
use crate::zone::check::{self, Check, Finding, Integrity};
use crate::zonefile::{self, Loaded};

/// What `program` does unless options say otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Writes the zone only if asked to.
    Check,
    /// Writes the zone, and is strict about names in it.
    Compile,
}

/// The command line, understood.
struct Command {
    mode: Mode,
    quiet: bool,
    debug: bool,
    output: Option<OsString>,
    dump: bool,
    journal: Option<Option<OsString>>,
    reading: zonefile::Options,
    checking: check::Options,
    zone: OsString,
    file: Option<OsString>,
}

/// Why there is nothing to do: the exit code.
struct Exit(i32);

/// Runs the command; `program` is what its messages call it. Returns the exit code.
pub fn checkzone(program: &str, args: &[OsString]) -> i32 {
    run(program, args, &mut io::stdout().lock(), &mut io::stderr().lock())
}

/// The same with the streams given, for tests.
pub fn run(program: &str, args: &[OsString], stdout: &mut dyn Write, stderr: &mut dyn Write) -> i32 {
    let command = match Command::parse(program, args, stdout, stderr) {
        Ok(command) => command,
        Err(Exit(code)) => return code,
    };
    // A closed stream is not worth a word, but the exit code must not say that all is well.
    command.run(stdout, stderr).unwrap_or(1)
}

/// A message that ends the command.
fn fail(stderr: &mut dyn Write, message: impl std::fmt::Display) -> Exit {
    let _ = writeln!(stderr, "{message}");
    Exit(1)
}

/// BIND: two messages have no newline.
fn fail_bare(stderr: &mut dyn Write, message: &str) -> Exit {
    let _ = write!(stderr, "{message}");
    Exit(1)
}

fn usage(mode: Mode, program: &str) -> String {
    let output = if mode == Mode::Check { "[-o filename]" } else { "-o filename" };
    format!(
        "usage: {program} [-djqvD] [-c class] [-f inputformat] [-F outputformat] [-J filename] \
         [-s (full|relative)] [-t directory] [-w directory] [-k (ignore|warn|fail)] [-m (ignore|warn|fail)] \
         [-n (ignore|warn|fail)] [-r (ignore|warn|fail)] [-i (full|full-sibling|local|local-sibling|none)] \
         [-M (ignore|warn|fail)] [-S (ignore|warn|fail)] [-W (ignore|warn)] {output} zonename [ (filename|-) ]"
    )
}

fn mode_of(program: &str) -> Mode {
    if program.contains("compilezone") { Mode::Compile } else { Mode::Check }
}

impl Command {
    fn new(mode: Mode) -> Command {
        // What is written will be served, so its names must be right.
        let strict = if mode == Mode::Check { Check::Warn } else { Check::Fail };
        Command {
            mode,
            quiet: false,
            debug: false,
            output: None,
            dump: mode == Mode::Compile,
            journal: None,
            reading: zonefile::Options {
                check_names: strict,
                check_ns: strict,
                now: u32::try_from(clock::unix_secs()).ok(),
                ..zonefile::Options::default()
            },
            checking: check::Options {
                integrity: Integrity::Full { sibling: true },
                ..check::Options::default()
            },
            zone: OsString::new(),
            file: None,
        }
    }

    fn parse(
        program: &str,
        args: &[OsString],
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> Result<Command, Exit> {
        let mode = mode_of(program);
        let mut command = Command::new(mode);
        let mut options = getopt::Options::new("c:df:hi:jJ:k:L:l:m:n:qr:s:t:o:vw:DF:M:S:T:W:", args);
        for step in options.by_ref() {
            match step {
                Step::Flag(b'v') => {
                    let _ = writeln!(stdout, "{}", env!("CARGO_PKG_VERSION"));
                    return Err(Exit(0));
                }
                Step::Flag(b'h') => {
                    return Err(fail(stderr, usage(mode, program)));
                }
                Step::Flag(flag) => command.flag(flag),
                Step::Value(letter, value) => command.value(letter, value, stderr)?,
                Step::Unknown(letter) | Step::MissingArgument(letter) => {
                    let letter = letter as char;
                    let usage = usage(mode, program);
                    return Err(fail(stderr, format_args!("{program}: invalid argument -{letter}\n{usage}")));
                }
            }
        }
        if mode == Mode::Compile && command.output.is_none() {
            let usage = usage(mode, program);
            return Err(fail(stderr, format_args!("output file required, but not specified\n{usage}")));
        }
        match options.operands() {
            [zone] => command.zone = zone.clone(),
            [zone, file] => {
                command.zone = zone.clone();
                command.file = Some(file.clone()).filter(|file| file != "-");
            }
            _ => return Err(fail(stderr, usage(mode, program))),
        }
        Ok(command)
    }

    fn flag(&mut self, flag: u8) {
        match flag {
            b'q' => self.quiet = true,
            b'd' => self.debug = true,
            b'D' => self.dump = true,
            // -j: the journal beside the zone file, if there is one.
            _ => self.journal = Some(None),
        }
    }

    fn value(&mut self, letter: u8, value: OsString, stderr: &mut dyn Write) -> Result<(), Exit> {
        let text = value.to_string_lossy().into_owned();
        let level = |stderr: &mut dyn Write| match text.as_str() {
            "ignore" => Ok(Check::Ignore),
            "warn" => Ok(Check::Warn),
            "fail" => Ok(Check::Fail),
            _ => Err(fail(stderr, format_args!("invalid argument to -{}: {text}", letter as char))),
        };
        match letter {
            b'c' => parse_class(&text, stderr)?,
            b'f' | b'F' => parse_format(&text, stderr)?,
            b'i' => {
                self.checking.integrity = match text.as_str() {
                    "full" => Integrity::Full { sibling: true },
                    "full-sibling" => Integrity::Full { sibling: false },
                    "local" => Integrity::Local { sibling: true },
                    "local-sibling" => Integrity::Local { sibling: false },
                    "none" => Integrity::None,
                    _ => return Err(fail(stderr, format_args!("invalid argument to -i: {text}"))),
                };
            }
            b'J' => self.journal = Some(Some(value)),
            b'k' => self.reading.check_names = level(stderr)?,
            b'L' => {
                // The serial goes into the head of a raw file, which there is none of.
                text.parse::<u32>().map_err(|_| fail_bare(stderr, "source serial number must be numeric"))?;
            }
            b'l' => {
                let ttl = text.parse().map_err(|_| fail_bare(stderr, "maximum TTL must be numeric"))?;
                self.reading.max_ttl = Some(ttl).filter(|&ttl| ttl > 0);
            }
            b'm' => {
                self.reading.check_mx = level(stderr)?;
                self.checking.mx = level(stderr)?;
            }
            b'n' => self.reading.check_ns = level(stderr)?,
            b'M' => self.checking.mx_cname = level(stderr)?,
            b'S' => self.checking.srv_cname = level(stderr)?,
            b'r' => self.checking.duplicates = level(stderr)?,
            b'T' => {
                self.checking.spf = match text.as_str() {
                    "ignore" => Check::Ignore,
                    "warn" => Check::Warn,
                    _ => return Err(fail(stderr, format_args!("invalid argument to -T: {text}"))),
                };
            }
            b'W' => match text.as_str() {
                "ignore" => self.reading.check_wildcard = Check::Ignore,
                "warn" => self.reading.check_wildcard = Check::Warn,
                // BIND: says nothing about any other word.
                _ => {}
            },
            b's' => match text.as_str() {
                "full" => {}
                "relative" => return Err(fail(stderr, "style relative is not supported")),
                _ => return Err(fail(stderr, format_args!("unknown or unsupported style: {text}"))),
            },
            b't' => {
                let done = nix::unistd::chroot(value.as_os_str()).and_then(|()| nix::unistd::chdir("/"));
                done.map_err(|errno| fail(stderr, dir_message("isc_dir_chroot", &text, errno)))?;
            }
            b'w' => {
                let done = nix::unistd::chdir(value.as_os_str());
                done.map_err(|errno| fail(stderr, dir_message("isc_dir_chdir", &text, errno)))?;
            }
            _ => self.output = Some(value),
        }
        Ok(())
    }

    /// Whether the zone goes to standard output, and what is said to standard error.
    fn dumps_to_stdout(&self) -> bool {
        match &self.output {
            Some(output) => output == "-",
            None => self.dump,
        }
    }

    fn run(&self, stdout: &mut dyn Write, stderr: &mut dyn Write) -> io::Result<i32> {
        let Ok(zone) = Name::parse(self.zone.as_bytes(), Some(&Name::root())) else { return Ok(1) };
        let shown_zone = self.zone.to_string_lossy();
        let shown_zone = shown_zone.strip_suffix('.').filter(|bare| !bare.is_empty()).unwrap_or(&shown_zone);
        let shown_file = self.file.as_deref().unwrap_or(OsStr::new("-")).to_string_lossy();
        if self.debug {
            writeln!(stderr, r#"loading "{shown_zone}" from "{shown_file}" class "IN""#)?;
        }
        if let Some(journal) = self.existing_journal() {
            fail(stderr, format_args!("{}: journal files are not supported", journal.to_string_lossy()));
            return Ok(1);
        }
        let loaded = self.load(&zone)?;
        let contents = {
            let mut sink = io::sink();
            let informational: &mut dyn Write = match (self.quiet, self.dumps_to_stdout()) {
                (true, _) => &mut sink,
                (false, true) => stderr,
                (false, false) => stdout,
            };
            match self.report(shown_zone, &shown_file, loaded, informational)? {
                Some(contents) => contents,
                None => return Ok(1),
            }
        };
        if let Err(Exit(code)) = self.write(shown_zone, &contents, stdout, stderr)? {
            return Ok(code);
        }
        if !self.quiet {
            let informational: &mut dyn Write = if self.dumps_to_stdout() { stderr } else { stdout };
            writeln!(informational, "OK")?;
        }
        Ok(0)
    }

    fn existing_journal(&self) -> Option<OsString> {
        let beside = || {
            let mut path = self.file.clone()?;
            path.push(".jnl");
            Some(path)
        };
        let path = self.journal.clone()?.or_else(beside)?;
        Path::new(&path).exists().then_some(path)
    }

    fn load(&self, zone: &Name) -> io::Result<Loaded> {
        Ok(match &self.file {
            Some(file) => zonefile::load(Path::new(file), zone, &self.reading),
            None => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes)?;
                zonefile::load_bytes(&bytes, "-", zone, &self.reading)
            }
        })
    }

    /// Says what was found; the zone, if it is one.
    fn report(
        &self,
        zone: &str,
        file: &str,
        loaded: Loaded,
        out: &mut dyn Write,
    ) -> io::Result<Option<Contents>> {
        for diagnostic in &loaded.outcome.diagnostics {
            let text = diagnostic.to_string();
            // What BIND knows the result of only has no line of its own.
            if !text.is_empty() {
                writeln!(out, "{text}")?;
            }
        }
        if let Some(error) = loaded.outcome.first_error() {
            let result = error.kind.result();
            writeln!(out, "zone {zone}/IN: loading from master file {file} failed: {result}")?;
        }
        let mut findings = Vec::new();
        let mut contents = loaded.contents;
        if loaded.outcome.first_error().is_none() {
            match &contents {
                None => {
                    findings.push(Finding::SoaCount(0));
                    findings.extend((!loaded.has_ns).then_some(Finding::NoNs));
                }
                Some(zone) => {
                    let report = check::check(zone, &self.checking);
                    findings = report.findings;
                    if report.fatal > 0 {
                        contents = None;
                    }
                }
            }
        }
        let mut resolver = Resolver::default();
        for finding in findings {
            let text = match &finding {
                Finding::Outside { rtype, target, .. } => resolver.complaint(*rtype, target, &finding),
                finding => Some(finding.to_string()),
            };
            if let Some(text) = text {
                writeln!(out, "zone {zone}/IN: {text}")?;
            }
        }
        match &contents {
            Some(contents) => {
                let signed = if check::is_signed(contents) { " (DNSSEC signed)" } else { "" };
                writeln!(out, "zone {zone}/IN: loaded serial {}{signed}", contents.serial())?;
            }
            None => writeln!(out, "zone {zone}/IN: not loaded due to errors.")?,
        }
        Ok(contents)
    }

    fn write(
        &self,
        zone: &str,
        contents: &Contents,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> io::Result<Result<(), Exit>> {
        if self.dumps_to_stdout() {
            if self.debug {
                writeln!(stderr, r#"dumping "{zone}""#)?;
            }
            zonefile::write_zone(contents, &mut BufWriter::new(stdout))?;
            return Ok(Ok(()));
        }
        let Some(path) = &self.output else { return Ok(Ok(())) };
        let shown = path.to_string_lossy();
        if self.debug {
            writeln!(stderr, r#"dumping "{zone}" to "{shown}""#)?;
        }
        let Ok(file) = File::create(path) else {
            return Ok(Err(fail(stderr, format_args!("could not open output file \"{shown}\" for writing"))));
        };
        if self.mode == Mode::Compile && !self.quiet {
            write!(stdout, "dump zone to {shown}...")?;
        }
        let mut file = BufWriter::new(file);
        let written = zonefile::write_zone(contents, &mut file).and_then(|()| file.flush());
        if let Err(error) = written {
            return Ok(Err(fail(stderr, format_args!("{shown}: {error}"))));
        }
        if self.mode == Mode::Compile && !self.quiet {
            writeln!(stdout, "done")?;
        }
        Ok(Ok(()))
    }
}

fn parse_class(text: &str, stderr: &mut dyn Write) -> Result<(), Exit> {
    match text.to_ascii_uppercase().as_str() {
        "IN" | "CLASS1" => Ok(()),
        "CH" | "CHAOS" | "HS" | "HESIOD" => Err(fail(stderr, format_args!("class {text} is not supported"))),
        // BIND: exits without a word.
        _ => Err(Exit(1)),
    }
}

fn parse_format(text: &str, stderr: &mut dyn Write) -> Result<(), Exit> {
    match text.strip_prefix("raw") {
        _ if text == "text" => Ok(()),
        Some("" | "=0" | "=1") => Err(fail(stderr, "file format raw is not supported")),
        Some(version) if version.starts_with('=') => Err(fail(stderr, "unknown raw format version")),
        _ => Err(fail(stderr, format_args!("unknown file format: {text}"))),
    }
}

fn dir_message(function: &str, path: &str, errno: nix::Error) -> String {
    let reason = match errno {
        nix::Error::ENOENT | nix::Error::ENOTDIR => "file not found",
        nix::Error::EPERM | nix::Error::EACCES => "permission denied",
        other => other.desc(),
    };
    format!("{function}: {path}: {reason}")
}

/// Asks the system's resolver about targets outside the zone, once per name.
#[derive(Default)]
struct Resolver {
    complained: Vec<Name>,
}

impl Resolver {
    /// What there is to say about a target. Name servers are not asked about: what BIND says of them is
    /// about glue, which only a resolver of its own could compare.
    fn complaint(&mut self, rtype: RrType, target: &Name, finding: &Finding) -> Option<String> {
        if rtype == RrType::NS || self.complained.contains(target) {
            return None;
        }
        let bare = target.to_string();
        let bare = bare.strip_suffix('.').unwrap_or(&bare);
        let error = (bare, 0u16).to_socket_addrs().err()?;
        self.complained.push(target.clone());
        let text = error.to_string();
        // The only place where the standard library keeps getaddrinfo's reason.
        let reason = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        Some(match reason {
            "Name or service not known" | "No address associated with hostname" => finding.to_string(),
            reason => format!("getaddrinfo({bare}) failed: {reason}"),
        })
    }
}
