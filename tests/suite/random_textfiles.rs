//! Whatever a snapshot holds, real node_exporter takes its textfile whole and serves what was meant.
//!
//! `LAB_PROBE_TEXTFILES` sets how many snapshots, `LAB_PROBE_SEED` makes a run again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use lab_probe::clock::Deadline;
use lab_probe::exposition::{self, Family, Series, Value};
use lab_probe::metrics::text::{encode, render};
use lab_probe::metrics::vectors::label_value;
use lab_probe::model::mcp::{McpFacts, McpMemory, McpTarget, Reach, Transport};
use lab_probe::model::observation::{Facts, Memory, Observation};
use lab_probe::model::reason::{Failure, Reason};
use lab_probe::model::service::{ServiceFacts, ServiceProbe};
use lab_probe::model::snapshot::{Entry, LastPass, Outcome, Snapshot};
use lab_probe::model::target::{Probe, Schedule, Target};
use lab_probe::model::thunes::{
    BreakerState, Histogram, KillSwitch, ORDER_LATENCY_BUCKETS, OrderCount, ThunesFacts, ThunesTarget,
};
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::harness::Lab;
use crate::harness::daemon::{Daemon, open_to_all};

/// What escaping, cutting, sorting or a line-based reader could spoil.
const PIECES: &[&str] = &[
    "a", "B", "7", " ", "\\", "\"", "\n", "\\n", "\\\"", "\r", "\r\n", "\t", "\0", "\u{1b}[0m", "\u{7f}", "\u{85}",
    "\u{2028}", "\u{feff}", "\u{202e}", "é", "e\u{301}", "🦀", "\u{fffd}", "\u{10ffff}", "{", "}", "=", ",", "#",
    "# TYPE a gauge\n", "\na 1\n", "# HELP ", "NaN", "+Inf", "__name__", "le", "/", ":", "-",
];

/// What numbers stumble over.
const NUMBERS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    1e-7,
    1e21,
    5e-324,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    f64::EPSILON,
    4503599627370497.5,
    9007199254740993.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

/// A sample that must be served: family, labels besides the common ones, value.
type Meant = (&'static str, Vec<(&'static str, String)>, f64);

