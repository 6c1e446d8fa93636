//! An audit as JSON.

use serde::Serialize;

use super::counters::securities;
use super::tls::CertificateJson;
use super::{Counts, NameJson};
use crate::export::audit::Audit;
use crate::export::{security, time};
use crate::model::{Mesh, Security, Tunnel, UtcOffset, Validity};
use crate::world::security::{
    Around, Between, CertificateRow, ClientRow, FailedRow, Holder, MixedRow, PlaintextRow, ServerRow,
    StatusTally, Tally, UnknownRow, WeakRow,
};

/// The report of `webb audit`.
#[derive(Debug, Serialize)]
pub struct AuditJson {
    node: String,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    mtls_means: String,
    ok: bool,
    fail_on: Vec<String>,
    findings: Vec<FindingJson>,
    connections: u64,
    silent: u64,
    evicted: u64,
    security: Counts,
    plaintext: Vec<PlaintextJson>,
    mixed: Vec<MixedJson>,
    certificates: Vec<OwnedJson>,
    certificates_hidden: u64,
    weak: Vec<WeakJson>,
    failed: Vec<FailedJson>,
    unknown: Vec<UnknownJson>,
    readiness: Vec<ServerJson>,
    more: Counts,
}

#[derive(Debug, Serialize)]
struct FindingJson {
    check: String,
    count: u64,
}

#[derive(Debug, Serialize)]
struct BetweenJson {
    client: NameJson,
    server: NameJson,
    server_port: u16,
    transport: &'static str,
    role_known: bool,
}

#[derive(Debug, Serialize)]
struct TallyJson {
    connections: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<String>,
}

#[derive(Debug, Serialize)]
struct AroundJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    tunnel: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mesh: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Box<str>>,
}

#[derive(Debug, Serialize)]
struct PlaintextJson {
    #[serde(flatten)]
    edge: BetweenJson,
    #[serde(flatten)]
    tally: TallyJson,
    #[serde(skip_serializing_if = "String::is_empty")]
    evidence: String,
}

#[derive(Debug, Serialize)]
struct MixedJson {
    #[serde(flatten)]
    edge: BetweenJson,
    fallback: bool,
    was: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    protected_until: Option<String>,
    statuses: Vec<StatusJson>,
}

#[derive(Debug, Serialize)]
struct StatusJson {
    status: &'static str,
    #[serde(flatten)]
    tally: TallyJson,
    #[serde(flatten)]
    around: AroundJson,
}

#[derive(Debug, Serialize)]
struct OwnedJson {
    #[serde(flatten)]
    certificate: CertificateJson,
    validity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_left: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_days: Option<u64>,
    clients: Vec<NameJson>,
    more_clients: u64,
    servers: Vec<PlaceJson>,
    more_servers: u64,
    #[serde(flatten)]
    tally: TallyJson,
}

#[derive(Debug, Serialize)]
struct PlaceJson {
    workload: NameJson,
    port: u16,
}

#[derive(Debug, Serialize)]
struct WeakJson {
    #[serde(flatten)]
    edge: BetweenJson,
    #[serde(flatten)]
    tally: TallyJson,
    weaknesses: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher: Option<String>,
}

