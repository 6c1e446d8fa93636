//! Certificates that TLS 1.3 hides: whether they can be read here, and what is to be said of that.

use crate::model::{HookState, Security, Status};
use crate::world::security::{HIDDEN, READ_HIDDEN, Report};

/// Whether certificates are read that TLS 1.3 hides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identities {
    /// Nobody asked for that.
    #[default]
    NotAsked,
    /// It cannot be asked for: a capture has no processes.
    Capture,
    /// They are.
    On,
    /// It was asked for, and cannot be done for this reason.
    Off(String),
}

impl Identities {
    /// Of an agent.
    pub fn of(status: Option<&Status>, capture: bool) -> Self {
        match status.and_then(Status::identities) {
            _ if capture => Identities::Capture,
            None => Identities::NotAsked,
            Some(HookState::On) => Identities::On,
            Some(HookState::Off(why)) => Identities::Off(why.clone()),
        }
    }

    /// Why there are no certificates, or not all; `None` where there is nothing to be said of it.
    pub fn say(&self, report: &Report) -> Option<String> {
        let none = report.certificates.is_empty();
        if report.hidden > 0 {
            let which = if none { "none: " } else { "none of " };
            return match self {
                Identities::On if !none => None,
                Identities::On => Some(format!(
                    "none yet: {HIDDEN}; they are read where processes have them, of handshakes from now on"
                )),
                _ if !none => {
                    let n = report.hidden;
                    let of = format!("{which}{n} handshake{} at hand", if n == 1 { "" } else { "s" });
                    Some(format!("{of}: {HIDDEN}{}", self.advice()))
                }
                _ => Some(format!("{which}{HIDDEN}{}", self.advice())),
            };
        }
        let spoke = [Security::Tls, Security::Mtls, Security::Resumed, Security::Implied];
        match none {
            false => None,
            true if spoke.into_iter().any(|s| report.share(s) > 0) => {
                Some("none: no handshake that shows one is at hand".to_owned())
            }
            true => Some("none: no TLS was seen".to_owned()),
        }
    }

    /// What can be done, or why nothing can.
    fn advice(&self) -> String {
        match self {
            Identities::NotAsked => format!("; {READ_HIDDEN}"),
            Identities::Off(why) => format!("; --tls-identities cannot read them: {why}"),
            Identities::Capture | Identities::On => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Hook;
    use crate::world::security::{CertificateRow, Tally, Top};

    fn report(hidden: u64, certificates: usize) -> Report {
        let row = CertificateRow {
            certificate: Default::default(),
            validity: crate::model::Validity::Valid(9),
            clients: Top::default(),
            servers: Top::default(),
            tally: Tally::default(),
        };
        let certificates = Top { rows: vec![row; certificates], more: 0 };
        Report { hidden, certificates, ..Report::default() }
    }

    #[test]
    fn missing_certificates_are_explained_by_what_the_agent_does() {
        let status = |state| {
            let hook = Hook {
                datum: Hook::IDENTITIES.into(),
                hook: String::new(),
                state,
                without: String::new(),
                advice: String::new(),
                essential: false,
            };
            Status { hooks: vec![hook], ..Status::default() }
        };
        let plain = Identities::of(Some(&Status::default()), false);
        let on = Identities::of(Some(&status(HookState::On)), false);
        let off = Identities::of(Some(&status(HookState::Off("EPERM".into()))), false);
        let capture = Identities::of(None, true);
        let say = |of: &Identities, hidden, certificates| of.say(&report(hidden, certificates));
        let flag = "TLS 1.3 hides them on the wire; --tls-identities reads them where processes have them";
        assert_eq!(say(&plain, 3, 0), Some(format!("none: {flag}")));
        assert_eq!(say(&plain, 1, 2), Some(format!("none of 1 handshake at hand: {flag}")));
        assert_eq!(say(&plain, 0, 2), None);
        assert_eq!(say(&on, 3, 2), None);
        assert!(say(&on, 3, 0).is_some_and(|s| s.starts_with("none yet: ")));
        assert!(say(&off, 3, 0).is_some_and(|s| s.ends_with("cannot read them: EPERM")));
        assert_eq!(say(&capture, 3, 0).as_deref(), Some("none: TLS 1.3 hides them on the wire"));
        assert_eq!(say(&plain, 0, 0).as_deref(), Some("none: no TLS was seen"));
        let mut resumed = report(0, 0);
        resumed.shares[Security::Resumed.index()] = 2;
        assert!(plain.say(&resumed).is_some_and(|s| s.contains("no handshake that shows one")));
    }
}
