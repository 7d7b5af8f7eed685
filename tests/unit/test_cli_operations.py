"""The operators' commands, from the words that people type to table and queues."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from chalicelib import services
from syncboard import operations, place
from syncboard.client import ApiError, Client
from syncboard.place import Place
from syncboard.unfinished import unfinished
from tests.memory import MemoryTable
from tests.unit.libraries import Library
from tests.unit.terminals import Terminal

SUMS = {
    "ended": 4, "states": {"SUCCESS": 3, "FAILURE": 1, "REVOKED": 0}, "success_rate": 0.75,
    "executions_per_job": 1.028, "wait_seconds_mean": 1.5, "run_seconds_mean": 0.3, "run_seconds_median": 0.28,
    "run_seconds_p95": None,
}  # fmt: skip
STATS = {
    "hours": 1,
    "queues": [{"queue": "uploads", "waiting": 7, "in_flight": 1, "delayed": 0, "dead_letters": 0}],
    "workers": [{"queues": ["uploads"], "busy": 1, "idle": 0, "jobs_done": 3, "memory_bytes": 90_000_000}],
    "totals": SUMS,
    "tasks": [{"task": "noop", **SUMS}],
}


def test_jobs_at_work_are_shown(terminal: Terminal) -> None:
    terminal.api.upload("plan.md")
    assert terminal.json("active") == []
    assert terminal.type("active").exit_code == 0


def test_jobs_elsewhere_that_wait_between_two_steps_are_not_at_work(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [{"job_id": stage, "meta": {"stage": stage}} for stage in ("queued", "extracting_text")]
    monkeypatch.setattr(Client, "jobs", lambda _self, **_: {"jobs": jobs, "next_cursor": None})
    assert [job["job_id"] for job in terminal.json("active")] == ["extracting_text"]


def test_an_operator_sees_what_all_owners_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    table = MemoryTable()
    monkeypatch.setattr(services, "table", lambda: table)
    for owner in ("ann", "bob"):
        library = Library(owner)
        library.table = table
        library.job(filename=f"{owner}.md")
    jobs = unfinished()
    assert [(job["owner"], job["filename"], job["state"]) for job in jobs] == [
        ("ann", "ann.md", "PROCESSING"),
        ("bob", "bob.md", "PROCESSING"),
    ]


def test_what_waits_between_two_steps_is_not_at_work(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = round(time.time() * 1000) + 60_000
    table = MemoryTable()
    monkeypatch.setattr(services, "table", lambda: table)
    for name, lease in (("at work", soon), ("handed over", 0), ("its worker is dead", 1)):
        library = Library("ann")
        library.table = table
        library.job(filename=name, lease_until=lease)
    monkeypatch.setattr(place, "find", lambda **_: Place(url="http://api.test", token="x"))
    terminal.environment = {"SYNCBOARD_URL": None, "SYNCBOARD_TOKEN": None}
    assert [job["filename"] for job in terminal.json("active")] == ["at work"]


def test_the_tasks_are_listed_with_their_limits(terminal: Terminal) -> None:
    listed = {task["task"]: task for task in terminal.json("registered")}
    assert listed["process_file_upload"]["hard_seconds"] == 600
    assert "noop" in terminal.type("registered").stdout


def test_what_ended_is_shown_by_task(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "stats", lambda _self, **_: STATS)
    shown = terminal.type("stats").stdout
    for words in ("Ended in the last hour", "75.0 %", "1.03", "1.50 s", "0.28 s"):
        assert words in shown
    assert "1.028" not in shown
    assert terminal.json("stats") == STATS


def test_changes_are_printed_as_they_happen(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = terminal.api.upload("plan.md").json_body["job_id"]
    (line,) = terminal.type("events", "--once").stdout.splitlines()
    assert "PENDING" in line
    assert "plan.md" in line
    looks = [None, lambda: terminal.api.send("DELETE", f"/jobs/{job_id}"), None]

    def wait(_seconds: float) -> None:
        if not looks:
            raise KeyboardInterrupt
        act = looks.pop(0)
        if act:
            act()

    monkeypatch.setattr("syncboard.operations.time.sleep", wait)
    lines = terminal.type("events", "--json").stdout.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["PENDING", "REVOKED"]


def test_the_doctor_finds_nothing_where_nothing_is_wrong(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "stats", lambda _self, **_: STATS)
    monkeypatch.setattr(operations, "_skew", lambda _here: 0.0)
    done = terminal.type("doctor")
    assert (done.exit_code, "✗" in done.stdout) == (0, False)
    assert "The API and its table answer" in done.stdout


def test_the_doctor_says_what_is_wrong_and_fails(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Client) -> Any:
        raise ApiError(503, {"type": "unavailable", "message": "The database can't be reached."})

    monkeypatch.setattr(Client, "health", refuse)
    done = terminal.type("doctor")
    assert done.exit_code == 1
    assert "✗ service: The API does not answer: unavailable: The database can't be reached." in done.stdout
    assert "→ Start it with `syncboard up`" in done.stdout


def test_the_doctor_looks_at_the_machine_of_a_stack_that_runs_here(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "stats", lambda _self, **_: STATS)
    monkeypatch.setattr(operations, "_skew", lambda _here: 0.0)
    monkeypatch.setattr(operations, "_unfinished", list)
    evidence = operations._evidence(Place(url="http://api.test", token="t"), tmp_path)
    assert evidence.jobs == []
    assert evidence.disk_free
    assert set(evidence.containers or {}) >= {"ocr", "media"}
