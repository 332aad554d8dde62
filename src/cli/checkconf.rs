//! `checkconf`: reads a configuration and says what is wrong with it, as named-checkconf 9.18 does.
//!
//! Besides BIND's messages it prints a warning for every statement that this server does not implement.
//! Findings go to standard output, as BIND's do; the exit code is 1 if there was an error.

use super::getopt::{Options, Step};
use super::help;
use crate::config::{self, Reading, Secrets, Severity, ZoneConfig};
use crate::zone::check;
use crate::{clock, zonefile};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

/// The options, as getopt(3) writes them.
pub const OPTIONS: &str = "chijlpt:vxz";
/// The options that BIND does not have.
pub const LONG_OPTIONS: &[&str] = &["help"];

/// What BIND reads if no file is named.
const DEFAULT_FILE: &str = "/etc/bind/named.conf";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    ignore_deprecated: bool,
    list_zones: bool,
    load_zones: bool,
    print: bool,
    hide_secrets: bool,
    root: Option<PathBuf>,
    file: PathBuf,
}

/// What a command line comes to.
#[derive(Debug, PartialEq, Eq)]
enum CommandLine {
    Check(Wishes),
    Version,
    Help,
    /// The usage, behind a complaint if there is one. BIND: exit code 0 all the same.
    Usage(Option<String>),
    Refused(&'static str),
}

/// Runs the command; gives the exit code.
pub fn checkconf(program: &str, args: &[OsString]) -> i32 {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    // Nobody is left to tell if the output is closed.
    run(program, args, &mut out, &mut err).unwrap_or(1)
}

fn run(program: &str, args: &[OsString], out: &mut dyn Write, err: &mut dyn Write) -> io::Result<i32> {
    let wishes = match command_line(args) {
        CommandLine::Check(wishes) => wishes,
        CommandLine::Help => {
            write!(out, "{}", help::CHECKCONF.text(program))?;
            return Ok(0);
        }
        CommandLine::Version => {
            writeln!(out, "{}", env!("CARGO_PKG_VERSION"))?;
            return Ok(0);
        }
        CommandLine::Usage(complaint) => {
            if let Some(complaint) = complaint {
                writeln!(err, "{program}: {complaint}")?;
            }
            writeln!(err, "usage: {program} [-chijlvz] [-p [-x]] [-t directory] [named.conf]")?;
            return Ok(0);
        }
        CommandLine::Refused(complaint) => {
            writeln!(err, "{program}: {complaint}")?;
            return Ok(1);
        }
    };
    if let Some(root) = &wishes.root
        && let Err(error) = nix::unistd::chroot(root).and_then(|()| nix::unistd::chdir("/"))
    {
        let reason = if error == nix::errno::Errno::ENOENT { "file not found" } else { error.desc() };
        writeln!(err, "isc_dir_chroot: {reason}")?;
        return Ok(1);
    }
    let reading = config::read_file(&wishes.file, None);
    for finding in &reading.diagnostics {
        if !(wishes.ignore_deprecated && finding.severity == Severity::Deprecation) {
            writeln!(out, "{finding}")?;
        }
    }
    report(&wishes, &reading, out, err)
}

fn command_line(args: &[OsString]) -> CommandLine {
    let mut wishes = Wishes::default();
    let mut options = Options::new(OPTIONS, args).with_long(LONG_OPTIONS);
    for step in options.by_ref() {
        match step {
            Step::Flag(b'h') => return CommandLine::Usage(None),
            Step::Long(_) => return CommandLine::Help,
            Step::Flag(b'v') => return CommandLine::Version,
            Step::Flag(b'i') => wishes.ignore_deprecated = true,
            Step::Flag(b'l') => wishes.list_zones = true,
            Step::Flag(b'z') => wishes.load_zones = true,
            Step::Flag(b'p') => wishes.print = true,
            Step::Flag(b'x') => wishes.hide_secrets = true,
            // There are no plugins to leave out, and no journals beside zone files.
            Step::Flag(_) => {}
            Step::Value(_, root) => wishes.root = Some(root.into()),
            Step::Unknown(letter) | Step::MissingArgument(letter) => {
                return CommandLine::Usage(Some(format!("invalid argument -{}", char::from(letter))));
            }
        }
    }
    wishes.file = match options.operands() {
        [] => DEFAULT_FILE.into(),
        [file] => file.into(),
        _ => return CommandLine::Usage(None),
    };
    if wishes.hide_secrets && !wishes.print {
        return CommandLine::Refused("-x cannot be used without -p");
    }
    CommandLine::Check(wishes)
}

/// What is done with a configuration that could be read.
fn report(wishes: &Wishes, reading: &Reading, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<i32> {
    let Some(config) = reading.config() else { return Ok(1) };
    let mut code = 0;
    if wishes.load_zones {
        if let Some(directory) = &config.options.directory
            && let Err(error) = std::env::set_current_dir(directory)
        {
            writeln!(err, "change directory to '{}' failed: {error}", directory.display())?;
            return Ok(1);
        }
        for zone in &config.zones {
            if load_zone(zone, out, err)? == Verdict::Refused {
                code = 1;
            }
        }
    }
    if wishes.list_zones {
        for zone in reading.zones() {
            writeln!(out, "{} {} _default {}", zone.name, zone.class, zone.zone_type)?;
        }
    }
    if wishes.print {
        let secrets = if wishes.hide_secrets { Secrets::Hidden } else { Secrets::Shown };
        out.write_all(reading.canonical(secrets).as_bytes())?;
    }
    Ok(code)
}

/// Whether a zone can be served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Loaded,
    Refused,
}

/// Loads a zone file to see whether it makes a zone, and says so as BIND does.
fn load_zone(zone: &ZoneConfig, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Verdict> {
    let options = zonefile::Options { now: u32::try_from(clock::unix_secs()).ok(), ..Default::default() };
    let checked = zonefile::load_checked(&zone.file, &zone.name, &options, &check::Options::default());
    for message in &checked.messages {
        writeln!(out, "{message}")?;
    }
    let name = zone.name.undotted();
    if let Some(contents) = &checked.contents {
        let signed = if check::is_signed(contents) { " (DNSSEC signed)" } else { "" };
        writeln!(out, "zone {name}/IN: loaded serial {}{signed}", contents.serial())?;
        return Ok(Verdict::Loaded);
    }
    writeln!(err, "_default/{name}/IN: {}", checked.failure.unwrap_or("bad zone"))?;
    Ok(Verdict::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the command on a configuration; `FILE` in it stands for its directory. Gives code, output, errors.
    fn check(options: &[&str], source: &str, files: &[(&str, &str)]) -> (i32, String, String) {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().to_str().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let path = dir.path().join("named.conf");
        std::fs::write(&path, source.replace("DIR", place)).unwrap();
        let args: Vec<OsString> = options.iter().map(OsString::from).chain([path.into_os_string()]).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run("named-checkconf", &args, &mut out, &mut err).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&format!("{place}/"), "");
        (code, text(out), text(err))
    }

    #[test]
    fn options_are_those_of_named_checkconf() {
        let usage = "usage: named-checkconf [-chijlvz] [-p [-x]] [-t directory] [named.conf]\n";
        let check = |args: &[&str], code: i32, expected_out: &str, expected_err: &str| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            assert_eq!(run("named-checkconf", &args, &mut out, &mut err).unwrap(), code, "{args:?}");
            assert_eq!(String::from_utf8(out).unwrap(), expected_out, "{args:?}");
            assert_eq!(String::from_utf8(err).unwrap(), expected_err, "{args:?}");
        };
        check(&["-h"], 0, "", usage);
        check(&["-q"], 0, "", &format!("named-checkconf: invalid argument -q\n{usage}"));
        check(&["-t"], 0, "", &format!("named-checkconf: invalid argument -t\n{usage}"));
        check(&["a", "b"], 0, "", usage);
        check(&["-x", "f"], 1, "", "named-checkconf: -x cannot be used without -p\n");
        check(&["-v"], 0, &format!("{}\n", env!("CARGO_PKG_VERSION")), "");
        check(&["/nonexistent/f"], 1, "open: /nonexistent/f: file not found\n", "");
        check(&["-t", "/nonexistent", "f"], 1, "", "isc_dir_chroot: file not found\n");
    }

    #[test]
    fn findings_go_to_standard_output_and_errors_decide_the_code() {
        let warned = "named.conf:1: option 'querylog' is not implemented; ignored\n";
        assert_eq!(check(&[], "options { querylog yes; };\n", &[]), (0, warned.into(), String::new()));
        let refused = "named.conf:1: unknown option 'foo'\n";
        assert_eq!(check(&["-lp"], "foo;\n", &[]), (1, refused.into(), String::new()));
        let deprecated = "options { files 1k; };\n";
        assert!(check(&[], deprecated, &[]).1.contains("option 'files' is deprecated"));
        assert!(!check(&["-i"], deprecated, &[]).1.contains("deprecated"));
    }

    #[test]
    fn zones_are_listed_and_secrets_hidden() {
        let source =
            "key k { algorithm hmac-md5; secret \"YWJj\"; };\nzone \"a\" { type master; file \"a\"; };\n";
        let (code, out, _) = check(&["-l"], source, &[]);
        assert_eq!((code, out.as_str()), (0, "a IN _default master\n"));
        assert!(check(&["-p"], source, &[]).1.contains("secret \"YWJj\";"));
        assert!(check(&["-px"], source, &[]).1.contains("secret \"????\";"));
    }

    #[test]
    fn zone_files_are_loaded_as_named_checkconf_loads_them() {
        let source = "zone \"good\" { type primary; file \"DIR/good\"; };\n\
                      zone \"none\" { type primary; file \"DIR/none\"; };\n\
                      zone \"empty\" { type primary; file \"DIR/empty\"; };\n";
        let good = "$TTL 3600\n@ SOA ns hm 7 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
        let (code, out, err) = check(&["-z"], source, &[("good", good), ("empty", "")]);
        assert_eq!(
            out,
            "zone good/IN: loaded serial 7\n\
             zone none/IN: loading from master file none failed: file not found\n\
             zone none/IN: not loaded due to errors.\n\
             zone empty/IN: has 0 SOA records\n\
             zone empty/IN: has no NS records\n\
             zone empty/IN: not loaded due to errors.\n"
        );
        assert_eq!(
            (code, err.as_str()),
            (1, "_default/none/IN: file not found\n_default/empty/IN: bad zone\n")
        );
    }
}
