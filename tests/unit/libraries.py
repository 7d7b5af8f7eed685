"""A library in memory: documents are published, deleted and tidied by the code that does it in the service."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chalicelib.ingest.document import Extracted
from chalicelib.jobs.job import Job, check_shard, new_id, now_ms
from chalicelib.jobs.run import Run
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.store import JobStore
from chalicelib.knowledge.searchwords import question
from chalicelib.library.claims import Claims
from chalicelib.library.removal import Removal
from chalicelib.library.search import Filter, Found, Search
from chalicelib.tasks.find_duplicates import find_duplicates
from chalicelib.tasks.ingestion import publish_document
from chalicelib.tasks.tidy_library import tidy_library
from tests.memory import MemoryObjects, MemoryTable

WORDS = [
    "anchor", "basket", "candle", "dragon", "engine", "falcon", "garden", "hammer", "island", "jacket", "kettle",
    "ladder", "marble", "needle", "orange", "pepper", "quarry", "ribbon", "saddle", "tunnel", "umbrella", "velvet",
    "walnut", "yellow", "zipper", "copper", "silver", "bronze", "timber", "cotton", "leather", "pencil",
]  # fmt: skip


class Library:
    """One owner's library, and ways to do things to it."""

    def __init__(self, owner: str = "ann", world: Library | None = None) -> None:
        self.owner = owner
        self.table: MemoryTable = world.table if world else MemoryTable()
        self.objects: Any = world.objects if world else MemoryObjects()
        self.folder = Path("/nonexistent")

    def job(self, task: str = "process_file_upload", **fields: Any) -> Job:
        """Write the row of a job that is being worked on."""
        job_id, now = new_id(), now_ms()
        job = Job(
            job_id=job_id,
            owner=self.owner,
            task=task,
            queue="uploads",
            state=State.PROCESSING,
            stage=Stage.STARTING,
            attempt=1,
            run="r",
            dispatch=1,
            created_at=now,
            updated_at=now,
            check_at=now,
            check_shard=check_shard(job_id),
            **fields,
        )
        JobStore(self.table).create(job)
        return job

    def run(self, job: Job, **options: Any) -> Run:
        """Return a run of a job that reports to nobody."""
        return Run(
            job, table=self.table, objects=self.objects, folder=self.folder, report=lambda _: None, **options
        )

    def add(
        self, text: str, *, title: str = "Notes", sha256: str | None = None, **extracted: Any
    ) -> dict[str, Any]:
        """Publish a document; return its job's result."""
        job = self.job()
        if sha256:
            assert Claims(self.table, self.owner, job.job_id).claim(sha256) is None
        what = Extracted(
            text=text, title=title, source_type=extracted.pop("source_type", "text"), **extracted
        )
        publish_document(self.run(job), what, filename=f"{title}.txt", sha256=sha256)
        return self.result(job)

    def result(self, job: Job) -> dict[str, Any]:
        """Return what a job has ended with."""
        row = JobStore(self.table).find(job.job_id)
        assert row is not None
        assert row.state is State.SUCCESS
        return row.result or {}

    def delete(self, doc_id: str) -> None:
        """Delete a document."""
        Removal(self.table, self.objects, self.owner).remove(doc_id)

    def tidy(self) -> dict[str, Any]:
        """Run `tidy_library`."""
        return self.task("tidy_library", tidy_library, params={"owner": self.owner})

    def rescan(self, **params: Any) -> dict[str, Any]:
        """Run `find_duplicates_background`."""
        return self.task("find_duplicates_background", find_duplicates, params=params)

    def task(self, name: str, work: Callable[[Run], None], **fields: Any) -> dict[str, Any]:
        """Run a task; return its result."""
        job = self.job(name, **fields)
        work(self.run(job))
        return self.result(job)

    def search(self, q: str, *, limit: int = 100, **wanted: Any) -> list[str]:
        """Return the ids of the documents that are found, the best first."""
        return [hit.document.doc_id for hit in self.found(q, limit=limit, **wanted).hits]

    def found(self, q: str, *, limit: int = 100, after: Any = None, **wanted: Any) -> Found:
        """Return a page of what is found."""
        finder = Search(self.table, self.objects, self.owner)
        return finder.find(question(q), Filter(**wanted), limit=limit, after=after)

    def left(self) -> list[tuple[str, str]]:
        """Return the keys of all items but those of jobs and their counters."""
        return sorted(key for key in self.table.items if not key[0].startswith(("JOB#", "STATS", "COUNTERS")))


def prose(seed: int, words: int = 120) -> str:
    """Return a text that resembles no other one."""
    chance = random.Random(seed)
    made = [f"{chance.choice(WORDS)}{chance.choice(WORDS)[:3]}" for _ in range(words)]
    return " ".join(made)


def counting(table: MemoryTable) -> Counter[str]:
    """Count what a table is asked for from now on, by kind."""
    counts: Counter[str] = Counter()
    write, get_many, query, get, transact, put_new = (
        table.write,
        table.get_many,
        table.query,
        table.get,
        table.transact,
        table.put_new,
    )

    def counted(name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            counts[name] += 1
            return do(*args, **options)

        return call

    table.write = counted("write", write)  # type: ignore[method-assign]
    table.get_many = counted("get_many", get_many)  # type: ignore[method-assign]
    table.query = counted("query", query)  # type: ignore[method-assign]
    table.get = counted("get", get)  # type: ignore[method-assign]
    table.transact = counted("transact", transact)  # type: ignore[method-assign]
    table.put_new = counted("put_new", put_new)  # type: ignore[method-assign]
    return counts
