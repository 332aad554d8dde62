//! The typed configuration: what the statements mean, with BIND 9.18's defaults filled in.
//!
//! Plain data. A zone carries every value it is served with: options it does not set itself were taken from
//! `options`, so that nobody has to know where a value came from.

use super::acl::MatchList;
use super::diagnostic::Position;
use super::dnstap::Dnstap;
use super::logging::Logging;
use crate::dns::{Class, Name, tsig};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A whole configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The `options` statement.
    pub options: Options,
    /// The TSIG keys, in the order of the file.
    pub keys: Vec<tsig::Key>,
    /// The zones to serve, in the order of the file.
    pub zones: Vec<ZoneConfig>,
    /// The `cluster` statement; without one this node is a cluster of one.
    pub cluster: Option<ClusterConfig>,
    /// The `logging` statement.
    pub logging: Option<Logging>,
    /// Where to serve the HTTP status.
    pub statistics_channels: Vec<StatisticsChannel>,
}

impl Config {
    /// A path of the configuration, completed by `directory`.
    pub fn path(&self, path: &Path) -> PathBuf {
        match &self.options.directory {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        }
    }
}

/// Server-wide values.
#[derive(Clone, Debug)]
pub struct Options {
    /// The working directory; relative paths are relative to it, and the state files live in it.
    pub directory: Option<PathBuf>,
    /// Which IPv4 addresses to listen on.
    pub listen_on: Vec<ListenOn>,
    /// Which IPv6 addresses to listen on.
    pub listen_on_v6: Vec<ListenOn>,
    /// The port where a `listen-on` names none. `named -p` overrides it.
    pub port: u16,
    /// The same for TLS.
    pub tls_port: u16,
    /// The file that holds the process id; `None` = none.
    pub pid_file: Option<PathBuf>,
    /// What a response leaves out.
    pub minimal_responses: MinimalResponses,
    /// Whether ANY over UDP gets one RRset.
    pub minimal_any: bool,
    /// Largest UDP response in octets, 512 to 4096.
    pub max_udp_size: u16,
    /// UDP buffer size in octets that EDNS announces, 512 to 4096.
    pub edns_udp_size: u16,
    /// Largest UDP response in octets to a client without a good cookie, from 128.
    pub nocookie_udp_size: u16,
    /// Whether cookies are answered (RFC 7873).
    pub answer_cookie: bool,
    /// What server cookies are made with: the first one signs, all verify. None: the server finds one by itself.
    pub cookie_secrets: Vec<CookieSecret>,
    /// Whether a query over UDP with a cookie needs a good one.
    pub require_server_cookie: bool,
    /// Who gets padded responses, where it is not left to the server.
    pub response_padding: Option<ResponsePadding>,
    /// Most TCP connections at once.
    pub tcp_clients: u32,
    /// How long a client may take for its first message over TCP, in tenths of a second.
    pub tcp_initial_timeout: u32,
    /// How long a TCP connection may be without a request, in tenths of a second.
    pub tcp_idle_timeout: u32,
    /// The same for a client that asked for edns-tcp-keepalive.
    pub tcp_keepalive_timeout: u32,
    /// What such a client is told, in tenths of a second.
    pub tcp_advertised_timeout: u32,
    /// TCP connections that may wait to be accepted.
    pub tcp_listen_queue: u32,
    /// Who may ask what the server tells about itself; zones have their own list.
    pub allow_query: MatchList,
    /// At which of this server's addresses; zones have their own list.
    pub allow_query_on: MatchList,
    /// Who gets no response to anything.
    pub blackhole: MatchList,
    /// How many responses a network gets in a second; `None` = as many as it likes.
    pub rate_limit: Option<RateLimit>,
    /// Whether to look for addresses when the kernel says that they have come or gone.
    pub automatic_interface_scan: bool,
    /// How often to look for addresses that have come or gone, in seconds; 0 = never.
    pub interface_interval_secs: u32,
    /// Whether each query is logged. BIND: `querylog`.
    pub query_log: bool,
    /// Which messages are copied to whom.
    pub dnstap: Option<Dnstap>,
    /// How many records a transfer message carries.
    pub transfer_format: TransferFormat,
    /// The NSID, and the answer to `id.server`.
    pub server_id: Identity,
    /// The answer to `hostname.bind`.
    pub hostname: Identity,
    /// The answer to `version.bind`.
    pub version: Identity,
}

