"""The job that tidies a library: asked for once a minute, not among its owner's own, and what its task expects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from chalicelib.jobs.history import Filter, History
from chalicelib.jobs.job import new_id, now_ms
from chalicelib.jobs.run import Run
from chalicelib.jobs.states import State
from chalicelib.library import upkeep
from chalicelib.tasks.tidy_library import tidy_library
from tests.unit.engine import Engine


def test_the_job_that_is_asked_for_is_one_that_the_task_can_do(tmp_path: Path) -> None:
    engine = Engine()
    job = upkeep.tidying_job("ann", now_ms())
    running = msgspec.structs.replace(
        job, state=State.PROCESSING, attempt=1, run=new_id(), started_at=now_ms()
    )
    engine.store.create(running)
    objects: Any = engine.objects
    tidy_library(
        Run(running, table=engine.table, objects=objects, folder=tmp_path, report=lambda _progress: None)
    )
    assert engine.row(job).state is State.SUCCESS


def test_it_is_asked_for_once_and_is_not_among_its_owner_s_jobs() -> None:
    engine = Engine()
    upkeep.request(engine.table, "ann")
    upkeep.request(engine.table, "ann")
    assert len(engine.table.items) <= 2  # a minute may have ended in between
    assert History(engine.table, "ann").page(Filter(), limit=10).jobs == []
