//! checkzone `-i full` against named-checkzone: names outside the zone, asked of the system's resolver.
//!
//! ```text
//! unshare: mounts and network of their own ─► /etc/resolv.conf, /etc/nsswitch.conf ─► named on 127.0.0.1:53
//!                                          ├─► named-checkzone
//!                                          └─► trimaran as named-checkzone
//! ```
//!
//! Needs root, for the namespaces. Without them, or without BIND, the test fails.

use std::path::Path;
use std::process::Command;

/// What the name server of the test knows: the whole name space.
const ROOT: &str = "\
$TTL 60
. SOA ns.elsewhere. h.elsewhere. 1 60 60 60 60
. NS ns.elsewhere.
ns.elsewhere. A 127.0.0.1
good.elsewhere. A 192.0.2.1
good.elsewhere. AAAA 2001:db8::1
alias.elsewhere. CNAME Good.elsewhere.
text.elsewhere. TXT x
ns.right.example. A 192.0.2.1
ns.right.example. AAAA 2001:db8::1
ns.differs.example. A 192.0.2.1
ns.differs.example. A 192.0.2.2
ns.differs.example. AAAA 2001:db8::1
ns.six.example. A 192.0.2.3
ns.six.example. AAAA 2001:db8::3
ns.bare.example. A 192.0.2.4
ns.sibling.example. A 192.0.2.5
mail.right.example. CNAME good.elsewhere.
";

/// The zone that is checked.
const ZONE: &str = "\
$TTL 60
@ SOA ns h 1 60 60 60 60
@ NS ns
@ NS alias.elsewhere.
ns A 192.0.2.9
a MX 1 good.elsewhere.
a MX 2 alias.elsewhere.
a MX 3 text.elsewhere.
a MX 4 none.elsewhere.
a MX 5 host.broken.
a MX 6 single.
b MX 1 ALIAS.elsewhere.
b MX 2 mail.right
b MX 3 nomail.right
c SRV 0 0 1 alias.elsewhere.
c SRV 0 0 1 none.elsewhere.
c SRV 0 0 1 text.elsewhere.
c SRV 0 0 1 host2.broken.
d NS alias.elsewhere.
d NS none.elsewhere.
d NS none2.elsewhere.
d NS good.elsewhere.
d NS host3.broken.
right NS ns.right
ns.right A 192.0.2.1
ns.right AAAA 2001:db8::1
right2 NS ns.right
differs NS ns.differs
ns.differs A 192.0.2.1
ns.differs A 192.0.2.7
ns.differs A 192.0.2.8
six NS ns.six
ns.six AAAA 2001:db8::7
ns.six AAAA 2001:db8::8
bare NS ns.bare
sibling NS good.elsewhere.
sibling2 NS ns.sibling
sibling3 NS ns.sibling
unknown NS ns.unknown
ns.unknown A 192.0.2.1
";

const NAMED_CONF: &str = r#"
options {
    directory "DIRECTORY"; pid-file none; session-keyfile none; listen-on { 127.0.0.1; }; listen-on-v6 { none; };
    recursion no; dnssec-validation no; check-names primary ignore;
};
controls { };
zone "." { type primary; file "root.zone"; };
zone "broken" { type primary; file "missing.zone"; };
"#;

/// One line of options each.
const RUNS: [&str; 7] = [
    "-i full",
    "-i full-sibling",
    "-i full -M fail",
    "-i full -S fail",
    "-i full -M ignore -S ignore",
    "-i full -m fail -D",
    "-i local",
];

/// Runs in the namespaces, in the folder of the test; `$1` is the program.
const SCRIPT: &str = r#"
set -e
ip link set lo up
mount --bind resolv.conf /etc/resolv.conf
mount --bind nsswitch.conf /etc/nsswitch.conf
named -f -c named.conf >named.log 2>&1 &
server=$!
trap 'kill $server' EXIT
until dig +short +tries=1 +timeout=1 @127.0.0.1 good.elsewhere A | grep -q 192.0.2.1; do
    kill -0 $server
    sleep 0.05
done
run=0
while read -r options; do
    run=$((run + 1))
    for who in bind trimaran; do
        program=named-checkzone
        [ $who = bind ] || program=./named-checkzone
        code=0
        $program $options example example.zone >$who.$run 2>&1 || code=$?
        echo "exit $code" >>$who.$run
    done
done <runs
"#;

#[test]
fn names_outside_the_zone_get_the_words_of_named_checkzone() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    write("root.zone", ROOT);
    write("example.zone", ZONE);
    write("named.conf", &NAMED_CONF.replace("DIRECTORY", directory.path().to_str().unwrap()));
    write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n");
    write("nsswitch.conf", "hosts: dns\n");
    write("runs", &(RUNS.join("\n") + "\n"));
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_trimaran"), path("named-checkzone")).unwrap();
    let ran = Command::new("unshare")
        .args(["--mount", "--net", "sh", "-c", SCRIPT])
        .current_dir(directory.path())
        .output()
        .expect("unshare is installed");
    let log = std::fs::read_to_string(path("named.log")).unwrap_or_default();
    assert!(ran.status.success(), "{}\n{log}", String::from_utf8_lossy(&ran.stderr));
    for (index, options) in RUNS.iter().enumerate() {
        let said = |who: &str| read(&path(&format!("{who}.{}", index + 1)));
        let (bind, trimaran) = (said("bind"), said("trimaran"));
        assert_eq!(bind, trimaran, "{options}\n--- BIND\n{bind}\n--- Trimaran\n{trimaran}");
        let lines = bind.lines().count();
        assert!(lines > 5, "{options}: {bind}");
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}
