//! A trading environment on disk, read by the binary: one test for each promise about its sources.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;

use rusqlite::Connection;

use crate::harness::http::{Fake, answer};
use crate::harness::{Lab, Run};

const AUDIT: &str = "thunes/logs/audit_trail.jsonl";
const EVENTS: &str = "thunes/logs/metrics_events.jsonl";
const LOG: &str = "thunes/logs/paper_trader.log";

/// A LAB with one environment at `thunes/`, nothing in it yet.
fn lab(extra: &str) -> Lab {
    let lab = Lab::new();
    let root = lab.path().join("thunes");
    std::fs::create_dir_all(root.join("logs")).expect("a directory");
    std::fs::create_dir_all(root.join("data")).expect("a directory");
    lab.config(&format!("[mcp]\ndiscover = false\n[[thunes]]\nenvironment = \"testnet\"\nroot = {root:?}\n{extra}"));
    lab
}

fn append(lab: &Lab, relative: &str, text: &str) {
    let path = lab.path().join(relative);
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("appended");
}

/// The samples of one pass, by series as written.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    #[track_caller]
    fn value(&self, series: &str) -> Option<f64> {
        let environment = "environment=\"testnet\"";
        let key = match series.split_once('{') {
            Some((name, rest)) => format!("{name}{{{environment},{rest}"),
            None => format!("{series}{{{environment}}}"),
        };
        self.0.get(&key).copied()
    }

    fn has(&self, family: &str) -> bool {
        self.0.keys().any(|series| series.split('{').next() == Some(family))
    }
}

#[track_caller]
fn pass(lab: &Lab) -> Scrape {
    let run = lab.run(["--once", "--only", "thunes", "--format", "prometheus"]).expect_code(0);
    scrape(&run)
}

fn scrape(run: &Run) -> Scrape {
    let stdout = run.stdout();
    let lines = stdout.lines().filter(|line| !line.starts_with('#'));
    Scrape(
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(series, value)| (series.to_owned(), value.parse().expect("a number")))
            .collect(),
    )
}

/// The application's schema, `exit_order_id` left out as in older files.
fn database(lab: &Lab) -> Connection {
    let connection = Connection::open(lab.path().join("thunes/data/positions.db")).expect("opened");
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS positions(id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT, quantity REAL, \
             entry_price REAL, entry_time TEXT, exit_price REAL, exit_time TEXT, pnl REAL, status TEXT, order_id TEXT, \
             created_at TEXT)",
        )
        .expect("a table");
    connection
}

fn today() -> String {
    lab_probe::clock::now().strftime("%Y-%m-%d").to_string()
}

#[test]
fn an_environment_without_any_file_has_no_values_and_says_what_is_missing() {
    let lab = lab("");
    let scrape = pass(&lab);
    for family in [
        "thunes_kill_switch_active",
        "thunes_daily_pnl_used",
        "thunes_open_positions",
        "thunes_orders_placed_total",
        "thunes_order_latency_ms_count",
        "thunes_ws_connected",
        "thunes_trade_decisions_total",
        "thunes_circuit_breaker_state",
    ] {
        assert!(!scrape.has(family), "{family}");
    }
    assert_eq!(scrape.value("thunes_source_up{source=\"positions_db\"}"), Some(0.0));
    assert_eq!(scrape.value("thunes_source_up{source=\"logs/audit_trail.jsonl\"}"), Some(0.0));
    let table = lab.run(["check", "--only", "thunes"]).expect_code(1).stdout();
    assert!(table.contains("positions_db: ") && table.contains("logs/audit_trail.jsonl: "), "{table}");
}

#[test]
fn empty_sources_are_zero() {
    let lab = lab("");
    append(&lab, AUDIT, "");
    database(&lab);
    let scrape = pass(&lab);
    assert_eq!(scrape.value("thunes_kill_switch_active"), Some(0.0));
    assert_eq!(scrape.value("thunes_open_positions"), Some(0.0));
    assert!(scrape.value("thunes_daily_pnl_used").is_some_and(|used| used == 0.0 && used.is_sign_positive()));
    assert_eq!(
        scrape.value("thunes_orders_placed_total{venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"}"),
        Some(0.0)
    );
    assert_eq!(
        scrape.value("thunes_trade_decisions_total{decision=\"rejected\",reason=\"cool_down_active\"}"),
        Some(0.0)
    );
    assert_eq!(scrape.value("thunes_journal_lines_total{journal=\"logs/audit_trail.jsonl\",result=\"ok\"}"), Some(0.0));
    assert!(!scrape.has("thunes_order_latency_ms_count"), "no log and no instrumented journal is there");
}

