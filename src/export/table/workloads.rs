//! `webb list workloads` as a table.

use super::Table;
use crate::export::figures::{NONE, bytes, count};
use crate::world::WorkloadRow;

/// A table of workloads in the order given.
pub fn workloads<'a>(rows: impl IntoIterator<Item = &'a WorkloadRow>) -> String {
    let mut t = Table::new(&[
        "WORKLOAD",
        "KIND",
        ">OPENED",
        ">SERVED",
        ">FAILURES",
        ">SENT",
        ">RECEIVED",
        "PORTS",
        "NAME FROM",
    ]);
    for w in rows {
        t.row([
            w.workload.id.name.to_string(),
            w.workload.id.kind.as_str().to_owned(),
            count(w.opened),
            count(w.served),
            count(w.failures),
            bytes(w.bytes.0),
            bytes(w.bytes.1),
            ports(&w.ports),
            w.workload.source.to_string(),
        ]);
    }
    t.render()
}

fn ports(ports: &[u16]) -> String {
    if ports.is_empty() {
        return NONE.to_owned();
    }
    let mut ports = ports.to_vec();
    ports.sort_unstable();
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;

    #[test]
    fn shows_where_the_name_comes_from() {
        assert_eq!(
            workloads(&[samples::rich_workload(), samples::minimal_workload()]),
            "\
WORKLOAD   KIND       OPENED  SERVED  FAILURES     SENT  RECEIVED  PORTS      NAME FROM
shop/web   container   12.3k      40         3  3.40 MB     999 B  8080 8443  cgroup path
192.0.2.7  address         0       0         0      0 B       0 B  -          cgroup path
"
        );
    }
}
