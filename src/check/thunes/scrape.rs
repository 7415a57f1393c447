//! The endpoint of an instrumented application: the eight families of the contract, validated, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use jiff::{SignedDuration, Timestamp};

use super::sources::{from, with_market_orders};
use super::tally::{MAX_COMBINATIONS, MAX_NAMES, label};
use crate::clock::Deadline;
use crate::exposition::{self, Distribution, Family, Kind, Series, Value};
use crate::http::{self, Client, Method, Request};
use crate::model::thunes::{
    BreakerState, Histogram, KillSwitch, METRICS_URL, ORDER_LATENCY_BUCKETS, OrderCount, ThunesFacts, WS_GAP_BUCKETS,
};
use crate::redact::{Secret, redact};

/// An endpoint beside us answers at once or is in trouble.
const TIMEOUT: Duration = Duration::from_secs(4);

/// What is read of an answer; the families wanted take a few kilobytes of it.
const MAX_BYTES: u64 = 8 << 20;

/// A sample with a timestamp of its own may be this much behind or ahead.
const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scraped {
    /// The values of its families, and what is wrong with others.
    pub(super) facts: ThunesFacts,
    /// The families that it has, also those without a value and those that are wrong.
    pub(super) families: BTreeSet<&'static str>,
}

/// Errors: A sentence that does not repeat the URL: no answer, no success, no exposition, none of the families.
pub(super) fn scrape(url: &Secret, environment: &str, now: Timestamp, deadline: Deadline) -> Result<Scraped> {
    let deadline = deadline.sooner(TIMEOUT.min(deadline.left() / 3));
    let url = http::parse_url(url).map_err(sentence)?;
    let client = Client::new(&url);
    let request = Request::new(Method::GET, &url).header("accept", "text/plain; version=0.0.4");
    let mut response = client.send(&request, deadline).map_err(sentence)?;
    ensure!(response.is_success(), "it answered with HTTP status {}", response.status);
    let body = response.body.read_to_end(MAX_BYTES).map_err(sentence)?;
    read(&body, environment, now).map_err(|why| anyhow!(redact(&why.to_string(), &http::secrets_of(&url, &[]))))
}

/// Without the URL.
fn sentence(error: http::HttpError) -> anyhow::Error {
    anyhow!(error.detail)
}

pub(super) fn read(body: &[u8], environment: &str, now: Timestamp) -> Result<Scraped> {
    ensure!(body.ends_with(b"\n"), "its answer ends in the middle of a line, or is empty");
    let ours = only_ours(body);
    let families = exposition::parse(&ours).map_err(|e| anyhow!("its thunes_* lines are no exposition: {e}"))?;
    check_environment(&families, environment)?;
    let mut scraped = Scraped::default();
    for &(name, kind) in EIGHT {
        let family = families.iter().find(|family| family.name == name);
        // A family with labels is declared before it has a first series: then it is there, and empty.
        let declared = format!("# TYPE {name} ");
        let is_declared = ours.split(|b| *b == b'\n').any(|line| line.starts_with(declared.as_bytes()));
        if family.is_none() && !is_declared {
            continue;
        }
        scraped.families.insert(name);
        let usable = usable(family, kind, environment, now);
        match usable.and_then(|series| take(&mut scraped.facts, name, &series, now)) {
            Ok(()) => from(&mut scraped.facts, name, [METRICS_URL]),
            Err(why) => {
                scraped.facts.problems.push(format!("{METRICS_URL}: {name} of the endpoint is not used: {why}"));
            }
        }
    }
    ensure!(!scraped.families.is_empty(), "it has none of the thunes_* families; is it the application's?");
    Ok(scraped)
}

const EIGHT: &[(&str, Kind)] = &[
    ("thunes_kill_switch_active", Kind::Gauge),
    ("thunes_daily_pnl_used", Kind::Gauge),
    ("thunes_open_positions", Kind::Gauge),
    ("thunes_circuit_breaker_state", Kind::Gauge),
    ("thunes_orders_placed_total", Kind::Counter),
    ("thunes_order_latency_ms", Kind::Histogram),
    ("thunes_ws_connected", Kind::Gauge),
    ("thunes_ws_gap_seconds", Kind::Histogram),
];

/// The lines about the eight families: whatever else the application exports is not ours to judge.
fn only_ours(body: &[u8]) -> Vec<u8> {
    let mut ours = Vec::new();
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let words = line.strip_prefix(b"# TYPE ").or_else(|| line.strip_prefix(b"# HELP ")).unwrap_or(line);
        let name =
            words.split(|byte| !(byte.is_ascii_alphanumeric() || b"_:".contains(byte))).next().unwrap_or_default();
        let is_of = |family: &str| {
            let suffix = name.strip_prefix(family.as_bytes());
            suffix.is_some_and(|suffix| matches!(suffix, b"" | b"_bucket" | b"_sum" | b"_count"))
        };
        if EIGHT.iter().any(|(family, _)| is_of(family)) {
            ours.extend_from_slice(line);
        }
    }
    ours
}

