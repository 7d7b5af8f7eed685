"""The worker: one poller a queue, slots that run jobs, a scaler, and the chores beside them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from chalicelib import services
from chalicelib.errors import SyncBoardError
from chalicelib.logs import logger
from local.worker import chores
from local.worker.chores import Intake, Reporter
from local.worker.code import does_chores
from local.worker.options import Options
from local.worker.poller import Poller, longest_wait
from local.worker.pool import prepare
from local.worker.scaler import Scaler
from local.worker.slots import Slots

# The first processes import everything and make their connections.
_READY_SECONDS = 60.0
_SCALE_SECONDS = 0.25
# From the order to give jobs back to the kill.
_GIVE_BACK_SECONDS = 10.0


class Worker:
    """Runs until told to stop. `stop` may be called from any thread, or twice to hurry."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.slots = Slots(options.queues, max_jobs=options.max_jobs_per_process)
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._reporter = Reporter(options.queues, self.slots, self._stopping)

    def run(self) -> None:
        """Work until stopped; return when all jobs in hand are finished or given back."""
        prepare(self.options.queues)
        for _ in range(self.options.least):
            self.slots.grow()
        listening = [self._thread(f"poll-{poller.queue}", poller.run) for poller in self._pollers()]
        if does_chores(self.options.queues):
            listening.append(self._thread("poll-intake", Intake(self._stopping).run))
            self._thread("sweep", lambda: chores.sweep(self._stopping))
        if self.slots.wait_until_ready(_READY_SECONDS) and not self._stopping.is_set():
            self._reporter.report()
            self._reporter.offer()
            reporting = self._thread("report", self._reporter.run)
            logger.info(
                "worker ready", extra={"queues": self.options.queues, "processes": self.options.least}
            )
            self._scale_until_stopped()
            reporting.join(1.0)
        elif not self._stopping.is_set():
            logger.error("worker not ready; stopping", extra={"seconds": _READY_SECONDS})
            self.stop()
        self._drain(listening)
        self._reporter.remove()
        logger.info("worker stopped")

    def stop(self) -> None:
        """Take no more jobs; finish those in hand. Called again: give them back at once."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()
        self.slots.close()

    def _pollers(self) -> list[Poller]:
        return [
            Poller(name, urgency=urgency, slots=self.slots, stopping=self._stopping)
            for urgency, name in enumerate(self.options.queues)
        ]

    def _scale_until_stopped(self) -> None:
        scaler = Scaler(least=self.options.least, most=self.options.most)
        while not self._stopping.wait(_SCALE_SECONDS):
            step = scaler.decide(
                time.monotonic(),
                processes=self.slots.processes,
                busy=self.slots.busy,
                waiting=self._messages_wait,
            )
            if step > 0:
                self.slots.grow()
            elif step < 0:
                self.slots.shrink()
            if step:
                logger.info("scaled", extra={"step": step, "processes": self.slots.processes})

    def _messages_wait(self) -> bool:
        """Tell whether any queue holds messages that nobody has received."""
        try:
            return any(services.queues().depth(name).visible for name in self.options.queues)
        except SyncBoardError:
            return False

    def _drain(self, listening: list[threading.Thread]) -> None:
        """Let jobs finish for a while, then have them given back; leave no poll behind that may take a message."""
        deadline = time.monotonic() + self.options.drain_seconds
        while time.monotonic() < deadline and not self._hurry.is_set():
            if self.slots.join(0.05):
                break
        self.slots.interrupt()
        self.slots.join(_GIVE_BACK_SECONDS)
        self.slots.kill()
        deadline = time.monotonic() + longest_wait() + 1
        while any(thread.is_alive() for thread in listening) and time.monotonic() < deadline:
            if self._hurry.is_set():
                break
            listening[0].join(0.05)
            listening = [thread for thread in listening if thread.is_alive()] or listening[:1]

    @staticmethod
    def _thread(name: str, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread
