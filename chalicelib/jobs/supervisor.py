"""Supervision: a parent that never does the work itself renews the lease, enforces limits, honours cancels.

The work runs in a warm child (`workchild`). The parent is single-threaded and waits on the child's pipe; it may
kill the child at any moment, because nothing the child did is visible until it published.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from enum import Enum
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import msgspec

from chalicelib.errors import Cancelled, HardTimeLimit, SoftTimeLimit, StaleRun
from chalicelib.jobs.job import Job
from chalicelib.jobs.run import Progress
from chalicelib.jobs.workchild import CANCEL_SIGNAL, SOFT_LIMIT_SIGNAL, Assignment, Note, Outcome, serve

# Between two writes of progress, and from an interruption to the kill.
PROGRESS_SECONDS = 1.0
GRACE_SECONDS = 10.0

LOST = Outcome(
    error={"type": "worker_lost", "message": "The process that worked on this died.", "retryable": True}
)


class Order(Enum):
    """What a heartbeat tells the supervisor to do."""

    GO_ON = "go on"
    CANCEL = "cancel"
    # Somebody else holds the job now.
    ABANDON = "abandon"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Time limits of one run, in seconds from its start."""

    soft: float
    hard: float
    # Between two heartbeats when there is no progress to write.
    beat: float


class _Watch:
    """The clock of one run."""

    def __init__(self, limits: Limits) -> None:
        self.started = time.monotonic()
        self.limits = limits
        self.last_beat = self.started
        self.latest: Progress | None = None
        # What the child was interrupted with, and when it is killed for not obeying.
        self.interrupted: dict[str, Any] | None = None
        self.kill_at = self.started + limits.hard

    def next_moment(self) -> float:
        """Return when something is due next."""
        moments = [self.kill_at, self.last_beat + self.limits.beat]
        if self.latest:
            moments.append(self.last_beat + PROGRESS_SECONDS)
        if not self.interrupted:
            moments.append(self.started + self.limits.soft)
        return min(moments)

    def beat_due(self, now: float) -> bool:
        """Tell whether to write: progress at most once a second, the lease often enough."""
        pause = PROGRESS_SECONDS if self.latest else self.limits.beat
        return now >= self.last_beat + pause


class Supervisor:
    """Keeps one warm child and runs jobs in it, one at a time."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def run(self, job: Job, limits: Limits, heartbeat: Callable[[Progress | None], Order]) -> Outcome:
        """Run `job` in the child and return how it ended.

        `heartbeat` writes the latest progress (or None) and renews the lease; it is called at least every
        `limits.beat` seconds and tells whether to go on.
        """
        process, pipe = self._child()
        watch = _Watch(limits)
        try:
            pipe.send_bytes(msgspec.msgpack.encode(Assignment(job=job, seconds=limits.soft)))
            outcome = self._watch(process, pipe, watch, heartbeat)
        except (EOFError, OSError):
            outcome = None
        except BaseException:
            self.stop()
            raise
        if outcome is None or watch.interrupted:
            # Interrupted anywhere, its libraries may be in any state: the next job gets a fresh child.
            self.stop()
        return verdict(outcome, watch.interrupted)

    def _watch(
        self,
        process: BaseProcess,
        pipe: Connection,
        watch: _Watch,
        heartbeat: Callable[[Progress | None], Order],
    ) -> Outcome | None:
        while True:
            wait([pipe, process.sentinel], timeout=max(0.0, watch.next_moment() - time.monotonic()))
            if pipe.poll():
                message = msgspec.msgpack.decode(pipe.recv_bytes(), type=Outcome | Note)
                if isinstance(message, Outcome):
                    return message
                watch.latest = message.progress
            elif not process.is_alive():
                return None
            now = time.monotonic()
            if now >= watch.kill_at:
                self._interrupt_for_good(watch)
                return None
            if now >= watch.started + watch.limits.soft and not watch.interrupted:
                self._interrupt(
                    watch, SOFT_LIMIT_SIGNAL, SoftTimeLimit(_limit_text(watch.limits.soft)).as_dict()
                )
            if watch.beat_due(now):
                watch.last_beat, progress, watch.latest = now, watch.latest, None
                self._obey(heartbeat(progress), watch)

    def _obey(self, order: Order, watch: _Watch) -> None:
        if order is Order.GO_ON or watch.interrupted:
            return
        error = Cancelled("The job was cancelled.") if order is Order.CANCEL else StaleRun("")
        self._interrupt(watch, CANCEL_SIGNAL, error.as_dict())

    def _interrupt(self, watch: _Watch, signal_number: int, error: dict[str, Any]) -> None:
        watch.interrupted = error
        watch.kill_at = min(watch.kill_at, time.monotonic() + GRACE_SECONDS)
        if self._process and self._process.pid:
            try:
                os.kill(self._process.pid, signal_number)
            except ProcessLookupError:
                return  # it died this moment; the sentinel tells

    def _interrupt_for_good(self, watch: _Watch) -> None:
        if not watch.interrupted:
            watch.interrupted = HardTimeLimit(_limit_text(watch.limits.hard)).as_dict()
        self.stop()

    def _child(self) -> tuple[BaseProcess, Connection]:
        if self._process is not None and self._pipe is not None and self._process.is_alive():
            return self._process, self._pipe
        self.stop()
        # Fork is quick, shares the imported code's memory, and is safe here: this process has one thread.
        context: Any = multiprocessing.get_context("spawn" if sys.platform == "darwin" else "fork")
        self._pipe, theirs = context.Pipe()
        process: BaseProcess = context.Process(target=_serve_only, args=(theirs, self._pipe), name="work")
        process.start()
        theirs.close()
        self._process = process
        return process, self._pipe

    def stop(self) -> None:
        """Kill the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def verdict(outcome: Outcome | None, interrupted: dict[str, Any] | None) -> Outcome:
    """Combine what the child said with why it was interrupted.

    A child that published just before it noticed the interruption has published: that stands. One that broke
    with any error because of the interruption ends with the interruption's own error.
    """
    if interrupted and (outcome is None or outcome.error):
        return Outcome(error=interrupted)
    return outcome or LOST


def _limit_text(seconds: float) -> str:
    return f"The work took longer than its limit of {seconds:.0f} seconds."


def _serve_only(pipe: Connection, parents_end: Connection) -> None:
    """Close the parent's end, which the fork inherited: else the child would never see the pipe close."""
    parents_end.close()
    serve(pipe)
