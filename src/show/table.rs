//! The table for people: trouble first, what to do beside it, everything on as few lines as the width allows.

use jiff::Timestamp;
use unicode_width::UnicodeWidthStr;

use super::style::{Ink, Style, fit, pad};
use super::unusual;
use crate::log::printable;
use crate::model::delivery::Delivery;
use crate::model::mcp::ServerProcesses;
use crate::model::observation::{Observation, Severity};
use crate::model::seconds::age;
use crate::model::snapshot::{Entry, Outcome, Snapshot};
use crate::model::target::Kind;
use crate::model::unusual::Unusual;
use crate::wording::{first_of, plural};

const MAX_NAME: usize = 32;

/// Lines that the evidence of one target may take.
const EVIDENCE_LINES: usize = 4;

/// Columns that the evidence of a target needs beside its name to be read with ease.
const READABLE: usize = 56;

/// Where the evidence begins that is under its name.
const STACKED_INDENT: usize = 6;

/// What a line with a thing to do begins with.
const ARROW: &str = "→ ";

/// What a line with an unusual value begins with.
const UNUSUAL: &str = "~ ";

/// Names in the line about what is found only from the current directory; the rest is a number.
const MOST_ONLY_HERE: usize = 5;

const NOTHING: &str = "\
Nothing to check: no MCP server, worktree, environment or service is known, or none of that kind.
`lab-probe config init` writes a starter configuration; `lab-probe list` shows where lab-probe looked.
";

struct Row {
    severity: Severity,
    word: String,
    name: String,
    summary: String,
    when: String,
    /// What is unusual and what to do, each with what its line begins with.
    below: Vec<(&'static str, String)>,
}

pub fn table(snapshot: &Snapshot, deliveries: &[Delivery], now: Timestamp, style: &Style) -> String {
    let mut out = String::new();
    for kind in kinds(snapshot) {
        let entries = snapshot.entries.iter().filter(|entry| entry.target.kind() == kind);
        let rows: Vec<Row> = entries.map(|entry| row(entry, snapshot.unusual.as_ref(), now)).collect();
        if !rows.is_empty() {
            section(&mut out, kind, rows, style);
        }
    }
    if snapshot.entries.is_empty() {
        out.push_str(NOTHING);
    }
    footer(&mut out, snapshot, deliveries, style);
    out
}

/// The sections in their order: trading that is in trouble goes before everything.
pub(super) fn kinds(snapshot: &Snapshot) -> Vec<Kind> {
    let in_trouble = |entry: &Entry| entry.target.kind() == Kind::Thunes && entry.severity() == Severity::Trouble;
    let mut kinds = Kind::ALL.to_vec();
    if snapshot.entries.iter().any(in_trouble) {
        kinds.sort_by_key(|kind| *kind != Kind::Thunes);
    }
    kinds
}

pub fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Mcp => "MCP servers",
        Kind::Worktree => "Worktrees",
        Kind::Thunes => "THUNES",
        Kind::Service => "Services",
    }
}

fn section(out: &mut String, kind: Kind, mut rows: Vec<Row>, style: &Style) {
    rows.sort_by(|a, b| (a.severity, &a.name).cmp(&(b.severity, &b.name)));
    let tally = tally(rows.iter().map(|row| row.word.as_str()));
    out.push_str(&format!("{}  {tally}\n", style.paint(Ink::Strong, heading(kind))));
    let widest = |column: fn(&Row) -> &str| rows.iter().map(|row| column(row).width()).max().unwrap_or(0);
    let (word, name, when) = (widest(|row| &row.word), widest(|row| &row.name).min(MAX_NAME), widest(|row| &row.when));
    // mark, word, name; then the summary and the time, all with two spaces between them
    let margin = 2 + 1 + 1 + word + 2 + name + 2;
    let room = style.width.map(|width| width.saturating_sub(margin + 2 + when).max(12));
    for row in &rows {
        let (mark, ink) = mark(row.severity);
        let (mark, word) = (style.paint(ink, mark), style.paint(ink, &pad(&row.word, word)));
        let start = format!("  {mark} {word}  {}", pad(&fit(&row.name, name), name));
        lay_out(out, row, &start, (margin, room), style);
    }
    out.push('\n');
}

