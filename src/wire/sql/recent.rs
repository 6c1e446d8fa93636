//! Statements of a connection that were normalised last: clients say the same few again and again,
//! and many differ in their numbers only.

use std::sync::Arc;

use super::normalise::{Dialect, LIMIT, Statement, normalise_noting};

/// Statements that are kept, and the longest such, in bytes.
const KEPT: usize = 8;
const LONGEST: usize = 512;

/// Normalises, and keeps what came of the last [`KEPT`] texts.
#[derive(Debug, Default)]
pub struct Recent {
    kept: Vec<Kept>,
    /// The place of the next one.
    next: usize,
}

#[derive(Debug)]
struct Kept {
    text: Vec<u8>,
    dialect: Dialect,
    /// Where in the text numbers of digits only begin and end.
    numbers: Vec<(usize, usize)>,
    statement: Arc<Statement>,
}

impl Recent {
    /// Bytes that it takes.
    pub fn held(&self) -> usize {
        let of = |k: &Kept| k.text.capacity() + k.numbers.capacity() * size_of::<(usize, usize)>() + LIMIT;
        self.kept.iter().map(|k| size_of::<Kept>() + size_of::<Statement>() + of(k)).sum()
    }

    /// The same as [`normalise`](super::normalise).
    // Kept apart from its callers: most messages have no text.
    #[inline(never)]
    pub fn normalise(&mut self, text: &[u8], dialect: Dialect, cut: bool) -> Arc<Statement> {
        if cut || text.len() > LONGEST {
            return Arc::new(normalise_noting(text, dialect, cut, |_, _| {}));
        }
        if let Some(same) = self.kept.iter().find(|k| k.dialect == dialect && k.is_like(text)) {
            return Arc::clone(&same.statement);
        }
        let mut slot = self.kept.get_mut(self.next);
        let mut numbers = slot.as_mut().map(|slot| std::mem::take(&mut slot.numbers)).unwrap_or_default();
        numbers.clear();
        let note = |from, to| numbers.push((from, to));
        let statement = Arc::new(normalise_noting(text, dialect, false, note));
        match slot {
            Some(slot) => {
                slot.text.clear();
                slot.text.extend_from_slice(text);
                (slot.dialect, slot.numbers, slot.statement) = (dialect, numbers, Arc::clone(&statement));
            }
            None => {
                let statement = Arc::clone(&statement);
                self.kept.push(Kept { text: text.into(), dialect, numbers, statement });
            }
        }
        self.next = (self.next + 1) % KEPT;
        statement
    }
}

impl Kept {
    /// Whether `text` is this one but for the digits of numbers: then it reads the same. A number of
    /// digits only ends where something follows that is no part of one, here and there.
    fn is_like(&self, text: &[u8]) -> bool {
        let (mut own, mut rest) = (self.text.as_slice(), text);
        let mut at = 0;
        for (from, to) in &self.numbers {
            let Some((between, behind)) = own.split_at_checked(from.saturating_sub(at)) else { return false };
            let Some(after) = rest.strip_prefix(between) else { return false };
            let digits = after.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            own = behind.get(to.saturating_sub(*from)..).unwrap_or_default();
            rest = after.get(digits..).unwrap_or_default();
            at = *to;
        }
        own == rest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::normalise;
    use super::*;

    #[test]
    fn texts_that_differ_in_numbers_share_a_statement_and_others_do_not() {
        let mut recent = Recent::default();
        let mut of = |sql: &str| recent.normalise(sql.as_bytes(), Dialect::Postgres, false);
        let first = of("select a1 from t where id = 42 and b in (1, 2)");
        assert!(Arc::ptr_eq(&first, &of("select a1 from t where id = 7 and b in (100, 0)")));
        for other in [
            "select a2 from t where id = 42 and b in (1, 2)",
            "select a1 from t where id = 42 and b in (1, 2, 3)",
            "select a1 from t where id =  and b in (1, 2)",
            "select a1 from t where id = 42x and b in (1, 2)",
            "select a1 from t where id = 42.5 and b in (1, 2)",
        ] {
            assert!(!Arc::ptr_eq(&first, &of(other)), "{other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_differs_from_normalising_each(
            texts in proptest::collection::vec(
                "(select |insert into t1 values |x in |'it|''|a|1|0x1f|1e|5|,|\\(|\\)|-|\\+|\\$1|\\$q|\\.| |--|/\\*|\\*/|;){0,12}",
                1..40,
            ),
            mysql in any::<bool>(),
            digits in proptest::collection::vec(0u32..2000, 40),
        ) {
            let dialect = if mysql { Dialect::Mysql { escapes: true } } else { Dialect::Postgres };
            let mut recent = Recent::default();
            for (text, n) in texts.iter().zip(digits) {
                // The same text with other numbers comes next.
                for sql in [text.clone(), text.replace('5', &n.to_string()), text.replace('1', &n.to_string())] {
                    let whole = normalise(sql.as_bytes(), dialect, false);
                    prop_assert_eq!(&*recent.normalise(sql.as_bytes(), dialect, false), &whole);
                }
            }
        }
    }
}
