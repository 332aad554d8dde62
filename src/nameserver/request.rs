//! One request on its way through the dispatcher, and the short responses that need no zone data.

use super::cookies::CookieState;
use super::edns::{self, Asked};
use super::policy::Policy;
use crate::dns::edns::{Edns, ExtendedError};
use crate::dns::message::{Header, Message, Question};
use crate::dns::tsig::{Failure, Session};
use crate::dns::wire::{MESSAGE_BYTES_MAX, Writer};
use crate::dns::{Name, Opcode, Rcode};
use crate::dnstap::{Protocol, Route};
use std::fmt;
use std::net::SocketAddr;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram; the response is one too.
    Udp,
    /// A connection.
    Tcp,
    /// A connection with TLS (RFC 7858).
    Tls,
}

impl Transport {
    /// Whether messages come on a connection, with their length in front.
    pub fn is_stream(self) -> bool {
        self != Transport::Udp
    }
}

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where it came from, and where the response goes.
    pub address: SocketAddr,
    /// The address it was sent to, if the socket knows.
    pub local: Option<SocketAddr>,
    /// How it came.
    pub transport: Transport,
}

impl Client {
    /// The way of its messages, for a tap.
    pub(super) fn route(&self) -> Route {
        let protocol = match self.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
            Transport::Tls => Protocol::Tls,
        };
        Route { client: self.address, server: self.local, protocol }
    }
}

/// The parts of a request that its response needs: small, and independent of the packet.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Who asks.
    pub client: SocketAddr,
    /// The header of the request.
    pub header: Header,
    /// Its first question, or zone section.
    pub question: Option<Question>,
    /// The OPT RR of the response, if the request had one.
    pub edns: Option<Edns>,
    /// What the client has shown by its cookie.
    pub cookie: CookieState,
    /// The verified signature.
    pub session: Option<Session>,
}

impl Envelope {
    /// An envelope for something of which only the header is known to be readable.
    pub(super) fn unreadable(client: &Client, header: Header, packet: &[u8]) -> Envelope {
        // BIND: a zone section is repeated whatever number of records is announced for it.
        let is_shown = match packet.get(4..6) {
            Some([0, 0]) | None => false,
            Some(count) => header.opcode == Opcode::UPDATE || count == [0, 1],
        };
        let question = Question::first(packet).filter(|_| is_shown);
        let (client, cookie) = (client.address, CookieState::None);
        Envelope { client, header, question, edns: None, cookie, session: None }
    }

    /// The envelope of a message.
    pub(super) fn new(client: &Client, message: &Message, policy: &Policy, now_secs: u64) -> Envelope {
        let asked = message.edns.as_ref().map(Asked::of);
        let cookie = asked.map_or(CookieState::None, |asked| asked.cookie_state(policy, client, now_secs));
        let edns = message.edns.as_ref().map(|edns| edns::response(edns, policy, client, cookie, now_secs));
        let question = message.questions.first().cloned();
        Envelope { client: client.address, header: message.header, question, edns, cookie, session: None }
    }

    /// Has the response tell why it is what it is, if the client understands EDNS.
    pub(super) fn explain(&mut self, error: ExtendedError) {
        if let Some(edns) = &mut self.edns {
            edns.explain(error);
        }
    }

    /// The name of the key that signed the request.
    pub fn key(&self) -> Option<&Name> {
        self.session.as_ref().map(Session::key_name)
    }

    /// A response without records, not signed.
    fn unsigned(&self, header: &Header, signature_bytes: usize) -> Vec<u8> {
        let mut writer = Writer::new(MESSAGE_BYTES_MAX);
        writer.reserve(signature_bytes);
        // BIND: the question is copied for the opcodes it knows, and for nothing else.
        let known = matches!(self.header.opcode, Opcode::QUERY | Opcode::NOTIFY | Opcode::UPDATE);
        if let Some(question) = self.question.as_ref().filter(|_| known) {
            writer.question(&question.name, question.qtype, question.qclass).expect("a question fits 65,535");
        }
        if let Some(edns) = &self.edns {
            writer.opt(edns, header.rcode).expect("question and OPT fit 65,535 octets");
        }
        writer.finish(header)
    }

    /// The response with `rcode`, without records, signed if the request was.
    pub fn response(&mut self, rcode: Rcode, now_secs: u64) -> Vec<u8> {
        let header = self.header.response(rcode);
        self.response_with(&header, now_secs)
    }

    /// The response with this header, without records, signed if the request was.
    pub(super) fn response_with(&mut self, header: &Header, now_secs: u64) -> Vec<u8> {
        let mut response = self.unsigned(header, self.session.as_ref().map_or(0, Session::reserve));
        if let Some(session) = &mut self.session {
            session.sign(&mut response, now_secs);
        }
        response
    }

    /// The response to a request whose signature does not hold.
    pub(super) fn refusal(&self, failure: &Failure, now_secs: u64) -> Vec<u8> {
        let mut response = self.unsigned(&self.header.response(failure.rcode), failure.reserve());
        failure.sign(&mut response, now_secs);
        response
    }
}

/// BIND: "client @0x... 192.0.2.1#5353/key k". The number is the message id here: BIND's is an address in
/// its memory, and only its form is ever relied on.
impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client @{:#x} {}#{}", self.header.id, self.client.ip(), self.client.port())?;
        match self.key() {
            Some(key) => write!(f, "/key {}", key.undotted()),
            None => Ok(()),
        }
    }
}
