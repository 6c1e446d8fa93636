//! `webb list connections` as a table.

use super::{Table, arrow, figure, place};
use crate::export::figures::{NONE, bytes, count, micros};
use crate::export::time;
use crate::model::{Connection, Outcome, UtcOffset, View};
use crate::world::NameTable;

/// A table of connections in the order given, with names from `names` and times by `utc`.
pub fn connections<'a>(
    list: impl IntoIterator<Item = &'a Connection>,
    names: &NameTable,
    utc: UtcOffset,
) -> String {
    let mut t = Table::new(&[
        "STATE",
        "OPENED (UTC)",
        "CLIENT",
        "",
        "SERVER",
        "OUTCOME",
        ">CONNECT",
        ">RTT",
        ">RETR",
        ">TO SERVER",
        ">TO CLIENT",
        "SEEN BY",
    ]);
    for c in list {
        let view = c.view();
        let (to_server, to_client) = c.bytes();
        t.row([
            c.state.as_str().to_owned(),
            opened(c, utc),
            place(&names.workload(c.client.entity), c.client.address.port),
            arrow(c.role_known).to_owned(),
            place(&names.workload(c.server.entity), c.server.address.port),
            c.outcome.map_or(NONE, Outcome::as_str).to_owned(),
            figure(view.and_then(|(_, end)| end.connect_us()), micros),
            figure(view.and_then(|(_, end)| end.seen.srtt_us), |us| micros(us.into())),
            figure(view, |(_, end)| count(end.seen.retransmits.into())),
            figure(view, |_| bytes(to_server)),
            figure(view, |_| bytes(to_client)),
            seen_by(c).to_owned(),
        ]);
    }
    t.render()
}

/// An adopted connection is older than its first sight.
fn opened(c: &Connection, utc: UtcOffset) -> String {
    let at = figure(time::date_time(utc, c.opened()), |at| at);
    if c.adopted() { format!("before {at}") } else { at }
}

/// Whose figures stand in the row; "both" where the server end was seen too.
fn seen_by(c: &Connection) -> &'static str {
    match (c.end(View::Client), c.end(View::Server)) {
        (Some(_), Some(_)) => "client, server",
        (Some(_), None) => View::Client.as_str(),
        (None, Some(_)) => View::Server.as_str(),
        (None, None) => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;

    #[test]
    fn shows_the_clients_view_and_what_is_missing() {
        let list = [samples::rich_connection(), samples::server_only(), samples::minimal_connection()];
        assert_eq!(
            connections(&list, &samples::names(), samples::UTC),
            "\
STATE    OPENED (UTC)                CLIENT                       SERVER                    OUTCOME  CONNECT    RTT  RETR  TO SERVER  TO CLIENT  SEEN BY
closed   2024-02-29 12:34:57         shop/web:41234            →  api.service:8080          clean    1.20 ms  95 µs     3    3.40 kB    12.0 kB  client, server
open     before 2024-02-29 12:34:57  192.0.2.7:55000           ↔  api.service:8080          -              -      -     0        0 B        5 B  server
opening  -                           unknown 0000000000000001  ↔  unknown 0000000000000002  -              -      -     -          -          -  -
"
        );
    }
}
