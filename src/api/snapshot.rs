//! Slices and snapshots as sequences of messages, none of them too large.

use std::sync::Arc;

use prost::Message as _;

use super::PIECE;
use super::invalid::{InvalidMessage, invalid, text};
use super::names::{entity_to_pb, name_to_pb};
use super::pb::{self, watch_slices_response::Message};
use super::slice::{edge_to_pb, head_to_pb, slice_from_pb};
use crate::model::{AgentInstance, Slice, SliceMessage, Snapshot};

/// Bytes of messages that one snapshot, or one slice in pieces, may take on the wire.
const MAX_WHOLE: usize = 256 << 20;
/// Slices in the history of a snapshot: well above what any server keeps.
const MAX_HISTORY: usize = 8192;

/// Cuts one slice into messages of about [`PIECE`] bytes at most; all but the last have `more` set.
/// Holds no slice, only how far it got, so that a sender can wait between pieces.
#[derive(Clone, Debug)]
pub struct Pieces {
    lists: bool,
    /// Entities, names and edges that were sent.
    at: [usize; 3],
    state: PiecesState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PiecesState {
    First,
    Further,
    Done,
}

impl Pieces {
    /// With `lists` false, entities and names are left out (the history of a snapshot).
    pub fn new(lists: bool) -> Self {
        Pieces { lists, at: [0; 3], state: PiecesState::First }
    }

    /// The next piece of `slice`, which is the same in each call; `None` after the last.
    pub fn next_of(&mut self, slice: &Slice) -> Option<pb::Slice> {
        let mut piece = match self.state {
            PiecesState::Done => return None,
            PiecesState::First => head_to_pb(slice),
            PiecesState::Further => pb::Slice { loss: Vec::new(), late: 0, cpu_ns: 0, ..head_to_pb(slice) },
        };
        let (entities, names) =
            if self.lists { (&slice.entities[..], &slice.names[..]) } else { (&[][..], &[][..]) };
        let mut size = 0;
        // Entities and names first: an edge then never speaks of what is not known yet.
        piece.entities = take(entities, &mut self.at[0], &mut size, entity_to_pb);
        piece.names = take(names, &mut self.at[1], &mut size, name_to_pb);
        piece.edges = take(&slice.edges, &mut self.at[2], &mut size, edge_to_pb);
        piece.more = self.at != [entities.len(), names.len(), slice.edges.len()];
        self.state = if piece.more { PiecesState::Further } else { PiecesState::Done };
        Some(piece)
    }
}

fn take<T, P: prost::Message>(from: &[T], at: &mut usize, size: &mut usize, to_pb: fn(&T) -> P) -> Vec<P> {
    let mut out = Vec::new();
    while let Some(item) = from.get(*at).filter(|_| *size < PIECE) {
        let item = to_pb(item);
        *size += item.encoded_len() + 4;
        *at += 1;
        out.push(item);
    }
    out
}

/// Puts the messages of `WatchSlices` together, and checks their order.
#[derive(Debug, Default)]
pub struct Assembler {
    partial: Option<(Kind, Slice)>,
    snapshot: Option<Open>,
    /// Bytes of the slice or snapshot that is being put together.
    bytes: usize,
    /// What the last whole message ended at.
    last: Option<(AgentInstance, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Live,
    Totals,
    History,
}

#[derive(Debug)]
struct Open {
    instance: AgentInstance,
    node: String,
    scope: String,
    totals: Option<Slice>,
    history: Vec<Arc<Slice>>,
}

impl Assembler {
    /// For a stream that resumes after a slice, or begins with a snapshot (`None`).
    pub fn new(after: Option<(AgentInstance, u64)>) -> Self {
        Assembler { last: after.filter(|a| a.1 > 0), ..Assembler::default() }
    }

