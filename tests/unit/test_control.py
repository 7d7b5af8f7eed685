"""Cancel and retry: what an owner may do to a job, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chalicelib.errors import Cancelled, Conflict, StaleRun
from chalicelib.jobs.control import Control
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.run import Progress, Publication, Run
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.supervisor import Order
from chalicelib.jobs.workchild import Outcome
from tests.unit.engine import Engine, failing


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def control(engine: Engine) -> Control:
    return Control(engine.table, engine.queues, engine.consumer.ending)


def run_of(engine: Engine, job: Job) -> Run:
    objects: Any = engine.objects
    return Run(job, table=engine.table, objects=objects, folder=Path(), report=lambda _progress: None)


@pytest.mark.parametrize(
    "row",
    [
        {"stage": Stage.QUEUED},
        {"stage": Stage.AWAITING_UPLOAD, "dispatch": 0},
        {"stage": Stage.WAITING_TURN, "dispatch": 0, "standing": "ann#WAITING"},
        {"state": State.RETRY, "attempt": 1},
        {"state": State.PROCESSING, "run": "", "attempt": 1},  # between two hops
    ],
)
def test_invariant_9_a_waiting_job_is_revoked_at_once(
    engine: Engine, control: Control, row: dict[str, object]
) -> None:
    job = engine.job(**row)
    engine.send(job)
    assert control.cancel(job).state is State.REVOKED
    engine.deliver()
    assert engine.runs == []
    assert engine.row(job).state is State.REVOKED
    assert engine.left() == 0
    assert engine.row(job).standing == "ann#REVOKED"


def test_invariant_9_a_running_job_stops_at_its_next_heartbeat(engine: Engine, control: Control) -> None:
    job = engine.job()

    def work(taken: Job, beat: Callable[[Progress | None], Order]) -> Outcome:
        assert control.cancel(engine.row(job)).state is State.PROCESSING
        assert beat(None) is Order.CANCEL
        return Outcome(error=Cancelled("").as_dict())

    engine.work = work
    engine.send(job)
    engine.deliver()
    assert engine.row(job).state is State.REVOKED


def test_invariant_9_nothing_of_a_cancelled_job_is_published(engine: Engine, control: Control) -> None:
    job = engine.job()

    def work(taken: Job, _beat: object) -> Outcome:
        run = run_of(engine, taken)
        run.keep(f"texts/{job.job_id}/1-d.txt", b"text")
        control.cancel(engine.row(job))
        with pytest.raises(Cancelled) as cancelled:
            run.publish(lambda: Publication(result={"doc_id": "d"}))
        run.discard()
        return Outcome(error=cancelled.value.as_dict())

    engine.work = work
    engine.send(job)
    engine.deliver()
    assert engine.row(job).state is State.REVOKED
    assert engine.objects.bodies == {}


def test_a_run_that_was_overtaken_publishes_nothing_and_takes_its_text_away(engine: Engine) -> None:
    job = engine.job(state=State.PROCESSING, run="new", attempt=2, lease_until=now_ms() + 60_000)
    stale = run_of(engine, msgspec.structs.replace(job, run="old", attempt=1))
    stale.keep(f"texts/{job.job_id}/1-d.txt", b"text")
    with pytest.raises(StaleRun):
        stale.publish(lambda: Publication(result={"doc_id": "d"}))
    stale.discard()
    assert engine.objects.bodies == {}
    assert engine.row(job).state is State.PROCESSING


def test_a_publication_whose_answer_was_lost_is_not_taken_back(engine: Engine) -> None:
    job = engine.job(state=State.PROCESSING, run="r", attempt=1, lease_until=now_ms() + 60_000)
    run = run_of(engine, job)
    run.keep(f"texts/{job.job_id}/1-d.txt", b"text")
    run.publish(lambda: Publication(result={"doc_id": "d"}))
    run.publish(lambda: Publication(result={"doc_id": "d"}))  # tried again: it had gone through
    run.discard()
    assert list(engine.objects.bodies) == [f"texts/{job.job_id}/1-d.txt"]


def test_leftovers_of_a_killed_run_are_removed_when_the_next_one_publishes(engine: Engine) -> None:
    job = engine.job(state=State.PROCESSING, run="dead", attempt=1, lease_until=now_ms() - 60_000)
    engine.objects.bodies = {
        f"texts/{job.job_id}/1-x.txt": b"",
        f"texts/{job.job_id}/2-d.txt": b"",
        "texts/z/1": b"",
    }
    engine.send(job)
    engine.deliver()
    assert set(engine.objects.bodies) == {f"texts/{job.job_id}/2-d.txt", "texts/z/1"}


@pytest.mark.parametrize("state", [State.SUCCESS, State.FAILURE, State.REVOKED])
def test_an_ended_job_can_not_be_cancelled(engine: Engine, control: Control, state: State) -> None:
    job = engine.job(state=state)
    before = engine.table.get(job.key)
    with pytest.raises(Conflict) as refused:
        control.cancel(job)
    assert state in refused.value.message
    assert engine.table.get(job.key) == before


def test_a_failed_job_starts_over_with_all_its_attempts(engine: Engine, control: Control) -> None:
    engine.work = failing("broken_file", retryable=False)
    job = engine.job()
    engine.send(job)
    engine.deliver()
    engine.work = lambda job, _beat: engine.publish(job)

    revived = control.retry(engine.row(job), by="ann")
    assert (revived.state, revived.attempt, revived.dispatch) == (State.PENDING, 0, 2)
    assert (revived.error, revived.standing, revived.expires_at) == (None, "", 0)
    assert revived.timeline[-1][3] == "retried by ann"
    engine.deliver()
    row = engine.row(job)
    assert (row.state, row.attempt, row.percent) == (State.SUCCESS, 1, 100)


@pytest.mark.parametrize(
    "state", [State.PENDING, State.PROCESSING, State.RETRY, State.SUCCESS, State.REVOKED]
)
def test_only_a_failed_job_can_be_retried(engine: Engine, control: Control, state: State) -> None:
    job = engine.job(state=state, run="r", attempt=1)
    before = engine.table.get(job.key)
    with pytest.raises(Conflict):
        control.retry(job, by="ann")
    assert engine.table.get(job.key) == before


def test_two_retries_at_once_are_one(engine: Engine, control: Control) -> None:
    job = engine.job(state=State.FAILURE, attempt=4)
    control.retry(job, by="ann")
    with pytest.raises(Conflict):
        control.retry(job, by="ann")
    assert engine.left() == 1


def test_a_job_whose_file_never_came_can_not_be_retried(engine: Engine, control: Control) -> None:
    job = engine.job(state=State.FAILURE, params={"source": "uploads/x/y"})
    with pytest.raises(Conflict, match="submit it again"):
        control.retry(job, by="ann")
