//! `checkconf`: reads a configuration and says what is wrong with it, as named-checkconf 9.18 does.
//!
//! It says what BIND would say, word for word, and nothing about this server, so that it can stand where
//! named-checkconf stood. `--trimaran` adds, on standard error, what this server would not carry out; the exit
//! code is then 1 too if the server would not start. Findings go to standard output, as BIND's do.

mod zone_data;

use super::getopt::{Options, Step};
use super::help;
use crate::config::{self, Plugins, ReadOptions, Reading, Secrets, Severity};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use zone_data::Verdict;

/// The options, as getopt(3) writes them.
pub const OPTIONS: &str = "cdhijlm:pt:vxz";
/// The options that BIND does not have.
pub const LONG_OPTIONS: &[&str] = &["help", "trimaran"];

/// What BIND reads if no file is named.
const DEFAULT_FILE: &str = "/etc/bind/named.conf";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wishes {
    ignore_deprecated: bool,
    skip_plugins: bool,
    list_zones: bool,
    load_zones: bool,
    with_journals: bool,
    print: bool,
    hide_secrets: bool,
    /// Whether this server's own view is asked for.
    ours: bool,
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
    let plugins = if wishes.skip_plugins { Plugins::Skipped } else { Plugins::Checked };
    let reading = config::read_file(&wishes.file, ReadOptions { plugins });
    for finding in &reading.diagnostics {
        if !(wishes.ignore_deprecated && finding.severity == Severity::Deprecation) {
            writeln!(out, "{finding}")?;
        }
    }
    if !reading.is_valid() {
        return Ok(1);
    }
    let mut code = 0;
    if wishes.load_zones || wishes.list_zones {
        code = zones(&wishes, &reading, out, err)?;
    }
    if wishes.print && code == 0 {
        let secrets = if wishes.hide_secrets { Secrets::Hidden } else { Secrets::Shown };
        out.write_all(reading.canonical(secrets).as_bytes())?;
    }
    if wishes.ours {
        let (config, findings) = reading.resolve(None);
        for finding in findings {
            writeln!(err, "{finding}")?;
        }
        if config.is_none() {
            code = 1;
        }
    }
    Ok(code)
}

fn command_line(args: &[OsString]) -> CommandLine {
    let mut wishes = Wishes::default();
    let mut options = Options::new(OPTIONS, args).with_long(LONG_OPTIONS);
    for step in options.by_ref() {
        match step {
            Step::Flag(b'h') => return CommandLine::Usage(None),
            Step::Long("trimaran") => wishes.ours = true,
            Step::Long(_) => return CommandLine::Help,
            Step::Flag(b'v') => return CommandLine::Version,
            Step::Flag(b'c') => wishes.skip_plugins = true,
            Step::Flag(b'i') => wishes.ignore_deprecated = true,
            Step::Flag(b'l') => wishes.list_zones = true,
            Step::Flag(b'z') => wishes.load_zones = true,
            Step::Flag(b'j') => wishes.with_journals = true,
            Step::Flag(b'p') => wishes.print = true,
            Step::Flag(b'x') => wishes.hide_secrets = true,
            // Debugging of BIND itself.
            Step::Flag(_) | Step::Value(b'm', _) => {}
            Step::Value(_, root) => wishes.root = Some(root.into()),
            Step::Unknown(letter) | Step::MissingArgument(letter) => {
                return CommandLine::Usage(Some(format!("invalid argument -{}", char::from(letter))));
            }
        }
    }
    if wishes.hide_secrets && !wishes.print {
        return CommandLine::Refused("-x cannot be used without -p");
    }
    if wishes.print && wishes.list_zones {
        return CommandLine::Refused("-l cannot be used with -p");
    }
    wishes.file = match options.operands() {
        [] => DEFAULT_FILE.into(),
        [file] if file.is_empty() => DEFAULT_FILE.into(),
        [file] => file.into(),
        _ => return CommandLine::Usage(None),
    };
    CommandLine::Check(wishes)
}

/// Lists the zones or loads their files.
fn zones(wishes: &Wishes, reading: &Reading, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<i32> {
    let list = reading.zones();
    let mut code = i32::from(list.is_cut_short);
    for zone in list.zones {
        if wishes.list_zones {
            writeln!(out, "{} {} {} {}", zone.name, zone.class, zone.view, zone.zone_type)?;
        } else if zone_data::load(&zone, reading.directory(), wishes.with_journals, out, err)?
            == Verdict::Refused
        {
            code = 1;
        }
    }
    Ok(code)
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
        check(&["-lp", "f"], 1, "", "named-checkconf: -l cannot be used with -p\n");
        check(&["-v"], 0, &format!("{}\n", env!("CARGO_PKG_VERSION")), "");
        check(&["/nonexistent/f"], 1, "open: /nonexistent/f: file not found\n", "");
        check(&["-t", "/nonexistent", "f"], 1, "", "isc_dir_chroot: file not found\n");
    }

    #[test]
    fn findings_go_to_standard_output_and_errors_decide_the_code() {
        assert_eq!(check(&[], "options { dump-file \"d\"; };\n", &[]), (0, String::new(), String::new()));
        let refused = "named.conf:1: unknown option 'foo'\n";
        assert_eq!(check(&["-p"], "foo;\n", &[]), (1, refused.into(), String::new()));
        let deprecated = "options { files 1k; };\n";
        assert!(check(&[], deprecated, &[]).1.contains("option 'files' is deprecated"));
        assert!(!check(&["-i"], deprecated, &[]).1.contains("deprecated"));
    }

    #[test]
    fn what_this_server_lacks_is_said_on_request_and_beside_the_rest() {
        let ignored = "options { dump-file \"d\"; };\n";
        let warned = "named.conf:1: option 'dump-file' is not implemented; ignored\n";
        assert_eq!(check(&["--trimaran"], ignored, &[]), (0, String::new(), warned.into()));
        let refused = "named.conf:1: option 'view' is not yet supported\n";
        assert_eq!(check(&[], "view v { };\n", &[]), (0, String::new(), String::new()));
        assert_eq!(check(&["--trimaran"], "view v { };\n", &[]), (1, String::new(), refused.into()));
    }

    #[test]
    fn zones_of_views_are_listed_with_their_views() {
        let source = "view a { zone x { type primary; file \"f\"; }; };\nview b ch { zone y ch { type hint; file \"h\"; }; };\n\
                      view c { zone x { in-view a; }; };\n";
        let (code, out, _) = check(&["-l"], source, &[]);
        assert_eq!(
            (code, out.lines().skip(1).collect::<Vec<_>>()),
            (0, vec!["x IN a primary", "y ch b hint", "x IN c in-view a"])
        );
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
