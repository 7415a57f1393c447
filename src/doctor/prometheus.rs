//! Prometheus: is it up, and has it the passes of this host? One of ours is known by its time, whatever its labels are.

use std::time::Duration;

use serde_json::Value;

use super::node_exporter::LAST_PASS;
use super::service::{Failure, Reply, Service, list, other_service, text};
use super::{Evidence, STALE_SECONDS};
use crate::clock;
use crate::exit;
use crate::model::checkup::{Delivered, Finding, Link, age};
use crate::redact::Secret;
use crate::wording::{first_of, plural};

/// A series over time: its labels as Prometheus writes them, and Unix seconds with values.
pub(crate) type Range = (String, Vec<(f64, f64)>);

/// The series of an expression from `start` to `end`, a value each `step`; all in seconds.
pub(crate) fn series(
    address: &Secret,
    limit: Duration,
    query: &str,
    [start, end, step]: [i64; 3],
) -> anyhow::Result<Vec<Range>> {
    let [start, end, step] = [start, end, step].map(|seconds| seconds.to_string());
    let query = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
    let reply = Reply::from_one(limit, address, true, |service| service.get_json("api/v1/query_range", &query));
    let answer = reply.result.map_err(|(_, why)| {
        let what = format!("{} does not give the series: {why}", reply.origin);
        exit::trouble(what, "try the expression in Prometheus itself")
    })?;
    let point = |point: &Value| Some((point.get(0)?.as_f64()?, point.get(1)?.as_str()?.parse().ok()?));
    let series = list(&answer, "/data/result").iter().map(|series| {
        let points = list(series, "/values").iter().filter_map(point);
        (series["metric"].to_string(), points.collect())
    });
    Ok(series.collect())
}

/// Prometheus may be this far behind the newest pass: a pass, a scrape a minute later, some slack.
const BEHIND_SECONDS: f64 = 180.0;
/// Passes are so far apart.
const TICK_SECONDS: f64 = 30.0;
/// Two readings of one time differ by less.
const SAME_SECONDS: f64 = 0.002;
/// Targets and hosts named one by one; the rest is counted.
const NAMED: usize = 3;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prometheus {
    version: String,
    unready: Option<String>,
    /// The active targets of the answer of `/api/v1/targets`.
    targets: Vec<Value>,
    /// Our passes by `host` and `instance` labels.
    pub(super) passes: Vec<OurPass>,
    /// The groups of rules it evaluates; `None` if it does not say.
    pub(super) groups: Option<Vec<Value>>,
    /// Addresses of the Alertmanagers it sends to.
    pub alertmanagers: Vec<String>,
    /// How far its clock is ahead of ours and how far off that may be, seconds.
    pub(super) skew: Option<(f64, f64)>,
}

/// A host's newest pass as Prometheus knows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OurPass {
    /// Its labels `host` and `instance`; empty where there is none.
    pub(super) names: [String; 2],
    pub(super) at: f64,
}

impl Prometheus {
    /// One query after the other over one connection; a single one that fails costs only its own answer.
    pub fn query(service: &Service) -> Result<Prometheus, Failure> {
        let build = service.get_json("api/v1/status/buildinfo", &[])?;
        let version = text(&build, "/data/version");
        if version.is_empty() {
            return Err(other_service("what answers is no Prometheus"));
        }
        let targets = service.get_json("api/v1/targets", &[("state", "active")]).unwrap_or_default();
        let passes = service.get_json("api/v1/query", &[("query", LAST_PASS)]).unwrap_or_default();
        let groups = service.get_json("api/v1/rules", &[]).map(|rules| list(&rules, "/data/groups").to_vec());
        let alertmanagers = service.get_json("api/v1/alertmanagers", &[]).unwrap_or_default();
        Ok(Prometheus {
            version,
            unready: service.unready(),
            targets: list(&targets, "/data/activeTargets").to_vec(),
            passes: list(&passes, "/data/result").iter().filter_map(OurPass::of).collect(),
            groups: groups.ok(),
            alertmanagers: list(&alertmanagers, "/data/activeAlertmanagers")
                .iter()
                .map(|one| text(one, "/url"))
                .collect(),
            skew: skew(service),
        })
    }

    pub fn knows_us(&self) -> bool {
        !self.passes.is_empty()
    }
}

fn is_up(target: &Value) -> bool {
    target["health"] == "up"
}

