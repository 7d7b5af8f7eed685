"""Uploads that arrive: once, twice, late, and for strangers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from chalicelib.jobs.intake import Intake, arrivals
from chalicelib.jobs.job import Job
from chalicelib.jobs.states import Stage, State
from tests.memory import MemoryObjects
from tests.unit.engine import Engine


def event(key: str, version: str | None = None) -> str:
    entity: dict[str, Any] = {"key": key, "size": 5, "eTag": "x"}
    if version:
        entity["versionId"] = version
    return json.dumps(
        {"Records": [{"eventName": "ObjectCreated:Post", "s3": {"bucket": {"name": "b"}, "object": entity}}]}
    )


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def bucket(engine: Engine) -> MemoryObjects:
    return engine.objects


@pytest.fixture
def intake(engine: Engine, bucket: MemoryObjects) -> Intake:
    return Intake(engine.table, engine.queues, bucket)  # type: ignore[arg-type]


def awaiting(engine: Engine, bucket: MemoryObjects, body: bytes = b"Some words.") -> tuple[Job, str]:
    job = engine.job(stage=Stage.AWAITING_UPLOAD, dispatch=0)
    key = f"uploads/{job.job_id}/abc_DEF-123"
    engine.table.items.clear()
    engine.store.create(msgspec.structs.replace(job, params={"source": key}))
    bucket.bodies[key] = body
    return job, key


def test_an_upload_starts_its_job_with_its_version_pinned(
    engine: Engine, bucket: MemoryObjects, intake: Intake
) -> None:
    job, key = awaiting(engine, bucket)
    intake.handle(event(key))
    row = engine.row(job)
    assert (row.state, row.stage, row.dispatch) == (State.PENDING, "queued", 1)
    assert row.params["size"] == len(b"Some words.")
    assert row.params["content"]["kind"] == "markdown"
    engine.deliver()
    assert engine.row(job).state is State.SUCCESS


def test_a_second_upload_by_the_same_form_changes_nothing(
    engine: Engine, bucket: MemoryObjects, intake: Intake
) -> None:
    job, key = awaiting(engine, bucket)
    intake.handle(event(key))
    before = engine.row(job)
    intake.handle(event(key))
    assert engine.row(job) == before
    assert engine.left() == 1


def test_the_test_event_and_strangers_are_dropped(
    engine: Engine, bucket: MemoryObjects, intake: Intake
) -> None:
    job, _ = awaiting(engine, bucket)
    intake.handle(json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}))
    for key in (
        f"uploads/{job.job_id}/another",
        f"uploads/{'0' * 26}/x",
        "uploads/x",
        "texts/x",
        "uploads/../x/y",
    ):
        intake.handle(event(key))
    assert engine.row(job).stage == "awaiting_upload"
    assert engine.left() == 0


def test_a_file_of_no_use_ends_its_job_with_the_reason(
    engine: Engine, bucket: MemoryObjects, intake: Intake
) -> None:
    job, key = awaiting(engine, bucket, bytes(range(256)) * 10)
    intake.handle(event(key))
    row = engine.row(job)
    assert row.state is State.FAILURE
    assert row.error is not None
    assert row.error["type"] == "unsupported_type"


def test_a_repeated_event_for_a_file_of_no_use_changes_nothing(
    engine: Engine, bucket: MemoryObjects, intake: Intake
) -> None:
    job, key = awaiting(engine, bucket, bytes(range(256)) * 10)
    intake.handle(event(key))
    before = engine.row(job)
    intake.handle(event(key))
    assert engine.row(job) == before


def test_an_event_for_an_object_that_is_gone_leaves_the_job_waiting(
    engine: Engine, bucket: MemoryObjects, intake: Intake
) -> None:
    job, key = awaiting(engine, bucket)
    bucket.bodies.clear()
    intake.handle(event(key))
    assert engine.row(job).stage == "awaiting_upload"


def test_keys_come_url_encoded() -> None:
    assert list(arrivals(event("uploads/a+b%2Fc", "v1"))) == [("uploads/a b/c", "v1")]


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        list(arrivals("{no"))
