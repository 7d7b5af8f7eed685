"""Run a parser in a child process that can crash, hang or outgrow its limits without harm to the caller.

`multiprocessing.Process` and a pipe only: AWS Lambda has no /dev/shm, which pools, queues and locks need. The
child is forked on Linux (about 5 ms, the libraries are loaded already) and spawned elsewhere.

What comes back is never unpickled: progress is lines of JSON on the pipe, the result is JSON in a file that
the caller opened beforehand, decoded into the type that the caller names.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from chalicelib.errors import ParserCrashed, PermanentError, SyncBoardError, TooLarge, TransientError
from chalicelib.ingest.confinement import MB, Limits, confine
from chalicelib.ingest.document import ProgressCallback, ignore_progress

Result = TypeVar("Result")

# Private directories start with this, so that a sweeper can tell what a killed parent left behind.
FOLDER_PREFIX: Final = "syncboard-parser-"

# Forking is safe on Linux only; macOS's system libraries break in a fork.
if sys.platform == "linux":
    _CONTEXT = multiprocessing.get_context("fork")
else:
    _CONTEXT = multiprocessing.get_context("spawn")
# Reports closer together than this are left out, but for the first and the last of all units.
_PROGRESS_SECONDS: Final = 0.05
# A line of progress that is longer is no progress.
_MAX_LINE_BYTES: Final = 64 * 1024
_MAX_MESSAGE_CHARACTERS: Final = 500
# A child that closed its end of the pipes is about to end; then it is killed.
_EXIT_SECONDS: Final = 5.0


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why the function raised, in a form that crosses the process border."""

    # `type` of an error of our own tree, or None for any other exception.
    type: str | None = None
    message: str
    details: dict[str, str | int | float | bool | None] = {}
    # Cause of any other exception: "memory_limit" or "error".
    cause: str = "error"