impl Default for Options {
    /// BIND 9.18's defaults.
    fn default() -> Options {
        Options {
            directory: None,
            listen_on: vec![ListenOn { port: None, tls: None, addresses: MatchList::any() }],
            listen_on_v6: vec![ListenOn { port: None, tls: None, addresses: MatchList::any() }],
            port: 53,
            tls_port: 853,
            pid_file: Some(PathBuf::from("/run/named/named.pid")),
            minimal_responses: MinimalResponses::NoAuthRecursive,
            minimal_any: false,
            max_udp_size: 1232,
            edns_udp_size: 1232,
            nocookie_udp_size: 4096,
            answer_cookie: true,
            cookie_secrets: Vec::new(),
            require_server_cookie: false,
            response_padding: None,
            tcp_clients: 150,
            tcp_initial_timeout: 300,
            tcp_idle_timeout: 300,
            tcp_keepalive_timeout: 300,
            tcp_advertised_timeout: 300,
            tcp_listen_queue: 10,
            allow_query: MatchList::any(),
            allow_query_on: MatchList::any(),
            blackhole: MatchList::none(),
            rate_limit: None,
            automatic_interface_scan: true,
            interface_interval_secs: 3600,
            query_log: false,
            dnstap: None,
            transfer_format: TransferFormat::ManyAnswers,
            server_id: Identity::None,
            hostname: Identity::Default,
            version: Identity::Default,
        }
    }
}

/// `rate-limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Positive answers of one name and type; 0 = no limit, here and below.
    pub responses_per_sec: u32,
    /// Referrals to one zone.
    pub referrals_per_sec: u32,
    /// Answers that a name has no such records.
    pub nodata_per_sec: u32,
    /// Answers that one zone has no such name.
    pub nxdomains_per_sec: u32,
    /// Errors of any kind.
    pub errors_per_sec: u32,
    /// All responses together.
    pub all_per_sec: u32,
    /// For how many seconds a client that asks too much is remembered, 1 to 3600.
    pub window_secs: u32,
    /// One of how many limited responses is sent truncated, at most 10; 0 = none.
    pub slip: u32,
    /// Leading bits that make one client of IPv4 addresses, 8 to 32.
    pub ipv4_prefix_bits: u8,
    /// The same of IPv6 addresses, 16 to 64.
    pub ipv6_prefix_bits: u8,
    /// Queries a second from which on the limits are scaled down; 0 = never.
    pub qps_scale: u32,
    /// Most accounts at once.
    pub accounts_max: u32,
    /// Whether limits are logged only.
    pub log_only: bool,
    /// Who is not limited.
    pub exempt_clients: MatchList,
}

impl RateLimit {
    /// BIND's defaults, for so many responses of each kind a second.
    pub fn with_rate(responses_per_sec: u32) -> RateLimit {
        RateLimit {
            responses_per_sec,
            referrals_per_sec: responses_per_sec,
            nodata_per_sec: responses_per_sec,
            nxdomains_per_sec: responses_per_sec,
            errors_per_sec: responses_per_sec,
            all_per_sec: 0,
            window_secs: 15,
            slip: 2,
            ipv4_prefix_bits: 24,
            ipv6_prefix_bits: 56,
            qps_scale: 0,
            accounts_max: 20_000,
            log_only: false,
            exempt_clients: MatchList::none(),
        }
    }
}

/// One `listen-on` statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOn {
    /// The port; `None` = [`Options::port`], or [`Options::tls_port`] with TLS.
    pub port: Option<u16>,
    /// Whether connections begin with a TLS handshake, and how.
    pub tls: Option<Arc<Tls>>,
    /// Which of the machine's addresses.
    pub addresses: MatchList,
}

/// `cookie-secret`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieSecret(pub [u8; 16]);

impl fmt::Debug for CookieSecret {
    /// The secret stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret")
    }
}

/// `response-padding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponsePadding {
    /// Who gets padded responses.
    pub clients: MatchList,
    /// What their length becomes a multiple of; 0: no padding.
    pub block_bytes: u16,
}

