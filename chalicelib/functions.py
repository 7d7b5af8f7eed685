"""The bodies of the event functions: from a Lambda event to the engine and back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from chalicelib import capabilities, services, settings
from chalicelib.aws.queues import Received
from chalicelib.capabilities import Capability, CapabilityState
from chalicelib.errors import SyncBoardError, Unavailable
from chalicelib.jobs.intake import Intake
from chalicelib.jobs.light import LightConsumer
from chalicelib.jobs.sweeper import Sweeper
from chalicelib.logs import logger

BatchResponse = dict[str, list[dict[str, str]]]


class LambdaContext(Protocol):
    """What we use of Lambda's context object."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left of this call's time."""


def work(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Work on the jobs that an SQS event calls for, and say what the function behind its queue can do."""
    received = _received(event)
    records = zip(received, event["Records"], strict=True)
    leased = [message for message, record in records if _leased(message, record)]
    for queue in {message.queue for message in received}:
        _offer(os.getpid(), queue)
    keep = _consumer(os.getpid()).consume(leased, seconds_left=context.get_remaining_time_in_millis() / 1000)
    return _failures([*keep, *(message.message_id for message in received if message not in leased)])


def _leased(message: Received, record: dict[str, Any]) -> bool:
    """Make sure that a message comes back within a lease if this run is killed; False: leave it alone now.

    On Lambda it is hidden for six times the function's time-out; a worker of our own received it with the lease.
    """
    if "visibilityTimeout" in record:
        return True
    try:
        services.queues().hide(message.queue, message.receipt, settings.get().hidden_seconds)
    except Unavailable as error:
        logger.warning("message kept", extra={"cause": error.message, "message_id": message.message_id})
        return False
    return True


def take_in(event: dict[str, Any]) -> BatchResponse:
    """Start the jobs whose uploads an SQS event of S3 notifications names."""
    intake = Intake(services.table(), services.queues(), services.objects())
    keep = []
    for message in _received(event):
        try:
            intake.handle(message.body)
        except (SyncBoardError, msgspec.DecodeError) as error:
            logger.warning("S3 event kept", extra={"cause": str(error), "message_id": message.message_id})
            keep.append(message.message_id)
        except Exception:
            # Whatever it is, it concerns this event: the others of the batch are handled.
            logger.exception("S3 event kept", extra={"message_id": message.message_id})
            keep.append(message.message_id)
    return _failures(keep)


def sweep() -> dict[str, int]:
    """Set right what got stuck; return the counts of `sweeper.Swept`."""
    swept = Sweeper(services.table(), services.queues(), services.objects()).sweep()
    counts: dict[str, int] = msgspec.to_builtins(swept)
    return counts


@lru_cache(maxsize=1)
def _consumer(_pid: int) -> LightConsumer:
    """Make this process's consumer; once, so that its warm child is kept whichever queue calls."""
    return LightConsumer(
        services.table(), services.queues(), services.objects(), worker=services.worker_name()
    )


@lru_cache(maxsize=8)
def _offer(_pid: int, queue: str) -> None:
    """Say what this process can do; once."""
    capabilities.report_queue(services.table(), queue, Capability(state=CapabilityState.READY))


def _received(event: dict[str, Any]) -> list[Received]:
    return [
        Received(
            queue=_queue_name(record["eventSourceARN"]),
            body=record["body"],
            receipt=record["receiptHandle"],
            message_id=record["messageId"],
            receive_count=int(record.get("attributes", {}).get("ApproximateReceiveCount", "1")),
        )
        for record in event["Records"]
    ]


def _queue_name(arn: str) -> str:
    """Return our name of the queue whose ARN ends like its URL."""
    physical = arn.rpartition(":")[2]
    for name, url in settings.get().queues.items():
        if url.rpartition("/")[2] == physical:
            return name
    raise settings.SettingsError(f"no SYNCBOARD_QUEUE_… variable holds the queue {physical}")


def _failures(keep: Sequence[str]) -> BatchResponse:
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in keep]}
