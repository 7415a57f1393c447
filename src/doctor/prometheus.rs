//! Prometheus: is it up, does it scrape what we deliver to, and are our series fresh?

use serde_json::Value;

use super::ask::{Service, Trouble, list, text};
use super::rules::RuleGroup;
use super::{Evidence, STALE_SECONDS, counted, missing};
use crate::clock;
use crate::model::checkup::{Finding, Link, age};

/// A series over time: its labels as Prometheus writes them, and Unix seconds with values.
pub type Range = (String, Vec<(f64, f64)>);

/// The series of an expression from `start` to `end`, a value each `step`; all in seconds.
///
/// # Errors
/// What Prometheus says of the expression, or why it could not be asked.
pub fn range(service: &Service, query: &str, start: i64, end: i64, step: i64) -> Result<Vec<Range>, Trouble> {
    let [start, end, step] = [start, end, step].map(|seconds| seconds.to_string());
    let query = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
    let answer = service.get_json("api/v1/query_range", &query)?;
    let point = |point: &Value| Some((point.get(0)?.as_f64()?, point.get(1)?.as_str()?.parse().ok()?));
    let series = list(&answer, "/data/result").iter().map(|series| {
        let points = list(series, "/values").iter().filter_map(point);
        (series["metric"].to_string(), points.collect())
    });
    Ok(series.collect())
}

/// The series by which passes are known.
const OUR_SERIES: &str = "lab_probe_last_pass_timestamp_seconds";
/// Prometheus may be this far behind the newest pass: a pass, a scrape a minute later, some slack.
const BEHIND_SECONDS: f64 = 180.0;
/// Targets named one by one; the rest is counted.
const NAMED: usize = 3;

/// What Prometheus says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prometheus {
    /// Its version.
    version: String,
    /// What it says where it is not ready.
    unready: Option<String>,
    /// What it scrapes.
    targets: Vec<ScrapeTarget>,
    /// Our passes by `host` and `instance` labels.
    passes: Vec<OurPass>,
    /// The rules it evaluates; `None` if it does not say.
    pub(super) groups: Option<Vec<RuleGroup>>,
    /// Addresses of the Alertmanagers it sends to.
    pub(super) alertmanagers: Vec<String>,
    /// How far its clock is ahead of ours and how far off that may be, seconds.
    pub(super) skew: Option<(f64, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
struct ScrapeTarget {
    name: String,
    up: bool,
    error: String,
}

/// A host's newest pass as Prometheus knows it.
#[derive(Debug, Clone, PartialEq)]
struct OurPass {
    names: Vec<String>,
    at: f64,
}

impl Prometheus {
    /// Asks it, one question after the other over one connection.
    ///
    /// # Errors
    /// When nothing usable answers; a single question that fails costs only its own answer.
    pub fn ask(service: &Service) -> Result<Prometheus, Trouble> {
        let build = service.get_json("api/v1/status/buildinfo", &[])?;
        let version = text(&build, "/data/version");
        if version.is_empty() {
            return Err(Trouble::Odd("what answers is no Prometheus".into()));
        }
        let unready = service.get_ok("-/ready", &[]).err().map(|trouble| trouble.why().to_owned());
        let targets = service.get_json("api/v1/targets", &[("state", "active")]).unwrap_or_default();
        let passes = service.get_json("api/v1/query", &[("query", OUR_SERIES)]).unwrap_or_default();
        let groups = service.get_json("api/v1/rules", &[]).map(|rules| RuleGroup::all(&rules));
        let alertmanagers = service.get_json("api/v1/alertmanagers", &[]).unwrap_or_default();
        Ok(Prometheus {
            version,
            unready,
            targets: list(&targets, "/data/activeTargets").iter().map(ScrapeTarget::of).collect(),
            passes: list(&passes, "/data/result").iter().filter_map(OurPass::of).collect(),
            groups: groups.ok(),
            alertmanagers: list(&alertmanagers, "/data/activeAlertmanagers")
                .iter()
                .map(|one| text(one, "/url"))
                .collect(),
            skew: skew(service),
        })
    }

    /// Whether any pass of ours is known to it.
    pub(super) fn knows_us(&self) -> bool {
        !self.passes.is_empty()
    }
}

impl ScrapeTarget {
    fn of(target: &Value) -> ScrapeTarget {
        let name = format!("{} {}", text(target, "/labels/job"), text(target, "/labels/instance"));
        ScrapeTarget { name, up: text(target, "/health") == "up", error: without_url(&text(target, "/lastError")) }
    }
}

/// What failed without the URL in front, whose parameters may hold a key.
fn without_url(error: &str) -> String {
    match error.strip_prefix("Get \"").and_then(|rest| rest.split_once("\": ")) {
        Some((_, why)) => why.to_owned(),
        None => error.to_owned(),
    }
}

impl OurPass {
    fn of(sample: &Value) -> Option<OurPass> {
        let names = ["/metric/host", "/metric/instance"].map(|label| text(sample, label));
        Some(OurPass { names: names.into(), at: sample.pointer("/value/1")?.as_str()?.parse().ok()? })
    }

    /// Whether it is this machine's, as far as labels tell: `lab`, `lab:9100`.
    fn is_of(&self, host: &str) -> bool {
        self.names.iter().any(|name| name == host || name.strip_prefix(host).is_some_and(|rest| rest.starts_with(':')))
    }
}

/// Its clock against ours, read around the question.
fn skew(service: &Service) -> Option<(f64, f64)> {
    let before = clock::unix_seconds(clock::now());
    let answer = service.get_json("api/v1/query", &[("query", "time()")]).ok()?;
    let after = clock::unix_seconds(clock::now());
    let theirs: f64 = answer.pointer("/data/result/1")?.as_str()?.parse().ok()?;
    let half = (after - before) / 2.0;
    Some((theirs - (before + half), half.abs()))
}

pub(super) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let asked = &evidence.prometheus;
    let facts = match &asked.seen {
        Ok(facts) => facts,
        Err(trouble) => {
            // Both of these are of no use without one.
            let leaned_on = evidence.alertmanager.seen.is_ok() || evidence.grafana.seen.is_ok();
            let fix = "sudo systemctl start prometheus (or make stack), or name its address in [doctor] prometheus";
            return vec![missing(Link::Prometheus, asked, leaned_on, trouble, fix)];
        }
    };
    let up = format!("Prometheus {} at {}", facts.version, asked.origin);
    let first = match &facts.unready {
        None => Finding::ok(
            Link::Prometheus,
            format!("{up} is ready and scrapes {}", counted(facts.targets.len(), "target", "targets")),
        ),
        Some(why) => Finding::fail(
            Link::Prometheus,
            format!("{up} is not ready: {why}"),
            "journalctl --unit prometheus --lines 50",
        ),
    };
    let mut findings = vec![first];
    findings.extend(targets(facts));
    findings.push(freshness(facts, evidence));
    findings.extend(host_label(facts));
    findings
}

