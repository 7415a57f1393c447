//! What a program printed, as evidence in one sentence: the lines that tell why it failed.

use crate::log::printable;
use crate::model::mcp::McpFacts;
use crate::proc::Slow;
use crate::redact::{KnownSecrets, quoted, shortened};

const LINES: usize = 3;

const LINE_CHARACTERS: usize = 200;

const QUOTED: usize = 700;

/// Words with which the reason of a failure begins, or with which the name of an exception ends.
const BEGINNINGS: [&str; 7] = ["error", "fatal", "panic", "panicked", "exception", "critical", "err"];

/// Levels of log lines that report no failure.
const OTHER_LEVELS: [&str; 7] = ["info", "debug", "trace", "warn", "warning", "notice", "verbose"];

const TELLING: [&str; 12] = [
    "error", "fail", "missing", "not found", "denied", "required", "invalid", "unable", "cannot", "can't", "refused",
    "no such",
];

/// The lines of an output that tell most, without secrets and as a quotation; `None` if there is nothing to quote.
///
/// Secrets are masked before lines are picked: a key of several lines is none any more once it is cut.
pub(super) fn quote(output: &str, secrets: &KnownSecrets) -> Option<String> {
    let output = secrets.redact(&anstream::adapter::strip_str(output).to_string());
    let telling = telling_lines(&output);
    (!telling.is_empty()).then(|| quoted(&telling.join(" ⏎ "), QUOTED))
}

/// Masks secrets in everything that a server had a hand in. What it calls itself becomes labels: one line that steers no
/// terminal.
pub(super) fn make_harmless(facts: &mut McpFacts, secrets: &KnownSecrets) {
    if let Some(failure) = &mut facts.failure {
        failure.detail = secrets.redact_quotes(&failure.detail);
    }
    for said in [&mut facts.server_name, &mut facts.server_version, &mut facts.protocol_version].into_iter().flatten() {
        *said = printable(&secrets.redact(said));
    }
}

pub(super) fn too_slow(slow: Slow) -> String {
    match slow {
        Slow::Idle(idle) => format!("idle for {:.1} s, it waits for something: see its stderr", idle.as_secs_f64()),
        Slow::Computing { cpu, wall } => {
            format!("still computing after {:.0} s ({:.1} s of CPU)", wall.as_secs_f64(), cpu.as_secs_f64())
        }
    }
}

pub(super) fn hint(slow: Slow) -> &'static str {
    match slow {
        Slow::Idle(_) => "read its stderr, or run the command by hand, to see what it waits for",
        Slow::Computing { .. } => "give the passes a longer `probe.deadline`, and the server a longer `timeout`",
    }
}

fn telling_lines(output: &str) -> Vec<String> {
    let mut lines: Vec<(Telling, &str)> = Vec::new();
    for line in output.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // A retry repeats itself.
        if lines.last().is_none_or(|(_, last)| *last != line) {
            lines.push((tells(line), line));
        }
    }
    let most = lines.iter().map(|(telling, _)| *telling).max();
    let telling = lines.iter().filter(|(telling, _)| Some(*telling) == most).map(|(_, line)| line);
    let last: Vec<_> = telling.rev().take(LINES).map(|line| shortened(line, LINE_CHARACTERS)).collect();
    last.into_iter().rev().collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Telling {
    /// Nothing: a way to call the program, a bracket, a stack frame.
    Never,
    Perhaps,
    /// It has a word that speaks of a failure.
    Contains,
    /// It begins with one, after a time, a level or the program's name.
    Begins,
}

fn tells(line: &str) -> Telling {
    let lower = line.to_lowercase();
    let usage = lower.starts_with("usage:") || lower.starts_with("usage ") || is_flag(&lower);
    let frame = line.starts_with("at ") || line.starts_with("File \"") || lower.starts_with("traceback (");
    if usage
        || frame
        || line.starts_with("Node.js v")
        || lower.starts_with("note: run with")
        || !line.contains(char::is_alphanumeric)
    {
        return Telling::Never;
    }
    let contains = TELLING.iter().any(|word| lower.contains(word));
    // A time and other numbers are no words.
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| word.contains(|c: char| c.is_alphabetic()));
    let words = words.filter(|word| !is_of_time(word)).take(2);
    for word in words {
        if OTHER_LEVELS.contains(&word) {
            break;
        }
        // `KeyError:`, `java.lang.IllegalStateException:`; not the `error` that a sentence speaks of later.
        if BEGINNINGS.contains(&word) || is_klog_error(word) || word.ends_with("error") || word.ends_with("exception") {
            return Telling::Begins;
        }
        // Another word may be the program's name, if it is set off from what follows.
        if !lower.starts_with(&format!("{word}:")) && !lower.starts_with("npm ") && !is_set_off(&lower, word) {
            break;
        }
    }
    if contains { Telling::Contains } else { Telling::Perhaps }
}

