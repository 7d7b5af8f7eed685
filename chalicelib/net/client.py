"""The HTTP client as it runs in the guarded child: downloads a link into a file, posts a body.

Everything here assumes the guard: addresses are judged by the audit hook of `ingest.confinement` at each
connection, the whole takes no longer than the child lives. Proxies of the environment are never used
(urllib3 has to be told of one).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

import msgspec
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Retry, Timeout

from chalicelib.errors import (
    InsecureConnection,
    RetryAfter,
    SourceNotFound,
    SourceRefused,
    SyncBoardError,
    TooLarge,
    Unreachable,
    UnsupportedUrl,
)
from chalicelib.ingest.document import ProgressCallback, ignore_progress
from chalicelib.net.addresses import NetworkPolicy
from chalicelib.net.urls import checked

MAX_REDIRECTS: Final = 5
# As much of a webhook receiver's answer as is looked at.
ANSWER_BYTES: Final = 1024
# A server that asks for patience is asked again no sooner and no later than this, in seconds.
PATIENCE_SECONDS: Final = (30.0, 3600.0)
# Statuses by which a server says that the same request may succeed later, beside all from 500 on.
LATER: Final = frozenset({408, 425, 429})

_CHUNK: Final = 64 * 1024
_FETCH_TIMEOUT: Final = Timeout(connect=10.0, read=30.0)
_POST_TIMEOUT: Final = Timeout(connect=5.0, read=10.0)
_USER_AGENT: Final = "SyncBoard"
_GONE: Final = frozenset({404, 410})


class Authorities(msgspec.Struct, frozen=True, kw_only=True):
    """Where the certificates of trusted authorities are; both None: where OpenSSL looks by itself."""

    file: str | None = None
    folder: str | None = None

    @classmethod
    def of_system(cls) -> Authorities:
        """Find them as the process's environment says: a confined child has no environment any more."""
        found = ssl.get_default_verify_paths()
        return cls(file=found.cafile, folder=found.capath)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, and on which conditions."""

    url: str
    policy: NetworkPolicy
    authorities: Authorities


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What a link led to. The bytes are in the file that was named."""

    # Where the last redirect led; the link itself where there was none.
    final_url: str
    status: int
    # Media type as the server states it, lower-case, without parameters; empty: none stated.
    content_type: str
    # Number of bytes in the file.
    size: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver's answer to a post."""

    status: int
    # Its first bytes (1 KB).
    body: bytes
    # Seconds that it asks to wait (`Retry-After`), or None.
    retry_after: float | None


def download(
    request: Request, path: str, max_bytes: int, *, on_progress: ProgressCallback = ignore_progress
) -> Fetched:
    """Get what `request.url` leads to, over at most 5 redirects, into the file at `path`.

    Progress counts bytes. Raise UnsupportedUrl, BlockedAddress, SourceNotFound, SourceRefused, TooLarge,
    InsecureConnection (permanent), Unreachable (transient) or RetryAfter.
    """
    with _connections(request, _FETCH_TIMEOUT) as pool:
        url, response = _follow(pool, request)
        _judge(response)
        stated = response.headers.get("Content-Length", "")
        total = int(stated) if stated.isdecimal() else 0
        if total > max_bytes:
            raise _too_large(max_bytes)
        size = 0
        with Path(path).open("wb") as file:
            for chunk in response.stream(_CHUNK, decode_content=True):
                size += len(chunk)
                if size > max_bytes:
                    raise _too_large(max_bytes)
                file.write(chunk)
                on_progress(size, max(size, total), "Fetching the link")
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Fetched(final_url=url, status=response.status, content_type=content_type, size=size)


def send(
    request: Request, body: bytes, headers: dict[str, str], *, on_progress: ProgressCallback = ignore_progress
) -> Answer:
    """Post `body`; return the answer whatever its status. Redirects are not followed.

    Raise UnsupportedUrl, BlockedAddress, InsecureConnection (permanent) or Unreachable (transient).
    """
    with _connections(request, _POST_TIMEOUT) as pool:
        response = _ask(pool, "POST", checked(request.url, request.policy), headers, body=body)
        # The status is the answer; a body that does not come takes nothing from it.
        first = b""
        with suppress(HTTPError):
            first = response.read1(ANSWER_BYTES, decode_content=False)
        return Answer(status=response.status, body=first, retry_after=_retry_after(response))


