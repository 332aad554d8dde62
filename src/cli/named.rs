//! `named`: the server, with the options of BIND's named 9.18.

use super::getopt::{Options, Step};
use crate::config::{self, Config};
use crate::daemon::{self, Family, Overrides};
use crate::logging::{self, Fallback, Setup};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

/// BIND: where Debian and the upstream packages keep it.
const DEFAULT_CONFIGURATION: &str = "/etc/bind/named.conf";

const USAGE: &str = "\
usage: named [-4|-6] [-c conffile] [-d debuglevel] [-D comment] [-E engine]
             [-f|-g] [-L logfile] [-n number_of_cpus] [-p port] [-s]
             [-S sockets] [-u username] [-U listeners]
             [-X lockfile] [-m {usage|trace|record}]
             [-M fill|nofill]
usage: named [-v|-V]
";

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Arguments {
    configuration: PathBuf,
    mode: Mode,
    debug_level: u32,
    log_file: Option<PathBuf>,
    port: Option<u16>,
    family: Family,
    workers: Option<usize>,
    user: Option<String>,
}

/// How the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// In the background, detached from the terminal.
    Background,
    /// `-f`: in the foreground.
    Foreground,
    /// `-g`: in the foreground, logging to standard error whatever the configuration says.
    ForegroundStderr,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Serve(Box<Arguments>),
    Version,
    VersionDetails,
    Usage,
}

/// Runs the command; the exit code is 0 after SIGTERM or SIGINT, 1 on an error.
pub fn named(program: &str, args: &[OsString]) -> i32 {
    match parse(args) {
        Ok(Request::Serve(arguments)) => serve(&arguments),
        Ok(Request::Version) => print(&format!("Trimaran {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Request::VersionDetails) => print(&format!(
            "Trimaran {}\nreplication: OmniPaxos, store: SQLite, protocol of BIND 9.18\ndefault paths:\n  named configuration:  {DEFAULT_CONFIGURATION}\n",
            env!("CARGO_PKG_VERSION")
        )),
        Ok(Request::Usage) => print(USAGE),
        Err(message) => {
            eprint!("{program}: {message}\n{USAGE}");
            1
        }
    }
}

fn print(text: &str) -> i32 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn parse(args: &[OsString]) -> Result<Request, String> {
    let mut arguments = Arguments {
        configuration: DEFAULT_CONFIGURATION.into(),
        mode: Mode::Background,
        debug_level: 0,
        log_file: None,
        port: None,
        family: Family::Both,
        workers: None,
        user: None,
    };
    let mut options = Options::new("46c:Cd:D:E:fFgL:M:m:n:N:p:sS:t:T:U:u:vVx:X:h", args).with_long(&["help"]);
    for step in options.by_ref() {
        match step {
            Step::Flag(b'4') if arguments.family == Family::V6 => {
                return Err("only one of -4 and -6 can be specified".into());
            }
            Step::Flag(b'6') if arguments.family == Family::V4 => {
                return Err("only one of -4 and -6 can be specified".into());
            }
            Step::Flag(b'4') => arguments.family = Family::V4,
            Step::Flag(b'6') => arguments.family = Family::V6,
            Step::Flag(b'f') if arguments.mode == Mode::Background => arguments.mode = Mode::Foreground,
            Step::Flag(b'f') => {}
            Step::Flag(b'g') => arguments.mode = Mode::ForegroundStderr,
            Step::Flag(b'v') => return Ok(Request::Version),
            Step::Flag(b'V') => return Ok(Request::VersionDetails),
            Step::Flag(b'h') | Step::Long(_) => return Ok(Request::Usage),
            Step::Value(b'c', value) => arguments.configuration = value.into(),
            Step::Value(b'd', value) => arguments.debug_level = number(b'd', &value, 0..=99)?,
            Step::Value(b'L', value) => arguments.log_file = Some(value.into()),
            Step::Value(b'n', value) => arguments.workers = Some(number(b'n', &value, 1..=512)? as usize),
            Step::Value(b'p', value) => arguments.port = Some(number(b'p', &value, 1..=65535)? as u16),
            Step::Value(b'u', value) => {
                let user = value.into_string().map_err(|_| "-u: not a user name".to_string())?;
                arguments.user = Some(user);
            }
            Step::Value(b't', _) => {
                return Err(
                    "-t: changing the root directory is not supported; use the service manager's".into()
                );
            }
            // BIND: tuning of its own memory, sockets, engine and statistics; accepted so that service files work.
            Step::Flag(b's' | b'F') => {}
            Step::Value(b'D' | b'E' | b'M' | b'm' | b'N' | b'S' | b'T' | b'U' | b'x' | b'X', _) => {}
            Step::Flag(letter) | Step::Unknown(letter) | Step::Value(letter, _) => {
                return Err(format!("unknown option '-{}'", letter as char));
            }
            Step::MissingArgument(letter) => {
                return Err(format!("option '-{}' requires an argument", letter as char));
            }
        }
    }
    match options.operands().first() {
        Some(extra) => Err(format!("extra command line argument: {}", extra.to_string_lossy())),
        None => Ok(Request::Serve(Box::new(arguments))),
    }
}

