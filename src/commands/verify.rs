//! `lab-probe verify`: would node_exporter take these textfiles, together?

use std::path::Path;

use crate::cli::{Cli, VerifyArgs};
use crate::exit::Exit;
use crate::fs::remedy::remedy;
use crate::metrics::check::{Inspector, Report, Severity};
use crate::sink::style::{Ink, Style};
use crate::sink::survey;

/// Judges the paths and prints a line for each finding and one for the whole.
pub(super) fn run(cli: &Cli, args: &VerifyArgs) -> Exit {
    let mut inspector = Inspector::default();
    for path in &args.paths {
        inspect(path, &mut inspector);
    }
    let report = inspector.finish();
    let printed = super::print(&shown(&report, super::style(cli)));
    if printed && report.is_clean() { Exit::Done } else { Exit::Trouble }
}

fn inspect(path: &Path, inspector: &mut Inspector) {
    let entries = match survey::entries(path) {
        Ok(entries) => entries,
        Err(error) => return inspector.add_missing(path, &format!("{error}; {}", remedy(path, &error))),
    };
    let directory = if path.is_dir() { Some(path) } else { path.parent().filter(|p| !p.as_os_str().is_empty()) };
    if let Some((closed, access)) = directory.and_then(survey::closed_directory) {
        inspector.add_closed_directory(&closed, access);
    }
    for entry in entries {
        inspector.add(&survey::open(entry));
    }
}

fn shown(report: &Report, style: Style) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let ink = if finding.severity == Severity::Error { Ink::Bad } else { Ink::Odd };
        out += &format!("{}\n", style.paint(ink, &crate::log::printable(&finding.to_string())));
    }
    if report.omitted > 0 {
        out += &format!("… and {} more\n", report.omitted);
    }
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    let verdict = match (errors, warnings) {
        (0, 0) => style.paint(Ink::Good, "node_exporter takes them whole"),
        _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    out + &format!("{}, {}: {verdict}\n", counted(report.files, "textfile"), plural(report.series, "series", "series"))
}

fn counted(n: usize, noun: &str) -> String {
    plural(n, noun, &format!("{noun}s"))
}

fn plural(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
