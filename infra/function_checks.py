"""Checks on functions: their limits, events and settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from chalicelib.settings import QUEUES, Settings, queue_variable
from infra import templates
from infra.findings import Finding, functions_of, resources, sqs_events
from infra.templates import Template

# A job's outcome is written after its hard limit, within the function's own …
SECONDS_AFTER_HARD_LIMIT: Final = 60
# … which is this at most.
LONGEST_TIMEOUT: Final = 900
# Lambda takes no smaller MaximumConcurrency.
LEAST_CONCURRENCY: Final = 2
_MEMORY: Final = "SYNCBOARD_FUNCTION_MEMORY_MB"


def time_limits_are_outlived(functions: Template, hard_seconds: Mapping[str, float]) -> list[Finding]:
    """A function has time left to write the outcome after the hard limit of the jobs of its queue.

    `hard_seconds`: by the export that names the queue; queues that carry no jobs are not in it.
    """
    found = []
    for name, function, event in sqs_events(functions):
        for export in templates.imports(event["Queue"]):
            least = min(LONGEST_TIMEOUT, hard_seconds.get(export, 0) + SECONDS_AFTER_HARD_LIMIT)
            if export in hard_seconds and function["Timeout"] < least:
                message = f"its time limit is {function['Timeout']} s, under {least:.0f} s"
                found.append(Finding(where=name, message=message))
    return found


def heavy_jobs_come_alone(functions: Template, heavy: Collection[str]) -> list[Finding]:
    """A function of images gets one message at a time: a time-out would bring the whole batch back.

    `heavy`: the exports that name the queues of such work.
    """
    return [
        Finding(where=name, message=f"its BatchSize is {event.get('BatchSize', 10)}; it must be 1")
        for name, _, event in sqs_events(functions)
        if set(templates.imports(event["Queue"])) & set(heavy) and event.get("BatchSize", 10) != 1
    ]


def failed_records_come_back_alone(functions: Template) -> list[Finding]:
    """Every queue event reports failures by record."""
    return [
        Finding(
            where=name,
            message="its queue event lacks ReportBatchItemFailures: failed records would be deleted",
        )
        for name, _, event in sqs_events(functions)
        if "ReportBatchItemFailures" not in event.get("FunctionResponseTypes", [])
    ]


def concurrency_is_possible(functions: Template) -> list[Finding]:
    """Every MaximumConcurrency is a plain number (the embedded emulator wants one) that Lambda takes."""
    found = []
    for name, _, event in sqs_events(functions):
        given = event.get("ScalingConfig", {}).get("MaximumConcurrency", LEAST_CONCURRENCY)
        if not isinstance(given, int) or given < LEAST_CONCURRENCY:
            message = f"MaximumConcurrency is {given}; it must be a number from {LEAST_CONCURRENCY} up"
            found.append(Finding(where=name, message=message))
    return found


def settings_are_set(functions: Template) -> list[Finding]:
    """Every setting without a default is set by the template, which sets none that nobody reads."""
    settings_by_variable = {
        f"SYNCBOARD_{field.name.upper()}": field for field in msgspec.structs.fields(Settings)
    }
    queue_variables = {queue_variable(queue) for queue in QUEUES}
    wanted = queue_variables | {
        variable for variable, field in settings_by_variable.items() if field.required or field.default == ""
    }
    known = queue_variables | settings_by_variable.keys()
    actual = {
        variable
        for mapping in templates.walk(functions)
        for variable in mapping.get("Variables", {})
        if variable.startswith("SYNCBOARD_")
    }
    missing = [
        Finding(where=variable, message="has no default and no template sets it")
        for variable in wanted - actual
    ]
    unread = [
        Finding(where=variable, message="is set, but chalicelib/settings.py does not read it")
        for variable in actual - known
    ]
    return sorted([*missing, *unread], key=str)


def costs_know_the_memory(functions: Template) -> list[Finding]:
    """A function that works on jobs is told its memory, by which it reckons what a job costs."""
    found = []
    for name, function, event in sqs_events(functions):
        if "IntakeQueueArn" in templates.imports(event["Queue"]):
            continue
        told = function.get("Environment", {}).get("Variables", {}).get(_MEMORY)
        if str(told) != str(function["MemorySize"]):
            message = f"{_MEMORY} is {told}, its MemorySize {function['MemorySize']}"
            found.append(Finding(where=name, message=message))
    return found


def logs_expire(functions: Template) -> list[Finding]:
    """Every function writes to a group of the template, and every group forgets."""
    groups = resources(functions, "AWS::Logs::LogGroup")
    forgetful = [name for name, group in groups.items() if "RetentionInDays" in group]
    found = [
        Finding(where=name, message="keeps its lines for ever: RetentionInDays is missing")
        for name in groups
        if name not in forgetful
    ]
    for name, function in functions_of(functions).items():
        if function.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref") not in groups:
            found.append(Finding(where=name, message="its LoggingConfig names no group of this template"))
    return found
