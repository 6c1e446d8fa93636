//! `webb.v1.Webb` over a store.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::Limits;
use super::listings::ConnectionStream;
use super::slices::SliceStream;
use super::watch_events::EventStream;
use crate::api::{filter_from_pb, pb, status_to_pb};
use crate::store::Store;

/// A stream of responses.
type Stream_<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What every stream needs.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) limits: Limits,
    /// True when the server is about to end.
    pub(super) stopping: watch::Receiver<bool>,
    /// Snapshots and listings.
    pub(super) held: Arc<Semaphore>,
}

impl Shared {
    /// Room for one snapshot or listing.
    pub(super) fn hold(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.held.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted("too many viewers fetch a snapshot or a listing at once; try again")
        })
    }

    /// Waits for `changed`, or for the end of the server, which it returns as an error.
    pub(super) async fn wait<T>(&mut self, changed: impl Future<Output = T>) -> Result<T, Status> {
        let stopped = || Status::unavailable("the server is stopping");
        tokio::select! {
            value = changed => Ok(value),
            // An error means that the server is gone already.
            _ = self.stopping.wait_for(|stop| *stop) => Err(stopped()),
        }
    }
}

/// The service.
#[derive(Debug)]
pub(super) struct Service {
    shared: Shared,
    streams: Arc<Semaphore>,
}

impl Service {
    pub(super) fn new(store: Store, limits: Limits, stopping: watch::Receiver<bool>) -> Self {
        let held = Arc::new(Semaphore::new(limits.held));
        Service {
            shared: Shared { store, limits, stopping, held },
            streams: Arc::new(Semaphore::new(limits.streams)),
        }
    }

    /// Counts a stream for as long as it lives.
    fn stream<S, T, F>(&self, state: S, next: F) -> Result<Response<Stream_<T>>, Status>
    where
        S: Send + 'static,
        T: Send + 'static,
        F: for<'a> Fn(&'a mut S) -> Next<'a, T> + Send + Copy + 'static,
    {
        let permit = self.streams.clone().try_acquire_owned().map_err(|_| {
            Status::resource_exhausted("this server has no room for more streams; close other viewers")
        })?;
        let stream = futures_util::stream::unfold(Some((state, permit)), move |state| async move {
            let (mut state, permit) = state?;
            match next(&mut state).await {
                Ok(None) => None,
                Ok(Some(message)) => Some((Ok(message), Some((state, permit)))),
                // An error ends the stream.
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// One step of a stream: a message, its end, or an error that ends it.
pub(super) type Next<'a, T> = Pin<Box<dyn Future<Output = Result<Option<T>, Status>> + Send + 'a>>;

#[tonic::async_trait]
impl pb::webb_server::Webb for Service {
    type WatchSlicesStream = Stream_<pb::WatchSlicesResponse>;
    type WatchEventsStream = Stream_<pb::WatchEventsResponse>;
    type ListConnectionsStream = Stream_<pb::ListConnectionsResponse>;

    async fn watch_slices(
        &self,
        request: Request<pb::WatchSlicesRequest>,
    ) -> Result<Response<Self::WatchSlicesStream>, Status> {
        let stream = SliceStream::new(self.shared.clone(), request.get_ref());
        self.stream(stream, |s| Box::pin(s.next()))
    }

    async fn watch_events(
        &self,
        request: Request<pb::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        let filter = filter_from_pb(request.filter).map_err(|e| Status::invalid_argument(e.what))?;
        let stream = EventStream::new(self.shared.clone(), filter, request.last, request.follow);
        self.stream(stream, |s| Box::pin(s.next()))
    }

    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Result<Response<Self::ListConnectionsStream>, Status> {
        let request = request.into_inner();
        let filter = filter_from_pb(request.filter).map_err(|e| Status::invalid_argument(e.what))?;
        let limit = usize::try_from(request.limit).ok().filter(|&n| n > 0);
        let stream = ConnectionStream::new(self.shared.clone(), request.all, &filter, limit)?;
        self.stream(stream, |s| Box::pin(s.next()))
    }

    async fn get_status(
        &self,
        _: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        Ok(Response::new(status_to_pb(&self.shared.store.status())))
    }
}
