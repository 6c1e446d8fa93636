//! Figures that can be read while they move, beside those of [`crate::model::figures`]. The caller
//! aligns them right in a column of fixed width.

use std::net::IpAddr;

use super::shown::Latency;
use crate::model::figures::scale;
pub use crate::model::figures::{NONE, byte_rate, bytes, count, rate, sig3};
use crate::model::{BootNs, Hist, UtcOffset};
use crate::world::Timed;

/// An exact count with its thousands apart: `20,480`.
pub fn exact(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// Per second where there is little room: two significant digits, `41/s`, `0.9/s`, `1.2k/s`.
pub fn short_rate(x: f64) -> String {
    let (x, prefix) = scale(if x.is_finite() { x.max(0.0) } else { 0.0 });
    let decimals = usize::from(x > 0.0 && x < 9.95);
    if x > 0.0 && x < 0.05 { "<0.1/s".into() } else { format!("{x:.decimals$}{prefix}/s") }
}

/// A duration in microseconds: `80 µs`, `2.10 ms`, `48 ms`, `1.20 s`, `3 min`.
pub fn micros(us: u64) -> String {
    let ms = us as f64 / 1e3;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..9_995 => format!("{ms:.2} ms"),
        9_995..999_500 => format!("{ms:.0} ms"),
        999_500..99_950_000 => format!("{} s", sig3(us as f64 / 1e6)),
        _ => age(us.saturating_mul(1000)),
    }
}

/// A quantile of a histogram, or `-`.
pub fn quantile(h: &Hist, q: f64) -> String {
    h.quantile(q).map_or_else(|| NONE.into(), micros)
}

/// A percentile, or `-`, with two columns for what it is the time of: nothing for requests, ` t` for
/// turns.
pub fn latency(l: Option<&Latency>, of: impl Fn(&Latency) -> u64) -> String {
    match l {
        None => format!("{NONE}  "),
        Some(l) if l.timed == Timed::Turns => format!("{} t", micros(of(l))),
        Some(l) => format!("{}  ", micros(of(l))),
    }
}

/// A figure that is a lower bound is marked.
pub fn at_least(figure: String, lower_bound: bool) -> String {
    if lower_bound { format!("~{figure}") } else { figure }
}

/// A share: `0 %`, `<0.1 %`, `1.9 %`, `48 %`, `100 %`. 100 % only where it is all of them.
pub fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".into();
    }
    let p = part as f64 * 100.0 / whole as f64;
    if part >= whole {
        "100 %".into()
    } else if p < 0.1 {
        "<0.1 %".into()
    } else if p < 9.95 {
        format!("{p:.1} %")
    } else if p >= 99.5 {
        ">99 %".into()
    } else {
        format!("{p:.0} %")
    }
}

/// How long, in nanoseconds, the way people say it: `40 s`, `2 min`, `3 h 5 min`, `2 d 4 h`.
pub fn age(ns: u64) -> String {
    let s = ns / 1_000_000_000;
    match s {
        0..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// Seconds of processor time: `0.42 s`, `12.0 s`.
pub fn seconds(ns: u64) -> String {
    format!("{} s", sig3(ns as f64 / 1e9))
}

/// Turns boot time into wall time for people.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Wall time's offset.
    pub utc: UtcOffset,
    /// Seconds east of UTC; `None` shows UTC, marked `Z`.
    pub zone: Option<i32>,
}

impl Clock {
    /// `14:01:10`, or `14:01:10Z`.
    pub fn time(&self, at: BootNs) -> String {
        self.with(at, false)
    }

    /// `14:01:10.042`.
    pub fn millis(&self, at: BootNs) -> String {
        self.with(at, true)
    }

    /// `2026-11-22`: of a capture, which may be of any day.
    pub fn date(&self, at: BootNs) -> String {
        if at.known().is_none() {
            return NONE.into();
        }
        let zone = i64::from(self.zone.unwrap_or(0));
        date((self.utc.unix_ns(at) / 1_000_000_000) as i64 + zone)
    }

    /// Seconds since 1970.
    pub fn unix(&self, at: BootNs) -> i64 {
        (self.utc.unix_ns(at) / 1_000_000_000).try_into().unwrap_or(i64::MAX)
    }

    fn with(&self, at: BootNs, millis: bool) -> String {
        if at.known().is_none() {
            return NONE.into();
        }
        let unix_ms = self.utc.unix_ns(at) / 1_000_000;
        let day = 86_400_000;
        let ms = (unix_ms as i64 + i64::from(self.zone.unwrap_or(0)) * 1000).rem_euclid(day);
        let (s, ms) = (ms / 1000, ms % 1000);
        let z = if self.zone.is_none() { "Z" } else { "" };
        let fraction = if millis { format!(".{ms:03}") } else { String::new() };
        format!("{:02}:{:02}:{:02}{fraction}{z}", s / 3600, s / 60 % 60, s % 60)
    }
}

/// `2026-11-22` of seconds since 1970; a peer may say anything.
pub fn date(unix: i64) -> String {
    let days = unix.div_euclid(86_400);
    // Years begin in March here, so that the leap day is the last one; 146,097 days are 400 years.
    let day = days + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + i64::from(month <= 2))
}

