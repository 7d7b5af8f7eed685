"""The audit: whatever happened, the books must balance. Run after every test that interferes.

`gather` reads what there is, `judge` says what is wrong with it; `audit` does both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Protocol

import msgspec

from chalicelib.aws.expressions import Item, Key
from chalicelib.aws.queues import Depth
from chalicelib.aws.table import Table, query_all
from chalicelib.jobs import messages
from chalicelib.jobs.history import Filter, History
from chalicelib.jobs.job import Job
from chalicelib.jobs.states import SOURCES, TERMINAL, State
from chalicelib.library.documents import Document, Documents, partition
from chalicelib.settings import QUEUES
from tests.chaos.books import Books

INGESTIONS: Final = frozenset({"process_file_upload", "process_url_upload"})


class Depths(Protocol):
    """What the audit needs of the queues."""

    def depth(self, queue: str) -> Depth:
        """Return a queue's counts."""

    def dead_letters(self, queue: str) -> list[str]:
        """Return the bodies of the messages in a queue's dead-letter queue."""


class Stores(Protocol):
    """What the audit needs of table and bucket: everything."""

    def items(self) -> Mapping[Key, Item]:
        """Return every item of the table."""

    def bodies(self) -> Mapping[str, bytes]:
        """Return every object of the bucket."""


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """What one owner has."""

    jobs: list[Job] = []
    documents: list[Document] = []


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What there is when everything is quiet."""

    libraries: dict[str, Library]
    # Messages by queue.
    messages: dict[str, int] = {}
    # Bodies of dead letters, by the queue that gave them up.
    dead_letters: dict[str, list[str]] = {}
    # What is wrong with the books of libraries, by owner: see `books`.
    books: dict[str, list[str]] = {}
    # Ids of documents that were deleted or merged into others.
    deleted: Collection[str] = ()


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit found."""

    # Broken promises, in words; none: all is well.
    violations: list[str]
    jobs: int
    # Jobs by final state, failures by their error: "FAILURE worker_lost".
    outcomes: dict[str, int]
    # Runs that were started for a job.
    mean_executions: float
    max_executions: int


def audit(
    table: Table,
    queues: Depths,
    stores: Stores,
    owners: Sequence[str],
    *,
    dead_letters: Collection[str] = (),
    deleted: Collection[str] = (),
) -> Findings:
    """Read everything of `owners` and judge it.

    `dead_letters` are bodies of messages that were meant to end there, `deleted` ids of documents that went.
    """
    return judge(gather(table, queues, stores, owners, deleted=deleted), dead_letters=dead_letters)


# --- Reading -------------------------------------------------------------------------------------------------


def gather(
    table: Table, queues: Depths, stores: Stores, owners: Sequence[str], *, deleted: Collection[str] = ()
) -> Evidence:
    """Return what there is."""
    items, bodies = stores.items(), stores.bodies()
    books = {owner: Books(owner, items, bodies) for owner in owners}
    return Evidence(
        libraries={owner: _library(table, owner) for owner in owners},
        messages={queue: queues.depth(queue).total for queue in QUEUES},
        dead_letters={queue: queues.dead_letters(queue) for queue in QUEUES},
        books={
            owner: [*book.violations(), *(book.left_of(deleted) if owner == owners[0] else ())]
            for owner, book in books.items()
        },
        deleted=deleted,
    )


def all_jobs(table: Table, owner: str) -> list[Job]:
    """Return every job of an owner, newest first."""
    history, jobs, last = History(table, owner), [], None
    while True:
        page = history.page(Filter(), limit=100, after=last)
        jobs += page.jobs
        last = page.last
        if last is None:
            return jobs


def _library(table: Table, owner: str) -> Library:
    return Library(jobs=all_jobs(table, owner), documents=list(_documents(table, owner)))


def _documents(table: Table, owner: str) -> Iterator[Document]:
    rows = query_all(table, ("pk", partition(owner)), sort=("sk", "begins_with", "DOC#"))
    documents = Documents(table, owner)
    return (documents.require(row["doc_id"]) for row in rows)


