//! A terminal's screen as SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vt100::{Cell, Color, Screen};

use super::glyphs::{CELL, Shape, is_drawing, shapes};

/// Pixels around the screen.
const MARGIN: f32 = 10.0;
/// The common monospaced fonts are 0.602 as wide as they are high: then a character is 9 wide.
const FONT_SIZE: f32 = 14.95;
const FONTS: &str = "'DejaVu Sans Mono',Menlo,'Liberation Mono',Consolas,monospace";
/// From a cell's top to the line that letters stand on.
const BASELINE: f32 = 14.2;

const BACKGROUND: u32 = 0x0f_14_1a;
const FOREGROUND: u32 = 0xd3_d9_e0;
/// The 16 colours of the terminal.
const PALETTE: [u32; 16] = [
    0x1b_21_29, 0xd8_54_54, 0x6c_b9_6f, 0xe0_b0_4b, 0x5a_94_e0, 0xb4_7f_d1, 0x4f_b9_c4, 0xd3_d9_e0,
    0x5b_66_72, 0xff_6b_68, 0x8a_d4_8c, 0xf2_cc_70, 0x82_b3_f2, 0xcf_a3_e8, 0x7a_d7_e0, 0xff_ff_ff,
];

/// How a run of cells looks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    fg: u32,
    bg: u32,
    bold: bool,
    underline: bool,
}

/// A character that only fonts could draw, though it has to fit its cell exactly.
#[derive(Debug)]
pub struct NoShape(char);

impl std::fmt::Display for NoShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no shape for {:?} (U+{:04X}); add it to glyphs.rs", self.0, self.0 as u32)
    }
}

impl std::error::Error for NoShape {}

/// The screen; `title` says what is to be seen.
pub fn draw(screen: &Screen, title: &str) -> Result<String, NoShape> {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let w = f32::from(columns) * CELL.0 + 2.0 * MARGIN;
    let h = f32::from(rows) * CELL.1 + 2.0 * MARGIN;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         font-family=\"{FONTS}\" font-size=\"{FONT_SIZE}\">\n<title>{}</title>\n\
         <rect width=\"{w}\" height=\"{h}\" rx=\"8\" fill=\"{}\"/>",
        escaped(title),
        hex(BACKGROUND)
    );
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {MARGIN})\">");
    let mut paths = Paths::default();
    let mut text = String::new();
    for y in 0..rows {
        row(screen, y, columns, &mut paths, &mut text)?;
    }
    paths.write(&mut out);
    out.push_str(&text);
    out.push_str("</g>\n</svg>\n");
    Ok(out)
}

/// Shapes of one colour are one path.
#[derive(Default)]
struct Paths {
    backgrounds: BTreeMap<u32, String>,
    fills: BTreeMap<u32, String>,
    /// By colour and tenths of a pixel.
    lines: BTreeMap<(u32, u32), String>,
}

impl Paths {
    fn add(&mut self, colour: u32, shape: Shape) {
        match shape {
            Shape::Fill(path) => self.fills.entry(colour).or_default().push_str(&path),
            Shape::Line(path, width) => {
                self.lines.entry((colour, (width * 10.0) as u32)).or_default().push_str(&path);
            }
        }
    }

    fn write(&self, out: &mut String) {
        for (colour, path) in self.backgrounds.iter().chain(&self.fills) {
            let _ = writeln!(out, "<path fill=\"{}\" d=\"{path}\"/>", hex(*colour));
        }
        for ((colour, width), path) in &self.lines {
            let (colour, width) = (hex(*colour), *width as f32 / 10.0);
            let _ = writeln!(
                out,
                "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" d=\"{path}\"/>"
            );
        }
    }
}

