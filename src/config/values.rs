//! The types of values that statements take: how each is written, and what BIND says if it is not.

use super::acl::Prefix;
use super::diagnostic::Position;
use super::grammar::{Block, Form, Item};
use super::statements::Context;
use super::syntax::{Cursor, Located, Misfit, missing_semicolon};
use super::tree::Map;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What was read.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A word of the syntax, as the table spells it.
    Word(&'static str),
    Text(String),
    Quoted(String),
    /// The name of a class.
    Class(String),
    Boolean(bool),
    Integer(u32),
    Percentage(u32),
    /// Bytes.
    Size(u64),
    /// Seconds.
    Duration(u32),
    Address(IpAddr),
    Prefix(Prefix),
    Acl(Vec<AclItem>),
    List(Vec<Vec<Located>>),
    Map(Map),
    /// A block of statements before it is read.
    Unread(Context, Block),
    /// A block that nobody looks into.
    Unspecified,
}

/// One element of an address match list, names not resolved.
#[derive(Clone, Debug)]
pub(super) struct AclItem {
    pub(super) negated: bool,
    pub(super) subject: AclSubject,
    pub(super) position: Position,
}

/// What an element speaks of.
#[derive(Clone, Debug)]
pub(super) enum AclSubject {
    Named(String),
    Key(String),
    /// An address and a prefix length that may not fit each other.
    Block(IpAddr, u8),
    List(Vec<AclItem>),
    /// `geoip ...`, with its words.
    Geoip(String),
}

macro_rules! leaves {
    ($($variant:ident $name:literal $expectation:literal,)*) => {
        /// A type of value, named as in the notation of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Leaf { $($variant,)* }

        impl Leaf {
            /// The type with this name; panics if there is none: a test reads every row of the table.
            pub(super) fn named(name: &str) -> Leaf {
                match name {
                    $($name => Leaf::$variant,)*
                    _ => panic!("<{name}> is no type"),
                }
            }

            /// What BIND says it expected.
            pub(super) fn expectation(self) -> &'static str {
                match self { $(Leaf::$variant => $expectation,)* }
            }
        }
    };
}

leaves! {
    Boolean "boolean" "boolean expected",
    Integer "integer" "expected number",
    Text "string" "expected string",
    QuotedString "quoted_string" "expected quoted string",
    Duration "duration" "expected ISO 8601 duration or TTL value",
    DurationOrUnlimited "duration_or_unlimited" "expected ISO 8601 duration or TTL value",
    Size "size" "expected integer and optional unit",
    SizeValue "sizeval" "expected integer and optional unit",
    Percentage "percentage" "expected percentage",
    FixedPoint "fixedpoint" "expected fixed point number",
    Ipv4Address "ipv4_address" "expected IPv4 address",
    Ipv6Address "ipv6_address" "expected IPv6 address",
    NetPrefix "netprefix" "expected IP address or prefix",
    AddressMatchElement "address_match_element" "expected IP match list element",
    PortRange "portrange" "expected 'range' or a port",
    RemoteServers "remote-servers" "expected IP address or remote servers list name",
    ClassName "class" "expected string",
    RrTypeList "rrtypelist" "expected string",
    UnspecifiedText "unspecified-text" "'{' expected",
}

impl Leaf {
    /// Whether `item` can be a value of this type.
    pub(super) fn starts(self, item: &Item) -> bool {
        match (&item.form, self) {
            (Form::Block(_), Leaf::UnspecifiedText) => true,
            (Form::Quoted(_), Leaf::Text | Leaf::QuotedString | Leaf::RemoteServers | Leaf::ClassName) => {
                true
            }
            (Form::Word(text), _) => self.fits(text),
            _ => false,
        }
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Leaf::Boolean => boolean(text).is_some(),
            Leaf::Integer | Leaf::PortRange => text.bytes().all(|byte| byte.is_ascii_digit()),
            Leaf::Text | Leaf::ClassName | Leaf::RrTypeList => true,
            Leaf::QuotedString | Leaf::UnspecifiedText => false,
            Leaf::Duration => duration(text).is_some(),
            Leaf::DurationOrUnlimited => text.eq_ignore_ascii_case("unlimited") || duration(text).is_some(),
            Leaf::Size => {
                matches!(text.to_ascii_lowercase().as_str(), "unlimited" | "default") || size(text).is_some()
            }
            Leaf::SizeValue => size(text).is_some(),
            Leaf::Percentage => percentage(text).is_some(),
            Leaf::FixedPoint => fixed_point(text),
            Leaf::Ipv4Address => text.parse::<Ipv4Addr>().is_ok(),
            Leaf::Ipv6Address => ipv6(text).is_some(),
            Leaf::NetPrefix => partial_address(text).is_some(),
            Leaf::AddressMatchElement => true,
            Leaf::RemoteServers => text.parse::<Ipv4Addr>().is_err() && ipv6(text).is_none(),
        }
    }
}