/// A row's line, what is left of its evidence, and what to do about it, under the evidence. `room` is the columns of the
/// summary; `None` where lines may be as long as they are.
fn lay_out(out: &mut String, row: &Row, start: &str, (margin, room): (usize, Option<usize>), style: &Style) {
    let when = style.paint(Ink::Faint, &row.when);
    let is_fine = row.severity == Severity::Fine;
    // The evidence is what a person came for: where its column is too narrow to read, it gets lines of its own.
    let stacked = !is_fine && room.is_some_and(|room| room < READABLE);
    let indent = if stacked { STACKED_INDENT } else { margin };
    let beside = |indent: usize| style.width.map(|width| width.saturating_sub(indent).max(12));
    let mut pieces = match room {
        Some(room) if is_fine => vec![fit(&row.summary, room)],
        _ => evidence(&row.summary, if stacked { beside(indent) } else { room }),
    };
    let first = if stacked { String::new() } else { pad(&pieces.remove(0), room.unwrap_or(0)) + "  " };
    out.push_str(&format!("{}\n", format!("{start}  {first}{when}").trim_end()));
    let indent = " ".repeat(indent);
    pieces.iter().for_each(|piece| out.push_str(&format!("{indent}{piece}\n")));
    for (sign, text) in &row.below {
        for (number, piece) in wrap(text, beside(indent.len() + sign.width())).iter().enumerate() {
            let sign = if number == 0 { sign } else { "  " };
            out.push_str(&format!("{indent}{sign}{piece}\n"));
        }
    }
}

pub(super) fn mark(severity: Severity) -> (&'static str, Ink) {
    match severity {
        Severity::Trouble => ("✗", Ink::Bad),
        Severity::Attention => ("–", Ink::Attention),
        Severity::Fine => ("✓", Ink::Good),
    }
}

/// "1 down · 2 not configured · 15 up", in the order of the words.
pub(super) fn tally<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for word in words {
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let counts = counts.iter().map(|(word, count)| format!("{count} {}", word.replace('_', " ")));
    counts.collect::<Vec<_>>().join(" · ")
}

fn row(entry: &Entry, unusual: Option<&Unusual>, now: Timestamp) -> Row {
    let facts = entry.facts();
    let severity = match entry.outcome {
        Outcome::Error if facts.is_none() => Severity::Trouble,
        _ => entry.severity(),
    };
    let says_what_to_do = facts.is_none() || severity != Severity::Fine || entry.trouble.is_some();
    let hint = entry.hint().filter(|_| says_what_to_do).map(|hint| printable(&hint));
    // What to do besides, whatever the verdict.
    let besides = entry.processes.as_ref().and_then(ServerProcesses::hint);
    let unusual = unusual::of_target(unusual, &entry.target.id()).into_iter().map(|text| (UNUSUAL, text));
    Row {
        severity,
        word: entry.word().replace('_', " "),
        name: printable(&entry.target.name),
        summary: printable(&entry.summary(now)),
        when: entry.observation.as_ref().map_or(String::new(), |observation| when(entry, observation, now)),
        below: unusual.chain(hint.into_iter().chain(besides).map(|hint| (ARROW, hint))).collect(),
    }
}

/// How long a fresh check took, or how old a remembered one is.
fn when(entry: &Entry, observation: &Observation, now: Timestamp) -> String {
    match entry.outcome {
        Outcome::Fresh => format!("{:.2} s", observation.duration.as_secs_f64()),
        Outcome::TimedOut if entry.trouble.is_none() => "cut off".into(),
        Outcome::Error if entry.trouble.is_none() => "hangs".into(),
        _ => format!("cached {} ago", age(observation.checked_at, now)),
    }
}

/// Evidence broken into a few lines; what is longer still is in the JSON document.
fn evidence(text: &str, width: Option<usize>) -> Vec<String> {
    let mut lines = wrap(text, width);
    if let Some(width) = width.filter(|_| lines.len() > EVIDENCE_LINES) {
        let rest = lines.split_off(EVIDENCE_LINES - 1).join(" ");
        lines.push(fit(&rest, width));
    }
    lines
}

/// Breaks a sentence into lines of at most `width` columns, at spaces.
fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = fit(word, width);
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = word,
            Some(line) if line.width() + 1 + word.width() <= width => *line += &format!(" {word}"),
            _ => lines.push(word),
        }
    }
    lines
}

