"""What follows the end of a job, whoever ended it: room for the next one, the webhook, leftovers removed.

Everything here may happen twice or be cut short: entering and leaving a window are idempotent, a webhook's
delivery has an id that derives from its job's, and the sweeper comes back to rows that are still watched.
"""

from __future__ import annotations

from chalicelib.aws.objects import Objects
from chalicelib.aws.queues import Queues
from chalicelib.aws.table import Table
from chalicelib.jobs.dispatch import send_or_leave
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.job import Job, published_ids, text_prefix, text_stem
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.jobs.webhooks import delivery_job


class Ending:
    """Follows up on ended jobs."""

    def __init__(self, table: Table, queues: Queues, objects: Objects) -> None:
        self.table = table
        self.queues = queues
        self.objects = objects
        self.store = JobStore(table)

    def after(self, job: Job) -> None:
        """Do what follows the end of `job`, given as it stands now."""
        Window(self.table, self.queues, job.owner).leave(job.job_id)
        if not job.check_at:
            return  # its last transition knew that nothing must follow
        if job.webhook:
            self._deliver(job)
        if job.attempt:
            self.remove_leftovers(job)
        self.store.unwatch(job)

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
        published = tuple(text_stem(job, doc_id) for doc_id in published_ids(job))
        for key in self.objects.keys(text_prefix(job.job_id)):
            if not key.startswith(published):
                self.objects.delete(key)
