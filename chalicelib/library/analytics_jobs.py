"""The jobs behind the analytics: asking for a refresh at most once a while, and what recent jobs took and cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

import msgspec

from chalicelib.aws.queues import Queues
from chalicelib.aws.table import Table
from chalicelib.jobs.dispatch import send_or_leave
from chalicelib.jobs.history import Filter, History
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.states import TERMINAL, State
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.library import background

TASK: Final = "refresh_analytics"
# A refresh that is asked for by an ingestion starts at the end of such a span, one for all ingestions in it.
SPAN_MS: Final = 5 * 60_000
_MINUTE_MS: Final = 60_000
# Jobs looked at for times and costs.
_MAX_JOBS: Final = 500
_PAGE: Final = 100


class JobFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What recent jobs took and cost; only ended ones count, times are of those that ran."""

    jobs: int = 0
    succeeded: int = 0
    failed: int = 0
    # Seconds from the start of the first run to the end.
    seconds_total: float = 0.0
    seconds_mean: float = 0.0
    seconds_median: float = 0.0
    seconds_longest: float = 0.0
    # Dollars on AWS, by the jobs' own reckoning.
    dollars: float = 0.0
    # Jobs by task.
    tasks: dict[str, int] = {}


def request_soon(table: Table, owner: str) -> None:
    """Have the figures made anew within some five minutes, once for all who ask until then. Failing does no harm."""
    background.request(table, background.later(TASK, owner, (now_ms() // SPAN_MS + 1) * SPAN_MS))


def request_now(table: Table, queues: Queues, owner: str) -> bool:
    """Have the figures made anew at once; at most one such job an owner and minute. Return whether one is on its way.

    Raise Unavailable.
    """
    store = JobStore(table)
    job = background.background_job(TASK, owner, now_ms() // _MINUTE_MS * _MINUTE_MS)
    try:
        store.create(job)
    except Refused as refusal:
        return refusal.job is not None and refusal.job.state not in TERMINAL
    send_or_leave(store, queues, job)
    return True


def recent_jobs(table: Table, owner: str) -> list[Job]:
    """Return the newest of an owner's own jobs that have ended: among the last 500."""
    history = History(table, owner)
    found: list[Job] = []
    after: str | None = None
    for _ in range(_MAX_JOBS // _PAGE):
        page = history.page(Filter(), limit=_PAGE, after=after)
        found += [job for job in page.jobs if job.state in TERMINAL]
        after = page.last
        if after is None:
            break
    return found


def figures_of(jobs: Iterable[Job]) -> JobFigures:
    """Return what ended jobs took and cost."""
    ended = list(jobs)
    seconds = _seconds(ended)
    tasks: dict[str, int] = {}
    for job in ended:
        tasks[job.task] = tasks.get(job.task, 0) + 1
    return JobFigures(
        jobs=len(ended),
        succeeded=sum(job.state is State.SUCCESS for job in ended),
        failed=sum(job.state is State.FAILURE for job in ended),
        seconds_total=round(sum(seconds), 3),
        seconds_mean=round(sum(seconds) / len(seconds), 3) if seconds else 0.0,
        seconds_median=round(median(seconds), 3) if seconds else 0.0,
        seconds_longest=round(max(seconds, default=0.0), 3),
        dollars=round(sum(float((job.cost or {}).get("dollars", 0)) for job in ended), 9),
        tasks=tasks,
    )


def _seconds(jobs: Sequence[Job]) -> list[float]:
    return [
        max(0, job.finished_at - job.run_since) / 1000 for job in jobs if job.started_at and job.finished_at
    ]
