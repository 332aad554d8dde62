//! Addresses, ports and prefixes, in the ways in which BIND reads them.

use super::diagnostic::Severity;
use super::lexer::{Kind, Want};
use super::parser::{About, Parsed, Parser, Stop};
use super::values::{Address, AddressBlock, Located, Socket, Spelled, Value, ipv4, ipv4_prefix, ipv6};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses may stand somewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepts {
    v4: bool,
    v4_prefix: bool,
    v6: bool,
    /// `*`; and for the port too.
    any: bool,
    /// A word `dscp`, which BIND reads and ignores.
    dscp: bool,
    /// Whether BIND advises against a port.
    port_is_deprecated: bool,
}

pub(super) const V4: Accepts =
    Accepts { v4: true, v4_prefix: false, v6: false, any: false, dscp: false, port_is_deprecated: false };
pub(super) const V6: Accepts = Accepts { v4: false, v6: true, ..V4 };
pub(super) const BOTH: Accepts = Accepts { v6: true, ..V4 };
pub(super) const SOURCE4: Accepts = Accepts { any: true, dscp: true, port_is_deprecated: true, ..V4 };
pub(super) const SOURCE6: Accepts = Accepts { any: true, dscp: true, port_is_deprecated: true, ..V6 };
pub(super) const FORWARDER: Accepts = Accepts { dscp: true, ..BOTH };
pub(super) const CONTROLS: Accepts = Accepts { any: true, ..BOTH };
pub(super) const PREFIX: Accepts = Accepts { v4_prefix: true, ..BOTH };

/// What a word is where an address may stand.
pub(super) enum Looks {
    Like(Spelled),
    Unlike,
}

impl Accepts {
    pub(super) fn spell(self, kind: Kind, text: &str) -> Looks {
        if kind != Kind::Word {
            return Looks::Unlike;
        }
        if self.any && text == "*" {
            let ip: IpAddr =
                if self.v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            return Looks::Like(Spelled::Whole(Address { ip, scope: 0 }));
        }
        if let Some(address) = ipv4(text).filter(|_| self.v4) {
            return Looks::Like(Spelled::Whole(address));
        }
        // BIND: longer words are not tried.
        if let Some(address) = ipv4_prefix(text).filter(|_| self.v4_prefix && text.len() <= 15) {
            return Looks::Like(Spelled::Partial(address));
        }
        match ipv6(text).filter(|_| self.v6 && text.len() <= 127) {
            Some(spelled) => Looks::Like(spelled),
            None => Looks::Unlike,
        }
    }

    fn expectation(self) -> String {
        let family = match (self.v4, self.v6) {
            (true, false) => "IPv4 address",
            (false, true) => "IPv6 address",
            _ => "IP address",
        };
        let more = if self.v4_prefix {
            " or IPv4 prefix"
        } else if self.any {
            " or '*'"
        } else {
            ""
        };
        format!("expected {family}{more}")
    }
}

impl Parser {
    fn raw_address(&mut self, accepts: Accepts) -> Parsed<Spelled> {
        let token = self.get(Want::WORD)?;
        match accepts.spell(token.kind, &token.text) {
            Looks::Like(spelled) => Ok(spelled),
            Looks::Unlike => Err(self.fail(About::Near, &accepts.expectation())),
        }
    }

    fn whole_address(&mut self, accepts: Accepts) -> Parsed<Address> {
        match self.raw_address(accepts)? {
            Spelled::Whole(address) | Spelled::Partial(address) => Ok(address),
            // BIND says nothing more about it.
            Spelled::UnknownScope => Err(Stop("failure")),
        }
    }

    pub(super) fn address(&mut self, accepts: Accepts, out: &mut Vec<Located>) -> Parsed<()> {
        let position = self.position();
        let address = self.whole_address(accepts)?;
        out.push(Located { value: Value::Socket(Socket { address, port: 0, dscp: None }), position });
        Ok(())
    }

    fn raw_port(&mut self, accepts: Accepts) -> Parsed<u16> {
        let token = self.get(Want::NUMBER)?;
        match token.kind {
            Kind::Word if accepts.any && token.text == "*" => Ok(0),
            Kind::Number(number) => {
                u16::try_from(number).map_err(|_| self.fail(About::Near, "port number out of range"))
            }
            _ => Err(self.fail(About::Near, "expected port number or '*'")),
        }
    }

    fn dscp(&mut self) -> Parsed<u32> {
        self.warn(Severity::Warning, "'dscp' is obsolete and should be removed");
        self.get(Want::WORD)?;
        match self.get(Want::C_NUMBER)?.kind {
            Kind::Number(number) => Ok(number),
            _ => Err(self.fail(About::Near, "expected number")),
        }
    }

    fn take_port_word(&mut self, accepts: Accepts) -> Parsed<()> {
        if accepts.port_is_deprecated {
            self.warn(Severity::Deprecation, "token 'port' is deprecated");
        }
        self.get(Want::WORD).map(|_| ())
    }

    pub(super) fn socket(&mut self, accepts: Accepts, out: &mut Vec<Located>) -> Parsed<()> {
        let position = self.position();
        let address = self.whole_address(accepts)?;
        let mut socket = Socket { address, port: 0, dscp: None };
        let (mut ports, mut dscps) = (0, 0);
        loop {
            let token = self.peek(Want::WORD)?;
            if token.is_word("port") {
                self.take_port_word(accepts)?;
                socket.port = self.raw_port(accepts)?;
                ports += 1;
            } else if accepts.dscp && token.is_word("dscp") {
                socket.dscp = Some(self.dscp()?);
                dscps += 1;
            } else {
                break;
            }
        }
        if ports > 1 {
            return Err(self.fail(About::Nothing, "expected at most one port"));
        }
        if dscps > 1 {
            return Err(self.fail(About::Nothing, "expected at most one dscp"));
        }
        out.push(Located { value: Value::Socket(socket), position });
        Ok(())
    }

