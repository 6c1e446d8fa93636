//! Slices.

use super::hist;
use super::invalid::{
    InvalidMessage, addr, addr_bytes, count, invalid, number, outcome, port, required, transport,
};
use super::names::{entity_from_pb, entity_to_pb, name_from_pb, name_to_pb};
use super::pb;
use super::request::{asked_from_pb, asked_to_pb};
use crate::model::{
    AgentInstance, BootNs, Cause, Counters, EdgeKey, EdgeSlice, EntityId, Loss, LossKind, OUTCOMES, Secured,
    Slice, UtcOffset,
};

/// One slice as one message, whatever its size (see [`super::Pieces`]).
pub fn slice_to_pb(s: &Slice) -> pb::Slice {
    pb::Slice {
        edges: s.edges.iter().map(edge_to_pb).collect(),
        entities: s.entities.iter().map(entity_to_pb).collect(),
        names: s.names.iter().map(name_to_pb).collect(),
        ..head_to_pb(s)
    }
}

/// Everything of a slice but its lists.
pub(super) fn head_to_pb(s: &Slice) -> pb::Slice {
    pb::Slice {
        instance: s.agent.0,
        sequence: s.sequence,
        start_ns: s.start.0,
        length_ns: s.length_ns,
        utc_offset_ns: s.utc.0,
        loss: loss_to_pb(&s.loss),
        late: s.late,
        cpu_ns: s.cpu_ns,
        ..pb::Slice::default()
    }
}

/// `more` is for who reads the stream; it is not looked at.
///
/// # Errors
/// When anything in it breaks the rules.
pub fn slice_from_pb(s: pb::Slice) -> Result<Slice, InvalidMessage> {
    if s.start_ns.checked_add(s.length_ns).is_none() {
        return invalid("Slice.length_ns reaches beyond the end of time");
    }
    Ok(Slice {
        agent: AgentInstance(s.instance),
        sequence: count(s.sequence, "Slice.sequence")?,
        start: BootNs(s.start_ns),
        length_ns: s.length_ns,
        utc: UtcOffset(s.utc_offset_ns),
        edges: s.edges.into_iter().map(edge_from_pb).collect::<Result<_, _>>()?,
        entities: s.entities.into_iter().map(entity_from_pb).collect::<Result<_, _>>()?,
        names: s.names.into_iter().map(name_from_pb).collect::<Result<_, _>>()?,
        loss: loss_from_pb(s.loss)?,
        late: count(s.late, "Slice.late")?,
        cpu_ns: count(s.cpu_ns, "Slice.cpu_ns")?,
    })
}

pub(super) fn edge_to_pb(e: &EdgeSlice) -> pb::Edge {
    pb::Edge {
        client: e.key.client.0,
        server: e.key.server.0,
        server_addr: addr_bytes(e.key.addr),
        server_port: u32::from(e.key.port),
        transport: e.key.transport as u32,
        role_known: e.key.role_known,
        by_client: e.by_client.as_ref().map(counters_to_pb).map(Box::new),
        by_server: e.by_server.as_ref().map(counters_to_pb).map(Box::new),
    }
}

fn edge_from_pb(e: pb::Edge) -> Result<EdgeSlice, InvalidMessage> {
    Ok(EdgeSlice {
        key: EdgeKey {
            client: EntityId(e.client),
            server: EntityId(e.server),
            addr: addr(&e.server_addr, "Edge.server_addr")?,
            port: port(e.server_port, "Edge.server_port")?,
            transport: transport(e.transport, "Edge.transport")?,
            role_known: e.role_known,
        },
        by_client: e.by_client.map(|c| counters_from_pb(*c)).transpose()?,
        by_server: e.by_server.map(|c| counters_from_pb(*c)).transpose()?,
    })
}

fn counters_to_pb(c: &Counters) -> pb::Counters {
    pb::Counters {
        opened: c.opened,
        established: c.established,
        closed: c.closed,
        adopted: c.adopted,
        outcomes: OUTCOMES
            .iter()
            .map(|&o| pb::OutcomeCount { outcome: o as u32, count: c.outcomes[o.index()] })
            .filter(|o| o.count != 0)
            .collect(),
        bytes_to_server: c.bytes_to_server,
        bytes_to_client: c.bytes_to_client,
        retransmits: c.retransmits,
        open: c.open,
        connect_us: hist::to_pb(&c.connect_us),
        srtt_us: hist::to_pb(&c.srtt_us),
        asked: c.asked.as_deref().map(asked_to_pb).map(Box::new),
        secured_open: c.secured.as_ref().map(|s| s.open.to_vec()).unwrap_or_default(),
        secured_closed: c.secured.as_ref().map(|s| s.closed.to_vec()).unwrap_or_default(),
    }
}

fn counters_from_pb(c: pb::Counters) -> Result<Counters, InvalidMessage> {
    let mut outcomes = [0; 12];
    for row in &c.outcomes {
        let o = required(outcome(row.outcome, "OutcomeCount.outcome")?, "OutcomeCount.outcome")?;
        if outcomes[o.index()] != 0 {
            return invalid("Counters.outcomes names an outcome twice");
        }
        outcomes[o.index()] = count(row.count, "OutcomeCount.count")?;
    }
    Ok(Counters {
        opened: count(c.opened, "Counters.opened")?,
        established: count(c.established, "Counters.established")?,
        closed: count(c.closed, "Counters.closed")?,
        adopted: count(c.adopted, "Counters.adopted")?,
        outcomes,
        bytes_to_server: count(c.bytes_to_server, "Counters.bytes_to_server")?,
        bytes_to_client: count(c.bytes_to_client, "Counters.bytes_to_client")?,
        retransmits: count(c.retransmits, "Counters.retransmits")?,
        open: count(c.open, "Counters.open")?,
        connect_us: hist::from_pb(c.connect_us, "Counters.connect_us")?,
        srtt_us: hist::from_pb(c.srtt_us, "Counters.srtt_us")?,
        asked: c.asked.map(|a| asked_from_pb(*a)).transpose()?.map(Box::new),
        secured: secured_from_pb(&c.secured_open, &c.secured_closed)?,
    })
}

fn secured_from_pb(open: &[u64], closed: &[u64]) -> Result<Option<Box<Secured>>, InvalidMessage> {
    let eight = |counts: &[u64], name: &str| -> Result<[u64; 8], InvalidMessage> {
        let mut out = [0; 8];
        if counts.len() != out.len() {
            return invalid(format!("{name} has {} elements, not 8", counts.len()));
        }
        for (to, n) in out.iter_mut().zip(counts) {
            *to = count(*n, name)?;
        }
        Ok(out)
    };
    if open.is_empty() && closed.is_empty() {
        return Ok(None);
    }
    let open = eight(open, "Counters.secured_open")?;
    Ok(Some(Box::new(Secured { open, closed: eight(closed, "Counters.secured_closed")? })))
}

pub(super) fn loss_to_pb(loss: &Loss) -> Vec<pb::LossRow> {
    loss.0
        .iter()
        .map(|r| pb::LossRow { kind: r.kind as u32, cause: r.cause as u32, count: r.count })
        .collect()
}

pub(super) fn loss_from_pb(rows: Vec<pb::LossRow>) -> Result<Loss, InvalidMessage> {
    let mut loss = Loss::default();
    for r in rows {
        let kind = number(r.kind, "LossRow.kind", LossKind::from_number)?;
        let cause = number(r.cause, "LossRow.cause", Cause::from_number)?;
        // Rows of the same kind and cause add up; the table stays as small as there are kinds.
        loss.add(kind, cause, count(r.count, "LossRow.count")?);
    }
    Ok(loss)
}
