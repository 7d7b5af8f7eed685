"""The audit of lock files: vulnerabilities fail it, silence does not pass for "none"."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra import audit
from infra.audit import Unreachable
from infra.templates import ROOT


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(dependencies), "fixes": []})


CLEAN = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"], "aliases": ["CVE-1"]}]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (1)"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    for name in ("requirements.txt", "requirements/local.txt"):
        (tmp_path / name).write_text("a==1\n")
    return tmp_path


def test_a_clean_set_passes_in_silence(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def ask(lock: Path) -> str:
        asked.append(lock.name)
        return report(CLEAN)

    assert audit.main(root, ask=ask) == 0
    assert asked == ["requirements.txt", "local.txt"]
    assert capsys.readouterr().err == ""


def test_a_vulnerability_fails_and_says_what_fixes_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(root, ask=lambda _: report(CLEAN, BAD)) == 1
    assert "requirements.txt: b 2: PYSEC-1, fixed in 3" in capsys.readouterr().err


def test_one_that_was_judged_is_passed_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(audit.IGNORED, "PYSEC-1", "not reachable here")
    assert audit.main(root, ask=lambda _: report(BAD)) == 0


def away(_: Path) -> str:
    raise Unreachable("no route")


@pytest.mark.parametrize("ask", [away, lambda _: report(CLEAN, SKIPPED), lambda _: "<html>", lambda _: ""])
def test_what_was_not_looked_at_is_said_loudly(
    root: Path, ask: audit.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(root, ask=ask) == 0
    assert "NOT AUDITED: requirements.txt" in capsys.readouterr().err


def test_a_vulnerability_that_was_found_before_is_still_told(root: Path) -> None:
    assert audit.main(root, ask=lambda lock: away(lock) if lock.name == "local.txt" else report(BAD)) == 1


def test_it_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(command: list[str], *, timeout: float, **_: Any) -> None:
        assert timeout <= 60
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(Unreachable, match="within"):
        audit.run(tmp_path)


def test_every_lock_of_what_ships_is_audited() -> None:
    names = {str(path.relative_to(ROOT)) for pattern in audit.LOCKS for path in ROOT.glob(pattern)}
    assert {"requirements.txt", "requirements/ingest.txt", "requirements/local.txt"} <= names
    assert any(name.startswith("containers/ocr/") for name in names)