/// One `tls` statement. The default is `tls ephemeral`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// A chain of certificates, the server's first, and the key of that, both in PEM; `None`: a key that is made at the
    /// start, and a certificate that only it signs.
    pub certificate_and_key: Option<(PathBuf, PathBuf)>,
    /// Certificates of which a client must have one, or one that they have signed; `None`: clients need none.
    pub client_ca_file: Option<PathBuf>,
    /// Whether TLS 1.2 is spoken.
    pub allows_tls12: bool,
    /// Whether TLS 1.3 is spoken.
    pub allows_tls13: bool,
    /// The ciphers of TLS 1.2, as OpenSSL writes them; `None`: all there are.
    pub ciphers: Option<String>,
    /// Whether the server's order of ciphers counts.
    pub prefers_own_ciphers: bool,
    /// Whether sessions can be resumed.
    pub gives_tickets: bool,
    /// Where it is said, if it is.
    pub position: Option<Position>,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            certificate_and_key: None,
            client_ca_file: None,
            allows_tls12: true,
            allows_tls13: true,
            ciphers: None,
            prefers_own_ciphers: false,
            gives_tickets: true,
            position: None,
        }
    }
}

/// How a transfer must be asked for: the `port` and `transport` of `allow-transfer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferOver {
    /// At this port of the server.
    pub port: Option<u16>,
    /// Over this.
    pub transport: Option<TransferTransport>,
}

/// What a transfer may be limited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferTransport {
    /// Plain TCP.
    Tcp,
    /// TLS.
    Tls,
}

/// A text the server tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Nothing is told.
    None,
    /// What the server would say by itself: its host name, its version.
    Default,
    /// `hostname`: the host name of the machine.
    Hostname,
    /// This text.
    Text(String),
}

/// `minimal-responses`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinimalResponses {
    /// Never leave out what the zone can add.
    No,
    /// Authority and additional data only where the protocol needs them.
    Yes,
    /// No authority section that is not needed.
    NoAuth,
    /// The same, for queries with the RD bit only.
    NoAuthRecursive,
}

/// `transfer-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferFormat {
    /// As many records per message as fit.
    ManyAnswers,
    /// One record per message, for very old secondaries.
    OneAnswer,
}

/// `notify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notify {
    /// No NOTIFY.
    No,
    /// To the NS targets (the SOA MNAME left out) and `also-notify`.
    Yes,
    /// To `also-notify` only.
    Explicit,
    /// As [`Notify::Yes`], for zones this server is primary of.
    PrimaryOnly,
}

/// `max-journal-size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalSize {
    /// What the server keeps of a zone by itself.
    Default,
    /// No limit but the server's own.
    Unlimited,
    /// This many bytes.
    Bytes(u64),
}

/// `max-ixfr-ratio`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IxfrRatio {
    /// An incremental transfer of any size.
    Unlimited,
    /// At most this part of the zone's size, in percent; beyond, the whole zone is sent.
    Percent(u32),
}

/// A kind of zone that this server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneKind {
    /// Its data originate here.
    Primary,
}

/// One `zone` statement.
#[derive(Clone, Debug)]
pub struct ZoneConfig {
    /// The apex.
    pub name: Name,
    /// The class; always IN for a zone that is served.
    pub class: Class,
    /// The kind.
    pub kind: ZoneKind,
    /// The zone file, as written: relative to [`Options::directory`].
    pub file: PathBuf,
    /// What the file is written in.
    pub file_format: FileFormat,
    /// Who may ask.
    pub allow_query: MatchList,
    /// At which of this server's addresses.
    pub allow_query_on: MatchList,
    /// Who may transfer the zone.
    pub allow_transfer: MatchList,
    /// How they must ask for it.
    pub transfer_over: TransferOver,
    /// Who may update the zone.
    pub allow_update: MatchList,
    /// Who else to notify.
    pub also_notify: Vec<NotifyTarget>,
    /// Whom to notify.
    pub notify: Notify,
    /// How long to collect changes before a NOTIFY, in seconds.
    pub notify_delay_secs: u32,
    /// How much history to keep.
    pub max_journal_size: JournalSize,
    /// When a whole transfer is better than an incremental one.
    pub max_ixfr_ratio: IxfrRatio,
    /// What is promised to those who update it and ask for it.
    pub serving: ZoneServing,
    /// Where the statement is.
    pub position: Position,
}

