"""The audit of a library's books finds what it is there to find: one planted fault at a time."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import msgspec
import pytest

from chalicelib.aws.expressions import Update
from chalicelib.ingest.document import Segment
from chalicelib.jobs.job import new_id
from chalicelib.library.merging import Merging
from chalicelib.tasks.refresh_analytics import refresh_analytics
from tests.chaos.books import Books
from tests.unit.libraries import Library, prose


@pytest.fixture
def library() -> Library:
    """A library with all there can be: twins, an indexed and a fresh part, passages, claims, figures."""
    library = Library()
    for number, text in enumerate((prose(1), prose(1).upper(), prose(2), prose(2) + " and a word")):
        library.add(text, title=f"Number {number}", sha256=f"{number}" * 64)
    library.tidy()
    library.add(prose(3), segments=(Segment(start=0.0, end=5.0, text="the kettle"),))
    library.add(prose(3))
    library.task("refresh_analytics", refresh_analytics)
    return library


def found(library: Library) -> list[str]:
    return list(Books(library.owner, library.table.items, library.objects.bodies).violations())


def test_balanced_books_have_no_findings(library: Library) -> None:
    assert found(library) == []


def test_they_balance_after_deletions_and_merges(library: Library) -> None:
    ids = [sk[4:] for pk, sk in sorted(library.table.items) if sk.startswith("DOC#")]
    library.delete(ids[0])
    Merging(library.table, library.objects, "ann").merge(ids[2], [ids[3]])
    assert any("the figures were counted before" in line for line in found(library))
    library.tidy()
    assert found(library) == []
    books = Books("ann", library.table.items, library.objects.bodies)
    assert list(books.left_of([ids[0], ids[3]])) == []
    assert any(ids[2] in line for line in books.left_of([ids[2]]))


def one(library: Library, pk: str, sk: str = "") -> tuple[str, str]:
    """Return the first key that begins like this."""
    return min(key for key in library.table.items if key[0].startswith(pk) and key[1].startswith(sk))


def drop(pk: str, sk: str = "") -> Callable[[Library], object]:
    return lambda library: library.table.items.pop(one(library, pk, sk))


def change(pk: str, sk: str = "", **fields: object) -> Callable[[Library], object]:
    return lambda library: library.table.items[one(library, pk, sk)].update(fields)


def forget(prefix: str, ending: str = "") -> Callable[[Library], object]:
    def do(library: Library) -> None:
        bodies = library.objects.bodies
        del bodies[min(key for key in bodies if key.startswith(prefix) and key.endswith(ending))]

    return do


def enter(library: Library) -> None:
    library.table.write(Update(key=one(library, "KB#ann"), insert={"members": {new_id()}}))


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (change("LIB#", "COUNTS", documents=7), "7 documents are counted and 6"),
        (forget("rows/texts/", ".txt"), "has lost its text"),
        (enter, "which is no document"),
        (change("KB#", members={"nobody"}), "nobody, which is no document"),
        (drop("KB#"), "is not in its band"),
        (change("LIB#", "DOC#", signature=b""), "has not the signature of its text"),
        (drop("DUPOF#"), "two items of a pair"),
        (drop("DUP#"), "two items of a pair"),
        (drop("DUP#"), "are alike, and no pair"),
        (change("DUP#", similarity=0.5), "says 0.5, and they are"),
        (drop("SEARCH#", "FRESH#"), "is 0 times in the search index"),
        (drop("SEARCH#", "SEGMENT#"), "is 0 times in the search index"),
        (drop("SEARCH#", "SEGMENT#"), "no row names the search file"),
        (forget("search/"), "has lost its file"),
        (
            lambda library: library.table.items.update(
                {("SEARCH#ann", "GONE#x"): {"pk": "SEARCH#ann", "sk": "GONE#x", "indexed": True}}
            ),
            "the deletion of x has not been finished",
        ),
        (
            change("SEARCH#", "FRESH#", terms=zlib.compress(msgspec.msgpack.encode({"x": 1}))),
            "not its own words",
        ),
        (forget("texts/", ".json"), "has lost its passages"),
        (
            lambda library: library.objects.put(f"texts/{library.job().job_id}/1-x.txt", b"x"),
            "no document names",
        ),
        (drop("LIB#", "HASH#"), "are claimed for None"),
        (change("LIB#", "HASH#", doc_id="another"), "is for another, which is not there"),
        (drop("LIB#", "CLUSTER#"), "counts None and has"),
        (change("LIB#", "CLUSTER#", size=9), "counts 9 and has"),
        (change("LIB#", "COUNTS", removed=1), "counted before a deletion"),
    ],
)
def test_a_fault_is_a_finding(library: Library, plant: Callable[[Library], object], said: str) -> None:
    plant(library)
    assert any(said in line for line in found(library))
