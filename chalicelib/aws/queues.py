"""SQS: send, receive, hide, delete. One message is one call to work on one job."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import settings
from chalicelib.aws import clients
from chalicelib.errors import Unavailable

# SQS's own limits.
MAX_DELAY_SECONDS = 900
MAX_BATCH = 10
# What a dead-letter queue's name and URL end with (infra/data.yaml).
_DEAD_LETTERS = "-dlq"


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery of a message."""

    # Queue name, as in settings.QUEUES.
    queue: str
    body: str
    # Names this delivery; needed to hide or delete it.
    receipt: str
    message_id: str
    # Deliveries so far, this one included.
    receive_count: int


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """A queue's approximate counts of messages."""

    visible: int
    in_flight: int
    delayed: int

    @property
    def total(self) -> int:
        """All messages, whatever they wait for."""
        return self.visible + self.in_flight + self.delayed


def dead_letters(queue: str) -> str:
    """Return the name of a queue's dead-letter queue; every method below takes it like any other name."""
    return queue + _DEAD_LETTERS


class Queues(Protocol):
    """What the engine needs of a message queue."""

    def send(self, queue: str, body: str, *, delay: float = 0, group: str | None = None) -> None:
        """Send one message, visible after `delay` seconds (at most 900); `group` is the tenant it counts for."""

    def send_many(self, queue: str, bodies: Sequence[str], *, group: str | None = None) -> list[int]:
        """Send up to ten messages in one request; return the places in `bodies` of those that were not taken."""

    def hide(self, queue: str, receipt: str, seconds: float) -> None:
        """Keep a received message invisible for `seconds` from now. A delivery that is over is no error."""

    def delete(self, queue: str, receipt: str) -> None:
        """Delete a received message. Twice is no error."""

    def delete_many(self, queue: str, receipts: Sequence[str]) -> None:
        """Delete up to ten received messages in one request. What fails comes back by itself."""

    def receive(self, queue: str, *, limit: int, wait: int, visibility: int) -> list[Received]:
        """Receive up to `limit` (≤ 10) messages, waiting up to `wait` s for the first; hidden for `visibility` s."""

    def depth(self, queue: str) -> Depth:
        """Return approximate counts."""


@contextmanager
def _aws_errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise Unavailable(f"The queue answered {error.response['Error']['Code']}.") from error
    except BotoCoreError as error:
        raise Unavailable("The queue does not answer.") from error


def _url(queue: str) -> str:
    name = queue.removesuffix(_DEAD_LETTERS)
    return settings.get().queue_url(name) + queue.removeprefix(name)


# A delivery that ended (visibility ran out, message deleted) is none of the caller's trouble.
_GONE = ("ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight")


@contextmanager
def _gone_is_no_error() -> Iterator[None]:
    """Let a delivery that is over pass; used around `_aws_errors`, whose cause says which error it was."""
    try:
        yield
    except Unavailable as error:
        cause = error.__cause__
        code = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else ""
        if not any(gone in code for gone in _GONE):
            raise


class SqsQueues:
    """`Queues` on SQS; the URLs come from settings."""

    def send(self, queue: str, body: str, *, delay: float = 0, group: str | None = None) -> None:
        """See `Queues.send`."""
        parameters: dict[str, Any] = {"QueueUrl": _url(queue), "MessageBody": body}
        if delay > 0:
            parameters["DelaySeconds"] = min(MAX_DELAY_SECONDS, max(1, round(delay)))
        if group:
            parameters["MessageGroupId"] = group  # fair queues: on a standard queue this names the tenant
        with _aws_errors():
            clients.sqs().send_message(**parameters)

    def send_many(self, queue: str, bodies: Sequence[str], *, group: str | None = None) -> list[int]:
        """See `Queues.send_many`."""
        tenant = {"MessageGroupId": group} if group else {}
        entries: Any = [{"Id": str(i), "MessageBody": body, **tenant} for i, body in enumerate(bodies)]
        with _aws_errors():
            answer = clients.sqs().send_message_batch(QueueUrl=_url(queue), Entries=entries)
        return [int(failed["Id"]) for failed in answer.get("Failed", [])]

    def hide(self, queue: str, receipt: str, seconds: float) -> None:
        """See `Queues.hide`."""
        with _gone_is_no_error(), _aws_errors():
            clients.sqs().change_message_visibility(
                QueueUrl=_url(queue),
                ReceiptHandle=receipt,
                VisibilityTimeout=max(0, min(43_200, math.ceil(seconds))),
            )

    def delete(self, queue: str, receipt: str) -> None:
        """See `Queues.delete`."""
        with _gone_is_no_error(), _aws_errors():
            clients.sqs().delete_message(QueueUrl=_url(queue), ReceiptHandle=receipt)

    def delete_many(self, queue: str, receipts: Sequence[str]) -> None:
        """See `Queues.delete_many`."""
        entries: Any = [{"Id": str(i), "ReceiptHandle": receipt} for i, receipt in enumerate(receipts)]
        with _aws_errors():
            clients.sqs().delete_message_batch(QueueUrl=_url(queue), Entries=entries)

    def receive(self, queue: str, *, limit: int, wait: int, visibility: int) -> list[Received]:
        """See `Queues.receive`."""
        with _aws_errors():
            answer = clients.sqs_polling().receive_message(
                QueueUrl=_url(queue),
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=wait,
                VisibilityTimeout=visibility,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [
            Received(
                queue=queue,
                body=raw["Body"],
                receipt=raw["ReceiptHandle"],
                message_id=raw["MessageId"],
                receive_count=int(raw.get("Attributes", {}).get("ApproximateReceiveCount", "1")),
            )
            for raw in answer.get("Messages", [])
        ]

    def depth(self, queue: str) -> Depth:
        """See `Queues.depth`."""
        with _aws_errors():
            attributes = clients.sqs().get_queue_attributes(
                QueueUrl=_url(queue),
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                    "ApproximateNumberOfMessagesDelayed",
                ],
            )["Attributes"]
        return Depth(
            visible=int(attributes["ApproximateNumberOfMessages"]),
            in_flight=int(attributes["ApproximateNumberOfMessagesNotVisible"]),
            delayed=int(attributes.get("ApproximateNumberOfMessagesDelayed", "0")),
        )