#[test]
fn the_database_gives_positions_orders_and_the_share_of_todays_loss() {
    let lab = lab("max_daily_loss = 40.0\n");
    let connection = database(&lab);
    let today = today();
    for (status, exit, pnl) in [
        ("OPEN", "NULL".to_owned(), "NULL"),
        ("CLOSED", format!("'{today}T00:00:00'"), "-30.5"),
        ("CLOSED", format!("'{today}T23:59:59.999999'"), "20"),
        ("CLOSED", "'2025-10-08T14:38:22'".to_owned(), "-1000"),
        ("CLOSED", "'2099-10-08T14:38:22'".to_owned(), "NULL"),
    ] {
        let insert = format!(
            "INSERT INTO positions(symbol, entry_time, exit_time, pnl, status) \
             VALUES ('BTCUSDT', '2025-10-01T00:00:00', {exit}, {pnl}, '{status}')"
        );
        connection.execute_batch(&insert).expect("inserted");
    }
    let scrape = pass(&lab);
    assert_eq!(scrape.value("thunes_open_positions"), Some(1.0));
    assert_eq!(scrape.value("thunes_realized_pnl"), Some(-10.5));
    assert_eq!(scrape.value("thunes_daily_pnl_used"), Some(10.5 / 40.0));
    let orders = |side: &str| {
        scrape.value(&format!("thunes_orders_placed_total{{venue=\"binance\",order_type=\"MARKET\",side=\"{side}\"}}"))
    };
    assert_eq!((orders("BUY"), orders("SELL")), (Some(5.0), Some(4.0)));
    // A profit uses nothing of the limit.
    connection.execute_batch("UPDATE positions SET pnl = 100 WHERE pnl = 20").expect("updated");
    assert_eq!(pass(&lab).value("thunes_daily_pnl_used"), Some(0.0));
    for odd in ["NULL", "'abc'", "9e999", "-9e999", "x'00'"] {
        connection.execute_batch(&format!("UPDATE positions SET pnl = {odd} WHERE id = 3")).expect("updated");
        let scrape = pass(&lab);
        assert!(!scrape.has("thunes_daily_pnl_used") && !scrape.has("thunes_realized_pnl"), "{odd}");
        assert_eq!(scrape.value("thunes_open_positions"), Some(1.0), "{odd}");
        let table = lab.run(["check", "--only", "thunes"]).expect_code(1).stdout();
        assert!(table.contains("position 3 "), "{table}");
    }
}

#[test]
fn one_order_in_journal_database_and_log_is_one_order() {
    let lab = lab("");
    append(&lab, AUDIT, "{\"timestamp\":\"2025-10-08T14:38:21\",\"event\":\"TRADE_APPROVED\",\"side\":\"BUY\"}\n");
    append(
        &lab,
        LOG,
        "2025-10-08 14:38:22 - src.live.paper_trader - INFO - Placing order: {'symbol': 'BTCUSDT', 'side': 'BUY', 'type': 'MARKET'}\n\
         2025-10-08 14:38:23 - src.live.paper_trader - INFO - Order executed: 1\n",
    );
    let buys = |scrape: &Scrape| {
        scrape.value("thunes_orders_placed_total{venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"}")
    };
    let source = |scrape: &Scrape, source: &str| {
        scrape.value(&format!("thunes_family_source{{family=\"thunes_orders_placed_total\",source=\"{source}\"}}"))
            == Some(1.0)
    };
    let from_log = pass(&lab);
    assert!(source(&from_log, "logs/paper_trader.log"));
    assert_eq!(buys(&from_log), Some(1.0));
    assert_eq!(from_log.value("thunes_order_latency_ms_bucket{le=\"1000\"}"), Some(1.0));
    let connection = database(&lab);
    connection
        .execute_batch("INSERT INTO positions(status, entry_time) VALUES ('OPEN', '2025-10-08T14:38:23')")
        .expect("inserted");
    let from_database = pass(&lab);
    assert!(source(&from_database, "positions_db") && !source(&from_database, "logs/paper_trader.log"));
    assert_eq!(buys(&from_database), Some(1.0));
    append(
        &lab,
        EVENTS,
        "{\"timestamp\":\"2025-10-08T14:38:23\",\"event\":\"ORDER_PLACED\",\"venue\":\"binance\",\"order_type\":\"MARKET\",\"side\":\"BUY\",\"latency_ms\":40}\n",
    );
    let from_journal = pass(&lab);
    assert!(source(&from_journal, "logs/metrics_events.jsonl") && !source(&from_journal, "positions_db"));
    assert_eq!(buys(&from_journal), Some(1.0));
    assert_eq!(from_journal.value("thunes_order_latency_ms_bucket{le=\"50\"}"), Some(1.0));
    assert_eq!(from_journal.value("thunes_order_latency_ms_count"), Some(1.0));
}

