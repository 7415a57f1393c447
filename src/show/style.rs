//! Colour and width: what a terminal can show, decided once.

use std::io::IsTerminal;

use clap::ColorChoice;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub color: bool,
    /// Columns to fit into; `None` where lines may be as long as they are (a pipe, a file).
    pub width: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Up, passing, complete.
    Good,
    /// Wants attention.
    Attention,
    /// Down, failing, blocked.
    Bad,
    /// Less important than the rest of its line.
    Faint,
    Strong,
}

impl Ink {
    /// The attributes of ECMA-48's SGR. Colours are of the fixed part of the 256: the first sixteen are a theme's, whose
    /// yellow on white, or grey on black, mostly cannot be read.
    fn code(self) -> &'static str {
        match self {
            Ink::Good => "38;5;28",
            Ink::Attention => "38;5;100",
            Ink::Bad => "1;38;5;196",
            Ink::Faint => "38;5;102",
            Ink::Strong => "1",
        }
    }
}

impl Style {
    /// Plain text of any length.
    pub const PLAIN: Style = Style { color: false, width: None };

    /// What fits standard output: by itself a terminal without `NO_COLOR` (no-color.org: set and not empty) is coloured.
    pub fn of_stdout(choice: ColorChoice) -> Style {
        let terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let shows_color = terminal && !no_color && !dumb;
        let color = choice == ColorChoice::Always || choice == ColorChoice::Auto && shows_color;
        Style { color, width: terminal.then(terminal_width) }
    }

    pub fn paint(&self, ink: Ink, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{}m{text}\x1b[0m", ink.code())
    }
}

/// The widest that text is set, on a terminal however wide: longer lines are hard to read.
const WIDEST: usize = 140;

/// Columns to fit into: the terminal's on standard output, then `COLUMNS`, then 80; 140 at most.
fn terminal_width() -> usize {
    let terminal = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let variable = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.filter(|&columns| columns > 0).or_else(variable).unwrap_or(80).clamp(40, WIDEST)
}

/// `text` cut to `width` columns, with an ellipsis where something was cut.
pub fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    // One for the ellipsis.
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= width
    };
    text.chars().take_while(fits).collect::<String>() + "…"
}

/// `text` filled up with spaces to `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of one of the 6 × 6 × 6 colours (WCAG 2.2, the same definition as for contrast ratios).
    fn luminance(number: u8) -> f64 {
        let cube = number - 16;
        let channels = [cube / 36, cube / 6 % 6, cube % 6]
            .map(|level| if level == 0 { 0.0 } else { 55.0 + 40.0 * f64::from(level) });
        let linear =
            channels.map(|value| if value == 0.0 { 0.0 } else { ((value / 255.0 + 0.055) / 1.055_f64).powf(2.4) });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn colours_read_on_light_and_on_dark() {
        for ink in [Ink::Good, Ink::Attention, Ink::Bad, Ink::Faint] {
            let number = ink.code().rsplit(';').next().and_then(|number| number.parse().ok()).expect("a colour");
            let on_white = 1.05 / (luminance(number) + 0.05);
            // #1e1e1e, as dark themes have it.
            let on_dark = (luminance(number) + 0.05) / (0.013 + 0.05);
            assert!(on_white > 3.0 && on_dark > 3.0, "{ink:?}: {on_white:.1} on white, {on_dark:.1} on dark");
        }
    }

    #[test]
    fn text_is_cut_and_padded_by_columns_not_by_bytes() {
        assert_eq!(fit("filesystem", 10), "filesystem");
        assert_eq!(fit("filesystem", 6), "files…");
        assert_eq!(fit("日本語の名前", 7), "日本語…");
        assert_eq!(pad("日本", 6), "日本  ");
    }
}