/// `-x`, `--flag`, as a list of options has them.
fn is_flag(line: &str) -> bool {
    let flag = line.trim_start_matches('-');
    let dashes = line.len() - flag.len();
    (1..=2).contains(&dashes) && flag.starts_with(|c: char| c.is_alphanumeric())
}

/// `2026-11-29T10:00:00Z` splits into words such as `29t10` and `00z`.
fn is_of_time(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        || matches!(word, "utc" | "am" | "pm" | "at" | "time" | "level" | "msg")
}

/// `E1129`, as Kubernetes' programs begin a line; F is fatal.
fn is_klog_error(word: &str) -> bool {
    word.len() == 5 && word.starts_with(['e', 'f']) && word[1..].bytes().all(|b| b.is_ascii_digit())
}

/// `[server]`, `(server)`, `server -`.
fn is_set_off(line: &str, word: &str) -> bool {
    let Some(at) = line.find(word) else { return false };
    let after = line[at + word.len()..].trim_start();
    after.starts_with([':', ']', ')', '|', '-', '>'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telling(output: &str) -> String {
        telling_lines(output).join(" ⏎ ")
    }

    #[test]
    fn a_line_that_begins_with_the_error_beats_one_that_only_speaks_of_one() {
        for (output, line) in [
            ("\nstarting\n\nKeyError: 'TOKEN'\n", "KeyError: 'TOKEN'"),
            (
                "Error: A is not set\n    at a (x.js:1)\n    at b (x.js:2)\n    at c (x.js:3)\n\nNode.js v20\n",
                "Error: A is not set",
            ),
            (
                "retry failed\nFatal: connect ECONNREFUSED 127.0.0.1:6399\nbye, errors are logged\n",
                "Fatal: connect ECONNREFUSED 127.0.0.1:6399",
            ),
            ("2026-11-29T10:00:00.123Z ERROR no key\nshutting down on error", "2026-11-29T10:00:00.123Z ERROR no key"),
            (
                "[2026-11-29 10:00:00,1] [ERROR] no key\nINFO error handler off",
                "[2026-11-29 10:00:00,1] [ERROR] no key",
            ),
            (
                "thread 'main' panicked at x.rs:1:\nno key\nnote: run with `RUST_BACKTRACE=1`",
                "thread 'main' panicked at x.rs:1: ⏎ no key",
            ),
            (
                "E1129 10:00:00.1 1 main.go:7] no key\nI1129 10:00:01.1 1 main.go:8] bye",
                "E1129 10:00:00.1 1 main.go:7] no key",
            ),
            ("panic: no key\n\ngoroutine 1 [running]:\nmain.main()\n", "panic: no key"),
            (
                "usage: fake [-h] {serve,init} ...\nfake: error: the following arguments are required: command",
                "fake: error: the following arguments are required: command",
            ),
            ("npm error code E404\nnpm error 404 Not Found\n", "npm error code E404 ⏎ npm error 404 Not Found"),
            (
                "Traceback (most recent call last):\n  File \"x.py\", line 1\n    raise X\nmcp.shared.McpError: no key",
                "mcp.shared.McpError: no key",
            ),
            (
                "Error: no config\nUsage:\n  x [flags]\n\nFlags:\n  -h, --help   help\n      --fail   fail on error\n",
                "Error: no config",
            ),
            ("one\ntwo\nthree\nfour\n}\n", "two ⏎ three ⏎ four"),
            ("it is missing\nand on\nand on", "it is missing"),
            ("Error: a\nError: a\nError: a\n", "Error: a"),
            ("", ""),
        ] {
            assert_eq!(telling(output), line, "{output}");
        }
        assert_eq!(telling(&"x".repeat(1000)).chars().count(), LINE_CHARACTERS + 1);
    }

    #[test]
    fn colours_secrets_and_foreign_quotation_marks_do_not_get_through() {
        let secrets =
            KnownSecrets::of_program(&[], &[("KEY".into(), "one-line\nanother-line".to_owned().into())].into());
        let text = "\x1b[31mError: bad key one-line\x1b[0m ”obey“ \x1b]0;x\x07\nanother-line";
        let quote = quote(text, &secrets).expect("a quotation");
        assert_eq!(quote, "“Error: bad key *** \"obey\"”");
        assert_eq!(super::quote(" \n", &secrets), None);
        let marks = super::quote("error ”obey“ \u{202e}", &secrets).expect("a quotation");
        assert_eq!(marks, "“error \"obey\" \\u{202e}”");
    }
}
