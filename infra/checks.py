"""Checks on the templates that cfn-lint and `sam validate` do not make.

    python -m infra.checks [PACKAGED_TEMPLATE]

Without an argument the sources are checked (infra/, .chalice/); with one, Chalice's merged template. Each
check takes plain dictionaries and returns what it finds wrong, so that a test can show it failing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from chalicelib.settings import QUEUES, Settings, queue_variable
from chalicelib.tasks.registry import TASKS
from infra import templates
from infra.templates import Template

# AWS's advice: room for retries while the function is throttled.
VISIBILITY_FACTOR: Final = 6
# A job's outcome is written after its hard limit, within the function's own.
SECONDS_AFTER_HARD_LIMIT: Final = 60
# Lambda takes no smaller MaximumConcurrency.
LEAST_CONCURRENCY: Final = 2
# Deliveries above the attempts that the job engine counts itself, before SQS gives a message up.
SPARE_DELIVERIES: Final = 3

# (policy file, Sid) → why this statement may hold a wildcard. Write the reason here, or do without.
WILDCARD_REASONS: Final[Mapping[tuple[str, str], str]] = {}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong in a template."""

    # Resource, file or variable.
    where: str
    # What is wrong, and what would be right.
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def _resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource.get("Properties", {})
        for name, resource in template.get("Resources", {}).items()
        if resource.get("Type", kind) == kind
    }


def _sqs_events(functions: Template) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield resource name, function properties and event properties of every queue that calls a function."""
    for name, properties in _resources(functions, "AWS::Serverless::Function").items():
        for event in properties.get("Events", {}).values():
            if event.get("Type", "SQS") == "SQS" and "Queue" in event.get("Properties", {}):
                yield name, properties, event["Properties"]


def _resource_of_export(data: Template, export: str) -> str | None:
    """Return the resource that an exported `Fn::GetAtt` or `Ref` names."""
    value = data.get("Outputs", {}).get(export, {}).get("Value", {})
    if "Ref" in value:
        return str(value["Ref"])
    target = value.get("Fn::GetAtt")
    return target[0] if target else None


def queues_have_dead_letters(data: Template, max_attempts: int) -> list[Finding]:
    """Every queue hands on to a dead-letter queue that lives as long, after the engine has given up."""
    queues = _resources(data, "AWS::SQS::Queue")
    redrives = {name: queue["RedrivePolicy"] for name, queue in queues.items() if "RedrivePolicy" in queue}
    targets = {name: policy["deadLetterTargetArn"]["Fn::GetAtt"][0] for name, policy in redrives.items()}
    found = []
    for name, queue in queues.items():
        if name in targets.values():
            continue
        dead = queues.get(targets.get(name, ""))
        if dead is None:
            found.append(Finding(where=name, message="has no dead-letter queue"))
            continue
        if dead.get("MessageRetentionPeriod", 0) < queue.get("MessageRetentionPeriod", 0):
            found.append(Finding(where=name, message="its dead-letter queue keeps messages for less time"))
        if redrives[name]["maxReceiveCount"] <= max_attempts + SPARE_DELIVERIES:
            wanted = f"above {max_attempts} attempts + {SPARE_DELIVERIES}"
            found.append(Finding(where=name, message=f"maxReceiveCount must be {wanted}"))
    return found


def visibility_covers_timeouts(data: Template, functions: Template) -> list[Finding]:
    """A queue hides a message for six times the time limit of the function that it calls."""
    queues = _resources(data, "AWS::SQS::Queue")
    found = []
    for name, function, event in _sqs_events(functions):
        exports = templates.imports(event["Queue"])
        queue = _resource_of_export(data, exports[0]) if len(exports) == 1 else None
        if queue not in queues:
            found.append(Finding(where=name, message="its event names no queue of infra/data.yaml"))
            continue
        least = VISIBILITY_FACTOR * function["Timeout"]
        actual = queues[queue].get("VisibilityTimeout", 30)
        if actual < least:
            message = f"VisibilityTimeout of {queue} is {actual} s: under {VISIBILITY_FACTOR} x its limit"
            found.append(Finding(where=name, message=message))
    return found


def time_limits_are_outlived(functions: Template, hard_seconds: float) -> list[Finding]:
    """A function that works on jobs has time left to write the outcome after a job's hard limit."""
    least = hard_seconds + SECONDS_AFTER_HARD_LIMIT
    return [
        Finding(where=name, message=f"its time limit is {function['Timeout']} s, under {least:.0f} s")
        for name, function, event in _sqs_events(functions)
        if "IntakeQueueArn" not in templates.imports(event["Queue"]) and function["Timeout"] < least
    ]


def failed_records_come_back_alone(functions: Template) -> list[Finding]:
    """Every queue event reports failures by record."""
    return [
        Finding(
            where=name,
            message="its queue event lacks ReportBatchItemFailures: failed records would be deleted",
        )
        for name, _, event in _sqs_events(functions)
        if "ReportBatchItemFailures" not in event.get("FunctionResponseTypes", [])
    ]


