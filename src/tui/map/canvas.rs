//! Lines in cells: each cell is a 4-bit mask of arms, OR-ed over the lines of one net, with the
//! edge that owns it for clicks.
//!
//! A net is everything that leaves one box: its lines may join and branch. Lines of two nets never
//! join: where they cross, one passes through and the other is broken for one cell, so that a
//! crossing cannot be read as a junction.

use std::collections::HashMap;

/// Arms of a cell.
pub const UP: u8 = 1;
/// See [`UP`].
pub const RIGHT: u8 = 2;
/// See [`UP`].
pub const DOWN: u8 = 4;
/// See [`UP`].
pub const LEFT: u8 = 8;

/// How a line is drawn; later ones are drawn over earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stroke {
    /// Idle.
    #[default]
    Dashed,
    /// In use.
    Light,
    /// The busiest one.
    Double,
    /// Failing: light, in another colour, with a ×.
    Failing,
    /// Selected.
    Heavy,
}

/// A cell that lines pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Arms.
    pub arms: u8,
    /// The net that is on top here.
    pub net: usize,
    /// The edge that is on top here.
    pub edge: usize,
    /// How it is drawn.
    pub stroke: Stroke,
}

/// Lines by column and row.
#[derive(Clone, Debug, Default)]
pub struct Canvas {
    cells: HashMap<(u16, u16), Line>,
}

impl Canvas {
    /// The line in a cell.
    pub fn at(&self, x: u16, y: u16) -> Option<&Line> {
        self.cells.get(&(x, y))
    }

    /// Draws the path of an edge through its corners; where `join` is set from a corner on, it
    /// joins lines of other nets. Paths must come in rising order of stroke.
    pub fn path(
        &mut self,
        net: usize,
        edge: usize,
        stroke: Stroke,
        corners: &[(u16, u16)],
        join_from: usize,
    ) {
        for (i, pair) in corners.windows(2).enumerate() {
            let (a, b) = (pair[0], pair[1]);
            let join = i + 1 >= join_from;
            if a.1 == b.1 {
                let (from, to) = (a.0.min(b.0), a.0.max(b.0));
                for x in from..=to {
                    let arms = if x > from { LEFT } else { 0 } | if x < to { RIGHT } else { 0 };
                    self.add((x, a.1), Line { arms, net, edge, stroke }, join);
                }
            } else {
                let (from, to) = (a.1.min(b.1), a.1.max(b.1));
                for y in from..=to {
                    let arms = if y > from { UP } else { 0 } | if y < to { DOWN } else { 0 };
                    self.add((a.0, y), Line { arms, net, edge, stroke }, join);
                }
            }
        }
    }

    fn add(&mut self, at: (u16, u16), line: Line, join: bool) {
        let Some(old) = self.cells.get_mut(&at) else {
            self.cells.insert(at, line);
            return;
        };
        if old.net == line.net || join {
            let arms = old.arms | line.arms;
            *old = if line.stroke == Stroke::Failing && old.stroke < Stroke::Failing {
                // What a failing line shares with healthy ones stays calm.
                Line { arms, stroke: old.stroke.max(Stroke::Light), ..*old }
            } else {
                Line { arms, ..line }
            };
            return;
        }
        // A crossing of two nets: what is on top stays whole. Between equals it is the horizontal.
        let flat = line.arms & (UP | DOWN) == 0;
        if line.stroke > old.stroke.min(Stroke::Failing) || flat {
            *old = line;
        }
    }
}

/// The glyph of a mask in a stroke.
pub fn glyph(arms: u8, stroke: Stroke) -> char {
    let set: [char; 16] = match stroke {
        Stroke::Heavy => [' ', '╹', '╺', '┗', '╻', '┃', '┏', '┣', '╸', '┛', '━', '┻', '┓', '┫', '┳', '╋'],
        Stroke::Double => [' ', '║', '═', '╚', '║', '║', '╔', '╠', '═', '╝', '═', '╩', '╗', '╣', '╦', '╬'],
        Stroke::Light | Stroke::Failing => {
            [' ', '│', '─', '└', '│', '│', '┌', '├', '─', '┘', '─', '┴', '┐', '┤', '┬', '┼']
        }
        Stroke::Dashed => [' ', '╎', '╌', '└', '╎', '╎', '┌', '├', '╌', '┘', '╌', '┴', '┐', '┤', '┬', '┼'],
    };
    set[usize::from(arms & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(c: &Canvas, w: u16, h: u16) -> Vec<String> {
        (0..h)
            .map(|y| (0..w).map(|x| c.at(x, y).map_or(' ', |l| glyph(l.arms, l.stroke))).collect())
            .collect()
    }

    #[test]
    fn one_net_branches() {
        let mut c = Canvas::default();
        c.path(0, 0, Stroke::Light, &[(0, 0), (2, 0), (2, 2), (4, 2)], 9);
        c.path(0, 1, Stroke::Light, &[(0, 0), (4, 0)], 9);
        assert_eq!(show(&c, 5, 3), ["──┬──", "  │  ", "  └──"]);
    }

    #[test]
    fn two_nets_cross_without_a_junction() {
        let mut c = Canvas::default();
        c.path(0, 0, Stroke::Light, &[(2, 0), (2, 2)], 9);
        c.path(1, 1, Stroke::Light, &[(0, 1), (4, 1)], 9);
        assert_eq!(show(&c, 5, 3), ["  │  ", "─────", "  │  "]);
    }

    #[test]
    fn what_is_selected_stays_whole() {
        let mut c = Canvas::default();
        c.path(1, 1, Stroke::Light, &[(0, 1), (4, 1)], 9);
        c.path(0, 0, Stroke::Heavy, &[(2, 0), (2, 2)], 9);
        assert_eq!(show(&c, 5, 3), ["  ╻  ", "──┃──", "  ╹  "]);
    }

    #[test]
    fn only_the_part_of_a_failing_line_alone_is_failing() {
        let mut c = Canvas::default();
        c.path(0, 0, Stroke::Light, &[(0, 0), (4, 0)], 9);
        c.path(0, 1, Stroke::Failing, &[(0, 0), (2, 0), (2, 2), (4, 2)], 9);
        let stroke = |x, y| c.at(x, y).map(|l| l.stroke);
        assert_eq!([stroke(0, 0), stroke(2, 0)], [Some(Stroke::Light); 2]);
        assert_eq!([stroke(2, 1), stroke(4, 2)], [Some(Stroke::Failing); 2]);
        assert_eq!(show(&c, 5, 3), ["──┬──", "  │  ", "  └──"]);
    }

    #[test]
    fn shared_inlets_join() {
        let mut c = Canvas::default();
        c.path(0, 0, Stroke::Light, &[(0, 1), (4, 1)], 1);
        c.path(1, 1, Stroke::Light, &[(2, 0), (2, 1), (4, 1)], 1);
        assert_eq!(show(&c, 5, 2), ["  │  ", "──┴──"]);
    }
}
