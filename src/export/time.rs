//! Wall time as text, in UTC: RFC 3339 for JSON, shorter forms for people.

use crate::model::{BootNs, UtcOffset};

const DAY_S: u64 = 86_400;

/// RFC 3339 with microseconds, `2026-03-01T14:03:01.123456Z`; `None` where the time is not known.
pub fn rfc3339(utc: UtcOffset, at: BootNs) -> Option<String> {
    let t = Utc::new(utc, at.known()?);
    let (h, m, s) = t.clock();
    Some(format!("{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}.{:06}Z", t.year, t.month, t.day, t.micros))
}

/// RFC 3339 of seconds since 1970, also before it; `None` outside of the years 0 to 9999, which are all
/// that certificates have (RFC 5280, section 4.1.2.5).
pub fn rfc3339_unix(seconds: i64) -> Option<String> {
    let (date, clock) = unix(seconds)?;
    Some(format!("{date}T{clock}.000000Z"))
}

/// The day of seconds since 1970, `2026-03-01`.
pub fn date_unix(seconds: i64) -> Option<String> {
    unix(seconds).map(|(date, _)| date)
}

fn unix(seconds: i64) -> Option<(String, String)> {
    // Eras of 400 years begin anew: what lies before 1970 is counted in one that was put before it.
    const SHIFT_YEARS: u64 = 2000;
    const SHIFT_S: i64 = 5 * 146_097 * 86_400;
    let shifted = u64::try_from(seconds.checked_add(SHIFT_S)?).ok()?;
    let (year, month, day) = civil(shifted / DAY_S);
    let year = year.checked_sub(SHIFT_YEARS).filter(|year| *year < 10_000)?;
    let of_day = shifted % DAY_S;
    let (h, m, s) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    Some((format!("{year:04}-{month:02}-{day:02}"), format!("{h:02}:{m:02}:{s:02}")))
}

/// To the second, `2026-03-01 14:03:01`; `None` where the time is not known.
pub fn date_time(utc: UtcOffset, at: BootNs) -> Option<String> {
    let t = Utc::new(utc, at.known()?);
    let (h, m, s) = t.clock();
    Some(format!("{:04}-{:02}-{:02} {h:02}:{m:02}:{s:02}", t.year, t.month, t.day))
}

/// Time of day, `14:03:01.123`; `None` where the time is not known.
pub fn clock(utc: UtcOffset, at: BootNs) -> Option<String> {
    let t = Utc::new(utc, at.known()?);
    let (h, m, s) = t.clock();
    Some(format!("{h:02}:{m:02}:{s:02}.{:03}", t.micros / 1000))
}

struct Utc {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
    micros: u64,
}

impl Utc {
    fn new(utc: UtcOffset, at: BootNs) -> Self {
        let micros = utc.unix_ns(at) / 1000;
        let seconds = micros / 1_000_000;
        let (year, month, day) = civil(seconds / DAY_S);
        Utc { year, month, day, second_of_day: seconds % DAY_S, micros: micros % 1_000_000 }
    }

    fn clock(&self) -> (u64, u64, u64) {
        (self.second_of_day / 3600, self.second_of_day / 60 % 60, self.second_of_day % 60)
    }
}

/// Year, month 1..=12 and day 1..=31 in the proleptic Gregorian calendar of a day since 1970-01-01.
///
/// Counts in years that begin on 1 March, so that the leap day is a year's last, and in eras of
/// 400 years, which all have 146,097 days.
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks the calendar a day at a time by the plain rules, from 1970 to the end of 9999.
    #[test]
    fn every_day_from_1970_to_9999() {
        let (mut y, mut m, mut d) = (1970u64, 1u64, 1u64);
        let mut days = 0;
        while y < 10_000 {
            assert_eq!(civil(days), (y, m, d));
            let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
            let length = match m {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (d, days) = (d + 1, days + 1);
            if d > length {
                (d, m) = (1, m + 1);
            }
            if m > 12 {
                (m, y) = (1, y + 1);
            }
        }
        assert_eq!(days, 2_932_897);
    }

    /// Against GNU date: `date -u -d @1709210096`.
    #[test]
    fn known_times() {
        let utc = UtcOffset(1_709_210_000_000_000_000);
        let at = BootNs(96_123_456_789);
        assert_eq!(rfc3339(utc, at).unwrap(), "2024-02-29T12:34:56.123456Z");
        assert_eq!(date_time(utc, at).unwrap(), "2024-02-29 12:34:56");
        assert_eq!(clock(utc, at).unwrap(), "12:34:56.123");
        assert_eq!(rfc3339(UtcOffset(0), BootNs(1)).unwrap(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(UtcOffset(i64::MAX), BootNs(u64::MAX)).unwrap(), "2554-07-21T23:34:33.709551Z");
    }

    /// Against GNU date: `date -u -d 1950-01-01 +%s`.
    #[test]
    fn certificates_have_times_before_1970_and_without_end() {
        assert_eq!(rfc3339_unix(-631_152_000).unwrap(), "1950-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339_unix(-1).unwrap(), "1969-12-31T23:59:59.000000Z");
        assert_eq!(rfc3339_unix(1_709_210_096).unwrap(), "2024-02-29T12:34:56.000000Z");
        assert_eq!(rfc3339_unix(253_402_300_799).unwrap(), "9999-12-31T23:59:59.000000Z");
        assert_eq!(date_unix(253_402_300_799).unwrap(), "9999-12-31");
        assert_eq!((rfc3339_unix(253_402_300_800), rfc3339_unix(i64::MAX)), (None, None));
        assert_eq!(rfc3339_unix(-62_167_219_200).unwrap(), "0000-01-01T00:00:00.000000Z");
        assert_eq!((rfc3339_unix(-62_167_219_201), rfc3339_unix(i64::MIN)), (None, None));
    }

    #[test]
    fn unknown_is_not_1970() {
        assert_eq!(rfc3339(UtcOffset(1_700_000_000_000_000_000), BootNs(0)), None);
        assert_eq!(clock(UtcOffset(5), BootNs(0)), None);
    }
}