fn name_of(target: &Value) -> String {
    format!("{} {}", text(target, "/labels/job"), text(target, "/labels/instance"))
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
        Some(OurPass { names, at: sample.pointer("/value/1")?.as_str()?.parse().ok()? })
    }

    fn name(&self) -> &str {
        self.names.iter().map(String::as_str).find(|name| !name.is_empty()).unwrap_or("a host without a name")
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
    let reply = &evidence.prometheus;
    let Some(facts) = reply.facts() else {
        // Both of these are of no use without one.
        let leaned_on = evidence.alertmanager.result.is_ok() || evidence.grafana.result.is_ok();
        let fix = "sudo systemctl start prometheus (or make stack), or name its address in [doctor] prometheus";
        return reply.missing(Link::Prometheus, leaned_on, fix);
    };
    let up = format!("Prometheus {} at {}", facts.version, reply.origin);
    let first = match &facts.unready {
        None => Link::Prometheus.ok(format!("{up} is ready and scrapes {}", plural(facts.targets.len(), "target"))),
        Some(why) => {
            Link::Prometheus.fail(format!("{up} is not ready: {why}"), "journalctl --unit prometheus --lines 50")
        }
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
        Link::Prometheus.warn(
            format!(
                "{without} of {} have no host label beside others that have one: dashboards take them for one host",
                plural(all, "pass")
            ),
            "set labels = { host = \"NAME\" } below [probe] on those hosts, or add the metric_relabel_configs of \
             monitoring/prometheus/prometheus.yml to their scrape job",
        )
    })
}

fn targets(facts: &Prometheus) -> Option<Finding> {
    let down: Vec<&Value> = facts.targets.iter().filter(|target| !is_up(target)).collect();
    let error = |target: &Value| without_url(&text(target, "/lastError"));
    let named: Vec<String> = down.iter().map(|target| format!("{} ({})", name_of(target), error(target))).collect();
    let first = down.first()?;
    // What brings our series being down shows there; any other target's trouble is only worth knowing.
    let (targets, named) = (plural(facts.targets.len(), "target"), first_of(&named, NAMED));
    let what = format!("{targets}, {} of them down: {named}", down.len());
    let fix = format!("start what should answer for {}, or take it out of scrape_configs", name_of(first));
    Some(Link::Prometheus.warn(what, fix))
}

/// Whether the probe has only just begun here, and a target was not scraped since: that may be the one that serves it.
fn pending(facts: &Prometheus, delivered: &Delivered) -> bool {
    let Some(first) = delivered.passes.iter().copied().reduce(f64::min) else { return false };
    let last = delivered.last_pass.unwrap_or(first);
    // A pass delivers at its end, which is before the next one begins.
    let delivered_at =
        if last - first < SAME_SECONDS { delivered.modified_at.unwrap_or(last) } else { first + TICK_SECONDS };
    let since = |target: &Value| {
        text(target, "/lastScrape").parse().is_ok_and(|scraped| clock::unix_seconds(scraped) > delivered_at)
    };
    last - first < BEHIND_SECONDS && facts.targets.iter().any(|target| is_up(target) && !since(target))
}

/// This host's newest pass there.
fn freshness(facts: &Prometheus, evidence: &Evidence) -> Finding {
    let (now, delivered) = (evidence.now, &evidence.delivered);
    let is_own = |pass: &&OurPass| delivered.passes.iter().any(|at| (at - pass.at).abs() < SAME_SECONDS);
    let own = facts.passes.iter().filter(is_own);
    let newest = own.max_by(|one, other| one.at.total_cmp(&other.at));
    let scrape =
        "let Prometheus scrape this host's node_exporter (or the Pushgateway): scrape_configs in prometheus.yml";
    let others: Vec<&str> = facts.passes.iter().take(NAMED).map(OurPass::name).collect();
    let others = if others.is_empty() { String::new() } else { format!("; it has those of {}", others.join(", ")) };
    let see = "see what stands between: node_exporter or the Pushgateway above, and the targets page of Prometheus";
    let knows = "the newest pass of this host that Prometheus has";
    match (newest, delivered.last_pass) {
        (None, None) => {
            let what = format!("Prometheus has no series of this host, and there has been no pass{others}");
            Link::Prometheus.warn(what, &delivered.again)
        }
        (None, Some(_)) if pending(facts, delivered) => {
            let what = "Prometheus has not scraped every target since the first delivery of this host";
            Link::Prometheus.warn(what, "lab-probe doctor, in a minute")
        }
        (None, Some(_)) => {
            let what = format!("Prometheus has no pass of this host from the last five minutes{others}");
            delivered.fail(Link::Prometheus, what, scrape)
        }
        (Some(newest), Some(pass)) if pass - newest.at > BEHIND_SECONDS => {
            let what = format!("{knows} is {} old, the last one here {}", age(now - newest.at), age(now - pass));
            delivered.fail(Link::Prometheus, what, see)
        }
        (Some(newest), _) if now - newest.at > STALE_SECONDS => {
            let fix = format!("see the timer above, or {}", delivered.again);
            Link::Prometheus.fail(format!("{knows} is {} old", age(now - newest.at)), fix)
        }
        (Some(newest), _) => {
            let (hosts, name, old) = (plural(facts.passes.len(), "host"), newest.name(), age(now - newest.at));
            let what =
                format!("Prometheus has series of {hosts}; the newest pass of this host, as {name}, is {old} old");
            Link::Prometheus.ok(what)
        }
    }
}
