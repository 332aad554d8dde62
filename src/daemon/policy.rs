//! From the configuration to what each part judges by.

use crate::clock;
use crate::config::interfaces::Interfaces;
use crate::config::{self, Config, Consistency, JournalSize, Notify, TransferFormat, ZoneConfig};
use crate::dns::Class;
use crate::dns::tsig::Keys;
use crate::dnstap::Tap;
use crate::nameserver::acl::Acl;
use crate::nameserver::chaos::Identity;
use crate::nameserver::cookies::{self, Cookies};
use crate::nameserver::policy::{Padding, Policy, ZonePolicy};
use crate::nameserver::query_log::QueryLog;
use crate::nameserver::rrl::Limiter;
use crate::nameserver::transfer_out;
use crate::notify_out;
use crate::replication::serving::lease::Lease;
use crate::replication::serving::turn::ServingConfig;
use crate::replication::state_machine::Limits;
use crate::server::tcp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Tells the secret of cookies from whatever else is derived from the cluster's secret.
const COOKIE_SECRET_LABEL: &[u8] = b"trimaran cookies";
/// Octets of changesets kept for a zone that says nothing about it.
const JOURNAL_BYTES_DEFAULT: usize = 4 << 20;
/// The server's own limit, for `max-journal-size unlimited`.
const JOURNAL_BYTES_MAX: usize = 1 << 30;

/// What requests are judged by.
pub(super) fn nameserver(config: &Config, interfaces: &Interfaces) -> Policy {
    let zone_policy = |zone: &ZoneConfig| ZonePolicy {
        allow_query: Acl::new(&zone.allow_query, interfaces),
        allow_query_on: Acl::new(&zone.allow_query_on, interfaces),
        allow_transfer: Acl::new(&zone.allow_transfer, interfaces),
        transfer_over: zone.transfer_over,
        allow_update: Acl::new(&zone.allow_update, interfaces),
        max_ixfr_ratio: zone.max_ixfr_ratio,
        serving: zone.serving,
    };
    Policy {
        keys: Keys::new(config.keys.iter().cloned()),
        zones: config.zones.iter().map(|zone| (zone.name.clone(), zone_policy(zone))).collect(),
        edns_udp_size: config.options.edns_udp_size,
        udp_bytes_max: config.options.max_udp_size,
        nocookie_udp_bytes_max: config.options.nocookie_udp_size,
        cookies: cookies(config),
        // Its range is that of the option.
        tcp_advertised_timeout: u16::try_from(config.options.tcp_advertised_timeout).unwrap_or(u16::MAX),
        padding: config.options.response_padding.as_ref().map(|padding| Padding {
            clients: Acl::new(&padding.clients, interfaces),
            block_bytes: padding.block_bytes,
        }),
        transfer: transfer_out::Options {
            format: match config.options.transfer_format {
                TransferFormat::ManyAnswers => transfer_out::Format::ManyAnswers,
                TransferFormat::OneAnswer => transfer_out::Format::OneAnswer,
            },
            now: clock::unix_secs,
            ..transfer_out::Options::default()
        },
        minimal_responses: config.options.minimal_responses,
        minimal_any: config.options.minimal_any,
        identity: identity(&config.options),
        allow_query: Acl::new(&config.options.allow_query, interfaces),
        allow_query_on: Acl::new(&config.options.allow_query_on, interfaces),
        blackhole: Acl::new(&config.options.blackhole, interfaces),
        rate_limit: config.options.rate_limit.as_ref().map(|limit| {
            let exempt = Acl::new(&limit.exempt_clients, interfaces);
            Arc::new(Limiter::new(Class::IN, limit.clone(), exempt, random_keys()))
        }),
        chaos_rate_limit: Some(Arc::new(Limiter::of_chaos(random_keys()))),
        confirms_reads: config.zones.iter().any(|zone| zone.serving.consistency == Consistency::Linearizable),
        // The log may hold zones that this configuration no longer names.
        fallback: None,
        ..Policy::default()
    }
}

/// Starts the query log and the tap, if the configuration asks for them.
///
/// # Errors
/// If there can be no thread for them, or no file for the tap.
pub(super) fn with_observers(config: &Config, directory: &Path, mut policy: Policy) -> io::Result<Policy> {
    if config.options.query_log {
        policy.query_log = Some(Arc::new(QueryLog::start(policy.cookies.clone())?));
    }
    if let Some(dnstap) = &config.options.dnstap {
        let version = format!("Trimaran {}", env!("CARGO_PKG_VERSION"));
        policy.tap = Some(Arc::new(Tap::start(dnstap, directory, hostname(), version)?));
    }
    Ok(policy)
}

