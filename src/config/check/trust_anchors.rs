//! `trust-anchors`, and the `managed-keys` and `trusted-keys` of old.

use super::super::diagnostic::Position;
use super::super::tree::{Entry, Map};
use super::super::values::{Located, Value};
use super::keys::base64;
use super::{Checker, View, domain_name, entries, key_of, name_fault, options::hexadecimal};
use data_encoding::HEXUPPER;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The DNSKEY flag REVOKE (RFC 5011 §7).
const REVOKE: u32 = 0x0080;
/// Most octets of a key.
const KEY_BYTES_MAX: usize = 4096;

/// The DS record of SHA-256 of the root key of 2010, which signs nothing any more.
const KEY_OF_2010: &str = "49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5";
/// The same of the root key of 2017.
const KEY_OF_2017: &str = "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";
/// That of SHA-1, which BIND takes too.
const KEY_OF_2017_SHA1: &str = "AE1EA5B974D4C858B740BD03E3CED7EBFCBD1724";

/// What one statement says about the root zone.
#[derive(Clone, Copy, Default)]
struct RootAnchors {
    fixed: bool,
    managed: bool,
    key_of_2010: bool,
    key_of_2017: bool,
}

impl RootAnchors {
    fn add(&mut self, other: RootAnchors) {
        self.fixed |= other.fixed;
        self.managed |= other.managed;
        self.key_of_2010 |= other.key_of_2010;
        self.key_of_2017 |= other.key_of_2017;
    }
}

/// An anchor: a name, how it is meant, three numbers and the data.
struct Anchor<'a> {
    position: &'a Position,
    name: &'a str,
    /// The keyword of `trust-anchors`; none in `trusted-keys`.
    method: Option<(&'static str, &'a str)>,
    numbers: [u32; 3],
    data: &'a str,
}

impl<'a> Anchor<'a> {
    fn read(values: &'a [Located]) -> Option<Anchor<'a>> {
        let mut numbers = values.iter().filter_map(Located::integer);
        let method = values.iter().find_map(|value| match &value.value {
            Value::Word(word, written) => Some((*word, written.as_str())),
            _ => None,
        });
        Some(Anchor {
            position: &values.first()?.position,
            name: values.first()?.text()?,
            method,
            numbers: [numbers.next()?, numbers.next()?, numbers.next()?],
            data: values.last()?.text()?,
        })
    }

    fn is_initial(&self) -> bool {
        self.method.is_some_and(|(method, _)| method.starts_with("initial"))
    }

    fn is_ds(&self) -> bool {
        self.method.is_some_and(|(method, _)| method.ends_with("ds"))
    }

    /// What it says about the root zone, to which it belongs.
    fn of_root(&self) -> RootAnchors {
        let is_initial = self.is_initial();
        let mut root = RootAnchors { fixed: !is_initial, managed: is_initial, ..Default::default() };
        let is_hex = |hex: &str| {
            let digits = self.data.split_ascii_whitespace().flat_map(str::chars);
            digits.map(|digit| digit.to_ascii_uppercase()).eq(hex.chars())
        };
        // BIND: the DS record of the key of 2010 is not known.
        match self.numbers {
            [20326, 8, 1] if self.is_ds() => root.key_of_2017 = is_hex(KEY_OF_2017_SHA1),
            [20326, 8, 2] if self.is_ds() => root.key_of_2017 = is_hex(KEY_OF_2017),
            [257, 3, 8] if !self.is_ds() => {
                let digest = base64(self.data, KEY_BYTES_MAX).map(|key| root_key_digest(&key));
                root.key_of_2010 = digest.as_deref() == Ok(KEY_OF_2010);
                root.key_of_2017 = digest.as_deref() == Ok(KEY_OF_2017);
            }
            _ => {}
        }
        root
    }
}

/// The digest of a key-signing key of the root zone that is used with RSASHA256 (RFC 4509 §2.1).
fn root_key_digest(key: &[u8]) -> String {
    // The owner, and what stands before the key: flags 257, protocol 3, algorithm 8.
    let digest = Sha256::new().chain_update([0, 1, 1, 3, 8]).chain_update(key).finalize();
    HEXUPPER.encode(&digest)
}

/// The anchors of all statements with this keyword.
fn anchors<'a>(map: Option<&'a Map>, name: &'static str) -> Vec<Anchor<'a>> {
    let entries = map.into_iter().flat_map(|map| entries(map, name));
    entries.flat_map(Entry::list).filter_map(|values| Anchor::read(values)).collect()
}

impl<'a> Checker<'a> {
    pub(super) fn trust_anchors(&mut self, view: &View<'a>) {
        let scopes = [view.map, Some(self.top)];
        let has = |name: &'static str| scopes.iter().flatten().any(|map| map.get(name).is_some());
        let mut old = RootAnchors::default();
        for scope in scopes {
            let Some(first) = scope.and_then(|map| map.get("trusted-keys")) else { continue };
            let found = self.anchors(&anchors(scope, "trusted-keys"));
            if found.fixed {
                let text = "trusted-keys entry for the root zone WILL FAIL after key rollover - use trust-anchors \
                            with initial-key or initial-ds instead.";
                self.warn(&first.position, text.to_owned());
            }
            old.add(found);
        }
        if has("managed-keys") && has("trust-anchors") {
            let first = scopes.iter().flatten().find_map(|map| map.get("managed-keys"));
            if let Some(first) = first {
                let text = "use of managed-keys is not allowed when trust-anchors is also in use";
                self.error(&first.position, text.to_owned());
            }
        }
        let keyword = if has("trust-anchors") { "trust-anchors" } else { "managed-keys" };
        let mut new = RootAnchors::default();
        for scope in scopes {
            let Some(first) = scope.and_then(|map| map.get(keyword)) else { continue };
            let found = self.anchors(&anchors(scope, keyword));
            if found.fixed {
                let text = "static entry for the root zone WILL FAIL after key rollover - use trust-anchors with \
                            initial-key or initial-ds instead.";
                self.warn(&first.position, text.to_owned());
            }
            if found.key_of_2010 && !found.key_of_2017 {
                let text =
                    "initial-key entry for the root zone uses the 2010 key without the updated 2017 key";
                self.warn(&first.position, text.to_owned());
            }
            new.add(found);
        }
        self.root_anchors(scopes.iter().flatten().find_map(|map| map.get(keyword)), old, new);
        self.anchor_conflicts(view, keyword);
    }

