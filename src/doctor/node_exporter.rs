//! node_exporter: does it read our textfile? What it serves as the time of our last pass proves it.

use std::path::Path;

use super::Evidence;
use super::service::{Failure, Service, Trouble, other_service};
use crate::exposition::{self, Family, Series, Value};
use crate::fs;
use crate::fs::access::quoted;
use crate::model::checkup::{Finding, Link, age};

/// Where Debian's package and most others take the options from.
const SET_DIRECTORY: &str = "start node_exporter with --collector.textfile.directory=";
/// The series by which a pass is known.
pub(super) const LAST_PASS: &str = "lab_probe_last_pass_timestamp_seconds";
/// A textfile of ours takes some hundred KiB.
const MAX_TEXTFILE_BYTES: u64 = 64 << 20;

#[derive(Debug, Clone, PartialEq)]
pub struct NodeExporter {
    /// `node_textfile_scrape_error`; `None` if the collector is off.
    scrape_error: Option<f64>,
    files: Vec<String>,
    /// Times of passes that it serves.
    passes: Vec<f64>,
    /// Times of the last pass in our textfile, just before and just after it was asked.
    written: Vec<f64>,
    families: usize,
    version: String,
}

impl NodeExporter {
    pub fn query(service: &Service, textfile: Option<&Path>) -> Result<NodeExporter, Failure> {
        let before = textfile.and_then(last_pass_in);
        let body = service.get_ok("metrics", &[])?;
        let families = exposition::parse(&body)
            .map_err(|error| (Trouble::Failing, format!("what it serves cannot be read: {error}")))?;
        if !families.iter().any(|family| family.name.starts_with("node_")) {
            return Err(other_service("what answers is no node_exporter"));
        }
        let number = |series: &Series| if let Value::Number(number) = series.value { Some(number) } else { None };
        let series =
            |name: &'static str| families.iter().filter(move |family| family.name == name).flat_map(|f| &f.series);
        let label = |name, label| series(name).filter_map(move |one| Some(one.label(label)?.to_owned()));
        let is_ours = |family: &&Family| family.name.starts_with("lab_") || family.name.starts_with("thunes_");
        Ok(NodeExporter {
            scrape_error: series("node_textfile_scrape_error").find_map(number),
            files: label("node_textfile_mtime_seconds", "file").collect(),
            passes: series(LAST_PASS).filter_map(number).collect(),
            written: before.into_iter().chain(textfile.and_then(last_pass_in)).collect(),
            families: families.iter().filter(is_ours).count(),
            version: label("node_exporter_build_info", "version").next().unwrap_or_else(|| "?".to_owned()),
        })
    }
}

/// The time of the pass that wrote a textfile.
fn last_pass_in(textfile: &Path) -> Option<f64> {
    let text = fs::read_capped(textfile, MAX_TEXTFILE_BYTES).ok()?;
    let text = String::from_utf8(text).ok()?;
    text.lines().find(|line| line.starts_with(LAST_PASS))?.rsplit(' ').next()?.parse().ok()
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let (reply, delivered) = (&evidence.node_exporter, &evidence.delivered);
    let Some(path) = &delivered.path else {
        let what = "not needed: no textfile is delivered";
        return vec![Link::NodeExporter.skip(what, "[output.textfile] in the configuration delivers one")];
    };
    let Some(facts) = reply.facts() else {
        let fix = "sudo systemctl start prometheus-node-exporter, or name its address in [doctor] node_exporter";
        return reply.missing(Link::NodeExporter, !delivered.fallback, fix);
    };
    let at = format!("node_exporter {} at {}", facts.version, reply.origin);
    let directory = quoted(path.parent().unwrap_or(path));
    let set_directory = format!("{SET_DIRECTORY}{directory}");
    let verify = format!("lab-probe verify {directory}");
    let Some(error) = facts.scrape_error else {
        let what = format!("{at} has no textfile collector running");
        return vec![Link::NodeExporter.fail(what, set_directory)];
    };
    let mut findings = vec![reads(facts, evidence, &at, path, [&set_directory, &verify])];
    if error != 0.0 {
        let what = "node_textfile_scrape_error is 1: it drops at least one textfile or a part of it";
        findings.push(Link::NodeExporter.fail(what, verify));
    }
    findings
}

/// Whether it reads our file: it serves the very time that stands in it.
fn reads(facts: &NodeExporter, evidence: &Evidence, at: &str, path: &Path, fixes: [&str; 2]) -> Finding {
    let ([set_directory, verify], delivered) = (fixes, &evidence.delivered);
    let shown = path.display().to_string();
    if delivered.modified_at.is_none() {
        let what = format!("{at} has no textfile of lab-probe to read: {shown} is not there");
        return match delivered.last_pass.or(delivered.young) {
            Some(_) => delivered.fail(Link::NodeExporter, what, evidence.starter.again()),
            None => Link::NodeExporter.warn(what, evidence.starter.again()),
        };
    }
    if facts.passes.iter().any(|served| facts.written.contains(served)) {
        let old = age(facts.written.last().map_or(0.0, |at| evidence.now - at));
        let families = facts.families;
        let what = format!("{at} reads {shown}: it serves the pass of {old} ago and {families} families");
        return Link::NodeExporter.ok(what);
    }
    if facts.files.contains(&shown) {
        return Link::NodeExporter.fail(format!("{at} opens {shown}, but serves nothing of it"), verify);
    }
    if facts.written.is_empty() {
        let what = format!("whether {at} reads {shown} cannot be told: this user may not read the file");
        return Link::NodeExporter.warn(what, "sudo lab-probe doctor");
    }
    let what = match (facts.passes.first(), facts.files.first()) {
        (Some(pass), _) => {
            let old = age(evidence.now - pass);
            format!("{at} does not read {shown}: the pass that it serves is another one, {old} old")
        }
        (None, Some(other)) => format!("{at} reads other textfiles, such as {other}, but not {shown}"),
        (None, None) => format!("{at} does not read {shown}"),
    };
    let fix = if delivered.fallback { "see what is said of the textfile above" } else { set_directory };
    Link::NodeExporter.fail_if(!delivered.fallback, what, fix)
}
