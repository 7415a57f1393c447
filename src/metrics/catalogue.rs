//! Every metric family, declared once: `lab-probe metrics` and `explain`, the exposition, docs/metrics.md and the rule
//! tests are made from this table or compared with it.
//!
//! A new family is one row here and one call of [`super::vectors::Samples`] that sets it. A row: identifier, type, name,
//! labels, unit; HELP; what single values mean, what to do. HELP is one sentence, constant, the same in every file:
//! node_exporter drops a family whose HELP differs between two textfiles.

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    Gauge,
    /// Only goes up, survives restarts.
    Counter,
    /// Cumulative buckets with these upper bounds; `+Inf` is implied.
    Histogram(&'static [f64]),
}

impl Type {
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram(_) => "histogram",
        }
    }
}

/// `L` is `[&str; N]` for each family of the catalogue, so that a sample with a label too few is no program, and a slice where
/// families stand in one list.
#[derive(Debug)]
pub struct Family<L: ?Sized = [&'static str]> {
    pub name: &'static str,
    pub kind: Type,
    pub help: &'static str,
    pub unit: &'static str,
    /// What single values, or values of a label, mean; empty where the unit says it all.
    pub values: &'static [(&'static str, &'static str)],
    /// What to do, or what it is good for.
    pub next: &'static str,
    /// Label names, in the order they are written; the config's own labels come after them.
    pub labels: L,
}

macro_rules! families {
    ($($ident:ident = $kind:expr, $name:literal [$($label:literal),*] $unit:literal $help:literal $values:expr, $next:literal;)*) => {
        $(#[doc = $help] pub static $ident: Family<[&str; <[&str]>::len(&[$($label),*])]> = Family {
            name: $name, kind: $kind, help: $help, unit: $unit, values: $values, next: $next, labels: [$($label),*],
        };)*
        pub static ALL: &[&Family] = &[$(&$ident),*];
    };
}

use Type::{Counter, Gauge, Histogram};

use crate::model::thunes::{ORDER_LATENCY_BUCKETS, WS_GAP_BUCKETS};

const BOOL: &[(&str, &str)] = &[("0", "no"), ("1", "yes")];

const ALWAYS: &[(&str, &str)] = &[("1", "always")];

const EVERY_PASS: &[(&str, &str)] = &[("0", "checked on every pass")];

const REASON: &[(&str, &str)] = &[("1", "this reason holds")];

const BAND: &[(&str, &str)] = &[("lower", "rarely less"), ("upper", "rarely more")];

