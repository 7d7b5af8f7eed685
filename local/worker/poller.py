"""A poller: receives from one queue whenever there is room, and packs what it gets into parcels."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

from chalicelib import services, settings
from chalicelib.aws.queues import MAX_BATCH, Received
from chalicelib.errors import SyncBoardError
from chalicelib.jobs import messages
from chalicelib.logs import logger
from local.worker.slots import Slots, release

# Long polls: SQS wakes one at once, and its longest is the cheapest. An emulator's can't be interrupted by Ctrl-C
# for its whole length and looks only ten times a second: short, and not while messages keep coming.
_LONG_SECONDS = 20
_EMULATOR_LONG_SECONDS = 2
# An emulator is asked this often, for this long after the last message.
_EMULATOR_PAUSE_SECONDS = 0.004
_EMULATOR_BUSY_SECONDS = 1.0
# While another queue's poller waits for this one's poll to end: how long it may take, and the pause after an empty
# one, so that the other comes to its turn.
_IMPATIENT_SECONDS = 1
_IMPATIENT_PAUSE_SECONDS = 0.1
# After an error of the queue: wait this long, twice as long each time, up to the cap.
_RETRY_SECONDS = 0.5
_RETRY_CAP_SECONDS = 10.0


def longest_wait() -> int:
    """Return how long one poll may take, in seconds."""
    return _EMULATOR_LONG_SECONDS if settings.get().endpoint_url else _LONG_SECONDS


class Receiver:
    """Receives from one queue: short polls while there is work, long ones while there is none."""

    def __init__(self, queue: str, stopping: threading.Event) -> None:
        self.queue = queue
        # How long to wait before the next poll, in seconds.
        self.pause = 0.0
        self._stopping = stopping
        self._last_message = float("-inf")

    def receive(self, limit: int, *, patient: bool = True) -> Sequence[Received]:
        """Return up to `limit` messages, perhaps none; back off while the queue is away."""
        pause = _RETRY_SECONDS
        while not self._stopping.is_set():
            try:
                received = self._poll(limit, patient)
            except SyncBoardError as error:
                logger.warning("queue not reached", extra={"queue": self.queue, "cause": error.message})
                self._stopping.wait(pause)
                pause = min(_RETRY_CAP_SECONDS, pause * 2)
                continue
            if received and self._stopping.is_set():
                release(received)
                return ()
            return received
        return ()

    def rest(self) -> None:
        """Wait as long as the last poll's outcome asks for."""
        if self.pause:
            self._stopping.wait(self.pause)

    def _poll(self, limit: int, patient: bool) -> Sequence[Received]:
        emulator = settings.get().endpoint_url is not None
        busy = emulator and time.monotonic() - self._last_message < _EMULATOR_BUSY_SECONDS
        wait = longest_wait() if patient else _IMPATIENT_SECONDS
        short = busy or (emulator and not patient)
        received = services.queues().receive(
            self.queue, limit=limit, wait=0 if short else wait, visibility=settings.get().hidden_seconds
        )
        if received:
            self._last_message, self.pause = time.monotonic(), 0.0
        elif busy:
            self.pause = _EMULATOR_PAUSE_SECONDS
        else:
            self.pause = 0.0 if patient else _IMPATIENT_PAUSE_SECONDS
        return received


class Poller:
    """Feeds the slots from one queue."""

    def __init__(self, queue: str, *, urgency: int, slots: Slots, stopping: threading.Event) -> None:
        self.queue = queue
        self.urgency = urgency
        self._slots = slots
        self._receiver = Receiver(queue, stopping)

    def run(self) -> None:
        """Poll until the slots close. The target of a thread."""
        # Heavy work waits in the queue, where every worker sees it; light jobs come by the batch.
        limit = 1
        while True:
            with self._slots.room(self.urgency) as room:
                if room is None:
                    return
                received = self._receiver.receive(limit, patient=room.patient)
                light, heavy = split(received)
                if light:
                    self._slots.put(self.urgency, light, light=True)
                for message in heavy:
                    self._slots.put(self.urgency, [message], light=False)
            if received:
                limit = 1 if heavy else MAX_BATCH
            self._receiver.rest()


def split(received: Iterable[Received]) -> tuple[list[Received], list[Received]]:
    """Return the messages of light jobs, and all others."""
    light: list[Received] = []
    heavy: list[Received] = []
    for message in received:
        (light if _is_light(message) else heavy).append(message)
    return light, heavy


def _is_light(message: Received) -> bool:
    try:
        return messages.decode(message.body).light
    except messages.UnreadableMessage:
        return False
