//! Writing into the buffer: text is escaped, measured and cut here, so that no view can forget it.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::theme::{Role, Theme};
use crate::model::escape;

/// A buffer, a theme, and the part of the buffer that may be written.
pub struct Pen<'a> {
    /// Where it goes.
    pub buf: &'a mut Buffer,
    /// How roles look.
    pub theme: Theme,
    /// Nothing is written outside of this.
    pub area: Rect,
}

impl<'a> Pen<'a> {
    /// For a part of a buffer; what lies outside of the buffer is cut off.
    pub fn new(buf: &'a mut Buffer, theme: Theme, area: Rect) -> Self {
        let area = area.intersection(buf.area);
        Pen { buf, theme, area }
    }

    /// The same pen for a part of its area.
    pub fn within(&mut self, area: Rect) -> Pen<'_> {
        let area = area.intersection(self.area);
        Pen { buf: self.buf, theme: self.theme, area }
    }

    /// Writes at a column and row of its area, at most `width` columns; returns the next column.
    pub fn put(&mut self, x: u16, y: u16, width: u16, text: &str, role: Role) -> u16 {
        if y >= self.area.height || x >= self.area.width {
            return x;
        }
        let width = width.min(self.area.width - x);
        let text = clean(text);
        let text = fit(&text, width);
        // What was there before leaves no trace of its style.
        let style = Style::reset().patch(self.theme.style(role));
        let (end, _) = self.buf.set_stringn(self.area.x + x, self.area.y + y, &text, width.into(), style);
        end - self.area.x
    }

    /// Writes and returns the next column, without a limit but the area's.
    pub fn text(&mut self, x: u16, y: u16, text: &str, role: Role) -> u16 {
        self.put(x, y, u16::MAX, text, role)
    }

    /// Writes so that it ends before column `x + width`.
    pub fn right(&mut self, x: u16, y: u16, width: u16, text: &str, role: Role) {
        let text = clean(text);
        let w = columns(&text).min(width);
        self.put(x.saturating_add(width - w), y, w, &text, role);
    }

    /// A cell of a table: aligned left or right.
    pub fn cell(&mut self, x: u16, y: u16, width: u16, text: &str, role: Role, right: bool) {
        if right {
            self.right(x, y, width, text, role);
        } else {
            self.put(x, y, width, text, role);
        }
    }

    /// Several pieces one after the other.
    pub fn pieces<'t>(
        &mut self,
        mut x: u16,
        y: u16,
        pieces: impl IntoIterator<Item = (Cow<'t, str>, Role)>,
    ) -> u16 {
        for (text, role) in pieces {
            x = self.text(x, y, &text, role);
        }
        x
    }

    /// Lays a role over what is written already, which keeps its colour.
    pub fn restyle(&mut self, area: Rect, role: Role) {
        let area =
            Rect { x: self.area.x.saturating_add(area.x), y: self.area.y.saturating_add(area.y), ..area };
        let style = self.theme.style(role).remove_modifier(Modifier::DIM);
        self.buf.set_style(area.intersection(self.area), style);
    }

    /// A frame with a title around the area; returns the inside.
    pub fn frame(&mut self, title: &str, role: Role) -> Rect {
        let (w, h) = (self.area.width, self.area.height);
        if w < 2 || h < 2 {
            return Rect { width: 0, height: 0, ..self.area };
        }
        let line = "─".repeat(usize::from(w) - 2);
        self.text(0, 0, &format!("┌{line}┐"), role);
        self.text(0, h - 1, &format!("└{line}┘"), role);
        for y in 1..h - 1 {
            self.text(0, y, "│", role);
            self.text(w - 1, y, "│", role);
        }
        if !title.is_empty() && w > 6 {
            let end = self.put(1, 0, w - 3, &format!(" {title}"), Role::Strong);
            self.put(end, 0, 1, " ", role);
        }
        Rect { x: self.area.x + 1, y: self.area.y + 1, width: w - 2, height: h - 2 }
    }

    /// Empties its area.
    pub fn clear(&mut self) {
        for y in self.area.top()..self.area.bottom() {
            for x in self.area.left()..self.area.right() {
                self.buf[(x, y)].reset();
            }
        }
    }
}

/// Text that may go to a terminal.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) { text.into() } else { escape(text).into() }
}

/// Columns that a text takes.
pub fn columns(text: &str) -> u16 {
    text.width().try_into().unwrap_or(u16::MAX)
}

/// Cut to a width, with `…` where something is missing.
pub fn fit(text: &str, width: u16) -> Cow<'_, str> {
    if columns(text) <= width {
        return text.into();
    }
    if width == 0 {
        return "".into();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0) as u16;
        if used + w > width - 1 {
            break;
        }
        used += w;
        out.push(c);
    }
    out.push('…');
    out.into()
}

/// A text in lines of at most `room` columns, at spaces where there are any.
pub fn wrapped(text: &str, room: u16) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let wide = columns(word);
        if used > 0 && used + 1 + wide > room {
            out.push(String::new());
            used = 0;
        }
        if used > 0 {
            push(&mut out, ' ');
            used += 1;
        }
        for c in word.chars() {
            let w = columns(c.encode_utf8(&mut [0; 4]));
            if used + w > room {
                out.push(String::new());
                used = 0;
            }
            push(&mut out, c);
            used += w;
        }
    }
    out
}

