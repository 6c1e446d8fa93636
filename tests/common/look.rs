//! Looking at what an agent says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{connections, puppet::endpoint};
use webb::agent::Agent;
use webb::model::{Connection, Counters, End, OUTCOMES, Outcome, View};

/// All connections to this address, as dialled.
pub fn to(agent: &Agent, server: SocketAddr) -> Vec<Arc<Connection>> {
    let all = connections(agent);
    all.into_iter().filter(|c| c.server.address == endpoint(server)).collect()
}

/// The one connection to this address.
pub fn the(agent: &Agent, server: SocketAddr) -> Arc<Connection> {
    let mut found = to(agent, server);
    assert_eq!(found.len(), 1, "connections to {server}: {found:#?}");
    found.remove(0)
}

/// Both ends of a connection.
pub fn both(c: &Connection) -> (&End, &End) {
    let client = c.client.end.as_ref().unwrap_or_else(|| panic!("no client end: {c:#?}"));
    let server = c.server.end.as_ref().unwrap_or_else(|| panic!("no server end: {c:#?}"));
    (client, server)
}

/// (of the connection, of its client's end, of its server's end).
pub fn outcomes(c: &Connection) -> (Option<Outcome>, Option<Outcome>, Option<Outcome>) {
    let of = |end: &Option<End>| end.as_ref().and_then(|e| e.outcome);
    (c.outcome, of(&c.client.end), of(&c.server.end))
}

/// Process and command name of an owner.
pub fn owner(end: &End) -> (u32, &str) {
    let process = end.owner.process.as_ref().unwrap_or_else(|| panic!("no owner: {end:#?}"));
    (process.key.pid, &process.comm)
}

/// All counters of the edges at this address, as one kind of end saw them.
pub fn counted(agent: &Agent, server: SocketAddr, view: View) -> Counters {
    let mut sum = Counters::default();
    for e in &agent.store().snapshot().totals.edges {
        if e.key.addr == server.ip().to_canonical() && e.key.port == server.port() {
            let of = match view {
                View::Client => &e.by_client,
                View::Server => &e.by_server,
            };
            let open = sum.open;
            sum.merge_later(&of.clone().unwrap_or_default());
            sum.open += open;
        }
    }
    sum
}

/// Outcomes of the edges at this address that were counted.
pub fn counted_outcomes(agent: &Agent, server: SocketAddr, view: View) -> BTreeMap<&'static str, u64> {
    let counters = counted(agent, server, view);
    let named = OUTCOMES.into_iter().map(|o| (o.as_str(), counters.outcomes[o.index()]));
    named.filter(|(_, n)| *n > 0).collect()
}
