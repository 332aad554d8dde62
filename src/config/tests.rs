//! The reading of whole configurations.

use super::acl::{Element, Subject};
use super::*;
use std::net::SocketAddr;

/// What is said about a configuration, without the file name.
fn findings(source: &str) -> Vec<String> {
    let said = match load_text("named.conf", source.as_bytes()) {
        Ok((_, warnings)) => warnings,
        Err(all) => all,
    };
    said.iter().map(|d| d.to_string().trim_start_matches("named.conf:").to_owned()).collect()
}

fn config(source: &str) -> Config {
    match load_text("named.conf", source.as_bytes()) {
        Ok((config, _)) => config,
        Err(errors) => panic!("{errors:#?}"),
    }
}

/// A cluster of three with one line replaced, or with nothing in its place.
fn cluster(line: &str, replacement: &str) -> String {
    let text = "cluster {\nnode-id 2;\nmember 1 address 127.0.0.1 port 7101;\nmember 2 address 127.0.0.1 port 7102;\n\
                member 3 address ::1 port 7103;\nsecret \"MDEyMzQ1Njc4OWFiY2RlZg==\";\n};\n";
    assert!(text.contains(line));
    text.replacen(line, replacement, 1)
}

#[test]
fn errors_are_worded_as_bind_words_them() {
    let mut cases = 0;
    for case in include_str!("verdicts.txt").split("\n\n").skip(1) {
        let (expected, source): (Vec<&str>, Vec<&str>) =
            case.lines().partition(|line| line.starts_with("=> "));
        let source = source.join("\n") + "\n";
        let expected: Vec<_> = expected.iter().map(|line| &line[3..]).collect();
        let said = findings(&source);
        let said: Vec<_> = said
            .iter()
            .filter(|text| !text.contains("not implemented"))
            .map(|text| text.trim_end())
            .collect();
        assert_eq!(said, expected, "{source}");
        cases += 1;
    }
    assert!(cases > 100, "{cases}");
}

#[test]
fn reading_stops_where_bind_stops_and_checks_come_in_its_order() {
    let source = "options { foo 1; port x; bar 2; };\nzone \"a\" { type primary; bar; };\nkey k { };\n";
    assert_eq!(findings(source), ["1: unknown option 'foo'", "1: expected number near 'x'"]);
    let source =
        "acl a { b; };\noptions { allow-query { a; c; }; };\nzone \"a\" { type primary; };\nkey k { };\n";
    assert_eq!(
        findings(source),
        ["3: zone 'a': missing 'file' entry", "4: key 'k' must have both 'secret' and 'algorithm' defined"]
    );
}

