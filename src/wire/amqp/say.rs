//! What a frame does to its channel.

use std::borrow::Cow;

use super::channel::{Asked, Channel, Confirms, Content, Of, Tag};
use super::frame::Call;
use super::method::{self, Role};
use super::{Counts, SERVER_SAID, WAITING};
use crate::model::{Known, Protocol, Shape, Verdict};
use crate::wire::decoder::{Span, Speaker, Told};

/// What follows from a frame for the channel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    ChannelClosed,
    /// With an error of this status: all channels have failed.
    ConnectionClosed(String),
}

/// An exchange that nobody answers.
fn one_way(call: Call, key: (u64, u32), span: Span) -> Told {
    Told {
        protocol: Protocol::Amqp,
        shape: Shape::OneWay,
        method: Cow::Borrowed(call.method.name),
        target: call.target,
        status: Known::Absent,
        verdict: Verdict::Ok,
        request: span,
        response: None,
        key,
        dns: None,
    }
}

/// The same where an answer is expected.
fn awaited(told: Told) -> Told {
    let status = Known::Unknown("no answer was seen");
    Told { shape: Shape::Unary, status, verdict: Verdict::Unknown, ..told }
}

fn server_key(offset: u64) -> (u64, u32) {
    (offset, SERVER_SAID)
}

impl Channel {
    pub(super) fn client_says(
        &mut self,
        call: Call,
        offset: u64,
        span: Span,
        counts: &mut Counts,
        out: &mut Vec<Told>,
    ) -> After {
        let (class, id, role) = (call.method.class, call.method.id, call.method.role);
        let no_wait = call.no_wait;
        match (class, id) {
            (method::CHANNEL, method::CHANNEL_CLOSE_OK) => return After::ChannelClosed,
            // A channel that is opened anew begins afresh.
            (method::CHANNEL, method::CHANNEL_OPEN) => self.confirms = None,
            (method::CONFIRM, _) if self.confirms.is_none() => {
                self.confirms = Some(Confirms { next: 1, losses: Some(counts.losses) });
            }
            _ => {}
        }
        let told = one_way(call, (offset, 0), span);
        match role {
            Role::Say if (class, id) == (method::BASIC, method::PUBLISH) => {
                let tag = self.next_tag(counts);
                let told = if tag == Tag::None { told } else { awaited(told) };
                self.say(Speaker::Client, Content { of: Of::Publish(tag), told, left: None, piece: 0 });
            }
            Role::Ask(_) if no_wait => out.push(told),
            Role::Ask(_) if counts.waiting >= WAITING => {
                counts.undecoded = counts.undecoded.saturating_add(span.bytes);
            }
            Role::Ask(ok) => self.asked.push_back(Asked { class, id, ok, told: awaited(told) }),
            Role::Say => out.push(told),
            Role::Answer => {}
        }
        After::Nothing
    }

    pub(super) fn server_says(
        &mut self,
        call: Call,
        offset: u64,
        span: Span,
        counts: &mut Counts,
        out: &mut Vec<Told>,
    ) -> After {
        let (class, id, code) = (call.method.class, call.method.id, call.code);
        match (class, id) {
            (method::BASIC, method::DELIVER | method::RETURN) => {
                let mut told = one_way(call, server_key(offset), span);
                if let Some(code) = code {
                    told.status = Known::Known(Cow::Owned(method::reply(code)));
                    told.verdict = Verdict::Error;
                }
                self.say(Speaker::Server, Content { of: Of::Push, told, left: None, piece: 0 });
            }
            (method::BASIC, method::ACK | method::NACK) => {
                if self.confirms.is_none() {
                    // Switched on before the channel was seen.
                    self.confirms = Some(Confirms { next: 1, losses: None });
                }
                if let Some((tag, bits)) = call.tag {
                    self.confirmed(tag, bits & 1 == 1, id == method::ACK, span, out);
                }
            }
            (method::CHANNEL, method::CHANNEL_CLOSE) | (method::CONNECTION, method::CONNECTION_CLOSE) => {
                let status = code.map_or("closed".into(), method::reply);
                let mut told = one_way(call, server_key(offset), span);
                let all = class == method::CONNECTION;
                if code != Some(200) {
                    if self.waiting() == 0 && (!all || counts.waiting == 0) {
                        told.status = Known::Known(Cow::Owned(status.clone()));
                        told.verdict = Verdict::Error;
                        out.push(told);
                    } else {
                        self.failed(&status, span, out);
                    }
                }
                // The channel itself is over with the client's close-ok.
                return if all && code != Some(200) {
                    After::ConnectionClosed(status)
                } else {
                    After::Nothing
                };
            }
            _ => {
                let Some(mut told) = self.answered(class, id, out) else { return After::Nothing };
                let empty = (class, id) == (method::BASIC, method::GET_EMPTY);
                told.status = Known::Known(Cow::Borrowed(if empty { "empty" } else { "ok" }));
                told.verdict = Verdict::Ok;
                told.response = Some(span);
                if (class, id) == (method::BASIC, method::GET_OK) {
                    self.say(Speaker::Server, Content { of: Of::Get, told, left: None, piece: 0 });
                } else {
                    out.push(told);
                }
                if (class, id) == (method::CHANNEL, method::CHANNEL_CLOSE_OK) {
                    return After::ChannelClosed;
                }
            }
        }
        After::Nothing
    }

