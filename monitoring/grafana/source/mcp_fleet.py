"""MCP fleet: which servers work, why the others do not, and what each costs."""

from parts import *

SERVER = 'host=~"$host",server_name=~"$server"'
BY = "host, server_name"
NAME = "{{server_name}}"


def count_of(value, title, color, description):
    return stat(title, description,
                [query(f"sum(min by ({BY}) (lab_mcp_server_health{{{SERVER}}}) == bool {value})", title)],
                size=(4, 4), look={"graphMode": "area", "colorMode": "value"},
                steps=thresholds((None, GOOD), (1, color)))


DASHBOARD = dashboard(
    "lab-mcp",
    "Every MCP server that a client of this LAB could use: state, reasons, speed, tools and cost.",
    [source_variable("datasource", "Prometheus", "lab-prometheus", "LAB Prometheus"), host_variable(),
     environment_variable(), server_variable()],
    [
        count_of(1, "Up", GOOD, "Servers that answered the handshake, and listed tools if they have any."),
        count_of(0, "Down", BAD, "Servers that are configured and did not work. The table tells why."),
        count_of(2, "Not configured", IDLE,
                 "Expected but in no configuration, disabled, not trusted, or missing a login or a variable."),
        table("Why not up", "The reason that holds now. `lab-probe explain REASON` says what to do.",
              [row_of(f"max by ({BY}, reason) (lab_mcp_server_failure{{{SERVER}}}) == 1")],
              size=(12, 8), hide=("Value",), sort=("Server", False),
              columns={"server_name": "Server", "reason": "Reason", "host": "Host"}),
        stat("Tools on offer", "Tools of all servers that are up.",
             [query(f"sum(max by ({BY}) (lab_mcp_server_tools{{{SERVER}}}))", "tools")],
             size=(6, 4), look={"graphMode": "area", "colorMode": "value"}),
        stat("Newest change of a tool list", "How long ago any server's list of tools was seen to differ.",
             [now(f"time() - max(lab_mcp_server_tools_changed_timestamp_seconds{{{SERVER}}})", "ago")],
             size=(6, 4), unit="s", look={"colorMode": "value"}),

        timeline("Health over time", "Each server's verdict; a reused answer counts as what it was.",
                 [query(f"min by ({BY}) (lab_mcp_server_health{{{SERVER}}})", NAME)], MCP_HEALTH, size=(24, 11),
                 steps=thresholds((None, BAD), (1, GOOD), (2, IDLE))),
        timeline("Reasons over time", "Reasons other than none, one line for each that was seen.",
                 [query(f"max by ({BY}, reason) (lab_mcp_server_failure{{{SERVER}}})", "{{server_name}} {{reason}}")],
                 {1: ("holds", HALF)}, size=(12, 9)),
        lines("Handshake latency", "Time from the start of a check to the answer to its first request.",
              [query(f"max by ({BY}) (lab_mcp_server_handshake_seconds{{{SERVER}}})", NAME)], size=(12, 9), unit="s"),

        table("Servers", "What each server says of itself, its tools, and when it was last checked.",
              [row_of(f"max by ({BY}, transport, era, protocol_version, server_version) (lab_mcp_server_info{{{SERVER}}})"),
               row_of(f"min by ({BY}) (lab_mcp_server_health{{{SERVER}}})"),
               row_of(f"max by ({BY}) (lab_mcp_server_tools{{{SERVER}}})"),
               row_of(f"time() - max by ({BY}) (lab_mcp_server_tools_changed_timestamp_seconds{{{SERVER}}})"),
               row_of(f"time() - max by ({BY}) (lab_mcp_server_checked_timestamp_seconds{{{SERVER}}})")],
              size=(24, 10), hide=("Value #A",), sort=("Server", False),
              columns={"server_name": "Server", "Value #B": "State", "Value #C": "Tools", "Value #D": "Tools changed",
                       "Value #E": "Checked", "transport": "Transport", "era": "Era",
                       "protocol_version": "Protocol", "server_version": "Version", "host": "Host"},
              overrides=[column("State", states=MCP_HEALTH), column("Tools changed", unit="s"),
                         column("Checked", unit="s")]),
        lines("Tools", "A step is a server that gained or lost tools.",
              [query(f"max by ({BY}) (lab_mcp_server_tools{{{SERVER}}})", NAME)], size=(12, 9), unit="short"),
        lines("Checks", "Checks an hour by result; fewer than passes, because good answers are reused.",
              [query(f"sum by (result) (max by ({BY}, result) (increase(lab_mcp_server_checks_total{{{SERVER}}}[1h])))",
                     "{{result}}")], size=(12, 9), stack=True,
              overrides=[color_of("up", GOOD), color_of("down", BAD), color_of("not_configured", IDLE)]),

        section("What each costs"),
        bars("CPU of a check", "CPU time of the whole process tree of the last check. Servers on HTTP cost none here.",
             [now(f"max by ({BY}) (lab_mcp_server_cpu_seconds{{{SERVER}}})", NAME)], size=(8, 10), unit="s",
             extra={"min": 0}, steps=thresholds((None, GOOD), (2, HALF), (5, BAD))),
        bars("Memory of a check", "Largest resident memory of one process of the last check.",
             [now(f"max by ({BY}) (lab_mcp_server_max_rss_bytes{{{SERVER}}})", NAME)], size=(8, 10), unit="bytes",
             extra={"min": 0}, steps=thresholds((None, GOOD), (256 << 20, HALF), (1 << 30, BAD))),
        lines("CPU spent on checking", "Cores busy with checks of each server, averaged over an hour.",
              [query(f"""max by ({BY}) (lab_mcp_server_cpu_seconds{{{SERVER}}})
                     * on (host, server_name) sum by ({BY}) (rate(lab_mcp_server_checks_total{{{SERVER}}}[1h]))""", NAME)],
              size=(8, 10), unit="short", stack=True),
    ],
)
