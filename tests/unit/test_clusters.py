"""How documents find their cluster, and what a cluster is called."""

from __future__ import annotations

import msgspec
import pytest

from chalicelib.knowledge.clusters import (
    MAX_CONCEPTS,
    MAX_TERMS,
    Centroid,
    Share,
    cluster_name,
    founded,
    gathered,
    joined,
    left,
    nearest,
    similarity,
    threshold_for,
)
from chalicelib.knowledge.terms import term_vector, unit
from tests.unit.labelled_texts import TOPICS, adjusted_rand_index, clustering

BREAD = term_vector("Knead the bread dough of flour, water, salt and yeast, and bake the loaf.")
LOAF = term_vector("The bread dough rises; bake the loaf in a hot oven and dust it with flour.")
STARS = term_vector("A telescope shows the stars of a distant galaxy.")


def test_a_small_library_in_any_order_falls_into_its_topics() -> None:
    results = [clustering(seed) for seed in range(10)]
    assert sum(score for score, _ in results) / len(results) >= 0.75  # measured: 0.80
    assert min(score for score, _ in results) >= 0.5
    assert all(len(TOPICS) - 1 <= clusters <= 2 * len(TOPICS) for _, clusters in results)


def test_the_rand_index_is_one_for_equal_and_low_for_unrelated_partitions() -> None:
    assert adjusted_rand_index(["a", "a", "b", "b"], ["x", "x", "y", "y"]) == 1.0
    assert adjusted_rand_index(["a", "a", "b", "b"], ["x", "y", "x", "y"]) < 0


def test_a_document_joins_its_subject_and_not_another() -> None:
    bread, stars = founded("bread", BREAD, ["bread"]), founded("stars", STARS, ["star"])
    assert nearest(LOAF, [stars, bread]) == bread
    assert nearest(term_vector("The parliament voted on the budget."), [stars, bread]) is None


def test_the_threshold_can_be_given_and_rises_with_the_length_of_a_document() -> None:
    bread = founded("bread", BREAD, [])
    assert nearest(LOAF, [bread], threshold=0.99) is None
    assert threshold_for(LOAF) < threshold_for({f"t{i}": 0.06 for i in range(300)}) == pytest.approx(0.155)


def test_without_clusters_or_terms_there_is_no_nearest() -> None:
    assert nearest(BREAD, []) is None
    assert nearest({}, [founded("bread", BREAD, [])]) is None
    assert nearest({}, [founded("bread", BREAD, [])], threshold=0.0) is None
    assert nearest(BREAD, [founded("empty", {}, [])]) is None


def test_between_equals_the_order_of_the_clusters_decides_nothing() -> None:
    a, b = founded("a", BREAD, []), founded("b", BREAD, [])
    assert nearest(BREAD, [a, b]) == nearest(BREAD, [b, a]) == a


def test_similarity_is_the_mean_over_the_members() -> None:
    one = founded("c", BREAD, [])
    assert similarity(BREAD, one) == pytest.approx(1.0, abs=1e-4)
    two = joined(one, STARS, [])
    assert similarity(BREAD, two) == pytest.approx(0.5, abs=1e-4)


def test_joining_adds_one_document_and_one_version() -> None:
    one = founded("c", BREAD, ["bread", "flour"])
    two = joined(one, LOAF, ["bread", "oven", "bread"])
    assert (one.size, one.version, two.size, two.version) == (1, 1, 2, 2)
    assert two.concept_counts == {"bread": 2, "flour": 1, "oven": 1}
    assert two.weights["bread"] == pytest.approx(BREAD["bread"] + LOAF["bread"], abs=1e-5)
    assert one.concept_counts == {"bread": 1, "flour": 1}


def test_leaving_undoes_joining() -> None:
    one = founded("c", BREAD, ["bread", "flour"])
    back = left(joined(one, STARS, ["star", "bread"]), STARS, ["star", "bread"])
    assert back.size == 1
    assert back.version == 3
    assert back.concept_counts == one.concept_counts
    assert back.weights == pytest.approx(one.weights, abs=1e-5)


