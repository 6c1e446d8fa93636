//! `webb observe` as one line per event.

use super::{arrow, clip, pad, place, requests};
use crate::export::figures::{NONE, bytes, count, micros};
use crate::export::time;
use crate::model::{Event, EventKind, Request, UtcOffset, escape};
use crate::world::NameTable;

/// Width up to which clients and servers are padded, so that most lines are aligned; a line cannot
/// wait for the next one.
const PLACE: usize = 24;
/// Longest name of a kind of event, and of an outcome.
const KIND: usize = 11;
const OUTCOME: usize = 17;
/// Longest name of a protocol.
const PROTOCOL: usize = 9;

/// One line, without its end: time of day in UTC, what happened, who to whom, and the figures that
/// are known: `14:03:01.123  closed  shop/web:41234 → api:8080  clean  1.20 ms  3.40 kB↑  12.0 kB↓`,
/// `14:03:01.123  request  shop/web:41234 → api:8080  http  GET /orders/{id}  200  8.20 ms  client`.
pub fn event(e: &Event, names: &NameTable, utc: UtcOffset) -> String {
    let c = &*e.connection;
    let end = |workload, port| clip(&escape(&place(&workload, port)));
    let at = e.request.as_deref().map_or(e.at, |r| requests::at(e, r));
    let mut out = time::clock(utc, at).unwrap_or_else(|| NONE.to_owned());
    out.push_str("  ");
    pad(&mut out, e.kind.as_str(), KIND, false);
    out.push_str("  ");
    pad(&mut out, &end(names.workload(c.client.entity), c.client.address.port), PLACE, false);
    out.push(' ');
    out.push_str(arrow(c.role_known));
    out.push(' ');
    pad(&mut out, &end(names.workload(c.server.entity), c.server.address.port), PLACE, false);
    out.push_str("  ");
    if let Some(r) = &e.request {
        request(&mut out, r);
        return out;
    }
    pad(&mut out, c.outcome.map_or(NONE, |o| o.as_str()), OUTCOME, false);
    if let Some((_, end)) = c.view() {
        out.push_str("  ");
        pad(&mut out, &end.connect_us().map_or_else(|| NONE.to_owned(), micros), 8, true);
        // Before it is over, a connection has said little: its bytes would be read as its traffic.
        if matches!(e.kind, EventKind::Closed | EventKind::Failed) {
            let (to_server, to_client) = c.bytes();
            out.push_str("  ");
            pad(&mut out, &bytes(to_server), 8, true);
            out.push_str("↑ ");
            pad(&mut out, &bytes(to_client), 8, true);
            out.push('↓');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// What was asked, the answer, its latency, and who saw it.
fn request(out: &mut String, r: &Request) {
    pad(out, r.protocol.as_str(), PROTOCOL, false);
    out.push_str("  ");
    let what = format!("{} {}", r.method, requests::target(r));
    pad(out, &clip(&escape(what.trim())), PLACE, false);
    out.push_str("  ");
    pad(out, &clip(&escape(&requests::status(r))), 6, false);
    out.push_str("  ");
    pad(out, &requests::latency(r), 8, true);
    out.push_str("  ");
    out.push_str(requests::seen_by(r));
}

/// The line that stands where events are missing.
pub fn missed(n: u64) -> String {
    format!("-- {} events missed here: this viewer did not keep up --", count(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;
    use crate::model::{OUTCOMES, PROTOCOLS};
    use std::sync::Arc;

    #[test]
    fn the_fixed_columns_hold_every_name() {
        assert_eq!(OUTCOMES.iter().map(|o| o.as_str().len()).max(), Some(OUTCOME));
        let kinds = (0..=u8::MAX).filter_map(EventKind::from_number);
        assert_eq!(kinds.map(|k| k.as_str().len()).max(), Some(KIND));
        assert_eq!(PROTOCOLS.iter().map(|p| p.as_str().len()).max(), Some(PROTOCOL));
    }

    #[test]
    fn one_line_per_event() {
        let names = samples::names();
        let of = |c, kind| {
            let e = Event { connection: Arc::new(c), kind, ..samples::event() };
            event(&e, &names, samples::UTC)
        };
        assert_eq!(
            of(samples::rich_connection(), EventKind::Closed),
            "12:35:01.123  closed       shop/web:41234           → api.service:8080          clean               1.20 ms   3.40 kB↑  12.0 kB↓"
        );
        assert_eq!(
            of(samples::server_only(), EventKind::Adopted),
            "12:35:01.123  adopted      192.0.2.7:55000          ↔ api.service:8080          -                         -"
        );
        assert_eq!(
            of(samples::minimal_connection(), EventKind::Failed),
            "12:35:01.123  failed       unknown 0000000000000001 ↔ unknown 0000000000000002  -"
        );
        assert_eq!(
            event(&samples::rich_request(), &names, samples::UTC),
            "12:35:00.000  request      shop/web:41234           → api.service:8080          http       GET /orders/{id}          ! 503    8.20 ms  client, server"
        );
        assert_eq!(
            event(&samples::minimal_request(), &names, samples::UTC),
            "-  request      unknown 0000000000000001 ↔ unknown 0000000000000002  nats       -                         -        one-way  -"
        );
        assert_eq!(missed(12), "-- 12 events missed here: this viewer did not keep up --");
    }
}