/// Refuses an answer whose series are labelled, and none with our environment: another's application answers here.
fn check_environment(families: &[Family], environment: &str) -> Result<()> {
    let series = families.iter().flat_map(|family| &family.series);
    let named: BTreeSet<&str> = series.filter_map(|series| series.label("environment")).collect();
    let names: Vec<String> = named.iter().take(3).map(|name| format!("{:?}", label(name))).collect();
    ensure!(
        named.is_empty() || named.contains(environment),
        "its series are of environment {}, not of {environment:?}; correct metrics_url or environment",
        names.join(" and ")
    );
    Ok(())
}

/// The series of our environment, of an application that may export several. Without any label all are ours.
fn usable<'a>(family: Option<&'a Family>, kind: Kind, environment: &str, now: Timestamp) -> Result<Vec<&'a Series>> {
    let Some(Family { kind: stated, series, .. }) = family else { return Ok(Vec::new()) };
    let is_of_kind = *stated == kind || *stated == Kind::Untyped && kind != Kind::Histogram;
    ensure!(is_of_kind, "it is a {}, not a {}", stated.as_str(), kind.as_str());
    let is_labelled = series.iter().any(|series| series.label("environment").is_some());
    let is_ours = |series: &&Series| !is_labelled || series.label("environment") == Some(environment);
    let ours: Vec<_> = series.iter().filter(is_ours).collect();
    ensure!(!is_labelled || !ours.is_empty(), "it has series of other environments only");
    // A bridge may repeat what it once read: then its samples say when that was.
    for written in ours.iter().filter_map(|series| series.timestamp_ms) {
        let at = Timestamp::from_millisecond(written).unwrap_or(Timestamp::MIN);
        let skew = at.duration_since(now).abs();
        ensure!(skew <= MAX_SKEW, "a sample has a timestamp that is old or ahead, {written}");
    }
    Ok(ours)
}

fn take(facts: &mut ThunesFacts, name: &str, series: &[&Series], now: Timestamp) -> Result<()> {
    let value = || number(single(series)?);
    match name {
        "thunes_kill_switch_active" => {
            let (active, evidence) = (switch(value()?)?, Some(METRICS_URL.to_owned()));
            let switch = KillSwitch { active, evidence, evidence_at: Some(now), ..KillSwitch::default() };
            facts.kill_switch = Some(switch);
        }
        "thunes_daily_pnl_used" => {
            let used = value()?;
            ensure!(used >= 0.0, "its value is {used}");
            facts.daily_pnl_used = Some(used);
        }
        "thunes_open_positions" => {
            let count = value()?;
            facts.open_positions = whole(count).map(|_| Some(count))?;
        }
        "thunes_circuit_breaker_state" => facts.breakers = Some(by_label(series, "breaker_name", breaker)?),
        "thunes_orders_placed_total" => facts.orders = Some(with_market_orders(orders(series)?)),
        "thunes_order_latency_ms" => facts.order_latency = Some(histogram(series, ORDER_LATENCY_BUCKETS)?),
        "thunes_ws_connected" => facts.ws_connected = Some(by_label(series, "symbol", switch)?),
        _ => facts.ws_gaps = Some(histogram(series, WS_GAP_BUCKETS)?),
    }
    Ok(())
}

fn single<'a>(series: &[&'a Series]) -> Result<&'a Series> {
    match series {
        [] => bail!("it has no series"),
        [one] => Ok(one),
        _ => bail!("it has several series, and nothing tells which one is meant"),
    }
}

/// Refuses what would fill Prometheus.
fn bounded(series: &[&Series], most: usize) -> Result<()> {
    ensure!(series.len() <= most, "it has {} series, more than {most}", series.len());
    Ok(())
}

fn number(series: &Series) -> Result<f64> {
    match series.value {
        Value::Number(value) if value.is_finite() => Ok(value),
        Value::Number(value) => bail!("its value is {value}"),
        _ => bail!("it is no plain number"),
    }
}

fn switch(value: f64) -> Result<bool> {
    match value {
        0.0 => Ok(false),
        1.0 => Ok(true),
        _ => bail!("its value is {value}, neither 0 nor 1"),
    }
}