def concurrency_is_possible(functions: Template) -> list[Finding]:
    """Every MaximumConcurrency is a plain number (the embedded emulator wants one) that Lambda takes."""
    found = []
    for name, _, event in _sqs_events(functions):
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


def imports_exist(data: Template, functions: Template, policies: Mapping[str, Any]) -> list[Finding]:
    """Whatever the functions' stack and its policies import, the data stack exports under that name."""
    exported = {name for name, output in data.get("Outputs", {}).items() if "Export" in output}
    sources: dict[str, Any] = {"functions": functions, **policies}
    return [
        Finding(where=source, message=f"imports {name}, which infra/data.yaml does not export")
        for source, content in sources.items()
        for name in sorted(set(templates.imports(content)) - exported)
    ]


def intrinsics_stand_alone(template: Template) -> list[Finding]:
    """No mapping holds an intrinsic function beside another key: a deep merge can make one."""
    return [
        Finding(
            where=", ".join(sorted(mapping)),
            message="an intrinsic function beside other keys, made by the merge",
        )
        for mapping in templates.walk(template)
        if len(mapping) > 1 and any(key.startswith("Fn::") or key == "Ref" for key in mapping)
    ]


def resources_are_whole(packaged: Template) -> list[Finding]:
    """Every resource and event of the packaged template has a type.

    One without is an override in infra/functions.yaml of something that app.py no longer has.
    """
    gone = "is in infra/functions.yaml, but app.py has no such thing"
    found = []
    for name, resource in packaged["Resources"].items():
        if "Type" not in resource:
            found.append(Finding(where=name, message=gone))
        events = resource.get("Properties", {}).get("Events", {})
        found += [
            Finding(where=f"{name}.{e}", message=gone) for e, event in events.items() if "Type" not in event
        ]
    return found


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def policies_name_what_they_allow(
    policies: Mapping[str, Any], reasons: Mapping[tuple[str, str], str] = WILDCARD_REASONS
) -> list[Finding]:
    """No allowed action or resource is a wildcard without a written reason.

    A resource may end in `/*` under a prefix (all its keys) and in `:*` behind a log group (all its streams).
    """
    found = []
    for file, document in policies.items():
        for statement in document["Statement"]:
            sid = statement.get("Sid", "?")
            if statement["Effect"] != "Allow" or (file, sid) in reasons:
                continue
            actions = [action for action in _as_list(statement.get("Action", "*")) if "*" in action]
            resources = [
                resource for resource in _as_list(statement.get("Resource", "*")) if _is_wildcard(resource)
            ]
            found += [
                Finding(where=f"{file} {sid}", message=f"wildcard {w} without a reason")
                for w in actions + resources
            ]
    return found


def _is_wildcard(resource: Any) -> bool:
    """Say whether a resource (a string, or a function that makes one) leaves its name open."""
    if isinstance(resource, dict):
        text = resource.get("Fn::Sub", "")
        resource = text[0] if isinstance(text, list) else text
    name = resource
    if ":log-group:" in name:
        name = name.removesuffix(":*")
    if name.endswith("/*") and "/" in name.removesuffix("/*").rpartition(":")[2]:
        name = name.removesuffix("/*")
    return "*" in name


def uploads_outlive_jobs(data: Template, job_ttl_seconds: int) -> list[Finding]:
    """An upload lives longer than the job that it belongs to, or a retry finds no file."""
    least = data["Parameters"]["UploadDays"]["MinValue"]
    if least * 24 * 3600 > job_ttl_seconds:
        return []
    return [Finding(where="UploadDays", message=f"may be {least} days; jobs live {job_ttl_seconds} s")]


def check_functions(data: Template, functions: Template) -> list[Finding]:
    """Make every check that reads the functions' template, merged or not."""
    return [
        *visibility_covers_timeouts(data, functions),
        *time_limits_are_outlived(functions, max(task.limits.hard_seconds for task in TASKS.values())),
        *failed_records_come_back_alone(functions),
        *concurrency_is_possible(functions),
        *settings_are_set(functions),
        *imports_exist(data, functions, templates.policies()),
        *intrinsics_stand_alone(functions),
    ]


def check_packaged(packaged: Template) -> list[Finding]:
    """Check Chalice's merged template."""
    return [*resources_are_whole(packaged), *check_functions(templates.read(templates.DATA), packaged)]


def check_sources() -> list[Finding]:
    """Check infra/ and .chalice/ as they are."""
    data, functions = templates.read(templates.DATA), templates.read(templates.FUNCTIONS)
    config, defaults = templates.chalice_config(), Settings()
    found = [
        *queues_have_dead_letters(data, defaults.max_attempts),
        *uploads_outlive_jobs(data, defaults.job_ttl_seconds),
        *policies_name_what_they_allow(templates.policies()),
    ]
    for stage in config["stages"]:
        found += check_functions(data, templates.with_chalice_settings(functions, config, stage))
    return found


def main(arguments: list[str]) -> int:
    """Print the findings; return 1 if there are any."""
    found = check_packaged(templates.read(Path(arguments[0]))) if arguments else check_sources()
    for finding in dict.fromkeys(found):
        sys.stderr.write(f"{finding}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
