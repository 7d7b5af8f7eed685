"""Dead letters: their jobs fail by name, once; the operator sees them, sends them out anew or deletes them."""

from __future__ import annotations

import pytest

from chalicelib.aws.queues import dead_letters
from chalicelib.jobs import messages
from chalicelib.jobs.deadletters import DeadLetters
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.states import State
from chalicelib.jobs.sweeper import Sweeper
from tests.unit.engine import Engine


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def dead(engine: Engine) -> DeadLetters:
    return DeadLetters(engine.table, engine.queues, engine.objects)  # type: ignore[arg-type]


@pytest.fixture
def sweeper(engine: Engine) -> Sweeper:
    return Sweeper(engine.table, engine.queues, engine.objects)  # type: ignore[arg-type]


def bury(engine: Engine, job: Job, dispatch: int | None = None, queue: str = "uploads") -> None:
    """Put a job's message where SQS puts those that it gave up."""
    call = messages.CallToWork(job_id=job.job_id, dispatch=job.dispatch if dispatch is None else dispatch)
    engine.queues.send(dead_letters(queue), messages.encode(call))


def buried(engine: Engine, queue: str = "uploads") -> int:
    return engine.queues.depth(dead_letters(queue)).visible


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"state": State.RETRY, "attempt": 2},
        {"state": State.PROCESSING, "run": "", "attempt": 1},  # between two hops
    ],
)
def test_invariant_11_the_job_of_a_dead_letter_fails_by_name_once(
    engine: Engine, sweeper: Sweeper, row: dict[str, object]
) -> None:
    job = engine.job(**row)
    bury(engine, job)
    assert [sweeper.sweep().dead_letters for _ in range(2)] == [1, 0]
    after = engine.row(job)
    assert after.state is State.FAILURE
    assert after.error is not None
    assert (after.error["type"], after.error["queue"]) == ("dead_letter", "uploads")
    assert after.standing == "ann#FAILURE"
    assert buried(engine) == 1  # for the operator


def test_a_due_job_with_a_dead_letter_fails_instead_of_being_sent_again(
    engine: Engine, sweeper: Sweeper
) -> None:
    job = engine.job(check_at=1)
    bury(engine, job)
    swept = sweeper.sweep()
    assert (swept.dead_letters, swept.sent) == (1, 0)
    assert engine.row(job).state is State.FAILURE


def test_a_job_that_a_run_holds_is_left_alone(engine: Engine, dead: DeadLetters) -> None:
    job = engine.job(state=State.PROCESSING, run="r", attempt=1, lease_until=now_ms() + 60_000)
    bury(engine, job)
    assert dead.reconcile() == 0
    assert engine.row(job).state is State.PROCESSING
    assert buried(engine) == 1


@pytest.mark.parametrize(
    "row",
    [{"dispatch": 2}, {"state": State.SUCCESS}, {"state": State.REVOKED}],
    ids=["went on", "done", "cancelled"],
)
def test_a_dead_letter_that_nobody_needs_is_dropped(
    engine: Engine, dead: DeadLetters, row: dict[str, object]
) -> None:
    job = engine.job(**row)
    bury(engine, job, dispatch=1)
    assert dead.reconcile() == 0
    assert engine.row(job) == job
    assert engine.queues.depth(dead_letters("uploads")).total == 0


def test_a_dead_letter_that_nobody_can_read_stays_for_the_operator(engine: Engine, dead: DeadLetters) -> None:
    engine.queues.send(dead_letters("uploads"), "{not ours")
    assert dead.reconcile() == 0
    (letter,) = dead.letters("uploads")
    assert (letter.body, letter.job_id, letter.state) == ("{not ours", "", "")
    redriven = dead.redrive("uploads")
    assert list(redriven.kept) == [letter.message_id]
    assert buried(engine) == 1


