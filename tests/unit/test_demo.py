"""What the demo finds in its samples is checked, not only shown."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from syncboard.demo_findings import ANSWER, show_findings
from syncboard.samples import EXPECTED


class Answers:
    """A client of a library in which all is well; a test spoils one answer."""

    def __init__(self) -> None:
        names = [name for name, expected in EXPECTED.items() if expected.state == "SUCCESS"]
        self.library = [
            {"filename": name, "doc_id": f"d-{name}", "cluster_id": EXPECTED[name].topic or "other"}
            for name in names
        ]
        copies = [(name, expected.alike_to) for name, expected in EXPECTED.items() if expected.alike_to]
        self.pairs = [{"a": f"d-{one}", "b": f"d-{other}", "similarity": 0.9} for one, other in copies]
        self.hits: list[dict[str, Any]] = [
            {
                "filename": ANSWER, "title": "Stand-up", "snippet": "staging", "marks": [[0, 7]],
                "passages": [{"start": 7.0, "text": "staging"}],
            }
        ]  # fmt: skip
        evidence = [{"doc_id": "d-tools.csv", "concept": "SQL", "title": "tools"}]
        self.ideas: list[dict[str, Any]] = [{"title": "Build", "description": "It.", "evidence": evidence}]
        self.counted = len(names)
        self.regrouped = "SUCCESS"

    def what_can_i_build(self, **_: Any) -> dict[str, Any]:
        return {"job_id": "j"}

    def regroup(self) -> dict[str, Any]:
        return {"job_id": "r"}

    def wait(self, job_id: str, **_: Any) -> dict[str, Any]:
        if job_id == "r":
            return {"state": self.regrouped, "error": {"message": "No container."}}
        return {"state": "SUCCESS", "result": {"suggestions": self.ideas}}

    def documents(self, **_: Any) -> dict[str, Any]:
        return {"documents": self.library}

    def duplicates(self, **_: Any) -> dict[str, Any]:
        return {"groups": [{"pairs": self.pairs}]}

    def compare(self, _a: str, _b: str) -> dict[str, Any]:
        return {"passages": [{"words": 40}]}

    def clusters(self, **_: Any) -> dict[str, Any]:
        return {"clusters": [{"cluster_id": "databases", "name": "Databases"}]}

    def search(self, _q: str, **_: Any) -> dict[str, Any]:
        return {"results": self.hits}

    def analytics(self, **_: Any) -> dict[str, Any]:
        overview = {"total_documents": self.counted, "total_clusters": 3, "total_concepts": 9}
        return {
            "as_of": "2026-01-31T12:00:00.000Z", "overview": overview,
            "processing": {"jobs": 9, "seconds_median": 1.0, "dollars": 0.01},
            "distributions": {"source_types": {"pdf": 1}},
        }  # fmt: skip


def shown(answers: Answers) -> tuple[bool, str]:
    console = Console(record=True, width=160)
    well = show_findings(answers, console)  # type: ignore[arg-type]
    return well, console.export_text()


def test_everything_that_is_found_is_shown() -> None:
    well, text = shown(Answers())
    assert well
    assert "✗" not in text
    for words in (
        "90 % alike, 40 words in 1 passages",
        "Databases: postgres-indexes.md",
        "at 0:07",
        "“tools”: SQL",
    ):
        assert words in text


def lose_a_pair(answers: Answers) -> None:
    answers.pairs.pop()


def part_a_topic(answers: Answers) -> None:
    next(one for one in answers.library if one["filename"] == "sourdough.txt")["cluster_id"] = "elsewhere"


def mix_topics(answers: Answers) -> None:
    for one in answers.library:
        if one["cluster_id"] == "hiking":
            one["cluster_id"] = "databases"


def miss_what_was_said(answers: Answers) -> None:
    answers.hits[0]["passages"] = []


def suggest_out_of_nothing(answers: Answers) -> None:
    answers.ideas[0]["evidence"] = [{"doc_id": "d-unknown", "concept": "SQL"}]


def regroup_nothing(answers: Answers) -> None:
    answers.regrouped = "FAILURE"


def count_too_few(answers: Answers) -> None:
    answers.counted -= 1


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lose_a_pair, "was not found to be much like"),
        (part_a_topic, "the samples on baking are not together"),
        (mix_topics, "the samples on databases and on hiking are mixed"),
        (miss_what_was_said, "was not found, or not where it is said"),
        (suggest_out_of_nothing, "nothing that the documents speak for"),
        (regroup_nothing, "they were not found anew: No container."),
        (count_too_few, "documents were counted, not 17"),
    ],
)
def test_what_is_not_found_is_named_and_fails_the_demo(
    spoil: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("syncboard.demo_findings._SECONDS", 0.0)
    answers = Answers()
    spoil(answers)
    well, text = shown(answers)
    assert not well
    assert says in text
