//! SQL without literals.

use crate::meter;
use crate::wire::sql::normalise::{Dialect, LIMIT, begins_statement, normalise, verb};

/// Any text, in each dialect, whole and cut.
pub fn run(data: &[u8]) {
    let dialects = [Dialect::Postgres, Dialect::Mysql { escapes: true }, Dialect::Mysql { escapes: false }];
    meter::within(64 << 10, || {
        for dialect in dialects {
            begins_statement(data, dialect);
            for cut in [false, true] {
                let statement = normalise(data, dialect, cut);
                assert!(statement.text.len() <= LIMIT + " …".len());
                assert!(!statement.text.chars().any(char::is_control), "{:?}", statement.text);
                assert!(statement.verb.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
            }
        }
        verb(data);
    });
}
