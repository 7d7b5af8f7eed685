"""A lease that is over: its run is lost, and its job starts again, or ends when no attempt is left."""

from __future__ import annotations

from chalicelib import settings
from chalicelib.errors import WorkerLost
from chalicelib.jobs.ending import Ending
from chalicelib.jobs.job import CHECK_AFTER_MS, Job, now_ms
from chalicelib.jobs.states import Stage
from chalicelib.jobs.store import JobStore
from chalicelib.jobs.transitions import RunToken
from chalicelib.logs import logger
from chalicelib.tasks.registry import TASKS


def max_attempts(job: Job) -> int:
    """Return how many attempts a job has: its task's, else the settings'."""
    return TASKS[job.task].max_attempts or settings.get().max_attempts


def lose(store: JobStore, ending: Ending, job: Job, *, dispatch: int) -> Job | None:
    """End a run whose lease is over: RETRY under `dispatch` (returned), or FAILURE without an attempt left (None).

    Raise Refused where the job moved on meanwhile.
    """
    token = RunToken.of(job)
    if job.attempt >= max_attempts(job):
        lost = WorkerLost(f"The process that worked on this died, {job.attempt} times.")
        ending.after(store.fail(job, lost.as_dict(), token=token))
        return None
    logger.warning("lease lost", extra={"job_id": job.job_id, "attempt": job.attempt, "was": job.worker})
    return store.retry(
        token,
        dispatch=dispatch,
        check_at=now_ms() + CHECK_AFTER_MS,
        stage=Stage.QUEUED,
        message="The worker was lost; starting again",
        error=None,
    )
