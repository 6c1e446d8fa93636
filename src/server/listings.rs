//! `ListConnections`: pages of rows.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message as _;
use tonic::Status;

use super::held::Held;
use super::service::Shared;
use super::watch_events::KNOWN;
use crate::api::{PAGE, PIECE, connection_to_pb, name_update_to_pb, pb};
use crate::model::{Connection, EntityId, Filter};

pub(super) struct ConnectionStream {
    shared: Shared,
    rows: Held<Vec<Arc<Connection>>>,
    at: usize,
    known: HashMap<EntityId, u64>,
}

impl ConnectionStream {
    pub(super) fn new(
        shared: Shared,
        all: bool,
        filter: &Filter,
        limit: Option<usize>,
    ) -> Result<Self, Status> {
        let permit = shared.hold()?;
        let rows = Arc::new(shared.store.connections(all, filter, limit));
        let rows = Held::new(rows, permit, shared.limits.held_for);
        Ok(ConnectionStream { shared, rows, at: 0, known: HashMap::new() })
    }

    /// The next page; the end after the last row.
    pub(super) async fn next(&mut self) -> Result<Option<pb::ListConnectionsResponse>, Status> {
        let Some(rows) = self.rows.get() else {
            let took = self.shared.limits.held_for.as_secs();
            return Err(Status::deadline_exceeded(format!(
                "the viewer did not take the listing within {took} s"
            )));
        };
        let mut page = pb::ListConnectionsResponse::default();
        let mut names = pb::Names::default();
        let mut size = 0;
        while let Some(row) = rows.get(self.at).filter(|_| page.connections.len() < PAGE && size < PIECE) {
            if self.known.len() > KNOWN {
                self.known.clear();
            }
            let ids = [row.client.entity, row.server.entity].into_iter();
            let news = name_update_to_pb(&self.shared.store.names(ids, &mut self.known));
            let row = connection_to_pb(row);
            size += row.encoded_len() + news.encoded_len() + 8;
            names.utc_offset_ns = news.utc_offset_ns;
            names.entities.extend(news.entities);
            names.names.extend(news.names);
            page.connections.push(row);
            self.at += 1;
        }
        page.names = Some(names);
        Ok((!page.connections.is_empty()).then_some(page))
    }
}
