"""Invariant 12: same bytes, same owner, one document."""

from __future__ import annotations

import pytest

from chalicelib.errors import RetryAfter
from chalicelib.jobs.states import State
from chalicelib.library.claims import Claims
from tests.unit.engine import Engine


@pytest.fixture
def engine() -> Engine:
    return Engine()


def claims(engine: Engine, state: State = State.PROCESSING, owner: str = "ann") -> Claims:
    return Claims(engine.table, owner, engine.job(state=state, run="r", attempt=1, owner=owner).job_id)


def publish(engine: Engine, claim: Claims, doc_id: str) -> None:
    engine.table.transact([claim.confirm("abc", doc_id)])
    engine.table.items[f"LIB#{claim.owner}", f"DOC#{doc_id}"] = {
        "pk": f"LIB#{claim.owner}",
        "sk": f"DOC#{doc_id}",
    }


def test_the_first_to_see_some_bytes_has_them(engine: Engine) -> None:
    first = claims(engine)
    assert first.claim("abc") is None
    assert first.claim("abc") is None  # its next attempt


def test_of_two_at_once_one_waits_and_then_learns_of_the_document(engine: Engine) -> None:
    first, second = claims(engine), claims(engine)
    first.claim("abc")
    with pytest.raises(RetryAfter):
        second.claim("abc")
    publish(engine, first, "d1")
    assert second.claim("abc") == "d1"


@pytest.mark.parametrize("state", [State.FAILURE, State.REVOKED])
def test_the_bytes_of_a_job_that_failed_are_free_again(engine: Engine, state: State) -> None:
    claims(engine, state).claim("abc")
    second, third = claims(engine), claims(engine)
    assert second.claim("abc") is None
    with pytest.raises(RetryAfter):
        third.claim("abc")


def test_the_bytes_of_a_deleted_document_are_free_again(engine: Engine) -> None:
    first = claims(engine, State.SUCCESS)
    first.claim("abc")
    publish(engine, first, "d1")
    del engine.table.items["LIB#ann", "DOC#d1"]
    second = claims(engine)
    assert second.claim("abc") is None
    publish(engine, second, "d2")
    assert claims(engine).claim("abc") == "d2"


def test_owners_do_not_know_of_each_other(engine: Engine) -> None:
    claims(engine).claim("abc")
    assert claims(engine, owner="ben").claim("abc") is None