#[test]
fn an_active_kill_switch_is_shown_with_its_reason_until_it_is_switched_off() {
    let lab = lab("");
    append(
        &lab,
        AUDIT,
        "{\"timestamp\":\"2025-10-08T14:00:00\",\"event\":\"KILL_SWITCH_ACTIVATED\",\"reason\":\"daily loss\"}\n",
    );
    assert_eq!(pass(&lab).value("thunes_kill_switch_active"), Some(1.0));
    let table = lab.run(["check", "--only", "thunes"]).stdout();
    assert!(table.contains("since 2025-10-08 14:00:00 UTC, ") && table.contains("d ago (daily loss)"), "{table}");
    append(
        &lab,
        AUDIT,
        "{\"timestamp\":\"2025-10-08T15:00:00\",\"event\":\"KILL_SWITCH_DEACTIVATED\",\"reason\":\"manual\"}\n",
    );
    assert_eq!(pass(&lab).value("thunes_kill_switch_active"), Some(0.0));
    // Away, it is unknown; the events of an instrumented application do not stand in for the audit trail.
    append(&lab, EVENTS, "{\"timestamp\":\"2025-10-08T15:00:00\",\"event\":\"WS_CONNECTED\",\"symbol\":\"BTCUSDT\"}\n");
    std::fs::remove_file(lab.path().join(AUDIT)).expect("removed");
    let scrape = pass(&lab);
    assert!(!scrape.has("thunes_kill_switch_active"));
    assert_eq!(scrape.value("thunes_ws_connected{symbol=\"BTCUSDT\"}"), Some(1.0));
}

#[test]
fn an_instrumented_application_is_believed_first_and_only_with_the_families_of_the_contract() {
    let endpoint = Fake::serve(|_, stream| {
        let body = "# TYPE thunes_kill_switch_active gauge\nthunes_kill_switch_active 1\n\
            # TYPE thunes_open_positions gauge\nthunes_open_positions NaN\n\
            # TYPE thunes_orders_placed_total counter\n\
            thunes_orders_placed_total{venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"} 12\n\
            # TYPE thunes_source_up gauge\nthunes_source_up{source=\"forged\"} 1\nsomething_else 1\n";
        answer(stream, "200 OK", &[("content-type", "text/plain; version=0.0.4")], body.as_bytes())
    });
    let secret = "s3cr3t-path";
    let lab = lab(&format!("metrics_url = \"{}\"\n", endpoint.url(&format!("/{secret}"))));
    append(
        &lab,
        AUDIT,
        "{\"timestamp\":\"2025-10-08T14:00:00\",\"event\":\"KILL_SWITCH_ACTIVATED\",\"reason\":\"why\"}\n",
    );
    database(&lab);
    let scraped = pass(&lab);
    assert_eq!(scraped.value("thunes_kill_switch_active"), Some(1.0));
    assert_eq!(
        scraped.value("thunes_orders_placed_total{venue=\"binance\",order_type=\"MARKET\",side=\"BUY\"}"),
        Some(12.0)
    );
    assert_eq!(
        scraped.value("thunes_family_source{family=\"thunes_orders_placed_total\",source=\"metrics_url\"}"),
        Some(1.0)
    );
    // What the endpoint has and says badly comes from no other source.
    assert_eq!(scraped.value("thunes_open_positions"), None);
    assert_eq!(scraped.value("thunes_source_up{source=\"forged\"}"), None);
    let shown = lab.run(["check", "--only", "thunes", "--format", "json"]).expect_code(1);
    assert!(shown.stdout().contains("NaN") && shown.stdout().contains("why"));
    drop(endpoint);
    let without = pass(&lab);
    assert_eq!(without.value("thunes_source_up{source=\"metrics_url\"}"), Some(0.0));
    // While it fails, nothing stands in for it: a counter would go back and forth, a halt would be released.
    assert!(!without.has("thunes_orders_placed_total") && !without.has("thunes_kill_switch_active"));
    for run in
        [shown, lab.run(["check", "--only", "thunes"]), lab.run(["list", "--only", "thunes", "--format", "json"])]
    {
        assert!(!run.stdout().contains(secret) && !run.stderr().contains(secret), "{}{}", run.stdout(), run.stderr());
    }
}

