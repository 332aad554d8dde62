//! The statements of dnstap: which messages are copied, and where to.

use super::logging::{self, LogFile};
use super::tree::{Entry, Map};
use super::values::{Located, Value};
use std::path::PathBuf;

/// `dnstap` and its companions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dnstap {
    /// Which messages.
    pub wanted: Wanted,
    /// Where to.
    pub output: Output,
    /// Who is told to have sent them: `None` = the host name, `Some(None)` = nobody.
    pub identity: Option<Option<String>>,
    /// With which version: `None` = the server's, `Some(None)` = nothing is told.
    pub version: Option<Option<String>>,
}

/// `dnstap-output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A file, as written: relative to the working directory.
    File(LogFile),
    /// A socket that somebody listens on.
    Unix(PathBuf),
}

/// Which messages are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Queries, and responses to those without RD.
    pub auth: Directions,
    /// Responses to queries with RD.
    pub client: Directions,
    /// Updates.
    pub update: Directions,
}

/// Requests, responses or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    query: bool,
    response: bool,
}

/// Request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Request.
    Query,
    /// Response.
    Response,
}

impl Directions {
    /// Whether this one is wanted.
    pub fn includes(self, direction: Direction) -> bool {
        match direction {
            Direction::Query => self.query,
            Direction::Response => self.response,
        }
    }
}

/// Reads the statements; `None` if nothing is wanted.
pub(super) fn dnstap(options: &Map) -> Option<Dnstap> {
    let wanted = wanted(options.get("dnstap")?.list());
    let entry = options.get("dnstap-output")?;
    let (mode, path) = match entry.value() {
        Some(Value::Joined(values)) => (values.first()?.text()?, values.get(1)?.text()?),
        _ => return None,
    };
    let output = match mode {
        "unix" => Output::Unix(path.into()),
        _ => Output::File(logging::limits(entry, path.into())),
    };
    let text = |name: &str| options.get(name).map(Entry::value);
    let identity = match text("dnstap-identity") {
        Some(Some(Value::Quoted(text))) => Some(Some(text.clone())),
        Some(Some(Value::Word("none", _))) => Some(None),
        _ => None,
    };
    let version = text("dnstap-version").map(|value| match value {
        Some(Value::Quoted(text)) => Some(text.clone()),
        _ => None,
    });
    Some(Dnstap { wanted, output, identity, version })
}

fn wanted(elements: &[Vec<Located>]) -> Wanted {
    let mut wanted = Wanted::default();
    for element in elements {
        let direction = element.get(1).and_then(Located::text);
        let directions =
            Directions { query: direction != Some("response"), response: direction != Some("query") };
        let add = |to: &mut Directions| {
            to.query |= directions.query;
            to.response |= directions.response;
        };
        match element.first().and_then(Located::text) {
            Some("all") => {
                [&mut wanted.auth, &mut wanted.client, &mut wanted.update].map(add).into_iter().collect()
            }
            Some("auth") => add(&mut wanted.auth),
            Some("client") => add(&mut wanted.client),
            Some("update") => add(&mut wanted.update),
            // Of resolvers and forwarders.
            _ => {}
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;
    use crate::config::logging::{Suffix, Versions};

    #[test]
    fn the_statements_are_read() {
        let read = |text: &str| {
            let text = format!("options {{ {text} }};");
            let (config, found) = load_text("named.conf", text.as_bytes()).expect("a good configuration");
            assert!(found.is_empty(), "{found:?}");
            config.options.dnstap
        };
        let both = Directions { query: true, response: true };
        let query = Directions { query: true, response: false };
        let response = Directions { query: false, response: true };
        let file = |versions, bytes_max| {
            Output::File(LogFile { path: "tap".into(), versions, bytes_max, suffix: Suffix::Increment })
        };
        assert_eq!(read(""), None);
        assert_eq!(
            read(
                "dnstap { auth; update response; resolver; }; dnstap-output file \"tap\" size 1m versions 3;"
            ),
            Some(Dnstap {
                wanted: Wanted { auth: both, update: response, ..Wanted::default() },
                output: file(Versions::Keep(3), Some(1 << 20)),
                identity: None,
                version: None,
            })
        );
        assert_eq!(
            read(
                "dnstap { all query; }; dnstap-output unix \"s\"; dnstap-identity none; dnstap-version \"v\";"
            ),
            Some(Dnstap {
                wanted: Wanted { auth: query, client: query, update: query },
                output: Output::Unix("s".into()),
                identity: Some(None),
                version: Some(Some("v".into())),
            })
        );
        let named = read(
            "dnstap { client; }; dnstap-output file \"tap\"; dnstap-identity \"me\"; dnstap-version none;",
        );
        assert_eq!(
            named,
            Some(Dnstap {
                wanted: Wanted { client: both, ..Wanted::default() },
                output: file(Versions::Never, None),
                identity: Some(Some("me".into())),
                version: Some(None),
            })
        );
    }
}
