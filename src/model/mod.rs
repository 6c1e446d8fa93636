//! The words of webb as plain types: ends, connections, owners, entities, edges, slices.
//!
//! Everything above imports this room and this room imports nothing. No wire type, no kernel
//! struct and no protobuf message appears here; they are converted at the edge that receives them.

mod certificate;
mod connection;
mod end;
mod event;
mod exchange;
pub mod figures;
mod filter;
mod hist;
mod ids;
mod names;
mod outcome;
mod owner;
mod request;
mod slice;
mod status;
mod stream;
mod text;
mod time;
mod tls;

pub use certificate::{Certificate, Validity};
pub use connection::{Connection, ConnectionState, Side, View};
pub use end::{End, EndId, EndState, Endpoint, Isns, Role, RoleEvidence, Seen, Transport};
pub use event::{EVENT_KINDS, Event, EventClass, EventKind};
pub use exchange::{Known, PROTOCOLS, Protocol, Shape, Verdict};
pub use filter::Filter;
pub use hist::{Hist, HistSum, MAX_US, bucket_bounds, bucket_index};
pub use ids::{AgentInstance, ConnectionId, EntityId, StableHasher};
pub use names::{Entity, EntityKind, Name, NameKind};
pub use outcome::{OUTCOMES, Outcome};
pub use owner::{Owner, OwnerEvidence, Process, ProcessKey};
pub use request::{Asked, ProtocolCounts, Request, TARGETS, Tally, TargetCounts, Timing, Turns};
pub use slice::{
    Cause, Counters, EdgeKey, EdgeSlice, EndCounts, Loss, LossKind, LossRow, Secured, Slice, Totals,
};
pub use status::{ConnectionCounts, Cost, Hook, HookState, Scope, Status, Unheard};
pub use stream::{ConnectionPage, EventMessage, NameUpdate, SliceMessage, Snapshot};
pub use text::{escape, escape_into};
pub use time::{BootNs, UtcOffset};
pub use tls::{
    ClientCert, Confidence, EarlyData, Handshake, Inherits, Mesh, Resumption, SECURITIES, Security, Tls,
    Tunnel,
};