/// `masterfile-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// A master file.
    Text,
    /// BIND's binary format.
    Raw,
}

/// One address of `also-notify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyTarget {
    /// Where to.
    pub address: SocketAddr,
    /// The key to sign with.
    pub key: Option<Name>,
}

/// One `inet` of `statistics-channels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsChannel {
    /// Where to listen.
    pub address: SocketAddr,
    /// Who may connect.
    pub allow: MatchList,
}

/// The `cluster` statement.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Which member this node is.
    pub node_id: u32,
    /// All members, this node too, in the order of the file: 1, 3, 5 or 7.
    pub members: Vec<Member>,
    /// The shared secret that members prove to each other, decoded: at least 16 octets. Without `tls` there is one.
    pub secret: Option<Vec<u8>>,
    /// Certificates that are given, in place of those that are made from the secret.
    pub tls: Option<ClusterTls>,
    /// How long a node may answer after a majority has let it, for zones that need that.
    pub lease_duration: Duration,
    /// The time between two heartbeats, which is that of an election round: a leader that is gone is followed by another
    /// within three.
    pub heartbeat_interval: Duration,
    /// How much of the log stays although all zone stores may hold it, in octets.
    pub log_size_min: u64,
    /// How fast zone images are sent at most, in octets per second.
    pub image_rate_max: u64,
    /// Where the statement is.
    pub position: Position,
}

impl ClusterConfig {
    /// Of a cluster that says nothing else.
    pub const LEASE_DURATION_DEFAULT: Duration = Duration::from_secs(1);
    /// The same.
    pub const HEARTBEAT_INTERVAL_DEFAULT: Duration = Duration::from_millis(100);
    /// `log_size_min` where none is configured.
    pub const LOG_SIZE_MIN_DEFAULT: u64 = 4 << 20;
    /// `image_rate_max` where none is configured.
    pub const IMAGE_RATE_MAX_DEFAULT: u64 = 64 << 20;
}

impl fmt::Debug for ClusterConfig {
    /// The secret stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterConfig")
            .field("node_id", &self.node_id)
            .field("members", &self.members)
            .field("tls", &self.tls)
            .field("lease_duration", &self.lease_duration)
            .field("heartbeat_interval", &self.heartbeat_interval)
            .field("log_size_min", &self.log_size_min)
            .field("image_rate_max", &self.image_rate_max)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// `tls` of the `cluster` statement; paths are as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterTls {
    /// `cert-file`.
    pub certificate: PathBuf,
    /// `key-file`.
    pub key: PathBuf,
    /// `ca-file`.
    pub authority: PathBuf,
    /// Where the statement is.
    pub position: Position,
}

/// One member of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number, from 1.
    pub id: u32,
    /// Where it listens for the other members.
    pub address: IpAddr,
    /// The TCP port there.
    pub port: u16,
}

/// When an update is acknowledged to its requestor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// When a majority has it on disk.
    Quorum,
    /// When, besides, no node answers without it any more.
    Everywhere,
}

/// What a node does that may not have the newest data, because it has no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleAnswers {
    /// It answers with what it has.
    Yes,
    /// SERVFAIL.
    No,
    /// Nothing over UDP, so that clients go elsewhere; otherwise SERVFAIL.
    Drop,
}

/// What a read is certain to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// What has arrived at the node.
    Local,
    /// Whatever was acknowledged, through any node, before the query was sent.
    Linearizable,
}

/// What is promised to those who update a zone and ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneServing {
    /// When an update is acknowledged.
    pub acknowledge: Acknowledge,
    /// What a node without a lease does.
    pub stale_answers: StaleAnswers,
    /// What a read sees.
    pub consistency: Consistency,
}

impl ZoneServing {
    /// Whether nodes need leases for it.
    pub fn needs_leases(&self) -> bool {
        self.acknowledge == Acknowledge::Everywhere || self.stale_answers != StaleAnswers::Yes
    }
}

impl Default for ZoneServing {
    /// As any primary with several secondaries.
    fn default() -> ZoneServing {
        ZoneServing {
            acknowledge: Acknowledge::Quorum,
            stale_answers: StaleAnswers::Yes,
            consistency: Consistency::Local,
        }
    }
}
