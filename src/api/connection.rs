//! Connections, events and filters.

use std::sync::Arc;

use super::invalid::{
    InvalidMessage, addr, addr_bytes, count, cut, endpoint, invalid, number, outcome, outcome_number, port,
    required, shared_text, text, transport,
};
use super::pb;
use super::request::{event_request, protocol, request_to_pb};
use super::tls::{tls_from_pb, tls_to_pb};
use crate::model::{
    BootNs, Connection, ConnectionId, ConnectionState, End, EndId, EndState, EntityId, Event, EventKind,
    Filter, Isns, Owner, OwnerEvidence, Process, ProcessKey, Role, RoleEvidence, Seen, Side,
};

/// Entities that one filter may name.
const FILTER_ENTITIES: usize = 1024;

/// One connection.
pub fn connection_to_pb(c: &Connection) -> pb::Connection {
    pb::Connection {
        id: c.id.0,
        transport: c.transport as u32,
        state: c.state as u32,
        role_known: c.role_known,
        client: Some(Box::new(side_to_pb(&c.client))),
        server: Some(Box::new(side_to_pb(&c.server))),
        outcome: outcome_number(c.outcome),
        changed_ns: c.changed.0,
        tls: c.tls.as_deref().map(tls_to_pb),
    }
}

/// # Errors
/// When anything in it breaks the rules.
pub fn connection_from_pb(c: pb::Connection) -> Result<Connection, InvalidMessage> {
    Ok(Connection {
        id: ConnectionId(c.id),
        transport: transport(c.transport, "Connection.transport")?,
        state: number(c.state, "Connection.state", ConnectionState::from_number)?,
        role_known: c.role_known,
        client: side_from_pb(*required(c.client, "Connection.client")?)?,
        server: side_from_pb(*required(c.server, "Connection.server")?)?,
        outcome: outcome(c.outcome, "Connection.outcome")?,
        changed: BootNs(c.changed_ns),
        tls: c.tls.map(tls_from_pb).transpose()?.map(Arc::new),
    })
}

fn side_to_pb(s: &Side) -> pb::Side {
    pb::Side {
        addr: addr_bytes(s.address.addr),
        port: u32::from(s.address.port),
        entity: s.entity.0,
        end: s.end.as_ref().map(end_to_pb).map(Box::new),
    }
}

fn side_from_pb(s: pb::Side) -> Result<Side, InvalidMessage> {
    Ok(Side {
        address: endpoint(&s.addr, s.port, "Side.addr")?,
        entity: EntityId(s.entity),
        end: s.end.map(|e| end_from_pb(*e)).transpose()?,
    })
}

fn end_to_pb(e: &End) -> pb::End {
    pb::End {
        netns_cookie: e.id.netns_cookie,
        cookie: e.id.cookie,
        generation: e.id.generation,
        local_addr: addr_bytes(e.local.addr),
        local_port: u32::from(e.local.port),
        peer_addr: addr_bytes(e.peer.addr),
        peer_port: u32::from(e.peer.port),
        role: e.role as u32,
        role_evidence: e.role_evidence as u32,
        owner: Some(Box::new(owner_to_pb(&e.owner))),
        adopted: e.adopted,
        isn_tx: e.isns.map(|i| i.tx),
        isn_rx: e.isns.map(|i| i.rx),
        opened_ns: e.opened.0,
        established_ns: e.established.0,
        closed_ns: e.closed.0,
        state: e.state as u32,
        outcome: outcome_number(e.outcome),
        bytes_sent: e.seen.bytes_sent,
        bytes_received: e.seen.bytes_received,
        srtt_us: e.seen.srtt_us,
        min_rtt_us: e.seen.min_rtt_us,
        retransmits: e.seen.retransmits,
        entity: e.entity.0,
        packets_sent: e.seen.packets.map(|p| p.0),
        packets_received: e.seen.packets.map(|p| p.1),
    }
}

fn end_from_pb(e: pb::End) -> Result<End, InvalidMessage> {
    Ok(End {
        id: EndId { netns_cookie: e.netns_cookie, cookie: e.cookie, generation: e.generation },
        local: endpoint(&e.local_addr, e.local_port, "End.local_addr")?,
        peer: endpoint(&e.peer_addr, e.peer_port, "End.peer_addr")?,
        role: number(e.role, "End.role", |n| Some(Role::from_number(n)).filter(|r| *r as u8 == n))?,
        role_evidence: number(e.role_evidence, "End.role_evidence", |n| {
            Some(RoleEvidence::from_number(n)).filter(|r| *r as u8 == n)
        })?,
        owner: owner_from_pb(e.owner.map(|o| *o).unwrap_or_default())?,
        entity: EntityId(e.entity),
        adopted: e.adopted,
        isns: match (e.isn_tx, e.isn_rx) {
            (Some(tx), Some(rx)) => Some(Isns { tx, rx }),
            (None, None) => None,
            _ => return invalid("End.isn_tx and End.isn_rx come together or not at all"),
        },
        opened: BootNs(e.opened_ns),
        established: BootNs(e.established_ns),
        closed: BootNs(e.closed_ns),
        state: number(e.state, "End.state", |n| {
            use EndState::{Closed, Established, Failed, Opening};
            [Opening, Established, Closed, Failed].into_iter().find(|s| *s as u8 == n)
        })?,
        outcome: outcome(e.outcome, "End.outcome")?,
        seen: Seen {
            bytes_sent: count(e.bytes_sent, "End.bytes_sent")?,
            bytes_received: count(e.bytes_received, "End.bytes_received")?,
            srtt_us: e.srtt_us,
            min_rtt_us: e.min_rtt_us,
            retransmits: e.retransmits,
            packets: match (e.packets_sent, e.packets_received) {
                (Some(sent), Some(received)) => {
                    Some((count(sent, "End.packets_sent")?, count(received, "End.packets_received")?))
                }
                (None, None) => None,
                _ => return invalid("End.packets_sent and End.packets_received come together or not at all"),
            },
        },
    })
}

