"""Log lines for a terminal: one line each, made of the JSON that the service logs; the JSON goes to a file."""

from __future__ import annotations

import json
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
    """Where log lines go: readable to `screen`, as they are to a file."""

    def __init__(self, file: Path, screen: Screen = sys.stderr) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size > _LOG_LIMIT_BYTES:
            file.replace(file.with_suffix(".log.1"))
        self._file = file.open("a", encoding="utf-8")
        self._screen = screen
        self._lock = threading.Lock()

    def line(self, raw: str) -> None:
        """Take one line of JSON, or anything that a library prints."""
        with self._lock:
            self._file.write(raw.rstrip("\n") + "\n")
            self._file.flush()
            if text := readable(raw, colour=self._screen.isatty()):
                print(text, file=self._screen, flush=True)

    def say(self, text: str) -> None:
        """Print a line of the stack's own."""
        with self._lock:
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
