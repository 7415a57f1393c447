"""What the five dashboards share: states with their words and colours, variables, and one function per kind of panel.

The dashboards are plain data in Grafana's classic JSON model, which Grafana 11 to 13 load from files. Only panel types
and options that exist in all three are used.
"""

# A state means the same and looks the same on every dashboard: green is good, red wants a person, grey is not known or
# not meant to be, blue and purple are work going on, orange is half-way to red.
GOOD, BAD, HALF, IDLE, BUSY, TESTING = "green", "red", "orange", "#8e8e8e", "blue", "purple"

KILL_SWITCH = {0: ("released", GOOD), 1: ("ACTIVE", BAD)}
BREAKER = {0: ("closed", GOOD), 0.5: ("half-open", HALF), 1: ("open", BAD)}
CONNECTED = {0: ("disconnected", BAD), 1: ("connected", GOOD)}
MCP_HEALTH = {0: ("down", BAD), 1: ("up", GOOD), 2: ("not configured", IDLE)}
WORKTREE = {0: ("complete", GOOD), 1: ("working", BUSY), 2: ("testing", TESTING), 3: ("blocked", BAD)}
TEST_STATUS = {0: ("unknown", IDLE), 1: ("passing", GOOD), 2: ("failing", BAD)}
UP = {0: ("down", BAD), 1: ("up", GOOD)}
SPREAD = {0: ("no", GOOD), 1: ("widespread", HALF)}
ON_TIME = {0: ("in time", GOOD), 1: ("cut short", BAD)}

PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
LONG_TERM = {"type": "prometheus", "uid": "${longterm}"}

# A host is what the label in $host_label says: `host` where the probe or the scrape configuration sets it (see
# ../../prometheus/prometheus.yml), else Prometheus's own `instance`, whose port $host does not have.
HOST = '$host_label=~"$host(:[0-9]+)?"'
WHERE = "{{$host_label}}"

# node_exporter and a Pushgateway serve the last textfile for ever. After so many seconds without a pass it is the past.
CURRENT = 300


def mappings(states):
    options = {
        f"{value:g}": {"index": index, "text": text, "color": color}
        for index, (value, (text, color)) in enumerate(states.items())
    }
    return [{"type": "value", "options": options}]


def thresholds(*steps):
    """Steps of (lower bound, colour); the first bound is None, for everything below."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


PLAIN = thresholds((None, GOOD))
# For what is neither good nor bad.
NEUTRAL = thresholds((None, "text"))


# ---- queries

def query(expr, legend="__auto", instant=False, table=False):
    return {
        "expr": " ".join(expr.split()),
        "legendFormat": legend,
        "instant": instant,
        "range": not instant,
        "format": "table" if table else "time_series",
        "editorMode": "code",
    }


def now(expr, legend="__auto"):
    return query(expr, legend, instant=True)


def row_of(expr):
    return query(expr, instant=True, table=True)


def current(expr):
    """The series of hosts whose probe runs; of others nothing is known. `expr` keeps the host's label."""
    last_pass = f"max by ($host_label) (lab_probe_last_pass_timestamp_seconds{{{HOST}}})"
    return f"(({expr}) unless on ($host_label) (time() - {last_pass} > {CURRENT}))"


def numbered(queries, source):
    return [{"refId": chr(ord("A") + i), "datasource": source, **q} for i, q in enumerate(queries)]


# ---- panels

def panel(kind, title, description, queries, size, *, options, unit="short", empty="not known", states=None, steps=PLAIN,
          custom=None, source=PROMETHEUS, extra=None, overrides=(), transformations=(), links=(), time_from=None):
    """One panel; `empty` is what stands there while the queries have no result."""
    defaults = {"color": {"mode": "thresholds"}, "thresholds": steps, "mappings": mappings(states) if states else [],
                "unit": unit, "noValue": empty}
    if custom is not None:
        defaults["custom"] = custom
    defaults.update(extra or {})
    made = {
        "type": kind,
        "title": title,
        "description": " ".join(description.split()),
        "datasource": source,
        "targets": numbered(queries, source),
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options,
        "size": size,
    }
    if transformations:
        made["transformations"] = list(transformations)
    if links:
        made["links"] = list(links)
    if time_from:
        made["timeFrom"] = time_from
    return made


def stat(title, description, queries, size=(4, 4), **more):
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
        "textMode": "auto", "wideLayout": True, "showPercentChange": False,
    }
    options.update(more.pop("look", {}))
    return panel("stat", title, description, queries, size, options=options, **more)


def gauge(title, description, queries, size=(6, 6), **more):
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "auto", "showThresholdLabels": False, "showThresholdMarkers": True, "sizing": "auto",
    }
    return panel("gauge", title, description, queries, size, options=options, **more)


