//! One live line on standard error while a pass runs on a terminal: how many are done, and who is still awaited.

use std::io::{IsTerminal, Write};

use super::style::fit;
use crate::log::printable;

/// Drawn over itself; wiped when it is dropped, which is before anything else is printed.
#[derive(Debug)]
pub struct ProgressLine {
    names: Vec<String>,
    frame: usize,
}

/// Enough to be seen to turn; one column each.
const FRAMES: &[char] = &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

impl ProgressLine {
    /// A line over these targets, or none where standard error is no terminal or has no cursor to move.
    pub fn for_terminal(names: Vec<String>) -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        (std::io::stderr().is_terminal() && !dumb).then(|| ProgressLine { names, frame: 0 })
    }

    /// Shows how many are done, and which ones are awaited.
    pub fn draw(&mut self, running: &[usize], done: usize) {
        self.frame += 1;
        let awaited: Vec<&str> = running.iter().filter_map(|&i| self.names.get(i).map(String::as_str)).collect();
        let (frame, all) = (FRAMES[self.frame % FRAMES.len()], self.names.len());
        let text = format!("{frame} {done}/{all} checked; waiting for {}", printable(&awaited.join(", ")));
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r{}\x1b[K", fit(&text, 78));
        let _ = stderr.flush();
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}
