"""Checks on dashboard and alarms: they show what the code really emits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from chalicelib import metrics
from infra import templates
from infra.findings import Finding, resources
from infra.templates import Template

_SCHEMA: Final = re.compile(r"\{" + metrics.NAMESPACE + r",([\w,]+)\}")
_NAME: Final = re.compile(r'MetricName="(\w+)"')
_STAGE: Final = "stage"


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Where one of our metrics is asked for."""

    where: str
    metric: str
    dimensions: frozenset[str]


def metrics_are_emitted(template: Template) -> list[Finding]:
    """Every metric of ours that is shown or watched is one that the code emits, with these very dimensions."""
    found = []
    for use in uses(template):
        shape = {str(name): shape for name, shape in metrics.SHAPES.items()}.get(use.metric)
        wanted = {_STAGE, *shape.dimensions} if shape else set()
        if shape is None:
            found.append(Finding(where=use.where, message=f"nobody emits the metric {use.metric}"))
        elif use.dimensions != wanted:
            has = ", ".join(sorted(use.dimensions))
            message = f"{use.metric} has the dimensions {', '.join(sorted(wanted))}, not {has}"
            found.append(Finding(where=use.where, message=message))
    return found


def metrics_are_shown(template: Template) -> list[Finding]:
    """Every metric that the code emits is shown or watched: one that nobody looks at is paid for nothing."""
    used = {use.metric for use in uses(template)}
    return [
        Finding(where=name, message="is emitted, but neither shown nor watched")
        for name in metrics.Name
        if name not in used
    ]


def uses(template: Template) -> Iterator[Use]:
    """Yield where metrics of our own namespace are asked for: alarms, and widgets of dashboards."""
    for name, alarm in resources(template, "AWS::CloudWatch::Alarm").items():
        for mapping in templates.walk(alarm):
            if mapping.get("Namespace") == metrics.NAMESPACE:
                dimensions = frozenset(dimension["Name"] for dimension in mapping["Dimensions"])
                yield Use(where=name, metric=mapping["MetricName"], dimensions=dimensions)
    for name, dashboard in resources(template, "AWS::CloudWatch::Dashboard").items():
        body = dashboard["DashboardBody"]
        for widget in json.loads(body.get("Fn::Sub", body))["widgets"]:
            for metric in widget["properties"].get("metrics", ()):
                yield from _uses_of_widget(f"{name}: {widget['properties']['title']}", metric)


def _uses_of_widget(where: str, metric: list[Any]) -> Iterator[Use]:
    """Yield what a row of a widget asks for: a search, or namespace, name and pairs of dimensions."""
    if isinstance(metric[0], Mapping):
        expression = str(metric[0]["expression"])
        schema, name = _SCHEMA.search(expression), _NAME.search(expression)
        if schema and name:
            yield Use(where=where, metric=name[1], dimensions=frozenset(schema[1].split(",")))
    elif metric[0] == metrics.NAMESPACE:
        pairs = [part for part in metric[2:] if isinstance(part, str)]
        yield Use(where=where, metric=metric[1], dimensions=frozenset(pairs[::2]))
