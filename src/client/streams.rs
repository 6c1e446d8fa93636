//! Streams of the server as streams of `model` types. After an error they end.

use std::pin::Pin;
use std::time::Duration;

use tokio_stream::Stream;
use tonic::Streaming;

use super::error::ClientError;
use crate::api::pb::watch_events_response::Message;
use crate::api::{
    Assembler, InvalidMessage, PAGE, connection_from_pb, event_from_pb, name_update_from_pb, pb,
};
use crate::model::{AgentInstance, ConnectionPage, EventMessage, SliceMessage};

/// Messages of a server; after an error it ends.
pub type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, ClientError>> + Send>>;

/// Silence after which a stream of slices, of which there is one a second, is given up.
const NO_SLICE: Duration = Duration::from_secs(30);

pub(super) fn slices(
    stream: Streaming<pb::WatchSlicesResponse>,
    resume: Option<(AgentInstance, u64)>,
) -> Messages<SliceMessage> {
    let assembler = Assembler::new(resume);
    messages(stream, Some(NO_SLICE), assembler, Assembler::take)
}

/// Without patience: nothing may happen for long; that the server lives is for the pings to find out.
pub(super) fn events(
    stream: Streaming<pb::WatchEventsResponse>,
    patience: Option<Duration>,
) -> Messages<EventMessage> {
    messages(stream, patience, (), |(), r| {
        let message = r.message.ok_or_else(|| InvalidMessage { what: "an empty event message".into() })?;
        Ok(Some(match message {
            Message::Event(e) => EventMessage::Event(event_from_pb(e)?),
            Message::Missed(n) => EventMessage::Missed(n),
            Message::Names(n) => EventMessage::Names(name_update_from_pb(n)?),
        }))
    })
}

pub(super) fn connections(
    stream: Streaming<pb::ListConnectionsResponse>,
    patience: Duration,
) -> Messages<ConnectionPage> {
    messages(stream, Some(patience), (), |(), page| {
        if page.connections.len() > PAGE {
            return Err(InvalidMessage { what: format!("a page of more than {PAGE} connections") });
        }
        let rows = page.connections.into_iter().map(|c| connection_from_pb(c).map(Into::into));
        Ok(Some(ConnectionPage {
            connections: rows.collect::<Result<_, _>>()?,
            names: page.names.map(name_update_from_pb).transpose()?.unwrap_or_default(),
        }))
    })
}

/// Takes each message of the wire; `take` says what has become whole with it, if anything.
fn messages<W, S, T>(
    stream: Streaming<W>,
    patience: Option<Duration>,
    state: S,
    take: fn(&mut S, W) -> Result<Option<T>, InvalidMessage>,
) -> Messages<T>
where
    W: Send + 'static,
    S: Send + 'static,
    T: Send + 'static,
{
    Box::pin(futures_util::stream::unfold(Some((stream, state)), move |open| async move {
        let (mut stream, mut state) = open?;
        let error = loop {
            let next = match patience {
                None => stream.message().await,
                Some(patience) => match tokio::time::timeout(patience, stream.message()).await {
                    Ok(next) => next,
                    Err(_) => break ClientError::Silent(patience),
                },
            };
            match next {
                Ok(None) => return None,
                Ok(Some(wire)) => match take(&mut state, wire) {
                    Ok(None) => {}
                    Ok(Some(message)) => return Some((Ok(message), Some((stream, state)))),
                    Err(invalid) => break invalid.into(),
                },
                Err(status) => break ClientError::from_status(&status),
            }
        };
        Some((Err(error), None))
    }))
}
