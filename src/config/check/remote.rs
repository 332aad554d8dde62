//! Lists of servers, and how they are spoken to: `primaries`, `parental-agents`, `tls`, `http`, `listen-on`.

use super::super::tree::{Entry, Map, behind};
use super::super::values::{Located, Value};
use super::acls::AclCache;
use super::{Checked, Checker, FAILURE, domain_name, entries};
use std::collections::{HashMap, HashSet};

impl<'a> Checker<'a> {
    /// Checks that no list of servers is defined twice.
    pub(super) fn server_lists(&mut self) {
        for kinds in [["primaries", "masters"].as_slice(), &["parental-agents"]] {
            let mut seen: HashMap<String, &Entry> = HashMap::new();
            for kind in kinds {
                for entry in entries(self.top, kind) {
                    let name = entry.text().unwrap_or_default();
                    if let Some(previous) = seen.get(&name.to_ascii_lowercase()) {
                        let text = format!(
                            "{kind} list '{name}' is duplicated: also defined at {}",
                            previous.position
                        );
                        self.error(&entry.position, text);
                        break;
                    }
                    seen.insert(name.to_ascii_lowercase(), entry);
                }
            }
        }
    }

    /// Checks the servers of a list and of the lists it names; gives the number of addresses.
    pub(super) fn remote_servers(&mut self, kind: &str, entry: &'a Entry) -> Checked<usize> {
        let (mut addresses, mut result) = (0, Ok(()));
        let mut seen: HashSet<String> = HashSet::new();
        let mut open = vec![entry.list().iter()];
        while let Some(elements) = open.last_mut() {
            let Some(element) = elements.next() else {
                open.pop();
                continue;
            };
            let Some(first) = element.first() else { continue };
            let (key, tls) = (behind(element, "key"), behind(element, "tls"));
            if matches!(first.value, Value::Socket(_)) {
                addresses += 1;
                if self.server_secrets(key, tls).is_err() {
                    result = Err(FAILURE);
                }
                continue;
            }
            // BIND: what is wrong with `tls` is said to be where `key` would be.
            let label = element.iter().find(|value| matches!(value.value, Value::Label(_)));
            for value in [key, tls].into_iter().flatten() {
                let text = format!("unexpected token '{}'", value.text().unwrap_or_default());
                let position = key.or(label).map_or(&value.position, |value| &value.position);
                self.error(position, text);
                result = Err(FAILURE);
            }
            let name = first.text().unwrap_or_default();
            // A list that names itself, or is named twice, counts once.
            if !seen.insert(name.to_ascii_lowercase()) {
                continue;
            }
            match self.find_server_list(kind, name) {
                Some(list) => open.push(list.list().iter()),
                None => {
                    self.error(&first.position, format!("unable to find {kind} list '{name}'"));
                    result = Err(FAILURE);
                }
            }
        }
        result.map(|()| addresses)
    }

    fn find_server_list(&self, kind: &str, name: &str) -> Option<&'a Entry> {
        let kinds: &[&'static str] =
            if kind == "primaries" { &["primaries", "masters"] } else { &["parental-agents"] };
        kinds.iter().find_map(|kind| {
            entries(self.top, kind).find(|entry| entry.text().is_some_and(|n| n.eq_ignore_ascii_case(name)))
        })
    }

    fn server_secrets(&mut self, key: Option<&Located>, tls: Option<&Located>) -> Checked {
        let mut result = Ok(());
        for value in [key, tls].into_iter().flatten() {
            let text = value.text().unwrap_or_default();
            if domain_name(text).is_none() {
                self.error(&value.position, format!("'{text}' is not a valid name"));
                result = Err(FAILURE);
            }
        }
        if let Some(value) = tls
            && let Some(name) = value.text().filter(|name| !name.eq_ignore_ascii_case("ephemeral"))
            && !self.is_defined("tls", name)
        {
            self.error(&value.position, format!("tls '{name}' is not defined"));
            result = Err(FAILURE);
        }
        result
    }

    fn is_defined(&self, kind: &'static str, name: &str) -> bool {
        entries(self.top, kind)
            .any(|entry| entry.text().is_some_and(|known| known.eq_ignore_ascii_case(name)))
    }

    /// Checks where the server listens.
    pub(super) fn listeners(&mut self, map: &'a Map) {
        let mut cache = AclCache::default();
        for entry in entries(map, "listen-on").chain(entries(map, "listen-on-v6")) {
            let tls = entry.behind("tls");
            if let Some(value) = tls
                && let Some(name) = value.text()
                && !["none", "ephemeral"].iter().any(|known| known.eq_ignore_ascii_case(name))
                && !self.is_defined("tls", name)
            {
                self.error(&value.position, format!("tls '{name}' is not defined"));
            }
            if let Some(value) = entry.behind("http") {
                let name = value.text().unwrap_or_default();
                if tls.is_none() {
                    let text = "http must specify a 'tls' statement, 'tls ephemeral', or 'tls none'";
                    self.error(&value.position, text.to_owned());
                }
                if !name.eq_ignore_ascii_case("default") && !self.is_defined("http", name) {
                    self.error(&value.position, format!("http '{name}' is not defined"));
                }
            }
            if let Some(value) = entry.behind("port")
                && let Some(port) = value.integer().filter(|port| *port >= u32::from(u16::MAX))
            {
                self.error(&value.position, format!("port value '{port}' is out of range"));
            }
            let _ = self.match_list(&mut cache, entry.match_list().unwrap_or_default());
        }
    }