/// What cookies are made and judged with.
fn cookies(config: &Config) -> Cookies {
    let options = &config.options;
    let secrets = match &options.cookie_secrets[..] {
        _ if !options.answer_cookie => Vec::new(),
        [] => vec![cookie_secret(config)],
        configured => configured.iter().map(|secret| cookies::Secret::new(secret.0)).collect(),
    };
    Cookies { secrets, required: options.require_server_cookie }
}

/// What server cookies are made with if the configuration does not say. All nodes of a cluster make the same, so that a
/// client that is sent from one to another, as with anycast, is known there, too (RFC 9018 §5); the cluster's secret
/// cannot be found from it.
fn cookie_secret(config: &Config) -> cookies::Secret {
    let mut octets = [0; cookies::SECRET_BYTES];
    match config.cluster.as_ref().and_then(|cluster| cluster.secret.as_ref()) {
        Some(secret) => {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
            mac.update(COOKIE_SECRET_LABEL);
            octets.copy_from_slice(&mac.finalize().into_bytes()[..cookies::SECRET_BYTES]);
        }
        None => clock::random_bytes(&mut octets),
    }
    cookies::Secret::new(octets)
}

/// The bounds of TCP service.
pub(super) fn tcp(config: &Config) -> tcp::Limits {
    let options = &config.options;
    let tenths = |tenths: u32| Duration::from_millis(u64::from(tenths) * 100);
    tcp::Limits {
        initial_timeout: tenths(options.tcp_initial_timeout),
        idle_timeout: tenths(options.tcp_idle_timeout),
        keepalive_timeout: tenths(options.tcp_keepalive_timeout),
        read_timeout: tenths(options.tcp_idle_timeout),
        ..tcp::Limits::default()
    }
}

/// The same when the interfaces are others: what is remembered of clients stays, and so do those who look on.
pub(super) fn nameserver_after(before: &Policy, config: &Config, interfaces: &Interfaces) -> Policy {
    let mut policy = nameserver(config, interfaces);
    policy.cookies = before.cookies.clone();
    policy.chaos_rate_limit.clone_from(&before.chaos_rate_limit);
    policy.query_log.clone_from(&before.query_log);
    policy.tap.clone_from(&before.tap);
    policy.lease.clone_from(&before.lease);
    if let (Some(limiter), Some(old)) = (&policy.rate_limit, &before.rate_limit)
        && limiter.exempts_the_same(old)
    {
        policy.rate_limit = Some(Arc::clone(old));
    }
    policy
}

/// Nobody may know which accounts of rate limits share a place.
fn random_keys() -> (u64, u64) {
    (clock::random_u64(), clock::random_u64())
}

/// What the server tells about itself.
fn identity(options: &config::Options) -> Identity {
    let text = |identity: &config::Identity, default: Option<String>| match identity {
        config::Identity::None => None,
        config::Identity::Default => default,
        config::Identity::Hostname => hostname(),
        config::Identity::Text(text) => Some(text.clone()),
    };
    // BIND: who hides the version does not want to be known by its authors.
    let tells_authors = options.version == config::Identity::Default;
    Identity {
        version: text(&options.version, Some(format!("Trimaran {}", env!("CARGO_PKG_VERSION")))),
        hostname: text(&options.hostname, hostname()),
        server_id: text(&options.server_id, None),
        authors: tells_authors.then(|| "the authors of Trimaran".to_owned()),
    }
}

fn hostname() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}

/// Whom to notify. `own` are the addresses this node listens on.
pub(super) fn notify(config: &Config, own: &[SocketAddr]) -> notify_out::Settings {
    let policies = config.zones.iter().filter(|zone| zone.notify != Notify::No).map(|zone| {
        let also_notify = zone
            .also_notify
            .iter()
            .map(|target| notify_out::Target { address: target.address, key: target.key.clone() })
            .collect();
        let policy = notify_out::Policy {
            also_notify,
            name_servers: matches!(zone.notify, Notify::Yes | Notify::PrimaryOnly),
            delay: Duration::from_secs(u64::from(zone.notify_delay_secs)),
        };
        (zone.name.clone(), policy)
    });
    notify_out::Settings {
        policies: policies.collect(),
        keys: Keys::new(config.keys.iter().cloned()),
        own_addresses: own.iter().copied().collect(),
        rate_per_sec: notify_out::RATE_PER_SEC_DEFAULT,
    }
}