    fn said(&mut self, from: Speaker) -> &mut Option<Content> {
        let [client, server] = &mut self.content;
        if from == Speaker::Client { client } else { server }
    }

    fn say(&mut self, from: Speaker, content: Content) {
        *self.said(from) = Some(content);
    }

    /// A content header: so long is the body.
    pub(super) fn header(
        &mut self,
        from: Speaker,
        size: u64,
        span: Span,
        counts: &mut Counts,
        out: &mut Vec<Told>,
    ) {
        let Some(content) = self.said(from).as_mut().filter(|content| content.left.is_none()) else {
            // Of a message whose method was missed.
            counts.undecoded = counts.undecoded.saturating_add(span.bytes);
            return;
        };
        content.grow(span);
        content.left = Some(size);
        if size == 0 {
            self.finish(from, counts, out);
        }
    }

    /// So much of a body.
    pub(super) fn body(
        &mut self,
        from: Speaker,
        len: u64,
        span: Span,
        counts: &mut Counts,
        out: &mut Vec<Told>,
    ) {
        let left = self.said(from).as_mut().and_then(|content| Some((content.left?, content)));
        let Some((left, content)) = left else {
            counts.undecoded = counts.undecoded.saturating_add(span.bytes);
            return;
        };
        content.grow(span);
        if content.piece == 0 {
            content.piece = len;
        }
        let left = left.saturating_sub(len);
        content.left = Some(left);
        if left == 0 {
            self.finish(from, counts, out);
        }
    }

    /// Payload of the body frames that `from` is saying, and bytes of the body that are to come.
    pub(super) fn body_to_come(&mut self, from: Speaker) -> Option<(u64, u64)> {
        let content = self.said(from).as_ref()?;
        content.left.map(|left| (content.piece, left)).filter(|(piece, _)| *piece > 0)
    }

    /// The content that `from` was saying is complete, or nothing more of it is to come.
    pub(super) fn finish(&mut self, from: Speaker, counts: &mut Counts, out: &mut Vec<Told>) {
        let Some(Content { of, told, .. }) = self.said(from).take() else { return };
        match of {
            Of::Get => out.push(told),
            Of::Push => {
                let returned = matches!(told.status, Known::Known(_));
                if !(returned && self.returned(&told)) {
                    out.push(told);
                }
            }
            Of::Publish(tag) => self.publish(told, tag, counts, out),
        }
    }

    /// The delivery tag of the next message.
    fn next_tag(&mut self, counts: &Counts) -> Tag {
        match &mut self.confirms {
            None => Tag::None,
            Some(confirms) if confirms.losses != Some(counts.losses) => Tag::Unknown,
            Some(confirms) => {
                let tag = confirms.next;
                confirms.next = tag.saturating_add(1);
                Tag::Known(tag)
            }
        }
    }

    /// A message was published: with confirms it waits for its acknowledgement.
    fn publish(&mut self, mut told: Told, tag: Tag, counts: &mut Counts, out: &mut Vec<Told>) {
        let tag = match tag {
            Tag::Known(tag) => tag,
            Tag::None => return out.push(told),
            Tag::Unknown => {
                told.status = Known::Unknown("the number of messages before it is not known");
                return out.push(told);
            }
        };
        if counts.waiting >= WAITING {
            match self.published.pop_front() {
                // Its confirmation was most likely missed.
                Some((_, oldest)) => out.push(oldest),
                None => {
                    counts.undecoded = counts.undecoded.saturating_add(told.request.bytes);
                    return;
                }
            }
        }
        self.published.push_back((tag, told));
    }
}
