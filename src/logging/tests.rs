use super::*;
use crate::config::load_text;
use std::sync::Arc;
use tempfile::TempDir;

/// Logs through a configuration and returns the contents of its files.
fn logged(statement: &str, debug_level: u32, files: &[&str], events: impl FnOnce()) -> Vec<String> {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let (config, _) = load_text("named.conf", statement.as_bytes()).expect("a good configuration");
    let fallback = folder.path().join("fallback");
    let router = Router::new(Setup {
        fallback: Fallback::file(&fallback).unwrap(),
        debug_level,
        logging: config.logging.as_ref(),
        directory: folder.path(),
        owner: None,
    })
    .map_err(|(path, error)| format!("{}: {error}", path.display()))
    .unwrap();
    let subscriber = tracing_subscriber::registry().with(router);
    tracing::subscriber::with_default(subscriber, events);
    files.iter().map(|file| std::fs::read_to_string(folder.path().join(file)).unwrap_or_default()).collect()
}

fn some_events() {
    tracing::info!("general words");
    tracing::info!(target: "update", count = 2, "an update");
    tracing::info!(target: "queries", "a query");
    tracing::error!(target: "security", "a danger");
    tracing::debug!(target: "xfer-out", "details");
}

/// A line without its time.
fn without_time(text: &str) -> Vec<String> {
    text.lines().map(|line| line.splitn(3, ' ').last().unwrap_or_default().to_owned()).collect()
}

#[test]
fn categories_go_where_they_are_sent_and_the_rest_where_default_goes() {
    let statement = "logging { channel q { file \"q\"; }; channel d { file \"d\"; print-category yes; print-severity yes; };\
        channel errors { file \"e\"; severity error; };\
        category queries { q; errors; }; category default { d; errors; }; category update { null; }; };";
    let [q, d, e, fallback] =
        logged(statement, 0, &["q", "d", "e", "fallback"], some_events).try_into().unwrap();
    assert_eq!(q, "a query\n");
    assert_eq!(d, "general: info: general words\nsecurity: error: a danger\n");
    assert_eq!(e, "a danger\n");
    assert_eq!(fallback, "");
}

#[test]
fn without_a_statement_lines_go_to_the_fallback_as_loud_as_debugging_says() {
    let all = |debug_level| without_time(&logged("", debug_level, &["fallback"], some_events)[0]);
    assert_eq!(all(0), ["general words", "a query", "a danger"]);
    assert_eq!(all(1), ["general words", "an update count=2", "a query", "a danger", "details"]);
}

#[test]
fn a_category_of_its_own_leaves_the_others_to_the_fallback() {
    let statement = "logging { channel q { file \"q\"; }; category queries { q; }; };";
    let [q, fallback] = logged(statement, 0, &["q", "fallback"], some_events).try_into().unwrap();
    assert_eq!(q, "a query\n");
    assert_eq!(without_time(&fallback), ["general words", "a danger"]);
}

#[test]
fn what_nobody_takes_is_known_before_its_text_is_made() {
    let asked = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let seen = Arc::clone(&asked);
    logged("logging { category update { null; }; };", 0, &[], move || {
        seen.store(tracing::enabled!(target: "update", Level::INFO), std::sync::atomic::Ordering::Relaxed);
    });
    assert!(!asked.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn every_module_of_the_server_has_a_category() {
    for (target, expected) in [
        ("trimaran::server::udp", "network"),
        ("trimaran::daemon", "general"),
        ("trimaran::daemon::seed", "zoneload"),
        ("trimaran::nameserver::transfer_out", "xfer-out"),
        ("update-security", "update-security"),
        ("elsewhere", "general"),
    ] {
        assert_eq!(category(target), expected, "{target}");
    }
}
