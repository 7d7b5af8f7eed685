"""Suggestions by a model: what it is shown, and that nothing is believed which the library does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.errors import ModelUnclear
from chalicelib.jobs.store import JobStore
from chalicelib.knowledge.clusters import founded
from chalicelib.knowledge.holdings import Reading
from chalicelib.knowledge.model_suggestions import ModelSuggestions
from chalicelib.library.documents import Documents
from chalicelib.tasks.build_suggestions import generate_build_suggestions
from tests.unit.libraries import Library
from tests.unit.models import chatted, replaying, said
from tests.unit.test_suggestions import FIELDS

READINGS = [
    Reading(
        doc_id=f"doc{n}",
        title=f"Text {n}",
        cluster_id="c-sql" if n < 3 else "c-bread",
        level="beginner",
        concepts=[*concepts, (f"own {n}", "concept"), (f"more {n}", "concept")],
    )
    for n, concepts in enumerate(
        [
            [("PostgreSQL", "database"), ("index", "concept")],
            [("PostgreSQL", "database"), ("lock", "concept")],
            [("SQL", "language"), ("index", "concept")],
            [("sourdough", "concept"), ("yeast", "concept")],
        ]
    )
]
CLUSTERS = [founded("c-sql", {"a": 1.0}, ["PostgreSQL"]), founded("c-bread", {"b": 1.0}, ["sourdough"])]


def asked(number: int = 5) -> ModelSuggestions:
    return ModelSuggestions(CLUSTERS, READINGS, number=number)


def idea(**changes: Any) -> dict[str, Any]:
    return {
        "title": "An index advisor",
        "description": "Reads slow queries and proposes an index for each.",
        "complexity_level": "intermediate",
        "effort_estimate": "3-6 days",
        "required_skills": ["PostgreSQL", "SQL"],
        "missing_knowledge": ["query planner", "PostgreSQL"],
        "evidence": [{"document": "d1", "concept": "PostgreSQL"}, {"document": "d3", "concept": "index"}],
        "starter_steps": ["Read d1.", "Log slow queries."],
        "learning_path": ["Read d1, then d3.", "Read d99.", "Look up EXPLAIN."],
        "expected_outcomes": ["A tool"],
        "starter_code": "import os\n\n\tprint(1)\x00\n",
        "file_structure": ["advisor.py", "tests/"],
        "troubleshooting_tips": ["Set a timeout."],
        **changes,
    }


def read(*ideas: Any, number: int = 5) -> list[dict[str, Any]]:
    return asked(number).read({"suggestions": list(ideas)})


def test_an_idea_becomes_a_suggestion_with_all_fields() -> None:
    (found,) = read(idea())
    assert set(found) >= FIELDS
    assert found["method"] == "bedrock"
    assert found["evidence"] == [
        {"doc_id": "doc0", "concept": "PostgreSQL"},
        {"doc_id": "doc2", "concept": "index"},
    ]
    assert found["relevant_clusters"] == [{"cluster_id": "c-sql", "name": CLUSTERS[0].name}]
    assert [entry["doc_id"] for entry in found["recommended_resources"]] == ["doc0", "doc2"]
    assert found["missing_knowledge"] == ["query planner"], "what documents are about is not missing"
    assert found["learning_path"] == ["Read “Text 0”, then “Text 2”.", "Look up EXPLAIN."]
    assert found["starter_code"] == "import os\n\n\tprint(1)"
    assert found["file_structure"] == ["advisor.py", "tests/"]
    assert 0 < found["coverage_score"] <= 1


@pytest.mark.parametrize(
    "evidence",
    [
        [], None, "d1", [7], [{}], [{"document": "d99", "concept": "SQL"}], [{"document": "d0", "concept": "x"}],
        [{"document": "d1", "concept": "yeast"}], [{"document": "doc0", "concept": "PostgreSQL"}],
        [{"document": "d1"}], [{"concept": "PostgreSQL"}],
    ],
)  # fmt: skip
def test_an_idea_without_true_evidence_is_dropped(evidence: Any) -> None:
    assert [one["title"] for one in read(idea(evidence=evidence), idea(title="True"))] == ["True"]
    with pytest.raises(ModelUnclear, match="evidence"):
        read(idea(evidence=evidence))


def test_of_evidence_what_is_true_stays() -> None:
    mixed = [{"document": "d2", "concept": "lock"}, {"document": "d2", "concept": "yeast"}]
    (found,) = read(idea(evidence=mixed))
    assert found["evidence"] == [{"doc_id": "doc1", "concept": "lock"}]


@pytest.mark.parametrize(
    "value", [None, [], {}, {"suggestions": None}, {"suggestions": [1]}, {"suggestions": []}]
)
def test_an_answer_of_another_shape_is_refused(value: Any) -> None:
    with pytest.raises(ModelUnclear):
        asked().read(value)


def test_lengths_and_numbers_are_bounded() -> None:
    long = idea(
        title="t" * 500,
        description="d" * 9999,
        starter_steps=["s" * 9999] * 50,
        missing_knowledge=["m" * 500, "<b>", "fine"],
        starter_code="x" * 9999,
    )
    found = read(*(long | {"title": f"{n}" + "t" * 500} for n in range(9)), number=3)
    assert len(found) == 3
    assert len(found[0]["title"]) == 80
    assert len(found[0]["description"]) <= 900
    assert len(found[0]["starter_steps"]) == 10
    assert found[0]["missing_knowledge"] == ["fine"]
    assert found[0]["starter_code"] is None


def test_the_same_title_comes_once() -> None:
    assert len(read(idea(), idea(title="AN INDEX ADVISOR"))) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(list(idea())),
        st.none()
        | st.text(max_size=20)
        | st.lists(st.none() | st.text(max_size=9), max_size=3)
        | st.floats(),
    )
)
def test_any_idea_is_dropped_or_sound(changes: dict[str, Any]) -> None:
    for one in read(idea(title="Sound"), idea() | changes):
        assert set(one) >= FIELDS
        assert one["evidence"]
        assert one["complexity_level"] in ("beginner", "intermediate", "advanced")


def test_the_digest_is_bounded_and_holds_no_ids() -> None:
    whole = asked().digest(24_000)
    assert "d1 Text 0 (c2, beginner): PostgreSQL; index" in whole
    assert "doc0" not in whole
    for characters in (50, 200, 400):
        assert len(asked().digest(characters)) <= characters


# --- As a job ----------------------------------------------------------------------------------------------------


@pytest.fixture
def stub() -> Iterator[Stubber]:
    with replaying() as stubber:
        yield stubber


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setenv("SYNCBOARD_AI_PROVIDER", "offline")
    for text in (
        "PostgreSQL keeps a B-tree index. The B-tree index makes the query of PostgreSQL quick.",
        "PostgreSQL takes a row lock. The row lock of PostgreSQL blocks a write of the same row.",
        "A query planner of PostgreSQL reads statistics. The query planner chooses an index scan.",
    ):
        library.add(text)
    return library


def suggested(library: Library) -> tuple[dict[str, Any], list[str]]:
    """Return the result of a job, and its warnings."""
    job = library.job("generate_build_suggestions")
    generate_build_suggestions(library.run(job))
    row = JobStore(library.table).find(job.job_id)
    assert row is not None
    assert row.result is not None
    return row.result, list(row.warnings)


def true_idea(library: Library) -> dict[str, Any]:
    newest = Documents(library.table, library.owner).page(limit=1).documents[0]
    return idea(evidence=[{"document": "d1", "concept": newest.concepts[0]["name"]}])


def test_the_job_publishes_the_model_s_suggestions(library: Library, stub: Stubber) -> None:
    answer = said({"suggestions": [true_idea(library), idea(evidence=[])]}, tool="suggest_projects")
    stub.add_response("converse", answer)
    result, warnings = suggested(library)
    assert (result["method"], warnings) == ("bedrock", [])
    assert [one["title"] for one in result["suggestions"]] == ["An index advisor"]
    assert result["summary"]["documents"] == 3
    # Run once more for a message that came twice: the answer is there.
    assert suggested(library)[0]["suggestions"] == result["suggestions"]


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([said({"suggestions": [idea(evidence=[])]}, tool="suggest_projects")] * 2, "stands on evidence"),
        ([chatted("Build a blog!")] * 2, "it did not call the tool"),
        ([said({}, tool="suggest_projects", stop="max_tokens")] * 2, "cut off"),
    ],
)
def test_an_unusable_answer_gives_offline_suggestions_and_says_so(
    library: Library, stub: Stubber, answers: list[dict[str, Any]], words: str
) -> None:
    for answer in answers:
        stub.add_response("converse", answer)
    result, (warning,) = suggested(library)
    assert result["method"] == "offline"
    assert result["suggestions"]
    assert words in warning
    assert warning.endswith("suggestions were made offline.")


def test_a_refusal_gives_offline_suggestions_and_says_so(library: Library, stub: Stubber) -> None:
    stub.add_client_error("converse", "AccessDeniedException", "no", 403)
    result, (warning,) = suggested(library)
    assert result["suggestions"]
    assert "access to the model is denied" in warning


def test_too_small_a_library_is_not_asked_about(stub: Stubber) -> None:
    result, warnings = suggested(Library())
    assert (result["suggestions"], result["reasons"], warnings) == ([], ["The library is empty."], [])
