//! The map as a Mermaid flowchart, which code hosts draw inside of Markdown.

use std::fmt::Write as _;

use super::Window;
use super::graph::Graph;
use crate::world::EdgeRow;

/// The map of the given edges: to be pasted between ```` ```mermaid ```` and ```` ``` ````.
pub fn mermaid(edges: &[EdgeRow], window: Window) -> String {
    let graph = Graph::new(edges, window);
    let mut out = String::from("flowchart LR\n");
    for (i, node) in graph.nodes.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  n{i}[\"{}\"]", quote(&node.name));
    }
    for link in &graph.links {
        let line = if link.role_known { "-->" } else { "---" };
        // The label has no text from outside.
        let _ = writeln!(out, "  n{} {line}|\"{}\"| n{}", link.from, link.label, link.to);
    }
    let failing = graph.links.iter().enumerate().filter(|(_, l)| l.failing);
    let failing: Vec<String> = failing.map(|(i, _)| i.to_string()).collect();
    if !failing.is_empty() {
        let _ = writeln!(out, "  linkStyle {} stroke:red", failing.join(","));
    }
    out
}

/// Text for a quoted label. Besides quotes Mermaid reads entities (`#quot;`), Markdown, HTML,
/// directives (`%%{`), `\n` and, by regular expression over the whole text, `style…:…#…;`: so
/// everything but letters, digits and a few harmless marks is written as an entity.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || " ./-_@".contains(c) {
            out.push(c);
        } else {
            let _ = write!(out, "#{};", c as u32);
        }
    }
    out
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
            mermaid(&edges, Window { since: None, seconds: 60.0 }),
            r#"flowchart LR
  n0["192.0.2.7"]
  n1["api.service"]
  n2["shop/web"]
  n2 -->|":8080  http +2  ≥1.12 req/s  10.4% errors  p99 66.0 ms  11 aborted-by-server  54 other failures"| n1
  n0 ---|":8080  0/s  role unknown"| n1
  linkStyle 0 stroke:red
"#
        );
    }

    fn unquote(text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if c == '#' {
                let (number, after) = rest[1..].split_once(';')?;
                out.push(char::from_u32(number.parse().ok()?)?);
                rest = after;
            } else {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn any_name_stays_inside_its_quotes(name in samples::hostile()) {
            let edges = [samples::edge_of(&name)];
            let out = mermaid(&edges, Window { since: None, seconds: 60.0 });
            let lines: Vec<&str> = out.lines().collect();
            prop_assert_eq!(lines.len(), 4, "{}", out);
            let mut names = Vec::new();
            for (i, line) in lines[1..3].iter().enumerate() {
                let inside = line.strip_prefix(&format!("  n{i}[\"")).and_then(|l| l.strip_suffix("\"]"));
                prop_assert!(inside.is_some(), "{}", line);
                let inside = inside.unwrap();
                let special = inside.contains(['"', '`', '<', '>', '&', '\\', '%', '{', '}', ':', '[', ']']);
                prop_assert!(!special, "{}", inside);
                names.push(unquote(inside));
            }
            prop_assert!(names.contains(&Some(escape(&name))), "{}", out);
            prop_assert!(lines[3].starts_with("  n"));
        }
    }
}
