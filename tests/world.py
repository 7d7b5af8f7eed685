"""An owner who has one of everything, each with a word in it that nobody else has."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib import services
from chalicelib.jobs.batches import Batch, Batches
from chalicelib.jobs.job import Job, new_id, now_ms
from chalicelib.jobs.search import lifetime
from chalicelib.jobs.store import JobStore
from chalicelib.jobs.submission import Submission, Wishes
from chalicelib.jobs.transitions import Lease
from chalicelib.jobs.webhooks import Webhooks
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Documents
from chalicelib.tasks.refresh_analytics import refresh_analytics
from tests.unit.libraries import Library, prose


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner has."""

    owner: str
    # In every name and text of it.
    word: str
    # Ids of jobs that wait, run, have failed, in this order.
    jobs: list[str]
    batches: list[str]
    # Two that are alike, and one that is not.
    documents: list[str]
    clusters: list[str]

    @property
    def ids(self) -> list[str]:
        """Every id."""
        return [*self.jobs, *self.batches, *self.documents, *self.clusters]

    def tells(self, answer: bytes) -> bool:
        """Whether an answer gives anything of it away."""
        text = answer.decode(errors="replace")
        return any(secret in text for secret in (self.word, *self.ids))


def make_world(owner: str, word: str) -> World:
    """Give an owner one of everything, by the code that makes it in the service."""
    table, objects = services.table(), services.objects()
    library = Library(owner)
    library.table, library.objects = table, objects  # type: ignore[assignment]
    text = f"{word} {prose(1)}"
    documents = [library.add(text, title=f"{word} {number}")["doc_id"] for number in range(2)]
    documents.append(library.add(f"{word} {prose(2)}", title=f"{word} {word}")["doc_id"])
    Webhooks(table, owner).put(f"https://{word}.example.com/hook")
    jobs = [_job(owner, word) for _ in range(3)]
    store = JobStore(table)
    lease = Lease(dispatch=1, run="r", worker="w", until=now_ms() + 3_600_000)
    store.take(jobs[1].job_id, lease)
    store.fail(jobs[2], {"type": "broken_file", "message": f"{word} broke.", "retryable": False})
    library.task("refresh_analytics", refresh_analytics, params={"owner": owner})
    return World(
        owner=owner,
        word=word,
        jobs=[job.job_id for job in jobs],
        batches=[_batch(owner, word)],
        documents=documents,
        clusters=_named_clusters(owner, word, documents),
    )


def _job(owner: str, word: str, **wishes: Any) -> Job:
    made = Submission(services.table(), services.queues(), services.objects(), owner=owner, ids=new_id)
    return made.inline(f"{word}.md", f"# {word}".encode(), Wishes(**wishes))


def _batch(owner: str, word: str) -> str:
    batch_id, now = new_id(), now_ms()
    jobs = [_job(owner, word, batch_id=batch_id).job_id for _ in range(2)]
    batch = Batch(batch_id=batch_id, owner=owner, job_ids=jobs, created_at=now, expires_at=lifetime(now))
    Batches(services.table(), owner).save(batch)
    return batch_id


def _named_clusters(owner: str, word: str, documents: list[str]) -> list[str]:
    there = Documents(services.table(), owner).find_many(documents)
    found = sorted({document.cluster_id for document in there.values()})
    for cluster_id in found:
        Clusters(services.table(), owner).rename(cluster_id, f"{word} topic")
    return found
