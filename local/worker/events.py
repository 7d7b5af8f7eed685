"""SQS events as Lambda's event source mapping builds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chalicelib import settings
from chalicelib.aws.queues import Received


def sqs_event(received: Sequence[Received], *, visibility: int) -> dict[str, Any]:
    """Return the event for one call of a handler.

    `visibilityTimeout` is ours: it tells the handler that the messages were received with a lease's visibility
    already, so that it need not ask for one.
    """
    return {"Records": [_record(message, visibility) for message in received]}


def failed_ids(response: object) -> set[str]:
    """Return the message ids that a handler's answer says must be kept."""
    if not isinstance(response, dict):
        return set()
    return {failure["itemIdentifier"] for failure in response.get("batchItemFailures", [])}


def _record(message: Received, visibility: int) -> dict[str, Any]:
    physical = settings.get().queue_url(message.queue).rpartition("/")[2]
    return {
        "messageId": message.message_id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receive_count)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:local:000000000000:{physical}",
        "awsRegion": "local",
        "visibilityTimeout": visibility,
    }
