//! Figures that people read: three significant digits, the unit attached.

/// Shown where there is no figure.
pub const NONE: &str = "-";

/// A figure in its largest decimal unit, and the prefix of that. 999.5 is 1 of the next one, because
/// it would be printed as 1000.
pub fn scale(x: f64) -> (f64, &'static str) {
    const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    let (mut x, mut at) = (x, 0);
    while x >= 999.5 && at + 1 < PREFIXES.len() {
        x /= 1000.0;
        at += 1;
    }
    (x, PREFIXES[at])
}

/// Digits after the point that make three significant ones; rounding may not add a digit before it.
pub fn decimals(x: f64) -> usize {
    if x < 9.995 {
        2
    } else if x < 99.95 {
        1
    } else {
        0
    }
}

/// Three significant digits with a decimal prefix: `0`, `0.20`, `8.40`, `12.0`, `820`, `1.24k`, `3.40M`.
pub fn sig3(x: f64) -> String {
    spaced(x, "")
}

/// [`sig3`] with a gap before the prefix.
fn spaced(x: f64, gap: &str) -> String {
    if !x.is_finite() || x <= 0.0 {
        return format!("0{gap}");
    }
    if x < 0.005 {
        return format!("<0.01{gap}");
    }
    let (x, prefix) = scale(x);
    format!("{x:.*}{gap}{prefix}", decimals(x))
}

/// A count: whole up to 9999, then `12.4k`.
pub fn count(n: u64) -> String {
    if n < 10_000 { n.to_string() } else { sig3(n as f64) }
}

/// Per second: `1.24k/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", sig3(per_second))
}

/// Bytes in decimal units: `820 B`, `3.40 MB`.
pub fn bytes(n: u64) -> String {
    if n < 1000 { format!("{n} B") } else { format!("{}B", spaced(n as f64, " ")) }
}

/// Bytes per second: `3.40 MB/s`.
pub fn byte_rate(per_second: f64) -> String {
    format!("{}/s", bytes(per_second.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_significant_digits() {
        for (x, text) in [
            (0.0, "0"),
            (-1.0, "0"),
            (f64::NAN, "0"),
            (0.001, "<0.01"),
            (0.2, "0.20"),
            (8.4, "8.40"),
            (9.996, "10.0"),
            (12.0, "12.0"),
            (99.96, "100"),
            (820.4, "820"),
            (999.6, "1.00k"),
            (1_240.0, "1.24k"),
            (3.4e6, "3.40M"),
            (7e15, "7.00P"),
            (7e21, "7000E"),
        ] {
            assert_eq!(sig3(x), text, "{x}");
        }
    }

    #[test]
    fn units_are_attached() {
        let of = |list: &[u64], f: fn(u64) -> String| list.iter().map(|&n| f(n)).collect::<Vec<_>>();
        assert_eq!(of(&[0, 9999, 12_350, 20_000], count), ["0", "9999", "12.3k", "20.0k"]);
        assert_eq!(
            of(&[0, 820, 999, 1000, 3400, 12_000, 999_499, 999_500, 3_400_000, u64::MAX], bytes),
            [
                "0 B", "820 B", "999 B", "1.00 kB", "3.40 kB", "12.0 kB", "999 kB", "1.00 MB", "3.40 MB",
                "18.4 EB"
            ]
        );
        assert_eq!(
            [rate(0.0), rate(0.001), rate(12.34), rate(1240.0)],
            ["0/s", "<0.01/s", "12.3/s", "1.24k/s"]
        );
        assert_eq!(rate(f64::NAN), "0/s");
        assert_eq!(
            [0.0, -1.0, f64::NAN, 819.6, 999.9, 3.4e6].map(byte_rate),
            ["0 B/s", "0 B/s", "0 B/s", "820 B/s", "1.00 kB/s", "3.40 MB/s"]
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
