"""The cost on a job is what was really asked of AWS, by a table of prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.charges import measured
from chalicelib import services, settings
from chalicelib.aws import clients
from chalicelib.aws.expressions import Act, Delete, Put, Update
from chalicelib.aws.queues import Received
from chalicelib.jobs import cost
from chalicelib.jobs.consumer import Consumer
from chalicelib.jobs.job import Job, from_item, new_id, now_ms
from chalicelib.jobs.light import LightConsumer
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import State
from chalicelib.jobs.submission import Submission
from chalicelib.jobs.supervisor import Limits
from chalicelib.jobs.workchild import Outcome
from chalicelib.knowledge.minhash import BANDS
from chalicelib.tasks.registry import TASKS, Task
from tests.unit.conftest import Api

# The entries in `by_owner` and `by_check`, and the latter's removal: charged, but no calls.
INDEX_WRITES = 3


def publish_nothing(run: Run) -> None:
    run.publish(lambda: Publication(result={}))


@pytest.fixture
def calls() -> Iterator[Counter[str]]:
    """Counts what this process asks of AWS."""
    made: Counter[str] = Counter()

    def listen(service: str, operation: str, parameters: dict[str, Any]) -> None:
        made.update(cost.units(service, operation, parameters))

    clients.on_call(listen)
    yield made
    clients._listeners.remove(listen)


def test_a_job_names_every_request_that_it_took(
    api: Api, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(name="nothing", queue="uploads", target="tests.unit.test_cost:publish_nothing")
    monkeypatch.setitem(TASKS, "nothing", task)
    consumer = Consumer(services.table(), services.queues(), services.objects(), worker="w")

    def run_here(job: Job, _limits: Limits, _beat: object) -> Outcome:
        run = Run(
            job,
            table=services.table(),
            objects=services.objects(),
            folder=Path(),
            report=lambda _progress: None,
        )
        cost.METER.start()
        publish_nothing(run)
        return Outcome()

    monkeypatch.setattr(consumer.supervisor, "run", run_here)
    services.queues().depth("uploads")  # makes the clients
    _drain()
    calls.clear()

    job = Submission(services.table(), services.queues(), services.objects(), owner=api.user).task("nothing")
    (message,) = services.queues().receive("uploads", limit=1, wait=0, visibility=60)
    services.queues().hide(message.queue, message.receipt, 60)
    assert consumer.consume([message], seconds_left=60) == []
    services.queues().delete(message.queue, message.receipt)

    asked = Counter(calls)
    row = services.table().get(job.key)
    assert row is not None
    reported = Counter((from_item(row).cost or {})["requests"])
    assert reported.pop("api_request") == 1
    assert reported.pop("lambda_request") == 2
    assert reported == asked + Counter({"table_write": INDEX_WRITES})


def test_ten_light_jobs_share_what_they_need(
    api: Api, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = LightConsumer(services.table(), services.queues(), services.objects(), worker="w")
    services.queues().depth("low_priority")  # makes the clients
    calls.clear()
    submission = Submission(services.table(), services.queues(), services.objects(), owner=api.user)
    jobs = [submission.task("noop", filename="a probe") for _ in range(10)]
    received = services.queues().receive("low_priority", limit=10, wait=0, visibility=60)
    for message in received:
        services.queues().hide(message.queue, message.receipt, 60)
    assert consumer.consume(received, seconds_left=60) == []
    services.queues().delete_many("low_priority", [message.receipt for message in received])
    asked = Counter(calls)
    reported: Counter[str] = Counter()
    dollars = 0.0
    for job in jobs:
        row = services.table().get(job.key)
        assert row is not None
        cost_of = from_item(row).cost or {}
        reported.update(cost_of["requests"])
        # Not the time that it took: that is the machine's.
        dollars += cost_of["dollars"] - cost_of["gb_seconds"] * cost.Prices().gb_second
    assert reported["sqs_request"] == pytest.approx(asked["sqs_request"])
    assert reported["table_read"] == pytest.approx(asked["table_read"])
    # How many of the four counters a batch meets depends on the ids of its jobs, and on the minute in which they end.
    assert -8 <= reported["table_write"] - 10 * INDEX_WRITES - asked["table_write"] <= 6
    assert dollars / 10 * 1_000_000 < 14


def test_what_is_published_is_charged_by_its_size() -> None:
    job = _job()

    def written(*writes: Act, **fields: object) -> float:
        cost.METER.start()
        requests = cost.of_run(msgspec.structs.replace(job, **fields), writes=writes)["requests"]
        return float(requests["table_write"] + 8 * requests.get("s3_put", 0))

    small, large = ({"pk": "A", "sk": "1", "data": b"x" * size} for size in (100, 2500))
    assert written(Put(item=small)) == written() + 2
    assert written(Put(item=large)) == written() + 6
    assert written(Update(key=("A", "1"), set=large)) == written() + 6
    assert written(Delete(key=("A", "1"))) == written() + 2
    assert written(params={"source": "rows/inline/j/source"}) == written() + 1
    assert written(params={"source": "inline/j/source"}) == written() + 8


def test_a_file_that_was_put_is_counted_as_a_number() -> None:
    """JSON tells `true` from 1, and who reads the answer takes neither for the other."""
    job = _job(params={"source": "inline/j/source"})
    cost.METER.start()
    assert type(cost.of_run(job)["requests"]["s3_put"]) is int


def _job(**fields: Any) -> Job:
    return Job(
        job_id=new_id(),
        owner="ann",
        task="nothing",
        queue="uploads",
        state=State.PROCESSING,
        stage="",
        created_at=1,
        updated_at=1,
        **fields,
    )


def _drain() -> list[Received]:
    received = services.queues().receive("uploads", limit=10, wait=0, visibility=60)
    for message in received:
        services.queues().delete(message.queue, message.receipt)
    return received + (_drain() if received else [])


def test_a_million_no_ops_cost_under_12_dollars() -> None:
    now = now_ms()
    job = Job(
        job_id=new_id(),
        owner="ann",
        task="nothing",
        queue="uploads",
        state=State.PROCESSING,
        stage="",
        created_at=now,
        updated_at=now,
        started_at=now,
    )
    cost.METER.start()
    assert 5 < cost.of_run(job, together=10)["dollars"] * 1_000_000 < 12
    assert cost.of_run(job)["dollars"] * 1_000_000 < 13


def test_prices_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCBOARD_PRICES", '{"api_request": 100}')
    settings.get.cache_clear()
    try:
        assert cost._prices().api_request == 100
        assert cost._prices().gb_second == cost.Prices().gb_second
    finally:
        monkeypatch.undo()
        settings.get.cache_clear()


def test_a_million_texts_of_1_kb_with_duplicates_and_topic_cost_under_38_dollars() -> None:
    """35 in a library that has grown (docs/benchmarks.md); in a young one, topics are founded more often."""
    with measured(140, least=60) as (service, number):
        charges = service.charges
        bucket = {what for what, kind in charges.units if kind.startswith("s3_") and "upkeep" not in what}
        assert bucket == set()
        assert 30 < charges.dollars(cost.Prices()) / number < 38
        assert charges.dollars(cost.Prices(), upkeep=True) / number < 6
        bands = sum(units for (what, kind), units in charges.units.items() if what == "KB")
        assert BANDS <= bands / number < BANDS + 2