/// `10.0.0.7:80`, `[::1]:80`.
pub fn endpoint(addr: IpAddr, port: u16) -> String {
    crate::model::Endpoint::new(addr, port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_and_exact_counts() {
        for (x, text) in [
            (0.0, "0/s"),
            (0.01, "<0.1/s"),
            (0.94, "0.9/s"),
            (9.96, "10/s"),
            (41.2, "41/s"),
            (1_240.0, "1.2k/s"),
        ] {
            assert_eq!(short_rate(x), text);
        }
        assert_eq!(
            [exact(0), exact(999), exact(20_480), exact(1_000_000)],
            ["0", "999", "20,480", "1,000,000"]
        );
    }

    #[test]
    fn durations() {
        for (us, text) in [
            (0, "0 µs"),
            (80, "80 µs"),
            (2_100, "2.10 ms"),
            (9_996, "10 ms"),
            (48_000, "48 ms"),
            (999_600, "1.00 s"),
            (1_200_000, "1.20 s"),
            (67_000_000, "67.0 s"),
            (180_000_000, "3 min"),
        ] {
            assert_eq!(micros(us), text, "{us}");
        }
        assert_eq!(age(40_000_000_000), "40 s");
        assert_eq!(age(11_100_000_000_000), "3 h 5 min");
    }

    #[test]
    fn shares_never_round_to_all_or_nothing() {
        assert_eq!(share(0, 10), "0 %");
        assert_eq!(share(1, 100_000), "<0.1 %");
        assert_eq!(share(19, 1000), "1.9 %");
        assert_eq!(share(999, 1000), ">99 %");
        assert_eq!(share(10, 10), "100 %");
        assert_eq!(share(48, 100), "48 %");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let date = |s: u64| Clock { zone: Some(0), ..Clock::default() }.date(BootNs(s * 1_000_000_000));
        assert_eq!(date(1), "1970-01-01");
        assert_eq!((date(951_782_400), date(951_868_800)), ("2000-02-29".into(), "2000-03-01".into()));
        assert_eq!((date(1_735_689_599), date(1_735_689_600)), ("2024-12-31".into(), "2025-01-01".into()));
        let east = Clock { zone: Some(3600), ..Clock::default() };
        assert_eq!(east.date(BootNs(1_735_689_599_000_000_000)), "2025-01-01");
        assert_eq!(east.date(BootNs(0)), NONE);
    }

    #[test]
    fn clock_is_local_or_marked() {
        let utc = UtcOffset(14 * 3_600_000_000_000);
        let at = BootNs(70_042_000_000);
        assert_eq!(Clock { utc, zone: None }.time(at), "14:01:10Z");
        assert_eq!(Clock { utc, zone: Some(-15 * 3600) }.millis(at), "23:01:10.042");
        assert_eq!(Clock::default().time(BootNs(0)), "-");
    }
}