fn text(rng: &mut Rng) -> String {
    match rng.u8(0..20) {
        0 => String::new(),
        1 => "n".repeat(rng.usize(1..3000)),
        2 => (0..rng.usize(1..30)).map(|_| rng.char(..)).collect(),
        _ => (0..rng.usize(1..12)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect(),
    }
}

fn number(rng: &mut Rng) -> f64 {
    match rng.u8(0..4) {
        0 => NUMBERS[rng.usize(..NUMBERS.len())],
        1 => f64::from_bits(rng.u64(..)),
        2 => f64::from(rng.i32(-1000..1000)) / 8.0,
        _ => (rng.f64() - 0.5) * 1e6,
    }
}

/// Differing texts, as names within a kind are.
fn names(rng: &mut Rng, most: usize) -> Vec<String> {
    let count = rng.usize(0..=most);
    let mut names: Vec<String> = (0..count).map(|_| text(rng)).collect();
    names.sort();
    names.dedup_by(|a, b| label_value(a) == label_value(b));
    rng.shuffle(&mut names);
    names
}

/// A snapshot, and what must be served of it; values that are no finite numbers must not.
struct Made {
    snapshot: Snapshot,
    meant: Vec<Meant>,
    absent: Vec<Meant>,
}

impl Made {
    fn new(rng: &mut Rng) -> Made {
        // Names of labels as the configuration allows them.
        let label =
            |rng: &mut Rng| format!("x{}", (0..rng.usize(0..12)).map(|_| rng.alphanumeric()).collect::<String>());
        let labels: BTreeMap<String, String> = (0..rng.usize(0..4)).map(|_| (label(rng), text(rng))).collect();
        let snapshot = Snapshot {
            pass: LastPass {
                started_at: Timestamp::UNIX_EPOCH,
                duration: Duration::from_nanos(rng.u64(..1 << 60)),
                deadline_exceeded: rng.bool(),
            },
            output_failures: BTreeMap::from([("textfile".to_owned(), rng.u64(..))]),
            pass_failures: rng.u64(..),
            labels,
            ..Snapshot::default()
        };
        let mut made = Made { snapshot, meant: Vec::new(), absent: Vec::new() };
        names(rng, 6).into_iter().for_each(|name| made.mcp(name, rng));
        names(rng, 3).into_iter().for_each(|name| made.thunes(name, rng));
        names(rng, 3).into_iter().for_each(|name| made.service(name, rng));
        made
    }

    fn means(&mut self, family: &'static str, labels: &[(&'static str, &str)], value: f64) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let list = if value.is_finite() { &mut self.meant } else { &mut self.absent };
        list.push((family, labels, value));
    }

    fn add(&mut self, name: String, probe: Probe, facts: Facts, memory: Memory) {
        let ttl = Duration::from_secs(30);
        let schedule = Schedule { ttl, retry_after: ttl, timeout: ttl };
        let target =
            Target { name, probe, schedule, fingerprint: String::new(), origins: Vec::new(), only_here: false };
        let observation = Observation { checked_at: Timestamp::UNIX_EPOCH, duration: ttl, facts };
        self.snapshot.entries.push(Entry {
            target,
            outcome: Outcome::Fresh,
            observation: Some(observation),
            memory: Some(memory),
            next_due: None,
            processes: None,
            trouble: None,
        });
    }

    fn mcp(&mut self, name: String, rng: &mut Rng) {
        let reason = *rng.choice(Reason::ALL).expect("reasons");
        let failure = rng.bool().then(|| Failure::new(reason, text(rng)));
        let health = match &failure {
            None => 1.0,
            Some(failure) if failure.reason.is_not_configured() => 2.0,
            Some(_) => 0.0,
        };
        self.means("lab_mcp_server_health", &[("server_name", &name)], health);
        let version: String = text(rng);
        let shown = lab_probe::redact::shortened(&version, 128);
        let labels = [("server_name", name.as_str()), ("transport", "http"), ("server_version", &shown)];
        self.means("lab_mcp_server_info", &labels, 1.0);
        let changed_at = number(rng);
        self.means("lab_mcp_server_tools_changed_timestamp_seconds", &[("server_name", &name)], changed_at);
        let reach = Reach::Unreachable(Failure::new(Reason::NotConfigured, ""));
        let facts = McpFacts {
            failure,
            transport: Some(Transport::Http),
            server_version: Some(version),
            ..McpFacts::default()
        };
        let memory = McpMemory { tools_changed_at: Some(changed_at), ..McpMemory::default() };
        let probe = Probe::Mcp(McpTarget { reach, list_tools: true });
        self.add(name, probe, Facts::Mcp(facts), Memory::Mcp(memory));
    }

    fn thunes(&mut self, name: String, rng: &mut Rng) {
        let environment = ("environment", name.as_str());
        let (used, open, active) = (number(rng), number(rng), rng.bool());
        self.means("thunes_daily_pnl_used", &[environment], used);
        self.means("thunes_open_positions", &[environment], open);
        self.means("thunes_kill_switch_active", &[environment], f64::from(u8::from(active)));
        let mut breakers = BTreeMap::new();
        for breaker in names(rng, 4) {
            let states = [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open];
            let state = *rng.choice(&states).expect("states");
            self.means("thunes_circuit_breaker_state", &[environment, ("breaker_name", &breaker)], state.value());
            breakers.insert(breaker, state);
        }
        let mut orders = Vec::new();
        for venue in names(rng, 4) {
            let (order_type, side, count) = (text(rng), text(rng), rng.u64(..));
            let labels = [environment, ("venue", &venue), ("order_type", &order_type), ("side", &side)];
            self.means("thunes_orders_placed_total", &labels, count as f64);
            orders.push(OrderCount { venue, order_type, side, count });
        }
        let counts: Vec<u64> = (0..=ORDER_LATENCY_BUCKETS.len()).map(|_| rng.u64(..1 << 40)).collect();
        let latency = Histogram { sum: number(rng), counts };
        // A histogram is looked up by its count, which is whole.
        if latency.sum.is_finite() {
            self.means("thunes_order_latency_ms", &[environment], latency.count() as f64);
        }
        let facts = ThunesFacts {
            kill_switch: Some(KillSwitch { active, ..KillSwitch::default() }),
            daily_pnl_used: Some(used),
            open_positions: Some(open),
            breakers: Some(breakers),
            orders: Some(orders),
            order_latency: Some(latency),
            ..ThunesFacts::default()
        };
        let target = ThunesTarget {
            environment: name.clone(),
            root: "/".into(),
            positions_db: "a.db".into(),
            journals: Vec::new(),
            logs: Vec::new(),
            metrics_url: None,
            max_daily_loss: None,
            unreachable: None,
        };
        self.add(name, Probe::Thunes(target), Facts::Thunes(facts), Memory::Thunes(Default::default()));
    }

    fn service(&mut self, name: String, rng: &mut Rng) {
        let end = rng.i64(..);
        let label = ("service_name", name.as_str());
        self.means("lab_service_up", &[label], 1.0);
        self.means("lab_service_certificate_end_timestamp_seconds", &[label], end as f64);
        let facts = ServiceFacts { certificate_end: Some(end), seen: text(rng), ..ServiceFacts::default() };
        let probe = Probe::Service(ServiceProbe::Tcp("h:1".into()));
        self.add(name, probe, Facts::Service(facts), Memory::Service);
    }
}

