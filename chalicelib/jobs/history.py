"""An owner's jobs, filtered, newest first: always from an index, never by a scan.

Ids are ULIDs, so a span of time is a range of keys. The rarest thing asked for says where candidates come from (a
batch's row, a job's id, the words of file names, the index of rare standings, else all of the owner's jobs); what
that place can't tell is looked up on the rows. One page reads at most 500 of them: it may then come with fewer jobs
than asked for, and a position to go on from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec
from ulid import ULID

from chalicelib.aws.table import Table
from chalicelib.jobs.batches import Batches
from chalicelib.jobs.job import Job, from_item, job_key
from chalicelib.jobs.search import Matches, words
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.transitions import standing

# `state` of a filter beside the six: jobs that wait until their owner's window has room.
WAITING: Final = "WAITING"
_INDEXED: Final = frozenset({State.FAILURE, State.REVOKED, WAITING})
# Rows read for one page at most, and at a time.
_BUDGET: Final = 500
_STEP: Final = 100
_ID: Final = re.compile(r"[0-9a-z]{26}")
# Before and after every id.
_FIRST, _LAST = "0", "~"

# From a range of ids (both ends included) up to so many of them, newest first; fewer: there are no more.
Candidates = Callable[[str, str, int], list[str]]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs are meant; what is empty does not matter. All of it must hold."""

    # A State, or WAITING.
    state: str = ""
    task: str = ""
    queue: str = ""
    # Submitted from … to …, both included, in milliseconds since the epoch.
    since: int | None = None
    until: int | None = None
    # Words that the file name has (or begins of them), or the id of a job or a batch.
    q: str = ""
    # Id of a batch.
    batch: str = ""

    @property
    def low(self) -> str:
        """The smallest id that can be meant."""
        return _FIRST if self.since is None else _ulid(self.since, b"\x00")

    @property
    def high(self) -> str:
        """The largest id that can be meant."""
        return _LAST if self.until is None else _ulid(self.until, b"\xff")

    def admits(self, job: Job) -> bool:
        """Tell whether a job's row has the state, task and queue that are meant."""
        state = WAITING if self.state == WAITING and job.stage == Stage.WAITING_TURN else job.state
        pairs = (
            (self.state, state),
            (self.task, job.task),
            (self.queue, job.queue),
            (self.batch, job.batch_id),
        )
        return all(not wanted or wanted == there for wanted, there in pairs)


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list of jobs, newest first."""

    jobs: list[Job]
    # Id of the last job when more follow.
    last: str | None


class History:
    """The jobs of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner

    def page(self, wanted: Filter, *, limit: int, after: str | None = None) -> JobPage:
        """Return up to `limit` jobs that are meant, newest first, after the job `after`.

        Raise NotFound for a batch that is not the owner's, InvalidRequest for a search that is too wide.
        """
        candidates, named = self._candidates(wanted)
        below = after or wanted.high
        found: list[Job] = []
        read, step = 0, limit + 1
        while read < _BUDGET:
            ids = self._below(candidates, wanted.low, below, step) if below >= wanted.low else []
            found += [job for job in self._rows(ids) if wanted.admits(job) and _is_named(job, named)]
            if len(found) > limit:
                return JobPage(jobs=found[:limit], last=found[limit - 1].job_id)
            if len(ids) < step:
                return JobPage(jobs=found, last=None)
            read, step, below = read + len(ids), _STEP, ids[-1]
        return JobPage(jobs=found, last=below)

    def _candidates(self, wanted: Filter) -> tuple[Candidates, list[str]]:
        """Return where to look, and words that the names found there must still have."""
        if wanted.batch:
            batch = Batches(self.table, self.owner).require(wanted.batch)
            return _of(batch.job_ids), words(wanted.q)
        if wanted.q:
            return self._search(wanted.q)
        if wanted.state in _INDEXED:
            return self._indexed("by_standing", ("standing", standing(self.owner, wanted.state))), []
        return self._indexed("by_owner", ("owner", self.owner)), []

    def _search(self, q: str) -> tuple[Candidates, list[str]]:
        """An id that is there wins; anything else is words: the longest leads, the others are compared."""
        exact = q.strip().lower()
        if _ID.fullmatch(exact):
            if self._rows([exact]):
                return _of([exact]), []
            if batch := Batches(self.table, self.owner).find(exact):
                return _of(batch.job_ids), []
        asked = words(q)
        return Matches(self.table, self.owner, max(asked, key=len)).ids, asked

    def _indexed(self, index: str, partition: tuple[str, str]) -> Candidates:
        def ids(low: str, high: str, count: int) -> list[str]:
            page = self.table.query(
                partition, index=index, sort=("job_id", "between", (low, high)), limit=count, forward=False
            )
            return [item["job_id"] for item in page.items]

        return ids

    @staticmethod
    def _below(candidates: Candidates, low: str, below: str, count: int) -> list[str]:
        """Return candidates without `below` itself."""
        ids = [job_id for job_id in candidates(low, below, count + 1) if job_id != below]
        return ids[:count]

    def _rows(self, ids: list[str]) -> list[Job]:
        """Return the owner's jobs among `ids`, in this order; expired ones are left out."""
        rows = self.table.get_many([job_key(job_id) for job_id in ids])
        jobs = [from_item(rows[key]) for key in map(job_key, ids) if key in rows]
        return [job for job in jobs if job.owner == self.owner]


def _of(job_ids: list[str]) -> Candidates:
    """Return a source that has just these ids."""
    newest_first = sorted(job_ids, reverse=True)
    return lambda low, high, count: [job_id for job_id in newest_first if low <= job_id <= high][:count]


def _is_named(job: Job, asked: list[str]) -> bool:
    """Tell whether each word asked for begins a word of the job's name."""
    there = words(job.filename) if asked else []
    return all(any(word.startswith(prefix) for word in there) for prefix in asked)


def _ulid(milliseconds: int, rest: bytes) -> str:
    """Return the first or last id of a millisecond; times before 1970 count as 1970."""
    return str(ULID(max(0, milliseconds).to_bytes(6, "big") + rest * 10)).lower()
