"""The calls that blocking and asynchronous clients share: one definition, two kinds of result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from syncboard import flows
from syncboard.flows import Answer, Flow

# What a call returns: the answer itself, or an awaitable of it; one JSON object, or a text.
Result = TypeVar("Result")
Text = TypeVar("Text")


class Calls(Generic[Result, Text]):
    """Every call of the API. Times in seconds; errors are ApiError and httpx's own.

    `wishes` of a submission: `password`, `force`, `webhook`. Lists come in pages; `next_cursor` is null in the last.
    """

    def _answer(self, flow: Flow[Answer]) -> Result:
        """Run a flow in this client's way."""
        raise NotImplementedError

    def _text(self, flow: Flow[str]) -> Text:
        """Run a flow whose answer is a text in this client's way."""
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

    def submit_files(
        self, files: Sequence[tuple[str, bytes]], *, password: str | None = None, **wishes: Any
    ) -> Result:
        """Submit 1 to 100 small files, name and bytes, as one batch; return `{batch_id, jobs, errors}`.

        At most 4 MB in all, in base64; `password` is tried on each.
        """
        return self._answer(flows.submit_files(files, _given({"password": password}), _given(wishes)))

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

    def retry(self, job_id: str, *, password: str | None = None) -> Result:
        """Start a failed job over, an encrypted file's with its password; return it."""
        return self._answer(flows.post(f"jobs/{job_id}/retry", _given({"password": password})))

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

    # --- Documents and search --------------------------------------------------------------------------------

    def documents(self, *, limit: int = 25, cursor: str | None = None) -> Result:
        """Return one page of documents, newest first: `{documents, next_cursor, total}`."""
        return self._answer(flows.call("GET", "documents", params=_page(limit, cursor)))

    def document(self, doc_id: str) -> Result:
        """Return one document with its text (or `text_url`) and its `near_duplicates`."""
        return self._answer(flows.call("GET", f"documents/{doc_id}"))

    def fetch_text(self, address: str) -> Text:
        """Return what is behind a `text_url` or `segments_url`, which carries its own permission."""
        return self._text(flows.text(address))

    def delete_document(self, doc_id: str) -> Result:
        """Delete a document with every trace of it; the answer is empty."""
        return self._answer(flows.call("DELETE", f"documents/{doc_id}"))

    def search(self, q: str, *, limit: int = 10, cursor: str | None = None, **filters: str | None) -> Result:
        """Return one page of documents that have the words, the best first: `{results, total, next_cursor, …}`.

        `"…"` asks for a phrase, `word*` for a beginning. Filters: `cluster` (id), `type`, `skill`, `since`, `until`.
        """
        params = {"q": q, **_page(limit, cursor), **_given(filters)}
        return self._answer(flows.call("GET", "search", params=params))

    # --- Clusters, duplicates, suggestions, analytics --------------------------------------------------------

    def clusters(self, *, sort: str = "newest", limit: int = 25, cursor: str | None = None) -> Result:
        """Return one page of clusters, `newest` or `largest` first: `{clusters, next_cursor}`."""
        return self._answer(flows.call("GET", "clusters", params={"sort": sort, **_page(limit, cursor)}))

    def cluster(self, cluster_id: str, *, limit: int = 25, cursor: str | None = None) -> Result:
        """Return a cluster and one page of its documents; a short or empty page may have a next one."""
        return self._answer(flows.call("GET", f"clusters/{cluster_id}", params=_page(limit, cursor)))

    def rename_cluster(self, cluster_id: str, name: str) -> Result:
        """Give a cluster a name that stays; return the cluster."""
        return self._answer(flows.call("PUT", f"clusters/{cluster_id}", json={"name": name}))

    def delete_cluster(self, cluster_id: str) -> Result:
        """Have a cluster taken apart; return the job. Its documents stay and join others."""
        return self._answer(flows.call("DELETE", f"clusters/{cluster_id}"))

    def regroup(self) -> Result:
        """Have the clusters of the whole library found anew; return the job. Ids and given names stay."""
        return self._answer(flows.post("clusters/compact"))

    def export_cluster(self, cluster_id: str) -> Result:
        """Return a cluster with all its documents and their texts: `{cluster, documents}`."""
        return self._answer(flows.export_json(cluster_id))

    def export_cluster_markdown(self, cluster_id: str) -> Text:
        """Return a cluster with all its documents' texts as Markdown."""
        return self._text(flows.export_markdown(cluster_id))

    def duplicates(
        self, *, threshold: float | None = None, limit: int = 25, cursor: str | None = None
    ) -> Result:
        """Return one page of groups of documents that are alike (threshold .5 to 1; .8): `{groups, total, …}`."""
        params = {**_page(limit, cursor), **_given({"threshold": threshold})}
        return self._answer(flows.call("GET", "duplicates", params=params))

    def compare(self, a: str, b: str) -> Result:
        """Return how alike two documents are, and the passages that both have."""
        return self._answer(flows.call("GET", f"duplicates/{a}/{b}"))

    def merge(self, keep: str, remove: Sequence[str]) -> Result:
        """Keep one document, delete 1 to 20 others for good: `{kept, removed, merged}`."""
        return self._answer(flows.post("duplicates/merge", {"keep": keep, "remove": list(remove)}))

    def find_duplicates(self, *, threshold: float | None = None) -> Result:
        """Have all documents compared anew; return the job, whose result lists the groups."""
        params = _given({"threshold": threshold})
        return self.submit_task("find_duplicates_background", params)

    def what_can_i_build(self, *, max_suggestions: int | None = None) -> Result:
        """Have projects suggested; return the job, whose result is `{suggestions, reasons, next_steps, …}`."""
        return self._answer(flows.post("what_can_i_build", _given({"max_suggestions": max_suggestions})))

    def analytics(self, *, time_period: str = "30d") -> Result:
        """Return the library's figures (7d, 30d, 90d or all); `refreshing` says that newer ones are being made."""
        return self._answer(flows.call("GET", "analytics", params={"time_period": time_period}))

    def analytics_csv(self, *, time_period: str = "30d") -> Text:
        """Return the same figures as CSV: section, name, value."""
        return self._text(flows.text("analytics/export", params={"time_period": time_period}))

    # --- Webhook, health -------------------------------------------------------------------------------------

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

    def stats(self, *, hours: int = 1) -> Result:
        """Return queues, workers and what ended in the last hours (1 to 24), of all users; 404 on AWS."""
        return self._answer(flows.call("GET", "stats", params={"hours": hours}))


def _page(limit: int, cursor: str | None) -> dict[str, Any]:
    return _given({"limit": str(limit), "cursor": cursor})


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given at all."""
    return {name: value for name, value in values.items() if value is not None}