/// The served series of a family that has these labels and, as far as they are not empty, the common ones.
fn served<'a>(families: &'a [Family], meant: &Meant, common: &BTreeMap<String, String>) -> Option<&'a Series> {
    let (name, labels, _) = meant;
    let family = families.iter().find(|family| family.name == *name)?;
    let has = |series: &Series, name: &str, value: &str| series.label(name).unwrap_or_default() == label_value(value);
    family.series.iter().find(|series| {
        labels.iter().all(|(name, value)| has(series, name, value))
            && common.iter().all(|(name, value)| has(series, name, value))
    })
}

fn value(series: &Series) -> Option<f64> {
    match &series.value {
        Value::Number(number) => Some(*number),
        Value::Histogram(distribution) => distribution.count,
        Value::Summary(_) => None,
    }
}

/// A family of any name, with any label names, as the writer would take it from a future catalogue.
struct AnyFamily {
    name: String,
    help: String,
    rows: Vec<(BTreeMap<String, String>, f64)>,
}

impl AnyFamily {
    fn new(rng: &mut Rng) -> AnyFamily {
        let name = |rng: &mut Rng, first: &str, signs: &[u8]| -> String {
            let rest = (0..rng.usize(0..20)).map(|_| char::from(*rng.choice(signs).expect("signs")));
            first.chars().chain(rest).collect()
        };
        let label_names: Vec<String> = (0..rng.usize(0..5)).map(|_| name(rng, "q", b"aZ_09")).collect();
        let rows = (0..rng.usize(1..6)).map(|row| {
            let own = ("row".to_owned(), row.to_string());
            let labels = label_names.iter().map(|name| (name.clone(), text(rng))).chain([own]).collect();
            (labels, Some(number(rng)).filter(|number| !number.is_nan()).unwrap_or(f64::INFINITY))
        });
        let rows = rows.collect();
        AnyFamily { name: name(rng, "any_", b"aZ_:09"), help: format!("x{}", text(rng)), rows }
    }

    fn encoded(&self) -> String {
        let metric = |(labels, value): &(BTreeMap<String, String>, f64)| {
            let pair = |(name, value): (&String, &String)| {
                let mut pair = LabelPair::default();
                pair.set_name(name.clone());
                pair.set_value(value.clone());
                pair
            };
            let (mut metric, mut gauge) = (Metric::default(), Gauge::default());
            gauge.set_value(*value);
            metric.set_gauge(gauge);
            metric.set_label(labels.iter().map(pair).collect());
            metric
        };
        let mut family = MetricFamily::default();
        family.set_name(self.name.clone());
        family.set_help(self.help.clone());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(self.rows.iter().map(metric).collect());
        encode(&[family]).unwrap_or_else(|unsound| panic!("{unsound:#}"))
    }

