//! DNS cookies (RFC 7873): who has shown that it receives what is sent to its address.
//!
//! ```text
//! octets  8              1        3         4     8
//!         client cookie │ version │ reserved │ time │ SipHash-2-4(secret, all before it, client address)
//!                         └──────────────── server cookie (RFC 9018 §4) ───────────────┘
//! ```
//!
//! Invariants: a cookie is verified and made without allocation, lock or memory of the client; servers with the same
//! secret know each other's cookies, BIND, Knot and NSD among them; the time a comparison takes says nothing.
//!
//! Not here: where a cookie stands in a message (`edns`), where secrets come from (`daemon`), what follows from a state
//! (`query`, `dispatch`).

use siphasher::sip::SipHasher24;
use std::fmt;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// Octets of a client cookie (RFC 7873 §4).
pub const CLIENT_COOKIE_BYTES: usize = 8;
/// Octets of a client cookie and the server cookie behind it.
pub const COOKIE_BYTES: usize = 24;
/// Octets of a secret.
pub const SECRET_BYTES: usize = 16;
/// The only version there is (RFC 9018 §4.2).
const VERSION: u8 = 1;
/// How far the clock of another server with our secret may be ahead (RFC 9018 §4.3).
const AHEAD_SECS_MAX: i32 = 300;
/// How old a cookie may be (RFC 9018 §4.3).
const AGE_SECS_MAX: i32 = 3600;

/// What a request says of its sender by its cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CookieState {
    /// No cookie, or cookies are not answered.
    #[default]
    None,
    /// A client cookie alone: the first contact.
    ClientOnly,
    /// A server cookie that is not ours, too old, or made for another address.
    Bad,
    /// A server cookie of ours: the client receives what is sent to its address.
    Good,
}

/// What all server cookies are made with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// A secret of these octets.
    pub fn new(octets: [u8; SECRET_BYTES]) -> Secret {
        Secret(octets)
    }

    /// The last eight octets of a cookie that begins with `head`.
    fn hash(&self, head: &[u8; 16], client: IpAddr) -> u64 {
        let mut input = [0; 32];
        input[..16].copy_from_slice(head);
        let length = match client {
            IpAddr::V4(address) => {
                input[16..20].copy_from_slice(&address.octets());
                20
            }
            IpAddr::V6(address) => {
                input[16..].copy_from_slice(&address.octets());
                32
            }
        };
        SipHasher24::new_with_key(&self.0).hash(&input[..length])
    }
}

impl fmt::Debug for Secret {
    /// Secrets stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What cookies are made and judged with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    /// The first one signs, all verify. Without any, requests count as without cookies. BIND: `answer-cookie no`.
    pub secrets: Vec<Secret>,
    /// Whether a query over UDP with a cookie needs a good one. BIND: `require-server-cookie`.
    pub required: bool,
}

impl Cookies {
    /// Judges the data of a COOKIE option, which is of a legal length.
    pub fn judge(&self, cookie: Option<&[u8]>, client: IpAddr, now_secs: u64) -> CookieState {
        let Some(cookie) = cookie.filter(|_| !self.secrets.is_empty()) else { return CookieState::None };
        if cookie.len() == CLIENT_COOKIE_BYTES {
            return CookieState::ClientOnly;
        }
        let Some((head, hash)) = cookie.split_first_chunk::<16>() else { return CookieState::Bad };
        let Ok(hash) = <[u8; 8]>::try_from(hash) else { return CookieState::Bad };
        let made = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
        // RFC 9018 §4.3: serial number arithmetic, so that 2106 is a year like any other.
        let age = (now_secs as u32).wrapping_sub(made) as i32;
        if head[8] != VERSION || !(-AHEAD_SECS_MAX..=AGE_SECS_MAX).contains(&age) {
            return CookieState::Bad;
        }
        let hash = u64::from_le_bytes(hash);
        let is_ours = |secret: &Secret| bool::from(secret.hash(head, client).ct_eq(&hash));
        if self.secrets.iter().any(is_ours) { CookieState::Good } else { CookieState::Bad }
    }

