"""What jobs and documents look like from outside."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from chalicelib.jobs.batches import Batch, Standing
from chalicelib.jobs.envelope import job_envelope
from chalicelib.jobs.job import Job, isoformat, now_ms
from chalicelib.jobs.states import TERMINAL
from chalicelib.library.documents import Document

__all__ = ["batch_envelope", "document_envelope", "etag", "job_details", "job_envelope", "retry_after"]

# The longest pause between two questions.
_LONGEST_PAUSE = 30


def job_details(job: Job) -> dict[str, Any]:
    """Return all that is told of one job: its envelope, and how it came to this."""
    return {
        **job_envelope(job),
        "timeline": [
            {"state": state, "at": isoformat(at), "attempt": attempt, "note": note}
            for state, at, attempt, note in job.history
        ],
        "queue": job.queue,
        "worker": job.worker or None,
        "cost": job.cost,
        "batch_id": job.batch_id or None,
        "webhook": job.webhook or None,
        "expires_at": isoformat(job.expires_at * 1000),
    }


def batch_envelope(batch: Batch, standing: Standing) -> dict[str, Any]:
    """Return how a batch stands: one figure, counts by state, its jobs."""
    return {
        "batch_id": batch.batch_id,
        "percent": standing.percent,
        "counts": standing.counts,
        "jobs": [job_envelope(job) for job in standing.jobs],
        "errors": batch.errors,
        "created_at": isoformat(batch.created_at),
        "expires_at": isoformat(batch.expires_at * 1000),
    }


def retry_after(job: Job) -> int:
    """Return after how many seconds to ask again: soon at first, then a tenth of the time gone by."""
    if job.state in TERMINAL:
        return 0
    waited = (now_ms() - (job.started_at or job.created_at)) / 1000
    return min(_LONGEST_PAUSE, max(1, round(waited / 10)))


def etag(job: Job) -> str:
    """Return a tag that changes with everything that the envelope shows."""
    shown = msgspec.json.encode(job_envelope(job))
    return f'"{hashlib.sha256(shown).hexdigest()[:20]}"'


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
