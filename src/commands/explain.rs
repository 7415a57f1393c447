//! `lab-probe explain REASON|METRIC|ALERT`: what it means and what to do.

use super::status;
use crate::cli::Cli;
use crate::config::diagnose::nearest;
use crate::exit::{self, Exit};
use crate::metrics::catalogue::{
    self, Family, LAB_MCP_SERVER_FAILURE, LAB_MCP_SERVER_HEALTH, LAB_SERVICE_FAILURE, Type,
};
use crate::model::observation::{Facts, Remembered};
use crate::model::reason::Reason;
use crate::model::seconds::age;
use crate::show::style::{Ink, Style};
use crate::show::words::service;
use crate::state::store;
use crate::{clock, config};

/// The page that the alerts' runbooks stand in, each below a heading with its name.
const RUNBOOKS: &str = include_str!("../../monitoring/README.md");

/// Names that ask for whatever is unusual.
const ABOUT_ALL: [&str; 3] = ["lab_anomaly_active", "lab_anomaly_widespread", "LabAnomaly"];

pub(super) fn run(cli: &Cli, name: &str) -> anyhow::Result<Exit> {
    let text = text(name, super::style(cli))? + &remembered(cli, bare(name));
    super::print(&text)
}

pub(super) fn text(name: &str, style: Style) -> anyhow::Result<String> {
    let name = bare(name);
    if let Some(reason) = Reason::from_word(name) {
        return Ok(explain_reason(reason, style));
    }
    if let Some(family) = family(name) {
        return Ok(explain_family(family, style));
    }
    let text = runbook(name).ok_or_else(|| unknown(name))?;
    Ok(format!("{}: an alert\n\n{text}\n", style.paint(Ink::Strong, name)))
}

/// Where each environment's value of a family comes from and what of it is unusual, as the last pass saw it. An explanation
/// needs no configuration.
fn remembered(cli: &Cli, name: &str) -> String {
    let Ok(settings) = config::load(cli.config.as_deref()) else { return String::new() };
    let now = clock::now();
    let origin = |(id, known): (&String, &Remembered)| {
        let family = family(name)?;
        let observation = known.observation.as_ref()?;
        let Facts::Thunes(facts) = &observation.facts else { return None };
        let origin = facts.origin(family.name, now)?;
        Some(format!("{:11} {id}, {} ago: {origin}\n", "Seen:", age(observation.checked_at, now)))
    };
    let state = store::peek(&settings.probe.state_dir, now).state;
    let unusual = status::unusual_now(&state, |asked| asked.metric() == name || ABOUT_ALL.contains(&name));
    let unusual = unusual.iter().map(|sentence| format!("{:11} {sentence}\n", "Unusual:"));
    state.targets.iter().filter_map(origin).chain(unusual).collect()
}

fn alerts() -> impl Iterator<Item = &'static str> {
    let runbooks = RUNBOOKS.split_once("\n## Runbook").map_or("", |(_, runbooks)| runbooks);
    runbooks.lines().filter_map(|line| line.strip_prefix("### "))
}

fn runbook(alert: &str) -> Option<&'static str> {
    let alert = alerts().find(|known| *known == alert)?;
    let (_, text) = RUNBOOKS.split_once(&format!("\n### {alert}\n"))?;
    Some(text.split("\n##").next().unwrap_or(text).trim())
}

/// The name in what people paste: `lab_x{…} 1`, `reason="timeout"`.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_prefix("reason=").unwrap_or(text);
    text.split(['{', ' ']).next().unwrap_or(text).trim_matches('"')
}

/// The family that a name, or the name of a part of a histogram, belongs to.
fn family(name: &str) -> Option<&'static Family> {
    let whole = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let histogram = || catalogue::find(whole?).filter(|family| matches!(family.kind, Type::Histogram(_)));
    catalogue::find(name).or_else(histogram)
}

/// Every name that is explained, and what it is.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let reasons = Reason::ALL.iter().map(|reason| (reason.as_str(), "reason"));
    let metrics = catalogue::ALL.iter().map(|family| (family.name, "metric"));
    reasons.chain(metrics).chain(alerts().map(|alert| (alert, "alert")))
}

