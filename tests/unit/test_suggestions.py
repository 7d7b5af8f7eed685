"""What can be built with what a library holds."""

from __future__ import annotations

import msgspec
import pytest

from chalicelib.errors import InvalidRequest
from chalicelib.knowledge.clusters import founded, joined
from chalicelib.knowledge.holdings import concepts_of, covers, distinct, is_knowledge
from chalicelib.knowledge.minhash import signature
from chalicelib.knowledge.suggestion_catalogue import SHAPES
from chalicelib.knowledge.suggestions import Reading, suggest
from chalicelib.tasks.build_suggestions import generate_build_suggestions
from tests.unit.conftest import Api
from tests.unit.labelled_texts import TOPICS
from tests.unit.libraries import Library, counting, prose

FIELDS = {
    "title", "description", "feasibility", "effort_estimate", "complexity_level", "required_skills",
    "missing_knowledge", "relevant_clusters", "starter_steps", "learning_path", "expected_outcomes",
    "knowledge_coverage", "starter_code", "file_structure", "troubleshooting_tips", "recommended_resources",
    "evidence", "coverage_score", "method",
}  # fmt: skip


def reading(number: int, cluster: str, *names: str, level: str = "beginner") -> Reading:
    concepts = [tuple(name.split("/")) if "/" in name else (name, "concept") for name in names]
    # What it has alone, so that it is no version of another one.
    concepts += [(f"note {number}", "concept"), (f"remark {number}", "concept")] if names else []
    return Reading(
        doc_id=f"d{number}",
        title=f"Text {number}",
        cluster_id=cluster,
        level=level,
        concepts=[(name, category) for name, category in concepts],
    )


def clusters(*sizes: tuple[str, int]) -> list[object]:
    found = []
    for cluster_id, size in sizes:
        made = founded(cluster_id, {"a": 1.0}, [cluster_id])
        for _ in range(size - 1):
            made = joined(made, {"a": 1.0}, [cluster_id])
        found.append(made)
    return found  # type: ignore[return-value]


READINGS = [
    *(reading(n, "c1", "Python/language", "sorting", "heap", "caching") for n in range(4)),
    *(reading(n, "c2", "baking", "bread", "heap", "caching", level="advanced") for n in range(4, 8)),
]
CLUSTERS = clusters(("c1", 4), ("c2", 4))


def test_each_suggestion_has_all_fields_and_evidence_that_is_true() -> None:
    found = suggest(CLUSTERS, READINGS, number=10)  # type: ignore[arg-type]
    having = {read.doc_id: {name for name, _ in read.concepts} for read in READINGS}
    assert len(found["suggestions"]) >= 4
    for one in found["suggestions"]:
        assert set(one) >= FIELDS
        assert one["evidence"]
        assert all(entry["concept"] in having[entry["doc_id"]] for entry in one["evidence"])
        assert all(entry["title"] for entry in one["evidence"])
        assert {entry["doc_id"] for entry in one["recommended_resources"]} <= set(having)
        assert 0 < one["coverage_score"] <= 1
        assert one["method"] == "offline"
        assert "{" not in str(one["starter_steps"]) + one["title"] + one["description"]


def test_a_concept_that_many_mention_and_none_is_about_is_a_gap() -> None:
    found = suggest(CLUSTERS, READINGS, number=10)  # type: ignore[arg-type]
    assert found["gaps"] == [{"concept": "caching", "mentioned_in": 8, "focus_of": 0}]
    (gap,) = [one for one in found["suggestions"] if one["shape"] == "gap"]
    assert "caching" in gap["title"]
    assert "caching" in gap["missing_knowledge"]


def test_topics_that_share_concepts_are_bridged() -> None:
    found = suggest(CLUSTERS, READINGS, number=10)  # type: ignore[arg-type]
    (bridge,) = [one for one in found["suggestions"] if one["shape"] == "bridge"]
    assert {topic["cluster_id"] for topic in bridge["relevant_clusters"]} == {"c1", "c2"}


def test_more_documents_on_a_concept_raise_its_coverage() -> None:
    few = suggest(clusters(("c1", 3)), READINGS[:3], number=1)["suggestions"][0]  # type: ignore[arg-type]
    many = [reading(n, "c1", "Python/language", "sorting", "heap", "caching") for n in range(12)]
    more = suggest(clusters(("c1", 12)), many, number=1)["suggestions"][0]  # type: ignore[arg-type]
    assert few["shape"] == more["shape"]
    assert few["coverage_score"] < more["coverage_score"]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_tiny_library_gets_a_reason_and_a_next_step(number: int) -> None:
    found = suggest(CLUSTERS, READINGS[:number], number=5)  # type: ignore[arg-type]
    assert found["suggestions"] == []
    assert found["reasons"]
    assert found["next_steps"]