#[test]
fn what_this_server_lacks_is_asked_for_apart() {
    let source = b"options { dump-file \"d\"; };\nview v { match-clients { any; }; };\n";
    let reading = read_text("named.conf", source, ReadOptions::default());
    assert!(reading.is_valid() && reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    let (config, found) = reading.resolve(None);
    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(config.is_none());
    assert_eq!(
        found,
        [
            "named.conf:1: option 'dump-file' is not implemented; ignored",
            "named.conf:2: option 'view' is not yet supported"
        ]
    );
}

#[test]
fn what_is_not_implemented_gets_a_warning_or_an_error_but_never_silence() {
    let check = |source: &str, expected: &[&str]| assert_eq!(findings(source), expected, "{source}");
    check(
        "options { recursion no; dump-file \"d\"; };",
        &["1: option 'dump-file' is not implemented; ignored"],
    );
    check("options { dscp 5; };", &["1: option 'dscp' is obsolete and should be removed "]);
    check(
        "options { glue-cache yes; };",
        &["1: option 'glue-cache' is deprecated", "1: option 'glue-cache' is not implemented; ignored"],
    );
    // One warning for the block, not one for each statement in it.
    check("controls { };", &["1: option 'controls' is not implemented; ignored"]);
    check(
        "zone \".\" { type hint; file \"x\"; };",
        &["1: zone '.': type 'hint' is for recursion, which is not implemented; ignored"],
    );
    check(
        "zone \"a\" { type forward; forward only; forwarders { 192.0.2.1; }; };",
        &["1: zone 'a': type 'forward' is for recursion, which is not implemented; ignored"],
    );
    // To ignore these would let in whom they keep out, or leave a zone unserved.
    check(
        "options { listen-on tls ephemeral http default { any; }; };",
        &["1: option 'listen-on http' is not yet supported"],
    );
    check(
        "tls t { key-file \"k\"; cert-file \"c\"; dhparam-file \"d\"; remote-hostname \"h\"; };",
        &[
            "1: option 'remote-hostname' is not implemented; ignored",
            "1: option 'dhparam-file' has no effect: there is no finite-field Diffie-Hellman",
        ],
    );
    check("view v { match-clients { any; }; };", &["1: option 'view' is not yet supported"]);
    check(
        "options { allow-query { geoip country DE; }; };",
        &["1: 'geoip' is not yet supported in address match lists"],
    );
    check(
        "zone \"a\" { type secondary; primaries { 192.0.2.1; }; };",
        &["1: zone 'a': type 'secondary' is not yet supported"],
    );
}

#[test]
fn tls_is_read_and_listened_for() {
    let config = config(
        r#"
        tls Own {
            cert-file "c"; key-file "k"; ca-file "a"; protocols { TLSv1.3; }; ciphers "HIGH"; session-tickets no;
            prefer-server-ciphers yes;
        };
        options {
            tls-port 8853; listen-on tls own { any; }; listen-on port 54 tls none { any; };
            listen-on-v6 port 855 tls ephemeral { any; }; allow-transfer port 853 transport tls { any; };
        };
        zone "a" { type primary; file "a"; };
        zone "b" { type primary; file "b"; allow-transfer port 0 transport TCP { any; }; };
        zone "c" { type primary; file "c"; allow-transfer { any; }; };
        "#,
    );
    let [own, plain] = &config.options.listen_on[..] else { panic!("{:?}", config.options.listen_on) };
    let own = own.tls.as_ref().expect("TLS");
    let paths = own.certificate_and_key.as_ref().map(|(chain, key)| (chain.to_str(), key.to_str()));
    assert_eq!(paths, Some((Some("c"), Some("k"))));
    assert_eq!(own.client_ca_file.as_deref().and_then(Path::to_str), Some("a"));
    assert_eq!((own.allows_tls12, own.allows_tls13, own.gives_tickets), (false, true, false));
    assert_eq!((own.ciphers.as_deref(), own.prefers_own_ciphers), (Some("HIGH"), true));
    assert_eq!(own.position.as_ref().map(|position| position.line), Some(2));
    assert_eq!((config.options.tls_port, &plain.tls, plain.port), (8853, &None, Some(54)));
    let ephemeral = config.options.listen_on_v6[0].tls.as_ref().expect("TLS");
    assert_eq!(**ephemeral, Tls { position: ephemeral.position.clone(), ..Tls::default() });
    let over: Vec<_> = config.zones.iter().map(|zone| zone.transfer_over).collect();
    let (tcp, tls) = (Some(TransferTransport::Tcp), Some(TransferTransport::Tls));
    assert_eq!(
        over,
        [
            TransferOver { port: Some(853), transport: tls },
            TransferOver { port: None, transport: tcp },
            TransferOver::default()
        ]
    );
}

#[test]
fn without_statements_the_defaults_of_bind_hold() {
    let config = config("zone \"example.com\" { type primary; file \"e.zone\"; };");
    assert_eq!(
        (config.options.port, config.options.max_udp_size, config.options.tcp_clients),
        (53, 1232, 150)
    );
    assert_eq!(config.options.minimal_responses, MinimalResponses::NoAuthRecursive);
    let zone = &config.zones[0];
    assert_eq!((zone.name.to_string().as_str(), zone.file.to_str()), ("example.com.", Some("e.zone")));
    assert_eq!((&zone.allow_query, &zone.allow_transfer), (&acl::MatchList::any(), &acl::MatchList::any()));
    assert_eq!(zone.allow_update, acl::MatchList::none());
    assert_eq!((zone.notify, zone.notify_delay_secs), (Notify::Yes, 5));
    assert_eq!((zone.max_journal_size, zone.max_ixfr_ratio), (JournalSize::Default, IxfrRatio::Percent(100)));
    assert_eq!((zone.position.line, config.cluster.is_none()), (1, true));
}

#[test]
fn rate_limits_take_what_they_do_not_say_from_the_limit_of_answers() {
    let check = |text: &str, expected: Option<RateLimit>| {
        let config = config(&format!("options {{ {text} }};"));
        assert_eq!(config.options.rate_limit, expected, "{text}");
    };
    let bind = RateLimit::with_rate;
    check("", None);
    check("rate-limit { };", Some(bind(0)));
    check("rate-limit { responses-per-second 5; };", Some(bind(5)));
    check("rate-limit { window 5; slip 0; };", Some(RateLimit { window_secs: 5, slip: 0, ..bind(0) }));
    check(
        "rate-limit { responses-per-second 5; referrals-per-second 1; nodata-per-second 2; nxdomains-per-second 3;
         errors-per-second 0; all-per-second 50; qps-scale 250; log-only yes; exempt-clients { any; }; };",
        Some(RateLimit {
            referrals_per_sec: 1,
            nodata_per_sec: 2,
            nxdomains_per_sec: 3,
            errors_per_sec: 0,
            all_per_sec: 50,
            qps_scale: 250,
            log_only: true,
            exempt_clients: acl::MatchList::any(),
            ..bind(5)
        }),
    );
    check(
        "rate-limit { ipv4-prefix-length 32; ipv6-prefix-length 64; };",
        Some(RateLimit { ipv4_prefix_bits: 32, ipv6_prefix_bits: 64, ..bind(0) }),
    );
    check("rate-limit { min-table-size 30000; };", Some(RateLimit { accounts_max: 30_000, ..bind(0) }));
    check("rate-limit { max-table-size 600; };", Some(RateLimit { accounts_max: 600, ..bind(0) }));
    check("rate-limit { max-table-size 99999999; };", Some(RateLimit { accounts_max: 1 << 22, ..bind(0) }));
}

