//! Signing requests (RFC 8945) on the client's side: HMAC-SHA256, nothing else.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::wire;

/// A shared key.
#[derive(Clone)]
pub struct Key {
    /// Its name, in presentation format.
    pub name: &'static str,
    /// Its secret, in base64.
    pub secret: &'static str,
}

/// The key that servers under test know, unless a test says otherwise.
pub const KEY: Key = Key { name: "compat-key.", secret: "xqT1dqVVsDWX9nTuxE0PSyB9RQQvpFsYqkDpAM5Ff4I=" };
/// A key with the right name and a wrong secret.
pub const WRONG_SECRET: Key =
    Key { name: "compat-key.", secret: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" };
/// A key that no server knows.
pub const UNKNOWN: Key =
    Key { name: "nobody-knows-me.", secret: "xqT1dqVVsDWX9nTuxE0PSyB9RQQvpFsYqkDpAM5Ff4I=" };

const ALGORITHM: &str = "hmac-sha256.";
const FUDGE_SECS: u16 = 300;

impl Key {
    /// The `key` statement of named.conf.
    pub fn statement(&self) -> String {
        format!("key \"{}\" {{ algorithm hmac-sha256; secret \"{}\"; }};\n", self.name, self.secret)
    }

    /// Appends the TSIG record to a finished request and counts it.
    pub fn sign(&self, message: &mut Vec<u8>) {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_secs();
        let secret = data_encoding::BASE64.decode(self.secret.as_bytes()).expect("secrets are base64");
        let (name, algorithm) = (wire::name(self.name), wire::name(ALGORITHM));
        let time_and_fudge = [&now.to_be_bytes()[2..], &FUDGE_SECS.to_be_bytes()].concat();

        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("HMAC takes any key");
        mac.update(message);
        mac.update(&name);
        mac.update(&[0, 255, 0, 0, 0, 0]); // class ANY, TTL 0
        mac.update(&algorithm);
        mac.update(&time_and_fudge);
        mac.update(&[0, 0, 0, 0]); // no error, no other data
        let mac = mac.finalize().into_bytes();

        let mut rdata = [&algorithm[..], &time_and_fudge].concat();
        rdata.extend_from_slice(&(mac.len() as u16).to_be_bytes());
        rdata.extend_from_slice(&mac);
        rdata.extend_from_slice(&message[..2]);
        rdata.extend_from_slice(&[0, 0, 0, 0]);
        message.extend_from_slice(&name);
        message.extend_from_slice(&[0, 250, 0, 255, 0, 0, 0, 0]);
        message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        message.extend_from_slice(&rdata);
        let additional = u16::from_be_bytes([message[10], message[11]]) + 1;
        message[10..12].copy_from_slice(&additional.to_be_bytes());
    }
}
