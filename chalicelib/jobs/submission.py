"""How a job begins: bytes stored, row written, message sent; only then is the caller told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from chalicelib import settings
from chalicelib.aws.objects import SMALL_BYTES, Objects, PresignedPost
from chalicelib.aws.queues import Queues
from chalicelib.aws.table import Table
from chalicelib.errors import EmptyFile, TooLarge
from chalicelib.ingest.content import HEAD_BYTES, ContentType, sniff
from chalicelib.ingest.filename import safe_filename
from chalicelib.ingest.formats import MEDIA, queue_for
from chalicelib.jobs import search
from chalicelib.jobs.dispatch import send_or_leave
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.idempotency import NewId
from chalicelib.jobs.job import Job, new_id, now_ms, waiting_job
from chalicelib.jobs.states import Stage
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.media.sites import is_media_site, is_stream
from chalicelib.settings import MB
from chalicelib.tasks.registry import TASKS

# An upload that began in time may end this much later.
_UPLOAD_GRACE_MS = 3_600_000


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A job that waits for its file, and the form that takes it."""

    job: Job
    form: PresignedPost
    expires_at: int


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller may ask for beside the work itself."""

    # Opens an encrypted file.
    password: str | None = None
    # Make a document even of bytes that the owner has one of already.
    force: bool = False
    # Where to report the end.
    webhook: str = ""
    # The batch that it is part of.
    batch_id: str = ""
    # What the owner says of a picture; becomes part of its text.
    description: str = ""

    def params(self) -> dict[str, object]:
        """Return what the task must know of them."""
        described = {"description": self.description} if self.description else {}
        return {**({"force": True} if self.force else {}), **described}


class Source(NamedTuple):
    """Where a file's bytes are."""

    key: str
    # Of a bucket that keeps versions.
    version: str | None


