//! MySQL and MariaDB client/server protocol, handshake version 10 (MySQL source documentation,
//! "Client/Server Protocol"; MariaDB knowledge base, "Client/Server Protocol").
//!
//! An exchange is a command with its answer, all results of it together; a refused connection is
//! `CONNECT`. Commands without an answer (closing a statement, sending it long data, quitting) are
//! none. Answers match commands by their order, the sequence numbers of packets bear it out. Rows
//! are skipped by their length.
//!
//! Bounds, per connection: [`session::PENDING`] commands without an answer, [`session::STATEMENTS`]
//! prepared statements, [`packet::TEXT`] bytes of a packet.

mod packet;
mod session;
mod sniff;

#[cfg(test)]
mod tests;

pub use sniff::sniff;

use super::decoder::TEXT;
use super::sql::Statement;
use super::sql::frames::{Input, Sides};
use super::{Decoder, Speaker, Told};
use crate::model::{BootNs, Known, Protocol};
use session::{Phase, Session};

/// So much of a packet says whether it ends an answer.
const ENOUGH: usize = 9;

/// Decodes a connection to a MySQL or MariaDB server, from its start or from any turn on.
#[derive(Debug, Default)]
pub struct Mysql {
    sides: Sides,
    session: Session,
}

impl Mysql {
    /// A decoder at the beginning of a connection, or of a turn.
    pub fn new() -> Self {
        Self::default()
    }

    fn strike(&mut self) {
        let understood = std::mem::take(&mut self.session.understood);
        if self.sides.strike(understood) && self.session.over.is_none() {
            self.session.over = Some(Known::Unknown("what was said does not fit the MySQL protocol"));
        }
    }
}

impl Decoder for Mysql {
    fn bytes(&mut self, from: Speaker, at: BootNs, offset: u64, data: &[u8], out: &mut Vec<Told>) {
        let mut input = Input { at, offset, data };
        let was_lost = self.sides.lost(from);
        match from {
            Speaker::Client => {
                if self.sides.client.skipping() {
                    self.session.request_goes_on(at);
                }
                loop {
                    let begins = self.session.command_begins();
                    let read = |bytes: &[u8]| packet::request(bytes, begins);
                    let Some(frame) = self.sides.client.next(&mut input, read) else { break };
                    let fits = self.session.client(&frame, at);
                    if !fits {
                        self.sides.client.lose();
                    } else if self.sides.client.skipping() && !input.data.is_empty() {
                        self.session.request_goes_on(at);
                    }
                }
            }
            Speaker::Server => {
                let unread = self.sides.server.undecoded();
                loop {
                    let greeting = self.session.phase == Phase::Greeting;
                    let read = if greeting { packet::greeting } else { packet::answer };
                    let Some(frame) = self.sides.server.next(&mut input, read) else { break };
                    if !self.session.server(&frame, at, out) {
                        self.sides.server.lose();
                    }
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
                    self.session.client(&frame, at);
                } else if self.sides.client.skipping() {
                    self.session.request_goes_on(at);
                }
                let beyond = self.sides.client.jump(len);
                if beyond > 0 {
                    self.session.requests_missing(at, beyond);
                }
            }
            Speaker::Server => {
                let mut unread = false;
                if let Some(frame) = self.sides.server.cut() {
                    unread = frame.body.len() < ENOUGH;
                    self.session.server(&frame, at, out);
                }
                let beyond = self.sides.server.jump(len);
                self.session.response_goes_on(at, beyond);
                if unread {
                    // Whether it was the last packet cannot be told.
                    self.sides.server.lose();
                }
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
                    self.sides.client.resync();
                    self.session.requests_found();
                }
            }
            Speaker::Server => {
                if self.sides.server.lost() {
                    self.sides.server.resync();
                    self.session.answers_found();
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
        let (queue, statements) = (&self.session.queue, self.session.order.len());
        size_of::<Self>()
            + queue.capacity() * size_of::<session::Pending>()
            + queue.len() * TEXT
            + statements * (size_of::<Statement>() + TEXT)
    }

    fn over(&self) -> Option<Known<Protocol>> {
        self.session.over.clone()
    }
}
