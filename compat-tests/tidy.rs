//! The rules of the house that a compiler does not know.
//!
//! Each rule is a function from text to complaints. Every rule is shown a made-up offender as well: a rule that
//! cannot fail protects nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The modules of the library from the bottom up. A module imports only what stands before it.
const LAYERS: [&str; 16] = [
    "dns",
    "clock",
    "zone",
    "zonefile",
    "config",
    "logging",
    "dnstap",
    "store",
    "replication",
    "nameserver",
    "secondary",
    "notify_out",
    "server",
    "control",
    "daemon",
    "cli",
];
/// Layers without input and output, without time and without chance.
const PURE_LAYERS: [&str; 3] = ["dns", "zone", "zonefile"];
/// Crates with one home.
const HOMES: [(&str, &str); 2] = [("sqlx", "src/store/"), ("omnipaxos", "src/replication/")];
/// What pure layers do not know.
const IMPURE: [&str; 6] = ["tokio", "sqlx", "getrandom", "Instant::now", "SystemTime", "std::net::UdpSocket"];
/// Files that may hold `unsafe`, each a wrapper as small as it can be.
const UNSAFE_FILES: [&str; 2] = ["src/server/udp_batch.rs", "src/zone/trie.rs"];
/// Marks of unfinished work.
const UNFINISHED: [&str; 5] = ["todo!(", "unimplemented!(", "dbg!(", "allow(dead_code", "Skeleton"];
/// Names that say nothing (STYLE).
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "common", "helpers", "manager", "misc"];
const LINES_MAX: usize = 700;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`, as path from the root and text.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a folder of the repository can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push((name, std::fs::read_to_string(&path).expect("source is UTF-8")));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no Rust files in {folder}");
    found
}

/// Source with comments, strings and character literals blanked out; line numbers stay.
fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = end_of_literal(bytes, at);
        if end > at {
            out.extend(bytes[at..end].iter().map(|&byte| if byte == b'\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(bytes[at] as char);
            at += 1;
        }
    }
    out
}

/// Where the comment, string or character literal that begins at `at` ends; `at` itself if none does.
fn end_of_literal(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let find = |needle: &[u8], from: usize| {
        (from..rest.len())
            .find(|&i| rest[i..].starts_with(needle))
            .map_or(bytes.len(), |i| at + i + needle.len())
    };
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|&b| b == b'\n').map_or(bytes.len(), |i| at + i),
        [b'/', b'*', ..] => find(b"*/", 2),
        [b'r', b'"' | b'#', ..] if !in_word => {
            let hashes = rest[1..].iter().take_while(|&&b| b == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return at;
            }
            find(&[b"\"", &vec![b'#'; hashes][..]].concat(), 2 + hashes)
        }
        [b'"', ..] => {
            let mut i = 1;
            while i < rest.len() && rest[i] != b'"' {
                i += if rest[i] == b'\\' { 2 } else { 1 };
            }
            (at + i + 1).min(bytes.len())
        }
        [b'\'', b'\\', _, ..] => find(b"'", 3),
        [b'\'', _, b'\'', ..] => at + 3,
        _ => at,
    }
}

/// Code without the items under `#[cfg(test)]`: unit tests may reach up, to write zones as zone text.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let body = out[start..].find(['{', ';']).map_or(out.len(), |i| start + i);
        let mut depth = 0usize;
        let mut end = out.len();
        for (i, c) in out[body..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = body + i + 1;
                break;
            }
        }
        let lines = out[start..end].matches('\n').count();
        out.replace_range(start..end, &"\n".repeat(lines));
    }
    out
}

/// The files that `#[cfg(test)] mod name;` brings in, and their submodules: unit tests with a file of their own.
fn test_files(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, source) in files {
        let folder = path.trim_end_matches("mod.rs").trim_end_matches(".rs").trim_end_matches('/');
        let code = code_only(source);
        for (at, mark) in code.match_indices("#[cfg(test)]") {
            let declaration = code[at + mark.len()..].split([';', '{']).next().unwrap_or_default();
            let ends_at_once =
                code[at + mark.len()..].find([';', '{']).map(|end| code.as_bytes()[at + mark.len() + end]);
            if let (Some(name), Some(b';')) = (declaration.split("mod ").nth(1), ends_at_once) {
                found.push(format!("{folder}/{}", name.trim()));
            }
        }
    }
    found
}