def bars(title, description, queries, size=(8, 8), **more):
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal", "displayMode": "basic", "valueMode": "text", "showUnfilled": True, "sizing": "auto",
        "namePlacement": "auto",
    }
    return panel("bargauge", title, description, queries, size, options=options, **more)


def timeline(title, description, queries, states, size=(12, 8), **more):
    options = {
        "mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.8,
        "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    custom = {"fillOpacity": 80, "lineWidth": 0}
    return panel("state-timeline", title, description, queries, size, options=options, states=states, custom=custom, **more)


def lines(title, description, queries, size=(12, 8), stack=False, limit=False, steps=PLAIN, bars_=False, **more):
    options = {
        "legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    custom = {
        "drawStyle": "bars" if bars_ else "line", "lineWidth": 1, "fillOpacity": 30 if stack or bars_ else 8,
        "showPoints": "never", "spanNulls": False, "lineInterpolation": "linear",
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if limit else "off"},
    }
    extra = {"color": {"mode": "palette-classic"}, "min": 0, **more.pop("extra", {})}
    if extra["min"] is None:
        del extra["min"]
    return panel("timeseries", title, description, queries, size, options=options, custom=custom, steps=steps,
                 extra=extra, **more)


def band(title, description, value, expected, legend, size=(8, 8), **more):
    """A series before the band in which it is expected: from `expected` with bound="lower" to bound="upper"."""
    hidden = {"id": "custom.lineWidth", "value": 0}
    legend_off = {"id": "custom.hideFrom", "value": {"legend": True, "tooltip": False, "viz": False}}
    edge = {"id": "color", "value": {"mode": "fixed", "fixedColor": BUSY}}
    upper = [hidden, edge, legend_off, {"id": "custom.fillBelowTo", "value": "expected at least"},
             {"id": "custom.fillOpacity", "value": 10}]
    lower = [hidden, edge, legend_off, {"id": "custom.fillOpacity", "value": 0}]
    named = [("expected at most", upper), ("expected at least", lower)]
    return lines(title, description,
                 [query(value, legend), query(f"max({expected % 'upper'})", "expected at most"),
                  query(f"min({expected % 'lower'})", "expected at least")], size=size,
                 overrides=[{"matcher": {"id": "byName", "options": name}, "properties": list(properties)}
                            for name, properties in named], **more)


def table(title, description, queries, size=(12, 8), columns=None, hide=(), sort=None, **more):
    """Instant queries joined into one table; `columns` gives the order and the words above the columns."""
    columns = {**(columns or {}), "host": "Host", "instance": "Host"}
    transformations = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {name: True for name in ("Time", "__name__", *hide)},
            "indexByName": {name: i for i, name in enumerate(columns)},
            "renameByName": dict(columns),
        }},
    ]
    options = {
        "showHeader": True, "cellHeight": "sm",
        "sortBy": [{"displayName": sort[0], "desc": sort[1]}] if sort else [],
    }
    custom = {"align": "auto", "inspect": False, "filterable": True, "cellOptions": {"type": "auto"}}
    return panel("table", title, description, queries, size, options=options, custom=custom,
                 transformations=transformations, **more)


def column(name, **properties):
    """An override for one column: unit, mappings, thresholds, or coloured background."""
    made = []
    for key, value in properties.items():
        if key == "states":
            made.append({"id": "mappings", "value": mappings(value)})
            made.append({"id": "custom.cellOptions", "value": {"type": "color-background", "mode": "basic"}})
        elif key == "link":
            made.append({"id": "links", "value": [value]})
        else:
            made.append({"id": key, "value": value})
    return {"matcher": {"id": "byName", "options": name}, "properties": made}


def color_of(name, color):
    """Gives the series whose legend begins with this word their colour."""
    return {"matcher": {"id": "byRegexp", "options": rf"/^{name}\b/"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}]}


def section(title, repeat=None):
    made = {"type": "row", "title": title, "collapsed": False, "panels": [], "size": (24, 1)}
    if repeat:
        made["repeat"] = repeat
    return made


# ---- variables

def source_variable(name, label, uid, text):
    return {"type": "datasource", "name": name, "label": label, "query": "prometheus", "regex": "", "hide": 0,
            "refresh": 1, "multi": False, "includeAll": False, "options": [], "skipUrlSync": False,
            "current": {"text": text, "value": uid, "selected": False}}


def variable(name, label, values, source=PROMETHEUS, regex=""):
    """All, several or one of what the data holds. All also matches series that have no such label."""
    return {"type": "query", "name": name, "label": label, "datasource": source,
            "query": {"query": values, "refId": f"Variable-{name}"}, "regex": regex, "hide": 0,
            "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*", "options": [],
            "skipUrlSync": False, "current": {"text": ["All"], "value": ["$__all"], "selected": True}}


