//! `webb top` as a table: as wide and as high as a terminal.

use unicode_width::UnicodeWidthChar;

use super::{Table, arrow, pad, place};
use crate::export::Window;
use crate::export::asked::LEGEND;
use crate::export::figures::{NONE, bytes, count, rate, share};
use crate::export::top::{By, Sum, TopRow};
use crate::model::UtcOffset;

/// What the figures speak of, and all of them together.
pub fn top_header(window: Window, sum: &Sum, utc: UtcOffset) -> String {
    let mut out = format!("{}: {}", window.words(utc), window_rate(window, sum.opened, "conn"));
    if sum.failures > 0 {
        out.push_str(&format!(" ({} failed)", count(sum.failures)));
    }
    if let Some(requests) = sum.requests {
        out.push_str(&format!(", {}", window_rate(window, requests, "req")));
        out.push_str(&format!(", {} errors", share(sum.errors, requests)));
    }
    out.push_str(&format!("   {LEGEND}"));
    out
}

fn window_rate(window: Window, n: u64, what: &str) -> String {
    rate(window.per_second(n)).replace("/s", &format!(" {what}/s"))
}

/// The rows in the order given.
pub fn top(rows: &[TopRow], by: By, window: Window) -> String {
    match by {
        By::Edges => edges(rows, window),
        By::Paths => paths(rows, window),
    }
}

fn edges(rows: &[TopRow], window: Window) -> String {
    let mut t = Table::new(&[
        ">REQ/S", ">ERR", ">P50", ">P90", ">P99", "PROTO", "CLIENT", "", "SERVER", ">CONN/S", ">FAILED",
        ">BYTES/S", "SEEN BY",
    ]);
    for r in rows {
        let a = &r.asked;
        let c = r.counters.as_ref();
        let bytes_per_s = |c: &crate::model::Counters| {
            // A figure with three digits: what is cut is not seen.
            window.per_second(c.bytes_to_server.saturating_add(c.bytes_to_client)) as u64
        };
        t.row([
            a.requests_cell(window),
            a.errors_cell(),
            a.latency_cell(0.5),
            a.latency_cell(0.9),
            a.latency_cell(0.99),
            a.protocol_cell(),
            r.client.as_ref().map_or_else(|| NONE.to_owned(), |w| w.id.name.to_string()),
            arrow(r.role_known).to_owned(),
            place(&r.server, r.port),
            super::figure(c, |c| rate(window.per_second(c.opened))),
            super::figure(c.map(|c| c.failures()).filter(|n| *n > 0), |n| format!("! {}", count(n))),
            super::figure(c, |c| bytes(bytes_per_s(c))),
            r.view.as_str().to_owned(),
        ]);
    }
    t.render()
}

fn paths(rows: &[TopRow], window: Window) -> String {
    let mut t = Table::new(&[
        ">REQ/S", ">ERR", ">P50", ">P90", ">P99", "PROTO", "SERVER", "METHOD", "TARGET", "SEEN BY",
    ]);
    for r in rows {
        let a = &r.asked;
        let Some(path) = &r.path else { continue };
        let (method, target) = if path.rest { (NONE, "(others)") } else { (&*path.method, &*path.target) };
        let text = |t: &str| if t.is_empty() { NONE.to_owned() } else { t.to_owned() };
        t.row([
            a.requests_cell(window),
            a.errors_cell(),
            a.latency_cell(0.5),
            a.latency_cell(0.9),
            a.latency_cell(0.99),
            a.protocol_cell(),
            place(&r.server, r.port),
            text(method),
            text(target),
            r.view.as_str().to_owned(),
        ]);
    }
    t.render()
}

/// What of a text fits in so many columns and lines, each line as wide as the columns; the last line
/// says how many more there are.
pub fn fit(text: &str, columns: usize, lines: usize) -> Vec<String> {
    let all: Vec<&str> = text.lines().collect();
    if all.len() <= lines {
        return all.into_iter().map(|line| fill(line, columns)).collect();
    }
    let Some(kept) = lines.checked_sub(1) else { return Vec::new() };
    let more = format!("{} more", count((all.len() - kept) as u64));
    all.into_iter().take(kept).chain([more.as_str()]).map(|line| fill(line, columns)).collect()
}

fn fill(line: &str, columns: usize) -> String {
    let mut width = 0;
    let fits = line.chars().take_while(|c| {
        width += c.width().unwrap_or(0);
        width <= columns
    });
    // Marks of width 0 can still be piled up without end.
    let cut: String = fits.take(4 * columns).collect();
    let mut out = String::new();
    pad(&mut out, &cut, columns, false);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;
    use crate::export::top::{Order, rows, sum};
    use crate::model::Counters;
    use proptest::prelude::*;

    const WINDOW: Window = Window { since: None, seconds: 10.0 };

    #[test]
    fn edges_and_paths() {
        let mut blind = samples::minimal_edge();
        let asked = Some(Box::new(samples::turns_only()));
        blind.by_server = Some(Counters { opened: 3, asked, ..Counters::default() });
        let edges = [blind, samples::rich_edge()];
        let text = top_header(WINDOW, &sum(&edges), samples::UTC);
        assert_eq!(text, format!("last 10 s: 74.3 conn/s (65 failed), 6.70 req/s, 10.4% errors   {LEGEND}"));
        let words = |l: &str| l.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = top(&rows(&edges, By::Edges, Order::Rate), By::Edges, WINDOW);
        assert_eq!(
            text.lines().map(words).collect::<Vec<_>>(),
            [
                "REQ/S ERR P50 P90 P99 PROTO CLIENT SERVER CONN/S FAILED BYTES/S SEEN BY",
                "≥6.70/s 10.4% 33.0 ms 60.2 ms 66.0 ms http +2 shop/web → api.service:8080 74.0/s ! 65 1.54 MB client",
                "- - ~8.20 ms ~8.20 ms ~8.20 ms - 192.0.2.7 ↔ api.service:8080 0.30/s - 0 B server",
            ]
        );
        let text = top(&rows(&edges, By::Paths, Order::P99), By::Paths, WINDOW);
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(lines.len(), 1 + 66, "{text}");
        assert_eq!(
            [&lines[0], &lines[1], &lines[2], &lines[66]],
            [
                "REQ/S ERR P50 P90 P99 PROTO SERVER METHOD TARGET SEEN BY",
                "0.20/s 0 65.0 ms 66.0 ms 66.0 ms - api.service:8080 - (others) client",
                "0.10/s 0 64.0 ms 64.0 ms 64.0 ms http api.service:8080 GET /63 client",
                "0.10/s 0 - - - nats api.service:8080 PUB - client",
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        assert_eq!(fit("ab\ncdef\n", 3, 5), ["ab ", "cde"]);
        assert_eq!(fit("a\nb\nc\n", 6, 2), ["a     ", "2 more"]);
        assert_eq!(fit("a\nb", 6, 1), ["2 more"]);
        assert_eq!(fit("a", 6, 0), [""; 0]);
        assert_eq!(fit("日本", 3, 1), ["日 "]);
    }

    proptest! {
        #[test]
        fn nothing_leaves_the_terminal(text in "\\PC{0,40}(\n\\PC{0,40}){0,6}", columns in 1usize..30, lines in 0usize..9) {
            let shown = fit(&text, columns, lines);
            prop_assert!(shown.len() <= lines);
            for line in shown {
                prop_assert_eq!(line.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>(), columns);
            }
        }
    }
}
