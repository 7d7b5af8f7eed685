"""`deliver_webhook`: posts the end of a job to the address that its owner gave."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from chalicelib.errors import RetryAfter, Unreachable, WebhookRefused
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.webhooks import DELIVERY, EVENT, SIGNATURE, Webhooks, sign
from chalicelib.net.client import LATER
from chalicelib.net.guard import Answer, post
from chalicelib.tasks.deferral import bounded_deferrals

POST_SECONDS: Final = 30.0
_SHOWN_CHARACTERS: Final = 200


def deliver_webhook(run: Run) -> None:
    """Post `params["body"]`, signed, to `params["url"]`; the job's result is the receiver's status.

    The signature's time is new at each try, the delivery's id (the job's own) and the body are not. Raise
    WebhookRefused (a redirect, or 4xx but 408, 425 and 429) and what `guard.post` raises; Unreachable for other
    statuses, RetryAfter where the receiver says when to come back.
    """
    params = run.job.params
    body = msgspec.json.encode(params["body"])
    now = int(time.time())
    headers = {
        "Content-Type": "application/json",
        DELIVERY: run.job.job_id,
        EVENT: params["event"],
        SIGNATURE: sign(Webhooks(run.table, run.job.owner).secret(), now, run.job.job_id, body),
    }
    with bounded_deferrals(run.job):
        answer = post(params["url"], body, headers, seconds=POST_SECONDS)
        _judge(answer)
    result = {"status": answer.status, "job_id": params["job_id"], "event": params["event"]}
    run.publish(lambda: Publication(result=result))


def _judge(answer: Answer) -> None:
    """Raise what a status other than success means for a delivery."""
    status = answer.status
    if 200 <= status < 300:
        return
    if status in (429, 503) and answer.retry_after is not None:
        raise RetryAfter(
            f"The webhook's receiver asks to come back later (HTTP {status}).", answer.retry_after
        )
    if status in LATER or status >= 500:
        raise Unreachable(f"The webhook's receiver answers HTTP {status}.", status=status)
    shown = answer.body.decode("utf-8", "replace")[:_SHOWN_CHARACTERS]
    raise WebhookRefused(
        f"The webhook's receiver does not take this (HTTP {status}).", status=status, answer=shown
    )
