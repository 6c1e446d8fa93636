//! DNS over UDP and TCP (RFC 1035, 3596, 6891, 7766; multicast: RFC 6762, 4795).
//!
//! - [`parse`]: one message.
//! - [`Stream`]: the [`Decoder`](super::Decoder) of DNS over TCP.
//! - [`Queries`]: matches the datagrams of DNS over UDP, with retries and time-outs.
//! - [`Storms`]: recognises lookups that go through a search list in vain.
//!
//! The target of an exchange is the name that was asked for: it is what people look for.

mod codes;
mod message;
mod name;
mod queries;
mod sniff;
mod storms;
mod stream;

pub use codes::{A, AAAA, CNAME, rcode_name, type_name, verdict};
pub use message::{Malformed, Message, Question, parse};
pub use queries::{Queries, TIMEOUT_NS};
pub use sniff::{sniff, sniff_datagram, speaker};
pub use storms::{Storm, Storms};
pub use stream::Stream;

use std::borrow::Cow;

use crate::model::{Known, Protocol, Shape, Verdict};
use crate::wire::{Dns, Span, Told};

/// What was asked, kept until the answer comes.
#[derive(Debug)]
struct Asked {
    opcode: u8,
    question: Option<Question>,
    request: Span,
    key: (u64, u32),
    retries: u16,
}

/// How it went, for what is told.
struct Outcome {
    shape: Shape,
    status: Known<Cow<'static, str>>,
    verdict: Verdict,
}

impl Asked {
    /// The query that an answer without one must have been for: never seen, so 0 bytes long.
    fn unseen(answer: &mut Message, key: (u64, u32)) -> Asked {
        Asked {
            opcode: answer.opcode,
            question: answer.question.take(),
            request: Span::default(),
            key,
            retries: 0,
        }
    }

    /// Whether `answer` can be for this: the question is repeated in it, if it has one.
    fn fits(&self, answer: &Message) -> bool {
        match (&self.question, &answer.question) {
            (Some(a), Some(b)) => a.same(b),
            _ => true,
        }
    }

    /// Tells it with its answer.
    fn answered(self, shape: Shape, answer: Message, response: Span) -> Told {
        let outcome =
            Outcome { shape, status: Known::Known(rcode_name(answer.rcode)), verdict: verdict(answer.rcode) };
        self.told(outcome, Some((answer, response)))
    }

    fn told(self, outcome: Outcome, answer: Option<(Message, Span)>) -> Told {
        let (message, response) = answer.unzip();
        let (rcode, answers, repeated) =
            message.map(|m| (m.rcode, m.answers, m.question)).unwrap_or_default();
        // Both are the same where both are there: one name is for the target, one for the facts.
        let (question, name) = match (self.question, repeated) {
            (Some(question), Some(repeated)) => (Some(question), Some(repeated.name)),
            (one, other) => (one.or(other), None),
        };
        let method = codes::method(self.opcode, question.as_ref().map(|q| q.kind));
        let target = match name.or_else(|| question.as_ref().map(|q| q.name.clone())) {
            Some(name) => Known::Known(name),
            None => Known::Unknown("the question was not captured"),
        };
        let dns = question.map(|question| {
            Box::new(Dns {
                name: question.name,
                kind: question.kind,
                rcode: u8::try_from(rcode).unwrap_or(u8::MAX),
                answers,
                retries: self.retries,
            })
        });
        Told {
            protocol: Protocol::Dns,
            shape: outcome.shape,
            method,
            target,
            status: outcome.status,
            verdict: outcome.verdict,
            request: self.request,
            response,
            key: self.key,
            dns,
        }
    }
}

#[cfg(test)]
mod tests;
