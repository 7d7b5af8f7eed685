"""A typed client of the API: submit, wait, follow progress.

with Client("http://127.0.0.1:8000", token) as client:
    job = client.submit(Path("notes.md"))
    done = client.wait(job["job_id"])
"""

from __future__ import annotations

import mimetypes
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

FINAL_STATES: Final = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
_RETRIES: Final = 5


class ApiError(Exception):
    """The API answered with an error: its type, its message, whether a retry can help, the HTTP status."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('type')}: {error.get('message')}")
        self.status = status
        self.type = str(error.get("type", "unknown"))
        self.message = str(error.get("message", ""))
        self.retryable = bool(error.get("retryable"))


class Client:
    """Talks to one SyncBoard API as one user. Times in seconds."""

    def __init__(self, url: str, token: str, *, timeout: float = 60.0) -> None:
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout,
            transport=httpx.HTTPTransport(retries=2),
        )

    def __enter__(self) -> Self:
        """Use it in a `with` block to close its connections."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        self._http.close()

    def submit(self, path: Path, *, password: str | None = None) -> dict[str, Any]:
        """Upload a file by presigned form; return its job, which the upload itself starts."""
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        body = {"filename": path.name, "size": path.stat().st_size, "content_type": content_type}
        if password is not None:
            body["password"] = password
        job = self._call("POST", "uploads", json=body)
        form = job["upload"]
        with path.open("rb") as file:
            answer = httpx.post(
                form["url"], data=form["fields"], files={"file": (path.name, file)}, timeout=600
            )
        if answer.is_error:
            raise ApiError(answer.status_code, {"type": "upload_refused", "message": answer.text[:500]})
        return job

    def status(self, job_id: str) -> dict[str, Any]:
        """Return a job's status."""
        return self._call("GET", f"jobs/{job_id}/status")

    def iter_progress(self, job_id: str, *, timeout: float = 600.0) -> Iterator[dict[str, Any]]:
        """Yield a job's status whenever it changed, until it is final; ask as often as the API says."""
        deadline = time.monotonic() + timeout
        tag = ""
        while time.monotonic() < deadline:
            answer = self._send("GET", f"jobs/{job_id}/status", headers={"If-None-Match": tag} if tag else {})
            if answer.status_code != httpx.codes.NOT_MODIFIED:
                tag = answer.headers.get("ETag", "")
                status = answer.json()
                yield status
                if status["state"] in FINAL_STATES:
                    return
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        raise TimeoutError(f"job {job_id} is not finished after {timeout:.0f} s")

    def wait(self, job_id: str, *, timeout: float = 600.0) -> dict[str, Any]:
        """Return a job's status once it is final. Raise TimeoutError."""
        return deque(self.iter_progress(job_id, timeout=timeout), maxlen=1)[0]

    def jobs(self, *, limit: int = 25, cursor: str | None = None) -> dict[str, Any]:
        """Return one page of jobs, newest first."""
        return self._call("GET", "jobs", params=_page(limit, cursor))

    def documents(self, *, limit: int = 25, cursor: str | None = None) -> dict[str, Any]:
        """Return one page of documents, newest first."""
        return self._call("GET", "documents", params=_page(limit, cursor))

    def document(self, doc_id: str) -> dict[str, Any]:
        """Return one document."""
        return self._call("GET", f"documents/{doc_id}")

    def health(self) -> dict[str, Any]:
        """Return the API's health."""
        return self._call("GET", "health")

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._send(method, path, **options).json()
        return answer

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; wait and try again where the API asks for it. Raise ApiError."""
        for attempt in range(_RETRIES):
            answer = self._http.request(method, path, **options)
            if not answer.is_error:
                return answer
            error = _error(answer)
            if not error.retryable or attempt == _RETRIES - 1:
                raise error
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        raise AssertionError("unreachable")


def _page(limit: int, cursor: str | None) -> dict[str, str]:
    return {"limit": str(limit), **({"cursor": cursor} if cursor else {})}


def _error(answer: httpx.Response) -> ApiError:
    try:
        return ApiError(answer.status_code, answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return ApiError(answer.status_code, {"type": "unknown", "message": answer.text[:500]})
