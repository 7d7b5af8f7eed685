"""`syncboard doctor` names the cause of each trouble it is shown, and none where all is well."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from syncboard.diagnosis import Evidence, Finding, examine

NOW = 1_800_000_000_000
MINUTE = 60_000


def well() -> dict[str, Any]:
    """Return what is seen of an installation in which all is well."""
    queue = {"waiting": 0, "in_flight": 0, "delayed": 0, "dead_letters": 0}
    worker = {"queues": ["uploads", "low_priority"], "busy": 1, "idle": 1, "jobs_done": 9, "memory_bytes": 1}
    job = {
        "job_id": "j1", "state": "PROCESSING", "stage": "saving", "queue": "uploads",
        "created_at": NOW - MINUTE, "updated_at": NOW, "lease_until": NOW + MINUTE,
    }  # fmt: skip
    return {
        "now": NOW,
        "health": {
            "version": "1", "place": "embedded", "capabilities": {"pdf": {"state": "ready", "cause": ""}},
        },
        "skew_seconds": 0.4,
        "stats": {
            "queues": [{"queue": name, **queue} for name in ("intake", "uploads", "uploads-ocr", "low_priority")],
            "workers": [worker],
            "totals": {"ended": 100, "success_rate": 0.98, "executions_per_job": 1.01},
        },
        "jobs": [job],
        "disk_free": 50_000_000_000,
        "memory_free": 4_000_000_000,
        "containers": {"ocr": True},
    }  # fmt: skip


def found(seen: dict[str, Any]) -> list[Finding]:
    return [finding for finding in examine(Evidence(**seen)) if finding.level != "ok"]


def test_nothing_is_found_where_all_is_well() -> None:
    assert found(well()) == []
    assert {finding.about for finding in examine(Evidence(**well()))} >= {
        "service",
        "clock",
        "queues",
        "jobs",
        "disk",
    }


def test_what_can_not_be_seen_is_not_judged() -> None:
    seen = {"now": NOW, "health": well()["health"]}
    assert found(seen) == []


def no_answer(seen: dict[str, Any]) -> None:
    seen.update(health=None, health_error="connection refused", skew_seconds=None, stats=None, jobs=None)


def no_emulator(seen: dict[str, Any]) -> None:
    seen.update(stats=None, stats_error="The database can't be reached.", jobs=None)


def clocks_differ(seen: dict[str, Any]) -> None:
    seen["skew_seconds"] = -40.0


def nobody_polls(seen: dict[str, Any]) -> None:
    seen["stats"]["queues"][3]["waiting"] = 3
    seen["stats"]["workers"][0]["queues"] = ["uploads"]


def no_worker(seen: dict[str, Any]) -> None:
    seen["stats"]["workers"] = []


def given_up(seen: dict[str, Any]) -> None:
    seen["stats"]["queues"][1]["dead_letters"] = 2


def workers_die(seen: dict[str, Any]) -> None:
    seen["stats"]["totals"]["executions_per_job"] = 1.2


def most_fail(seen: dict[str, Any]) -> None:
    seen["stats"]["totals"]["success_rate"] = 0.3


def lease_is_over(seen: dict[str, Any]) -> None:
    seen["jobs"][0]["lease_until"] = NOW - 5 * MINUTE


def still(stage: str) -> Callable[[dict[str, Any]], None]:
    def spoil(seen: dict[str, Any]) -> None:
        state = "RETRY" if stage == "scheduled" else "PENDING"
        seen["jobs"][0].update(state=state, stage=stage, updated_at=NOW - 10 * MINUTE)

    return spoil


def no_room(seen: dict[str, Any]) -> None:
    seen["disk_free"] = 100_000_000


def no_memory(seen: dict[str, Any]) -> None:
    seen["memory_free"] = 100_000_000


def not_installed(seen: dict[str, Any]) -> None:
    seen["containers"]["ocr"] = False


def can_not_read(seen: dict[str, Any]) -> None:
    seen["health"]["capabilities"]["pdf"] = {"state": "unavailable", "cause": "no worker has started yet"}


@pytest.mark.parametrize(
    ("spoil", "level", "says"),
    [
        (no_answer, "problem", "connection refused"),
        (no_emulator, "problem", "The database can't be reached."),
        (clocks_differ, "problem", "40 s behind"),
        (nobody_polls, "problem", "3 messages in low_priority, and no worker polls it"),
        (no_worker, "problem", "No worker has reported itself"),
        (given_up, "problem", "2 messages of uploads given up"),
        (workers_die, "note", "1.2 attempts for each job"),
        (most_fail, "note", "Only 30%"),
        (lease_is_over, "problem", "1 job held by a run that is gone"),
        (still("queued"), "problem", "queued for over two minutes"),
        (still("awaiting_upload"), "note", "nobody has sent"),
        (still("waiting_turn"), "note", "1 job waiting for a turn"),
        (still("scheduled"), "note", "next attempt"),
        (no_room, "problem", "0.1 GB free"),
        (no_memory, "problem", "0.1 GB free"),
        (not_installed, "note", "Not installed here: ocr"),
        (can_not_read, "note", "no worker has started yet"),
    ],
)
def test_each_trouble_is_named_with_its_cause(
    spoil: Callable[[dict[str, Any]], None], level: str, says: str
) -> None:
    seen = copy.deepcopy(well())
    spoil(seen)
    (finding,) = found(seen)
    assert finding.level == level
    assert says in finding.seen


def test_a_job_that_has_just_come_is_not_stuck() -> None:
    seen = well()
    seen["jobs"][0].update(state="PENDING", stage="queued", updated_at=NOW - MINUTE)
    assert found(seen) == []


def test_a_container_that_is_there_gets_its_worker_by_itself_and_one_that_is_not_does_not() -> None:
    seen = well()
    seen["stats"]["queues"][2]["waiting"] = 3
    seen["health"]["capabilities"]["ocr"] = {"state": "ready", "cause": ""}
    assert found(seen) == []
    seen["health"]["capabilities"]["ocr"] = {
        "state": "unavailable",
        "cause": "this stack was started without it",
    }
    assert [finding.seen for finding in found(seen)] == [
        "3 messages in uploads-ocr, and no worker polls it.",
        "unavailable: this stack was started without it",
    ]
