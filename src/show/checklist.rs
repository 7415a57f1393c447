//! What `lab-probe doctor` prints: a checklist for people, one JSON document for programs (see `docs/json.md`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::json::document_of;
use super::style::{Ink, Style, pad};
use crate::log::printable;
use crate::model::checkup::{Finding, Status};

#[derive(Serialize)]
struct Body<'a> {
    now: Timestamp,
    /// The worst of all.
    status: Status,
    counts: BTreeMap<Status, usize>,
    checks: &'a [Finding],
}

fn counts(findings: &[Finding]) -> BTreeMap<Status, usize> {
    let count = |status: &Status| findings.iter().filter(|finding| finding.status == *status).count();
    Status::ALL.iter().map(|status| (*status, count(status))).collect()
}

pub fn json(findings: &[Finding], now: Timestamp) -> serde_json::Result<String> {
    let status = findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok);
    document_of("lab-probe.doctor/1", &Body { now, status, counts: counts(findings), checks: findings })
}

/// One line for each finding, what mends it below, and the count at the end.
pub fn table(findings: &[Finding], style: &Style) -> String {
    let width = findings.iter().map(|finding| finding.link.as_str().width()).max().unwrap_or(0);
    let mut out = String::new();
    for finding in findings {
        let word = style.paint(ink(finding.status), &pad(finding.status.as_str(), 4));
        let link = pad(finding.link.as_str(), width);
        let is_used = finding.status != Status::Skip;
        let evidence = printable(&finding.evidence);
        let evidence = if is_used { evidence } else { style.paint(Ink::Faint, &evidence) };
        out.push_str(&format!("{word}  {link}  {evidence}\n"));
        if let Some(fix) = finding.fix.as_ref().filter(|_| is_used) {
            let fix = style.paint(Ink::Strong, &printable(fix));
            out.push_str(&format!("      {}  → {fix}\n", pad("", width)));
        }
    }
    let counts = counts(findings);
    let [ok, skip, warn, fail] = [Status::Ok, Status::Skip, Status::Warn, Status::Fail].map(|status| counts[&status]);
    out + &format!("\n{ok} ok, {warn} to look at, {fail} broken, {skip} not used here\n")
}

fn ink(status: Status) -> Ink {
    match status {
        Status::Ok => Ink::Good,
        Status::Skip => Ink::Faint,
        Status::Warn => Ink::Attention,
        Status::Fail => Ink::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkup::Link;

    #[test]
    fn every_line_has_its_word_and_only_trouble_has_its_remedy_below() {
        let findings = [
            Link::Config.ok("in force"),
            Link::Grafana.skip("not used here", "begin"),
            Link::Prometheus.fail("is\u{1b}[2J down", "start it"),
        ];
        let text = table(&findings, &Style::PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ok    config      in force");
        assert_eq!(lines[1], "skip  grafana     not used here");
        assert!(lines[2].starts_with("fail  prometheus  is") && !lines[2].contains('\u{1b}'), "{text}");
        assert_eq!(lines[3].trim(), "→ start it");
        assert_eq!(lines[5], "1 ok, 0 to look at, 1 broken, 1 not used here");
        assert_eq!(lines.len(), 6);
    }
}
