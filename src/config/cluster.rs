//! The `cluster` statement: who shares the log.

use super::definitions::decode_secret;
use super::diagnostic::Position;
use super::model::{ClusterConfig, ClusterTls, Member};
use super::resolve::Findings;
use super::serving;
use super::tree::{Entry, Map};
use super::values::Value;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Numbers of members that a majority vote makes sense with.
const MEMBER_COUNTS: [usize; 4] = [1, 3, 5, 7];
/// Shortest cluster secret in octets.
pub(super) const SECRET_BYTES_MIN: usize = 16;

/// How long an election round may take, in milliseconds: some ticks and round trips at least; nobody wants to wait for a
/// new leader longer than three of the longest.
const HEARTBEAT_MILLIS: RangeInclusive<u32> = 30..=10_000;

/// Reads the statement; nothing if it cannot be used.
pub(super) fn cluster(entry: &Entry, findings: &mut Findings<'_>) -> Option<ClusterConfig> {
    let map = entry.map()?;
    let members = members(map, findings);
    if !MEMBER_COUNTS.contains(&members.len()) {
        let text = format!("cluster: {} members, but there must be 1, 3, 5 or 7", members.len());
        findings.error(&entry.position, text);
    }
    let node_id = node_id(map, &members, entry, findings);
    let tls = map.get("tls").and_then(|entry| tls(entry, findings));
    let secret = secret(map, findings);
    if map.get("secret").is_none() && map.get("tls").is_none() {
        findings.error(&entry.position, "cluster: missing 'secret' entry".to_owned());
    }
    let lease_duration = serving::lease_duration(map, findings);
    let heartbeat_interval = heartbeat_interval(map, findings);
    Some(ClusterConfig {
        node_id: node_id?,
        members: members.into_iter().map(|(member, _)| member).collect(),
        secret,
        tls,
        lease_duration,
        heartbeat_interval,
        log_size_min: size(map, "log-size-min", ClusterConfig::LOG_SIZE_MIN_DEFAULT),
        image_rate_max: size(map, "image-rate-max", ClusterConfig::IMAGE_RATE_MAX_DEFAULT).max(1),
        position: entry.position.clone(),
    })
}

fn size(map: &Map, statement: &str, default: u64) -> u64 {
    match map.get(statement).and_then(|entry| entry.values.first()).map(|value| &value.value) {
        Some(Value::Size(octets)) => *octets,
        _ => default,
    }
}

fn node_id(
    map: &Map,
    members: &[(Member, &Position)],
    cluster: &Entry,
    findings: &mut Findings<'_>,
) -> Option<u32> {
    let Some(entry) = map.get("node-id") else {
        findings.error(&cluster.position, "cluster: missing 'node-id' entry".to_owned());
        return None;
    };
    let id = entry.integer()?;
    if !members.iter().any(|(member, _)| member.id == id) {
        findings.error(&entry.position, format!("node-id {id} is not one of the members"));
    }
    Some(id)
}

fn members<'a>(map: &'a Map, findings: &mut Findings<'_>) -> Vec<(Member, &'a Position)> {
    let mut members: Vec<(Member, &Position)> = Vec::new();
    for entry in map.all("member") {
        let Some(id) = entry.values.first().and_then(|v| v.integer()) else { continue };
        let Some(Value::Socket(socket)) = entry.behind("address").map(|v| v.value.clone()) else { continue };
        let address = socket.address.ip;
        let Some(port) = findings.port(entry.behind("port"), "port '{}' out of range") else { continue };
        let member = Member { id, address, port };
        if id == 0 {
            findings.error(&entry.position, "member 0: the id must be at least 1".to_owned());
        }
        if port == 0 || address.is_unspecified() || address.is_multicast() {
            let text = format!("member {id}: nobody can connect to address {address} port {port}");
            findings.error(&entry.position, text);
        }
        if let Some((_, previous)) = members.iter().find(|(other, _)| other.id == id) {
            let text = format!("member {id}: already exists previous definition: {previous}");
            findings.error(&entry.position, text);
        }
        if let Some((_, previous)) =
            members.iter().find(|(other, _)| (other.address, other.port) == (address, port))
        {
            let text = format!("member {id}: address {address} port {port} is already in use: {previous}");
            findings.error(&entry.position, text);
        }
        members.push((member, &entry.position));
    }
    members
}

fn secret(map: &Map, findings: &mut Findings<'_>) -> Option<Vec<u8>> {
    let entry = map.get("secret")?;
    let secret = decode_secret(entry, findings)?;
    if secret.len() < SECRET_BYTES_MIN {
        let text =
            format!("the secret has {} octets, but must have at least {SECRET_BYTES_MIN}", secret.len());
        findings.error(&entry.position, text);
    }
    Some(secret)
}

/// Reads `tls`; all three files are needed.
fn tls(entry: &Entry, findings: &mut Findings<'_>) -> Option<ClusterTls> {
    let map = entry.map()?;
    let mut path = |name: &str| {
        let path = map.text(name).map(PathBuf::from);
        if path.is_none() {
            findings.error(&entry.position, format!("cluster: missing '{name}' entry in 'tls'"));
        }
        path
    };
    let (certificate, key, authority) = (path("cert-file"), path("key-file"), path("ca-file"));
    Some(ClusterTls {
        certificate: certificate?,
        key: key?,
        authority: authority?,
        position: entry.position.clone(),
    })
}

fn heartbeat_interval(map: &Map, findings: &mut Findings<'_>) -> Duration {
    let millis = map.get("heartbeat-interval").and_then(|entry| {
        let millis = entry.integer()?;
        if !HEARTBEAT_MILLIS.contains(&millis) {
            let (least, most) = HEARTBEAT_MILLIS.into_inner();
            let text = format!("heartbeat-interval {millis} is out of range ({least}..{most} milliseconds)");
            findings.error(&entry.position, text);
        }
        Some(millis)
    });
    millis
        .map_or(ClusterConfig::HEARTBEAT_INTERVAL_DEFAULT, |millis| Duration::from_millis(u64::from(millis)))
}
