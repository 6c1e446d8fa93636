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
