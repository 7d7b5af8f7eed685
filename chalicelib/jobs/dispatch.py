"""Row first, then message: how a job comes to its queue, the first time and every later time."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.aws.queues import MAX_BATCH, MAX_DELAY_SECONDS, Queues
from chalicelib.errors import Unavailable
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.messages import CallToWork, encode
from chalicelib.jobs.states import Stage
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.logs import logger
from chalicelib.tasks.registry import TASKS


def send(queues: Queues, job: Job, *, delay: float = 0) -> None:
    """Send the message of a job's current dispatch, in its owner's group."""
    queues.send(job.queue, _body(job), delay=delay, group=job.owner)


def send_all_or_leave(store: JobStore, queues: Queues, jobs: Sequence[Job]) -> None:
    """Send the messages of one owner's jobs, ten a request; see `send_or_leave`."""
    of_queue: dict[str, list[Job]] = {}
    for job in jobs:
        of_queue.setdefault(job.queue, []).append(job)
    for queue, waiting in of_queue.items():
        for start in range(0, len(waiting), MAX_BATCH):
            batch = waiting[start : start + MAX_BATCH]
            try:
                failed = queues.send_many(queue, [_body(job) for job in batch], group=batch[0].owner)
            except Unavailable:
                failed = list(range(len(batch)))
            for place in failed:
                send_or_leave(store, queues, batch[place])


def _body(job: Job) -> str:
    task = TASKS.get(job.task)
    light = task is not None and task.light
    return encode(CallToWork(job_id=job.job_id, dispatch=job.dispatch, light=light))


def send_or_leave(store: JobStore, queues: Queues, job: Job, *, delay: float = 0) -> None:
    """Send a job's message; if that can't be done now, leave it to the sweeper.

    The row is durable, so the caller has been told no lie: an unsent job, like one that is due later than SQS
    can delay, is sent when its `check_at` has come.
    """
    if delay > MAX_DELAY_SECONDS:
        return
    try:
        send(queues, job, delay=delay)
    except Unavailable as error:
        logger.warning(
            "message not sent, left to the sweeper", extra={"job_id": job.job_id, "cause": error.message}
        )
        try:
            store.look_again(job, check_at=now_ms(), stage=Stage.SCHEDULED)
        except (Refused, Unavailable):
            logger.warning("the sweeper will find it at its own time", extra={"job_id": job.job_id})
