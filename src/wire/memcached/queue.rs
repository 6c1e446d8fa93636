//! Commands that wait for their replies, in order.

use super::super::line::pop_front_if;
use std::borrow::Cow;
use std::collections::VecDeque;

use super::PENDING;
use crate::model::{BootNs, Known, Protocol, Shape, Verdict};
use crate::wire::decoder::{Span, Told};

/// A command.
pub(super) struct Asked {
    /// Its name as in the text protocol; the binary one's opcodes have the same names.
    pub(super) method: &'static str,
    /// What says of a reply that it is for this one: opaque or key, hashed; 0 if nothing does.
    pub(super) id: u64,
    /// The usual outcome is not replied.
    pub(super) quiet: bool,
    /// It begins with no known command: it is one only if the reply is `ERROR`.
    pub(super) doubted: bool,
    pub(super) span: Span,
    /// Where its first byte is in all that the client said.
    pub(super) offset: u64,
}

impl Asked {
    pub(super) fn tell(
        self,
        status: Known<Cow<'static, str>>,
        verdict: Verdict,
        response: Option<Span>,
    ) -> Told {
        let shape = match (self.method, response) {
            ("watch", _) => Shape::Stream,
            (_, None) if verdict == Verdict::Ok => Shape::OneWay,
            _ => Shape::Unary,
        };
        Told {
            protocol: Protocol::Memcached,
            shape,
            method: Cow::Borrowed(self.method),
            target: Known::Absent,
            status,
            verdict,
            request: self.span,
            response,
            key: (self.offset, 0),
            dns: None,
        }
    }

    /// No reply came, and none had to.
    pub(super) fn tell_one_way(self) -> Told {
        self.tell(Known::Absent, Verdict::Ok, None)
    }

    fn tell_unseen(self) -> Told {
        self.tell(Known::Unknown("the reply was not seen"), Verdict::Unknown, None)
    }
}

/// At most [`PENDING`] of them.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) pending: VecDeque<Asked>,
    /// Commands that came when there were too many, after all that are kept.
    overflow: u64,
    pub(super) undecoded: u64,
}

impl Queue {
    /// Bytes that it holds beside itself.
    pub(super) fn held(&self) -> usize {
        self.pending.capacity() * size_of::<Asked>()
    }

    pub(super) fn ask(&mut self, asked: Asked) {
        if self.overflow > 0 || self.pending.len() >= PENDING {
            self.overflow += 1;
            self.miss(asked.span.bytes);
        } else {
            self.pending.push_back(asked);
        }
    }

    /// Passes over the quiet and the doubted ones at the front that a reply is not for. The one that it
    /// is for.
    pub(super) fn answer(
        &mut self,
        is_for: impl Fn(&Asked) -> bool,
        first: BootNs,
        out: &mut Vec<Told>,
    ) -> Option<Asked> {
        while self.pending.front().is_some_and(|a| (a.quiet || a.doubted) && !is_for(a)) {
            self.pass(1, out);
        }
        pop_front_if(&mut self.pending, |a| a.span.first <= first)
    }

    /// A reply for which there is no command.
    pub(super) fn surplus(&mut self, bytes: u64) {
        self.overflow = self.overflow.saturating_sub(1);
        self.miss(bytes);
    }

    /// The only reply that may come now, to a command that was asked before `first`.
    pub(super) fn awaits_only(&self, first: BootNs) -> bool {
        let fits = |a: &Asked| !a.doubted && a.span.first <= first;
        self.pending.len() == 1 && self.overflow == 0 && self.pending.front().is_some_and(fits)
    }

    /// Tells the first `n` as not answered; quiet ones need no answer, and doubted ones were none.
    pub(super) fn pass(&mut self, n: usize, out: &mut Vec<Told>) {
        for asked in self.pending.drain(..n.min(self.pending.len())) {
            if asked.doubted {
                self.undecoded = self.undecoded.saturating_add(asked.span.bytes);
            } else {
                out.push(if asked.quiet { asked.tell_one_way() } else { asked.tell_unseen() });
            }
        }
    }

    /// Replies were missed: what was asked before is over.
    pub(super) fn settle(&mut self, before: BootNs, out: &mut Vec<Told>) {
        let n = self.pending.iter().take_while(|a| a.span.first <= before).count();
        self.pass(n, out);
        self.overflow = 0;
    }

    pub(super) fn miss(&mut self, bytes: u64) {
        self.undecoded = self.undecoded.saturating_add(bytes);
    }
}
