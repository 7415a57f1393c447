//! The dashboards: as generated, as Grafana's types say, asking only for what exists, and never empty.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use lab_probe::{clock, metrics::catalogue};
use regex_lite::{Captures, Regex};
use serde_json::Value;

use super::lab::RealLab;
use super::rule_files::rules;
use super::running::Stack;
use super::synthetic::Synthetic;
use super::tools::{eventually, files, installed, monitoring, query, root, succeed, text, tool};

/// One dashboard file.
struct Dashboard {
    name: String,
    json: Value,
}

/// One query of a panel, a variable or an annotation.
struct Query {
    place: String,
    expr: String,
    instant: bool,
    long_term: bool,
    span: Option<String>,
}

fn dashboards() -> Vec<Dashboard> {
    let load = |path: std::path::PathBuf| Dashboard {
        name: path.file_name().expect("a name").to_string_lossy().into_owned(),
        json: serde_json::from_str(&text(&path)).expect("JSON"),
    };
    files(monitoring("grafana/dashboards"), "json").into_iter().map(load).collect()
}

impl Dashboard {
    fn panels(&self) -> Vec<&Value> {
        let all = self.json["panels"].as_array().expect("panels");
        all.iter().filter(|panel| panel["type"] != "row").collect()
    }

    fn title(&self) -> &str {
        self.json["title"].as_str().expect("a title")
    }

    fn queries(&self) -> Vec<Query> {
        let mut found = Vec::new();
        for panel in self.panels() {
            for target in panel["targets"].as_array().expect("targets") {
                found.push(Query {
                    place: format!("{} / {} / {}", self.title(), panel["title"], target["refId"]),
                    expr: filled(target["expr"].as_str().expect("a query")),
                    instant: target["instant"] == true,
                    long_term: target["datasource"]["uid"] == "${longterm}",
                    span: panel["timeFrom"].as_str().map(str::to_owned),
                });
            }
        }
        found
    }
}

/// A query with what Grafana puts in for its variables when all is chosen.
fn filled(expr: &str) -> String {
    let expr = expr.replace("$environment|lab", ".*|lab");
    Regex::new(r"\$(environment|host|worktree|server)\b").expect("a pattern").replace_all(&expr, ".*").into_owned()
}

#[test]
fn the_files_are_what_their_sources_generate() {
    succeed(
        tool("python3").arg(monitoring("grafana/source/build.py")).arg("--check").env("PYTHONDONTWRITEBYTECODE", "1"),
    );
}

#[test]
fn grafanas_own_types_know_every_panel_and_every_option() {
    let check = tempfile::tempdir().expect("a directory");
    let said = succeed(
        tool("node")
            .arg(root().join("tests/monitoring/types.cjs"))
            .arg(monitoring("grafana/dashboards"))
            .arg(check.path().join("types"))
            .env("NODE_PATH", installed("node_modules")),
    );
    assert!(said.contains("panels agree with @grafana/schema"), "{said}");
    let said = succeed(
        tool("python3")
            .arg(root().join("tests/monitoring/roundtrip.py"))
            .args(files(monitoring("grafana/dashboards"), "json"))
            .env("PYTHONPATH", installed("python"))
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    );
    assert!(said.contains("dashboards agree with grafana-foundation-sdk"), "{said}");
}

#[test]
fn the_overview_has_the_panels_of_the_dashboard_it_replaces() {
    let all = dashboards();
    let overview = all.iter().find(|dashboard| dashboard.title() == "THUNES Trading Overview").expect("the overview");
    let titles: BTreeSet<_> = overview.panels().iter().map(|panel| panel["title"].as_str().expect("a title")).collect();
    for title in [
        "Daily PnL Usage",
        "Open Positions",
        "Kill-Switch Status",
        "Circuit Breaker State",
        "Order Latency (p50/p95/p99)",
        "WebSocket Health",
        "Orders Placed (24h)",
        "WebSocket Message Gap",
        "MCP Server Health",
        "Worktree Status",
        "Worktree Test Status",
        "Alert status",
    ] {
        assert!(titles.contains(title), "no panel {title}");
    }
    assert_eq!(overview.json["annotations"]["list"][0]["name"], "Alerts");
}

