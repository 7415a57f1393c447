#!/usr/bin/env python3
"""Does Grafana 11's schema know everything the dashboards say? Usage: roundtrip.py DASHBOARD…

Each file is read into the types of grafana-foundation-sdk and written back. What does not come back is not in the schema:
a misspelt option, a setting of another panel type, a value that is not in an enumeration.
"""

import json
import sys

import grafana_foundation_sdk.cog.plugins as plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

# A data source keeps its own query in an annotation, beside the fields that the schema names.
PROMETHEUS_ANNOTATION = {"expr", "step", "titleFormat", "textFormat", "tagKeys", "target"}


def lost(before, after, path):
    if isinstance(before, dict):
        for key, value in before.items():
            if path.rpartition("[")[0].endswith(".annotations.list") and key in PROMETHEUS_ANNOTATION:
                continue
            here = f"{path}.{key}"
            if not isinstance(after, dict) or key not in after:
                # The encoder leaves out what is empty.
                if value not in (None, [], {}, "", False):
                    yield f"{here} = {value!r} is unknown to the schema"
            else:
                yield from lost(value, after[key], here)
    elif isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            yield f"{path} came back with another length"
        else:
            for index, (one, other) in enumerate(zip(before, after)):
                yield from lost(one, other, f"{path}[{index}]")
    elif before != after:
        yield f"{path} = {before!r} came back as {after!r}"


def main():
    plugins.register_default_plugins()
    wrong = []
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as file:
            before = json.load(file)
        after = json.loads(json.dumps(Dashboard.from_json(before), cls=JSONEncoder))
        wrong += lost(before, after, name)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(sys.argv) - 1} dashboards agree with grafana-foundation-sdk")


main()
