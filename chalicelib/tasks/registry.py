"""The tasks by name. Light to import: a task's own code and libraries load only where it runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from chalicelib.aws.objects import Objects
from chalicelib.aws.table import Table
from chalicelib.capabilities import ANALYSIS
from chalicelib.ingest.formats import MEDIA, SCANS
from chalicelib.jobs.run import Run


class TimeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """When a run is told to stop, and when it is killed, in seconds from its start."""

    soft_seconds: float = 540.0
    hard_seconds: float = 600.0


# Queues whose work takes longer: as long as a function on Lambda may, less what ending takes.
_LONGER: Final = {
    SCANS: TimeLimits(soft_seconds=840.0, hard_seconds=870.0),
    MEDIA: TimeLimits(soft_seconds=840.0, hard_seconds=870.0),
}


# Between the two limits of a run that is given more time than its task's: for cleaning up.
_ENDING_SECONDS: Final = 60.0


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of work."""

    # Name in the API and in rows.
    name: str
    # Queue for its first message (ingestion is routed by content instead).
    queue: str
    # `module:function` of the code, which takes a Run.
    target: str
    # `module:function` that takes back what a run entered elsewhere in the library, before an object of its own that
    # tells of it, and that it did not publish, is deleted. Takes table, bucket, owner and the object's key.
    withdrawal: str = ""
    # How long a run may take, but for queues whose work takes longer.
    limits: TimeLimits = TimeLimits()
    # Attempts and backoff, where they differ from the settings' (0: they don't).
    max_attempts: int = 0
    backoff_seconds: float = 0.0
    backoff_cap_seconds: float = 0.0
    # Bounded by construction and quick: worked on in batches, in the receiving process (jobs.light).
    light: bool = False
    # May be asked for by name at `POST /jobs`.
    submittable: bool = False

    def load(self) -> Callable[[Run], None]:
        """Import the code."""
        return _imported(self.target)  # type: ignore[no-any-return]

    def load_withdrawal(self) -> Callable[[Table, Objects, str, str], None]:
        """Import what takes back; where there is nothing to take back it does nothing."""
        if not self.withdrawal:
            return lambda *_: None
        return _imported(self.withdrawal)  # type: ignore[no-any-return]


def _imported(target: str) -> Any:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)


_OUT_OF_BANDS: Final = "chalicelib.library.removal:withdraw_unpublished"


TASKS: Final[dict[str, Task]] = {
    task.name: task
    for task in (
        Task(
            name="process_file_upload",
            queue="uploads",
            target="chalicelib.tasks.file_upload:process_file_upload",
            withdrawal=_OUT_OF_BANDS,
        ),
        Task(
            name="process_url_upload",
            queue="uploads",
            target="chalicelib.tasks.url_upload:process_url_upload",
            withdrawal=_OUT_OF_BANDS,
        ),
        # A receiver may be down for hours: 10 s, 20 s … up to an hour apart, some six hours in all.
        Task(
            name="deliver_webhook",
            queue="low_priority",
            target="chalicelib.tasks.deliver_webhook:deliver_webhook",
            limits=TimeLimits(soft_seconds=50.0, hard_seconds=60.0),
            max_attempts=14,
            backoff_seconds=10.0,
            backoff_cap_seconds=3600.0,
        ),
        Task(
            name="find_duplicates_background",
            queue="low_priority",
            target="chalicelib.tasks.find_duplicates:find_duplicates",
            submittable=True,
        ),
        Task(
            name="generate_build_suggestions",
            queue="low_priority",
            target="chalicelib.tasks.build_suggestions:generate_build_suggestions",
            # A model may take two minutes for an answer, and be asked twice.
            limits=TimeLimits(soft_seconds=300.0, hard_seconds=330.0),
            submittable=True,
        ),
        # Asked for by the service, too; see library.analytics.
        Task(
            name="refresh_analytics",
            queue="low_priority",
            target="chalicelib.tasks.refresh_analytics:refresh_analytics",
            submittable=True,
        ),
        # Asked for by the service, too; see library.regroup_jobs.
        Task(
            name="regroup_library",
            queue=ANALYSIS,
            target="chalicelib.tasks.regroup_library:regroup_library",
            submittable=True,
        ),
        # Asked for by `DELETE /clusters/{cluster_id}`.
        Task(
            name="dissolve_cluster",
            queue="low_priority",
            target="chalicelib.tasks.dissolve_cluster:dissolve_cluster",
        ),
        # Asked for by the service itself; see library.upkeep.
        Task(
            name="tidy_library",
            queue="low_priority",
            target="chalicelib.tasks.tidy_library:tidy_library",
        ),
        # Not in the urgent queue: a probe of the whole way must not stand before somebody's file.
        Task(
            name="noop",
            queue="low_priority",
            target="chalicelib.tasks.noop:noop",
            limits=TimeLimits(soft_seconds=5.0, hard_seconds=10.0),
            light=True,
            submittable=True,
        ),
    )
}


def limits_of(task: str, queue: str, *, run_seconds: float = 0.0) -> TimeLimits:
    """Return the time limits of a task's run on a queue.

    `run_seconds` counts where it is longer, unless the task has limits of its own.
    """
    own = TASKS[task].limits
    limits = _LONGER.get(queue, own)
    if own != TimeLimits() or run_seconds <= limits.hard_seconds:
        return limits
    return TimeLimits(soft_seconds=run_seconds - _ENDING_SECONDS, hard_seconds=run_seconds)