#[test]
fn a_source_that_is_broken_takes_only_its_own_families_away() {
    let lab = lab("");
    let second = lab.path().join("second");
    std::fs::create_dir_all(second.join("logs")).expect("a directory");
    let config = std::fs::read_to_string(lab.path().join("lab-probe.toml")).expect("read");
    lab.write("lab-probe.toml", format!("{config}[[thunes]]\nenvironment = \"live\"\nroot = {second:?}\n"));
    lab.write("second/logs/audit_trail.jsonl", "");
    append(&lab, AUDIT, "{\"event\":\"TRADE_APPROVED\"}\nnonsense\n");
    append(&lab, "thunes/data/positions.db", "this is no database at all");
    std::fs::create_dir(lab.path().join(EVENTS)).expect("a directory where a file belongs");
    let scrape = pass(&lab);
    // "These events mean the same wherever they appear": a journal that cannot be read may hold the newest.
    assert_eq!(scrape.value("thunes_kill_switch_active"), None);
    assert_eq!(scrape.value("thunes_trade_decisions_total{decision=\"approved\",reason=\"\"}"), None);
    assert_eq!(
        scrape.value("thunes_journal_lines_total{journal=\"logs/audit_trail.jsonl\",result=\"malformed\"}"),
        Some(1.0)
    );
    assert_eq!(scrape.value("thunes_source_up{source=\"positions_db\"}"), Some(0.0));
    assert_eq!(scrape.value("thunes_source_up{source=\"logs/metrics_events.jsonl\"}"), Some(0.0));
    assert_eq!(scrape.value("thunes_open_positions"), None);
    assert_eq!(scrape.0.get("thunes_kill_switch_active{environment=\"live\"}"), Some(&0.0));
}

#[test]
fn secrets_of_the_env_file_show_nowhere_and_its_limit_counts() {
    let lab = lab("");
    database(&lab)
        .execute_batch(&format!(
            "INSERT INTO positions(status, exit_time, pnl) VALUES ('CLOSED', '{}T00:00:00', -25)",
            today()
        ))
        .expect("inserted");
    append(
        &lab,
        "thunes/.env",
        "BINANCE_API_SECRET=s3cr3t-key\nMAX_DAILY_LOSS=50 # quote currency\nENVIRONMENT=testnet\n",
    );
    assert_eq!(pass(&lab).value("thunes_daily_pnl_used"), Some(0.5));
    append(&lab, "thunes/.env", "MAX_DAILY_LOSS=s3cr3t-too\n");
    let run = lab.run(["--once", "--only", "thunes", "--format", "json", "-v"]);
    assert!(!run.stdout().contains("s3cr3t") && !run.stderr().contains("s3cr3t"));
    assert!(!pass(&lab).has("thunes_daily_pnl_used"));
    let state = std::fs::read_dir(lab.path().join("state")).expect("listed");
    for file in state.filter_map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).ok()) {
        assert!(!file.contains("s3cr3t"));
    }
}

