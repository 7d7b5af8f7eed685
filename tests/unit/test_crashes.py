"""A process may die between any two steps: whatever comes next finishes or forgets what it had begun."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec
import pytest

from chalicelib.errors import NotFound
from chalicelib.ingest.document import Extracted, Segment
from chalicelib.jobs.ending import Ending
from chalicelib.jobs.states import State
from chalicelib.jobs.store import JobStore
from chalicelib.library.documents import Documents
from chalicelib.library.merging import Merging
from chalicelib.tasks.dissolve_cluster import dissolve_cluster
from chalicelib.tasks.ingestion import publish_document
from chalicelib.tasks.refresh_analytics import refresh_analytics
from tests.chaos.books import Books
from tests.memory import MemoryQueues
from tests.unit.libraries import Library, prose


class Killed(BaseException):
    """What no code catches."""


class Mortal(Library):
    """A library whose process dies before its next change of table or bucket number `steps_left`."""

    def __init__(self) -> None:
        super().__init__()
        self.steps_left = -1
        for name in ("write", "transact", "put_new", "put_many"):
            self._mortal(self.table, name)
        for name in ("put", "delete"):
            self._mortal(self.objects, name)

    def _mortal(self, where: Any, name: str) -> None:
        do = getattr(where, name)

        def step(*given: Any, **options: Any) -> Any:
            if self.steps_left == 0:
                raise Killed
            self.steps_left -= 1
            return do(*given, **options)

        setattr(where, name, step)

    def filled(self) -> list[str]:
        """Fill it with twins, one of them in a file of the search index, and others; return their ids."""
        items, bodies, ids = _filled()
        self.table.items, self.objects.bodies = copy.deepcopy(items), dict(bodies)
        return ids


@cache
def _filled() -> tuple[dict[Any, Any], dict[str, bytes], list[str]]:
    library = Library()
    said = (Segment(start=0.0, end=5.0, text="the kettle"),)
    ids = [library.add(prose(1, 60), title="One", sha256="a" * 64, segments=said)["doc_id"]]
    ids.append(library.add(prose(2, 60), title="Two")["doc_id"])
    library.tidy()
    ids.append(library.add(prose(1, 60), title="Three", sha256="c" * 64)["doc_id"])
    ids.append(library.add(prose(1, 60) + " and more", title="Four")["doc_id"])
    library.task("refresh_analytics", refresh_analytics)
    return library.table.items, library.objects.bodies, ids


def delete_a_fresh_one(library: Mortal, ids: list[str]) -> None:
    library.delete(ids[2])


def delete_and_tidy(library: Mortal, ids: list[str]) -> None:
    library.delete(ids[0])
    library.tidy()


def delete_all(library: Mortal, ids: list[str]) -> None:
    left, library.steps_left = library.steps_left, -1
    for doc_id in ids[1:]:
        library.delete(doc_id)
    library.steps_left = left
    library.delete(ids[0])  # it takes counts, figures and directory along


def merge(library: Mortal, ids: list[str]) -> None:
    Merging(library.table, library.objects, "ann").merge(ids[0], [ids[2], ids[3]])


def merge_and_tidy(library: Mortal, ids: list[str]) -> None:
    merge(library, ids)
    library.tidy()


def rescan(library: Mortal, _ids: list[str]) -> None:
    library.table.items = {
        key: item for key, item in library.table.items.items() if not key[0].startswith("DUP")
    }
    library.rescan()


def dissolve(library: Mortal, ids: list[str]) -> None:
    document = Documents(library.table, "ann").require(ids[0])
    library.task("dissolve_cluster", dissolve_cluster, params={"cluster_id": document.cluster_id})


def count(library: Mortal, ids: list[str]) -> None:
    library.delete(ids[1])
    library.task("refresh_analytics", refresh_analytics)


@pytest.mark.parametrize(
    "work", [delete_and_tidy, delete_a_fresh_one, delete_all, merge_and_tidy, rescan, count, dissolve]
)
def test_after_a_death_at_any_step_a_tidying_sets_all_right(
    work: Callable[[Mortal, list[str]], None],
) -> None:
    for steps in range(1000):
        library = Mortal()
        ids = library.filled()
        library.steps_left = steps
        died = False
        try:
            work(library, ids)
        except Killed:
            died = True
        library.steps_left = -1
        if work is rescan and died:
            library.rescan()
        library.tidy()
        books = Books("ann", library.table.items, library.objects.bodies)
        gone = [doc_id for doc_id in ids if Documents(library.table, "ann").find(doc_id) is None]
        assert [*books.violations(), *books.left_of(gone)] == [], f"after {steps} steps"
        if not died:
            assert steps > 1
            return
    raise AssertionError("it does not come to an end")


def test_after_a_death_at_any_step_of_an_ingestion_nothing_or_all_is_there() -> None:
    text = prose(1, 60) + " the latest"
    for steps in range(1000):
        library = Mortal()
        library.filled()
        job = library.job()
        library.steps_left = steps
        said = (Segment(start=0.0, end=5.0, text="the kettle"),)
        died = False
        try:
            what = Extracted(text=text, title="Late", source_type="text", segments=said)
            publish_document(library.run(job), what, filename="late.txt")
        except Killed:
            died = True
        library.steps_left = -1
        row = JobStore(library.table).find(job.job_id)
        assert row is not None
        if row.state is not State.SUCCESS:
            row = msgspec.structs.replace(row, state=State.FAILURE)
            library.table.items[job.key]["state"] = "FAILURE"
        Ending(library.table, MemoryQueues(), library.objects).remove_leftovers(row)
        library.tidy()
        books = Books("ann", library.table.items, library.objects.bodies)
        assert list(books.violations()) == [], f"after {steps} steps"
        if not died:
            assert row.state is State.SUCCESS
            return
    raise AssertionError("it does not come to an end")


def test_after_a_death_the_same_request_finishes_what_it_had_begun() -> None:
    for steps in range(1000):
        library = Mortal()
        ids = library.filled()
        library.steps_left = steps
        try:
            merge(library, ids)
        except Killed:
            library.steps_left = -1
            merge(library, ids)
            there = Documents(library.table, "ann")
            assert [entry["doc_id"] for entry in there.require(ids[0]).merged] == [ids[2], ids[3]]
            with suppress(NotFound):
                library.delete(ids[2])
            assert there.count() == 2
        else:
            return
