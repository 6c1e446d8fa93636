//! Edges of a window that nobody looked at, and why.

use super::{Between, NOBODY_LOOKED};
use crate::model::Transport;
use crate::world::rows::EdgeRow;

/// An edge that was not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlookedRow {
    /// Which.
    pub edge: Between,
    /// Why.
    pub why: Box<str>,
}

impl UnlookedRow {
    /// Of an edge without a verdict; `None` where nothing happened, or where none is expected: of
    /// datagrams not all are looked at.
    pub(super) fn of(row: &EdgeRow) -> Option<Self> {
        if row.id.transport != Transport::Tcp || row.is_idle() {
            return None;
        }
        let (_, counters) = row.shown();
        let why = if counters.bytes_to_server > 0 || counters.bytes_to_client > 0 {
            NOBODY_LOOKED.into()
        } else if let Some((outcome, _)) = row.worst_failure() {
            format!("nothing was said: {}", outcome.as_str()).into()
        } else {
            "nothing was said".into()
        };
        let (id, client, server) = (row.id.clone(), row.client.clone(), row.server.clone());
        Some(UnlookedRow { edge: Between { id, client, server }, why })
    }
}
