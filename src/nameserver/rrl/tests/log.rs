//! What the log says. The words are BIND's.

use super::super::streams::STREAMS_MAX;
use super::*;
use std::io::Write;
use std::sync::Mutex;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Lines;

    fn make_writer(&'a self) -> Lines {
        self.clone()
    }
}

/// The lines that are logged meanwhile, without what is in parentheses.
fn logged(work: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let format = tracing_subscriber::fmt().with_writer(lines.clone()).without_time().with_level(false);
    tracing::subscriber::with_default(format.with_target(false).with_ansi(false).finish(), work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| line.split("  (").next().unwrap().trim().to_owned()).collect()
}

#[test]
fn each_kind_of_stream_is_told_of_in_the_words_of_bind() {
    let check = |settings: RateLimit, client: &str, text: &str, expected: &str| {
        let limiter = limiter(settings);
        let lines = logged(|| {
            run(&limiter, 0, client, &[text], 9);
        });
        assert_eq!(lines, [expected], "{text}");
    };
    let one = RateLimit::with_rate(1);
    check(one.clone(), CLIENT, "www.example.", "limit responses to 192.0.2.0/24 for www.example IN A");
    check(one.clone(), CLIENT, "wild a.example. 16", "limit responses to 192.0.2.0/24 for a.example IN TXT");
    check(
        one.clone(),
        CLIENT,
        "referral sub.example.",
        "limit referral responses to 192.0.2.0/24 for sub.example IN",
    );
    check(
        one.clone(),
        CLIENT,
        "NODATA www.example.",
        "limit NODATA responses to 192.0.2.0/24 for www.example IN",
    );
    check(one.clone(), CLIENT, "NXDOMAIN example.", "limit NXDOMAIN responses to 192.0.2.0/24 for example");
    check(one.clone(), CLIENT, "error 5", "limit REFUSED error responses to 192.0.2.0/24");
    check(one.clone(), "2001:db8:1:2::3", "NXDOMAIN .", "limit NXDOMAIN responses to 2001:db8:1::/56 for .");
    let log_only = RateLimit { log_only: true, ..one.clone() };
    check(log_only, CLIENT, "www.example.", "would limit responses to 192.0.2.0/24 for www.example IN A");
    let all = RateLimit { all_per_sec: 2, ..RateLimit::with_rate(0) };
    check(all, CLIENT, "www.example.", "limit all responses to 192.0.2.0/24");
    // Both are limited from the second response on; the larger of the two is told of.
    let both = RateLimit { all_per_sec: 1, ..one };
    check(both, CLIENT, "www.example.", "limit all responses to 192.0.2.0/24");
}

#[test]
fn a_stream_is_told_of_when_it_begins_when_it_goes_on_and_when_it_ends() {
    let limiter = limiter(RateLimit { window_secs: 5, ..RateLimit::with_rate(1) });
    let what = "responses to 192.0.2.0/24 for www.example IN A";
    let flood = |secs| {
        run(&limiter, secs, CLIENT, &["www.example."], 3);
    };
    let other = |secs| {
        judge(&limiter, secs, "192.0.9.1", "www.example.");
    };
    assert_eq!(logged(|| (0..1799).for_each(flood)), [format!("limit {what}")]);
    assert_eq!(logged(|| (1799..2000).for_each(flood)), [format!("continue limiting {what}")]);
    assert_eq!(logged(|| other(2050)), Vec::<String>::new(), "not quiet for a minute yet");
    assert_eq!(logged(|| other(2060)), [format!("stop limiting {what}")]);
    assert_eq!(logged(|| other(2061)), Vec::<String>::new());
    assert_eq!(logged(|| flood(2062)), [format!("limit {what}")]);
}

#[test]
fn a_flood_of_streams_makes_no_flood_of_lines() {
    let limiter = limiter(RateLimit::with_rate(1));
    let lines = logged(|| {
        for host in 0..2000 {
            let network = format!("10.{}.{}.1", host / 250, host % 250);
            run(&limiter, 0, &network, &["www.example."], 2);
        }
    });
    assert_eq!(lines.len(), STREAMS_MAX);
    // The ends come a few at a time.
    let ends = logged(|| {
        judge(&limiter, 100, CLIENT, "www.example.");
        judge(&limiter, 100, CLIENT, "mail.example.");
        judge(&limiter, 101, CLIENT, "ns.example.");
    });
    assert_eq!(ends.len(), 16);
    assert!(ends.iter().all(|line| line.starts_with("stop limiting ")), "{ends:?}");
}

#[test]
fn a_stream_whose_account_is_needed_for_another_ends_with_a_mark() {
    let limiter = limiter(RateLimit { accounts_max: 8, ..RateLimit::with_rate(1) });
    let lines = logged(|| {
        run(&limiter, 0, CLIENT, &["www.example."], 2);
        for host in 0..8 {
            judge(&limiter, 50, CLIENT, &format!("h{host}.example."));
        }
        judge(&limiter, 51, CLIENT, "h1.example.");
    });
    let what = "responses to 192.0.2.0/24 for www.example IN A";
    assert_eq!(lines, [format!("limit {what}"), format!("*stop limiting {what}")]);
}
