//! What a person does about a metric, for `lab-probe explain`: what its values mean and where to look next.

/// What to know about one family beyond its declaration.
#[derive(Debug, PartialEq, Eq)]
pub struct Advice {
    /// The family's name.
    pub family: &'static str,
    /// What single values, or values of a label, mean; empty where the unit says it all.
    pub values: &'static [(&'static str, &'static str)],
    /// What to do, or what it is good for.
    pub next: &'static str,
}

/// The advice on a family of the catalogue.
pub fn find(family: &str) -> Option<&'static Advice> {
    ALL.iter().find(|advice| advice.family == family)
}

const BOOL: &[(&str, &str)] = &[("0", "no"), ("1", "yes")];

macro_rules! advice {
    ($($family:literal $values:expr, $next:literal;)*) => {
        /// One entry for each family of the catalogue; a test holds this.
        pub static ALL: &[Advice] = &[$(Advice { family: $family, values: $values, next: $next }),*];
    };
}

advice! {
    "thunes_kill_switch_active" &[("0", "trading is allowed"), ("1", "trading is halted"), ("absent", "not known; never take it for 0")],
        "at 1, read the audit trail for who halted trading and why; when absent, look at thunes_source_up";
    "thunes_daily_pnl_used" &[("0", "no loss today"), ("1", "the daily loss limit is reached"), ("above 1", "and passed")],
        "near 1, expect the kill switch; compare with thunes_realized_pnl";
    "thunes_open_positions" &[],
        "with the kill switch active and positions open, decide by hand whether to close them";
    "thunes_circuit_breaker_state" &[("0", "closed: calls go through"), ("0.5", "half-open: one call is tried"), ("1", "open: calls are refused")],
        "when open, look at the exchange's API that the breaker guards; it closes by itself once calls succeed";
    "thunes_orders_placed_total" &[],
        "take rate() or increase(); a flat line while trading is allowed is worth a look at the decisions";
    "thunes_order_latency_ms" &[],
        "take histogram_quantile(); the name says milliseconds, unlike Prometheus' habit, because dashboards rely on it";
    "thunes_ws_connected" BOOL,
        "at 0, prices of that symbol are stale: look at the network and the exchange's status";
    "thunes_ws_gap_seconds" &[],
        "take histogram_quantile(); long gaps on a connected WebSocket mean a feed that is alive in name only";
    "thunes_trade_decisions_total" &[],
        "many rejections for one reason point at that limit of the risk manager";
    "thunes_realized_pnl" &[],
        "compare with the daily loss limit; it starts at 0 with every UTC day";
    "thunes_journal_lines_total" &[("ok", "read and understood"), ("malformed", "no JSON object"), ("too_long", "longer than 1 MiB")],
        "when malformed or too_long lines grow, something else writes into the journal or a writer was killed";
    "thunes_source_up" BOOL,
        "at 0, `lab-probe check` has the sentence: a missing file, no permission, no answer; the source's series are absent meanwhile";
    "thunes_source_last_record_timestamp_seconds" &[],
        "time() minus this is the age of the newest record; old records mean that the trading system has stopped writing";
    "thunes_source_gaps_total" &[],
        "when it grows, files are rotated and deleted faster than passes come: counters of that source are too low; keep more rotated files";
    "thunes_family_source" &[("1", "this source is the one in use")],
        "join on it to see which source a value comes from; a change means that a better source has come or gone";
    "thunes_checked_timestamp_seconds" &[],
        "older than three times thunes_ttl_seconds: the timer does not run, or the deadline is too short for all targets";
    "thunes_ttl_seconds" &[("0", "checked on every pass")],
        "compare with the age of the last check to tell a late one";

    "lab_mcp_server_health" &[("0", "down"), ("1", "up: usable, tools included"), ("2", "not configured: nothing to repair, something to set up")],
        "look at lab_mcp_server_failure for the reason and at `lab-probe explain REASON` for what to do";
    "lab_mcp_server_failure" &[("1", "this reason holds")],
        "`lab-probe explain REASON` says what to do; `lab-probe check NAME` shows the evidence";
    "lab_mcp_server_handshake_seconds" &[],
        "when it nears `timeout`, the server is about to count as down: start it less often or give it more time";
    "lab_mcp_server_tools" &[],
        "a sudden change belongs to an update of the server, or to somebody else's hand";
    "lab_mcp_server_tools_bytes" &[],
        "divide by about four for tokens; a large list is paid in every conversation, so leave tools out that nobody uses";
    "lab_mcp_server_tools_changed_timestamp_seconds" &[("absent", "has never been seen to change")],
        "a change that follows no update of yours deserves a look at the server's tool descriptions";
    "lab_mcp_server_info" &[("1", "always")],
        "join on it to see transport, protocol era and version beside another metric";
    "lab_mcp_server_checked_timestamp_seconds" &[],
        "older than three times lab_mcp_server_ttl_seconds: the timer does not run, or the deadline is too short for all targets";
    "lab_mcp_server_ttl_seconds" &[("0", "checked on every pass")],
        "compare with the age of the last check to tell a late one";
    "lab_mcp_server_checks_total" &[("up", "usable"), ("down", "not usable"), ("not_configured", "nothing to check")],
        "increase() of down over an hour shows a server that comes and goes";
    "lab_mcp_server_cpu_seconds" &[],
        "what starting the server costs; raise `ttl` where that is too much";
    "lab_mcp_server_max_rss_bytes" &[],
        "what running the server takes at its peak; a machine that starts many needs their sum";
    "lab_mcp_server_processes" &[("attached", "a client is alive above the process"), ("orphaned", "left behind: its client has ended")],
        "orphaned above 0 for long: `lab-probe check NAME` names them with the command that ends them";
    "lab_mcp_server_processes_rss_bytes" &[("attached", "in use by clients"), ("orphaned", "to be had back by ending the processes")],
        "memory that is shared between processes counts for each";

    "lab_worktree_status" &[("0", "complete"), ("1", "working"), ("2", "testing"), ("3", "blocked")],
        "at 3, `lab-probe check NAME` says what blocks: conflicts, or a merge, rebase or the like that has stopped";
    "lab_worktree_test_status" &[("0", "unknown: no verdict for what is checked out"), ("1", "passing"), ("2", "failing")],
        "at 0, run the tests through `lab-probe record -- COMMAND`; at 2, mend what fails";
    "lab_worktree_info" &[("1", "always")],
        "join on it to see the branch, and where the two statuses come from";
    "lab_worktree_changed_files" &[],
        "many for long: work that nobody has committed";
    "lab_worktree_files" &[("staged", "the index differs from HEAD"), ("modified", "the worktree differs from the index"), ("untracked", "git does not know it")],
        "a path may be both staged and modified, so the sum may be more than lab_worktree_changed_files";
    "lab_worktree_conflicted_files" &[],
        "above 0, resolve the conflicts or abort the merge";
    "lab_worktree_ahead_commits" &[],
        "commits that would be lost with the worktree: push or merge them";
    "lab_worktree_behind_commits" &[],
        "many: rebase or merge before conflicts grow";
    "lab_worktree_integrated" &[("0", "the base lacks some of it"), ("1", "the base has all of it")],
        "at 1 with commits ahead, the branch was squashed or rebased into the base: the worktree may be removed";
    "lab_worktree_locked" &[("0", "not locked"), ("1", "locked")],
        "`git worktree list` shows the reason; `git worktree unlock` ends it";
    "lab_worktree_last_commit_timestamp_seconds" &[],
        "time() minus this is the age of the last commit; old ones may be forgotten work";
    "lab_worktree_tests" &[("passed", "tests that passed"), ("failed", "tests that failed"), ("skipped", "tests that were skipped")],
        "see which ones failed in the report that lab_worktree_info names as test_source";
    "lab_worktree_tests_duration_seconds" &[],
        "growing: tests get slower";
    "lab_worktree_tested_timestamp_seconds" &[],
        "compare with the last commit to see whether the verdict is about it";
    "lab_worktree_up" BOOL,
        "at 0, `lab-probe check NAME` has git's own sentence; the other series of the worktree are absent meanwhile";
    "lab_worktree_checked_timestamp_seconds" &[],
        "older than three times lab_worktree_ttl_seconds: the timer does not run, or the deadline is too short for all targets";
    "lab_worktree_ttl_seconds" &[("0", "checked on every pass")],
        "compare with the age of the last check to tell a late one";

    "lab_service_up" BOOL,
        "at 0, `lab-probe check NAME` says what was tried and what came back";
    "lab_service_failure" &[("1", "this reason holds")],
        "`lab-probe explain REASON` says what the reason means; `lab-probe check NAME` shows the evidence";
    "lab_service_duration_seconds" &[],
        "growing: the service gets slower before it fails";
    "lab_service_certificate_end_timestamp_seconds" &[("absent", "no certificate was shown")],
        "this minus time() is what is left: renew the certificate well before it ends";
    "lab_service_checked_timestamp_seconds" &[],
        "older than three times lab_service_ttl_seconds: the timer does not run, or the deadline is too short for all targets";
    "lab_service_ttl_seconds" &[("0", "checked on every pass")],
        "compare with the age of the last check to tell a late one";

    "lab_probe_build_info" &[("1", "always")],
        "shows which version runs where";
    "lab_probe_last_pass_timestamp_seconds" &[],
        "time() minus this above a few intervals: the timer has stopped; `systemctl list-timers` and `lab-probe doctor` say more";
    "lab_probe_pass_duration_seconds" &[],
        "near the deadline, targets will be cut off: raise `deadline`, or lower the timeouts";
    "lab_probe_deadline_exceeded" BOOL,
        "at 1, lab_probe_targets{result=\"timed_out\"} counts what was cut off or not started";
    "lab_probe_targets" &[
        ("fresh", "checked in this pass"),
        ("cached", "not due; remembered"),
        ("timed_out", "cut off by the deadline or not started before it"),
        ("error", "the check itself broke, which is a bug to report"),
    ],
        "timed_out above 0 again and again: the deadline is too short for what is to be checked";
    "lab_probe_output_failures_total" &[("textfile", "the file for node_exporter"), ("pushgateway", "the push")],
        "when it grows, run `lab-probe --once` by hand as the same user and read what it says";
    "lab_probe_pass_failures_total" &[],
        "when it grows, an output was not delivered or the state not saved: read the unit's journal";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalogue;

    #[test]
    fn every_family_has_advice_and_no_advice_is_about_nothing() {
        let families: Vec<&str> = catalogue::ALL.iter().map(|family| family.name).collect();
        let advised: Vec<&str> = ALL.iter().map(|advice| advice.family).collect();
        assert_eq!(advised, families, "one entry for each family, in the catalogue's order");
    }
}
