"""Log lines for a terminal: one line each, made of the JSON that the service logs; the JSON goes to a file."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

_QUIET_PATHS: Final = ("/health", "/jobs", "/page/", "/documents")
_COLOURS: Final = {"ERROR": "31", "WARNING": "33"}
# What every line carries and no reader needs.
_PLUMBING: Final = frozenset(
    {"level", "location", "message", "timestamp", "service", "function", "file", "job_id", "task", "attempt"}
    | {"exception", "exception_name", "stack_trace", "receive_count"}
)
_LOG_LIMIT_BYTES: Final = 20_000_000


class Screen(Protocol):
    """Where lines are shown: a terminal, a pipe, or nothing at all."""

    def write(self, text: str, /) -> int:
        """Show text."""

    def flush(self) -> None:
        """Show it now."""

    def isatty(self) -> bool:
        """Tell whether colours make sense."""


class Silence:
    """A screen that shows nothing."""

    def write(self, text: str, /) -> int:
        """Show nothing."""
        return len(text)

    def flush(self) -> None:
        """Nothing to do."""

    def isatty(self) -> bool:
        """No colours."""
        return False


class Console:
    """Where log lines go: readable to `screen`, as they are to a file, which is followed by a new one when it is big.

    Neither a full disk nor a closed screen raises: who logs has work to do. Making one raises OSError.
    """

    def __init__(self, file: Path, screen: Screen = sys.stderr) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._path = file
        self._descriptor: int | None = _open(file)
        self._size = os.fstat(self._descriptor).st_size
        # The last line could not be written.
        self._failing = False
        self._screen = screen
        self._colour = screen.isatty()
        self._lock = threading.Lock()

    def take_own_lines(self) -> None:
        """Have this process's own log lines come here."""
        from chalicelib.logs import logger  # late: it reads the settings

        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(self)

    def line(self, raw: str) -> None:
        """Take one line of JSON, or anything that a library prints."""
        with self._lock:
            try:
                self._keep((raw.rstrip("\n") + "\n").encode("utf-8", "replace"))
                self._failing = False
            except OSError as error:
                if not self._failing:
                    self._show(f"! {self._path} can't be written ({error.strerror}): lines are only shown.")
                self._failing = True
            if text := _shown(raw, colour=self._colour):
                self._show(text)

    def say(self, text: str) -> None:
        """Print a line of the stack's own."""
        with self._lock:
            self._show(text)

    def close(self) -> None:
        """Close the file; the next line would open it again."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    def _keep(self, line: bytes) -> None:
        """Append a line to the file, without a buffer: what could not be written is not tried again for ever."""
        if self._descriptor is not None and self._size + len(line) > _LOG_LIMIT_BYTES:
            os.close(self._descriptor)
            self._descriptor = None
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        if self._descriptor is None:
            self._descriptor = _open(self._path)
            self._size = os.fstat(self._descriptor).st_size
        self._size += _write(self._descriptor, line)

    def _show(self, text: str) -> None:
        # ValueError: the screen was closed, or can't show a character.
        with contextlib.suppress(OSError, ValueError):
            print(text, file=self._screen, flush=True)

    # A logging.StreamHandler may write here as to a file.
    def write(self, text: str) -> int:
        """Take what a logging handler writes."""
        for raw in text.splitlines():
            if raw:
                self.line(raw)
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _write(descriptor: int, line: bytes) -> int:
    return os.write(descriptor, line)


def _shown(raw: str, *, colour: bool) -> str | None:
    """Return what is shown of a line; one that only looks like ours is shown as it is."""
    try:
        return readable(raw, colour=colour)
    except (TypeError, ValueError, RecursionError):
        return raw.rstrip()


def readable(raw: str, *, colour: bool = False) -> str | None:
    """Return a log line for people; None for what happens all the time and is of no interest."""
    try:
        record: Any = json.loads(raw)
    except ValueError:
        return raw.rstrip()
    if not isinstance(record, dict) or "message" not in record:
        return raw.rstrip()
    level = str(record.get("level", "INFO"))
    text = _request(record) if record["message"] == "request" else _event(record)
    if text is None:
        return None
    line = f"{datetime.now().astimezone():%H:%M:%S} {text}"
    if colour and level in _COLOURS:
        line = f"\033[{_COLOURS[level]}m{line}\033[0m"
    return line


def _request(record: dict[str, Any]) -> str | None:
    path, status = str(record.get("path", "")), int(record.get("status", 0))
    if status < 400 and record.get("method") == "GET" and (path == "/" or path.startswith(_QUIET_PATHS)):
        return None
    return f"api     {record.get('method')} {path} → {status} ({record.get('ms')} ms)"


def _event(record: dict[str, Any]) -> str:
    job = f" {record['job_id']}" if "job_id" in record else ""
    name = f" {record['file']}" if "file" in record else ""
    attempt = f" (attempt {record['attempt']})" if record.get("attempt", 1) not in (0, 1) else ""
    more = {key: value for key, value in record.items() if key not in _PLUMBING}
    if isinstance(error := more.pop("error", None), dict):
        more["error"] = f"{error.get('type')}: {error.get('message')}"
    rest = "".join(f" {key}={value}" for key, value in more.items())
    trace = f"\n{record['exception']}" if "exception" in record else ""
    return f"worker {job}{name} {record['message']}{attempt}{rest}{trace}"
