//! Walks the records of both sides from the ClientHello on.

use super::answer::{Answer, answer};
use super::hello::{Hello, hello};
use super::legacy::{First, Legacy};
use super::message::{CLIENT_HELLO, Message, Messages, SERVER_HELLO};
use super::modern::Modern;
use super::record::{ALERT, CHANGE_CIPHER, DATA, HANDSHAKE, Head, Part, Records};
use crate::wire::Speaker;

/// Most of a message that is kept: a certificate.
const CERTIFICATE: usize = 16 * 1024;
/// Most that both sides keep together.
const BOTH: usize = 20 * 1024;
/// Records of the client that are looked at after the handshake, for a later one.
pub(super) const LATER: u8 = 64;
/// Records of the client that may wait for the ServerHello.
const WAITING: usize = 8;

/// Why a side cannot be followed.
pub(super) const MISSED: &str = "bytes were missed";
/// More than is looked at.
pub(super) const TOO_MUCH: &str = "more than is looked at was said before it was decided";

/// One side.
#[derive(Debug, Default)]
struct Side {
    records: Records,
    messages: Messages,
    /// Of the present record.
    kind: u8,
    len: u16,
    /// Alert, as far as it was read.
    alert: [u8; 2],
    alert_have: u8,
    /// Behind its ChangeCipherSpec.
    changed: bool,
    /// Where the ServerHello ends is where this record does.
    head: Option<Head>,
}

/// An alert that ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its number, where it was in the clear.
    pub code: Option<u8>,
    pub by: Speaker,
}

/// A handshake, as far as it went.
#[derive(Debug, Default)]
pub(super) struct Walk {
    sides: [Side; 2],
    /// Why a side is not followed any longer.
    pub lost: [Option<&'static str>; 2],
    /// The last ClientHello.
    pub hello: Option<Box<Hello>>,
    /// The ServerHello.
    pub answer: Option<Box<Answer>>,
    pub retried: bool,
    pub ended: Option<Ended>,
    /// The server's first bytes are no TLS.
    pub alien: bool,
    /// The server said something.
    pub answered: bool,
    /// Where the server's TLS begins; later, the end of its last hello.
    pub floor: u64,
    pub legacy: Legacy,
    pub modern: Option<Box<Modern>>,
    /// Records of the client that came before the ServerHello did.
    waiting: Vec<Head>,
    /// The client said an encrypted record while early data was announced.
    pub early: bool,
    /// Records of the client after the handshake.
    pub later: u8,
}

impl Walk {
    /// `floor`: where the server's TLS begins.
    pub fn new(floor: u64) -> Self {
        Walk { floor, ..Walk::default() }
    }

    /// Bytes that are kept.
    pub fn size(&self) -> usize {
        self.sides.iter().map(|s| s.messages.size()).sum::<usize>()
            + self.waiting.capacity() * size_of::<Head>()
    }

    /// The side is followed.
    pub fn follows(&self, from: Speaker) -> bool {
        self.lost.get(from as usize).is_some_and(Option::is_none)
    }

    fn lose(&mut self, from: Speaker, why: &'static str) {
        if let Some(lost) = self.lost.get_mut(from as usize) {
            lost.get_or_insert(why);
        }
        if let Some(side) = self.sides.get_mut(from as usize) {
            side.messages = Messages::default();
        }
    }

    fn side(&mut self, from: Speaker) -> &mut Side {
        let [client, server] = &mut self.sides;
        if from == Speaker::Client { client } else { server }
    }

    /// See [`super::Watch::bytes`].
    pub fn bytes(&mut self, from: Speaker, mut offset: u64, acked: u64, mut data: &[u8]) {
        if from == Speaker::Server && offset < self.floor && !self.answered {
            // The end of what was said in the clear.
            let n = usize::try_from(self.floor - offset).unwrap_or(usize::MAX);
            data = data.get(n..).unwrap_or_default();
            offset = self.floor;
        }
        self.answered |= from == Speaker::Server && !data.is_empty();
        while self.follows(from) && !self.is_settled() {
            let Some(part) = self.side(from).records.next(&mut data, &mut offset, acked) else { return };
            match part {
                Part::Head(head) => self.head(from, head),
                Part::Body(body, ends) => self.body(from, body, ends),
                Part::Alien => {
                    self.alien |= from == Speaker::Server && self.sides[1].head.is_none();
                    self.lose(from, "what was said is no TLS");
                }
            }
        }
    }

    /// See [`super::Watch::gap`].
    pub fn gap(&mut self, from: Speaker, len: u64) {
        self.answered |= from == Speaker::Server;
        if !self.follows(from) {
            return;
        }
        let Some((len, ends)) = self.side(from).records.gap(len) else { return self.lose(from, MISSED) };
        let side = self.side(from);
        if side.kind == HANDSHAKE && self.clear(from) {
            match self.side(from).messages.gap(usize::from(len)) {
                Ok(message) => {
                    if let Some(message) = message {
                        self.message(from, message);
                    }
                }
                Err(_) => return self.lose(from, MISSED),
            }
        }
        if ends {
            self.close(from);
        }
    }

    /// Handshake records of this side are in the clear.
    fn clear(&self, from: Speaker) -> bool {
        let is_13 = self.answer.as_ref().is_none_or(|a| a.is_13());
        self.sides.get(from as usize).is_some_and(|side| !side.changed || is_13)
    }

