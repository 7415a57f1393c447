#!/usr/bin/env python3
"""Writes rules and dashboards for a Prometheus with names of its own; without options they are the shipped files.

usage: monitoring/mixin.py DIRECTORY [--selector MATCHERS] [--instance-label LABEL] [--jobs OURS=YOURS ...]
"""
import argparse
import json
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
JOBS = ("node", "pushgateway", "prometheus", "alertmanager", "lab_probe")
# A series as scraped, not a recording (whose name has colons), with its matchers.
SERIES = re.compile(r"(?<![\w:])((?:lab|thunes)_\w+)\{([^{}]*\bhost\b[^{}]*)\}")
JOB_MATCHER = re.compile(r'\bjob(=~?)"([^"]+)"')
LABEL_VALUES = re.compile(r"\blabel_values\(((?:lab|thunes)_\w+),")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--selector", default="", help="""matchers for every series of lab-probe: 'team="ai"'""")
    parser.add_argument("--instance-label", default="instance", help="names the host where a series has no host label")
    parser.add_argument("--jobs", nargs="*", default=[], metavar="OURS=YOURS", help=f"OURS: {', '.join(JOBS)}")
    options = parser.parse_args()
    if not re.fullmatch(r"[a-zA-Z_]\w*", options.instance_label):
        parser.error(f"--instance-label: {options.instance_label!r} is no label name")
    # As a YAML plain scalar and inside a selector it may hold whole matchers only.
    matcher = r'[a-zA-Z_]\w*(=|!=|=~|!~)"[^"{}#\\]*"'
    if options.selector and not re.fullmatch(rf"{matcher}(,{matcher})*", options.selector):
        parser.error(f"""--selector: write matchers as in 'team="ai",env="prod"', not {options.selector!r}""")
    pairs = [pair.partition("=") for pair in options.jobs]
    for ours, _, yours in pairs:
        if ours not in JOBS or not re.fullmatch(r"[\w./-]+", yours):
            parser.error(f"--jobs: write OURS=YOURS, OURS one of {', '.join(JOBS)}; {ours!r}={yours!r} is not")
    options.jobs = {ours: yours for ours, _, yours in pairs}
    return options


def job_matcher(found, jobs):
    operator, names = found.groups()
    known = [(name, name.removesuffix(".*")) for name in names.split("|")]
    if not all(base in JOBS for _, base in known):
        return found[0]
    renamed = [name.replace(base, jobs.get(base, base).replace(".", "[.]") if operator == "=~" else jobs.get(base, base), 1)
               for name, base in known]
    return f'job{operator}"{"|".join(renamed)}"'


def rewritten(query, options):
    query = JOB_MATCHER.sub(lambda found: job_matcher(found, options.jobs), query)
    for before in ('"$1$3", ', '"label", '):
        query = query.replace(f'{before}"instance", ', f'{before}"{options.instance_label}", ')
    if options.selector:
        query = SERIES.sub(rf"\1{{\2,{options.selector}}}", query)
        query = LABEL_VALUES.sub(rf"label_values(\1{{{options.selector}}},", query)
    return query


def in_queries(node, options):
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query") and isinstance(value, str):
                node[key] = rewritten(value, options)
            else:
                in_queries(value, options)
    elif isinstance(node, list):
        for value in node:
            in_queries(value, options)


def main():
    options = arguments()
    rules, dashboards = options.directory / "rules", options.directory / "dashboards"
    for directory in (rules, dashboards):
        directory.mkdir(parents=True, exist_ok=True)
    for source in sorted((HERE / "prometheus/rules").glob("*.yml")):
        (rules / source.name).write_text(rewritten(source.read_text(encoding="utf-8"), options), encoding="utf-8")
    for source in sorted((HERE / "grafana/dashboards").glob("*.json")):
        dashboard = json.loads(source.read_text(encoding="utf-8"))
        in_queries(dashboard, options)
        text = json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"
        (dashboards / source.name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
