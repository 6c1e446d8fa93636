//! What comes into the UI and what it asks for. The wiring turns these into streams; the UI knows
//! neither sockets nor gRPC.

use std::sync::Arc;
use std::time::Duration;

use super::theme::Theme;
use crate::model::{Connection, Entity, Event, Name, Slice, Status};

/// What the UI is told.
#[derive(Clone, Debug)]
pub enum Feed {
    /// Dialling.
    Connecting,
    /// The stream begins, or begins anew: what was known is replaced.
    Snapshot {
        /// Host name of the agent.
        node: String,
        /// What is watched, in words: "host", "demo".
        scope: String,
        /// Everything since the agent started, history included.
        totals: Slice,
        /// In rising order, longer slices before those of 1 s.
        history: Vec<Arc<Slice>>,
    },
    /// The next slice.
    Slice(Arc<Slice>),
    /// Slices are missing, and why; a snapshot follows.
    Gap(String),
    /// The stream broke; it is dialled again.
    Disconnected {
        /// Why, in words.
        why: String,
        /// When the next attempt begins.
        retry_in: Duration,
    },
    /// The state of the agent.
    Status(Box<Status>),
    /// The connections that are open now.
    Connections {
        /// Names of their entities.
        names: Vec<Name>,
        /// Their entities.
        entities: Vec<Entity>,
        /// The connections.
        list: Vec<Arc<Connection>>,
    },
    /// Names that events speak of.
    Names {
        /// Names of entities.
        names: Vec<Name>,
        /// The entities.
        entities: Vec<Entity>,
    },
    /// Something happened to one connection, or a request was answered.
    Event(Event),
    /// So many events of connections were not sent because this viewer was too slow.
    Missed(u64),
    /// So many requests were not sent because this viewer was too slow.
    MissedRequests(u64),
}

/// What the UI asks for: sent when it changes, so that nothing is streamed that nobody looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// One [`Feed::Connections`] now (`on`), or no longer.
    Connections {
        /// Whether it is looked at.
        on: bool,
    },
    /// [`Feed::Event`] of connections and [`Feed::Missed`] as they come.
    Events {
        /// Whether they are looked at.
        on: bool,
    },
    /// [`Feed::Event`] of requests and [`Feed::MissedRequests`] as they come.
    Requests {
        /// Whether they are looked at.
        on: bool,
        /// Only those to this server port.
        port: Option<u16>,
    },
    /// [`Feed::Status`] now and each second.
    Status {
        /// Whether it is looked at.
        on: bool,
    },
}

/// How the UI is to look and behave.
#[derive(Clone, Debug)]
pub struct UiOptions {
    /// Colours.
    pub theme: Theme,
    /// Only ASCII glyphs.
    pub ascii: bool,
    /// Whether the mouse is captured; without, the terminal's own selection works.
    pub mouse: bool,
    /// Seconds that figures speak of: 10, 60 or 300.
    pub window_s: u64,
    /// What is being watched, until the first snapshot says.
    pub scope: String,
    /// Seconds east of UTC, for times of day; `None` shows UTC, marked `Z`.
    pub zone: Option<i32>,
    /// A filter to begin with.
    pub filter: String,
    /// What is shown is a capture: nothing more will come.
    pub capture: bool,
}

impl Default for UiOptions {
    fn default() -> Self {
        UiOptions {
            theme: Theme::Dark,
            ascii: false,
            mouse: true,
            window_s: 60,
            scope: String::new(),
            zone: None,
            filter: String::new(),
            capture: false,
        }
    }
}

impl UiOptions {
    /// Takes over what the environment says: a non-empty `NO_COLOR` means no colours (no-color.org),
    /// a locale that is not UTF-8 means ASCII. `get` reads a variable.
    #[must_use]
    pub fn with_environment(mut self, get: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| get(name).filter(|v| !v.is_empty());
        if set("NO_COLOR").is_some() {
            self.theme = Theme::Mono;
        }
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        self.ascii |= !locale.is_some_and(|l| {
            let l = l.to_ascii_lowercase();
            l.contains("utf-8") || l.contains("utf8")
        });
        self
    }
}

/// Why the UI could not run.
#[derive(Debug, thiserror::Error)]
pub enum UiError {
    /// Input or output is a pipe or a file.
    #[error(
        "the UI needs a terminal, and {0} is not one: run webb in a terminal, or use `webb list`, `webb map` or `webb observe`"
    )]
    NotATerminal(&'static str),
    /// The terminal went away or refused.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment() {
        let with = |vars: &'static [(&str, &str)]| {
            UiOptions::default().with_environment(|n| vars.iter().find(|v| v.0 == n).map(|v| v.1.to_owned()))
        };
        assert_eq!(with(&[("NO_COLOR", "1"), ("LANG", "C.UTF-8")]).theme, Theme::Mono);
        assert_eq!(with(&[("NO_COLOR", ""), ("LANG", "C.UTF-8")]).theme, Theme::Dark);
        assert!(with(&[("LANG", "C")]).ascii);
        assert!(with(&[]).ascii);
        assert!(with(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "POSIX")]).ascii);
        assert!(!with(&[("LANG", "POSIX"), ("LC_ALL", "en_US.utf8")]).ascii);
    }
}
