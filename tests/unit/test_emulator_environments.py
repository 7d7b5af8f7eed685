"""Environments made from lock files. What installs is replaced: only the order of things is tested here."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from local import environments
from local.environments import EnvironmentFailed, ensure_environment, explain, is_fresh


class FakeCommands:
    """Stands in for venv and pip: makes what they make, or fails as told."""

    def __init__(self) -> None:
        self.pip_runs = 0
        self.pip_error = ""
        self.venv_error = ""

    def __call__(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        if "venv" in command:
            python = Path(command[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
            return subprocess.CompletedProcess(command, int(bool(self.venv_error)), "", self.venv_error)
        self.pip_runs += 1
        assert "--require-hashes" in command
        return subprocess.CompletedProcess(command, int(bool(self.pip_error)), "", self.pip_error)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> FakeCommands:
    fake = FakeCommands()
    monkeypatch.setattr(environments, "_run", fake)
    return fake


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "tool.txt"
    path.write_text("tool==1 --hash=sha256:00")
    return path


def test_an_environment_is_made_once_and_said_to_be(
    commands: FakeCommands, lock: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    python = ensure_environment("tool", lock, tmp_path / "root", report=lines.append)
    assert python == tmp_path / "root" / "tool" / "bin" / "python"
    assert ensure_environment("tool", lock, tmp_path / "root", report=lines.append) == python
    assert (commands.pip_runs, len(lines)) == (1, 1)


def test_a_changed_lock_makes_it_anew(commands: FakeCommands, lock: Path, tmp_path: Path) -> None:
    ensure_environment("tool", lock, tmp_path, report=lambda _: None)
    lock.write_text("tool==2 --hash=sha256:11")
    assert not is_fresh("tool", lock, tmp_path)
    ensure_environment("tool", lock, tmp_path, report=lambda _: None)
    assert commands.pip_runs == 2


def test_a_failed_installation_leaves_nothing_that_looks_made(
    commands: FakeCommands, lock: Path, tmp_path: Path
) -> None:
    commands.pip_error = "ERROR: [Errno 28] No space left on device"
    with pytest.raises(EnvironmentFailed, match="disk is full"):
        ensure_environment("tool", lock, tmp_path, report=lambda _: None)
    assert not (tmp_path / "tool").exists()
    commands.pip_error = ""
    ensure_environment("tool", lock, tmp_path, report=lambda _: None)
    assert is_fresh("tool", lock, tmp_path)


def test_concurrent_starts_install_once(commands: FakeCommands, lock: Path, tmp_path: Path) -> None:
    def start() -> None:
        ensure_environment("tool", lock, tmp_path, report=lambda _: None)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert commands.pip_runs == 1


def test_a_python_without_venv_gets_the_exact_line_to_run(
    commands: FakeCommands, lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    commands.venv_error = (
        "The virtual environment was not created successfully because ensurepip is not available."
    )
    with pytest.raises(EnvironmentFailed, match=r"sudo apt install python3\.\d+-venv"):
        ensure_environment("tool", lock, tmp_path, report=lambda _: None)


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        (
            "Failed to establish a new connection: NewConnectionError\nERROR: No matching distribution",
            "network",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE",
            "not the one that was locked",
        ),
        ("ERROR: No matching distribution found for tool==9", "no build for this Python"),
        ("ERROR: something new", "something new"),
    ],
)
def test_what_pip_says_becomes_what_to_do(output: str, advice: str) -> None:
    assert advice in explain(output)


def test_a_missing_lock_file_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="checkout is incomplete"):
        ensure_environment("tool", tmp_path / "none.txt", tmp_path)


def test_a_folder_that_cannot_be_written_is_said_plainly(lock: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFailed, match="cannot write"):
        ensure_environment("tool", lock, tmp_path / "file", report=lambda _: None)
