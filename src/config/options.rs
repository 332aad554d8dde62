//! The values of `options`, and those that a zone takes from it.

use super::acl::MatchList;
use super::connections;
use super::definitions::Definitions;
use super::diagnostic::Severity;
use super::model::{
    CookieSecret, FileFormat, Identity, IxfrRatio, JournalSize, ListenOn, MinimalResponses, Notify,
    NotifyTarget, Options, RateLimit, ResponsePadding, TransferFormat, TransferOver, TransferTransport,
};
use super::resolve::Findings;
use super::tls::TlsStatements;
use super::tree::{Entry, Map};
use super::values::{Located, Value};
use data_encoding::HEXLOWER_PERMISSIVE;
use std::path::PathBuf;

/// What BIND says of a port in `options` that is too big.
const PORT: &str = "port '{}' out of range";
/// The same for `listen-on`.
const PORT_VALUE: &str = "port value '{}' is out of range";
/// UDP sizes are forced into this range, as BIND does.
const UDP_SIZES: std::ops::RangeInclusive<u32> = 512..=4096;
/// The least of `nocookie-udp-size`.
const NOCOOKIE_UDP_SIZE_MIN: u32 = 128;
/// The most of `block-size`.
const PADDING_BLOCK_BYTES_MAX: u32 = 512;

/// Most accounts of `rate-limit`: 64 megabytes.
const RATE_LIMIT_ACCOUNTS_MAX: u32 = 1 << 22;

/// Where a zone takes what it does not say itself.
pub(super) struct Defaults<'a> {
    /// The statements of `options`.
    pub(super) options: &'a Map,
    /// The port that NOTIFY goes to.
    pub(super) port: u16,
}

/// Reads what is the server's own.
pub(super) fn server(
    map: &Map,
    tls: &TlsStatements,
    definitions: &mut Definitions<'_>,
    findings: &mut Findings<'_>,
) -> Options {
    let mut options = Options {
        directory: map.get("directory").and_then(Entry::text).map(PathBuf::from),
        listen_on_v6: listen_on(map, "listen-on-v6", tls, definitions, findings),
        listen_on: listen_on(map, "listen-on", tls, definitions, findings),
        ..Options::default()
    };
    if let Some(port) = map.get("port") {
        options.port = findings.port(port.values.first(), PORT).unwrap_or(options.port);
    }
    if let Some(port) = map.get("tls-port") {
        options.tls_port = findings.port(port.values.first(), PORT).unwrap_or(options.tls_port);
    }
    if let Some(entry) = map.get("pid-file") {
        options.pid_file = match entry.value() {
            Some(Value::Quoted(path)) => Some(PathBuf::from(path)),
            _ => None,
        };
    }
    if let Some(entry) = map.get("minimal-responses") {
        options.minimal_responses = minimal_responses(entry);
    }
    options.minimal_any = map.boolean("minimal-any").unwrap_or(false);
    if let Some(items) = map.get("allow-query").and_then(Entry::match_list) {
        options.allow_query = definitions.match_list(items, findings);
    }
    for (name, list) in
        [("allow-query-on", &mut options.allow_query_on), ("blackhole", &mut options.blackhole)]
    {
        if let Some(items) = map.get(name).and_then(Entry::match_list) {
            *list = definitions.match_list(items, findings);
        }
    }
    options.rate_limit =
        map.get("rate-limit").and_then(Entry::map).map(|map| rate_limit(map, definitions, findings));
    options.automatic_interface_scan = map.boolean("automatic-interface-scan").unwrap_or(true);
    if let Some(interval) = map.get("interface-interval").and_then(|entry| entry.values.first()?.duration()) {
        options.interface_interval_secs = interval;
    }
    if map.get("transfer-format").and_then(Entry::text) == Some("one-answer") {
        options.transfer_format = TransferFormat::OneAnswer;
    }
    for (name, size) in
        [("max-udp-size", &mut options.max_udp_size), ("edns-udp-size", &mut options.edns_udp_size)]
    {
        if let Some(octets) = map.get(name).and_then(Entry::integer) {
            *size = octets.clamp(*UDP_SIZES.start(), *UDP_SIZES.end()) as u16;
        }
    }
    connections::read(map, &mut options, findings);
    cookies(map, &mut options, findings);
    if let Some(entry) = map.get("response-padding") {
        options.response_padding = Some(response_padding(entry, definitions, findings));
    }
    for (name, identity) in [
        ("server-id", &mut options.server_id),
        ("hostname", &mut options.hostname),
        ("version", &mut options.version),
    ] {
        if let Some(entry) = map.get(name) {
            *identity = read_identity(entry);
        }
    }
    if let Some(entry) = map.get("recursion").filter(|entry| entry.boolean() == Some(true)) {
        let text =
            "recursion is not implemented: only the zones of this configuration are answered".to_owned();
        findings.say(Severity::Warning, &entry.position, text);
    }
    options
}

