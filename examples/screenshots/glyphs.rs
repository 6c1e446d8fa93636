//! Lines, blocks and signs as SVG paths in the unit of pixels, from the cell's top left corner.

use std::fmt::Write as _;

/// Width and height of a cell. Its middle (4.5, 9.5) lies between pixels, so lines are sharp.
pub const CELL: (f32, f32) = (9.0, 19.0);

/// A shape in a cell.
pub enum Shape {
    /// A path to be filled.
    Fill(String),
    /// A path to be drawn with a line of this width.
    Line(String, f32),
}

/// Arms of a line: up, right, down, left.
type Arms = [bool; 4];

#[derive(Clone, Copy)]
enum Stroke {
    Light,
    Heavy,
    Double,
}

/// The shapes of a character that is drawn `n` times side by side from a corner on; `None` when it
/// is text.
pub fn shapes(c: char, n: u16, x: f32, y: f32) -> Option<Vec<Shape>> {
    if let Some((arms, stroke)) = line(c) {
        let straight = arms == [false, true, false, true];
        return Some(if straight && !matches!(stroke, Stroke::Double) {
            let path = format!("M{x} {}h{}", y + CELL.1 / 2.0, CELL.0 * f32::from(n));
            vec![Shape::Line(path, width(stroke))]
        } else {
            each(n, x, |x| arms_of(arms, stroke, x, y))
        });
    }
    let (w, h) = CELL;
    let (cx, cy) = (x + w / 2.0, y + h / 2.0);
    let fill = |path: String| vec![Shape::Fill(path)];
    Some(match c {
        '╌' => each(n, x, |x| Shape::Line(format!("M{} {cy}h3m1.5 0h3", x + 0.75), 1.0)),
        '╎' => each(n, x, |x| Shape::Line(format!("M{} {}v6m0 4v6", x + w / 2.0, y + 1.5), 1.0)),
        // Lower eighths, and the full block.
        '▁'..='█' => {
            let part = (c as u32 - '▁' as u32 + 1) as f32 / 8.0 * h;
            fill(rect(x, y + h - part, w * f32::from(n), part))
        }
        // Left eighths, from seven down to one.
        '▉'..='▏' => {
            let part = ('▏' as u32 - c as u32 + 1) as f32 / 8.0 * w;
            each(n, x, |x| Shape::Fill(rect(x, y, part, h)))
        }
        // A quarter, a half and three quarters of the cell, in dots.
        '░'..='▓' => {
            let side = [1.5, 2.1, 2.6][c as usize - '░' as usize];
            let dots = |x: f32| {
                let at = |i: usize| (x + 3.0 * (i % 3) as f32, y + 19.0 / 6.0 * (i / 3) as f32);
                (0..18).map(|i| rect(at(i).0, at(i).1, side, side)).collect()
            };
            each(n, x, |x| Shape::Fill(dots(x)))
        }
        '●' => each(n, x, |x| Shape::Fill(circle(x + w / 2.0, cy, 3.6))),
        '○' => each(n, x, |x| Shape::Line(circle(x + w / 2.0, cy, 3.1), 1.0)),
        '◆' => each(n, x, |x| Shape::Fill(format!("M{} {}l4 4l-4 4l-4-4z", x + w / 2.0, cy - 4.0))),
        '▶' => each(n, x, |x| Shape::Fill(format!("M{} {}l8 5l-8 5z", x + 0.5, cy - 5.0))),
        '◀' => each(n, x, |x| Shape::Fill(format!("M{} {}l-8 5l8 5z", x + 8.5, cy - 5.0))),
        '▲' => fill(format!("M{cx} {}l4 8h-8z", cy - 4.0)),
        '▼' => fill(format!("M{cx} {}l4-8h-8z", cy + 4.0)),
        '▸' => fill(format!("M{} {}l6 4l-6 4z", cx - 3.0, cy - 4.0)),
        '×' => each(n, x, |x| Shape::Line(format!("M{} {}l6 6m0-6l-6 6", x + w / 2.0 - 3.0, cy - 3.0), 1.6)),
        _ => return None,
    })
}

/// Whether a character would have to be here: fonts draw these in ways of their own.
pub fn is_drawing(c: char) -> bool {
    ('\u{2500}'..='\u{259f}').contains(&c)
}

fn each(n: u16, x: f32, shape: impl Fn(f32) -> Shape) -> Vec<Shape> {
    (0..n).map(|i| shape(x + f32::from(i) * CELL.0)).collect()
}

fn rect(x: f32, y: f32, w: f32, h: f32) -> String {
    format!("M{x} {y}h{w}v{h}h-{w}z")
}

fn circle(x: f32, y: f32, r: f32) -> String {
    let d = 2.0 * r;
    format!("M{} {y}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0-{d} 0z", x - r)
}

fn width(stroke: Stroke) -> f32 {
    match stroke {
        Stroke::Light | Stroke::Double => 1.0,
        Stroke::Heavy => 3.0,
    }
}

fn line(c: char) -> Option<(Arms, Stroke)> {
    const SETS: [(&str, Stroke); 3] = [
        ("╵╶└╷│┌├╴┘─┴┐┤┬┼", Stroke::Light),
        ("╹╺┗╻┃┏┣╸┛━┻┓┫┳╋", Stroke::Heavy),
        // Double lines have no single arms.
        ("  ╚ ║╔╠ ╝═╩╗╣╦╬", Stroke::Double),
    ];
    SETS.iter().filter(|_| c != ' ').find_map(|(set, stroke)| {
        // The place in the set is the mask: up 1, right 2, down 4, left 8.
        let mask = set.chars().position(|s| s == c)? + 1;
        Some(([mask & 1 != 0, mask & 2 != 0, mask & 4 != 0, mask & 8 != 0], *stroke))
    })
}

/// From the middle to the sides that the arms point to.
fn arms_of(arms: Arms, stroke: Stroke, x: f32, y: f32) -> Shape {
    let (cx, cy) = (x + CELL.0 / 2.0, y + CELL.1 / 2.0);
    let mut path = String::new();
    // Where an arm begins and how far it goes: up, right, down, left.
    let directions = [(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)];
    for (i, (dx, dy)) in directions.into_iter().enumerate().filter(|(i, _)| arms[*i]) {
        let reach = if dx == 0.0 { CELL.1 / 2.0 } else { CELL.0 / 2.0 };
        // The two lines of a double arm; the neighbour arm on a line's own side ends it early, that
        // on the other side lets it go on around the corner.
        let sides: &[f32] = if matches!(stroke, Stroke::Double) { &[-2.0, 2.0] } else { &[0.0] };
        for side in sides {
            let clockwise = arms[(i + 1) % 4];
            let counter = arms[(i + 3) % 4];
            let (own, other) = if *side > 0.0 { (clockwise, counter) } else { (counter, clockwise) };
            let from = match (own, other) {
                _ if *side == 0.0 => {
                    // A heavy corner is filled to its outside.
                    if clockwise || counter { -width(stroke) / 2.0 } else { 0.0 }
                }
                (true, _) => 2.0,
                (false, true) => -2.0,
                (false, false) => 0.0,
            };
            // The side lies clockwise of the direction: right of up, below right, left of down, above left.
            let (sx, sy) = (-dy * side, dx * side);
            let (ax, ay) = (cx + sx + dx * from, cy + sy + dy * from);
            let (bx, by) = (cx + sx + dx * reach, cy + sy + dy * reach);
            // Writing to a string cannot fail.
            let _ = write!(path, "M{ax} {ay}L{bx} {by}");
        }
    }
    Shape::Line(path, width(stroke))
}
