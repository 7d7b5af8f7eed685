"""One run of a light job, in the process that received its message."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chalicelib.aws.expressions import Act
from chalicelib.aws.objects import Objects
from chalicelib.aws.queues import Received
from chalicelib.aws.table import Table
from chalicelib.errors import SyncBoardError
from chalicelib.jobs.cost import METER
from chalicelib.jobs.job import Job
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import State
from chalicelib.jobs.transitions import RunToken
from chalicelib.jobs.workchild import Outcome, failure_of, outcome_of


class LightRun(Run):
    """A run in this very process: what it publishes is collected and published with its batch."""

    def __init__(
        self, job: Job, message: Received, *, table: Table, objects: Objects, together: int = 1
    ) -> None:
        # A light task keeps no files: writing into its folder fails.
        folder = Path(os.devnull)
        super().__init__(job, table=table, objects=objects, folder=folder, report=lambda _progress: None)
        self.message = message
        self.together = together
        self.outcome = Outcome()
        # What to write when it ends, its success first; empty until it has published.
        self.writes: Sequence[Act] = ()
        self._build: Callable[[], Publication] | None = None
        # What its success sets in its row.
        self._success: Mapping[str, Any] = {}
        # The job is out of this run's hands: ended, settled or given back.
        self.over = False

    @property
    def token(self) -> RunToken:
        """What shows that this run holds its job."""
        return RunToken.of(self.job)

    def ended(self) -> Job:
        """Return the job as its success leaves it, for those who count."""
        return msgspec.structs.replace(
            self.job,
            state=State.SUCCESS,
            finished_at=self._success["finished_at"],
            cost=msgspec.json.decode(self._success["cost"]),
        )

    def publish(self, build: Callable[[], Publication]) -> None:
        """Collect what `build` returns, to be published with the batch."""
        self._build = build
        publication = build()
        success = self.success(publication)
        self._success = success.set
        self.writes = [success, *publication.writes]

    def publish_alone(self) -> None:
        """Publish as `Run.publish` does; its error, if any, is in `outcome`."""
        if self._build is None:
            return
        try:
            super().publish(self._build)
        except SyncBoardError as error:
            self.outcome = failure_of(self, error)

    def work(self) -> None:
        """Run the task; its error, if any, is in `outcome`."""
        METER.start()
        self.outcome = outcome_of(self)
