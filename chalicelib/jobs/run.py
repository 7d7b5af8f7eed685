"""One run of a job, as its task sees it: what to work on, a way to report, a way to publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chalicelib.aws.expressions import Act, Update
from chalicelib.aws.objects import IN_ROWS, Objects
from chalicelib.aws.table import Table, TransactionFailed
from chalicelib.errors import Cancelled, StaleRun, SyncBoardError, TransientError
from chalicelib.jobs import cost, counters
from chalicelib.jobs.checkpoint import JobCheckpoint
from chalicelib.jobs.job import Job
from chalicelib.jobs.states import Stage, State, span
from chalicelib.jobs.store import JobStore
from chalicelib.jobs.transitions import success, transact_patiently
from chalicelib.logs import logger


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is."""

    stage: str
    message: str
    # 0 to 99; 100 comes with SUCCESS only.
    percent: int


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What a run makes visible when it ends well: all of it, or nothing."""

    # The job's result, for its owner.
    result: dict[str, Any]
    # Document, sums, counters: at most 99 writes.
    writes: Sequence[Act] = ()
    warnings: Sequence[str] = ()


class Run:
    """Handed to a task. Not thread-safe; lives in the process that does the work."""

    def __init__(
        self,
        job: Job,
        *,
        table: Table,
        objects: Objects,
        folder: Path,
        report: Callable[[Progress], None],
        seconds: float = float("inf"),
    ) -> None:
        self.job = job
        self.table = table
        self.objects = objects
        # Private temporary folder, removed after the run.
        self.folder = folder
        # What earlier runs of the job have done already.
        self.checkpoint = JobCheckpoint(objects, job)
        # How many light jobs share what this one needs; 0: it is alone.
        self.together = 0
        self._report = report
        self._end = time.monotonic() + seconds
        # A job that was handed over goes on where it was.
        self._percent = job.percent
        self._kept: list[str] = []

    def seconds_left(self) -> float:
        """Return how long this run may go on before it is told to stop."""
        return self._end - time.monotonic()

    @property
    def percent(self) -> int:
        """How far the job is by now, in percent."""
        return self._percent

    def progress(self, stage: Stage, message: str, *, share: float = 0.0) -> None:
        """Report a stage; `share` (0 to 1) of the way to the next one. Never goes back."""
        start, end = span(stage)
        percent = int(start + (end - start) * min(1.0, max(0.0, share)))
        self._percent = max(self._percent, min(99, percent))
        self._report(Progress(stage=stage, message=message, percent=self._percent))

    def publish(self, build: Callable[[], Publication]) -> None:
        """Publish what `build` returns together with SUCCESS, in one transaction.

        `build` is called again when another writer changed what it had read (a cluster's sum, say), so it must
        read afresh and have no effects of its own. Raise StaleRun if this run no longer holds its job.
        """

        def writes() -> list[Act]:
            publication = build()
            return [self.success(publication), counters.ended(self.job, State.SUCCESS), *publication.writes]

        # From here until the answer is known nothing may be discarded: the transaction may have gone through.
        kept, self._kept = self._kept, []
        try:
            transact_patiently(self.table, writes)
        except TransactionFailed:
            try:
                self._judge_refusal()
            except SyncBoardError:
                self._kept = kept
                raise

    def success(self, publication: Publication) -> Update:
        """Build the write that ends this run's job in SUCCESS, with what it has cost by now."""
        return success(
            self.job,
            result=publication.result,
            warnings=list(publication.warnings),
            cost=cost.of_run(self.job, together=self.together, writes=publication.writes),
            leftovers=self.checkpoint.used,
        )

    def _judge_refusal(self) -> None:
        """Our own transaction may have gone through although its answer was lost; else cancelled, or stale."""
        job = JobStore(self.table).find(self.job.job_id)
        if job is None or job.run != self.job.run:
            raise StaleRun("This run no longer holds its job.")
        if job.state is State.PROCESSING and job.cancel:
            raise Cancelled("The job was cancelled.")
        if job.state is not State.SUCCESS:
            raise StaleRun("This run no longer holds its job.")

    def keep(self, key: str, data: bytes) -> None:
        """Store what nobody sees until it is published; it is deleted if this run does not publish."""
        self._kept.append(key)
        kind = "application/json" if key.endswith(".json") else "text/plain; charset=utf-8"
        self.objects.put(key, data, content_type=kind)

    def keep_small(self, key: str, data: bytes) -> str:
        """Do the same where no link is wanted to what is small; return the key under which it is."""
        self._kept += [key, IN_ROWS + key]
        stored = self.objects.put_small(key, data)
        self._kept.remove(key if stored != key else IN_ROWS + key)
        return stored

    def entrust(self) -> Callable[[], None]:
        """Leave what this run kept to whoever follows up on its job's end; return what takes that back.

        For what must not be deleted by itself: it tells what else has to be taken back (`Task.withdrawal`).
        """
        kept, self._kept = self._kept, []

        def take_back() -> None:
            self._kept = [*kept, *self._kept]

        return take_back

    def discard(self) -> None:
        """Delete what this run kept and did not publish. What can't be deleted now, the sweeper finds."""
        for key in self._kept:
            try:
                self.objects.delete(key)
            except TransientError:
                logger.warning("leftover not deleted", extra={"key": key, "job_id": self.job.job_id})
