//! Dial a server: plain `model` types in and out, reconnecting and resuming where asked to.
//!
//! A server is as hostile as anything else: messages are bounded and checked, waiting is limited,
//! and what it says in an error is escaped before it becomes text for people.

mod dial;
mod error;
mod follow;
mod streams;

use std::time::Duration;

use tonic::Response;
use tonic::transport::Channel;

pub use dial::{Target, TlsOptions};
pub use error::ClientError;
pub use follow::{Backoff, Follow, Update};
pub use streams::Messages;

use crate::api::pb::webb_client::WebbClient;
use crate::api::{MAX_RESPONSE, filter_to_pb, pb, status_from_pb};
use crate::model::{AgentInstance, ConnectionPage, EventMessage, Filter, SliceMessage, Status};

/// How long a server may take to begin an answer, or to go on with one that is not live.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection to a server; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    rpc: WebbClient<Channel>,
    patience: Duration,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// In one sentence what is wrong, with the address.
    pub async fn connect(target: &Target) -> Result<Client, ClientError> {
        let channel = dial::dial(target).await?;
        // A request that is too large is for the server to refuse: it says so better.
        let rpc = WebbClient::new(channel).max_decoding_message_size(MAX_RESPONSE);
        Ok(Client { rpc, patience: ANSWER })
    }

    /// Waits so long for answers instead of 10 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Client {
        self.patience = patience;
        self
    }

    /// Slices, from a snapshot or after a slice that is known already.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn watch_slices(
        &mut self,
        resume: Option<(AgentInstance, u64)>,
    ) -> Result<Messages<SliceMessage>, ClientError> {
        let (instance, after_sequence) = resume.map_or((0, 0), |(i, n)| (i.0, n));
        let request = pb::WatchSlicesRequest { instance, after_sequence };
        let stream = answered(self.patience, self.rpc.watch_slices(request)).await?;
        Ok(streams::slices(stream, resume))
    }

    /// Up to `last` kept events that match, then, with `follow`, new ones.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn watch_events(
        &mut self,
        filter: &Filter,
        last: u64,
        follow: bool,
    ) -> Result<Messages<EventMessage>, ClientError> {
        let request = pb::WatchEventsRequest { filter: Some(filter_to_pb(filter)), last, follow };
        let stream = answered(self.patience, self.rpc.watch_events(request)).await?;
        Ok(streams::events(stream, (!follow).then_some(self.patience)))
    }

    /// Connections that match, newest change last; `all`: closed ones too; `limit`: only the newest.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn list_connections(
        &mut self,
        filter: &Filter,
        all: bool,
        limit: Option<u64>,
    ) -> Result<Messages<ConnectionPage>, ClientError> {
        let filter = Some(filter_to_pb(filter));
        let request = pb::ListConnectionsRequest { filter, all, limit: limit.unwrap_or(0) };
        let stream = answered(self.patience, self.rpc.list_connections(request)).await?;
        Ok(streams::connections(stream, self.patience))
    }

    /// The state of the agent.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or answers with nonsense.
    pub async fn status(&mut self) -> Result<Status, ClientError> {
        let response = answered(self.patience, self.rpc.get_status(pb::GetStatusRequest {})).await?;
        Ok(status_from_pb(response)?)
    }
}

async fn answered<T>(
    patience: Duration,
    call: impl Future<Output = Result<Response<T>, tonic::Status>>,
) -> Result<T, ClientError> {
    match tokio::time::timeout(patience, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(ClientError::from_status(&status)),
        Err(_) => Err(ClientError::Silent(patience)),
    }
}