@contextmanager
def _connections(request: Request, timeout: Timeout) -> Iterator[urllib3.PoolManager]:
    """Open a pool for one request; turn what urllib3 raises into our tree."""
    authorities = request.authorities
    with urllib3.PoolManager(
        timeout=timeout, retries=False, ca_certs=authorities.file, ca_cert_dir=authorities.folder
    ) as pool:
        try:
            yield pool
        except HTTPError as error:
            raise _error(error) from error


def _ask(
    pool: urllib3.PoolManager,
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    body: bytes | None = None,
) -> urllib3.BaseHTTPResponse:
    return pool.request(
        method,
        url,
        body=body,
        headers={"User-Agent": _USER_AGENT, "Accept": "*/*", **headers},
        redirect=False,
        preload_content=False,
    )


def _follow(pool: urllib3.PoolManager, request: Request) -> tuple[str, urllib3.BaseHTTPResponse]:
    """Return where redirects end, and the answer there. Each hop is checked like the link itself."""
    url = checked(request.url, request.policy)
    for _ in range(MAX_REDIRECTS + 1):
        response = _ask(pool, "GET", url, {"Accept-Encoding": "gzip, deflate"})
        target = response.get_redirect_location()
        if not target:
            return url, response
        response.close()
        url = checked(urljoin(url, target), request.policy)
    raise SourceRefused(f"The link redirects more than {MAX_REDIRECTS} times.", limit=MAX_REDIRECTS)


def _judge(response: urllib3.BaseHTTPResponse) -> None:
    """Raise what a status other than success means for a link."""
    status = response.status
    if 200 <= status < 300:
        return
    if status in _GONE:
        raise SourceNotFound(f"There is nothing at this link (HTTP {status}).", status=status)
    seconds = _retry_after(response)
    if status in (429, 503) and seconds is not None:
        raise RetryAfter(f"The link's server asks to come back later (HTTP {status}).", seconds)
    if status in LATER or status >= 500:
        raise Unreachable(f"The link's server answers HTTP {status}.", status=status)
    raise SourceRefused(f"The link's server does not give this out (HTTP {status}).", status=status)


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    """Return the seconds of a `Retry-After` header (a number or a date), kept within what is sensible."""
    try:
        seconds = Retry().get_retry_after(response)
    except HTTPError:
        return None  # the header holds neither
    least, most = PATIENCE_SECONDS
    return None if seconds is None else min(most, max(least, seconds))


# What happened, for people: the first class that fits.
_CAUSES: Final[tuple[tuple[type[HTTPError], str], ...]] = (
    (NameResolutionError, "its name can't be resolved"),
    (NewConnectionError, "no connection can be made"),
    (ConnectTimeoutError, "it does not answer in time"),
    (ReadTimeoutError, "it does not answer in time"),
    (DecodeError, "its answer can't be decoded"),
    (SSLError, "no secure connection can be made"),
)


def _error(error: HTTPError) -> SyncBoardError:
    if isinstance(error, LocationValueError):
        return UnsupportedUrl("The link's host is not a valid name.")
    if isinstance(error, SSLError) and isinstance(error.args[0], ssl.SSLCertVerificationError):
        return InsecureConnection(
            f"The server's certificate is not valid for this link: {error.args[0].verify_message}."
        )
    what = next((what for kind, what in _CAUSES if isinstance(error, kind)), "the connection broke off")
    return Unreachable(f"The server can't be reached: {what}.")


def _too_large(max_bytes: int) -> TooLarge:
    limit = max_bytes / (1024 * 1024)
    return TooLarge(f"What the link leads to is larger than {limit:g} MB.", limit_bytes=max_bytes)
