"""Light jobs, up to a delivery's worth together: taken in one transaction, ended in one, without a child process.

A light task is quick and bounded by construction, so the time goes into requests; here ten jobs share them:

    BatchGetItem · TransactWriteItems (take) · the work, in this process · TransactWriteItems (end and count)
    · one update per owner whose jobs leave the window

Every promise of the one-by-one path holds, because each write carries that path's own conditions. A job whose
write is refused, and every message that is not a light job's first, plain delivery, goes through that path.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from chalicelib import metrics, settings
from chalicelib.aws.expressions import Equals, Key, Update
from chalicelib.aws.queues import Received
from chalicelib.aws.table import TransactionFailed
from chalicelib.errors import SyncBoardError, Unavailable
from chalicelib.jobs import counters, messages, stopping
from chalicelib.jobs.consumer import Consumer
from chalicelib.jobs.fairness import Window
from chalicelib.jobs.job import Job, from_item, job_key, new_id
from chalicelib.jobs.lightrun import LightRun
from chalicelib.jobs.messages import CallToWork
from chalicelib.jobs.states import State
from chalicelib.jobs.stopping import Stopping
from chalicelib.jobs.transitions import Lease, start_fields, taking
from chalicelib.logs import logger
from chalicelib.tasks.registry import TASKS

# DynamoDB's own limit of writes in one transaction.
_MAX_WRITES = 100
# Conflicts with another transaction (a shared counter, say): tried again this often, then job by job.
_CONFLICT_TRIES = 3


class LightConsumer(Consumer):
    """A consumer that works on light jobs together, and on all others one by one."""

    def consume(self, received: Iterable[Received], *, seconds_left: float) -> list[str]:
        """Work on messages; return the ids of those that must not be deleted. See `Consumer.consume`."""
        began = time.monotonic()
        calls, others = _split(received)
        keep: list[str] = []
        if calls and not settings.get().max_running and not stopping.requested():
            refused, keep = self._together(calls)
            others = [*refused, *others]
        else:
            others = [*(message for message, _ in calls), *others]
        return keep + super().consume(others, seconds_left=seconds_left - (time.monotonic() - began))

    def _together(self, calls: Sequence[tuple[Received, CallToWork]]) -> tuple[list[Received], list[str]]:
        """Work on light jobs; return the messages to handle one by one, and the ids of those to keep."""
        try:
            runs, refused = self._take_all(calls)
        except SyncBoardError as error:
            logger.warning("messages kept", extra={"cause": error.message, "messages": len(calls)})
            return [], [message.message_id for message, _ in calls]
        began = time.monotonic()
        try:
            keep = self._work_all(runs, began + settings.get().lease_seconds / 2)
        except Stopping:
            for run in runs:
                if not run.over:
                    self._give_back(run.job, run.token)
            raise
        if runs:
            failed = sum(run.outcome.error is not None for run in runs)
            took = round(time.monotonic() - began, 3)
            logger.info("light jobs", extra={"jobs": len(runs), "errors": failed, "seconds": took})
        return refused, keep

    # --- Taking --------------------------------------------------------------------------------------------

    def _take_all(
        self, calls: Sequence[tuple[Received, CallToWork]]
    ) -> tuple[list[LightRun], list[Received]]:
        """Take every job that waits for its message; return the runs, and the messages of the other jobs."""
        rows = self.table.get_many([job_key(call.job_id) for _, call in calls])
        ready: list[tuple[Received, Job]] = []
        others: list[Received] = []
        for message, call in calls:
            row = rows.get(job_key(call.job_id))
            job = from_item(row) if row else None
            if job is not None and _waits_for(job, call):
                ready.append((message, job))
            else:
                others.append(message)
        while ready:
            takes = [self._take_one(job) for _, job in ready]
            try:
                self.table.transact([write for write, _ in takes])
            except TransactionFailed as error:
                lost = error.failed or frozenset(range(len(ready)))
                others += [message for i, (message, _) in enumerate(ready) if i in lost]
                ready = [entry for i, entry in enumerate(ready) if i not in lost]
                continue
            return [
                LightRun(job, message, table=self.table, objects=self.ending.objects, together=len(ready))
                for (message, _), (_, job) in zip(ready, takes, strict=True)
            ], others
        return [], others

    def _take_one(self, job: Job) -> tuple[Update, Job]:
        """Build the write of `JobStore.take`, and the job as it is then.

        A transaction returns no rows, so the attempt is a condition: what was read is what is taken.
        """
        lease = Lease(dispatch=job.dispatch, run=new_id(), worker=self.worker, until=self._lease_end())
        fields = start_fields(lease)
        write = taking(job.job_id, lease, fields, Equals("attempt", job.attempt))
        taken = msgspec.structs.replace(
            job, state=State.PROCESSING, attempt=job.attempt + 1, resumed_at=0, **fields
        )
        return write, taken

    # --- Working and ending --------------------------------------------------------------------------------

    def _work_all(self, runs: Sequence[LightRun], deadline: float) -> list[str]:
        """Work on taken jobs until `deadline` (monotonic), which the leases outlast; return the ids to keep."""
        for run in runs:
            if time.monotonic() > deadline:
                self._give_back(run.job, run.token)
                run.over = True
            else:
                with stopping.interruptible():
                    run.work()
        good = [run for run in runs if run.writes and run.outcome.error is None and not run.over]
        if self._publish_together(good):
            for run in good:
                run.over = True
        else:
            for run in good:
                run.publish_alone()
        return self._follow_up_all(runs, together={run.job.job_id for run in good if run.over})

    def _publish_together(self, runs: Sequence[LightRun]) -> bool:
        """Publish and count all of them in one transaction; False where that can't be done or is not known."""
        writes = [
            *(write for run in runs for write in run.writes),
            *_summed(counters.ended(run.job, State.SUCCESS) for run in runs),
        ]
        # A transaction takes so many writes, and one for each item.
        if not runs or len(writes) > _MAX_WRITES or len({write.key for write in writes}) < len(writes):
            return False
        for _ in range(_CONFLICT_TRIES):
            try:
                self.table.transact(writes)
            except TransactionFailed as error:
                if error.failed:
                    return False
            except Unavailable:
                return False  # it may have gone through: each run finds out for itself
            else:
                return True
        return False

    def _follow_up_all(self, runs: Sequence[LightRun], *, together: set[str]) -> list[str]:
        """Settle what went wrong, let the next jobs in; return the ids of messages to keep."""
        keep: list[str] = []
        leaving: dict[str, list[LightRun]] = {}
        for run in runs:
            if run.job.job_id in together and not run.job.webhook and run.job.attempt == 1:
                leaving.setdefault(run.job.owner, []).append(run)
                continue
            with _isolated(keep, [run]):
                self._finish(run)
        for owner, ended in leaving.items():
            with _isolated(keep, ended):
                Window(self.table, self.queues, owner).leave_together({run.job.job_id for run in ended})
                metrics.jobs_ended(run.ended() for run in ended)
        return keep

    def _finish(self, run: LightRun) -> None:
        """Do what `Consumer` does after one run."""
        if run.outcome.error is not None and not run.over:
            self._settle(run.job, run.token, run.outcome.error)
        run.over = True
        self._follow_up(run.job)


