//! What `lab-probe list` prints: a table for people, one JSON document for programs (see `docs/json.md`).

use jiff::Timestamp;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::json::{TargetDocument, how, reason};
use super::style::{Ink, Style, fit, pad};
use crate::log::printable;
use crate::model::listing::ClientFile;
use crate::model::mcp::Reach;
use crate::model::observation::{Facts, Severity};
use crate::model::reason::Reason;
use crate::model::seconds::age;
use crate::model::snapshot::Entry;
use crate::model::target::{Kind, Origin, Probe};

/// Changes only when a field is removed or means something else; fields may be added without it.
const SCHEMA: &str = "lab-probe.list/1";

const MAX_NAME: usize = 40;

const MAX_PLACES: usize = 5;

/// Every target known, and every file that was looked for.
#[derive(Debug)]
pub struct Listing {
    pub targets: Vec<Entry>,
    /// How many more there are, of kinds that were not asked for.
    pub others: usize,
    /// The clients' files, in the order of the table of clients.
    pub files: Vec<ClientFile>,
    pub warnings: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    targets: Vec<TargetDocument<'a>>,
    files: &'a [ClientFile],
    warnings: &'a [String],
}

pub fn json(listing: &Listing) -> serde_json::Result<String> {
    super::json::pretty(&Document {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        targets: listing.targets.iter().map(target).collect(),
        files: &listing.files,
        warnings: &listing.warnings,
    })
}

fn target(entry: &Entry) -> TargetDocument<'_> {
    let mut document = TargetDocument::new(entry, None);
    // What was never started or sent anything was never checked either.
    if matches!(&entry.target.probe, Probe::Mcp(mcp) if matches!(mcp.reach, Reach::Unreachable(_))) {
        document.checked_at = None;
    }
    document
}

/// The table: for each target its verdict, when it is next due, how it is reached, and every place it was found in.
/// The files that were looked at follow where nothing was found, or with `every_file`; those that could not be read, always.
pub fn table(listing: &Listing, now: Timestamp, every_file: bool, style: &Style) -> String {
    let mut out = String::new();
    for &kind in Kind::ALL {
        let targets: Vec<&Entry> = listing.targets.iter().filter(|entry| entry.target.kind() == kind).collect();
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

fn section(out: &mut String, kind: Kind, targets: &[&Entry], now: Timestamp, style: &Style) {
    out.push_str(&format!("{}\n", style.paint(Ink::Strong, super::table::heading(kind))));
    let name_width = targets.iter().map(|t| printable(&t.target.name).width()).max().unwrap_or(0).min(MAX_NAME);
    let verdict_width = targets.iter().map(|entry| verdict(entry).0.width()).max().unwrap_or(0);
    for entry in targets {
        let (verdict, ink) = verdict(entry);
        let name = pad(&fit(&printable(&entry.target.name), name_width), name_width);
        let verdict = style.paint(ink, &pad(&verdict, verdict_width));
        let how = how(&entry.target).map_or(String::new(), |how| format!("  {}", printable(&how)));
        out.push_str(format!("  {name}  {verdict}  {}{how}", next(entry, now)).trim_end());
        out.push('\n');
        for line in places(&entry.target.origins) {
            out.push_str(&format!("      {}\n", style.paint(Ink::Faint, &printable(&line))));
        }
        let hint = entry.facts().filter(|facts| facts.severity() != Severity::Fine).and_then(Facts::hint);
        if let Some(hint) = hint {
            out.push_str(&format!("      {}\n", style.paint(Ink::Attention, &printable(&format!("→ {hint}")))));
        }
    }
    out.push('\n');
}

fn verdict(entry: &Entry) -> (String, Ink) {
    let Some(facts) = entry.facts() else { return ("not checked yet".into(), Ink::Faint) };
    let word = facts.word().replace('_', " ");
    let (_, ink) = super::table::mark(facts.severity());
    match reason(facts) {
        Some(reason) if reason != Reason::NotConfigured => (format!("{word} ({})", reason.as_str()), ink),
        _ => (word, ink),
    }
}

fn next(entry: &Entry, now: Timestamp) -> String {
    match entry.next_due {
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
