//! How an edge's connections are secured, in letters: `M`, or `M97 P3` where they differ.

use crate::model::{SECURITIES, Security};
use crate::tui::theme::Role;

/// Connections by their security, at [`Security::index`].
pub type Counts = [u64; 8];

/// A text in a role.
pub type Piece = (String, Role);

/// Order of what a person has to know first: the lower, the sooner.
pub fn gravity(security: Security) -> u8 {
    match security {
        Security::Failed => 0,
        Security::Plaintext => 1,
        Security::Unknown => 2,
        Security::Tls => 3,
        Security::Resumed => 4,
        Security::Implied => 5,
        Security::Tunnel => 6,
        Security::Mtls => 7,
    }
}

/// The gravest of what an edge has, for ordering.
pub fn gravest(counts: &Counts) -> u8 {
    let there = SECURITIES.into_iter().filter(|s| counts[s.index()] > 0);
    there.map(gravity).min().unwrap_or(u8::MAX)
}

/// Whole percents of what is there, the largest first; together 100, and nothing that is there is 0.
pub fn percents(counts: &Counts) -> Vec<(Security, u64)> {
    let total: u128 = counts.iter().map(|n| u128::from(*n)).sum();
    let there = SECURITIES.into_iter().map(|s| (s, u128::from(counts[s.index()]))).filter(|s| s.1 > 0);
    // Security, count, percent, what rounding down took.
    let mut shares: Vec<(Security, u128, u64, u128)> =
        there.map(|(s, n)| (s, n, ((n * 100 / total) as u64).max(1), n * 100 % total)).collect();
    shares.sort_by_key(|s| (std::cmp::Reverse(s.1), gravity(s.0)));
    let sum: u64 = shares.iter().map(|s| s.2).sum();
    let mut by_rest: Vec<usize> = (0..shares.len()).collect();
    by_rest.sort_by_key(|i| std::cmp::Reverse(shares[*i].3));
    for i in by_rest.into_iter().take(100u64.saturating_sub(sum) as usize) {
        shares[i].2 += 1;
    }
    if let Some(first) = shares.first_mut() {
        first.2 -= sum.saturating_sub(100);
    }
    shares.into_iter().map(|s| (s.0, s.2)).collect()
}

/// `M`, `M97 P3`, `M60 P3+`: the most frequent, and the gravest of the rest. At most 8 columns.
pub fn pieces(counts: &Counts) -> Vec<Piece> {
    let shares = percents(counts);
    let piece = |(s, n): &(Security, u64)| (format!("{}{n}", s.letter()), Role::Secured(*s));
    match shares.as_slice() {
        [] => Vec::new(),
        [(one, _)] => vec![letter(*one)],
        [first, rest @ ..] => {
            let mut out = vec![piece(first), (" ".to_owned(), Role::Muted)];
            out.extend(rest.iter().min_by_key(|s| gravity(s.0)).map(piece));
            if rest.len() > 1 {
                out.push(("+".to_owned(), Role::Muted));
            }
            out
        }
    }
}

/// The letter.
pub fn letter(security: Security) -> Piece {
    (security.letter().to_string(), Role::Secured(security))
}

/// Only the letters: `M`, `MP`, `MP+`, chosen as in [`pieces`]. At most 3 columns.
pub fn letters(counts: &Counts) -> Vec<Piece> {
    let with_share = pieces(counts).into_iter().filter(|p| p.0 != " ");
    with_share.map(|(text, role)| (text.chars().take(1).collect(), role)).collect()
}

/// Adds another edge's.
pub fn add(to: &mut Counts, counts: &Counts) {
    for (a, b) in to.iter_mut().zip(counts) {
        *a = a.saturating_add(*b);
    }
}

/// What stands on the screen for a kind, as people write it.
pub fn name(security: Security) -> &'static str {
    match security {
        Security::Mtls => "mTLS",
        Security::Tls => "TLS",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(of: &[(Security, u64)]) -> Counts {
        let mut counts = [0; 8];
        of.iter().for_each(|(s, n)| counts[s.index()] = *n);
        counts
    }

    fn text(of: &[(Security, u64)]) -> String {
        pieces(&counts(of)).into_iter().map(|p| p.0).collect()
    }

    #[test]
    fn letters_alone_say_which_are_there() {
        use Security::{Failed, Mtls, Tls};
        let text = |of: &[_]| -> String { letters(&counts(of)).into_iter().map(|p| p.0).collect() };
        assert_eq!(text(&[(Mtls, 5)]), "M");
        assert_eq!(text(&[(Mtls, 5), (Failed, 2)]), "MF");
        assert_eq!(text(&[(Mtls, 5), (Tls, 3), (Failed, 2)]), "MF+");
    }

    #[test]
    fn a_mix_is_written_as_a_mix() {
        use Security::{Failed, Mtls, Plaintext, Resumed, Tls};
        assert_eq!(text(&[]), "");
        assert_eq!(text(&[(Mtls, 5)]), "M");
        assert_eq!(text(&[(Mtls, 97), (Plaintext, 3)]), "M97 P3");
        assert_eq!(text(&[(Mtls, 100_000), (Plaintext, 1)]), "M99 P1");
        assert_eq!(text(&[(Mtls, u64::MAX), (Plaintext, u64::MAX)]), "P50 M50");
        assert_eq!(text(&[(Mtls, 60), (Resumed, 30), (Tls, 7), (Failed, 3)]), "M60 F3+");
    }

    proptest! {
        #[test]
        fn percents_are_a_hundred_and_nothing_that_is_there_is_zero(counts in prop::array::uniform8(0u64..9_000)) {
            let shares = percents(&counts);
            prop_assert_eq!(shares.len(), counts.iter().filter(|n| **n > 0).count());
            prop_assert!(shares.iter().all(|s| s.1 > 0));
            prop_assert!(shares.is_empty() || shares.iter().map(|s| s.1).sum::<u64>() == 100);
            let columns: usize = pieces(&counts).iter().map(|p| p.0.len()).sum();
            prop_assert!(columns <= 8);
        }
    }
}