fn unknown(name: &str) -> anyhow::Error {
    let nearest = nearest(name, names().map(|(name, _)| name));
    let offer = nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest:?}?"));
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    exit::usage(
        format!("no reason, metric or alert is called {name:?}{offer}"),
        format!("`lab-probe metrics` lists the metrics; the reasons are {}", reasons.join(", ")),
    )
}

fn explain_reason(reason: Reason, style: Style) -> String {
    let (health, verdict) = if reason.is_not_configured() { (2, "not configured") } else { (0, "down") };
    let name = style.paint(Ink::Strong, reason.as_str());
    let label = format!("{{reason=\"{}\"}} 1", reason.as_str());
    let part = |meaning: &str, remedy: &str, seen: String| {
        format!("\n  {}.\n\nWhat to do: {remedy}.\nSeen as:    {seen}\n", capital(meaning))
    };
    let seen = format!("{}{label}, with {} {health}", LAB_MCP_SERVER_FAILURE.name, LAB_MCP_SERVER_HEALTH.name);
    let mut out = format!("{name}: why an MCP server is {verdict}\n{}", part(reason.meaning(), reason.remedy(), seen));
    if let Some((meaning, remedy)) = service::explained(reason) {
        let seen = format!("{}{label}", LAB_SERVICE_FAILURE.name);
        out += &format!("\n{name}: why a service is not up\n{}", part(meaning, remedy, seen));
    }
    out
}

fn explain_family(family: &Family, style: Style) -> String {
    let labels = if family.labels.is_empty() { "none".to_owned() } else { family.labels.join(", ") };
    let mut rows = vec![("Unit:", family.unit.to_owned()), ("Labels:", labels)];
    if let Type::Histogram(bounds) = family.kind {
        let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
        rows.push(("Buckets:", format!("{} +Inf", bounds.join(" "))));
    }
    let headings = std::iter::once("Values:").chain(std::iter::repeat(""));
    rows.extend(headings.zip(family.values.iter().map(|(value, meaning)| format!("{value}: {meaning}"))));
    rows.push(("What to do:", format!("{}.", family.next)));
    let rows = rows.iter().map(|(heading, text)| format!("{heading:11} {text}\n"));
    let name = style.paint(Ink::Strong, family.name);
    format!("{name}: {}\n\n  {}\n\n{}", family.kind.as_str(), family.help, rows.collect::<String>())
}

fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_however_they_are_pasted() {
        for text in
            ["lab_mcp_server_health", " lab_mcp_server_health{server_name=\"a b\"} 1", "lab_mcp_server_health 0"]
        {
            assert_eq!(family(bare(text)).expect(text).name, "lab_mcp_server_health");
        }
        assert_eq!(family("thunes_order_latency_ms_bucket").expect("a part").name, "thunes_order_latency_ms");
        assert!(family("lab_mcp_server_health_sum").is_none());
        assert_eq!(Reason::from_word(bare("reason=\"timeout\"")), Some(Reason::Timeout));
    }

    #[test]
    fn an_alert_has_its_runbook() {
        let text = text("KillSwitchActive", Style::PLAIN).expect("a runbook");
        assert!(text.starts_with("KillSwitchActive: an alert\n\nNo order"), "{text}");
        assert!(text.contains("grep KILL_SWITCH") && !text.contains("CircuitBreakerOpen"), "{text}");
    }

    #[test]
    fn every_reason_and_every_metric_says_what_to_do() {
        for &reason in Reason::ALL {
            let text = explain_reason(reason, Style::PLAIN);
            assert!(text.contains(reason.remedy()) && text.contains(reason.as_str()), "{text}");
            assert_eq!(text.contains("a service is not up"), service::explained(reason).is_some(), "{text}");
        }
        for family in catalogue::ALL {
            let text = explain_family(family, Style::PLAIN);
            assert!(text.contains("What to do: ") && text.contains(family.help), "{text}");
        }
    }

    #[test]
    fn what_is_unknown_brings_the_nearest() {
        assert!(exit::sentence(&unknown("auth_require")).contains("did you mean \"auth_required\"?"));
        assert!(exit::sentence(&unknown("lab_mcp_helth")).contains("did you mean \"lab_mcp_"));
        assert!(exit::sentence(&unknown("KillSwitch")).contains("did you mean \"KillSwitchActive\"?"));
        assert!(!exit::sentence(&unknown("zzz")).contains("did you mean"));
    }
}