/// The layer that a file of `src` belongs to, if it is one of them.
fn layer_of(path: &str) -> Option<usize> {
    let name = path.strip_prefix("src/")?.split(['/', '.']).next()?;
    LAYERS.iter().position(|layer| *layer == name)
}

/// The top-level modules that code names by `crate::x`, `crate::{x::.., y}` or a `super` chain to the root.
fn imports(path: &str, code: &str) -> Vec<(usize, String)> {
    // How many `super` lead from the file's module to the root.
    let depth = path.trim_start_matches("src/").trim_end_matches("/mod.rs").matches('/').count() + 1;
    let mut found = Vec::new();
    for (number, statement) in statements(code) {
        for (at, _) in statement.match_indices("crate::") {
            let before = statement[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_') {
                found
                    .extend(heads(&statement[at + "crate::".len()..]).into_iter().map(|name| (number, name)));
            }
        }
        let chain = "super::".repeat(depth);
        for (at, _) in statement.match_indices(&chain) {
            if !statement[..at].ends_with("super::") {
                found.extend(heads(&statement[at + chain.len()..]).into_iter().map(|name| (number, name)));
            }
        }
    }
    found
}

/// Code cut at semicolons, each part with the number of its first line; `use` groups span lines.
fn statements(code: &str) -> Vec<(usize, &str)> {
    let mut line = 1;
    code.split(';')
        .map(|statement| {
            let skipped = statement.len() - statement.trim_start().len();
            let first = line + statement[..skipped].matches('\n').count();
            line += statement.matches('\n').count();
            (first, statement)
        })
        .collect()
}

