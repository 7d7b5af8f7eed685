"""What follows the end of a job, whoever ended it: room for the next one, the webhook, leftovers removed, and the
jobs that it has started (the files of an archive) cancelled unless it ended well.

Everything here may happen twice or be cut short: entering and leaving a window are idempotent, a webhook's
delivery has an id that derives from its job's, and the sweeper comes back to rows that are still watched.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

from chalicelib import metrics
from chalicelib.aws.objects import IN_ROWS, Objects
from chalicelib.aws.queues import Queues
from chalicelib.aws.table import Table
from chalicelib.errors import Conflict
from chalicelib.jobs.batches import Batches
from chalicelib.jobs.control import Control
from chalicelib.jobs.dispatch import send_or_leave
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.job import Job, published_ids, text_prefix, text_stem
from chalicelib.jobs.states import TERMINAL, State
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.jobs.webhooks import delivery_job
from chalicelib.tasks.registry import TASKS

# An owner waits for the answer while this is done; an API's answer may take 29 s.
_CANCEL_SECONDS: Final = 10.0


class Ending:
    """Follows up on ended jobs."""

    def __init__(self, table: Table, queues: Queues, objects: Objects) -> None:
        self.table = table
        self.queues = queues
        self.objects = objects
        self.store = JobStore(table)

    def after(self, job: Job) -> None:
        """Do what follows the end of `job`, given as it stands now."""
        metrics.jobs_ended([job])
        Window(self.table, self.queues, job.owner).leave(job.job_id)
        if not job.check_at:
            return  # its last transition knew that nothing must follow
        if job.webhook:
            self._deliver(job)
        if job.may_have_run:
            self.remove_leftovers(job)
            if job.state is not State.SUCCESS and not self._cancel_children(job):
                return  # still watched: the sweeper goes on
        self.store.unwatch(job)

    def _cancel_children(self, job: Job) -> bool:
        """Cancel the jobs that `job` has started and that have not ended; False where the time did not suffice.

        The newest first, as `Batches.cancel` does.
        """
        batch = Batches(self.table, job.owner).find(job.job_id)
        if batch is None:
            return True
        control = Control(self.table, self.queues, self)
        deadline = time.monotonic() + _CANCEL_SECONDS
        children = self.store.find_many(batch.job_ids, consistent=True)
        for child in (children[job_id] for job_id in reversed(batch.job_ids) if job_id in children):
            if time.monotonic() > deadline:
                return False
            if child.state not in TERMINAL:
                with suppress(Conflict):  # it ended this very moment
                    control.cancel(child)
        return True

    def _deliver(self, job: Job) -> None:
        """Make the job that posts the webhook: once, for its id derives from this job's."""
        delivery = delivery_job(job, job.webhook)
        try:
            self.store.create(delivery)
        except Refused:
            return
        send_or_leave(self.store, self.queues, delivery)

    def remove_leftovers(self, job: Job) -> None:
        """Delete what runs of a job wrote and did not publish: a killed run can't do it itself."""
        stems = [text_stem(job, doc_id) for doc_id in published_ids(job)]
        published = (*stems, *(IN_ROWS + stem for stem in stems))
        withdraw = TASKS[job.task].load_withdrawal()
        for key in self.objects.keys_of(text_prefix(job.job_id)):
            if not key.startswith(published):
                # It goes last: it alone tells what else there is.
                withdraw(self.table, self.objects, job.owner, key)
                self.objects.delete(key)
