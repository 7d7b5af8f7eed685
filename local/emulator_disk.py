"""Refuse uploads when the disk is nearly full.

MiniStack 1.5.33 answers 200 to an object that it could not write, keeps it in memory and has lost it after the next
start. So uploads end first, while there is room for the state. Runs inside the emulator's environment.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Final

from local.emulator_saver import Application, Receive, Scope, Send

# Kept free for snapshots of the state and for what else lives on the disk.
RESERVE_BYTES: Final = 256 * 1024 * 1024

log = logging.getLogger("syncboard.emulator")


class DiskGuard:
    """An ASGI application in front of another: 503 to uploads that do not fit onto the disk of `folder`."""

    def __init__(self, application: Application, folder: Path, reserve: int = RESERVE_BYTES) -> None:
        self._application = application
        self._folder = folder
        self._reserve = reserve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and self._does_not_fit(scope):
            log.error("The disk of %s is nearly full: an upload was refused.", self._folder)
            await _refuse(send)
        else:
            await self._application(scope, receive, send)

    def _does_not_fit(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        if not _is_upload(scope["method"], headers):
            return False
        size = headers.get(b"content-length", b"")
        needed = int(size) if size.isdigit() else 0
        return shutil.disk_usage(self._folder).free < needed + self._reserve


def _is_upload(method: str, headers: dict[bytes, bytes]) -> bool:
    """Tell an object's PUT, or a browser's form, from calls of other services."""
    if b"x-amz-target" in headers:
        return False
    return method == "PUT" or (
        method == "POST" and headers.get(b"content-type", b"").startswith(b"multipart/form-data")
    )


async def _refuse(send: Send) -> None:
    body = b"<Error><Code>ServiceUnavailable</Code><Message>The disk is full.</Message></Error>"
    headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(body)).encode())]
    # The body is not read: the connection can't be used again.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
