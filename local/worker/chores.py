"""What a worker does beside jobs, in its own process: uploads that arrived, the sweeper, its report."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

import psutil

from chalicelib import capabilities, services, settings, workers
from chalicelib.aws.queues import MAX_BATCH
from chalicelib.capabilities import Capability, CapabilityState
from chalicelib.errors import SyncBoardError
from chalicelib.jobs.job import now_ms
from chalicelib.logs import logger
from chalicelib.workers import REPORT_SECONDS
from local.worker.environment import Call, invoke
from local.worker.events import failed_ids, sqs_event
from local.worker.poller import Receiver
from local.worker.slots import Slots, delete

INTAKE_SECONDS = 30.0
# Between two sweeps, and the sweeper's time limit.
SWEEP_SECONDS = 15.0
_SWEEP_LIMIT_SECONDS = 60.0


class Intake:
    """Starts jobs whose uploads arrived."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._receiver = Receiver("intake", stopping)

    def run(self) -> None:
        """Take in until the worker stops. The target of a thread."""
        while not self._stopping.is_set():
            received = self._receiver.receive(MAX_BATCH)
            if not received:
                self._receiver.rest()
                continue
            event = sqs_event(received, visibility=settings.get().hidden_seconds)
            answer = invoke(Call(function="intake", event=event, seconds=INTAKE_SECONDS))
            keep = {message.message_id for message in received} if answer.error else failed_ids(answer.result)
            delete([message for message in received if message.message_id not in keep])


def sweep(stopping: threading.Event) -> None:
    """Run the sweeper at its times until the worker stops. The target of a thread."""
    while not stopping.wait(SWEEP_SECONDS):
        invoke(Call(function="sweeper", event=_SCHEDULED, seconds=_SWEEP_LIMIT_SECONDS))


class Reporter:
    """Tells the table every few seconds that this worker is alive and what it does."""

    def __init__(
        self,
        queues: tuple[str, ...],
        slots: Slots,
        stopping: threading.Event,
        *,
        memory: Callable[[], int] | None = None,
    ) -> None:
        self._queues = queues
        self._slots = slots
        self._stopping = stopping
        self._memory = memory or resident_bytes
        self._started_at = now_ms()

    def run(self) -> None:
        """Report until the worker stops. The target of a thread."""
        while not self._stopping.wait(REPORT_SECONDS):
            self.report()

    def report(self) -> None:
        """Report now."""
        try:
            workers.report(services.table(), self._worker())
        except SyncBoardError as error:
            logger.warning("worker not reported", extra={"cause": error.message})

    def offer(self) -> None:
        """Say what can be done from now on."""
        for queue in self._queues:
            try:
                capabilities.report_queue(services.table(), queue, Capability(state=CapabilityState.READY))
            except SyncBoardError as error:
                logger.warning("capability not reported", extra={"cause": error.message})

    def remove(self) -> None:
        """Say goodbye."""
        try:
            workers.remove(services.table(), self._worker())
        except SyncBoardError as error:
            logger.warning("worker not signed off", extra={"cause": error.message})

    def _worker(self) -> workers.Worker:
        busy = self._slots.busy
        return workers.Worker(
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=self._queues,
            busy=busy,
            idle=max(0, self._slots.processes - busy),
            jobs_done=self._slots.jobs_done,
            memory_bytes=self._memory(),
            started_at=self._started_at,
            heartbeat=now_ms(),
        )


def resident_bytes() -> int:
    """Return the resident memory of this process and all its descendants."""
    this = psutil.Process()
    total = 0
    for process in (this, *this.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended this moment
    return total


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
