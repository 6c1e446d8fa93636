//! Generators of `model` values for the property tests of this room.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::model::{
    AgentInstance, Asked, BootNs, Cause, Certificate, ClientCert, Confidence, Connection, ConnectionCounts,
    ConnectionId, ConnectionState, Cost, Counters, EarlyData, EdgeKey, EdgeSlice, End, EndCounts, EndId,
    EndState, Endpoint, Entity, EntityId, EntityKind, Event, EventKind, Filter, Handshake, Hist, Hook,
    HookState, Inherits, Isns, Loss, LossKind, Mesh, Name, NameKind, NameUpdate, OUTCOMES, Outcome, Owner,
    OwnerEvidence, PROTOCOLS, Process, ProcessKey, Protocol, ProtocolCounts, Request, Resumption, Role,
    RoleEvidence, Scope, Secured, Security, Seen, Shape, Side, Slice, Snapshot, Status, Tally, TargetCounts,
    Timing, Tls, Totals, Transport, Tunnel, Turns, UtcOffset, Verdict,
};

fn count() -> BoxedStrategy<u64> {
    prop_oneof![Just(0), 0..100u64, 0..1u64 << 60].boxed()
}

fn at() -> BoxedStrategy<BootNs> {
    any::<u64>().prop_map(BootNs).boxed()
}

fn words() -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), "[a-z/]{1,20}", "\\PC{0,20}", Just("\x1b[2J\u{202e}".to_owned())].boxed()
}

fn ip() -> BoxedStrategy<IpAddr> {
    any::<IpAddr>().prop_map(|a| a.to_canonical()).boxed()
}

fn endpoint() -> BoxedStrategy<Endpoint> {
    (ip(), any::<u16>()).prop_map(|(a, p)| Endpoint::new(a, p)).boxed()
}

fn entity_id() -> BoxedStrategy<EntityId> {
    any::<u64>().prop_map(EntityId).boxed()
}

fn transport() -> BoxedStrategy<Transport> {
    prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)].boxed()
}

fn outcome() -> BoxedStrategy<Option<Outcome>> {
    option::of(proptest::sample::select(OUTCOMES.to_vec())).boxed()
}

fn hist() -> BoxedStrategy<Hist> {
    vec(prop_oneof![0..1000u64, 0..1u64 << 30], 0..20)
        .prop_map(|vs| {
            let mut h = Hist::default();
            vs.into_iter().for_each(|v| h.record(v));
            h
        })
        .boxed()
}

fn counters() -> BoxedStrategy<Counters> {
    (vec(count(), 8), vec(count(), 12), hist(), hist())
        .prop_map(|(n, outcomes, connect_us, srtt_us)| Counters {
            opened: n[0],
            established: n[1],
            closed: n[2],
            adopted: n[3],
            outcomes: std::array::from_fn(|i| outcomes[i]),
            bytes_to_server: n[4],
            bytes_to_client: n[5],
            retransmits: n[6],
            open: n[7],
            connect_us,
            srtt_us,
            asked: None,
            secured: None,
        })
        .prop_flat_map(|c| (Just(c), option::of(asked()), option::of((vec(count(), 8), vec(count(), 8)))))
        .prop_map(|(c, asked, secured)| Counters {
            asked: asked.map(Box::new),
            secured: secured.map(|(open, closed)| {
                Box::new(Secured {
                    open: std::array::from_fn(|i| open[i]),
                    closed: std::array::from_fn(|i| closed[i]),
                })
            }),
            ..c
        })
        .boxed()
}

fn protocol() -> BoxedStrategy<Protocol> {
    proptest::sample::select(PROTOCOLS.to_vec()).boxed()
}

fn tally() -> BoxedStrategy<Tally> {
    (vec(count(), 5), hist())
        .prop_map(|(n, latency_us)| Tally {
            requests: n[0],
            errors: n[1],
            client_errors: n[2],
            unknown: n[3],
            not_timed: n[4],
            latency_us,
        })
        .boxed()
}

fn asked() -> BoxedStrategy<Asked> {
    let turns = (hist(), hist(), vec(count(), 4)).prop_map(|(first_us, full_us, n)| Turns {
        first_us,
        full_us,
        overlapped: n[0],
        waits: n[1],
        pushes: n[2],
        streams: n[3],
    });
    let protocols = proptest::sample::subsequence(PROTOCOLS.to_vec(), 0..3).prop_flat_map(|ps| {
        ps.into_iter()
            .map(|protocol| {
                (tally(), hist(), count()).prop_map(move |(tally, full_us, missed)| ProtocolCounts {
                    protocol,
                    tally,
                    full_us,
                    missed,
                })
            })
            .collect::<Vec<_>>()
    });
    let target = (protocol(), words(), words(), tally()).prop_map(|(protocol, method, target, tally)| {
        TargetCounts { protocol, method: method.into(), target: target.into(), tally }
    });
    (turns, protocols, vec(target, 0..4), count())
        .prop_map(|(turns, protocols, targets, undecoded_bytes)| Asked {
            turns,
            protocols,
            targets,
            undecoded_bytes,
        })
        .boxed()
}