#[test]
fn a_dashboard_is_one_that_file_provisioning_loads() {
    let mut uids = BTreeSet::new();
    for dashboard in dashboards() {
        let json = &dashboard.json;
        assert!(json.get("dashboard").is_none(), "{} is wrapped", dashboard.name);
        assert!(uids.insert(json["uid"].as_str().expect("a uid").to_owned()), "{}: its uid is taken", dashboard.name);
        assert!(json.get("id").is_none() && json["schemaVersion"].as_u64() >= Some(39), "{}", dashboard.name);
        for panel in dashboard.panels() {
            assert!(panel["description"].as_str().is_some_and(|text| text.len() > 20), "{}", panel["title"]);
            assert_ne!(panel["type"], "graph", "{} is of a type that Grafana removed", panel["title"]);
        }
    }
    let sources = text(monitoring("grafana/provisioning/datasources/lab.yml"));
    for uid in ["lab-prometheus", "lab-longterm"] {
        assert!(sources.contains(&format!("uid: {uid}\n")), "{uid} is not provisioned");
    }
    for dashboard in dashboards() {
        for variable in dashboard.json["templating"]["list"].as_array().expect("variables") {
            if variable["type"] == "datasource" {
                let uid = variable["current"]["value"].as_str().expect("a default");
                assert!(sources.contains(&format!("uid: {uid}\n")), "{}: {uid} is not provisioned", dashboard.name);
            }
        }
    }
}

#[test]
fn links_lead_to_dashboards_and_variables_that_exist() {
    let all = dashboards();
    let uids: BTreeSet<_> = all.iter().map(|dashboard| dashboard.json["uid"].as_str().expect("a uid")).collect();
    let link = Regex::new(r#""/d/([a-z-]+)\?"#).expect("a pattern");
    let used = Regex::new(r"\$\{?([a-z]+)").expect("a pattern");
    for dashboard in &all {
        let source = dashboard.json.to_string();
        for found in link.captures_iter(&source) {
            assert!(uids.contains(&found[1]), "{} links to {}", dashboard.name, &found[1]);
        }
        let list = dashboard.json["templating"]["list"].as_array().expect("variables");
        let known: BTreeSet<_> = list.iter().map(|variable| variable["name"].as_str().expect("a name")).collect();
        for panel in dashboard.panels() {
            for target in panel["targets"].as_array().expect("targets") {
                for name in used.captures_iter(target["expr"].as_str().expect("a query")) {
                    assert!(known.contains(&name[1]), "{}: no variable {}", dashboard.name, &name[1]);
                }
            }
        }
    }
}

#[test]
fn a_state_has_the_same_word_and_colour_on_every_dashboard() {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut compare = |mappings: &Value, place: &str| {
        for option in mappings.as_array().into_iter().flatten() {
            for state in option["options"].as_object().expect("options").values() {
                let (word, color) =
                    (state["text"].as_str().expect("a word"), state["color"].as_str().expect("a colour"));
                let before = seen.entry(word.to_owned()).or_insert_with(|| color.to_owned());
                assert_eq!(before, color, "{place}: {word} has another colour than elsewhere");
            }
        }
    };
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let place = format!("{} / {}", dashboard.name, panel["title"]);
            compare(&panel["fieldConfig"]["defaults"]["mappings"], &place);
            for rule in panel["fieldConfig"]["overrides"].as_array().expect("overrides") {
                for property in rule["properties"].as_array().expect("properties") {
                    if property["id"] == "mappings" {
                        compare(&property["value"], &place);
                    }
                }
            }
        }
    }
    assert_eq!(seen.get("blocked").map(String::as_str), Some("red"));
}