fn footer(out: &mut String, snapshot: &Snapshot, deliveries: &[Delivery], style: &Style) {
    let fresh = snapshot.entries.iter().filter(|entry| entry.outcome == Outcome::Fresh).count();
    let cut = if snapshot.pass.deadline_exceeded { " (cut short by the deadline)" } else { "" };
    let (targets, seconds) = (plural(snapshot.entries.len(), "target"), snapshot.pass.duration.as_secs_f64());
    out.push_str(&format!("{targets}, {fresh} checked now, in {seconds:.2} s{cut}\n"));
    let here = snapshot.entries.iter().filter(|entry| entry.target.only_here);
    let here: Vec<String> = here.map(|entry| printable(&entry.target.id())).collect();
    if !here.is_empty() {
        let named = first_of(&here, MOST_ONLY_HERE);
        out.push_str(&format!("found only from this directory, so neither delivered nor remembered: {named}\n"));
    }
    if let Some(unusual) = &snapshot.unusual {
        let widespread = unusual.widespread.as_ref().map(unusual::widespread);
        let progress = unusual::progress(unusual).map(|progress| format!("usual values: {progress}"));
        let lines = widespread.into_iter().chain(progress);
        lines.for_each(|line| out.push_str(&format!("{}\n", style.paint(Ink::Faint, &line))));
    }
    for delivery in deliveries {
        let ink = if delivery.error.is_some() { Ink::Bad } else { Ink::Faint };
        out.push_str(&format!("{}\n", style.paint(ink, &printable(&delivery.to_string()))));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::mcp::{McpFacts, McpTarget, Reach, StdioServer, Transport};
    use crate::model::observation::{Facts, Observation};
    use crate::model::reason::{Failure, Reason};
    use crate::model::snapshot::LastPass;
    use crate::model::target::{Probe, Schedule, Target};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn entry(name: &str, outcome: Outcome, facts: McpFacts) -> Entry {
        Entry {
            target: Target {
                only_here: false,
                name: name.into(),
                probe: Probe::Mcp(McpTarget { reach: Reach::Stdio(StdioServer::default()), list_tools: true }),
                schedule: Schedule { ttl: Duration::ZERO, retry_after: Duration::ZERO, timeout: Duration::ZERO },
                fingerprint: String::new(),
                origins: Vec::new(),
            },
            outcome,
            observation: Some(Observation {
                checked_at: at(0),
                duration: Duration::from_millis(420),
                facts: Facts::Mcp(facts),
            }),
            memory: None,
            next_due: None,
            processes: None,
            trouble: None,
        }
    }

    fn snapshot() -> Snapshot {
        let up = McpFacts { tools: Some(14), transport: Some(Transport::Stdio), ..McpFacts::default() };
        let down = McpFacts::failed(Failure::new(Reason::Exited, "exit code 1: \"no\x1b[2J key\"").with_hint("set it"));
        Snapshot {
            pass: LastPass { started_at: at(0), duration: Duration::from_millis(4210), deadline_exceeded: false },
            entries: vec![entry("filesystem", Outcome::Cached, up), entry("rag-query", Outcome::Fresh, down)],
            ..Snapshot::default()
        }
    }

    #[test]
    fn trouble_comes_first_with_its_hint_and_foreign_text_cannot_steer_the_terminal() {
        let text = table(&snapshot(), &[], at(125), &Style::PLAIN);
        let expected = "\
MCP servers  1 down · 1 up
  ✗ down  rag-query   exited: exit code 1: \"no\\u{1b}[2J key\"  0.42 s
                      → set it
  ✓ up    filesystem  14 tools, stdio  cached 2m ago

2 targets, 1 checked now, in 4.21 s
";
        assert_eq!(text, expected);
    }

    #[test]
    fn evidence_that_was_cut_says_so_once() {
        for width in 1..40 {
            let lines =
                evidence("connect_failed: no directory_with_a_long_name or anything like it on this host", Some(width));
            for line in &lines {
                assert!(line.width() <= width && !line.contains("……"), "{width} columns: {lines:?}");
            }
            if lines.len() == EVIDENCE_LINES {
                assert!(
                    lines.last().is_some_and(|last| width > 17 || last.ends_with('…')),
                    "{width} columns: {lines:?}"
                );
            }
        }
    }

    #[test]
    fn at_eighty_columns_evidence_takes_the_width_and_the_hint_stands_under_it() {
        let mut snapshot = snapshot();
        let sentence = "exit code 1 before it had answered initialize; stderr: “Error: DATABASE_URL is not set”";
        let failure = Failure::new(Reason::Exited, sentence).with_hint("set DATABASE_URL where the client sets it");
        let facts = McpFacts::failed(failure);
        snapshot.entries = vec![entry("a-server-whose-name-is-long", Outcome::Fresh, facts.clone())];
        let columns = |width| Style { color: false, width: Some(width) };
        let expected = "\
MCP servers  1 down
  ✗ down  a-server-whose-name-is-long  0.42 s
      exited: exit code 1 before it had answered initialize; stderr: “Error:
      DATABASE_URL is not set”
      → set DATABASE_URL where the client sets it

";
        assert!(table(&snapshot, &[], at(125), &columns(80)).starts_with(expected));

        snapshot.entries = vec![entry("db", Outcome::Fresh, facts)];
        let expected = "\
MCP servers  1 down
  ✗ down  db  exited: exit code 1 before it had answered initialize;      0.42 s
              stderr: “Error: DATABASE_URL is not set”
              → set DATABASE_URL where the client sets it

";
        assert!(table(&snapshot, &[], at(125), &columns(80)).starts_with(expected));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut snapshot = snapshot();
        snapshot.entries.push(entry(&"名".repeat(500), Outcome::Fresh, McpFacts::default()));
        for width in [40, 60, 80, 200] {
            let text = table(&snapshot, &[], at(125), &Style { color: false, width: Some(width) });
            for line in text.lines() {
                assert!(line.width() <= width.max(76), "{} columns: {line}", line.width());
            }
        }
    }
}
