//! The map as a Graphviz digraph (the DOT language).

use std::fmt::Write as _;

use super::Window;
use super::graph::Graph;
use crate::world::EdgeRow;

/// The map of the given edges: `webb map -o dot | dot -Tsvg`.
pub fn dot(edges: &[EdgeRow], window: Window) -> String {
    let graph = Graph::new(edges, window);
    let mut out = String::from("digraph webb {\n  rankdir=LR;\n  node [shape=box];\n");
    for (i, node) in graph.nodes.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(out, "  n{i} [label=");
        quote(&mut out, &node.name);
        out.push_str(", tooltip=");
        quote(&mut out, node.kind);
        out.push_str("];\n");
    }
    for link in &graph.links {
        let _ = write!(out, "  n{} -> n{} [label=", link.from, link.to);
        quote(&mut out, &link.label);
        if link.failing {
            out.push_str(", color=red");
        }
        if !link.role_known {
            out.push_str(", dir=none, style=dashed");
        }
        out.push_str("];\n");
    }
    out.push_str("}\n");
    out
}

/// A double-quoted string whose label shows exactly `text`, which has no control characters. In
/// labels Graphviz reads `\N`, `\n` and the like (escString) and HTML entities: both are written out.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;
    use crate::model::escape;
    use proptest::prelude::*;

    #[test]
    fn nodes_by_workload_edges_with_figures() {
        let edges = [samples::rich_edge(), samples::minimal_edge()];
        assert_eq!(
            dot(&edges, Window { since: None, seconds: 60.0 }),
            r#"digraph webb {
  rankdir=LR;
  node [shape=box];
  n0 [label="192.0.2.7", tooltip="address"];
  n1 [label="api.service", tooltip="unit"];
  n2 [label="shop/web", tooltip="container"];
  n2 -> n1 [label=":8080  http +2  ≥1.12 req/s  10.4% errors  p99 66.0 ms  11 aborted-by-server  54 other failures", color=red];
  n0 -> n1 [label=":8080  0/s  role unknown", dir=none, style=dashed];
}
"#
        );
    }

    /// Reads back what Graphviz's scanner (`qstring` in lib/cgraph/scan.l) and then its labels would.
    fn labels(text: &str) -> Option<Vec<String>> {
        let mut strings = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '"' {
                // Outside of strings there is only what webb wrote.
                (c.is_ascii_alphanumeric() || " \n{}[];=-><,".contains(c)).then_some(())?;
                continue;
            }
            let mut s = String::new();
            loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => match chars.next()? {
                        c @ ('"' | '\\') => s.push(c),
                        _ => return None,
                    },
                    '\n' => return None,
                    c => s.push(c),
                }
            }
            strings.push(s.replace("&amp;", "\0").replace('\0', "&"));
        }
        Some(strings)
    }

    proptest! {
        #[test]
        fn any_name_stays_inside_its_quotes(name in samples::hostile()) {
            let edges = [samples::edge_of(&name)];
            let out = dot(&edges, Window { since: None, seconds: 60.0 });
            let labels = labels(&out);
            prop_assert!(labels.is_some(), "{}", out);
            let mut labels = labels.unwrap();
            prop_assert!(labels.contains(&escape(&name)), "{}", out);
            prop_assert_eq!(labels.len(), 5);
            prop_assert_eq!(out.lines().count(), 7);
            prop_assert!(labels.pop().unwrap().starts_with(":8080"));
        }
    }
}
