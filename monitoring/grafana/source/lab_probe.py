"""lab-probe itself: does it run, is what it says fresh, does it arrive, and what does it cost Prometheus."""

from parts import *

HOST = 'host=~"$host"'
OURS = '__name__=~"(thunes|lab)_.+"'

DASHBOARD = dashboard(
    "lab-probe",
    "The probe's own passes, its outputs and its series. If this page is old, so are all the others.",
    [source_variable("datasource", "Prometheus", "lab-prometheus", "LAB Prometheus"), host_variable(),
     environment_variable()],
    [
        stat("Last pass", "Time since the last pass of each host; passes are due every 30 seconds.",
             [now(f"time() - max by (host) (lab_probe_last_pass_timestamp_seconds{{{HOST}}})", "{{host}}")],
             size=(6, 4), unit="s", steps=thresholds((None, GOOD), (60, HALF), (120, BAD))),
        stat("Deadline", "Whether the last pass was cut short by its deadline.",
             [now(f"max by (host) (lab_probe_deadline_exceeded{{{HOST}}})", "{{host}}")],
             size=(6, 4), states=ON_TIME, steps=thresholds((None, GOOD), (1, BAD))),
        stat("Deliveries failed (24h)", "Deliveries that failed in 24 hours, by output.",
             [now(f"max by (host, output) (increase(lab_probe_output_failures_total{{{HOST}}}[24h]))",
                  "{{host}} {{output}}")],
             size=(6, 4), extra={"decimals": 0}, steps=thresholds((None, GOOD), (1, BAD))),
        stat("Passes failed (24h)", "Passes that ended with exit code 1 in 24 hours.",
             [now(f"max by (host) (increase(lab_probe_pass_failures_total{{{HOST}}}[24h]))", "{{host}}")],
             size=(6, 4), extra={"decimals": 0}, steps=thresholds((None, GOOD), (1, BAD))),

        lines("Duration of a pass", "From its start to its delivery; the line is the default deadline of 25 seconds.",
              [query(f"max by (host) (lab_probe_pass_duration_seconds{{{HOST}}})", "{{host}}")], size=(12, 8), unit="s",
              limit=True, steps=thresholds((None, GOOD), (25, BAD))),
        lines("Fresh and remembered",
              "Targets of each pass by how their value came about; timed_out and error should stay at 0.",
              [query(f"sum by (result) (max by (host, kind, result) (lab_probe_targets{{{HOST}}}))", "{{result}}")],
              size=(12, 8), stack=True,
              overrides=[color_of("fresh", GOOD), color_of("cached", BUSY), color_of("timed_out", HALF),
                         color_of("error", BAD)]),
        lines("Targets by kind", "How many targets of each kind a pass knows.",
              [query(f"sum by (kind) (max by (host, kind, result) (lab_probe_targets{{{HOST}}}))", "{{kind}}")],
              size=(12, 8), stack=True),
        table("Versions", "The version that runs on each host.",
              [row_of(f"max by (host, version, revision) (lab_probe_build_info{{{HOST}}})")], size=(12, 8),
              hide=("Value",), columns={"host": "Host", "version": "Version", "revision": "Revision"}),

        section("Services"),
        timeline("Services", "Each service that the probe watches.",
                 [query(f"min by (host, service_name) (lab_service_up{{{HOST}}})", "{{service_name}}")], UP, size=(12, 7),
                 steps=thresholds((None, BAD), (1, GOOD))),
        lines("Time to answer", "Time each service took to answer.",
              [query(f"max by (host, service_name) (lab_service_duration_seconds{{{HOST}}})", "{{service_name}}")],
              size=(12, 7), unit="s"),
        table("Why a service is not up", "The reason that holds now; empty while all are up.",
              [row_of(f"max by (host, service_name, reason) (lab_service_failure{{{HOST}}}) == 1")], size=(12, 6),
              hide=("Value",), columns={"service_name": "Service", "reason": "Reason", "host": "Host"}),
        bars("Certificates", "Time until the TLS certificate of a service ends.",
             [now(f"min by (host, service_name) (lab_service_certificate_end_timestamp_seconds{{{HOST}}}) - time()",
                  "{{service_name}}")], size=(12, 6), unit="s", extra={"min": 0},
             steps=thresholds((None, BAD), (7 * 86400, HALF), (21 * 86400, GOOD))),

        section("Trading files"),
        timeline("Sources", "Whether each source of trading data could be read.",
                 [query(f'min by (host, environment, source) (thunes_source_up{{{HOST},environment=~"$environment"}})',
                        "{{environment}} {{source}}")], UP, size=(12, 8), steps=thresholds((None, BAD), (1, GOOD))),
        lines("Journal lines", "Journal lines read in an hour by result; malformed and too long ones are skipped.",
              [query(f"""sum by (environment, result) (max by (host, environment, journal, result)
                     (increase(thunes_journal_lines_total{{{HOST},environment=~"$environment"}}[1h])))""",
                     "{{environment}} {{result}}")], size=(12, 8)),

        section("What it costs Prometheus"),
        stat("Series", "Series of lab-probe in Prometheus now, over all ways they come.",
             [query(f"count({{{OURS},{HOST}}})", "series")], size=(6, 9),
             look={"graphMode": "area", "colorMode": "value"}),
        table("Series by family", "The families with most series; histograms count each bucket.",
              [row_of(f"topk(25, count by (metric_family) (label_replace({{{OURS},{HOST}}}, "
                      '"metric_family", "$1", "__name__", "(.+)")))')],
              size=(9, 9), sort=("Series", True), hide=(), columns={"metric_family": "Family", "Value": "Series"}),
        bars("Series by job", "All series of each job, lab-probe's and others'.",
             [now('count by (job) ({__name__=~".+"})', "{{job}}")], size=(9, 9), unit="short", extra={"min": 0}),
        lines("Series over time", "Samples of each scrape, by job and instance.",
              [query("sum by (job, instance) (scrape_samples_post_metric_relabeling)", "{{job}} {{instance}}")],
              size=(12, 8), unit="short"),
        lines("New series", "Series that a scrape had not seen before; a steady stream means a label that never rests.",
              [query("sum by (job) (sum_over_time(scrape_series_added[1h]))", "{{job}}")], size=(12, 8), unit="short"),
    ],
)
