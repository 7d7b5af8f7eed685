"""The audit of tests/chaos finds what it is there to find: one planted fault at a time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chalicelib.jobs.job import Job
from chalicelib.jobs.states import State
from chalicelib.library.documents import Document
from tests.chaos.audit import Evidence, Library, judge


def job(number: int, **changes: Any) -> Job:
    return msgspec.structs.replace(
        Job(
            job_id=f"j{number}",
            owner="ann",
            task="process_file_upload",
            queue="uploads",
            state=State.SUCCESS,
            stage="done",
            percent=100,
            attempt=1,
            result={"doc_id": f"d{number}"},
            timeline=[
                ["PENDING", 1, 0, "submitted"],
                ["PROCESSING", 2, 0, "w"],
                ["SUCCESS", 3, 1, "published"],
            ],
            created_at=1,
            updated_at=3,
            expires_at=9,
        ),
        **changes,
    )


def document(number: int, **changes: Any) -> Document:
    return msgspec.structs.replace(
        Document(
            doc_id=f"d{number}",
            job_id=f"j{number}",
            title="t",
            filename="f",
            source_type="text",
            cluster_id="c",
            text_key=f"texts/j{number}/1-d{number}.txt",
            characters=1,
            words=1,
            created_at=1,
        ),
        **changes,
    )


JOBS, DOCUMENTS = [job(1), job(2)], [document(1), document(2)]
GOOD = Library(jobs=JOBS, documents=DOCUMENTS)


def evidence(library: Library = GOOD, **changes: Any) -> Evidence:
    return Evidence(**{"libraries": {"ann": library}, **changes})


def library(**changes: Any) -> Library:
    return msgspec.structs.replace(GOOD, **changes)


def test_balanced_books_have_no_findings() -> None:
    findings = judge(evidence(messages={"uploads": 0}, dead_letters={"uploads": []}))
    assert findings.violations == []
    assert (findings.jobs, findings.outcomes) == (2, {"SUCCESS": 2})
    assert (findings.mean_executions, findings.max_executions) == (1.0, 1)


def failed(**changes: Any) -> Job:
    plain: dict[str, Any] = {"state": State.FAILURE, "percent": 50, "result": None, "timeline": []}
    return job(3, **{**plain, "error": {"type": "worker_lost"}, **changes})


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        (library(jobs=[*JOBS, job(3, state=State.RETRY, percent=0)]), "j3 is RETRY"),
        (library(jobs=[*JOBS, job(3, state=State.PROCESSING, percent=0)]), "j3 is PROCESSING"),
        (library(jobs=[JOBS[0], job(2, check_shard="CHECK#0")]), "still watches it"),
        (library(jobs=[JOBS[0], job(2, expires_at=0)]), "never expires"),
        (library(jobs=[JOBS[0], job(2, percent=99)]), "SUCCESS at 99 percent"),
        (library(jobs=[*JOBS, failed(percent=100)]), "FAILURE at 100 percent"),
        (library(jobs=[*JOBS, failed(error=None)]), "without a reason"),
        (
            library(jobs=[JOBS[0], job(2, timeline=[["SUCCESS", 1], ["PROCESSING", 2]])]),
            "from SUCCESS to PROCESSING",
        ),
        (library(jobs=[*JOBS, job(3)]), "names document d3, which is not there"),
        (library(jobs=[*JOBS, job(3, result={"doc_id": "d2"})]), "both say that they made d2"),
        (library(jobs=JOBS[:1]), "no job made it"),
        (library(documents=[DOCUMENTS[0], document(2, job_id="j1")]), "document d2 names job j1"),
    ],
)
def test_a_fault_in_a_library_is_a_violation(faulty: Library, said: str) -> None:
    violations = judge(evidence(faulty)).violations
    assert any(said in violation for violation in violations), violations


def test_a_duplicate_names_the_document_of_another_job() -> None:
    duplicate = job(3, result={"doc_id": "d1", "duplicate_of": "d1"})
    assert judge(evidence(library(jobs=[*JOBS, duplicate]))).violations == []


def test_messages_and_dead_letters_that_are_left_are_violations() -> None:
    left = judge(
        evidence(messages={"uploads": 2}, dead_letters={"uploads": ["x", "y"]}), dead_letters=["x", "z"]
    )
    assert left.violations == [
        "2 messages are left in uploads",
        "1 dead letters say 'y'",
        "no dead letter says 'z'",
    ]


def test_the_dead_letter_of_a_failed_job_is_in_order_and_of_any_other_a_violation() -> None:
    given_up = library(jobs=[*JOBS, failed()])
    bodies = ['{"job_id":"j3","dispatch":1}', '{"job_id":"j1","dispatch":1}']
    (violation,) = judge(evidence(given_up, dead_letters={"uploads": bodies})).violations
    assert "j1" in violation


def test_a_deleted_document_is_not_missed_and_must_not_be_there() -> None:
    gone = library(documents=DOCUMENTS[:1])
    assert judge(evidence(gone, deleted=["d2"])).violations == []
    assert "ann: document d2 was deleted and is there" in judge(evidence(deleted=["d2"])).violations


def test_what_is_wrong_with_the_books_is_a_violation() -> None:
    assert judge(evidence(books={"ann": ["a sum"], "ben": ["nobody's"]})).violations == ["ann: a sum"]


def test_executions_are_counted_from_the_timeline() -> None:
    twice = [["PENDING", 1], ["PROCESSING", 2], ["RETRY", 3], ["PROCESSING", 4], ["SUCCESS", 5]]
    findings = judge(evidence(library(jobs=[JOBS[0], job(2, timeline=twice)])))
    assert (findings.mean_executions, findings.max_executions) == (1.5, 2)
