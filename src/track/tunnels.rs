//! What encrypts around a connection: the tunnels that its sockets' packets leave by.

use super::fact::Route;
use crate::model::{Mesh, Security, Tls, Tunnel};

/// What Cilium's encryption is not.
const CILIUM: &str = "Cilium: encrypted between nodes, not mutual TLS between workloads";

/// The hook that sees what a socket sends comes after the transform.
const ESP_HIDES: &str = "what is sent into ESP passes webb encrypted";

/// What is known of a connection with the tunnels around it, if there are any. `said` is what its
/// bytes say, `routes` are those of the client's and the server's socket, where they are known.
pub(super) fn around(said: Option<&Tls>, routes: [Option<Route>; 2], role_known: bool) -> Option<Tls> {
    let has = |what: fn(Route) -> bool| routes.map(|route| route.is_some_and(what));
    let [wireguard, esp] = [has(|r| r.wireguard), has(|r| r.esp)];
    let ways = [
        (wireguard, Tunnel::Wireguard, "a WireGuard device, by"),
        (esp, Tunnel::Ipsec, "an ESP transform (node to node; not the workload's identity) of"),
    ];
    let mut tls = None;
    for (ends, tunnel, way) in ways {
        let (who, whose) = match ends {
            [false, false] => continue,
            [true, true] => ("both sides' packets leave", "their sockets' routes"),
            _ if !role_known => ("one side's packets leave", "its socket's route"),
            [true, false] => ("the client's packets leave", "its socket's route"),
            [false, true] => ("the server's packets leave", "its socket's route"),
        };
        let tls = tls.get_or_insert_with(|| said.cloned().unwrap_or_else(unlooked));
        tls.tunnel = tls.tunnel.or(Some(tunnel));
        tls.evidence.push(format!("{who} by {way} {whose}").into());
    }
    let mut tls = tls?;
    if has(|r| r.cilium).contains(&true) {
        tls.mesh = tls.mesh.or(Some(Mesh::Cilium));
        tls.evidence.push(CILIUM.into());
    }
    // Who is encrypted in a tunnel has the better statement in its own encryption.
    if matches!(tls.status, Security::Plaintext | Security::Unknown) {
        if tls.status == Security::Unknown && esp.contains(&true) {
            let why = tls.unknown.iter().map(|why| &**why).chain([ESP_HIDES]);
            tls.unknown = Some(why.collect::<Vec<_>>().join("; ").into());
        }
        tls.inside = Some(tls.status);
        tls.status = Security::Tunnel;
    }
    Some(tls)
}

/// Where nobody looks at what is said.
fn unlooked() -> Tls {
    Tls { unknown: Some("what is said is not looked at".into()), ..Tls::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIREGUARD: Route = Route { wireguard: true, cilium: false, esp: false };
    const ESP: Route = Route { wireguard: false, cilium: false, esp: true };
    const DIRECT: Route = Route { wireguard: false, cilium: false, esp: false };

    fn said(status: Security) -> Tls {
        Tls { status, evidence: vec!["said".into()], ..Tls::default() }
    }

    fn client(route: Route) -> [Option<Route>; 2] {
        [Some(route), None]
    }

    #[test]
    fn what_is_in_the_clear_inside_is_in_a_tunnel() {
        let tls = around(Some(&said(Security::Plaintext)), client(WIREGUARD), true).unwrap();
        assert_eq!((tls.status, tls.inside), (Security::Tunnel, Some(Security::Plaintext)));
        assert_eq!((tls.tunnel, tls.mesh), (Some(Tunnel::Wireguard), None));
        let words = ["said", "the client's packets leave by a WireGuard device, by its socket's route"];
        assert_eq!(tls.evidence, words.map(Box::from));
        let padded = Tls { unknown: Some("its records are padded".into()), ..said(Security::Unknown) };
        let tls = around(Some(&padded), [None, Some(ESP)], true).unwrap();
        assert_eq!((tls.status, tls.inside), (Security::Tunnel, Some(Security::Unknown)));
        let why = "its records are padded; what is sent into ESP passes webb encrypted";
        assert_eq!((tls.tunnel, tls.unknown.as_deref()), (Some(Tunnel::Ipsec), Some(why)));
        let esp = "the server's packets leave by an ESP transform (node to node; not the workload's identity) \
                   of its socket's route";
        assert_eq!(*tls.evidence[1], *esp);
    }

    #[test]
    fn its_own_encryption_is_the_better_statement() {
        use Security::{Failed, Implied, Mtls, Resumed};
        for status in [Security::Tls, Mtls, Resumed, Implied, Failed] {
            let tls = around(Some(&said(status)), client(ESP), true).unwrap();
            assert_eq!((tls.status, tls.inside, tls.tunnel), (status, None, Some(Tunnel::Ipsec)));
            assert_eq!(tls.evidence.len(), 2);
        }
        let hbone =
            Tls { tunnel: Some(Tunnel::Hbone), inside: Some(Security::Unknown), ..said(Security::Tunnel) };
        let tls = around(Some(&hbone), client(WIREGUARD), true).unwrap();
        assert_eq!((tls.tunnel, tls.inside), (hbone.tunnel, hbone.inside));
        assert!(tls.evidence[1].contains("WireGuard"));
    }

    #[test]
    fn without_a_tunnel_nothing_is_added() {
        for routes in [[None, None], client(DIRECT), [Some(DIRECT), Some(DIRECT)]] {
            assert_eq!(around(Some(&said(Security::Plaintext)), routes, true), None);
            assert_eq!(around(None, routes, true), None);
        }
    }

    #[test]
    fn who_leaves_by_it_is_named_where_that_is_known() {
        let first = |routes, known| {
            let tls = around(None, routes, known).unwrap();
            assert_eq!((tls.status, tls.inside), (Security::Tunnel, Some(Security::Unknown)));
            assert_eq!(tls.unknown.as_deref(), Some("what is said is not looked at"));
            tls.evidence[0].to_string()
        };
        let both = [Some(WIREGUARD), Some(WIREGUARD)];
        assert!(first(both, false).starts_with("both sides' packets"));
        assert!(first([Some(DIRECT), Some(WIREGUARD)], true).starts_with("the server's packets"));
        assert!(first(client(WIREGUARD), false).starts_with("one side's packets"));
    }

    #[test]
    fn cilium_encrypts_between_nodes() {
        let cilium = Route { cilium: true, ..WIREGUARD };
        let tls = around(Some(&said(Security::Plaintext)), client(cilium), true).unwrap();
        assert_eq!((tls.mesh, tls.status), (Some(Mesh::Cilium), Security::Tunnel));
        assert_eq!(&*tls.evidence[2], "Cilium: encrypted between nodes, not mutual TLS between workloads");
        let linkerd = Tls { mesh: Some(Mesh::Linkerd), ..said(Security::Mtls) };
        let tls = around(Some(&linkerd), client(cilium), true).unwrap();
        assert_eq!((tls.mesh, tls.status), (Some(Mesh::Linkerd), Security::Mtls));
    }
}
