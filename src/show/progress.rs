//! One live line on standard error while a pass runs on a terminal: how many are done, and who is still awaited.

use std::io::{IsTerminal, Write};

use super::style::fit;
use crate::log::printable;

/// Drawn over itself; wiped when it is dropped, which is before anything else is printed.
#[derive(Debug)]
pub struct ProgressLine {
    names: Vec<String>,
    running: Vec<usize>,
    done: usize,
    frame: usize,
}

/// Enough to be seen to turn; one column each.
const FRAMES: &[char] = &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

impl ProgressLine {
    /// A line over these targets, or none where standard error is no terminal or has no cursor to move.
    pub fn for_terminal(names: Vec<String>) -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        (std::io::stderr().is_terminal() && !dumb).then(|| ProgressLine {
            names,
            running: Vec::new(),
            done: 0,
            frame: 0,
        })
    }

    pub fn started(&mut self, index: usize) {
        self.running.push(index);
        self.draw();
    }

    pub fn ended(&mut self, index: usize) {
        self.running.retain(|&running| running != index);
        self.done += 1;
        self.draw();
    }

    pub fn draw(&mut self) {
        self.frame += 1;
        let awaited: Vec<&str> = self.running.iter().filter_map(|&i| self.names.get(i).map(String::as_str)).collect();
        let text = format!(
            "{} {}/{} checked; waiting for {}",
            FRAMES[self.frame % FRAMES.len()],
            self.done,
            self.names.len(),
            printable(&awaited.join(", "))
        );
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
