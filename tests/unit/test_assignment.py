"""Which cluster a document joins: at a bounded price, and with no update lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from chalicelib.aws.expressions import Update
from chalicelib.jobs.job import new_id
from chalicelib.knowledge.clusters import CATCH_ALL, Centroid, founded, nearest
from chalicelib.knowledge.directory import Directory, directory_of
from chalicelib.knowledge.terms import unit
from chalicelib.library import assignment, directory
from chalicelib.library.assignment import REPLACED_AT, Assignment
from chalicelib.library.clusters import Clusters
from chalicelib.library.directory import Generation, StoredDirectory
from chalicelib.library.documents import counts_key
from chalicelib.library.removal import Removal
from tests.memory import MemoryTable
from tests.unit.labelled_texts import TOPICS
from tests.unit.libraries import Library, counting, prose


@pytest.fixture(autouse=True)
def _own_memory() -> Iterator[None]:
    directory._cache.clear()
    yield
    directory._cache.clear()


def vector(seed: int, words: int = 120) -> dict[str, float]:
    """Return a vector that shares a few common terms with every other one."""
    chance = random.Random(seed)
    own = {f"word{seed}x{number}": chance.uniform(0.5, 1) for number in range(words - 10)}
    return unit(own | {f"common{chance.randrange(60)}": 0.4 for _ in range(10)})


def fill(table: MemoryTable, number: int, owner: str = "ann") -> list[Centroid]:
    """Write clusters of one document each, and the count."""
    clusters = Clusters(table, owner)
    made = [founded(f"00{i:024d}", vector(i), [f"concept {i}"]) for i in range(1, number + 1)]
    for centroid in made:
        table.write(clusters.save(None, centroid))
    table.write(Update(key=counts_key(owner), add={"documents": number}))
    return made


def index(table: MemoryTable, owner: str = "ann") -> None:
    generation = Generation.of(table.get(counts_key(owner)))
    assert StoredDirectory(table, owner).replace(generation, Clusters(table, owner).all)


def metered(table: MemoryTable) -> list[int]:
    """Return a list to which every read from now on adds the bytes that it gives."""
    sizes: list[int] = []

    def meter(name: str) -> None:
        do = getattr(table, name)

        def call(*args: Any, **options: Any) -> Any:
            answer = do(*args, **options)
            sizes.append(len(repr(answer)))
            return answer

        setattr(table, name, call)

    for name in ("get", "get_many", "query"):
        meter(name)
    return sizes


# --- What it costs ---------------------------------------------------------------------------------------------


def test_an_assignment_reads_no_more_of_a_large_library_than_of_a_small_one() -> None:
    costs = []
    for number in (30, 900):
        table = MemoryTable()
        fill(table, number)
        index(table)
        Assignment(table, "ann").choose(vector(5), [])  # this process reads the directory
        calls, sizes = counting(table), metered(table)
        choice = Assignment(table, "ann").choose(vector(7), [])
        assert choice.before is not None
        assert choice.before.cluster_id == f"00{7:024d}"
        costs.append((calls.total(), sum(sizes)))
    assert costs[0][0] == costs[1][0] == 2
    assert costs[1][1] <= costs[0][1] * 1.1


def test_the_directory_names_the_nearest_of_many() -> None:
    made = [founded(f"c{i}", vector(i), []) for i in range(300)]
    found = directory_of(made)
    assert Directory.unpack(found.pack()) == found
    for seed in range(0, 300, 7):
        likeness = unit({**vector(seed), **{f"common{i}": 0.3 for i in range(30)}})
        best = nearest(likeness, made)
        assert best is not None
        assert best.cluster_id in found.shortlist(likeness)


def test_a_young_library_is_read_whole_and_gets_a_directory_when_it_grows() -> None:
    library = Library()
    for number in range(REPLACED_AT - 1):
        library.add(f"{prose(number, 60)} {number}")
    # However these fell together: what counts is how many clusters there are.
    generation = Generation.of(library.table.get(counts_key("ann")))
    assert bool(generation.generation) == (len(library.clusters()) > REPLACED_AT)
    fill(library.table, REPLACED_AT)
    library.add(prose(1000, 60))
    generation = Generation.of(library.table.get(counts_key("ann")))
    assert generation.generation
    assert StoredDirectory(library.table, "ann").load(generation) is not None


def test_clusters_that_are_younger_than_the_directory_are_seen() -> None:
    table = MemoryTable()
    fill(table, 40)
    index(table)
    clusters = Clusters(table, "ann")
    young = founded(new_id(), vector(5000), [])
    table.write(clusters.save(None, young))
    choice = Assignment(table, "ann").choose(vector(5000), [])
    assert choice.before == young


def test_clusters_that_are_gone_since_are_passed_over() -> None:
    table = MemoryTable()
    made = fill(table, 40)
    index(table)
    clusters = Clusters(table, "ann")
    gone = msgspec.structs.replace(made[4], size=0)
    table.write(clusters.shrink(made[4], gone))
    choice = Assignment(table, "ann").choose(vector(5), [])
    assert choice.before is None
    assert choice.after.size == 1


def test_another_process_reads_the_directory_that_counts() -> None:
    table = MemoryTable()
    fill(table, 40)
    index(table)
    Assignment(table, "ann").choose(vector(5), [])
    before = directory._cache.copy()
    index(table)  # in another process
    directory._cache.update(before)
    choice = Assignment(table, "ann").choose(vector(9), [])
    assert choice.before is not None
    assert choice.before.cluster_id == f"00{9:024d}"
    parts = [key for key in table.items if key[0] == "TOPICS#ann"]
    assert len(parts) == 1


def test_a_directory_whose_parts_are_missing_does_not_hold_anybody_up() -> None:
    table = MemoryTable()
    fill(table, 40)
    index(table)
    for key in [key for key in table.items if key[0] == "TOPICS#ann"]:
        del table.items[key]
    choice = Assignment(table, "ann").choose(vector(9), [])
    assert choice.before is not None


def test_of_two_new_directories_one_counts_and_nothing_of_the_other_is_left() -> None:
    table = MemoryTable()
    fill(table, 40)
    stored, clusters = StoredDirectory(table, "ann"), Clusters(table, "ann")
    assert stored.replace(Generation(), clusters.all)
    assert not stored.replace(Generation(), clusters.all)
    generation = Generation.of(table.get(counts_key("ann")))
    keys = [key for key in table.items if key[0] == "TOPICS#ann"]
    assert keys == [("TOPICS#ann", f"PART#{generation.generation}#0")]


def test_an_emptied_library_leaves_no_directory() -> None:
    library = Library()
    doc_id = library.add(prose(1))["doc_id"]
    index(library.table)
    Removal(library.table, library.objects, "ann").remove(doc_id)
    library.tidy()
    assert [key for key in library.left() if "SYSTEM" not in key[0]] == []


# --- Limits, and texts that are none ---------------------------------------------------------------------------


def test_beyond_the_most_clusters_a_document_joins_one_that_it_is_like_or_the_one_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assignment, "MAX_CLUSTERS", 3)
    table = MemoryTable()
    made = fill(table, 3)
    choice = Assignment(table, "ann").choose(vector(2), [])
    assert choice.before is not None
    assert choice.before.cluster_id == made[1].cluster_id
    far = unit({"word2x1": 0.02, "elsewhere": 1.0})
    choice = Assignment(table, "ann").choose(far, [])
    assert (choice.before, choice.after.cluster_id) == (None, CATCH_ALL)


def test_a_document_joins_the_cluster_of_one_that_it_nearly_repeats() -> None:
    table = MemoryTable()
    made = fill(table, 3)
    gone = "01jqzqzqzqzqzqzqzqzqzqzqzq"
    beside = [gone, made[2].cluster_id, made[1].cluster_id]
    choice = Assignment(table, "ann").choose(vector(1), [], beside=beside)
    assert choice.before == made[2]
    choice = Assignment(table, "ann").choose(vector(1), [], beside=[gone, CATCH_ALL])
    assert choice.before == made[0]


def test_versions_of_a_document_stay_together_as_they_come() -> None:
    library = Library()
    first = library.add(prose(1))
    library.add_to(first["cluster_id"], [library.add(prose(number))["doc_id"] for number in range(2, 30)])
    assert library.add(f"{prose(1)} Second edition.")["cluster_id"] == first["cluster_id"]
    # A larger text that has it in it may be about more.
    whole = library.add(" ".join(prose(number) for number in (1, *range(60, 70))))
    assert whole["cluster_id"] != first["cluster_id"]
    assert library.unsound() == []


def test_texts_without_words_belong_together() -> None:
    library = Library()
    for number in range(30):
        library.add(f"{number} 12345 .,;:- the and of " * 3)
    (only,) = library.clusters()
    assert (only.size, only.name, only.cluster_id) == (30, "Other", CATCH_ALL)
    assert library.unsound() == []


def test_nothing_joins_the_texts_without_words_for_likeness() -> None:
    there = founded(CATCH_ALL, {"bread": 1.0}, [], version=9)
    assert nearest({"bread": 1.0}, [there]) is None
    assert directory_of([there]).cluster_ids == []


def test_odd_texts_are_assigned() -> None:
    library = Library()
    for text in (
        "word " * 200_000,
        "x" * 1_000_000,
        "日本語のテキストと English und Deutsch и русский текст ภาษาไทย " * 50,
        "\u0301" * 1000 + " accents",
    ):
        library.add(text)
    assert library.unsound() == []


def test_letters_of_one_template_are_one_cluster() -> None:
    library = Library()
    letter = TOPICS["finance"][0]
    for number in range(60):
        library.add(f"Dear customer {number}, {letter} Yours, No. {number * 7919}")
    assert [cluster.size for cluster in library.clusters()] == [60]


# --- At once ---------------------------------------------------------------------------------------------------


def test_of_thirty_two_writers_at_once_no_update_is_lost() -> None:
    library = Library()
    texts = [text for texts in TOPICS.values() for text in texts]
    errors: list[BaseException] = []
    ready = threading.Barrier(32)

    def write(number: int) -> None:
        try:
            ready.wait(timeout=30)
            for turn in range(3):
                library.add(texts[(number * 3 + turn) % len(texts)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(cluster.size for cluster in library.clusters()) == len(library.documents()) == 96
    assert library.unsound() == []
