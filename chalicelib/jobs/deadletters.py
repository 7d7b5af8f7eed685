"""Dead letters: messages that SQS gave up after ten deliveries. What they mean for their jobs, and a way back.

A message gets here when its deliveries die before they can write anything (a function that can't start, a database
that is away for long), or when nobody can read it. The sweeper reconciles: the job of such a message fails by name
instead of waiting for ever. The message stays for the operator, until its job goes on by another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from chalicelib.aws.objects import Objects
from chalicelib.aws.queues import MAX_BATCH, Queues, Received, dead_letters
from chalicelib.aws.table import Table
from chalicelib.errors import Conflict, DeadLetter, TooManyRequests, Unavailable
from chalicelib.jobs import messages
from chalicelib.jobs.control import Control
from chalicelib.jobs.ending import Ending
from chalicelib.jobs.job import Job
from chalicelib.jobs.messages import CallToWork, UnreadableMessage
from chalicelib.jobs.states import TERMINAL, State
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.logs import logger
from chalicelib.settings import QUEUES

# Its messages are S3 events, not calls to work on a job.
_INTAKE: Final = "intake"
# How long messages are hidden while they are looked at; put back at once afterwards.
_PEEK_SECONDS: Final = 30
# How many are looked at in one go.
_MOST: Final = 200


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter, and the job that it names."""

    message_id: str
    # The queue that it was sent to.
    queue: str
    body: str
    # Deliveries so far, looks at it included.
    receive_count: int
    # Job that it names and that job's state; empty for an unreadable one or a job that is gone.
    job_id: str = ""
    state: str = ""


class Redriven(msgspec.Struct, frozen=True, kw_only=True):
    """What a redrive did, by message id."""

    # Their work was sent out anew.
    sent: list[str]
    # Deleted: their jobs did not need them any more.
    dropped: list[str]
    # Left where they are, with the reason.
    kept: dict[str, str]


class DeadLetters:
    """The dead-letter queues, by the names of the queues that they belong to."""

    def __init__(self, table: Table, queues: Queues, objects: Objects) -> None:
        self.queues = queues
        self.store = JobStore(table)
        self.ending = Ending(table, queues, objects)
        self.control = Control(table, queues, self.ending)

    def letters(self, queue: str) -> list[Letter]:
        """Return a queue's dead letters, at most 200; they stay."""
        with self._peek(queue) as received:
            return [self._letter(queue, message) for message in received]

    def redrive(self, queue: str, ids: Collection[str] | None = None) -> Redriven:
        """Send the work of dead letters out anew (of all, or of those with these message ids).

        A failed job is retried, which gives it a fresh message, and a job that went on without this message needs
        none; the dead one is deleted then. An unreadable one stays.
        """
        done = Redriven(sent=[], dropped=[], kept={})
        with self._peek(queue) as received:
            for message in received:
                if ids is not None and message.message_id not in ids:
                    continue
                try:
                    sent = self._redrive(queue, message)
                except (UnreadableMessage, Conflict, TooManyRequests) as error:
                    done.kept[message.message_id] = str(error)
                    continue
                self.queues.delete(dead_letters(queue), message.receipt)
                (done.sent if sent else done.dropped).append(message.message_id)
        return done

    def purge(self, queue: str) -> int:
        """Delete a queue's dead letters after a last look at their jobs; return how many there were."""
        purged = 0
        while self._there(queue) and (received := self._receive(queue)):
            for message in received:
                self._reconcile(queue, message)
            self.queues.delete_many(dead_letters(queue), [message.receipt for message in received])
            purged += len(received)
        return purged

    def reconcile(self) -> int:
        """Fail the jobs that dead letters name and nobody works on; return how many. Drop letters that are void."""
        failed = 0
        for queue in QUEUES:
            try:
                if queue != _INTAKE:
                    failed += self._reconcile_queue(queue)
            except Unavailable as error:
                logger.warning("dead letters not looked at", extra={"queue": queue, "cause": error.message})
        return failed

    def _reconcile_queue(self, queue: str) -> int:
        failed = 0
        with self._peek(queue) as received:
            for message in received:
                job = self._reconcile(queue, message)
                failed += job is not None
                if job is None and self._void(queue, message):
                    self.queues.delete(dead_letters(queue), message.receipt)
        return failed

    # --- One letter ----------------------------------------------------------------------------------------

    def _letter(self, queue: str, message: Received) -> Letter:
        call = _read(queue, message)
        job = self.store.find(call.job_id) if call else None
        return Letter(
            message_id=message.message_id,
            queue=queue,
            body=message.body,
            receive_count=message.receive_count,
            job_id=call.job_id if call else "",
            state=job.state if job else "",
        )

    def _redrive(self, queue: str, message: Received) -> bool:
        """Send one letter's work out anew; False where there is nothing to do. Raise UnreadableMessage, Conflict."""
        if queue == _INTAKE:
            self.queues.send(_INTAKE, message.body)
            return True
        call = messages.decode(message.body)
        self._reconcile(queue, message)
        job = self.store.find(call.job_id)
        if job is None or job.state is not State.FAILURE or job.dispatch != call.dispatch:
            return False
        self.control.retry(job, by="an operator, from the dead letters")
        return True

    def _reconcile(self, queue: str, message: Received) -> Job | None:
        """Fail the job of one letter, if the letter is its current message and no run holds it."""
        call = _read(queue, message)
        job = self.store.find(call.job_id) if call else None
        if call is None or job is None or job.dispatch != call.dispatch or job.state in TERMINAL or job.run:
            return None
        error = DeadLetter(
            f"Its message was delivered {message.receive_count} times and nothing came of it.", queue=queue
        )
        try:
            failed = self.store.fail(job, error.as_dict())
        except Refused:
            return None  # it moved on this moment
        self.ending.after(failed)
        return failed

    def _void(self, queue: str, message: Received) -> bool:
        """Tell whether a letter can't be of use any more: its job is gone, went on or ended otherwise."""
        call = _read(queue, message)
        if call is None:
            return False
        job = self.store.find(call.job_id)
        return job is None or job.dispatch != call.dispatch or job.state in (State.SUCCESS, State.REVOKED)

    # --- The queue -----------------------------------------------------------------------------------------

    def _there(self, queue: str) -> int:
        """Return how many letters there are: cheaper than an empty receive, which waits for a second."""
        return self.queues.depth(dead_letters(queue)).visible

    def _receive(self, queue: str) -> list[Received]:
        return self.queues.receive(dead_letters(queue), limit=MAX_BATCH, wait=1, visibility=_PEEK_SECONDS)

    @contextmanager
    def _peek(self, queue: str) -> Iterator[list[Received]]:
        """Take the letters in hand, and put back those that were not deleted meanwhile."""
        received: list[Received] = []
        try:
            there = min(_MOST, self._there(queue))
            while len(received) < there and (more := self._receive(queue)):
                received += more
            yield received
        finally:
            for message in received:
                self.queues.hide(dead_letters(queue), message.receipt, 0)


def _read(queue: str, message: Received) -> CallToWork | None:
    """Return what a letter calls for; None where it can't be read, as an S3 event can't."""
    if queue == _INTAKE:
        return None
    try:
        return messages.decode(message.body)
    except UnreadableMessage:
        return None