fn timing() -> BoxedStrategy<Timing> {
    vec(at(), 4)
        .prop_map(|n| Timing { asked: n[0], asked_all: n[1], answered: n[2], answered_all: n[3] })
        .boxed()
}

fn request() -> BoxedStrategy<Request> {
    let text = || option::of(words());
    let kinds = (protocol(), 1..=4u8, 1..=4u8);
    let timings = (option::of(timing()), option::of(timing()), count(), count());
    (kinds, (words(), words(), words()), (text(), text(), text(), text()), timings)
        .prop_map(|((protocol, shape, verdict), (method, note, evidence), texts, timings)| Request {
            protocol,
            shape: Shape::from_number(shape).unwrap(),
            method: method.into(),
            target: texts.0.map(Into::into),
            target_unknown: texts.1.map(Into::into),
            status: texts.2.map(Into::into),
            status_unknown: texts.3.map(Into::into),
            verdict: Verdict::from_number(verdict).unwrap(),
            by_client: timings.0,
            by_server: timings.1,
            request_bytes: timings.2,
            response_bytes: timings.3,
            note: note.into(),
            evidence: evidence.into(),
        })
        .boxed()
}

fn edge() -> BoxedStrategy<EdgeSlice> {
    let key = (entity_id(), entity_id(), endpoint(), transport(), any::<bool>()).prop_map(
        |(client, server, e, transport, role_known)| EdgeKey {
            client,
            server,
            addr: e.addr,
            port: e.port,
            transport,
            role_known,
        },
    );
    (key, option::of(counters()), option::of(counters()))
        .prop_map(|(key, by_client, by_server)| EdgeSlice { key, by_client, by_server })
        .boxed()
}

fn process_key() -> BoxedStrategy<ProcessKey> {
    (1..u32::MAX, any::<u64>()).prop_map(|(pid, start_ns)| ProcessKey { pid, start_ns }).boxed()
}

fn entity() -> BoxedStrategy<Entity> {
    let kind = prop_oneof![
        (any::<u64>(), any::<u64>(), words()).prop_map(|(node, cgroup, comm)| EntityKind::Program {
            node,
            cgroup,
            comm: comm.into()
        }),
        (any::<u64>(), any::<u64>(), process_key(), words()).prop_map(|(node, cgroup, key, comm)| {
            EntityKind::Process { node, cgroup, key, comm: comm.into() }
        }),
        (ip(), proptest::option::of(words())).prop_map(|(addr, name)| EntityKind::Far {
            addr,
            name: name.filter(|n| !n.is_empty()).map(Into::into)
        }),
        (entity_id(), any::<u16>()).prop_map(|(anchor, port)| EntityKind::OtherFar { anchor, port }),
    ];
    kind.prop_map(|kind| Entity { id: kind.id(), kind }).boxed()
}

fn name() -> BoxedStrategy<Name> {
    (entity_id(), words(), 1..=8u8, words(), at())
        .prop_map(|(entity, name, kind, source, from)| Name {
            entity,
            name: name.into(),
            kind: NameKind::from_number(kind).unwrap(),
            source: source.into(),
            from,
        })
        .boxed()
}

fn loss() -> BoxedStrategy<Loss> {
    vec((1..=5u8, 1..=7u8, 1..1000u64), 0..5)
        .prop_map(|rows| {
            let mut loss = Loss::default();
            for (kind, cause, n) in rows {
                loss.add(LossKind::from_number(kind).unwrap(), Cause::from_number(cause).unwrap(), n);
            }
            loss
        })
        .boxed()
}

pub(super) fn slice() -> BoxedStrategy<Slice> {
    let lists = (vec(edge(), 0..4), vec(entity(), 0..4), vec(name(), 0..4), loss());
    (any::<u64>(), 1..1u64 << 50, 0..1u64 << 62, 0..1u64 << 40, any::<i64>(), lists, count(), count())
        .prop_map(|(agent, sequence, start, length_ns, utc, (edges, entities, names, loss), late, cpu_ns)| {
            Slice {
                agent: AgentInstance(agent),
                sequence,
                start: BootNs(start),
                length_ns,
                utc: UtcOffset(utc),
                edges,
                entities,
                names,
                loss,
                late,
                cpu_ns,
            }
        })
        .boxed()
}

