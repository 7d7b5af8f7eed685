"""A deployed API tried with the client, from end to end: a file in, its document out, both looked at and deleted."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from syncboard.client import ApiError, Client

_TEXT: Final = """# Smoke test

SyncBoard was deployed. This note goes the whole way: a signed form, the bucket, its event, two queues, a function
that reads it, concepts, a cluster, the table. It is deleted at once.
"""


class SmokeTestFailed(RuntimeError):
    """The deployed API does not do what it should; the message says at which step, and what it answered."""


def run(url: str, bearer: str, report: Callable[[str], None], *, timeout: float = 300.0) -> dict[str, Any]:
    """Ask for health, upload a file, wait for SUCCESS, delete its document; return the job's status at its end.

    Raise SmokeTestFailed.
    """
    step = "GET /health"
    try:
        with Client(url, bearer) as client:
            for name, found in client.health()["capabilities"].items():
                report(f"  {name:<10} {found['state']} {found['cause']}".rstrip())
            step = "uploading a file"
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                job = client.submit(_note(Path(folder)))
            step = f"waiting for job {job['job_id']}"
            ended = client.wait(job["job_id"], timeout=timeout)
            took = time.monotonic() - began
            if ended["state"] != "SUCCESS":
                raise SmokeTestFailed(f"{step}: it ended {ended['state']}: {ended.get('error')}")
            step = "reading and deleting its document"
            document = client.document(ended["result"]["doc_id"])
            if "SyncBoard was deployed" not in (document["text"] or ""):
                raise SmokeTestFailed(f"{step}: its text is {document['text']!r}")
            client.delete_document(document["doc_id"])
    except (ApiError, TimeoutError, httpx.HTTPError) as error:
        raise SmokeTestFailed(f"{step}: {error}") from error
    report(f"  a file became a document in {took:.1f} s; it was deleted again")
    return ended


def _note(folder: Path) -> Path:
    """Write a file whose bytes are new: the same ones again would be the same document."""
    path = folder / "smoke-test.md"
    path.write_text(f"{_TEXT}\n{time.time_ns()}\n", encoding="utf-8")
    return path
