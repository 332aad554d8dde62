//! TSIG keys, and the servers that use them.

use super::super::tree::{Entry, Map};
use super::super::values::Value;
use super::{Checked, Checker, FAILURE, Failed, View, domain_name, entries, key_of};
use crate::dns::Name;
use data_encoding::BASE64;
use std::collections::HashMap;

/// Algorithms with the bits of their digests; 0 where these cannot be cut.
const ALGORITHMS: [(&str, u16); 8] = [
    ("hmac-md5", 128),
    ("hmac-md5.sig-alg.reg.int", 0),
    ("hmac-md5.sig-alg.reg.int.", 0),
    ("hmac-sha1", 160),
    ("hmac-sha224", 224),
    ("hmac-sha256", 256),
    ("hmac-sha384", 384),
    ("hmac-sha512", 512),
];
/// Longest secret in octets.
const SECRET_BYTES_MAX: usize = 1024;

/// The source addresses that a `server` may have, by family.
const SOURCES: [(&str, &str); 4] = [
    ("transfer-source", "transfer-source-v6"),
    ("notify-source", "notify-source-v6"),
    ("parental-source", "parental-source-v6"),
    ("query-source", "query-source-v6"),
];

/// The keys that are known, with the statement that defines each.
pub(super) type KeyNames<'a> = HashMap<String, &'a Entry>;

/// Why a text in base64 or hexadecimal is no good.
pub(super) fn base64(text: &str, most: usize) -> Result<Vec<u8>, &'static str> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')).collect();
    match BASE64.decode(digits.as_bytes()) {
        Ok(bytes) if bytes.len() > most => Err("ran out of space"),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err("bad base64 encoding"),
    }
}

impl<'a> Checker<'a> {
    /// Checks the keys of a block; fails if BIND would not look at the rest of the view.
    pub(super) fn key_list(&mut self, map: &'a Map, names: &mut KeyNames<'a>) -> Checked {
        let mut result = Ok(());
        for entry in entries(map, "key") {
            let (Some(text), Some(key)) = (entry.text(), entry.map()) else { continue };
            let Some(name) = domain_name(text) else {
                self.error(&key.position, format!("key '{text}': bad key name"));
                result = Err(FAILURE);
                continue;
            };
            self.key(text, key)?;
            let previous = names.get(&key_of(&name)).map(|entry| entry.block_position().clone());
            if let Some(previous) = previous {
                let text = format!("key '{text}': already exists previous definition: {previous}");
                self.error(&key.position, text);
                result = Ok(());
            } else {
                names.insert(key_of(&name), entry);
            }
        }
        result
    }

    fn key(&mut self, name: &str, key: &Map) -> Checked {
        let (Some(algorithm), Some(secret)) = (key.get("algorithm"), key.get("secret")) else {
            let text = format!("key '{name}' must have both 'secret' and 'algorithm' defined");
            self.error(&key.position, text);
            return Err(FAILURE);
        };
        if let Err(reason) = base64(secret.text().unwrap_or_default(), SECRET_BYTES_MAX) {
            self.error(secret.value_position(), format!("bad secret '{reason}'"));
            return Err(Failed(reason));
        }
        let text = algorithm.text().unwrap_or_default();
        let found = ALGORITHMS.iter().find_map(|(known, bits)| {
            let head = text.get(..known.len()).filter(|head| head.eq_ignore_ascii_case(known))?;
            match text[head.len()..].strip_prefix('-') {
                Some(cut) if *bits != 0 => Some((*bits, Some(cut))),
                None if text.len() == head.len() => Some((*bits, None)),
                _ => None,
            }
        });
        let complaint = match found {
            None => format!("unknown algorithm '{text}'"),
            Some((_, None)) => return Ok(()),
            Some((bits, Some(cut))) => match digest_bits(cut) {
                None => format!("key '{name}': unable to parse digest-bits"),
                Some(cut) if cut > u32::from(bits) => {
                    format!("key '{name}' digest-bits too large [{}..{bits}]", bits / 2)
                }
                Some(cut) if !cut.is_multiple_of(8) => format!("key '{name}' digest-bits not multiple of 8"),
                Some(cut) => {
                    if cut < u32::from(bits / 2) || cut < 80 {
                        let text = format!("key '{name}' digest-bits too small [<{}]", bits / 2);
                        self.warn(algorithm.value_position(), text);
                    }
                    return Ok(());
                }
            },
        };
        self.error(algorithm.value_position(), complaint);
        Err(FAILURE)
    }

    /// Checks the `server` statements of a view, or else those outside of it.
    pub(super) fn servers(&mut self, view: &View<'a>, names: &KeyNames<'a>) {
        let own = view.map.filter(|map| map.get("server").is_some()).unwrap_or(self.top);
        let servers: Vec<&'a Entry> = entries(own, "server").collect();
        for (at, entry) in servers.iter().enumerate() {
            let (Some(Value::Prefix(block)), Some(map)) = (entry.value(), entry.map()) else { continue };
            for (v4, v6) in SOURCES {
                let (own, other) = if block.address.ip.is_ipv4() { (v4, v6) } else { (v6, v4) };
                if map.get(other).is_some() {
                    self.error(&map.position, format!("server '{block}': {other} not legal"));
                }
                if let Some(source) = map.get(own)
                    && let Some(Value::Socket(socket) | Value::Source(socket)) = source.value()
                    && socket.port == self.dns_port
                {
                    let text = format!("'{own}' cannot specify the DNS listener port ({})", socket.port);
                    self.error(source.value_position(), text);
                }
            }
            for other in servers.iter().skip(at + 1) {
                if matches!(other.value(), Some(Value::Prefix(second)) if second == block) {
                    let text =
                        format!("server '{block}': already exists previous definition: {}", map.position);
                    self.error(other.block_position(), text);
                }
            }
            self.server_key(map, names);
        }
    }

    fn server_key(&mut self, map: &Map, names: &KeyNames<'a>) {
        let Some(entry) = map.get("keys") else { return };
        let text = entry.text().unwrap_or_default();
        let complaint = match domain_name(text).as_ref().map(Name::to_lowercase) {
            None => format!("bad key name '{text}'"),
            Some(name) if !names.contains_key(&key_of(&name)) => format!("unknown key '{text}'"),
            Some(_) => return,
        };
        self.error(entry.value_position(), complaint);
    }
}

/// A number of bits; what does not fit into 16 bits is too large anyway.
fn digest_bits(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}
