//! Every metric family, declared once: `lab-probe metrics`, the exposition, README's table and the rule tests are made
//! from this table or compared with it.
//!
//! HELP is one sentence, constant, the same in every file: node_exporter drops a family whose HELP differs between
//! two textfiles.

/// A family's type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    /// Goes up and down.
    Gauge,
    /// Only goes up, survives restarts.
    Counter,
    /// Cumulative buckets with these upper bounds; `+Inf` is implied.
    Histogram(&'static [f64]),
}

impl Type {
    /// The word after `# TYPE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram(_) => "histogram",
        }
    }

    /// How many bounds the buckets have; 0 for a plain number.
    const fn bounds(self) -> usize {
        match self {
            Type::Gauge | Type::Counter => 0,
            Type::Histogram(bounds) => bounds.len(),
        }
    }
}

/// One declared family.
#[derive(Debug, PartialEq)]
pub struct Family {
    /// Name.
    pub name: &'static str,
    /// Type.
    pub kind: Type,
    /// Label names, in the order they are written; the config's own labels come after them.
    pub labels: &'static [&'static str],
    /// HELP, one sentence.
    pub help: &'static str,
    /// Unit of the value.
    pub unit: &'static str,
}

/// A [`Family`] that knows at compile time how many labels (`LABELS`) and bucket bounds (`BOUNDS`, 0 for gauges and
/// counters) it has, so that a sample with a label too few is no program.
#[derive(Debug, PartialEq)]
pub struct Declared<const LABELS: usize, const BOUNDS: usize>(Family);

impl<const LABELS: usize, const BOUNDS: usize> std::ops::Deref for Declared<LABELS, BOUNDS> {
    type Target = Family;

    fn deref(&self) -> &Family {
        &self.0
    }
}

macro_rules! families {
    ($($ident:ident = $kind:expr, $name:literal [$($label:literal),*] $unit:literal $help:literal;)*) => {
        $(#[doc = $help] pub static $ident: Declared<{ <[&str]>::len(&[$($label),*]) }, { $kind.bounds() }> =
            Declared(Family { name: $name, kind: $kind, labels: &[$($label),*], help: $help, unit: $unit });)*
        /// Every family, in the order of the exposition.
        pub static ALL: &[&Family] = &[$(&$ident.0),*];
    };
}

use Type::{Counter, Gauge, Histogram};

use crate::model::thunes::{ORDER_LATENCY_BUCKETS, WS_GAP_BUCKETS};