/// Reads one value.
pub(super) fn read(leaf: Leaf, cursor: &mut Cursor<'_>) -> Result<Value, Misfit> {
    let Some(item) = cursor.peek().filter(|item| leaf.starts(item)) else {
        // An empty list of types means "all" in update-policy.
        if leaf == Leaf::RrTypeList && cursor.peek().is_none() {
            return Ok(Value::List(Vec::new()));
        }
        return Err(cursor.misfit(leaf.expectation()));
    };
    let misfit = cursor.misfit(leaf.expectation());
    let text = match &item.form {
        Form::Word(text) => text,
        Form::Quoted(text) => {
            cursor.take();
            return Ok(Value::Quoted(text.clone()));
        }
        _ => return Err(misfit),
    };
    let value = match leaf {
        Leaf::NetPrefix => return net_prefix(cursor),
        Leaf::PortRange | Leaf::RrTypeList => {
            let mut words = Vec::new();
            while let Some(next) = cursor.take() {
                words.push(vec![Located {
                    value: Value::Text(next.near().to_owned()),
                    position: next.position.clone(),
                }]);
            }
            return Ok(Value::List(words));
        }
        Leaf::Integer => match text.parse() {
            Ok(number) => Some(Value::Integer(number)),
            Err(_) => return Err(Misfit { position: cursor.position(), text: "out of range".to_owned() }),
        },
        Leaf::Boolean => boolean(text).map(Value::Boolean),
        Leaf::Duration | Leaf::DurationOrUnlimited => match duration(text) {
            Some(secs) => Some(Value::Duration(secs)),
            None => Some(Value::Word("unlimited")),
        },
        Leaf::Size | Leaf::SizeValue => match size(text) {
            Some(bytes) => Some(Value::Size(bytes)),
            None if text.eq_ignore_ascii_case("default") => Some(Value::Word("default")),
            None => Some(Value::Word("unlimited")),
        },
        Leaf::Percentage => percentage(text).map(Value::Percentage),
        Leaf::Ipv4Address => text.parse().ok().map(Value::Address),
        Leaf::Ipv6Address => ipv6(text).map(|address| Value::Address(address.into())),
        Leaf::ClassName => Some(Value::Class(text.clone())),
        _ => Some(Value::Text(text.clone())),
    };
    cursor.take();
    value.ok_or(misfit)
}

/// Reads the elements of an address match list; what does not fit is reported and left out.
pub(super) fn read_match_list(block: &Block, misfits: &mut Vec<Misfit>) -> Vec<AclItem> {
    let mut elements = Vec::with_capacity(block.statements.len());
    for statement in &block.statements {
        let mut cursor = Cursor::new(statement, 0);
        loop {
            match match_element(&mut cursor) {
                Ok(element) => elements.push(element),
                Err(misfit) => {
                    misfits.push(misfit);
                    break;
                }
            }
            misfits.append(&mut cursor.misfits);
            let Some(next) = cursor.peek() else { break };
            misfits.push(missing_semicolon(next));
        }
    }
    elements
}

