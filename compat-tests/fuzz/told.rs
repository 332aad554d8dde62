//! Findings told to people and to machines: they add to what BIND says, and change nothing of it.

use std::ffi::OsString;

use serde_json::Value;
use trimaran::cli::checkzone;

use super::properties::{Work, scratch};
use crate::explain::is_explanation;

/// Runs checkzone in all three forms.
pub(super) fn check(input: &[u8]) -> Result<Work, String> {
    let file = scratch(input);
    let strictness = if input.len().is_multiple_of(2) { "warn" } else { "fail" };
    let run = |form: &[&str]| {
        let path = file.path().to_str().expect("a path of ASCII");
        let args = ["-i", "local", "-k", strictness, "-n", strictness, "example", path];
        let args: Vec<OsString> = form.iter().copied().chain(args).map(OsString::from).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = checkzone::run("checkzone", &args, &mut out, &mut err);
        (code, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned())
    };
    let (code, plain, _) = run(&[]);
    let (explained_code, text, _) = run(&["--explain"]);
    let bare: Vec<&str> = text.split('\n').filter(|line| !is_explanation(line)).collect();
    if explained_code != code || bare != plain.split('\n').collect::<Vec<_>>() {
        return Err(format!("explained ({explained_code}):\n{text}not ({code}):\n{plain}"));
    }
    let (json_code, text, _) = run(&["--json"]);
    let document: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    if json_code != code || document["exit_code"] != code {
        return Err(format!("exit code {json_code} with --json, {code} without"));
    }
    let findings = document["findings"].as_array().ok_or("no list of findings")?;
    if findings.iter().any(|finding| finding["hint"].as_str().is_none_or(str::is_empty)) {
        return Err(format!("a finding without a hint: {text}"));
    }
    Ok(Work { records: document["records"].as_u64().unwrap_or(0) })
}
