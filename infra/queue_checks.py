"""Checks on queues: what a message may rely on."""

from __future__ import annotations

from typing import Final

from infra import templates
from infra.findings import Finding, resource_of_export, resources, sqs_events
from infra.templates import Template

# AWS's advice: room for retries while the function is throttled.
VISIBILITY_FACTOR: Final = 6
# Deliveries above the attempts that the job engine counts itself, before SQS gives a message up.
SPARE_DELIVERIES: Final = 3


def queues_have_dead_letters(data: Template, max_attempts: int) -> list[Finding]:
    """Every queue hands on to a dead-letter queue that lives as long, after the engine has given up."""
    queues = resources(data, "AWS::SQS::Queue")
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
    queues = resources(data, "AWS::SQS::Queue")
    found = []
    for name, function, event in sqs_events(functions):
        exports = templates.imports(event["Queue"])
        queue = resource_of_export(data, exports[0]) if len(exports) == 1 else None
        if queue not in queues:
            found.append(Finding(where=name, message="its event names no queue of infra/data.yaml"))
            continue
        least = VISIBILITY_FACTOR * function["Timeout"]
        actual = queues[queue].get("VisibilityTimeout", 30)
        if actual < least:
            message = f"VisibilityTimeout of {queue} is {actual} s: under {VISIBILITY_FACTOR} x its limit"
            found.append(Finding(where=name, message=message))
    return found


def uploads_outlive_jobs(data: Template, job_ttl_seconds: int) -> list[Finding]:
    """An upload lives longer than the job that it belongs to, or a retry finds no file."""
    least = data["Parameters"]["UploadDays"]["MinValue"]
    if least * 24 * 3600 > job_ttl_seconds:
        return []
    return [Finding(where="UploadDays", message=f"may be {least} days; jobs live {job_ttl_seconds} s")]


def queues_have_consumers(data: Template, functions: Template) -> list[Finding]:
    """Every queue but the dead-letter queues calls one function: none is forgotten, no two compete."""
    called = [
        resource_of_export(data, export)
        for _, _, event in sqs_events(functions)
        for export in templates.imports(event["Queue"])
    ]
    return [
        Finding(where=name, message=f"{called.count(name)} functions are called by it; it must be one")
        for name, queue in resources(data, "AWS::SQS::Queue").items()
        if "RedrivePolicy" in queue and called.count(name) != 1
    ]


# What an alarm watches on a queue, and on its dead-letter queue.
_WATCHED: Final = {True: "ApproximateAgeOfOldestMessage", False: "ApproximateNumberOfMessagesVisible"}


def queues_have_alarms(data: Template) -> list[Finding]:
    """Every queue has an alarm for what waits, every dead-letter queue one for what was given up."""
    watched = {
        (dimension["Value"]["Fn::GetAtt"][0], alarm["MetricName"])
        for alarm in resources(data, "AWS::CloudWatch::Alarm").values()
        for dimension in alarm.get("Dimensions", ())
        if dimension["Name"] == "QueueName"
    }
    return [
        Finding(where=name, message=f"has no alarm on its {metric}")
        for name, queue in resources(data, "AWS::SQS::Queue").items()
        if (name, metric := _WATCHED["RedrivePolicy" in queue]) not in watched
    ]