fn push(lines: &mut [String], c: char) {
    if let Some(last) = lines.last_mut() {
        last.push(c);
    }
}

/// Replaces every glyph that ASCII does not have by its twin of the same width.
pub fn to_ascii(buf: &mut Buffer) {
    for cell in &mut buf.content {
        let symbol = cell.symbol();
        if symbol.is_ascii() {
            continue;
        }
        let twin = symbol.chars().next().map_or("?", twin);
        cell.set_symbol(twin);
    }
}

fn twin(c: char) -> &'static str {
    match c {
        '─' | '╌' | '▁' => "-",
        '━' | '═' | '▄' => "=",
        '│' | '┃' | '║' => "|",
        '╎' => ":",
        '┤' => "|",
        '─'..='╿' => "+",
        '▂' => ".",
        '▃' => ":",
        '▅' => "+",
        '▆' => "*",
        '▇' => "%",
        '█' | '▉'..='▏' => "#",
        '░' => ".",
        '▒' => "=",
        '▓' => "%",
        '●' | '◆' => "*",
        '○' => "o",
        '×' => "x",
        '▲' => "^",
        '▼' => "v",
        '▶' | '▸' | '→' => ">",
        '◀' | '←' => "<",
        '↑' => "^",
        '↓' => "v",
        '…' => "~",
        '·' => "-",
        'µ' => "u",
        '≥' => ">",
        _ => "?",
    }
}

/// A bar of eighth blocks, `·` for nothing: level 0..=8.
pub fn eighth(level: usize) -> char {
    [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][level.min(8)]
}

/// A sparkline of `width` columns over values, oldest first, drawn against `top` (or the largest
/// when 0). Values are put together so that the newest stands at the right edge; what is not zero
/// always shows.
pub fn spark(values: &[f64], width: usize, top: f64) -> String {
    let groups = groups(values.len(), width);
    let means: Vec<f64> =
        groups.iter().map(|r| values[r.clone()].iter().sum::<f64>() / r.len().max(1) as f64).collect();
    let top = if top > 0.0 { top } else { means.iter().copied().fold(0.0, f64::max) };
    let bar = |m: &f64| {
        if *m <= 0.0 || top <= 0.0 {
            '▁'
        } else {
            eighth((1.0 + m / top * 7.0).round().clamp(2.0, 8.0) as usize)
        }
    };
    let mut out = " ".repeat(width - means.len());
    out.extend(means.iter().map(bar));
    out
}

/// Splits `n` values into at most `width` neighbours of about the same size.
pub fn groups(n: usize, width: usize) -> Vec<std::ops::Range<usize>> {
    let columns = n.min(width);
    (0..columns).map(|i| i * n / columns..(i + 1) * n / columns).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cuts_by_columns_not_characters() {
        assert_eq!(fit("checkout", 8), "checkout");
        assert_eq!(fit("checkout", 5), "chec…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("x", 0), "");
    }

    #[test]
    fn hostile_text_cannot_pass() {
        let area = Rect::new(0, 0, 20, 1);
        let mut buf = Buffer::empty(area);
        Pen::new(&mut buf, Theme::Dark, area).text(0, 0, "a\x1b[2J\u{202e}", Role::Text);
        let line: String = buf.content.iter().map(|c| c.symbol().to_owned()).collect();
        assert_eq!(line.trim_end(), "a\\x1b[2J\\u{202e}");
    }

    #[test]
    fn sparks() {
        assert_eq!(spark(&[0.0, 1.0, 8.0], 4, 0.0), " ▁▂█");
        assert_eq!(spark(&[], 2, 0.0), "  ");
        assert_eq!(spark(&[0.0, 8.0, 8.0, 8.0], 2, 0.0), "▅█");
    }

    proptest! {
        #[test]
        fn fit_never_is_wider(text in "\\PC{0,30}", width in 0u16..40) {
            prop_assert!(columns(&fit(&text, width)) <= width);
        }

        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(text in "[a-zé日 ]{0,80}", room in 16u16..60) {
            let lines = wrapped(&text, room);
            prop_assert!(lines.iter().all(|l| columns(l) <= room));
            let all = |t: &str| t.replace(' ', "");
            prop_assert_eq!(all(&lines.concat()), all(&text));
        }

        #[test]
        fn spark_is_as_wide_as_asked(values in proptest::collection::vec(0.0f64..1e9, 0..400), width in 0usize..50) {
            prop_assert_eq!(spark(&values, width, 0.0).chars().count(), width);
        }

        #[test]
        fn every_text_has_an_ascii_twin(text in "\\PC{0,30}") {
            let area = Rect::new(0, 0, 40, 1);
            let mut buf = Buffer::empty(area);
            Pen::new(&mut buf, Theme::Dark, area).text(0, 0, &text, Role::Text);
            to_ascii(&mut buf);
            prop_assert!(buf.content.iter().all(|c| c.symbol().is_ascii()));
        }
    }
}
