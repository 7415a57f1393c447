"""Trends: a month and a quarter from the long-term storage, and this week against the last.

Every query also works on a Prometheus: it then shows as far back as that one keeps samples.
"""

from parts import *

ENV = HOST + ',environment=~"$environment"'
SERVER = HOST + ',server_name=~"$server"'
TREE = HOST + ',worktree_name=~"$worktree"'
BY_SERVER, BY_TREE, BY_ENV = "$host_label, server_name", "$host_label, worktree_name", "$host_label, environment"


def over(expr, window, resolution):
    return f"avg_over_time(({expr})[{window}:{resolution}])"


def availability(window, resolution):
    up = f"min by ({BY_SERVER}) (lab_mcp_server_health{{{SERVER}}}) < 2"
    return bars(f"MCP availability, {window[:-1]} days",
                "Share of the time in which each server was up; time in which it was not configured does not count.",
                [now(over(up, window, resolution), WHERE + " {{server_name}}")], size=(12, 10), unit="percentunit",
                source=LONG_TERM, extra={"min": 0, "max": 1, "decimals": 2},
                steps=thresholds((None, BAD), (0.95, HALF), (0.99, GOOD)))


def week_over_week(title, description, expr, **more):
    return lines(title, description, [query(expr % "", "this week"), query(expr % " offset 7d", "the week before")],
                 size=(12, 8), time_from="7d", source=LONG_TERM,
                 overrides=[color_of("this week", BUSY), color_of("the week before", IDLE)], **more)


def daily(title, description, expr, window, legend, **more):
    return lines(f"{title}, {window[:-1]} days", description, [query(expr, legend)], size=(12, 8), time_from=window,
                 source=LONG_TERM, **more)


def growing(title, description, expr, by, name, column_, unit, size=(8, 10)):
    """What grows: now, by how much a day over the last week, and what that makes in 30 days if it goes on."""
    recent = f"({expr})[7d:1h]"
    return table(f"{title} that grows", description,
                 [row_of(expr), row_of(f"deriv({recent}) * 86400"), row_of(f"predict_linear({recent}, 30 * 86400)")],
                 size=size, source=LONG_TERM, sort=("A day", True),
                 columns={name: column_, **{label: label_text for label, label_text in by}, "Value #A": "Now",
                          "Value #B": "A day", "Value #C": "In 30 days"},
                 overrides=[column(text, unit=unit) for text in ("Now", "A day", "In 30 days")])


ORDERS = (f"sum by ({BY_ENV}) (max by ({BY_ENV}, venue, order_type, side) "
          f"(increase(thunes_orders_placed_total{{{ENV}}}[1d])))")
FAILING = f"sum(max by ({BY_TREE}) (lab_worktree_test_status{{{TREE}}}) == bool 2)"

DASHBOARD = dashboard(
    "lab-trends",
    "Months instead of hours, read from the long-term storage. Each panel keeps its own span, whatever the time above.",
    [source_variable("datasource", "Prometheus", "lab-prometheus", "LAB Prometheus"),
     source_variable("longterm", "Long-term storage", "lab-longterm", "LAB long-term"), *host_variables(LONG_TERM),
     environment_variable(LONG_TERM), server_variable(LONG_TERM), worktree_variable(LONG_TERM)],
    [
        section("Availability"),
        availability("30d", "5m"),
        availability("90d", "15m"),
        section("This week and the week before"),
        week_over_week("MCP servers down", "Servers down, averaged over an hour.",
                       f"avg_over_time((sum(min by ({BY_SERVER}) (lab_mcp_server_health{{{SERVER}}}) == bool 0))[1h:5m]%s)"),
        week_over_week("Orders a day", "Orders of the 24 hours before each point.",
                       f"sum(max by ({BY_ENV}, venue, order_type, side) "
                       f"(increase(thunes_orders_placed_total{{{ENV}}}[1d]%s)))"),
        week_over_week("Order latency, 95th percentile", "Over the 24 hours before each point.",
                       f"histogram_quantile(0.95, sum by (le) (rate(thunes_order_latency_ms_bucket{{{ENV}}}[1d]%s)))",
                       unit="ms"),
        week_over_week("Worktrees failing their tests", "Averaged over an hour.",
                       f"avg_over_time(({FAILING})[1h:5m]%s)"),
        section("What grows"),
        growing("Memory", "Resident memory of each server: by how much a day it has grown over a week, and where that leads.",
                f"max by ({BY_SERVER}) (lab_mcp_server_max_rss_bytes{{{SERVER}}})", (), "server_name", "Server", "bytes"),
        growing("Journal", "Lines of each journal so far: by how many a day it has grown over a week, and where that leads.",
                f"sum by ({BY_ENV}, journal) (max by ({BY_ENV}, journal, result) (thunes_journal_lines_total{{{ENV}}}))",
                [("environment", "Environment")], "journal", "Journal", "short"),
        growing("Age of a worktree", "Time since the last commit of each worktree. It grows by a day each day while nobody commits.",
                f"max by ({BY_TREE}) (time() - lab_worktree_last_commit_timestamp_seconds{{{TREE}}})", (), "worktree_name",
                "Worktree", "s"),
        section("30 days"),
        daily("Orders a day", "Orders of the 24 hours before each point, by environment.", ORDERS, "30d",
              WHERE + " {{environment}}"),
        daily("Daily loss limit used", "Largest share of the daily limit used, day by day.",
              f"max by ({BY_ENV}) (max_over_time(thunes_daily_pnl_used{{{ENV}}}[1d]))", "30d", WHERE + " {{environment}}",
              unit="percentunit", limit=True, steps=thresholds((None, GOOD), (0.8, HALF), (1, BAD))),
        daily("Handshake latency", "Mean of each server's handshake time, day by day.",
              f"max by ({BY_SERVER}) (avg_over_time(lab_mcp_server_handshake_seconds{{{SERVER}}}[1d]))", "30d",
              WHERE + " {{server_name}}", unit="s"),
        daily("Time blocked", "Share of each day in which a worktree was blocked.",
              over(f"max by ({BY_TREE}) (lab_worktree_status{{{TREE}}}) == bool 3", "1d", "5m"), "30d",
              WHERE + " {{worktree_name}}", unit="percentunit"),
        section("90 days"),
        daily("Kill switch active", "Share of each day in which the kill switch was active.",
              f"max by ({BY_ENV}) (avg_over_time(thunes_kill_switch_active{{{ENV}}}[1d]))", "90d",
              WHERE + " {{environment}}", unit="percentunit"),
        daily("Tools on offer", "Tools of all servers, day by day.",
              f"sum(max by ({BY_SERVER}) (last_over_time(lab_mcp_server_tools{{{SERVER}}}[1d])))", "90d", "tools",
              unit="short"),
        daily("Orders a day", "Orders of the 24 hours before each point, by environment.", ORDERS, "90d",
              WHERE + " {{environment}}"),
        daily("Duration of a pass", "Mean duration of the passes, day by day.",
              f"max by ($host_label) (avg_over_time(lab_probe_pass_duration_seconds{{{HOST}}}[1d]))", "90d", WHERE,
              unit="s"),
    ],
    start="now-30d", refresh="15m", annotations=False,
)
