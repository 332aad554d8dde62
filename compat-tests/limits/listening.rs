//! Addresses that come and go, in a network of the test's own.
//!
//! Needs root, for the namespace.

use std::path::Path;
use std::process::Command;

const ZONE: &str = "$TTL 60\n@ SOA ns h 1 60 60 60 60\n@ NS ns\nns A 192.0.2.1\n";

/// Three statements, two ports, a negation, and addresses that are not there yet.
const OPTIONS: &str = "
    listen-on { 127.0.0.1; };
    listen-on { !127.0.0.3; 127.0.0.0/8; };
    listen-on port 5301 { 127.0.0.1; 127.0.0.2; 10.9.0.0/24; };
    listen-on-v6 port 5302 { ::1; fd00:9::/64; };
";

/// Runs in the namespace, in the folder of the test; `$1` is the program, `$2` more options of the command line.
const SCRIPT: &str = r#"
set -e
ip link set lo up
program=$1
shift
$program -g -c named.conf "$@" >log 2>&1 &
server=$!
trap 'kill $server; wait $server' EXIT
ask() {
    dig +short +tries=1 +time=2 $3 "@$1" -p "$2" ns.z A 2>/dev/null | grep -q '^192.0.2.1$'
}
# Waits until it is so, with a limit: $1 is ! or nothing.
await() {
    tries=0
    while if [ "$1" = "!" ]; then ask "$2" "$3" "$4"; else ! ask "$2" "$3" "$4"; fi; do
        kill -0 $server
        tries=$((tries + 1))
        [ $tries -lt 400 ] || { echo "waited in vain for $*"; exit 1; }
        sleep 0.05
    done
}
survey() {
    echo "$1"
    for where in 127.0.0.1/5300 127.0.0.2/5300 127.0.0.3/5300 127.0.0.1/5301 127.0.0.2/5301 127.0.0.3/5301 \
        10.9.0.1/5300 10.9.0.1/5301 ::1/5300 ::1/5302 fd00:9::1/5302; do
        for transport in +notcp +tcp; do
            if ask "${where%/*}" "${where#*/}" $transport; then echo "  $where $transport"; fi
        done
    done
}
[ "$FAMILY" = -6 ] || await "" 127.0.0.1 5300
[ "$FAMILY" = -4 ] || await "" ::1 5302
survey "at first"
ip address add 127.0.0.2/8 dev lo
ip address add 127.0.0.3/8 dev lo
ip link add dummy9 type dummy 2>/dev/null || ip link add dummy9 type veth
ip link set dummy9 up
ip address add 10.9.0.1/24 dev dummy9
ip -6 address add fd00:9::1/64 dev dummy9 nodad
[ "$FAMILY" = -6 ] || await "" 127.0.0.2 5300
[ "$FAMILY" = -6 ] || await "" 10.9.0.1 5301
[ "$FAMILY" = -4 ] || await "" fd00:9::1 5302
survey "addresses have come"
ip address del 127.0.0.2/8 dev lo
ip address del 10.9.0.1/24 dev dummy9
# A closed address of 127/8 can still be reached.
for port in 5300 5301; do
    for transport in +notcp +tcp; do await ! 127.0.0.2 $port $transport; done
done
survey "addresses have gone"
ip address add 10.9.0.1/24 dev dummy9
[ "$FAMILY" = -6 ] || await "" 10.9.0.1 5301
survey "one has come back"
"#;

/// What a server answers at, step by step.
fn surveyed(program: &[&str], options: &str, family: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("z.zone"), ZONE).unwrap();
    let configuration = format!(
        "options {{ directory \"{}\"; port 5300; pid-file none; recursion no; {OPTIONS} {options} }};\n\
         controls {{ }};\nzone \"z\" {{ type primary; file \"z.zone\"; }};\n",
        directory.path().display()
    )
    .replace("pid-file none;", "pid-file none; session-keyfile none; lock-file none; dnssec-validation no;");
    std::fs::write(path("named.conf"), configuration).unwrap();
    // A program of two words gets one name.
    let name = match program {
        [one] => (*one).to_owned(),
        _ => {
            std::os::unix::fs::symlink(program[0], path("named")).unwrap();
            "./named".to_owned()
        }
    };
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", SCRIPT, "sh", &name]).env("FAMILY", family);
    if !family.is_empty() {
        command.arg(family);
    }
    let ran = command.current_dir(directory.path()).output().expect("unshare is installed");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{program:?} {options} {family}\n{said}\n{}\n{}",
        String::from_utf8_lossy(&ran.stderr),
        log(&path("log"))
    );
    said
}

fn log(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn compare(options: &str, family: &str) -> String {
    let bind = surveyed(&["named"], options, family);
    let trimaran = surveyed(&[env!("CARGO_BIN_EXE_trimaran"), "named"], options, family);
    assert_eq!(bind, trimaran, "{options} {family}\n--- BIND\n{bind}\n--- Trimaran\n{trimaran}");
    bind
}

#[test]
fn addresses_that_come_are_listened_on_and_those_that_go_are_left() {
    let seen = compare("", "");
    let of = |step: &str| seen.split(step).nth(1).and_then(|rest| rest.lines().nth(1)).map(str::trim);
    assert_eq!(of("at first"), Some("127.0.0.1/5300 +notcp"), "{seen}");
    for line in ["127.0.0.2/5301 +tcp", "10.9.0.1/5301 +notcp", "fd00:9::1/5302 +notcp"] {
        assert!(seen.contains(line), "{line}: {seen}");
    }
    assert!(!seen.contains("127.0.0.3/"), "{seen}");
}

#[test]
fn one_family_alone_can_be_asked_for() {
    let four = compare("", "-4");
    assert!(four.contains("127.0.0.1") && !four.contains("::1"), "{four}");
    let six = compare("", "-6");
    assert!(!six.contains("127.0.0.1") && six.contains("::1/5302"), "{six}");
}

#[test]
fn an_interval_finds_addresses_that_nobody_tells_of() {
    let seen = surveyed(
        &[env!("CARGO_BIN_EXE_trimaran"), "named"],
        "automatic-interface-scan no; interface-interval 1s;",
        "",
    );
    assert!(seen.contains("10.9.0.1/5301 +tcp"), "{seen}");
}
