"""The child's side of the sandbox: confine itself, run the function, write the outcome."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import msgspec

from chalicelib.errors import SyncBoardError, TooLarge
from chalicelib.ingest.confinement import MB, Limits, confine
from chalicelib.ingest.document import ProgressCallback
from chalicelib.net.addresses import NetworkPolicy

# Reports closer together than this are left out, but for the first and the last of all units.
_PROGRESS_SECONDS: Final = 0.05
_MAX_MESSAGE_CHARACTERS: Final = 500


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why the function raised, in a form that crosses the process border."""

    # `type` of an error of our own tree, or None for any other exception.
    type: str | None = None
    message: str
    details: dict[str, str | int | float | bool | None] = {}
    # Cause of any other exception: "memory_limit" or "error".
    cause: str = "error"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the function ended."""

    # What it returned, still encoded; null when it raised.
    result: msgspec.Raw = msgspec.Raw(b"null")
    # Why it raised, else None.
    failure: Failure | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to do. Goes from parent to child only, so pickling it (by spawn) is safe."""

    function: Callable[..., object]
    arguments: tuple[Any, ...]
    limits: Limits
    # Variables for the child's environment beside the few that it keeps.
    env: dict[str, str]
    # Working directory and TMPDIR of the child.
    folder: str
    # File for the outcome.
    outcome: str
    # Process id of the parent.
    parent: int
    # What it may connect to; None: nothing.
    network: NetworkPolicy | None = None


def main(task: Task, writer: Connection) -> None:
    """Confine this process, run the function, write its outcome; end without the parent's clean-up."""
    # Opened first: the outcome must be writable whatever becomes of the limits on memory and files.
    with Path(task.outcome).open("r+b", buffering=0) as file:
        confine(Path(task.folder), task.limits, task.env, task.parent, task.network)
        data = _run(task, _Reporter(writer))
        written = 0
        while written < len(data):
            written += file.write(data[written:])
    os._exit(0)


def _run(task: Task, report: ProgressCallback) -> bytes:
    try:
        encoded = msgspec.json.encode(task.function(*task.arguments, on_progress=report))
        if len(encoded) > task.limits.result_bytes:
            limit = task.limits.result_bytes // MB
            raise TooLarge(f"The file holds more than {limit:,} MB of text.", limit_mb=limit)
        outcome = Outcome(result=msgspec.Raw(encoded))
    except SyncBoardError as error:
        details = {key: value for key, value in vars(error).items() if key == "seconds"} | error.details
        outcome = Outcome(failure=Failure(type=error.type, message=error.message, details=details))
    except MemoryError:
        outcome = Outcome(failure=Failure(message="", cause="memory_limit"))
    except BaseException as error:  # Nothing is hidden: every other end is told to the parent.
        message = f"{type(error).__name__}: {error}"[:_MAX_MESSAGE_CHARACTERS]
        outcome = Outcome(failure=Failure(message=message.encode("utf-8", "replace").decode("utf-8")))
    return msgspec.json.encode(outcome)


class _Reporter:
    """Sends progress to the parent, not too often."""

    def __init__(self, writer: Connection) -> None:
        self._descriptor = writer.fileno()
        self._next = -math.inf

    def __call__(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + _PROGRESS_SECONDS
            os.write(
                self._descriptor, msgspec.json.encode((done, total, text[:_MAX_MESSAGE_CHARACTERS])) + b"\n"
            )
