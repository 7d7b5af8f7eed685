"""The engine's promises, one delivery at a time. Numbers in brackets: the invariants of docs/jobs.md."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chalicelib import settings
from chalicelib.aws.expressions import Update
from chalicelib.errors import HandOver, Unavailable
from chalicelib.jobs.control import Control
from chalicelib.jobs.envelope import job_envelope
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.run import Progress
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.stopping import Stopping
from chalicelib.jobs.supervisor import Order
from chalicelib.jobs.sweeper import Sweeper
from chalicelib.jobs.transitions import RunToken
from chalicelib.jobs.workchild import Outcome
from tests.unit.engine import Engine, failing


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_a_job_is_worked_on_once_and_its_message_deleted(engine: Engine) -> None:
    job = engine.job()
    engine.send(job)
    assert engine.deliver() == []
    row = engine.row(job)
    assert (row.state, row.attempt, row.percent) == (State.SUCCESS, 1, 100)
    assert engine.left() == 0
    assert row.check_shard == ""


def test_invariant_4_a_message_delivered_twice_has_one_effect(engine: Engine) -> None:
    job = engine.job()
    engine.send(job)
    engine.send(job)
    engine.deliver()
    assert len(engine.runs) == 1
    assert engine.left() == 0


def test_a_message_with_an_old_dispatch_number_is_deleted_unread(engine: Engine) -> None:
    job = engine.job(dispatch=3)
    engine.send(job, dispatch=2)
    engine.deliver()
    assert engine.runs == []
    assert engine.row(job).state is State.PENDING
    assert engine.left() == 0


def test_a_message_for_no_job_is_deleted(engine: Engine) -> None:
    job = engine.job()
    engine.table.items.clear()
    engine.send(job)
    assert engine.deliver() == []
    assert engine.left() == 0


def test_an_unreadable_message_is_left_for_the_dead_letters(engine: Engine) -> None:
    engine.queues.send("uploads", "{not ours")
    assert len(engine.deliver()) == 1
    assert engine.left() == 1


def test_invariant_14_a_partial_batch_reports_only_what_failed(engine: Engine) -> None:
    good = [engine.job() for _ in range(3)]
    for job in good:
        engine.send(job)
    engine.queues.send("uploads", "{not ours")
    assert len(engine.deliver()) == 1
    assert all(engine.row(job).state is State.SUCCESS for job in good)
    assert engine.left() == 1


def test_a_message_whose_job_has_a_live_lease_is_hidden_not_deleted(engine: Engine) -> None:
    job = engine.job(state=State.PROCESSING, run="other", attempt=1, lease_until=now_ms() + 30_000)
    engine.send(job)
    assert len(engine.deliver()) == 1
    assert engine.runs == []
    assert engine.deliver() == []  # invisible now
    assert engine.left() == 1


def test_invariant_5_a_lost_lease_is_taken_over_as_the_next_attempt(engine: Engine) -> None:
    job = engine.job(state=State.PROCESSING, run="dead", attempt=1, lease_until=now_ms() - 60_000)
    engine.send(job)
    engine.deliver()
    row = engine.row(job)
    assert (row.state, row.attempt) == (State.SUCCESS, 2)
    assert [entry[0] for entry in row.timeline] == ["RETRY", "PROCESSING", "SUCCESS"]


def test_a_lease_that_ended_within_the_clock_skew_is_respected(engine: Engine) -> None:
    margin = settings.get().clock_skew_seconds * 1000
    job = engine.job(state=State.PROCESSING, run="other", attempt=1, lease_until=now_ms() - margin + 2000)
    engine.send(job)
    engine.deliver()
    assert engine.runs == []
    assert engine.row(job).state is State.PROCESSING


def test_invariant_6_a_job_that_kills_its_process_every_time_ends_as_worker_lost(engine: Engine) -> None:
    engine.work = failing("worker_lost", retryable=True)
    job = engine.job()
    engine.send(job)
    for _ in range(settings.get().max_attempts):
        engine.deliver()
        engine.later(1000)
    row = engine.row(job)
    assert (row.state, row.attempt) == (State.FAILURE, settings.get().max_attempts)
    assert row.error is not None
    assert row.error["type"] == "worker_lost"
    assert engine.left() == 0


def test_a_lost_lease_without_attempts_left_ends_as_worker_lost(engine: Engine) -> None:
    attempts = settings.get().max_attempts
    job = engine.job(state=State.PROCESSING, run="dead", attempt=attempts, lease_until=now_ms() - 60_000)
    engine.send(job)
    engine.deliver()
    row = engine.row(job)
    assert row.state is State.FAILURE
    assert row.error is not None
    assert row.error["type"] == "worker_lost"
    assert engine.left() == 0


def test_invariant_7_a_permanent_error_fails_at_once(engine: Engine) -> None:
    engine.work = failing("broken_file", retryable=False)
    job = engine.job()
    engine.send(job)
    engine.deliver()
    row = engine.row(job)
    assert row.state is State.FAILURE
    assert row.error == {"type": "broken_file", "message": "It broke.", "retryable": False}
    assert engine.left() == 0


def test_invariant_7_a_transient_error_is_tried_again_later_under_a_new_dispatch(engine: Engine) -> None:
    engine.work = failing("unavailable", retryable=True)
    job = engine.job()
    engine.send(job)
    engine.deliver()
    row = engine.row(job)
    assert (row.state, row.attempt, row.dispatch) == (State.RETRY, 1, 2)
    assert engine.left() == 1
    assert engine.deliver() == []  # still delayed
    assert len(engine.runs) == 1

    engine.work = lambda job, _beat: engine.publish(job)
    engine.later(60)
    engine.deliver()
    assert (engine.row(job).state, engine.row(job).attempt) == (State.SUCCESS, 2)


def test_a_retry_that_is_due_waits_for_a_worker_and_says_so(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.work = failing("unavailable", retryable=True)
    job = engine.job()
    engine.send(job)
    engine.deliver()
    row = engine.row(job)
    assert job_envelope(row)["meta"]["message"].startswith("It broke. Trying again in ")
    assert row.worker == ""
    monkeypatch.setattr("chalicelib.jobs.envelope.now_ms", lambda: now_ms() + 120_000)
    said = job_envelope(row)["meta"]["message"]
    assert said == "It broke. It will be tried again as soon as a worker is free."
    engine.work = failing("retry_after", retryable=True, retry_after=1, percent=40)
    engine.later(60)
    engine.deliver()
    assert (
        job_envelope(engine.row(job))["meta"]["message"] == "It broke."
    )  # it waits for jobs that it has started


def test_invariant_7_retry_after_spends_no_attempt(engine: Engine) -> None:
    engine.work = failing("retry_after", retryable=True, retry_after=30)
    job = engine.job()
    engine.send(job)
    for _ in range(10):
        engine.deliver()
        engine.later(31)
    row = engine.row(job)
    assert (row.state, row.attempt) == (State.RETRY, 0)
    assert row.dispatch == 11


def test_a_deferral_beyond_what_sqs_can_delay_is_left_to_the_sweeper(engine: Engine) -> None:
    engine.work = failing("retry_after", retryable=True, retry_after=7200)
    job = engine.job()
    engine.send(job)
    engine.deliver()
    row = engine.row(job)
    assert row.stage == "scheduled"
    assert abs(row.check_at - now_ms() - 7_200_000) < 5000
    assert engine.left() == 0


def test_attempts_exhausted_names_the_last_cause(engine: Engine) -> None:
    engine.work = failing("unavailable", retryable=True)
    job = engine.job()
    engine.send(job)
    for _ in range(settings.get().max_attempts):
        engine.deliver()
        engine.later(1000)
    row = engine.row(job)
    assert row.state is State.FAILURE
    assert row.error is not None
    assert (row.error["type"], row.error["cause"]) == ("attempts_exhausted", "unavailable")


def test_a_run_that_was_overtaken_writes_nothing(engine: Engine) -> None:
    job = engine.job()

    def overtaken(taken: Job, _beat: Callable[[Progress | None], Order]) -> Outcome:
        token = RunToken(job_id=job.job_id, attempt=taken.attempt, run=taken.run)
        engine.store.retry(token, dispatch=9, check_at=0, stage=engine.row(job).stage, message="", error=None)  # type: ignore[arg-type]
        return Outcome(error={"type": "broken_file", "message": "It broke.", "retryable": False})

    engine.work = overtaken
    engine.send(job)
    engine.deliver()
    assert engine.row(job).state is State.RETRY
    assert engine.left() == 0


def test_a_heartbeat_renews_the_lease_and_writes_progress(engine: Engine) -> None:
    job = engine.job()

    def work(taken: Job, beat: Callable[[Progress | None], Order]) -> Outcome:
        before = engine.row(job).lease_until
        engine.later(30)
        assert beat(Progress(stage="ai_analysis", message="Thinking", percent=50)) is Order.GO_ON
        row = engine.row(job)
        assert (row.stage, row.percent) == ("ai_analysis", 50)
        assert row.lease_until >= before
        engine.later(45)  # beyond the first visibility, within the renewed one
        assert engine.queues.receive("uploads") == []
        return engine.publish(taken)

    engine.work = work
    engine.send(job)
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_a_heartbeat_tells_a_run_that_lost_its_job_to_stop(engine: Engine) -> None:
    job = engine.job()

    def work(taken: Job, beat: Callable[[Progress | None], Order]) -> Outcome:
        token = RunToken(job_id=job.job_id, attempt=taken.attempt, run=taken.run)
        engine.store.retry(token, dispatch=9, check_at=0, stage=engine.row(job).stage, message="", error=None)  # type: ignore[arg-type]
        orders.append(beat(None))
        return Outcome(error={"type": "stale_run", "message": "", "retryable": False})

    orders: list[Order] = []
    engine.work = work
    engine.send(job)
    engine.deliver()
    assert orders == [Order.ABANDON]
    assert engine.row(job).state is State.RETRY


def test_a_heartbeat_lets_a_run_that_has_just_published_tidy_up(engine: Engine) -> None:
    job = engine.job()

    def work(taken: Job, beat: Callable[[Progress | None], Order]) -> Outcome:
        outcome = engine.publish(taken)
        orders.append(beat(Progress(stage="saving", message="Saving", percent=95)))
        return outcome

    orders: list[Order] = []
    engine.work = work
    engine.send(job)
    engine.deliver()
    assert orders == [Order.GO_ON]
    assert engine.row(job).state is State.SUCCESS
    assert engine.row(job).percent == 100


def test_a_heartbeat_survives_a_database_that_is_away(engine: Engine) -> None:
    job = engine.job()

    def away(_write: object) -> None:
        raise Unavailable("The database does not answer.")

    def work(taken: Job, beat: Callable[[Progress | None], Order]) -> Outcome:
        engine.table.before_write = away
        assert beat(None) is Order.GO_ON
        engine.table.before_write = lambda _write: None
        return engine.publish(taken)

    engine.work = work
    engine.send(job)
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_a_cancel_is_honoured_at_the_next_heartbeat(engine: Engine) -> None:
    from chalicelib.aws.expressions import Update

    job = engine.job()

    def work(_taken: Job, beat: Callable[[Progress | None], Order]) -> Outcome:
        engine.table.write(Update(key=job.key, set={"cancel": True}))
        assert beat(None) is Order.CANCEL
        return Outcome(error={"type": "cancelled", "message": "", "retryable": False})

    engine.work = work
    engine.send(job)
    engine.deliver()
    assert engine.row(job).state is State.REVOKED
    assert engine.left() == 0


def _hand_over_to(queue: str) -> Callable[..., Outcome]:
    return lambda _job, _beat: Outcome(
        error=HandOver("A scan: on to text recognition.", queue=queue).as_dict()
    )


def test_a_hop_goes_on_in_another_queue_within_the_same_attempt(engine: Engine) -> None:
    job = engine.job()
    engine.send(job)
    engine.work = _hand_over_to("uploads-ocr")
    engine.deliver()
    between = engine.row(job)
    assert (between.state, between.run, between.queue) == (State.PROCESSING, "", "uploads-ocr")
    assert (between.attempt, between.hops, between.dispatch) == (1, 1, 2)
    assert (between.stage, between.worker) == ("queued", "")
    assert engine.left() == 0
    stages: list[tuple[str, str]] = []

    def go_on(taken: Job, _beat: object) -> Outcome:
        stages.append((engine.row(job).stage, engine.row(job).message))
        return engine.publish(taken)

    engine.work = go_on
    engine.deliver(queue="uploads-ocr")
    assert stages == [("starting", "Starting")]
    row = engine.row(job)
    assert (row.state, row.attempt) == (State.SUCCESS, 1)
    assert [run.run for run in engine.runs] == sorted({run.run for run in engine.runs})
    assert len(engine.runs) == 2


def test_the_timeline_numbers_each_attempt_from_its_start(engine: Engine) -> None:
    job = engine.job(timeline=[[State.PENDING, 1, 0, "submitted"]])
    engine.work = failing("unavailable", retryable=True)
    engine.send(job)
    for _ in range(settings.get().max_attempts):
        engine.deliver()
        engine.later(1000)
    assert engine.row(job).state is State.FAILURE
    engine.store.revive(engine.row(job), fields={"dispatch": 99, "stage": Stage.QUEUED}, by="owner")
    engine.work = lambda job, _beat: engine.publish(job)
    engine.send(job, dispatch=99)
    engine.deliver()
    lines = [(state, attempt) for state, _, attempt, _ in engine.row(job).history]
    tries = [
        (State.PROCESSING, 1),
        (State.RETRY, 1),
        (State.PROCESSING, 2),
        (State.RETRY, 2),
        (State.PROCESSING, 3),
    ]
    assert lines[:6] == [(State.PENDING, 0), *tries]
    assert lines[-3:] == [(State.PENDING, 0), (State.PROCESSING, 1), (State.SUCCESS, 1)]


def test_what_was_put_off_has_begun_when_its_attempt_began_and_a_retry_begins_anew(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000]
    monkeypatch.setattr("chalicelib.jobs.transitions.now_ms", lambda: now[0])
    job = engine.job()
    ends = [
        {"type": "retry_after", "message": "Wait.", "retryable": True, "retry_after": 1.0, "percent": 30},
        {"type": "broken_file", "message": "It broke.", "retryable": False},
    ]

    def work(_job: Job, _beat: Callable[[Progress | None], Order]) -> Outcome:
        now[0] += 1000
        return Outcome(error=ends.pop(0))

    engine.work = work
    engine.send(job)
    engine.deliver()
    engine.later(2)
    engine.deliver()
    row = engine.row(job)
    assert (row.started_at, row.resumed_at, row.finished_at) == (1_000_000, 1_001_000, 1_002_000)
    assert row.run_since == row.resumed_at
    engine.store.revive(row, fields={"dispatch": 99, "stage": Stage.QUEUED}, by="owner")
    assert engine.row(job).started_at == 0
    engine.work = lambda job, _beat: engine.publish(job)
    engine.send(job, dispatch=99)
    engine.deliver()
    row = engine.row(job)
    assert (row.state, row.started_at, row.run_since) == (State.SUCCESS, 1_002_000, 1_002_000)


def test_a_message_from_before_a_hop_is_void(engine: Engine) -> None:
    job = engine.job()
    engine.send(job)
    engine.work = _hand_over_to("uploads-ocr")
    engine.deliver()
    engine.send(job, dispatch=1)
    engine.deliver()
    assert len(engine.runs) == 1
    assert engine.row(job).queue == "uploads-ocr"


def test_a_hop_whose_message_is_lost_is_sent_again(engine: Engine) -> None:
    job = engine.job()
    engine.send(job)
    engine.work = _hand_over_to("uploads-ocr")
    engine.deliver()
    engine.queues.messages["uploads-ocr"].clear()
    engine.store.look_again(engine.row(job), check_at=now_ms() - 1)
    Sweeper(engine.table, engine.queues, engine.objects).sweep()  # type: ignore[arg-type]
    engine.work = lambda taken, _beat: engine.publish(taken)
    engine.deliver(queue="uploads-ocr")
    assert engine.row(job).state is State.SUCCESS


def test_a_job_between_two_hops_can_be_cancelled(engine: Engine) -> None:
    job = engine.job()
    engine.send(job)
    engine.work = _hand_over_to("uploads-ocr")
    engine.deliver()
    Control(engine.table, engine.queues, engine.consumer.ending).cancel(engine.row(job))
    assert engine.row(job).state is State.REVOKED
    engine.deliver(queue="uploads-ocr")
    assert len(engine.runs) == 1


def test_work_that_is_handed_on_without_end_fails(engine: Engine) -> None:
    job = engine.job()
    engine.send(job)
    engine.work = _hand_over_to("uploads")
    for _ in range(60):
        engine.deliver()
    row = engine.row(job)
    assert row.state is State.FAILURE
    assert row.error is not None
    assert row.error["type"] == "hard_time_limit"
    assert len(engine.runs) == 51


def test_a_retry_may_be_handed_on_as_often_again(engine: Engine) -> None:
    job = engine.job(attempt=1, state=State.RETRY, hops=50)
    engine.send(job)
    engine.work = _hand_over_to("uploads-ocr")
    engine.deliver()
    row = engine.row(job)
    assert (row.state, row.attempt, row.hops) == (State.PROCESSING, 2, 1)


def test_what_a_killed_run_left_is_removed_even_when_the_run_that_published_died_at_once(
    engine: Engine,
) -> None:
    job = engine.job(attempt=1, state=State.RETRY)
    engine.send(job)

    def die_after_publishing(taken: Job, _beat: object) -> Outcome:
        engine.objects.bodies[f"texts/{taken.job_id}/1-lost.txt"] = b"of the killed run"
        engine.objects.bodies[f"texts/{taken.job_id}/2-d.txt"] = b"published"
        engine.publish(taken)
        raise Stopping

    engine.work = die_after_publishing
    with pytest.raises(Stopping):
        engine.deliver()
    engine.later(100)
    engine.store.table.write(Update(key=job.key, set={"check_at": now_ms() - 1}))
    Sweeper(engine.table, engine.queues, engine.objects).sweep()  # type: ignore[arg-type]
    assert sorted(engine.objects.bodies) == [f"texts/{job.job_id}/2-d.txt"]
    assert engine.row(job).check_shard == ""


def test_what_a_run_left_that_was_given_back_is_removed(engine: Engine) -> None:
    job = engine.job()

    def stop(taken: Job, _beat: object) -> Outcome:
        engine.objects.bodies[f"texts/{taken.job_id}/1-lost.txt"] = b"of the run that was stopped"
        raise Stopping

    engine.work = stop
    engine.send(job)
    with pytest.raises(Stopping):
        engine.deliver()
    engine.work = lambda job, _beat: engine.publish(job)
    engine.later(5)
    engine.deliver()
    assert (engine.row(job).state, engine.objects.bodies) == (State.SUCCESS, {})


def test_a_worker_that_stops_gives_its_job_back_without_spending_the_attempt(engine: Engine) -> None:
    job = engine.job()

    def stop(_job: Job, _beat: object) -> Outcome:
        raise Stopping

    engine.work = stop
    engine.send(job)
    with pytest.raises(Stopping):
        engine.deliver()
    row = engine.row(job)
    assert (row.state, row.attempt, row.dispatch) == (State.RETRY, 0, 2)

    engine.work = lambda job, _beat: engine.publish(job)
    engine.later(5)
    engine.deliver()
    assert (engine.row(job).state, engine.row(job).attempt) == (State.SUCCESS, 1)


def test_a_database_that_is_away_keeps_the_message(engine: Engine) -> None:
    job = engine.job()
    engine.send(job)

    def away(_write: object) -> None:
        raise Unavailable("The database does not answer.")

    engine.table.before_write = away
    assert len(engine.deliver()) == 1
    engine.table.before_write = lambda _write: None
    engine.later(61)
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_a_retry_whose_message_can_not_be_sent_is_left_to_the_sweeper(engine: Engine) -> None:
    engine.work = failing("unavailable", retryable=True)
    job = engine.job()
    engine.send(job)
    received = engine.queues.receive("uploads")
    engine.queues.down = True
    assert engine.consumer.consume(received, seconds_left=600) == []
    row = engine.row(job)
    assert (row.state, row.stage) == (State.RETRY, "scheduled")
    assert row.check_at <= now_ms()
