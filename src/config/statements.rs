//! What a statement is: where it may stand, how it is written, what this server does about it.
//!
//! The rows are in [`super::statement_table`]; a statement without a row is an error, and one that is not
//! implemented gets a warning. Nothing is ever skipped without a word.

use super::grammar::{Syntax, compile};
use super::statement_table::STATEMENTS;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What is done with a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It does what trimaran.conf(5) says.
    Implemented,
    /// Its syntax is checked; a warning says that it does nothing.
    Ignored,
    /// The same, and BIND has deprecated it.
    Deprecated,
    /// The same, and BIND ignores it too.
    Obsolete,
    /// An error: to ignore it would let in whom it keeps out, or leave unserved what it serves.
    Unsupported,
    /// An error: BIND has removed it.
    Gone,
    /// An error: BIND knows it, but Debian's is built without it.
    NotBuilt,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The keyword.
    pub name: &'static str,
    /// Where it may stand: a union of the constants of this module.
    places: u32,
    /// What is done with it.
    pub treatment: Treatment,
    /// How it is written.
    pub notation: &'static str,
    /// Whether it may be repeated.
    pub repeats: bool,
}

macro_rules! contexts {
    ($($variant:ident $name:literal $places:expr,)*) => {
        /// What a block of statements belongs to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Context { $($variant,)* }

        impl Context {
            /// The context that the notation calls `@name`; panics if there is none: a test reads every row.
            pub(super) fn named(name: &str) -> Context {
                match name {
                    $($name => Context::$variant,)*
                    _ => panic!("@{name} is no context"),
                }
            }

            fn places(self) -> u32 {
                match self { $(Context::$variant => $places,)* }
            }
        }
    };
}

contexts! {
    Top "top" TOP,
    Options "options" OPTIONS,
    View "view" VIEW,
    Zone "zone" ANY_ZONE | IN_VIEW,
    Key "key" KEY,
    Logging "logging" LOGGING,
    Channel "channel" CHANNEL,
    Controls "controls" CONTROLS,
    Statistics "statistics-channels" STATISTICS,
    Server "server" SERVER,
    Tls "tls" TLS,
    Http "http" HTTP,
    Dlz "dlz" DLZ,
    Dns64 "dns64" DNS64,
    RateLimit "rate-limit" RATE_LIMIT,
    DnssecPolicy "dnssec-policy" DNSSEC_POLICY,
    Cluster "cluster" CLUSTER,
    ClusterTls "cluster-tls" CLUSTER_TLS,
}

pub(super) const TOP: u32 = 1;
pub(super) const OPTIONS: u32 = 1 << 1;
pub(super) const VIEW: u32 = 1 << 2;
pub(super) const PRIMARY: u32 = 1 << 3;
pub(super) const SECONDARY: u32 = 1 << 4;
pub(super) const MIRROR: u32 = 1 << 5;
pub(super) const HINT: u32 = 1 << 6;
pub(super) const STUB: u32 = 1 << 7;
pub(super) const STATIC_STUB: u32 = 1 << 8;
pub(super) const FORWARD: u32 = 1 << 9;
pub(super) const REDIRECT: u32 = 1 << 10;
pub(super) const DELEGATION_ONLY: u32 = 1 << 11;
pub(super) const ANY_ZONE: u32 =
    PRIMARY | SECONDARY | MIRROR | HINT | STUB | STATIC_STUB | FORWARD | REDIRECT | DELEGATION_ONLY;
pub(super) const IN_VIEW: u32 = 1 << 26;
pub(super) const KEY: u32 = 1 << 12;
pub(super) const LOGGING: u32 = 1 << 13;
pub(super) const CHANNEL: u32 = 1 << 14;
pub(super) const CONTROLS: u32 = 1 << 15;
pub(super) const STATISTICS: u32 = 1 << 16;
pub(super) const SERVER: u32 = 1 << 17;
pub(super) const TLS: u32 = 1 << 18;
pub(super) const HTTP: u32 = 1 << 19;
pub(super) const DLZ: u32 = 1 << 20;
pub(super) const DNS64: u32 = 1 << 21;
pub(super) const RATE_LIMIT: u32 = 1 << 22;
pub(super) const DNSSEC_POLICY: u32 = 1 << 23;
pub(super) const CLUSTER: u32 = 1 << 24;
pub(super) const CLUSTER_TLS: u32 = 1 << 25;

impl Row {
    pub(super) const fn many(mut self) -> Row {
        self.repeats = true;
        self
    }

    /// Whether it may stand outside the blocks of other statements than `options`, `view` and `zone`.
    pub fn is_outermost(&self) -> bool {
        self.places & (TOP | OPTIONS | VIEW | ANY_ZONE | IN_VIEW) != 0
    }

    /// Whether it may stand in a block of this name (`options`, `zone`, ...); `top` is what is in no block. Panics
    /// if there is no such block.
    pub fn stands_in(&self, block: &str) -> bool {
        self.places & Context::named(block).places() != 0
    }

    /// Whether the statement may stand in such a zone: one of the constants of this module.
    pub(super) fn is_allowed_in(&self, zone_type: u32) -> bool {
        self.places & zone_type != 0
    }

