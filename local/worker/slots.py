"""Slots: environments that each run one parcel of messages at a time, and the line that waits for them."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from chalicelib import services, settings
from chalicelib.aws.queues import Received
from chalicelib.errors import SyncBoardError
from chalicelib.logs import logger
from local.worker.code import CONTAINER_OF
from local.worker.environment import Call
from local.worker.events import failed_ids, sqs_event
from local.worker.pool import Environment, EnvironmentLost

# Time limit of the functions that work on jobs, seconds: the tasks' hard limit and a minute (infra/functions.yaml),
# and as long as Lambda allows where the work is heavy.
FUNCTION_SECONDS = 660.0
CONTAINER_SECONDS = 900.0
# What a call has beyond a run that was given more time than a function's.
_BEYOND_SECONDS = 60.0
# After an environment could not be started: before the next try.
_START_AGAIN_SECONDS = 1.0
# How often a slot with nothing to do looks whether it is still wanted.
_LOOK_SECONDS = 0.5


class Parcel(msgspec.Struct, frozen=True, order=True):
    """Messages of one queue for one call; ordered by urgency, then by age."""

    urgency: int
    number: int
    messages: tuple[Received, ...]
    # Light jobs, which take milliseconds.
    light: bool
    # When they were received (monotonic).
    since: float


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """Room for one parcel, kept while a poller receives."""

    # Every other poller has room, too: nobody waits for the end of this one's poll.
    patient: bool


class _Slot:
    """One environment and the thread that feeds it."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.ready = False
        self.parcel: Parcel | None = None
        self.retiring = False
        self.thread: threading.Thread | None = None


