"""Counters: what happened, per minute and task, as items; written in the transaction that ends the job.

Sharded by job id, because every job of a minute adds to them. They outlive the jobs they count.
"""

from __future__ import annotations

from datetime import UTC, datetime

from chalicelib.aws.expressions import Update
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.states import State

SHARDS = 4


def ended(job: Job, state: State) -> Update:
    """Build the write that counts the end of `job` (as it was when it was taken) in `state`.

    Adds: jobs by state, executions (of a job that ran at least one), time waited and run in ms, and a histogram of
    run times in powers of two.
    """
    now = now_ms()
    moment = datetime.fromtimestamp(now / 1000, UTC)
    shard = int(job.job_id[-2], 36) % SHARDS
    add: dict[str, int | float] = {state: 1, "executions": job.attempt}
    if job.started_at:
        run_ms = max(0, now - job.run_since)
        add |= {
            "executions": max(1, job.attempt),  # what was given back or put off is not counted there
            "run_ms": run_ms,
            "wait_ms": max(0, job.started_at - job.created_at),
            f"run_2^{run_ms.bit_length()}": 1,
        }
    return Update(key=(f"STATS#{moment:%Y-%m-%d}", f"{moment:%H:%M}#{job.task}#{shard}"), add=add)
