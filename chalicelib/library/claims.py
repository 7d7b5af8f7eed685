"""Same bytes, same owner: one document. The first job to see a file's bytes claims them.

One item per owner and SHA-256: who works on them, and which document they will be, whose row says whether they are
that by now. Of two jobs at once one waits for the other; if that one fails, the waiting one takes over.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from chalicelib.aws.expressions import Absent, Delete, Equals, Item, Key, Put, Update
from chalicelib.aws.table import ConditionFailed, Table
from chalicelib.errors import RetryAfter
from chalicelib.jobs.job import Job, published_ids
from chalicelib.jobs.states import TERMINAL
from chalicelib.jobs.store import JobStore
from chalicelib.library.documents import document_key, partition

# How long a job waits before it looks again whether the other one is done.
_WAIT_SECONDS = 5.0
_BUSY = "The same file is being worked on already; waiting for it."


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Claims:
    """The claims of one owner, made for one job."""

    def __init__(self, table: Table, owner: str, job_id: str) -> None:
        self.table = table
        self.owner = owner
        self.job_id = job_id

    def claim(self, sha256: str, doc_id: str) -> str | None:
        """Claim bytes for this job, which makes the document `doc_id` of them: None, they are ours.

        Else the id of the document that they are already. Raise RetryAfter while another job works on them.
        """
        pk, sk = self._key(sha256)
        try:
            item: Item = {"pk": pk, "sk": sk, "job_id": self.job_id, "doc_id": doc_id}
            self.table.write(Put(item=item, new=True))
        except ConditionFailed as refusal:
            return self._judge(sha256, refusal.item or {}, doc_id)
        return None

    def release(self, sha256: str, doc_id: str) -> Delete | None:
        """Build the write that frees the bytes of a document that goes; None where they are not its own."""
        there = self.table.get(self._key(sha256))
        if there is None or there.get("doc_id") != doc_id:
            return None
        return Delete(key=self._key(sha256), when=(Equals("doc_id", doc_id),))

    def _judge(self, sha256: str, there: Item, doc_id: str) -> str | None:
        theirs, holder = there.get("doc_id", ""), there.get("job_id", "")
        if self._is_published(theirs):
            return str(theirs)
        if holder != self.job_id:  # else an earlier attempt of this job
            other = JobStore(self.table).find(holder)
            if other is not None and other.state not in TERMINAL:
                raise RetryAfter(_BUSY, _WAIT_SECONDS)
            # It has ended, and with that it is settled whether it has published.
            if self._is_published(theirs):
                return str(theirs)
            if other and (known := self._published_by(other, sha256)):
                return known
        self._take_over(sha256, there, doc_id)
        return None

    def _is_published(self, doc_id: str) -> bool:
        return bool(doc_id) and self.table.get(document_key(self.owner, doc_id)) is not None

    def _published_by(self, job: Job, sha256: str) -> str | None:
        """Return the document of these bytes that a job's result names: a stale run of it may have claimed last."""
        for doc_id in published_ids(job):
            there = self.table.get(document_key(self.owner, doc_id))
            if there and there.get("sha256") == sha256:
                return doc_id
        return None

    def _take_over(self, sha256: str, there: Item, doc_id: str) -> None:
        """The holder failed, or its document is gone: the bytes are ours, if nobody else was quicker."""
        unchanged = Equals("doc_id", there["doc_id"]) if there.get("doc_id") else Absent("doc_id")
        update = Update(
            key=self._key(sha256),
            set={"job_id": self.job_id, "doc_id": doc_id},
            when=(Equals("job_id", there.get("job_id", "")), unchanged),
        )
        try:
            self.table.write(update)
        except ConditionFailed:
            raise RetryAfter(_BUSY, _WAIT_SECONDS) from None

    def _key(self, sha256: str) -> Key:
        return (partition(self.owner), f"HASH#{sha256}")
