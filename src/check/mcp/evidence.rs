//! What a program printed, as evidence in one sentence: the lines that tell why, without secrets.

use std::collections::BTreeMap;

use super::wire::shortened;
use crate::log;
use crate::model::reason::Failure;
use crate::model::secret::{Secret, redact};
use crate::proc::Slow;

/// Last lines that are quoted.
const LAST_LINES: usize = 3;

/// Characters of a quoted line.
const LINE_CHARACTERS: usize = 200;

/// Characters of a whole sentence.
const DETAIL_CHARACTERS: usize = 1_000;

/// Words by which a line is recognised as the reason of a failure.
const TELLING: [&str; 12] = [
    "error",
    "fail",
    "missing",
    "not found",
    "denied",
    "required",
    "invalid",
    "unable",
    "cannot",
    "can't",
    "refused",
    "no such",
];

/// Variables whose values are no secrets and are worth seeing.
const PLAIN_VARIABLES: [&str; 9] = ["HOME", "LANG", "LC_ALL", "LOGNAME", "NODE_ENV", "PATH", "SHELL", "TERM", "USER"];

/// The lines of an output that tell most: the last few, and before them the last one that speaks of an error if none
/// of the few does (a stack trace follows its reason in some languages and precedes it in others).
pub(super) fn telling_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
    let (before, last) = lines.split_at(lines.len().saturating_sub(LAST_LINES));
    let reason = (!last.iter().any(|line| is_telling(line))).then(|| before.iter().rfind(|line| is_telling(line)));
    let quoted = reason.flatten().into_iter().chain(last).map(|line| shortened(line.trim(), LINE_CHARACTERS));
    quoted.collect::<Vec<_>>().join(" ⏎ ")
}

fn is_telling(line: &str) -> bool {
    let line = line.trim_start();
    // "at f (file.js:1)", `File "x.py", line 1`: where, not why.
    if line.starts_with("at ") || line.starts_with("File \"") {
        return false;
    }
    let line = line.to_lowercase();
    TELLING.iter().any(|word| line.contains(word))
}

/// What a program was doing that was too slow.
pub(super) fn too_slow(slow: Slow) -> String {
    match slow {
        Slow::Idle(idle) => format!("idle for {:.1} s, it waits for something: see its stderr", idle.as_secs_f64()),
        Slow::Computing { cpu, wall } => {
            format!("still computing after {:.0} s ({:.1} s of CPU)", wall.as_secs_f64(), cpu.as_secs_f64())
        }
    }
}

/// What may not be quoted: the values of variables and the arguments, apart from what plainly is none.
pub(super) fn secrets(args: &[Secret], env: &BTreeMap<String, Secret>) -> Vec<Secret> {
    let values = env.iter().filter(|(name, _)| !PLAIN_VARIABLES.contains(&name.as_str())).map(|(_, value)| value);
    let args = args.iter().filter(|arg| !is_plain_argument(arg.expose()));
    // `--token=…` and `TOKEN=…`: the value alone is quoted more often than the whole argument.
    let after_equals = args.clone().filter_map(|arg| arg.expose().split_once('=')).map(|(_, value)| Secret::new(value));
    values.chain(args).cloned().chain(after_equals.clone()).collect()
}

/// A flag without a value, a path, a scoped npm package: without these the evidence would be unreadable.
fn is_plain_argument(arg: &str) -> bool {
    let flag = arg.starts_with('-') && arg.len() <= 40 && arg.chars().all(|c| c == '-' || c.is_ascii_lowercase());
    let path = ["/", "./", "../", "~/", "@"].iter().any(|start| arg.starts_with(start)) && !arg.contains("://");
    flag || path
}

/// The failure fit to be shown: no secret, one line, of bounded length.
pub(super) fn presentable(failure: Failure, secrets: &[Secret]) -> Failure {
    let clean = |text: &str| shortened(&log::printable(&redact(text, secrets)), DETAIL_CHARACTERS);
    Failure { reason: failure.reason, detail: clean(&failure.detail), hint: failure.hint.as_deref().map(clean) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reason::Reason;

    #[test]
    fn the_reason_is_quoted_wherever_it_stands() {
        assert_eq!(telling_lines("\nstarting\n\nKeyError: 'TOKEN'\n"), "starting ⏎ KeyError: 'TOKEN'");
        let node = "Error: TOKEN is not set\n    at a (x.js:1)\n    at b (x.js:2)\n    at c (x.js:3)\n\nNode.js v20\n";
        let quoted = telling_lines(node);
        assert!(quoted.starts_with("Error: TOKEN is not set ⏎ at b"), "{quoted}");
        assert_eq!(telling_lines(""), "");
        assert_eq!(telling_lines(&"x".repeat(1000)).chars().count(), LINE_CHARACTERS + 1);
    }

    #[test]
    fn secrets_are_taken_out_and_paths_and_flags_stay() {
        let args = ["--key=s3cr3t-1", "s3cr3t-2", "/srv/data", "--stdio", "@scope/package"].map(Secret::new);
        let env = BTreeMap::from([
            ("TOKEN".to_owned(), Secret::new("s3cr3t-3")),
            ("PATH".to_owned(), Secret::new("/usr/bin")),
        ]);
        let text = "s3cr3t-1 s3cr3t-2 s3cr3t-3 /srv/data --stdio @scope/package /usr/bin\x1b[2J";
        let failure = presentable(Failure::new(Reason::Exited, text), &secrets(&args, &env));
        assert_eq!(failure.detail, "*** *** *** /srv/data --stdio @scope/package /usr/bin\\u{1b}[2J");
    }
}
