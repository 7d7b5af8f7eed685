"""Run a parser in a child process that can crash, hang or outgrow its limits without harm to the caller.

`multiprocessing.Process` and a pipe only: AWS Lambda has no /dev/shm, which pools, queues and locks need. The
child is forked on Linux (a call takes 7 to 12 ms, the libraries are loaded already) and spawned elsewhere.

What comes back is never unpickled: progress is lines of JSON on the pipe, the result is JSON in a file that
the caller opened beforehand, decoded into the type that the caller names.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, BinaryIO, Final, TypeVar

import msgspec

from chalicelib.errors import ParserCrashed, PermanentError, SyncBoardError, TransientError
from chalicelib.folders import PARSER_FOLDER, private_folder
from chalicelib.ingest.child import Failure, Outcome, Task, main
from chalicelib.ingest.confinement import MB, Limits
from chalicelib.ingest.document import ProgressCallback, ignore_progress
from chalicelib.net.addresses import NetworkPolicy

Result = TypeVar("Result")

# Forking is safe on Linux only; macOS's system libraries break in a fork.
if sys.platform == "linux":
    _CONTEXT = multiprocessing.get_context("fork")
else:
    _CONTEXT = multiprocessing.get_context("spawn")
# A line of progress that is longer is no progress.
_MAX_LINE_BYTES: Final = 64 * 1024
# A child that closed its end of the pipes is about to end; then it is killed.
_EXIT_SECONDS: Final = 5.0


def run_sandboxed(
    function: Callable[..., object],
    *args: Any,
    result_type: type[Result],
    limits: Limits,
    on_progress: ProgressCallback = ignore_progress,
    env: Mapping[str, str] | None = None,
    network: NetworkPolicy | None = None,
) -> Result:
    """Run `function(*args, on_progress=…)` in a confined child and return its result.

    The function is importable, its result is what msgspec encodes and `result_type` decodes. It gets a
    private, empty working directory that is removed afterwards, no programs, a scrubbed environment plus
    `env`, and no network but the connections that `network` lets pass (any other is BlockedAddress).

    `on_progress(done, total, text)` is called here, at most 20 times a second, with the newest report; what
    it raises kills the child and goes to the caller.

    Errors of our tree that the function raises are raised here, with type and details. Anything else is
    ParserCrashed, whose detail `cause` is "time_limit", "memory_limit", "signal", "error" or "no_result".
    When this returns or raises, child and directory are gone. If this process is killed, the child dies with it
    (Linux), and the next work child removes the directory (`chalicelib.folders.sweep`).
    """
    with private_folder(PARSER_FOLDER) as root:
        folder = root / "work"
        folder.mkdir()
        # Opened before the child runs: whatever it puts into this place later, the caller reads this file.
        with (root / "outcome").open("w+b") as outcome:
            task = Task(
                function=function,
                arguments=args,
                limits=limits,
                env=dict(env or {}),
                folder=str(folder),
                outcome=str(root / "outcome"),
                parent=os.getpid(),
                network=network,
            )
            exit_code = _supervise(task, on_progress)
            return _result(outcome, exit_code, limits, result_type)


def _supervise(task: Task, on_progress: ProgressCallback) -> int | None:
    """Run the child to its end and return its exit code; whatever is raised, it is dead and reaped."""
    reader, writer = _CONTEXT.Pipe(duplex=False)
    process: BaseProcess = _CONTEXT.Process(target=main, args=(task, writer), daemon=True)
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
        decoded = msgspec.json.decode(outcome.read(size), type=Outcome)
        if decoded.failure is None:
            return msgspec.json.decode(decoded.result, type=result_type)
    except msgspec.DecodeError:
        raise _nonsense() from None
    raise _error(decoded.failure, limits)


def _error(failure: Failure, limits: Limits) -> SyncBoardError:
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