#[test]
fn options_are_read_and_zones_take_what_they_do_not_say_themselves() {
    let config = config(
        r#"
        acl inside { 10/8; !key "k"; };
        key "k" { algorithm hmac-sha256; secret "YWJjZA=="; };
        primaries others { 192.0.2.3 port 54; };
        options {
            directory "/tmp"; port 5300; pid-file none; server-id hostname; version "v"; hostname none;
            listen-on { 127.0.0.1; }; listen-on port 5301 { any; }; listen-on-v6 { none; };
            max-udp-size 100; edns-udp-size 9000; tcp-clients 7; tcp-listen-queue 3; transfer-format one-answer;
            minimal-responses yes; allow-query { inside; }; blackhole { 192.0.2.66; };
            answer-cookie yes; cookie-algorithm siphash24; cookie-secret "00112233445566778899aabbccddeeff";
            cookie-secret "ffeeddccbbaa99887766554433221100"; require-server-cookie yes; nocookie-udp-size 1;
            response-padding { inside; } block-size 1000;
            allow-query-on { localhost; }; notify explicit; max-ixfr-ratio 50%;
            max-journal-size 2m; notify-delay 1; also-notify { 192.0.2.1; 192.0.2.2 key k; others; others; };
        };
        zone "a" { type primary; file "a"; };
        zone "b" in { type master; file "/b"; allow-query { any; }; allow-query-on { any; }; notify no; also-notify port 1 { ::1; }; };
        statistics-channels { inet * port 8053 allow { localhost; }; inet ::1; };
        "#,
    );
    let options = &config.options;
    assert_eq!((options.pid_file.as_deref(), options.port), (None, 5300));
    assert_eq!((options.max_udp_size, options.edns_udp_size, options.tcp_clients), (512, 4096, 7));
    assert_eq!((options.tcp_listen_queue, options.tcp_idle_timeout), (10, 300));
    assert_eq!(options.listen_on.iter().map(|l| l.port).collect::<Vec<_>>(), [None, Some(5301)]);
    assert_eq!(options.listen_on_v6[0].addresses, acl::MatchList::none());
    assert_eq!((&options.server_id, &options.hostname), (&Identity::Hostname, &Identity::None));
    assert_eq!(options.version, Identity::Text("v".into()));
    assert_eq!(options.transfer_format, TransferFormat::OneAnswer);
    assert_eq!(options.cookie_secrets.iter().map(|secret| secret.0[0]).collect::<Vec<_>>(), [0x00, 0xff]);
    assert_eq!(format!("{:?}", options.cookie_secrets[0]), "CookieSecret");
    assert!(options.answer_cookie && options.require_server_cookie);
    assert_eq!(options.nocookie_udp_size, 128);
    let padding = options.response_padding.as_ref().expect("it is asked for");
    assert_eq!((padding.block_bytes, padding.clients.elements.len()), (512, 1));
    assert_eq!(config.keys.len(), 1);
    assert_eq!(config.keys[0].secret, b"abcd");
    let [a, b] = &config.zones[..] else { panic!("{:?}", config.zones) };
    assert!(
        matches!(&a.allow_query.elements[0].subject, Subject::List(inside) if inside.elements.len() == 2)
    );
    assert_eq!((options.blackhole.elements.len(), options.allow_query_on.elements.len()), (1, 1));
    let localhost = Element { negated: false, subject: Subject::Localhost };
    assert_eq!(
        (&a.allow_query_on.elements[..], &b.allow_query_on),
        (&[localhost][..], &acl::MatchList::any())
    );
    assert_eq!(
        (a.notify, a.notify_delay_secs, a.max_ixfr_ratio),
        (Notify::Explicit, 1, IxfrRatio::Percent(50))
    );
    assert_eq!(a.max_journal_size, JournalSize::Bytes(2 << 20));
    let targets: Vec<_> = a.also_notify.iter().map(|t| (t.address.to_string(), t.key.is_some())).collect();
    let expected = [("192.0.2.1:5300", false), ("192.0.2.2:5300", true), ("192.0.2.3:54", false)];
    assert_eq!(targets, expected.map(|(address, key)| (address.to_owned(), key)));
    assert_eq!((b.notify, &b.allow_query), (Notify::No, &acl::MatchList::any()));
    assert_eq!(b.also_notify[0].address, "[::1]:1".parse::<SocketAddr>().unwrap());
    assert_eq!(config.path(&a.file), Path::new("/tmp/a"));
    assert_eq!(config.path(&b.file), Path::new("/b"));
    let channels: Vec<_> = config.statistics_channels.iter().map(|c| c.address.to_string()).collect();
    assert_eq!(channels, ["0.0.0.0:8053", "[::1]:80"]);
}