fn match_element(cursor: &mut Cursor<'_>) -> Result<AclItem, Misfit> {
    let position = cursor.position();
    let negated = matches!(cursor.peek(), Some(Item { form: Form::Bang, .. }));
    if negated {
        cursor.take();
    }
    let subject = match cursor.peek().map(|item| &item.form) {
        Some(Form::Bang) => {
            let text = "address match list contains unsupported element type".to_owned();
            return Err(Misfit { position, text });
        }
        Some(Form::Block(block)) => {
            cursor.take();
            AclSubject::List(read_match_list(block, &mut cursor.misfits))
        }
        Some(Form::Quoted(text)) => {
            cursor.take();
            AclSubject::Named(text.clone())
        }
        Some(Form::Word(text)) if text.eq_ignore_ascii_case("key") => {
            cursor.take();
            AclSubject::Key(name(cursor)?)
        }
        Some(Form::Word(text)) if text.eq_ignore_ascii_case("geoip") => {
            let mut words = Vec::new();
            while let Some(item) = cursor.take() {
                words.push(item.near());
            }
            AclSubject::Geoip(words.join(" "))
        }
        Some(Form::Word(text)) if partial_address(text).is_some() => {
            let (address, bits) = address_and_length(cursor)?;
            AclSubject::Block(address, bits)
        }
        Some(Form::Word(text)) => {
            cursor.take();
            AclSubject::Named(text.clone())
        }
        Some(Form::Slash) | None => return Err(cursor.misfit(Leaf::AddressMatchElement.expectation())),
    };
    Ok(AclItem { negated, subject, position })
}

/// A word or quoted string.
fn name(cursor: &mut Cursor<'_>) -> Result<String, Misfit> {
    match cursor.peek().map(|item| &item.form) {
        Some(Form::Word(text) | Form::Quoted(text)) => {
            cursor.take();
            Ok(text.clone())
        }
        _ => Err(cursor.misfit(Leaf::Text.expectation())),
    }
}

fn net_prefix(cursor: &mut Cursor<'_>) -> Result<Value, Misfit> {
    let position = cursor.position();
    let (address, bits) = address_and_length(cursor)?;
    Prefix::new(address, bits).map(Value::Prefix).ok_or_else(|| mismatch(position, address, bits))
}

/// The complaint about an address with bits behind its prefix length.
pub(super) fn mismatch(position: Position, address: IpAddr, bits: u8) -> Misfit {
    Misfit { position, text: format!("'{address}/{bits}': address/prefix length mismatch '{bits}'") }
}

/// `10/8`, `192.0.2.1`, `2001:db8::/32`: with fewer than four octets the length must be there.
fn address_and_length(cursor: &mut Cursor<'_>) -> Result<(IpAddr, u8), Misfit> {
    let Some(Item { form: Form::Word(text), .. }) = cursor.take() else {
        return Err(cursor.misfit(Leaf::NetPrefix.expectation()));
    };
    let Some((address, complete)) = partial_address(text) else {
        return Err(cursor.misfit(Leaf::NetPrefix.expectation()));
    };
    let width: u8 = if address.is_ipv4() { 32 } else { 128 };
    if !matches!(cursor.peek(), Some(Item { form: Form::Slash, .. })) {
        return if complete {
            Ok((address, width))
        } else {
            Err(cursor.misfit("incomplete IPv4 address or prefix"))
        };
    }
    cursor.take();
    match cursor.peek().map(|item| &item.form) {
        Some(Form::Word(length)) if Leaf::Integer.fits(length) => match length.parse() {
            Ok(bits) if bits <= width => {
                cursor.take();
                Ok((address, bits))
            }
            _ => {
                Err(Misfit { position: cursor.position(), text: format!("invalid prefix length '{length}'") })
            }
        },
        _ => Err(cursor.misfit("expected prefix length")),
    }
}

/// An address, or one to three octets of an IPv4 address; and whether it is complete.
fn partial_address(text: &str) -> Option<(IpAddr, bool)> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some((address.into(), true));
    }
    if let Some(address) = ipv6(text) {
        return Some((address.into(), true));
    }
    let mut octets = [0u8; 4];
    // BIND: a final dot is allowed.
    for (at, part) in text.strip_suffix('.').unwrap_or(text).split('.').enumerate() {
        *octets.get_mut(at)? =
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten()?;
    }
    Some((Ipv4Addr::from(octets).into(), false))
}

/// An IPv6 address. A zone (`%eth0`) is accepted where BIND accepts it, and means nothing in a match.
fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.split_once('%').map_or(text, |(address, _)| address).parse().ok()
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Some(true),
        "no" | "false" | "0" => Some(false),
        _ => None,
    }
}

