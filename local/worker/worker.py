"""The worker: one poller a queue, a pool of environments, a clock for the sweeper."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from chalicelib import services, settings
from chalicelib.aws.queues import Received
from chalicelib.errors import SyncBoardError
from chalicelib.logs import logger
from chalicelib.settings import QUEUES
from local.worker.environment import Call, invoke
from local.worker.events import failed_ids, sqs_event
from local.worker.pool import Environment, EnvironmentLost

# Time limits of the functions, in seconds: the tasks' hard limit and a minute (infra/functions.yaml).
FUNCTION_SECONDS = 660.0
INTAKE_SECONDS = 30.0
# Between two sweeps.
SWEEP_SECONDS = 15.0
# After an error of the queue: wait this long, twice as long each time, up to the cap.
_RETRY_SECONDS = 0.5
_RETRY_CAP_SECONDS = 10.0


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says."""

    # Queues to work on, the most urgent first.
    queues: tuple[str, ...] = tuple(name for name in QUEUES if name in ("uploads", "low_priority"))
    # Jobs at a time.
    concurrency: int = 2
    # A process is replaced after this many jobs.
    max_jobs_per_process: int = 200
    # On a stop, jobs may go on for this long before they are given back.
    drain_seconds: float = 5.0


class _Waiting(msgspec.Struct, frozen=True, order=True):
    """A received message that waits for an environment; ordered by urgency, then by age."""

    urgency: int
    number: int
    message: Received
    since: float


class Worker:
    """Runs until told to stop. `stop` may be called from any thread, or twice to hurry."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._stopping = threading.Event()
        self._environments = [
            Environment(max_jobs=options.max_jobs_per_process) for _ in range(options.concurrency)
        ]
        self._waiting: queue.PriorityQueue[_Waiting] = queue.PriorityQueue()
        self._numbers = itertools.count()
        # Pollers wait here until there is an environment with nothing to do.
        self._room = threading.Condition()
        self._idle = options.concurrency

    def run(self) -> None:
        """Work until stopped; return when all jobs in hand are finished or given back."""
        threads = [
            *(
                self._thread(f"poll-{name}", self._poll, i, name)
                for i, name in enumerate(self.options.queues)
            ),
            self._thread("poll-intake", self._take_in),
            self._thread("sweep", self._sweep),
            *(self._thread(f"run-{i}", self._work, e) for i, e in enumerate(self._environments)),
        ]
        logger.info(
            "worker ready", extra={"queues": self.options.queues, "concurrency": self.options.concurrency}
        )
        self._stopping.wait()
        deadline = time.monotonic() + self.options.drain_seconds
        while time.monotonic() < deadline and any(thread.is_alive() for thread in threads):
            threads[-1].join(0.05)
        for environment in self._environments:
            environment.interrupt()
        for thread in threads:
            thread.join(10)
        for environment in self._environments:
            environment.kill()
        logger.info("worker stopped")

    def stop(self) -> None:
        """Take no more jobs; finish those in hand. Called again: give them back at once."""
        if self._stopping.is_set():
            for environment in self._environments:
                environment.interrupt()
        self._stopping.set()
        with self._room:
            self._room.notify_all()

    @staticmethod
    def _thread(name: str, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        thread.start()
        return thread

    # --- Polling -------------------------------------------------------------------------------------------

    def _poll(self, urgency: int, name: str) -> None:
        """Receive from one queue whenever an environment is free."""
        busy = False
        while self._wait_for_room():
            received = self._receive(name, limit=1, busy=busy)
            busy = bool(received)
            for message in received:
                self._waiting.put(_Waiting(urgency, next(self._numbers), message, time.monotonic()))

    def _wait_for_room(self) -> bool:
        """Wait for a free environment; False when the worker stops."""
        with self._room:
            self._room.wait_for(lambda: self._stopping.is_set() or self._idle > self._waiting.qsize())
        return not self._stopping.is_set()

    def _receive(self, name: str, *, limit: int, busy: bool) -> Sequence[Received]:
        """Poll short while there is work and long when there is none; back off while the queue is away."""
        # A long poll can't be interrupted: against an emulator it is short, so that Ctrl-C is quick.
        wait = 0 if busy else 2 if settings.get().endpoint_url else 20
        pause = _RETRY_SECONDS
        while not self._stopping.is_set():
            try:
                received = services.queues().receive(
                    name, limit=limit, wait=wait, visibility=settings.get().lease_seconds
                )
            except SyncBoardError as error:
                logger.warning("queue not reached", extra={"queue": name, "cause": error.message})
                self._stopping.wait(pause)
                pause = min(_RETRY_CAP_SECONDS, pause * 2)
                continue
            if received and self._stopping.is_set():
                self._release(received)
                return ()
            return received
        return ()

    # --- Running -------------------------------------------------------------------------------------------

    def _work(self, environment: Environment) -> None:
        """Run one waiting message after the other in an environment."""
        environment.start()
        while not (self._stopping.is_set() and self._waiting.empty()):
            try:
                waiting = self._waiting.get(timeout=0.1 if self._stopping.is_set() else 1.0)
            except queue.Empty:
                continue
            # Waited so long that its visibility may end before the job is taken: somebody else may have it.
            late = time.monotonic() - waiting.since > settings.get().lease_seconds / 2
            if late or self._stopping.is_set():
                self._release([waiting.message])
                continue
            self._count_idle(-1)
            try:
                self._run(environment, waiting.message)
            finally:
                self._count_idle(+1)

    def _run(self, environment: Environment, message: Received) -> None:
        event = sqs_event([message], visibility=settings.get().lease_seconds)
        try:
            answer = environment.call(Call(function=message.queue, event=event, seconds=FUNCTION_SECONDS))
        except EnvironmentLost as error:
            # The message comes back when its lease is over, and the next run sees what became of this one.
            if not self._stopping.is_set():
                logger.warning("environment lost", extra={"cause": str(error)})
            return
        if not answer.error and message.message_id not in failed_ids(answer.result):
            self._delete(message)

    def _count_idle(self, number: int) -> None:
        with self._room:
            self._idle += number
            self._room.notify_all()

    def _delete(self, message: Received) -> None:
        try:
            services.queues().delete(message.queue, message.receipt)
        except SyncBoardError as error:
            # It comes back, and its row will say that it is void.
            logger.warning("message not deleted", extra={"queue": message.queue, "cause": error.message})

    def _release(self, messages: Sequence[Received]) -> None:
        for message in messages:
            try:
                services.queues().hide(message.queue, message.receipt, 0)
            except SyncBoardError:
                logger.warning("message not released", extra={"queue": message.queue})

    # --- Light functions: they run in this process, beside the pool, as Lambda gives each its own --------------

    def _take_in(self) -> None:
        busy = False
        while not self._stopping.is_set():
            received = self._receive("intake", limit=10, busy=busy)
            busy = bool(received)
            if not received:
                continue
            event = sqs_event(received, visibility=settings.get().lease_seconds)
            answer = invoke(Call(function="intake", event=event, seconds=INTAKE_SECONDS))
            keep = {message.message_id for message in received} if answer.error else failed_ids(answer.result)
            for message in received:
                if message.message_id not in keep:
                    self._delete(message)

    def _sweep(self) -> None:
        while not self._stopping.wait(SWEEP_SECONDS):
            invoke(Call(function="sweeper", event=_SCHEDULED, seconds=60.0))


# What EventBridge sends on a schedule, as far as Chalice reads it.
_SCHEDULED = {
    "version": "0",
    "account": "000000000000",
    "region": "local",
    "detail": {},
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "time": "",
    "id": "",
    "resources": [],
}
