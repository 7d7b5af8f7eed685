"""What a job's earlier runs have done: one object in the bucket that outlives process, attempt and hop."""

from __future__ import annotations

from chalicelib.aws.objects import Objects
from chalicelib.jobs.job import Job, text_prefix


class JobCheckpoint:
    """`ingest.reading.Checkpoint` of one job. Removed when the job has ended, with all that was not published."""

    def __init__(self, objects: Objects, job: Job) -> None:
        self._objects = objects
        self._key = f"{text_prefix(job.job_id)}checkpoint"
        # Only a run that follows another one can find something. Deferrals and hops come with a message of their own.
        self._hopeful = job.attempt > 1 or job.dispatch > 1
        # There is one, as far as this run knows.
        self.used = False

    def load(self) -> bytes | None:
        """Return what was saved last, or None."""
        if not (self._hopeful or self.used):
            return None
        data = self._objects.find(self._key)
        self.used = data is not None
        return data

    def save(self, data: bytes) -> None:
        """Replace what was saved. Raise Unavailable."""
        self.used = True
        self._objects.put(self._key, data)
