"""The event functions on moto, each held to its own policy: intake, sweeper, and a worker of the zip."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from chalicelib import functions, services, settings
from chalicelib.aws.expressions import Update
from chalicelib.aws.queues import dead_letters
from chalicelib.jobs import messages
from chalicelib.jobs.job import Job, from_item, job_key
from chalicelib.jobs.states import State
from tests import permissions
from tests.unit.conftest import Api


class Context:
    """Lambda's, with a minute left."""

    aws_request_id = "r"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def letters(api: Api) -> Iterator[None]:
    """Dead-letter queues, which the sweeper looks into."""
    sqs = boto3.client("sqs")
    urls = [sqs.create_queue(QueueName=f"unit-{dead_letters(name)}")["QueueUrl"] for name in settings.QUEUES]
    yield
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


def sqs_event(queue: str, *bodies: str) -> dict[str, Any]:
    """Return the event of Lambda's for messages that are in the queue."""
    for body in bodies:
        services.queues().send(queue, body)
    received = services.queues().receive(queue, limit=10, wait=0, visibility=60)
    return {
        "Records": [
            {
                "messageId": message.message_id,
                "receiptHandle": message.receipt,
                "body": message.body,
                "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:unit-{queue}",
            }
            for message in received
        ]
    }


def awaiting(api: Api, *, uploaded: bool = True) -> Job:
    """Ask for a form and upload as a browser would; no event tells of it."""
    answer = api.post("/uploads", {"filename": "a.md", "size": 20, "content_type": "text/markdown"})
    job = row(answer.json_body["job_id"])
    if uploaded:
        boto3.client("s3").put_object(
            Bucket="unit-bucket", Key=job.params["source"], Body=b"# A note\n\nOf words."
        )
    return job


def row(job_id: str) -> Job:
    item = services.table().get(job_key(job_id))
    assert item is not None
    return from_item(item)


def due(job: Job) -> None:
    """Let the sweeper look at a job now, as if it had waited for a day."""
    services.table().write(Update(key=job.key, set={"check_at": 1, "updated_at": 1, "created_at": 1}))


def test_intake_may_start_what_was_uploaded(api: Api) -> None:
    job = awaiting(api)
    told = {"Records": [{"s3": {"object": {"key": job.params["source"]}}}]}
    event = sqs_event("intake", json.dumps(told))
    with permissions.watched("policy-intake.json"):
        answer = functions.take_in(event)
    assert answer == {"batchItemFailures": []}
    assert row(job.job_id).queue == "uploads"
    assert row(job.job_id).dispatch == 1


@pytest.mark.usefixtures("letters")
def test_the_sweeper_may_set_right_what_got_stuck(api: Api) -> None:
    lost_event, never_uploaded = awaiting(api), awaiting(api, uploaded=False)
    given_up = row(api.upload().json_body["job_id"])
    lost_message = row(api.upload("b.md", b"# Another\n\nOne of words.").json_body["job_id"])
    services.queues().send(
        dead_letters("uploads"), messages.encode(messages.CallToWork(job_id=given_up.job_id, dispatch=1))
    )
    for job in (lost_event, never_uploaded, lost_message):
        due(job)
    with permissions.watched("policy-sweeper.json"):
        swept = functions.sweep()
    assert (swept["dead_letters"], swept["upload_missing"]) == (1, 1)
    assert swept["sent"] >= 2
    assert row(given_up.job_id).state is row(never_uploaded.job_id).state is State.FAILURE
    assert row(lost_event.job_id).dispatch == 1


def test_a_worker_may_end_light_jobs(api: Api) -> None:
    job_ids = [api.post("/jobs", {"task": "noop"}).json_body["job_id"] for _ in range(3)]
    event = sqs_event("low_priority")
    with permissions.watched("policy-low_priority.json"):
        answer = functions.work(event, Context())
    assert answer == {"batchItemFailures": []}
    assert {row(job_id).state for job_id in job_ids} == {State.SUCCESS}
