"""What a function does with queue messages: take the job, have it worked on, settle how it ended.

The order of writes is the whole trick: the row first, then the message. A message is deleted only when the row
says that it is not needed any more, so a crash between any two steps leaves either a row that the next delivery
understands or a row that the sweeper finds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec

from chalicelib import metrics, settings
from chalicelib.aws.objects import Objects
from chalicelib.aws.queues import MAX_DELAY_SECONDS, Queues, Received
from chalicelib.aws.table import Table
from chalicelib.errors import (
    Cancelled,
    HandOver,
    HardTimeLimit,
    StaleRun,
    SyncBoardError,
    Unavailable,
    WorkerLost,
)
from chalicelib.jobs import messages, stopping
from chalicelib.jobs.dispatch import send_or_leave
from chalicelib.jobs.ending import Ending
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.job import CHECK_AFTER_MS, Job, new_id, now_ms
from chalicelib.jobs.leases import lose, max_attempts
from chalicelib.jobs.retry import GiveUp, decide, waiting_text
from chalicelib.jobs.run import Progress
from chalicelib.jobs.states import TERMINAL, Stage, State
from chalicelib.jobs.stopping import Stopping
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.jobs.supervisor import Limits, Order, Supervisor
from chalicelib.jobs.transitions import Lease, RunToken
from chalicelib.logs import logger
from chalicelib.tasks.registry import TASKS, limits_of

# Kept free at the end of a function's time to write the outcome.
_MARGIN_SECONDS = 15.0
# A four-hour recording takes a handful of hops; this many are a loop.
_MAX_HOPS = 50
# How long a job of an owner at the running cap is put off.
_CAP_DELAY_SECONDS = 2.0
# Longer than a worker's long poll against an emulator.
_AFTER_DEAD_POLLS_SECONDS = 3.0


class _NotNow(Exception):
    """Keep the message; it comes back by itself after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


