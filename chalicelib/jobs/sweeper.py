"""The sweeper: the net under everything. It looks at rows whose time has come and sets right what got stuck.

Runs every minute (EventBridge on AWS, the worker's clock on one machine). It reads a sparse index, never the
table, and every change it makes is a conditional write: a job that moved on meanwhile is left alone.
"""

from __future__ import annotations

import time

import msgspec

from chalicelib import metrics, settings
from chalicelib.aws.objects import Objects
from chalicelib.aws.queues import Queues
from chalicelib.aws.table import Table
from chalicelib.errors import SyncBoardError, UploadMissing
from chalicelib.jobs.deadletters import DeadLetters
from chalicelib.jobs.dispatch import send_or_leave
from chalicelib.jobs.ending import Ending
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.intake import Intake
from chalicelib.jobs.job import CHECK_AFTER_MS, CHECK_SHARDS, Job, now_ms
from chalicelib.jobs.leases import lose
from chalicelib.jobs.states import TERMINAL, Stage, State
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.logs import logger

_PER_SHARD = 100
# The longest time between two looks at a waiting job.
_LATEST_MS = 3_600_000
# A sweep goes on for this long while there is more to do.
_SWEEP_SECONDS = 40.0


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What one sweep did, in jobs."""

    looked_at: int = 0
    # Sent (again), because their message was never sent or is lost.
    sent: int = 0
    # Started over, because their run's lease was over.
    lost: int = 0
    # Ended, because their upload never came.
    upload_missing: int = 0
    # Followed up after their end, because their run died before it could.
    followed_up: int = 0
    # Ended, because their message became a dead letter.
    dead_letters: int = 0


class Sweeper:
    """One sweep over all shards."""

    def __init__(self, table: Table, queues: Queues, objects: Objects) -> None:
        self.intake = Intake(table, queues, objects)
        self.store = JobStore(table)
        self.queues = queues
        self.table = table
        self.ending = Ending(table, queues, objects)
        self.dead_letters = DeadLetters(table, queues, objects)
        self._pruned: set[str] = set()

    def sweep(self) -> Swept:
        """Look at every due row once; return what was done."""
        counts = dict.fromkeys(Swept.__struct_fields__, 0)
        self._pruned.clear()
        # First: a job whose message was given up must not be sent again and again.
        counts["dead_letters"] = self.dead_letters.reconcile()
        deadline = time.monotonic() + _SWEEP_SECONDS
        for shard in range(CHECK_SHARDS):
            while due := self.store.due(f"CHECK#{shard}", now_ms(), limit=_PER_SHARD):
                for job_id in due:
                    counts["looked_at"] += 1
                    if done := self._look_safely(job_id):
                        counts[done] += 1
                if len(due) < _PER_SHARD or time.monotonic() > deadline:
                    break
        swept = Swept(**counts)
        metrics.swept(dead_letters=swept.dead_letters, lost=swept.lost, sent=swept.sent)
        if swept != Swept(looked_at=swept.looked_at):
            logger.info("swept", extra=msgspec.to_builtins(swept))
        return swept

    def _look_safely(self, job_id: str) -> str | None:
        """Look at one job; whatever goes wrong with it, the others are looked at too."""
        job = self.store.find(job_id)
        if job is None:
            return None
        try:
            return self._look(job)
        except Refused:
            return None  # it moved on by itself
        except Exception as error:
            if isinstance(error, SyncBoardError):
                logger.warning("not set right now", extra={"job_id": job_id, "cause": error.message})
            else:
                logger.exception("not set right", extra={"job_id": job_id})
            self._postpone(job)
            return None

    def _postpone(self, job: Job) -> None:
        """Look again later: else the same row would be the first one every time."""
        try:
            self._look_later(job)
        except (Refused, SyncBoardError):
            logger.warning("not postponed", extra={"job_id": job.job_id})

    def _look_later(self, job: Job) -> None:
        """Look again after as long as the job has waited already, at least the usual time."""
        waited = now_ms() - job.updated_at
        self.store.look_again(job, check_at=now_ms() + min(_LATEST_MS, max(CHECK_AFTER_MS, waited)))

    def _look(self, job: Job) -> str | None:
        """Set one job right; return what was done, as a key of Swept."""
        if job.state in TERMINAL:
            self.ending.after(job)  # its run died before it could
            return "followed_up"
        if job.stage == Stage.WAITING_TURN:
            return self._look_at_turn(job)
        if job.state is State.PROCESSING and job.run:
            return self._look_at_lease(job)
        if job.stage == Stage.AWAITING_UPLOAD:
            return self._look_at_upload(job)
        return self._look_at_message(job)

    def _look_at_message(self, job: Job) -> str:
        """Send a waiting job's message again: it was not sent, or it may be lost, or its queue is deep.

        Under the same number, so that the one that may still be in the queue keeps its place; of two the later
        one is void. Each time after twice as long, so that a deep queue is not filled with copies.
        """
        if job.stage == Stage.SCHEDULED:
            job = self.store.look_again(job, check_at=now_ms() + CHECK_AFTER_MS, stage=Stage.QUEUED)
        else:
            self._look_later(job)
        self._dispatch(job)
        return "sent"

    def _look_at_turn(self, job: Job) -> str | None:
        """Whoever ended the job before it should have let it in; a crash may have kept it from that."""
        window = Window(self.table, self.queues, job.owner)
        if job.owner not in self._pruned:
            self._pruned.add(job.owner)
            window.prune()
            if window.release():
                return "sent"
        self._look_later(job)
        return None

    def _look_at_lease(self, job: Job) -> str | None:
        over = job.lease_until + settings.get().clock_skew_seconds * 1000
        if now_ms() < over:
            self.store.look_again(job, check_at=over + 1000)
            return None
        # Under a new dispatch number: a message of the lost run that still turns up is void.
        waiting = lose(self.store, self.ending, job, dispatch=job.dispatch + 1)
        if waiting:
            self._dispatch(waiting)
        return "lost"

    def _look_at_upload(self, job: Job) -> str | None:
        if self.intake.start(job):
            return "sent"  # the file is there; only its event was lost
        minutes = settings.get().upload_seconds // 60
        missing = UploadMissing(f"The file was not uploaded within {minutes} minutes.")
        self.ending.after(self.store.fail(job, missing.as_dict()))
        return "upload_missing"

    def _dispatch(self, job: Job) -> None:
        send_or_leave(self.store, self.queues, job)
