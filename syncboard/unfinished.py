"""Jobs of all owners that have not ended: for operators, read from the table itself."""

from __future__ import annotations

from typing import Any, Final

from chalicelib import services
from chalicelib.jobs.job import CHECK_SHARDS, Job
from chalicelib.jobs.states import TERMINAL
from chalicelib.jobs.store import JobStore

# Enough to see what is going on; a table for people is no export.
MOST: Final = 400
# Later than any time at which the sweeper may want to look at a job: all that it watches are read.
_EVER: Final = 10**15


def unfinished() -> list[dict[str, Any]]:
    """Return up to `MOST` jobs that have not ended, the oldest first, as far as an operator is concerned.

    Times in ms since the epoch. Read from the sweeper's index, which holds every job until it has ended.
    """
    store = JobStore(services.table())
    ids = [
        job_id
        for shard in range(CHECK_SHARDS)
        for job_id in store.due(f"CHECK#{shard}", _EVER, limit=MOST // CHECK_SHARDS)
    ]
    jobs = store.find_many(ids).values() if ids else ()
    waiting = [job for job in jobs if job.state not in TERMINAL]
    return [_told(job) for job in sorted(waiting, key=lambda job: job.job_id)]


def _told(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "owner": job.owner,
        "task": job.task,
        "queue": job.queue,
        "filename": job.filename,
        "state": str(job.state),
        "stage": job.stage,
        "message": job.message,
        "percent": job.percent,
        "attempt": job.attempt,
        "worker": job.worker,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "lease_until": job.lease_until,
        "error": job.error,
    }
