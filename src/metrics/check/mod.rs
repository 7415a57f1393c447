//! Would node_exporter take these textfiles, together? Its own rules, from reading a line to gathering all families.
//!
//! Three places of node_exporter decide: the parser (room [`crate::exposition`]), the textfile collector and the registry
//! that gathers what all files say ([`together`]). Beyond those, [`shape`] finds what is served, but cannot be meant.

mod effect;
mod shape;
mod together;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use effect::{Effect, Effects};

use self::together::Gathered;
use crate::exposition::{self, Fault};

/// Permission bits of other users: to read a file, and to list and pass through a directory.
const READ: u32 = 0o4;
const LIST: u32 = 0o5;

/// Most findings kept: one bad script can repeat one mistake for every line of a file.
const MAX_FINDINGS: usize = 200;

/// A file as the textfile collector meets it.
#[derive(Debug)]
pub struct Textfile {
    pub path: PathBuf,
    /// Permission bits; `None` where they are not known or those of no file.
    pub mode: Option<u32>,
    /// The kinds of error that tell more: `IsADirectory`, `InvalidInput` (no regular file) and `FileTooLarge`.
    pub contents: io::Result<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something is lost or wrong.
    Error,
    /// Everything is served, but it looks like a mistake.
    Warning,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// The file; of two that clash the one read later.
    pub path: PathBuf,
    /// The line, from 1; `None` for the file as a whole.
    pub line: Option<usize>,
    pub what: String,
    /// What node_exporter does about it; `None` where that was not judged.
    pub effects: Option<Effects>,
    /// The file this one clashes with, if it is another one.
    pub other: Option<PathBuf>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, " {severity}: {}", self.what)?;
        match self.effects {
            // That it is served goes without saying where nothing is lost.
            Some(Effects::SERVED) if self.severity == Severity::Warning => Ok(()),
            Some(effects) => write!(f, "; {effects}"),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Default)]
pub struct Report {
    /// The file or directory that is judged now.
    path: PathBuf,
    pub findings: Vec<Finding>,
    pub omitted: usize,
    pub files: usize,
    pub series: usize,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.omitted == 0 && self.count(Severity::Error) == 0
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    fn error(&mut self, line: impl Into<Option<usize>>, what: impl Into<String>, effects: Effects) {
        self.keep(Severity::Error, line, what, effects, None);
    }

    fn warning(
        &mut self,
        line: impl Into<Option<usize>>,
        what: impl Into<String>,
        effects: impl Into<Option<Effects>>,
    ) {
        self.keep(Severity::Warning, line, what, effects, None);
    }

    /// What a mode means to node_exporter, which mostly runs as a user of its own; `needed` of the bits of other users.
    fn access(&mut self, mode: u32, needed: u32, noun: &str) {
        if mode & needed == needed {
            return;
        }
        let mostly = "and node_exporter mostly runs as another user";
        if mode >> 3 & needed == needed {
            let what = format!("only its owner and group may read the {noun}, {mostly}");
            self.warning(None, what, Effects::FILE_DROPPED);
        } else {
            let chmod = if needed == LIST { "o+rx" } else { "o+r" };
            let what = format!("only its owner may read the {noun} (try chmod {chmod}), {mostly}");
            self.error(None, what, Effects::FILE_DROPPED);
        }
    }

    /// An error that another file has a part in, unless that "other" file is this one.
    fn clash(&mut self, line: usize, what: String, effects: Effects, other: &Path) {
        let other = Some(other).filter(|other| *other != self.path).map(Path::to_owned);
        self.keep(Severity::Error, line, what, effects, other);
    }

    fn keep(
        &mut self,
        severity: Severity,
        line: impl Into<Option<usize>>,
        what: impl Into<String>,
        effects: impl Into<Option<Effects>>,
        other: Option<PathBuf>,
    ) {
        if self.findings.len() == MAX_FINDINGS {
            self.omitted += 1;
            return;
        }
        let (line, what, effects) = (line.into(), what.into(), effects.into());
        self.findings.push(Finding { severity, path: self.path.clone(), line, what, effects, other });
    }

    /// A line that ends the reading.
    fn unreadable(&mut self, line: usize, fault: &Fault) {
        if let Fault::TooManySeries = fault {
            return self.warning(line, format!("{fault}; the file was not judged"), None);
        }
        let effects = match fault {
            Fault::QuotedName { plain: true } | Fault::QuotedLabel | Fault::Escape('"') => Effects::QUOTED,
            Fault::QuotedName { plain: false } => Effects::QUOTED_UTF8,
            Fault::NamelessSample => Effects::NAMELESS,
            Fault::UnknownType(word) if word.eq_ignore_ascii_case("gauge_histogram") => Effects::GAUGE_HISTOGRAM,
            Fault::UnknownType(word) if word.eq_ignore_ascii_case("gaugehistogram") => Effects::GAUGEHISTOGRAM,
            _ => Effects::FILE_DROPPED,
        };
        self.error(line, fault.to_string(), effects);
    }
}