#[test]
fn of_two_words_on_a_breaker_the_newer_one_stands_whatever_clock_it_was_written_by() {
    let lab = lab("");
    // 14:00 UTC, and 15:30 in Berlin's summer: half an hour before.
    append(
        &lab,
        AUDIT,
        "{\"timestamp\":\"2025-07-08T14:00:00\",\"event\":\"CIRCUIT_BREAKER\",\"breaker_name\":\"A\",\"state\":\"open\"}\n",
    );
    append(&lab, LOG, "2025-07-08 15:30:00 - cb - INFO - Circuit breaker 'A' state changed: open -> closed\n");
    append(&lab, LOG, "2025-07-08 16:30:00 - cb - INFO - Circuit breaker 'B' state changed: open -> half-open\n");
    append(
        &lab,
        AUDIT,
        "{\"timestamp\":\"2025-07-08T14:29:00\",\"event\":\"CIRCUIT_BREAKER\",\"breaker_name\":\"B\",\"state\":\"open\"}\n",
    );
    let output = lab
        .command(["--once", "--only", "thunes", "--format", "prometheus"])
        .env("TZ", "Europe/Berlin")
        .output()
        .expect("lab-probe starts");
    let scraped = scrape(&Run(output).expect_code(0));
    assert_eq!(scraped.value("thunes_circuit_breaker_state{breaker_name=\"A\"}"), Some(1.0));
    assert_eq!(scraped.value("thunes_circuit_breaker_state{breaker_name=\"B\"}"), Some(0.5));
    let written = scraped.value("thunes_source_last_record_timestamp_seconds{source=\"logs/paper_trader.log\"}");
    assert_eq!(written, Some(1_751_985_000.0));
    // A log that cannot be read now may hold newer ones.
    std::fs::remove_file(lab.path().join(LOG)).expect("removed");
    let without = pass(&lab);
    assert!(!without.has("thunes_circuit_breaker_state"));
}

#[test]
fn lost_state_means_counting_what_is_on_disk_and_a_lost_part_is_said_once() {
    let lab = lab("");
    let approved = |count: usize| "{\"event\":\"TRADE_APPROVED\"}\n".repeat(count);
    append(&lab, AUDIT, "{\"timestamp\":\"2025-10-08T14:00:00\",\"event\":\"KILL_SWITCH_ACTIVATED\"}\n");
    append(&lab, AUDIT, &approved(3));
    pass(&lab);
    let rotated = lab.path().join(format!("{AUDIT}.1"));
    std::fs::rename(lab.path().join(AUDIT), &rotated).expect("renamed");
    append(&lab, AUDIT, "{\"event\":\"WS_CONNECTED\",\"symbol\":\"BTCUSDT\"}\n");
    for entry in std::fs::read_dir(lab.path().join("state")).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let decisions = |scrape: &Scrape| scrape.value("thunes_trade_decisions_total{decision=\"approved\",reason=\"\"}");
    let anew = pass(&lab);
    assert_eq!((decisions(&anew), anew.value("thunes_kill_switch_active")), (Some(3.0), Some(0.0)));
    // Rotated twice with room for one: what the first part held at its end is gone.
    append(&lab, AUDIT, &approved(2));
    std::fs::rename(lab.path().join(AUDIT), &rotated).expect("renamed");
    append(&lab, AUDIT, &approved(1));
    std::fs::rename(lab.path().join(AUDIT), &rotated).expect("renamed");
    append(&lab, AUDIT, "{\"event\":\"WS_CONNECTED\",\"symbol\":\"BTCUSDT\"}\n");
    let run = lab.run(["--once", "--only", "thunes", "--format", "prometheus"]).expect_code(0);
    assert!(run.stderr().contains("gone, before its end was read"), "{}", run.stderr());
    let gaps = |scrape: &Scrape| scrape.value("thunes_source_gaps_total{source=\"logs/audit_trail.jsonl\"}");
    assert_eq!((gaps(&scrape(&run)), decisions(&scrape(&run))), (Some(1.0), Some(4.0)));
    let again = lab.run(["--once", "--only", "thunes", "--format", "prometheus"]).expect_code(0);
    assert!(!again.stderr().contains("gone"), "{}", again.stderr());
    assert_eq!(gaps(&scrape(&again)), Some(1.0));
}

#[test]
fn a_kill_switch_that_may_have_changed_in_lost_lines_is_absent_until_its_state_is_proved() {
    let lab = lab("");
    append(&lab, AUDIT, "{\"timestamp\":\"2025-10-08T14:00:00\",\"event\":\"KILL_SWITCH_ACTIVATED\"}\n");
    assert_eq!(pass(&lab).value("thunes_kill_switch_active"), Some(1.0));
    append(&lab, AUDIT, "{\"timestamp\":\"2025-10-08T15:00:00\",\"event\":\"KILL_SWITCH_DEACTIV\n");
    let scraped = pass(&lab);
    assert!(!scraped.has("thunes_kill_switch_active"));
    assert_eq!(scraped.value("thunes_source_up{source=\"logs/audit_trail.jsonl\"}"), Some(1.0));
    append(&lab, AUDIT, "{\"timestamp\":\"2025-10-08T15:00:01\",\"event\":\"TRADE_APPROVED\"}\n");
    assert_eq!(pass(&lab).value("thunes_kill_switch_active"), Some(0.0));
}
