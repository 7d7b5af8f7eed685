"""Metrics are lines in CloudWatch's embedded format: right names, units, dimensions; none where they are off."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from chalicelib import metrics, settings
from chalicelib.jobs.job import Job
from chalicelib.jobs.states import State
from chalicelib.metrics import SHAPES, Name
from tests.unit.engine import Engine, failing
from tests.unit.test_light import LightEngine


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> None:
    config = msgspec.structs.replace(settings.get(), metrics=True, stage="prod")
    monkeypatch.setattr(settings, "get", lambda: config)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the metric lines that were written; the log's own lines go there, too."""
    read = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return [line for line in read if "_aws" in line]


def ended(engine: Engine, **changes: Any) -> Job:
    base = {
        "state": State.SUCCESS,
        "attempt": 1,
        "created_at": 1000,
        "started_at": 3000,
        "finished_at": 10_000,
    }
    return msgspec.structs.replace(engine.job(), **{**base, **changes})


def test_nothing_is_written_where_metrics_are_off(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine()
    metrics.jobs_ended([ended(engine)])
    metrics.swept(dead_letters=1, lost=1, sent=1)
    assert lines(capsys) == []


@pytest.mark.usefixtures("on")
def test_each_value_is_written_with_its_unit_and_dimensions(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine()
    jobs = [
        ended(engine, cost={"dollars": 0.5}),
        ended(engine, attempt=3),
        ended(engine, state=State.FAILURE, task="noop"),
    ]
    metrics.jobs_ended(jobs)
    found: dict[tuple[str, str, str], list[float]] = {}
    for line in lines(capsys):
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == metrics.NAMESPACE
        assert line["stage"] == "prod"
        for metric in directive["Metrics"]:
            shape = SHAPES[Name(metric["Name"])]
            assert metric["Unit"] == shape.unit
            assert directive["Dimensions"] == [["stage", *shape.dimensions]]
            key = (metric["Name"], line.get("task", ""), line.get("state", ""))
            found.setdefault(key, []).extend(line[metric["Name"]])
    assert found == {
        ("Jobs", "process_file_upload", "SUCCESS"): [2],
        ("Jobs", "noop", "FAILURE"): [1],
        ("RunTime", "process_file_upload", ""): [7000, 7000],
        ("RunTime", "noop", ""): [7000],
        ("WaitTime", "process_file_upload", ""): [2000, 2000],
        ("WaitTime", "noop", ""): [2000],
        ("Cost", "process_file_upload", ""): [0.5],
        ("ExecutionsPerJob", "", ""): [1, 3, 1],
        ("Failures", "", ""): [0, 0, 1],
    }


@pytest.mark.usefixtures("on")
def test_a_job_that_never_ran_has_no_times_and_no_executions(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine()
    metrics.jobs_ended([ended(engine, state=State.REVOKED, attempt=0, started_at=0)])
    names = [
        metric["Name"] for line in lines(capsys) for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    ]
    assert names == ["Jobs", "Failures"]


@pytest.mark.usefixtures("on")
def test_a_quiet_sweep_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.swept(dead_letters=0, lost=0, sent=0)
    assert lines(capsys) == []
    metrics.swept(dead_letters=2, lost=0, sent=0)
    (line,) = lines(capsys)
    assert line["DeadLetters"] == [2]


@pytest.mark.usefixtures("on")
def test_the_engine_tells_of_every_job_once_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine()
    job = engine.job()
    engine.send(job)
    engine.deliver()
    (told,) = [line for line in lines(capsys) if "state" in line]
    assert (told["task"], told["state"], told["Jobs"]) == ("process_file_upload", "SUCCESS", [1])


@pytest.mark.usefixtures("on")
def test_a_run_that_will_be_repeated_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine()
    engine.work = failing("unavailable", retryable=True)
    engine.send(engine.job())
    engine.deliver()
    (told,) = lines(capsys)
    assert (told["state"], told["Jobs"]) == ("RETRY", [1])


@pytest.mark.usefixtures("on")
def test_light_jobs_that_end_together_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    engine = LightEngine()
    engine.light(3)
    engine.deliver(queue="uploads")
    (told,) = [line for line in lines(capsys) if line.get("state")]
    assert (told["task"], told["state"], told["Jobs"]) == ("noop", "SUCCESS", [3])
