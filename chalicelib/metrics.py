"""Metrics of jobs for CloudWatch: lines in the log in its embedded format (EMF), which it turns into metrics itself.

No request is made and nothing waited for. `SYNCBOARD_METRICS` switches them on; on one machine they are off. A
metric is charged by its combinations of dimensions, so these are few; ids of jobs are in the logs, never here. A job
that is followed up twice (its run died in between) is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib import settings
from chalicelib.jobs.states import State

if TYPE_CHECKING:
    from chalicelib.jobs.job import Job

NAMESPACE: Final = "SyncBoard"


class Name(StrEnum):
    """The metrics, as dashboard and alarms name them."""

    # Jobs that came into a state by a run or an end: by task and state.
    JOBS = "Jobs"
    # Of ended jobs: from the last start to the end, from submission to the last start; in milliseconds, by task.
    RUN_TIME = "RunTime"
    WAIT_TIME = "WaitTime"
    # Of ended jobs: dollars by the price table of jobs.cost, by task.
    COST = "Cost"
    # Of ended jobs: attempts.
    EXECUTIONS = "ExecutionsPerJob"
    # Of ended jobs: 1 for a failed one, else 0; the average is the failure rate.
    FAILURES = "Failures"
    # Of a sweep: jobs ended because their message was given up; jobs whose run was lost; jobs whose message was.
    DEAD_LETTERS = "DeadLetters"
    LOST_RUNS = "LostRuns"
    LOST_MESSAGES = "LostMessages"


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How a metric is counted."""

    # CloudWatch's name of the unit.
    unit: str
    # Beside the stage.
    dimensions: tuple[str, ...] = ()


SHAPES: Final[Mapping[Name, Shape]] = {
    Name.JOBS: Shape(unit="Count", dimensions=("task", "state")),
    Name.RUN_TIME: Shape(unit="Milliseconds", dimensions=("task",)),
    Name.WAIT_TIME: Shape(unit="Milliseconds", dimensions=("task",)),
    Name.COST: Shape(unit="None", dimensions=("task",)),
    Name.EXECUTIONS: Shape(unit="Count"),
    Name.FAILURES: Shape(unit="Count"),
    Name.DEAD_LETTERS: Shape(unit="Count"),
    Name.LOST_RUNS: Shape(unit="Count"),
    Name.LOST_MESSAGES: Shape(unit="Count"),
}

Values = Mapping[Name, Sequence[float]]


def jobs_ended(jobs: Iterable[Job]) -> None:
    """Tell of jobs that have just ended, given as they stand now; those of one task and state share their lines."""
    if not settings.get().metrics:
        return
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.task, job.state), []).append(job)
    for (task, state), group in groups.items():
        _emit({Name.JOBS: [len(group)]}, task=task, state=state)
        ran = [job for job in group if job.started_at]
        _emit(
            {
                Name.RUN_TIME: [max(0, job.finished_at - job.run_since) for job in ran],
                Name.WAIT_TIME: [max(0, job.started_at - job.created_at) for job in ran],
                Name.COST: [job.cost["dollars"] for job in group if job.cost],
            },
            task=task,
        )
        _emit(
            {
                Name.EXECUTIONS: [job.attempt for job in group if job.attempt],
                Name.FAILURES: [int(job.state is State.FAILURE) for job in group],
            }
        )


def retried(job: Job) -> None:
    """Tell of a run that ended with an error after which its job waits for the next attempt."""
    if settings.get().metrics:
        _emit({Name.JOBS: [1]}, task=job.task, state=State.RETRY)


def swept(*, dead_letters: int, lost: int, sent: int) -> None:
    """Tell what one sweep found, in jobs."""
    found = {Name.DEAD_LETTERS: dead_letters, Name.LOST_RUNS: lost, Name.LOST_MESSAGES: sent}
    if settings.get().metrics:
        _emit({name: [number] for name, number in found.items() if number})


def _emit(values: Values, **dimensions: str) -> None:
    """Write one line, if there is a value."""
    # Powertools opens what it needs here only: the API answers before it is ever imported.
    from aws_lambda_powertools.metrics import EphemeralMetrics

    line = EphemeralMetrics(namespace=NAMESPACE)
    line.add_dimension(name="stage", value=settings.get().stage)
    for dimension, value in dimensions.items():
        line.add_dimension(name=dimension, value=value)
    for name, numbers in values.items():
        for number in numbers:
            line.add_metric(name=name, unit=SHAPES[name].unit, value=number)
    if any(values.values()):
        line.flush_metrics()