def test_documents_without_concepts_get_a_reason() -> None:
    found = suggest(CLUSTERS, [reading(n, "c1") for n in range(5)], number=5)  # type: ignore[arg-type]
    assert (found["suggestions"], found["reasons"]) == ([], ["No concepts were found in the documents."])


def test_documents_on_as_many_topics_get_reasons_and_the_topics_to_go_on_with() -> None:
    alone = [reading(n, f"c{n}", "Python/language", f"matter {n}") for n in range(4)]
    found = suggest(clusters(*((f"c{n}", 1) for n in range(4))), alone, number=5)  # type: ignore[arg-type]
    assert found["suggestions"] == []
    assert "4 documents are on as many topics" in found["reasons"][0]
    assert found["next_steps"][0] == "Add another document on “C0”."


def test_persons_are_no_gaps() -> None:
    people = [reading(n, "c1", "tide", "pier", "crane", "Olivia Marsh/name") for n in range(4)]
    found = suggest(clusters(("c1", 4)), people, number=10)  # type: ignore[arg-type]
    assert "Olivia Marsh" not in str(found["gaps"])
    assert not any("Olivia Marsh" in one["missing_knowledge"] for one in found["suggestions"])


def test_versions_of_a_document_count_once() -> None:
    again = [
        Reading(doc_id=f"v{n}", title="Report", cluster_id="c1", level="", concepts=READINGS[0].concepts)
        for n in range(9)
    ]
    topic = clusters(("c1", 12))
    without = suggest(topic, READINGS[:3], number=1)  # type: ignore[arg-type]
    found = suggest(topic, [*READINGS[:3], *again], number=1)  # type: ignore[arg-type]
    assert found["suggestions"] == without["suggestions"]


def signed(text: str, number: int, cluster: str, *names: str, level: str = "beginner") -> Reading:
    """Return what is known of a document with this text."""
    packed = signature(text)
    assert packed
    return msgspec.structs.replace(reading(number, cluster, *names, level=level), signature=packed.pack())


def test_versions_are_told_by_what_the_library_tells_near_duplicates_by() -> None:
    mail = prose(1)
    same = [
        signed(mail, 1, "c1", "attachment", "email"),
        signed(f"{mail} Read by Bob.", 2, "c2", "attachment", "email"),
        signed(prose(2), 3, "c1", "tide", "pier"),
    ]
    assert [read.doc_id for read in distinct(same)] == ["d1", "d3"]
    assert suggest(clusters(("c1", 2), ("c2", 1)), same, number=10)["suggestions"] == []  # type: ignore[arg-type]
    other = [*same, signed(prose(3), 4, "c1", "attachment", "email")]
    assert suggest(clusters(("c1", 3), ("c2", 1)), other, number=10)["suggestions"]  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [1, -1])
def test_what_a_larger_document_has_in_it_counts_with_that_one(order: int) -> None:
    both = [
        signed(prose(1), 1, "c1", "tide"),
        signed(f"{prose(1)} {prose(2, 50)}", 2, "c1", "tide", "pier"),
    ]
    assert [read.doc_id for read in distinct(both[::order])] == ["d2"]


def test_a_course_stands_on_documents_of_several_levels() -> None:
    same = [reading(n, "c1", "harbour", "tide") for n in range(3)]
    other = reading(3, "c1", "crane", "cable", level="advanced")
    titles = str(suggest(clusters(("c1", 4)), [*same, other], number=10))  # type: ignore[arg-type]
    assert "a course from first steps" not in titles
    other = reading(3, "c1", "harbour", "tide", level="advanced")
    titles = str(suggest(clusters(("c1", 4)), [*same, other], number=10))  # type: ignore[arg-type]
    assert "a course from first steps" in titles


@pytest.mark.parametrize(
    "name",
    ["Lorem ipsum dolor", "consetetur sadipscing elitr", "customer Bluebell bakery Ltd", "Bluebell Bakery Ltd",
     "Northwind GmbH", "Customer Bluebell", "2026"],
)  # fmt: skip
def test_no_idea_comes_from_filling_or_from_one_customers_name(name: str) -> None:
    assert not is_knowledge(name)
    found = suggest(clusters(("c1", 4)), [reading(n, "c1", name, "tide") for n in range(4)], number=10)  # type: ignore[arg-type]
    assert found["suggestions"]
    assert name not in str([(one["title"], one["evidence"]) for one in found["suggestions"]])


@pytest.mark.parametrize(
    "name", ["customer support", "labore", "dolor crónico", "AG", "Ltd", "数据库", "inc"]
)
def test_other_words_are_knowledge(name: str) -> None:
    assert is_knowledge(name) is (name != "labore")


