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

    fn queries(&self, host_label: &str) -> Vec<Query> {
        let mut found = Vec::new();
        for panel in self.panels() {
            for target in panel["targets"].as_array().expect("targets") {
                found.push(Query {
                    place: format!("{} / {} / {}", self.title(), panel["title"], target["refId"]),
                    expr: filled(target["expr"].as_str().expect("a query"), host_label),
                    instant: target["instant"] == true,
                    long_term: target["datasource"]["uid"] == "${longterm}",
                    span: panel["timeFrom"].as_str().map(str::to_owned),
                });
            }
        }
        found
    }

    /// Those from lab-probe's own series. Grafana asks for the others what fires, which in a healthy LAB is nothing.
    fn annotations(&self) -> impl Iterator<Item = &Value> {
        let all = self.json["annotations"]["list"].as_array().expect("annotations").iter();
        all.filter(|one| one["expr"].as_str().is_some_and(|expr| !expr.starts_with("ALERTS{")))
    }
}

/// A query with what Grafana puts in for its variables when all is chosen, on a Prometheus whose series tell hosts apart
/// by this label.
fn filled(expr: &str, host_label: &str) -> String {
    let expr = expr.replace("$environment|lab", ".*|lab").replace("$host_label", host_label).replace("$__range", "1h");
    Regex::new(r"\$(environment|host|worktree|server|service)\b")
        .expect("a pattern")
        .replace_all(&expr, ".*")
        .into_owned()
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
        "Daily PnL Usage", "Open Positions", "Kill-Switch Status", "Circuit Breaker State",
        "Order Latency (p50/p95/p99)", "WebSocket Health", "Orders Placed (24h)", "WebSocket Message Gap",
        "MCP Server Health", "Worktree Status", "Worktree Test Status", "Alert status",
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
fn a_panel_has_a_unit_words_for_nothing_the_present_for_now_and_no_hole_beside_it() {
    for dashboard in dashboards() {
        for panel in dashboard.panels() {
            let (title, defaults) = (&panel["title"], &panel["fieldConfig"]["defaults"]);
            for key in ["unit", "noValue"] {
                assert!(
                    defaults[key].as_str().is_some_and(|text| !text.is_empty()),
                    "{}: {title}: no {key}",
                    dashboard.name
                );
            }
            for target in panel["targets"].as_array().expect("targets") {
                let over_time = panel["type"] == "timeseries" || panel["type"] == "state-timeline";
                assert_eq!(target["instant"] == true, !over_time, "{}: {title} is of another time", dashboard.name);
                let (expr, legend) = (target["expr"].as_str().expect("a query"), &target["legendFormat"]);
                let grouped = Regex::new(r"^(\(*)(min|max|sum|histogram_quantile\([0-9.]+, sum) by \(\$host_label")
                    .expect("a pattern");
                let said =
                    panel["type"] == "table" || legend.as_str().is_some_and(|text| text.contains("{{$host_label}}"));
                assert!(said || !grouped.is_match(expr), "{}: {title}: a legend without the host", dashboard.name);
            }
        }
        let mut cells: BTreeMap<(u64, u64), u32> = BTreeMap::new();
        let all = dashboard.json["panels"].as_array().expect("panels");
        for place in all.iter().map(|panel| &panel["gridPos"]) {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| place[key].as_u64().expect("a number"));
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                *cells.entry(cell).or_default() += 1;
            }
        }
        let height = cells.keys().map(|(_, y)| y + 1).max().unwrap_or(0);
        assert_eq!((cells.len() as u64, cells.values().max()), (24 * height, Some(&1)), "{} has holes", dashboard.name);
    }
}

