"""The calls that blocking and asynchronous clients share: one definition, two kinds of result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from syncboard import flows
from syncboard.flows import Answer, Flow

# What a call returns: the answer itself, or an awaitable of it.
Result = TypeVar("Result")


class Calls(Generic[Result]):
    """Every call whose answer is one JSON object. Times in seconds; errors are ApiError and httpx's own.

    `wishes` of a submission: `password`, `force`, `webhook`.
    """

    def _answer(self, flow: Flow[Answer]) -> Result:
        """Run a flow in this client's way."""
        raise NotImplementedError

    # --- Submitting ------------------------------------------------------------------------------------------

    def submit(self, path: Path, **wishes: Any) -> Result:
        """Upload a file of any size; return its job."""
        return self._answer(flows.submit(path, _given(wishes)))

    def submit_bytes(self, filename: str, content: bytes, **wishes: Any) -> Result:
        """Submit bytes as a file; return its job."""
        return self._answer(flows.submit_bytes(filename, content, _given(wishes)))

    def submit_url(self, url: str, **wishes: Any) -> Result:
        """Submit a link; return its job."""
        return self._answer(flows.post("upload", {"url": url, **_given(wishes)}))

    def submit_urls(self, urls: Sequence[str], **wishes: Any) -> Result:
        """Submit 1 to 100 links as one batch; return `{batch_id, jobs, errors}`."""
        return self._answer(flows.post("upload_batch_urls", {"urls": list(urls), **_given(wishes)}))

    def submit_task(self, task: str, params: Mapping[str, Any] | None = None, **wishes: Any) -> Result:
        """Submit a task by name; return its job."""
        return self._answer(
            flows.post("jobs", {"task": task, "params": dict(params or {}), **_given(wishes)})
        )

    # --- Jobs and batches ------------------------------------------------------------------------------------

    def status(self, job_id: str) -> Result:
        """Return a job's status."""
        return self._answer(flows.call("GET", f"jobs/{job_id}/status"))

    def job(self, job_id: str) -> Result:
        """Return all that is told of a job: its status, timeline, queue, cost and more."""
        return self._answer(flows.call("GET", f"jobs/{job_id}"))

    def jobs(self, *, limit: int = 25, cursor: str | None = None, **filters: str | None) -> Result:
        """Return one page of jobs, newest first: `{jobs, next_cursor}`.

        Filters: `state`, `task`, `queue`, `since`, `until` (ISO 8601), `q` (words or an id), `batch`.
        """
        return self._answer(flows.call("GET", "jobs", params=_page(limit, cursor) | _given(filters)))

    def wait(self, job_id: str, *, timeout: float = 600.0) -> Result:
        """Return a job's status once it is final. Raise TimeoutError."""
        return self._answer(flows.wait(job_id, deadline=time.monotonic() + timeout))

    def cancel(self, job_id: str) -> Result:
        """Cancel a job: return it REVOKED, or PROCESSING while its run is being stopped."""
        return self._answer(flows.call("DELETE", f"jobs/{job_id}"))

    def retry(self, job_id: str) -> Result:
        """Start a failed job over; return it."""
        return self._answer(flows.post(f"jobs/{job_id}/retry"))

    def retry_failed(self, *, limit: int = 100, cursor: str | None = None, **filters: str | None) -> Result:
        """Start failed jobs over, newest first: `{retried, errors, next_cursor}`. Filters as of `jobs`."""
        chosen = {"state": "FAILURE", "limit": limit, **_given({"cursor": cursor, **filters})}
        return self._answer(flows.post("jobs/retry", chosen))

    def batch(self, batch_id: str) -> Result:
        """Return a batch: its percentage, counts by state, jobs."""
        return self._answer(flows.call("GET", f"batches/{batch_id}"))

    def cancel_batch(self, batch_id: str) -> Result:
        """Cancel what has not ended of a batch; return how many: `{cancelled, stopping, ended}`."""
        return self._answer(flows.call("DELETE", f"batches/{batch_id}"))

    # --- Library, webhook, health ----------------------------------------------------------------------------

    def documents(self, *, limit: int = 25, cursor: str | None = None) -> Result:
        """Return one page of documents, newest first."""
        return self._answer(flows.call("GET", "documents", params=_page(limit, cursor)))

    def document(self, doc_id: str) -> Result:
        """Return one document."""
        return self._answer(flows.call("GET", f"documents/{doc_id}"))

    def webhook(self) -> Result:
        """Return the default webhook and the secret that signs deliveries: `{url, secret}`."""
        return self._answer(flows.call("GET", "webhook"))

    def set_webhook(self, url: str) -> Result:
        """Set the default webhook of jobs submitted from now on."""
        return self._answer(flows.call("PUT", "webhook", json={"url": url}))

    def delete_webhook(self) -> Result:
        """Forget the default webhook and the secret; the answer is empty."""
        return self._answer(flows.call("DELETE", "webhook"))

    def health(self) -> Result:
        """Return the API's health."""
        return self._answer(flows.call("GET", "health"))


def _page(limit: int, cursor: str | None) -> dict[str, Any]:
    return _given({"limit": str(limit), "cursor": cursor})


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given at all."""
    return {name: value for name, value in values.items() if value is not None}