/// Leases, if any zone of a cluster needs them.
pub(super) fn serving(config: &Config, lease: &Arc<Lease>) -> Option<ServingConfig> {
    let cluster = config.cluster.as_ref()?;
    let is_needed = config.zones.iter().any(|zone| zone.serving.needs_leases());
    is_needed.then(|| ServingConfig { lease_duration: cluster.lease_duration, lease: Arc::clone(lease) })
}

/// How much history each zone keeps.
pub(super) fn limits(config: &Config) -> Limits {
    let bytes = |zone: &ZoneConfig| match zone.max_journal_size {
        JournalSize::Default => JOURNAL_BYTES_DEFAULT,
        JournalSize::Unlimited => JOURNAL_BYTES_MAX,
        JournalSize::Bytes(bytes) => {
            usize::try_from(bytes).unwrap_or(JOURNAL_BYTES_MAX).min(JOURNAL_BYTES_MAX)
        }
    };
    let journal_bytes = config.zones.iter().map(|zone| (zone.name.clone(), bytes(zone))).collect();
    Limits { journal_bytes_default: JOURNAL_BYTES_DEFAULT, journal_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a configuration says of cookies.
    fn read(text: &str) -> Cookies {
        cookies(&config::load_text("named.conf", text.as_bytes()).expect("a sound configuration").0)
    }

    fn cluster(node: u32, secret: &str) -> String {
        let members =
            (1..=3).map(|id| format!("member {id} address 192.0.2.{id} port 5353; ")).collect::<String>();
        format!("cluster {{ node-id {node}; {members} secret \"{secret}\"; }};")
    }

    #[test]
    fn nodes_of_a_cluster_make_the_same_cookies_and_nobody_else_does() {
        let (one, other) = ("c2VjcmV0c2VjcmV0c2VjcmV0", "b3RoZXJvdGhlcm90aGVyb3RoZXI=");
        let secrets = |text: &str| read(text).secrets;
        assert_eq!(secrets(&cluster(1, one)), secrets(&cluster(3, one)));
        assert_ne!(secrets(&cluster(1, one)), secrets(&cluster(1, other)));
        assert_ne!(secrets(""), secrets(""), "a server on its own makes one at random");
        assert_eq!(secrets(&cluster(1, one)).len(), 1);
    }

    #[test]
    fn whoever_looks_on_stays_when_the_interfaces_are_others() {
        let folder = tempfile::tempdir().unwrap();
        let text = "options { querylog yes; dnstap { all; }; dnstap-output file \"tap\"; };";
        let (config, _) = config::load_text("named.conf", text.as_bytes()).expect("a sound configuration");
        let interfaces = Interfaces { addresses: Vec::new(), networks: Vec::new(), scope_ids: Vec::new() };
        let before = nameserver(&config, &interfaces);
        let before = with_observers(&config, folder.path(), before).unwrap();
        let after = nameserver_after(&before, &config, &interfaces);
        assert!(Arc::ptr_eq(before.query_log.as_ref().unwrap(), after.query_log.as_ref().unwrap()));
        assert!(Arc::ptr_eq(before.tap.as_ref().unwrap(), after.tap.as_ref().unwrap()));
    }

    #[test]
    fn what_the_configuration_says_of_cookies_holds() {
        let texts = ["00112233445566778899aabbccddeeff", "FFeeDDccBBaa99887766554433221100"];
        let written = texts.map(|text| format!("cookie-secret \"{text}\";")).concat();
        let octets: [u8; 16] = std::array::from_fn(|index| index as u8 * 0x11);
        let mut reversed = octets;
        reversed.reverse();
        let both = [octets, reversed].map(cookies::Secret::new).to_vec();
        assert_eq!(
            read(&format!("options {{ {written} }};")),
            Cookies { secrets: both.clone(), required: false }
        );
        let text = format!("options {{ {written} require-server-cookie yes; }};");
        assert_eq!(read(&text), Cookies { secrets: both, required: true });
        assert_eq!(read(&format!("options {{ {written} answer-cookie no; }};")).secrets, []);
    }
}