class Slots:
    """Grows and shrinks; pollers ask it for room. Every method may be called from any thread."""

    def __init__(self, queues: Sequence[str], *, max_jobs: int) -> None:
        self.jobs_done = 0
        self._max_jobs = max_jobs
        # Each has a poller.
        self._queues = tuple(queues)
        # Urgencies of the pollers that want room, and how many got it and are receiving.
        self._asking: list[int] = []
        self._reserved = 0
        # A heap: what waits for a slot.
        self._line: list[Parcel] = []
        self._numbers = itertools.count()
        self._slots: list[_Slot] = []
        # Guards the slots and is notified of every change of room.
        self._room = threading.Condition()
        self._closing = False

    # --- Size ------------------------------------------------------------------------------------------------

    def grow(self) -> None:
        """Add a process."""
        slot = _Slot(Environment(max_jobs=self._max_jobs, queues=self._queues))
        slot.thread = threading.Thread(target=self._serve, args=(slot,), name="slot", daemon=True)
        with self._room:
            if self._closing:
                return
            self._slots.append(slot)
        slot.thread.start()

    def shrink(self) -> None:
        """Let one process with nothing to do go."""
        with self._room:
            idle = [slot for slot in self._slots if slot.parcel is None and not slot.retiring]
            if idle:
                idle[-1].retiring = True

    @property
    def processes(self) -> int:
        """How many there are, those being started included."""
        return len(self._slots)

    @property
    def busy(self) -> int:
        """How many are at work."""
        return sum(slot.parcel is not None for slot in self._slots)

    def wait_until_ready(self, seconds: float) -> bool:
        """Wait until every process can work; tell whether it came to that."""
        with self._room:
            return self._room.wait_for(
                lambda: self._closing or all(slot.ready for slot in self._slots), seconds
            )

    # --- The line --------------------------------------------------------------------------------------------

    @contextmanager
    def room(self, urgency: int) -> Iterator[Room | None]:
        """Wait until a parcel put now would be run at once, or nearly so, and keep that room; None when closing.

        Nobody receives what nobody can run: a message that waits in a worker is hidden from all others, and each
        time that it is given back brings it nearer to the dead letters. The most urgent poller goes first.
        """
        with self._room:
            self._asking.append(urgency)
            try:
                self._room.wait_for(
                    lambda: self._closing or (urgency == min(self._asking) and self._has_room())
                )
            finally:
                self._asking.remove(urgency)
            self._reserved += 1
            others = len(self._queues) - self._reserved
            room = None if self._closing else Room(patient=self._free() - self._reserved >= others)
            self._room.notify_all()
        try:
            yield room
        finally:
            with self._room:
                self._reserved -= 1
                self._room.notify_all()

    def _free(self) -> int:
        """Return how many slots would run a parcel at once, beyond those that the line needs."""
        return sum(slot.ready and slot.parcel is None for slot in self._slots) - len(self._line)

    def _has_room(self) -> bool:
        """Tell whether a slot is free; while all work on light jobs, one more parcel may be on its way."""
        if self._free() > self._reserved:
            return True
        working = [slot.parcel for slot in self._slots if slot.parcel]
        nothing_comes = not self._line and not self._reserved
        return bool(working) and all(parcel.light for parcel in working) and nothing_comes

    def put(self, urgency: int, messages: Sequence[Received], *, light: bool) -> None:
        """Have messages of one queue worked on in one call; once it is closing, give them back."""
        with self._room:
            closing = self._closing
            if not closing:
                parcel = Parcel(urgency, next(self._numbers), tuple(messages), light, time.monotonic())
                heapq.heappush(self._line, parcel)
                self._room.notify_all()
        if closing:
            release(messages)  # there may be no slot any more that would do so

    # --- Stopping --------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Start nothing more; what waits is given back to its queue."""
        with self._room:
            self._closing = True
            self._room.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait until nothing runs any more; tell whether it came to that."""
        deadline = time.monotonic() + seconds
        for slot in list(self._slots):
            if slot.thread is not None:
                slot.thread.join(max(0.0, deadline - time.monotonic()))
        return not self._slots

    def interrupt(self) -> None:
        """Have every process give its job back and end."""
        for slot in list(self._slots):
            slot.environment.interrupt()

    def kill(self) -> None:
        """End every process now."""
        for slot in list(self._slots):
            slot.environment.kill()

    # --- One slot's thread -----------------------------------------------------------------------------------

    def _serve(self, slot: _Slot) -> None:
        """Run one parcel after the other until the slot retires or the worker stops."""
        while not self._start(slot):
            if self._closing:
                break
            time.sleep(_START_AGAIN_SECONDS)
        while not slot.retiring and not (self._closing and not self._line):
            parcel = self._next(slot)
            if parcel is None:
                continue
            try:
                self._handle(slot.environment, parcel)
                if not slot.environment.started and not self._closing:
                    self._start(slot)  # recycled or lost: the next job shall not wait for it
            finally:
                with self._room:
                    slot.parcel = None
                    self._room.notify_all()
        slot.environment.kill()
        with self._room:
            self._slots.remove(slot)
            self._room.notify_all()

    def _start(self, slot: _Slot) -> bool:
        try:
            slot.environment.start()
        except EnvironmentLost as error:
            logger.error("a process did not start", extra={"cause": str(error)})
            return False
        with self._room:
            slot.ready = True
            self._room.notify_all()
        return True

    def _next(self, slot: _Slot) -> Parcel | None:
        """Take the most urgent parcel of the line into `slot`; None after a while without one."""
        with self._room:
            self._room.wait_for(lambda: self._line or self._closing or slot.retiring, _LOOK_SECONDS)
            if not self._line or slot.retiring:
                return None
            slot.parcel = heapq.heappop(self._line)
            return slot.parcel

    def _handle(self, environment: Environment, parcel: Parcel) -> None:
        """Run a parcel, or give it back where it waited so long that somebody else may soon have it."""
        late = time.monotonic() - parcel.since > settings.get().lease_seconds / 2
        if late or self._closing:
            release(parcel.messages)
        else:
            self._run(environment, parcel)

    def _run(self, environment: Environment, parcel: Parcel) -> None:
        function = parcel.messages[0].queue
        event = sqs_event(parcel.messages, visibility=settings.get().hidden_seconds)
        try:
            answer = environment.call(Call(function=function, event=event, seconds=_time_limit(function)))
        except EnvironmentLost as error:
            # The messages come back when their lease is over; the next run sees what became of this one.
            if not self._closing:
                logger.warning("environment lost", extra={"cause": str(error)})
            return
        if answer.error:
            return
        keep = failed_ids(answer.result)
        done = [message for message in parcel.messages if message.message_id not in keep]
        delete(done)
        with self._room:
            self.jobs_done += len(done)


def delete(messages: Sequence[Received]) -> None:
    """Delete messages of one queue, ten at most, that nobody needs any more."""
    if not messages:
        return
    queues, name = services.queues(), messages[0].queue
    try:
        if len(messages) == 1:
            queues.delete(name, messages[0].receipt)
        else:
            queues.delete_many(name, [message.receipt for message in messages])
    except SyncBoardError as error:
        # They come back, and their rows will say that they are void.
        logger.warning("messages not deleted", extra={"queue": name, "cause": error.message})


def release(messages: Sequence[Received]) -> None:
    """Make received messages visible again, for whoever can work on them."""
    for message in messages:
        try:
            services.queues().hide(message.queue, message.receipt, 0)
        except SyncBoardError:
            logger.warning("message not released", extra={"queue": message.queue})


def _time_limit(function: str) -> float:
    """Return how long a call of a function may take, in seconds."""
    limit = CONTAINER_SECONDS if function in CONTAINER_OF else FUNCTION_SECONDS
    return max(limit, settings.get().run_seconds + _BEYOND_SECONDS)
