//! What the detail of one edge shows beside its row: worked out when it is opened and with each
//! slice, never for a frame.

use std::sync::Arc;

use super::connections::Connections;
use super::requests::Requests;
use super::shown::Edge;
use crate::model::{BootNs, Connection, Event, Shape, TargetCounts, Verdict, View};
use crate::world::{AskedPoint, EdgeId, Timed, World};

/// Requests of each kind that are shown.
const SHOWN: usize = 5;

/// A close look at an edge.
#[derive(Debug)]
pub struct Looked {
    id: EdgeId,
    until: BootNs,
    seconds: u64,
    /// The view that everything here is of.
    pub view: View,
    /// What latencies are the time of.
    pub timed: Timed,
    /// Latencies and errors, slice by slice, oldest first.
    pub course: Vec<AskedPoint>,
    /// What was asked, the most asked first.
    pub targets: Vec<TargetCounts>,
    /// Requests that are at hand.
    pub seen: usize,
    /// The slowest of them.
    pub slowest: Vec<Arc<Event>>,
    /// The newest of them that failed.
    pub failed: Vec<Arc<Event>>,
    /// The newest connection of each kind of security that is at hand, the worst first.
    pub secured: Vec<Arc<Connection>>,
    /// Answers among them, the most frequent first.
    pub answers: Vec<(String, Verdict, usize)>,
}

impl Looked {
    /// Looks.
    pub fn new(
        world: &World,
        edge: &Edge,
        (requests, connections): (&Requests, &Connections),
        until: BootNs,
        seconds: u64,
    ) -> Looked {
        let keys = &edge.row.keys;
        let view = edge.row.shown().0;
        let timed = edge.latency.map_or(Timed::Requests, |l| l.timed);
        let mut looked = Looked {
            id: edge.id().clone(),
            until,
            seconds,
            view,
            timed,
            course: world.asked_course(keys, (view, timed), until, seconds),
            targets: world.targets(keys, view, until, seconds),
            seen: 0,
            slowest: Vec::new(),
            failed: Vec::new(),
            secured: newest_of_each(connections, edge),
            answers: Vec::new(),
        };
        for event in requests.of(keys) {
            let Some(r) = &event.request else { continue };
            looked.seen += 1;
            let status = r.status.as_deref().unwrap_or(r.verdict.as_str());
            match looked.answers.iter_mut().find(|a| a.0 == status && a.1 == r.verdict) {
                Some(answer) => answer.2 += 1,
                None => looked.answers.push((status.to_owned(), r.verdict, 1)),
            }
            if r.verdict == Verdict::Error {
                looked.failed.push(event.clone());
            }
            if r.shape == Shape::Unary && r.latency_us().is_some() {
                looked.slowest.push(event.clone());
            }
        }
        let latency = |e: &Arc<Event>| e.request.as_ref().and_then(|r| r.latency_us());
        looked.slowest.sort_by_key(|e| std::cmp::Reverse(latency(e)));
        looked.slowest.truncate(SHOWN);
        looked.failed.reverse();
        looked.failed.truncate(SHOWN);
        looked.answers.sort_by_key(|a| std::cmp::Reverse(a.2));
        looked
    }

    /// Whether it is of this edge and this window.
    pub fn is_of(&self, id: &EdgeId, until: BootNs, seconds: u64) -> bool {
        self.id == *id && self.until == until && self.seconds == seconds
    }
}

/// What of an edge's connections is to be explained.
fn newest_of_each(connections: &Connections, edge: &Edge) -> Vec<Arc<Connection>> {
    let mut newest: Vec<(u8, Arc<Connection>)> = Vec::new();
    for c in connections.of(&edge.row.keys) {
        let Some(status) = c.tls.as_ref().map(|t| super::security::gravity(t.status)) else { continue };
        match newest.iter_mut().find(|n| n.0 == status) {
            Some(n) if n.1.opened() <= c.opened() => n.1 = c.clone(),
            Some(_) => {}
            None => newest.push((status, c.clone())),
        }
    }
    newest.sort_by_key(|n| n.0);
    newest.into_iter().map(|n| n.1).collect()
}
