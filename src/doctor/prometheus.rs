//! Prometheus: is it up, and has it the passes of this host? One of ours is known by its time, whatever its labels are.

use std::time::Duration;

use serde_json::Value;

use super::node_exporter::LAST_PASS;
use super::service::{Failure, Reply, Service, health, list, other_service, text};
use super::{Evidence, STALE_SECONDS};
use crate::model::checkup::{Delivered, Finding, Link, age};
use crate::redact::Secret;
use crate::wording::{first_of, plural};
use crate::{clock, exit};

/// A series over time: its labels as Prometheus writes them, and Unix seconds with values.
pub(crate) type Range = (String, Vec<(f64, f64)>);

/// The series of an expression; `span` is its start, end and step in seconds.
pub(crate) fn series(address: &Secret, limit: Duration, query: &str, span: [i64; 3]) -> anyhow::Result<Vec<Range>> {
    let [start, end, step] = span.map(|seconds| seconds.to_string());
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
/// Ages of a few seconds are off by as much.
const SKEW_SECONDS: f64 = 2.0;
/// Alerts on old passes begin to err.
const MOST_SKEW_SECONDS: f64 = 30.0;
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
        let urls = list(&alertmanagers, "/data/activeAlertmanagers").iter();
        Ok(Prometheus {
            version,
            unready: service.unready(),
            targets: list(&targets, "/data/activeTargets").to_vec(),
            passes: list(&passes, "/data/result").iter().filter_map(OurPass::of).collect(),
            groups: groups.ok(),
            alertmanagers: urls.map(|one| text(one, "/url")).collect(),
            skew: skew(service),
        })
    }

    pub fn knows_us(&self) -> bool {
        !self.passes.is_empty()
    }
}

fn name_of(target: &Value) -> String {
    format!("{} {}", text(target, "/labels/job"), text(target, "/labels/instance"))
}

/// What failed without the URL in front, whose parameters may hold a key.
fn without_url(error: &str) -> &str {
    error.strip_prefix("Get \"").and_then(|rest| rest.split_once("\": ")).map_or(error, |(_, why)| why)
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

/// Its clock against ours in seconds, read around the question: how far ahead, and how far off that may be.
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
    let well = format!("ready and scrapes {}", plural(facts.targets.len(), "target"));
    let mut findings = vec![health(Link::Prometheus, &up, &well, facts.unready.as_ref(), "prometheus")];
    findings.extend(targets(facts));
    findings.push(freshness(facts, evidence));
    findings.extend(host_label(facts));
    findings
}

/// What is judged by `time()` there is stamped here.
pub(super) fn clock(evidence: &Evidence) -> Finding {
    let fix = "timedatectl set-ntp true, on both machines";
    let Some((ahead, give)) = evidence.prometheus.facts().and_then(|prometheus| prometheus.skew) else {
        return Link::Clock.skip("nothing to compare with: no Prometheus answers", fix);
    };
    let off = (ahead.abs() - give).max(0.0);
    if off < SKEW_SECONDS {
        return Link::Clock.ok(format!("Prometheus' clock and this machine's agree (within {:.1}s)", off + give));
    }
    let way = if ahead > 0.0 { "ahead of" } else { "behind" };
    let what = format!("Prometheus' clock is {off:.1}s {way} this machine's");
    Link::Clock.fail_if(off >= MOST_SKEW_SECONDS, what, fix)
}

/// The dashboards tell hosts apart by `host` where any series has it: those without would be shown as one.
fn host_label(facts: &Prometheus) -> Option<Finding> {
    let without = facts.passes.iter().filter(|pass| pass.names[0].is_empty()).count();
    let all = facts.passes.len();
    let what = format!(
        "{without} of {} have no host label beside others that have one: dashboards take them for one host",
        plural(all, "pass")
    );
    let fix = "set labels = { host = \"NAME\" } below [probe] on those hosts, or add the metric_relabel_configs of \
        monitoring/prometheus/prometheus.yml to their scrape job";
    (0 < without && without < all).then(|| Link::Prometheus.warn(what, fix))
}

/// What brings our series being down shows in their age; any other target's trouble is only worth knowing.
fn targets(facts: &Prometheus) -> Option<Finding> {
    let down: Vec<&Value> = facts.targets.iter().filter(|target| target["health"] != "up").collect();
    let first = name_of(down.first()?);
    let named = down.iter().map(|&target| {
        let error = text(target, "/lastError");
        format!("{} ({})", name_of(target), without_url(&error))
    });
    let named = first_of(&named.collect::<Vec<_>>(), NAMED);
    let what = format!("{}, {} of them down: {named}", plural(facts.targets.len(), "target"), down.len());
    let fix = format!("start what should answer for {first}, or take it out of scrape_configs");
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
    last - first < BEHIND_SECONDS && facts.targets.iter().any(|target| target["health"] == "up" && !since(target))
}

/// This host's newest pass there.
fn freshness(facts: &Prometheus, evidence: &Evidence) -> Finding {
    let (now, delivered, again) = (evidence.now, &evidence.delivered, evidence.starter.again());
    let is_own = |pass: &&OurPass| delivered.passes.iter().any(|at| (at - pass.at).abs() < SAME_SECONDS);
    let newest = facts.passes.iter().filter(is_own).max_by(|one, other| one.at.total_cmp(&other.at));
    let others: Vec<&str> = facts.passes.iter().take(NAMED).map(OurPass::name).collect();
    let others = if others.is_empty() { String::new() } else { format!("; it has those of {}", others.join(", ")) };
    let Some(newest) = newest else {
        if delivered.last_pass.is_none() {
            let what = format!("Prometheus has no series of this host, and there has been no pass{others}");
            return Link::Prometheus.warn(what, again);
        }
        if pending(facts, delivered) {
            let what = "Prometheus has not scraped every target since the first delivery of this host";
            return Link::Prometheus.warn(what, "lab-probe doctor, in a minute");
        }
        let what = format!("Prometheus has no pass of this host from the last five minutes{others}");
        let fix =
            "let Prometheus scrape this host's node_exporter (or the Pushgateway): scrape_configs in prometheus.yml";
        return delivered.fail(Link::Prometheus, what, fix);
    };
    let old = age(now - newest.at);
    let stale = format!("the newest pass of this host that Prometheus has is {old} old");
    match delivered.last_pass {
        Some(pass) if pass - newest.at > BEHIND_SECONDS => {
            let fix =
                "see what stands between: node_exporter or the Pushgateway above, and the targets page of Prometheus";
            delivered.fail(Link::Prometheus, format!("{stale}, the last one here {}", age(now - pass)), fix)
        }
        _ if now - newest.at > STALE_SECONDS => {
            Link::Prometheus.fail(stale, format!("see the timer above, or {again}"))
        }
        _ => {
            let (hosts, name) = (plural(facts.passes.len(), "host"), newest.name());
            let what =
                format!("Prometheus has series of {hosts}; the newest pass of this host, as {name}, is {old} old");
            Link::Prometheus.ok(what)
        }
    }
}