class Consumer:
    """Works on messages of the job queues. One per process: it owns the warm child."""

    def __init__(self, table: Table, queues: Queues, objects: Objects, *, worker: str) -> None:
        self.table = table
        self.ending = Ending(table, queues, objects)
        self.store = JobStore(table)
        self.queues = queues
        self.worker = worker
        self.supervisor = Supervisor()

    def consume(self, received: Iterable[Received], *, seconds_left: float) -> list[str]:
        """Work on messages one after the other; return the ids of those that must not be deleted.

        `seconds_left` is what the platform still allows this call.
        """
        deadline = time.monotonic() + seconds_left
        keep = []
        for message in received:
            if stopping.requested():
                self._hide(message, 0)  # somebody else's, at once
                keep.append(message.message_id)
                continue
            try:
                self._one(message, deadline)
            except _NotNow as later:
                self._hide(message, later.seconds)
                keep.append(message.message_id)
            except (messages.UnreadableMessage, SyncBoardError) as error:
                # Unreadable: goes to the dead letters in the end. Ours: the database or the queue is away.
                logger.warning("message kept", extra={"cause": str(error), "message_id": message.message_id})
                keep.append(message.message_id)
            except Exception:
                # Whatever it is, it concerns this message: the others of the batch are worked on.
                logger.exception("message kept", extra={"message_id": message.message_id})
                keep.append(message.message_id)
        return keep

    def _one(self, message: Received, deadline: float) -> None:
        call = messages.decode(message.body)
        job = self._take(call)
        if job is None:
            return
        token = RunToken.of(job)
        with logger.append_context_keys(job_id=job.job_id, task=job.task, attempt=job.attempt):
            logger.info("started", extra={"file": job.filename, "receive_count": message.receive_count})
            began = time.monotonic()
            try:
                with stopping.interruptible():
                    outcome = self.supervisor.run(
                        job,
                        self._limits(job, deadline),
                        lambda progress: self._beat(job, token, message, progress),
                    )
            except Stopping:
                self._give_back(job, token)
                raise
            took = round(time.monotonic() - began, 3)
            if outcome.error is None:
                logger.info("succeeded", extra={"seconds": took})
            else:
                logger.info("ended with an error", extra={"seconds": took, "error": outcome.error})
                self._settle(job, token, outcome.error)
            self._follow_up(job)

    def _follow_up(self, job: Job) -> None:
        """Do what follows a job's end, if this run was it."""
        row = self.store.find(job.job_id)
        if row is not None and row.state in TERMINAL:
            self.ending.after(row)
        elif settings.get().max_running:
            Window(self.table, self.queues, job.owner).stop_running(job.job_id)

    # --- Taking --------------------------------------------------------------------------------------------

    def _take(self, call: messages.CallToWork) -> Job | None:
        """Return the job, now held by a run of ours; None if this message is void."""
        lease = Lease(dispatch=call.dispatch, run=new_id(), worker=self.worker, until=self._lease_end())
        if settings.get().max_running and not self._may_run(call):
            return None
        try:
            return self.store.take(call.job_id, lease)
        except Refused as refusal:
            job = refusal.job
        if job is not None and job.state is State.PROCESSING and job.run == lease.run:
            return job  # our own write, whose answer was lost and which was tried again
        if job is None or job.state in TERMINAL or job.dispatch != call.dispatch:
            logger.info("void message deleted", extra={"job_id": call.job_id, "dispatch": call.dispatch})
            return None
        try:
            if job.state is State.PROCESSING and not job.run:
                return self.store.resume(job, lease)
            return self._take_over(job, lease)
        except Refused:
            raise _NotNow(1) from None  # it changed this moment: look again

    def _may_run(self, call: messages.CallToWork) -> bool:
        """Where owners have a running cap: count this one in, or defer it by a new message."""
        job = self.store.find(call.job_id)
        if job is None or job.dispatch != call.dispatch or job.state not in (State.PENDING, State.RETRY):
            return True
        if Window(self.table, self.queues, job.owner).start_running(job.job_id):
            return True
        deferred = self.store.redispatch(job, check_at=now_ms() + CHECK_AFTER_MS)
        send_or_leave(self.store, self.queues, deferred, delay=_CAP_DELAY_SECONDS)
        return False

    def _take_over(self, job: Job, lease: Lease) -> Job | None:
        """A run of this very message holds the job: wait for its lease, or declare it lost."""
        skew = settings.get().clock_skew_seconds
        wait = job.lease_until / 1000 + skew - now_ms() / 1000
        if job.state is State.PROCESSING and wait > 0:
            raise _NotNow(wait)
        if lose(self.store, self.ending, job, dispatch=job.dispatch) is None:
            return None
        return self.store.take(job.job_id, lease)

    # --- While it runs -------------------------------------------------------------------------------------

    def _limits(self, job: Job, deadline: float) -> Limits:
        limits = limits_of(job.task, job.queue, run_seconds=settings.get().run_seconds)
        left = max(1.0, deadline - time.monotonic() - _MARGIN_SECONDS)
        return Limits(
            soft=min(limits.soft_seconds, left),
            hard=min(limits.hard_seconds, left + _MARGIN_SECONDS / 2),
            beat=settings.get().lease_seconds / 3,
        )

    def _beat(self, job: Job, token: RunToken, message: Received, progress: Progress | None) -> Order:
        """Write progress, renew the lease on the row and on the message."""
        fields = msgspec.to_builtins(progress) if progress else {}
        try:
            row = self.store.renew(token, lease_until=self._lease_end(), progress=fields)
            self._hide(message, settings.get().hidden_seconds)
        except Refused as refusal:
            # A run that has published tidies up before it says so.
            published = refusal.job and refusal.job.run == token.run and refusal.job.state is State.SUCCESS
            return Order.GO_ON if published else Order.ABANDON
        except Unavailable as error:
            # The work goes on; if the lease runs out meanwhile, publishing will be refused.
            logger.warning("heartbeat failed", extra={"job_id": job.job_id, "cause": error.message})
            return Order.GO_ON
        return Order.CANCEL if row.cancel else Order.GO_ON

    def _lease_end(self) -> int:
        return now_ms() + settings.get().lease_seconds * 1000

    def _hide(self, message: Received, seconds: float) -> None:
        try:
            self.queues.hide(message.queue, message.receipt, seconds)
        except Unavailable as error:
            logger.warning("message not hidden", extra={"cause": error.message})

    # --- How it ended --------------------------------------------------------------------------------------

    def _settle(self, job: Job, token: RunToken, error: dict[str, Any]) -> None:
        """Write a run's bad end. Refused: the job went on without this run, so there is nothing to write."""
        try:
            if error["type"] == StaleRun.type:
                return
            if error["type"] == Cancelled.type:
                self.store.revoke(job, token=token)
            elif error["type"] == HandOver.type:
                self._hand_over(job, token, error)
            else:
                self._retry_or_fail(job, token, error)
        except Refused as refusal:
            state = refusal.job.state if refusal.job else None
            logger.info("outcome void", extra={"job_id": job.job_id, "state": state})

    def _hand_over(self, job: Job, token: RunToken, order: dict[str, Any]) -> None:
        """Pass a job on within its attempt: to the queue whose function can do what comes next, or to a fresh run."""
        if job.hops >= _MAX_HOPS:
            endless = HardTimeLimit(f"The work was handed on {_MAX_HOPS} times and did not come to an end.")
            self.store.fail(job, endless.as_dict(), token=token)
            return
        handed = self.store.hand_over(
            token,
            dispatch=job.dispatch + 1,
            queue=order["queue"],
            message=order["message"],
            check_at=now_ms() + CHECK_AFTER_MS,
        )
        send_or_leave(self.store, self.queues, handed)

    def _give_back(self, job: Job, token: RunToken) -> None:
        """The worker stops: another one starts this job over at once, and no attempt is spent."""
        try:
            waiting = self.store.retry(
                token,
                dispatch=job.dispatch + 1,
                check_at=now_ms() + CHECK_AFTER_MS,
                stage=Stage.QUEUED,
                message="The worker was stopped; waiting for another",
                error=None,
                spent=False,
            )
        except Refused:
            return  # it had just been finished
        logger.info("given back", extra={"job_id": job.job_id})
        # A worker that was killed may have left a long poll behind, which would swallow the message for a lease.
        send_or_leave(self.store, self.queues, waiting, delay=_AFTER_DEAD_POLLS_SECONDS)

    def _retry_or_fail(self, job: Job, token: RunToken, error: dict[str, Any]) -> None:
        config = settings.get()
        decision = decide(
            error,
            attempt=job.attempt,
            max_attempts=max_attempts(job),
            base=TASKS[job.task].backoff_seconds or config.backoff_seconds,
            cap=TASKS[job.task].backoff_cap_seconds or config.backoff_cap_seconds,
        )
        if isinstance(decision, GiveUp):
            self.store.fail(job, _final(decision.error), token=token)
            return
        due = now_ms() + round(decision.delay * 1000)
        # SQS delays a message by 15 minutes at most; a later one is sent by the sweeper when it is due.
        late = decision.delay > MAX_DELAY_SECONDS
        retried = self.store.retry(
            token,
            dispatch=job.dispatch + 1,
            check_at=due if late else due + CHECK_AFTER_MS,
            stage=Stage.SCHEDULED if late else Stage.QUEUED,
            message=waiting_text(error, decision.delay),
            # One that says how far it is has nothing wrong with it: it waits for jobs that it has started.
            error=None if "percent" in error else error,
            due_at=0 if "percent" in error else due,
            percent=error.get("percent"),
            spent=decision.spent,
        )
        metrics.retried(retried)
        send_or_leave(self.store, self.queues, retried, delay=decision.delay)


def _final(error: dict[str, Any]) -> dict[str, Any]:
    """A job that gave up because its process died every time says so by the documented name."""
    if error.get("cause") == WorkerLost.type:
        return WorkerLost(error["message"]).as_dict()
    return error
