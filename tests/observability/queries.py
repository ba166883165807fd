"""Checks that the queries of the rules and the dashboard find data.

Each function yields the problems that it found, as readable lines.
"""

import re

from legitimately_empty import LEGITIMATELY_EMPTY

# Grafana's values for the dashboard's variables.
VARIABLES = {"$__rate_interval": "1m", "$job": "envoy", "$instance": ".*", "$listener": ".*"}


def unanswered(server, dashboard):
    """Queries that fail or find nothing and are not in legitimately_empty.py, and outdated entries there."""
    used, answered, empty = set(), 0, 0
    for place, query, legend in [*of_rules(server), *of_dashboard(dashboard)]:
        try:
            samples = server.query(query)
            found = any(sample["value"][1] != "NaN" for sample in samples)
        except ValueError as error:
            yield f"{place}: {error}: {query}"
            continue
        excuses = {excuse for excuse in LEGITIMATELY_EMPTY if excuse in query}
        if found:
            answered += 1
            labels = {label for sample in samples for label in sample["metric"]}
            for missing in sorted(set(re.findall(r"{{(\w+)}}", legend)) - labels):
                yield f"{place}: nothing has the label {missing}: {query}"
        elif "ALERTS{" in query:
            empty += 1  # as on a healthy demo
        elif excuses:
            empty += 1
            used |= excuses
        else:
            yield f"{place}: no data: {query}"
    print(f"   {answered} queries found data, {empty} legitimately none")
    for excuse in LEGITIMATELY_EMPTY.keys() - used:
        yield f"legitimately_empty.py: everything about {excuse} has data now: remove it"


def of_rules(server):
    for rule in rules(server):
        if rule["type"] == "recording":
            yield rule["name"], rule["query"], ""
        else:
            # A healthy demo triggers no alert, but the metrics that the alert uses must exist.
            yield from ((rule["name"], metric, "") for metric in metrics(rule["query"]))


def of_dashboard(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", filled_in(target["expr"]), target["legendFormat"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric = re.fullmatch(r"label_values\((.+), \w+\)", variable["query"])[1]
            yield f"variable {variable['name']}", filled_in(metric), ""


def filled_in(query):
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


def undocumented(server, repository):
    """Metrics of ours that no README documents: those that Envoy exports (if stats_tags.yaml is incomplete, a label is
    a part of the name), and those that the rules use."""
    told = {name for name in server.get("label/__name__/values") if name.startswith("portcullis_")}
    asked = {metric for rule in rules(server) for metric in metrics(rule["query"])}
    asked = {metric for metric in asked if metric.startswith("portcullis_") and not excused(metric)}
    for metric in sorted((told | asked) - documented(repository)):
        yield f"{metric}: in no plugin's table of metrics"


def documented(repository):
    """The metrics in the plugins' READMEs, as Prometheus sees them."""
    names = set()
    for readme in repository.glob("plugins/*/README.md"):
        plugin = readme.parent.name.replace("-", "_")
        section = readme.read_text().partition("\n## Metrics\n")[2].partition("\n## ")[0]
        for first_cell in re.findall(r"^\|([^|]+)\|", section, re.MULTILINE):
            names |= {f"portcullis_{plugin}_{metric}" for metric in re.findall(r"`(\w+)`", first_cell)}
    return names


def untested(server, tests):
    """Alerts that no test of the rules expects to fire."""
    for rule in rules(server):
        if rule["type"] == "alerting":
            expected = f'alertname="{rule["name"]}",severity="{rule["labels"]["severity"]}"'
            if expected not in tests:
                yield f"*.test.yaml: no test expects {expected}"


def rules(server):
    return [rule for group in server.get("rules")["groups"] for rule in group["rules"]]


def metrics(query):
    """The names of the metrics in a query."""
    bare = re.sub(r'\{[^}]*\}|\[[^]]*\]|"[^"]*"|\b(?:by|on|without) \([^)]*\)', "", query)
    return set(re.findall(r"\b(?:up\b|(?:envoy|portcullis)_\w+|\w+:[\w:]+)", bare))


def excused(metric):
    return any(excuse in metric for excuse in LEGITIMATELY_EMPTY)
