"""MCP fleet: which servers work, why the others do not, and what each costs."""

from parts import *

SERVER = HOST + ',server_name=~"$server"'
BY = "$host_label, server_name"
NAME = WHERE + " {{server_name}}"
HEALTH = current(f"min by ({BY}) (lab_mcp_server_health{{{SERVER}}})")


def count_of(value, title, color, description):
    return stat(title, description, [now(f"sum({HEALTH} == bool {value})", title)], size=(4, 4),
                steps=thresholds((None, GOOD), (1, color)))


def cost(title, description, family, size=(8, 10), legend=NAME, **more):
    by = f"{BY}, state" if family.endswith("processes_rss_bytes") else BY
    return bars(title, description, [now(current(f"max by ({by}) ({family}{{{SERVER}}})"), legend)], size=size,
                extra={"min": 0}, **more)


DASHBOARD = dashboard(
    "lab-mcp",
    "Every MCP server that a client of this LAB could use: state, reasons, speed, tools and cost.",
    [source_variable("datasource", "Prometheus", "lab-prometheus", "LAB Prometheus"), *host_variables(),
     environment_variable(), server_variable()],
    [
        count_of(1, "Up", GOOD, "Servers that answered the handshake, and listed tools if they have any."),
        count_of(0, "Down", BAD, "Servers that are configured and did not work. The table tells why."),
        count_of(2, "Not configured", IDLE,
                 "Expected but in no configuration, disabled, not trusted, or missing a login or a variable."),
        table("Why not up", "The reason that holds now. `lab-probe explain REASON` says what to do.",
              [row_of(current(f"max by ({BY}, reason) (lab_mcp_server_failure{{{SERVER}}}) == 1"))],
              size=(12, 8), hide=("Value",), sort=("Server", False), empty="no server is known to be down or not configured",
              columns={"server_name": "Server", "reason": "Reason"}),
        stat("Tools on offer", "Tools of all servers that are up.",
             [now(f"sum({current(f'max by ({BY}) (lab_mcp_server_tools{{{SERVER}}})')})", "tools")],
             size=(6, 4), steps=NEUTRAL, look={"colorMode": "value"}),
        stat("Newest change of a tool list", "How long ago any server's list of tools was seen to differ.",
             [now(f"time() - max(lab_mcp_server_tools_changed_timestamp_seconds{{{SERVER}}})", "ago")],
             size=(6, 4), unit="s", steps=NEUTRAL, look={"colorMode": "value"}, empty="no change seen"),

        timeline("Health over time", "Each server's verdict; a reused answer counts as what it was.",
                 [query(HEALTH, NAME)], MCP_HEALTH, size=(24, 11),
                 steps=thresholds((None, BAD), (1, GOOD), (2, IDLE))),
        bars("Uptime (24h)", "Share of the last 24 hours in which each server was up; time in which it was not configured "
             "does not count.",
             [now(current(f"avg_over_time(({HEALTH} < 2)[24h:1m])"), NAME)], size=(12, 9), unit="percentunit",
             extra={"min": 0, "max": 1, "decimals": 1}, steps=thresholds((None, BAD), (0.95, HALF), (0.99, GOOD))),
        timeline("Reasons over time", "Why a server was not up, one line for each reason that was seen.",
                 [query(current(f"max by ({BY}, reason) (lab_mcp_server_failure{{{SERVER}}})"), NAME + " {{reason}}")],
                 {1: ("holds", HALF)}, size=(12, 9), empty="no server is known to have been down or not configured"),
        lines("Handshake latency", "Time from the start of a check to the answer to its first request.",
              [query(f"max by ({BY}) (lab_mcp_server_handshake_seconds{{{SERVER}}})", NAME)], size=(8, 9), unit="s"),
        lines("Tools", "A step is a server that gained or lost tools.",
              [query(f"max by ({BY}) (lab_mcp_server_tools{{{SERVER}}})", NAME)], size=(8, 9)),
        lines("Checks", "Checks an hour by result; fewer than passes, because good answers are reused.",
              [query(f"sum by (result) (max by ({BY}, result) (increase(lab_mcp_server_checks_total{{{SERVER}}}[1h])))",
                     "{{result}}")], size=(8, 9), stack=True,
              overrides=[color_of("up", GOOD), color_of("down", BAD), color_of("not_configured", IDLE)]),

        table("Servers", "What each server says of itself, its tools, and when it was last checked.",
              [row_of(current(f"""max by ({BY}, transport, era, protocol_version, server_version)
                              (lab_mcp_server_info{{{SERVER}}})""")),
               row_of(HEALTH),
               row_of(current(f"max by ({BY}) (lab_mcp_server_tools{{{SERVER}}})")),
               row_of(f"time() - max by ({BY}) (lab_mcp_server_tools_changed_timestamp_seconds{{{SERVER}}})"),
               row_of(f"time() - max by ({BY}) (lab_mcp_server_checked_timestamp_seconds{{{SERVER}}})")],
              size=(24, 10), hide=("Value #A",), sort=("Server", False),
              columns={"server_name": "Server", "Value #B": "State", "Value #C": "Tools", "Value #D": "Tools changed",
                       "Value #E": "Checked", "transport": "Transport", "era": "Era",
                       "protocol_version": "Protocol", "server_version": "Version"},
              overrides=[column("State", states=MCP_HEALTH), column("Tools changed", unit="s"),
                         column("Checked", unit="s")]),

        section("What each costs"),
        cost("Context of a model", """Size of each server's list of tools as JSON: what it takes of the context of every model
             that is offered them. About 4 bytes make a token.""",
             "lab_mcp_server_tools_bytes", unit="bytes", steps=thresholds((None, GOOD), (32 << 10, HALF), (128 << 10, BAD))),
        table("Orphaned processes",
              "Running processes of each server whose client has ended: nobody uses them, and nobody ends them.",
              [row_of(current(f'max by ({BY}) (lab_mcp_server_processes{{{SERVER},state="orphaned"}}) > 0')),
               row_of(current(f'max by ({BY}) (lab_mcp_server_processes_rss_bytes{{{SERVER},state="orphaned"}}) > 0'))],
              size=(8, 10), sort=("Processes", True), empty="no orphaned process is known",
              columns={"server_name": "Server", "Value #A": "Processes", "Value #B": "Memory"},
              overrides=[column("Memory", unit="bytes")]),
        cost("Memory of running servers", "Resident memory of all processes of each server that run now, by whether a client uses "
             "them.", "lab_mcp_server_processes_rss_bytes", legend=NAME + " {{state}}", unit="bytes", steps=NEUTRAL),
        cost("CPU of a check", "CPU time of the whole process tree of the last check. Servers on HTTP cost none here.",
             "lab_mcp_server_cpu_seconds", unit="s", steps=thresholds((None, GOOD), (2, HALF), (5, BAD))),
        cost("Memory of a check", "Largest resident memory of one process of the last check.",
             "lab_mcp_server_max_rss_bytes", unit="bytes", steps=thresholds((None, GOOD), (256 << 20, HALF), (1 << 30, BAD))),
        lines("CPU spent on checking", "Cores busy with checks of each server, averaged over an hour.",
              [query(f"""max by ({BY}) (lab_mcp_server_cpu_seconds{{{SERVER}}})
                     * on ({BY}) sum by ({BY}) (rate(lab_mcp_server_checks_total{{{SERVER}}}[1h]))""", NAME)],
              size=(8, 10), stack=True),

        section("Unusual values"),
        table("What is unusual now", "Series out of their band for a quarter of an hour (level), or that grow or fall for days "
              "(trend). No trouble in itself; `lab-probe status` has it in words.",
              [row_of(current(f"""max by ($host_label, metric, kind, direction, server_name, environment, service_name)
                              (lab_anomaly_active{{{HOST}}})"""))],
              size=(16, 8), hide=("Value",), sort=("Metric", False), empty="nothing is known to be unusual",
              columns={"metric": "Metric", "kind": "Kind", "direction": "Direction", "server_name": "Server",
                       "environment": "Environment", "service_name": "Service"}),
        stat("Widespread", "Whether many series became unusual within half an hour: then it is one event, of the machine or its "
             "network.",
             [now(current(f"max by ($host_label) (lab_anomaly_widespread{{{HOST}}})"), WHERE)], size=(8, 4), states=SPREAD,
             steps=thresholds((None, GOOD), (1, HALF))),
        stat("Series", "Series that are watched, and those that are still learnt: two days of points each, and nothing alerts in "
             "the first two weeks.",
             [now(current(f"max by ($host_label, state) (lab_anomaly_series{{{HOST}}})"), WHERE + " {{state}}")], size=(8, 4),
             steps=NEUTRAL, look={"colorMode": "value"}),
        section("$server: where it is expected", repeat="server"),
        band("Handshake and its band", "Time to the answer of the first request, before the band expected at that hour.",
             f"max by ({BY}) (lab_mcp_server_handshake_seconds{{{SERVER}}})",
             f'lab_mcp_server_handshake_expected_seconds{{{SERVER},bound="%s"}}', NAME, unit="s"),
        band("Memory and its band", "Largest resident memory of one process, before the band expected at that hour.",
             f"max by ({BY}) (lab_mcp_server_max_rss_bytes{{{SERVER}}})",
             f'lab_mcp_server_max_rss_expected_bytes{{{SERVER},bound="%s"}}', NAME, unit="bytes"),
        band("CPU time and its band", "CPU time of the whole process tree, before the band expected at that hour.",
             f"max by ({BY}) (lab_mcp_server_cpu_seconds{{{SERVER}}})",
             f'lab_mcp_server_cpu_expected_seconds{{{SERVER},bound="%s"}}', NAME, unit="s"),
    ],
)