/// Judges files one after the other; only what later ones can clash with is kept of each.
#[derive(Debug, Default)]
pub struct Inspector {
    report: Report,
    gathered: Gathered,
}

impl Inspector {
    /// Judges one more file. node_exporter reads a directory in the order of its file names.
    pub fn add(&mut self, file: &Textfile) {
        let report = &mut self.report;
        report.files += 1;
        report.path.clone_from(&file.path);
        let path: Rc<Path> = file.path.as_path().into();
        judge_access(file, report);
        let bytes = match &file.contents {
            Ok(bytes) => bytes,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::IsADirectory => report.error(None, "is a directory", Effects::DIRECTORY),
                    io::ErrorKind::InvalidInput => report.error(None, "is no regular file", Effects::HANG),
                    io::ErrorKind::FileTooLarge => report.warning(None, "is too large to be judged", None),
                    _ => report.error(None, format!("cannot be read ({error})"), Effects::FILE_DROPPED),
                };
            }
        };
        let families = match exposition::parse(bytes) {
            Ok(families) => families,
            Err(error) => return report.unreadable(error.line, &error.fault),
        };
        // The collector skips such a file before it looks at anything else in it.
        let stamped = families.iter().flat_map(|f| &f.series).find(|series| series.timestamp_ms.is_some());
        if let Some(series) = stamped {
            return report.error(series.line, "a sample has a timestamp", Effects::FILE_DROPPED);
        }
        for family in &families {
            report.series += family.series.len();
            shape::judge(family, report);
            self.gathered.add(&path, family, report);
        }
    }

    /// Notes that a directory on the way to the files (or the one they are in) is closed to other users.
    pub fn add_closed_directory(&mut self, path: &Path, mode: u32) {
        path.clone_into(&mut self.report.path);
        self.report.access(mode, LIST, "directory");
    }

    /// Notes that a path could not even be looked at.
    pub fn add_missing(&mut self, path: &Path, why: &str) {
        path.clone_into(&mut self.report.path);
        self.report.error(None, format!("cannot be read ({why})"), Effects::FILE_DROPPED);
    }

    pub fn finish(self) -> Report {
        self.report
    }
}

/// Whether the user that node_exporter runs as can open the file, and whether anybody meant it to.
fn judge_access(file: &Textfile, report: &mut Report) {
    if let Some(mode) = file.mode {
        report.access(mode, READ, "file");
    }
    let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.ends_with(".prom") {
        report.warning(None, "the name does not end in .prom", Effects::IGNORED);
    } else if name.starts_with('.') {
        report.warning(None, "node_exporter reads a hidden file too, even one that is half-written", Effects::SERVED);
    }
}

/// What node_exporter would drop or change of a text that stands alone, if there is anything.
pub fn first_error(text: &str) -> Option<Finding> {
    let mut inspector = Inspector::default();
    inspector.add(&Textfile { path: "lab-probe.prom".into(), mode: None, contents: Ok(text.into()) });
    inspector.report.findings.into_iter().find(|finding| finding.severity == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(files: &[(&str, &[u8])]) -> Report {
        let mut inspector = Inspector::default();
        for (path, bytes) in files {
            inspector.add(&Textfile { path: path.into(), mode: Some(0o644), contents: Ok(bytes.to_vec()) });
        }
        inspector.finish()
    }

    #[test]
    fn a_clean_pair_has_no_findings() {
        let help = "# HELP a x\n# TYPE a gauge\n";
        let report = judged(&[
            ("a.prom", format!("{help}a{{x=\"1\"}} 1\n").as_bytes()),
            ("b.prom", format!("{help}a{{x=\"2\"}} 1\n").as_bytes()),
        ]);
        assert_eq!(report.findings, []);
        assert_eq!((report.files, report.series, report.is_clean()), (2, 2, true));
    }

    #[test]
    fn a_finding_names_file_line_trouble_and_what_becomes_of_it() {
        let report = judged(&[("d/a.prom", b"# HELP a x\n# TYPE a gauge\na 1 5\n")]);
        let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
        assert_eq!(
            finding.to_string(),
            "d/a.prom:3: error: a sample has a timestamp; node_exporter drops the whole file and sets node_textfile_scrape_error"
        );
    }

    #[test]
    fn findings_are_bounded_and_still_counted() {
        let report = judged(&[("a.prom", "a 1\n".repeat(1000).as_bytes())]);
        assert_eq!(report.findings.len(), MAX_FINDINGS);
        assert!(report.omitted > 700 && !report.is_clean());
    }
}
