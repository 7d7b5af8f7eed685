"""The engine against a model of it: hypothesis makes up histories, and after each step both must agree.

The model is what docs/jobs.md says, on a page: one record per job and a dozen lines per delivery. The engine is the
real consumer, sweeper and control on tables and queues in memory and one clock.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib import settings as service_settings
from chalicelib.aws.expressions import Update
from chalicelib.errors import Conflict, SyncBoardError
from chalicelib.jobs import messages
from chalicelib.jobs.control import Control
from chalicelib.jobs.job import Job, check_shard
from chalicelib.jobs.run import Progress, Publication, Run
from chalicelib.jobs.states import SOURCES, TERMINAL, State
from chalicelib.jobs.supervisor import Order
from chalicelib.jobs.sweeper import Sweeper
from chalicelib.jobs.workchild import Outcome
from tests.memory import MemoryQueues, MemoryTable
from tests.unit.engine import Engine

QUEUE = "uploads"
# How a run may go. `killed`: before it published; `killed after`: once it had, before its message was deleted.
GOOD, PERMANENT, TRANSIENT, DEFERRED = "good", "permanent", "transient", "deferred"
KILLED, KILLED_AFTER, CANCELLED, OVERTAKEN = "killed", "killed after", "cancelled", "overtaken"
WAYS = (GOOD, PERMANENT, TRANSIENT, DEFERRED, KILLED, KILLED_AFTER, CANCELLED, OVERTAKEN)
ERRORS = {
    PERMANENT: {"type": "broken_file", "message": "It is broken.", "retryable": False},
    TRANSIENT: {"type": "unavailable", "message": "Not now.", "retryable": True},
    DEFERRED: {"type": "retry_after", "message": "Later.", "retryable": True, "retry_after": 30},
}


class Killed(BaseException):
    """kill -9, as far as one process can play it."""


@dataclass
class Model:
    """What the documents say about one job."""

    state: State = State.PENDING
    attempt: int = 0
    dispatch: int = 1
    # Held by a run that died, until then (seconds).
    lease_until: float = 0.0
    # The owner asked to cancel it while a run held it.
    cancel: bool = False
    # Documents that it published.
    effects: int = 0

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL


class EngineMachine(RuleBasedStateMachine):
    """Histories of jobs."""

    @initialize()
    def start(self) -> None:
        self.engine = Engine()
        self.engine.clock.now = 1_800_000_000.0
        self.clock = mock.patch("time.time_ns", side_effect=lambda: int(self.engine.clock.now * 1e9))
        self.clock.start()
        self.sweeper = Sweeper(self.engine.table, self.engine.queues, self.engine.objects)  # type: ignore[arg-type]
        self.control = Control(self.engine.table, self.engine.queues, self.engine.consumer.ending)
        self.engine.work = self.work
        self.jobs: dict[str, Job] = {}
        self.models: dict[str, Model] = {}
        self.way = GOOD
        config = service_settings.get()
        self.lease = config.lease_seconds
        self.skew = config.clock_skew_seconds
        self.attempts = config.max_attempts

    def teardown(self) -> None:
        if not hasattr(self, "clock"):
            return
        try:
            self.calm_down()
        finally:
            self.clock.stop()

    def calm_down(self) -> None:
        """Whatever happened: with good runs, time and the sweeper, every job ends and no message is left."""
        self.way = GOOD
        for _ in range(2 * self.attempts + 4):
            self.engine.later(self.lease + 130)
            self.sweeper.sweep()
            self.engine.deliver()
        assert {self.engine.row(job).state for job in self.jobs.values()} <= TERMINAL
        assert self.engine.left() == 0
        self.effects_are_published_once(self.engine.table)

    def effects_are_published_once(self, table: MemoryTable) -> None:
        for job in self.jobs.values():
            published = (table.get(("EFFECTS", job.job_id)) or {}).get("documents", 0)
            assert published == (self.engine.row(job).state is State.SUCCESS)

    # --- The engine's work -----------------------------------------------------------------------------------

    def work(self, job: Job, beat: object) -> Outcome:
        """Play one run the way that the rule chose."""
        if self.way == KILLED:
            raise Killed
        if self.way in ERRORS:
            return Outcome(error=ERRORS[self.way])
        if self.way == CANCELLED:
            self.control.cancel(self.engine.row(job))
            order = beat(Progress(stage="saving", message="Saving", percent=90))  # type: ignore[operator]
            assert order is Order.CANCEL
            return Outcome(error={"type": "cancelled", "message": "Cancelled.", "retryable": False})
        if self.way == OVERTAKEN:
            # It sleeps past its lease; the sweeper gives the job to another run; it wakes.
            self.engine.later(self.lease + self.skew + 1)
            self.engine.store.look_again(self.engine.row(job), check_at=1)
            self.sweep()
            assert beat(None) is Order.ABANDON  # type: ignore[operator]
        return self.publish(job)

    def publish(self, job: Job) -> Outcome:
        """Publish as a task does."""
        count = Update(key=("EFFECTS", job.job_id), add={"documents": 1})
        run = Run(
            job,
            table=self.engine.table,
            objects=self.engine.objects,  # type: ignore[arg-type]
            folder=Path(),
            report=lambda _progress: None,
        )
        try:
            run.publish(lambda: Publication(result={"doc_id": "d"}, writes=[count]))
        except SyncBoardError as error:
            return Outcome(error=error.as_dict())
        if self.way == KILLED_AFTER:
            raise Killed
        return Outcome()

    # --- Rules -----------------------------------------------------------------------------------------------

    @rule()
    def submit(self) -> None:
        # Ids that depend on nothing but the history: hypothesis repeats it.
        job_id = f"{len(self.jobs):026d}"
        job = self.engine.job(
            job_id=job_id, check_shard=check_shard(job_id), check_at=self.now_ms() + 120_000
        )
        self.engine.send(job)
        self.jobs[job.job_id] = job
        self.models[job.job_id] = Model()

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), dispatch=st.sampled_from((0, 0, -1, 1, 5)))
    def send_again(self, data: st.DataObject, dispatch: int) -> None:
        """A duplicate, or a message of another dispatch, from the future even."""
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        self.engine.send(job, self.models[job.job_id].dispatch + dispatch)

    @precondition(lambda self: self.visible())
    @rule(data=st.data(), way=st.sampled_from(WAYS))
    def deliver(self, data: st.DataObject, way: str) -> None:
        """Any visible message, in any order."""
        self.bring_forward(data.draw(st.sampled_from(self.visible())))
        (received,) = self.engine.queues.receive(QUEUE, limit=1, visibility=self.lease)
        call = messages.decode(received.body)
        self.way = way
        kept = self.predict(self.models[call.job_id], call.dispatch, way)
        try:
            keep = self.engine.consumer.consume([received], seconds_left=600)
        except Killed:
            keep = [received.message_id]
        if not keep:
            self.engine.queues.delete(QUEUE, received.receipt)
        assert bool(keep) is kept

    def predict(self, model: Model, dispatch: int, way: str) -> bool:
        """Move the model as a delivery must; return whether the message is kept."""
        if model.ended or model.dispatch != dispatch:
            return False
        if model.state is State.PROCESSING:
            if self.engine.clock.now < model.lease_until + self.skew:
                return True
            if model.attempt >= self.attempts:
                model.state = State.FAILURE
                return False
        model.state = State.PROCESSING
        model.attempt += 1
        return self.predict_run(model, way)

    def predict_run(self, model: Model, way: str) -> bool:
        model.lease_until = self.engine.clock.now + self.lease
        if way == KILLED:
            return True
        if way == OVERTAKEN:
            return False  # the sweep in the middle of it moves the model
        if way == CANCELLED or (model.cancel and way in (GOOD, KILLED_AFTER)):
            model.state = State.REVOKED
        elif way == DEFERRED:
            model.state, model.attempt, model.dispatch = State.RETRY, model.attempt - 1, model.dispatch + 1
        elif way == PERMANENT or (way == TRANSIENT and model.attempt >= self.attempts):
            model.state = State.FAILURE
        elif way == TRANSIENT:
            model.state, model.dispatch = State.RETRY, model.dispatch + 1
        else:
            model.state, model.effects = State.SUCCESS, model.effects + 1
            return way == KILLED_AFTER
        return False

    @precondition(lambda self: self.visible())
    @rule(
        data=st.data(), way=st.sampled_from((GOOD, TRANSIENT, PERMANENT, DEFERRED)), steps=st.integers(0, 6)
    )
    def crash(self, data: st.DataObject, way: str, steps: int) -> None:
        """A delivery whose process is killed before its n-th write or send: the model learns how far it came."""
        self.bring_forward(data.draw(st.sampled_from(self.visible())))
        (received,) = self.engine.queues.receive(QUEUE, limit=1, visibility=self.lease)
        job_id = messages.decode(received.body).job_id
        model, self.way = self.models[job_id], way
        with self.killed_after(steps), contextlib.suppress(Killed):
            if not self.engine.consumer.consume([received], seconds_left=600):
                self.engine.queues.delete(QUEUE, received.receipt)
        row = self.engine.row(self.jobs[job_id])
        assert row.attempt - model.attempt in (0, 1)
        assert row.dispatch - model.dispatch in (0, 1)
        model.state, model.attempt, model.dispatch = row.state, row.attempt, row.dispatch
        model.lease_until, model.effects = row.lease_until / 1000, int(row.state is State.SUCCESS)

    @contextlib.contextmanager
    def killed_after(self, steps: int) -> Iterator[None]:
        """Kill the process at its next write or send after so many."""
        left = itertools.count(steps, -1)

        def step(*_: object, **__: object) -> None:
            if next(left) == 0:
                raise Killed

        def send(*arguments: Any, **options: Any) -> None:
            step()
            MemoryQueues.send(self.engine.queues, *arguments, **options)

        self.engine.table.before_write = step
        with mock.patch.object(self.engine.queues, "send", send):
            yield
        self.engine.table.before_write = lambda _write: None

    @rule(seconds=st.sampled_from((1, 30, 61, 70, 130)))
    def wait(self, seconds: int) -> None:
        self.engine.later(seconds)

    @rule()
    def sweep(self) -> None:
        """The sweeper moves only what is due, and never spends an attempt by itself."""
        before = {job_id: self.engine.row(job) for job_id, job in self.jobs.items()}
        empty = not self.engine.left()
        self.sweeper.sweep()
        for job_id, row in before.items():
            if row.check_shard and row.check_at <= self.now_ms():
                assert not (row.state in TERMINAL and self.engine.row(row).check_shard)
                self.predict_sweep(self.models[job_id], row, empty=empty)

    def predict_sweep(self, model: Model, row: Job, *, empty: bool) -> None:
        if model.ended:
            return
        if model.state is State.PROCESSING:
            if self.engine.clock.now >= model.lease_until + self.skew:
                model.state = State.FAILURE if model.attempt >= self.attempts else State.RETRY
                model.dispatch += model.state is State.RETRY
            return
        dispatch = self.engine.row(row).dispatch
        lost = empty or self.now_ms() - row.updated_at > 3_600_000
        assert dispatch - model.dispatch in ((1,) if lost else (0, 1))
        model.dispatch = dispatch

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        model = self.models[job_id]
        try:
            self.control.cancel(self.engine.row(self.jobs[job_id]))
        except Conflict:
            assert model.ended
            return
        assert not model.ended
        if model.state is State.PROCESSING:
            model.cancel = True
        else:
            model.state = State.REVOKED

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """The owner starts a failed job over."""
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        model = self.models[job_id]
        try:
            self.control.retry(self.engine.row(self.jobs[job_id]), by="ann")
        except Conflict:
            assert model.state is not State.FAILURE
            return
        assert model.state is State.FAILURE
        model.state, model.attempt, model.dispatch, model.cancel = State.PENDING, 0, model.dispatch + 1, False

    # --- What must always hold -------------------------------------------------------------------------------

    @invariant()
    def engine_and_model_agree(self) -> None:
        for job_id, model in getattr(self, "models", {}).items():
            row = self.engine.row(self.jobs[job_id])
            assert (row.state, row.attempt, row.dispatch) == (model.state, model.attempt, model.dispatch)
            assert (row.percent == 100) is (row.state is State.SUCCESS)

    @invariant()
    def effects_are_published_once_and_only_by_success(self) -> None:
        if hasattr(self, "jobs"):
            self.effects_are_published_once(self.engine.table)
            assert all(model.effects == (model.state is State.SUCCESS) for model in self.models.values())

    @invariant()
    def every_job_has_ended_or_is_watched(self) -> None:
        """A job that waits or runs can be found by the sweeper, so nothing is lost with a message.

        One that ended may be watched until what follows its end is done, by its run or by the sweeper.
        """
        for job in getattr(self, "jobs", {}).values():
            row = self.engine.row(job)
            assert bool(row.check_shard) is bool(row.check_at)
            assert row.check_shard or row.state in TERMINAL
            if row.check_shard and row.state in TERMINAL:
                assert row.check_at <= row.finished_at + 30_000

    @invariant()
    def timelines_are_legal(self) -> None:
        for job in getattr(self, "jobs", {}).values():
            states = [State.PENDING, *(State(line[0]) for line in self.engine.row(job).timeline)]
            for before, after in itertools.pairwise(states):
                assert before in SOURCES[after]

    # --- Helpers ---------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def visible(self) -> list[str]:
        waiting = self.engine.queues.messages.get(QUEUE, {})
        return [
            number for number, message in waiting.items() if message["visible_at"] <= self.engine.clock.now
        ]

    def bring_forward(self, number: str) -> None:
        """SQS keeps no order: let this message be the next one."""
        waiting = self.engine.queues.messages[QUEUE]
        self.engine.queues.messages[QUEUE] = {number: waiting.pop(number), **waiting}


EngineMachine.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
test_engine_and_model_agree_on_every_history = EngineMachine.TestCase
