//! What other statements refer to by name: ACLs, keys, and lists of servers.

use super::acl::{Element, MatchList, Prefix, Subject};
use super::diagnostic::{Position, Severity};
use super::model::NotifyTarget;
use super::resolve::Findings;
use super::tree::{Entry, Map, behind};
use super::values::{AclItem, AclSubject, Located, Value};
use crate::dns::Name;
use crate::dns::tsig::{Algorithm, Key};
use data_encoding::BASE64;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// The definitions of a configuration. ACLs are resolved when something refers to them, as BIND does.
pub(super) struct Definitions<'a> {
    acls: HashMap<String, AclState<'a>>,
    keys: Vec<Key>,
    /// Where keys are defined; also those that cannot be used, as nothing is gained by calling them unknown too.
    key_positions: HashMap<Name, &'a Position>,
    servers: HashMap<String, &'a Entry>,
}

enum AclState<'a> {
    Unresolved(&'a [AclItem]),
    InProgress,
    Resolved(Arc<MatchList>),
}

impl<'a> Definitions<'a> {
    /// Collects the `acl`, `key`, `primaries` and `masters` statements.
    pub(super) fn collect(map: &'a Map, findings: &mut Findings<'_>) -> Definitions<'a> {
        let mut definitions = Definitions {
            acls: HashMap::new(),
            keys: Vec::new(),
            key_positions: HashMap::new(),
            servers: HashMap::new(),
        };
        for entry in map.all("acl") {
            if let (Some(name), Some(items)) = (entry.text(), entry.match_list()) {
                definitions.acls.insert(name.to_ascii_lowercase(), AclState::Unresolved(items));
            }
        }
        for entry in map.all("key") {
            definitions.add_key(entry, findings);
        }
        for entry in map.all("primaries").chain(map.all("masters")) {
            let Some(name) = entry.text() else { continue };
            definitions.servers.entry(name.to_ascii_lowercase()).or_insert(entry);
        }
        definitions
    }

    /// The keys, in the order of the file.
    pub(super) fn into_keys(self) -> Vec<Key> {
        self.keys
    }

    fn add_key(&mut self, entry: &'a Entry, findings: &mut Findings<'_>) {
        let (Some(text), Some(map)) = (entry.text(), entry.map()) else { return };
        let (Ok(name), Some(algorithm), Some(secret)) =
            (text.parse::<Name>(), map.get("algorithm"), map.get("secret"))
        else {
            return;
        };
        self.key_positions.insert(name.clone(), &entry.position);
        let decoded = decode_secret(secret, findings);
        let known = key_algorithm(text, algorithm, findings);
        let (Some(secret), Some((algorithm, mac_bytes))) = (decoded, known) else { return };
        if secret.is_empty() {
            findings.say(Severity::Warning, &entry.position, format!("key '{text}': the secret is empty"));
        }
        self.keys.push(Key { name, algorithm, secret, mac_bytes });
    }

    /// The name of a key that has to be known.
    pub(super) fn key(&self, text: &str, position: &Position, findings: &mut Findings<'_>) -> Option<Name> {
        let Ok(name) = text.parse::<Name>() else {
            findings.error(position, format!("'{text}' is not a valid name"));
            return None;
        };
        if !self.knows_key(&name) {
            findings.error(position, format!("unknown key '{text}'"));
        }
        Some(name)
    }

    fn knows_key(&self, name: &Name) -> bool {
        self.key_positions.contains_key(name)
    }

    /// Resolves the names in a match list.
    pub(super) fn match_list(&mut self, items: &[AclItem], findings: &mut Findings<'_>) -> MatchList {
        let mut elements = Vec::with_capacity(items.len());
        for item in items {
            let resolved = match &item.subject {
                AclSubject::Named(name) => self.named(name, &item.position, findings),
                AclSubject::Key(text) => self.key_element(text, &item.position, findings),
                AclSubject::List(items) => {
                    Some((false, Subject::List(Arc::new(self.match_list(items, findings)))))
                }
                AclSubject::Block(block) => u8::try_from(block.bits)
                    .ok()
                    .and_then(|bits| Prefix::new(block.address.ip, bits))
                    .map(|prefix| (false, Subject::Block(prefix))),
                AclSubject::Negated(_) => None,
                AclSubject::Geoip { .. } => {
                    findings.error(
                        &item.position,
                        "'geoip' is not yet supported in address match lists".to_owned(),
                    );
                    None
                }
            };
            if let Some((reversed, subject)) = resolved {
                elements.push(Element { negated: item.negated != reversed, subject });
            }
        }
        MatchList { elements }
    }

    /// A word in a match list, and whether it stands for its opposite (`none` is `!any`).
    fn named(
        &mut self,
        name: &str,
        position: &Position,
        findings: &mut Findings<'_>,
    ) -> Option<(bool, Subject)> {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "any" => return Some((false, Subject::Any)),
            "none" => return Some((true, Subject::Any)),
            "localhost" => return Some((false, Subject::Localhost)),
            "localnets" => return Some((false, Subject::Localnets)),
            _ => {}
        }
        let items = match self.acls.get(&lower) {
            None => {
                findings.error(position, format!("undefined ACL '{name}'"));
                return None;
            }
            Some(AclState::InProgress) => {
                findings.error(position, format!("acl loop detected: {name}"));
                return None;
            }
            Some(AclState::Resolved(list)) => return Some((false, Subject::List(Arc::clone(list)))),
            Some(AclState::Unresolved(items)) => *items,
        };
        self.acls.insert(lower.clone(), AclState::InProgress);
        let list = Arc::new(self.match_list(items, findings));
        self.acls.insert(lower, AclState::Resolved(Arc::clone(&list)));
        Some((false, Subject::List(list)))
    }

    /// BIND: a key that is not defined is no error here; no request can ever match it.
    fn key_element(
        &self,
        text: &str,
        position: &Position,
        findings: &mut Findings<'_>,
    ) -> Option<(bool, Subject)> {
        let Ok(name) = text.parse::<Name>() else {
            findings.error(position, format!("key name '{text}' is not a valid domain name"));
            return None;
        };
        if !self.knows_key(&name) {
            let text = format!("key '{text}' is not defined: no request can match it");
            findings.say(Severity::Warning, position, text);
        }
        Some((false, Subject::Key(name)))
    }

    /// The targets of an `also-notify`, with the lists of servers it names.
    pub(super) fn notify_targets(
        &self,
        entry: &Entry,
        default_port: u16,
        findings: &mut Findings<'_>,
    ) -> Vec<NotifyTarget> {
        let mut targets = Vec::new();
        self.add_targets(entry, default_port, &mut Vec::new(), &mut targets, findings);
        targets
    }

    fn add_targets(
        &self,
        entry: &Entry,
        default_port: u16,
        seen: &mut Vec<String>,
        targets: &mut Vec<NotifyTarget>,
        findings: &mut Findings<'_>,
    ) {
        let list_port = findings.port(entry.behind("port"), PORT_NUMBER).unwrap_or(default_port);
        for values in entry.list() {
            let Some(first) = values.first() else { continue };
            if let Some(tls) = behind(values, "tls") {
                findings.error(&tls.position, "option 'tls' is not yet supported".to_owned());
            }
            let Value::Socket(socket) = first.value else {
                self.add_named_targets(first, list_port, seen, targets, findings);
                continue;
            };
            let port = if socket.port == 0 { list_port } else { socket.port };
            let address = socket.address.ip;
            let key = behind(values, "key");
            let key = key.and_then(|key| self.key(key.text()?, &key.position, findings));
            let target = NotifyTarget { address: SocketAddr::new(address, port), key };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }

    fn add_named_targets(
        &self,
        name: &Located,
        port: u16,
        seen: &mut Vec<String>,
        targets: &mut Vec<NotifyTarget>,
        findings: &mut Findings<'_>,
    ) {
        let text = name.text().unwrap_or_default();
        let lower = text.to_ascii_lowercase();
        match self.servers.get(&lower) {
            // BIND: a list that names itself, or is named twice, counts once.
            Some(entry) if !seen.contains(&lower) => {
                seen.push(lower);
                self.add_targets(entry, port, seen, targets, findings);
            }
            _ => {}
        }
    }
}

/// How BIND words a port that is too big, in lists of servers.
const PORT_NUMBER: &str = "port number out of range near '{}'";

/// The octets of a `secret`; blanks in it are allowed.
pub(super) fn decode_secret(secret: &Entry, findings: &mut Findings<'_>) -> Option<Vec<u8>> {
    let text: String = secret.text()?.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let decoded = BASE64.decode(text.as_bytes());
    if decoded.is_err() {
        findings.error(&secret.position, "bad secret 'bad base64 encoding'".to_owned());
    }
    decoded.ok()
}

/// The algorithm of a key, and the octets of its signatures: BIND's `hmac-sha256-128` cuts them to 128 bits.
fn key_algorithm(key: &str, entry: &Entry, findings: &mut Findings<'_>) -> Option<(Algorithm, usize)> {
    let text = entry.text()?;
    if let Some(found) = Algorithm::from_mnemonic(text) {
        return Some(found);
    }
    // BIND signs with these, after a warning (RFC 8945 §5.2.2.1 forbids it).
    let text = format!("key '{key}': algorithm '{text}' cuts signatures to less than half their length");
    findings.error(&entry.position, text);
    None
}
