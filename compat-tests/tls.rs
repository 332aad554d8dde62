//! DNS over TLS with the clients that people have: dig, kdig, openssl, and BIND as a secondary.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::harness::named::{Named, Program, START_LIMIT, Zone};
use super::harness::wire::{self, Query};
use super::harness::{Site, client, wait};

const ZONE: &str = "secret.test.";
const SERIAL: &str = "2025010101";
const LIMIT: Duration = Duration::from_secs(20);

/// A server with a certificate for `ns1.test`, one port for each way of TLS.
struct Served {
    site: Site,
    directory: PathBuf,
    named: Named,
    /// With that certificate.
    own: SocketAddr,
    ephemeral: SocketAddr,
    /// Where clients need a certificate.
    mutual: SocketAddr,
    /// TLS 1.2 with one cipher.
    old: SocketAddr,
}

/// A certificate for `name` in `name.crt`, its key in `name.key`.
fn certify(directory: &Path, name: &str) -> String {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate can be made");
    let write = |end: &str, text: String| {
        std::fs::write(directory.join(format!("{name}.{end}")), text).expect("a file can be written");
    };
    write("crt", made.cert.pem());
    write("key", made.signing_key.serialize_pem());
    format!("cert-file \"{name}.crt\"; key-file \"{name}.key\";")
}

fn zone() -> Zone {
    let mut text =
        format!("$TTL 300\n@ SOA ns host {SERIAL} 7200 3600 604800 300\n@ NS ns\nns A 192.0.2.1\n");
    for i in 0..2000 {
        text.push_str(&format!("host{i} A 192.0.2.{}\n", i % 256));
    }
    Zone::fixed(ZONE, &text)
}

fn start(test: &str, zone: Zone) -> Served {
    let site = Site::new(test);
    let directory = site.dir("server");
    let identity = certify(&directory, "ns1.test");
    certify(&directory, "client.test");
    let [own, ephemeral, mutual, old] = [(); 4].map(|()| site.address());
    let more = format!(
        "tls own {{ {identity} }};\n\
         tls mutual {{ {identity} ca-file \"client.test.crt\"; }};\n\
         tls old {{ {identity} protocols {{ TLSv1.2; }}; ciphers \"ECDHE-ECDSA-AES128-GCM-SHA256\"; session-tickets no; }};\n"
    );
    let listen = |address: SocketAddr, tls: &str| {
        format!("listen-on port {} tls {tls} {{ {}; }};", address.port(), address.ip())
    };
    let options =
        [listen(own, "own"), listen(ephemeral, "ephemeral"), listen(mutual, "mutual"), listen(old, "old")];
    let mut named =
        Named::new(&site, "server", Program::subject(), &[zone], &more).with_options(&options.concat());
    named.start();
    named.await_ready(START_LIMIT);
    Served { site, directory, named, own, ephemeral, mutual, old }
}

/// Runs a client and returns what it says on standard output.
fn run(program: &str, server: SocketAddr, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.arg(format!("@{}", server.ip())).arg("-p").arg(server.port().to_string()).args(arguments);
    let output = command.stdin(Stdio::null()).output().expect("it is installed by compat-tests/run");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether `openssl s_client` comes through its handshake with these arguments, and what it says.
fn handshake(server: SocketAddr, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &server.to_string()]).args(arguments).stdin(Stdio::null());
    let output = command.output().expect("openssl is installed");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[test]
fn clients_that_people_have_are_answered_and_know_whom_they_ask() {
    let served = start("tls-clients", zone());
    let crt = |name: &str| served.directory.join(name).display().to_string();
    let (ca, client_crt, client_key) = (crt("ns1.test.crt"), crt("client.test.crt"), crt("client.test.key"));
    let (tls_ca, cert, key) = (
        format!("+tls-ca={ca}"),
        format!("+tls-certfile={client_crt}"),
        format!("+tls-keyfile={client_key}"),
    );
    let ask = [ZONE, "SOA", "+short", "+timeout=5", "+retry=0"];
    let cases: [(&str, SocketAddr, &[&str], bool); 10] = [
        ("dig", served.own, &["+tls"], true),
        ("kdig", served.own, &["+tls"], true),
        ("dig", served.ephemeral, &["+tls"], true),
        ("kdig", served.ephemeral, &["+tls"], true),
        ("dig", served.own, &[&tls_ca, "+tls-hostname=ns1.test", "+tls"], true),
        ("dig", served.own, &[&tls_ca, "+tls-hostname=other.test", "+tls"], false),
        ("kdig", served.own, &[&tls_ca, "+tls-hostname=ns1.test"], true),
        ("kdig", served.own, &[&tls_ca, "+tls-hostname=other.test"], false),
        ("dig", served.mutual, &[&tls_ca, "+tls-hostname=ns1.test", "+tls", &cert, &key], true),
        ("kdig", served.mutual, &["+tls", &cert, &key], true),
    ];
    for (program, server, arguments, is_answered) in cases {
        let said = run(program, server, &[&ask[..], arguments].concat());
        assert_eq!(said.contains(SERIAL), is_answered, "{program} {arguments:?}: {said}");
    }
    assert!(!run("dig", served.mutual, &[&ask[..], &["+tls"]].concat()).contains(SERIAL), "no certificate");
    assert!(run("dig", served.old, &[&ask[..], &["+tls"]].concat()).contains(SERIAL));
}

