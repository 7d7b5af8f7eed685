"""Batches: jobs that were submitted together. A row names them; their states are their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from chalicelib.aws.expressions import Key, Put
from chalicelib.aws.table import Table
from chalicelib.errors import Conflict, NotFound
from chalicelib.jobs.control import Control
from chalicelib.jobs.job import Job, from_item, is_id, job_key
from chalicelib.jobs.states import TERMINAL, State

MAX_ITEMS: Final = 100


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch."""

    # Sortable id (ULID).
    batch_id: str
    # Whose it is.
    owner: str
    # Its jobs, in the order of submission. Until the submission is done: those that it is going to make.
    job_ids: list[str]
    # What was not accepted: {index, filename or url, error}.
    errors: list[dict[str, Any]] = []
    # Milliseconds since the epoch.
    created_at: int
    # Seconds since the epoch after which the row expires: later than its jobs.
    expires_at: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a batch stands."""

    # In the order of submission; expired ones are left out.
    jobs: list[Job]

    @property
    def percent(self) -> int:
        """The mean of the jobs' percentages; an ended one counts as 100, however it ended."""
        shares = [100 if job.state in TERMINAL else job.percent for job in self.jobs]
        return sum(shares) // len(shares) if shares else 100

    @property
    def counts(self) -> dict[str, int]:
        """Jobs by state."""
        counted = Counter(job.state for job in self.jobs)
        return {state: counted[state] for state in State if counted[state]}


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """What cancelling a batch did, in jobs."""

    # Ended at once.
    cancelled: int = 0
    # Asked to stop: they end at their next heartbeat.
    stopping: int = 0
    # Had ended before.
    ended: int = 0


class Batches:
    """The batches of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner

    def save(self, batch: Batch) -> None:
        """Write a batch's row, over an earlier one of the same request."""
        pk, sk = _key(batch.batch_id)
        self.table.write(Put(item={"pk": pk, "sk": sk, **_pack(batch)}))

    def find(self, batch_id: str) -> Batch | None:
        """Return a batch of this owner, or None."""
        item = self.table.get(_key(batch_id))
        if item is None or item["owner"] != self.owner:
            return None
        errors = msgspec.json.decode(item["errors"])
        return msgspec.convert({**item, "errors": errors}, Batch)

    def require(self, batch_id: str) -> Batch:
        """Return a batch of this owner; unknown and foreign ids both raise NotFound."""
        # A key of DynamoDB has a limit; what is no id of ours is not looked up.
        batch = self.find(batch_id) if is_id(batch_id) else None
        if batch is None:
            raise NotFound("There is no such batch.", batch_id=batch_id)
        return batch

    def standing(self, batch: Batch) -> Standing:
        """Return how a batch's jobs stand."""
        return Standing(jobs=self._jobs(batch.job_ids))

    def cancel(self, batch: Batch, control: Control) -> Cancelled:
        """Cancel every job of a batch that has not ended.

        The newest first: they are the ones that may still wait for their turn, and would get it from the others.
        """
        counts = Counter(self._cancel(job, control) for job in reversed(self._jobs(batch.job_ids)))
        return Cancelled(**counts)

    def _jobs(self, job_ids: Sequence[str]) -> list[Job]:
        rows = self.table.get_many([job_key(job_id) for job_id in job_ids], consistent=True)
        return [from_item(rows[key]) for key in map(job_key, job_ids) if key in rows]

    @staticmethod
    def _cancel(job: Job, control: Control) -> str:
        """Cancel one job; return what became of it, as a field of Cancelled."""
        if job.state in TERMINAL:
            return "ended"
        try:
            after = control.cancel(job)
        except Conflict:
            return "ended"  # this very moment
        return "cancelled" if after.state is State.REVOKED else "stopping"


def _key(batch_id: str) -> Key:
    return (f"BATCH#{batch_id}", "BATCH")


def _pack(batch: Batch) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(batch)
    return {**fields, "errors": msgspec.json.encode(batch.errors).decode()}