@contextmanager
def _isolated(keep: list[str], runs: Sequence[LightRun]) -> Iterator[None]:
    """Keep the messages of `runs` where the database is away; other runs go on."""
    try:
        yield
    except SyncBoardError as error:
        ids = [run.job.job_id for run in runs]
        logger.warning("messages kept", extra={"cause": error.message, "job_ids": ids})
        keep += [run.message.message_id for run in runs]


def _split(
    received: Iterable[Received],
) -> tuple[list[tuple[Received, CallToWork]], list[Received]]:
    """Return the light calls, each job once, and all other messages."""
    calls: dict[str, tuple[Received, CallToWork]] = {}
    others = []
    for message in received:
        try:
            call = messages.decode(message.body)
        except messages.UnreadableMessage:
            others.append(message)
            continue
        if call.light and call.job_id not in calls:
            calls[call.job_id] = (message, call)
        else:
            others.append(message)
    return list(calls.values()), others


def _waits_for(job: Job, call: CallToWork) -> bool:
    """Tell whether a job is one that this message may start, and its task is light."""
    task = TASKS.get(job.task)
    waiting = job.state in (State.PENDING, State.RETRY) and job.dispatch == call.dispatch
    return waiting and task is not None and task.light


def _summed(updates: Iterable[Update]) -> list[Update]:
    """Return one update a key that adds what these add."""
    totals: dict[Key, Counter[str]] = {}
    for update in updates:
        totals.setdefault(update.key, Counter()).update(update.add)
    return [Update(key=key, add=dict(total)) for key, total in totals.items()]