    fn compare(&self, families: &[Family]) {
        let served = families.iter().find(|family| family.name == self.name);
        let served = served.unwrap_or_else(|| panic!("{} is not served", self.name));
        assert_eq!(served.help.as_deref(), Some(self.help.as_str()));
        assert_eq!(served.series.len(), self.rows.len());
        for (labels, meant) in &self.rows {
            let has = |series: &&Series| labels.iter().all(|(n, v)| series.label(n).unwrap_or_default() == v);
            assert_eq!(served.series.iter().find(has).and_then(value), Some(*meant), "{labels:?}");
        }
    }
}

/// Delivered as the probe delivers: by one rename.
fn deliver(directory: &Path, name: &str, exposition: &str) {
    std::fs::write(directory.join("new"), exposition).expect("written");
    std::fs::rename(directory.join("new"), directory.join(name)).expect("renamed");
}

fn one_snapshot(directory: &Path, node_exporter: &Daemon, rng: &mut Rng) -> usize {
    let Made { snapshot, meant, absent } = Made::new(rng);
    let exposition = render(&snapshot).unwrap_or_else(|unsound| panic!("{unsound:#}"));
    deliver(directory, "lab-probe.prom", &exposition);
    let any = AnyFamily::new(rng);
    deliver(directory, "any.prom", &any.encoded());
    let scraped = node_exporter.get("/metrics");
    assert!(scraped.contains("\nnode_textfile_scrape_error 0\n"), "{}\n{exposition}", node_exporter.log());
    let families = exposition::parse(scraped.as_bytes()).expect("an exposition");
    for sample in &meant {
        let found = served(&families, sample, &snapshot.labels).unwrap_or_else(|| panic!("{sample:?} is not served"));
        assert_eq!(value(found), Some(sample.2), "{sample:?}: {found:?}");
    }
    for sample in &absent {
        assert!(served(&families, sample, &snapshot.labels).is_none(), "{sample:?} is served");
    }
    // Nothing else came in by way of a label either.
    let own = |families: &[Family]| -> usize {
        let own = families.iter().filter(|f| f.name.starts_with("lab_") || f.name.starts_with("thunes_"));
        own.map(|family| family.series.len()).sum()
    };
    assert_eq!(own(&families), own(&exposition::parse(exposition.as_bytes()).expect("an exposition")));
    any.compare(&families);
    meant.len() + any.rows.len()
}

#[test]
#[expect(clippy::print_stderr, reason = "the seed makes a failed run again")]
fn node_exporter_serves_any_names_labels_and_values_as_they_were_meant() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = setting("LAB_PROBE_SEED").unwrap_or_else(|| fastrand::u64(..));
    let wanted = setting("LAB_PROBE_TEXTFILES");
    eprintln!("LAB_PROBE_SEED={seed}");
    let lab = Lab::new();
    open_to_all(lab.path());
    let directory = lab.path().join("textfiles");
    std::fs::create_dir(&directory).expect("a directory");
    open_to_all(&directory);
    let argument = format!("--collector.textfile.directory={}", directory.display());
    let arguments = ["--collector.disable-defaults", "--collector.textfile", &argument];
    let node_exporter = Daemon::start("prometheus-node-exporter", &arguments);
    let mut rng = Rng::with_seed(seed);
    let (mut made, mut samples) = (0, 0);
    // Five hundred take three seconds on a quiet machine.
    let deadline = Deadline::after(Duration::from_secs(15));
    while made < wanted.unwrap_or(500) && (wanted.is_some() || !deadline.passed()) {
        samples += one_snapshot(&directory, &node_exporter, &mut rng);
        made += 1;
    }
    eprintln!("{made} snapshots, {samples} samples compared");
    assert!(made >= 10 && samples > made as usize, "{made} snapshots, {samples} samples");
}