def host_variables(source=PROMETHEUS):
    """The label that tells hosts apart, found out and hidden; and the hosts."""
    series = "lab_probe_last_pass_timestamp_seconds"
    label = variable("host_label", "Label of the host", f"""query_result(
        label_replace(count(last_over_time({series}{{host!=""}}[$__range])), "label", "host", "", "")
        or on () label_replace(vector(1), "label", "instance", "", ""))""", source, regex='/label="([a-zA-Z_0-9]+)"/')
    label.update({"hide": 2, "multi": False, "includeAll": False, "allValue": "",
                  "current": {"text": "host", "value": "host", "selected": True}})
    label["query"]["query"] = " ".join(label["query"]["query"].split())
    return [label, variable("host", "Host", f"label_values({series}, $host_label)", source, regex=r"/^(.*?)(?::\d+)?$/")]


def environment_variable(source=PROMETHEUS):
    return variable("environment", "Environment", f"label_values(thunes_source_up{{{HOST}}}, environment)", source)


def worktree_variable(source=PROMETHEUS):
    return variable("worktree", "Worktree", f"label_values(lab_worktree_status{{{HOST}}}, worktree_name)", source)


def service_variable(source=PROMETHEUS):
    return variable("service", "Service", f"label_values(lab_service_up{{{HOST}}}, service_name)", source)


def server_variable(source=PROMETHEUS):
    return variable("server", "Server", f"label_values(lab_mcp_server_health{{{HOST}}}, server_name)", source)


# ---- dashboards

PAGES = {
    "lab-thunes": "THUNES Trading Overview",
    "lab-mcp": "MCP fleet",
    "lab-worktrees": "Worktrees",
    "lab-trends": "Trends",
    "lab-probe": "lab-probe itself",
}


def link_to(uid, **variables):
    """A link from a panel or a cell to another dashboard, with the time and the variables that both have."""
    query_string = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return {"type": "link", "title": PAGES[uid], "icon": "external link", "tooltip": "", "tags": [],
            "url": f"/d/{uid}?${{__url_time_range}}&${{host:queryparam}}{query_string}",
            "asDropdown": False, "targetBlank": False, "includeVars": False, "keepTime": False}


def alerts_annotation():
    expr = 'ALERTS{alertstate="firing",severity=~"critical|warning",environment=~"$environment|lab",host=~"$host"}'
    return {
        "name": "Alerts", "enable": True, "hide": False, "iconColor": BAD, "datasource": PROMETHEUS,
        # Grafana 11 reads the query here, later ones in `target`; each ignores the other.
        "expr": expr, "step": "60s", "titleFormat": "{{alertname}}", "textFormat": "{{environment}} {{host}}",
        "tagKeys": "severity,environment",
        "target": {"refId": "Anno", "expr": expr, "interval": "60s", "legendFormat": ""},
    }


def anomalies_annotation():
    """Where series became unusual: the counter rises once for each; a widespread event is one."""
    expr = f"""sum by (metric, kind) (max by ($host_label, metric, kind) (increase(lab_anomalies_total{{{HOST}}}[5m]))) > 0
        or max(lab_anomaly_widespread{{{HOST}}}) == 1 unless max(lab_anomaly_widespread{{{HOST}}} offset 5m) == 1"""
    expr = " ".join(expr.split())
    return {
        "name": "Unusual values", "enable": True, "hide": False, "iconColor": TESTING, "datasource": PROMETHEUS,
        "expr": expr, "step": "300s", "titleFormat": "{{metric}} is unusual", "textFormat": "{{kind}}", "tagKeys": "kind",
        "target": {"refId": "Anno", "expr": expr, "interval": "300s", "legendFormat": ""},
    }


def placed(panels):
    """Gives each panel its number and its place: as high as it can stand, then as far to the left."""
    made, bottom = [], [0] * 24
    for number, one in enumerate(panels, start=1):
        width, height = one["size"]
        y, x = min((max(bottom[x:x + width]), x) for x in range(24 - width + 1))
        bottom[x:x + width] = [y + height] * width
        made.append({"id": number, **{k: v for k, v in one.items() if k != "size"},
                     "gridPos": {"x": x, "y": y, "w": width, "h": height}})
    return made


def dashboard(uid, description, variables, panels, *, start="now-6h", refresh="30s", annotations=True):
    return {
        "uid": uid, "title": PAGES[uid], "description": " ".join(description.split()), "tags": ["lab-probe"],
        "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1, "timezone": "browser",
        "time": {"from": start, "to": "now"}, "refresh": refresh, "fiscalYearStartMonth": 0, "weekStart": "",
        "timepicker": {}, "liveNow": False,
        "links": [{"type": "dashboards", "title": "LAB", "tags": ["lab-probe"], "asDropdown": True, "icon": "dashboard",
                   "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "url": ""}],
        "annotations": {"list": [alerts_annotation(), anomalies_annotation()] if annotations else []},
        "templating": {"list": variables},
        "panels": placed(panels),
    }
