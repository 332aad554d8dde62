//! How a value of each type is read, and what BIND says if it is not there.
//!
//! A type is named in the table of statements (`<integer>`). Types with a name of their own where named.conf(5)
//! shows several words (`<query_source4>`) are those that BIND reads in a way that the notation cannot say.

use super::addresses::{BOTH, CONTROLS, FORWARDER, Looks, PREFIX, SOURCE4, SOURCE6, V6};
use super::lexer::{Kind, Want};
use super::parser::{About, Parsed, Parser, UNEXPECTED_TOKEN};
use super::values::{self, AclItem, AclSubject, Located, Spelled, Value};

/// What BIND expects of a duration.
const DURATION: &str = "expected ISO 8601 duration or TTL value";

macro_rules! leaves {
    ($($variant:ident $name:literal,)*) => {
        /// A type of value.
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
        }
    };
}

leaves! {
    AddressMatchElement "address_match_element",
    Bare "bare",
    Boolean "boolean",
    Class "class",
    ControlsAddress "controls_address",
    DnstapOutput "dnstap_output",
    DualStackServer "dual_stack_server",
    Duration "duration",
    DurationOrUnlimited "duration_or_unlimited",
    Facility "facility",
    FixedPoint "fixedpoint",
    Forwarder "forwarder",
    Integer "integer",
    Ipv6Address "ipv6_address",
    LogFile "log_file",
    LogSeverity "log_severity",
    MatchRule "match_rule",
    NetAddress "net_address",
    NetPrefix "netprefix",
    Percentage "percentage",
    PortRange "portrange",
    QuerySource4 "query_source4",
    QuerySource6 "query_source6",
    QuotedString "quoted_string",
    RemoteServer "remote_server",
    RpzPolicy "rpz_policy",
    RrTypeList "rrtypelist",
    Secret "secret",
    ServerKey "server_key",
    Size "sizeval",
    SizeOrPercentage "sizeval_or_percentage",
    Source4 "source4",
    Source6 "source6",
    Text "string",
    UnspecifiedText "unspecified-text",
}

impl Leaf {
    /// Whether the next token begins a value that may be left out.
    pub(super) fn starts(self, parser: &mut Parser) -> Parsed<bool> {
        Ok(match self {
            Leaf::Integer => matches!(parser.peek(Want::C_NUMBER)?.kind, Kind::Number(_)),
            Leaf::Class => parser.peek(Want::WORD)?.kind == Kind::Word,
            Leaf::Facility => matches!(parser.peek(Want::STRING)?.kind, Kind::Word | Kind::Quoted),
            Leaf::UnspecifiedText => parser.peek(Want::BRACED)?.kind == Kind::Braced,
            _ => true,
        })
    }
}