def test_a_queue_that_is_away_does_not_stop_the_sweep(
    engine: Engine, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chalicelib.errors import Unavailable

    depth = engine.queues.depth

    def away(queue: str) -> object:
        if queue.startswith("uploads-"):
            raise Unavailable("The queue does not answer.")
        return depth(queue)

    monkeypatch.setattr(engine.queues, "depth", away)
    job = engine.job(queue="low_priority")
    bury(engine, job, queue="low_priority")
    assert sweeper.sweep().dead_letters == 1


def test_letters_are_shown_with_their_jobs_and_stay(engine: Engine, dead: DeadLetters) -> None:
    jobs = [engine.job() for _ in range(25)]
    for job in jobs:
        bury(engine, job)
    for _ in range(2):
        letters = dead.letters("uploads")
        assert {letter.job_id for letter in letters} == {job.job_id for job in jobs}
        assert {letter.state for letter in letters} == {"PENDING"}
        assert len(letters) == len({letter.message_id for letter in letters}) == 25
    assert dead.letters("analysis") == []


def test_a_redrive_starts_failed_jobs_over_with_a_fresh_message(engine: Engine, dead: DeadLetters) -> None:
    job = engine.job()
    bury(engine, job)
    dead.reconcile()
    redriven = dead.redrive("uploads")
    assert (len(redriven.sent), redriven.dropped, redriven.kept) == (1, [], {})
    assert engine.queues.depth(dead_letters("uploads")).total == 0
    assert engine.row(job).dispatch == job.dispatch + 1
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_a_redrive_does_not_wait_for_the_sweeper(engine: Engine, dead: DeadLetters) -> None:
    job = engine.job()
    bury(engine, job)
    assert len(dead.redrive("uploads").sent) == 1
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_a_redrive_may_name_its_messages(engine: Engine, dead: DeadLetters) -> None:
    first, second = engine.job(), engine.job()
    bury(engine, first)
    bury(engine, second)
    chosen = next(letter.message_id for letter in dead.letters("uploads") if letter.job_id == first.job_id)
    assert dead.redrive("uploads", {chosen}).sent == [chosen]
    assert engine.row(first).dispatch == 2
    assert engine.row(second).dispatch == 1
    assert buried(engine) == 1


def test_a_redrive_changes_no_job_that_went_on(engine: Engine, dead: DeadLetters) -> None:
    job = engine.job(state=State.SUCCESS)
    again = engine.job(
        state=State.FAILURE, dispatch=3, error={"type": "t", "message": "m", "retryable": False}
    )
    bury(engine, job)
    bury(engine, again, dispatch=1)  # that failure is of a later message
    assert len(dead.redrive("uploads").dropped) == 2
    assert (engine.row(job), engine.row(again)) == (job, again)
    assert engine.left() == 0


def test_events_of_uploads_are_sent_again_as_they_are(engine: Engine, dead: DeadLetters) -> None:
    engine.queues.send(dead_letters("intake"), '{"Records": []}')
    assert dead.reconcile() == 0
    assert len(dead.redrive("intake").sent) == 1
    (message,) = engine.queues.receive("intake")
    assert message.body == '{"Records": []}'


def test_a_purge_deletes_all_and_leaves_no_job_waiting_for_ever(engine: Engine, dead: DeadLetters) -> None:
    jobs = [engine.job() for _ in range(12)]
    for job in jobs:
        bury(engine, job)
    engine.queues.send(dead_letters("uploads"), "?")
    assert dead.purge("uploads") == 13
    assert engine.queues.depth(dead_letters("uploads")).total == 0
    assert {engine.row(job).state for job in jobs} == {State.FAILURE}
    assert dead.purge("uploads") == 0


def test_names_of_dead_letter_queues_are_those_of_the_template() -> None:
    from chalicelib.settings import QUEUES
    from infra.templates import DATA, read

    names = {
        resource["Properties"]["QueueName"]["Fn::Sub"]
        for resource in read(DATA)["Resources"].values()
        if resource["Type"] == "AWS::SQS::Queue"
    }
    assert {f"syncboard-${{Stage}}-{dead_letters(queue)}" for queue in QUEUES} <= names
