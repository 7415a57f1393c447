//! What is wrong with a configuration, where, and what would be right; all of it at once, in the order of the file.

use std::borrow::Borrow;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::log::printable;

/// Problems shown of one file; a file that is no configuration at all could have one a line.
const SHOWN: usize = 100;

/// A position in a file, counted from one; columns are characters, not bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` when it is the file as a whole.
    pub position: Option<Position>,
    pub message: String,
}

/// A configuration that cannot be used: every problem found in it. Ends a command with exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines().collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    pub path: PathBuf,
    /// What is wrong, in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(crate) fn whole(path: &Path, message: impl Into<String>) -> Self {
        ConfigError { path: path.to_owned(), problems: vec![Problem { position: None, message: message.into() }] }
    }

    /// One line for each problem, `file:line:column: …`, and one more if there are too many to show.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let more = self.problems.len().saturating_sub(SHOWN);
        let shown = self.problems.iter().take(SHOWN).map(|problem| match problem.position {
            Some(Position { line, column }) => self.line(format_args!(":{line}:{column}: {}", problem.message)),
            None => self.line(format_args!(": {}", problem.message)),
        });
        shown.chain((more > 0).then(|| self.line(format_args!(": … and {more} more problems"))))
    }

    pub fn next(&self) -> &'static str {
        if self.path.as_os_str().as_encoded_bytes().starts_with(b"--") {
            "correct the option; `lab-probe --help` shows what it takes"
        } else if self.path.is_file() {
            "correct the file; `lab-probe config check` says when it is right"
        } else {
            "name another file with --config, or write one with `lab-probe config init FILE`"
        }
    }

    fn line(&self, rest: fmt::Arguments<'_>) -> String {
        printable(&format!("{}{rest}", self.path.display()))
    }
}

#[derive(Debug)]
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    /// The position of a byte offset; past the end it is the one after the last character.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let offset = (0..=offset).rev().find(|&at| self.text.is_char_boundary(at)).unwrap_or(0);
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self.starts[line - 1];
        // A byte order mark is no character that an editor counts.
        let before = self.text[start..offset].trim_start_matches('\u{feff}');
        Position { line, column: before.chars().count() + 1 }
    }
}

/// The candidate that somebody who wrote `written` most likely meant, if one is near enough to be worth naming.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this, the suggestion is more often noise than help ("ttl" for "url").
    const NEAR: f64 = 0.78;
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let written = plain(written);
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&written, &plain(candidate)), candidate))
        .filter(|(likeness, candidate)| *likeness >= NEAR || strsim::osa_distance(&written, &plain(candidate)) == 1)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

pub(crate) fn one_of<S: Borrow<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [only] => only.borrow().to_owned(),
        [front @ .., last] => format!("{} or {}", front.join(", "), last.borrow()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let lines = Lines::new("\u{feff}a = 1\r\nb = \"é\" x\n");
        assert_eq!(lines.position(3), Position { line: 1, column: 1 });
        let x = "\u{feff}a = 1\r\nb = \"é\" ".len();
        assert_eq!(lines.position(x), Position { line: 2, column: 9 });
        assert_eq!(lines.position(10_000), Position { line: 3, column: 1 });
        assert_eq!(Lines::new("").position(0), Position { line: 1, column: 1 });
    }

    #[test]
    fn a_slip_of_the_pen_is_told_and_a_different_word_is_not() {
        let keys = ["ttl", "retry_after", "timeout", "list_tools", "discover", "password_file"];
        for (written, meant) in [
            ("retry_afer", "retry_after"),
            ("retryAfter", "retry_after"),
            ("retry-after", "retry_after"),
            ("time_out", "timeout"),
            ("tll", "ttl"),
            ("TTL", "ttl"),
            ("tlt", "ttl"),
            ("list_tool", "list_tools"),
            ("password", "password_file"),
        ] {
            assert_eq!(nearest(written, keys), Some(meant), "{written}");
        }
        assert_eq!(nearest("colour", keys), None);
    }

    #[test]
    fn a_file_full_of_problems_shows_a_hundred_and_says_how_many_more() {
        let problem = Problem { position: Some(Position { line: 1, column: 2 }), message: "x\ny".into() };
        let error = ConfigError { path: "a.toml".into(), problems: vec![problem; 103] };
        let lines: Vec<String> = error.lines().collect();
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[0], "a.toml:1:2: x ⏎ y");
        assert_eq!(lines[100], "a.toml: … and 3 more problems");
    }
}