def test_two_compared_are_each_in_two_documents_at_least() -> None:
    lists = [reading(n, "c1", "Python/language", "sorting") for n in range(3)]
    once = [*lists, reading(3, "c1", "Python/language", "Rust/language")]
    assert "against" not in str(suggest(clusters(("c1", 4)), once, number=10)["suggestions"])  # type: ignore[arg-type]
    twice = [*once, reading(4, "c1", "Rust/language", "heap")]
    assert "Python against Rust" in str(suggest(clusters(("c1", 5)), twice, number=10)["suggestions"])  # type: ignore[arg-type]


def test_no_title_comes_twice() -> None:
    two = [
        *(reading(n, "c1", "bread", "oven") for n in range(3)),
        *(reading(n, "c2", "bread", "flour") for n in range(3, 6)),
    ]
    titles = [one["title"] for one in suggest(clusters(("c1", 3), ("c2", 3)), two, number=10)["suggestions"]]  # type: ignore[arg-type]
    assert len(set(titles)) == len(titles)


def test_what_never_stands_together_is_not_joined() -> None:
    apart = [
        *(reading(n, "c1", "compost heap", "worm") for n in range(3)),
        *(reading(n, "c1", "Python/language", "script") for n in range(3, 6)),
    ]
    found = suggest(clusters(("c1", 6)), apart, number=10)  # type: ignore[arg-type]
    assert found["suggestions"]
    for one in found["suggestions"]:
        assert not {"compost heap", "Python"} <= set(one["required_skills"])


def test_a_word_of_the_trade_is_no_matter_to_collect_on() -> None:
    trade = [reading(n, "c1", "PostgreSQL/database", "query", "planner") for n in range(4)]
    found = suggest(clusters(("c1", 4)), trade, number=10)  # type: ignore[arg-type]
    assert "store" not in {one["shape"] for one in found["suggestions"]}
    matter = [reading(n, "c1", "PostgreSQL/database", "rain gauge") for n in range(4)]
    found = suggest(clusters(("c1", 4)), matter, number=10)  # type: ignore[arg-type]
    assert "Rain gauge: a searchable collection in PostgreSQL" in [
        one["title"] for one in found["suggestions"]
    ]


def test_no_idea_comes_twice_and_each_rests_on_two_documents() -> None:
    library = Library()
    for text in [text for texts in TOPICS.values() for text in texts]:
        library.add(text)
    found = library.task(
        "generate_build_suggestions", generate_build_suggestions, params={"max_suggestions": 10}
    )
    titles = [one["title"] for one in found["suggestions"]]
    assert len(titles) >= 5
    assert len(set(titles)) == len(titles)
    for one in found["suggestions"]:
        assert len({entry["doc_id"] for entry in one["evidence"]}) >= 2, one["title"]
        assert one["coverage_score"] >= 0.3


@pytest.mark.parametrize(
    ("concept", "covered"),
    [("load test", True), ("unit testing", True), ("test file", False), ("attest", False)],
)
def test_a_prerequisite_is_covered_by_its_kinds(concept: str, covered: bool) -> None:
    assert covers(concepts_of([reading(1, "c", concept)]), "testing") is covered


def test_braces_in_concepts_are_text() -> None:
    odd = [reading(n, "c1", "{subject.__class__}", "{x}") for n in range(3)]
    assert suggest(clusters(("c1", 3)), odd, number=3)["suggestions"]  # type: ignore[arg-type]


def test_shapes_have_different_names() -> None:
    assert len({shape.key for shape in SHAPES}) == len(SHAPES)


def test_the_job_suggests_from_real_documents_without_reading_texts() -> None:
    library = Library()
    for text in [text for texts in list(TOPICS.values())[:2] for text in texts]:
        library.add(text)
    library.objects.get = None
    counts = counting(library.table)
    found = library.task("generate_build_suggestions", generate_build_suggestions)
    assert len(found["suggestions"]) == 5
    assert counts["query"] <= 3


@pytest.mark.parametrize("number", [0, 11, "5", True, 2.5])
def test_the_job_refuses_a_number_that_is_none(number: object) -> None:
    with pytest.raises(InvalidRequest):
        Library().task("x", generate_build_suggestions, params={"max_suggestions": number})


def test_the_route_answers_with_a_job(api: Api) -> None:
    for body in ({}, {"max_suggestions": 3}, b""):
        answer = api.post("/what_can_i_build", body)
        assert answer.status_code == 202
        assert answer.json_body["task"] == "generate_build_suggestions"
    for wrong in ({"max_suggestions": 0}, {"x": 1}, b"["):
        assert api.post("/what_can_i_build", wrong).status_code == 400
