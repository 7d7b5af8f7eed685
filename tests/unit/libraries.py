"""A library in memory: documents are published, deleted and tidied by the code that does it in the service."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from chalicelib.ingest.document import Extracted
from chalicelib.jobs.job import Job, check_shard, new_id, now_ms
from chalicelib.jobs.run import Run
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.store import JobStore
from chalicelib.knowledge.clusters import MAX_CONCEPTS, MAX_NAME, MAX_TERMS, Centroid, Share
from chalicelib.knowledge.searchwords import question
from chalicelib.knowledge.terms import term_vector
from chalicelib.library.claims import Claims
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Document, Documents, concept_names
from chalicelib.library.moves import Member, Moves
from chalicelib.library.removal import Removal
from chalicelib.library.search import Filter, Found, Search
from chalicelib.library.wholelibrary import WholeLibrary
from chalicelib.tasks.find_duplicates import find_duplicates
from chalicelib.tasks.ingestion import publish_document
from chalicelib.tasks.registry import TASKS
from chalicelib.tasks.tidy_library import tidy_library
from tests import permissions
from tests.memory import MemoryObjects, MemoryTable

WORDS = [
    "anchor", "basket", "candle", "dragon", "engine", "falcon", "garden", "hammer", "island", "jacket", "kettle",
    "ladder", "marble", "needle", "orange", "pepper", "quarry", "ribbon", "saddle", "tunnel", "umbrella", "velvet",
    "walnut", "yellow", "zipper", "copper", "silver", "bronze", "timber", "cotton", "leather", "pencil",
]  # fmt: skip

# Of the functions that work on the queues; where the library is on moto, what is asked of it is held to them.
POLICIES = {
    "uploads": "policy-uploads.json",
    "low_priority": "policy-low_priority.json",
    "analysis": "AnalysisRole",
}


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
        doc_id = new_id()
        if sha256:
            assert Claims(self.table, self.owner, job.job_id).claim(sha256, doc_id) is None
        what = Extracted(
            text=text, title=title, source_type=extracted.pop("source_type", "text"), **extracted
        )
        with permissions.watched("policy-uploads.json"):
            publish_document(self.run(job), what, filename=f"{title}.txt", doc_id=doc_id, sha256=sha256)
        return self.result(job)

    def result(self, job: Job) -> dict[str, Any]:
        """Return what a job has ended with."""
        row = JobStore(self.table).find(job.job_id)
        assert row is not None
        assert row.state is State.SUCCESS
        return row.result or {}

    def delete(self, doc_id: str) -> None:
        """Delete a document."""
        with permissions.watched("policy-api.json"):
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
        queue = TASKS[name].queue if name in TASKS else "low_priority"
        with permissions.watched(POLICIES[queue]):
            work(self.run(job))
        return self.result(job)

    def add_to(self, cluster_id: str, doc_ids: Collection[str]) -> None:
        """Put documents into a cluster, whatever they are about."""
        moves = Moves(self.table, self.owner)
        there = [document for document in self.documents() if document.doc_id in doc_ids]
        for document, vector in list(WholeLibrary(self.table, self.objects, self.owner).vectors(there)):
            if document.cluster_id != cluster_id:
                share = Share(vector, concept_names(document))
                moves.move([Member(doc_id=document.doc_id, share=share)], document.cluster_id, cluster_id)

    def clusters(self) -> list[Centroid]:
        """Return the clusters, the largest first."""
        return sorted(Clusters(self.table, self.owner).all(), key=lambda cluster: -cluster.size)

    def documents(self) -> list[Document]:
        """Return all documents."""
        return Documents(self.table, self.owner).page(limit=100_000).documents

    def unsound(self) -> list[str]:
        """Return what is wrong with the clusters: each one's sums must be those of its documents."""
        members: dict[str, list[Document]] = {}
        for document in self.documents():
            members.setdefault(document.cluster_id, []).append(document)
        clusters = {cluster.cluster_id: cluster for cluster in self.clusters()}
        wrong = [f"{cluster_id}: none such" for cluster_id in members.keys() - clusters.keys()]
        for cluster_id, cluster in clusters.items():
            wrong += self._unsound(cluster, members.get(cluster_id, []))
        return wrong

    def _unsound(self, cluster: Centroid, members: list[Document]) -> list[str]:
        vectors = [term_vector(self.objects.get(document.text_key).decode()) for document in members]
        weights: Counter[str] = Counter()
        for vector in vectors:
            weights.update(vector)
        names = Counter(str(concept["name"])[:MAX_NAME] for one in members for concept in one.concepts)
        # A version may be a time.
        error = 1e-4 * (min(cluster.version, 2 * cluster.size + 100) + 2) ** 0.5 + 1e-4
        wrong = [] if cluster.size == len(members) else [f"size {cluster.size} of {len(members)}"]
        cut = len(weights) > MAX_TERMS or len(names) > MAX_CONCEPTS
        for term, weight in weights.items():
            kept = cluster.weights.get(term)
            if kept is None and not cut and weight > 0.01:
                wrong.append(f"{term} is missing")
            if kept is not None and (kept > weight + error or (not cut and kept < weight - error)):
                wrong.append(f"{term} weighs {kept}, not {weight}")
        for name, count in cluster.concept_counts.items():
            if count > names[name] or (not cut and count < names[name]):
                wrong.append(f"{name} counts {count}, not {names[name]}")
        wrong += [f"{term} is nobody's" for term in cluster.weights.keys() - weights.keys()]
        where = self.documents_of(cluster.cluster_id)
        if sorted(where) != sorted(one.doc_id for one in members):
            wrong.append("the index names other documents")
        return [f"{cluster.cluster_id} {cluster.name}: {entry}" for entry in wrong]

    def documents_of(self, cluster_id: str) -> list[str]:
        """Return the documents of a cluster, by the index."""
        page = Documents(self.table, self.owner).of_cluster(cluster_id, limit=100_000)
        return [document.doc_id for document in page.documents]

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
