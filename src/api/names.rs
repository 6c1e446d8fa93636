//! Entities and names.

use super::invalid::{InvalidMessage, addr, addr_bytes, cut, invalid, number, port, required, shared_text};
use super::pb;
use crate::model::{BootNs, Entity, EntityId, EntityKind, Name, NameKind, NameUpdate, ProcessKey, UtcOffset};

pub(super) fn entity_to_pb(e: &Entity) -> pb::Entity {
    use pb::entity::Kind;
    let kind = match &e.kind {
        EntityKind::Program { node, cgroup, comm } => Kind::Program(pb::Program {
            node: *node,
            cgroup: *cgroup,
            comm: cut(comm),
            ..pb::Program::default()
        }),
        EntityKind::Process { node, cgroup, key, comm } => Kind::Process(pb::Program {
            node: *node,
            cgroup: *cgroup,
            comm: cut(comm),
            pid: key.pid,
            start_ns: key.start_ns,
        }),
        EntityKind::Far { addr, .. } => Kind::Far(addr_bytes(*addr)),
        EntityKind::OtherFar { anchor, port } => {
            Kind::OtherFar(pb::OtherFar { anchor: anchor.0, port: u32::from(*port) })
        }
    };
    let far_name = match &e.kind {
        EntityKind::Far { name: Some(name), .. } => cut(name),
        _ => String::new(),
    };
    pb::Entity { id: e.id.0, far_name, kind: Some(kind) }
}

pub(super) fn entity_from_pb(e: pb::Entity) -> Result<Entity, InvalidMessage> {
    use pb::entity::Kind;
    let kind = match required(e.kind, "Entity.kind")? {
        Kind::Program(p) if p.pid != 0 || p.start_ns != 0 => {
            return invalid("Entity.program has a pid");
        }
        Kind::Program(p) => {
            EntityKind::Program { node: p.node, cgroup: p.cgroup, comm: shared_text(p.comm, "Program.comm")? }
        }
        Kind::Process(p) => EntityKind::Process {
            node: p.node,
            cgroup: p.cgroup,
            key: ProcessKey { pid: p.pid, start_ns: p.start_ns },
            comm: shared_text(p.comm, "Program.comm")?,
        },
        Kind::Far(bytes) => EntityKind::Far {
            addr: addr(&bytes, "Entity.far")?,
            name: match e.far_name.as_str() {
                "" => None,
                _ => Some(shared_text(e.far_name, "Entity.far_name")?),
            },
        },
        Kind::OtherFar(o) => {
            EntityKind::OtherFar { anchor: EntityId(o.anchor), port: port(o.port, "OtherFar.port")? }
        }
    };
    Ok(Entity { id: EntityId(e.id), kind })
}

pub(super) fn name_to_pb(n: &Name) -> pb::Name {
    pb::Name {
        entity: n.entity.0,
        name: cut(&n.name),
        kind: n.kind as u32,
        source: cut(&n.source),
        from_ns: n.from.0,
    }
}

pub(super) fn name_from_pb(n: pb::Name) -> Result<Name, InvalidMessage> {
    Ok(Name {
        entity: EntityId(n.entity),
        name: shared_text(n.name, "Name.name")?,
        kind: number(n.kind, "Name.kind", NameKind::from_number)?,
        source: shared_text(n.source, "Name.source")?,
        from: BootNs(n.from_ns),
    })
}

/// Names for a stream of events or connections.
pub fn name_update_to_pb(n: &NameUpdate) -> pb::Names {
    pb::Names {
        entities: n.entities.iter().map(entity_to_pb).collect(),
        names: n.names.iter().map(name_to_pb).collect(),
        utc_offset_ns: n.utc.0,
    }
}

/// # Errors
/// When an entity or a name breaks the rules.
pub fn name_update_from_pb(n: pb::Names) -> Result<NameUpdate, InvalidMessage> {
    Ok(NameUpdate {
        entities: n.entities.into_iter().map(entity_from_pb).collect::<Result<_, _>>()?,
        names: n.names.into_iter().map(name_from_pb).collect::<Result<_, _>>()?,
        utc: UtcOffset(n.utc_offset_ns),
    })
}
