"""Checks on the templates that cfn-lint and `sam validate` do not make.

    python -m infra.checks [PACKAGED_TEMPLATE]

Without an argument the sources are checked (infra/, .chalice/); with one, Chalice's merged template. Each
check takes plain dictionaries and returns what it finds wrong, so that a test can show it failing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from chalicelib.ingest.formats import MEDIA, SCANS
from chalicelib.settings import QUEUES, Settings
from chalicelib.tasks.registry import TASKS, limits_of
from infra import function_checks, merge_checks, metric_checks, policy_checks, queue_checks, templates
from infra.findings import Finding
from infra.templates import Template


def _export(queue: str) -> str:
    """Return the export that names a queue's ARN: UploadsOcrQueueArn for uploads-ocr."""
    return "".join(word.capitalize() for word in queue.replace("_", "-").split("-")) + "QueueArn"


def hard_seconds() -> dict[str, float]:
    """Return the longest hard limit of the jobs of each queue that carries jobs, by its export."""
    return {
        _export(queue): max(limits_of(task, queue).hard_seconds for task in TASKS)
        for queue in QUEUES
        if queue != "intake"
    }


def check_functions(data: Template, functions: Template) -> list[Finding]:
    """Make every check that reads the functions' template, merged or not."""
    policies = templates.policies() | templates.policies_within(functions)
    return [
        *queue_checks.visibility_covers_timeouts(data, functions),
        *queue_checks.queues_have_consumers(data, functions),
        *function_checks.time_limits_are_outlived(functions, hard_seconds()),
        *function_checks.heavy_jobs_come_alone(functions, [_export(SCANS), _export(MEDIA)]),
        *function_checks.failed_records_come_back_alone(functions),
        *function_checks.concurrency_is_possible(functions),
        *function_checks.settings_are_set(functions),
        *function_checks.costs_know_the_memory(functions),
        *function_checks.logs_expire(functions),
        *policy_checks.policies_name_what_they_allow(policies),
        *policy_checks.no_policy_is_borrowed(functions),
        *metric_checks.metrics_are_emitted(functions),
        *merge_checks.imports_exist(data, functions, policies),
        *merge_checks.intrinsics_stand_alone(functions),
    ]


def check_packaged(packaged: Template) -> list[Finding]:
    """Check Chalice's merged template."""
    return [
        *merge_checks.resources_are_whole(packaged),
        *check_functions(templates.read(templates.DATA), packaged),
    ]


def check_sources() -> list[Finding]:
    """Check infra/ and .chalice/ as they are."""
    data, functions = templates.read(templates.DATA), templates.read(templates.FUNCTIONS)
    config, defaults = templates.chalice_config(), Settings()
    found = [
        *queue_checks.queues_have_dead_letters(data, defaults.max_attempts),
        *queue_checks.queues_have_alarms(data),
        *queue_checks.uploads_outlive_jobs(data, defaults.job_ttl_seconds),
        *metric_checks.metrics_are_emitted(data),
        *metric_checks.metrics_are_shown(data),
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
