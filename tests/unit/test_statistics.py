"""What the counters tell: written by the engine's own code, read back as figures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import boto3
import msgspec
import pytest

from chalicelib import services, settings
from chalicelib.aws.queues import dead_letters
from chalicelib.jobs import counters, statistics
from chalicelib.jobs.job import now_ms
from chalicelib.jobs.states import State
from chalicelib.workers import Worker, report
from tests.memory import MemoryTable
from tests.unit.conftest import Api
from tests.unit.libraries import Library


def ended(library: Library, state: State, *, waited: int, ran: int, task: str = "noop") -> None:
    """Count a job that waited and ran so many ms."""
    now = now_ms()
    job = msgspec.structs.replace(
        library.job(task), created_at=now - ran - waited, started_at=now - ran, attempt=1
    )
    library.table.write(counters.ended(job, state))


def figures(library: Library, hours: int = 1, ahead: timedelta = timedelta()) -> dict[str, Any]:
    found = statistics.read(library.table, hours=hours, now=datetime.now(UTC) + ahead)
    return {task: sums.told() for task, sums in found.tasks.items()} | {"all": found.totals.told()}


def test_rates_and_times_of_what_ended() -> None:
    library = Library()
    for _ in range(3):
        ended(library, State.SUCCESS, waited=1000, ran=300)
    ended(library, State.FAILURE, waited=3000, ran=5000)
    ended(library, State.REVOKED, waited=0, ran=300, task="find_duplicates_background")
    told = figures(library)
    noop = told["noop"]
    assert (noop["ended"], noop["success_rate"], noop["executions_per_job"]) == (4, 0.75, 1.0)
    assert noop["states"] == {"FAILURE": 1, "REVOKED": 0, "SUCCESS": 3}
    assert 1.4 < noop["wait_seconds_mean"] < 1.7
    # 300 ms is between 256 and 512, 5 s between 4.096 and 8.192.
    assert 0.256 <= noop["run_seconds_median"] <= 0.512
    assert 4.096 <= noop["run_seconds_p95"] <= 8.192
    assert told["find_duplicates_background"]["success_rate"] is None
    assert told["all"]["ended"] == 5


def test_attempts_are_divided_by_the_jobs_that_ran() -> None:
    library = Library()
    ended(library, State.SUCCESS, waited=0, ran=300)
    never_ran = msgspec.structs.replace(library.job("noop"), started_at=0, attempt=0)
    library.table.write(counters.ended(never_ran, State.REVOKED))
    put_off = msgspec.structs.replace(library.job("noop"), started_at=now_ms(), attempt=0)
    library.table.write(counters.ended(put_off, State.REVOKED))
    assert figures(library)["noop"]["executions_per_job"] == 1.0


def test_a_period_holds_its_own_minutes_and_no_others() -> None:
    library = Library()
    ended(library, State.SUCCESS, waited=0, ran=1)
    assert figures(library, ahead=timedelta(minutes=58))["all"]["ended"] == 1
    assert figures(library, ahead=timedelta(minutes=61))["all"]["ended"] == 0
    assert figures(library, hours=24, ahead=timedelta(hours=23))["all"]["ended"] == 1  # over midnight, too
    assert figures(library, ahead=timedelta(minutes=-2))["all"]["ended"] == 0
    assert figures(Library())["all"] == statistics.Sums().told()


@pytest.mark.parametrize("hours", [1, 24])
def test_spans_cover_the_period_without_a_gap(hours: int) -> None:
    library = Library()
    ended(library, State.FAILURE, waited=0, ran=1)
    spans = statistics.read(library.table, hours=hours, now=datetime.now(UTC)).series(minutes=hours)
    assert len(spans) == 60
    assert sum(span["FAILURE"] for span in spans) == 1
    times = [datetime.fromisoformat(span["at"]) for span in spans]
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=hours)}


@pytest.mark.parametrize(
    ("bins", "share", "ms"),
    [
        ({1: 1}, 0.5, 1.5),
        ({0: 4}, 0.5, 0.5),
        ({4: 10}, 1.0, 16.0),
        ({4: 9, 10: 1}, 0.95, 768.0),
        ({}, 0.5, 0.0),
    ],
)
def test_a_quantile_is_read_within_its_bin(bins: dict[int, int], share: float, ms: float) -> None:
    assert statistics.quantile(bins, share) == pytest.approx(ms)


# --- GET /stats --------------------------------------------------------------------------------------------------


@pytest.fixture
def service(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API beside an emulator, with dead-letter queues and a table of its own."""
    table = MemoryTable()
    monkeypatch.setattr(services, "table", lambda: table)
    monkeypatch.setattr("chalicelib.api.stats._is_on_aws", lambda: False)
    sqs = boto3.client("sqs")
    urls = [sqs.create_queue(QueueName=f"unit-{dead_letters(name)}")["QueueUrl"] for name in settings.QUEUES]
    yield api
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


def test_stats_are_numbers_of_everybody_and_name_nobody(service: Api) -> None:
    library = Library("somebody-else")
    library.table = services.table()  # type: ignore[assignment]
    ended(library, State.SUCCESS, waited=10, ran=10)
    services.queues().send(dead_letters("uploads"), "{broken")
    worker = Worker(
        host="secret-host", pid=77, queues=("uploads",), busy=1, idle=1, jobs_done=5, memory_bytes=9,
        started_at=now_ms(), heartbeat=now_ms(),
    )  # fmt: skip
    report(services.table(), worker)
    answer = service.get("/stats?hours=24")
    assert (answer.status_code, answer.json_body["totals"]["ended"]) == (200, 1)
    (uploads,) = [one for one in answer.json_body["queues"] if one["queue"] == "uploads"]
    assert uploads["dead_letters"] == 1
    assert [(one["queues"], one["busy"]) for one in answer.json_body["workers"]] == [(["uploads"], 1)]
    for secret in (b"somebody-else", b"secret-host", b"77"):
        assert secret not in answer.body


@pytest.mark.parametrize("hours", ["0", "25", "-1", "x", "", "1.5", "９"])
def test_a_period_that_is_none_is_refused(service: Api, hours: str) -> None:
    answer = service.get(f"/stats?hours={quote(hours)}")
    assert (answer.status_code, answer.json_body["error"]["field"]) == (400, "hours")


def test_on_aws_the_dashboard_tells_it(api: Api) -> None:
    answer = api.get("/stats")
    assert answer.status_code == 404
    assert "CloudWatch" in answer.json_body["error"]["message"]
