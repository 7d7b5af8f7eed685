"""Reading requests: bodies by type, links, filters, page sizes, cursors. What does not fit is named."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from chalice.app import Request

from chalicelib import settings
from chalicelib.errors import InvalidRequest, PermanentError
from chalicelib.jobs.history import WAITING, Filter
from chalicelib.jobs.job import is_id
from chalicelib.jobs.search import words
from chalicelib.jobs.states import State
from chalicelib.net.addresses import NetworkPolicy
from chalicelib.net.urls import checked
from chalicelib.settings import QUEUES
from chalicelib.tasks.registry import TASKS

Body = TypeVar("Body", bound=msgspec.Struct)

MAX_PAGE = 100
# Parameters that choose jobs.
FILTERS: Final = ("state", "task", "queue", "since", "until", "q", "batch")
_MAX_WEBHOOK = 2000
_MAX_QUERY = 200
_MAX_DEPTH = 32
# A name or address, and a port.
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")


def body(request: Request, shape: type[Body]) -> Body:
    """Read a JSON body as `shape`; unknown fields are refused."""
    try:
        return msgspec.json.decode(request.raw_body or b"", type=shape)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The body does not fit: {error}.") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from None


def part(value: Any, shape: type[Body]) -> Body:
    """Read a part of a body, decoded already, as `shape`."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The item does not fit: {error}.") from None


def check_depth(value: Any, name: str) -> None:
    """Raise InvalidRequest for a value nested deeper than 32 lists and objects.

    What Python can just read here it could not read in a worker, or in a list of jobs: from a deeper place.
    """
    level, depth = [value], 0
    while level := [part for outer in level if isinstance(outer, list | dict) for part in _parts(outer)]:
        depth += 1
        if depth > _MAX_DEPTH:
            raise InvalidRequest(f"{name} is nested deeper than {_MAX_DEPTH} levels.", field=name)


def _parts(outer: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer


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


def link(url: str) -> str:
    """Return a link in canonical form. Raise UnsupportedUrl, BlockedAddress."""
    return checked(url, NetworkPolicy.parse(settings.get().network_allow or ""))


def webhook(url: str) -> str:
    """Return the address of a webhook in canonical form; raise InvalidRequest."""
    if len(url) > _MAX_WEBHOOK:
        raise InvalidRequest(f"webhook has more than {_MAX_WEBHOOK:,} characters.", field="webhook")
    try:
        return link(url)
    except PermanentError as error:
        raise InvalidRequest(f"webhook: {error.message}", field="webhook") from None


def job_filter(given: Mapping[str, Any]) -> Filter:
    """Read which jobs are meant; what the engine does not know is refused with what there is."""
    since, until = moment(given, "since"), moment(given, "until")
    if since is not None and until is not None and since > until:
        raise InvalidRequest("since is later than until.", field="since")
    q = given.get("q")
    if q is not None and (len(q) > _MAX_QUERY or not words(q)):
        raise InvalidRequest(f"q is 1 to {_MAX_QUERY} characters with a letter or digit.", field="q")
    return Filter(
        state=_one_of(given, "state", (*State, WAITING)),
        task=_one_of(given, "task", tuple(TASKS)),
        queue=_one_of(given, "queue", tuple(queue for queue in QUEUES if queue != "intake")),
        since=since,
        until=until,
        q=q or "",
        batch=given.get("batch") or "",
    )


def _one_of(given: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if value not in known:
        raise InvalidRequest(f"There is no {name} {value!r:.100}; there are: {', '.join(known)}.", field=name)
    return str(value)


def moment(given: Mapping[str, Any], name: str) -> int | None:
    """Read a time in ISO 8601 as ms since the epoch, or None. A date is its first ms, or, for `until`, its last.

    Without an offset it is UTC.
    """
    text = given.get(name)
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-31"):
            end = timedelta(days=1, milliseconds=-1) if name == "until" else timedelta()
            moment = datetime.combine(date.fromisoformat(text), time(), UTC) + end
        else:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{name} is a date or time in ISO 8601: 2026-01-31 or 2026-01-31T12:00:00Z (write a + as %2B).",
            field=name,
        ) from None
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def jobs_scope(owner: str, wanted: Filter) -> str:
    """Return the scope of cursors for one owner's jobs under one filter: another filter is another list."""
    return f"jobs:{owner}:{hashlib.sha256(msgspec.json.encode(wanted)).hexdigest()[:16]}"


def limit(given: dict[str, str], *, default: int = 25) -> int:
    """Return the page size: 1 to 100."""
    text = given.get("limit", str(default))
    # Python refuses to read endless numbers, with an error of its own.
    short = len(text) <= len(str(MAX_PAGE))
    if not (short and text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_PAGE):
        raise InvalidRequest(f"limit is a whole number from 1 to {MAX_PAGE}.", field="limit")
    return int(text)


def encode_cursor(scope: str, last: str | None) -> str | None:
    """Make an opaque cursor that goes on after `last` in the list `scope`."""
    if last is None:
        return None
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((scope, last))).decode().rstrip("=")


def decode_cursor(scope: str, cursor: str | None, *, fits: Callable[[str], object] = is_id) -> str | None:
    """Read a cursor; refuse one that is malformed or comes from another list.

    `fits` tells whether the list can have given such a position: anybody can write a cursor.
    """
    if not cursor:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        named, last = msgspec.msgpack.decode(raw, type=tuple[str, str])
    except (ValueError, binascii.Error, msgspec.DecodeError):
        named, last = "", ""
    if named != scope or not fits(last):
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
    """Return scheme and host as the caller used them; both are the caller's words, so only what fits is believed.

    Only the caller gets to see the address, and only where the bucket is behind the API's own port.
    """
    headers = request.headers
    scheme = headers.get("x-forwarded-proto", "https" if "x-amz-cf-id" in headers else "http")
    host = headers.get("host", "")
    return f"{'https' if scheme == 'https' else 'http'}://{host if _HOST.fullmatch(host) else 'localhost'}"
