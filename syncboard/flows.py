"""What the clients do, without doing it: each call as a generator of requests and pauses.

A client runs these with blocking or with asynchronous input and output (`client.py`, `async_client.py`); what is
asked, when it is asked again and what an answer means stands here once.
"""

from __future__ import annotations

import base64
import io
import mimetypes
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import httpx
import msgspec

FINAL_STATES: Final = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
# Files up to this many bytes go in the request's own body; larger ones by form.
INLINE_BYTES: Final = 1024 * 1024
_TRIES: Final = 5
_BUSY: Final = frozenset({429, 502, 503, 504})
_UPLOAD_SECONDS: Final = 600.0
_LONGEST_PAUSE: Final = 60.0


class ApiError(Exception):
    """The API answered with an error: its type, its message, whether a retry can help, the HTTP status."""

    def __init__(self, status: int, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error.get('type')}: {error.get('message')}")
        self.status = status
        self.type = str(error.get("type", "unknown"))
        self.message = str(error.get("message", ""))
        self.retryable = bool(error.get("retryable"))


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request to make. The answer is sent into the flow; what the network throws is thrown into it."""

    method: str
    # Path of the API, or a whole address, which gets no token.
    url: str
    # Arguments for httpx.
    options: dict[str, Any] = {}


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A time to wait, in seconds."""

    seconds: float


Value = TypeVar("Value")
Flow = Generator[Ask | Pause, httpx.Response | None, Value]
Answer = dict[str, Any]


# --- One request ---------------------------------------------------------------------------------------------


def call(method: str, path: str, **options: Any) -> Flow[Answer]:
    """Make a request; return its JSON (empty for none). Raise ApiError, or httpx's errors."""
    answer = yield from send(method, path, **options)
    decoded: Answer = answer.json() if answer.content else {}
    return decoded


def post(path: str, body: Mapping[str, Any] | None = None) -> Flow[Answer]:
    """Post a body once, however often it has to be sent: under an idempotency key of its own."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    return call("POST", path, json=body or {}, headers=headers)


def text(path: str, **options: Any) -> Flow[str]:
    """Get a text. Raise ApiError, or httpx's errors."""
    answer = yield from send("GET", path, **options)
    return answer.text


def send(method: str, path: str, **options: Any) -> Flow[httpx.Response]:
    """Make a request; wait and try again where the API asks for it or the connection broke."""
    for attempt in range(1, _TRIES + 1):
        try:
            answer = yield Ask(method=method, url=path, options=options)
        except httpx.TransportError:
            if attempt == _TRIES:
                raise
            yield Pause(seconds=0.1 * 2**attempt)
            continue
        if answer is None:
            raise TypeError("a request is answered with a response")
        if not answer.is_error:
            return answer
        error = _error(answer)
        if not error.retryable or attempt == _TRIES:
            raise error
        yield Pause(seconds=_pause(answer))
    raise AssertionError("unreachable")


