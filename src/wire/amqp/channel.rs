//! One channel: requests that wait for their answer, messages that wait for their confirmation, and
//! the content that is being said on it by either side.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::method;
use crate::model::{Known, Verdict};
use crate::wire::decoder::{Span, Told};

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub class: u16,
    pub id: u16,
    /// Id of the method that answers.
    pub ok: u16,
    pub told: Told,
}

impl Asked {
    fn is_answered_by(&self, class: u16, id: u16) -> bool {
        let also = match (self.class, self.id) {
            (method::BASIC, method::GET) => id == method::GET_EMPTY,
            (method::CONNECTION, method::CONNECTION_START_OK) => id == method::CONNECTION_SECURE,
            _ => false,
        };
        self.class == class && (self.ok == id || also)
    }
}

/// How a message is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// Not at all.
    None,
    /// By its delivery tag.
    Known(u64),
    /// By a tag that cannot be told.
    Unknown,
}

/// What content belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A message that the client publishes.
    Publish(Tag),
    /// A message that the server delivers or returns.
    Push,
    /// The answer to `basic.get`.
    Get,
}

/// A method with the header and body frames that follow it.
#[derive(Debug)]
pub(super) struct Content {
    pub of: Of,
    pub told: Told,
    /// Bytes of the body that are to come; `None` before the header.
    pub left: Option<u64>,
    /// Payload of the first body frame: all but the last are as long.
    pub piece: u64,
}

impl Content {
    /// A frame of it was seen.
    pub(super) fn grow(&mut self, span: Span) {
        let own = match (self.of, &mut self.told.response) {
            (Of::Get, Some(response)) => response,
            _ => &mut self.told.request,
        };
        own.last = span.last;
        own.bytes = own.bytes.saturating_add(span.bytes);
    }
}

/// How far publisher confirms are known on a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirms {
    /// Delivery tag of the next message.
    pub next: u64,
    /// How often the client had been lost when they were switched on; `None`: before it was seen.
    pub losses: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Channel {
    pub asked: VecDeque<Asked>,
    pub confirms: Option<Confirms>,
    /// By delivery tag, ascending.
    pub published: VecDeque<(u64, Told)>,
    /// What the client and the server are saying.
    pub content: [Option<Content>; 2],
}

impl Channel {
    /// So many exchanges wait.
    pub(super) fn waiting(&self) -> usize {
        self.asked.len() + self.published.len()
    }

    /// The request that this method answers. Those before it were answered, too, but that was not
    /// seen.
    pub(super) fn answered(&mut self, class: u16, id: u16, out: &mut Vec<Told>) -> Option<Told> {
        let i = self.asked.iter().position(|asked| asked.is_answered_by(class, id))?;
        out.extend(self.asked.drain(..i).map(|asked| asked.told));
        self.asked.pop_front().map(|asked| asked.told)
    }

    /// The messages that an acknowledgement is about are told.
    pub(super) fn confirmed(
        &mut self,
        tag: u64,
        multiple: bool,
        good: bool,
        span: Span,
        out: &mut Vec<Told>,
    ) {
        let confirm = |(_, mut told): (u64, Told)| {
            told.response = Some(span);
            // A message that was returned is acknowledged, too.
            if told.verdict != Verdict::Error {
                told.verdict = if good { Verdict::Ok } else { Verdict::Error };
                told.status = Known::Known(Cow::Borrowed(if good { "ack" } else { "nack" }));
            }
            told
        };
        let behind = match multiple && tag == 0 {
            true => self.published.len(),
            false => self.published.partition_point(|(t, _)| *t <= tag),
        };
        if multiple {
            out.extend(self.published.drain(..behind).map(confirm));
        } else if let Some(i) = behind.checked_sub(1)
            && self.published.get(i).is_some_and(|(t, _)| *t == tag)
        {
            out.extend(self.published.remove(i).map(confirm));
        }
    }

    /// A message came back: that of the first published one with its name.
    pub(super) fn returned(&mut self, told: &Told) -> bool {
        let same = |p: &&mut (u64, Told)| p.1.target == told.target && p.1.verdict != Verdict::Error;
        let Some((_, published)) = self.published.iter_mut().find(same) else { return false };
        published.status = told.status.clone();
        published.verdict = told.verdict;
        true
    }

    /// The channel or the connection was closed with an error: all that waits has failed.
    pub(super) fn failed(&mut self, status: &str, span: Span, out: &mut Vec<Told>) {
        let asked = self.asked.drain(..).map(|asked| asked.told);
        let published = self.published.drain(..).map(|(_, told)| told);
        out.extend(asked.chain(published).map(|mut told| {
            told.status = Known::Known(Cow::Owned(status.into()));
            told.verdict = Verdict::Error;
            told.response = Some(span);
            told
        }));
    }

    /// The channel is gone: what waited or was being said is told as it is.
    pub(super) fn end(self, out: &mut Vec<Told>) {
        out.extend(self.asked.into_iter().map(|asked| asked.told));
        out.extend(self.published.into_iter().map(|(_, told)| told));
        out.extend(self.content.into_iter().flatten().map(|content| content.told));
    }
}