    /// The data of the COOKIE option for the response to a request with this one.
    pub fn answer(&self, cookie: Option<&[u8]>, client: IpAddr, now_secs: u64) -> Option<[u8; COOKIE_BYTES]> {
        let (secret, client_cookie) = (self.secrets.first()?, cookie?.first_chunk::<CLIENT_COOKIE_BYTES>()?);
        let mut head = [0; 16];
        head[..8].copy_from_slice(client_cookie);
        head[8] = VERSION;
        head[12..].copy_from_slice(&(now_secs as u32).to_be_bytes());
        let mut answer = [0; COOKIE_BYTES];
        answer[..16].copy_from_slice(&head);
        answer[16..].copy_from_slice(&secret.hash(&head, client).to_le_bytes());
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER_PERMISSIVE as HEX;

    fn cookies(secrets: &[&str]) -> Cookies {
        let secret = |text: &&str| Secret::new(bytes(text).try_into().expect("16 octets"));
        Cookies { secrets: secrets.iter().map(secret).collect(), required: false }
    }

    fn bytes(text: &str) -> Vec<u8> {
        HEX.decode(text.as_bytes()).expect("hexadecimal digits")
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const OLD: &str = "dd3bdf9344b678b185a6f5cb60fca715";
    const NEW: &str = "445536bcd2513298075a5d379663c962";
    const V4: &str = "198.51.100.100";
    const OTHER_V4: &str = "203.0.113.203";
    const V6: &str = "2001:db8:220:1:59de:d0f4:8769:82b8";
    /// The client cookie of appendix A.1.
    const CLIENT: &str = "2464c4abcf10c957";
    const MADE: u64 = 1_559_731_985;

    fn judge(cookies: &Cookies, cookie: &[u8], client: &str, now_secs: u64) -> CookieState {
        cookies.judge(Some(cookie), client.parse().expect("an address"), now_secs)
    }

    /// RFC 9018 appendix A: secrets, client, cookie received, when it is judged, cookie sent, when it is made.
    #[test]
    fn the_examples_of_rfc_9018_come_out_as_printed() {
        use CookieState::{ClientOnly, Good};
        for (secrets, client, received, judged, state, sent, made) in [
            (&[SECRET][..], V4, CLIENT, MADE, ClientOnly, "010000005cf79f111f8130c3eee29480", MADE),
            (
                &[SECRET],
                V4,
                "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
                1_559_734_385,
                Good,
                "010000005cf7a871d4a564a1442aca77",
                1_559_734_385,
            ),
            // In the example it is older than an hour when it is used.
            (
                &[SECRET],
                OTHER_V4,
                "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
                1_559_727_985,
                Good,
                "010000005cf7a9acf73a7810aca2381e",
                1_559_734_700,
            ),
            (
                &[NEW, OLD],
                V6,
                "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
                1_559_741_961,
                Good,
                "010000005cf7c609a6bb79d16625507a",
                1_559_741_961,
            ),
        ] {
            let (cookies, received) = (cookies(secrets), bytes(received));
            assert_eq!(judge(&cookies, &received, client, judged), state, "{received:x?}");
            let answer = cookies.answer(Some(&received), client.parse().unwrap(), made);
            let answer = answer.expect("there is a secret");
            assert_eq!((&answer[..8], HEX.encode(&answer[8..])), (&received[..8], sent.to_owned()));
        }
    }

    #[test]
    fn a_cookie_is_good_for_one_client_one_secret_and_an_hour() {
        use CookieState::{Bad, ClientOnly, Good, None};
        let ours = cookies(&[SECRET]);
        let cookie = ours.answer(Some(&bytes(CLIENT)), V4.parse().unwrap(), MADE).unwrap();
        for (client, now_secs, state) in [
            (V4, MADE, Good),
            (V4, MADE + 3600, Good),
            (V4, MADE + 3601, Bad),
            (V4, MADE - 300, Good),
            (V4, MADE - 301, Bad),
            (V4, MADE + (1 << 32), Good),
            (OTHER_V4, MADE, Bad),
            (V6, MADE, Bad),
        ] {
            assert_eq!(judge(&ours, &cookie, client, now_secs), state, "{client} {now_secs}");
        }
        for (secrets, state) in
            [(&[NEW][..], Bad), (&[NEW, OLD, SECRET], Good), (&[SECRET, NEW], Good), (&[], None)]
        {
            assert_eq!(judge(&cookies(secrets), &cookie, V4, MADE), state, "{secrets:?}");
        }
        for index in 0..COOKIE_BYTES {
            let mut other = cookie;
            other[index] ^= 1;
            assert_eq!(judge(&ours, &other, V4, MADE), Bad, "octet {index}");
        }
        for (length, state) in [(8, ClientOnly), (16, Bad), (23, Bad), (24, Good)] {
            assert_eq!(judge(&ours, &cookie[..length], V4, MADE), state, "{length} octets");
        }
        assert_eq!(judge(&ours, &[&cookie[..], &[0; 16]].concat(), V4, MADE), Bad);
        assert_eq!(ours.judge(Option::None, V4.parse().unwrap(), MADE), None);
    }

    #[test]
    fn without_a_cookie_or_a_secret_there_is_no_answer() {
        let client = V4.parse().unwrap();
        assert_eq!(cookies(&[SECRET]).answer(None, client, MADE), None);
        assert_eq!(cookies(&[]).answer(Some(&bytes(CLIENT)), client, MADE), None);
    }

    #[test]
    fn secrets_are_not_printed() {
        assert_eq!(format!("{:?}", cookies(&[SECRET]).secrets), "[Secret]");
    }
}
