//! Which statement an exchange executes.

use std::borrow::Cow;
use std::sync::Arc;

use super::normalise::Statement;
use crate::model::Known;

/// What is executed.
#[derive(Clone, Debug)]
pub enum Source {
    /// A statement that was sent with the request.
    Whole(Statement),
    /// A statement that was prepared.
    Shared(Arc<Statement>),
    /// It cannot be told.
    Unknown(&'static str),
}

impl Source {
    /// Method and target of an exchange. `verb`: what the answer said of an unknown statement.
    pub fn told(self, verb: Cow<'static, str>, prepare: bool) -> (Cow<'static, str>, Known<Box<str>>) {
        let (method, text) = match self {
            Source::Whole(s) => (s.verb, s.text),
            Source::Shared(s) => (s.verb.clone(), s.text.clone()),
            Source::Unknown(why) => {
                let method = match (prepare, verb.is_empty()) {
                    (true, _) => "PREPARE".into(),
                    (false, true) => "EXECUTE".into(),
                    (false, false) => verb,
                };
                return (method, Known::Unknown(why));
            }
        };
        let target = if text.is_empty() { Known::Absent } else { Known::Known(text) };
        (if prepare { "PREPARE".into() } else { method }, target)
    }
}