#[test]
fn the_port_of_the_command_line_stands_for_that_of_the_options() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("named.conf");
    let source = "options { port 1; also-notify { 192.0.2.1; 192.0.2.2 port 2; }; };\n\
                  zone \"a\" { type primary; file \"a\"; };\n";
    std::fs::write(&path, source).unwrap();
    let (config, _) = load_with_port(&path, Some(5300)).unwrap();
    let ports: Vec<_> = config.zones[0].also_notify.iter().map(|target| target.address.port()).collect();
    assert_eq!((config.options.port, ports), (5300, vec![5300, 2]));
    let missing = load(&dir.path().join("nosuch")).unwrap_err();
    assert!(
        missing[0].to_string().starts_with("open: ") && missing[0].to_string().ends_with(": file not found")
    );
}

#[test]
fn a_cluster_is_read() {
    let config = config(&cluster("};", "lease-duration 250;\n};"));
    let cluster = config.cluster.unwrap();
    assert_eq!((cluster.node_id, cluster.lease_duration.as_millis()), (2, 250));
    assert_eq!((cluster.log_size_min, cluster.image_rate_max), (4 << 20, 64 << 20));
    let members: Vec<_> = cluster.members.iter().map(|m| (m.id, m.address.to_string(), m.port)).collect();
    assert_eq!(cluster.heartbeat_interval, std::time::Duration::from_millis(100));
    assert_eq!(members[0], (1, "127.0.0.1".into(), 7101));
    assert_eq!(members[2], (3, "::1".into(), 7103));
    assert_eq!(cluster.secret.as_deref(), Some(&b"0123456789abcdef"[..]));
    assert!(!format!("{cluster:?}").contains("0123"), "{cluster:?}");
    assert!(!format!("{cluster:?}").contains("48, 49"), "{cluster:?}");
}

