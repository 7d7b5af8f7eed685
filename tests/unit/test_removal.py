"""Deleting: exactly once, with every trace, whatever comes between."""

from __future__ import annotations

import itertools
import random
from contextlib import suppress
from typing import Any

import pytest

from chalicelib.errors import NotFound, Unavailable
from chalicelib.ingest.document import Segment
from chalicelib.jobs.job import now_ms
from chalicelib.jobs.sweeper import Sweeper
from chalicelib.library import upkeep
from chalicelib.library.claims import Claims
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Documents
from chalicelib.library.merging import Merging
from chalicelib.library.pairs import Pair, Pairs
from chalicelib.library.removal import MAX_AT_ONCE
from tests.memory import MemoryQueues
from tests.traces import traces
from tests.unit.libraries import Library, counting, prose


@pytest.fixture
def library() -> Library:
    return Library()


def filled(library: Library) -> list[str]:
    """Publish documents of every sort; return their ids."""
    said = (Segment(start=0.0, end=5.0, text="the kettle"),)
    ids = [library.add(prose(1), title="One", sha256="a" * 64)["doc_id"]]
    ids.append(library.add(prose(1).upper(), title="Two", sha256="b" * 64)["doc_id"])
    ids.append(library.add(prose(2), segments=said)["doc_id"])
    library.tidy()
    ids.append(library.add(" ".join(prose(2).split()[:80]), title="Part")["doc_id"])
    ids.append(library.add("x", title="Tiny")["doc_id"])
    return ids


def audit(library: Library) -> tuple[list[tuple[str, str]], list[str]]:
    """Return all that is left, of anybody, in table and bucket, but for jobs."""
    return library.left(), sorted(library.objects.bodies)


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::24])
def test_when_all_is_deleted_nothing_is_left(library: Library, order: tuple[int, ...]) -> None:
    ids = filled(library)
    for place in order:
        library.delete(ids[place])
    library.tidy()
    assert audit(library) == ([], [])


def test_when_all_is_deleted_and_tidied_in_between_nothing_is_left(library: Library) -> None:
    for doc_id in filled(library):
        library.delete(doc_id)
        library.tidy()
    assert audit(library) == ([], [])


def test_a_stranger_loses_nothing(library: Library) -> None:
    other = Library("ben", library)
    theirs = filled(other)
    before = library.left()
    for doc_id in filled(library):
        library.delete(doc_id)
    library.tidy()
    assert library.left() == before
    assert {document.doc_id for document in Documents(library.table, "ben").page(limit=100).documents} == set(
        theirs
    )


def test_a_deleted_document_is_gone_for_everybody_at_once(library: Library) -> None:
    ids = filled(library)
    library.delete(ids[0])
    assert ids[0] not in library.search("anchor* ladder* pencil*")
    assert Documents(library.table, "ann").find(ids[0]) is None
    assert Documents(library.table, "ann").count() == 4
    with pytest.raises(NotFound):
        library.delete(ids[0])
    assert Documents(library.table, "ann").count() == 4


def test_the_source_file_goes_with_its_document(library: Library) -> None:
    job = library.job()
    library.objects.put(f"inline/{job.job_id}/source", b"x")
    library.table.items[job.key]["params"] = f'{{"source":"inline/{job.job_id}/source"}}'
    from tests.unit.test_duplicates import publish

    publish(library, job, prose(1))
    library.delete(library.result(job)["doc_id"])
    library.tidy()
    assert audit(library) == ([], [])


def test_the_same_bytes_may_come_again(library: Library) -> None:
    first = library.add(prose(1), sha256="a" * 64)["doc_id"]
    library.delete(first)
    assert library.add(prose(1), sha256="a" * 64)["doc_id"] != first


def test_bytes_that_another_document_has_by_now_stay_its_own(library: Library) -> None:
    first = library.add(prose(1), sha256="a" * 64)["doc_id"]
    library.table.items["LIB#ann", "HASH#" + "a" * 64]["doc_id"] = "another"
    library.delete(first)
    assert library.table.items["LIB#ann", "HASH#" + "a" * 64]["doc_id"] == "another"
    assert Claims(library.table, "ann", "job").release("a" * 64, first) is None


def test_a_cluster_is_as_if_the_document_had_never_come(library: Library) -> None:
    stays = library.add(prose(1, 60))
    (before,) = Clusters(library.table, "ann").all()
    goes = library.add(prose(1, 60) + " kettle")
    assert goes["cluster_id"] == stays["cluster_id"]
    library.delete(goes["doc_id"])
    (after,) = Clusters(library.table, "ann").all()
    assert (after.size, after.concept_counts) == (1, before.concept_counts)
    assert after.weights.keys() == before.weights.keys()
    assert all(abs(after.weights[term] - weight) < 1e-5 for term, weight in before.weights.items())
    library.delete(stays["doc_id"])
    assert Clusters(library.table, "ann").all() == []


def test_a_document_whose_text_is_lost_can_be_deleted(library: Library) -> None:
    doc_id = library.add(prose(1))["doc_id"]
    library.objects.bodies.clear()
    library.delete(doc_id)
    library.tidy()
    assert audit(library) == ([], [])


# --- Interfered with -----------------------------------------------------------------------------------------


def test_of_two_deletions_at_once_one_counts(library: Library) -> None:
    ids = filled(library)
    transact = library.table.transact

    def meanwhile(writes: Any) -> None:
        library.table.transact = transact  # type: ignore[method-assign]
        library.delete(ids[1])
        transact(writes)

    library.table.transact = meanwhile  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        library.delete(ids[1])
    assert Documents(library.table, "ann").count() == 4