    pub(super) fn query_source(&mut self, accepts: Accepts, out: &mut Vec<Located>) -> Parsed<()> {
        let ip: IpAddr = if accepts.v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let mut socket = Socket { address: Address { ip, scope: 0 }, port: 0, dscp: None };
        let (mut addresses, mut ports, mut dscps) = (0, 0, 0);
        let read = loop {
            let token = match self.peek(Want::WORD) {
                Ok(token) => token,
                Err(stop) => break Err(stop),
            };
            if token.kind != Kind::Word {
                break Ok(());
            }
            let step = if token.is_word("address") {
                addresses += 1;
                self.get(Want::WORD)?;
                self.whole_address(accepts).map(|address| socket.address = address)
            } else if token.is_word("port") {
                ports += 1;
                self.take_port_word(accepts)?;
                self.raw_port(accepts).map(|port| socket.port = port)
            } else if token.is_word("dscp") {
                dscps += 1;
                self.dscp().map(|dscp| socket.dscp = Some(dscp))
            } else if addresses + ports + dscps == 0 {
                return self.socket(accepts, out);
            } else {
                return Err(self.fail(About::Near, "expected 'address' or 'port'"));
            };
            if let Err(stop) = step {
                break Err(stop);
            }
        };
        if let Err(stop) = read {
            self.complain(About::Near, "invalid query source");
            return Err(stop);
        }
        if addresses > 1 || ports > 1 || addresses + ports == 0 {
            return Err(self.fail(About::Nothing, "expected one address and/or port"));
        }
        if dscps > 1 {
            return Err(self.fail(About::Nothing, "expected at most one dscp"));
        }
        self.push(Value::Source(socket), out);
        Ok(())
    }

    /// `10/8`, `192.0.2.1`, `2001:db8::/32`: with fewer than four octets the length must be there.
    pub(super) fn net_prefix(&mut self) -> Parsed<AddressBlock> {
        let (address, is_whole) = match self.raw_address(PREFIX) {
            Ok(Spelled::Whole(address)) => (address, true),
            Ok(Spelled::Partial(address)) => (address, false),
            Ok(Spelled::UnknownScope) => return Err(self.fail(About::Near, "expected network prefix")),
            Err(stop) => {
                self.complain(About::Near, "expected network prefix");
                return Err(stop);
            }
        };
        let width = if address.ip.is_ipv4() { 32 } else { 128 };
        let Some(bits) = self.prefix_length()? else {
            if !is_whole {
                return Err(self.fail(About::Near, "incomplete IPv4 address or prefix"));
            }
            return Ok(AddressBlock { address, bits: width });
        };
        if bits > width {
            return Err(self.fail(About::Token, "invalid prefix length"));
        }
        let block = AddressBlock { address, bits };
        if !block.is_clean() {
            return Err(self.fail(About::Token, &format!("'{block}': address/prefix length mismatch")));
        }
        Ok(block)
    }

    /// The number behind a slash, if there is one.
    fn prefix_length(&mut self) -> Parsed<Option<u32>> {
        let read = self.peek(Want::WORD).and_then(|token| {
            if !token.is(b'/') {
                return Ok(None);
            }
            self.get(Want::WORD)?;
            self.get(Want::NUMBER).map(Some)
        });
        match read {
            Ok(None) => Ok(None),
            Ok(Some(token)) => match token.kind {
                Kind::Number(bits) => Ok(Some(bits)),
                _ => Err(self.fail(About::Near, "expected prefix length")),
            },
            Err(stop) => {
                self.complain(About::Near, "expected network prefix");
                Err(stop)
            }
        }
    }

    pub(super) fn remote_server(&mut self, out: &mut Vec<Located>) -> Parsed<()> {
        let token = self.peek(Want::STRING)?;
        if !matches!(token.kind, Kind::Word | Kind::Quoted) {
            let text = "expected IP address or remote servers list name";
            return Err(self.fail(About::Near, text));
        }
        if matches!(BOTH.spell(token.kind, &token.text), Looks::Like(Spelled::Whole(_))) {
            return self.socket(BOTH, out);
        }
        let name = self.string()?;
        self.push(Value::Text(name), out);
        Ok(())
    }

    pub(super) fn dual_stack_server(&mut self, out: &mut Vec<Located>) -> Parsed<()> {
        let token = self.peek(Want::STRING)?;
        if !matches!(token.kind, Kind::Word | Kind::Quoted) {
            return Err(self.fail(About::Near, "expected IP address or hostname"));
        }
        if matches!(BOTH.spell(token.kind, &token.text), Looks::Like(Spelled::Whole(_))) {
            return self.socket(BOTH, out);
        }
        let name = self.string()?;
        self.push(Value::Text(name), out);
        for label in ["port", "dscp"] {
            if self.peek(Want::WORD)?.is_word(label) {
                self.get(Want::WORD)?;
                self.push(Value::Label(label), out);
                let number = self.integer()?;
                self.push(Value::Integer(number), out);
            }
        }
        Ok(())
    }
}
