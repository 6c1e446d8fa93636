//! What an audit looks for, and what it found.

use crate::model::{BootNs, Security, UtcOffset, Validity};
use crate::world::security::Report;

/// Trouble that an audit can be asked to fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// Plaintext connections.
    Plaintext,
    /// Edges whose connections are not protected alike.
    Mixed,
    /// Certificates that are not valid at the time of the audit: over, or not begun.
    Expired,
    /// Certificates that are not valid in so many days.
    Expires {
        /// Days.
        days: u32,
    },
    /// Weak parameters.
    Weak,
    /// Failed handshakes.
    Failed,
    /// Connections of which the verdict is not known.
    Unknown,
    /// TLS without a certificate of the client.
    Tls,
}

impl Check {
    /// What can be written, for help and errors.
    pub const KNOWN: &'static str = "plaintext, mixed, expired, expires:DAYSd, weak, failed, unknown, tls";

    /// How many there are of it: connections, edges where the report tells edges, certificates.
    pub fn count(self, report: &Report) -> u64 {
        let certificates = |bad: &dyn Fn(Validity) -> bool| {
            report.certificates.rows.iter().filter(|c| bad(c.validity)).count() as u64
        };
        match self {
            Check::Plaintext => report.share(Security::Plaintext),
            Check::Mixed => report.mixed.total(),
            Check::Expired => certificates(&|v| !matches!(v, Validity::Valid(_))),
            Check::Expires { days } => {
                certificates(&|v| !matches!(v, Validity::Valid(left) if left >= u64::from(days)))
            }
            Check::Weak => report.weak.total(),
            Check::Failed => report.share(Security::Failed),
            Check::Unknown => report.share(Security::Unknown),
            Check::Tls => report.share(Security::Tls),
        }
    }
}

/// As it is written: `expires:30d`.
impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Check::Plaintext => "plaintext",
            Check::Mixed => "mixed",
            Check::Expired => "expired",
            Check::Expires { days } => return write!(f, "expires:{days}d"),
            Check::Weak => "weak",
            Check::Failed => "failed",
            Check::Unknown => "unknown",
            Check::Tls => "tls",
        })
    }
}

/// A word that names no check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchCheck(String);

impl std::fmt::Display for NoSuchCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is no check {:?}: known are {}", self.0, Check::KNOWN)
    }
}

impl std::error::Error for NoSuchCheck {}

impl std::str::FromStr for Check {
    type Err = NoSuchCheck;

    fn from_str(word: &str) -> Result<Self, NoSuchCheck> {
        Ok(match word {
            "plaintext" => Check::Plaintext,
            "mixed" => Check::Mixed,
            "expired" => Check::Expired,
            "weak" => Check::Weak,
            "failed" => Check::Failed,
            "unknown" => Check::Unknown,
            "tls" => Check::Tls,
            other => {
                let days = other.strip_prefix("expires:").and_then(|days| days.strip_suffix('d'));
                let days =
                    days.filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
                Check::Expires { days: days.ok_or_else(|| NoSuchCheck(other.to_owned()))? }
            }
        })
    }
}

/// A report with what it was made of, and what was looked for in it.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Host name of the agent.
    pub node: String,
    /// What is watched, in words.
    pub scope: String,
    /// Watched since.
    pub since: BootNs,
    /// The time that it speaks of.
    pub now: BootNs,
    /// Wall time's offset.
    pub utc: UtcOffset,
    /// Closed connections that were not kept: they are not in the report.
    pub evicted: u64,
    /// Certificates that TLS 1.3 hides could be read, and nobody asked for that.
    pub identities_offered: bool,
    /// What was found.
    pub report: Report,
    /// What was looked for.
    pub fail_on: Vec<Check>,
}

impl Audit {
    /// What was looked for and is there, with its count, in the order of the checks.
    pub fn findings(&self) -> Vec<(Check, u64)> {
        let mut checks = self.fail_on.clone();
        checks.sort_unstable();
        checks.dedup();
        checks.into_iter().map(|c| (c, c.count(&self.report))).filter(|(_, n)| *n > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::samples;
    use crate::wire::tls::names;

    /// The samples' certificates end after five days and some hours, and never.
    #[test]
    fn certificates_are_counted_by_the_days_they_have_left() {
        let report = samples::report(names::weakness_names, 100);
        let count = |days| Check::Expires { days }.count(&report);
        assert_eq!((count(0), count(5), count(6), count(u32::MAX)), (0, 0, 2, 2));
        assert_eq!(Check::Expired.count(&report), 0);
        let later = samples::connections_report(names::weakness_names, 100, 6 * 86_400);
        assert_eq!((Check::Expired.count(&later), Check::Expires { days: 0 }.count(&later)), (2, 2));
        assert_eq!((Check::Failed.count(&report), Check::Plaintext.count(&report)), (3, 1));
    }

    #[test]
    fn checks_are_read_as_they_are_written() {
        for word in ["plaintext", "mixed", "expired", "expires:30d", "weak", "failed", "unknown", "tls"] {
            assert_eq!(word.parse::<Check>().unwrap().to_string(), word);
        }
        for word in [
            "",
            "plain",
            "expires",
            "expires:",
            "expires:30",
            "expires:+3d",
            "expires:-1d",
            "expires:99999999999d",
        ] {
            let error = word.parse::<Check>().unwrap_err().to_string();
            assert!(error.contains("known are plaintext, mixed"), "{error}");
        }
    }
}
