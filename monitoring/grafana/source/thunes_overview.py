"""THUNES Trading Overview: the state of trading on top, the LAB it stands on below."""

from parts import *

ENV = HOST + ',environment=~"$environment"'
BY = "$host_label, environment"
NAME = WHERE + " {{environment}}"


def latency(quantile):
    return query(
        f"histogram_quantile({quantile}, sum by ({BY}, le) (rate(thunes_order_latency_ms_bucket{{{ENV}}}[5m])))",
        f"p{round(quantile * 100)} {NAME}")


def worktrees(family):
    return current(f'max by ($host_label, worktree_name) ({family}{{{HOST},worktree_name=~"$worktree"}})')


def gap(quantile):
    return query(
        f"histogram_quantile({quantile}, sum by ({BY}, le) (rate(thunes_ws_gap_seconds_bucket{{{ENV}}}[5m])))",
        f"p{round(quantile * 100)} {NAME}")


# With a zero only where the rules are loaded: one of their alerts always fires.
NONE = 'count(ALERTS{alertname="LabProbeAlertPathAlive"}) * 0'
FIRING = ('ALERTS{alertname!="LabProbeAlertPathAlive",environment=~"$environment|lab",host=~"$host",'
          'alertstate="%s"}')

DASHBOARD = dashboard(
    "lab-thunes",
    """Is trading running, within its limits, and does the LAB beside it hold? What cannot be read is absent here, never
    shown as good.""",
    [source_variable("datasource", "Prometheus", "lab-prometheus", "LAB Prometheus"), *host_variables(),
     environment_variable(), server_variable(), worktree_variable()],
    [
        stat("Kill-Switch Status",
             """Whether the kill switch stops all orders. An environment that is missing here could not be read: that is
             not the same as released.""",
             [now(current(f"max by ({BY}) (thunes_kill_switch_active{{{ENV}}})"), NAME)],
             size=(5, 5), empty="NOT KNOWN", states=KILL_SWITCH, steps=thresholds((None, GOOD), (1, BAD))),
        gauge("Daily PnL Usage",
              "Realised loss of the UTC day as a share of the daily limit; 0 on a profit. The kill switch acts at 100%.",
              [now(current(f"max by ({BY}) (thunes_daily_pnl_used{{{ENV}}})"), NAME)],
              size=(5, 5), unit="percentunit", extra={"min": 0, "max": 1},
              steps=thresholds((None, GOOD), (0.5, HALF), (0.8, BAD))),
        stat("Open Positions", "Positions open now. New entries are refused from 3 on.",
             [now(current(f"max by ({BY}) (thunes_open_positions{{{ENV}}})"), NAME)],
             size=(4, 5), look={"colorMode": "value"},
             steps=thresholds((None, GOOD), (3, HALF))),
        stat("Circuit Breaker State", "Each breaker: closed lets calls through, open refuses them, half-open tries one.",
             [now(current(f"max by ({BY}, breaker_name) (thunes_circuit_breaker_state{{{ENV}}})"), NAME + " {{breaker_name}}")],
             size=(5, 5), empty="no breaker has reported", states=BREAKER, steps=thresholds((None, GOOD), (0.5, HALF), (1, BAD))),
        stat("WebSocket Health", "Whether the market-data stream of each symbol is connected.",
             [now(current(f"min by ({BY}, symbol) (thunes_ws_connected{{{ENV}}})"), NAME + " {{symbol}}")],
             size=(5, 5), empty="no stream has reported", states=CONNECTED, steps=thresholds((None, BAD), (1, GOOD))),

        lines("Order Latency (p50/p95/p99)",
              """Time from placing an order to its execution, over 5 minutes; the line is the alert's limit for the 95th
              percentile. Nothing is drawn while there are no orders. Whole seconds only where it comes from text
              logs.""",
              [latency(0.5), latency(0.95), latency(0.99)], size=(12, 8), unit="ms", limit=True, empty="no order in this time",
              steps=thresholds((None, GOOD), (500, BAD))),
        lines("WebSocket Message Gap", "Time between two market-data messages, over 5 minutes.",
              [gap(0.5), gap(0.95), gap(0.99)], size=(8, 8), unit="s", empty="no message in this time"),
        bars("Orders Placed (24h)", "Orders of the last 24 hours by side and type.",
             [now(f"""sum by ({BY}, side, order_type) (max by ({BY}, venue, side, order_type)
                  (increase(thunes_orders_placed_total{{{ENV}}}[24h])))""", NAME + " {{side}} {{order_type}}")],
             size=(4, 8), steps=NEUTRAL, empty="no order is known", extra={"decimals": 0, "min": 0}),

        stat("Alerts firing", "Alerts that fire now for the chosen environments and for their hosts.",
             [now(f"sum({FIRING % 'firing'}) or {NONE}", "firing"),
              now(f"sum({FIRING % 'pending'}) or {NONE}", "pending")],
             size=(4, 6), empty="the alert rules are not loaded", steps=thresholds((None, GOOD), (1, BAD)),
             overrides=[{"matcher": {"id": "byName", "options": "pending"}, "properties": [
                 {"id": "thresholds", "value": thresholds((None, GOOD), (1, HALF))}]}]),
        table("Alert status", "What fires or is about to, with the environment and host it is about.",
              [row_of("""max by (alertname, alertstate, severity, environment, host)
                      (ALERTS{environment=~"$environment|lab",host=~"$host"})""")],
              size=(20, 6), hide=("Value",), sort=("State", False), empty="no alert is known to fire",
              columns={"alertstate": "State", "severity": "Severity", "alertname": "Alert",
                       "environment": "Environment"}),

        timeline("MCP Server Health", "Each MCP server of the LAB over time. Not configured is not a failure.",
                 [query(current(f'min by ($host_label, server_name) (lab_mcp_server_health{{{HOST},server_name=~"$server"}})'),
                        WHERE + " {{server_name}}")],
                 MCP_HEALTH, size=(12, 10), steps=thresholds((None, BAD), (1, GOOD), (2, IDLE)),
                 links=[link_to("lab-mcp")]),
        timeline("Worktree Status", "Each git worktree: blocked has conflicts or a stopped merge, rebase or bisect.",
                 [query(worktrees("lab_worktree_status"), WHERE + " {{worktree_name}}")],
                 WORKTREE, size=(6, 10), steps=thresholds((None, GOOD), (1, BUSY), (2, TESTING), (3, BAD)),
                 links=[link_to("lab-worktrees")]),
        timeline("Worktree Test Status",
                 "The newest verdict for each worktree, if nothing tracked changed since; else unknown.",
                 [query(worktrees("lab_worktree_test_status"), WHERE + " {{worktree_name}}")],
                 TEST_STATUS, size=(6, 10), steps=thresholds((None, IDLE), (1, GOOD), (2, BAD)),
                 links=[link_to("lab-worktrees")]),

        section("More on trading"),
        lines("Realised PnL today", "Realised profit or loss of the UTC day, in quote currency.",
              [query(f"max by ({BY}) (thunes_realized_pnl{{{ENV}}})", NAME)], size=(8, 7),
              extra={"min": None}),
        lines("Trade decisions", "Decisions of the risk manager in an hour, by reason.",
              [query(f"""max by ({BY}, decision, reason) (increase(thunes_trade_decisions_total{{{ENV}}}[1h]))""",
                     NAME + " {{decision}} {{reason}}")], size=(8, 7), stack=True),
        table("Sources", "Where the values come from, whether each can be read, and how old its newest record is.",
              [row_of(current(f"min by ({BY}, source) (thunes_source_up{{{ENV}}})")),
               row_of(f"time() - max by ({BY}, source) (thunes_source_last_record_timestamp_seconds{{{ENV}}})")],
              size=(8, 7),
              columns={"environment": "Environment", "source": "Source", "Value #A": "State",
                       "Value #B": "Newest record"},
              overrides=[column("State", states=UP), column("Newest record", unit="s")]),
        section("$environment: where it is expected", repeat="environment"),
        band("Mean order latency and its band", "Mean of five minutes, before the band expected at that hour.",
             f"""sum by ({BY}) (rate(thunes_order_latency_ms_sum{{{ENV}}}[5m]))
             / (sum by ({BY}) (rate(thunes_order_latency_ms_count{{{ENV}}}[5m])) > 0)""",
             f'thunes_order_latency_expected_ms{{{ENV},bound="%s"}}', NAME, size=(24, 8), unit="ms"),
    ],
)
