//! Legs between an application and the proxy of its mesh, on one host and in the clear: told apart from
//! what goes over a network by the ports and the address that meshes redirect to and from.
//!
//! Istio: `REDIRECT` to envoy's 15001 and 15006, and 127.0.0.6 as where envoy's inbound side comes from
//! (`tools/istio-iptables`, `pilot/pkg/networking/util`); the same 15001 to ztunnel. Linkerd: 4140 of
//! linkerd2-proxy (`proxy-init`).

use std::net::{IpAddr, Ipv4Addr};

use super::tracked::Tracked;
use crate::model::{Connection, Mesh, Tls};

/// Where envoy's inbound side comes from.
const PASSTHROUGH: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6));

/// Ports that a client is redirected to, whose process that has to be, and what it is then.
const REDIRECTED: [(u16, &str, Mesh, &str); 4] = [
    (15001, "envoy", Mesh::Istio, "redirected to envoy's port 15001: from an application to its own sidecar"),
    (15006, "envoy", Mesh::Istio, "redirected to envoy's port 15006: into the server's sidecar"),
    (
        15001,
        "ztunnel",
        Mesh::IstioAmbient,
        "redirected to ztunnel's port 15001: from an application to its node's proxy",
    ),
    (
        4140,
        "linkerd2-proxy",
        Mesh::Linkerd,
        "redirected to linkerd2-proxy's port 4140: from an application to its own proxy",
    ),
];

/// The mesh whose leg a connection is, and how that is known.
fn leg(c: &Connection) -> Option<(Mesh, &'static str)> {
    if c.client.address.addr == PASSTHROUGH {
        return Some((Mesh::Istio, "from 127.0.0.6: from a sidecar to its own application"));
    }
    let end = c.server.end.as_ref()?;
    if end.local.port == c.server.address.port {
        return None;
    }
    let process = end.owner.process.as_ref()?;
    REDIRECTED
        .iter()
        .find(|(port, comm, ..)| *port == end.local.port && **comm == *process.comm)
        .map(|(.., mesh, why)| (*mesh, *why))
}

impl Tracked {
    /// The verdict with the mesh that its leg is of, where it says none.
    pub(super) fn on_a_leg(&self, said: &Tls) -> Option<Tls> {
        let (mesh, why) = leg(&self.connection).filter(|_| said.mesh.is_none())?;
        let mut tls = said.clone();
        tls.mesh = Some(mesh);
        tls.evidence.push(why.into());
        Some(tls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::model::{BootNs, Role};
    use crate::track::tests::{fact, table};
    use crate::track::{Comm, Fact, Moment};

    /// A connection to a port at which a process of this name has it.
    fn to(port: u16, comm: &str) -> Connection {
        let [mut client, mut server] =
            [Role::Client, Role::Server].map(|role| fact(1, role, 20, Moment::Established));
        (client.peer.port, server.local.port) = (port, port);
        let mut name = [0; 16];
        name[..comm.len()].copy_from_slice(comm.as_bytes());
        server.owner.process = server.owner.process.map(|(key, _)| (key, Comm(name)));
        let mut t = table();
        [client, server].into_iter().for_each(|f| t.apply(Fact::End(f)));
        let (.., connection) = t.flush(BootNs(30)).events.pop().unwrap();
        Connection::clone(&connection)
    }

    #[test]
    fn legs_are_known_by_where_they_are_redirected_to_and_come_from() {
        assert_eq!(leg(&to(15001, "envoy")), None, "dialled, not redirected");
        let redirected = |port, comm| {
            let mut c = to(port, comm);
            c.server.address.port = 8080;
            leg(&c).map(|(mesh, _)| mesh)
        };
        assert_eq!(redirected(15001, "envoy"), Some(Mesh::Istio));
        assert_eq!(redirected(15006, "envoy"), Some(Mesh::Istio));
        assert_eq!(redirected(15001, "ztunnel"), Some(Mesh::IstioAmbient));
        assert_eq!(redirected(4140, "linkerd2-proxy"), Some(Mesh::Linkerd));
        assert_eq!(redirected(15001, "nginx"), None, "another program's redirect");
        assert_eq!(redirected(15002, "envoy"), None);
        let mut c = to(8080, "app");
        assert_eq!(leg(&c), None);
        c.client.address.addr = PASSTHROUGH;
        assert!(leg(&c).unwrap().1.contains("127.0.0.6"));
    }
}