fn breaker(value: f64) -> Result<BreakerState> {
    let state = BreakerState::ALL.iter().copied().find(|state| state.value() == value);
    state.with_context(|| format!("its value is {value}, none of 0, 0.5 and 1"))
}

/// A count. Past 2^53 a float no longer counts by ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range and whole, by the condition")]
fn whole(value: f64) -> Result<u64> {
    let is_count = (0.0..9_007_199_254_740_992.0).contains(&value) && value.fract() == 0.0;
    ensure!(is_count, "its value {value} is no count");
    Ok(value as u64)
}

fn required(series: &Series, name: &str) -> Result<String> {
    series.label(name).map(label).with_context(|| format!("a series has no label {name}"))
}

fn by_label<T>(series: &[&Series], name: &str, value: impl Fn(f64) -> Result<T>) -> Result<BTreeMap<String, T>> {
    bounded(series, MAX_NAMES)?;
    let mut values = BTreeMap::new();
    for series in series {
        let key = required(series, name)?;
        let known = values.insert(key.clone(), value(number(series)?)?);
        ensure!(known.is_none(), "two series are {name} {key:?}");
    }
    Ok(values)
}

fn orders(series: &[&Series]) -> Result<Vec<OrderCount>> {
    bounded(series, MAX_COMBINATIONS)?;
    let mut orders: Vec<OrderCount> = Vec::new();
    for series in series {
        let [venue, order_type, side] = ["venue", "order_type", "side"].map(|name| required(series, name));
        let order = OrderCount { venue: venue?, order_type: order_type?, side: side?, count: whole(number(series)?)? };
        let same = |other: &OrderCount| OrderCount { count: order.count, ..other.clone() } == order;
        ensure!(!orders.iter().any(same), "two series have the same venue, order_type and side");
        orders.push(order);
    }
    Ok(orders)
}