families! {
    THUNES_KILL_SWITCH_ACTIVE = Gauge, "thunes_kill_switch_active" ["environment"] "bool"
        "Whether the kill switch is active (1) or not (0); absent when it cannot be read."
        &[("0", "trading is allowed"), ("1", "trading is halted"), ("absent", "not known; never take it for 0")],
        "at 1, read the audit trail for who halted trading and why; when absent, look at thunes_source_up";
    THUNES_DAILY_PNL_USED = Gauge, "thunes_daily_pnl_used" ["environment"] "ratio"
        "Realised loss of the current UTC day divided by the daily loss limit; 0 on a profit, may exceed 1."
        &[("0", "no loss today"), ("1", "the daily loss limit is reached"), ("above 1", "and passed")],
        "near 1, expect the kill switch; compare with thunes_realized_pnl";
    THUNES_OPEN_POSITIONS = Gauge, "thunes_open_positions" ["environment"] "positions"
        "Open positions."
        &[], "with the kill switch active and positions open, decide by hand whether to close them";
    THUNES_CIRCUIT_BREAKER_STATE = Gauge, "thunes_circuit_breaker_state" ["environment", "breaker_name"] "state"
        "State of a circuit breaker: 0 closed, 0.5 half-open, 1 open."
        &[("0", "closed: calls go through"), ("0.5", "half-open: one call is tried"), ("1", "open: calls are refused")],
        "when open, look at the exchange's API that the breaker guards; it closes by itself once calls succeed";
    THUNES_ORDERS_PLACED_TOTAL = Counter, "thunes_orders_placed_total" ["environment", "venue", "order_type", "side"] "orders"
        "Orders placed."
        &[], "take rate() or increase(); a flat line while trading is allowed is worth a look at the decisions";
    THUNES_ORDER_LATENCY_MS = Histogram(ORDER_LATENCY_BUCKETS), "thunes_order_latency_ms" ["environment"] "milliseconds"
        "Time from placing an order to its execution, in milliseconds; whole seconds only when it comes from text logs."
        &[], "take histogram_quantile(); the name says milliseconds, unlike Prometheus' habit, because dashboards rely on it";
    THUNES_ORDER_LATENCY_EXPECTED_MS = Gauge, "thunes_order_latency_expected_ms" ["environment", "bound"] "milliseconds"
        "Where the mean order latency of five minutes is expected at this hour, by what was learnt of it: the lower or upper end of the band; absent for two days of points."
        BAND, "draw both behind the metric itself; a value outside for a quarter of an hour becomes lab_anomaly_active";
    THUNES_WS_CONNECTED = Gauge, "thunes_ws_connected" ["environment", "symbol"] "bool"
        "Whether the market-data WebSocket of a symbol is connected (1) or not (0)."
        BOOL, "at 0, prices of that symbol are stale: look at the network and the exchange's status";
    THUNES_WS_GAP_SECONDS = Histogram(WS_GAP_BUCKETS), "thunes_ws_gap_seconds" ["environment"] "seconds"
        "Gaps between market-data WebSocket messages, in seconds; only those reported as unhealthy when it comes from text logs."
        &[], "take histogram_quantile(); long gaps on a connected WebSocket mean a feed that is alive in name only";
    THUNES_TRADE_DECISIONS_TOTAL = Counter, "thunes_trade_decisions_total" ["environment", "decision", "reason"] "decisions"
        "Trade decisions of the risk manager by decision (approved, rejected) and reason."
        &[], "many rejections for one reason point at that limit of the risk manager";
    THUNES_REALIZED_PNL = Gauge, "thunes_realized_pnl" ["environment"] "quote currency"
        "Realised profit or loss of the current UTC day, in quote currency."
        &[], "compare with the daily loss limit; it starts at 0 with every UTC day";
    THUNES_JOURNAL_LINES_TOTAL = Counter, "thunes_journal_lines_total" ["environment", "journal", "result"] "lines"
        "Complete journal lines read by result (ok, malformed, too_long)."
        &[("ok", "read and understood"), ("malformed", "no JSON object"), ("too_long", "longer than 1 MiB")],
        "when malformed or too_long lines grow, something else writes into the journal or a writer was killed";
    THUNES_SOURCE_UP = Gauge, "thunes_source_up" ["environment", "source"] "bool"
        "Whether a data source of the trading system could be read (1) or not (0)."
        BOOL, "at 0, `lab-probe check` has the sentence: a missing file, no permission, no answer; the source's series are absent meanwhile";
    THUNES_SOURCE_LAST_RECORD_TIMESTAMP_SECONDS = Gauge, "thunes_source_last_record_timestamp_seconds" ["environment", "source"] "seconds"
        "Time of the newest record of a data source, in seconds since 1970."
        &[], "time() minus this is the age of the newest record; old records mean that the trading system has stopped writing";
    THUNES_SOURCE_GAPS_TOTAL = Counter, "thunes_source_gaps_total" ["environment", "source"] "parts"
        "Rotated parts of a journal or log that were gone before their end could be read."
        &[], "when it grows, files are rotated and deleted faster than passes come: counters of that source are too low; keep more rotated files";
    THUNES_FAMILY_SOURCE = Gauge, "thunes_family_source" ["environment", "family", "source"] "info"
        "Which source the series of a family come from; always 1."
        &[("1", "this source is the one in use")],
        "join on it to see which source a value comes from; a change means that a better source has come or gone";
    THUNES_CHECKED_TIMESTAMP_SECONDS = Gauge, "thunes_checked_timestamp_seconds" ["environment"] "seconds"
        "Time of the check the other values come from, in seconds since 1970."
        &[], "older than three times thunes_ttl_seconds: the timer does not run, or the deadline is too short for all targets";
    THUNES_TTL_SECONDS = Gauge, "thunes_ttl_seconds" ["environment"] "seconds"
        "How long the answer of the environment is reused before the next check, in seconds (ttl for a good one, retry_after for a bad one); 0 means until the next pass."
        EVERY_PASS, "compare with the age of the last check to tell a late one";

    LAB_MCP_SERVER_HEALTH = Gauge, "lab_mcp_server_health" ["server_name"] "state"
        "Health of an MCP server: 0 down, 1 up, 2 not configured."
        &[("0", "down"), ("1", "up: usable, tools included"), ("2", "not configured: nothing to repair, something to set up")],
        "look at lab_mcp_server_failure for the reason and at `lab-probe explain REASON` for what to do";
    LAB_MCP_SERVER_FAILURE = Gauge, "lab_mcp_server_failure" ["server_name", "reason"] "bool"
        "Why an MCP server is down or not configured: 1 for the reason that holds, absent while it is up."
        REASON, "`lab-probe explain REASON` says what to do; `lab-probe check NAME` shows the evidence";
    LAB_MCP_SERVER_HANDSHAKE_SECONDS = Gauge, "lab_mcp_server_handshake_seconds" ["server_name"] "seconds"
        "Time from the start of the check to the answer to the opening request, in seconds."
        &[], "when it nears `timeout`, the server is about to count as down: start it less often or give it more time";
    LAB_MCP_SERVER_TOOLS = Gauge, "lab_mcp_server_tools" ["server_name"] "tools"
        "Tools the server lists, over all pages read."
        &[], "a sudden change belongs to an update of the server, or to somebody else's hand";
    LAB_MCP_SERVER_TOOLS_BYTES = Gauge, "lab_mcp_server_tools_bytes" ["server_name"] "bytes"
        "Length of the list of tools as JSON, over all pages read, in bytes: what it costs of a model's context."
        &[], "divide by about four for tokens; a large list is paid in every conversation, so leave tools out that nobody uses";
    LAB_MCP_SERVER_TOOLS_CHANGED_TIMESTAMP_SECONDS = Gauge, "lab_mcp_server_tools_changed_timestamp_seconds" ["server_name"] "seconds"
        "Time at which the tool list was last seen to differ from the one before, in seconds since 1970."
        &[("absent", "has never been seen to change")],
        "a change that follows no update of yours deserves a look at the server's tool descriptions";
    LAB_MCP_SERVER_INFO = Gauge, "lab_mcp_server_info" ["server_name", "transport", "era", "protocol_version", "server_version"] "info"
        "How the server was reached and what it says of itself; always 1."
        ALWAYS, "join on it to see transport, protocol era and version beside another metric";
    LAB_MCP_SERVER_CHECKED_TIMESTAMP_SECONDS = Gauge, "lab_mcp_server_checked_timestamp_seconds" ["server_name"] "seconds"
        "Time of the check the other values come from, in seconds since 1970."
        &[], "older than three times lab_mcp_server_ttl_seconds: the timer does not run, or the deadline is too short for all targets";
    LAB_MCP_SERVER_TTL_SECONDS = Gauge, "lab_mcp_server_ttl_seconds" ["server_name"] "seconds"
        "How long the answer of the server is reused at most before the next check, in seconds (ttl for a good one and for a failure that costs processor time, retry_after for another bad one); 0 means until the next pass."
        EVERY_PASS, "compare with the age of the last check to tell a late one";
    LAB_MCP_SERVER_CHECKS_TOTAL = Counter, "lab_mcp_server_checks_total" ["server_name", "result"] "checks"
        "Checks of the server by result (up, down, not_configured)."
        &[("up", "usable"), ("down", "not usable"), ("not_configured", "nothing to check")],
        "increase() of down over an hour shows a server that comes and goes";
    LAB_MCP_SERVER_CPU_SECONDS = Gauge, "lab_mcp_server_cpu_seconds" ["server_name"] "seconds"
        "CPU time that the process tree of the last check used, in seconds."
        &[], "what starting the server costs; raise `ttl` where that is too much";
    LAB_MCP_SERVER_MAX_RSS_BYTES = Gauge, "lab_mcp_server_max_rss_bytes" ["server_name"] "bytes"
        "Largest resident memory of a process of the last check, in bytes."
        &[], "what running the server takes at its peak; a machine that starts many needs their sum";
    LAB_MCP_SERVER_HANDSHAKE_EXPECTED_SECONDS = Gauge, "lab_mcp_server_handshake_expected_seconds" ["server_name", "bound"] "seconds"
        "Where the time of a server's handshake is expected at this hour, by what was learnt of it: the lower or upper end of the band; absent for two days of points."
        BAND, "draw both behind the metric itself; a value outside for a quarter of an hour becomes lab_anomaly_active";
    LAB_MCP_SERVER_CPU_EXPECTED_SECONDS = Gauge, "lab_mcp_server_cpu_expected_seconds" ["server_name", "bound"] "seconds"
        "Where the CPU time of a server's check is expected at this hour, by what was learnt of it: the lower or upper end of the band; absent for two days of points."
        BAND, "draw both behind the metric itself; a value outside for a quarter of an hour becomes lab_anomaly_active";
    LAB_MCP_SERVER_MAX_RSS_EXPECTED_BYTES = Gauge, "lab_mcp_server_max_rss_expected_bytes" ["server_name", "bound"] "bytes"
        "Where the resident memory of a server is expected at this hour, by what was learnt of it: the lower or upper end of the band; absent for two days of points."
        BAND, "draw both behind the metric itself; a value outside for a quarter of an hour becomes lab_anomaly_active";
    LAB_MCP_SERVER_PROCESSES = Gauge, "lab_mcp_server_processes" ["server_name", "state"] "processes"
        "Running processes of this user with the server's own command line, the probe's excluded: attached to a living client, or orphaned (left behind by one)."
        &[("attached", "a client is alive above the process"), ("orphaned", "left behind: its client has ended")],
        "orphaned above 0 for long: `lab-probe check NAME` names them with the command that ends them";
    LAB_MCP_SERVER_PROCESSES_RSS_BYTES = Gauge, "lab_mcp_server_processes_rss_bytes" ["server_name", "state"] "bytes"
        "Resident memory of these processes and of what they have started, in bytes."
        &[("attached", "in use by clients"), ("orphaned", "to be had back by ending the processes")],
        "memory that is shared between processes counts for each";

    LAB_WORKTREE_STATUS = Gauge, "lab_worktree_status" ["worktree_name"] "state"
        "Status of a git worktree: 0 complete, 1 working, 2 testing, 3 blocked."
        &[("0", "complete"), ("1", "working"), ("2", "testing"), ("3", "blocked")],
        "at 3, `lab-probe check NAME` says what blocks: conflicts, or a merge, rebase or the like that has stopped";
    LAB_WORKTREE_TEST_STATUS = Gauge, "lab_worktree_test_status" ["worktree_name"] "state"
        "Test status of a git worktree: 0 unknown, 1 passing, 2 failing."
        &[("0", "unknown: no verdict for what is checked out"), ("1", "passing"), ("2", "failing")],
        "at 0, run the tests through `lab-probe record -- COMMAND`; at 2, mend what fails";
    LAB_WORKTREE_INFO = Gauge, "lab_worktree_info" ["worktree_name", "branch", "status_source", "test_source"] "info"
        "Branch of a git worktree and where its two statuses come from; always 1."
        ALWAYS, "join on it to see the branch, and where the two statuses come from";
    LAB_WORKTREE_CHANGED_FILES = Gauge, "lab_worktree_changed_files" ["worktree_name"] "files"
        "Changed and untracked paths in a git worktree, conflicts not counted."
        &[], "many for long: work that nobody has committed";
    LAB_WORKTREE_FILES = Gauge, "lab_worktree_files" ["worktree_name", "state"] "files"
        "Changed paths in a git worktree by state: staged, modified, untracked; one may be both staged and modified."
        &[("staged", "the index differs from HEAD"), ("modified", "the worktree differs from the index"), ("untracked", "git does not know it")],
        "a path may be both staged and modified, so the sum may be more than lab_worktree_changed_files";
    LAB_WORKTREE_CONFLICTED_FILES = Gauge, "lab_worktree_conflicted_files" ["worktree_name"] "files"
        "Paths with merge conflicts in a git worktree."
        &[], "above 0, resolve the conflicts or abort the merge";
    LAB_WORKTREE_AHEAD_COMMITS = Gauge, "lab_worktree_ahead_commits" ["worktree_name"] "commits"
        "Commits that the upstream, or else the base, does not have."
        &[], "commits that would be lost with the worktree: push or merge them";
    LAB_WORKTREE_BEHIND_COMMITS = Gauge, "lab_worktree_behind_commits" ["worktree_name"] "commits"
        "Commits of the upstream, or else the base, that the worktree does not have."
        &[], "many: rebase or merge before conflicts grow";
    LAB_WORKTREE_INTEGRATED = Gauge, "lab_worktree_integrated" ["worktree_name"] "bool"
        "Whether the base has the content of the commits of a git worktree, by whatever commits (0/1)."
        &[("0", "the base lacks some of it"), ("1", "the base has all of it")],
        "at 1 with commits ahead, the branch was squashed or rebased into the base: the worktree may be removed";
    LAB_WORKTREE_LOCKED = Gauge, "lab_worktree_locked" ["worktree_name"] "bool"
        "Whether git keeps a git worktree from being pruned or moved (0/1)."
        &[("0", "not locked"), ("1", "locked")],
        "`git worktree list` shows the reason; `git worktree unlock` ends it";
    LAB_WORKTREE_LAST_COMMIT_TIMESTAMP_SECONDS = Gauge, "lab_worktree_last_commit_timestamp_seconds" ["worktree_name"] "seconds"
        "Committer time of the checked-out commit, in seconds since 1970."
        &[], "time() minus this is the age of the last commit; old ones may be forgotten work";
    LAB_WORKTREE_TESTS = Gauge, "lab_worktree_tests" ["worktree_name", "result"] "tests"
        "Tests of the verdict in force by result (passed, failed, skipped)."
        &[("passed", "tests that passed"), ("failed", "tests that failed"), ("skipped", "tests that were skipped")],
        "see which ones failed in the report that lab_worktree_info names as test_source";
    LAB_WORKTREE_TESTS_DURATION_SECONDS = Gauge, "lab_worktree_tests_duration_seconds" ["worktree_name"] "seconds"
        "Duration of the test run behind the verdict in force, in seconds."
        &[], "growing: tests get slower";
    LAB_WORKTREE_TESTED_TIMESTAMP_SECONDS = Gauge, "lab_worktree_tested_timestamp_seconds" ["worktree_name"] "seconds"
        "Time of the test run behind the verdict in force, in seconds since 1970."
        &[], "compare with the last commit to see whether the verdict is about it";
    LAB_WORKTREE_UP = Gauge, "lab_worktree_up" ["worktree_name"] "bool"
        "Whether a git worktree could be read (1) or not (0)."
        BOOL, "at 0, `lab-probe check NAME` has git's own sentence; the other series of the worktree are absent meanwhile";
    LAB_WORKTREE_CHECKED_TIMESTAMP_SECONDS = Gauge, "lab_worktree_checked_timestamp_seconds" ["worktree_name"] "seconds"
        "Time of the check the other values come from, in seconds since 1970."
        &[], "older than three times lab_worktree_ttl_seconds: the timer does not run, or the deadline is too short for all targets";
    LAB_WORKTREE_TTL_SECONDS = Gauge, "lab_worktree_ttl_seconds" ["worktree_name"] "seconds"
        "How long the answer of the worktree is reused at most before the next check, in seconds (the longer of ttl and idle_ttl for a good one, retry_after for a bad one); 0 means until the next pass."
        EVERY_PASS, "compare with the age of the last check to tell a late one";

    LAB_SERVICE_UP = Gauge, "lab_service_up" ["service_name"] "bool"
        "Whether a service is up (1) or not (0)."
        BOOL, "at 0, `lab-probe check NAME` says what was tried and what came back";
    LAB_SERVICE_FAILURE = Gauge, "lab_service_failure" ["service_name", "reason"] "bool"
        "Why a service is not up or could not be looked at: 1 for the reason that holds, absent while it is up."
        REASON, "`lab-probe explain REASON` says what the reason means; `lab-probe check NAME` shows the evidence";
    LAB_SERVICE_DURATION_SECONDS = Gauge, "lab_service_duration_seconds" ["service_name"] "seconds"
        "Time a service took to answer, in seconds."
        &[], "growing: the service gets slower before it fails";
    LAB_SERVICE_DURATION_EXPECTED_SECONDS = Gauge, "lab_service_duration_expected_seconds" ["service_name", "bound"] "seconds"
        "Where the time that a service takes to answer is expected at this hour, by what was learnt of it: the lower or upper end of the band; absent for two days of points."
        BAND, "draw both behind the metric itself; a value outside for a quarter of an hour becomes lab_anomaly_active";
    LAB_SERVICE_CERTIFICATE_END_TIMESTAMP_SECONDS = Gauge, "lab_service_certificate_end_timestamp_seconds" ["service_name"] "seconds"
        "Time at which the TLS certificate of a service stops being valid, in seconds since 1970."
        &[("absent", "no certificate was shown")],
        "this minus time() is what is left: renew the certificate well before it ends";
    LAB_SERVICE_CHECKED_TIMESTAMP_SECONDS = Gauge, "lab_service_checked_timestamp_seconds" ["service_name"] "seconds"
        "Time of the check the other values come from, in seconds since 1970."
        &[], "older than three times lab_service_ttl_seconds: the timer does not run, or the deadline is too short for all targets";
    LAB_SERVICE_TTL_SECONDS = Gauge, "lab_service_ttl_seconds" ["service_name"] "seconds"
        "How long the answer of the service is reused before the next check, in seconds (ttl for a good one, retry_after for a bad one); 0 means until the next pass."
        EVERY_PASS, "compare with the age of the last check to tell a late one";

    LAB_ANOMALY_ACTIVE = Gauge, "lab_anomaly_active" ["metric", "kind", "direction", "server_name", "environment", "service_name"] "bool"
        "A series that is not as usual: 1 while that lasts, absent otherwise and while what it watches is down."
        &[
        ("kind=level", "out of its band for a quarter of an hour or more"),
        ("kind=trend", "grown or fallen for days; shown for a day"),
        ("direction", "above or below what is expected"),
    ],
        "no trouble in itself: `lab-probe status` has it in words; an update, another load on the machine or a leak are the usual causes";
    LAB_ANOMALIES_TOTAL = Counter, "lab_anomalies_total" ["metric", "kind"] "anomalies"
        "Anomalies of the series of a metric by kind (level, trend), those of a widespread event left out."
        &[("level", "a level out of its band"), ("trend", "growth or fall over days")],
        "an increase marks the beginning of one: use it for annotations";
    LAB_ANOMALY_SERIES = Gauge, "lab_anomaly_series" ["state"] "series"
        "Series that are measured now, by how far the detector is with them (learning, watching)."
        &[("learning", "fewer than two days of points, or the first two weeks, in which nothing alerts"), ("watching", "what is unusual of them is said")],
        "learning for long: a server with a ttl above five minutes has fewer points";
    LAB_ANOMALY_WIDESPREAD = Gauge, "lab_anomaly_widespread" [] "bool"
        "Whether many series have become unusual within half an hour (1) or not (0)."
        BOOL, "at 1, look at what they share: the machine's load, its network, an update; single anomalies do not alert meanwhile";

    LAB_PROBE_BUILD_INFO = Gauge, "lab_probe_build_info" ["version", "revision"] "info"
        "Version and source revision of lab-probe; always 1."
        ALWAYS, "shows which version runs where";
    LAB_PROBE_LAST_PASS_TIMESTAMP_SECONDS = Gauge, "lab_probe_last_pass_timestamp_seconds" [] "seconds"
        "Start of the pass that produced these series, in seconds since 1970."
        &[], "time() minus this above a few intervals: the timer has stopped; `systemctl list-timers` and `lab-probe doctor` say more";
    LAB_PROBE_PASS_DURATION_SECONDS = Gauge, "lab_probe_pass_duration_seconds" [] "seconds"
        "Duration of that pass up to its delivery, in seconds."
        &[], "near the deadline, targets will be cut off: raise `deadline`, or lower the timeouts";
    LAB_PROBE_DEADLINE_EXCEEDED = Gauge, "lab_probe_deadline_exceeded" [] "bool"
        "Whether the deadline cut that pass short (1) or not (0)."
        BOOL, "at 1, lab_probe_targets{result=\"timed_out\"} counts what was cut off or not started";
    LAB_PROBE_TARGETS = Gauge, "lab_probe_targets" ["kind", "result"] "targets"
        "Targets of that pass by kind and by how their value came about (fresh, cached, timed_out, error)."
        &[
        ("fresh", "checked in this pass"),
        ("cached", "not due; remembered"),
        ("timed_out", "cut off by the deadline or not started before it"),
        ("error", "the check itself broke, which is a bug to report"),
    ],
        "timed_out above 0 again and again: the deadline is too short for what is to be checked";
    LAB_PROBE_OUTPUT_FAILURES_TOTAL = Counter, "lab_probe_output_failures_total" ["output"] "failures"
        "Deliveries to an output that failed."
        &[("textfile", "the file for node_exporter"), ("pushgateway", "the push"), ("heartbeat", "the dead man's switch")],
        "when it grows, run `lab-probe --once` by hand as the same user and read what it says";
    LAB_PROBE_PASS_FAILURES_TOTAL = Counter, "lab_probe_pass_failures_total" [] "passes"
        "Passes that ended with exit code 1."
        &[], "when it grows, an output was not delivered or the state not saved: read the unit's journal";
}

pub fn find(name: &str) -> Option<&'static Family> {
    ALL.iter().copied().find(|family| family.name == name)
}
