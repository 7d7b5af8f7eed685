"""Answers about the service itself."""

from __future__ import annotations

from msgspec import Struct

from chalicelib.api.answers.base import Count, Moment, Share
from chalicelib.capabilities import CapabilityState
from chalicelib.jobs.states import State


class Ai(Struct, forbid_unknown_fields=True, kw_only=True):
    """Who finds concepts and writes suggestions."""

    # offline or bedrock.
    provider: str


class Capability(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether jobs that need something will run."""

    state: CapabilityState
    # Why it is not ready; empty when it is.
    cause: str


class Health(Struct, forbid_unknown_fields=True, kw_only=True):
    """What this installation is and can do."""

    status: str
    version: str
    # aws, embedded or localstack.
    place: str
    ai: Ai
    # By name: text, pdf, office, web, ocr, speech, youtube.
    capabilities: dict[str, Capability]


class QueueDepth(Struct, forbid_unknown_fields=True, kw_only=True):
    """A queue's messages, in SQS's own approximate counts."""

    queue: str
    waiting: Count
    in_flight: Count
    delayed: Count
    # Messages that were given up.
    dead_letters: Count


class WorkerState(Struct, forbid_unknown_fields=True, kw_only=True):
    """A worker process that is alive."""

    # Queues it polls, the most urgent first.
    queues: list[str]
    # Processes that run jobs: those at work, those with nothing to do.
    busy: Count
    idle: Count
    # Since it started.
    jobs_done: Count
    memory_bytes: Count
    started_at: Moment | None


class Ended(Struct, forbid_unknown_fields=True, kw_only=True):
    """Jobs that ended; None where there is nothing to divide."""

    ended: Count
    # By state.
    states: dict[State, Count]
    # SUCCESS among SUCCESS and FAILURE.
    success_rate: Share | None
    # Attempts for each job that ran; more than a little over 1 says that workers die or leases are too short.
    executions_per_job: float | None
    # From submission to the first run.
    wait_seconds_mean: float | None
    # From the start of the last attempt to the end; where it had been put off, from when it was gone on with. Median
    # and 95th percentile are read from a histogram in powers of two.
    run_seconds_mean: float | None
    run_seconds_median: float | None
    run_seconds_p95: float | None


class EndedOfTask(Ended, forbid_unknown_fields=True, kw_only=True):
    """Jobs of one task that ended."""

    task: str


class EndedInSpan(Struct, forbid_unknown_fields=True, kw_only=True):
    """Jobs that ended in one span of time, by state."""

    at: Moment
    SUCCESS: Count
    FAILURE: Count
    REVOKED: Count


class Stats(Struct, forbid_unknown_fields=True, kw_only=True):
    """How the installation works, for all its users together."""

    as_of: Moment
    hours: Count
    queues: list[QueueDepth]
    workers: list[WorkerState]
    totals: Ended
    # Those with most ends first.
    tasks: list[EndedOfTask]
    # Length of a span, in minutes.
    span_minutes: Count
    # The oldest first.
    time_series: list[EndedInSpan]
