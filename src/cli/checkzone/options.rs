//! The command line of checkzone and compilezone, as BIND's tools read it.

use std::ffi::OsString;
use std::io::Write;

use crate::cli::explain::Form;
use crate::cli::getopt::{self, Step};
use crate::cli::help::{self, Help};
use crate::cli::number::strtoul;
use crate::clock;
use crate::dns::Class;
use crate::zone::check::{self, Check, Integrity};
use crate::zonefile::{self, Format, raw};

/// The options, as getopt(3) writes them.
pub const OPTIONS: &str = "c:df:hi:jJ:k:L:l:m:n:qr:s:t:o:vw:DF:M:S:T:W:";
/// The options that BIND does not have.
pub const LONG_OPTIONS: &[&str] = &["explain", "json", "help"];

/// What `program` does unless options say otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Writes the zone only if asked to.
    Check,
    /// Writes the zone, and is strict about names in it.
    Compile,
}

/// How text is laid out.
#[derive(Clone, Copy)]
pub(super) enum Style {
    /// Every record on a line of its own, complete.
    Full,
    /// For people.
    Relative,
}

impl Mode {
    fn help(self) -> Help {
        match self {
            Mode::Check => help::CHECKZONE,
            Mode::Compile => help::COMPILEZONE,
        }
    }
}

/// The command line, understood.
pub(super) struct Command {
    pub(super) mode: Mode,
    pub(super) quiet: bool,
    pub(super) debug: bool,
    /// The class as it was given.
    pub(super) class_text: String,
    pub(super) output: Option<OsString>,
    pub(super) dump: bool,
    /// What the zone is written in: this version of the raw format, or text.
    pub(super) raw: Option<raw::Version>,
    pub(super) style: Style,
    /// For the header of a raw file.
    pub(super) source_serial: Option<u32>,
    pub(super) journal: Option<Option<OsString>>,
    pub(super) reading: zonefile::Options,
    pub(super) checking: check::Options,
    pub(super) zone: OsString,
    pub(super) file: Option<OsString>,
    pub(super) form: Form,
}

/// Why there is nothing to do: the exit code.
pub(super) struct Exit(pub(super) i32);

/// A message that ends the command.
pub(super) fn fail(stderr: &mut dyn Write, message: impl std::fmt::Display) -> Exit {
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
            class_text: "IN".to_owned(),
            output: None,
            dump: mode == Mode::Compile,
            raw: None,
            style: Style::Full,
            source_serial: None,
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
            form: Form::Bind,
        }
    }

    pub(super) fn parse(
        program: &str,
        args: &[OsString],
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> Result<Command, Exit> {
        let mode = mode_of(program);
        let mut command = Command::new(mode);
        let mut options = getopt::Options::new(OPTIONS, args).with_long(LONG_OPTIONS);
        for step in options.by_ref() {
            match step {
                Step::Flag(b'v') => {
                    let _ = writeln!(stdout, "{}", env!("CARGO_PKG_VERSION"));
                    return Err(Exit(0));
                }
                Step::Flag(b'h') => {
                    return Err(fail(stderr, usage(mode, program)));
                }
                Step::Long("help") => {
                    let _ = write!(stdout, "{}", mode.help().text(program));
                    return Err(Exit(0));
                }
                Step::Long(name) => command.long(name, program, stderr)?,
                Step::Flag(flag) => command.flag(flag),
                Step::Value(letter, value) => command.value(letter, value, stderr)?,
                Step::Unknown(b'?') => return Err(fail(stderr, usage(mode, program))),
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
        command.check_form(program, stderr)?;
        Ok(command)
    }

    fn long(&mut self, name: &str, program: &str, stderr: &mut dyn Write) -> Result<(), Exit> {
        let form = if name == "json" { Form::Json } else { Form::Explained };
        if self.form != Form::Bind && self.form != form {
            return Err(fail(
                stderr,
                format_args!("{program}: --explain and --json cannot be used together"),
            ));
        }
        self.form = form;
        Ok(())
    }

    /// Refuses options that leave nowhere to tell findings.
    fn check_form(&self, program: &str, stderr: &mut dyn Write) -> Result<(), Exit> {
        let name = match self.form {
            Form::Bind => return Ok(()),
            Form::Explained => "--explain",
            Form::Json => "--json",
        };
        if self.quiet {
            return Err(fail(stderr, format_args!("{program}: {name} and -q cannot be used together")));
        }
        if self.form == Form::Json && self.dumps_to_stdout() {
            let complaint = "--json and the zone cannot both go to standard output: name a file with -o";
            return Err(fail(stderr, format_args!("{program}: {complaint}")));
        }
        Ok(())
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
            b'c' => {
                // BIND: an unknown class ends it without a word. ANY and NONE are no classes of a zone (RFC 6895 §3.2).
                let class = zonefile::parse_class(text.as_bytes());
                let class =
                    class.filter(|class| ![Class::ANY, Class::NONE].contains(class)).ok_or(Exit(1))?;
                (self.reading.class, self.checking.class, self.class_text) = (class, class, text);
            }
            b'f' => self.reading.format = input_format(&text, stderr)?,
            b'F' => self.raw = output_format(&text, stderr)?,
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
                let serial = strtoul(&text);
                self.source_serial =
                    Some(serial.ok_or_else(|| fail_bare(stderr, "source serial number must be numeric"))?);
            }
            b'l' => {
                let ttl = strtoul(&text).ok_or_else(|| fail_bare(stderr, "maximum TTL must be numeric"))?;
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
                "full" => self.style = Style::Full,
                "relative" => self.style = Style::Relative,
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
    pub(super) fn dumps_to_stdout(&self) -> bool {
        match &self.output {
            Some(output) => output == "-",
            None => self.dump,
        }
    }
}

fn input_format(text: &str, stderr: &mut dyn Write) -> Result<Format, Exit> {
    match text.to_ascii_lowercase().as_str() {
        "text" => Ok(Format::Text),
        "raw" => Ok(Format::Raw),
        lower if lower.starts_with("raw=") => {
            let _ = writeln!(stderr, "WARNING: input format raw, version ignored");
            Ok(Format::Raw)
        }
        _ => Err(fail(stderr, format_args!("unknown file format: {text}"))),
    }
}

fn output_format(text: &str, stderr: &mut dyn Write) -> Result<Option<raw::Version>, Exit> {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("raw") {
        _ if lower == "text" => Ok(None),
        Some("") => Ok(Some(raw::Version::V1)),
        Some(version) if version.starts_with('=') => match version[1..].trim_start().parse::<i64>() {
            Ok(0) => Ok(Some(raw::Version::V0)),
            Ok(1) => Ok(Some(raw::Version::V1)),
            _ => Err(fail(stderr, "unknown raw format version")),
        },
        _ => Err(fail(stderr, format_args!("unknown file format: {text}"))),
    }
}
fn dir_message(function: &str, path: &str, errno: nix::Error) -> String {
    let reason = match errno {
        nix::Error::ENOENT => "file not found",
        nix::Error::ENOTDIR | nix::Error::ELOOP | nix::Error::ENAMETOOLONG => "invalid file",
        nix::Error::EPERM | nix::Error::EACCES => "permission denied",
        other => other.desc(),
    };
    format!("{function}: {path}: {reason}")
}
