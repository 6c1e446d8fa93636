//! One connection as it is kept while it is alive, and how facts change it.

use std::sync::Arc;

use crate::model::{
    BootNs, Connection, ConnectionId, ConnectionState, End, EndId, EndState, EventKind, Outcome, Role, Side,
    StableHasher, Tls, View,
};

use super::asked::Heard;
use super::fact::{Ending, Route};

/// What happened since the last flush, to become events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    pub adopted: Option<BootNs>,
    pub opened: Option<BootNs>,
    pub established: Option<BootNs>,
    pub over: Option<BootNs>,
}

impl Pending {
    /// In the order in which they can happen.
    pub(super) fn events(self, state: ConnectionState) -> impl Iterator<Item = (BootNs, EventKind)> {
        let over = if state == ConnectionState::Failed { EventKind::Failed } else { EventKind::Closed };
        [
            (self.adopted, EventKind::Adopted),
            (self.opened, EventKind::Opened),
            (self.established, EventKind::Established),
            (self.over, over),
        ]
        .into_iter()
        .filter_map(|(at, kind)| at.map(|at| (at, kind)))
    }
}

/// A connection with what is needed beside the model.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub connection: Shared,
    pub pending: Pending,
    pub dirty: bool,
    /// Published under this id, if at all.
    pub published: Option<ConnectionId>,
    /// How each end closed, raw, for when its role becomes known late.
    pub endings: [Option<Ending>; 2],
    /// Each end, if open, was met by the running walk.
    pub met: [bool; 2],
    /// Each end, if open, was not met by the last complete walk: by one more, and it is gone.
    pub missed: [bool; 2],
    /// Its handshake was counted.
    pub counted_established: bool,
    /// Its end was counted.
    pub counted_over: bool,
    /// The roles of its adopted ends were told to the source.
    pub roles_told: bool,
    /// The verdict on its security before anything was said.
    pub first: Option<Arc<Tls>>,
    /// The verdict on its security at each end.
    pub tls: [Option<Arc<Tls>>; 2],
    /// Where the packets of each end go, as it was told last.
    pub routes: [Option<Route>; 2],
    /// What was asked on it.
    pub heard: Option<Box<Heard>>,
    /// The name that led to a far server, where it is known.
    pub far_name: Option<std::sync::Arc<str>>,
    /// As it was published last.
    pub shared: Option<Arc<Connection>>,
}

/// A connection that is one with what was published of it until it changes: most rows do not.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Connection>);

impl Shared {
    /// As it is now.
    pub(super) fn published(&self) -> Arc<Connection> {
        self.0.clone()
    }
}

impl std::ops::Deref for Shared {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl std::ops::DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut Connection {
        Arc::make_mut(&mut self.0)
    }
}

/// Position of a view in arrays of two.
pub(super) fn slot(view: View) -> usize {
    match view {
        View::Client => 0,
        View::Server => 1,
    }
}

impl Tracked {
    /// A connection of which one end is seen. The far side stands with the address that the end
    /// has for its peer.
    pub(super) fn new(end: End, far: crate::model::EntityId) -> (Self, View) {
        let view = side_of(&end);
        let here = Side { address: end.local, entity: end.entity, end: None };
        let there = Side { address: end.peer, entity: far, end: None };
        let (mut client, mut server) = match view {
            View::Client => (here, there),
            View::Server => (there, here),
        };
        let id = connection_id(&end, view);
        let role_known = end.role != Role::Unknown;
        match view {
            View::Client => client.end = Some(end),
            View::Server => server.end = Some(end),
        }
        let connection = Connection {
            id,
            transport: crate::model::Transport::Tcp,
            state: ConnectionState::Opening,
            role_known,
            client,
            server,
            outcome: None,
            changed: BootNs::default(),
            tls: None,
        };
        let tracked = Tracked {
            connection: Shared(Arc::new(connection)),
            pending: Pending::default(),
            dirty: false,
            published: None,
            endings: [None, None],
            met: [false, false],
            missed: [false, false],
            counted_established: false,
            counted_over: false,
            roles_told: false,
            first: None,
            tls: [None, None],
            routes: [None, None],
            heard: None,
            far_name: None,
            shared: None,
        };
        (tracked, view)
    }

