"""Near duplicates from a document's arrival to its deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from chalicelib.aws.expressions import Act, Put
from chalicelib.aws.table import TransactionFailed
from chalicelib.errors import Cancelled, InvalidRequest, NotFound, StaleRun, Unavailable
from chalicelib.ingest.document import Extracted
from chalicelib.jobs.ending import Ending
from chalicelib.jobs.job import Job, new_id, text_prefix
from chalicelib.jobs.states import State
from chalicelib.jobs.store import JobStore
from chalicelib.knowledge.minhash import signature
from chalicelib.knowledge.passages import compare
from chalicelib.library.bands import MAX_MEMBERS, Bands
from chalicelib.library.documents import Documents, document_key
from chalicelib.library.duplicates import Duplicates, grouped
from chalicelib.library.merging import MAX_MERGED, Merging
from chalicelib.library.pairs import MAX_PAIRS, Pair, Pairs
from chalicelib.library.removal import withdraw_unpublished
from chalicelib.tasks import find_duplicates as task
from chalicelib.tasks.ingestion import publish_document
from tests.memory import MemoryQueues
from tests.traces import traces
from tests.unit.libraries import Library, counting, prose


@pytest.fixture
def library() -> Library:
    return Library()


def groups(library: Library, threshold: float = 0.8) -> list[list[str]]:
    return [group.members for group in Duplicates(library.table, library.owner).groups(threshold).groups]


def edited(text: str, number: int = 3) -> str:
    words = text.split()
    return " ".join(
        "elsewhere" if place in range(10, 10 + number) else word for place, word in enumerate(words)
    )


# --- At arrival ----------------------------------------------------------------------------------------------


def test_a_document_is_told_whom_it_resembles(library: Library) -> None:
    first = library.add(prose(1), title="First")
    assert first["near_duplicates"] == []
    second = library.add(edited(prose(1)), title="Second")
    (near,) = second["near_duplicates"]
    assert (near["doc_id"], near["title"], near["kind"]) == (first["doc_id"], "First", "near_duplicate")
    assert 0.8 < near["similarity"] < 1
    third = library.add(prose(1).upper(), title="Third")
    assert [near["kind"] for near in third["near_duplicates"]] == ["identical", "near_duplicate"]
    assert library.add(prose(9))["near_duplicates"] == []


def test_a_part_of_a_document_overlaps_with_it(library: Library) -> None:
    whole = library.add(prose(1, 200))
    part = library.add(" ".join(prose(1, 200).split()[:130]))
    (near,) = part["near_duplicates"]
    assert (near["doc_id"], near["kind"]) == (whole["doc_id"], "overlap")


def test_strangers_documents_are_never_named(library: Library) -> None:
    Library("ben", library).add(prose(1))
    assert library.add(prose(1))["near_duplicates"] == []


def test_finding_them_takes_at_most_30_requests(library: Library) -> None:
    library.add("something else entirely, for the counters to be there")
    plain = counting(library.table)
    library.add("x")
    without = plain.total()
    found = signature(prose(1))
    assert found is not None
    for number in range(MAX_MEMBERS):
        Bands(library.table, "ann").register(f"x{number}", found)
    for number in range(4):
        library.add(edited(prose(1), number % 5))
    counts = counting(library.table)
    library.add(prose(1))
    assert counts.total() - without <= 30


def test_letters_from_one_template_are_one_group_of_bounded_pairs(library: Library) -> None:
    template = prose(1, 60)
    for number in range(30):
        near = library.add(f"{template} dear {prose(1000 + number, 3)}")["near_duplicates"]
        assert len(near) == min(number, MAX_PAIRS)
    assert [len(members) for members in groups(library, 0.5)] == [30]


def test_a_text_too_short_to_compare_makes_no_trouble(library: Library) -> None:
    assert library.add("a b")["near_duplicates"] == []
    assert library.add("a b")["near_duplicates"] == []


def test_two_that_arrive_at_once_are_a_pair_when_somebody_looks(library: Library) -> None:
    """The second sees an id without a document: whether it will ever be published is not known yet."""
    first = library.job()
    entered = library.table.transact

    def meanwhile(writes: Any) -> None:
        library.table.transact = entered  # type: ignore[method-assign]
        library.add(prose(1), title="Quicker")
        entered(writes)

    library.table.transact = meanwhile  # type: ignore[method-assign]
    publish(library, first, prose(1))
    assert open_pairs(library)
    assert len(groups(library)) == 1
    assert open_pairs(library) == []
    assert len(groups(library)) == 1


def test_two_that_arrive_at_once_are_a_pair_after_the_next_tidying(library: Library) -> None:
    both_at_once(library, meanwhile=lambda: None)
    asked = [item for item in library.table.items.values() if item.get("task") == "tidy_library"]
    assert asked
    library.tidy()
    assert open_pairs(library) == []
    assert len(list(Pairs(library.table, "ann").all())) == 1


def test_one_that_was_deleted_before_the_other_was_published_leaves_no_pair(library: Library) -> None:
    first, second = library.job(), library.job()
    transact = library.table.transact
    gone: list[str] = []

    def of_the_first(writes: Any) -> None:
        def of_the_second(others: Any) -> None:
            # By now the second one has looked, and has not seen the first.
            library.table.transact = transact  # type: ignore[method-assign]
            transact(writes)
            gone.append(next(sk[4:] for _, sk in library.table.items if sk.startswith("DOC#")))
            library.delete(gone[0])
            transact(others)

        library.table.transact = of_the_second  # type: ignore[method-assign,assignment]
        publish(library, second, prose(1))

    library.table.transact = of_the_first  # type: ignore[method-assign]
    publish(library, first, prose(1))
    assert open_pairs(library)
    library.tidy()
    assert traces(library.table.items, library.objects.bodies, gone) == []


def test_one_that_was_never_published_leaves_no_pair(library: Library) -> None:
    killed = killed_run(library)
    other = library.add(prose(1))["doc_id"]
    assert open_pairs(library)
    library.tidy()
    assert open_pairs(library)  # it may come still
    ending(library).remove_leftovers(killed)
    library.tidy()
    assert open_pairs(library) == []
    assert groups(library) == []
    library.delete(other)


def test_many_open_pairs_are_settled_some_at_a_time_and_all_in_the_end(library: Library) -> None:
    ids = [library.add(prose(seed))["doc_id"] for seed in range(4)]
    pairs = Pairs(library.table, "ann")
    for act in pairs.opening(ids[0], ids[1:]):
        assert isinstance(act, Put)
        library.table.write(act)
    left = [len(open_pairs(library))]
    while pairs.settle(most=1).left:
        left.append(len(open_pairs(library)))
        assert len(left) < 9
    assert left == [6, 4, 2, 0]
    assert open_pairs(library) == []


def test_open_pairs_that_wait_do_not_hide_the_others(library: Library) -> None:
    waiting = killed_run(library)  # its documents may come still: three pairs with it stay
    others = [library.add(prose(1))["doc_id"] for _ in range(3)]
    there = open_pairs(library)
    assert len(there) == 6
    one, two = (library.add(prose(seed))["doc_id"] for seed in (7, 8))
    pairs = Pairs(library.table, "ann")
    for act in pairs.opening(one, [two]):
        assert isinstance(act, Put)
        library.table.write(act)
    assert pairs.settle(most=1).left
    for _ in range(4):
        pairs.settle(most=2, looked_at=100)
    assert open_pairs(library) == there
    ending(library).remove_leftovers(waiting)
    library.tidy()
    assert open_pairs(library) == []
    assert groups(library) == [others]


def test_an_open_pair_goes_with_either_document(library: Library) -> None:
    both_at_once(library, meanwhile=lambda: None)
    library.delete(next(sk[4:] for _, sk in library.table.items if sk.startswith("DOC#")))
    assert open_pairs(library) == []


def open_pairs(library: Library) -> list[tuple[str, str]]:
    return [key for key in library.left() if key[0].startswith("DUPOPEN#")]


def both_at_once(library: Library, meanwhile: Callable[[], None]) -> None:
    """Publish two texts that are alike: as the first is about to be, the second one is, then comes `meanwhile`."""
    first = library.job()
    transact = library.table.transact

    def quicker(writes: Any) -> None:
        library.table.transact = transact  # type: ignore[method-assign]
        library.add(prose(1), title="Quicker")
        meanwhile()
        transact(writes)

    library.table.transact = quicker  # type: ignore[method-assign]
    publish(library, first, prose(1))


def publish(library: Library, job: Job, text: str) -> None:
    what = Extracted(text=text, title="Slower", source_type="text")
    publish_document(library.run(job), what, filename="slower.txt")


def test_the_other_document_may_be_deleted_before_this_one_is_published(library: Library) -> None:
    other = library.add(prose(1))["doc_id"]
    job = library.job()
    transact = library.table.transact

    def meanwhile(writes: Any) -> None:
        library.table.transact = transact  # type: ignore[method-assign]
        library.delete(other)
        transact(writes)

    library.table.transact = meanwhile  # type: ignore[method-assign]
    publish(library, job, prose(1))
    assert library.result(job)["near_duplicates"] == []
    assert not [key for key in library.left() if key[0].startswith("DUP") and other in key[1]] or not groups(
        library
    )
    library.delete(library.result(job)["doc_id"])
    assert [key for key in library.left() if key[0].startswith("DUP")] == []


# --- Runs that publish nothing -------------------------------------------------------------------------------


def bands_of(library: Library) -> list[tuple[str, str]]:
    return [key for key in library.left() if key[0].startswith("KB#")]


@pytest.mark.parametrize("error", [StaleRun("x"), Cancelled("x")])
def test_a_refused_run_leaves_its_bands(library: Library, error: Exception) -> None:
    def refuse(_writes: object) -> None:
        raise error

    library.table.transact = refuse  # type: ignore[method-assign,assignment]
    with pytest.raises(type(error)):
        publish(library, library.job(), prose(1))
    assert bands_of(library) == []


def test_a_run_that_can_not_enter_its_bands_leaves_those_it_entered(library: Library) -> None:
    job = library.job()
    done = []

    def failing(write: Act) -> None:
        done.append(write)
        if len(done) == 10:
            raise Unavailable("busy")

    library.table.before_write = failing
    with pytest.raises(Unavailable):
        publish(library, job, prose(1))
    assert len(done) > 10
    assert bands_of(library) == []


def test_the_bands_of_a_killed_run_are_found_from_the_text_it_left(library: Library) -> None:
    job = library.job()

    def killed(_writes: object) -> None:
        raise KeyboardInterrupt

    library.table.transact = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        publish(library, job, prose(1))
    assert bands_of(library)
    for key in library.objects.keys_of(text_prefix(job.job_id)):
        withdraw_unpublished(library.table, library.objects, "ann", key)
    assert bands_of(library) == []


def killed_run(library: Library) -> Job:
    """Return a job that failed after a run of it had been killed as it was about to publish."""
    job = library.job()
    transact = library.table.transact

    def killed(_writes: object) -> None:
        raise KeyboardInterrupt

    library.table.transact = killed  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        publish(library, job, prose(1))
    library.table.transact = transact  # type: ignore[method-assign]
    failed = msgspec.structs.replace(job, state=State.FAILURE)
    library.table.items[job.key] |= {"state": "FAILURE"}
    return failed


def ending(library: Library) -> Ending:
    return Ending(library.table, MemoryQueues(), library.objects)


def test_the_end_of_a_job_takes_its_killed_runs_out_of_their_bands(library: Library) -> None:
    stays = library.add(prose(1))["doc_id"]
    before = bands_of(library)
    failed = killed_run(library)
    ending(library).after(failed)
    assert bands_of(library) == before
    assert not library.objects.keys_of(text_prefix(failed.job_id))
    assert {name for key in bands_of(library) for name in library.table.items[key]["members"]} == {stays}


def test_the_text_that_tells_the_bands_goes_last(library: Library) -> None:
    failed = killed_run(library)
    writes: list[Any] = []

    def trouble(write: Any) -> None:
        writes.append(write)
        if len(writes) == 10:
            raise Unavailable("busy")

    library.table.before_write = trouble
    with pytest.raises(Unavailable):
        ending(library).remove_leftovers(failed)
    assert bands_of(library)
    assert library.objects.keys_of(text_prefix(failed.job_id))
    ending(library).remove_leftovers(failed)
    assert bands_of(library) == []
    assert not library.objects.keys_of(text_prefix(failed.job_id))


def test_the_bands_of_what_was_published_stay(library: Library) -> None:
    killed = killed_run(library)
    again = msgspec.structs.replace(killed, state=State.PROCESSING, attempt=2)
    library.table.items[killed.key] |= {"state": "PROCESSING", "attempt": 2}
    publish(library, again, prose(1))
    ended = JobStore(library.table).find(killed.job_id)
    assert ended is not None
    ending(library).after(ended)
    (doc_id,) = {name for key in bands_of(library) for name in library.table.items[key]["members"]}
    assert doc_id == (ended.result or {})["doc_id"]
    assert library.objects.keys_of(text_prefix(killed.job_id)) == [
        Documents(library.table, "ann").require(doc_id).text_key
    ]


@pytest.mark.parametrize("broken", [Unavailable("busy"), TypeError("a bug")])
def test_what_can_not_leave_its_bands_leaves_its_text(library: Library, broken: Exception) -> None:
    job = library.job()
    writes: list[Any] = []

    def failing(write: Any) -> None:
        writes.append(write)
        if len(writes) >= 10:
            raise broken

    library.table.before_write = failing
    run = library.run(job)
    what = Extracted(text=prose(1), title="Slower", source_type="text")
    with pytest.raises(type(broken)):
        publish_document(run, what, filename="slower.txt")
    run.discard()
    assert bands_of(library)
    library.table.before_write = lambda _write: None
    ending(library).remove_leftovers(job)
    assert bands_of(library) == []
    assert not library.objects.bodies


def test_a_refused_run_whose_standing_can_not_be_told_leaves_its_text(library: Library) -> None:
    job = library.job()
    get = library.table.get

    def away(*_: Any, **__: Any) -> None:
        raise Unavailable("busy")

    def refuse(_writes: object) -> None:
        library.table.get = away  # type: ignore[method-assign]
        raise StaleRun("x")

    library.table.transact = refuse  # type: ignore[method-assign,assignment]
    run = library.run(job)
    with pytest.raises(StaleRun):
        publish_document(run, Extracted(text=prose(1), title="x", source_type="text"), filename="x.txt")
    run.discard()
    library.table.get = get  # type: ignore[method-assign]
    assert bands_of(library)
    ending(library).remove_leftovers(job)
    assert bands_of(library) == []


@pytest.mark.parametrize(
    "name", ["checkpoint", "1-x.txt", "1-01arz3ndektsv4rrffq69g5fav.segments.json", "gone.txt"]
)
def test_what_is_no_text_of_a_run_has_no_bands(library: Library, name: str) -> None:
    withdraw_unpublished(library.table, library.objects, "ann", f"texts/{new_id()}/{name}")


def test_a_text_that_is_gone_has_no_bands(library: Library) -> None:
    withdraw_unpublished(library.table, library.objects, "ann", f"texts/{new_id()}/1-{new_id()}.txt")


# --- Groups --------------------------------------------------------------------------------------------------


def pair(newer: str, older: str, similarity: float) -> Pair:
    return Pair(newer=newer, older=older, similarity=similarity, kind="near_duplicate")


def test_pairs_that_share_a_document_are_one_group() -> None:
    found = grouped([pair("b", "a", 0.8), pair("d", "c", 0.9), pair("c", "b", 0.7), pair("y", "x", 0.95)])
    assert [(group.group_id, group.members, group.similarity) for group in found] == [
        ("x", ["x", "y"], 0.95),
        ("a", ["a", "b", "c", "d"], 0.9),
    ]


def test_the_threshold_parts_groups(library: Library) -> None:
    first, second = library.add(prose(1))["doc_id"], library.add(prose(1).upper())["doc_id"]
    third = library.add(edited(prose(1), 20))["doc_id"]
    assert groups(library, 0.5) == [[first, second, third]]
    assert groups(library, 1.0) == [[first, second]]


def test_deleting_a_document_takes_its_pairs_along(library: Library) -> None:
    ids = [library.add(prose(1))["doc_id"] for _ in range(3)]
    library.delete(ids[0])
    assert groups(library) == [ids[1:]]
    library.delete(ids[2])
    assert groups(library) == []
    assert not [key for key in library.left() if key[0].startswith("DUP")]


# --- Merging -------------------------------------------------------------------------------------------------


def merge(library: Library, keep: str, remove: list[str]) -> list[dict[str, str]]:
    return Merging(library.table, library.objects, library.owner).merge(keep, remove).merged


def test_merging_keeps_one_and_remembers_the_names_of_the_others(library: Library) -> None:
    keep, *others = (library.add(prose(1), title=title)["doc_id"] for title in ("One", "Two", "Three"))
    merged = merge(library, keep, others)
    assert [(entry["doc_id"], entry["title"]) for entry in merged] == list(
        zip(others, ("Two", "Three"), strict=True)
    )
    assert merge(library, keep, others) == merged  # the same request again
    assert library.search("anchor*") in ([keep], [])
    assert groups(library) == []


def test_names_move_on_with_a_document_that_was_merged_before(library: Library) -> None:
    first, second, third = (library.add(prose(1), title=title)["doc_id"] for title in ("One", "Two", "Three"))
    merge(library, second, [first])
    assert {entry["title"] for entry in merge(library, third, [second])} == {"One", "Two"}


def interrupted(library: Library, meanwhile: Callable[[], object]) -> None:
    """Have something happen right before the next transaction."""
    transact = library.table.transact

    def later(writes: Any) -> None:
        library.table.transact = transact  # type: ignore[method-assign]
        meanwhile()
        transact(writes)

    library.table.transact = later  # type: ignore[method-assign]


def test_of_two_opposite_merges_at_once_one_document_stays(library: Library) -> None:
    a, b = (library.add(prose(1), title=title)["doc_id"] for title in ("One", "Two"))
    interrupted(library, lambda: merge(library, b, [a]))  # somebody else keeps what is to go here
    with pytest.raises(NotFound):
        merge(library, a, [b])
    there = Documents(library.table, library.owner)
    assert [doc_id for doc_id in (a, b) if there.find(doc_id)] == [b]


def test_of_two_equal_merges_at_once_the_names_are_remembered_once(library: Library) -> None:
    a, b = (library.add(prose(1), title=title)["doc_id"] for title in ("One", "Two"))
    interrupted(library, lambda: merge(library, a, [b]))
    assert [entry["doc_id"] for entry in merge(library, a, [b])] == [b]


def test_what_is_merged_into_one_that_is_being_merged_moves_on_with_it(library: Library) -> None:
    a, b, c = (library.add(prose(1), title=title)["doc_id"] for title in ("One", "Two", "Three"))
    interrupted(library, lambda: merge(library, b, [c]))
    assert [entry["doc_id"] for entry in merge(library, a, [b])] == [b, c]


def test_a_merge_that_is_cut_short_has_deleted_and_remembered_the_same(library: Library) -> None:
    keep, *others = (library.add(prose(1), title=f"Number {number}")["doc_id"] for number in range(4))
    transact, done = library.table.transact, []

    def failing(writes: Any) -> None:
        done.append(len(writes))
        if len(done) == 2:
            raise Unavailable("busy")
        transact(writes)

    library.table.transact = failing  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        merge(library, keep, others)
    library.table.transact = transact  # type: ignore[method-assign]
    there = Documents(library.table, "ann")
    gone = [doc_id for doc_id in others if there.find(doc_id) is None]
    assert [entry["doc_id"] for entry in there.require(keep).merged] == gone == others[:1]
    assert [entry["doc_id"] for entry in merge(library, keep, others)] == others


def test_a_document_remembers_so_many_names_and_no_more(library: Library) -> None:
    keep = library.add(prose(1))["doc_id"]
    names = [{"doc_id": new_id(), "title": "é" * 100, "filename": "é" * 100} for _ in range(MAX_MERGED)]
    library.table.items[document_key("ann", keep)]["merged"] = names
    one = library.add(prose(1))["doc_id"]
    with pytest.raises(InvalidRequest, match=str(MAX_MERGED)):
        merge(library, keep, [one])
    assert Documents(library.table, "ann").find(one)
    names.pop()
    assert len(merge(library, keep, [one])) == MAX_MERGED


def test_long_names_are_remembered_by_their_beginning(library: Library) -> None:
    keep, one = library.add(prose(1))["doc_id"], library.add(prose(1), title="é" * 500)["doc_id"]
    (entry,) = merge(library, keep, [one])
    assert entry["title"] == "é" * 100


def test_two_that_settle_one_pair_at_once_do_not_fail(library: Library) -> None:
    """DynamoDB refuses one of two transactions on the same items; a moment later it goes through."""
    both_at_once(library, meanwhile=lambda: None)
    transact, tries = library.table.transact, []

    def conflicting(writes: Any) -> None:
        tries.append(len(writes))
        if len(tries) < 3:
            raise TransactionFailed(frozenset())
        transact(writes)

    library.table.transact = conflicting  # type: ignore[method-assign]
    assert len(groups(library)) == 1


def test_what_can_not_be_merged_is_refused_before_anything_is_done(library: Library) -> None:
    mine, other = library.add(prose(1))["doc_id"], library.add(prose(1))["doc_id"]
    theirs = Library("ben", library).add(prose(1))["doc_id"]
    with pytest.raises(InvalidRequest):
        merge(library, mine, [other, mine])
    for unknown in (theirs, new_id(), "no id", ""):
        with pytest.raises(NotFound):
            merge(library, mine, [other, unknown])
    with pytest.raises(NotFound):
        merge(library, theirs, [mine])
    assert groups(library) == [[mine, other]]


# --- Looking through everything ------------------------------------------------------------------------------


def test_a_rescan_finds_the_pairs_that_were_lost(library: Library) -> None:
    first, second = library.add(prose(1), title="First")["doc_id"], library.add(edited(prose(1)))["doc_id"]
    library.add(prose(2))
    for key in [key for key in library.left() if key[0].startswith("DUP")]:
        del library.table.items[key]
    result = library.rescan()
    assert (result["documents"], result["pairs_added"], result["group_count"]) == (3, 1, 1)
    assert [entry["doc_id"] for entry in result["groups"][0]["documents"]] == [first, second]
    assert groups(library) == [[first, second]]
    assert library.rescan()["pairs_added"] == 0


def test_a_rescan_goes_on_where_it_stopped(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.errors import HandOver
    from chalicelib.library import rescan

    monkeypatch.setattr(rescan, "PAGE", 2)
    for number in range(5):
        library.add(prose(number))
    job = library.job("find_duplicates_background")
    hurried = library.run(job, seconds=30)
    with pytest.raises(HandOver) as handed:
        task.find_duplicates(hurried)
    assert handed.value.details["queue"] == job.queue
    reads = counting(library.table)
    following = library.run(job)
    following.checkpoint._hopeful = True
    task.find_duplicates(following)
    assert library.result(job)["documents"] == 5
    assert reads["query"] <= 5  # two pages of documents that were left, the pairs twice, the open ones


@pytest.mark.parametrize("threshold", [0, 2, -1, 0.49, "much", None, [1]])
def test_a_threshold_that_is_none_is_refused(library: Library, threshold: Any) -> None:
    with pytest.raises(InvalidRequest, match="threshold"):
        library.rescan(threshold=threshold)


def test_an_empty_library_has_no_duplicates(library: Library) -> None:
    assert library.rescan()["groups"] == []


# --- Side by side --------------------------------------------------------------------------------------------


def test_the_passages_that_two_texts_share_are_shown_from_both() -> None:
    shared = prose(1, 40)
    a, b = f"{prose(2, 20)}\n\n{shared}. {prose(3, 10)}", f"{prose(4, 5)} {shared.upper()}! {prose(5, 30)}"
    found = compare(a, b)
    assert 0.3 < found.similarity < 0.9
    (passage,) = found.passages
    assert passage.words == 40
    assert a[passage.a.start : passage.a.end] == shared
    assert b[passage.b.start : passage.b.end] == shared.upper()


def test_texts_without_a_common_passage_have_none() -> None:
    found = compare(prose(1), prose(2))
    assert found.passages == []
    assert found.similarity < 0.5
    assert compare("", "").similarity == 0


def test_comparing_ten_megabytes_of_one_line_takes_moments() -> None:
    import time

    text = "the same line again and again\n" * 350_000
    started = time.process_time()
    found = compare(text, text)
    assert time.process_time() - started < 10
    assert found.cut
    assert found.similarity == 1
