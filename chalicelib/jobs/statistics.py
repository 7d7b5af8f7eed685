"""What the counters tell: jobs that ended, by task and over time, how long they waited and ran. Numbers, no names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from chalicelib.aws.expressions import Item
from chalicelib.aws.table import Table, query_all
from chalicelib.jobs.job import isoformat
from chalicelib.jobs.states import TERMINAL

_BIN: Final = "run_2^"
# How long a period may be, in hours: a day has up to 1,440 minutes × tasks × shards rows.
MAX_HOURS: Final = 24


class Sums(msgspec.Struct, kw_only=True):
    """Counters added up."""

    # Ended jobs by state.
    states: Counter[str] = msgspec.field(default_factory=Counter)
    # Attempts of those that ran.
    executions: int = 0
    # Milliseconds that jobs waited and ran, and how many ran at all.
    wait_ms: int = 0
    run_ms: int = 0
    runs: int = 0
    # Run times: how many had so many binary digits in milliseconds.
    bins: Counter[int] = msgspec.field(default_factory=Counter)

    def add(self, item: Item) -> None:
        """Add one row of counters."""
        self.states.update({state: int(item[state]) for state in TERMINAL if state in item})
        self.executions += int(item.get("executions", 0))
        self.wait_ms += int(item.get("wait_ms", 0))
        self.run_ms += int(item.get("run_ms", 0))
        for name, count in item.items():
            if name.startswith(_BIN):
                self.bins[int(name.removeprefix(_BIN))] += int(count)
                self.runs += int(count)

    def told(self) -> dict[str, Any]:
        """Return the figures that people read: rates, means, percentiles. None where there is nothing to divide."""
        ended = self.states.total()
        judged = self.states["SUCCESS"] + self.states["FAILURE"]
        return {
            "ended": ended,
            "states": {state: self.states[state] for state in sorted(TERMINAL)},
            "success_rate": round(self.states["SUCCESS"] / judged, 4) if judged else None,
            "executions_per_job": round(self.executions / self.runs, 3) if self.runs else None,
            "wait_seconds_mean": _seconds(self.wait_ms / self.runs) if self.runs else None,
            "run_seconds_mean": _seconds(self.run_ms / self.runs) if self.runs else None,
            "run_seconds_median": _seconds(quantile(self.bins, 0.5)) if self.runs else None,
            "run_seconds_p95": _seconds(quantile(self.bins, 0.95)) if self.runs else None,
        }


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """A period's counters."""

    # From when to when they were read.
    since: datetime
    until: datetime
    # All together, and by task.
    totals: Sums
    tasks: dict[str, Sums]
    # By minute (UTC), minutes without an end are absent.
    minutes: dict[datetime, Counter[str]]

    def series(self, *, minutes: int) -> list[dict[str, Any]]:
        """Return ended jobs by state for each span of so many minutes, zeros included, the oldest first."""
        step = timedelta(minutes=minutes)
        spans: list[dict[str, Any]] = []
        at = self.since
        while at <= self.until:
            states: Counter[str] = Counter()
            for minute in range(minutes):
                states.update(self.minutes.get(at + timedelta(minutes=minute), {}))
            told = {str(state): states[state] for state in sorted(TERMINAL)}
            spans.append({"at": isoformat(round(at.timestamp() * 1000)), **told})
            at += step
        return spans


def quantile(bins: Mapping[int, int], share: float) -> float:
    """Return the run time in ms below which this share of the runs stays.

    Bin k holds times of 2^(k-1) to 2^k; within it they are taken to be spread evenly.
    """
    wanted = share * sum(bins.values())
    passed = 0
    for size, count in sorted(bins.items()):
        if passed + count >= wanted:
            low, high = (1 << size) // 2, 1 << size
            return low + (high - low) * (wanted - passed) / count
        passed += count
    return 0.0


def read(table: Table, *, hours: int, now: datetime) -> Statistics:
    """Read the counters of the last hours (1 to 24). Raise Unavailable."""
    until = now.astimezone(UTC).replace(second=0, microsecond=0)
    since = until - timedelta(hours=hours) + timedelta(minutes=1)
    totals = Sums()
    tasks: dict[str, Sums] = {}
    minutes: dict[datetime, Counter[str]] = {}
    for minute, task, item in _rows(table, since, until):
        for sums in (totals, tasks.setdefault(task, Sums())):
            sums.add(item)
        states = {state: int(item[state]) for state in TERMINAL if state in item}
        minutes.setdefault(minute, Counter()).update(states)
    return Statistics(since=since, until=until, totals=totals, tasks=tasks, minutes=minutes)


def _rows(table: Table, since: datetime, until: datetime) -> Iterator[tuple[datetime, str, Item]]:
    """Yield minute, task and counters from `since` to `until`, on one day or on two that follow each other."""
    for day in sorted({since.date(), until.date()}):
        first = f"{since:%H:%M}" if day == since.date() else "00:00"
        for item in query_all(table, ("pk", f"STATS#{day}"), sort=("sk", ">=", first)):
            minute, task, _ = item["sk"].split("#")
            at = datetime.fromisoformat(f"{day}T{minute}:00+00:00")
            if at <= until:
                yield at, task, item


def by_size(tasks: Mapping[str, Sums]) -> Iterable[tuple[str, Sums]]:
    """Return tasks with their sums, those with most ends first."""
    return sorted(tasks.items(), key=lambda entry: (-entry[1].states.total(), entry[0]))


def _seconds(ms: float) -> float:
    return round(ms / 1000, 3)