    fn root_anchors(&mut self, first: Option<&Entry>, old: RootAnchors, new: RootAnchors) {
        let Some(first) = first else { return };
        if (old.fixed || old.managed) && (new.fixed || new.managed) {
            let text = "both trusted-keys and trust-anchors for the root zone are present";
            self.warn(&first.position, text.to_owned());
        }
        if new.fixed && new.managed {
            let text = "both initial and static entries for the root zone are present";
            self.warn(&first.position, text.to_owned());
        }
    }

    fn anchors(&mut self, anchors: &[Anchor<'_>]) -> RootAnchors {
        let mut root = RootAnchors::default();
        for anchor in anchors {
            let faults = self.said.len();
            let name = domain_name(anchor.name);
            if name.is_none() {
                self.error(anchor.position, format!("bad key name: {}\n", name_fault(anchor.name)));
            }
            if anchor.is_ds() {
                self.ds_anchor(anchor);
            } else {
                self.dnskey_anchor(anchor);
            }
            let is_sound = !self.said[faults..].iter().any(|said| said.severity == super::Severity::Error);
            if is_sound && name.is_some_and(|name| name.is_root()) {
                root.add(anchor.of_root());
            }
        }
        root
    }

    fn dnskey_anchor(&mut self, anchor: &Anchor<'_>) {
        let [flags, protocol, algorithm] = anchor.numbers;
        if flags > 0xffff {
            self.error(anchor.position, format!("flags too big: {flags}"));
        }
        if flags & REVOKE != 0 {
            self.warn(anchor.position, "key flags revoke bit set".to_owned());
        }
        if protocol > 0xff {
            self.error(anchor.position, format!("protocol too big: {protocol}"));
        }
        if algorithm > 0xff {
            self.error(anchor.position, format!("algorithm too big: {algorithm}\n"));
        }
        match base64(anchor.data, KEY_BYTES_MAX) {
            Err(reason) => self.error(anchor.position, reason.to_owned()),
            Ok(key) if algorithm == 5 && key.starts_with(&[1, 3]) => {
                let method = anchor.method.map_or("trusted-key", |(_, written)| written);
                self.warn(anchor.position, format!("{method} '{}' has a weak exponent", anchor.name));
            }
            Ok(_) => {}
        }
    }

    fn ds_anchor(&mut self, anchor: &Anchor<'_>) {
        let [tag, algorithm, digest] = anchor.numbers;
        if tag > 0xffff {
            self.error(anchor.position, format!("key tag too big: {tag}"));
        }
        if algorithm > 0xff {
            self.error(anchor.position, format!("algorithm too big: {algorithm}\n"));
        }
        if digest > 0xff {
            self.error(anchor.position, format!("digest type too big: {digest}"));
        }
        match hexadecimal(anchor.data) {
            None => self.error(anchor.position, "bad hex encoding".to_owned()),
            Some(octets) if octets > KEY_BYTES_MAX => {
                self.error(anchor.position, "ran out of space".to_owned());
            }
            Some(_) => {}
        }
    }

    /// A name must not have anchors that stay and anchors that are only the first ones.
    fn anchor_conflicts(&mut self, view: &View<'a>, keyword: &'static str) {
        let is_automatic =
            self.inherited(view, "dnssec-validation").is_some_and(|entry| entry.boolean().is_none());
        let lists = [
            anchors(Some(self.top), keyword),
            anchors(view.map, keyword),
            anchors(Some(self.top), "trusted-keys"),
            anchors(view.map, "trusted-keys"),
        ];
        let mut fixed: HashMap<String, &Position> = HashMap::new();
        for anchor in lists.iter().flatten().filter(|anchor| !anchor.is_initial()) {
            let Some(name) = domain_name(anchor.name) else { continue };
            fixed.entry(key_of(&name)).or_insert(anchor.position);
            if is_automatic && name.is_root() {
                let text = "static trust anchor for root zone cannot be used with 'dnssec-validation auto'.";
                self.error(anchor.position, text.to_owned());
            }
        }
        for anchor in lists[..2].iter().flatten().filter(|anchor| anchor.is_initial()) {
            let Some(previous) = domain_name(anchor.name).and_then(|name| fixed.get(&key_of(&name))) else {
                continue;
            };
            let text = format!(
                "static and initializing keys cannot be used for the same domain. static key defined at {previous}"
            );
            self.error(anchor.position, text);
        }
    }
}