/// A histogram with the contract's bounds; with others it would be another family.
fn histogram(series: &[&Series], bounds: &[f64]) -> Result<Histogram> {
    let series = single(series)?;
    let Value::Histogram(Distribution { points, sum: Some(sum), count: Some(count), .. }) = &series.value else {
        bail!("it lacks buckets, sum or count");
    };
    // No latency and no gap is negative.
    ensure!((0.0..f64::INFINITY).contains(sum), "its sum is {sum}");
    let mut cumulative = Vec::new();
    for bound in bounds {
        let point = points.iter().find(|(at, _)| at == bound);
        cumulative.push(whole(point.with_context(|| format!("it has no bucket le=\"{bound}\""))?.1)?);
    }
    cumulative.push(whole(*count)?);
    let is_known = |(at, _): &(f64, f64)| at.is_infinite() || bounds.contains(at);
    ensure!(points.iter().all(is_known), "it has other buckets than the contract's");
    let is_whole = points.iter().all(|(at, all)| at.is_finite() || all == count);
    ensure!(cumulative.is_sorted() && is_whole, "its buckets contradict each other");
    let mut below = 0;
    let counts = cumulative.iter().map(|all| all - std::mem::replace(&mut below, *all)).collect();
    Ok(Histogram { counts, sum: *sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "# HELP python_info x
# TYPE python_info gauge
python_info{x=\"broken} 1
# HELP thunes_kill_switch_active Kill switch
# TYPE thunes_kill_switch_active gauge
thunes_kill_switch_active 1.0
# TYPE thunes_daily_pnl_used gauge
thunes_daily_pnl_used 0.25
thunes_open_positions 3
# TYPE thunes_circuit_breaker_state gauge
thunes_circuit_breaker_state{breaker_name=\"BinanceAPI\",extra=\"x\"} 0.5
# TYPE thunes_orders_placed_total counter
thunes_orders_placed_total{venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"} 7.0
# TYPE thunes_orders_placed_created gauge
thunes_orders_placed_created{venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"} 1.7e+09
# TYPE thunes_ws_connected gauge
# TYPE thunes_ws_gap_seconds histogram
thunes_ws_gap_seconds_bucket{le=\"0.1\"} 0
thunes_ws_gap_seconds_bucket{le=\"0.5\"} 1
thunes_ws_gap_seconds_bucket{le=\"1\"} 1
thunes_ws_gap_seconds_bucket{le=\"2\"} 1
thunes_ws_gap_seconds_bucket{le=\"5\"} 1
thunes_ws_gap_seconds_bucket{le=\"10\"} 1
thunes_ws_gap_seconds_bucket{le=\"30\"} 1
thunes_ws_gap_seconds_bucket{le=\"60\"} 1
thunes_ws_gap_seconds_bucket{le=\"+Inf\"} 2
thunes_ws_gap_seconds_sum 99.5
thunes_ws_gap_seconds_count 2
";

    fn read(body: &[u8], environment: &str) -> Result<Scraped> {
        super::read(body, environment, "2025-10-08T14:00:00Z".parse().expect("a time"))
    }

    #[test]
    fn the_eight_families_are_taken_and_nothing_else_matters() {
        let scraped = read(FULL.as_bytes(), "testnet").expect("read");
        let facts = scraped.facts;
        assert!(facts.problems.is_empty(), "{:?}", facts.problems);
        assert_eq!(
            (facts.kill_switch.map(|switch| switch.active), facts.daily_pnl_used, facts.open_positions),
            (Some(true), Some(0.25), Some(3.0))
        );
        assert_eq!(facts.breakers, Some([("BinanceAPI".to_owned(), BreakerState::HalfOpen)].into()));
        assert_eq!(facts.orders.map(|orders| orders[0].count), Some(7));
        assert_eq!(facts.ws_connected, Some(BTreeMap::new()), "declared, and without a series yet");
        assert_eq!(facts.order_latency, None);
        assert_eq!(facts.ws_gaps, Some(Histogram { counts: vec![0, 1, 0, 0, 0, 0, 0, 0, 1], sum: 99.5 }));
    }

    #[test]
    fn what_is_wrong_is_refused_by_family_and_says_why() {
        for (from, to, why) in [
            ("active 1.0", "active NaN", "NaN"),
            ("active 1.0", "active 2", "neither 0 nor 1"),
            ("used 0.25", "used -1", "-1"),
            ("positions 3", "positions 2.5", "no count"),
            ("x\"} 0.5", "x\"} 0.7", "none of 0, 0.5 and 1"),
            ("# TYPE thunes_orders_placed_total counter", "# TYPE thunes_orders_placed_total gauge", "not a counter"),
            ("breaker_name", "breaker", "no label breaker_name"),
            ("le=\"30\"} 1", "le=\"31\"} 1", "le=\"30\""),
            ("le=\"+Inf\"} 2", "le=\"+Inf\"} 3", "contradict"),
            ("le=\"10\"} 1", "le=\"10\"} 0", "contradict"),
        ] {
            assert!(FULL.contains(from), "{from}");
            let scraped = read(FULL.replace(from, to).as_bytes(), "testnet").expect("read");
            let refused = scraped.facts.problems;
            assert!(matches!(refused.as_slice(), [one] if one.contains(why)), "{from}: {refused:?}");
        }
        assert!(read(b"<html>\n", "testnet").is_err() && read(FULL.trim_end().as_bytes(), "testnet").is_err());
        assert!(read(b"thunes_open_positions{ 3\n", "testnet").is_err());
    }

    #[test]
    fn of_several_environments_ours_is_taken_and_another_one_is_refused_with_both_names() {
        let text = "thunes_open_positions{environment=\"paper\"} 3\nthunes_open_positions{environment=\"live\"} 4\n\
            thunes_kill_switch_active{environment=\"paper\"} 0\nthunes_daily_pnl_used 0.5\n";
        let live = read(text.as_bytes(), "live").expect("read");
        let ThunesFacts { open_positions, kill_switch, daily_pnl_used, problems, .. } = live.facts;
        assert_eq!((open_positions, kill_switch, daily_pnl_used), (Some(4.0), None, Some(0.5)));
        assert_eq!((live.families.len(), problems.len()), (3, 1), "{problems:?}");
        let why = read(text.as_bytes(), "testnet").expect_err("nothing of it is testnet's").to_string();
        assert!(["\"paper\"", "\"live\"", "\"testnet\""].iter().all(|name| why.contains(name)), "{why}");
    }

    #[test]
    fn what_is_old_ahead_without_a_value_or_too_much_is_there_and_not_used() {
        let many = |count: usize| -> String {
            (0..count).map(|n| format!("thunes_circuit_breaker_state{{breaker_name=\"b{n}\"}} 1\n")).collect()
        };
        for (text, is_used) in [
            ("thunes_kill_switch_active 0 1759932000000\n".to_owned(), true),
            ("thunes_kill_switch_active 0 1759931000000\n".to_owned(), false),
            ("thunes_kill_switch_active 0 1759933000000\n".to_owned(), false),
            ("# TYPE thunes_kill_switch_active gauge\n".to_owned(), false),
            (many(500), true),
            (many(501), false),
        ] {
            let scraped = read(text.as_bytes(), "live").expect("read");
            let problems = scraped.facts.problems;
            assert_eq!((problems.is_empty(), scraped.families.len()), (is_used, 1), "{problems:?}");
        }
    }
}
