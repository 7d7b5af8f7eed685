"""The sweeper: the net under everything. It looks at rows whose time has come and sets right what got stuck.

Runs every minute (EventBridge on AWS, the worker's clock on one machine). It reads a sparse index, never the
table, and every change it makes is a conditional write: a job that moved on meanwhile is left alone.
"""

from __future__ import annotations

from functools import cached_property

import msgspec

from chalicelib import settings
from chalicelib.aws.objects import Objects
from chalicelib.aws.queues import Queues
from chalicelib.aws.table import Table
from chalicelib.errors import UploadMissing
from chalicelib.jobs.consumer import Consumer
from chalicelib.jobs.dispatch import send_or_leave
from chalicelib.jobs.ending import Ending
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.intake import Intake
from chalicelib.jobs.job import CHECK_AFTER_MS, CHECK_SHARDS, Job, now_ms
from chalicelib.jobs.states import TERMINAL, Stage, State
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.logs import logger

_PER_SHARD = 100
# A message that is still not received after this long is taken for lost, however deep its queue is.
_PATIENCE_MS = 3_600_000


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


class Sweeper:
    """One sweep over all shards."""

    def __init__(self, table: Table, queues: Queues, objects: Objects) -> None:
        self.intake = Intake(table, queues, objects)
        self.store = JobStore(table)
        self.queues = queues
        self.objects = objects
        self.table = table
        self.ending = Ending(table, queues, objects)
        self._empty: dict[str, bool] = {}
        self._pruned: set[str] = set()

    @cached_property
    def _consumer(self) -> Consumer:
        return Consumer(self.table, self.queues, self.objects, worker="sweeper")

    def sweep(self) -> Swept:
        """Look at every due row once; return what was done."""
        counts = dict.fromkeys(Swept.__struct_fields__, 0)
        self._empty.clear()
        self._pruned.clear()
        for shard in range(CHECK_SHARDS):
            for job_id in self.store.due(f"CHECK#{shard}", now_ms(), limit=_PER_SHARD):
                job = self.store.find(job_id)
                counts["looked_at"] += 1
                if job is None:
                    continue
                try:
                    done = self._look(job)
                except Refused:
                    continue  # it moved on by itself
                if done:
                    counts[done] += 1
        swept = Swept(**counts)
        if swept != Swept(looked_at=swept.looked_at):
            logger.info("swept", extra=msgspec.to_builtins(swept))
        return swept

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
        if job.stage == Stage.SCHEDULED or self._message_lost(job):
            self._dispatch(self.store.redispatch(job, check_at=now_ms() + CHECK_AFTER_MS))
            return "sent"
        self.store.look_again(job, check_at=now_ms() + CHECK_AFTER_MS)
        return None

    def _look_at_turn(self, job: Job) -> str | None:
        """Whoever ended the job before it should have let it in; a crash may have kept it from that."""
        window = Window(self.table, self.queues, job.owner)
        if job.owner not in self._pruned:
            self._pruned.add(job.owner)
            window.prune()
            if window.release():
                return "sent"
        self.store.look_again(job, check_at=now_ms() + CHECK_AFTER_MS)
        return None

    def _look_at_lease(self, job: Job) -> str | None:
        over = job.lease_until + settings.get().clock_skew_seconds * 1000
        if now_ms() < over:
            self.store.look_again(job, check_at=over + 1000)
            return None
        # Under a new dispatch number: a message of the lost run that still turns up is void.
        waiting = self._consumer.lose(job, dispatch=job.dispatch + 1)
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

    def _message_lost(self, job: Job) -> bool:
        """Tell whether a waiting job's message can't be in its queue: the queue is empty, or it is very late."""
        if now_ms() - job.updated_at > _PATIENCE_MS:
            return True
        if job.queue not in self._empty:
            self._empty[job.queue] = self.queues.depth(job.queue).total == 0
        return self._empty[job.queue]

    def _dispatch(self, job: Job) -> None:
        send_or_leave(self.store, self.queues, job)