class Submission:
    """Makes jobs for one owner. With `ids` derived from an idempotency key, the same request makes the same jobs."""

    def __init__(
        self, table: Table, queues: Queues, objects: Objects, *, owner: str, ids: NewId = new_id
    ) -> None:
        self.store = JobStore(table)
        self.window = Window(table, queues, owner)
        self.queues = queues
        self.objects = objects
        self.owner = owner
        self.ids = ids

    def inline(self, filename: str, body: bytes, wishes: Wishes = Wishes()) -> Job:  # noqa: B008 (frozen)
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

        return self._stored(name, len(body), content, wishes, lambda key: self._put(key, body, content))

    def file(self, filename: str, path: Path, content: ContentType, wishes: Wishes) -> Job:
        """Take a file on this machine's disk, whose type is known; return its waiting job.

        Raise UnsupportedType, EmptyFile, TooManyRequests or Unavailable.
        """

        size = path.stat().st_size

        def store(key: str) -> Source:
            if size <= SMALL_BYTES:
                return self._put(key, path.read_bytes(), content)
            return Source(key, self.objects.upload(key, path, content_type=content.mime))

        return self._stored(safe_filename(filename), size, content, wishes, store)

    def upload(
        self,
        filename: str,
        size: int,
        *,
        content_type: str,
        wishes: Wishes = Wishes(),  # noqa: B008 (frozen)
    ) -> Upload:
        """Make a job that waits for its file; the upload itself will start it."""
        config = settings.get()
        if size > config.max_upload_bytes:
            raise TooLarge(
                f"A file may have at most {config.max_upload_bytes // MB} MB here.",
                limit_bytes=config.max_upload_bytes,
            )
        job_id = self.ids()
        # The second id makes the key unguessable; the first binds it to its job, and so to its owner.
        key = f"uploads/{job_id}/{self.ids()}"
        form = self.objects.presign_post(
            key, content_type=content_type, max_bytes=size, seconds=config.upload_seconds
        )
        job = self._row(
            job_id, "process_file_upload", queue="uploads", filename=safe_filename(filename), wishes=wishes
        )
        expires_at = job.created_at + config.upload_seconds * 1000
        job = msgspec.structs.replace(
            job,
            stage=Stage.AWAITING_UPLOAD,
            message="Waiting for the upload",
            params={**job.params, "source": key},
            check_at=expires_at + _UPLOAD_GRACE_MS,
        )
        there = self._made_before(job_id)
        if there is None:
            self._create(job)
        return Upload(job=there or job, form=form, expires_at=expires_at)

    def link(self, url: str, wishes: Wishes = Wishes()) -> Job:  # noqa: B008 (frozen)
        """Take a link; return its waiting job."""
        queue = MEDIA if is_media_site(url) or is_stream(url) else ""
        return self.task("process_url_upload", filename=url, params={"url": url}, wishes=wishes, queue=queue)

    def task(
        self,
        name: str,
        *,
        filename: str = "",
        params: dict[str, object] | None = None,
        wishes: Wishes = Wishes(),  # noqa: B008 (frozen)
        queue: str = "",
    ) -> Job:
        """Make a job of a task that needs no file, on its own queue or on `queue`; return it waiting."""
        job_id = self.ids()
        if there := self._made_before(job_id):
            return there
        place = self.window.place(job_id)
        job = self._row(job_id, name, queue=queue or TASKS[name].queue, filename=filename, wishes=wishes)
        return self._submit(msgspec.structs.replace(job, **place, params={**job.params, **(params or {})}))

    def _stored(
        self,
        filename: str,
        size: int,
        content: ContentType,
        wishes: Wishes,
        store: Callable[[str], Source],
    ) -> Job:
        """Make the job of a file that is at hand: `store` puts it under a key that raises no event."""
        queue = queue_for(content.kind)
        job_id = self.ids()
        if there := self._made_before(job_id):
            return there
        place = self.window.place(job_id)
        source = store(f"inline/{job_id}/source")
        job = self._row(job_id, "process_file_upload", queue=queue, filename=filename, wishes=wishes)
        params = {**job.params, **source_params(source.key, source.version, size, content)}
        return self._submit(msgspec.structs.replace(job, **place, params=params))

    def _put(self, key: str, body: bytes, content: ContentType) -> Source:
        """Store a file's bytes: small ones where they cost least, for as long as a job may need them."""
        if len(body) <= SMALL_BYTES:
            return Source(self.objects.put_small(key, body, expires_at=search.lifetime(now_ms())), None)
        return Source(key, self.objects.put(key, body, content_type=content.mime))

    def _made_before(self, job_id: str) -> Job | None:
        """Return the job that an earlier, identical request made."""
        return self.store.find(job_id) if self.ids is not new_id else None

    def _submit(self, job: Job) -> Job:
        """Row first, then message."""
        try:
            self._create(job)
        except Refused as refusal:
            if refusal.job is None or refusal.job.owner != self.owner:
                raise
            # The identical request got there first, or this very write did and its answer was lost.
            if self.ids is not new_id:
                return refusal.job
        if job.stage == Stage.QUEUED:
            send_or_leave(self.store, self.queues, job)
        return job

    def _create(self, job: Job) -> None:
        """Write the words by which the job is found, then its row: words without a row do no harm."""
        self.store.table.put_many(search.entries(job))
        self.store.create(job)

    def _row(self, job_id: str, task: str, *, queue: str, filename: str, wishes: Wishes) -> Job:
        return waiting_job(
            job_id,
            owner=self.owner,
            task=task,
            queue=queue,
            params=wishes.params(),
            password=wishes.password or "",
            webhook=wishes.webhook,
            batch_id=wishes.batch_id,
            filename=filename,
        )


def source_params(key: str, version: str | None, size: int, content: ContentType) -> dict[str, object]:
    """Return what a task must know of its file."""
    return {
        "source": key,
        "version": version,
        "size": size,
        "content": msgspec.to_builtins(content),
    }
