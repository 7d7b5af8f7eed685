"""Invariant 13: one owner's many jobs don't keep another's few waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import settings
from chalicelib.aws.expressions import Act
from chalicelib.errors import TooManyRequests
from chalicelib.jobs.fairness import Window, window_key
from chalicelib.jobs.history import Filter, History
from chalicelib.jobs.job import Job
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.submission import Submission
from chalicelib.jobs.sweeper import Sweeper
from chalicelib.jobs.workchild import Outcome
from chalicelib.tasks.registry import TASKS, Task
from tests.unit.engine import Engine


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets limits for one test."""

    def set_limits(**values: int) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"SYNCBOARD_{name.upper()}", str(value))
        settings.get.cache_clear()

    yield set_limits
    monkeypatch.undo()
    settings.get.cache_clear()


@pytest.fixture(autouse=True)
def a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "test", Task(name="test", queue="uploads", target="x:y"))


def submit(engine: Engine, owner: str, number: int = 1) -> list[Job]:
    made = Submission(engine.table, engine.queues, engine.objects, owner=owner)  # type: ignore[arg-type]
    return [made.task("test") for _ in range(number)]


def test_five_jobs_behind_five_hundred_of_another_owner_finish_among_the_first_sixty(engine: Engine) -> None:
    order: list[str] = []

    def work(job: Job, _beat: object) -> Outcome:
        order.append(job.owner)
        return engine.publish(job)

    engine.work = work
    submit(engine, "ann", 500)
    submit(engine, "ben", 5)
    while len(order) < 505:
        assert engine.left() <= 55
        engine.deliver()
    assert [place for place, owner in enumerate(order) if owner == "ben"][-1] < 60
    assert engine.left() == 0
    assert {job.attempt for job in engine.runs} == {1}


def test_a_job_beyond_the_window_says_that_it_waits_for_its_turn(engine: Engine, limits: Any) -> None:
    limits(max_dispatched=2)
    jobs = submit(engine, "ann", 3)
    assert [job.stage for job in jobs] == ["queued", "queued", "waiting_turn"]
    assert engine.left() == 2


def test_waiting_jobs_keep_their_order(engine: Engine, limits: Any) -> None:
    limits(max_dispatched=1)
    jobs = submit(engine, "ann", 5)
    while engine.left():
        engine.deliver()
    assert [job.job_id for job in engine.runs] == [job.job_id for job in jobs]


def test_nothing_is_submitted_beyond_the_highest_number_of_waiting_jobs(engine: Engine, limits: Any) -> None:
    limits(max_dispatched=1, max_waiting=2)
    submit(engine, "ann", 3)
    with pytest.raises(TooManyRequests) as refused:
        submit(engine, "ann")
    assert refused.value.details["limit"] == 2
    assert len(History(engine.table, "ann").page(Filter(), limit=100).jobs) == 3
    submit(engine, "ben")  # another owner is not concerned


def test_what_a_crash_left_in_the_window_is_found_and_the_next_job_let_in(
    engine: Engine, limits: Any
) -> None:
    limits(max_dispatched=1)
    Window(engine.table, engine.queues, "ann").enter("0" * 26)  # entered, and then the process died
    (job,) = submit(engine, "ann")
    assert job.stage == "waiting_turn"
    row = engine.table.get(job.key)
    assert row is not None
    engine.table.items[job.key]["check_at"] = 1
    Sweeper(engine.table, engine.queues, engine.objects).sweep()  # type: ignore[arg-type]
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_entering_and_leaving_twice_is_once(engine: Engine, limits: Any) -> None:
    limits(max_dispatched=2)
    window = Window(engine.table, engine.queues, "ann")
    assert all(window.enter("a") for _ in range(5))
    assert window.enter("b")
    assert not window.enter("c")
    window.leave("a")
    window.leave("a")
    assert window.enter("c")
    assert (engine.table.get(window_key("ann")) or {})["dispatched"] == {"b", "c"}


def test_an_owner_at_the_running_cap_is_put_off_without_spending_an_attempt(
    engine: Engine, limits: Any
) -> None:
    limits(max_running=1)
    first, second = submit(engine, "ann", 2)
    Window(engine.table, engine.queues, "ann").start_running("another job")
    engine.deliver()
    assert engine.runs == []
    assert {engine.row(job).attempt for job in (first, second)} == {0}
    Window(engine.table, engine.queues, "ann").stop_running("another job")
    for _ in range(3):
        engine.later(3)
        engine.deliver()
    assert {engine.row(job).state for job in (first, second)} == {State.SUCCESS}
    assert engine.left() == 0


def test_ten_that_ended_together_let_ten_in_with_a_handful_of_requests(engine: Engine, limits: Any) -> None:
    limits(max_dispatched=10)
    jobs = submit(engine, "ann", 25)
    for message in engine.queues.receive("uploads", limit=10):
        engine.queues.delete("uploads", message.receipt)
    inside = engine.table.items[window_key("ann")]["dispatched"]
    writes: list[Act] = []
    engine.table.before_write = writes.append
    Window(engine.table, engine.queues, "ann").leave_together(set(inside))
    assert [engine.row(job).stage for job in jobs[10:]] == [Stage.QUEUED] * 10 + [Stage.WAITING_TURN] * 5
    bodies = [message["body"] for message in engine.queues.messages["uploads"].values()]
    assert [job.job_id in body for job, body in zip(jobs[10:20], bodies, strict=True)] == [True] * 10
    window = engine.table.items[window_key("ann")]
    assert (len(window["dispatched"]), window["waiting"]) == (10, 5)
    assert len(writes) == 1 + 11


def test_where_there_is_not_room_for_all_as_many_are_let_in_as_fit(engine: Engine, limits: Any) -> None:
    limits(max_dispatched=5)
    submit(engine, "ann", 12)
    window = Window(engine.table, engine.queues, "ann")
    inside = sorted(engine.table.items[window_key("ann")]["dispatched"])
    window.enter("somebody")
    window.leave_together({*inside[:3], "nobody", "none"})
    row = engine.table.items[window_key("ann")]
    assert (len(row["dispatched"]), row["waiting"]) == (5, 4)
    assert engine.queues.depth("uploads").visible == 5 + 3
