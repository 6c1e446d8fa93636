//! PostgreSQL frontend/backend protocol 3.0 and 3.2 (PostgreSQL documentation, chapter 55).
//!
//! An exchange is a simple query (all its statements together, up to ReadyForQuery), an Execute of
//! the extended protocol, a preparation that is not executed in the same round (`PREPARE`), a
//! function call, a refused connection (`CONNECT`), or a cancel request (`CANCEL`). Answers match
//! requests by their order. Rows and copied data are skipped by their length.
//!
//! Bounds, per connection: [`session::PENDING`] exchanges without an answer, [`prepared::STATEMENTS`]
//! prepared statements and portals, [`message::TEXT`] bytes of a message.

mod message;
mod prepared;
mod session;
mod sniff;

#[cfg(test)]
mod tests;

pub use sniff::sniff;

use super::sql::frames::{Input, Sides};
use super::{Decoder, Speaker, Told};
use crate::model::{BootNs, Known, Protocol};
use session::{Phase, Session};

/// Decodes a connection to a PostgreSQL server, from its start or from any turn on.
#[derive(Debug, Default)]
pub struct Postgres {
    sides: Sides,
    session: Session,
}

impl Postgres {
    /// A decoder at the beginning of a connection, or of a turn.
    pub fn new() -> Self {
        Self::default()
    }

    fn strike(&mut self) {
        let understood = std::mem::take(&mut self.session.understood);
        if self.sides.strike(understood) && self.session.over.is_none() {
            self.session.over = Some(Known::Unknown("what was said does not fit the PostgreSQL protocol"));
        }
    }
}

impl Decoder for Postgres {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        let mut input = Input { at, offset, data };
        let was_lost = self.sides.lost(from);
        match from {
            Speaker::Client => {
                if self.sides.client.skipping() {
                    self.session.request_goes_on(at);
                }
                while let Some(frame) = self.sides.client.next(&mut input, message::client) {
                    self.session.client(&frame, at, out);
                    if self.sides.client.skipping() && !input.data.is_empty() {
                        self.session.request_goes_on(at);
                    }
                }
            }
            Speaker::Server => {
                let unread = self.sides.server.undecoded();
                loop {
                    let byte = self.session.phase == Phase::Encryption;
                    let read = if byte { message::answer_to_encryption } else { message::server };
                    let Some(frame) = self.sides.server.next(&mut input, read) else { break };
                    self.session.server(&frame, at, out);
                }
                if self.sides.server.lost() {
                    self.session.response_goes_on(at, self.sides.server.undecoded().saturating_sub(unread));
                }
            }
        }
        if self.sides.lost(from) && !was_lost {
            self.strike();
        }
    }

    fn gap(&mut self, from: Speaker, at: BootNs, _offset: u64, len: u64, out: &mut Vec<Told>) {
        match from {
            Speaker::Client => {
                if let Some(frame) = self.sides.client.cut() {
                    self.session.client(&frame, at, out);
                } else if self.sides.client.skipping() {
                    self.session.request_goes_on(at);
                }
                let beyond = self.sides.client.jump(len);
                if beyond > 0 {
                    self.session.requests_missing(at, beyond);
                }
            }
            Speaker::Server => {
                if let Some(frame) = self.sides.server.cut() {
                    self.session.server(&frame, at, out);
                }
                let beyond = self.sides.server.jump(len);
                self.session.response_goes_on(at, beyond);
            }
        }
    }

    fn turn(&mut self, from: Speaker, out: &mut Vec<Told>) {
        match from {
            Speaker::Client => {
                if self.sides.server.lost() {
                    self.session.answers_over(out);
                }
                if self.sides.client.lost() {
                    self.session.requests_found(out);
                    self.sides.client.resync();
                }
            }
            Speaker::Server => {
                if self.sides.server.lost() {
                    self.sides.server.resync();
                }
            }
        }
    }

    fn end(&mut self, _at: BootNs, out: &mut Vec<Told>) {
        self.session.end(self.sides.server.lost(), out);
    }

    fn take_undecoded(&mut self) -> u64 {
        let server = self.sides.server.take_undecoded();
        let server = if self.session.take_answered_while_lost() { 0 } else { server };
        self.sides
            .client
            .take_undecoded()
            .saturating_add(server)
            .saturating_add(self.session.take_undecoded())
    }

    fn held(&self) -> usize {
        size_of::<Self>() + self.session.held()
    }

    fn over(&self) -> Option<Known<Protocol>> {
        self.session.over.clone()
    }
}
