//! What was not captured, and where a conversation can be taken up again.

use super::Http1;
use super::body::Went;
use super::reader::State;
use crate::model::BootNs;
use crate::wire::Told;

impl Http1 {
    /// Bytes of the client that are missing: harmless inside of a body, else a request is cut or lost.
    pub(super) fn client_gap(&mut self, at: BootNs, offset: u64, len: u64) {
        let end = offset.saturating_add(len);
        match &mut self.client.state {
            State::Start | State::Fields => {
                if self.client.between() || !self.cut_request(at) {
                    // Whole requests may be in it.
                    self.undecoded = self.undecoded.saturating_add(self.client.partial());
                    self.client.leave(State::Lost);
                    self.missed = true;
                }
                self.client.position = end;
                self.sent(at, len);
            }
            State::Body(body) => match body.gap(len) {
                Went::Inside => {
                    self.client.position = end;
                    self.sent(at, len);
                }
                Went::Lost => {
                    self.client.position = end;
                    self.client.leave(State::Rest);
                    self.sent(at, len);
                }
                Went::End(n) => {
                    self.client.position = offset.saturating_add(n);
                    self.sent(at, n);
                    self.open = false;
                    self.client.restart(true);
                    if n < len {
                        self.client_gap(at, offset.saturating_add(n), len - n);
                    }
                }
            },
            State::Rest | State::Lost => {
                self.client.position = end;
                self.sent(at, len);
            }
        }
    }

    /// Bytes of the server that are missing.
    pub(super) fn server_gap(&mut self, at: BootNs, offset: u64, len: u64, out: &mut Vec<Told>) {
        let before = self.server.partial();
        let status = self.server.cut_status();
        let between = self.server.between();
        self.server.position = offset.saturating_add(len);
        match &mut self.server.state {
            State::Start => {
                if between {
                    self.server.began = (offset, at);
                }
                if status.is_some() || !self.pending.is_empty() || self.client.partial() > 0 {
                    self.begin_response(at, status);
                    self.cut_response(out);
                } else {
                    self.server.leave(State::Lost);
                    self.undecoded = self.undecoded.saturating_add(before);
                    self.answered(at, len);
                }
            }
            State::Fields => {
                self.answered(at, len);
                self.cut_response(out);
            }
            State::Body(body) => match body.gap(len) {
                Went::Inside => self.answered(at, len),
                Went::Lost => {
                    self.server.leave(State::Rest);
                    self.answered(at, len);
                }
                Went::End(n) => {
                    self.server.position = offset.saturating_add(n);
                    self.answered(at, n);
                    self.server.restart(true);
                    self.tell(true, out);
                    if n < len {
                        self.server_gap(at, offset.saturating_add(n), len - n, out);
                    }
                }
            },
            State::Rest | State::Lost => self.answered(at, len),
        }
    }

    /// The start line or the fields of a request are not complete, and will not be.
    pub(super) fn cut_request(&mut self, at: BootNs) -> bool {
        match self.client.state {
            State::Fields => {
                let upgrade = self.client.head.upgrade.take();
                if let Some(request) = self.open_request() {
                    request.upgrade = upgrade;
                }
            }
            _ => {
                let Some(line) = self.client.cut_request() else { return false };
                self.request(at, line);
            }
        }
        self.client.leave(State::Rest);
        true
    }

    /// The head of a response is not complete, and will not be.
    fn cut_response(&mut self, out: &mut Vec<Told>) {
        let head = std::mem::take(&mut self.server.head);
        if let Some(response) = &mut self.response {
            response.stream = head.stream;
        }
        if self.became(head.upgrade, out) {
            return;
        }
        if self.response.as_ref().is_some_and(|r| r.status.is_some_and(|s| s < 200)) {
            // The final response may be in the gap, and its request pending: told at the next turn.
            self.interim_is_over();
            self.server.leave(State::Lost);
        } else {
            self.server.leave(State::Rest);
        }
    }

    /// The client begins to speak. Whether that can be the beginning of a request.
    pub(super) fn client_may_begin(&self) -> bool {
        match self.client.state {
            State::Start => self.client.between(),
            State::Fields | State::Body(_) => false,
            // After `100 Continue` it is the body.
            State::Rest => {
                self.response.is_some() || !(self.open && self.pending.back().is_some_and(|r| r.continued))
            }
            State::Lost => true,
        }
    }

    /// Whether the server's message has an end that a turn may show.
    pub(super) fn response_is_vague(&self) -> bool {
        match self.server.state {
            State::Rest | State::Lost => true,
            // The request was not seen: if it was HEAD, there is no body.
            State::Body(_) => self.response.as_ref().is_some_and(|r| !r.answers),
            State::Start | State::Fields => false,
        }
    }
}