/// A snapshot whose history is in order and carries no names.
pub(super) fn snapshot() -> BoxedStrategy<Snapshot> {
    (words(), words(), slice(), vec(slice(), 0..4))
        .prop_map(|(node, scope, mut totals, mut history)| {
            for (i, s) in history.iter_mut().enumerate() {
                s.agent = totals.agent;
                s.sequence = i as u64 + 1;
                s.entities.clear();
                s.names.clear();
            }
            totals.sequence = totals.sequence.max(history.len() as u64);
            Snapshot { node, scope, totals, history: history.into_iter().map(Arc::new).collect() }
        })
        .boxed()
}

fn owner() -> BoxedStrategy<Owner> {
    let process = (process_key(), words(), option::of(words()))
        .prop_map(|(key, comm, exe)| Arc::new(Process { key, comm, exe }));
    (option::of(process), 0..=4u8, any::<u64>(), option::of(words()), any::<u32>())
        .prop_map(|(process, evidence, cgroup, path, netns)| Owner {
            process,
            evidence: OwnerEvidence::from_number(evidence),
            cgroup,
            cgroup_path: path.map(Into::into),
            netns,
        })
        .boxed()
}

fn end() -> BoxedStrategy<End> {
    let id = (any::<u64>(), any::<u64>(), any::<u32>());
    let role = (0..=2u8, 0..=7u8, proptest::sample::select(vec![1u8, 2, 3, 4]), any::<bool>());
    let seen = (
        count(),
        count(),
        any::<Option<u32>>(),
        any::<Option<u32>>(),
        any::<u32>(),
        option::of((count(), count())),
    );
    (
        (id, endpoint(), endpoint(), role, owner(), entity_id()),
        (any::<Option<(u32, u32)>>(), at(), at(), at(), outcome(), seen),
    )
        .prop_map(
            |((id, local, peer, role, owner, entity), (isns, opened, established, closed, outcome, seen))| {
                End {
                    id: EndId { netns_cookie: id.0, cookie: id.1, generation: id.2 },
                    local,
                    peer,
                    role: Role::from_number(role.0),
                    role_evidence: RoleEvidence::from_number(role.1),
                    owner,
                    entity,
                    adopted: role.3,
                    isns: isns.map(|(tx, rx)| Isns { tx, rx }),
                    opened,
                    established,
                    closed,
                    state: [EndState::Opening, EndState::Established, EndState::Closed, EndState::Failed]
                        [usize::from(role.2) - 1],
                    outcome,
                    seen: Seen {
                        bytes_sent: seen.0,
                        bytes_received: seen.1,
                        srtt_us: seen.2,
                        min_rtt_us: seen.3,
                        retransmits: seen.4,
                        packets: seen.5,
                    },
                }
            },
        )
        .boxed()
}

fn side() -> BoxedStrategy<Side> {
    (endpoint(), entity_id(), option::of(end()))
        .prop_map(|(address, entity, end)| Side { address, entity, end })
        .boxed()
}

pub(super) fn connection() -> BoxedStrategy<Connection> {
    (any::<u64>(), transport(), 1..=4u8, any::<bool>(), side(), side(), outcome(), (at(), option::of(tls())))
        .prop_map(|(id, transport, state, role_known, client, server, outcome, (changed, tls))| Connection {
            id: ConnectionId(id),
            transport,
            state: ConnectionState::from_number(state).unwrap(),
            role_known,
            client,
            server,
            outcome,
            changed,
            tls: tls.map(Arc::new),
        })
        .boxed()
}

fn word() -> BoxedStrategy<Option<Box<str>>> {
    option::of(words()).prop_map(|w| w.map(Into::into)).boxed()
}

fn list() -> BoxedStrategy<Vec<Box<str>>> {
    vec(words().prop_map(Into::into), 0..4).boxed()
}

fn certificate() -> BoxedStrategy<Option<Box<Certificate>>> {
    let texts = (words(), words(), list(), word(), words());
    let certificate = (texts, any::<i64>(), any::<i64>(), any::<u32>(), any::<u8>(), any::<u64>()).prop_map(
        |((subject, issuer, sans, spiffe, key), not_before, not_after, key_bits, chain, fingerprint)| {
            Box::new(Certificate {
                subject: subject.into(),
                issuer: issuer.into(),
                sans,
                spiffe,
                not_before,
                not_after,
                key: key.into(),
                key_bits,
                chain,
                fingerprint,
            })
        },
    );
    option::of(certificate).boxed()
}