families! {
    THUNES_KILL_SWITCH_ACTIVE = Gauge, "thunes_kill_switch_active" ["environment"] "bool"
        "Whether the kill switch is active (1) or not (0); absent when it cannot be read.";
    THUNES_DAILY_PNL_USED = Gauge, "thunes_daily_pnl_used" ["environment"] "ratio"
        "Realised loss of the current UTC day divided by the daily loss limit; 0 on a profit, may exceed 1.";
    THUNES_OPEN_POSITIONS = Gauge, "thunes_open_positions" ["environment"] "positions"
        "Open positions.";
    THUNES_CIRCUIT_BREAKER_STATE = Gauge, "thunes_circuit_breaker_state" ["environment", "breaker_name"] "state"
        "State of a circuit breaker: 0 closed, 0.5 half-open, 1 open.";
    THUNES_ORDERS_PLACED_TOTAL = Counter, "thunes_orders_placed_total" ["environment", "venue", "order_type", "side"] "orders"
        "Orders placed.";
    THUNES_ORDER_LATENCY_MS = Histogram(ORDER_LATENCY_BUCKETS), "thunes_order_latency_ms" ["environment"] "milliseconds"
        "Time from placing an order to its execution, in milliseconds; whole seconds only when it comes from text logs.";
    THUNES_WS_CONNECTED = Gauge, "thunes_ws_connected" ["environment", "symbol"] "bool"
        "Whether the market-data WebSocket of a symbol is connected (1) or not (0).";
    THUNES_WS_GAP_SECONDS = Histogram(WS_GAP_BUCKETS), "thunes_ws_gap_seconds" ["environment"] "seconds"
        "Gaps between market-data WebSocket messages, in seconds; only those reported as unhealthy when it comes from text logs.";
    THUNES_TRADE_DECISIONS_TOTAL = Counter, "thunes_trade_decisions_total" ["environment", "decision", "reason"] "decisions"
        "Trade decisions of the risk manager by decision (approved, rejected) and reason.";
    THUNES_REALIZED_PNL = Gauge, "thunes_realized_pnl" ["environment"] "quote currency"
        "Realised profit or loss of the current UTC day, in quote currency.";
    THUNES_JOURNAL_LINES_TOTAL = Counter, "thunes_journal_lines_total" ["environment", "journal", "result"] "lines"
        "Complete journal lines read by result (ok, malformed, too_long).";
    THUNES_SOURCE_UP = Gauge, "thunes_source_up" ["environment", "source"] "bool"
        "Whether a data source of the trading system could be read (1) or not (0).";
    THUNES_SOURCE_LAST_RECORD_TIMESTAMP_SECONDS = Gauge, "thunes_source_last_record_timestamp_seconds" ["environment", "source"] "seconds"
        "Time of the newest record of a data source, in seconds since 1970.";
    THUNES_SOURCE_GAPS_TOTAL = Counter, "thunes_source_gaps_total" ["environment", "source"] "parts"
        "Rotated parts of a journal or log that were gone before their end could be read.";
    THUNES_FAMILY_SOURCE = Gauge, "thunes_family_source" ["environment", "family", "source"] "info"
        "Which source the series of a family come from; always 1.";
    THUNES_CHECKED_TIMESTAMP_SECONDS = Gauge, "thunes_checked_timestamp_seconds" ["environment"] "seconds"
        "Time of the check the other values come from, in seconds since 1970.";
    THUNES_TTL_SECONDS = Gauge, "thunes_ttl_seconds" ["environment"] "seconds"
        "How long the answer of the environment is reused before the next check, in seconds (ttl for a good one, retry_after for a bad one); 0 means until the next pass.";

    LAB_MCP_SERVER_HEALTH = Gauge, "lab_mcp_server_health" ["server_name"] "state"
        "Health of an MCP server: 0 down, 1 up, 2 not configured.";
    LAB_MCP_SERVER_FAILURE = Gauge, "lab_mcp_server_failure" ["server_name", "reason"] "bool"
        "Why an MCP server is down or not configured: 1 for the reason that holds, absent while it is up.";
    LAB_MCP_SERVER_HANDSHAKE_SECONDS = Gauge, "lab_mcp_server_handshake_seconds" ["server_name"] "seconds"
        "Time from the start of the check to the answer to the opening request, in seconds.";
    LAB_MCP_SERVER_TOOLS = Gauge, "lab_mcp_server_tools" ["server_name"] "tools"
        "Tools the server lists, over all pages read.";
    LAB_MCP_SERVER_TOOLS_BYTES = Gauge, "lab_mcp_server_tools_bytes" ["server_name"] "bytes"
        "Length of the list of tools as JSON, over all pages read, in bytes: what it costs of a model's context.";
    LAB_MCP_SERVER_TOOLS_CHANGED_TIMESTAMP_SECONDS = Gauge, "lab_mcp_server_tools_changed_timestamp_seconds" ["server_name"] "seconds"
        "Time at which the tool list was last seen to differ from the one before, in seconds since 1970.";
    LAB_MCP_SERVER_INFO = Gauge, "lab_mcp_server_info" ["server_name", "transport", "era", "protocol_version", "server_version"] "info"
        "How the server was reached and what it says of itself; always 1.";
    LAB_MCP_SERVER_CHECKED_TIMESTAMP_SECONDS = Gauge, "lab_mcp_server_checked_timestamp_seconds" ["server_name"] "seconds"
        "Time of the check the other values come from, in seconds since 1970.";
    LAB_MCP_SERVER_TTL_SECONDS = Gauge, "lab_mcp_server_ttl_seconds" ["server_name"] "seconds"
        "How long the answer of the server is reused before the next check, in seconds (ttl for a good one, retry_after for a bad one); 0 means until the next pass.";
    LAB_MCP_SERVER_CHECKS_TOTAL = Counter, "lab_mcp_server_checks_total" ["server_name", "result"] "checks"
        "Checks of the server by result (up, down, not_configured).";
    LAB_MCP_SERVER_CPU_SECONDS = Gauge, "lab_mcp_server_cpu_seconds" ["server_name"] "seconds"
        "CPU time that the process tree of the last check used, in seconds.";
    LAB_MCP_SERVER_MAX_RSS_BYTES = Gauge, "lab_mcp_server_max_rss_bytes" ["server_name"] "bytes"
        "Largest resident memory of a process of the last check, in bytes.";
    LAB_MCP_SERVER_PROCESSES = Gauge, "lab_mcp_server_processes" ["server_name", "state"] "processes"
        "Running processes of this user with the server's own command line, the probe's excluded: attached to a living client, or orphaned (left behind by one).";
    LAB_MCP_SERVER_PROCESSES_RSS_BYTES = Gauge, "lab_mcp_server_processes_rss_bytes" ["server_name", "state"] "bytes"
        "Resident memory of these processes and of what they have started, in bytes.";

    LAB_WORKTREE_STATUS = Gauge, "lab_worktree_status" ["worktree_name"] "state"
        "Status of a git worktree: 0 complete, 1 working, 2 testing, 3 blocked.";
    LAB_WORKTREE_TEST_STATUS = Gauge, "lab_worktree_test_status" ["worktree_name"] "state"
        "Test status of a git worktree: 0 unknown, 1 passing, 2 failing.";
    LAB_WORKTREE_INFO = Gauge, "lab_worktree_info" ["worktree_name", "branch", "status_source", "test_source"] "info"
        "Branch of a git worktree and where its two statuses come from; always 1.";
    LAB_WORKTREE_CHANGED_FILES = Gauge, "lab_worktree_changed_files" ["worktree_name"] "files"
        "Changed and untracked paths in a git worktree, conflicts not counted.";
    LAB_WORKTREE_FILES = Gauge, "lab_worktree_files" ["worktree_name", "state"] "files"
        "Changed paths in a git worktree by state: staged, modified, untracked; one may be both staged and modified.";
    LAB_WORKTREE_CONFLICTED_FILES = Gauge, "lab_worktree_conflicted_files" ["worktree_name"] "files"
        "Paths with merge conflicts in a git worktree.";
    LAB_WORKTREE_AHEAD_COMMITS = Gauge, "lab_worktree_ahead_commits" ["worktree_name"] "commits"
        "Commits that the upstream, or else the base, does not have.";
    LAB_WORKTREE_BEHIND_COMMITS = Gauge, "lab_worktree_behind_commits" ["worktree_name"] "commits"
        "Commits of the upstream, or else the base, that the worktree does not have.";
    LAB_WORKTREE_INTEGRATED = Gauge, "lab_worktree_integrated" ["worktree_name"] "bool"
        "Whether the base has the content of the commits of a git worktree, by whatever commits (0/1).";
    LAB_WORKTREE_LOCKED = Gauge, "lab_worktree_locked" ["worktree_name"] "bool"
        "Whether git keeps a git worktree from being pruned or moved (0/1).";
    LAB_WORKTREE_LAST_COMMIT_TIMESTAMP_SECONDS = Gauge, "lab_worktree_last_commit_timestamp_seconds" ["worktree_name"] "seconds"
        "Committer time of the checked-out commit, in seconds since 1970.";
    LAB_WORKTREE_TESTS = Gauge, "lab_worktree_tests" ["worktree_name", "result"] "tests"
        "Tests of the verdict in force by result (passed, failed, skipped).";
    LAB_WORKTREE_TESTS_DURATION_SECONDS = Gauge, "lab_worktree_tests_duration_seconds" ["worktree_name"] "seconds"
        "Duration of the test run behind the verdict in force, in seconds.";
    LAB_WORKTREE_TESTED_TIMESTAMP_SECONDS = Gauge, "lab_worktree_tested_timestamp_seconds" ["worktree_name"] "seconds"
        "Time of the test run behind the verdict in force, in seconds since 1970.";
    LAB_WORKTREE_UP = Gauge, "lab_worktree_up" ["worktree_name"] "bool"
        "Whether a git worktree could be read (1) or not (0).";
    LAB_WORKTREE_CHECKED_TIMESTAMP_SECONDS = Gauge, "lab_worktree_checked_timestamp_seconds" ["worktree_name"] "seconds"
        "Time of the check the other values come from, in seconds since 1970.";
    LAB_WORKTREE_TTL_SECONDS = Gauge, "lab_worktree_ttl_seconds" ["worktree_name"] "seconds"
        "How long the answer of the worktree is reused at most before the next check, in seconds (the longer of ttl and idle_ttl for a good one, retry_after for a bad one); 0 means until the next pass.";

    LAB_SERVICE_UP = Gauge, "lab_service_up" ["service_name"] "bool"
        "Whether a service is up (1) or not (0).";
    LAB_SERVICE_FAILURE = Gauge, "lab_service_failure" ["service_name", "reason"] "bool"
        "Why a service is not up or could not be looked at: 1 for the reason that holds, absent while it is up.";
    LAB_SERVICE_DURATION_SECONDS = Gauge, "lab_service_duration_seconds" ["service_name"] "seconds"
        "Time a service took to answer, in seconds.";
    LAB_SERVICE_CERTIFICATE_END_TIMESTAMP_SECONDS = Gauge, "lab_service_certificate_end_timestamp_seconds" ["service_name"] "seconds"
        "Time at which the TLS certificate of a service stops being valid, in seconds since 1970.";
    LAB_SERVICE_CHECKED_TIMESTAMP_SECONDS = Gauge, "lab_service_checked_timestamp_seconds" ["service_name"] "seconds"
        "Time of the check the other values come from, in seconds since 1970.";
    LAB_SERVICE_TTL_SECONDS = Gauge, "lab_service_ttl_seconds" ["service_name"] "seconds"
        "How long the answer of the service is reused before the next check, in seconds (ttl for a good one, retry_after for a bad one); 0 means until the next pass.";

    LAB_PROBE_BUILD_INFO = Gauge, "lab_probe_build_info" ["version", "revision"] "info"
        "Version and source revision of lab-probe; always 1.";
    LAB_PROBE_LAST_PASS_TIMESTAMP_SECONDS = Gauge, "lab_probe_last_pass_timestamp_seconds" [] "seconds"
        "Start of the pass that produced these series, in seconds since 1970.";
    LAB_PROBE_PASS_DURATION_SECONDS = Gauge, "lab_probe_pass_duration_seconds" [] "seconds"
        "Duration of that pass up to its delivery, in seconds.";
    LAB_PROBE_DEADLINE_EXCEEDED = Gauge, "lab_probe_deadline_exceeded" [] "bool"
        "Whether the deadline cut that pass short (1) or not (0).";
    LAB_PROBE_TARGETS = Gauge, "lab_probe_targets" ["kind", "result"] "targets"
        "Targets of that pass by kind and by how their value came about (fresh, cached, timed_out, error).";
    LAB_PROBE_OUTPUT_FAILURES_TOTAL = Counter, "lab_probe_output_failures_total" ["output"] "failures"
        "Deliveries to an output that failed.";
    LAB_PROBE_PASS_FAILURES_TOTAL = Counter, "lab_probe_pass_failures_total" [] "passes"
        "Passes that ended with exit code 1.";
}

/// The declared family of this name.
pub fn find(name: &str) -> Option<&'static Family> {
    ALL.iter().copied().find(|family| family.name == name)
}
