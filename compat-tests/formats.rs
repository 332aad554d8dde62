//! Zones in BIND's other formats, side by side with BIND's own programs: raw files, relative dumps, journals.
//!
//! Every file is made or read by both. Mutated files come from a seed; `COMPAT_FORMAT_FILES` says how many there are
//! of each kind (1,000 unless it is set).

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::named::{Named, Program, START_LIMIT, Zone};
use crate::harness::rng::Rng;
use crate::harness::site::Site;
use crate::harness::{client, nsupdate, wait, zonegen};
use trimaran::cli::{checkzone, journalprint};

/// What a command said and how it ended; without a code it was killed, by itself.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

/// Checks that are about other things are off.
const LENIENT: [&str; 10] = ["-i", "none", "-k", "ignore", "-n", "ignore", "-m", "ignore", "-r", "ignore"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ours(program: &str, args: &[&str]) -> Said {
    let args: Vec<OsString> = args.iter().map(OsString::from).collect();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let run = if program == "named-journalprint" { journalprint::run } else { checkzone::run };
    let code = run(program, &args, &mut stdout, &mut stderr);
    Said { stdout: text(&stdout), stderr: text(&stderr), code: Some(code) }
}

fn theirs(program: &str, args: &[&str]) -> Said {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is installed by compat-tests/run: {error}"));
    Said { stdout: text(&output.stdout), stderr: text(&output.stderr), code: output.status.code() }
}

/// A folder of its own, with the names of files in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder can be made"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a path is UTF-8").into()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).expect("a file can be written");
        self.path(name)
    }
}

fn read(path: &str) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A raw file without the time at which it was written.
fn undated(path: &str) -> Vec<u8> {
    let mut bytes = read(path);
    bytes[8..12].fill(0);
    bytes
}

type Run = fn(&str, &[&str]) -> Said;

/// Converts a file and expects that to work.
fn convert(run: Run, zone: &str, options: &[&str], from: &str, to: &str) {
    let args = [&LENIENT[..], options, &["-q", "-o", to, zone, from]].concat();
    let said = run("named-compilezone", &args);
    assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
}

/// Every zone of the repository that loads, and its name.
fn zones() -> Vec<(String, String)> {
    let of = |folder: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("tests run in the package's folder");
        let mut files: Vec<PathBuf> =
            entries.map(|entry| entry.expect("a folder can be read").path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "zone"));
        files.sort();
        files
    };
    let name = |path: &Path| path.to_str().expect("a path is UTF-8").to_owned();
    let good = of("zonefiles/good").into_iter().map(|path| {
        // The first line may say how the file is checked; the zone is the last word.
        let first = text(&read(&name(&path)));
        let first = first.lines().next().unwrap_or_default();
        let zone = first.strip_prefix("; named-").and_then(|line| line.split_whitespace().last());
        (zone.unwrap_or("example").to_owned(), name(&path))
    });
    let samples = of("zonefiles").into_iter();
    let samples =
        samples.map(|path| (text(path.file_stem().expect("a name").as_encoded_bytes()), name(&path)));
    let all: Vec<_> = good.chain(samples).collect();
    assert!(all.len() > 100, "there are {} zones", all.len());
    // Classes are asked for by an option; of an owner that is written in several ways DEVIATIONS.md tells.
    let is_other = |path: &str| path.contains("class-") || path.contains("name-in-all-cases");
    all.into_iter().filter(|(_, path)| !is_other(path)).collect()
}

