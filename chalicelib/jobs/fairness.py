"""Fairness: an owner has a window of jobs in the queues; the others wait in the table for their turn.

One item per owner holds the ids of its dispatched jobs, as a set: entering and leaving are idempotent, so a
redelivery or a crash can't make the count drift for long, and `prune` mends what a crash left. Messages also
carry the owner as MessageGroupId (SQS fair queues), which acts only above some 30 messages in flight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from chalicelib import settings
from chalicelib.aws.expressions import Fewer, Key, Update
from chalicelib.aws.queues import Queues
from chalicelib.aws.table import ConditionFailed, Table, TransactionFailed
from chalicelib.errors import TooManyRequests
from chalicelib.jobs.dispatch import send_all_or_leave, send_or_leave
from chalicelib.jobs.job import from_item, job_key
from chalicelib.jobs.states import TERMINAL, Stage
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.jobs.transitions import standing, turning

# Released at the end of one job: two, so that a window that had shrunk fills again.
_RELEASE = 2


def window_key(owner: str) -> Key:
    """Return the key of an owner's window."""
    return (f"OWNER#{owner}", "WINDOW")


class Window:
    """One owner's window: at most `max_dispatched` jobs in the queues, at most `max_running` of them running."""

    def __init__(self, table: Table, queues: Queues, owner: str) -> None:
        self.table = table
        self.queues = queues
        self.owner = owner
        self.store = JobStore(table)

    def enter(self, job_id: str) -> bool:
        """Put a job into the window; False when it is full. Twice is once."""
        return self._insert("dispatched", job_id, settings.get().max_dispatched)

    def place(self, job_id: str) -> dict[str, Any]:
        """Return the fields of a new job: queued where the window has room, else waiting for its turn.

        Raise TooManyRequests where too many wait already.
        """
        if self.enter(job_id):
            return {"stage": Stage.QUEUED, "message": "Waiting for a worker", "dispatch": 1}
        self.wait()
        return {
            "stage": Stage.WAITING_TURN,
            "message": "Waiting for its turn: you have many jobs in the queue",
            "dispatch": 0,
            "standing": standing(self.owner, "WAITING"),
        }

    def wait(self) -> None:
        """Count one more waiting job; raise TooManyRequests where too many wait already."""
        after = self.table.write(Update(key=window_key(self.owner), add={"waiting": 1}))
        if after["waiting"] > settings.get().max_waiting:
            self.table.write(Update(key=window_key(self.owner), add={"waiting": -1}))
            raise TooManyRequests(
                f"You have {settings.get().max_waiting} jobs waiting; come back when some are done.",
                limit=settings.get().max_waiting,
                retry_after=60,
            )

    def start_running(self, job_id: str) -> bool:
        """Count a job as running; False where the owner's running cap is reached. No cap: nothing is written."""
        cap = settings.get().max_running
        return not cap or self._insert("running", job_id, cap)

    def stop_running(self, job_id: str) -> None:
        """Count a job as running no more."""
        self.table.write(Update(key=window_key(self.owner), discard={"running": {job_id}}))

    def leave(self, job_id: str) -> None:
        """Take an ended job out of the window and let the next ones in."""
        members = {"dispatched": {job_id}}
        if settings.get().max_running:
            members["running"] = {job_id}
        after = self.table.write(Update(key=window_key(self.owner), discard=members))
        if after.get("waiting", 0) > 0:
            self.release()

    def leave_together(self, job_ids: set[str]) -> None:
        """Take ended jobs out of the window and let as many in, in a handful of requests."""
        after = self.table.write(Update(key=window_key(self.owner), discard={"dispatched": job_ids}))
        if after.get("waiting", 0) > 0:
            self.release(max(_RELEASE, len(job_ids)))

    def release(self, most: int = _RELEASE) -> int:
        """Dispatch the longest waiting jobs for which there is room, at most so many; return how many."""
        page = self.table.query(
            ("standing", standing(self.owner, "WAITING")), index="by_standing", limit=most
        )
        if not page.items:
            # Nothing waits, whatever a crash left in the count.
            self.table.write(Update(key=window_key(self.owner), set={"waiting": 0}))
            return 0
        job_ids = [item["job_id"] for item in page.items]
        if len(job_ids) > _RELEASE and self._turn_together(job_ids):
            return len(job_ids)
        released = 0
        for job_id in job_ids:
            if not self.enter(job_id):
                break
            released += self._turn(job_id)
        return released

    def _turn_together(self, job_ids: Sequence[str]) -> bool:
        """Let all of them into the window and their queues in one transaction; False: one by one, then."""
        rows = self.table.get_many([job_key(job_id) for job_id in job_ids])
        if len(rows) < len(job_ids):
            return False
        jobs = [from_item(rows[job_key(job_id)]) for job_id in job_ids]
        turns = [turning(job) for job in jobs]
        entering = Update(
            key=window_key(self.owner),
            insert={"dispatched": set(job_ids)},
            add={"waiting": -len(jobs)},
            when=(Fewer("dispatched", settings.get().max_dispatched - len(jobs) + 1),),
        )
        try:
            self.table.transact([*turns, entering])
        except TransactionFailed:
            return False  # one of them moved on, or there is not room for all
        dispatched = [msgspec.structs.replace(job, dispatch=job.dispatch + 1) for job in jobs]
        send_all_or_leave(self.store, self.queues, dispatched)
        return True

    def prune(self) -> None:
        """Take jobs out of the window that have ended or never were: what a crash left behind."""
        item = self.table.get(window_key(self.owner)) or {}
        members = item.get("dispatched", set()) | item.get("running", set())
        rows = self.table.get_many([job_key(job_id) for job_id in sorted(members)])
        live = {row["job_id"] for row in rows.values() if row["state"] not in TERMINAL}
        if gone := members - live:
            self.table.write(
                Update(key=window_key(self.owner), discard={"dispatched": gone, "running": gone})
            )

    def _turn(self, job_id: str) -> int:
        """It is a waiting job's turn: into its queue."""
        job = self.store.find(job_id)
        if job is not None:
            try:
                dispatched = self.store.turn(job)
            except Refused as refusal:
                job = refusal.job
            else:
                self.table.write(Update(key=window_key(self.owner), add={"waiting": -1}))
                send_or_leave(self.store, self.queues, dispatched)
                return 1
        if job is None or job.state in TERMINAL:
            self.table.write(Update(key=window_key(self.owner), discard={"dispatched": {job_id}}))
        return 0

    def _insert(self, name: str, job_id: str, limit: int) -> bool:
        try:
            self.table.write(
                Update(key=window_key(self.owner), insert={name: {job_id}}, when=(Fewer(name, limit),))
            )
        except ConditionFailed as refusal:
            return job_id in (refusal.item or {}).get(name, set())
        return True
