//! Certificates, and the time in which one is valid.

/// A certificate that was in the clear, or handed to us by whoever received it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Subject, as in RFC 4514.
    pub subject: Box<str>,
    /// Issuer.
    pub issuer: Box<str>,
    /// Subject alternative names with their kind: `DNS:`, `IP:`, `URI:`, `email:`; 64 at most.
    pub sans: Vec<Box<str>>,
    /// SPIFFE id: its one `spiffe://` URI.
    pub spiffe: Option<Box<str>>,
    /// Not valid before, seconds since 1970.
    pub not_before: i64,
    /// Not valid after, seconds since 1970.
    pub not_after: i64,
    /// Kind of key: `RSA`, `P-256`, `Ed25519`.
    pub key: Box<str>,
    /// Bits of the key; 0 = not known.
    pub key_bits: u32,
    /// Certificates that were sent with it, itself included; 0 = not known.
    pub chain: u8,
    /// SHA-256 over the certificate, first eight bytes: to tell certificates apart.
    pub fingerprint: u64,
}

impl Certificate {
    /// The one name that tells most: its SPIFFE id, else its first alternative name, else its subject.
    pub fn name(&self) -> &str {
        self.spiffe.as_ref().or(self.sans.first()).unwrap_or(&self.subject)
    }

    /// Whether it is valid at `now_unix`, seconds since 1970. One that ends before it begins is expired.
    pub fn validity(&self, now_unix: i64) -> Validity {
        const DAY_S: u64 = 86_400;
        let left = self.not_after.saturating_sub(now_unix);
        let days = left.unsigned_abs() / DAY_S;
        if left < 0 {
            Validity::Expired(days)
        } else if now_unix < self.not_before {
            Validity::NotYet
        } else {
            Validity::Valid(days)
        }
    }
}

/// A certificate's time, both ends inclusive (RFC 5280, section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Over for so many whole days: 0 on the first.
    Expired(u64),
    /// It begins in the future.
    NotYet,
    /// Valid for so many whole days more: 0 on the last.
    Valid(u64),
}

/// In words: `expired today`, `expired 3 d`, `not yet valid`, `expires today`, `expires 6 d`.
impl std::fmt::Display for Validity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Validity::Expired(0) => f.write_str("expired today"),
            Validity::Expired(days) => write!(f, "expired {days} d"),
            Validity::NotYet => f.write_str("not yet valid"),
            Validity::Valid(0) => f.write_str("expires today"),
            Validity::Valid(days) => write!(f, "expires {days} d"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_valid_from_its_first_to_its_last_second() {
        let of =
            Certificate { not_before: 1_000_000, not_after: 1_000_000 + 10 * 86_400, ..Default::default() };
        assert_eq!(of.validity(999_999), Validity::NotYet);
        assert_eq!(of.validity(1_000_000), Validity::Valid(10));
        assert_eq!(of.validity(of.not_after), Validity::Valid(0));
        assert_eq!(of.validity(of.not_after + 1), Validity::Expired(0));
        assert_eq!(of.validity(of.not_after + 3 * 86_400), Validity::Expired(3));
        let odd = Certificate { not_before: i64::MAX, not_after: i64::MIN, ..Default::default() };
        assert!(matches!(odd.validity(i64::MAX), Validity::Expired(_)));
        assert!(matches!(odd.validity(0), Validity::Expired(_)));
    }

    #[test]
    fn the_first_and_the_last_day_are_today() {
        use Validity::{Expired, NotYet, Valid};
        let said = [Expired(0), Expired(3), NotYet, Valid(0), Valid(6)].map(|v| v.to_string());
        assert_eq!(said, ["expired today", "expired 3 d", "not yet valid", "expires today", "expires 6 d"]);
    }
}