/// A zone in all forms, made by both, read by both.
fn check_forms(zone: &str, path: &str, folder: &Folder) {
    let at = |name: &str| folder.path(name);
    // The versions differ in their headers only.
    for options in [&["-F", "raw=0"][..], &["-F", "raw", "-L", "7"]] {
        if options[1] == "raw=0" && !path.contains("zonefiles/good/t") {
            continue;
        }
        convert(theirs, zone, options, path, &at("bind.raw"));
        convert(ours, zone, options, path, &at("our.raw"));
        assert!(undated(&at("bind.raw")) == undated(&at("our.raw")), "{path}: {options:?} differ");
    }
    convert(theirs, zone, &["-s", "relative"], path, &at("bind.relative"));
    convert(ours, zone, &["-s", "relative"], path, &at("our.relative"));
    assert_eq!(text(&read(&at("bind.relative"))), text(&read(&at("our.relative"))), "{path}");
    convert(theirs, zone, &[], path, &at("bind.full"));
    // Back to text: the same zone, whoever wrote and whoever reads. (BIND cannot read all that it writes.)
    let full = text(&read(&at("bind.full")));
    for (format, from) in [("text", at("our.relative")), ("raw", at("our.raw"))] {
        let back = |run: Run| {
            let to = at("back");
            let args = [&LENIENT[..], &["-f", format, "-q", "-o", &to, zone, &from]].concat();
            (run("named-compilezone", &args).code == Some(0)).then(|| text(&read(&to)))
        };
        let (our, their) = (back(ours), back(theirs));
        assert!(our == their, "{path}: {from} read back");
        assert!(our.is_none_or(|our| our == full) && (their.is_some() || format == "text"), "{path}: {from}");
    }
    // Raw from raw: the order of RRsets is that of the file.
    convert(theirs, zone, &["-f", "raw", "-F", "raw"], &at("our.raw"), &at("bind.again"));
    convert(ours, zone, &["-f", "raw", "-F", "raw"], &at("our.raw"), &at("our.again"));
    assert!(undated(&at("bind.again")) == undated(&at("our.again")), "{path}: raw from raw differs");
}

#[test]
fn zones_have_the_same_octets_in_every_form() {
    let folder = Folder::new();
    for (zone, path) in zones() {
        let args = [&LENIENT[..], &["-q", &zone, &path]].concat();
        if theirs("named-checkzone", &args).code == Some(0) {
            check_forms(&zone, &path, &folder);
        }
    }
}

#[test]
fn a_large_zone_has_the_same_octets_in_every_form() {
    let folder = Folder::new();
    let mut rng = Rng::for_test("a_large_zone_has_the_same_octets_in_every_form");
    let generated = zonegen::zone("large.example.", 100_000, 1, &mut rng);
    let path = folder.write("zone", generated.text.as_bytes());
    check_forms("large.example", &path, &folder);
}

#[test]
fn options_of_formats_are_those_of_named_compilezone() {
    let folder = Folder::new();
    let (good, out) = ("zonefiles/good/ttl-units.zone", folder.path("out"));
    for args in [
        &["-F", "raw=2"][..],
        &["-F", "raw="],
        &["-F", "rawx"],
        &["-F", "raw=+1"],
        &["-F", "raw=01"],
        &["-F", "map"],
        &["-f", "raw=7"],
        &["-f", "map"],
        &["-f", "text=1"],
        &["-f", "raw"],
        &["-L", "5x"],
        &["-L", "-1"],
        &["-L", "0x10"],
        &["-s", "other"],
        &["-s", "relative"],
        &["-l", "60", "-f", "raw"],
    ] {
        let args = [&LENIENT[..], args, &["-o", &out, "example", good]].concat();
        assert_eq!(ours("named-compilezone", &args), theirs("named-compilezone", &args), "{args:?}");
    }
}

fn files_wanted() -> usize {
    std::env::var("COMPAT_FORMAT_FILES").map_or(1_000, |text| text.parse().expect("a number of files"))
}

/// Damages a file in one of many ways, most of which hit a length or a count now and then.
fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(3) {
        let length = bytes.len().max(1);
        let at = rng.below(length).min(bytes.len());
        match rng.below(9) {
            0 => bytes.truncate(at),
            1 => {
                let count = rng.below(40);
                bytes.extend(rng.bytes(count));
            }
            2 => {
                let count = 1 + rng.below(4);
                bytes.splice(at..at, rng.bytes(count)).for_each(drop);
            }
            3 => bytes.drain(at..(at + 1 + rng.below(8)).min(bytes.len())).for_each(drop),
            4 => {
                let end = (at + rng.below(200)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = rng.below(bytes.len().max(1)).min(bytes.len());
                bytes.splice(to..to, copy).for_each(drop);
            }
            5 => {
                // A number of 32 bits: small, large, or a little more or less than it was.
                let Some(octets) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) else {
                    continue;
                };
                let number = u32::from_be_bytes(*octets);
                let choices = [
                    0,
                    1,
                    0xffff,
                    0x1_0000,
                    0x2_0001,
                    u32::MAX,
                    number.wrapping_add(1),
                    number.wrapping_sub(1),
                ];
                *octets = rng.pick(&choices).to_be_bytes();
            }
            6 => {
                if let Some(octet) = bytes.get_mut(at) {
                    *octet ^= 1 << rng.below(8);
                }
            }
            _ => {
                if let Some(octet) = bytes.get_mut(at) {
                    *octet = rng.bits() as u8;
                }
            }
        }
    }
}