#[test]
fn certificates_of_a_cluster_may_be_given_beside_a_secret_or_in_its_place() {
    let tls = "tls { cert-file \"c\"; key-file \"k\"; ca-file \"a\"; };";
    let secret = "secret \"MDEyMzQ1Njc4OWFiY2RlZg==\";";
    for (lines, has_secret) in [(tls.to_owned(), false), (format!("{secret} {tls}"), true)] {
        let cluster = config(&cluster(secret, &lines)).cluster.expect("a cluster");
        let files = cluster.tls.expect("certificates");
        let names = [files.certificate, files.key, files.authority].map(|path| path.display().to_string());
        assert_eq!((cluster.secret.is_some(), names), (has_secret, ["c", "k", "a"].map(str::to_owned)));
    }
}

#[test]
fn a_zone_promises_what_it_says_or_what_the_cluster_says() {
    use super::model::{Consistency::*, StaleAnswers::*};
    let check = |of_cluster: Option<&str>, of_zone: &str, acknowledge, stale_answers, consistency| {
        let cluster = of_cluster.map_or(String::new(), |text| cluster("};", &format!("{text}\n}};")));
        let zone = format!("zone \"example\" {{ type primary; file \"x\"; {of_zone} }};");
        let serving = config(&format!("{cluster}\n{zone}")).zones[0].serving;
        assert_eq!(
            serving,
            ZoneServing { acknowledge, stale_answers, consistency },
            "{of_cluster:?} {of_zone}"
        );
    };
    let (quorum, everywhere) = (Acknowledge::Quorum, Acknowledge::Everywhere);
    check(Some(""), "", quorum, Yes, Local);
    check(Some("acknowledge everywhere;"), "", everywhere, No, Local);
    check(Some("acknowledge everywhere;"), "acknowledge quorum;", quorum, Yes, Local);
    check(Some("acknowledge everywhere; stale-answers yes;"), "", everywhere, Yes, Local);
    check(Some("stale-answers drop;"), "acknowledge everywhere;", everywhere, Drop, Local);
    check(Some("stale-answers drop;"), "stale-answers no;", quorum, No, Local);
    check(Some("consistency linearizable;"), "", quorum, Yes, Linearizable);
    check(Some("consistency linearizable;"), "consistency local;", quorum, Yes, Local);
    // A server on its own has the newest data, always.
    check(None, "acknowledge everywhere; stale-answers no;", everywhere, Yes, Local);
}

#[test]
fn the_bounds_of_a_cluster_are_sizes() {
    let config = config(&cluster("};", "log-size-min 100k; image-rate-max 0;\n};"));
    let cluster = config.cluster.unwrap();
    assert_eq!((cluster.log_size_min, cluster.image_rate_max), (100 << 10, 1));
}

