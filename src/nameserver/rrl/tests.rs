//! Rate limits under a clock of the tests' own. What is expected is BIND 9.18's.

use super::table::{Debit, State, Table, Terms};
use super::*;
use crate::config::acl::{Element, MatchList, Subject};
use crate::config::interfaces::Interfaces;
use std::collections::HashMap;
use std::sync::Arc;

const NOW: u64 = 1_800_000_000;
const KEYS: (u64, u64) = (0x0123_4567_89ab_cdef, 0x0f1e_2d3c_4b5a_6978);
const CLIENT: &str = "192.0.2.1";

fn limiter(settings: RateLimit) -> Limiter {
    Limiter::new(Class::IN, settings, Acl::none(), KEYS)
}

fn name(text: &str) -> Vec<u8> {
    text.parse::<Name>().unwrap().as_wire().to_vec()
}

/// Kind, name and type in one word: `www.example. A`, `referral sub.example.`, `NODATA`, `NXDOMAIN`, `wild ...`.
fn with_response<T>(text: &str, work: impl FnOnce(&Response<'_>) -> T) -> T {
    let (kind, rest) = match text.split_once(' ') {
        Some(("referral", rest)) => (Kind::Referral, rest),
        Some(("NODATA", rest)) => (Kind::NoData, rest),
        Some(("NXDOMAIN", rest)) => (Kind::NxDomain, rest),
        Some(("error", rest)) => return work(&Response::error(Rcode(rest.parse().unwrap()))),
        _ => (Kind::Answer, text),
    };
    let (rest, apex) = match rest.strip_prefix("wild ") {
        Some(rest) => (rest, Some(name("example."))),
        None => (rest, None),
    };
    let (owner, qtype) = rest.split_once(' ').unwrap_or((rest, "1"));
    let owner = name(owner);
    work(&Response {
        kind,
        name: &owner,
        wildcard_of: apex.as_deref(),
        qtype: RrType(qtype.parse().unwrap()),
        rcode: Rcode::NOERROR,
    })
}

fn judge(limiter: &Limiter, secs: u64, client: &str, text: &str) -> Judgement {
    with_response(text, |response| limiter.pass(NOW + secs, 1).judge(client.parse().unwrap(), response))
}

/// `.` for each response that is sent, `t` for each that slips, `x` for each that is dropped.
fn run(limiter: &Limiter, secs: u64, client: &str, texts: &[&str], count: usize) -> String {
    let texts = texts.iter().cycle().take(count);
    texts
        .map(|text| match judge(limiter, secs, client, text) {
            Judgement::Send => '.',
            Judgement::Slip => 't',
            Judgement::Drop => 'x',
        })
        .collect()
}

#[test]
fn a_second_has_as_many_responses_as_the_rate_and_every_second_of_the_others_slips() {
    let limiter = limiter(RateLimit::with_rate(5));
    assert_eq!(run(&limiter, 0, CLIENT, &["www.example."], 12), ".....txtxtxt");
    // Who goes on gets nothing: the debt is larger than what a second earns.
    assert_eq!(run(&limiter, 1, CLIENT, &["www.example."], 8), "xtxtxtxt");
    assert_eq!((limiter.slipped(), limiter.dropped()), (8, 7));
}

#[test]
fn a_debt_is_paid_off_second_by_second_and_forgotten_behind_the_window() {
    let settings = RateLimit { window_secs: 3, slip: 0, ..RateLimit::with_rate(2) };
    let check = |pause: u64, expected: &str| {
        let limiter = limiter(settings.clone());
        // The debt is no deeper than what the window earns: six.
        assert_eq!(run(&limiter, 0, CLIENT, &["www.example."], 20), format!("..{}", "x".repeat(18)));
        assert_eq!(run(&limiter, pause, CLIENT, &["www.example."], 3), expected, "after {pause} s");
    };
    check(1, "xxx");
    check(2, "xxx");
    // Six earned, six owed.
    check(3, "xxx");
    check(4, "..x");
    let limiter = limiter(settings);
    assert_eq!(run(&limiter, 0, CLIENT, &["www.example."], 4), "..xx");
    assert_eq!(run(&limiter, 2, CLIENT, &["www.example."], 3), "..x", "two owed, four earned");
    assert_eq!(
        run(&limiter, 100, CLIENT, &["www.example."], 3),
        "..x",
        "no more than a second's worth is saved"
    );
}

#[test]
fn slip_says_which_of_the_limited_responses_are_truncated() {
    let check = |slip: u32, expected: &str| {
        let limiter = limiter(RateLimit { slip, ..RateLimit::with_rate(1) });
        assert_eq!(run(&limiter, 0, CLIENT, &["www.example."], 9), expected, "slip {slip}");
    };
    check(0, ".xxxxxxxx");
    check(1, ".tttttttt");
    check(2, ".txtxtxtx");
    check(3, ".txxtxxtx");
    check(10, ".txxxxxxx");
}

#[test]
fn what_counts_together_is_what_bind_counts_together() {
    let check = |texts: &[&str], together: bool| {
        let limiter = limiter(RateLimit { slip: 0, ..RateLimit::with_rate(2) });
        let expected = if together { "..xx" } else { "...." };
        assert_eq!(run(&limiter, 0, CLIENT, texts, 4), expected, "{texts:?}");
    };
    check(&["www.example.", "www.example."], true);
    check(&["www.example.", "mail.example."], false);
    check(&["www.example. 1", "www.example. 28"], false);
    check(&["wild a.example.", "wild b.deep.example."], true);
    check(&["wild a.example. 1", "wild b.example. 28"], false);
    check(&["wild a.example.", "a.example."], false);
    check(&["wild a.example.", "*.example."], true);
    check(&["NODATA www.example. 1", "NODATA www.example. 28"], true);
    check(&["NODATA www.example.", "NODATA mail.example."], false);
    check(&["NODATA wild a.example.", "NODATA wild b.example."], true);
    check(&["NODATA www.example.", "www.example."], false);
    check(&["referral sub.example. 1", "referral sub.example. 28"], true);
    check(&["referral sub.example.", "referral other.example."], false);
    check(&["NXDOMAIN example. 1", "NXDOMAIN example. 28"], true);
    check(&["NXDOMAIN example.", "NXDOMAIN test."], false);
    check(&["error 5", "error 2"], true);
}

#[test]
fn each_kind_has_its_rate_and_errors_never_slip() {
    let settings = RateLimit {
        responses_per_sec: 1,
        referrals_per_sec: 2,
        nodata_per_sec: 3,
        nxdomains_per_sec: 4,
        errors_per_sec: 5,
        ..RateLimit::with_rate(0)
    };
    let check = |text: &str, expected: &str| {
        assert_eq!(run(&limiter(settings.clone()), 0, CLIENT, &[text], 7), expected, "{text}");
    };
    check("www.example.", ".txtxtx");
    check("referral sub.example.", "..txtxt");
    check("NODATA www.example.", "...txtx");
    check("NXDOMAIN example.", "....txt");
    check("error 5", ".....xx");
    let unlimited = limiter(RateLimit { responses_per_sec: 0, ..settings });
    assert_eq!(run(&unlimited, 0, CLIENT, &["www.example."], 7), ".......");
}

#[test]
fn all_responses_together_have_a_limit_that_does_not_slip() {
    let limiter = limiter(RateLimit { all_per_sec: 4, ..RateLimit::with_rate(2) });
    let texts =
        ["www.example.", "mail.example.", "NXDOMAIN example.", "www.example.", "error 5", "www.example."];
    assert_eq!(run(&limiter, 0, CLIENT, &texts, 6), "....xx");
    assert_eq!(run(&limiter, 0, "192.0.3.1", &texts, 4), "....", "another network");
}

#[test]
fn a_network_is_as_large_as_its_prefix() {
    let check = |settings: RateLimit, one: &str, other: &str, together: bool| {
        let limiter = limiter(RateLimit { slip: 0, ..settings });
        assert_eq!(judge(&limiter, 0, one, "www.example."), Judgement::Send);
        let expected = if together { Judgement::Drop } else { Judgement::Send };
        assert_eq!(judge(&limiter, 0, other, "www.example."), expected, "{one} {other}");
    };
    let one = RateLimit::with_rate(1);
    check(one.clone(), "192.0.2.1", "192.0.2.255", true);
    check(one.clone(), "192.0.2.1", "192.0.3.1", false);
    check(RateLimit { ipv4_prefix_bits: 32, ..one.clone() }, "192.0.2.1", "192.0.2.2", false);
    check(RateLimit { ipv4_prefix_bits: 8, ..one.clone() }, "192.0.2.1", "192.255.3.1", true);
    check(one.clone(), "2001:db8:0:ff::1", "2001:db8:0:1::2", true);
    check(one.clone(), "2001:db8:0:1ff::1", "2001:db8::1", false);
    check(RateLimit { ipv6_prefix_bits: 64, ..one.clone() }, "2001:db8:0:ff::1", "2001:db8:0:1::2", false);
    check(RateLimit { ipv6_prefix_bits: 16, ..one.clone() }, "2001:db8::1", "2001:ffff::1", true);
    check(one, "0.0.0.1", "::1", false);
}

#[test]
fn who_is_exempt_is_not_counted_and_log_only_limits_nobody() {
    let exempt = MatchList {
        elements: vec![Element {
            negated: false,
            subject: Subject::Block(Prefix::new("192.0.2.0".parse().unwrap(), 25).unwrap()),
        }],
    };
    let limiter = Limiter::new(
        Class::IN,
        RateLimit { slip: 0, ..RateLimit::with_rate(1) },
        Acl::new(&exempt, &Interfaces::default()),
        KEYS,
    );
    assert_eq!(run(&limiter, 0, "192.0.2.1", &["www.example."], 5), ".....");
    assert_eq!(run(&limiter, 0, "192.0.2.129", &["www.example."], 3), ".xx", "the same network, not exempt");
    let limiter = super::tests::limiter(RateLimit { log_only: true, ..RateLimit::with_rate(1) });
    assert_eq!(run(&limiter, 0, CLIENT, &["www.example."], 5), ".....");
    assert_eq!((limiter.slipped(), limiter.dropped()), (0, 0));
}

#[test]
fn the_limits_of_a_busy_server_are_lower_but_not_for_who_has_come_by_tcp() {
    let settings = RateLimit { qps_scale: 100, slip: 10, window_secs: 10, ..RateLimit::with_rate(20) };
    let limiter = limiter(settings);
    // One window at 400 responses a second: a quarter of all that is allowed.
    limiter.pass(NOW, 1);
    limiter.pass(NOW, 3999);
    let pass = limiter.pass(NOW + 10, 1);
    assert!((pass.scale - 0.25).abs() < 0.01, "{}", pass.scale);
    assert_eq!(
        run(&limiter, 10, CLIENT, &["www.example."], 9),
        ".....txtx",
        "slip is scaled, too, to two at least"
    );
    limiter.pass(NOW + 10, 1).note_tcp("192.0.5.77".parse().unwrap());
    let seen = run(&limiter, 10, "192.0.5.1", &["www.example."], 21);
    assert_eq!(seen, "....................t");
    // Later it is quiet again.
    assert_eq!(run(&limiter, 40, "192.0.6.1", &["www.example."], 21), "....................t");
}

#[test]
fn accounts_in_debt_outlast_idle_ones_and_the_table_never_grows() {
    let limiter = limiter(RateLimit { accounts_max: 64, slip: 0, ..RateLimit::with_rate(1) });
    assert_eq!(limiter.table.capacity(), 64);
    assert_eq!(run(&limiter, 0, CLIENT, &["www.example."], 9), ".xxxxxxxx");
    // As many streams as would fill the table many times, two seconds apart: each finds idle accounts.
    for secs in 0..4 {
        for host in 0..20 {
            let network = format!("10.{secs}.{host}.1");
            assert_eq!(judge(&limiter, 2 * secs, &network, "www.example."), Judgement::Send);
        }
    }
    assert_eq!(judge(&limiter, 6, CLIENT, "www.example."), Judgement::Drop, "not forgotten");
    // More than there is room for at once: the table forgets, and lets through.
    let sent = (0..1000).filter(|host| {
        let network = format!("10.9.{}.{}", host / 4, host % 4 * 64);
        judge(&limiter, 7, &network, &format!("h{host}.example.")) == Judgement::Send
    });
    assert_eq!(sent.count(), 1000);
}

#[test]
fn a_clock_that_is_set_back_makes_all_accounts_new_and_a_slow_worker_does_not() {
    let settings = RateLimit { slip: 0, ..RateLimit::with_rate(1) };
    let check = |back: u64, expected: &str| {
        let limiter = limiter(settings.clone());
        assert_eq!(run(&limiter, 100, CLIENT, &["www.example."], 2), ".x");
        assert_eq!(run(&limiter, 100 - back, CLIENT, &["www.example."], 2), expected, "{back} s");
    };
    check(1, "xx");
    check(5, "xx");
    check(6, ".x");
    check(90, ".x");
}

/// BIND's accounting, one account in a map.
fn debit_of_a_model(
    accounts: &mut HashMap<u64, (i64, u64, u32)>,
    account: u64,
    now: u64,
    terms: Terms,
) -> (bool, bool) {
    let rate = i64::from(terms.rate);
    let (balance, then, slips) = accounts.entry(account).or_insert((rate, now, 0));
    let age = (now - *then) as i64;
    *then = now;
    if age > i64::from(terms.window_secs) {
        (*balance, *slips) = (rate, 0);
    } else if age > 0 {
        *balance += rate * age;
        if *balance > rate {
            (*balance, *slips) = (rate, 0);
        }
    }
    *balance -= 1;
    if *balance >= 0 {
        return (true, false);
    }
    *balance = (*balance).max(-rate * i64::from(terms.window_secs));
    if terms.slip == 0 {
        return (false, false);
    }
    let slip = *slips == 0;
    *slips = (*slips + 1) % terms.slip;
    (false, slip)
}

#[test]
fn accounts_are_kept_as_a_plain_model_keeps_them() {
    let mut random = 7u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for rate in [1, 2, 5, 1000] {
        for window_secs in [1, 5, 3600] {
            let table = Table::new(1024);
            let mut model = HashMap::new();
            let mut now = NOW;
            for step in 0..3000 {
                now += if next(4) == 0 { next(3) } else { 0 };
                now += if next(400) == 0 { next(8000) } else { 0 };
                let terms = Terms { rate, window_secs, slip: 3 };
                let account = next(4).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                let (is_covered, slips) = debit_of_a_model(&mut model, account, now, terms);
                let opened = table.open(account, now as u32, window_secs).expect("nobody else is here");
                let expected = Debit { is_covered, slips, is_logged: false };
                assert_eq!(opened.debit(now as u32, terms), expected, "step {step}, {terms:?}");
            }
        }
    }
}

#[test]
fn a_state_is_what_it_was_when_it_comes_out_of_its_word() {
    let check = |balance: i32, second: u32, slips: u32, is_logged: bool| {
        let word = State { balance, second, slips, is_logged }.pack(u64::MAX);
        let state = State::unpack(word);
        assert_eq!(
            (state.balance, state.second, state.slips, state.is_logged),
            (balance, second, slips, is_logged)
        );
    };
    check(0, 0, 0, false);
    check(1000, (1 << 20) - 1, 9, true);
    check(-3_600_000, 1, 0, true);
    check(-1, 77, 10, false);
}

#[test]
fn workers_together_send_as_many_as_one_would() {
    let limiter = Arc::new(limiter(RateLimit { slip: 4, ..RateLimit::with_rate(100) }));
    let workers = (0..4).map(|_| {
        let limiter = Arc::clone(&limiter);
        std::thread::spawn(move || run(&limiter, 0, CLIENT, &["www.example."], 1000))
    });
    let seen: String = workers.collect::<Vec<_>>().into_iter().map(|worker| worker.join().unwrap()).collect();
    let count = |what: char| seen.chars().filter(|found| *found == what).count();
    // Workers that open the account at the same moment may each have one of their own for one response.
    assert!((100..=103).contains(&count('.')), "{}", count('.'));
    assert_eq!(count('t'), (4000 - count('.')).div_ceil(4));
    assert_eq!(limiter.dropped() as usize, count('x'));
}

mod log;