    fn head(&mut self, from: Speaker, head: Head) {
        let clear = self.clear(from);
        let side = self.side(from);
        (side.kind, side.len, side.alert_have, side.head) = (head.kind, head.len, 0, Some(head));
        if from == Speaker::Client
            && (self.legacy.done() || self.modern.as_ref().is_some_and(|m| m.count > 0))
        {
            self.later = self.later.saturating_add(1);
        }
        match head.kind {
            DATA => self.data(from, head),
            CHANGE_CIPHER => self.change(from),
            HANDSHAKE if !clear && from == Speaker::Client => self.legacy.encrypted(),
            _ => {}
        }
        if head.len == 0 {
            self.close(from);
        }
    }

    /// An encrypted record, in TLS 1.3 of any kind.
    fn data(&mut self, from: Speaker, head: Head) {
        match (&mut self.modern, from) {
            (Some(modern), Speaker::Client) => modern.client(&head),
            (Some(modern), Speaker::Server) => modern.server(&head),
            (None, Speaker::Client) if self.answer.is_none() => {
                // What was sent before the server answered is early data.
                let announced = self.hello.as_ref().is_none_or(|h| h.early_data || !h.complete);
                if announced && head.acked <= self.floor {
                    self.early = true;
                } else if self.waiting.len() < WAITING {
                    self.waiting.push(head);
                } else {
                    self.lose(from, TOO_MUCH);
                }
            }
            _ => {}
        }
    }

    fn change(&mut self, from: Speaker) {
        self.side(from).changed = true;
        if self.answer.as_ref().is_some_and(|a| !a.is_13()) {
            self.legacy.change(from);
        }
    }

    fn body(&mut self, from: Speaker, mut body: &[u8], ends: bool) {
        let clear = self.clear(from);
        match self.side(from).kind {
            HANDSHAKE if clear => {
                let other: usize = self.sides.iter().map(|s| s.messages.size()).sum();
                let mine = self.side(from).messages.size();
                let most = CERTIFICATE.min(BOTH.saturating_sub(other - mine));
                // As when the same bytes come one by one.
                while self.follows(from)
                    && !self.is_settled()
                    && let Some(message) = self.side(from).messages.next(&mut body, most)
                {
                    self.message(from, message);
                }
            }
            ALERT => {
                let side = self.side(from);
                for byte in body {
                    if let Some(place) = side.alert.get_mut(usize::from(side.alert_have)) {
                        *place = *byte;
                        side.alert_have += 1;
                    }
                }
            }
            _ => {}
        }
        if ends {
            self.close(from);
        }
    }

    /// The end of a record.
    fn close(&mut self, from: Speaker) {
        let open = self.ended.is_none();
        let side = self.side(from);
        if side.kind != ALERT || !open {
            return;
        }
        let ([level, code], read, len) = (side.alert, side.alert_have == 2, side.len);
        let code = (len == 2 && read).then_some(code);
        // A warning does not end a handshake, but for close_notify (RFC 5246 section 7.2).
        if code.is_some() && level == 1 && code != Some(0) {
            return;
        }
        self.ended = Some(Ended { code, by: from });
    }

    fn message(&mut self, from: Speaker, message: Message) {
        match (from, message.kind) {
            (Speaker::Client, CLIENT_HELLO) => {
                if self.answer.is_some() {
                    return;
                }
                match hello(&message.kept) {
                    Ok(hello) => {
                        self.early |= self.hello.as_ref().is_some_and(|h| h.early_data);
                        self.hello = Some(Box::new(hello));
                        self.waiting = Vec::new();
                    }
                    Err(_) => self.lose(from, "its ClientHello contradicts itself"),
                }
            }
            (Speaker::Server, SERVER_HELLO) => self.server_hello(&message),
            _ => self.legacy.message(from, &message),
        }
    }

    fn server_hello(&mut self, message: &Message) {
        let Some(answer) = answer(&message.kept).filter(|_| self.answer.is_none()) else {
            if self.answer.is_none() {
                let why = if message.whole { "its ServerHello contradicts itself" } else { MISSED };
                self.lose(Speaker::Server, why);
            }
            return;
        };
        // It ends its record, where a key is changed (RFC 8446 section 5.1).
        let end = self.sides[1].head.map_or(0, |h| h.offset.saturating_add(5 + u64::from(h.len)));
        if answer.retry {
            self.retried = true;
            self.floor = end;
            // What the client had sent before is early data.
            self.early |= !self.waiting.is_empty();
            self.waiting = Vec::new();
            return;
        }
        if answer.is_13() {
            let announced = self.hello.as_ref().is_none_or(|h| h.early_data || !h.complete);
            let raw_key = self.hello.as_ref().is_some_and(|h| h.raw_key);
            let floor = announced.then_some(end);
            let mut modern = Modern::new(answer.cipher, raw_key, floor, announced && answer.psk);
            for head in std::mem::take(&mut self.waiting) {
                modern.client(&head);
            }
            self.modern = Some(Box::new(modern));
        } else {
            self.waiting = Vec::new();
        }
        self.floor = end;
        self.answer = Some(Box::new(answer));
    }

    /// Nothing more will be learnt.
    pub fn is_settled(&self) -> bool {
        let over = self.later >= LATER;
        let lost = self.lost.iter().all(Option::is_some);
        if let Some(modern) = &self.modern {
            let may_come = self.hello.as_ref().is_some_and(|h| h.post_handshake_auth) && !modern.later_heard;
            let psk = self.answer.as_ref().is_some_and(|a| a.psk);
            let failed = self.ended.is_some() && !modern.established();
            let decided = modern.established() && (psk || modern.is_final()) && (!may_come || over);
            return failed || decided || lost;
        }
        if self.legacy.done() {
            return over || lost;
        }
        self.ended.is_some() || self.alien || lost
    }

    /// The client resumed a session up to TLS 1.2.
    pub fn is_abbreviated(&self) -> bool {
        self.legacy.first == Some(First::Abbreviated)
    }
}
