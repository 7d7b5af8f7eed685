"""What an owner may do to a job: cancel it, start a failed one over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.aws.queues import Queues
from chalicelib.aws.table import Table
from chalicelib.errors import Conflict
from chalicelib.jobs.dispatch import send_or_leave
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.job import CHECK_AFTER_MS, Job, now_ms
from chalicelib.jobs.states import TERMINAL, Stage, State
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.jobs.transitions import RunToken

if TYPE_CHECKING:
    from chalicelib.jobs.ending import Ending  # which cancels the jobs that an ended one has started

_TRIES = 5


class Control:
    """Cancel and retry."""

    def __init__(self, table: Table, queues: Queues, ending: Ending) -> None:
        self.table = table
        self.queues = queues
        self.ending = ending
        self.store = JobStore(table)

    def cancel(self, job: Job) -> Job:
        """Cancel a job: a waiting one ends at once, a running one at its next heartbeat. Raise Conflict."""
        for _ in range(_TRIES):
            if job.state in TERMINAL:
                raise Conflict(f"The job has already ended: {job.state}.", state=job.state)
            try:
                if job.state is State.PROCESSING and job.run:
                    return self.store.request_cancel(job)
                revoked = self._revoke_waiting(job)
            except Refused as refusal:
                job = _still_there(refusal)
            else:
                self.ending.after(revoked)
                return revoked
        raise Conflict("The job changes too quickly to be cancelled; try again.", state=job.state)

    def _revoke_waiting(self, job: Job) -> Job:
        """End a job that nobody works on. One between two hops is held by no run: we take its place."""
        if job.state is State.PROCESSING:
            return self.store.revoke(job, token=RunToken.of(job))
        return self.store.revoke(job)

    def retry(self, job: Job, *, by: str, password: str | None = None) -> Job:
        """Start a failed job over, with another password for its file if one is given. Raise Conflict."""
        if job.state is not State.FAILURE:
            raise Conflict(f"Only a failed job can be retried; this one is {job.state}.", state=job.state)
        if not job.params.get("content") and job.params.get("source"):
            raise Conflict("Its file never came or can't be read; submit it again.", state=job.state)
        place = Window(self.table, self.queues, job.owner).place(job.job_id)
        again: dict[str, Any] = {"dispatch": job.dispatch + 1, "check_at": now_ms() + CHECK_AFTER_MS}
        if password is not None:
            again["password"] = password
        try:
            revived = self.store.revive(job, fields=place | again, by=by)
        except Refused as refusal:
            now = _still_there(refusal)
            raise Conflict(
                f"Only a failed job can be retried; this one is {now.state}.", state=now.state
            ) from None
        if revived.stage == Stage.QUEUED:
            send_or_leave(self.store, self.queues, revived)
        return revived


def _still_there(refusal: Refused) -> Job:
    if refusal.job is None:
        raise Conflict("The job has expired.") from None
    return refusal.job