# --- Judging -------------------------------------------------------------------------------------------------


def judge(evidence: Evidence, *, dead_letters: Collection[str] = ()) -> Findings:
    """Return what is wrong with the evidence."""
    violations = [*_messages(evidence, dead_letters)]
    for owner, library in evidence.libraries.items():
        found = [*_ended(library), *_effects(library, evidence.deleted)]
        found += evidence.books.get(owner, [])
        violations += [f"{owner}: {violation}" for violation in found]
    jobs = [job for library in evidence.libraries.values() for job in library.jobs]
    runs = [executions(job) for job in jobs]
    return Findings(
        violations=violations,
        jobs=len(jobs),
        outcomes=dict(Counter(map(outcome, jobs)).most_common()),
        mean_executions=sum(runs) / max(1, len(runs)),
        max_executions=max(runs, default=0),
    )


def outcome(job: Job) -> str:
    """Return how a job ended: its state, and a failure's type."""
    return f"{job.state} {job.error['type']}" if job.state is State.FAILURE and job.error else str(job.state)


def executions(job: Job) -> int:
    """Return how many runs were started for a job."""
    return sum(state == State.PROCESSING for state, *_ in job.timeline)


def _messages(evidence: Evidence, expected: Collection[str]) -> Iterator[str]:
    for name, number in evidence.messages.items():
        if number:
            yield f"{number} messages are left in {name}"
    dead = Counter(body for bodies in evidence.dead_letters.values() for body in bodies)
    failed = {
        job.job_id
        for library in evidence.libraries.values()
        for job in library.jobs
        if job.state is State.FAILURE
    }
    for body, number in (dead - Counter(expected)).items():
        # The message of a job that was given up may be here: it was delivered as often as the queue allows.
        if _job_of(body) not in failed:
            yield f"{number} dead letters say {body[:200]!r}"
    for body in Counter(expected) - dead:
        yield f"no dead letter says {body!r}"


def _job_of(body: str) -> str | None:
    try:
        return messages.decode(body).job_id
    except messages.UnreadableMessage:
        return None


def _ended(library: Library) -> Iterator[str]:
    """Every job has ended, by legal steps, and says so in one voice."""
    for job in library.jobs:
        if job.state not in TERMINAL:
            yield f"job {job.job_id} is {job.state} ({job.stage}, dispatch {job.dispatch}, run {job.run!r})"
            continue
        if job.check_shard or not job.expires_at:
            yield f"job {job.job_id} has ended, but the sweeper still watches it or it never expires"
        if (job.percent == 100) != (job.state is State.SUCCESS):
            yield f"job {job.job_id} is {job.state} at {job.percent} percent"
        if (job.state is State.FAILURE) and not job.error:
            yield f"job {job.job_id} failed without a reason"
        for before, after in pairwise(State(state) for state, *_ in job.timeline):
            if before not in SOURCES[after]:
                yield f"job {job.job_id} went from {before} to {after}"


def _effects(library: Library, deleted: Collection[str]) -> Iterator[str]:
    """One document for each successful ingestion, each naming the other; a duplicate names one that is there.

    Unless it was deleted since: then it is not there.
    """
    made = {document.doc_id: document.job_id for document in library.documents}
    makers: dict[str, str] = {}
    for job in library.jobs:
        if job.state is not State.SUCCESS or job.task not in INGESTIONS:
            continue
        result = job.result or {}
        doc_id = str(result.get("doc_id"))
        if doc_id in deleted:
            if doc_id in made:
                yield f"document {doc_id} was deleted and is there"
        elif doc_id not in made:
            yield f"job {job.job_id} names document {doc_id}, which is not there"
        elif result.get("duplicate_of") is None:
            if doc_id in makers:
                yield f"jobs {makers[doc_id]} and {job.job_id} both say that they made {doc_id}"
            makers[doc_id] = job.job_id
    for doc_id, job_id in sorted(made.items()):
        if makers.get(doc_id) != job_id:
            yield f"document {doc_id} names job {job_id}, but {makers.get(doc_id, 'no job')} made it"