    pub(super) fn side(&self, view: View) -> &Side {
        match view {
            View::Client => &self.connection.client,
            View::Server => &self.connection.server,
        }
    }

    pub(super) fn side_mut(&mut self, view: View) -> &mut Side {
        match view {
            View::Client => &mut self.connection.client,
            View::Server => &mut self.connection.server,
        }
    }

    pub(super) fn end_mut(&mut self, view: View) -> Option<&mut End> {
        self.side_mut(view).end.as_mut()
    }

    /// Puts an end on its side; the side's address stays as dialled where the client knows it.
    pub(super) fn put(&mut self, view: View, end: End) {
        let dialled = self.connection.client.end.as_ref().map(|c| c.peer);
        let side = self.side_mut(view);
        side.entity = end.entity;
        side.address = match view {
            View::Client => end.local,
            View::Server => dialled.unwrap_or(end.local),
        };
        let dialled = end.peer;
        let is_client = view == View::Client;
        side.end = Some(end);
        if is_client {
            self.connection.server.address = dialled;
        }
    }

    /// Ends that were open before, with their roles.
    pub(super) fn adopted_roles(&self) -> impl Iterator<Item = (EndId, Role)> {
        let ends = self.connection.client.end.iter().chain(&self.connection.server.end);
        ends.filter(|e| e.adopted).map(|e| (e.id, e.role))
    }

    /// Exchanges the sides: the role became known and was the other one.
    pub(super) fn flip(&mut self) {
        let connection = &mut *self.connection;
        std::mem::swap(&mut connection.client, &mut connection.server);
        self.endings.swap(0, 1);
        self.met.swap(0, 1);
        self.missed.swap(0, 1);
        self.tls.swap(0, 1);
        self.routes.swap(0, 1);
        if let Some(heard) = &mut self.heard {
            heard.flip();
        }
    }

    /// State and outcome from the ends; says whether the connection has just come to its end.
    pub(super) fn settle(&mut self) -> bool {
        let was_over = self.connection.state.is_over();
        for view in [View::Client, View::Server] {
            let ending = self.endings[slot(view)];
            if let (Some(ending), Some(end)) = (ending, self.end_mut(view)) {
                end.outcome = Some(ending.outcome(end.role));
            }
        }
        let ends = [&self.connection.client.end, &self.connection.server.end];
        let states: Vec<EndState> = ends.into_iter().flatten().map(|e| e.state).collect();
        self.connection.state = if states.iter().all(|s| *s >= EndState::Closed) {
            if states.contains(&EndState::Closed) { ConnectionState::Closed } else { ConnectionState::Failed }
        } else if states.contains(&EndState::Established) || states.contains(&EndState::Closed) {
            ConnectionState::Open
        } else {
            ConnectionState::Opening
        };
        self.connection.outcome = Outcome::join(
            self.connection.client.end.as_ref().and_then(|e| e.outcome),
            self.connection.server.end.as_ref().and_then(|e| e.outcome),
        )
        .filter(|_| self.connection.state.is_over());
        !was_over && self.connection.state.is_over()
    }
}

/// The side on which an end stands: by its role, else the lower port is shown as the server.
pub(super) fn side_of(end: &End) -> View {
    match end.role {
        Role::Client => View::Client,
        Role::Server => View::Server,
        Role::Unknown if end.local.port < end.peer.port => View::Server,
        Role::Unknown => View::Client,
    }
}

/// From the sequence numbers once they are known, else from the end.
pub(super) fn connection_id(end: &End, view: View) -> ConnectionId {
    let role = match view {
        View::Client => Role::Client,
        View::Server => Role::Server,
    };
    match end.isns.and_then(|isns| super::join::pair(isns, role)) {
        Some((client, server)) => ConnectionId::from_isns(client, server),
        None => ConnectionId(
            StableHasher::new("end")
                .number(end.id.netns_cookie)
                .number(end.id.cookie)
                .number(u64::from(end.id.generation))
                .finish(),
        ),
    }
}
