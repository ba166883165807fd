"""Checks the dashboard.

Each function yields the problems that it found, as readable lines.
"""

import re

from queries import documented, metrics

# A panel shows one kind of value, in a unit for this kind. The first pattern that matches a query determines its kind.
KINDS = [
    (r"_milliseconds\b", {"ms"}),
    (r"\brate\(|rate5m|begun_rate", {"reqps", "cps"}),
    (r"_seconds|uptime", {"s"}),
    (r"_size\b", {"bytes"}),
    (r"slo:burn_rate|slo:error_ratio", {"short"}),
    (r"ratio|availability|error_budget_left|:tripped|slo:objective", {"percentunit"}),
    (r"_rq_time:p", {"ms"}),
    (r"", {"none"}),
]
# `neutral_by` counts the same results by their authors.
NOT_SHOWN = {"portcullis_circuit_breaker_neutral"}


def flaws(dashboard):
    """Problems of the panels themselves."""
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    for name in ("datasource", "job", "instance", "listener"):
        if name not in variables:
            yield f"variable {name}: missing"
    for name in ("instance", "listener"):
        if not (variables.get(name, {}).get("multi") and variables.get(name, {}).get("includeAll")):
            yield f"variable {name}: must allow several values, and all"
    yield from twice("id", [panel["id"] for panel in dashboard["panels"]])
    yield from overlaps(dashboard["panels"])
    for panel in panels:
        for flaw in (*description(panel), *unit(panel), *thresholds(panel), *selectors(panel)):
            yield f"panel {panel['title']}: {flaw}"


def twice(what, values):
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield f"two panels have the {what} {value}"


def overlaps(panels):
    taken = {}
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"panel {panel['title']}: reaches beyond the right edge"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), panel["title"])
                if other != panel["title"]:
                    yield f"panel {panel['title']}: lies over {other}"
                    return


def description(panel):
    text = panel.get("description", "")
    if not text.endswith(".") or len(text) < 20:
        yield "has no description"


def unit(panel):
    """No unit is right for a panel with two kinds of values."""
    kinds = {kind(target["expr"]) for target in panel["targets"]}
    if len(kinds) > 1:
        yield f"mixes values of the units {' and '.join(sorted(kinds))}"
    given = panel["fieldConfig"]["defaults"].get("unit")
    if given not in {unit for _, units in KINDS if min(units) in kinds for unit in units}:
        yield f"has the unit {given} for values of {' and '.join(sorted(kinds))}"


def kind(query):
    # Labels and windows do not determine the unit.
    query = re.sub(r"\{[^}]*\}|scalar\([^)]*\)", "", query)
    return next(min(units) for pattern, units in KINDS if re.search(pattern, query))


def thresholds(panel):
    """The first colour has no value, the values of the others increase, and every colour appears once."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    values = [step["value"] for step in steps]
    if values and (values[0] is not None or None in values[1:] or values[1:] != sorted(set(values[1:]))):
        yield f"has thresholds in no order: {values}"
    colours = [step["color"] for step in steps]
    if len(colours) != len(set(colours)):
        yield f"has a colour for two thresholds: {colours}"


def selectors(panel):
    """Selectors of Envoy's metrics have a job and instances, those of rules at least a job."""
    for target in panel["targets"]:
        for name, labels in re.findall(r"\b([a-z][\w:]*)\{([^}]*)\}", target["expr"]):
            if name == "ALERTS":
                if 'component="portcullis"' not in labels:
                    yield "shows alerts of others as well"
            elif 'job="$job"' not in labels:
                yield f"{name} is that of every job"
            elif 'instance=~"$instance"' not in labels and (":" not in name or name.startswith("instance:")):
                yield f"{name} is that of every instance"


def without_panel(dashboard, rules, repository):
    """Alerts that no panel explains, and documented metrics that no panel shows."""
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    shown = {metric for panel in panels for metric in shown_by(panel)}
    for rule in rules:
        if rule["type"] != "alerting":
            continue
        if rule["labels"].get("component") != "portcullis":
            yield f"alert {rule['name']}: has no label that tells it from those of others"
        explaining = [panel for panel in panels if re.search(rf"\b{rule['name']}\b", panel["description"])]
        if not explaining:
            yield f"alert {rule['name']}: no panel's description names it"
        missing = metrics(rule["query"]) - {metric for panel in panels for metric in shown_by(panel)}
        for metric in sorted(missing):
            yield f"alert {rule['name']}: no panel shows {metric}"
        if explaining and not any(metrics(rule["query"]) & shown_by(panel) for panel in explaining):
            yield f"alert {rule['name']}: no panel that names it shows what it looks at"
    for metric in sorted(documented(repository) - shown - NOT_SHOWN):
        yield f"{metric}: no panel shows it"
    names = {rule["name"] for rule in rules if rule["type"] == "alerting"}
    for panel in panels:
        for name in re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", panel["description"]):
            if name not in names:
                yield f"panel {panel['title']}: there is no alert {name}"


def shown_by(panel):
    return {metric for target in panel["targets"] for metric in metrics(target["expr"])}