fn tls() -> BoxedStrategy<Tls> {
    let numbers = (1..=8u8, 0..=3u8, 0..=3u8, 1..=4u8, 0..=3u8, 0..=2u8, 0..=6u8, 1..=6u8, 0..=3u8, 0..=8u8);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let wide = (any::<Option<u16>>(), any::<Option<u16>>(), any::<Option<u16>>(), any::<Option<u8>>());
    let texts = (word(), word(), word(), word(), list(), list());
    (numbers, flags, wide, texts, option::of(at()), certificate(), certificate())
        .prop_map(|(n, flags, wide, texts, inherits_at, client, server)| Tls {
            status: Security::from_number(n.0).unwrap(),
            confidence: Confidence::from_number(n.1),
            inherits: Inherits::from_number(n.2),
            inherits_at,
            client_cert: ClientCert::from_number(n.3).unwrap(),
            resumed: Resumption::from_number(n.4),
            early_data: EarlyData::from_number(n.5),
            mesh: Mesh::from_number(n.6),
            handshake: Handshake::from_number(n.7).unwrap(),
            tunnel: Tunnel::from_number(n.8),
            inside: Security::from_number(n.9),
            may_authenticate_later: flags.0,
            ech: flags.1,
            retried: flags.2,
            alert_by_client: flags.3,
            version: wide.0,
            cipher: wide.1,
            group: wide.2,
            alert: wide.3,
            unknown: texts.0,
            sni: texts.1,
            alpn: texts.2,
            after: texts.3,
            alpn_offered: texts.4,
            evidence: texts.5,
            client,
            server,
        })
        .boxed()
}

pub(super) fn event() -> BoxedStrategy<Event> {
    (count(), at(), 1..=6u8, connection(), request())
        .prop_map(|(sequence, at, kind, c, r)| Event {
            sequence,
            at,
            kind: EventKind::from_number(kind).unwrap(),
            connection: Arc::new(c),
            request: (kind == EventKind::Request as u8).then(|| Arc::new(r)),
        })
        .boxed()
}

pub(super) fn filter() -> BoxedStrategy<Filter> {
    (
        proptest::sample::subsequence(vec![1u8, 2, 3, 4, 5, 6], 0..=6),
        any::<Option<u16>>(),
        option::of(ip()),
        vec(entity_id(), 0..5),
        any::<bool>(),
        proptest::sample::subsequence(PROTOCOLS.to_vec(), 0..3),
    )
        .prop_map(|(kinds, server_port, address, entities, failures_only, protocols)| Filter {
            protocols,
            event_kinds: kinds.into_iter().map(|k| EventKind::from_number(k).unwrap()).collect(),
            server_port,
            address,
            entities,
            failures_only,
        })
        .boxed()
}

pub(super) fn name_update() -> BoxedStrategy<NameUpdate> {
    (vec(entity(), 0..4), vec(name(), 0..4), any::<i64>())
        .prop_map(|(entities, names, utc)| NameUpdate { entities, names, utc: UtcOffset(utc) })
        .boxed()
}

fn ends() -> BoxedStrategy<EndCounts> {
    vec(count(), 5)
        .prop_map(|n| EndCounts {
            opened: n[0],
            established: n[1],
            failed: n[2],
            closed: n[3],
            adopted: n[4],
        })
        .boxed()
}

fn hook() -> BoxedStrategy<Hook> {
    (vec(words(), 4), option::of(words()), any::<bool>())
        .prop_map(|(w, off, essential)| Hook {
            datum: w[0].clone(),
            hook: w[1].clone(),
            state: off.map_or(HookState::On, HookState::Off),
            without: w[2].clone(),
            advice: w[3].clone(),
            essential,
        })
        .boxed()
}

pub(super) fn status() -> BoxedStrategy<Status> {
    (
        (any::<u64>(), vec(words(), 4), vec(words(), 0..3), vec(at(), 2), any::<i64>()),
        (vec(count(), 14), option::of(count()), vec(ends(), 3), loss(), vec(hook(), 0..4)),
    )
        .prop_map(|((agent, w, cgroups, times, utc), (n, bpf_ns, ends, loss, hooks))| Status {
            agent: AgentInstance(agent),
            node: w[0].clone(),
            version: w[1].clone(),
            source: w[2].clone(),
            scope: Scope { cgroups, label: w[3].clone() },
            started: times[0],
            now: times[1],
            utc: UtcOffset(utc),
            connections: ConnectionCounts {
                opened: n[0],
                established: n[1],
                failed: n[2],
                closed: n[3],
                adopted: n[4],
                live: n[5],
                evicted: n[6],
            },
            ends: Totals { client: ends[0], server: ends[1], unknown: ends[2] },
            state_produced: n[7],
            state_seen: n[8],
            pieces_produced: n[7],
            pieces_seen: n[6],
            loss,
            hooks,
            cost: Cost {
                cpu_ns: n[9],
                bpf_ns,
                rss_bytes: n[10],
                bpf_bytes: n[11],
                walk_ns: n[12],
                walk_sockets: n[13],
                pass_ns: n[12] / 2,
            },
        })
        .boxed()
}
