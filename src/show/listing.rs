//! What `lab-probe list` prints: a table for people, one JSON document for programs (see `docs/json.md`).

use jiff::Timestamp;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::style::{Ink, Style, fit, pad};
use crate::log::printable;
use crate::model::listing::{ClientFile, Listed, Listing};
use crate::model::observation::{Facts, Severity};
use crate::model::reason::Reason;
use crate::model::seconds::age;
use crate::model::target::{Kind, Origin, Probe};

/// Changes only when a field is removed or means something else; fields may be added without it.
const SCHEMA: &str = "lab-probe.list/1";

const MAX_NAME: usize = 40;

const MAX_PLACES: usize = 5;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    targets: Vec<TargetDocument<'a>>,
    files: Vec<FileDocument<'a>>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct TargetDocument<'a> {
    kind: Kind,
    name: &'a str,
    verdict: &'static str,
    severity: Option<Severity>,
    reason: Option<Reason>,
    summary: Option<String>,
    hint: Option<String>,
    how: Option<String>,
    checked_at: Option<Timestamp>,
    next_due: Option<Timestamp>,
    origins: &'a [Origin],
}

#[derive(Serialize)]
struct FileDocument<'a> {
    source: &'a str,
    scope: &'a str,
    path: String,
    present: bool,
    problem: Option<&'a str>,
}

pub fn json(listing: &Listing) -> serde_json::Result<String> {
    let document = Document {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        targets: listing.targets.iter().map(target_document).collect(),
        files: listing.files.iter().map(file_document).collect(),
        warnings: &listing.warnings,
    };
    super::json::pretty(&document)
}

fn target_document(listed: &Listed) -> TargetDocument<'_> {
    let facts = listed.facts.as_ref();
    TargetDocument {
        kind: listed.target.kind(),
        name: &listed.target.name,
        verdict: facts.map_or("unknown", Facts::word),
        severity: facts.map(Facts::severity),
        reason: reason(facts),
        summary: facts.map(|facts| facts.summary(listed.checked_at.unwrap_or_default())),
        hint: facts.and_then(Facts::hint),
        how: how(listed),
        checked_at: listed.checked_at,
        next_due: listed.next_due,
        origins: &listed.target.origins,
    }
}

fn file_document(file: &ClientFile) -> FileDocument<'_> {
    let path = file.path.to_string_lossy().into_owned();
    let problem = file.problem.as_deref();
    FileDocument { source: file.source, scope: file.scope, path, present: file.present, problem }
}

fn reason(facts: Option<&Facts>) -> Option<Reason> {
    match facts {
        Some(Facts::Mcp(facts)) => facts.failure.as_ref().map(|failure| failure.reason),
        _ => None,
    }
}

/// How a target is looked at, in a few words without secrets.
fn how(listed: &Listed) -> Option<String> {
    match &listed.target.probe {
        Probe::Mcp(mcp) => mcp.reach.describe(),
        Probe::Worktree(_) | Probe::Thunes(_) | Probe::Service(_) => None,
    }
}

