//! `lab-probe verify`: would node_exporter take these textfiles, together?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli::Cli;
use crate::exit::Exit;
use crate::fs::remedy;
use crate::metrics::check::{Inspector, Report, Severity};
use crate::show::style::{Ink, Style};
use crate::sink::survey;
use crate::wording::plural;

/// Judges the paths and prints a line for each finding and one for the whole.
pub(super) fn run(cli: &Cli, paths: &[PathBuf]) -> anyhow::Result<Exit> {
    let mut inspector = Inspector::default();
    let mut seen = BTreeSet::new();
    for path in paths {
        inspect(path, &mut inspector, &mut seen);
    }
    let report = inspector.finish();
    let printed = super::print(&shown(&report, super::style(cli)))?;
    Ok(if report.is_clean() { printed } else { Exit::Trouble })
}

/// Adds what a path stands for, once however often it is named: `verify DIR DIR/*.prom` is no clash.
fn inspect(path: &Path, inspector: &mut Inspector, seen: &mut BTreeSet<PathBuf>) {
    let entries = match survey::entries(path) {
        Ok(entries) => entries,
        Err(error) => return inspector.add_missing(path, &format!("{error}; {}", remedy(path, &error))),
    };
    let directory = if path.is_dir() { path } else { directory_of(path) };
    if let Some((closed, mode)) = survey::closed_directory(directory).filter(|(closed, _)| seen.insert(closed.clone()))
    {
        inspector.add_closed_directory(&closed, mode);
    }
    for entry in entries {
        if seen.insert(entry_of(&entry)) {
            inspector.add(&survey::open(entry));
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The one directory entry that a path names. A link beside the file it leads to is another one: node_exporter reads both.
fn entry_of(path: &Path) -> PathBuf {
    let directory = directory_of(path).canonicalize().ok();
    directory.zip(path.file_name()).map_or_else(|| path.to_owned(), |(directory, name)| directory.join(name))
}

fn shown(report: &Report, style: Style) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let ink = if finding.severity == Severity::Error { Ink::Bad } else { Ink::Attention };
        out += &format!("{}\n", style.paint(ink, &crate::log::printable(&finding.to_string())));
    }
    if report.omitted > 0 {
        out += &format!("… and {} more\n", report.omitted);
    }
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    let verdict = match (errors, warnings) {
        (0, 0) => style.paint(Ink::Good, "node_exporter takes them whole"),
        _ => format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")),
    };
    out + &format!("{}, {}: {verdict}\n", plural(report.files, "textfile"), plural(report.series, "series"))
}
