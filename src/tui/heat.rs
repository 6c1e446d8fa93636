//! A heat map of latency over time: bands of latency as rows, time as columns, shaded by how many
//! answers fell there. And bars.
//!
//! ```text
//! 100 ms ┤          ░
//!  50 ms ┤    ░    ░▒
//!  20 ms ┤░▒▒▓▒░░▒▒▓█
//!  10 ms ┤▓████▓▓███▓
//! ```

use super::detail::{Line, muted};
use super::figures;
use super::pen::groups;
use super::theme::Role;
use crate::model::{bucket_bounds, bucket_index};
use crate::world::AskedPoint;

/// Rows of a heat map at most.
const ROWS: usize = 10;
/// Columns of labels.
pub const LABEL: usize = 11;

/// Lower bounds of bands from 1 µs on, in microseconds: 1, 2, 5 of each decade, or coarser.
fn bounds(steps: &[u64]) -> Vec<u64> {
    (0..8).flat_map(|decade| steps.iter().map(move |s| s * 10u64.pow(decade))).collect()
}

/// The band of a value.
fn band(bounds: &[u64], us: u64) -> usize {
    bounds.partition_point(|b| *b <= us).saturating_sub(1)
}

/// The map in `room` columns, without its axis; nothing where nothing was timed.
pub fn map(course: &[AskedPoint], room: usize) -> Vec<Line> {
    let used = || course.iter().flat_map(|p| p.latency_us.buckets()).map(|b| b.0);
    let (Some(low), Some(high)) = (used().min(), used().max()) else { return Vec::new() };
    let (low, high) = (bucket_bounds(low).0.max(1), bucket_bounds(high).0.max(1));
    let scales = [bounds(&[1, 2, 5]), bounds(&[1, 3]), bounds(&[1])];
    let few = |b: &&Vec<u64>| band(b, high) - band(b, low) < ROWS;
    let Some(scale) = scales.iter().find(few).or(scales.last()) else { return Vec::new() };
    let (mut first, mut last) = (band(scale, low), band(scale, high));
    // What is steady has something to stand out from.
    if last - first < 3 {
        (first, last) = (first.saturating_sub(1), (last + 1).min(scale.len() - 1));
    }
    let parts = groups(course.len(), room);
    let pad = room - parts.len();
    let mut cells = vec![vec![0u64; parts.len()]; last - first + 1];
    let index: Vec<usize> =
        (0..=bucket_index(u64::MAX)).map(|b| band(scale, bucket_bounds(b).0.max(1))).collect();
    for (x, part) in parts.into_iter().enumerate() {
        for &(bucket, n) in course[part].iter().flat_map(|p| p.latency_us.buckets()) {
            let row = index.get(usize::from(bucket)).and_then(|b| b.checked_sub(first));
            if let Some(cell) = row.and_then(|row| cells.get_mut(row)?.get_mut(x)) {
                *cell += u64::from(n);
            }
        }
    }
    let most = cells.iter().flatten().copied().max().unwrap_or(0);
    let rows = cells.iter().zip(&scale[first..=last]).rev().map(|(row, bound)| {
        let shades: String = row.iter().map(|n| shade(*n, most)).collect();
        vec![
            muted(format!("{:>9} ┤", figures::micros(*bound))),
            (format!("{}{shades}", " ".repeat(pad)).into(), Role::Accent),
        ]
    });
    rows.collect()
}

/// Few are seen too: shades rise with the root of the count.
fn shade(n: u64, most: u64) -> char {
    if n == 0 || most == 0 {
        return ' ';
    }
    match (n as f64 / most as f64).sqrt() {
        s if s < 0.25 => '░',
        s if s < 0.5 => '▒',
        s if s < 0.75 => '▓',
        _ => '█',
    }
}

/// A bar of at most `room` columns in eighths; what is not zero shows.
pub fn bar(value: f64, top: f64, room: usize) -> String {
    if value <= 0.0 || top <= 0.0 {
        return String::new();
    }
    let eighths = ((value / top).min(1.0) * room as f64 * 8.0).round().max(1.0) as usize;
    let mut out = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        out.push(['▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8 - 1]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BootNs, Hist};

    fn course(seconds: &[&[u64]]) -> Vec<AskedPoint> {
        let point = |us: &&[u64]| {
            let mut latency_us = Hist::default();
            us.iter().for_each(|us| latency_us.record(*us));
            AskedPoint { start: BootNs(1), latency_us, errors: 0 }
        };
        seconds.iter().map(point).collect()
    }

    fn rows(course: &[AskedPoint], room: usize) -> Vec<String> {
        map(course, room).iter().map(|l| l.iter().map(|p| &*p.0).collect()).collect()
    }

    #[test]
    fn each_answer_stands_in_its_band_and_second() {
        let many = [1_500; 20];
        let seconds: [&[u64]; 3] = [&[1_500], &[], &many];
        let rows = rows(&course(&seconds), 4);
        assert_eq!(rows, ["  2.00 ms ┤    ", "  1.00 ms ┤ ░ █", "   500 µs ┤    "]);
    }

    #[test]
    fn a_wide_range_has_wider_bands_and_nothing_is_lost() {
        let all: Vec<u64> = (0..27).map(|i| 1u64 << i).collect();
        let rows = rows(&course(&[&all]), 1);
        assert!(rows.len() <= ROWS, "{rows:#?}");
        assert!(rows.iter().all(|r| !r.ends_with(' ')), "{rows:#?}");
        assert!(map(&course(&[&[]]), 10).is_empty());
    }

    #[test]
    fn bars() {
        assert_eq!(bar(0.0, 8.0, 4), "");
        assert_eq!(bar(8.0, 8.0, 4), "████");
        assert_eq!(bar(0.001, 8.0, 4), "▏");
        assert_eq!(bar(9.0, 8.0, 4), "████");
    }
}