impl Parser {
    /// Reads one value of this type.
    pub(super) fn leaf(&mut self, leaf: Leaf, out: &mut Vec<Located>) -> Parsed<()> {
        let value = match leaf {
            Leaf::Text | Leaf::Facility => Value::Text(self.string()?),
            Leaf::Secret => Value::Secret(self.string()?),
            Leaf::Bare | Leaf::Class => Value::Bare(self.bare()?),
            Leaf::QuotedString => Value::Quoted(self.quoted_string()?),
            Leaf::Boolean => Value::Boolean(self.parsed("boolean expected", values::boolean)?),
            Leaf::Integer => Value::Integer(self.integer()?),
            Leaf::Duration => self.amount(DURATION, |text| values::duration(text).map(Value::Duration))?,
            Leaf::DurationOrUnlimited => {
                let text = self.amount_text("expected ISO 8601 duration, TTL value, or unlimited")?;
                let value = if text.eq_ignore_ascii_case("unlimited") {
                    Some(Value::Word("unlimited", "unlimited".to_owned()))
                } else {
                    values::duration(&text).map(Value::Duration)
                };
                value.ok_or_else(|| self.fail(About::Near, DURATION))?
            }
            Leaf::Size => Value::Size(self.amount("expected integer and optional unit", values::size)?),
            Leaf::SizeOrPercentage => {
                self.amount("expected integer and optional unit or percent", |text| {
                    let percent = values::percentage(text).map(Value::Percentage);
                    percent.or_else(|| values::size(text).map(Value::Size))
                })?
            }
            Leaf::Percentage => Value::Percentage(self.parsed("expected percentage", values::percentage)?),
            Leaf::FixedPoint => {
                Value::FixedPoint(self.parsed("expected fixed point number", values::fixed_point)?)
            }
            Leaf::NetPrefix => Value::Prefix(self.net_prefix()?),
            Leaf::PortRange => self.port_range()?,
            Leaf::ServerKey => return self.server_key(out),
            Leaf::UnspecifiedText => {
                let token = self.get(Want::BRACED)?;
                if token.kind != Kind::Braced {
                    return Err(self.fail(About::Near, "expected bracketed text"));
                }
                Value::Braced(token.text.clone())
            }
            Leaf::RrTypeList => self.rr_types()?,
            Leaf::QuerySource4 => return self.query_source(SOURCE4, out),
            Leaf::QuerySource6 => return self.query_source(SOURCE6, out),
            Leaf::Source4 => return self.socket(SOURCE4, out),
            Leaf::Source6 => return self.socket(SOURCE6, out),
            Leaf::Ipv6Address => return self.address(V6, out),
            Leaf::NetAddress => return self.address(BOTH, out),
            Leaf::Forwarder => return self.socket(FORWARDER, out),
            Leaf::ControlsAddress => return self.socket(CONTROLS, out),
            Leaf::RemoteServer => return self.remote_server(out),
            Leaf::DualStackServer => return self.dual_stack_server(out),
            Leaf::LogFile => return self.log_file(out),
            Leaf::DnstapOutput => return self.dnstap_output(out),
            Leaf::LogSeverity => return self.log_severity(out),
            Leaf::MatchRule => return self.match_rule(out),
            Leaf::RpzPolicy => return self.rpz_policy(out),
            Leaf::AddressMatchElement => {
                let element = self.match_element()?;
                Value::Acl(vec![element])
            }
        };
        self.push(value, out);
        Ok(())
    }

    pub(super) fn string(&mut self) -> Parsed<String> {
        let token = self.get(Want::STRING)?;
        if !matches!(token.kind, Kind::Word | Kind::Quoted) {
            return Err(self.fail(About::Near, "expected string"));
        }
        Ok(token.text.clone())
    }

    fn bare(&mut self) -> Parsed<String> {
        let token = self.get(Want::WORD)?;
        if token.kind != Kind::Word {
            return Err(self.fail(About::Near, "expected unquoted string"));
        }
        Ok(token.text.clone())
    }

    pub(super) fn quoted_string(&mut self) -> Parsed<String> {
        let token = self.get(Want::STRING)?;
        if token.kind != Kind::Quoted {
            return Err(self.fail(About::Near, "expected quoted string"));
        }
        Ok(token.text.clone())
    }

    pub(super) fn integer(&mut self) -> Parsed<u32> {
        match self.get(Want::C_NUMBER)?.kind {
            Kind::Number(number) => Ok(number),
            _ => Err(self.fail(About::Near, "expected number")),
        }
    }

    /// A word that stands for an amount.
    fn amount<T>(&mut self, expectation: &str, read: impl Fn(&str) -> Option<T>) -> Parsed<T> {
        let text = self.amount_text(expectation)?;
        read(&text).ok_or_else(|| self.fail(About::Near, expectation))
    }

    /// BIND: says what it expects even if there is no token, which the lexer has then said already.
    fn amount_text(&mut self, expectation: &str) -> Parsed<String> {
        match self.get(Want::WORD) {
            Ok(token) if token.kind == Kind::Word => Ok(token.text),
            _ => Err(self.fail(About::Near, expectation)),
        }
    }

    /// A word that stands for something else.
    fn parsed<T>(&mut self, expectation: &str, read: impl Fn(&str) -> Option<T>) -> Parsed<T> {
        let token = self.get(Want::WORD)?;
        let found = if token.kind == Kind::Word { read(&token.text) } else { None };
        found.ok_or_else(|| self.fail(About::Near, expectation))
    }

    // Address match lists.