/// A program and its arguments.
type CommandLine = (&'static str, Vec<String>);

/// Runs both on mutations of `sources`; `commands` makes the command lines for the file at a path.
fn check_mutations(test: &str, sources: &[(String, Vec<u8>)], commands: fn(&str, &str) -> Vec<CommandLine>) {
    let folder = Folder::new();
    let mut rng = Rng::for_test(test);
    let (mut crashes, mut texts, mut wrong) = (0, 0, Vec::new());
    // It is the runs of BIND that take the time.
    let count = files_wanted() / commands("", "").len();
    for number in 0..count {
        let (zone, source) = rng.pick(sources);
        let mut bytes = source.clone();
        mutate(&mut bytes, &mut rng);
        let path = folder.write("mutated", &bytes);
        for (program, args) in commands(zone, &path) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            // A panic here fails the test.
            let our = ours(program, &args);
            let their = theirs(program, &args);
            match their.code {
                None => crashes += 1,
                code if code != our.code => {
                    let kept = std::env::temp_dir().join(format!("trimaran-{test}-{number}"));
                    fs::copy(&path, &kept).expect("the file can be kept");
                    wrong.push(format!("{program} {args:?}, kept as {}\n{their:?}\n{our:?}", kept.display()));
                }
                _ => texts += usize::from((&our.stdout, &our.stderr) != (&their.stdout, &their.stderr)),
            }
        }
    }
    println!("{test}: {count} files, BIND crashed {crashes} times, {texts} times another text");
    assert!(wrong.is_empty(), "{} exit codes differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn damaged_raw_files_get_the_exit_code_of_named_checkzone() {
    let folder = Folder::new();
    let mut sources = Vec::new();
    for (zone, path) in zones().into_iter().step_by(5) {
        let to = folder.path("raw");
        let version = if sources.len() % 4 == 0 { "raw=0" } else { "raw" };
        let args = [&LENIENT[..], &["-F", version, "-q", "-o", &to, &zone, &path]].concat();
        if theirs("named-compilezone", &args).code == Some(0) {
            sources.push((zone, read(&to)));
        }
    }
    // An RRset about as large as BIND has them.
    let mut large = "$TTL 60\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n".to_owned();
    (0..290).for_each(|number| large += &format!("x TXT \"{number:0>200}\"\n"));
    let path = folder.write("zone", large.as_bytes());
    convert(theirs, "example", &["-F", "raw"], &path, &folder.path("raw"));
    sources.push(("example".into(), read(&folder.path("raw"))));
    check_mutations("damaged_raw_files", &sources, |zone, path| {
        let args = ["-i", "local", "-f", "raw", "-D", zone, path].map(str::to_owned);
        vec![("named-checkzone", args.to_vec())]
    });
}

/// The zone that the journals belong to.
const ZONE: &str = "$TTL 3600\n@ SOA ns h 1 3600 900 86400 300\n@ NS ns\nns A 192.0.2.1\nx TXT a\nx A 192.0.2.2\n\
                    y A 192.0.2.3\ny RRSIG A 13 2 3600 20300101000000 20200101000000 1 example. AAEC\n";

/// A journal that a real named has written: a few transactions of all kinds, or many.
fn journal(test: &str, transactions: usize, rng: &mut Rng) -> Vec<u8> {
    let site = Site::new(test);
    let mut named = Named::start_new(&site, "bind", Program::Bind, &[Zone::open("example.", ZONE)]);
    named.await_ready(START_LIMIT);
    let mut script = String::new();
    for number in 0..transactions {
        let (a, b) = (rng.below(40), rng.below(40));
        script += &match rng.below(6) {
            0 => format!("update delete n{a}.example.\n"),
            1 => format!("update delete n{a}.example. A\nupdate add n{a}.example. 60 TXT \"{number}\"\n"),
            2 => format!(
                "update add n{a}.example. 120 MX {b} ns.example.\nupdate add x.example. 3600 A 10.0.0.{b}\n"
            ),
            3 => format!("update add *.w{a}.example. 60 AAAA 2001:db8::{b}\nupdate delete y.example. A\n"),
            4 => format!("update add example. 3600 TYPE65280 \\# 2 00{:02x}\n", number % 256),
            _ => format!(
                "update add n{a}.example. 60 A 10.0.{a}.{b}\nupdate add n{b}.example. 60 A 10.1.{a}.{b}\n"
            ),
        };
        if number + 1 < transactions {
            script += "send\n";
        }
    }
    script += "update add last.example. 60 TXT last\n";
    let outcome = nsupdate::run(named.dns(), None, &format!("zone example\n{script}"));
    assert_eq!(outcome.rcode, "NOERROR", "{}", outcome.output);
    wait::until("the last update", Duration::from_secs(10), || {
        client::serial(named.dns(), "example.").filter(|&serial| serial > 1)
    });
    // Nothing is written back that way.
    named.kill_nine();
    read(site.dir("bind").join("example.zone.jnl").to_str().expect("a path is UTF-8"))
}

/// The same journal as BIND before 9.16.12 wrote it.
fn downgraded(journal: &[u8], folder: &Folder) -> Vec<u8> {
    let path = folder.write("old.jnl", journal);
    assert_eq!(theirs("named-journalprint", &["-d", &path]).code, Some(0));
    read(&path)
}

#[test]
fn journals_of_a_real_named_are_shown_applied_and_rewritten_as_bind_does() {
    let folder = Folder::new();
    let mut rng = Rng::for_test("journals_of_a_real_named");
    let new = journal("journals-shown", 150, &mut rng);
    let old = downgraded(&new, &folder);
    let zone = folder.write("zone", ZONE.as_bytes());
    let behind = folder.write("behind", ZONE.replace("h 1 ", "h 4000 ").as_bytes());
    let without = folder.write("without", ZONE.replace("@ SOA", "@ TXT").as_bytes());
    let cut = |at: usize| new[..at].to_vec();
    let mut serials = vec![0, 1, 2, 4000];
    for (name, bytes) in [
        ("new.jnl", new.clone()),
        ("old.jnl", old.clone()),
        ("cut.jnl", cut(new.len() / 2)),
        ("head.jnl", cut(40)),
        ("index.jnl", cut(200)),
        ("empty.jnl", Vec::new()),
        ("other.jnl", ZONE.repeat(9).into_bytes()),
        ("none.jnl", [&new[..16], &[0; 496]].concat()),
    ] {
        let path = folder.write(name, &bytes);
        for args in [&[&*path][..], &["-x", &path]] {
            let (our, their) = (ours("named-journalprint", args), theirs("named-journalprint", args));
            assert_eq!(our, their, "{args:?}");
            let last = their.stdout.lines().rfind(|line| line.contains("SOA"));
            serials.extend(last.and_then(|line| line.split_whitespace().nth(7)?.parse::<u32>().ok()));
        }
        for zone in [&zone, &behind, &without] {
            for options in [&["-D"][..], &["-s", "relative", "-D"], &["-F", "raw", "-o"]] {
                let out = folder.path("out");
                let target: &[&str] = if options.contains(&"-o") { &[&out] } else { &[] };
                let args = [&["-i", "local", "-J", &path][..], options, target, &["example", zone]].concat();
                let run = |run: Run| {
                    // BIND rewrites old journals.
                    folder.write(name, &bytes);
                    let said = run("named-checkzone", &args);
                    let raw = (!target.is_empty() && said.code == Some(0)).then(|| undated(&out));
                    (said, raw)
                };
                assert!(run(ours) == run(theirs), "{args:?}: {:?} {:?}", run(ours).0, run(theirs).0);
                assert!(read(&path) == bytes || name == "old.jnl", "{name} was changed");
            }
        }
        serials.sort_unstable();
        serials.dedup();
        let serials: Vec<String> =
            serials.iter().flat_map(|s| [s.to_string(), (s / 2).to_string()]).collect();
        let compactions = serials.iter().map(|serial| vec!["-c", serial]);
        for options in [vec!["-d"], vec!["-u"]].into_iter().chain(compactions) {
            let run = |run: Run| {
                let path = folder.write(name, &bytes);
                let args = [&options[..], &[&path]].concat();
                (run("named-journalprint", &args), read(&path))
            };
            let our = run(ours);
            let new = folder.path(&name.replace(".jnl", ".jnw"));
            assert!(!Path::new(&new).exists(), "{new} is left behind");
            let their = run(theirs);
            // BIND: an assertion fails when there is nothing to rewrite.
            if their.0.code.is_some() || name != "none.jnl" {
                assert!(our == their, "{name} {options:?}: {:?} {:?}", our.0, their.0);
            }
            // BIND: leaves a new file behind when its assertion fails.
            let _ = fs::remove_file(folder.path(&name.replace(".jnl", ".jnw")));
        }
    }
}

#[test]
fn command_lines_of_journalprint_are_those_of_named_journalprint() {
    for args in [
        &[][..],
        &["-z", "x"],
        &["-c"],
        &["-c", "x", "y"],
        &["-c", "", "y"],
        &["a", "b"],
        &["/nonexistent"],
        &["/"],
    ] {
        assert_eq!(ours("named-journalprint", args), theirs("named-journalprint", args), "{args:?}");
    }
}

#[test]
fn the_journal_beside_the_zone_file_is_found() {
    let folder = Folder::new();
    let zone = folder.write("zone", ZONE.as_bytes());
    folder.write("zone.jnl", &journal("journal-beside", 3, &mut Rng::new(1)));
    let args = ["-j", "-i", "local", "example", &zone];
    let said = ours("named-checkzone", &args);
    assert_eq!(said, theirs("named-checkzone", &args));
    assert!(!said.stdout.contains("loaded serial 1\n"), "{said:?}");
    fs::rename(folder.path("zone.jnl"), folder.path("zone.jbk")).expect("a file can be renamed");
    assert_eq!(ours("named-checkzone", &args), said, "the copy of an interrupted compaction counts");
    assert_eq!(theirs("named-checkzone", &args), said);
}

#[test]
fn checkconf_applies_the_journals_beside_zone_files_as_named_checkconf_does() {
    let folder = Folder::new();
    let new = journal("journals-checkconf", 40, &mut Rng::new(2));
    let old = downgraded(&new, &folder);
    let unnumbered = ZONE.replace("@ SOA", ";");
    let ahead = ZONE.replace("h 1 ", "h 5000 ");
    let broken = format!("{ZONE}z A z\n");
    let mut configuration = String::new();
    let files: [(&str, &str, Option<&[u8]>); 10] = [
        ("new", ZONE, Some(&new)),
        ("old", ZONE, Some(&old)),
        ("none", ZONE, None),
        ("cut", ZONE, Some(&new[..new.len() / 2])),
        ("empty", ZONE, Some(&[])),
        ("other", ZONE, Some(b"this is no journal, but a text that is longer than the header of one")),
        ("ahead", &ahead, Some(&new)),
        ("without-serial", &unnumbered, Some(&new)),
        ("broken", &broken, Some(&new)),
        ("no-zone", "", Some(&new)),
    ];
    for (name, zone, journal) in files {
        folder.write(name, zone.as_bytes());
        if let Some(journal) = journal {
            folder.write(&format!("{name}.jnl"), journal);
        }
        configuration += &format!("view {name} {{ zone example {{ type primary; file \"{name}\"; }}; }};\n");
    }
    folder.write("named.conf", configuration.as_bytes());
    for options in [["-z", "-j"], ["-z", "-i"], ["-j", "-i"]] {
        let run = |program: &mut Command| {
            let output = program.args(options).arg("named.conf").current_dir(folder.0.path()).output();
            let output = output.expect("both programs are there");
            Said { stdout: text(&output.stdout), stderr: text(&output.stderr), code: output.status.code() }
        };
        // BIND rewrites old journals.
        folder.write("old.jnl", &old);
        let theirs = run(&mut Command::new("named-checkconf"));
        folder.write("old.jnl", &old);
        let ours = run(Command::new(env!("CARGO_BIN_EXE_trimaran")).arg("checkconf"));
        assert_eq!(ours, theirs, "{options:?}");
        assert_eq!(ours.stderr.contains("out of range"), options == ["-z", "-j"]);
    }
}

#[test]
fn damaged_journals_get_the_exit_codes_of_bind() {
    let folder = Folder::new();
    let new = journal("journals-damaged", 40, &mut Rng::new(7));
    let old = downgraded(&new, &folder);
    // Most of a journal is index; without it the records are hit more often.
    let short = [&new[..512], &new[512..1500]].concat();
    let zone = folder.write("zone", ZONE.as_bytes());
    let sources = [(zone.clone(), new), (zone.clone(), old), (zone, short)];
    check_mutations("damaged_journals", &sources, |zone, path| {
        let check = ["-i", "local", "-J", path, "-D", "example", zone].map(str::to_owned).to_vec();
        vec![("named-journalprint", vec!["-x".into(), path.into()]), ("named-checkzone", check)]
    });
}
