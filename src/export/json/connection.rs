//! A connection as JSON.

use std::net::IpAddr;

use serde::Serialize;

use super::NameJson;
use super::tls::{TlsJson, tls};
use crate::export::time;
use crate::model::{Connection, End, Outcome, Process, Seen, Side, UtcOffset};
use crate::world::NameTable;

/// A connection: top-level figures are those of the end named in `view`.
#[derive(Debug, Serialize)]
pub struct ConnectionJson {
    id: String,
    state: &'static str,
    adopted: bool,
    role_known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_evidence: Option<&'static str>,
    transport: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(flatten)]
    figures: Option<FiguresJson>,
    client: SideJson,
    server: SideJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsJson>,
}

/// The security of a connection alone.
#[derive(Debug, Serialize)]
pub struct ListedTlsJson {
    id: String,
    client: SideJson,
    server: SideJson,
    tls: TlsJson,
}

#[derive(Debug, Serialize)]
struct FiguresJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    srtt_us: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_rtt_us: Option<u32>,
    retransmits: u32,
    bytes_to_server: u64,
    bytes_to_client: u64,
}

#[derive(Debug, Serialize)]
struct SideJson {
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    entity: String,
    workload: NameJson,
    #[serde(flatten)]
    end: Option<EndJson>,
}

#[derive(Debug, Serialize)]
struct EndJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessJson>,
    owner_evidence: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<u32>,
    role_evidence: &'static str,
    adopted: bool,
    seen: SeenJson,
}

#[derive(Debug, Serialize)]
pub(super) struct ProcessJson {
    pid: u32,
    comm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exe: Option<String>,
}

#[derive(Debug, Serialize)]
struct SeenJson {
    bytes_sent: u64,
    bytes_received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    srtt_us: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_rtt_us: Option<u32>,
    retransmits: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets_sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets_received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_us: Option<u64>,
}

/// A connection, with names from `names` and times by `utc`.
pub fn connection(c: &Connection, names: &NameTable, utc: UtcOffset) -> ConnectionJson {
    let view = c.view();
    let (bytes_to_server, bytes_to_client) = c.bytes();
    ConnectionJson {
        id: c.id.to_string(),
        state: c.state.as_str(),
        adopted: c.adopted(),
        role_known: c.role_known,
        role_evidence: view.map(|(_, end)| end.role_evidence.as_str()),
        transport: c.transport.as_str(),
        opened: time::rfc3339(utc, c.opened()),
        closed: time::rfc3339(utc, c.closed()),
        view: view.map(|(view, _)| view.as_str()),
        outcome: c.outcome.map(Outcome::as_str),
        figures: view.map(|(_, end)| FiguresJson {
            connect_us: end.connect_us(),
            srtt_us: end.seen.srtt_us,
            min_rtt_us: end.seen.min_rtt_us,
            retransmits: end.seen.retransmits,
            bytes_to_server,
            bytes_to_client,
        }),
        client: side(&c.client, names),
        server: side(&c.server, names),
        tls: tls(c),
    }
}

/// A connection of which only the security is asked, with names from `names`; `None` where nobody
/// looked.
pub fn listed_tls(c: &Connection, names: &NameTable) -> Option<ListedTlsJson> {
    Some(ListedTlsJson {
        id: c.id.to_string(),
        client: side(&c.client, names),
        server: side(&c.server, names),
        tls: tls(c)?,
    })
}

fn side(side: &Side, names: &NameTable) -> SideJson {
    SideJson {
        address: side.address.addr,
        port: (side.address.port != 0).then_some(side.address.port),
        entity: side.entity.to_string(),
        workload: NameJson::new(&names.workload(side.entity)),
        end: side.end.as_ref().map(end),
    }
}

fn end(end: &End) -> EndJson {
    let owner = &end.owner;
    EndJson {
        process: owner.process.as_deref().map(ProcessJson::new),
        owner_evidence: owner.evidence.as_str(),
        cgroup: owner.cgroup_path.as_deref().map(str::to_owned),
        cgroup_id: (owner.cgroup_path.is_none() && owner.cgroup != 0).then_some(owner.cgroup),
        netns: (owner.netns != 0).then_some(owner.netns),
        role_evidence: end.role_evidence.as_str(),
        adopted: end.adopted,
        seen: seen(end, &end.seen),
    }
}

impl ProcessJson {
    pub(super) fn new(p: &Process) -> Self {
        ProcessJson { pid: p.key.pid, comm: p.comm.clone(), exe: p.exe.clone() }
    }
}

fn seen(end: &End, seen: &Seen) -> SeenJson {
    SeenJson {
        bytes_sent: seen.bytes_sent,
        bytes_received: seen.bytes_received,
        srtt_us: seen.srtt_us,
        min_rtt_us: seen.min_rtt_us,
        retransmits: seen.retransmits,
        packets_sent: seen.packets.map(|p| p.0),
        packets_received: seen.packets.map(|p| p.1),
        outcome: end.outcome.map(Outcome::as_str),
        connect_us: end.connect_us(),
    }
}
