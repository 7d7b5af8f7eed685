"""What an installation says it can do: workers report, a deployment knows which queues have a function."""

from __future__ import annotations

import msgspec
import pytest

from chalicelib import capabilities, settings
from chalicelib.capabilities import Capability, CapabilityState
from tests.memory import MemoryTable

READY = Capability(state=CapabilityState.READY)


def serve(monkeypatch: pytest.MonkeyPatch, queues: str) -> None:
    config = msgspec.structs.replace(settings.get(), served_queues=queues)
    monkeypatch.setattr(settings, "get", lambda: config)


def test_where_workers_speak_for_themselves_nothing_is_known_before_they_do() -> None:
    table = MemoryTable()
    assert capabilities.find(table, "ocr") is None
    assert capabilities.current(table)["ocr"].state is CapabilityState.UNAVAILABLE
    capabilities.report_queue(table, "uploads-ocr", READY)
    assert capabilities.find(table, "ocr") == capabilities.current(table)["ocr"] == READY


def test_a_function_is_ready_before_it_first_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, "uploads,low_priority,uploads-ocr")
    table = MemoryTable()
    current = capabilities.current(table)
    assert {name for name, found in current.items() if found == READY} == {
        "text",
        "pdf",
        "office",
        "web",
        "ocr",
    }
    assert capabilities.find(table, "ocr") == READY


def test_a_queue_without_a_function_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, "uploads,low_priority")
    table = MemoryTable()
    current = capabilities.current(table)
    for name in ("speech", "youtube"):
        assert current[name].state is CapabilityState.UNAVAILABLE
        assert "no function was deployed for the queue uploads-media" in current[name].cause
        assert capabilities.find(table, name) == current[name]


def test_a_worker_of_ones_own_may_serve_a_queue_that_has_no_function(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, "uploads,low_priority")
    table = MemoryTable()
    capabilities.report_queue(table, "uploads-media", READY)
    assert capabilities.find(table, "speech") == capabilities.current(table)["speech"] == READY
