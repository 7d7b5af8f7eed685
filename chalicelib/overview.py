"""What an operator sees at a glance: queues, workers, what ended lately. Read from table and queues themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from chalicelib import services, workers
from chalicelib.aws.queues import Depth, dead_letters
from chalicelib.jobs import statistics
from chalicelib.jobs.job import isoformat, now_ms
from chalicelib.jobs.statistics import Statistics
from chalicelib.settings import QUEUES

# Bars of a chart: a period is cut into about so many spans.
_SPANS: Final = 60


class QueueState(msgspec.Struct, frozen=True, kw_only=True):
    """One queue."""

    queue: str
    depth: Depth
    # Messages that were given up.
    dead_letters: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    queues: list[QueueState]
    # Names of the workers that are alive, jobs at work, jobs done since they started.
    workers: list[workers.Worker]
    # Jobs of all owners that ended lately.
    statistics: Statistics


def overview(*, hours: int = statistics.MAX_HOURS) -> Overview:
    """Read the state of the place that this process's environment names. Raise Unavailable."""
    return Overview(
        queues=[_queue(name) for name in QUEUES],
        workers=workers.current(services.table()),
        statistics=statistics.read(services.table(), hours=hours, now=datetime.now(UTC)),
    )


def told(seen: Overview, *, hours: int) -> dict[str, Any]:
    """Return an overview as every signed-in user may see it: numbers, without hosts, owners, files or jobs."""
    minutes = max(1, hours * 60 // _SPANS)
    return {
        "as_of": isoformat(now_ms()),
        "hours": hours,
        "queues": [
            {
                "queue": state.queue,
                "waiting": state.depth.visible,
                "in_flight": state.depth.in_flight,
                "delayed": state.depth.delayed,
                "dead_letters": state.dead_letters,
            }
            for state in seen.queues
        ],
        "workers": [
            {
                "queues": list(worker.queues),
                "busy": worker.busy,
                "idle": worker.idle,
                "jobs_done": worker.jobs_done,
                "memory_bytes": worker.memory_bytes,
                "started_at": isoformat(worker.started_at),
            }
            for worker in seen.workers
        ],
        "totals": seen.statistics.totals.told(),
        "tasks": [{"task": task, **sums.told()} for task, sums in statistics.by_size(seen.statistics.tasks)],
        "span_minutes": minutes,
        "time_series": seen.statistics.series(minutes=minutes),
    }


def _queue(name: str) -> QueueState:
    queues = services.queues()
    return QueueState(
        queue=name, depth=queues.depth(name), dead_letters=queues.depth(dead_letters(name)).total
    )