/// The table: for each target its verdict, when it is next due, how it is reached, and every place it was found in.
/// The files that were looked at follow where nothing was found, or with `every_file`; those that could not be read, always.
pub fn table(listing: &Listing, now: Timestamp, every_file: bool, style: &Style) -> String {
    let mut out = String::new();
    for &kind in Kind::ALL {
        let targets: Vec<&Listed> = listing.targets.iter().filter(|listed| listed.target.kind() == kind).collect();
        if !targets.is_empty() {
            section(&mut out, kind, &targets, now, style);
        }
    }
    let nothing = listing.targets.is_empty() && listing.others == 0;
    if nothing {
        out.push_str("Nothing to check is known. `lab-probe config init` writes a starter configuration.\n\n");
    } else if listing.targets.is_empty() {
        out.push_str("Nothing of this kind is known; without --only everything is listed.\n\n");
    }
    let shown = listing.files.iter().filter(|file| nothing || every_file || file.problem.is_some());
    files(&mut out, &shown.collect::<Vec<_>>(), style);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn section(out: &mut String, kind: Kind, targets: &[&Listed], now: Timestamp, style: &Style) {
    out.push_str(&format!("{}\n", style.paint(Ink::Strong, super::table::heading(kind))));
    let name_width = targets.iter().map(|t| printable(&t.target.name).width()).max().unwrap_or(0).min(MAX_NAME);
    let verdict_width = targets.iter().map(|listed| verdict(listed).0.width()).max().unwrap_or(0);
    for listed in targets {
        let (verdict, ink) = verdict(listed);
        let name = pad(&fit(&printable(&listed.target.name), name_width), name_width);
        let verdict = style.paint(ink, &pad(&verdict, verdict_width));
        let how = how(listed).map_or(String::new(), |how| format!("  {}", printable(&how)));
        out.push_str(format!("  {name}  {verdict}  {}{how}", next(listed, now)).trim_end());
        out.push('\n');
        for line in places(&listed.target.origins) {
            out.push_str(&format!("      {}\n", style.paint(Ink::Faint, &printable(&line))));
        }
        let hint = listed.facts.as_ref().filter(|f| f.severity() != Severity::Fine).and_then(Facts::hint);
        if let Some(hint) = hint {
            out.push_str(&format!("      {}\n", style.paint(Ink::Odd, &printable(&format!("→ {hint}")))));
        }
    }
    out.push('\n');
}

fn verdict(listed: &Listed) -> (String, Ink) {
    let Some(facts) = &listed.facts else { return ("not checked yet".into(), Ink::Faint) };
    let word = facts.word().replace('_', " ");
    let (_, ink) = super::table::mark(facts.severity());
    match reason(Some(facts)) {
        Some(reason) if reason != Reason::NotConfigured => (format!("{word} ({})", reason.as_str()), ink),
        _ => (word, ink),
    }
}

fn next(listed: &Listed, now: Timestamp) -> String {
    match listed.next_due {
        Some(at) => format!("due in {}", age(now, at)),
        None => "due at the next pass".into(),
    }
}

/// A line for every place, the one the target is reached by first; many worktrees make for many places.
fn places(origins: &[Origin]) -> Vec<String> {
    let mut lines: Vec<String> = origins.iter().take(MAX_PLACES).map(place).collect();
    if origins.len() > MAX_PLACES {
        lines.push(format!("… and {} more places (--format json has them all)", origins.len() - MAX_PLACES));
    }
    lines
}

/// `cursor, user: /home/joe/.cursor/mcp.json (called "fs"; overridden by …)`.
fn place(origin: &Origin) -> String {
    let called = origin.name.as_ref().map(|name| format!("called {name:?}"));
    let remarks: Vec<String> = called.into_iter().chain(origin.note.clone()).collect();
    let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) };
    let path = if origin.path.as_os_str().is_empty() { "no file".into() } else { origin.path.display().to_string() };
    format!("{}, {}: {path}{remarks}", origin.source, origin.scope)
}

fn files(out: &mut String, files: &[&ClientFile], style: &Style) {
    if files.is_empty() {
        return;
    }
    out.push_str(&format!("{}\n", style.paint(Ink::Strong, "Client configs looked for")));
    let width = files.iter().map(|file| file.source.width()).max().unwrap_or(0);
    for file in files {
        let (mark, ink) = match (&file.problem, file.present) {
            (Some(_), _) => ("✗", Ink::Bad),
            (None, true) => ("✓", Ink::Good),
            (None, false) => ("–", Ink::Faint),
        };
        let path = file.path.display().to_string();
        let path = printable(&file.problem.as_ref().map_or(path, |problem| format!("not read as a whole: {problem}")));
        out.push_str(&format!("  {} {}  {path}\n", style.paint(ink, mark), pad(file.source, width)));
    }
}