fn number(option: u8, value: &OsString, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    value.to_str().and_then(|text| text.parse().ok()).filter(|number| range.contains(number)).ok_or_else(
        || {
            format!(
                "-{}: '{}' is not a number from {} to {}",
                option as char,
                value.to_string_lossy(),
                range.start(),
                range.end()
            )
        },
    )
}

fn serve(arguments: &Arguments) -> i32 {
    let Some(config) = read_configuration(&arguments.configuration, arguments.port) else { return 1 };
    // Threads do not survive a fork, so this comes before the first of them.
    if arguments.mode == Mode::Background
        && let Err(error) = nix::unistd::daemon(true, false)
    {
        eprintln!("named: cannot go to the background: {error}");
        return 1;
    }
    if let Err((path, error)) = start_logging(arguments, &config) {
        eprintln!("named: cannot open the log file {}: {error}", path.display());
        return 1;
    }
    let overrides = Overrides {
        port: arguments.port,
        family: arguments.family,
        workers: arguments.workers,
        user: arguments.user.clone(),
    };
    tracing::info!("starting Trimaran {}", env!("CARGO_PKG_VERSION"));
    match daemon::run_until_signal(config, &overrides) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("exiting (due to fatal error): {error}");
            1
        }
    }
}

fn start_logging(arguments: &Arguments, config: &Config) -> Result<(), (PathBuf, std::io::Error)> {
    let is_stderr = arguments.mode == Mode::ForegroundStderr;
    let fallback = match arguments.log_file.as_ref().filter(|_| !is_stderr) {
        Some(path) => Fallback::file(path).map_err(|error| (path.clone(), error))?,
        None => Fallback::Stderr,
    };
    let user = arguments.user.as_ref().and_then(|user| nix::unistd::User::from_name(user).ok().flatten());
    logging::start(Setup {
        fallback,
        debug_level: arguments.debug_level,
        // BIND: with -g everything goes to standard error, whatever the configuration says.
        logging: config.logging.as_ref().filter(|_| !is_stderr),
        directory: config.options.directory.as_deref().unwrap_or(Path::new(".")),
        owner: user.map(|user| (user.uid.as_raw(), user.gid.as_raw())),
    })
}

/// Reads the configuration; errors and warnings go to standard error, `file:line: text`.
fn read_configuration(path: &Path, port: Option<u16>) -> Option<Config> {
    match config::load_with_port(path, port) {
        Ok((config, warnings)) => {
            warnings.iter().for_each(|warning| eprintln!("{warning}"));
            Some(config)
        }
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("{error}"));
            eprintln!("named: {} not loaded due to errors", path.display());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Result<Request, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_options_of_bind_are_accepted() {
        let Ok(Request::Serve(parsed)) = arguments(&[
            "-4", "-fc", "x.conf", "-p5300", "-n", "2", "-u", "bind", "-S", "100", "-T", "x", "-d3",
        ]) else {
            panic!("a server was asked for");
        };
        assert_eq!(parsed.configuration, Path::new("x.conf"));
        assert_eq!((parsed.mode, parsed.family), (Mode::Foreground, Family::V4));
        assert_eq!((parsed.port, parsed.workers, parsed.debug_level), (Some(5300), Some(2), 3));
        assert_eq!(parsed.user.as_deref(), Some("bind"));
        assert_eq!(arguments(&["-v"]), Ok(Request::Version));
    }

    #[test]
    fn bad_options_say_what_is_wrong() {
        let check = |words: &[&str], text: &str| assert_eq!(arguments(words).unwrap_err(), text);
        check(&["-p", "0"], "-p: '0' is not a number from 1 to 65535");
        check(&["-p", "65536"], "-p: '65536' is not a number from 1 to 65535");
        check(&["-n", "x"], "-n: 'x' is not a number from 1 to 512");
        check(&["-c"], "option '-c' requires an argument");
        check(&["-Z"], "unknown option '-Z'");
        check(&["-4", "-6"], "only one of -4 and -6 can be specified");
        check(&["zone"], "extra command line argument: zone");
    }
}