    /// Takes one message; returns what has become whole with it.
    ///
    /// # Errors
    /// When the message is invalid or out of order; the stream is of no use after that.
    pub fn take(&mut self, r: pb::WatchSlicesResponse) -> Result<Option<SliceMessage>, InvalidMessage> {
        self.bytes = self.bytes.saturating_add(r.encoded_len());
        if self.bytes > MAX_WHOLE {
            return invalid(format!("a snapshot or slice of more than {} MiB", MAX_WHOLE >> 20));
        }
        let whole = match r.message {
            None => return invalid("WatchSlicesResponse is empty"),
            Some(Message::Slice(s)) => self.slice(Kind::Live, s)?,
            Some(Message::Totals(s)) => self.slice(Kind::Totals, s)?,
            Some(Message::History(s)) => self.slice(Kind::History, s)?,
            Some(_) if self.partial.is_some() => return invalid("a slice in pieces is broken off"),
            Some(Message::Gap(_) | Message::Snapshot(_)) if self.snapshot.is_some() => {
                return invalid("a snapshot is broken off");
            }
            Some(Message::Gap(g)) => {
                self.last = None;
                Some(SliceMessage::Gap(text(g.reason, "Gap.reason")?))
            }
            Some(Message::Snapshot(s)) => {
                self.snapshot = Some(Open {
                    instance: AgentInstance(s.instance),
                    node: text(s.node, "Snapshot.node")?,
                    scope: text(s.scope, "Snapshot.scope")?,
                    totals: None,
                    history: Vec::new(),
                });
                None
            }
            Some(Message::SnapshotEnd(_)) => Some(self.end()?),
        };
        if whole.is_some() {
            self.bytes = 0;
        }
        Ok(whole)
    }

    fn slice(&mut self, kind: Kind, mut s: pb::Slice) -> Result<Option<SliceMessage>, InvalidMessage> {
        let more = std::mem::take(&mut s.more);
        let piece = slice_from_pb(s)?;
        let slice = match self.partial.take() {
            None => piece,
            Some((began, mut slice)) => {
                if began != kind || (slice.agent, slice.sequence) != (piece.agent, piece.sequence) {
                    return invalid("a slice in pieces is broken off");
                }
                slice.edges.extend(piece.edges);
                slice.entities.extend(piece.entities);
                slice.names.extend(piece.names);
                slice
            }
        };
        if more {
            self.partial = Some((kind, slice));
            return Ok(None);
        }
        match (kind, &mut self.snapshot) {
            (Kind::Live, None) => self.live(slice).map(Some),
            (Kind::Live, Some(_)) => invalid("a slice within a snapshot"),
            (_, None) => invalid("a part of a snapshot outside of one"),
            (_, Some(open)) if open.instance != slice.agent => invalid("a snapshot of two agents"),
            (Kind::Totals, Some(open)) if open.totals.is_none() && open.history.is_empty() => {
                open.totals = Some(slice);
                Ok(None)
            }
            (Kind::Totals, Some(_)) => invalid("a snapshot with its totals twice"),
            (Kind::History, Some(open)) => {
                let rises = open.history.last().is_none_or(|l| l.sequence < slice.sequence);
                let within = open.totals.as_ref().is_some_and(|t| slice.sequence <= t.sequence);
                if !rises || !within || open.history.len() >= MAX_HISTORY {
                    return invalid("a snapshot whose history is out of order");
                }
                open.history.push(Arc::new(slice));
                Ok(None)
            }
        }
    }

    fn live(&mut self, slice: Slice) -> Result<SliceMessage, InvalidMessage> {
        let at = (slice.agent, slice.sequence);
        match self.last {
            Some((agent, last)) if agent == at.0 && at.1 == last + 1 => {}
            _ => return invalid("a slice that does not follow on the one before"),
        }
        self.last = Some(at);
        Ok(SliceMessage::Slice(Box::new(slice)))
    }

    fn end(&mut self) -> Result<SliceMessage, InvalidMessage> {
        let Some(Open { node, scope, totals: Some(totals), history, .. }) = self.snapshot.take() else {
            return invalid("a snapshot that ends without totals");
        };
        self.last = Some((totals.agent, totals.sequence));
        Ok(SliceMessage::Snapshot(Box::new(Snapshot { node, scope, totals, history })))
    }
}
