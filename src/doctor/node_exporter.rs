//! node_exporter: does it read our textfile, and does it serve what is in it?

use super::ask::{Service, Trouble};
use super::{Evidence, missing};
use crate::exposition::{self, Family, Value};
use crate::fs::access::quoted;
use crate::model::checkup::{Finding, Link, age};

/// Where Debian's package and most others take the options from.
const SET_DIRECTORY: &str = "start node_exporter with --collector.textfile.directory=";
/// Between rename and scrape a pass may come.
const SAME_FILE_SECONDS: f64 = 90.0;

/// What its `/metrics` says of textfiles.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeExporter {
    /// `node_textfile_scrape_error`; `None` if the collector is off.
    scrape_error: Option<f64>,
    /// `node_textfile_mtime_seconds` by file.
    files: Vec<(String, f64)>,
    /// `lab_probe_last_pass_timestamp_seconds`, if it is served.
    last_pass: Option<f64>,
    /// Families of ours.
    families: usize,
    version: String,
}

impl NodeExporter {
    /// Asks it.
    ///
    /// # Errors
    /// When nothing usable answers.
    pub fn ask(service: &Service) -> Result<NodeExporter, Trouble> {
        let body = service.get_ok("metrics", &[])?;
        let families = exposition::parse(&body)
            .map_err(|error| Trouble::Odd(format!("what it serves cannot be read: {error}")))?;
        if !families.iter().any(|family| family.name.starts_with("node_")) {
            return Err(Trouble::Odd("what answers is no node_exporter".into()));
        }
        Ok(NodeExporter::of(&families))
    }

    fn of(families: &[Family]) -> NodeExporter {
        let of = |name: &str| families.iter().find(|family| family.name == name);
        let number = |name: &str| of(name).and_then(|family| as_number(&family.series.first()?.value));
        let files = of("node_textfile_mtime_seconds").into_iter().flat_map(|family| &family.series);
        let version = of("node_exporter_build_info").and_then(|family| family.series.first()?.label("version"));
        NodeExporter {
            scrape_error: number("node_textfile_scrape_error"),
            files: files.filter_map(|one| Some((one.label("file")?.to_owned(), as_number(&one.value)?))).collect(),
            last_pass: number("lab_probe_last_pass_timestamp_seconds"),
            families: families
                .iter()
                .filter(|family| family.name.starts_with("lab_") || family.name.starts_with("thunes_"))
                .count(),
            version: version.unwrap_or("?").to_owned(),
        }
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Histogram(_) | Value::Summary(_) => None,
    }
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let asked = &evidence.node_exporter;
    let delivered = &evidence.delivered;
    let Some(path) = &delivered.path else {
        let what = "not needed: no textfile is delivered";
        return vec![Finding::skip(Link::NodeExporter, what, "[output.textfile] in the configuration delivers one")];
    };
    let directory = path.parent().unwrap_or(path);
    let facts = match &asked.seen {
        Ok(facts) => facts,
        Err(trouble) => {
            let fix = "sudo systemctl start prometheus-node-exporter, or name its address in [doctor] node_exporter";
            return vec![missing(Link::NodeExporter, asked, !delivered.fallback, trouble, fix)];
        }
    };
    let option = format!("{SET_DIRECTORY}{}", quoted(directory));
    let Some(error) = facts.scrape_error else {
        let what = format!("node_exporter {} at {} has no textfile collector running", facts.version, asked.origin);
        return vec![Finding::fail(Link::NodeExporter, what, option)];
    };
    let mut findings = vec![reads(facts, evidence, &option)];
    if error != 0.0 {
        let what = "node_textfile_scrape_error is 1: it drops at least one textfile or a part of it";
        findings.push(Finding::fail(Link::NodeExporter, what, format!("lab-probe verify {}", quoted(directory))));
    }
    findings
}

/// Whether it reads our file and serves what stands in it.
fn reads(facts: &NodeExporter, evidence: &Evidence, option: &str) -> Finding {
    let delivered = &evidence.delivered;
    let path = delivered.path.as_deref().unwrap_or(std::path::Path::new(""));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let shown = path.display().to_string();
    let at = format!("node_exporter {} at {}", facts.version, evidence.node_exporter.origin);
    let Some(modified_at) = delivered.modified_at else {
        let what = format!("{at} has nothing of ours to read: {shown} is not there");
        return Finding::fail_if(delivered.last_pass.is_some(), Link::NodeExporter, what, "lab-probe --once");
    };
    // In a container it knows the directory by another path: the same name and time is the same file then.
    let same = |(file, mtime): &&(String, f64)| {
        *file == shown || (file.ends_with(&format!("/{name}")) && (mtime - modified_at).abs() < SAME_FILE_SECONDS)
    };
    let Some((_, mtime)) = facts.files.iter().find(same) else {
        let what = match facts.files.first() {
            Some((other, _)) => format!("{at} reads other textfiles, such as {other}, but not {shown}"),
            None => format!("{at} does not read {shown}"),
        };
        return Finding::fail_if(!delivered.fallback, Link::NodeExporter, what, option);
    };
    if facts.last_pass.is_none() {
        let what = format!("{at} opens {shown}, but serves nothing of it");
        return Finding::fail(
            Link::NodeExporter,
            what,
            format!("lab-probe verify {}", quoted(path.parent().unwrap_or(path))),
        );
    }
    let what =
        format!("{at} reads {shown}, {} old, and serves {} families of it", age(evidence.now - mtime), facts.families);
    Finding::ok(Link::NodeExporter, what)
}
