"""Answers about jobs, batches and webhooks."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from chalicelib.api.answers.base import Count, Id, Moment, Percent, Problem
from chalicelib.jobs.states import Stage, State


class Progress(Struct, forbid_unknown_fields=True, kw_only=True):
    """How far a job is."""

    # What it does or waits for.
    stage: Stage
    # The same in words.
    message: str
    percent: Percent
    # Why it failed.
    error: str | UnsetType = UNSET


class JobStatus(Struct, forbid_unknown_fields=True, kw_only=True):
    """A job as it stands."""

    job_id: Id
    state: State
    meta: Progress
    # What came of it; which keys it has depends on the task.
    result: dict[str, Any] | None
    task: str
    # File name or link.
    filename: str
    # Runs so far.
    attempt: Count
    # What a user should know although it went well.
    warnings: list[str]
    created_at: Moment
    updated_at: Moment
    # When its last attempt began: an archive's lasts until its files are read.
    started_at: Moment | None
    finished_at: Moment | None
    # Why it failed, or why it will be tried again.
    error: Problem | UnsetType = UNSET


class AcceptedJob(JobStatus, forbid_unknown_fields=True, kw_only=True):
    """A job that is going to be worked on."""

    # Where to ask how it stands; also in the header Location.
    status_url: str


class UploadForm(Struct, forbid_unknown_fields=True, kw_only=True):
    """A form to post the file with: `fields`, then `file`, as multipart/form-data, without the token."""

    url: str
    fields: dict[str, str]
    max_bytes: Count
    expires_at: Moment


class AcceptedUpload(AcceptedJob, forbid_unknown_fields=True, kw_only=True):
    """A job that waits for its file."""

    upload: UploadForm


class TimelineEntry(Struct, forbid_unknown_fields=True, kw_only=True):
    """A transition of a job."""

    state: State
    at: Moment
    attempt: Count
    note: str


class Cost(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a job's last run cost on AWS, by a price table."""

    # Requests by kind.
    requests: dict[str, float]
    gb_seconds: float
    dollars: float


class JobDetails(JobStatus, forbid_unknown_fields=True, kw_only=True):
    """All that is told of one job."""

    timeline: list[TimelineEntry]
    queue: str
    worker: str | None
    cost: Cost | None
    batch_id: Id | None
    # Where its end is reported to.
    webhook: str | None
    # When a finished job is forgotten.
    expires_at: Moment | None


class JobPage(Struct, forbid_unknown_fields=True, kw_only=True):
    """A page of jobs; a short or empty one may have a next one."""

    jobs: list[JobStatus]
    next_cursor: str | None


class NotRetried(Struct, forbid_unknown_fields=True, kw_only=True):
    """A job that could not be started over."""

    job_id: Id
    error: Problem


class RetriedJobs(Struct, forbid_unknown_fields=True, kw_only=True):
    """What became of many."""

    retried: list[Id]
    errors: list[NotRetried]
    next_cursor: str | None


# --- Batches -------------------------------------------------------------------------------------------------


class BatchJob(Struct, forbid_unknown_fields=True, kw_only=True):
    """The job of one item, with the item's name: `filename` of a file, `url` of a link."""

    job_id: Id
    filename: str | UnsetType | None = UNSET
    url: str | UnsetType | None = UNSET


class ItemError(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is wrong with one item."""

    # Its place in the request, from 0.
    index: Count
    error: Problem
    filename: str | UnsetType | None = UNSET
    url: str | UnsetType | None = UNSET


class AcceptedBatch(Struct, forbid_unknown_fields=True, kw_only=True):
    """A batch that is going to be worked on."""

    batch_id: Id
    jobs: list[BatchJob]
    errors: list[ItemError]
    # Where to ask how it stands; also in the header Location.
    batch_url: str


class BatchStatus(Struct, forbid_unknown_fields=True, kw_only=True):
    """A batch as it stands."""

    batch_id: Id
    # Mean of its jobs; an ended one counts as 100.
    percent: Percent
    # Jobs by state.
    counts: dict[State, int]
    jobs: list[JobStatus]
    errors: list[ItemError]
    created_at: Moment
    expires_at: Moment | None


class CancelledBatch(Struct, forbid_unknown_fields=True, kw_only=True):
    """What cancelling a batch did, in jobs."""

    batch_id: Id
    # Ended at once.
    cancelled: Count
    # Asked to stop.
    stopping: Count
    # Had ended before.
    ended: Count


class Webhook(Struct, forbid_unknown_fields=True, kw_only=True):
    """Where the end of jobs is reported to by default, and the secret that signs all deliveries."""

    url: str | None
    secret: str
