//! Colour and width: what a terminal can show, decided once.

use std::io::IsTerminal;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub color: bool,
    /// Columns to fit into; `None` where lines may be as long as they are (a pipe, a file).
    pub width: Option<usize>,
}

/// The few colours used, each with one meaning everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Up, passing, complete.
    Good,
    /// Wants a look.
    Odd,
    /// Down, failing, blocked.
    Bad,
    /// Less important than the rest of its line.
    Faint,
    /// A heading.
    Strong,
}

impl Style {
    /// Plain text of any length.
    pub const PLAIN: Style = Style { color: false, width: None };

    /// What fits standard output. `wanted` is an explicit yes or no; otherwise a terminal without `NO_COLOR`
    /// (no-color.org: set and not empty) is coloured.
    pub fn of_stdout(wanted: Option<bool>) -> Style {
        let terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Style { color: wanted.unwrap_or(terminal && !no_color && !dumb), width: terminal.then(terminal_width) }
    }

    pub fn paint(&self, ink: Ink, text: &str) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Good => "32",
            Ink::Odd => "33",
            Ink::Bad => "1;31",
            Ink::Faint => "2",
            Ink::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// The widest that text is set, on a terminal however wide: longer lines are hard to read.
const WIDEST: usize = 140;

/// Columns to fit into: the terminal's on standard output, then `COLUMNS`, then 80; 140 at most.
fn terminal_width() -> usize {
    let asked = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    asked.filter(|&columns| columns > 0).or_else(told).unwrap_or(80).clamp(40, WIDEST)
}

/// `text` cut to `width` columns, with an ellipsis where something was cut.
pub fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// `text` filled up with spaces to `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_padded_by_columns_not_by_bytes() {
        assert_eq!(fit("filesystem", 10), "filesystem");
        assert_eq!(fit("filesystem", 6), "files…");
        assert_eq!(fit("日本語の名前", 7), "日本語…");
        assert_eq!(pad("日本", 6), "日本  ");
    }
}
