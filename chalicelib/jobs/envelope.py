"""What a job looks like from outside: in answers of the API and in the bodies of webhooks."""

from __future__ import annotations

from typing import Any

from chalicelib.jobs.job import Job, isoformat, now_ms
from chalicelib.jobs.retry import due_text
from chalicelib.jobs.states import State


def job_envelope(job: Job) -> dict[str, Any]:
    """Return a job's status: the replaced API's keys, and more."""
    meta: dict[str, Any] = {"stage": job.stage, "message": _message(job), "percent": job.percent}
    if job.state is State.FAILURE and job.error:
        meta["error"] = job.error["message"]
    envelope = {
        "job_id": job.job_id,
        "state": job.state,
        "meta": meta,
        "result": job.result,
        "task": job.task,
        "filename": job.filename,
        "attempt": job.attempt,
        "warnings": job.warnings,
        "created_at": isoformat(job.created_at),
        "updated_at": isoformat(job.updated_at),
        "started_at": isoformat(job.started_at),
        "finished_at": isoformat(job.finished_at),
    }
    if job.error and job.state in (State.FAILURE, State.RETRY):
        envelope["error"] = job.error
    return envelope


def _message(job: Job) -> str:
    """Return what it says; once the seconds are over after which it is tried again, that it waits for a worker."""
    is_due = job.state is State.RETRY and job.error and 0 < job.due_at <= now_ms()
    return due_text(job.error) if is_due and job.error else job.message
