"""What jobs and documents look like from outside."""

from __future__ import annotations

from typing import Any

from chalicelib.jobs.job import Job, isoformat, now_ms
from chalicelib.jobs.states import TERMINAL, State
from chalicelib.library.documents import Document

_LIST_TIME_LIMIT = 30


def job_envelope(job: Job) -> dict[str, Any]:
    """Return a job's status: the replaced API's keys, and more."""
    meta: dict[str, Any] = {"stage": job.stage, "message": job.message, "percent": job.percent}
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


def retry_after(job: Job) -> int:
    """Return after how many seconds to ask again: soon at first, then a tenth of the time gone by."""
    if job.state in TERMINAL:
        return 0
    waited = (now_ms() - (job.started_at or job.created_at)) / 1000
    return min(_LIST_TIME_LIMIT, max(1, round(waited / 10)))


def etag(job: Job) -> str:
    """Return a tag that changes with everything that the envelope shows."""
    return f'"{job.state}-{job.attempt}-{job.percent}-{job.updated_at}"'


def document_envelope(document: Document, *, cluster_name: str) -> dict[str, Any]:
    """Return a document without its text."""
    return {
        "doc_id": document.doc_id,
        "job_id": document.job_id,
        "title": document.title,
        "filename": document.filename,
        "source_type": document.source_type,
        "language": document.language,
        "concepts": document.concepts,
        "primary_topic": document.primary_topic,
        "cluster_id": document.cluster_id,
        "cluster_name": cluster_name,
        "skill_level": document.skill_level,
        "method": document.method,
        "characters": document.characters,
        "words": document.words,
        "pages": document.pages,
        "created_at": isoformat(document.created_at),
    }