#[test]
fn handshakes_are_as_configured() {
    let served = start("tls-handshakes", zone());
    let cases: [(SocketAddr, &[&str], bool, &str); 8] = [
        (served.own, &["-alpn", "dot"], true, "ALPN protocol: dot"),
        (served.own, &[], true, "No ALPN negotiated"),
        (served.own, &["-tls1_2"], true, "TLSv1.2"),
        (served.own, &["-tls1_3"], true, "TLSv1.3"),
        (served.own, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], false, ""),
        (served.old, &["-tls1_3"], false, ""),
        (served.old, &["-tls1_2"], true, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (served.old, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], false, ""),
    ];
    for (server, arguments, expected, mark) in cases {
        let (succeeded, said) = handshake(server, arguments);
        assert_eq!(succeeded, expected, "{arguments:?}: {said}");
        assert!(said.contains(mark), "{arguments:?}: {said}");
    }
    let session = served.directory.join("session").display().to_string();
    for (server, is_resumed) in [(served.own, true), (served.old, false)] {
        let (_, said) = handshake(server, &["-tls1_2", "-sess_out", &session]);
        assert!(said.contains("New, TLSv1.2"), "{said}");
        let (_, said) = handshake(server, &["-tls1_2", "-sess_in", &session]);
        assert_eq!(said.contains("Reused, TLSv1.2"), is_resumed, "{said}");
    }
}

#[test]
fn what_is_no_tls_harms_nobody() {
    let served = start("tls-garbage", zone());
    let plain = Query::new(ZONE, wire::SOA).packet(1);
    let framed = [&(plain.len() as u16).to_be_bytes(), plain.as_slice()].concat();
    // The beginning of a ClientHello, which then stops.
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let mut waiting = Vec::new();
    for octets in [&framed[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 5000], b"", &[0x16], &hello] {
        let mut stream = TcpStream::connect(served.own).expect("the server listens");
        // The server may have had enough before everything is sent.
        let _ = stream.write_all(octets);
        waiting.push(stream);
    }
    for stream in &mut waiting[..3] {
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        let mut rest = Vec::new();
        // An alert, or nothing; then the end, or a reset because not everything was read.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 20, "{rest:?}");
    }
    // TLS where plain DNS is spoken: two octets of length, and a message that nothing can be said about.
    assert!(!handshake_ends(served.named.dns()), "no handshake over plain DNS");
    let ask = [ZONE, "SOA", "+short", "+tls"];
    assert!(run("dig", served.own, &ask).contains(SERIAL), "half a handshake holds nobody up");
    assert!(client::ask_tcp(served.named.dns(), &Query::new(ZONE, wire::SOA)).is_some());
}

/// Whether a handshake succeeds; the client leaves when it has waited long enough.
fn handshake_ends(server: SocketAddr) -> bool {
    let mut command = Command::new("timeout");
    command.args(["2", "openssl", "s_client", "-connect", &server.to_string()]).stdin(Stdio::null());
    command.output().expect("openssl is installed").status.success()
}

#[test]
fn zones_are_transferred_over_tls_and_over_tls_only() {
    let served = start("tls-transfers", zone().with("allow-transfer transport tls { any; };"));
    let axfr = [ZONE, "AXFR", "+tls"];
    let said = run("dig", served.own, &axfr);
    assert!(said.contains("XFR size: 2004 records"), "{said}");
    assert!(!run("dig", served.named.dns(), &[ZONE, "AXFR"]).contains("host1."), "plain TCP is refused");

    let text = format!(
        "zone \"{ZONE}\" {{ type secondary; file \"copy\"; primaries {{ {} port {} tls ephemeral; }}; }};\n",
        served.ephemeral.ip(),
        served.ephemeral.port()
    );
    let mut bind = Named::new(&served.site, "secondary", Program::Bind, &[], &text);
    bind.start();
    wait::until("BIND to have transferred over TLS", LIMIT, || {
        bind.assert_running();
        client::serial(bind.dns(), ZONE)
    });
}

#[test]
fn files_that_cannot_be_used_end_the_server_with_their_line() {
    let site = Site::new("tls-files");
    let directory = site.dir("server");
    certify(&directory, "one.test");
    certify(&directory, "other.test");
    let address = site.address();
    for (statements, expected) in [
        ("cert-file \"nosuch\"; key-file \"one.test.key\";", "nosuch': No such file"),
        ("cert-file \"one.test.crt\"; key-file \"other.test.key\";", "certificate and key cannot be used"),
        ("cert-file \"one.test.key\"; key-file \"one.test.key\";", "no certificate in it"),
        ("ca-file \"nosuch\";", "nosuch': No such file"),
    ] {
        let text = format!(
            "options {{ directory \"{}\"; pid-file none; listen-on port {} tls t {{ 127.0.0.1; }}; \
             listen-on-v6 {{ none; }}; }};\n\ntls t {{ {statements} }};\n",
            directory.display(),
            address.port()
        );
        let path = directory.join("named.conf");
        std::fs::write(&path, text).expect("a configuration can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_trimaran"));
        let output = command.args(["named", "-g", "-c"]).arg(&path).output().expect("the program can be run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let position = format!("{}:3: ", path.display());
        assert!(said.contains(&position) && said.contains(expected), "{statements}: {said}");
    }
}
