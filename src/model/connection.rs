//! A connection: one or two ends.

use std::sync::Arc;

use super::{BootNs, ConnectionId, End, Endpoint, EntityId, Outcome, Role, Seen, Tls, Transport};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ConnectionState {
    /// Connecting.
    #[default]
    Opening = 1,
    /// Established.
    Open = 2,
    /// Closed after having been established.
    Closed = 3,
    /// Never established.
    Failed = 4,
}

impl ConnectionState {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectionState::Opening => "opening",
            ConnectionState::Open => "open",
            ConnectionState::Closed => "closed",
            ConnectionState::Failed => "failed",
        }
    }

    /// The state of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        use ConnectionState::{Closed, Failed, Open, Opening};
        [Opening, Open, Closed, Failed].into_iter().find(|s| *s as u8 == n)
    }

    /// Whether it is over.
    pub fn is_over(self) -> bool {
        matches!(self, ConnectionState::Closed | ConnectionState::Failed)
    }
}

/// Which end a figure comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum View {
    /// As the client's end saw it.
    #[default]
    Client = 1,
    /// As the server's end saw it.
    Server = 2,
}

impl View {
    /// The documented name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            View::Client => "client",
            View::Server => "server",
        }
    }

    /// The view of a wire number.
    pub fn from_number(n: u8) -> Option<Self> {
        match n {
            1 => Some(View::Client),
            2 => Some(View::Server),
            _ => None,
        }
    }
}

/// One side of a connection: always an address and an entity, and the end where it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Address and port: of the client as the server saw it where its own end was not seen; of the
    /// server as it was dialled.
    pub address: Endpoint,
    /// Who that is.
    pub entity: EntityId,
    /// The end, where it is in scope.
    pub end: Option<End>,
}

/// A connection. When the role of its ends is not known, the side with the lower port stands as
/// the server for display, and `role_known` is false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Identity.
    pub id: ConnectionId,
    /// Transport.
    pub transport: Transport,
    /// Where it stands.
    pub state: ConnectionState,
    /// Whether client and server are known to be that.
    pub role_known: bool,
    /// Client side.
    pub client: Side,
    /// Server side.
    pub server: Side,
    /// How it ended: a cause beats its echo.
    pub outcome: Option<Outcome>,
    /// When a row last changed, for ordering.
    pub changed: BootNs,
    /// Its security; `None` where nobody looked.
    pub tls: Option<Arc<Tls>>,
}

impl Connection {
    /// The end whose figures stand for the connection: the client's, else the server's.
    pub fn view(&self) -> Option<(View, &End)> {
        match (&self.client.end, &self.server.end) {
            (Some(end), _) => Some((View::Client, end)),
            (None, Some(end)) => Some((View::Server, end)),
            (None, None) => None,
        }
    }

    /// The end of one side.
    pub fn end(&self, view: View) -> Option<&End> {
        match view {
            View::Client => self.client.end.as_ref(),
            View::Server => self.server.end.as_ref(),
        }
    }

    /// First sight of it.
    pub fn opened(&self) -> BootNs {
        self.ends().filter_map(|e| e.opened.known()).min().unwrap_or_default()
    }

    /// When the last of its ends closed; 0 while one is open.
    pub fn closed(&self) -> BootNs {
        if !self.state.is_over() {
            return BootNs::default();
        }
        self.ends().map(|e| e.closed).max().unwrap_or_default()
    }

    /// Whether any of its ends was open before webb watched.
    pub fn adopted(&self) -> bool {
        self.ends().any(|e| e.adopted)
    }

    /// Payload bytes (to the server, to the client) in the view that is shown.
    pub fn bytes(&self) -> (u64, u64) {
        self.view().map_or((0, 0), |(view, end)| to_server_to_client(view, &end.seen))
    }

    fn ends(&self) -> impl Iterator<Item = &End> {
        self.client.end.iter().chain(&self.server.end)
    }
}

/// Sent and received of one end as (to the server, to the client).
pub(crate) fn to_server_to_client(view: View, seen: &Seen) -> (u64, u64) {
    match view {
        View::Client => (seen.bytes_sent, seen.bytes_received),
        View::Server => (seen.bytes_received, seen.bytes_sent),
    }
}

impl From<Role> for Option<View> {
    fn from(role: Role) -> Self {
        match role {
            Role::Client => Some(View::Client),
            Role::Server => Some(View::Server),
            Role::Unknown => None,
        }
    }
}
