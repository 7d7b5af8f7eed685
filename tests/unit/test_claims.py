"""Invariant 12: same bytes, same owner, one document."""

from __future__ import annotations

import pytest

from chalicelib.aws.expressions import Act, Item, Key
from chalicelib.errors import RetryAfter
from chalicelib.jobs.job import pack
from chalicelib.jobs.states import State
from chalicelib.library.claims import Claims
from tests.unit.engine import Engine


@pytest.fixture
def engine() -> Engine:
    return Engine()


def claims(engine: Engine, state: State = State.PROCESSING, owner: str = "ann") -> Claims:
    return Claims(engine.table, owner, engine.job(state=state, run="r", attempt=1, owner=owner).job_id)


def publish(engine: Engine, claim: Claims, doc_id: str) -> None:
    pk, sk = f"LIB#{claim.owner}", f"DOC#{doc_id}"
    engine.table.items[pk, sk] = {"pk": pk, "sk": sk, "sha256": "abc"}


def end(engine: Engine, claim: Claims, state: State, doc_id: str = "") -> None:
    item = engine.table.items[f"JOB#{claim.job_id}", "JOB"]
    item |= {"state": state, **(pack({"result": {"doc_id": doc_id}}) if doc_id else {})}


def test_the_first_to_see_some_bytes_has_them(engine: Engine) -> None:
    first = claims(engine)
    assert first.claim("abc", "d1") is None
    assert first.claim("abc", "d2") is None  # its next attempt
    publish(engine, first, "d2")
    assert claims(engine).claim("abc", "d3") == "d2"


def test_of_two_at_once_one_waits_and_then_learns_of_the_document(engine: Engine) -> None:
    first, second = claims(engine), claims(engine)
    first.claim("abc", "d1")
    with pytest.raises(RetryAfter):
        second.claim("abc", "d2")
    publish(engine, first, "d1")
    assert second.claim("abc", "d2") == "d1"


def test_a_job_that_publishes_while_it_is_looked_at_is_not_robbed(engine: Engine) -> None:
    first, second = claims(engine), claims(engine)
    first.claim("abc", "d1")
    get = engine.table.get

    def meanwhile(key: Key, *, consistent: bool = True) -> Item | None:
        """Between looking for the document and looking at its job, the job publishes."""
        if key[0].startswith("JOB#"):
            publish(engine, first, "d1")
            end(engine, first, State.SUCCESS)
        return get(key, consistent=consistent)

    engine.table.get = meanwhile  # type: ignore[method-assign]
    assert second.claim("abc", "d2") == "d1"


@pytest.mark.parametrize("state", [State.FAILURE, State.REVOKED])
def test_the_bytes_of_a_job_that_failed_are_free_again(engine: Engine, state: State) -> None:
    claims(engine, state).claim("abc", "d1")
    second, third = claims(engine), claims(engine)
    assert second.claim("abc", "d2") is None
    with pytest.raises(RetryAfter):
        third.claim("abc", "d3")
    publish(engine, second, "d2")
    assert third.claim("abc", "d3") == "d2"


def test_of_two_that_take_over_at_once_one_waits(engine: Engine) -> None:
    claims(engine, State.FAILURE).claim("abc", "d1")
    second, third = claims(engine), claims(engine)

    def quicker(_write: Act) -> None:
        engine.table.before_write = lambda _: None
        assert third.claim("abc", "d3") is None

    engine.table.before_write = quicker
    with pytest.raises(RetryAfter):
        second.claim("abc", "d2")


def test_a_failed_job_that_is_started_over_claims_its_bytes_again(engine: Engine) -> None:
    first, second = claims(engine, State.FAILURE), claims(engine)
    first.claim("abc", "d1")
    end(engine, first, State.PROCESSING)
    assert first.claim("abc", "d2") is None
    with pytest.raises(RetryAfter):
        second.claim("abc", "d3")


def test_a_stale_run_that_claims_late_makes_no_second_document_of_the_same_bytes(engine: Engine) -> None:
    first = claims(engine)
    first.claim("abc", "d2")
    first.claim("abc", "d1")  # an attempt that was given up, and went on after a pause
    publish(engine, first, "d2")
    end(engine, first, State.SUCCESS, "d2")
    assert claims(engine).claim("abc", "d3") == "d2"


def test_a_job_that_published_other_bytes_does_not_stand_for_these(engine: Engine) -> None:
    first, second = claims(engine), claims(engine)
    first.claim("abc", "d1")
    publish(engine, first, "d2")  # what its link led to had changed meanwhile
    engine.table.items["LIB#ann", "DOC#d2"]["sha256"] = "def"
    end(engine, first, State.SUCCESS, "d2")
    assert second.claim("abc", "d3") is None


def test_the_bytes_of_a_deleted_document_are_free_again(engine: Engine) -> None:
    first = claims(engine, State.SUCCESS)
    first.claim("abc", "d1")
    publish(engine, first, "d1")
    del engine.table.items["LIB#ann", "DOC#d1"]
    second = claims(engine)
    assert second.claim("abc", "d2") is None
    publish(engine, second, "d2")
    assert claims(engine).claim("abc", "d3") == "d2"


def test_owners_do_not_know_of_each_other(engine: Engine) -> None:
    claims(engine).claim("abc", "d1")
    assert claims(engine, owner="ben").claim("abc", "d1") is None
