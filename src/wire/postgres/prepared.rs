//! Prepared statements and portals by their names.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::super::hash::Keyed;
use super::super::sql::{Dialect, LIMIT, Recent, Source, Statement};

/// Most prepared statements, and most portals, whose names are kept; the oldest goes first.
pub const STATEMENTS: usize = 512;
/// Longest name that is kept; servers cut names at 63 bytes.
const NAME: usize = 64;

/// Names and what they stand for; bounded.
#[derive(Debug)]
struct Names<T> {
    unnamed: Option<T>,
    named: HashMap<Box<[u8]>, T, Keyed>,
    order: VecDeque<Box<[u8]>>,
    forgot: bool,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { unnamed: None, named: HashMap::default(), order: VecDeque::new(), forgot: false }
    }
}

impl<T: Clone> Names<T> {
    fn put(&mut self, name: &[u8], value: T) {
        if name.is_empty() {
            self.unnamed = Some(value);
            return;
        }
        if let Some(there) = self.named.get_mut(name) {
            *there = value;
            return;
        }
        if name.len() > NAME {
            self.forgot = true;
            return;
        }
        // The order may hold names that were closed: they go with the oldest.
        while self.order.len() >= STATEMENTS {
            if let Some(old) = self.order.pop_front() {
                self.forgot |= self.named.remove(&old).is_some();
            }
        }
        self.order.push_back(name.into());
        self.named.insert(name.into(), value);
    }

    fn get(&self, name: &[u8]) -> Option<&T> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.named.remove(name);
        }
    }
}

/// Statements and portals of a connection.
#[derive(Debug, Default)]
pub struct Prepared {
    statements: Names<Arc<Statement>>,
    portals: Names<Source>,
    whole: bool,
    recent: Recent,
}

impl Prepared {
    /// Bytes that they take.
    pub fn held(&self) -> usize {
        // A name stands in the table and in the order of age.
        let names = self.statements.order.len() + self.portals.order.len();
        names * (2 * NAME + size_of::<Source>() + size_of::<Statement>() + LIMIT) + self.recent.held()
    }

    /// The connection is seen from its start.
    pub fn seen_whole(&mut self) {
        self.whole = true;
    }

    /// The statement of a text; `cut`: its end was not captured.
    pub fn statement(&mut self, text: &[u8], cut: bool) -> Arc<Statement> {
        self.recent.normalise(text, Dialect::Postgres, cut)
    }

    /// A Parse.
    pub fn parse(&mut self, name: &[u8], statement: Arc<Statement>) {
        self.statements.put(name, statement);
    }

    /// A Bind: what its portal will execute.
    pub fn bind(&mut self, portal: &[u8], name: &[u8]) -> Source {
        let source = match self.statements.get(name) {
            Some(s) => Source::Shared(Arc::clone(s)),
            None if self.statements.forgot => Source::Unknown("too many statements are prepared"),
            None if self.whole => Source::Unknown("its preparation was not captured"),
            None => Source::Unknown("prepared before webb watched"),
        };
        self.portals.put(portal, source.clone());
        source
    }

    /// What an Execute of this portal executes.
    pub fn portal(&self, name: &[u8]) -> Source {
        self.portals.get(name).cloned().unwrap_or(Source::Unknown("prepared before webb watched"))
    }

    /// A Close of a statement.
    pub fn close(&mut self, name: &[u8]) {
        self.statements.remove(name);
    }
}
