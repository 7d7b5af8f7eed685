"""`regroup_library` on a library in memory: sums stay right whatever happens, ids and names stay."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from chalicelib.aws.expressions import Act, Update
from chalicelib.errors import HandOver, NotFound, RetryAfter, Unavailable
from chalicelib.knowledge.clusters import CATCH_ALL, Share
from chalicelib.library import destinations, regrouping, wholelibrary
from chalicelib.library.clusters import Clusters
from chalicelib.library.directory import Generation
from chalicelib.library.documents import concept_names, counts_key
from chalicelib.library.moves import Member
from chalicelib.library.regrouping import Regrouping
from chalicelib.tasks.regroup_library import regroup_library
from tests.unit.labelled_texts import TOPICS, adjusted_rand_index
from tests.unit.libraries import Library

PAIRS = [(topic, text) for topic, texts in TOPICS.items() for text in texts]


def filled(seed: int = 1, number: int = len(PAIRS)) -> tuple[Library, dict[str, str]]:
    """Return a library of texts on eight topics, and the topic of each document."""
    library, topics = Library(), {}
    shuffled = list(PAIRS)
    random.Random(seed).shuffle(shuffled)
    for topic, text in shuffled[:number]:
        topics[library.add(text, title=text.split(".")[0][:40])["doc_id"]] = topic
    return library, topics


def regroup(library: Library) -> dict[str, Any]:
    return library.task("regroup_library", regroup_library)


def quality(library: Library, topics: dict[str, str]) -> float:
    there = {document.doc_id: document.cluster_id for document in library.documents()}
    return adjusted_rand_index([topics[doc_id] for doc_id in there], list(there.values()))


def scattered() -> tuple[Library, dict[str, str]]:
    """Return a library whose documents are all over the place: a lot to move."""
    library, topics = filled()
    clusters = [cluster.cluster_id for cluster in library.clusters()]
    moves = Regrouping(library.table, library.objects, "ann").moves
    whole = wholelibrary.WholeLibrary(library.table, library.objects, "ann")
    chance = random.Random(5)
    for document, vector in list(whole.vectors(library.documents())):
        target = chance.choice(clusters)
        if target != document.cluster_id:
            share = Share(vector, concept_names(document))
            moves.move([Member(doc_id=document.doc_id, share=share)], document.cluster_id, target)
    assert library.unsound() == []
    return library, topics


# --- What it makes of a library --------------------------------------------------------------------------------


def test_a_library_is_better_grouped_afterwards_and_its_sums_are_right() -> None:
    library, topics = scattered()
    before = quality(library, topics)
    result = regroup(library)
    assert quality(library, topics) > max(0.85, before)
    assert result["documents"] == len(PAIRS)
    assert (
        result["clusters_after"] == len(library.clusters()) <= 13
    )  # 8 topics, and texts that hardly share a word with others
    assert result["moved"] > 0
    assert library.unsound() == []


def test_a_second_time_nothing_moves_and_nothing_is_written_but_the_counts() -> None:
    library, _ = filled()
    regroup(library)
    versions = {cluster.cluster_id: cluster.version for cluster in library.clusters()}
    assert regroup(library)["moved"] == 0
    assert versions == {cluster.cluster_id: cluster.version for cluster in library.clusters()}


def test_sums_lose_what_rounding_and_cutting_have_added_up_to() -> None:
    library, _ = filled()
    regroup(library)
    cluster = library.clusters()[0]
    row = library.table.items["LIB#ann", f"CLUSTER#{cluster.cluster_id}"]
    drifted = Clusters(library.table, "ann").save(
        cluster, cluster_with(cluster, weights={**cluster.weights, "driftwood": 0.5})
    )
    library.table.write(drifted)
    assert library.unsound() != []
    regroup(library)
    assert library.unsound() == []
    assert row is not library.table.items["LIB#ann", f"CLUSTER#{cluster.cluster_id}"]


def cluster_with(cluster: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(cluster, version=cluster.version + 1, **fields)


def test_ids_and_the_users_names_stay() -> None:
    library, _ = filled()
    regroup(library)
    ids = {cluster.cluster_id for cluster in library.clusters() if cluster.size > 1}
    largest = library.clusters()[0]
    Clusters(library.table, "ann").rename(largest.cluster_id, "My very own")
    for number in range(3):
        for _topic, text in PAIRS:
            library.add(f"{text} Number {number}.")
    regroup(library)
    assert ids <= {cluster.cluster_id for cluster in library.clusters()}
    named = Clusters(library.table, "ann").require(largest.cluster_id)
    assert (named.name, named.named_by_user) == ("My very own", True)
    assert library.unsound() == []


def test_two_topics_that_their_user_keeps_apart_stay_apart() -> None:
    library, _ = filled()
    regroup(library)
    cluster = library.clusters()[0]
    halves = library.documents_of(cluster.cluster_id)[:2]
    moves = Regrouping(library.table, library.objects, "ann").moves
    whole = wholelibrary.WholeLibrary(library.table, library.objects, "ann")
    some = [document for document in library.documents() if document.doc_id in halves]
    members = [
        Member(
            doc_id=document.doc_id,
            share=Share(vector, concept_names(document)),
        )
        for document, vector in whole.vectors(some)
    ]
    other = "01jqzqzqzqzqzqzqzqzqzqzqzq"
    moves.move(members, cluster.cluster_id, other)
    clusters = Clusters(library.table, "ann")
    clusters.rename(cluster.cluster_id, "This")
    clusters.rename(other, "That")
    regroup(library)
    assert sorted(library.documents_of(other)) == sorted(halves)
    assert {cluster.name for cluster in library.clusters()} >= {"This", "That"}
    assert library.unsound() == []


SPEECH = "And so, my fellow Americans, ask not what your country can do for you."
FORM = "这是一个中文文本提取测试。合同编号为二〇二六。"
HIKE = "Randonnée au lac d'Été. Départ à huit heures du parking près de la chapelle, retour avant la nuit."


def test_what_is_like_nothing_else_leaves_the_topic_that_it_was_put_into() -> None:
    library, _ = filled()
    strangers = [library.add(text)["doc_id"] for text in (SPEECH, FORM, HIKE)]
    regroup(library)
    library.add_to(library.clusters()[0].cluster_id, strangers)
    regroup(library)
    there = {document.doc_id: document.cluster_id for document in library.documents()}
    sizes = {cluster.cluster_id: cluster.size for cluster in library.clusters()}
    assert [sizes[there[doc_id]] for doc_id in strangers] == [1, 1, 1]
    assert regroup(library)["moved"] == 0
    assert library.unsound() == []


def test_there_is_room_for_topics_to_come_when_much_is_like_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library, _ = filled()
    regroup(library)
    several = sum(cluster.size > 1 for cluster in library.clusters())
    monkeypatch.setattr(destinations, "_MOST_WITH_SINGLES", several + 1)
    strangers = [library.add(text)["doc_id"] for text in (SPEECH, FORM, HIKE)]
    library.add_to(library.clusters()[0].cluster_id, strangers)
    regroup(library)
    assert len(library.documents_of(CATCH_ALL)) == 2
    assert library.unsound() == []


def test_a_topic_that_its_user_has_named_keeps_and_gets_only_what_is_like_it() -> None:
    library, topics = filled()
    regroup(library)
    by_topic = {topic: [doc_id for doc_id, of in topics.items() if of == topic] for topic in TOPICS}
    mine = "01jqzqzqzqzqzqzqzqzqzqzqzq"
    held = [*by_topic["baking"], *by_topic["astronomy"][:2]]
    library.add_to(mine, held)
    Clusters(library.table, "ann").rename(mine, "Bread and stars")
    for text in (SPEECH, FORM, HIKE):
        library.add(text)
    regroup(library)
    kept = library.documents_of(mine)
    assert set(by_topic["baking"]) <= set(kept) <= {*by_topic["baking"], *by_topic["astronomy"]}
    assert library.unsound() == []


def test_names_made_here_are_made_anew_by_what_is_rare_elsewhere_in_the_library() -> None:
    library, _ = filled()
    regroup(library)
    names = [cluster.name for cluster in library.clusters()]
    assert len(set(names)) == len(names)
    assert "Untitled" not in names


def test_texts_without_words_end_up_together_and_a_template_stays_one_topic() -> None:
    library = Library()
    letter = TOPICS["finance"][0]
    for number in range(40):
        library.add(f"{number} 12345 .,;:-")
        library.add(f"Dear customer {number}, {letter} Yours, No. {number * 7919}")
    regroup(library)
    sizes = {cluster.cluster_id: cluster.size for cluster in library.clusters()}
    assert sizes.pop(CATCH_ALL) == 40
    assert list(sizes.values()) == [40]
    assert library.unsound() == []


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_tiny_libraries_are_regrouped_too(number: int) -> None:
    library, _ = filled(number=number)
    result = regroup(library)
    assert result["documents"] == number
    assert library.unsound() == []


def test_of_a_library_too_large_the_others_follow_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    library, topics = scattered()
    # By rank, not by an id's checksum: the same documents each time.
    chosen = set(sorted(topics)[::2]) | set(sorted(topics)[::3])
    monkeypatch.setattr(wholelibrary, "_chosen", lambda doc_id, _total: doc_id in chosen)
    before = quality(library, topics)
    regroup(library)
    assert quality(library, topics) > before + 0.3
    assert library.unsound() == []


# --- Whatever comes between ------------------------------------------------------------------------------------


def test_a_regrouping_that_dies_anywhere_leaves_right_sums_and_the_next_one_goes_on() -> None:
    for number in (1, 4, 9, 15, 22):
        library, topics = scattered()
        left = [number]

        def die(write: Act, left: list[int] = left) -> None:
            if isinstance(write, Update) and write.key[1].startswith("DOC#"):
                left[0] -= 1
                if left[0] < 0:
                    raise Unavailable("The database does not answer.")

        library.table.before_write = die
        job = library.job("regroup_library")
        with pytest.raises(Unavailable):
            regroup_library(library.run(job))
        library.table.before_write = lambda _write: None
        assert library.unsound() == []
        regroup_library(library.run(job))
        assert quality(library, topics) > 0.85
        assert library.unsound() == []


def test_a_run_without_time_hands_over_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regrouping, "_BLOCK", 8)
    monkeypatch.setattr(wholelibrary, "PAGE", 8)
    library, topics = scattered()
    job = library.job("regroup_library")
    hops = 0
    # Enough to plan in the first run, then for one block a run.
    for seconds in (iter([500.0] * 6), iter(()), iter(()), iter([500.0] * 99)):
        run = library.run(job)
        monkeypatch.setattr(run, "seconds_left", lambda seconds=seconds: next(seconds, 50.0))
        run.checkpoint.used = hops > 0
        try:
            regroup_library(run)
        except HandOver:
            hops += 1
            assert library.unsound() == []
    assert hops >= 2
    assert quality(library, topics) > 0.6
    assert library.unsound() == []


def test_of_two_at_once_one_waits() -> None:
    library, _ = filled(number=5)
    assert Regrouping(library.table, library.objects, "ann").claim("a")
    with pytest.raises(RetryAfter):
        regroup(library)
    Regrouping(library.table, library.objects, "ann").release("a", documents=5, clusters=2)
    regroup(library)


def test_documents_come_go_and_get_names_while_it_is_at_work() -> None:
    library, _ = scattered()
    doomed = [document.doc_id for document in library.documents()][:10]

    def add(number: int) -> None:
        for turn in range(6):
            library.add(f"{PAIRS[(number * 6 + turn) % len(PAIRS)][1]} Added by {number}.")

    def rename() -> None:
        for turn in range(30):
            cluster = random.Random(turn).choice(library.clusters())
            with suppress(NotFound):
                Clusters(library.table, "ann").rename(cluster.cluster_id, f"Named {turn}")

    def delete() -> None:
        for doc_id in doomed:
            library.delete(doc_id)

    with ThreadPoolExecutor(10) as pool:
        others = [pool.submit(add, number) for number in range(8)] + [
            pool.submit(delete),
            pool.submit(rename),
        ]
        for _ in range(2):
            regroup(library)
        for other in others:
            other.result(timeout=60)
    regroup(library)
    assert len(library.documents()) == len(PAIRS) + 48 - 10
    assert library.unsound() == []


# --- When ------------------------------------------------------------------------------------------------------


def asked(library: Library) -> list[str]:
    return [
        key[0]
        for key, item in library.table.items.items()
        if item.get("task") == "regroup_library" and item.get("owner") == "~ann"
    ]


def test_the_service_asks_at_thirty_documents_and_again_when_they_have_doubled() -> None:
    library, _ = filled(number=30)
    assert asked(library) == []
    library.add(PAIRS[30][1])
    assert len(asked(library)) == 1
    for _, text in PAIRS[31:35]:
        library.add(text)
    assert len(asked(library)) == 1
    regroup(library)
    for number in range(30):
        library.add(f"{PAIRS[number][1]} Again.")
    assert len(asked(library)) == 1
    for number in range(10):
        library.add(f"{PAIRS[number][1]} Once more.")
    assert len(asked(library)) == 2


def test_a_regrouping_makes_the_directory_anew() -> None:
    library, _ = filled()
    regroup(library)
    counts = library.table.get(counts_key("ann"))
    assert Generation.of(counts).generation > 0
    assert counts is not None
    assert (counts["regrouped"], counts["regrouped_clusters"]) == (len(PAIRS), len(library.clusters()))