/// `rate-limit`, whose ranges have been checked.
fn rate_limit(map: &Map, definitions: &mut Definitions<'_>, findings: &mut Findings<'_>) -> RateLimit {
    let number = |name: &str| map.get(name).and_then(Entry::integer);
    let mut limit = RateLimit::with_rate(number("responses-per-second").unwrap_or(0));
    for (name, field) in [
        ("referrals-per-second", &mut limit.referrals_per_sec),
        ("nodata-per-second", &mut limit.nodata_per_sec),
        ("nxdomains-per-second", &mut limit.nxdomains_per_sec),
        ("errors-per-second", &mut limit.errors_per_sec),
        ("all-per-second", &mut limit.all_per_sec),
        ("window", &mut limit.window_secs),
        ("slip", &mut limit.slip),
        ("qps-scale", &mut limit.qps_scale),
    ] {
        *field = number(name).unwrap_or(*field);
    }
    for (name, field) in [
        ("ipv4-prefix-length", &mut limit.ipv4_prefix_bits),
        ("ipv6-prefix-length", &mut limit.ipv6_prefix_bits),
    ] {
        *field = number(name).and_then(|bits| u8::try_from(bits).ok()).unwrap_or(*field);
    }
    // BIND: a table that starts larger than this may stay so.
    let least = number("min-table-size").unwrap_or(0);
    let most = number("max-table-size").unwrap_or(limit.accounts_max.max(least));
    limit.accounts_max = most.clamp(1, RATE_LIMIT_ACCOUNTS_MAX);
    limit.log_only = map.boolean("log-only").unwrap_or(false);
    if let Some(items) = map.get("exempt-clients").and_then(Entry::match_list) {
        limit.exempt_clients = definitions.match_list(items, findings);
    }
    limit
}

fn listen_on(
    map: &Map,
    name: &str,
    tls: &TlsStatements,
    definitions: &mut Definitions<'_>,
    findings: &mut Findings<'_>,
) -> Vec<ListenOn> {
    let mut statements = Vec::new();
    for entry in map.all(name) {
        if entry.behind("http").is_some() {
            findings.error(&entry.position, format!("option '{name} http' is not yet supported"));
        }
        let tls = tls.named(entry.behind("tls"));
        let port = findings.port(entry.behind("port"), PORT_VALUE);
        let addresses = definitions.match_list(entry.match_list().unwrap_or_default(), findings);
        statements.push(ListenOn { port, tls, addresses });
    }
    if statements.is_empty() {
        statements.push(ListenOn { port: None, tls: None, addresses: MatchList::any() });
    }
    statements
}

/// `answer-cookie` and whatever else is about cookies; that secrets have 16 octets is checked elsewhere.
fn cookies(map: &Map, options: &mut Options, findings: &mut Findings<'_>) {
    if let Some(entry) = map.get("cookie-algorithm").filter(|entry| entry.text() == Some("aes")) {
        findings.error(&entry.position, "option 'cookie-algorithm aes' is not supported".to_owned());
    }
    let octets = |entry: &Entry| {
        let digits: Vec<u8> = entry.text()?.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect();
        Some(CookieSecret(HEXLOWER_PERMISSIVE.decode(&digits).ok()?.try_into().ok()?))
    };
    options.cookie_secrets = map.all("cookie-secret").filter_map(octets).collect();
    options.answer_cookie = map.boolean("answer-cookie").unwrap_or(true);
    options.require_server_cookie = map.boolean("require-server-cookie").unwrap_or(false);
    if let Some(octets) = map.get("nocookie-udp-size").and_then(Entry::integer) {
        // BIND: at least 128; more than max-udp-size has no effect.
        options.nocookie_udp_size = octets.clamp(NOCOOKIE_UDP_SIZE_MIN, *UDP_SIZES.end()) as u16;
    }
}

fn response_padding(
    entry: &Entry,
    definitions: &mut Definitions<'_>,
    findings: &mut Findings<'_>,
) -> ResponsePadding {
    let clients = definitions.match_list(entry.match_list().unwrap_or_default(), findings);
    let block = entry.behind("block-size").and_then(Located::integer).unwrap_or(0);
    if block > PADDING_BLOCK_BYTES_MAX {
        let text = "response-padding block-size cannot exceed 512: lowering".to_owned();
        findings.say(Severity::Warning, &entry.position, text);
    }
    ResponsePadding { clients, block_bytes: block.min(PADDING_BLOCK_BYTES_MAX) as u16 }
}