fn percentage(text: &str) -> Option<u32> {
    text.strip_suffix('%')?.parse().ok()
}

fn fixed_point(text: &str) -> bool {
    let mut dots = 0;
    !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_digit()
                || (byte == b'.' && {
                    dots += 1;
                    dots < 2
                })
        })
}

/// Bytes with an optional unit k, m or g. BIND: more than 64 bits count as the most there is.
fn size(text: &str) -> Option<u64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        b'g' | b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1u64),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX).saturating_mul(factor))
}

/// Seconds: a number, numbers with the units w d h m s (`1h30m`), or an ISO 8601 duration (`P1DT2H`).
fn duration(text: &str) -> Option<u32> {
    let text = text.to_ascii_lowercase();
    let secs = match text.strip_prefix('p') {
        Some(iso) => iso_duration(iso)?,
        None => ttl(&text)?,
    };
    u32::try_from(secs).ok()
}

/// A number of seconds alone, or numbers that all have units, in any order.
fn ttl(text: &str) -> Option<u64> {
    const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let numbers = text.split_inclusive(|letter: char| !letter.is_ascii_digit());
    let parts = numbers.map(|number| units(number, &UNITS));
    parts.reduce(|sum, part| sum?.checked_add(part?)).flatten()
}

/// What stands behind the P. BIND: a year has 365 days, a month 31, and weeks stand alone.
fn iso_duration(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('t').unwrap_or((text, ""));
    if date.contains('w') && (date.contains(['y', 'm', 'd']) || text.contains('t')) {
        return None;
    }
    let date = units(date, &[('y', 31_536_000), ('m', 2_678_400), ('w', 604_800), ('d', 86_400)])?;
    let time = units(time, &[('h', 3600), ('m', 60), ('s', 1)])?;
    date.checked_add(time)
}

/// Sums numbers with units, each unit at most once and in the order of the table.
fn units(mut text: &str, mut table: &[(char, u64)]) -> Option<u64> {
    let mut sum = 0u64;
    while !text.is_empty() {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().ok()?;
        let unit = text[digits..].chars().next()?;
        let found = table.iter().position(|(letter, _)| *letter == unit)?;
        sum = sum.checked_add(number.checked_mul(table[found].1)?)?;
        table = &table[found + 1..];
        text = &text[digits + 1..];
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_ttls_or_iso_8601() {
        let check = |text: &str, expected: Option<u32>| assert_eq!(duration(text), expected, "{text}");
        check("0", Some(0));
        check("3600", Some(3600));
        check("1h30m", Some(5400));
        check("1w2d3h4m5s", Some(788_645));
        check("5s1h", Some(3605));
        check("1h30", None);
        check("P1DT2H", Some(93_600));
        check("pt1m30s", Some(90));
        check("P2W", Some(1_209_600));
        check("P1WT1H", None);
        check("P1X", None);
        check("1x", None);
        check("P5", None);
        check("", None);
        check("99999999999", None);
        check("99999999999999999999999w", None);
    }

    #[test]
    fn sizes_have_binary_units_and_a_most() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(size(text), expected, "{text}");
        check("1024", Some(1024));
        check("1k", Some(1024));
        check("2M", Some(2 << 20));
        check("4g", Some(4 << 30));
        check("99999999999999999999999", Some(u64::MAX));
        check("1x", None);
        check("m", None);
        check("", None);
    }

    #[test]
    fn addresses_may_be_incomplete_before_a_prefix_length() {
        let check = |text: &str, expected: Option<(&str, bool)>| {
            let expected = expected.map(|(address, complete)| (address.parse().unwrap(), complete));
            assert_eq!(partial_address(text), expected, "{text}");
        };
        check("192.0.2.1", Some(("192.0.2.1", true)));
        check("10", Some(("10.0.0.0", false)));
        check("10.1.", Some(("10.1.0.0", false)));
        check("2001:db8::", Some(("2001:db8::", true)));
        check("fe80::1%eth0", Some(("fe80::1", true)));
        check("300.1.1.1", None);
        check("1.2.3.4.5", None);
        check("example", None);
        check("", None);
        check("+1", None);
    }
}