#[test]
fn a_cluster_that_cannot_work_is_refused() {
    let check = |line: &str, replacement: &str, expected: &[&str]| {
        let source = cluster(line, replacement);
        assert_eq!(findings(&source), expected, "{source}");
    };
    check("node-id 2", "node-id 4", &["2: node-id 4 is not one of the members"]);
    check("node-id 2;", "", &["1: cluster: missing 'node-id' entry"]);
    check("secret \"MDEyMzQ1Njc4OWFiY2RlZg==\";", "", &["1: cluster: missing 'secret' entry"]);
    check("MDEyMzQ1Njc4OWFiY2RlZg==", "YWJjZA==", &["6: the secret has 4 octets, but must have at least 16"]);
    check("MDEyMzQ1Njc4OWFiY2RlZg==", "!", &["6: bad secret 'bad base64 encoding'"]);
    check("member 3", "member 1", &["5: member 1: already exists previous definition: named.conf:3"]);
    check(
        "::1 port 7103",
        "127.0.0.1 port 7101",
        &["5: member 3: address 127.0.0.1 port 7101 is already in use: named.conf:3"],
    );
    check("member 3 address ::1 port 7103;", "", &["1: cluster: 2 members, but there must be 1, 3, 5 or 7"]);
    check("7103", "0", &["5: member 3: nobody can connect to address ::1 port 0"]);
    check("node-id 2;", "node-id 2; heartbeat-interval 250;", &[]);
    for (millis, line) in [(29, 3), (10_001, 3)] {
        check(
            "node-id 2;\n",
            &format!("node-id 2;\nheartbeat-interval {millis};\n"),
            &[&format!("{line}: heartbeat-interval {millis} is out of range (30..10000 milliseconds)")],
        );
    }
    check(
        "7103",
        "99999",
        &["5: port '99999' out of range", "1: cluster: 2 members, but there must be 1, 3, 5 or 7"],
    );
    check("::1", "0.0.0.0", &["5: member 3: nobody can connect to address 0.0.0.0 port 7103"]);
    check("member 3", "member 0", &["5: member 0: the id must be at least 1"]);
    check("::1", "host.example", &["5: expected IP address near 'host.example'"]);
    check(
        "};",
        "lease-duration 50;\n};",
        &["7: lease-duration 50 is out of range (100..60000 milliseconds)"],
    );
    let tls = |files: &str, expected: &[&str]| {
        check("secret \"MDEyMzQ1Njc4OWFiY2RlZg==\";", &format!("tls {{ {files} }};"), expected);
    };
    tls("cert-file \"c\"; key-file \"k\";", &["6: cluster: missing 'ca-file' entry in 'tls'"]);
    tls("ca-file \"a\"; key-file \"k\";", &["6: cluster: missing 'cert-file' entry in 'tls'"]);
    tls("ca-file \"a\"; cert-file \"c\";", &["6: cluster: missing 'key-file' entry in 'tls'"]);
    check("};", "};\ncluster { };", &["8: 'cluster' redefined near 'cluster'"]);
}

#[test]
fn include_puts_the_statements_of_files_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("a.inc", "port 5300;\n\nbogus 1;\n");
    write("z1.zones", "zone \"one\" { type primary; file \"1\"; };\n");
    write("z2.zones", "zone \"two\" { type primary; file \"2\"; };\n");
    write("loop.inc", "include \"loop.inc\";\n");
    let directory = dir.path().display();
    let source =
        format!("options {{ directory \"{directory}\"; include \"a.inc\"; }};\ninclude \"z*.zones\";\n");
    assert_eq!(findings(&source), ["a.inc:3: unknown option 'bogus'"]);
    write("a.inc", "port 5300;\n");
    let config = config(&source);
    assert_eq!(config.options.port, 5300);
    assert_eq!(
        config.zones.iter().map(|z| z.position.to_string()).collect::<Vec<_>>(),
        // BIND reads the last one first.
        ["z2.zones:1", "z1.zones:1"]
    );
    let source = format!("options {{ directory \"{directory}\"; }};\ninclude \"loop.inc\";\n");
    assert_eq!(findings(&source), ["loop.inc:1: open: loop.inc: too many open files"]);
    let source = format!("options {{ directory \"{directory}\"; }};\ninclude \"nosuch.inc\";\n");
    assert_eq!(findings(&source), ["2: parsing failed: file not found"]);
}

