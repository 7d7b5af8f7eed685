"""Reading requests: bodies by type, page sizes, cursors. What does not fit is named."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from chalice.app import Request

from chalicelib import settings
from chalicelib.errors import InvalidRequest

Body = TypeVar("Body", bound=msgspec.Struct)

MAX_PAGE = 100


def body(request: Request, shape: type[Body]) -> Body:
    """Read a JSON body as `shape`; unknown fields are refused."""
    try:
        return msgspec.json.decode(request.raw_body or b"", type=shape)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The body does not fit: {error}.") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from None


def decode_base64(content: str) -> bytes:
    """Read base64 (with or without a `data:` prefix, line breaks allowed); raise InvalidRequest."""
    if content.startswith("data:"):
        content = content.partition(",")[2]
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("content is not base64.", field="content") from None


def parameters(request: Request, *known: str) -> dict[str, str]:
    """Return the query's parameters; refuse one that the route does not know."""
    given = dict(request.query_params or {})
    for name in given:
        if name not in known:
            raise InvalidRequest(
                f"Unknown parameter {name!r}; this address takes: {', '.join(known) or 'none'}."
            )
    return given


def limit(given: dict[str, str], *, default: int = 25) -> int:
    """Return the page size: 1 to 100."""
    text = given.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PAGE):
        raise InvalidRequest(f"limit is a whole number from 1 to {MAX_PAGE}.", field="limit")
    return int(text)


def encode_cursor(scope: str, last: str | None) -> str | None:
    """Make an opaque cursor that goes on after `last` in the list `scope`."""
    if last is None:
        return None
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((scope, last))).decode().rstrip("=")


def decode_cursor(scope: str, cursor: str | None) -> str | None:
    """Read a cursor; refuse one that is malformed or comes from another list."""
    if not cursor:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        named, last = msgspec.msgpack.decode(raw, type=tuple[str, str])
    except (ValueError, binascii.Error, msgspec.DecodeError):
        named, last = "", ""
    if named != scope or not last:
        raise InvalidRequest("The cursor is not one that this list gave.", field="cursor")
    return last


def base_path(request: Request) -> str:
    """Return what stands before the route in the address: `/stage` under API Gateway, nothing locally."""
    whole = str(request.context.get("path", ""))
    return whole.removesuffix(request.path).rstrip("/") if whole.endswith(request.path) else ""


def bucket_url(request: Request, url: str) -> str:
    """Return an address of the bucket as the caller can reach it.

    On one machine that is the API's own port, which passes signed requests on to the emulator.
    """
    path = settings.get().upload_path
    if not path:
        return url
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{origin(request)}{base_path(request)}{path}{parts.path}{query}"


def origin(request: Request) -> str:
    """Return scheme and host as the caller used them."""
    scheme = request.headers.get("x-forwarded-proto", "https" if "x-amz-cf-id" in request.headers else "http")
    return f"{scheme}://{request.headers.get('host', 'localhost')}"