    /// Checks the `http` statements.
    pub(super) fn http(&mut self) {
        let mut seen: HashMap<String, &Map> = HashMap::new();
        for entry in entries(self.top, "http") {
            let (Some(name), Some(map)) = (entry.text(), entry.map()) else { continue };
            if name.eq_ignore_ascii_case("default") {
                let text = format!("'http' name cannot be '{name}' (which is a built-in configuration)");
                self.error(&map.position, text);
            } else if let Some(previous) = seen.get(&name.to_ascii_lowercase()) {
                let text = format!("http '{name}' is duplicated: also defined at {}", previous.position);
                self.error(&map.position, text);
            } else {
                seen.insert(name.to_ascii_lowercase(), map);
            }
            let Some(endpoints) = map.get("endpoints") else { continue };
            for path in endpoints.list().iter().filter_map(|element| element.first()?.text()) {
                if !is_http_path(path) {
                    let text = format!("endpoint '{path}' is not a valid absolute HTTP path");
                    self.error(endpoints.value_position(), text);
                }
            }
        }
    }

    /// Checks the `tls` statements.
    pub(super) fn tls(&mut self) {
        let mut seen: HashMap<String, &Map> = HashMap::new();
        for entry in entries(self.top, "tls") {
            let (Some(name), Some(map)) = (entry.text(), entry.map()) else { continue };
            let lower = name.to_ascii_lowercase();
            if matches!(lower.as_str(), "ephemeral" | "none") {
                let text = format!("tls clause name '{name}' is reserved for internal use");
                self.error(&map.position, text);
            } else if let Some(previous) = seen.get(&lower) {
                let text =
                    format!("tls clause '{name}' is duplicated: also defined at {}", previous.position);
                self.error(&map.position, text);
            } else {
                seen.insert(lower, map);
            }
            if map.get("key-file").is_some() != map.get("cert-file").is_some() {
                let text = format!(
                    "tls '{name}': 'cert-file' and 'key-file' must both be specified, or both omitted"
                );
                self.error(&map.position, text);
            }
            self.tls_versions(name, map);
            if let Some(ciphers) = map.get("ciphers")
                && !is_cipher_list(ciphers.text().unwrap_or_default())
            {
                let text =
                    format!("'ciphers' in the 'tls' clause '{name}' is not a valid cipher list string");
                self.error(ciphers.value_position(), text);
            }
        }
    }

    fn tls_versions(&mut self, name: &str, map: &Map) {
        let Some(protocols) = map.get("protocols") else { return };
        let mut seen: Vec<String> = Vec::new();
        for value in protocols.list().iter().filter_map(|element| element.first()) {
            let text = value.text().unwrap_or_default();
            let lower = text.to_ascii_lowercase();
            if !matches!(lower.as_str(), "tlsv1.2" | "tlsv1.3") {
                self.error(&value.position, format!("'{text}' is not a valid TLS protocol version"));
                continue;
            }
            if seen.contains(&lower) {
                self.error(&value.position, format!("'{text}' is specified more than once in '{name}'"));
            }
            seen.push(lower);
        }
        if seen.is_empty() {
            let text = format!("tls '{name}' does not contain any valid TLS protocol versions definitions");
            self.error(&map.position, text);
        }
    }
}

/// Whether a path can stand in a request: RFC 3986 `path-absolute`, without empty segments.
fn is_http_path(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else { return false };
    if segments.is_empty() {
        return true;
    }
    let mut bytes = segments.bytes().peekable();
    if bytes.peek() == Some(&b'/') {
        return false;
    }
    while let Some(byte) = bytes.next() {
        let is_plain = byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
        let is_escaped = byte == b'%'
            && [bytes.next(), bytes.next()].iter().all(|digit| digit.is_some_and(|d| d.is_ascii_hexdigit()));
        if !is_plain && !is_escaped {
            return false;
        }
    }
    true
}

/// Whether OpenSSL would take this list of ciphers. Without OpenSSL this is a guess: it takes any list that has
/// one name it knows, and all names it knows are made of a few parts.
fn is_cipher_list(text: &str) -> bool {
    const PARTS: [&str; 36] = [
        "ALL",
        "AES",
        "AES128",
        "AES256",
        "AESGCM",
        "AESCCM",
        "ARIA",
        "CAMELLIA",
        "CHACHA20",
        "DEFAULT",
        "DH",
        "DHE",
        "DSS",
        "ECDHE",
        "ECDSA",
        "EDH",
        "EECDH",
        "HIGH",
        "MEDIUM",
        "LOW",
        "MD5",
        "NULL",
        "PSK",
        "RSA",
        "SHA",
        "SHA1",
        "SHA256",
        "SHA384",
        "SRP",
        "SUITEB128",
        "SUITEB192",
        "TLSv1",
        "TLSv1.2",
        "COMPLEMENTOFALL",
        "kRSA",
        "aRSA",
    ];
    let names = text.split([':', ',', ' ', ';']).map(|name| name.trim_start_matches(['!', '+', '-']));
    let mut words = names.filter(|name| !name.is_empty());
    words.any(|name| name.split(['-', '+', '_']).next().is_some_and(|part| PARTS.contains(&part)))
}
