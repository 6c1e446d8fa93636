//! What edges over a window were asked about: a window's edges need not carry it, for it is much.

use std::collections::HashMap;

use crate::model::{Counters, EdgeKey};
use crate::world::{EdgeRow, World};

/// Puts into each edge of [`World::edges`] what was asked about in the same seconds.
pub fn fill_targets(rows: &mut [EdgeRow], world: &World, seconds: u64) {
    let mut row_of: HashMap<EdgeKey, usize> = HashMap::new();
    for (i, row) in rows.iter_mut().enumerate() {
        row_of.extend(row.keys.iter().map(|key| (*key, i)));
        for asked in [&mut row.by_client, &mut row.by_server].into_iter().flatten().flat_map(|c| &mut c.asked)
        {
            asked.targets.clear();
        }
    }
    for edge in world.window(seconds).flat_map(|slice| &slice.edges) {
        if let Some(row) = row_of.get(&edge.key).and_then(|i| rows.get_mut(*i)) {
            add(row.by_client.as_mut(), edge.by_client.as_ref());
            add(row.by_server.as_mut(), edge.by_server.as_ref());
        }
    }
}

fn add(sum: Option<&mut Counters>, counters: Option<&Counters>) {
    if let Some(sum) = sum
        && let Some(asked) = counters.and_then(|c| c.asked.as_deref())
    {
        for t in &asked.targets {
            sum.asked_mut().target_mut(t.protocol, &t.method, &t.target).merge(&t.tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BootNs, EdgeSlice, EntityId, Protocol, Shape, Slice, TargetCounts, Transport, Verdict, View,
    };
    use std::sync::Arc;

    /// Two edges over five seconds, of which three are asked for; what the rows carry is replaced.
    #[test]
    fn the_window_of_each_edge_is_added_up() {
        let key = |port| EdgeKey {
            client: EntityId(1),
            server: EntityId(2),
            addr: [127, 0, 0, 1].into(),
            port,
            transport: Transport::Tcp,
            role_known: true,
        };
        let mut world = World::default();
        for n in 1..=5u64 {
            let edge = |port: u16, path: &str, view| {
                let mut e = EdgeSlice::new(key(port));
                let asked = e.view_mut(view).asked_mut();
                let tally = asked.target_mut(Protocol::Http1, &"GET".into(), &path.into());
                (0..n).for_each(|_| tally.count(Shape::Unary, Verdict::Ok, Some(5)));
                e
            };
            let edges = vec![edge(80, "/a", View::Client), edge(81, "/b", View::Server)];
            let start = BootNs(n * 1_000_000_000);
            world.push(Arc::new(Slice {
                start,
                sequence: n,
                length_ns: 1_000_000_000,
                edges,
                ..Slice::default()
            }));
        }
        let mut rows = world.edges(3);
        fill_targets(&mut rows, &world, 3);
        let of = |c: &Option<Counters>| -> Vec<(String, u64)> {
            let targets = c.iter().flat_map(|c| &c.asked).flat_map(|a| &a.targets);
            targets.map(|t: &TargetCounts| (t.target.to_string(), t.tally.requests)).collect()
        };
        let seen: Vec<_> = rows.iter().map(|r| (r.id.port, of(&r.by_client), of(&r.by_server))).collect();
        let all = |path: &str| vec![(path.to_owned(), 3 + 4 + 5)];
        assert_eq!(seen, [(80, all("/a"), vec![]), (81, vec![], all("/b"))]);
    }
}