#[derive(Debug, Serialize)]
struct FailedJson {
    #[serde(flatten)]
    edge: BetweenJson,
    #[serde(flatten)]
    tally: TallyJson,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_by: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct UnknownJson {
    reason: String,
    #[serde(flatten)]
    tally: TallyJson,
    edges: Vec<UnknownEdgeJson>,
    more_edges: u64,
}

#[derive(Debug, Serialize)]
struct UnknownEdgeJson {
    #[serde(flatten)]
    edge: BetweenJson,
    connections: u64,
}

#[derive(Debug, Serialize)]
struct ServerJson {
    server: NameJson,
    server_port: u16,
    breaks: u64,
    not_asked: u64,
    ready: u64,
    clients: Vec<ClientJson>,
    more_clients: u64,
}

#[derive(Debug, Serialize)]
struct ClientJson {
    client: NameJson,
    ready: &'static str,
    presented: u64,
    declined: u64,
    not_asked: u64,
    plaintext: u64,
    unknown: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_without: Option<String>,
}

/// An audit.
pub fn audit(a: &Audit) -> AuditJson {
    let (r, utc) = (&a.report, a.utc);
    let findings = a.findings();
    let mut more = Counts::default();
    for (list, n) in [
        ("plaintext", r.plaintext.more),
        ("mixed", r.mixed.more),
        ("certificates", r.certificates.more),
        ("weak", r.weak.more),
        ("failed", r.failed.more),
        ("unknown", r.unknown.more),
        ("readiness", r.readiness.more),
    ] {
        more.add(list, n);
    }
    AuditJson {
        node: a.node.clone(),
        scope: a.scope.clone(),
        since: time::rfc3339(utc, a.since),
        now: time::rfc3339(utc, a.now),
        mtls_means: security::mtls_means(),
        ok: findings.is_empty(),
        fail_on: a.fail_on.iter().map(ToString::to_string).collect(),
        findings: findings
            .into_iter()
            .map(|(check, count)| FindingJson { check: check.to_string(), count })
            .collect(),
        connections: r.connections(),
        silent: r.silent,
        evicted: a.evicted,
        security: securities(|s| r.share(s)),
        plaintext: r.plaintext.rows.iter().map(|row| plaintext(row, utc)).collect(),
        mixed: r.mixed.rows.iter().map(|row| mixed(row, utc)).collect(),
        certificates: r.certificates.rows.iter().map(|row| certificate(row, utc)).collect(),
        certificates_hidden: r.hidden,
        weak: r.weak.rows.iter().map(|row| weak(row, utc)).collect(),
        failed: r.failed.rows.iter().map(|row| failed(row, utc)).collect(),
        unknown: r.unknown.rows.iter().map(|row| unknown(row, utc)).collect(),
        readiness: r.readiness.rows.iter().map(|row| server(row, utc)).collect(),
        more,
    }
}

fn between(edge: &Between) -> BetweenJson {
    BetweenJson {
        client: NameJson::new(&edge.client),
        server: NameJson::new(&edge.server),
        server_port: edge.id.port,
        transport: edge.id.transport.as_str(),
        role_known: edge.id.role_known,
    }
}

fn tally(tally: &Tally, utc: UtcOffset) -> TallyJson {
    let at = |at| time::rfc3339(utc, at);
    TallyJson { connections: tally.count, first_seen: at(tally.first), last_seen: at(tally.seen) }
}

fn around(around: &Around) -> AroundJson {
    AroundJson {
        tunnel: around.tunnel.map(Tunnel::as_str),
        inside: around.inside.map(Security::as_str),
        mesh: around.mesh.map(Mesh::as_str),
        after: around.after.clone(),
    }
}

fn plaintext(row: &PlaintextRow, utc: UtcOffset) -> PlaintextJson {
    PlaintextJson { edge: between(&row.edge), tally: tally(&row.tally, utc), evidence: row.why.to_string() }
}

fn mixed(row: &MixedRow, utc: UtcOffset) -> MixedJson {
    let status = |s: &StatusTally| StatusJson {
        status: s.status.as_str(),
        tally: tally(&s.tally, utc),
        around: around(&s.around),
    };
    MixedJson {
        edge: between(&row.edge),
        fallback: row.fallback.is_some(),
        was: row.was.as_str(),
        protected_until: time::rfc3339(utc, row.protected_until),
        statuses: row.statuses.iter().map(status).collect(),
    }
}

fn certificate(row: &CertificateRow, utc: UtcOffset) -> OwnedJson {
    let (validity, days_left, expired_days) = match row.validity {
        Validity::Valid(days) => ("valid", Some(days), None),
        Validity::Expired(days) => ("expired", None, Some(days)),
        Validity::NotYet => ("not-yet", None, None),
    };
    let place = |h: &Holder| PlaceJson { workload: NameJson::new(&h.workload), port: h.edge.port };
    OwnedJson {
        certificate: CertificateJson::new(&row.certificate),
        validity,
        days_left,
        expired_days,
        clients: row.clients.rows.iter().map(|h| NameJson::new(&h.workload)).collect(),
        more_clients: row.clients.more,
        servers: row.servers.rows.iter().map(place).collect(),
        more_servers: row.servers.more,
        tally: tally(&row.tally, utc),
    }
}

fn weak(row: &WeakRow, utc: UtcOffset) -> WeakJson {
    let mut weaknesses = Counts::default();
    row.weaknesses.iter().for_each(|(name, n)| weaknesses.add(name, *n));
    WeakJson {
        edge: between(&row.edge),
        tally: tally(&row.tally, utc),
        weaknesses,
        version: row.version.map(security::version),
        cipher: row.cipher.map(security::cipher),
    }
}

fn failed(row: &FailedRow, utc: UtcOffset) -> FailedJson {
    let alerted = row.why.has_alert();
    FailedJson {
        edge: between(&row.edge),
        tally: tally(&row.tally, utc),
        outcome: row.why.handshake.as_str(),
        alert: alerted.then(|| security::alert(row.why.alert)),
        alert_by: alerted.then_some(if row.why.by_client { "client" } else { "server" }),
    }
}

fn unknown(row: &UnknownRow, utc: UtcOffset) -> UnknownJson {
    let edges = row.edges.rows.iter();
    UnknownJson {
        reason: row.reason.to_string(),
        tally: tally(&row.tally, utc),
        edges: edges.map(|(e, n)| UnknownEdgeJson { edge: between(e), connections: *n }).collect(),
        more_edges: row.edges.more,
    }
}

fn server(row: &ServerRow, utc: UtcOffset) -> ServerJson {
    ServerJson {
        server: NameJson::new(&row.server),
        server_port: row.port,
        breaks: row.breaks,
        not_asked: row.not_asked,
        ready: row.ready,
        clients: row.clients.rows.iter().map(|c| client(c, utc)).collect(),
        more_clients: row.clients.more,
    }
}

fn client(row: &ClientRow, utc: UtcOffset) -> ClientJson {
    ClientJson {
        client: NameJson::new(&row.client),
        ready: row.ready.as_str(),
        presented: row.presented.count,
        declined: row.declined.count,
        not_asked: row.not_asked.count,
        plaintext: row.plaintext.count,
        unknown: row.unknown.count,
        last_without: time::rfc3339(utc, row.without().seen),
    }
}
