//! What `lab-probe list` prints: a table for people, one JSON document for programs (see `docs/json.md`).

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use unicode_width::UnicodeWidthStr;

use super::json::{TargetDocument, document_of, how};
use super::style::{Ink, Style, fit, pad};
use crate::log::printable;
use crate::model::listing::ClientFile;
use crate::model::mcp::Reach;
use crate::model::observation::{Facts, Severity};
use crate::model::reason::Reason;
use crate::model::seconds::age;
use crate::model::snapshot::Entry;
use crate::model::target::{Kind, Origin, Probe};

const MAX_NAME: usize = 40;

const MAX_PLACES: usize = 5;

/// Every target known, and every file that was looked for.
#[derive(Debug, Serialize)]
pub struct Listing {
    #[serde(serialize_with = "documents")]
    pub targets: Vec<Entry>,
    /// How many more there are, of kinds that were not asked for.
    #[serde(skip)]
    pub others: usize,
    /// The clients' files, in the order of the table of clients.
    pub files: Vec<ClientFile>,
    pub warnings: Vec<String>,
}

pub fn json(listing: &Listing) -> serde_json::Result<String> {
    document_of("lab-probe.list/1", listing)
}

fn documents<S: Serializer>(targets: &[Entry], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(targets.iter().map(target))
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
    out.push_str(match listing.targets.len() {
        0 if nothing => "Nothing to check is known. `lab-probe config init` writes a starter configuration.\n\n",
        0 => "Nothing of this kind is known; without --only everything is listed.\n\n",
        _ => "",
    });
    let shown = listing.files.iter().filter(|file| nothing || every_file || file.problem.is_some());
    files(&mut out, &shown.collect::<Vec<_>>(), style);
    out.trim_end().to_owned() + "\n"
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
        let next = entry.next_due.map_or("due at the next pass".into(), |at| format!("due in {}", age(now, at)));
        out.push_str(&format!("  {name}  {verdict}  {next}{how}\n"));
        for line in places(&entry.target.origins) {
            out.push_str(&format!("      {}\n", style.paint(Ink::Faint, &printable(&line))));
        }
        if let Some(hint) = entry.facts().filter(|facts| facts.severity() != Severity::Fine).and_then(Facts::hint) {
            out.push_str(&format!("      {}\n", style.paint(Ink::Attention, &printable(&format!("→ {hint}")))));
        }
    }
    out.push('\n');
}

fn verdict(entry: &Entry) -> (String, Ink) {
    let Some(facts) = entry.facts() else { return ("not checked yet".into(), Ink::Faint) };
    let word = facts.word().replace('_', " ");
    let (_, ink) = super::table::mark(facts.severity());
    match facts.failure().map(|failure| failure.reason) {
        Some(reason) if reason != Reason::NotConfigured => (format!("{word} ({})", reason.as_str()), ink),
        _ => (word, ink),
    }
}

/// A line for every place, the one the target is reached by first; many worktrees make for many places.
fn places(origins: &[Origin]) -> impl Iterator<Item = String> {
    let more = origins.len().saturating_sub(MAX_PLACES);
    let more = (more > 0).then(|| format!("… and {more} more places (--format json has them all)"));
    origins.iter().take(MAX_PLACES).map(place).chain(more)
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
        let path = file.path.display();
        let (mark, ink, what) = match &file.problem {
            Some(problem) => ("✗", Ink::Bad, format!("not read as a whole: {problem}")),
            None if file.present => ("✓", Ink::Good, path.to_string()),
            None => ("–", Ink::Faint, path.to_string()),
        };
        let (mark, what) = (style.paint(ink, mark), printable(&what));
        out.push_str(&format!("  {mark} {}  {what}\n", pad(file.source, width)));
    }
}
