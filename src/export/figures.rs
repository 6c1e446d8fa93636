//! Figures in tables and labels: three significant digits, the unit attached.

/// Shown where there is no figure.
pub const NONE: &str = "-";

/// Three significant digits with a decimal prefix: `0`, `0.20`, `8.40`, `12.0`, `820`, `1.24k`.
fn sig3(x: f64, gap: &str) -> String {
    const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    if !x.is_finite() || x <= 0.0 {
        return format!("0{gap}");
    }
    if x < 0.005 {
        return format!("<0.01{gap}");
    }
    let (mut x, mut prefix) = (x, 0);
    // 999.5 would be printed as 1000.
    while x >= 999.5 && prefix + 1 < PREFIXES.len() {
        x /= 1000.0;
        prefix += 1;
    }
    format!("{x:.*}{gap}{}", decimals(x), PREFIXES[prefix])
}

/// Digits after the point that make three significant ones; rounding may not add a digit before it.
fn decimals(x: f64) -> usize {
    if x < 9.995 {
        2
    } else if x < 99.95 {
        1
    } else {
        0
    }
}

/// A count: whole up to 9999, then `12.4k`.
pub fn count(n: u64) -> String {
    if n < 10_000 { n.to_string() } else { sig3(n as f64, "") }
}

/// Per second: `1.24k/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", sig3(per_second, ""))
}

/// Bytes in decimal units: `820 B`, `3.40 MB`.
pub fn bytes(n: u64) -> String {
    if n < 1000 { format!("{n} B") } else { format!("{}B", sig3(n as f64, " ")) }
}

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
            sig3((part as f64 / whole as f64 * 100.0).min(if part < whole { 99.9 } else { 100.0 }), "")
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
    use proptest::prelude::*;

    #[test]
    fn three_digits_and_a_unit() {
        let of = |list: &[u64], f: fn(u64) -> String| list.iter().map(|&n| f(n)).collect::<Vec<_>>();
        assert_eq!(of(&[0, 9999, 12_350], count), ["0", "9999", "12.3k"]);
        assert_eq!(
            of(&[0, 999, 1000, 3400, 12_000, 999_499, 999_500, 3_400_000, u64::MAX], bytes),
            ["0 B", "999 B", "1.00 kB", "3.40 kB", "12.0 kB", "999 kB", "1.00 MB", "3.40 MB", "18.4 EB"]
        );
        assert_eq!(
            of(&[0, 940, 1200, 12_340, 99_960, 999_400, 999_600, 67_000_000], micros),
            ["0 µs", "940 µs", "1.20 ms", "12.3 ms", "100 ms", "999 ms", "1.00 s", "67.0 s"]
        );
        assert_eq!(of(&[42, 303, 11_520, 1_051_200], span), ["42 s", "5 min 3 s", "3 h 12 min", "12 d 4 h"]);
        assert_eq!(rate(0.0), "0/s");
        assert_eq!(rate(0.001), "<0.01/s");
        assert_eq!(rate(12.34), "12.3/s");
        assert_eq!(rate(f64::NAN), "0/s");
        assert_eq!(
            [(0, 0), (0, 9), (1, 1_000_000), (21, 1000), (99_999, 100_000), (5, 5)].map(|(a, b)| share(a, b)),
            ["-", "0", "<0.01%", "2.10%", "99.9%", "100%"]
        );
    }

    proptest! {
        /// Within half a unit of the third digit, and never more than three digits.
        #[test]
        fn bytes_are_near_the_truth(n in 1000u64..) {
            let text = bytes(n);
            let (figure, unit) = text.split_once(' ').unwrap();
            prop_assert!(figure.chars().filter(char::is_ascii_digit).count() <= 3, "{}", text);
            let prefix = ["kB", "MB", "GB", "TB", "PB", "EB"].iter().position(|u| *u == unit).unwrap();
            let value = figure.parse::<f64>().unwrap() * 1000f64.powi(prefix as i32 + 1);
            prop_assert!((value - n as f64).abs() / n as f64 <= 0.0051, "{} for {}", text, n);
        }
    }
}