#[test]
fn the_canonical_form_is_that_of_named_checkconf() {
    let source = r#"
        acl a { 10/8; !key k; { 1.2.3.4; any; }; };
        key k { algorithm hmac-sha256; secret "YWJjZA=="; };
        options { max-journal-size 1m; recursion 1; listen-on port 53 { any; }; version "x\"y"; lame-ttl 1h30m;
            also-notify { 1.2.3.4 port 53 key k; }; max-ixfr-ratio 10%; directory "/tmp"; };
        zone a IN { file "a"; type master; };
    "#;
    // Recorded from named-checkconf -px.
    let expected = "acl \"a\" {\n\t10.0.0.0/8;\n\t!key \"k\";\n\t{\n\t\t1.2.3.4/32;\n\t\t\"any\";\n\t};\n};\n\
        options {\n\tdirectory \"/tmp\";\n\tlisten-on port 53 {\n\t\t\"any\";\n\t};\n\tversion \"x\\\"y\";\n\
        \tlame-ttl 5400;\n\trecursion yes;\n\talso-notify {\n\t\t1.2.3.4 port 53 key \"k\";\n\t};\n\
        \tmax-ixfr-ratio 10%;\n\tmax-journal-size 1048576;\n};\n\
        key \"k\" {\n\talgorithm \"hmac-sha256\";\n\tsecret \"????????\";\n};\n\
        zone \"a\" IN {\n\ttype master;\n\tfile \"a\";\n};\n";
    let reading = read_text("named.conf", source.as_bytes(), ReadOptions::default());
    assert_eq!(reading.canonical(Secrets::Hidden), expected);
    let shown = reading.canonical(Secrets::Shown);
    assert!(shown.contains("secret \"YWJjZA==\";"));
    // What is printed can be read again and means the same.
    assert_eq!(read_text("again", shown.as_bytes(), ReadOptions::default()).canonical(Secrets::Shown), shown);
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let samples = include_str!("verdicts.txt");
    for (at, _) in samples.char_indices().step_by(7) {
        let end = (at + 97).min(samples.len());
        let _ = load_text("x", &samples.as_bytes()[at..end]);
        let cut = samples.as_bytes()[at..end].iter().map(|byte| byte ^ (at % 5) as u8).collect::<Vec<_>>();
        let _ = load_text("x", &cut);
    }
    let deep = "options { also-notify { ".repeat(200_000);
    assert!(load_text("x", deep.as_bytes()).is_err());
    let deep = "acl a { ".to_owned() + &"{".repeat(300_000);
    assert!(load_text("x", deep.as_bytes()).is_err());
}

#[test]
fn the_format_of_zone_files_comes_from_the_zone_or_the_options() {
    let formats = |options: &str, zone: &str| {
        let text = format!(
            "options {{ directory \"/\"; {options} }};\nzone \"a\" {{ type primary; file \"a\"; {zone} }};\n"
        );
        config(&text).zones[0].file_format
    };
    assert_eq!(formats("", ""), FileFormat::Text);
    assert_eq!(formats("masterfile-format raw;", ""), FileFormat::Raw);
    assert_eq!(formats("masterfile-format raw;", "masterfile-format text;"), FileFormat::Text);
    assert_eq!(formats("", "masterfile-format raw;"), FileFormat::Raw);
}
