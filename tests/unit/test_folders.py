"""Temporary folders that outlive neither their use nor, for long, their process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib import folders
from chalicelib.folders import PARSER_FOLDER, RUN_FOLDER, private_folder, sweep
from tests.stack import ROOT


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def leave(prefix: str, where: Path) -> Path:
    """Have a process make a folder with something in it and be killed."""
    program = (
        "import os, signal\n"
        "from chalicelib.folders import private_folder\n"
        f"with private_folder({prefix!r}) as folder:\n"
        "    (folder / 'deep').mkdir()\n"
        "    (folder / 'deep' / 'file').write_text('x')\n"
        "    (folder / 'deep').chmod(0)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(where)}
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment)
    assert ended.returncode == -signal.SIGKILL
    (left,) = where.glob(f"{prefix}*")
    return left


def test_a_folder_is_private_empty_and_gone_after_its_use(temporary: Path) -> None:
    with private_folder(RUN_FOLDER) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("x")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("prefix", [RUN_FOLDER, PARSER_FOLDER])
def test_what_a_killed_process_left_is_removed(prefix: str, temporary: Path) -> None:
    left = leave(prefix, temporary)
    assert sweep() == 1
    assert not left.exists()


def test_folders_in_use_and_those_of_others_stay(temporary: Path) -> None:
    for name in ("run-of-another-program", "syncboard-demo-data"):
        (temporary / name).mkdir()
    with private_folder(RUN_FOLDER) as folder:
        assert sweep() == 0
        assert folder.exists()
    assert len(list(temporary.iterdir())) == 2


def test_a_link_with_such_a_name_is_not_followed(temporary: Path) -> None:
    precious = temporary / "precious"
    precious.mkdir(mode=0o750)
    (temporary / f"{RUN_FOLDER}link").symlink_to(precious)
    with private_folder(RUN_FOLDER) as folder:
        (folder / "link").symlink_to(precious)
    assert sweep() == 0
    assert precious.stat().st_mode & 0o777 == 0o750


def test_a_folder_swept_before_it_was_locked_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[int] = []
    opened = folders._open

    def late(path: Path) -> int:
        if not swept:
            swept.append(1)
            path.rmdir()
        return opened(path)

    monkeypatch.setattr(folders, "_open", late)
    with private_folder(RUN_FOLDER) as folder:
        assert folder.is_dir()
    assert swept
