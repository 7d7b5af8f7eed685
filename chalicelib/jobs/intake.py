"""Uploads that arrive: an S3 event names a key; its job starts, exactly once.

Three facts of S3 that this survives: `s3:TestEvent` comes first; one presigned form can be used several times
(several events, several versions; the first that is seen counts); events come late, twice, or for strangers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

import msgspec

from chalicelib.aws.objects import Objects
from chalicelib.aws.queues import Queues
from chalicelib.aws.table import Table
from chalicelib.errors import PermanentError, UploadMissing
from chalicelib.ingest.content import HEAD_BYTES, sniff
from chalicelib.ingest.formats import queue_for
from chalicelib.jobs.dispatch import send_or_leave
from chalicelib.jobs.ending import Ending
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.job import CHECK_AFTER_MS, Job, now_ms
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.jobs.submission import source_params
from chalicelib.logs import logger

_KEY = re.compile(r"uploads/(?P<job_id>[0-9a-z]{26})/[\w-]+")


class _Object(msgspec.Struct):
    key: str
    versionId: str | None = None


class _Entity(msgspec.Struct):
    object: _Object


class _Record(msgspec.Struct):
    s3: _Entity


class _Event(msgspec.Struct):
    # Absent in `s3:TestEvent`.
    Records: list[_Record] = []


def arrivals(body: str) -> Iterator[tuple[str, str | None]]:
    """Yield (key, version) of each object that an S3 event names; none for a test event. Raise DecodeError."""
    for record in msgspec.json.decode(body, type=_Event).Records:
        yield unquote_plus(record.s3.object.key), record.s3.object.versionId


class Intake:
    """Starts jobs whose upload came."""

    def __init__(self, table: Table, queues: Queues, objects: Objects) -> None:
        self.table = table
        self.store = JobStore(table)
        self.ending = Ending(table, queues, objects)
        self.queues = queues
        self.objects = objects

    def handle(self, body: str) -> None:
        """Handle one message of the intake queue. What names no waiting job of ours is dropped with a log line."""
        for key, version in arrivals(body):
            match = _KEY.fullmatch(key)
            job = self.store.find(match["job_id"]) if match else None
            if job is None or job.params.get("source") != key:
                logger.warning("upload for no job", extra={"key": key})
                continue
            # A job that was ended while it waited still names the stage at which it ended.
            if job.state is State.PENDING and job.stage == Stage.AWAITING_UPLOAD:
                self.start(job, version=version)

    def start(self, job: Job, *, version: str | None = None) -> bool:
        """Start an awaited job if its object is there; tell whether it is."""
        key = job.params["source"]
        try:
            head = self.objects.head(key, version=version)
            first = self.objects.get(key, version=head.version, first=HEAD_BYTES)
        except UploadMissing:
            return False
        try:
            self._start(job, key, head.version, head.size, first)
        except Refused:
            logger.info("upload came again", extra={"job_id": job.job_id})
        return True

    def _start(self, job: Job, key: str, version: str | None, size: int, first: bytes) -> None:
        try:
            content = sniff(first, filename=job.filename, size=size)
            queue = queue_for(content.kind)
        except PermanentError as error:
            self.ending.after(self.store.fail(job, error.as_dict()))
            return
        place = Window(self.table, self.queues, job.owner).place(job.job_id)
        waiting = self.store.arrive(
            job,
            fields={
                **place,
                "queue": queue,
                "params": {**job.params, **source_params(key, version, size, content)},
            },
            check_at=now_ms() + CHECK_AFTER_MS,
        )
        if waiting.stage == Stage.QUEUED:
            send_or_leave(self.store, self.queues, waiting)
