"""The net under everything: what got stuck is set right, what moves is left alone."""

from __future__ import annotations

import pytest

from chalicelib import settings
from chalicelib.errors import Unavailable
from chalicelib.jobs.job import now_ms
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.sweeper import Sweeper
from tests.memory import MemoryObjects
from tests.unit.engine import Engine


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def bucket(engine: Engine) -> MemoryObjects:
    return engine.objects


@pytest.fixture
def sweeper(engine: Engine, bucket: MemoryObjects) -> Sweeper:
    return Sweeper(engine.table, engine.queues, bucket)  # type: ignore[arg-type]


def test_a_job_that_is_not_due_is_not_looked_at(engine: Engine, sweeper: Sweeper) -> None:
    engine.job(check_at=now_ms() + 60_000)
    assert sweeper.sweep().looked_at == 0


def test_a_job_whose_message_is_lost_gets_another_under_the_same_number(
    engine: Engine, sweeper: Sweeper
) -> None:
    job = engine.job(check_at=1)
    assert sweeper.sweep().sent == 1
    assert engine.row(job).dispatch == 1
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_a_lost_message_is_found_however_deep_the_queue_is(engine: Engine, sweeper: Sweeper) -> None:
    job = engine.job(check_at=1, state=State.RETRY, dispatch=2, updated_at=now_ms() - 130_000)
    engine.send(engine.job(check_at=now_ms() + 60_000))
    assert sweeper.sweep().sent == 1
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_a_job_in_a_deep_queue_keeps_its_place_and_runs_once(engine: Engine, sweeper: Sweeper) -> None:
    job = engine.job(check_at=1)
    engine.send(job)
    sweeper.sweep()
    assert engine.left() == 2
    engine.deliver()
    engine.later(100)
    engine.deliver()
    assert len(engine.runs) == 1
    assert engine.left() == 0


def test_copies_become_rarer_the_longer_a_job_waits(engine: Engine, sweeper: Sweeper) -> None:
    job = engine.job(check_at=1, updated_at=now_ms() - 600_000)
    sweeper.sweep()
    row = engine.row(job)
    assert row.check_at - now_ms() > 500_000
    assert row.updated_at == job.updated_at  # looking does not make it look young


def test_one_row_that_can_not_be_set_right_does_not_keep_the_others_from_it(
    engine: Engine, sweeper: Sweeper, bucket: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("The storage answered 403.")

    monkeypatch.setattr(bucket, "head", away)
    stuck = engine.job(check_at=1, stage=Stage.AWAITING_UPLOAD, dispatch=0, params={"source": "uploads/x/y"})
    lost = [engine.job(check_at=2) for _ in range(8)]
    sweeper.sweep()
    engine.deliver()
    assert {engine.row(job).state for job in lost} == {State.SUCCESS}
    assert engine.row(stuck).check_at > now_ms()


def test_an_unsent_job_is_sent(engine: Engine, sweeper: Sweeper) -> None:
    job = engine.job(check_at=1, stage=Stage.SCHEDULED)
    engine.send(engine.job(check_at=now_ms() + 60_000))
    assert sweeper.sweep().sent == 1
    assert engine.row(job).stage == "queued"


def test_a_run_whose_lease_is_over_is_started_again_and_its_message_void(
    engine: Engine, sweeper: Sweeper
) -> None:
    job = engine.job(check_at=1, state=State.PROCESSING, run="dead", attempt=1, lease_until=now_ms() - 60_000)
    engine.send(job)  # the lost run's own message turns up as well
    assert sweeper.sweep().lost == 1
    engine.deliver()
    row = engine.row(job)
    assert (row.state, row.attempt) == (State.SUCCESS, 2)
    assert len(engine.runs) == 1


def test_a_run_with_a_live_lease_is_left_alone(engine: Engine, sweeper: Sweeper) -> None:
    job = engine.job(check_at=1, state=State.PROCESSING, run="r", attempt=1, lease_until=now_ms() + 30_000)
    assert sweeper.sweep().lost == 0
    row = engine.row(job)
    assert (row.state, row.run) == (State.PROCESSING, "r")
    assert row.check_at > row.lease_until


def test_a_lost_run_without_attempts_left_fails(engine: Engine, sweeper: Sweeper) -> None:
    attempts = settings.get().max_attempts
    job = engine.job(check_at=1, state=State.PROCESSING, run="dead", attempt=attempts, lease_until=1)
    sweeper.sweep()
    assert engine.row(job).state is State.FAILURE
    assert engine.left() == 0


def test_an_upload_that_never_came_fails_with_its_reason(engine: Engine, sweeper: Sweeper) -> None:
    job = engine.job(check_at=1, stage=Stage.AWAITING_UPLOAD, dispatch=0, params={"source": "uploads/x/y"})
    assert sweeper.sweep().upload_missing == 1
    row = engine.row(job)
    assert row.error is not None
    assert row.error["type"] == "upload_missing"


def test_an_upload_whose_event_was_lost_is_found(
    engine: Engine, sweeper: Sweeper, bucket: MemoryObjects
) -> None:
    job = engine.job(check_at=1, stage=Stage.AWAITING_UPLOAD, dispatch=0, params={"source": "uploads/x/y"})
    bucket.bodies["uploads/x/y"] = b"some text"
    sweeper.sweep()
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_a_finished_job_is_never_looked_at_again(engine: Engine, sweeper: Sweeper) -> None:
    job = engine.job(check_at=1)
    engine.send(job)
    engine.deliver()
    assert sweeper.sweep().looked_at == 0
    assert engine.row(job).state is State.SUCCESS
