"""Private temporary folders: removed when they were used, or by the next process when their own was killed.

A folder in use is locked (flock on the folder itself). The kernel drops the lock with its last holder, so a folder
that can be locked belongs to nobody: no process ids, which are used again and differ between containers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# What the names begin with: the folder of a run, and of a parser. Nothing else may begin so: it would be removed.
RUN_FOLDER: Final = "syncboard-run-"
PARSER_FOLDER: Final = "syncboard-parser-"


@contextlib.contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """Make an empty folder for this user only, and remove it at the end with all that is in it."""
    path, lock = _make(prefix)
    try:
        yield path
    finally:
        _remove(path)
        os.close(lock)


def sweep() -> int:
    """Remove the folders of processes that are gone; return how many there were.

    A killed process leaves them, and /tmp of a Lambda function is the same for its next child.
    """
    found = 0
    for prefix in (RUN_FOLDER, PARSER_FOLDER):
        for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            found += _remove_if_left(path)
    return found


def _make(prefix: str) -> tuple[Path, int]:
    """Return a new folder and the descriptor that holds its lock."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
        with contextlib.suppress(FileNotFoundError):
            lock = _open(path)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists():
                return path, lock
            os.close(lock)
        # A sweep took it between its making and its locking: another one.


def _remove_if_left(path: Path) -> bool:
    try:
        lock = _open(path)
    except OSError:  # no folder, gone by now, or another user's
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(path)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _remove(path: Path) -> None:
    """Remove a folder, also what a parser made unreadable; what can't be removed stays for the next sweep."""
    for root, folders, _ in os.walk(path):
        for name in folders:
            inner = Path(root, name)
            if not inner.is_symlink():
                with contextlib.suppress(OSError):
                    inner.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
