"""Programs of others, run with a time-out and a memory limit, that all end together.

Not in the parsers' sandbox, which starts no programs: they get files only that this service wrote itself.
"""

from __future__ import annotations

import contextlib
import math
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from chalicelib.errors import ParserCrashed
from chalicelib.ingest.confinement import MB

_SHOWN_CHARACTERS: Final = 300


class ProgramLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one program may use."""

    # Wall time in seconds, and CPU time: on Linux a program that lost its parent ends by the latter.
    seconds: float = 120.0
    # Address space in bytes (Linux only). Tesseract takes some 60 MB for a page of A4 at 300 dpi.
    memory_bytes: int = 1024 * MB


class Programs:
    """The programs that run for one file. Any thread may `run` one; `close` ends them all."""

    def __init__(self, environment: Mapping[str, str], limits: ProgramLimits) -> None:
        self._environment = dict(environment)
        self._limits = limits
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._closed = False

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run `command` and return its output and status; raise ParserCrashed for time-outs and signals."""
        with self._started(command) as process:
            try:
                output, errors = process.communicate(timeout=self._limits.seconds)
            except subprocess.TimeoutExpired:
                raise ParserCrashed(
                    f"Text recognition did not finish a page within {self._limits.seconds:g} seconds.",
                    cause="time_limit",
                    limit_seconds=self._limits.seconds,
                ) from None
        if process.returncode < 0:
            raise ParserCrashed(
                f"Text recognition was killed by signal {-process.returncode}.",
                cause="signal",
                signal=-process.returncode,
            )
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def close(self) -> None:
        """Kill what runs; nothing can be started any more."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()

    @contextlib.contextmanager
    def _started(self, command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        with self._lock:
            if self._closed:
                raise ParserCrashed("Text recognition was stopped.", cause="stopped")
            process = subprocess.Popen(  # noqa: S603 - the program is ours or the administrator's
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            self._running.add(process)
        try:
            with process:
                try:
                    self._limit(process)
                    yield process
                finally:
                    process.kill()  # does nothing to one that has ended
        finally:
            with self._lock:
                self._running.discard(process)

    def _limit(self, process: subprocess.Popen[str]) -> None:
        """Lower the limits of a program that has just started: it has not looked at its file yet.

        Not by `preexec_fn`, which is unsafe beside threads.
        """
        if sys.platform == "linux":
            bounds = {
                resource.RLIMIT_AS: self._limits.memory_bytes,
                resource.RLIMIT_CPU: math.ceil(self._limits.seconds),
                resource.RLIMIT_CORE: 0,
            }
            # It may have ended already, and a container's policy may forbid it: the time-out holds anyway.
            with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
                for which, value in bounds.items():
                    resource.prlimit(process.pid, which, (value, value))


def shown(text: str) -> str:
    """Return the end of a program's messages on one line, short enough for an error."""
    return " ".join(text.split())[-_SHOWN_CHARACTERS:]
