"""`GET /jobs`, `GET /jobs/{job_id}/status`: how jobs stand."""

from __future__ import annotations

from typing import Any

from chalice import Response

from chalicelib import services
from chalicelib.api import requests
from chalicelib.api.envelopes import etag, job_envelope, retry_after
from chalicelib.api.routing import Routes
from chalicelib.jobs.store import JobStore

routes = Routes(__name__)


@routes.route("/jobs", methods=["GET"])
def list_jobs() -> dict[str, Any]:
    """Answer with the caller's jobs, newest first."""
    given = requests.parameters(routes.current_request, "limit", "cursor")
    scope = f"jobs:{routes.owner}"
    page = JobStore(services.table()).page(
        routes.owner, limit=requests.limit(given), after=requests.decode_cursor(scope, given.get("cursor"))
    )
    return {
        "jobs": [job_envelope(job) for job in page.jobs],
        "next_cursor": requests.encode_cursor(scope, page.last),
    }


@routes.route("/jobs/{job_id}/status", methods=["GET"])
def job_status(job_id: str) -> Response:
    """Answer with one job's state, progress and result; 304 where nothing changed."""
    job = JobStore(services.table()).require(job_id, routes.owner)
    headers = {"ETag": etag(job), "Content-Type": "application/json", "Cache-Control": "no-cache"}
    seconds = retry_after(job)
    if seconds:
        headers["Retry-After"] = str(seconds)
    if routes.current_request.headers.get("if-none-match") == headers["ETag"]:
        return Response(body="", status_code=304, headers=headers)
    return Response(body=job_envelope(job), headers=headers)