/// The dashboards tell hosts apart by `host` where any series has it: those without would be shown as one.
fn host_label(facts: &Prometheus) -> Option<Finding> {
    let without = facts.passes.iter().filter(|pass| pass.names.first().is_some_and(String::is_empty)).count();
    let all = facts.passes.len();
    (0 < without && without < all).then(|| {
        Finding::warn(
            Link::Prometheus,
            format!(
                "{without} of {} have no host label beside others that have one: dashboards take them for one host",
                counted(all, "pass", "passes")
            ),
            "set labels = { host = \"NAME\" } below [probe] on those hosts, or add the metric_relabel_configs of \
             monitoring/prometheus/prometheus.yml to their scrape job",
        )
    })
}

fn targets(facts: &Prometheus) -> Option<Finding> {
    let down: Vec<&ScrapeTarget> = facts.targets.iter().filter(|target| !target.up).collect();
    let named: Vec<String> =
        down.iter().take(NAMED).map(|target| format!("{} ({})", target.name, target.error)).collect();
    let more = if down.len() > NAMED { format!(" and {} more", down.len() - NAMED) } else { String::new() };
    let first = down.first()?;
    // What brings our series being down shows there; any other target's trouble is only worth knowing.
    let what = format!(
        "{} of {} down: {}{more}",
        down.len(),
        counted(facts.targets.len(), "target is", "targets are"),
        named.join(", ")
    );
    let fix = format!("start what should answer for {}, or take it out of scrape_configs", first.name);
    Some(Finding::warn(Link::Prometheus, what, fix))
}

fn freshness(facts: &Prometheus, evidence: &Evidence) -> Finding {
    let now = evidence.now;
    let own: Vec<&OurPass> = facts.passes.iter().filter(|pass| pass.is_of(&evidence.host)).collect();
    let looked_at = if own.is_empty() { facts.passes.iter().collect() } else { own };
    let newest = looked_at.iter().map(|pass| pass.at).reduce(f64::max);
    let scrape = "let Prometheus scrape node_exporter (or the Pushgateway): scrape_configs in monitoring/prometheus/prometheus.yml";
    match (newest, evidence.delivered.last_pass) {
        (None, None) => {
            Finding::warn(Link::Prometheus, "it has no series of ours; there has been no pass", "lab-probe --once")
        }
        (None, Some(_)) => Finding::fail(Link::Prometheus, "it has no series of ours (the last five minutes)", scrape),
        (Some(newest), Some(pass)) if pass - newest > BEHIND_SECONDS => Finding::fail(
            Link::Prometheus,
            format!("the newest pass it knows is {} old, the last one here {}", age(now - newest), age(now - pass)),
            "see what stands between: node_exporter or the Pushgateway above, and the targets page of Prometheus",
        ),
        (Some(newest), _) if now - newest > STALE_SECONDS => Finding::fail(
            Link::Prometheus,
            format!("the newest pass it knows is {} old", age(now - newest)),
            "see the timer above, or lab-probe --once",
        ),
        (Some(newest), _) => {
            let hosts = counted(facts.passes.len(), "host", "hosts");
            Finding::ok(Link::Prometheus, format!("has series of {hosts}, the newest pass {} old", age(now - newest)))
        }
    }
}

#[test]
fn hosts_without_a_host_label_are_told_of_beside_those_with_one() {
    let pass = |host: &str| OurPass { names: vec![host.into(), "lab:9100".into()], at: 0.0 };
    let warned = |hosts: &[&str]| {
        let passes = hosts.iter().map(|host| pass(host)).collect();
        host_label(&Prometheus { passes, ..Prometheus::default() }).is_some()
    };
    assert_eq!([&["a", ""][..], &["a", "b"], &["", ""], &[]].map(warned), [true, false, false, false]);
}

/// Facts for the tests of the other links.
#[cfg(test)]
pub(super) fn with_passes(at: &[(&str, f64)]) -> Prometheus {
    let passes = at.iter().map(|(name, at)| OurPass { names: vec![(*name).to_owned()], at: *at }).collect();
    Prometheus { groups: Some(Vec::new()), passes, ..Prometheus::default() }
}
