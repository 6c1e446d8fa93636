//! Figures in tables and labels, beside those of [`crate::model::figures`]: durations and shares.

pub use crate::model::figures::{NONE, bytes, count, rate};
use crate::model::figures::{decimals, sig3};

/// A duration in microseconds: `80 µs`, `1.20 ms`, `48.0 ms`, `67.0 s`.
pub fn micros(us: u64) -> String {
    if us < 1000 {
        return format!("{us} µs");
    }
    let ms = us as f64 / 1e3;
    let (x, unit) = if ms < 999.5 { (ms, "ms") } else { (us as f64 / 1e6, "s") };
    format!("{x:.*} {unit}", decimals(x))
}

/// A part of a whole in per cent: `0`, `<0.01%`, `2.10%`, `100%`; [`NONE`] of nothing.
pub fn share(part: u64, whole: u64) -> String {
    match (part, whole) {
        (_, 0) => NONE.to_owned(),
        (0, _) => "0".to_owned(),
        // A part is never rounded up to the whole.
        _ => format!(
            "{}%",
            sig3((part as f64 / whole as f64 * 100.0).min(if part < whole { 99.9 } else { 100.0 }))
        ),
    }
}

/// A long duration in its two largest units: `42 s`, `5 min 3 s`, `3 h 12 min`, `12 d 4 h`.
pub fn span(seconds: u64) -> String {
    let (m, h, d) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if m == 0 => format!("{seconds} s"),
        () if h == 0 => format!("{m} min {} s", seconds % 60),
        () if d == 0 => format!("{h} h {} min", m % 60),
        () => format!("{d} d {} h", h % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let of = |list: &[u64], f: fn(u64) -> String| list.iter().map(|&n| f(n)).collect::<Vec<_>>();
        assert_eq!(
            of(&[0, 940, 1200, 12_340, 99_960, 999_400, 999_600, 67_000_000], micros),
            ["0 µs", "940 µs", "1.20 ms", "12.3 ms", "100 ms", "999 ms", "1.00 s", "67.0 s"]
        );
        assert_eq!(of(&[42, 303, 11_520, 1_051_200], span), ["42 s", "5 min 3 s", "3 h 12 min", "12 d 4 h"]);
        assert_eq!(
            [(0, 0), (0, 9), (1, 1_000_000), (21, 1000), (99_999, 100_000), (5, 5)].map(|(a, b)| share(a, b)),
            ["-", "0", "<0.01%", "2.10%", "99.9%", "100%"]
        );
    }
}