fn minimal_responses(entry: &Entry) -> MinimalResponses {
    match (entry.boolean(), entry.text()) {
        (Some(true), _) => MinimalResponses::Yes,
        (Some(false), _) => MinimalResponses::No,
        (None, Some("no-auth")) => MinimalResponses::NoAuth,
        (None, _) => MinimalResponses::NoAuthRecursive,
    }
}

fn read_identity(entry: &Entry) -> Identity {
    match entry.value() {
        Some(Value::Quoted(text)) => Identity::Text(text.clone()),
        Some(Value::Word("hostname", _)) => Identity::Hostname,
        _ => Identity::None,
    }
}

/// The values of one zone: its own statements first, then those of `options`, then BIND's defaults.
pub(super) struct ZoneValues {
    pub(super) file_format: FileFormat,
    pub(super) allow_query: MatchList,
    pub(super) allow_query_on: MatchList,
    pub(super) allow_transfer: MatchList,
    pub(super) transfer_over: TransferOver,
    pub(super) allow_update: MatchList,
    pub(super) also_notify: Vec<NotifyTarget>,
    pub(super) notify: Notify,
    pub(super) notify_delay_secs: u32,
    pub(super) max_journal_size: JournalSize,
    pub(super) max_ixfr_ratio: IxfrRatio,
}

impl ZoneValues {
    pub(super) fn read(
        zone: &Map,
        defaults: &Defaults<'_>,
        definitions: &mut Definitions<'_>,
        findings: &mut Findings<'_>,
    ) -> ZoneValues {
        let statement = |name: &str| zone.get(name).or_else(|| defaults.options.get(name));
        let mut list = |name: &str, default: fn() -> MatchList, findings: &mut Findings<'_>| {
            let items = statement(name).and_then(Entry::match_list);
            items.map_or_else(default, |items| definitions.match_list(items, findings))
        };
        let allow_query = list("allow-query", MatchList::any, findings);
        let allow_query_on = list("allow-query-on", MatchList::any, findings);
        let allow_transfer = list("allow-transfer", MatchList::any, findings);
        let allow_update = list("allow-update", MatchList::none, findings);
        let transfer_over = statement("allow-transfer")
            .map_or_else(TransferOver::default, |entry| transfer_over(entry, findings));
        let also_notify = statement("also-notify")
            .map(|entry| definitions.notify_targets(entry, defaults.port, findings))
            .unwrap_or_default();
        let is_raw = statement("masterfile-format").and_then(Entry::text) == Some("raw");
        ZoneValues {
            file_format: if is_raw { FileFormat::Raw } else { FileFormat::Text },
            allow_query,
            allow_query_on,
            allow_transfer,
            transfer_over,
            allow_update,
            also_notify,
            notify: statement("notify").map_or(Notify::Yes, notify),
            notify_delay_secs: statement("notify-delay").and_then(Entry::integer).unwrap_or(5),
            max_journal_size: statement("max-journal-size").map_or(JournalSize::Default, journal_size),
            max_ixfr_ratio: statement("max-ixfr-ratio").map_or(IxfrRatio::Percent(100), ixfr_ratio),
        }
    }
}

/// Checks what `options` says for zones even if there is no zone to take it.
pub(super) fn check_defaults(
    defaults: &Defaults<'_>,
    definitions: &mut Definitions<'_>,
    findings: &mut Findings<'_>,
) {
    ZoneValues::read(&Map::empty(), defaults, definitions, findings);
}

fn transfer_over(entry: &Entry, findings: &mut Findings<'_>) -> TransferOver {
    let is = |text: &str, name: &str| text.eq_ignore_ascii_case(name);
    let transport = match entry.behind("transport").and_then(Located::text) {
        Some(text) if is(text, "tls") => Some(TransferTransport::Tls),
        Some(_) => Some(TransferTransport::Tcp),
        None => None,
    };
    // BIND: port 0 is any port.
    let port = findings.port(entry.behind("port"), PORT_VALUE).filter(|port| *port != 0);
    TransferOver { port, transport }
}

fn notify(entry: &Entry) -> Notify {
    match (entry.boolean(), entry.text()) {
        (Some(true), _) => Notify::Yes,
        (Some(false), _) => Notify::No,
        (None, Some("explicit")) => Notify::Explicit,
        (None, _) => Notify::PrimaryOnly,
    }
}

fn journal_size(entry: &Entry) -> JournalSize {
    match entry.value() {
        Some(Value::Size(bytes)) => JournalSize::Bytes(*bytes),
        Some(Value::Word("unlimited", _)) => JournalSize::Unlimited,
        _ => JournalSize::Default,
    }
}

fn ixfr_ratio(entry: &Entry) -> IxfrRatio {
    match entry.value() {
        Some(Value::Percentage(percent)) => IxfrRatio::Percent(*percent),
        _ => IxfrRatio::Unlimited,
    }
}
