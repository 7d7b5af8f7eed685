"""Fetching links and posting webhooks, guarded: a child process does it, that reaches public addresses only.

The child is the parsers' sandbox (`ingest.sandbox`) with a network policy: each connection's real address is
judged when it is made, programs are refused, memory, file size and wall time are bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from chalicelib import settings
from chalicelib.errors import ParserCrashed, Unreachable
from chalicelib.ingest.confinement import MB, Limits
from chalicelib.ingest.document import ProgressCallback, ignore_progress
from chalicelib.ingest.sandbox import run_sandboxed
from chalicelib.logs import logger
from chalicelib.net.addresses import NetworkPolicy
from chalicelib.net.client import Answer, Authorities, Fetched, Request, download, send

__all__ = ["Answer", "Fetched", "fetch", "network_policy", "post"]

Result = TypeVar("Result")

# Ample for the client, and for the names' and certificates' libraries under it.
_MEMORY_BYTES = 256 * MB


def network_policy() -> NetworkPolicy:
    """Return the policy that the settings state."""
    return NetworkPolicy.parse(settings.get().network_allow or "")


def fetch(
    url: str,
    path: Path,
    *,
    max_bytes: int,
    seconds: float,
    on_progress: ProgressCallback = ignore_progress,
) -> Fetched:
    """Get what `url` leads to into the file `path`; return what the server said of it.

    Redirects are followed, five at most. `seconds` is wall time for all of it. Progress counts bytes.

    Raise UnsupportedUrl, BlockedAddress, SourceNotFound (404, 410), SourceRefused (any other 4xx), TooLarge,
    InsecureConnection: permanent. Raise Unreachable (no answer, 5xx, 408, 425, 429, too slow): transient. Raise
    RetryAfter where the server says when to come back.
    """
    return _guarded(
        download,
        _request(url),
        str(path.resolve()),
        max_bytes,
        result_type=Fetched,
        limits=Limits(memory_bytes=_MEMORY_BYTES, seconds=seconds, file_bytes=max_bytes + MB),
        on_progress=on_progress,
    )


def post(url: str, body: bytes, headers: dict[str, str], *, seconds: float) -> Answer:
    """Post `body` to `url` and return the answer whatever its status; redirects are not followed.

    Raise UnsupportedUrl, BlockedAddress, InsecureConnection: permanent. Raise Unreachable: transient.
    """
    return _guarded(
        send,
        _request(url),
        body,
        headers,
        result_type=Answer,
        limits=Limits(memory_bytes=_MEMORY_BYTES, seconds=seconds, file_bytes=MB),
    )


def _request(url: str) -> Request:
    return Request(url=url, policy=network_policy(), authorities=Authorities.of_system())


def _guarded(
    function: Callable[..., object],
    *args: Any,
    result_type: type[Result],
    limits: Limits,
    on_progress: ProgressCallback = ignore_progress,
) -> Result:
    """Run `function` in the child; a child that was killed or broke is a server that can't be reached."""
    request: Request = args[0]
    try:
        return run_sandboxed(
            function,
            *args,
            result_type=result_type,
            limits=limits,
            on_progress=on_progress,
            network=request.policy,
        )
    except ParserCrashed as crash:
        if crash.details["cause"] == "time_limit":
            raise Unreachable(
                f"The server did not finish within {limits.seconds:g} seconds.", limit_seconds=limits.seconds
            ) from crash
        logger.warning("the guarded client broke", extra={"cause": crash.message})
        raise Unreachable("The server can't be reached: what it answers can't be handled.") from crash