def test_a_name_made_of_what_only_the_leaving_document_had_is_made_anew() -> None:
    named = joined(founded("c", BREAD, ["flour"]), STARS, ["star"])
    assert named.name == "Flour"
    assert left(named, STARS, ["star"]).name == "Flour"
    assert left(named, BREAD, ["flour"]).name == "Star"
    assert left(joined(named, BREAD, ["flour"]), BREAD, ["flour"]).name == "Flour"
    two = msgspec.structs.replace(named, name="Star, flour")
    assert left(two, BREAD, ["flour"]).name == "Star"
    mine = msgspec.structs.replace(named, named_by_user=True)
    assert left(mine, BREAD, ["flour"]).name == "Flour"


def test_the_last_document_leaves_an_empty_cluster() -> None:
    empty = left(founded("c", BREAD, ["bread"]), BREAD, ["bread"])
    assert (empty.size, empty.weights, empty.concept_counts) == (0, {}, {})
    assert similarity(BREAD, empty) == 0.0


def test_a_users_name_is_never_replaced() -> None:
    mine = msgspec.structs.replace(
        founded("c", BREAD, ["bread"]), name="Grandma's recipes", named_by_user=True
    )
    for _ in range(5):
        mine = joined(mine, LOAF, ["oven"])
    assert mine.name == "Grandma's recipes"


def test_a_name_made_here_follows_what_its_documents_share() -> None:
    cluster = founded("c", BREAD, ["flour"])
    assert cluster.name == "Flour"
    for other in ("crust", "yeast", "loaf"):
        cluster = joined(cluster, LOAF, ["sourdough bread", other])
    assert cluster.name == "Sourdough bread"


def test_a_name_is_frequent_here_and_rare_elsewhere() -> None:
    counts = {"Python": 5, "web scraping": 4}
    assert cluster_name(counts, 5, {"Python": 0.9, "web scraping": 0.02}) == "Web scraping"


def test_two_concepts_name_a_cluster_where_none_is_in_half_of_it() -> None:
    assert cluster_name({"comet": 3, "nebula": 2}, 8).count(",") == 1


def test_a_cluster_that_shares_no_concept_is_named_after_its_most_typical_document() -> None:
    typical = Share(unit({"oven": 1.0, "bread": 1.0, "flour": 1.0}), ["sourdough bread", "loaf"])
    others = [Share(unit({word: 1.0, f"own{word}": 1.0}), [f"{word} kvass"]) for word in ("oven", "bread")]
    for shares in ([typical, *others], [*others, typical]):
        assert gathered("c", shares).name == "Sourdough bread"
    # Of two, each as like the other: the one that says more.
    assert gathered("c", [others[0], typical]).name == "Sourdough bread"


def test_a_cluster_of_documents_that_come_one_by_one_and_share_no_concept_keeps_the_firsts() -> None:
    cluster = joined(founded("c", BREAD, ["loaf", "oven"]), LOAF, ["xylophone quartet"])
    assert cluster.name == "Loaf"


def test_a_cluster_without_concepts_is_untitled_and_a_rare_concept_names_nothing() -> None:
    assert cluster_name({}, 4) == "Untitled"
    assert cluster_name({"quark": 1}, 100) == "Untitled"


def test_a_cluster_of_a_thousand_long_documents_is_stored_in_under_twenty_kilobytes() -> None:
    cluster = founded("01JABCDEFGHJKMNPQRSTVWXYZ0", BREAD, [])
    for i in range(1000):
        vector = {f"unusually-long-term-{i}-{j}": 0.06 for j in range(MAX_TERMS)}
        cluster = joined(cluster, vector, [f"{'concept of some length ' * 9}{i} {j}" for j in range(10)])
    assert len(cluster.weights) == MAX_TERMS
    assert len(cluster.concept_counts) <= MAX_CONCEPTS
    assert len(msgspec.json.encode(cluster)) < 20_000
    assert msgspec.json.decode(msgspec.json.encode(cluster), type=Centroid) == cluster
