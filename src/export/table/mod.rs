//! Plain text for people: aligned tables, and one line per event. No colour.
//!
//! Every cell is escaped here, so that no name from outside can reach a terminal as it is; names
//! that are too long for a column are cut, which JSON never does.

mod audit;
mod connections;
mod edges;
mod event;
mod requests;
mod status;
mod tls;
mod top;
mod workloads;

pub use audit::audit;
pub use connections::connections;
pub use edges::edges;
pub use event::{event, missed};
pub use requests::{requests, requests_missed};
pub use status::status;
pub use tls::tls;
pub use top::{fit, top, top_header};
pub use workloads::workloads;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::figures::NONE;
use crate::model::{Endpoint, NameKind, escape};
use crate::world::Workload;

/// Columns of a terminal that one cell may take.
const CELL: usize = 64;

/// A table that is laid out when all its rows are known.
#[derive(Debug)]
struct Table {
    /// Title, and whether the column is aligned right, as figures are.
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns whose titles begin with `>` are aligned right.
    fn new(titles: &[&'static str]) -> Self {
        let columns = titles.iter().map(|t| t.strip_prefix('>').map_or((*t, false), |t| (t, true)));
        Table { columns: columns.collect(), rows: Vec::new() }
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let last = self.columns.len() - 1;
        // The last column pushes nothing aside: it is never cut.
        let cell = |(i, c): (usize, String)| if i < last { clip(&escape(&c)) } else { escape(&c) };
        self.rows.push(cells.into_iter().enumerate().map(cell).collect());
    }

    fn render(&self) -> String {
        let titles: Vec<String> = self.columns.iter().map(|(t, _)| (*t).to_owned()).collect();
        let lines = || std::iter::once(&titles).chain(&self.rows);
        let widths: Vec<usize> = (0..titles.len())
            .map(|i| lines().filter_map(|l| l.get(i)).map(|c| c.width()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for line in lines() {
            let start = out.len();
            for ((cell, &width), &(_, right)) in line.iter().zip(&widths).zip(&self.columns) {
                if out.len() > start {
                    out.push_str("  ");
                }
                pad(&mut out, cell, width, right);
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        out
    }
}

/// Appends a cell and the blanks that it lacks.
fn pad(out: &mut String, cell: &str, width: usize, right: bool) {
    let blanks = " ".repeat(width.saturating_sub(cell.width()));
    let (first, second) = if right { (blanks.as_str(), cell) } else { (cell, blanks.as_str()) };
    out.push_str(first);
    out.push_str(second);
}

/// Cuts what is wider than a cell, and shows that.
fn clip(text: &str) -> String {
    if text.width() <= CELL {
        return text.to_owned();
    }
    let mut width = 0;
    let kept = text.chars().take_while(|c| {
        width += c.width().unwrap_or(0);
        width < CELL
    });
    // Marks of width 0 can still be piled up without end.
    kept.take(4 * CELL).chain(['…']).collect()
}

/// Who and where: the workload and a port; for an address the two as one.
fn place(workload: &Workload, port: u16) -> String {
    let name = &workload.id.name;
    match (port, workload.id.kind) {
        (0, _) => name.to_string(),
        (_, NameKind::Address) => match name.parse() {
            Ok(addr) => Endpoint::new(addr, port).to_string(),
            Err(_) => format!("{name}:{port}"),
        },
        _ => format!("{}:{port}", workload.id.bare()),
    }
}

/// The arrow from the client to the server; its ends are not told apart where roles are unknown.
fn arrow(role_known: bool) -> &'static str {
    if role_known { "→" } else { "↔" }
}

fn figure<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_are_aligned() {
        let mut t = Table::new(&["NAME", ">N", "REST"]);
        t.row(["日本".to_owned(), "7".to_owned(), String::new()]);
        t.row(["x".to_owned(), "1234".to_owned(), "end".to_owned()]);
        assert_eq!(t.render(), "NAME     N  REST\n日本     7\nx     1234  end\n");
    }

    #[test]
    fn addresses_carry_their_port_as_usual() {
        let w = |name: &str, kind| Workload {
            id: crate::world::WorkloadId { name: name.into(), kind },
            source: "test".into(),
        };
        assert_eq!(place(&w("10.0.0.7", NameKind::Address), 80), "10.0.0.7:80");
        assert_eq!(place(&w("::1", NameKind::Address), 80), "[::1]:80");
        assert_eq!(place(&w("api", NameKind::Unit), 80), "api:80");
        assert_eq!(place(&w("api", NameKind::Unit), 0), "api");
    }

    proptest! {
        /// Whatever the cells hold, there is one line per row, nothing in it can steer a terminal,
        /// and columns begin where their titles do.
        #[test]
        fn any_text_keeps_the_layout(cells in proptest::collection::vec(".{0,80}|[\\x00-\\x9f\u{202e}]{0,9}", 0..5)) {
            let mut t = Table::new(&["A", ">N"]);
            for c in &cells {
                t.row([c.clone(), "7".to_owned()]);
            }
            let out = t.render();
            let lines: Vec<&str> = out.lines().collect();
            prop_assert_eq!(lines.len(), cells.len() + 1);
            for l in &lines {
                prop_assert_eq!(escape(l), *l);
                prop_assert_eq!(l.width(), lines[0].width());
                prop_assert!(l.width() <= CELL + 3);
            }
        }
    }
}
