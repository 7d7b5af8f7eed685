"""A library filled by the service's own code, with its upkeep, and what that took."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.shelves import ShelfTable
from chalicelib.ingest.document import Extracted
from chalicelib.jobs.job import Job, check_shard, new_id, now_ms
from chalicelib.jobs.run import Run
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.store import JobStore
from chalicelib.library.assignment import Assignment
from chalicelib.library.resemblance import Resemblance
from chalicelib.library.searchindex import asks_for_tidying
from chalicelib.tasks import ingestion
from chalicelib.tasks.tidy_library import tidy_library
from tests.memory import MemoryObjects

OWNER: Final = "bench"
# Partitions of which the API's routes read nothing.
NOT_ANSWERED: Final = ("KB#", "STATS#")
# Steps of an ingestion, as `tasks.ingestion` knows them, and what they are for.
_STEPS: Final = {
    "find_concepts": "concepts",
    "signature": "duplicates",
    "term_vector": "cluster",
    "impacts": "search words",
}
_METHODS: Final[tuple[tuple[type, str, str], ...]] = (
    (Resemblance, "register", "duplicates"),
    (Resemblance, "look", "duplicates"),
    (Assignment, "choose", "cluster"),
    (Assignment, "follow_up", "cluster"),
)


class Spent:
    """Processor seconds and requests by what they were for."""

    def __init__(self, table: ShelfTable) -> None:
        self.table = table
        self.seconds: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()

    def on(self, name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        """Return `do`, whose time and requests are then added to a name."""

        def timed(*args: Any, **options: Any) -> Any:
            started, before = time.process_time(), self.table.requests.total()
            try:
                return do(*args, **options)
            finally:
                self.seconds[name] += time.process_time() - started  # type: ignore[assignment]
                self.requests[name] += self.table.requests.total() - before

        return timed

    def clear(self) -> None:
        """Begin anew."""
        self.seconds.clear()
        self.requests.clear()


class Library:
    """One owner's library on a table and a bucket, filled by the service's own code."""

    def __init__(self, table: Any, objects: Any, folder: Path) -> None:
        self.table = table
        self.objects = objects
        self.folder = folder
        self.ids: list[str] = []
        self.tidyings = 0

    def run(self, task: str, work: Callable[[Run], None], *, owner: str = OWNER, **fields: Any) -> Job:
        """Write the row of a job that is being worked on, do the work, return the row as it is then."""
        job_id, now = new_id(), now_ms()
        job = Job(
            job_id=job_id,
            owner=owner,
            task=task,
            queue="uploads",
            state=State.PROCESSING,
            stage=Stage.STARTING,
            attempt=1,
            run="r",
            dispatch=1,
            created_at=now,
            updated_at=now,
            started_at=now,
            check_at=now,
            check_shard=check_shard(job_id),
            **fields,
        )
        JobStore(self.table).create(job)
        work(
            Run(
                job,
                table=self.table,
                objects=self.objects,
                folder=self.folder,
                report=lambda _progress: None,
            )
        )
        ended = JobStore(self.table).find(job_id)
        assert ended is not None
        assert ended.state is State.SUCCESS
        return ended

    def add(self, text: str, number: int) -> Job:
        """Publish a text; tidy as often as the service would."""
        name = f"document {number}"
        what = Extracted(text=text, title=name, source_type="text")

        def work(run: Run) -> None:
            ingestion.publish_document(run, what, filename=f"{name}.txt")

        job = self.run("process_file_upload", work, filename=f"{name}.txt")
        self.ids.append(str((job.result or {})["doc_id"]))
        return job

    def tidy_if_asked(self) -> None:
        """Tidy, if the last document asks for it."""
        if asks_for_tidying(self.ids[-1]):
            self.tidyings += 1
            self.upkeep("tidy_library", tidy_library)

    def keep(self, path: Path) -> None:
        """Keep what the API reads of it in a file."""
        items = {key: item for key, item in self.table.items.items() if not key[0].startswith(NOT_ANSWERED)}
        path.write_bytes(pickle.dumps((items, self.objects.bodies, self.ids)))

    @classmethod
    def kept(cls, path: Path) -> Library:
        """Return the library that was kept."""
        library = cls(ShelfTable(), MemoryObjects(), Path())
        library.table.items, library.objects.bodies, library.ids = pickle.loads(path.read_bytes())
        return library

    def upkeep(self, task: str, work: Callable[[Run], None]) -> Job:
        """Do one of the jobs that the service asks for itself."""
        return self.run(task, work, owner=f"~{OWNER}", params={})


@contextmanager
def replaced(changes: Mapping[tuple[Any, str], Any]) -> Iterator[None]:
    """Set attributes `(object, name)` meanwhile."""
    before = {place: getattr(*place) for place in changes}
    for (owner, name), value in changes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for (owner, name), value in before.items():
            setattr(owner, name, value)


def watched(spent: Spent) -> Any:
    """Have the steps of an ingestion counted meanwhile."""
    steps = {(ingestion, name): spent.on(what, getattr(ingestion, name)) for name, what in _STEPS.items()}
    methods = {(owner, name): spent.on(what, getattr(owner, name)) for owner, name, what in _METHODS}
    return replaced({**steps, **methods})
