//! Lines for people and journald on standard error. Standard output belongs to what was asked for.
//!
//! Under systemd (`JOURNAL_STREAM` set) every line carries its priority as `<N>`, see sd-daemon(3).

use std::io::Write;
use std::sync::{LazyLock, OnceLock};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Priority {
    /// 3: something asked for was not done.
    Error = 3,
    /// 4: something is wrong that did not stop the work.
    Warning = 4,
    /// 5: what a pass says about itself where its unit asks for it, see [`pass`].
    Notice = 5,
    Info = 6,
    Debug = 7,
}

/// The least important priority that is shown.
static LEAST: OnceLock<Priority> = OnceLock::new();

static JOURNAL: LazyLock<bool> = LazyLock::new(|| std::env::var_os("JOURNAL_STREAM").is_some());

/// Sets once, at start, what is shown: `-q` errors only, `-v` all, else all but what helps to debug.
pub fn init(verbose: bool, quiet: bool) {
    let _ = LEAST.set(match (quiet, verbose) {
        (true, _) => Priority::Error,
        (_, true) => Priority::Debug,
        _ => Priority::Info,
    });
}

/// Writes one line. Line breaks and control characters inside are made harmless first: foreign text reaches here. The
/// journal shows a line's priority in its own way, and needs no label.
fn write(priority: Priority, label: &str, message: &str) {
    if priority > *LEAST.get().unwrap_or(&Priority::Info) {
        return;
    }
    let prefix = if to_journal() { format!("<{}>", priority as u8) } else { label.to_owned() };
    // Nothing sensible can be done when standard error is gone.
    let _ = writeln!(std::io::stderr(), "{prefix}{}", printable(message));
}

/// Whether the lines go to the journal, where what is said every 30 seconds is noise.
pub fn to_journal() -> bool {
    *JOURNAL
}

pub fn error(message: impl AsRef<str>) {
    write(Priority::Error, "error: ", message.as_ref());
}

/// What to do about the errors just said: it goes where they go, marked in the journal too.
pub fn hint(message: impl AsRef<str>) {
    write(Priority::Error, "", &format!("hint: {}", message.as_ref()));
}

pub fn warn(message: impl AsRef<str>) {
    write(Priority::Warning, "warning: ", message.as_ref());
}

pub fn info(message: impl AsRef<str>) {
    write(Priority::Info, "", message.as_ref());
}

/// The one line of a pass: info, or notice with `LAB_PROBE_PASS_PRIORITY=notice`. systemd filters its own lines about a
/// unit by the same `LogLevelMax=` as the unit's; one step up, ours stays and those at every tick, all info, go.
pub fn pass(message: impl AsRef<str>) {
    let raised = std::env::var_os("LAB_PROBE_PASS_PRIORITY").is_some_and(|priority| priority == "notice");
    write(if raised { Priority::Notice } else { Priority::Info }, "", message.as_ref());
}

pub fn debug(message: impl AsRef<str>) {
    write(Priority::Debug, "", message.as_ref());
}

/// `text` on one line with control characters shown as `\u{..}`, so that no foreign text can move a terminal's
/// cursor, forge a journal priority or start a line of its own.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' | '\r' => out.push_str(" ⏎ "),
            '\t' => out.push(' '),
            c if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Characters that reorder what a reader sees, or that nobody sees: direction marks, zero-width characters, soft
/// hyphens, line and paragraph separators, tags.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_on_one_line_and_cannot_steer_a_terminal() {
        assert_eq!(printable("e\u{301}\u{200b}\u{feff}\u{2028}x"), "e\u{301}\\u{200b}\\u{feff}\\u{2028}x");
        assert_eq!(printable("a\n<0>b\x1b[2Jc\u{202e}d\n"), "a ⏎ <0>b\\u{1b}[2Jc\\u{202e}d");
    }
}