fn owner_to_pb(o: &Owner) -> pb::Owner {
    pb::Owner {
        process: o.process.as_ref().map(|p| pb::Process {
            pid: p.key.pid,
            start_ns: p.key.start_ns,
            comm: cut(&p.comm),
            exe: p.exe.as_deref().map(cut),
        }),
        evidence: o.evidence as u32,
        cgroup: o.cgroup,
        cgroup_path: o.cgroup_path.as_deref().map(cut),
        netns: o.netns,
    }
}

fn owner_from_pb(o: pb::Owner) -> Result<Owner, InvalidMessage> {
    let process = match o.process {
        None => None,
        Some(p) => Some(Arc::new(Process {
            key: ProcessKey { pid: p.pid, start_ns: p.start_ns },
            comm: text(p.comm, "Process.comm")?,
            exe: p.exe.map(|e| text(e, "Process.exe")).transpose()?,
        })),
    };
    Ok(Owner {
        process,
        evidence: number(o.evidence, "Owner.evidence", |n| {
            Some(OwnerEvidence::from_number(n)).filter(|e| *e as u8 == n)
        })?,
        cgroup: o.cgroup,
        cgroup_path: o.cgroup_path.map(|p| shared_text(p, "Owner.cgroup_path")).transpose()?,
        netns: o.netns,
    })
}

/// One event.
pub fn event_to_pb(e: &Event) -> pb::Event {
    pb::Event {
        sequence: e.sequence,
        at_ns: e.at.0,
        kind: e.kind as u32,
        connection: Some(Box::new(connection_to_pb(&e.connection))),
        request: e.request.as_deref().map(request_to_pb).map(Box::new),
    }
}

/// # Errors
/// When anything in it breaks the rules.
pub fn event_from_pb(e: pb::Event) -> Result<Event, InvalidMessage> {
    let kind = number(e.kind, "Event.kind", EventKind::from_number)?;
    Ok(Event {
        sequence: count(e.sequence, "Event.sequence")?,
        at: BootNs(e.at_ns),
        kind,
        connection: Arc::new(connection_from_pb(*required(e.connection, "Event.connection")?)?),
        request: event_request(e.request, kind == EventKind::Request)?,
    })
}

/// A filter, for a request.
pub fn filter_to_pb(f: &Filter) -> pb::Filter {
    pb::Filter {
        event_kinds: f.event_kinds.iter().map(|&k| k as u32).collect(),
        server_port: f.server_port.map(u32::from),
        address: f.address.map(addr_bytes),
        entities: f.entities.iter().map(|e| e.0).collect(),
        failures_only: f.failures_only,
        protocols: f.protocols.iter().map(|&p| p as u32).collect(),
    }
}

/// `None` matches all.
///
/// # Errors
/// When anything in it breaks the rules.
pub fn filter_from_pb(f: Option<pb::Filter>) -> Result<Filter, InvalidMessage> {
    let Some(f) = f else { return Ok(Filter::default()) };
    if f.entities.len() > FILTER_ENTITIES {
        return invalid(format!("Filter.entities has more than {FILTER_ENTITIES}"));
    }
    let mut event_kinds = Vec::new();
    for n in f.event_kinds {
        let kind = number(n, "Filter.event_kinds", EventKind::from_number)?;
        if !event_kinds.contains(&kind) {
            event_kinds.push(kind);
        }
    }
    let mut protocols = Vec::new();
    for n in f.protocols {
        let known = protocol(n, "Filter.protocols")?;
        if !protocols.contains(&known) {
            protocols.push(known);
        }
    }
    Ok(Filter {
        event_kinds,
        protocols,
        server_port: f.server_port.map(|p| port(p, "Filter.server_port")).transpose()?,
        address: f.address.map(|a| addr(&a, "Filter.address")).transpose()?,
        entities: f.entities.into_iter().map(EntityId).collect(),
        failures_only: f.failures_only,
    })
}