def _error(answer: httpx.Response) -> ApiError:
    try:
        return ApiError(answer.status_code, answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        # Not our API but something before or behind it.
        told = {"type": "unknown", "message": answer.text[:500], "retryable": answer.status_code in _BUSY}
        return ApiError(answer.status_code, told)


def _pause(answer: httpx.Response) -> float:
    return min(_LONGEST_PAUSE, float(answer.headers.get("Retry-After", "1")))


# --- Exports -------------------------------------------------------------------------------------------------


def export_json(cluster_id: str) -> Flow[Answer]:
    """Return a cluster and its documents with their texts, of however many pages."""
    pages = yield from _export(cluster_id, "json")
    first, *others = (page.json() for page in pages)
    documents = [document for page in (first, *others) for document in page["documents"]]
    return {"cluster": first["cluster"], "documents": documents}


def export_markdown(cluster_id: str) -> Flow[str]:
    """Return the same as Markdown."""
    pages = yield from _export(cluster_id, "markdown")
    return "\n".join(page.text for page in pages)


def _export(cluster_id: str, form: str) -> Flow[list[httpx.Response]]:
    pages: list[httpx.Response] = []
    cursor = ""
    while cursor or not pages:
        params = {"format": form, **({"cursor": cursor} if cursor else {})}
        page = yield from send("GET", f"clusters/{cluster_id}/export", params=params)
        pages.append(page)
        cursor = page.headers.get("X-Next-Cursor", "")
    return pages


# --- Submitting ----------------------------------------------------------------------------------------------


def submit(path: Path, wishes: Mapping[str, Any]) -> Flow[Answer]:
    """Upload a file by presigned form; return its job, which the upload itself starts."""
    return _by_form(path.name, path.stat().st_size, lambda: path.open("rb"), wishes)


def submit_bytes(filename: str, content: bytes, wishes: Mapping[str, Any]) -> Flow[Answer]:
    """Submit bytes as a file: small ones in the request itself, others by form."""
    if len(content) > INLINE_BYTES:
        return _by_form(filename, len(content), lambda: io.BytesIO(content), wishes)
    return post(
        "upload_file", {"filename": filename, "content": base64.b64encode(content).decode(), **wishes}
    )


def submit_files(
    files: Sequence[tuple[str, bytes]], own: Mapping[str, Any], wishes: Mapping[str, Any]
) -> Flow[Answer]:
    """Submit small files as one batch; `own` are the wishes that each file carries by itself."""
    listed = [
        {"filename": name, "content": base64.b64encode(content).decode(), **own} for name, content in files
    ]
    return post("upload_batch", {"files": listed, **wishes})


def _by_form(
    filename: str, size: int, read: Callable[[], BinaryIO], wishes: Mapping[str, Any]
) -> Flow[Answer]:
    content_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    job = yield from post(
        "uploads", {"filename": filename, "size": size, "content_type": content_type, **wishes}
    )
    form = job["upload"]
    # Posting twice is no harm: the first version that arrives is the one that counts. httpx rewinds the file.
    with read() as file:
        files = {"file": (filename, file)}
        try:
            yield from send("POST", form["url"], data=form["fields"], files=files, timeout=_UPLOAD_SECONDS)
        except ApiError as error:
            raise ApiError(error.status, {"type": "upload_refused", "message": error.message}) from None
    return job


# --- Waiting -------------------------------------------------------------------------------------------------


class Watch:
    """Follows one job until it is final; raises TimeoutError at `deadline` (as time.monotonic)."""

    def __init__(self, job_id: str, *, deadline: float) -> None:
        self.job_id = job_id
        self.done = False
        self._deadline = deadline
        self._tag = ""
        self._pause = 0.0

    def look(self) -> Flow[Answer | None]:
        """Ask once, as soon as the API wants to be asked; return the status, or None where nothing changed."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"job {self.job_id} is not finished in time")
        if self._pause:
            yield Pause(seconds=min(self._pause, left))
        headers = {"If-None-Match": self._tag} if self._tag else {}
        answer = yield from send("GET", f"jobs/{self.job_id}/status", headers=headers)
        self._pause = _pause(answer)
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return None
        self._tag = answer.headers.get("ETag", "")
        status: Answer = answer.json()
        self.done = status["state"] in FINAL_STATES
        return status


def wait(job_id: str, *, deadline: float) -> Flow[Answer]:
    """Return a job's status once it is final. Raise TimeoutError."""
    watch = Watch(job_id, deadline=deadline)
    while True:
        status = yield from watch.look()
        if status is not None and watch.done:
            return status


def wait_all(job_ids: Sequence[str], *, deadline: float) -> Flow[list[Answer]]:
    """Return the statuses of jobs, in this order, once all are final. Raise TimeoutError."""
    statuses = []
    for job_id in job_ids:
        status = yield from wait(job_id, deadline=deadline)
        statuses.append(status)
    return statuses
