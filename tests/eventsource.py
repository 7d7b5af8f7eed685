"""What stands between a queue and a function on Lambda: the event source mapping."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.lambdaruntime import Function, Outcome


def sqs_event(message: Mapping[str, Any], queue_arn: str) -> dict[str, Any]:
    """Return the event that an event source mapping makes of one message of `ReceiveMessage`."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": "us-east-1",
            }
        ]
    }


class Source:
    """An event source mapping of batch size one: receives, calls, deletes what did not fail."""

    def __init__(self, sqs: Any, queue_url: str, function: Function) -> None:
        self._sqs = sqs
        self.queue_url = queue_url
        self.function = function
        attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        self._arn = attributes["Attributes"]["QueueArn"]

    def deliver(self, *, seconds: float = 60.0, within: float = 60.0) -> Outcome:
        """Wait for a message, have the function called with it, and settle it as Lambda does."""
        message = self._receive(within)
        outcome = self.function.call(sqs_event(message, self._arn), seconds=seconds)
        if outcome.result is not None and not outcome.result["batchItemFailures"]:
            self._sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return outcome

    def _receive(self, within: float) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            # Hidden for as long as a mapping hides it: the function has to shorten that itself.
            answer = self._sqs.receive_message(
                QueueUrl=self.queue_url, WaitTimeSeconds=1, AttributeNames=["All"], MaxNumberOfMessages=1
            )
            for message in answer.get("Messages", []):
                return dict(message)
        raise AssertionError(f"no message in {self.queue_url} within {within} s")
