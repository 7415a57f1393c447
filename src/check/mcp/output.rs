//! What a program printed, as evidence in one sentence: the lines that tell why it failed.

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::log::printable;
use crate::model::mcp::McpFacts;
use crate::proc::Slow;
use crate::redact::{KnownSecrets, quoted, shortened};

const LINES: usize = 3;

const LINE_CHARACTERS: usize = 200;

const QUOTED: usize = 700;

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
    let mut lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // A retry repeats itself.
    lines.dedup();
    let most = lines.iter().map(|line| tells(line)).max();
    lines.retain(|line| Some(tells(line)) == most);
    let last = &lines[lines.len().saturating_sub(LINES)..];
    last.iter().map(|line| shortened(line, LINE_CHARACTERS)).collect()
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
    /// A time, other numbers, and what log lines call their parts.
    const SKIPPED: &str = r"(?:[^[:alnum:]]+|(?:[0-9][[:alnum:]]*|utc|am|pm|at|time|level|msg)\b)*";
    /// The program's name: a word that is set off from the rest (`server:`, `[server]`, `server -`).
    const NAME: &str = r"(?:npm |[[:alnum:]]+\s*[:\])|>-])?";
    /// A word for a failure, an exception (`KeyError`) or, as Kubernetes' programs begin a line, `E1129`; F is fatal.
    const FAILURE: &str = "(?:[[:alnum:]]*(?:error|exception)|fatal|panic|panicked|critical|err|[ef][0-9]{4})";
    const OTHER_LEVEL: &str = "(?:info|debug|trace|warn|warning|notice|verbose)";
    #[expect(clippy::expect_used, reason = "the patterns are constants, and a test uses each")]
    static PATTERNS: LazyLock<[Regex; 4]> = LazyLock::new(|| {
        let never = r#"^(?:at |File "|Node\.js v|(?i:usage[: ]|--?[[:alnum:]]|traceback \(|note: run with))"#;
        let begins = format!(r"(?i)^{SKIPPED}{NAME}{SKIPPED}{FAILURE}(?:[^[:alnum:]]|$)");
        let reports = format!(r"(?i)^{SKIPPED}{OTHER_LEVEL}(?:[^[:alnum:]]|$)");
        let contains = "(?i)error|fail|missing|not found|denied|required|invalid|unable|cannot|can't|refused|no such";
        [never, &begins, &reports, contains].map(|pattern| Regex::new(pattern).expect("a regular expression"))
    });
    let [never, begins, reports, contains] = &*PATTERNS;
    if never.is_match(line) || !line.contains(char::is_alphanumeric) {
        Telling::Never
    } else if begins.is_match(line) && !reports.is_match(line) {
        Telling::Begins
    } else if contains.is_match(line) {
        Telling::Contains
    } else {
        Telling::Perhaps
    }
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
        let secrets = KnownSecrets::of_program(
            &[],
            &[("KEY".into(), crate::redact::Secret::new("one-line\nanother-line"))].into(),
        );
        let text = "\x1b[31mError: bad key one-line\x1b[0m ”obey“ \x1b]0;x\x07\nanother-line";
        let quote = quote(text, &secrets).expect("a quotation");
        assert_eq!(quote, "“Error: bad key *** \"obey\"”");
        assert_eq!(super::quote(" \n", &secrets), None);
        let marks = super::quote("error ”obey“ \u{202e}", &secrets).expect("a quotation");
        assert_eq!(marks, "“error \"obey\" \\u{202e}”");
    }
}
