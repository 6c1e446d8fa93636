//! `webb list edges` as a table.

use super::{Table, arrow, figure};
use crate::export::Window;
use crate::export::asked::AskedFigures;
use crate::export::figures::{NONE, bytes, count, micros};
use crate::model::{Counters, OUTCOMES};
use crate::world::EdgeRow;

/// A table of edges in the order given. `window` gives the rates, or counts where everything since a
/// start is counted; what it covers is for the caller to say ([`Window::words`]), as is what the signs
/// mean ([`crate::export::LEGEND`]).
pub fn edges<'a>(rows: impl IntoIterator<Item = &'a EdgeRow>, window: Window) -> String {
    let (opened, requests) = match window.since {
        None => (">CONN/S", ">REQ/S"),
        Some(_) => (">OPENED", ">REQUESTS"),
    };
    let mut t = Table::new(&[
        "CLIENT",
        "",
        "SERVER",
        ">PORT",
        "PROTO",
        requests,
        ">ERR",
        ">P50",
        ">P90",
        ">P99",
        opened,
        ">OPEN",
        ">CONNECT P99",
        ">RTT P50",
        ">RETR",
        ">TO SERVER",
        ">TO CLIENT",
        "SEEN BY",
        "FAILED",
    ]);
    for e in rows {
        let (view, c) = e.shown();
        let a = AskedFigures::new(c.asked.as_deref());
        t.row([
            e.client.id.name.to_string(),
            arrow(e.id.role_known).to_owned(),
            e.server.id.name.to_string(),
            e.id.port.to_string(),
            a.protocol_cell(),
            a.requests_cell(window),
            a.errors_cell(),
            a.latency_cell(0.5),
            a.latency_cell(0.9),
            a.latency_cell(0.99),
            window.amount(c.opened),
            count(c.open),
            figure(c.connect_us.quantile(0.99), micros),
            figure(c.srtt_us.quantile(0.5), micros),
            count(c.retransmits),
            bytes(c.bytes_to_server),
            bytes(c.bytes_to_client),
            view.as_str().to_owned(),
            failed(c),
        ]);
    }
    t.render()
}

/// "12 refused, 3 timed-out", in order of display.
fn failed(c: &Counters) -> String {
    let reasons: Vec<String> = OUTCOMES
        .into_iter()
        .filter(|&o| c.failed(o) > 0)
        .map(|o| format!("{} {o}", count(c.failed(o))))
        .collect();
    if reasons.is_empty() { NONE.to_owned() } else { reasons.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;

    #[test]
    fn shows_rates_percentiles_and_reasons() {
        let rows = [samples::rich_edge(), samples::minimal_edge()];
        let window = Window { since: None, seconds: 60.0 };
        assert_eq!(
            edges(&rows, window),
            "\
CLIENT        SERVER       PORT  PROTO      REQ/S    ERR      P50      P90      P99  CONN/S  OPEN  CONNECT P99  RTT P50  RETR  TO SERVER  TO CLIENT  SEEN BY  FAILED
shop/web   →  api.service  8080  http +2  ≥1.12/s  10.4%  33.0 ms  60.2 ms  66.0 ms  12.3/s    14      40.0 ms   120 µs     9    3.40 MB    12.0 MB  client   2 refused, 3 timed-out, 4 unreachable, 5 no-route, 6 no-port, 7 given-up, 8 reset-by-client, 9 reset-by-server, 10 aborted-by-client, 11 aborted-by-server
192.0.2.7  ↔  api.service  8080  -              -      -        -        -        -     0/s     0            -        -     0        0 B        0 B  server   -
"
        );
    }

    /// Without requests the latency is that of answers, and what was not decoded is not 0.
    #[test]
    fn says_what_is_not_known_of_requests() {
        let mut row = samples::minimal_edge();
        let mut asked = samples::turns_only();
        let cells = |row: &EdgeRow, window| {
            let table = edges([row], window);
            let [head, line] = [0, 1].map(|n| table.lines().nth(n).unwrap().to_owned());
            let from = head.find("PROTO").unwrap();
            let cells = |l: &str| l.chars().skip(from).collect::<String>();
            let words = |l: String| l.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            (words(cells(&head))[1].clone(), words(cells(&line))[..9].join(" "))
        };
        let last = Window { since: None, seconds: 60.0 };
        row.by_server = Some(Counters { asked: Some(Box::new(asked.clone())), ..Counters::default() });
        assert_eq!(cells(&row, last), ("REQ/S".into(), "- - - ~8.20 ms ~8.20 ms ~8.20 ms".into()));
        asked.protocol_mut(crate::model::Protocol::Http1);
        asked.undecoded_bytes = 5;
        row.by_server = Some(Counters { asked: Some(Box::new(asked)), ..Counters::default() });
        let total = Window { since: Some(crate::model::BootNs(1)), ..last };
        assert_eq!(cells(&row, total), ("REQUESTS".into(), "http ? - ~8.20 ms ~8.20 ms ~8.20 ms".into()));
    }
}
