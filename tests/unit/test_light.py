"""Light jobs in batches keep the promises of the one-by-one path. Numbers in brackets: docs/jobs.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from chalicelib import settings
from chalicelib.aws.expressions import Absent, Act, Equals, Key, Update
from chalicelib.aws.table import TransactionFailed
from chalicelib.errors import BrokenFile, RetryAfter, Unavailable
from chalicelib.jobs import messages, stopping
from chalicelib.jobs.consumer import Consumer
from chalicelib.jobs.dispatch import send
from chalicelib.jobs.fairness import Window, window_key
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.light import LightConsumer
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import Stage, State
from chalicelib.jobs.stopping import Stopping
from chalicelib.jobs.workchild import outcome_of
from chalicelib.tasks.noop import noop
from chalicelib.tasks.registry import TASKS, Task
from tests.unit.engine import Engine

# What the light task of these tests does; a test may replace it.
_task: list[Callable[[Run], None]] = [noop]


def task(run: Run) -> None:
    """The target that the registry names."""
    _task[0](run)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    light = msgspec.structs.replace(TASKS["noop"], target=f"{__name__}:task")
    monkeypatch.setitem(TASKS, "noop", light)
    yield
    _task[0] = noop


class LightEngine(Engine):
    """An engine with a batching consumer, which counts what it asks of the table."""

    def __init__(self) -> None:
        super().__init__()
        self.consumer = LightConsumer(self.table, self.queues, self.objects, worker="w1")  # type: ignore[arg-type]
        self.consumer.supervisor.run = self._supervise  # type: ignore[method-assign,assignment]
        # The child is played by this process.
        self.work = lambda job, _beat: outcome_of(
            Run(job, table=self.table, objects=self.objects, folder=None, report=lambda _: None)  # type: ignore[arg-type]
        )
        self.transactions: list[Sequence[Act]] = []
        self._transact = self.table.transact
        self.table.transact = self._count  # type: ignore[method-assign]

    def _count(self, writes: Sequence[Act]) -> None:
        self.transactions.append(writes)
        self._transact(writes)

    def light(self, number: int = 1, **changes: Any) -> list[Job]:
        """Act rows of waiting light jobs and send their messages."""
        jobs = [self.job(**{"task": "noop", **changes}) for _ in range(number)]
        for job in jobs:
            send(self.queues, job)
        return jobs

    def states(self, jobs: Sequence[Job]) -> list[State]:
        return [self.row(job).state for job in jobs]

    def counted(self) -> dict[str, int]:
        """Return the sums of all counters."""
        sums: dict[str, int] = {}
        for (pk, _), item in self.table.items.items():
            if pk.startswith("STATS#"):
                for name in ("SUCCESS", "FAILURE", "REVOKED", "executions"):
                    sums[name] = sums.get(name, 0) + item.get(name, 0)
        return {name: number for name, number in sums.items() if number}


@pytest.fixture
def engine() -> LightEngine:
    return LightEngine()


def test_ten_light_jobs_share_two_transactions_and_need_no_child(engine: LightEngine) -> None:
    jobs = engine.light(10)
    assert engine.deliver() == []
    assert engine.states(jobs) == [State.SUCCESS] * 10
    assert len(engine.transactions) == 2
    assert engine.runs == []
    assert engine.left() == 0


def test_the_rows_of_a_batch_are_those_of_the_one_by_one_path(engine: LightEngine) -> None:
    (together,) = engine.light()
    engine.deliver()
    (alone,) = engine.light(params={})
    received = engine.queues.receive("uploads")
    Consumer.consume(engine.consumer, received, seconds_left=600)
    assert len(engine.runs) == 1

    def shape(job: Job) -> dict[str, Any]:
        row = dict(engine.table.items[job.key])
        times = {"pk", "job_id", "run", "mark", "lease_until", "cost", "created_at", "updated_at"}
        times |= {"started_at", "finished_at", "expires_at"}
        assert all(row[name] for name in times)
        timeline = [[state, attempt, note] for state, _at, attempt, note in row.pop("timeline")]
        return {name: value for name, value in row.items() if name not in times} | {"timeline": timeline}

    assert shape(together) == shape(alone)


def test_counters_say_what_happened(engine: LightEngine) -> None:
    engine.light(7)
    engine.deliver()
    assert engine.counted() == {"SUCCESS": 7, "executions": 7}
    ended = engine.transactions[-1]
    keys = [write.key for write in ended]
    assert len(keys) == len(set(keys))  # DynamoDB refuses two writes to one item


def test_invariant_4_a_message_delivered_twice_in_one_batch_has_one_effect(engine: LightEngine) -> None:
    (job,) = engine.light()
    send(engine.queues, job)
    assert engine.deliver() == []
    row = engine.row(job)
    assert (row.state, row.attempt) == (State.SUCCESS, 1)
    assert engine.counted() == {"SUCCESS": 1, "executions": 1}
    assert engine.left() == 0


def test_a_message_with_an_old_dispatch_number_is_deleted_unread(engine: LightEngine) -> None:
    old = engine.job(task="noop", dispatch=3)
    send(engine.queues, msgspec.structs.replace(old, dispatch=2))
    (good,) = engine.light()
    assert engine.deliver() == []
    assert engine.states([old, good]) == [State.PENDING, State.SUCCESS]
    assert engine.left() == 0


def test_a_job_revoked_while_it_waited_is_not_worked_on(engine: LightEngine) -> None:
    revoked, good = engine.light(2)
    engine.store.revoke(revoked)
    engine.deliver()
    assert engine.states([revoked, good]) == [State.REVOKED, State.SUCCESS]
    assert engine.row(revoked).attempt == 0


def test_a_job_taken_by_somebody_else_meanwhile_does_not_hold_up_the_others(engine: LightEngine) -> None:
    jobs = engine.light(5)
    read = engine.table.get_many

    def overtaken(keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
        rows = read(keys)
        engine.table.get_many = read  # type: ignore[method-assign]
        taken = {"state": State.PROCESSING, "attempt": 1, "run": "other", "lease_until": now_ms() + 60_000}
        engine.table.write(Update(key=jobs[2].key, set=taken))
        return rows

    engine.table.get_many = overtaken  # type: ignore[method-assign,assignment]
    kept = engine.deliver()
    assert len(kept) == 1  # hidden until the other run's lease ends
    assert engine.states(jobs) == [State.PROCESSING if job is jobs[2] else State.SUCCESS for job in jobs]
    assert engine.row(jobs[2]).run == "other"


def test_invariant_6_an_attempt_counted_meanwhile_is_never_lost(engine: LightEngine) -> None:
    """A lost run gives its job back under the same dispatch number: only the attempt tells the difference."""
    (job,) = engine.light()
    read = engine.table.get_many

    def outdated(keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
        rows = read(keys)
        engine.table.write(Update(key=job.key, set={"state": State.RETRY, "attempt": 1}))
        return rows

    engine.table.get_many = outdated  # type: ignore[method-assign,assignment]
    engine.deliver()
    assert engine.row(job).attempt == 2
    assert engine.counted() == {"SUCCESS": 1, "executions": 2}


def test_invariant_9_a_cancel_during_the_work_revokes_that_job_only(engine: LightEngine) -> None:
    jobs = engine.light(3)

    def cancelled(run: Run) -> None:
        if run.job.job_id == jobs[1].job_id:
            engine.table.write(Update(key=run.job.key, set={"cancel": True}))
        noop(run)

    _task[0] = cancelled
    assert engine.deliver() == []
    assert engine.states(jobs) == [State.SUCCESS, State.REVOKED, State.SUCCESS]
    assert engine.counted() == {"SUCCESS": 2, "REVOKED": 1, "executions": 3}


def test_an_end_whose_answer_was_lost_is_not_written_twice(engine: LightEngine) -> None:
    jobs = engine.light(3)
    calls: list[int] = []
    transact = engine.table.transact

    def answer_lost(writes: Sequence[Act]) -> None:
        transact(writes)
        calls.append(len(writes))
        if len(calls) == 2:
            raise Unavailable("The database does not answer.")

    engine.table.transact = answer_lost  # type: ignore[method-assign]
    assert engine.deliver() == []
    assert engine.states(jobs) == [State.SUCCESS] * 3
    assert engine.counted() == {"SUCCESS": 3, "executions": 3}


def test_a_conflict_with_another_transaction_is_tried_again(engine: LightEngine) -> None:
    jobs = engine.light(3)
    transact, calls = engine.table.transact, []

    def conflict(writes: Sequence[Act]) -> None:
        calls.append(writes)
        if len(calls) == 2:
            raise TransactionFailed(frozenset())
        transact(writes)

    engine.table.transact = conflict  # type: ignore[method-assign]
    assert engine.deliver() == []
    assert engine.states(jobs) == [State.SUCCESS] * 3
    assert len(calls) == 3


def test_a_permanent_error_of_one_fails_that_one(engine: LightEngine) -> None:
    jobs = engine.light(3)

    def breaks(run: Run) -> None:
        if run.job.job_id == jobs[0].job_id:
            raise BrokenFile("It broke.")
        noop(run)

    _task[0] = breaks
    assert engine.deliver() == []
    assert engine.states(jobs) == [State.FAILURE, State.SUCCESS, State.SUCCESS]
    assert engine.counted() == {"SUCCESS": 2, "FAILURE": 1, "executions": 3}


def test_a_transient_error_of_one_is_tried_again_later(engine: LightEngine) -> None:
    jobs = engine.light(2)

    def not_yet(run: Run) -> None:
        if run.job.job_id == jobs[0].job_id and run.job.attempt == 1:
            raise Unavailable("Not now.")
        noop(run)

    _task[0] = not_yet
    assert engine.deliver() == []
    assert engine.states(jobs) == [State.RETRY, State.SUCCESS]
    engine.later(60)
    engine.deliver()
    row = engine.row(jobs[0])
    assert (row.state, row.attempt) == (State.SUCCESS, 2)
    assert engine.left() == 0


def test_a_deferral_spends_no_attempt(engine: LightEngine) -> None:
    (job,) = engine.light()

    def later(_run: Run) -> None:
        raise RetryAfter("Come back.", 30)

    _task[0] = later
    engine.deliver()
    row = engine.row(job)
    assert (row.state, row.attempt, row.dispatch) == (State.RETRY, 0, 2)


def test_a_bug_in_one_does_not_stop_the_others(engine: LightEngine) -> None:
    jobs = engine.light(2)

    def bug(run: Run) -> None:
        if run.job.job_id == jobs[0].job_id:
            raise ZeroDivisionError
        noop(run)

    _task[0] = bug
    engine.deliver()
    assert engine.states(jobs) == [State.RETRY, State.SUCCESS]


def test_heavy_messages_of_the_same_delivery_go_one_by_one(engine: LightEngine) -> None:
    (light,) = engine.light()
    heavy = engine.job()
    send(engine.queues, heavy)
    engine.work = lambda job, _beat: engine.publish(job)
    assert engine.deliver() == []
    assert engine.states([light, heavy]) == [State.SUCCESS, State.SUCCESS]
    assert [job.job_id for job in engine.runs] == [heavy.job_id]


def test_a_heavy_job_under_a_light_message_is_not_run_in_this_process(engine: LightEngine) -> None:
    heavy = engine.job()
    call = messages.CallToWork(job_id=heavy.job_id, dispatch=1, light=True)
    engine.queues.send("uploads", messages.encode(call))
    engine.work = lambda job, _beat: engine.publish(job)
    engine.deliver()
    assert [job.job_id for job in engine.runs] == [heavy.job_id]


def test_invariant_14_a_partial_batch_reports_only_what_failed(engine: LightEngine) -> None:
    jobs = engine.light(3)
    engine.queues.send("uploads", "{not ours")
    assert len(engine.deliver()) == 1
    assert engine.states(jobs) == [State.SUCCESS] * 3
    assert engine.left() == 1


def test_invariant_5_a_lost_lease_is_taken_over_as_the_next_attempt(engine: LightEngine) -> None:
    lost: dict[str, Any] = {
        "state": State.PROCESSING,
        "run": "dead",
        "attempt": 1,
        "lease_until": now_ms() - 60_000,
    }
    (job,) = engine.light(**lost)
    engine.deliver()
    assert (engine.row(job).state, engine.row(job).attempt) == (State.SUCCESS, 2)


def test_a_database_that_is_away_when_jobs_are_taken_keeps_every_message(engine: LightEngine) -> None:
    jobs = engine.light(3)

    def away(_write: Act) -> None:
        raise Unavailable("The database does not answer.")

    engine.table.before_write = away
    assert len(engine.deliver()) == 3
    assert engine.states(jobs) == [State.PENDING] * 3
    engine.table.before_write = lambda _write: None
    engine.later(61)
    assert engine.deliver() == []
    assert engine.states(jobs) == [State.SUCCESS] * 3


def test_a_database_that_goes_away_during_the_work_keeps_every_message(engine: LightEngine) -> None:
    jobs = engine.light(2)

    def away(_write: Act) -> None:
        raise Unavailable("The database does not answer.")

    def goes(run: Run) -> None:
        engine.table.before_write = away
        noop(run)

    _task[0] = goes
    assert len(engine.deliver()) == 2
    assert engine.states(jobs) == [State.PROCESSING] * 2
    assert engine.left() == 2


def test_a_worker_that_stops_gives_its_batch_back_without_spending_attempts(engine: LightEngine) -> None:
    jobs = engine.light(3)

    def stopped(run: Run) -> None:
        if run.job.job_id == jobs[1].job_id:
            raise Stopping
        noop(run)

    _task[0] = stopped
    with pytest.raises(Stopping):
        engine.deliver()
    for job in jobs:
        row = engine.row(job)
        assert (row.state, row.attempt, row.dispatch) == (State.RETRY, 0, 2)
    _task[0] = noop
    engine.later(5)
    engine.deliver()
    assert engine.states(jobs) == [State.SUCCESS] * 3
    assert engine.counted() == {"SUCCESS": 3, "executions": 3}


def test_a_worker_that_is_to_stop_takes_nothing_more_and_gives_messages_back(engine: LightEngine) -> None:
    jobs = engine.light(3)
    stopping.request()
    try:
        assert len(engine.deliver()) == 3
    finally:
        stopping.reset()
    assert engine.states(jobs) == [State.PENDING] * 3
    assert engine.queues.depth("uploads").visible == 3


def test_invariant_13_jobs_that_end_together_leave_the_window_and_let_the_next_in(
    engine: LightEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCBOARD_MAX_DISPATCHED", "4")
    settings.get.cache_clear()
    try:
        window = Window(engine.table, engine.queues, "ann")
        jobs = [engine.job(task="noop", **window.place(f"placed-{i}")) for i in range(9)]
        # Rows get their ids when written; the window holds those.
        engine.table.write(
            Update(
                key=window_key("ann"),
                set={"dispatched": {job.job_id for job in jobs if job.stage == Stage.QUEUED}},
            )
        )
        for job in jobs:
            if job.stage == Stage.QUEUED:
                send(engine.queues, job)
        for _ in range(5):
            engine.deliver()
        assert engine.states(jobs) == [State.SUCCESS] * 9
        item = engine.table.get(window_key("ann")) or {}
        assert (item.get("dispatched", set()), item["waiting"]) == (set(), 0)
    finally:
        monkeypatch.undo()
        settings.get.cache_clear()


def test_with_a_running_cap_jobs_go_one_by_one(engine: LightEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCBOARD_MAX_RUNNING", "2")
    settings.get.cache_clear()
    try:
        jobs = engine.light(3)
        engine.deliver()
        assert engine.states(jobs) == [State.SUCCESS] * 3
        assert len(engine.runs) == 3
    finally:
        monkeypatch.undo()
        settings.get.cache_clear()


def test_a_publication_with_writes_of_its_own_is_published_with_the_batch(engine: LightEngine) -> None:
    jobs = engine.light(2)

    def writes(run: Run) -> None:
        mark = Update(key=("MARK", run.job.job_id), set={"by": run.job.job_id})
        run.publish(lambda: Publication(result={}, writes=[mark], warnings=["mind"]))

    _task[0] = writes
    engine.deliver()
    assert all(engine.table.get(("MARK", job.job_id)) for job in jobs)
    assert engine.row(jobs[0]).warnings == ["mind"]
    assert len(engine.transactions) == 2


def test_publications_that_write_the_same_item_are_published_one_by_one(engine: LightEngine) -> None:
    """DynamoDB takes one write an item in a transaction; each `build` reads the version afresh."""
    jobs = engine.light(2)
    builds: list[str] = []

    def counts(run: Run) -> None:
        def build() -> Publication:
            builds.append(run.job.job_id)
            seen = (engine.table.get(("SUM", "1")) or {"version": 0})["version"]
            when = (Equals("version", seen),) if seen else (Absent("pk"),)
            bump = Update(key=("SUM", "1"), set={"version": seen + 1}, when=when)
            return Publication(result={}, writes=[bump])

        run.publish(build)

    engine.table.write(Update(key=("SUM", "1"), set={"version": 1}))

    _task[0] = counts
    assert engine.deliver() == []
    assert engine.states(jobs) == [State.SUCCESS] * 2
    item = engine.table.get(("SUM", "1"))
    assert item is not None
    assert item["version"] == 3
    assert len(builds) == 4


def test_a_light_message_says_so_and_others_stay_as_they_were() -> None:
    call = messages.CallToWork(job_id="j", dispatch=2)
    assert messages.encode(call) == '{"job_id":"j","dispatch":2}'
    light = messages.decode('{"job_id":"j","dispatch":2,"light":true}')
    assert light.light


def test_the_noop_is_light_and_may_be_submitted() -> None:
    assert TASKS["noop"].light
    assert TASKS["noop"].submittable
    assert Task(name="x", queue="q", target="m:f").light is False
