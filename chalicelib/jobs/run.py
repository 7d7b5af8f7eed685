"""One run of a job, as its task sees it: what to work on, a way to report, a way to publish."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chalicelib.aws.expressions import Write
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import Table, TransactionFailed
from chalicelib.errors import StaleRun, Unavailable
from chalicelib.jobs.job import Job
from chalicelib.jobs.states import PERCENT, Stage, State
from chalicelib.jobs.store import JobStore, RunToken, success

_PUBLISH_TRIES = 12


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
    writes: Sequence[Write] = ()
    warnings: Sequence[str] = ()


class Run:
    """Handed to a task. Not thread-safe; lives in the process that does the work."""

    def __init__(
        self, job: Job, *, table: Table, objects: Objects, folder: Path, report: Callable[[Progress], None]
    ) -> None:
        self.job = job
        self.token = RunToken(job_id=job.job_id, attempt=job.attempt, run=job.run)
        self.table = table
        self.objects = objects
        # Private temporary folder, removed after the run.
        self.folder = folder
        self._report = report
        self._percent = 0

    def progress(self, stage: Stage, message: str, *, share: float = 0.0) -> None:
        """Report a stage; `share` (0 to 1) of the way to the next one. Never goes back."""
        start = PERCENT.get(stage, 1)
        later = [percent for percent in PERCENT.values() if percent > start]
        end = min(later, default=99)
        percent = int(start + (end - start) * min(1.0, max(0.0, share)))
        self._percent = max(self._percent, min(99, percent))
        self._report(Progress(stage=stage, message=message, percent=self._percent))

    def publish(self, build: Callable[[], Publication]) -> None:
        """Publish what `build` returns together with SUCCESS, in one transaction.

        `build` is called again when another writer changed what it had read (a cluster's sum, say), so it must
        read afresh and have no effects of its own. Raise StaleRun if this run no longer holds its job.
        """
        for attempt in range(_PUBLISH_TRIES):
            publication = build()
            done = success(self.token, result=publication.result, warnings=list(publication.warnings))
            try:
                self.table.transact([done, *publication.writes])
            except TransactionFailed as error:
                if 0 in error.failed:
                    return self._already_published()
                time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 6)))  # noqa: S311
            else:
                return None
        raise Unavailable("The library was too busy to publish the document.")

    def _already_published(self) -> None:
        """Our own transaction may have gone through although its answer was lost; else we are stale."""
        job = JobStore(self.table).find(self.job.job_id)
        if job is None or job.state != State.SUCCESS or job.run != self.token.run:
            raise StaleRun("This run no longer holds its job.")