    pub(super) fn match_element(&mut self) -> Parsed<AclItem> {
        let token = self.peek(Want::STRING)?;
        let (kind, is_key, is_geoip) = (token.kind, token.is_word("key"), token.is_word("geoip"));
        let is_address =
            matches!(PREFIX.spell(kind, &token.text), Looks::Like(Spelled::Whole(_) | Spelled::Partial(_)));
        let position = self.position();
        let (negated, subject) = match kind {
            Kind::Word if is_key => {
                self.get(Want::WORD)?;
                (false, AclSubject::Key(self.string()?))
            }
            Kind::Word if is_geoip => {
                self.get(Want::WORD)?;
                (false, self.geoip()?)
            }
            Kind::Word if is_address => (false, AclSubject::Block(self.net_prefix()?)),
            Kind::Word | Kind::Quoted => (false, AclSubject::Named(self.string()?)),
            Kind::Special(b'{') => {
                self.special(b'{')?;
                let position = self.position();
                self.deeper()?;
                let items = self.match_list()?;
                self.shallower();
                return Ok(AclItem { negated: false, subject: AclSubject::List(items), position });
            }
            Kind::Special(b'!') => {
                self.get(Want::WORD)?;
                self.deeper()?;
                let inner = self.match_element()?;
                self.shallower();
                if inner.negated {
                    (true, AclSubject::Negated(Box::new(inner)))
                } else {
                    return Ok(AclItem { negated: true, ..inner });
                }
            }
            _ => return Err(self.fail(About::Near, "expected IP match list element")),
        };
        Ok(AclItem { negated, subject, position })
    }

    fn geoip(&mut self) -> Parsed<AclSubject> {
        const KINDS: [&str; 20] = [
            "area",
            "areacode",
            "asnum",
            "city",
            "continent",
            "country",
            "country3",
            "countryname",
            "domain",
            "isp",
            "metro",
            "metrocode",
            "netspeed",
            "org",
            "postal",
            "postalcode",
            "region",
            "regionname",
            "timezone",
            "tz",
        ];
        let mut database = None;
        if self.peek(Want::WORD)?.is_word("db") {
            self.get(Want::WORD)?;
            database = Some(self.string()?);
        }
        let kind = match self.word_of(&KINDS)? {
            Value::Word(_, typed) => typed,
            _ => return Err(UNEXPECTED_TOKEN),
        };
        Ok(AclSubject::Geoip { database, kind, search: self.string()? })
    }

    // The rest.

    fn port_range(&mut self) -> Parsed<Value> {
        if matches!(self.peek(Want::C_NUMBER)?.kind, Kind::Number(_)) {
            return Ok(Value::Integer(self.small_port()?));
        }
        if !self.get(Want::WORD)?.is_word("range") {
            return Err(self.fail(About::Near, "expected integer or 'range'"));
        }
        let (low, high) = (self.small_port()?, self.small_port()?);
        if low > high {
            let text = format!("low port '{low}' must not be larger than high port '{high}'");
            return Err(self.fail(About::Nothing, &text));
        }
        Ok(Value::Ports(low, high))
    }

    fn small_port(&mut self) -> Parsed<u32> {
        let number = self.integer()?;
        if number > u32::from(u16::MAX) {
            return Err(self.fail(About::Near, "invalid port"));
        }
        Ok(number)
    }

    /// BIND: the one key of a `server` may stand in braces.
    fn server_key(&mut self, out: &mut Vec<Located>) -> Parsed<()> {
        let is_braced = self.peek(Want::WORD)?.is(b'{');
        if is_braced {
            self.get(Want::WORD)?;
        }
        let key = self.string()?;
        self.push(Value::Text(key), out);
        if !is_braced {
            return Ok(());
        }
        if self.peek(Want::WORD)?.is(b';') {
            self.get(Want::WORD)?;
        }
        self.special(b'}')
    }

    fn rr_types(&mut self) -> Parsed<Value> {
        let mut types = Vec::new();
        while !self.peek(Want::WORD)?.is(b';') {
            let name = self.string()?;
            self.push(Value::Text(name), &mut types);
        }
        Ok(Value::Spaced(types))
    }

    /// The middle of a rule of `update-policy`: how it matches, and a name unless it is `zonesub`.
    fn match_rule(&mut self, out: &mut Vec<Located>) -> Parsed<()> {
        const RULES: [&str; 18] = [
            "6to4-self",
            "external",
            "krb5-self",
            "krb5-selfsub",
            "krb5-subdomain",
            "krb5-subdomain-self-rhs",
            "ms-self",
            "ms-selfsub",
            "ms-subdomain",
            "ms-subdomain-self-rhs",
            "name",
            "self",
            "selfsub",
            "selfwild",
            "subdomain",
            "tcp-self",
            "wildcard",
            "zonesub",
        ];
        let rule = self.word_of(&RULES)?;
        let has_name = !matches!(rule, Value::Word("zonesub", _));
        self.push(rule, out);
        if has_name {
            let name = self.string()?;
            self.push(Value::Text(name), out);
        }
        Ok(())
    }

