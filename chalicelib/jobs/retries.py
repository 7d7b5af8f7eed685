"""Failed jobs started over, one or many, once per request however often the request comes.

A request with an idempotency key has an id; the retry leaves it on the job's timeline, in the transition itself. Of
many, the plan is written before the first is touched, so a repeated request does not pick the next ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chalicelib.aws.expressions import Key, Put
from chalicelib.aws.table import ConditionFailed, Table
from chalicelib.errors import SyncBoardError
from chalicelib.jobs.control import Control
from chalicelib.jobs.history import JobPage
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.store import JobStore

_PLAN_SECONDS = 24 * 3600


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs one request starts over."""

    job_ids: list[str]
    # Where the next request goes on, or None.
    last: str | None


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What became of many."""

    retried: list[str]
    # {job_id, error} for each that could not be.
    errors: list[dict[str, Any]]
    # Where the next request goes on, or None.
    last: str | None


class Retries:
    """Retries of one owner's jobs, for one request. `request` is its id where it may come again, else empty."""

    def __init__(self, table: Table, control: Control, owner: str, *, request: str = "") -> None:
        self.table = table
        self.control = control
        self.owner = owner
        self.request = request
        self.store = JobStore(table)

    def one(self, job: Job, *, password: str | None = None) -> Job:
        """Start a failed job over; return it as it stands when this request had done so before. Raise Conflict.

        `password` opens its file from now on; None: the one that it was submitted with.
        """
        if self.request and any(str(note).endswith(self._mark()) for *_, note in job.timeline):
            return job
        by = self.owner + (self._mark() if self.request else "")
        return self.control.retry(job, by=by, password=password)

    def many(self, pick: Callable[[], JobPage]) -> Retried:
        """Start those jobs over that `pick` returns. One that can't be does not keep the others back."""
        plan = self._plan(pick)
        retried: list[str] = []
        errors: list[dict[str, Any]] = []
        for job_id in plan.job_ids:
            try:
                self.one(self.store.require(job_id, self.owner))
            except SyncBoardError as error:
                errors.append({"job_id": job_id, "error": error.as_dict()})
            else:
                retried.append(job_id)
        return Retried(retried=retried, errors=errors, last=plan.last)

    def _plan(self, pick: Callable[[], JobPage]) -> Plan:
        """Return what this request picked the first time."""
        key = self._key()
        if self.request and (there := self.table.get(key)):
            return msgspec.convert(there, Plan)
        page = pick()
        plan = Plan(job_ids=[job.job_id for job in page.jobs], last=page.last)
        if not self.request:
            return plan
        expires_at = now_ms() // 1000 + _PLAN_SECONDS
        item = {"pk": key[0], "sk": key[1], "expires_at": expires_at, **msgspec.to_builtins(plan)}
        try:
            self.table.write(Put(item=item, new=True))
        except ConditionFailed as refusal:
            return msgspec.convert(refusal.item, Plan)
        return plan

    def _key(self) -> Key:
        return (f"OWNER#{self.owner}", f"RETRIES#{self.request}")

    def _mark(self) -> str:
        return f", request {self.request}"