#[test]
fn links_lead_to_dashboards_and_variables_that_exist() {
    let all = dashboards();
    let uids: BTreeSet<_> = all.iter().map(|dashboard| dashboard.json["uid"].as_str().expect("a uid")).collect();
    let link = Regex::new(r#""/d/([a-z-]+)\?"#).expect("a pattern");
    let used = Regex::new(r"\$\{?([a-z_]+)").expect("a pattern");
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
    let selector = Regex::new(r"([a-zA-Z_][a-zA-Z0-9_:]*)\s*(\{|\[)").expect("a pattern");
    let bare = Regex::new(r"\b(?:thunes|lab)_[a-z0-9_]+").expect("a pattern");
    for dashboard in dashboards() {
        let panels = dashboard.queries("host").into_iter().map(|query| (query.place, query.expr));
        let annotation = |one: &Value| {
            (format!("annotation {}", one["name"]), filled(one["expr"].as_str().expect("a query"), "host"))
        };
        for (place, expr) in panels.chain(dashboard.annotations().map(annotation)) {
            let names = selector.captures_iter(&expr).map(|found| found[1].to_owned());
            let names = names.chain(bare.find_iter(&expr).map(|found| found.as_str().to_owned()));
            for name in names {
                let base =
                    ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(&name);
                let known = catalogue::find(base).is_some() || recorded.contains(&name) || others.contains(&base);
                assert!(known, "{}: {name} is no family of `lab-probe metrics`", place);
            }
        }
    }
}

/// When the annotation has a value: for each anomaly, and once for an event of many series.
const ANNOTATED: &str = r#"
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - {series: 'lab_anomalies_total{host="desk",metric="lab_mcp_server_cpu_seconds",kind="level"}', values: '0+0x40 1+0x120'}
      - {series: 'lab_anomalies_total{host="desk",metric="lab_mcp_server_cpu_seconds",kind="trend"}', values: '3+0x160'}
      - {series: 'lab_anomaly_widespread{host="desk"}', values: '0+0x80 1+0x40 0+0x40'}
    promql_expr_test:
      - {expr: 'count(EXPR)', eval_time: 19m, exp_samples: []}
      - {expr: 'count by (metric, kind) (EXPR)', eval_time: 21m, exp_samples: [{labels: '{metric="lab_mcp_server_cpu_seconds",kind="level"}', value: 1}]}
      - {expr: 'count(EXPR)', eval_time: 30m, exp_samples: []}
      - {expr: 'count by (metric, kind) (EXPR)', eval_time: 41m, exp_samples: [{labels: '{}', value: 1}]}
      - {expr: 'count(EXPR)', eval_time: 50m, exp_samples: []}
      - {expr: 'count(EXPR)', eval_time: 70m, exp_samples: []}
"#;

#[test]
fn an_anomaly_is_annotated_when_it_begins_and_so_is_an_event_of_many_series() {
    let all = dashboards();
    let mut annotations = all.iter().flat_map(Dashboard::annotations).map(|one| &one["expr"]).collect::<Vec<_>>();
    assert!(annotations.len() > 2, "only {} dashboards have them", annotations.len());
    annotations.dedup();
    for expr in annotations {
        let expr = filled(expr.as_str().expect("a query"), "host").split_whitespace().collect::<Vec<_>>().join(" ");
        let directory = tempfile::tempdir().expect("a directory");
        let case = directory.path().join("annotation.yml");
        std::fs::write(&case, ANNOTATED.replace("EXPR", &expr)).expect("written");
        succeed(tool("promtool").args(["test", "rules"]).arg(&case));
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
                "health", "orders_placed", "latency_ms_bucket", "test_status", "pnl_used", "handshake",
                "worktree_status", "kill_switch", "server_tools{", "pass_duration", "last_pass", "source_up",
                "max_rss_bytes", "journal_lines", "last_commit",
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
/// And nothing that takes two days to learn.
const NOT_IN_THE_LAB: &[&str] = &[
    "lab_service_certificate_end_timestamp_seconds",
    "thunes_source_gaps_total",
    "lab_mcp_server_handshake_expected_seconds",
    "lab_mcp_server_cpu_expected_seconds",
    "lab_mcp_server_max_rss_expected_bytes",
    "thunes_order_latency_expected_ms",
    "lab_service_duration_expected_seconds",
    "lab_anomaly_active",
];

#[test]
fn every_query_of_every_panel_returns_data() {
    let stack = Stack::hurried();
    let victoria = stack.url("VICTORIA_PORT");
    let history = three_months(clock::unix_seconds(clock::now()));
    ureq::post(&format!("{victoria}/api/v1/import/prometheus")).send(history.as_bytes()).expect("an import");
    let lab = RealLab::new(&stack.path("textfile"));
    // Where Prometheus sets a `host` label, as the shipped one does, and where there is only its own `instance`.
    let of = |label| dashboards().iter().flat_map(|dashboard| dashboard.queries(label)).collect::<Vec<Query>>();
    let all: Vec<Query> = of("host").into_iter().chain(of("instance")).collect();
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
    a_dead_probe_shows_no_green(&stack, steps);
}

/// node_exporter serves the last textfile for ever: what nobody has looked at for an hour is not called good.
fn a_dead_probe_shows_no_green(stack: &Stack, steps: u64) {
    let base = stack.url("PROMETHEUS_PORT");
    let long_ago = clock::unix_seconds(clock::now()) - 3600.0;
    std::fs::remove_file(stack.path("textfile/synthetic.prom")).expect("removed");
    stack.deliver(&Synthetic::healthy().with("lab_probe_last_pass_timestamp_seconds", long_ago), steps + 1);
    eventually(Duration::from_secs(30), "an old pass", || {
        let old = query(&base, "query?", r#"time() - lab_probe_last_pass_timestamp_seconds{host="lab"} > 3000"#);
        (!old.is_empty()).then_some(())
    });
    let mut judged = 0;
    for dashboard in dashboards().iter().filter(|dashboard| dashboard.json["uid"] != "lab-trends") {
        for panel in dashboard.panels() {
            for target in panel["targets"].as_array().expect("targets") {
                let expr = filled(target["expr"].as_str().expect("a query"), "host");
                // Alerts are Prometheus's own; a table has no colour but in columns of states.
                if expr.contains("ALERTS") || panel["type"] == "timeseries" {
                    continue;
                }
                judged += 1;
                for series in query(&base, "query?", &expr) {
                    let value = series["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number");
                    let (title, color) = (&panel["title"], color(panel, value));
                    assert_ne!(color, Some("green"), "{title} of a dead probe: {expr} is {value}");
                }
            }
        }
    }
    assert!(judged > 40, "only {judged} queries have colours");
}

/// The colour that a value has in a panel: of its state, else of the threshold below it; in a table, of its states alone.
fn color(panel: &Value, value: f64) -> Option<&str> {
    let defaults = &panel["fieldConfig"]["defaults"];
    let overrides = panel["fieldConfig"]["overrides"].as_array().expect("overrides").iter();
    let properties = overrides.flat_map(|rule| rule["properties"].as_array().expect("properties"));
    let states = properties.filter(|one| one["id"] == "mappings").map(|one| &one["value"]);
    let states: Vec<&Value> = states.chain([&defaults["mappings"]]).filter_map(|maps| maps.get(0)).collect();
    if panel["type"] == "table" {
        let good = |state: &&Value| state["options"][format!("{value}")]["color"] == "green";
        return states.iter().any(good).then_some("green");
    }
    let state = states.iter().find_map(|state| state["options"][format!("{value}")]["color"].as_str());
    let steps = defaults["thresholds"]["steps"].as_array().expect("steps").iter();
    let mut reached = steps.filter(|step| step["value"].as_f64().is_none_or(|bound| value >= bound));
    state.or_else(|| reached.next_back()?["color"].as_str())
}

/// The drop-downs on top of the dashboards are not empty either.
fn variables_have_values(stack: &Stack) {
    let pattern = Regex::new(r"^label_values\((.+), ([a-z_]+)\)$").expect("a pattern");
    let result = Regex::new(r"^query_result\((.+)\)$").expect("a pattern");
    for dashboard in dashboards() {
        for variable in dashboard.json["templating"]["list"].as_array().expect("variables") {
            let Some(asked) = variable["query"]["query"].as_str() else { continue };
            let port = if variable["datasource"]["uid"] == "${longterm}" { "VICTORIA_PORT" } else { "PROMETHEUS_PORT" };
            let asked = &filled(asked, "host");
            if let Some(parts) = result.captures(asked) {
                let label = |expr: &str| {
                    let found = query(&stack.url(port), "query?", expr);
                    assert!(found.len() < 2, "{asked}: {found:?}");
                    found.first().map(|one| one["metric"]["label"].to_string())
                };
                eventually(Duration::from_secs(40), asked, || {
                    label(&parts[1]).is_some_and(|label| label == "\"host\"").then_some(())
                });
                let elsewhere = parts[1].replace("lab_probe_last_pass_timestamp_seconds", "no_such_series");
                assert_eq!(label(&elsewhere).as_deref(), Some("\"instance\""), "{elsewhere}");
                continue;
            }
            let parts: Captures<'_> = pattern.captures(asked).unwrap_or_else(|| panic!("{asked}"));
            let (selector, label) = (parts[1].to_owned(), &parts[2]);
            let found = eventually(Duration::from_secs(40), asked, || {
                let series = query(&stack.url(port), "query?", &selector);
                (!series.is_empty()).then_some(series)
            });
            let values: BTreeSet<_> = found.iter().filter_map(|series| series["metric"][label].as_str()).collect();
            assert!(!values.is_empty(), "{}: {asked} has no values", dashboard.name);
        }
    }
}