    fn rpz_policy(&mut self, out: &mut Vec<Located>) -> Parsed<()> {
        const POLICIES: [&str; 9] =
            ["cname", "disabled", "drop", "given", "no-op", "nodata", "nxdomain", "passthru", "tcp-only"];
        let policy = self.word_of(&POLICIES)?;
        let has_name = matches!(policy, Value::Word("cname", _));
        self.push(policy, out);
        if has_name {
            let name = self.string()?;
            self.push(Value::Text(name), out);
        }
        Ok(())
    }

    fn log_severity(&mut self, out: &mut Vec<Located>) -> Parsed<()> {
        const LEVELS: [&str; 6] = ["critical", "error", "warning", "notice", "info", "dynamic"];
        if !self.peek(Want::WORD)?.is_word("debug") {
            let level = self.word_of(&LEVELS)?;
            self.push(level, out);
            return Ok(());
        }
        self.get(Want::WORD)?;
        self.push(Value::Label("debug"), out);
        let level = match self.peek(Want::NUMBER)?.kind {
            Kind::Number(_) => self.integer()?,
            _ => 1,
        };
        self.push(Value::Integer(level), out);
        Ok(())
    }

    /// BIND: a word that is none of the three is passed over without a word.
    fn log_file(&mut self, out: &mut Vec<Located>) -> Parsed<()> {
        let name = self.quoted_string()?;
        self.push(Value::Quoted(name), out);
        let mut found: [Option<Vec<Located>>; 3] = [None, None, None];
        while self.peek(Want::WORD)?.kind == Kind::Word {
            let word = self.get(Want::WORD)?.text.to_ascii_lowercase();
            if !self.file_limit(&word, ["versions", "size", "suffix"], true, &mut found)? {
                break;
            }
        }
        out.extend(found.into_iter().flatten().flatten());
        Ok(())
    }

    fn dnstap_output(&mut self, out: &mut Vec<Located>) -> Parsed<()> {
        let mut head = Vec::new();
        let mode = self.word_of(&["file", "unix"])?;
        self.push(mode, &mut head);
        let name = self.quoted_string()?;
        self.push(Value::Quoted(name), &mut head);
        self.push(Value::Joined(head), out);
        let mut found: [Option<Vec<Located>>; 3] = [None, None, None];
        while self.peek(Want::WORD)?.kind == Kind::Word {
            let word = self.get(Want::WORD)?.text.to_ascii_lowercase();
            if !self.file_limit(&word, ["size", "versions", "suffix"], false, &mut found)? {
                return Err(self.fail(About::Near, "unexpected token"));
            }
        }
        out.extend(found.into_iter().flatten().flatten());
        Ok(())
    }

    /// Reads the value of `versions`, `size` or `suffix`; false if the word is none of these, or comes again.
    fn file_limit(
        &mut self,
        word: &str,
        order: [&'static str; 3],
        default_size: bool,
        found: &mut [Option<Vec<Located>>; 3],
    ) -> Parsed<bool> {
        let Some(place) = order.iter().position(|label| *label == word) else { return Ok(false) };
        let Some(slot) = found.get_mut(place).filter(|slot| slot.is_none()) else { return Ok(false) };
        let mut values = Vec::new();
        self.push(Value::Label(order[place]), &mut values);
        use super::grammar::Syntax;
        let syntax = match order[place] {
            "versions" => Syntax::WordsOr(vec!["unlimited"], Leaf::Integer),
            "suffix" => Syntax::Words(vec!["increment", "timestamp"]),
            _ if default_size => Syntax::WordsOr(vec!["default", "unlimited"], Leaf::Size),
            _ => Syntax::WordsOr(vec!["unlimited"], Leaf::Size),
        };
        self.sequence(std::slice::from_ref(&syntax), &mut values)?;
        *slot = Some(values);
        Ok(true)
    }
}
