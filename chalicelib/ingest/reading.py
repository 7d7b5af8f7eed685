"""What a reader is given beside the file: readers work in the job's process and send foreign bytes to the sandbox.

A parser is one function in one child process. What needs several of them, programs of its own (Tesseract) or a
model that lasts longer than one file (Whisper) is a reader.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from chalicelib.ingest.document import Extracted, ProgressCallback, Source, ignore_progress


class ExtractionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What reading one file may cost."""

    # Address space of the parser, in bytes.
    memory_bytes: int
    # Wall and CPU time, in seconds.
    seconds: float
    # Pages beyond which a document is refused.
    max_pages: int


class Checkpoint(Protocol):
    """What is done of one job already; outlives the process and the attempt."""

    def load(self) -> bytes | None:
        """Return what was saved last, by this run or an earlier one of the job; None at first."""

    def save(self, data: bytes) -> None:
        """Replace what was saved."""


class Forgetful:
    """A `Checkpoint` for callers that start over: it lasts as long as itself."""

    def __init__(self) -> None:
        self._data: bytes | None = None

    def load(self) -> bytes | None:
        """See `Checkpoint.load`."""
        return self._data

    def save(self, data: bytes) -> None:
        """See `Checkpoint.save`."""
        self._data = data


def _no_end() -> float:
    return float("inf")


class Workplace(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how a reader works on one file."""

    # Private folder, removed with the run; sandboxed children may write into it.
    folder: Path
    limits: ExtractionLimits
    on_progress: ProgressCallback = ignore_progress
    checkpoint: Checkpoint = msgspec.field(default_factory=Forgetful)
    # Seconds that this run still has. A reader that can't finish within them saves its checkpoint and raises
    # `HandOver` to its own queue: the next run goes on there.
    seconds_left: Callable[[], float] = _no_end


class Reader(Protocol):
    """The one function of a reader's module."""

    def __call__(self, source: Source, place: Workplace) -> Extracted:
        """Read `source`; raise a PermanentError that says what is wrong with it, or HandOver."""
