//! `webb list requests` as a table.

use super::{Table, arrow, place};
use crate::export::figures::{NONE, bytes, count, micros};
use crate::export::time;
use crate::model::{Event, Request, Shape, UtcOffset, Verdict};
use crate::world::NameTable;

/// Where there is something, but it is not known what; JSON says why.
pub(super) const UNKNOWN: &str = "?";

/// A table of the requests among the events, in the order given, with names from `names` and times by
/// `utc`.
pub fn requests<'a>(list: impl IntoIterator<Item = &'a Event>, names: &NameTable, utc: UtcOffset) -> String {
    let mut t = Table::new(&[
        "TIME (UTC)",
        "CLIENT",
        "",
        "SERVER",
        "PROTO",
        "METHOD",
        "TARGET",
        "STATUS",
        ">LATENCY",
        ">REQUEST",
        ">RESPONSE",
        "SEEN BY",
    ]);
    for e in list {
        let Some(r) = e.request.as_deref() else { continue };
        let c = &*e.connection;
        t.row([
            time::clock(utc, at(e, r)).unwrap_or_else(|| NONE.to_owned()),
            place(&names.workload(c.client.entity), c.client.address.port),
            arrow(c.role_known).to_owned(),
            place(&names.workload(c.server.entity), c.server.address.port),
            r.protocol.as_str().to_owned(),
            if r.method.is_empty() { NONE.to_owned() } else { r.method.to_string() },
            target(r).to_owned(),
            status(r),
            latency(r),
            bytes(r.request_bytes),
            bytes(r.response_bytes),
            seen_by(r).to_owned(),
        ]);
    }
    t.render()
}

/// The sentence below a table from which requests are missing.
pub fn requests_missed(n: u64) -> String {
    format!("{} requests are missing here: they came too fast, and were only counted\n", count(n))
}

/// When it was asked, else when it was told.
pub(super) fn at(e: &Event, r: &Request) -> crate::model::BootNs {
    r.shown().and_then(|(_, t)| t.asked.known()).unwrap_or(e.at)
}

pub(super) fn target(r: &Request) -> &str {
    match (&r.target, &r.target_unknown) {
        (Some(target), _) => target,
        (None, Some(_)) => UNKNOWN,
        (None, None) => NONE,
    }
}

/// What the answer says; an error begins with a sign.
pub(super) fn status(r: &Request) -> String {
    let text = match (&r.status, &r.status_unknown) {
        (Some(status), _) => status,
        (None, Some(_)) => UNKNOWN,
        (None, None) if r.verdict == Verdict::Unknown => UNKNOWN,
        (None, None) => NONE,
    };
    match r.verdict {
        Verdict::Error => format!("! {text}"),
        Verdict::Ok | Verdict::ClientError | Verdict::Unknown => text.to_owned(),
    }
}

/// The latency where that says how fast the server is, else why it does not.
pub(super) fn latency(r: &Request) -> String {
    match (r.shape, r.latency_us(), r.verdict) {
        (Shape::Unary, Some(us), _) => micros(us),
        (Shape::Unary, None, Verdict::Unknown) => UNKNOWN.to_owned(),
        (Shape::Unary, None, _) => NONE.to_owned(),
        (shape, ..) => shape.as_str().to_owned(),
    }
}

/// The ends that saw it; the figures are the first one's.
pub(super) fn seen_by(r: &Request) -> &'static str {
    match (&r.by_client, &r.by_server) {
        (Some(_), Some(_)) => "client, server",
        (Some(_), None) => "client",
        (None, Some(_)) => "server",
        (None, None) => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;

    #[test]
    fn unknown_absent_and_failed_look_different() {
        let list = [
            samples::rich_request(),
            samples::unknown_request(),
            samples::unanswered_request(),
            samples::minimal_request(),
            // Not a request.
            samples::event(),
        ];
        assert_eq!(
            requests(&list, &samples::names(), samples::UTC),
            "\
TIME (UTC)    CLIENT                       SERVER                    PROTO  METHOD  TARGET            STATUS      LATENCY  REQUEST  RESPONSE  SEEN BY
12:35:00.000  shop/web:41234            →  api.service:8080          http   GET     /orders/{id}      ! 503       8.20 ms    120 B   3.40 kB  client, server
12:35:00.000  shop/web:41234            →  api.service:8080          http2  GET     ?                 ?                 ?    120 B   3.40 kB  client
12:35:00.000  192.0.2.7:55000           ↔  api.service:8080          dns    A       api.shop.example  ! time-out        -     40 B       0 B  server
-             unknown 0000000000000001  ↔  unknown 0000000000000002  nats   -       -                 -           one-way      0 B       0 B  -
"
        );
        assert_eq!(
            requests_missed(12_345),
            "12.3k requests are missing here: they came too fast, and were only counted\n"
        );
    }
}
