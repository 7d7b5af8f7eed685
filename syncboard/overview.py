"""What an operator sees at a glance: queues, workers, what ended lately. Read from table and queues themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from chalicelib import services, workers
from chalicelib.aws.expressions import Item
from chalicelib.aws.queues import Depth, dead_letters
from chalicelib.aws.table import query_all
from chalicelib.jobs.states import TERMINAL
from chalicelib.settings import QUEUES

_HOURS = 24


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
    # Jobs of all owners that ended in the last 24 hours, by state.
    ended: dict[str, int]


def overview() -> Overview:
    """Read the state of the place that this process's environment names. Raise Unavailable."""
    return Overview(
        queues=[_queue(name) for name in QUEUES], workers=workers.current(services.table()), ended=_ended()
    )


def _queue(name: str) -> QueueState:
    queues = services.queues()
    return QueueState(
        queue=name, depth=queues.depth(name), dead_letters=queues.depth(dead_letters(name)).total
    )


def _ended() -> dict[str, int]:
    now = datetime.now(UTC)
    counts: Counter[str] = Counter()
    for item in _minutes(now - timedelta(hours=_HOURS), now):
        counts.update({state: int(item[state]) for state in TERMINAL if state in item})
    return dict(sorted(counts.items()))


def _minutes(since: datetime, until: datetime) -> Iterator[Item]:
    """Yield the counters from `since` to `until`, on one day or on two that follow each other."""
    for day in sorted({since.date(), until.date()}):
        first = f"{since:%H:%M}" if day == since.date() else "00:00"
        yield from query_all(services.table(), ("pk", f"STATS#{day}"), sort=("sk", ">=", first))