/// The first identifiers of a path, or of each path in a group.
fn heads(path: &str) -> Vec<String> {
    let identifier = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.trim_start().strip_prefix('{') else { return vec![identifier(path)] };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' if depth == 0 => {
                names.push(identifier(&group[start..at]));
                start = at + 1;
            }
            '}' if depth == 0 => {
                names.push(identifier(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

fn check_layers(path: &str, source: &str) -> Vec<String> {
    let Some(own) = layer_of(path) else { return Vec::new() };
    let code = without_tests(&code_only(source));
    let upward = imports(path, &code).into_iter().filter_map(|(line, name)| {
        let other = LAYERS.iter().position(|layer| *layer == name)?;
        (other > own).then(|| format!("{path}:{line}: {} imports {name}, which is above it", LAYERS[own]))
    });
    upward.collect()
}

/// Whether `code` has `word` standing alone.
fn has_word(code: &str, word: &str) -> bool {
    let outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    code.match_indices(word).any(|(at, _)| {
        outside(code[..at].chars().next_back()) && outside(code[at + word.len()..].chars().next())
    })
}

fn check_homes(path: &str, source: &str) -> Vec<String> {
    let code = code_only(source);
    let mut complaints = Vec::new();
    for (name, home) in HOMES {
        if path.starts_with("src/") && !path.starts_with(home) && has_word(&code, name) {
            complaints.push(format!("{path}: {name} is used outside of {home}"));
        }
    }
    let pure = layer_of(path).is_some_and(|layer| PURE_LAYERS.contains(&LAYERS[layer]));
    let code = without_tests(&code);
    for name in IMPURE.iter().filter(|name| pure && has_word(&code, name)) {
        complaints.push(format!("{path}: {name} in a layer without IO and clock"));
    }
    complaints
}

fn check_unsafe(path: &str, source: &str) -> Vec<String> {
    let allowed = UNSAFE_FILES.contains(&path) || !has_word(&code_only(source), "unsafe");
    if allowed { Vec::new() } else { vec![format!("{path}: unsafe outside of {UNSAFE_FILES:?}")] }
}

fn check_finished(path: &str, source: &str) -> Vec<String> {
    let marks = UNFINISHED.iter().filter(|mark| source.contains(**mark));
    marks.map(|mark| format!("{path}: unfinished: {mark}")).collect()
}

fn check_shape(path: &str, source: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = source.lines().count();
    if lines > LINES_MAX {
        complaints.push(format!("{path}: {lines} lines; at {LINES_MAX} look for the second noun"));
    }
    if !source.starts_with("//!") {
        complaints.push(format!("{path}: does not begin by saying what it is (//!)"));
    }
    let stem = path.trim_end_matches(".rs").rsplit('/').next().unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        complaints.push(format!("{path}: {stem} is not a name"));
    }
    complaints
}

/// Every dependency has a comment directly above it that says what it is for.
fn check_dependencies(manifest: &str) -> Vec<String> {
    let (mut inside, mut above, mut complaints) = (false, "", Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && line.contains('=') && !line.starts_with(['#', ' ']) && !above.starts_with('#') {
            complaints.push(format!("Cargo.toml: no reason given for {line}"));
        }
        above = line;
    }
    complaints
}

fn check_listed(main: &str, files: &[&str]) -> Vec<String> {
    let unlisted = files.iter().filter(|file| !main.lines().any(|line| line == format!("mod {file};")));
    unlisted.map(|file| format!("compat-tests/{file}.rs is not listed in main.rs and never runs")).collect()
}

/// Every command has its entry in trimaran(1).
fn check_documented(page: &str, commands: &[&str]) -> Vec<String> {
    let missing = commands.iter().filter(|command| !has_word(page, command));
    missing.map(|command| format!("man/trimaran.1 does not mention {command}")).collect()
}

fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Applies a rule to all files of `src` but unit tests.
fn each_source(rule: fn(&str, &str) -> Vec<String>) {
    let files = rust_files("src");
    let tests = test_files(&files);
    let is_test = |path: &str| {
        tests
            .iter()
            .any(|test| path.strip_prefix(test.as_str()).is_some_and(|rest| rest.starts_with(['.', '/'])))
    };
    let checked = files.iter().filter(|(path, _)| !is_test(path));
    assert_none(checked.flat_map(|(path, source)| rule(path, source)).collect());
}

fn each_file(folders: &[&str], rule: fn(&str, &str) -> Vec<String>) {
    let files = folders.iter().flat_map(|folder| rust_files(folder));
    assert_none(files.flat_map(|(path, source)| rule(&path, &source)).collect());
}

#[test]
fn no_layer_imports_one_above_it() {
    each_source(check_layers);
    let offends = |path: &str, source: &str| !check_layers(path, source).is_empty();
    assert!(offends("src/zone/mod.rs", "use crate::store::Log;"));
    assert!(offends("src/zone/contents.rs", "use crate::{\n    dns::Name,\n    server::{Udp, Tcp},\n};"));
    assert!(offends("src/dns/rdata/mod.rs", "fn f() { super::super::zone::f() }"));
    assert!(offends("src/clock.rs", "use super::zone;"));
    assert!(!offends(
        "src/zone/contents.rs",
        "use super::store; // a module of zone, by chance of that name"
    ));
    assert!(!offends("src/server/mod.rs", "use crate::zone::Contents; // crate::cli"));
    assert!(!offends("src/zone/mod.rs", "#[cfg(test)]\nmod tests { use crate::zonefile::read; fn f() {} }"));
    assert!(offends("src/zone/mod.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::zonefile::read;"));
}

#[test]
fn files_of_unit_tests_are_known_by_their_declaration() {
    let file = |path: &str, source: &str| (path.to_owned(), source.to_owned());
    let files = [
        file(
            "src/zone/mod.rs",
            "#[cfg(test)]\npub(crate) mod zone_text;\nmod trie;\n#[cfg(test)]\nmod tests { fn f() {} }",
        ),
        file("src/zone/update.rs", "#[cfg(test)]\nmod tests;"),
    ];
    assert_eq!(test_files(&files), ["src/zone/zone_text", "src/zone/update/tests"]);
}

#[test]
fn every_top_level_module_has_a_layer() {
    for (path, _) in rust_files("src") {
        let known = layer_of(&path).is_some() || ["src/lib.rs", "src/main.rs"].contains(&path.as_str());
        assert!(known, "{path} belongs to no layer: put its module into LAYERS");
    }
}

#[test]
fn crates_stay_in_their_homes_and_pure_layers_pure() {
    each_source(check_homes);
    let offends = |path: &str, source: &str| !check_homes(path, source).is_empty();
    assert!(offends("src/control/mod.rs", "use sqlx::Row;"));
    assert!(offends("src/store/log.rs", "use omnipaxos::messages;"));
    assert!(offends("src/zone/mod.rs", "let now = std::time::Instant::now();"));
    assert!(!offends("src/store/log.rs", "use sqlx::Row;"));
    assert!(!offends("src/zone/mod.rs", "// not sqlx, not tokio"));
}

#[test]
fn unsafe_code_stays_in_the_files_made_for_it() {
    each_file(&["src", "compat-tests", "bench"], check_unsafe);
    assert!(!check_unsafe("src/dns/name.rs", "unsafe { f() }").is_empty());
    assert!(check_unsafe("src/dns/name.rs", "let s = \"unsafe\"; #![deny(unsafe_code)]").is_empty());
}

#[test]
fn nothing_is_left_unfinished() {
    each_file(&["src"], check_finished);
    for mark in UNFINISHED {
        assert!(!check_finished("src/dns/name.rs", &format!("fn f() {{ {mark}) }}")).is_empty());
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_readable() {
    each_source(check_shape);
    each_file(&["compat-tests", "bench"], check_shape);
    assert!(!check_shape("src/dns/name.rs", "use std::fmt;").is_empty());
    assert!(!check_shape("src/dns/util.rs", "//! Things.").is_empty());
    assert!(!check_shape("src/dns/name.rs", &"//! x\n".repeat(LINES_MAX + 1)).is_empty());
    assert!(check_shape("src/dns/name.rs", "//! Names.").is_empty());
}

#[test]
fn every_dependency_gives_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml can be read");
    assert_none(check_dependencies(&manifest));
    assert!(check_dependencies("[dependencies]\n# why\na = \"1\"\n").is_empty());
    assert!(!check_dependencies("[dev-dependencies]\n# why\na = \"1\"\nb = \"1\"\n").is_empty());
}

#[test]
fn every_test_file_is_listed() {
    let main = std::fs::read_to_string(root().join("compat-tests/main.rs")).expect("main.rs can be read");
    let files: Vec<String> = rust_files("compat-tests")
        .into_iter()
        .filter_map(|(path, _)| Some(path.strip_prefix("compat-tests/")?.strip_suffix(".rs")?.to_owned()))
        .filter(|stem| stem != "main" && !stem.contains('/'))
        .collect();
    let stems: Vec<&str> = files.iter().map(String::as_str).collect();
    assert_none(check_listed(&main, &stems));
    assert!(!check_listed("mod a;\n", &["a", "b"]).is_empty());
}

#[test]
fn every_command_is_in_the_manual() {
    let page = std::fs::read_to_string(root().join("man/trimaran.1")).expect("man/trimaran.1 can be read");
    let names: Vec<String> = rust_files("src/cli")
        .into_iter()
        .filter_map(|(path, _)| Some(path.strip_prefix("src/cli/")?.strip_suffix(".rs")?.to_owned()))
        // What reads the command line, and where the log goes, are no commands.
        .filter(|stem| !matches!(stem.as_str(), "mod" | "getopt" | "logging") && !stem.contains('/'))
        .collect();
    let commands: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_none(check_documented(&page, &commands));
    assert!(!check_documented("demo and named", &["demo", "checkzone"]).is_empty());
}

#[test]
fn rules_see_code_and_not_text() {
    let cases: BTreeMap<&str, &str> = BTreeMap::from([
        ("a // b", "a     "),
        ("a \"b\\\"c\" d", "a        d"),
        ("r#\"a\"b\"# c", "         c"),
        ("'\"' b '\\'' c 'd e", "    b      c 'd e"),
        ("/* a\nb */ c", "    \n     c"),
    ]);
    for (source, code) in cases {
        assert_eq!(code_only(source), code, "{source}");
    }
}
