"""Keep web pages out of the emulator, and what can run code out of it altogether.

MiniStack lets every origin read its answers and takes every `Host`: any page in a browser on this machine could use
it. Its Lambda runs what it is given. Runs inside the emulator's environment: imports nothing but the standard library
and MiniStack.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Final

from local.emulator_saver import Application, Message, Receive, Scope, Send

# MiniStack's names of the services that the data stack and its clients use (its SERVICES setting).
SERVICES: Final = ("cloudformation", "dynamodb", "monitoring", "s3", "sqs")
# What a stack may be made of: CloudFormation makes resources without asking whether their service is on.
RESOURCES: Final = frozenset(
    {
        *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::DynamoDB::Table"),
        *("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy"),
    }
)

# The emulator's own addresses: all but this one configure it, or empty it.
_OWN_PREFIXES: Final = ("/_ministack/", "/_localstack/")
_HEALTH: Final = "/_ministack/health"
# This machine by name or address, on any port.
_HOST: Final = re.compile(rb"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?", re.IGNORECASE)
# Every browser sends one of them with a page's request; no AWS SDK does.
_BROWSER_HEADERS: Final = frozenset({b"origin", b"sec-fetch-site", b"sec-fetch-mode"})
_CORS_PREFIX: Final = b"access-control-"

log = logging.getLogger("syncboard.emulator")


def restrict_resources() -> None:
    """Take away CloudFormation's makers of all resources but `RESOURCES`."""
    from ministack.services.cloudformation import provisioners

    makers = provisioners._RESOURCE_HANDLERS
    missing = RESOURCES - makers.keys()
    if missing:
        raise RuntimeError(f"this MiniStack cannot make {', '.join(sorted(missing))}")
    for name in makers.keys() - RESOURCES:
        del makers[name]


class BrowserGuard:
    """An ASGI application in front of another: 403 to whatever a web page may have sent, and no CORS headers."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
        elif scope["type"] != "http":
            # No service here speaks WebSocket; closing before the handshake answers 403.
            await send({"type": "websocket.close", "code": 1008})
        elif is_allowed(scope["path"], scope["headers"]):
            await self._application(scope, receive, _without_cors(send))
        else:
            log.warning("A request that no AWS client sends was refused: %s", ascii(scope["path"][:100]))
            await _refuse(send)


def is_allowed(path: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request is an AWS client's on this machine. `headers` have lower-case names."""
    pairs = list(headers)
    hosts = [value for name, value in pairs if name == b"host"]
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        return False
    if any(name in _BROWSER_HEADERS for name, _ in pairs):
        return False
    return path == _HEALTH or not path.startswith(_OWN_PREFIXES)


def _without_cors(send: Send) -> Send:
    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if not name.lower().startswith(_CORS_PREFIX)
            ]
            message = {**message, "headers": kept}
        await send(message)

    return send_on


async def _refuse(send: Send) -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>Not for web pages.</Message></Error>"
    headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
    # The body is not read: the connection can't be used again.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