class _Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the function ended."""

    # What it returned, still encoded; null when it raised.
    result: msgspec.Raw = msgspec.Raw(b"null")
    # Why it raised, else None.
    failure: _Failure | None = None


class _Task(msgspec.Struct, frozen=True, kw_only=True):
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


def run_sandboxed(
    function: Callable[..., object],
    *args: Any,
    result_type: type[Result],
    limits: Limits,
    on_progress: ProgressCallback = ignore_progress,
    env: Mapping[str, str] | None = None,
) -> Result:
    """Run `function(*args, on_progress=…)` in a confined child and return its result.

    The function is importable, its result is what msgspec encodes and `result_type` decodes. It gets a
    private, empty working directory that is removed afterwards, no network, no programs, a scrubbed
    environment plus `env`.

    `on_progress(done, total, text)` is called here, at most 20 times a second, with the newest report; what
    it raises kills the child and goes to the caller.

    Errors of our tree that the function raises are raised here, with type and details. Anything else is
    ParserCrashed, whose detail `cause` is "time_limit", "memory_limit", "signal", "error" or "no_result".
    When this returns or raises, child and directory are gone.
    """
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as name:
        root = Path(name).resolve()
        folder = root / "work"
        folder.mkdir()
        # Opened before the child runs: whatever it puts into this place later, the caller reads this file.
        with (root / "outcome").open("w+b") as outcome:
            task = _Task(
                function=function,
                arguments=args,
                limits=limits,
                env=dict(env or {}),
                folder=str(folder),
                outcome=str(root / "outcome"),
                parent=os.getpid(),
            )
            exit_code = _supervise(task, on_progress)
            return _result(outcome, exit_code, limits, result_type)


# --- The parent ---------------------------------------------------------------------------------------------


def _supervise(task: _Task, on_progress: ProgressCallback) -> int | None:
    """Run the child to its end and return its exit code; whatever is raised, it is dead and reaped."""
    reader, writer = _CONTEXT.Pipe(duplex=False)
    process: BaseProcess = _CONTEXT.Process(target=_main, args=(task, writer), daemon=True)
    try:
        with warnings.catch_warnings():
            # Python 3.12+ warns of forking beside threads. The child takes no lock that another thread may
            # hold: it parses, and ends by os._exit.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        writer.close()
        _follow(process, reader, task.limits, on_progress)
        _await_exit(process)
    finally:
        exit_code = _end(process)
        reader.close()
        writer.close()
    return exit_code


def _follow(process: BaseProcess, reader: Connection, limits: Limits, on_progress: ProgressCallback) -> None:
    """Pass progress on until the child ends; raise ParserCrashed at the deadline."""
    deadline = time.monotonic() + limits.seconds
    lines = _Lines(reader)
    watched: list[Any] = [reader, process.sentinel]
    while process.sentinel in watched:
        left = deadline - time.monotonic()
        if left <= 0:
            raise _time_limit(limits)
        ready = wait(watched, timeout=left)
        newest = None
        for line in lines.read():
            newest = line
        if newest is not None:
            on_progress(*_progress(newest))
        watched = [item for item in watched if item not in ready or (item is reader and not lines.ended)]


def _await_exit(process: BaseProcess) -> None:
    """Give the child time to exit after its sentinel fired.

    Not `join(timeout)`: it waits for the sentinel only and then without end, and a child can close the sentinel.
    """
    deadline = time.monotonic() + _EXIT_SECONDS
    while process.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.001)


class _Lines:
    """Lines from a pipe, read without ever waiting for the rest of one."""

    def __init__(self, reader: Connection) -> None:
        self._descriptor = reader.fileno()
        self._buffer = b""
        self.ended = False
        os.set_blocking(self._descriptor, False)

    def read(self) -> Iterator[bytes]:
        """Yield the whole lines that have arrived."""
        try:
            data = os.read(self._descriptor, _MAX_LINE_BYTES)
        except BlockingIOError:
            return
        self.ended = not data
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > _MAX_LINE_BYTES:
            raise _nonsense()
        yield from lines


def _progress(line: bytes) -> tuple[int, int, str]:
    try:
        return msgspec.json.decode(line, type=tuple[int, int, str])
    except msgspec.DecodeError:
        raise _nonsense() from None


def _end(process: BaseProcess) -> int | None:
    """Kill the child if it lives, reap it, close its descriptors; return its exit code."""
    if process.pid is not None:
        process.kill()
        process.join()
    exit_code = process.exitcode
    process.close()
    return exit_code


def _result(outcome: BinaryIO, exit_code: int | None, limits: Limits, result_type: type[Result]) -> Result:
    if exit_code is None or exit_code < 0:
        raise _killed(-(exit_code or -signal.SIGKILL), limits)
    size = os.fstat(outcome.fileno()).st_size
    if not 0 < size <= limits.result_bytes + _MAX_LINE_BYTES:
        raise ParserCrashed(
            f"The parser ended without a result (exit status {exit_code}).", cause="no_result"
        )
    outcome.seek(0)
    try:
        decoded = msgspec.json.decode(outcome.read(size), type=_Outcome)
        if decoded.failure is None:
            return msgspec.json.decode(decoded.result, type=result_type)
    except msgspec.DecodeError:
        raise _nonsense() from None
    raise _error(decoded.failure, limits)


def _error(failure: _Failure, limits: Limits) -> SyncBoardError:
    known = _known_errors().get(failure.type or "")
    if known is not None:
        return known(
            failure.message, **{key: value for key, value in failure.details.items() if key != "message"}
        )
    if failure.cause == "memory_limit":
        return ParserCrashed(
            f"The parser needed more than its memory limit of {limits.memory_bytes // MB:,} MB.",
            cause="memory_limit",
            limit_mb=limits.memory_bytes // MB,
        )
    return ParserCrashed(f"The parser failed: {failure.message}", cause="error")


def _known_errors() -> dict[str, type[SyncBoardError]]:
    found: dict[str, type[SyncBoardError]] = {}
    waiting: list[type[SyncBoardError]] = [PermanentError, TransientError]
    while waiting:
        error = waiting.pop()
        found[error.type] = error
        waiting.extend(error.__subclasses__())
    return found


def _killed(number: int, limits: Limits) -> ParserCrashed:
    if number == signal.SIGXCPU:
        return _time_limit(limits)
    name = signal.Signals(number).name if number in set(signal.Signals) else "unknown"
    limit = limits.memory_bytes // MB
    return ParserCrashed(
        f"The parser was killed by signal {number} ({name}): the file broke it "
        f"or drove it over its memory limit of {limit:,} MB.",
        cause="signal",
        signal=number,
        limit_mb=limit,
    )


def _time_limit(limits: Limits) -> ParserCrashed:
    return ParserCrashed(
        f"The parser did not finish within its time limit of {limits.seconds:g} seconds.",
        cause="time_limit",
        limit_seconds=limits.seconds,
    )


def _nonsense() -> ParserCrashed:
    return ParserCrashed("The parser answered with something that is no result.", cause="no_result")


# --- The child ----------------------------------------------------------------------------------------------


def _main(task: _Task, writer: Connection) -> None:
    """Confine this process, run the function, write its outcome; end without the parent's clean-up."""
    # Opened first: the outcome must be writable whatever becomes of the limits on memory and files.
    with Path(task.outcome).open("r+b", buffering=0) as file:
        confine(Path(task.folder), task.limits, task.env, task.parent)
        data = _run(task, _Reporter(writer))
        written = 0
        while written < len(data):
            written += file.write(data[written:])
    os._exit(0)


def _run(task: _Task, report: ProgressCallback) -> bytes:
    try:
        encoded = msgspec.json.encode(task.function(*task.arguments, on_progress=report))
        if len(encoded) > task.limits.result_bytes:
            limit = task.limits.result_bytes // MB
            raise TooLarge(f"The file holds more than {limit:,} MB of text.", limit_mb=limit)
        outcome = _Outcome(result=msgspec.Raw(encoded))
    except SyncBoardError as error:
        details = {key: value for key, value in vars(error).items() if key == "seconds"} | error.details
        outcome = _Outcome(failure=_Failure(type=error.type, message=error.message, details=details))
    except MemoryError:
        outcome = _Outcome(failure=_Failure(message="", cause="memory_limit"))
    except BaseException as error:  # Nothing is hidden: every other end is told to the parent.
        message = f"{type(error).__name__}: {error}"[:_MAX_MESSAGE_CHARACTERS]
        outcome = _Outcome(failure=_Failure(message=message.encode("utf-8", "replace").decode("utf-8")))
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
