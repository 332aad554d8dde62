//! `trust-anchors`, and the `managed-keys` and `trusted-keys` of old.

use super::super::diagnostic::Position;
use super::super::tree::{Entry, Map};
use super::super::values::{Located, Value};
use super::keys::base64;
use super::{Checker, View, domain_name, entries, key_of, name_fault, options::hexadecimal};
use std::collections::HashMap;

/// The DNSKEY flag REVOKE (RFC 5011 §7).
const REVOKE: u32 = 0x0080;
/// Most octets of a key.
const KEY_BYTES_MAX: usize = 4096;

/// What one statement says about the root zone.
#[derive(Clone, Copy, Default)]
struct RootAnchors {
    fixed: bool,
    managed: bool,
}

impl RootAnchors {
    fn add(&mut self, other: RootAnchors) {
        self.fixed |= other.fixed;
        self.managed |= other.managed;
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
            if anchor.method.is_some_and(|(method, _)| method.ends_with("ds")) {
                self.ds_anchor(anchor);
            } else {
                self.dnskey_anchor(anchor);
            }
            let is_sound = !self.said[faults..].iter().any(|said| said.severity == super::Severity::Error);
            if is_sound && name.is_some_and(|name| name.is_root()) {
                root.add(RootAnchors { fixed: !anchor.is_initial(), managed: anchor.is_initial() });
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
