"""How a job begins: bytes stored, row written, message sent; only then is the caller told."""

from __future__ import annotations

import secrets

import msgspec

from chalicelib import settings
from chalicelib.aws.objects import Objects, PresignedPost
from chalicelib.aws.queues import Queues
from chalicelib.aws.table import Table
from chalicelib.errors import EmptyFile, TooLarge
from chalicelib.ingest.content import HEAD_BYTES, ContentType, sniff
from chalicelib.ingest.filename import safe_filename
from chalicelib.ingest.formats import queue_for
from chalicelib.jobs.dispatch import CHECK_AFTER_MS, send_or_leave
from chalicelib.jobs.job import Job, check_shard, new_id, now_ms
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.store import JobStore
from chalicelib.settings import MB

# An upload that began in time may end this much later.
_UPLOAD_GRACE_MS = 300_000


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A job that waits for its file, and the form that takes it."""

    job: Job
    form: PresignedPost
    expires_at: int


class Submission:
    """Makes jobs for one owner."""

    def __init__(self, table: Table, queues: Queues, objects: Objects, *, owner: str) -> None:
        self.store = JobStore(table)
        self.queues = queues
        self.objects = objects
        self.owner = owner

    def inline(self, filename: str, body: bytes, *, password: str | None = None) -> Job:
        """Take a small file's bytes as they came with the request; return its waiting job."""
        config = settings.get()
        if not body:
            raise EmptyFile("The file is empty.")
        if len(body) > config.max_inline_bytes:
            raise TooLarge(
                f"A JSON body carries at most {config.max_inline_bytes // MB} MB of file. "
                "Larger files: POST /uploads answers a form to upload to.",
                limit_bytes=config.max_inline_bytes,
                use="POST /uploads",
            )
        name = safe_filename(filename)
        content = sniff(body[:HEAD_BYTES], filename=name, size=len(body))
        job = self._file_job(name, content=content, password=password)
        source = f"inline/{job.job_id}/source"
        version = self.objects.put(source, body, content_type=content.mime)
        params = {**job.params, **source_params(source, version, len(body), content)}
        job = msgspec.structs.replace(job, params=params)
        self.store.create(job)
        send_or_leave(self.store, self.queues, job)
        return job

    def upload(self, filename: str, size: int, *, content_type: str, password: str | None = None) -> Upload:
        """Make a job that waits for its file; the upload itself will start it."""
        config = settings.get()
        if size > config.max_upload_bytes:
            raise TooLarge(
                f"A file may have at most {config.max_upload_bytes // MB} MB here.",
                limit_bytes=config.max_upload_bytes,
            )
        job = self._file_job(safe_filename(filename), content=None, password=password)
        # The random part makes the key unguessable; the job id binds it to its owner.
        key = f"uploads/{job.job_id}/{secrets.token_urlsafe(16)}"
        form = self.objects.presign_post(
            key, content_type=content_type, max_bytes=size, seconds=config.upload_seconds
        )
        expires_at = job.created_at + config.upload_seconds * 1000
        self.store.create(
            msgspec.structs.replace(
                job, params={**job.params, "source": key}, check_at=expires_at + _UPLOAD_GRACE_MS
            )
        )
        return Upload(job=job, form=form, expires_at=expires_at)

    def _file_job(self, filename: str, *, content: ContentType | None, password: str | None) -> Job:
        """A row for a file: queued where its bytes are known, else awaiting them."""
        now = now_ms()
        job_id = new_id()
        waiting = content is None
        return Job(
            job_id=job_id,
            owner=self.owner,
            task="process_file_upload",
            queue=queue_for(content.kind) if content else "uploads",
            state=State.PENDING,
            stage=Stage.AWAITING_UPLOAD if waiting else Stage.QUEUED,
            message="Waiting for the upload" if waiting else "Waiting for a worker",
            dispatch=0 if waiting else 1,
            params={"password": password} if password else {},
            filename=filename,
            timeline=[[State.PENDING, now, 0, "submitted"]],
            created_at=now,
            updated_at=now,
            check_at=now + CHECK_AFTER_MS,
            check_shard=check_shard(job_id),
        )


def source_params(key: str, version: str | None, size: int, content: ContentType) -> dict[str, object]:
    """Return what a task must know of its file."""
    return {
        "source": key,
        "version": version,
        "size": size,
        "content": msgspec.to_builtins(content),
    }
