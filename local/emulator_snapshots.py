"""Snapshots of the emulator's state on disk.

A snapshot is a directory of its own, renamed into place when it is complete: no torn file, no mixed set. Runs inside
the emulator's environment: imports nothing but the standard library and MiniStack.
"""

from __future__ import annotations

import copy
import gc
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, Final

# In the data folder: its time is that of the newest snapshot, whatever became of that.
SAVED: Final = "saved"


class Snapshots:
    """The numbered snapshot directories below `root`; `saved` is touched whenever all there is has been saved."""

    def __init__(self, root: Path, *, saved: Path | None = None) -> None:
        self._root = root
        self._saved = saved or root.parent / SAVED
        root.mkdir(parents=True, exist_ok=True)

    def latest(self) -> Path | None:
        """Return the newest complete snapshot, or None."""
        return max((path for path in self._root.iterdir() if path.name.isdigit()), default=None)

    def begin(self) -> Path:
        """Return a new empty directory to write the next snapshot into, dropping unfinished ones."""
        self.discard_unfinished()
        latest = self.latest()
        partial = self._root / f"{int(latest.name) + 1 if latest else 1:08d}.partial"
        partial.mkdir()
        return partial

    def finish(self, partial: Path) -> None:
        """Put a written snapshot in place of the one before. Files that it does not have are carried over."""
        previous = self.latest()
        for path in previous.glob("*.json") if previous else ():
            if not (partial / path.name).exists():
                os.link(path, partial / path.name)
        for path in partial.iterdir():
            _sync(path)
        partial.rename(partial.with_suffix(""))
        _sync(self._root)
        self.confirm()
        if previous:
            shutil.rmtree(previous)

    def confirm(self) -> None:
        """Note that all there was to save by now is in the newest snapshot."""
        self._saved.touch()

    def discard_unfinished(self) -> None:
        """Remove what a killed snapshot left behind."""
        for path in self._root.glob("*.partial"):
            shutil.rmtree(path)

    def keep_copy(self, folder: Path) -> None:
        """Link the newest snapshot into `folder`, so that it outlives an upgrade of the emulator."""
        latest = self.latest()
        if latest and not folder.exists():
            shutil.copytree(latest, folder, copy_function=os.link)


def _sync(path: Path) -> None:
    """Have the disk hold what was written to `path`, against a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_snapshot(snapshots: Snapshots) -> None:
    """Write the whole state of this process as the newest snapshot; OSError if a part of it could not be written.

    MiniStack logs a failed save and goes on, so that every expected file is looked for.
    """
    from ministack import app
    from ministack.core import persistence

    partial = snapshots.begin()
    persistence.STATE_DIR = str(partial)
    failed: list[str] = []

    def checked(name: str, get_state: Callable[[], Any]) -> Callable[[], Any]:
        def get() -> Any:
            failed.append(name)
            state = get_state()
            if state is None:
                failed.remove(name)
            return state

        return get

    services = app._build_persistence_save_dict()
    persistence.save_all({name: checked(name, get_state) for name, get_state in services.items()})
    failed = [name for name in failed if not (partial / f"{name}.json").exists()]
    if failed:
        raise OSError(f"could not save {', '.join(failed)}")
    snapshots.finish(partial)


def _dump(data: Any, file: IO[str], **options: Any) -> None:
    file.write(json.dumps(data, **options))


def _identity(value: Any, memo: object = None) -> Any:
    return value


def use_private_memory() -> None:
    """Make saving several times cheaper in a forked child or after the last request: nobody changes the state now.

    `copy.deepcopy` guards a state against changes while it is written: there are none. `json.dump` encodes in
    Python, `json.dumps` in C.
    """
    from ministack.core import persistence
    from ministack.services import dynamodb

    copy.deepcopy = _identity  # type: ignore[assignment]
    dynamodb.copy = copy
    persistence.json = SimpleNamespace(dump=_dump)
    gc.disable()
