//! What is around a connection beside its own verdict: a tunnel, a mesh, what was said before.

use crate::model::{Mesh, Security, Tls, Tunnel};

/// What is around a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Around {
    /// What encrypts around it.
    pub tunnel: Option<Tunnel>,
    /// What it would be without the tunnel.
    pub inside: Option<Security>,
    /// Of which mesh it is.
    pub mesh: Option<Mesh>,
    /// What was said in the clear before.
    pub after: Option<Box<str>>,
}

impl Around {
    /// Of a connection.
    pub fn of(tls: &Tls) -> Self {
        Around { tunnel: tls.tunnel, inside: tls.inside, mesh: tls.mesh, after: tls.after.clone() }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Around::default()
    }
}

/// In words: `wireguard, plaintext inside, cilium`, `after SMTP`.
impl std::fmt::Display for Around {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let after = self.after.as_ref().map(|after| format!("after {after}"));
        let inside = self.inside.map(|inside| format!("{} inside", inside.as_str()));
        let named = [self.tunnel.map(Tunnel::as_str).map(str::to_owned), inside];
        let mesh = self.mesh.map(|mesh| mesh.as_str().to_owned());
        let words: Vec<String> = after.into_iter().chain(named.into_iter().flatten()).chain(mesh).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_around_is_said_in_words() {
        let tls = Tls {
            tunnel: Some(Tunnel::Wireguard),
            inside: Some(Security::Plaintext),
            mesh: Some(Mesh::Cilium),
            ..Tls::default()
        };
        assert_eq!(Around::of(&tls).to_string(), "wireguard, plaintext inside, cilium");
        let tls = Tls { after: Some("SMTP".into()), ..Tls::default() };
        assert_eq!(Around::of(&tls).to_string(), "after SMTP");
        assert!(Around::of(&Tls::default()).is_empty());
    }
}