    /// The key that sorts statements of one block as BIND prints them: table by table.
    pub(super) fn print_order(&self, context: Context) -> (u8, usize, &'static str) {
        let is = |place: u32| self.places & place != 0;
        let group = match () {
            () if !matches!(context, Context::Top | Context::Options | Context::View | Context::Zone) => 1,
            () if !is(VIEW) || !is(TOP | OPTIONS) => 1,
            () if is(TOP) => 2,
            () if !is(ANY_ZONE) => 3,
            () => 4,
        };
        let listed = PRINTED_OUT_OF_ORDER.iter().find(|(place, _)| place & context.places() != 0);
        let rank = listed.and_then(|(_, names)| names.iter().position(|name| *name == self.name));
        let stand_in = PRINTED_ELSEWHERE.iter().find(|(name, _)| *name == self.name);
        (group, rank.unwrap_or(usize::MAX), stand_in.map_or(self.name, |(_, place)| place))
    }
}

/// Single statements that BIND's tables do not have in alphabetical order: what is printed in the place of what.
const PRINTED_ELSEWHERE: &[(&str, &str)] = &[
    ("dnskey-sig-validity", "sig-validity-interval."),
    ("dnstap-output", "dnstap-"),
    ("http-listener-clients", "port.3"),
    ("http-port", "port.2"),
    ("http-streams-per-connection", "port.4"),
    ("https-port", "port.5"),
    ("ipv4only-enable", "ipv4only-"),
    ("max-query-count", "max-recursion-queries.1"),
    ("max-query-restarts", "max-recursion-queries.2"),
    ("max-types-per-name", "max-records-per-type."),
    ("reuseport", "reserved-"),
    ("stale-answer-enable", "stale-answer-"),
    ("tls-port", "port.1"),
    ("v6-bias", "validate-except."),
];

/// Blocks whose statements BIND's tables do not have in alphabetical order: those that come before the others.
const PRINTED_OUT_OF_ORDER: &[(u32, &[&str])] = &[
    (ANY_ZONE, &["type"]),
    (LOGGING, &["channel", "category"]),
    (TLS, &["key-file", "cert-file", "ca-file", "remote-hostname"]),
    (
        CHANNEL,
        &[
            "file",
            "syslog",
            "null",
            "stderr",
            "severity",
            "print-time",
            "print-severity",
            "print-category",
            "buffered",
        ],
    ),
];

const fn row(name: &'static str, places: u32, treatment: Treatment, notation: &'static str) -> Row {
    Row { name, places, treatment, notation, repeats: false }
}

pub(super) const fn implemented(name: &'static str, places: u32, notation: &'static str) -> Row {
    row(name, places, Treatment::Implemented, notation)
}

pub(super) const fn ignored(name: &'static str, places: u32, notation: &'static str) -> Row {
    row(name, places, Treatment::Ignored, notation)
}

pub(super) const fn deprecated(name: &'static str, places: u32, notation: &'static str) -> Row {
    row(name, places, Treatment::Deprecated, notation)
}

pub(super) const fn obsolete(name: &'static str, places: u32, notation: &'static str) -> Row {
    row(name, places, Treatment::Obsolete, notation)
}

pub(super) const fn unsupported(name: &'static str, places: u32, notation: &'static str) -> Row {
    row(name, places, Treatment::Unsupported, notation)
}

pub(super) const fn gone(name: &'static str, places: u32) -> Row {
    row(name, places, Treatment::Gone, "")
}

pub(super) const fn not_built(name: &'static str, places: u32) -> Row {
    row(name, places, Treatment::NotBuilt, "")
}

/// A row with its notation read.
pub(super) struct Compiled {
    pub(super) row: &'static Row,
    pub(super) syntax: Vec<Syntax>,
}

static COMPILED: LazyLock<HashMap<&'static str, Vec<Compiled>>> = LazyLock::new(|| {
    let mut by_name: HashMap<&'static str, Vec<Compiled>> = HashMap::new();
    for row in STATEMENTS {
        by_name.entry(row.name).or_default().push(Compiled { row, syntax: compile(row.notation) });
    }
    by_name
});

/// The statement with this keyword (in lower case) in this context.
pub(super) fn find(context: Context, keyword: &str) -> Option<&'static Compiled> {
    let rows = COMPILED.get(keyword)?;
    rows.iter().find(|compiled| compiled.row.places & context.places() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_read_and_no_place_has_a_name_twice() {
        for (at, row) in STATEMENTS.iter().enumerate() {
            compile(row.notation);
            for other in &STATEMENTS[at + 1..] {
                let both = row.places & other.places;
                assert!(row.name != other.name || both == 0, "{} stands twice", row.name);
            }
        }
    }

    #[test]
    fn every_place_of_a_row_is_a_context_that_can_find_it() {
        assert!(find(Context::Options, "allow-query").is_some());
        assert!(find(Context::Zone, "allow-query").is_some());
        assert!(find(Context::Top, "allow-query").is_none());
        let in_channel = find(Context::Channel, "file").unwrap();
        let in_zone = find(Context::Zone, "file").unwrap();
        assert_ne!(in_channel.row.notation, in_zone.row.notation);
    }
}