/// One row: backgrounds and shapes into paths, the rest into text, one element for each run of one
/// look. Two spaces also end a run, so that fonts of another width do not add up their difference.
fn row(screen: &Screen, y: u16, columns: u16, paths: &mut Paths, text: &mut String) -> Result<(), NoShape> {
    let mut run = Run::default();
    let mut x = 0;
    while x < columns {
        let Some(cell) = screen.cell(y, x) else { break };
        let look = look(cell);
        let (px, py) = (f32::from(x) * CELL.0, f32::from(y) * CELL.1);
        let same = |c: &Cell| character(c) == character(cell) && self::look(c) == look;
        let n = (x..columns).take_while(|i| screen.cell(y, *i).is_some_and(same)).count() as u16;
        if look.bg != BACKGROUND {
            let path = paths.backgrounds.entry(look.bg).or_default();
            let _ =
                write!(path, "M{px} {py}h{}v{}h-{}z", f32::from(n) * CELL.0, CELL.1, f32::from(n) * CELL.0);
        }
        let c = character(cell).chars().next().unwrap_or(' ');
        if let Some(shapes) = shapes(c, n, px, py) {
            run.end(text, y);
            shapes.into_iter().for_each(|s| paths.add(look.fg, s));
        } else if is_drawing(c) {
            return Err(NoShape(c));
        } else if c == ' ' && !look.underline {
            if n == 1 && run.look == Some(look) { run.text.push(' ') } else { run.end(text, y) }
        } else {
            for i in 0..n {
                run.put(text, y, x + i, look, character(cell));
                if cell.is_wide() {
                    run.end(text, y);
                }
            }
        }
        x += n;
    }
    run.end(text, y);
    Ok(())
}

/// Text of one look that is not written yet.
#[derive(Default)]
struct Run {
    look: Option<Look>,
    from: u16,
    text: String,
}

impl Run {
    fn put(&mut self, out: &mut String, y: u16, x: u16, look: Look, cell: &str) {
        if self.look != Some(look) {
            self.end(out, y);
            (self.look, self.from) = (Some(look), x);
        }
        self.text.push_str(cell);
    }

    fn end(&mut self, out: &mut String, y: u16) {
        let (text, look) = (std::mem::take(&mut self.text), self.look.take());
        let (text, Some(look)) = (text.trim_end(), look) else { return };
        let (x, y) = (f32::from(self.from) * CELL.0, f32::from(y) * CELL.1 + BASELINE);
        let bold = if look.bold { " font-weight=\"bold\"" } else { "" };
        let underline = if look.underline { " text-decoration=\"underline\"" } else { "" };
        let length = text.chars().count() as f32 * CELL.0;
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{y}\" fill=\"{}\" textLength=\"{length}\"{bold}{underline}>{}</text>",
            hex(look.fg),
            escaped(text)
        );
    }
}

/// What is in a cell: one that was never written is blank.
fn character(cell: &Cell) -> &str {
    if cell.has_contents() { cell.contents() } else { " " }
}

fn look(cell: &Cell) -> Look {
    let mut fg = colour(cell.fgcolor(), FOREGROUND);
    let mut bg = colour(cell.bgcolor(), BACKGROUND);
    if cell.dim() {
        fg = between(fg, bg, 0.58);
    }
    if cell.inverse() {
        std::mem::swap(&mut fg, &mut bg);
    }
    Look { fg, bg, bold: cell.bold(), underline: cell.underline() }
}

fn colour(c: Color, default: u32) -> u32 {
    match c {
        Color::Default => default,
        Color::Rgb(r, g, b) => u32::from_be_bytes([0, r, g, b]),
        Color::Idx(i @ 0..16) => PALETTE[usize::from(i)],
        // The cube of 6 × 6 × 6, then greys.
        Color::Idx(i @ 16..232) => {
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let i = i - 16;
            u32::from_be_bytes([0, level(i / 36), level(i / 6 % 6), level(i % 6)])
        }
        Color::Idx(i) => u32::from(8 + 10 * (i - 232)) * 0x01_01_01,
    }
}

/// A colour between two, `part` of the first.
fn between(a: u32, b: u32, part: f32) -> u32 {
    let mix = |a: u8, b: u8| (f32::from(a) * part + f32::from(b) * (1.0 - part)) as u8;
    let (a, b) = (a.to_be_bytes(), b.to_be_bytes());
    u32::from_be_bytes([0, mix(a[1], b[1]), mix(a[2], b[2]), mix(a[3], b[3])])
}

fn hex(colour: u32) -> String {
    format!("#{colour:06x}")
}

/// As XML text: what is markup is escaped, what may not be in XML is replaced.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
        out
    })
}
