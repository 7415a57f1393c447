"""lab-probe itself: does it run, is what it says fresh, does it arrive, and what does it cost Prometheus."""

from parts import *

ENV = HOST + ',environment=~"$environment"'
SERVICE = WHERE + " {{service_name}}"
OURS = '__name__=~"(thunes|lab)_.+"'

DASHBOARD = dashboard(
    "lab-probe",
    "The probe's own passes, its outputs and its series. If this page is old, so are all the others.",
    [source_variable("datasource", "Prometheus", "lab-prometheus", "LAB Prometheus"), *host_variables(),
     environment_variable(), service_variable()],
    [
        stat("Last pass", "Time since the last pass of each host; passes are due every 30 seconds.",
             [now(f"time() - max by ($host_label) (lab_probe_last_pass_timestamp_seconds{{{HOST}}})", WHERE)],
             size=(6, 4), unit="s", empty="no pass reaches this Prometheus", steps=thresholds((None, GOOD), (60, HALF), (120, BAD))),
        stat("Deadline", "Whether the last pass was cut short by its deadline.",
             [now(current(f"max by ($host_label) (lab_probe_deadline_exceeded{{{HOST}}})"), WHERE)],
             size=(6, 4), states=ON_TIME, steps=thresholds((None, GOOD), (1, BAD))),
        stat("Deliveries failed (24h)", "Deliveries that failed in 24 hours, by output.",
             [now(current(f"max by ($host_label, output) (increase(lab_probe_output_failures_total{{{HOST}}}[24h]))"),
                  WHERE + " {{output}}")],
             size=(6, 4), extra={"decimals": 0}, steps=thresholds((None, GOOD), (1, BAD))),
        stat("Passes failed (24h)", "Passes that ended with exit code 1 in 24 hours.",
             [now(current(f"max by ($host_label) (increase(lab_probe_pass_failures_total{{{HOST}}}[24h]))"), WHERE)],
             size=(6, 4), extra={"decimals": 0}, steps=thresholds((None, GOOD), (1, BAD))),

        lines("Duration of a pass", "From its start to its delivery; the line is the default deadline of 25 seconds.",
              [query(f"max by ($host_label) (lab_probe_pass_duration_seconds{{{HOST}}})", WHERE)], size=(12, 8), unit="s",
              limit=True, steps=thresholds((None, GOOD), (25, BAD))),
        lines("Fresh and remembered",
              "Targets of each pass by how their value came about; timed_out and error should stay at 0.",
              [query(f"sum by (result) (max by ($host_label, kind, result) (lab_probe_targets{{{HOST}}}))", "{{result}}")],
              size=(12, 8), stack=True,
              overrides=[color_of("fresh", GOOD), color_of("cached", BUSY), color_of("timed_out", HALF),
                         color_of("error", BAD)]),
        lines("Targets by kind", "How many targets of each kind a pass knows.",
              [query(f"sum by (kind) (max by ($host_label, kind, result) (lab_probe_targets{{{HOST}}}))", "{{kind}}")],
              size=(12, 8), stack=True),
        bars("Age of the last check", "The target of each kind whose last check is oldest; reused answers age up to their ttl.",
             [now(f"max by ($host_label) (time() - lab_mcp_server_checked_timestamp_seconds{{{HOST}}})", WHERE + " server"),
              now(f"max by ($host_label) (time() - lab_worktree_checked_timestamp_seconds{{{HOST}}})", WHERE + " worktree"),
              now(f"max by ($host_label) (time() - lab_service_checked_timestamp_seconds{{{HOST}}})", WHERE + " service"),
              now(f"max by ($host_label, environment) (time() - thunes_checked_timestamp_seconds{{{ENV}}})",
                  WHERE + " {{environment}}")],
             size=(12, 8), unit="s", steps=NEUTRAL, extra={"min": 0}),
        table("Versions", "The version that runs on each host.",
              [row_of(f"max by ($host_label, version, revision) (lab_probe_build_info{{{HOST}}})")], size=(24, 5),
              hide=("Value",), columns={"version": "Version", "revision": "Revision"}),

        section("Services"),
        timeline("Services", "Each service that the probe watches.",
                 [query(current(f"min by ($host_label, service_name) (lab_service_up{{{HOST}}})"), SERVICE)], UP, size=(12, 7),
                 steps=thresholds((None, BAD), (1, GOOD))),
        lines("Time to answer", "Time each service took to answer.",
              [query(f"max by ($host_label, service_name) (lab_service_duration_seconds{{{HOST}}})", SERVICE)],
              size=(12, 7), unit="s"),
        table("Why a service is not up", "The reason that holds now; empty while all are up.",
              [row_of(current(f"max by ($host_label, service_name, reason) (lab_service_failure{{{HOST}}}) == 1"))],
              size=(12, 6), hide=("Value",), empty="no service is known to be down",
              columns={"service_name": "Service", "reason": "Reason"}),
        bars("Certificates", "Time until the TLS certificate of a service ends.",
             [now(f"""{current(f"min by ($host_label, service_name) (lab_service_certificate_end_timestamp_seconds{{{HOST}}})")}
                  - time()""", SERVICE)], size=(12, 6), unit="s", extra={"min": 0}, empty="no service has a certificate",
             steps=thresholds((None, BAD), (7 * 86400, HALF), (21 * 86400, GOOD))),

        section("Trading files"),
        timeline("Sources", "Whether each source of trading data could be read.",
                 [query(current(f"min by ($host_label, environment, source) (thunes_source_up{{{ENV}}})"),
                        WHERE + " {{environment}} {{source}}")], UP, size=(12, 8), steps=thresholds((None, BAD), (1, GOOD))),
        lines("Journal lines", "Journal lines read in an hour by result; malformed and too long ones are skipped.",
              [query(f"""sum by ($host_label, environment, result) (max by ($host_label, environment, journal, result)
                     (increase(thunes_journal_lines_total{{{ENV}}}[1h])))""",
                     WHERE + " {{environment}} {{result}}")], size=(12, 8)),

        section("What it costs Prometheus"),
        stat("Series", "Series of lab-probe in Prometheus now, over all ways they come.",
             [now(f"count({{{OURS},{HOST}}})", "series")], size=(6, 9), steps=NEUTRAL, look={"colorMode": "value"}),
        table("Series by family", "The families with most series; histograms count each bucket.",
              [row_of(f"topk(25, count by (metric_family) (label_replace({{{OURS},{HOST}}}, "
                      '"metric_family", "$1", "__name__", "(.+)")))')],
              size=(9, 9), sort=("Series", True), hide=(), columns={"metric_family": "Family", "Value": "Series"}),
        bars("Series by job", "All series of each job, lab-probe's and others'.",
             [now('count by (job) ({__name__=~".+"})', "{{job}}")], size=(9, 9), steps=NEUTRAL, extra={"min": 0}),
        lines("Series over time", "Samples of each scrape, by job and instance.",
              [query("sum by (job, instance) (scrape_samples_post_metric_relabeling)", "{{job}} {{instance}}")],
              size=(12, 8)),
        lines("New series", "Series that a scrape had not seen before; a steady stream means a label that never rests.",
              [query("sum by (job) (sum_over_time(scrape_series_added[1h]))", "{{job}}")], size=(12, 8)),

        section("$service: where it is expected", repeat="service"),
        band("Time to answer and its band", "Time that the service took to answer, before the band expected at that hour.",
             f'max by ($host_label, service_name) (lab_service_duration_seconds{{{HOST},service_name=~"$service"}})',
             f'lab_service_duration_expected_seconds{{{HOST},service_name=~"$service",bound="%s"}}', SERVICE, size=(24, 8),
             unit="s"),
    ],
)
