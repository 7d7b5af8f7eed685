"""A pool of warm environments: started, called, recycled, killed when they outlive their limit."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import msgspec

from chalicelib.logs import logger
from local.worker.code import preloaded
from local.worker.environment import Answer, Call, serve

# From a function's time limit to the kill: the supervisor inside has long acted by then.
_KILL_AFTER_SECONDS = 5.0
# Until a new process has imported what the fork server has not, and is ready.
_START_SECONDS = 60.0


class EnvironmentLost(Exception):
    """The environment died, or was killed, during a call."""


class Environment:
    """One process and the pipe to it. Used by one thread at a time."""

    def __init__(self, *, max_jobs: int, queues: Sequence[str] = ()) -> None:
        self.max_jobs = max_jobs
        self._queues = tuple(queues)
        self.jobs = 0
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    @property
    def started(self) -> bool:
        """Whether there is a process."""
        return self._pipe is not None

    def call(self, call: Call) -> Answer:
        """Run one call; start the process if there is none, or none any more. Raise EnvironmentLost."""
        pipe = self._ready() or self.start()
        try:
            pipe.send_bytes(msgspec.msgpack.encode(call))
            if not pipe.poll(call.seconds + _KILL_AFTER_SECONDS):
                self.kill()
                raise EnvironmentLost(f"{call.function} outlived its {call.seconds:.0f} s and was killed")
            answer = msgspec.msgpack.decode(pipe.recv_bytes(), type=Answer)
        except (EOFError, OSError) as error:
            self.kill()
            raise EnvironmentLost(f"the process running {call.function} died") from error
        self.jobs += 1
        if self.jobs >= self.max_jobs:
            self.kill()  # idle: nothing is lost, and whatever leaked is gone
        return answer

    def start(self) -> Connection:
        """Start the process ahead of its first call and wait until it is ready. Raise EnvironmentLost."""
        pipe: Connection
        pipe, theirs = _context().Pipe()
        self._pipe, self.jobs = pipe, 0
        try:
            with theirs:
                arguments = (theirs, self._queues)
                process = _context().Process(target=serve, args=arguments, name="environment")
                process.start()
                self._process = process
            if pipe.poll(_START_SECONDS) and pipe.recv_bytes():
                return pipe
        except (EOFError, OSError) as error:
            # OSError: no memory for another process. EOFError: it died, or the fork server did.
            logger.warning("a process did not start", extra={"cause": repr(error)})
        self.kill()
        raise EnvironmentLost("a new process did not become ready")

    def _ready(self) -> Connection | None:
        """Return the pipe to a process that waits for a call. Idle, it sends nothing: what can be read is its end."""
        if self._pipe is not None and self._pipe.poll():
            logger.warning("a process ended while it had nothing to do; starting another")
            self.kill()
        return self._pipe

    def interrupt(self) -> None:
        """Ask the process to give its job back and end."""
        if self._process is not None and self._process.is_alive():
            self._process.terminate()

    def kill(self) -> None:
        """End the process now."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is not None:
            process.kill()
            process.join()
        if pipe is not None:
            pipe.close()


_lock = threading.Lock()
_made: list[Any] = []


def prepare(queues: Sequence[str]) -> None:
    """Say on which queues this process works: the fork server imports their code once, for all to share."""
    if sys.platform != "darwin":
        _context().set_forkserver_preload(preloaded(queues))


def _context() -> Any:
    """Return the way to start processes: a fork server, which has one thread and everything imported.

    The worker itself has threads, so it must not fork; a spawned process would import everything anew.
    """
    with _lock:
        if not _made:
            _made.append(multiprocessing.get_context("spawn" if sys.platform == "darwin" else "forkserver"))
            logger.debug("process context made")
    return _made[0]