#[test]
fn queries_ask_only_for_families_that_lab_probe_makes() {
    let recorded: BTreeSet<String> = rules().into_iter().filter_map(|rule| rule.record).collect();
    // What Prometheus itself makes for each scrape and each alert.
    let others = ["ALERTS", "scrape_samples_post_metric_relabeling", "scrape_series_added"];
    let selector = Regex::new(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{|\[)").expect("a pattern");
    let bare = Regex::new(r"\b(?:thunes|lab)_[a-z0-9_]+").expect("a pattern");
    for dashboard in dashboards() {
        for query in dashboard.queries() {
            let names = selector.captures_iter(&query.expr).map(|found| found[1].to_owned());
            let names = names.chain(bare.find_iter(&query.expr).map(|found| found.as_str().to_owned()));
            for name in names {
                let base = name.strip_suffix("_bucket").unwrap_or(&name);
                let known = catalogue::find(base).is_some() || recorded.contains(&name) || others.contains(&base);
                assert!(known, "{}: {name} is no family of `lab-probe metrics`", query.place);
            }
        }
    }
}

/// Three months of a LAB for the long-term storage, a sample every two hours.
fn three_months(now: f64) -> String {
    let mut out = String::new();
    for hours in (0..95 * 24_u32).step_by(2) {
        let at = now - f64::from(hours) * 3600.0;
        let steps = 95 * 24 - u64::from(hours);
        let stamp = (at * 1000.0) as i64;
        for line in Synthetic::healthy().exposition(at, steps).lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("a sample");
            let trends = [
                "health",
                "orders_placed",
                "latency_ms_bucket",
                "test_status",
                "pnl_used",
                "handshake",
                "worktree_status",
                "kill_switch",
                "server_tools{",
                "pass_duration",
                "last_pass",
                "source_up",
            ];
            if trends.iter().any(|part| series.contains(part)) {
                let labelled = match series.split_once('{') {
                    Some((name, labels)) => format!("{name}{{host=\"lab\",{labels}"),
                    None => format!("{series}{{host=\"lab\"}}"),
                };
                let _ = writeln!(out, "{labelled} {value} {stamp}");
            }
        }
    }
    out
}

fn is_number(sample: &Value) -> bool {
    let number = |pair: &Value| pair[1].as_str().is_some_and(|text| text.parse::<f64>().is_ok_and(f64::is_finite));
    match sample["values"].as_array() {
        Some(values) => values.iter().any(number),
        None => number(&sample["value"]),
    }
}

/// Runs one query as its panel does; whether it gave at least one series with a number in it.
fn gives_data(stack: &Stack, asked: &Query) -> bool {
    let base = stack.url(if asked.long_term { "VICTORIA_PORT" } else { "PROMETHEUS_PORT" });
    let now = clock::unix_seconds(clock::now());
    let (span, step) = match asked.span.as_deref() {
        Some("7d") => (7.0 * 86_400.0, 7200),
        Some("30d") => (30.0 * 86_400.0, 21_600),
        Some("90d") => (90.0 * 86_400.0, 43_200),
        None => (60.0, 5),
        Some(other) => panic!("{}: a span of {other}", asked.place),
    };
    let call = if asked.instant {
        format!("query?time={now}&")
    } else {
        format!("query_range?start={}&end={now}&step={step}&", now - span)
    };
    query(&base, &call, &asked.expr).iter().any(is_number)
}

/// Families of which the real LAB has nothing: no service in it has a certificate, no journal a gap, no server an ill manner.
const NOT_IN_THE_LAB: &[&str] = &["lab_service_certificate_end_timestamp_seconds", "thunes_source_gaps_total"];

#[test]
fn every_query_of_every_panel_returns_data() {
    let stack = Stack::hurried();
    let victoria = stack.url("VICTORIA_PORT");
    let history = three_months(clock::unix_seconds(clock::now()));
    ureq::post(&format!("{victoria}/api/v1/import/prometheus")).send(history.as_bytes()).expect("an import");
    let lab = RealLab::new(&stack.path("textfile"));
    let all: Vec<Query> = dashboards().iter().flat_map(Dashboard::queries).collect();
    let mut empty: Vec<&Query> = all.iter().collect();
    let mut steps = 0;
    // A panel may need some scrapes before it has a rate; none may stay empty.
    let begin = clock::instant();
    while !empty.is_empty() && begin.elapsed() < Duration::from_secs(90) {
        for _ in 0..3 {
            steps += 1;
            lab.pass();
            stack.complete(&lab.delivered(), steps);
            std::thread::sleep(Duration::from_secs(1));
        }
        empty.retain(|query| !gives_data(&stack, query));
    }
    let places: Vec<_> = empty.iter().map(|query| format!("{}: {}", query.place, query.expr)).collect();
    assert!(places.is_empty(), "{} of {} queries are empty:\n{}", places.len(), all.len(), places.join("\n"));
    variables_have_values(&stack);
    // What Grafana showed came from passes, not from the samples beside them.
    let delivered = lab.delivered();
    let expected = catalogue::ALL.iter().map(|family| family.name).filter(|name| !NOT_IN_THE_LAB.contains(name));
    let missing: Vec<_> = expected.filter(|name| !delivered.contains(*name)).collect();
    assert!(missing.is_empty(), "no pass delivered {missing:?}");
}

/// The drop-downs on top of the dashboards are not empty either.
fn variables_have_values(stack: &Stack) {
    let pattern = Regex::new(r"^label_values\((.+), ([a-z_]+)\)$").expect("a pattern");
    for dashboard in dashboards() {
        for variable in dashboard.json["templating"]["list"].as_array().expect("variables") {
            let Some(asked) = variable["query"]["query"].as_str() else { continue };
            let parts: Captures<'_> = pattern.captures(asked).unwrap_or_else(|| panic!("{asked}"));
            let port = if variable["datasource"]["uid"] == "${longterm}" { "VICTORIA_PORT" } else { "PROMETHEUS_PORT" };
            let (selector, label) = (filled(&parts[1]), &parts[2]);
            let found = eventually(Duration::from_secs(40), asked, || {
                let series = query(&stack.url(port), "query?", &selector);
                (!series.is_empty()).then_some(series)
            });
            let values: BTreeSet<_> = found.iter().filter_map(|series| series["metric"][label].as_str()).collect();
            assert!(!values.is_empty(), "{}: {asked} has no values", dashboard.name);
        }
    }
}
