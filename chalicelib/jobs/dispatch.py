"""Row first, then message: how a job comes to its queue, the first time and every later time."""

from __future__ import annotations

from chalicelib.aws.queues import MAX_DELAY_SECONDS, Queues
from chalicelib.errors import Unavailable
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.messages import CallToWork, encode
from chalicelib.jobs.states import Stage
from chalicelib.jobs.store import JobStore, Refused
from chalicelib.logs import logger
from chalicelib.tasks.registry import TASKS


def send(queues: Queues, job: Job, *, delay: float = 0) -> None:
    """Send the message of a job's current dispatch, in its owner's group."""
    task = TASKS.get(job.task)
    light = task is not None and task.light
    body = encode(CallToWork(job_id=job.job_id, dispatch=job.dispatch, light=light))
    queues.send(job.queue, body, delay=delay, group=job.owner)


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