def test_a_deletion_during_a_tidying_is_not_undone_by_it(library: Library) -> None:
    ids = filled(library)
    transact = library.table.transact

    def meanwhile(writes: Any) -> None:
        library.table.transact = transact  # type: ignore[method-assign]
        library.delete(ids[3])  # its words are on their way into a segment
        transact(writes)

    library.table.transact = meanwhile  # type: ignore[method-assign]
    library.tidy()
    for doc_id in (ids[0], ids[1], ids[2], ids[4]):
        library.delete(doc_id)
    library.tidy()
    assert audit(library) == ([], [])


def test_a_tidying_during_a_deletion_leaves_its_words_to_the_next_one(library: Library) -> None:
    ids = filled(library)
    transact = library.table.transact

    def meanwhile(writes: Any) -> None:
        library.table.transact = transact  # type: ignore[method-assign]
        library.tidy()
        transact(writes)

    library.table.transact = meanwhile  # type: ignore[method-assign]
    library.delete(ids[3])
    assert ("SEARCH#ann", f"GONE#{ids[3]}") in library.left()
    for doc_id in (ids[0], ids[1], ids[2], ids[4]):
        library.delete(doc_id)
    library.tidy()
    assert audit(library) == ([], [])


@pytest.mark.parametrize("seed", range(12))
def test_a_database_that_fails_anywhere_leaves_nothing_that_is_not_finished_later(
    library: Library, seed: int
) -> None:
    """Any write may fail; the caller repeats the request or not; the job comes at last."""
    chance = random.Random(seed)
    ids = filled(library)
    trouble = [0]

    def failing(_write: object) -> None:
        trouble[0] += 1
        if chance.random() < 0.04:
            raise Unavailable("busy")

    library.table.before_write = failing
    for doc_id in ids:
        with suppress(Unavailable, NotFound):
            library.delete(doc_id)
    library.table.before_write = lambda _: None
    assert trouble[0] > 20
    for doc_id in ids:
        if Documents(library.table, "ann").find(doc_id):
            library.delete(doc_id)
    library.tidy()
    assert audit(library) == ([], [])


def test_a_document_of_very_many_pairs_is_gone_at_once_and_its_pairs_with_the_next_tidying(
    library: Library,
) -> None:
    """Whoever asked for it waits for the answer; twenty such may go in one merge."""
    doc_id, other = (library.add(prose(1))["doc_id"] for _ in range(2))
    pairs = Pairs(library.table, "ann")
    for number in range(MAX_AT_ONCE):
        for write in pairs._puts(Pair(newer=f"z{number:03d}", older=doc_id, similarity=0.9, kind="overlap")):
            library.table.write(write)
    counts = counting(library.table)
    library.delete(doc_id)
    assert counts.total() < 30
    assert Documents(library.table, "ann").find(doc_id) is None
    assert not [key for key in library.objects.bodies if doc_id in key]
    assert library.search("anchor* ladder* pencil*") in ([other], [])
    library.tidy()
    assert traces(library.table.items, library.objects.bodies, [doc_id]) == []


def test_repeating_the_request_finishes_what_was_cut_short(library: Library) -> None:
    doc_id = library.add(prose(1))["doc_id"]
    delete = library.objects.delete

    def failing(_key: str) -> None:
        raise Unavailable("busy")

    library.objects.delete = failing
    library.delete(doc_id)
    assert library.objects.bodies
    library.objects.delete = delete
    with pytest.raises(NotFound):
        library.delete(doc_id)
    assert audit(library) == ([], [])


def test_merged_documents_leave_nothing_either(library: Library) -> None:
    keep, *others = (library.add(prose(1), title=title)["doc_id"] for title in ("One", "Two", "Three"))
    library.tidy()
    Merging(library.table, library.objects, "ann").merge(keep, others)
    library.delete(keep)
    library.tidy()
    assert audit(library) == ([], [])


# --- The job that tidies -------------------------------------------------------------------------------------


def test_a_tidying_is_asked_for_once_a_minute_and_comes_after_the_minute(library: Library) -> None:
    first, second = upkeep.tidying_job("ann", 60_000_000), upkeep.tidying_job("ann", 60_059_999)
    assert first.job_id == second.job_id
    assert first.check_at == 60_120_000
    assert upkeep.tidying_job("ann", 60_060_000).job_id != first.job_id
    assert upkeep.tidying_job("ben", 60_000_000).job_id != first.job_id
    for _ in range(3):
        upkeep.request(library.table, "ann")
    assert len([key for key in library.table.items if key[0].startswith("JOB#")]) <= 2


def test_the_sweeper_sends_a_tidying_that_is_due(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    queues = MemoryQueues()
    upkeep.request(library.table, "ann")
    sweeper = Sweeper(library.table, queues, library.objects)
    monkeypatch.setattr(sweeper.dead_letters, "reconcile", lambda: 0)
    sweeper.sweep()
    assert queues.depth("low_priority").total == 0
    later = now_ms() + 121_000
    monkeypatch.setattr("chalicelib.jobs.sweeper.now_ms", lambda: later)
    sweeper.sweep()
    assert queues.depth("low_priority").total == 1


def test_a_tidying_that_can_not_be_asked_for_does_no_harm(library: Library) -> None:
    def failing(_write: object) -> None:
        raise Unavailable("busy")

    library.table.before_write = failing
    upkeep.request(library.table, "ann")
