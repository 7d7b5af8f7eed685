"""Log lines go to file and screen, and no full disk or closed screen stops them."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import console as module
from local.console import Console


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(tmp_path: Path, screen: io.StringIO) -> Iterator[Console]:
    made = Console(tmp_path / "logs" / "syncboard.log", screen)
    yield made
    made.close()


def test_a_full_disk_is_told_once_and_lines_go_on(
    console: Console, screen: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    console.line("one")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", full)
        console.line("two")
        console.line("three")
    console.line("four")
    assert screen.getvalue().count("No space left on device") == 1
    shown = [line for line in screen.getvalue().splitlines() if not line.startswith("!")]
    assert shown == ["one", "two", "three", "four"]
    assert (tmp_path / "logs" / "syncboard.log").read_text().splitlines() == ["one", "four"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_a_device_without_space_ends_nothing(tmp_path: Path, screen: io.StringIO) -> None:
    (tmp_path / "full.log").symlink_to("/dev/full")
    console = Console(tmp_path / "full.log", screen)
    try:
        for number in range(3):
            console.line(f"line {number} " + "x" * 20_000)
    finally:
        console.close()
    assert screen.getvalue().count("line ") == 3


def test_a_screen_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as broken:
        console = Console(tmp_path / "syncboard.log", broken)
        try:
            console.line("one")
            console.say("two")
        finally:
            console.close()
        with pytest.raises(BrokenPipeError):
            broken.close()
    assert (tmp_path / "syncboard.log").read_text() == "one\n"


def test_the_file_is_rotated_while_running(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOG_LIMIT_BYTES", 1000)
    for number in range(100):
        console.line(f"{number:03d} " + "x" * 95)
    log, old = tmp_path / "logs" / "syncboard.log", tmp_path / "logs" / "syncboard.log.1"
    assert log.stat().st_size <= 1100
    assert old.stat().st_size <= 1100
    assert (old.read_text() + log.read_text()).splitlines()[-1].startswith("099")


@pytest.mark.parametrize(
    "raw",
    [
        '{"message": "request", "status": "odd"}',
        '{"message": "request", "status": null}',
        "[" * 100_000,
        '{"message": null}',
        "\udcff",
    ],
)
def test_no_line_however_odd_ends_the_log(console: Console, screen: io.StringIO, raw: str) -> None:
    console.line(raw)
    console.line("next")
    assert screen.getvalue().endswith("next\n")
