"""`syncboard demo`: the main job, on the bundled samples, through the public API."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column, Table

from local.containers import CONTAINERS
from local.gateway import is_sample
from local.stack import SAMPLES, Stack, StackOptions
from syncboard.client import Client
from syncboard.demo_findings import show_findings
from syncboard.options import console
from syncboard.samples import EXPECTED, Expected

# The first run also installs what recognises text and speech.
_TIMEOUT_SECONDS = 1200.0


def run_demo(*, keep: bool) -> bool:
    """Run every sample; print progress and a table; tell whether each ended as expected."""
    began = time.monotonic()
    out = console()
    folder = Path(tempfile.mkdtemp(prefix="syncboard-demo-"))
    try:
        out.print("Starting a stack …")
        options = StackOptions(port=0, data=folder, containers=tuple(CONTAINERS), verbose=False)
        with served_samples() as site:
            # The service may fetch from this one address of the machine.
            os.environ["SYNCBOARD_NETWORK_ALLOW"] = site
            ok = _demonstrate(options, f"http://{site}", out, began)
    finally:
        if keep:
            out.print(f"Data kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return ok


def _demonstrate(options: StackOptions, pages: str, out: Console, began: float) -> bool:
    """Run every sample on a stack of its own; tell whether each ended as expected."""
    with Stack(options) as stack:
        out.print(f"Ready on {stack.url} after {time.monotonic() - began:.1f} s.\n")
        with Client(stack.url, stack.token(f"demo-{secrets.token_hex(4)}", seconds=3600)) as client:
            ends = _run_all(client, pages, out)
            well = _report(ends, client, out)
            well = show_findings(client, out) and well
            out.print(f"\nAll this took {time.monotonic() - began:.0f} s.")
            return well


@contextlib.contextmanager
def served_samples() -> Iterator[str]:
    """Serve the samples as a web site; yield its `host:port`."""
    handler = functools.partial(_Quiet, directory=str(SAMPLES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that prints nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _run_all(client: Client, pages: str, out: Console) -> dict[str, tuple[Expected, dict[str, Any]]]:
    paths = [path for path in sorted(SAMPLES.iterdir()) if is_sample(path)]
    columns = (
        TextColumn("{task.fields[file]:<28}", table_column=Column(no_wrap=True, width=28)),
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f} %  {task.description}"),
    )
    with Progress(*columns, console=out) as bars, ThreadPoolExecutor(len(paths)) as threads:
        futures = {
            path.name: threads.submit(
                _run_one,
                client,
                f"{pages}/{path.name}" if EXPECTED[path.name].as_link else path,
                EXPECTED[path.name],
                bars,
                bars.add_task("", total=100, file=path.name),
            )
            for path in paths
        }
        return {name: (EXPECTED[name], future.result()) for name, future in futures.items()}


def _run_one(
    client: Client, what: Path | str, expected: Expected, bars: Progress, bar: TaskID
) -> dict[str, Any]:
    job = (
        client.submit_url(what) if isinstance(what, str) else client.submit(what, password=expected.password)
    )
    status: dict[str, Any] = job
    for status in client.iter_progress(job["job_id"], timeout=_TIMEOUT_SECONDS):
        meta = status["meta"]
        bars.update(bar, completed=meta["percent"], description=meta["message"][:60])
    return status


def _report(ends: dict[str, tuple[Expected, dict[str, Any]]], client: Client, out: Console) -> bool:
    """Print the table; return whether all went as expected."""
    table = Table()
    for heading in ("file", "state", "time", "concepts, or the error", ""):
        table.add_column(heading, no_wrap=heading in ("file", "state"))
    well = True
    for name, (expected, status) in ends.items():
        as_expected = _as_expected(expected, status, client)
        well = well and as_expected
        table.add_row(name, *_row(status), "✓" if as_expected else "✗ unexpected")
    out.print(table)
    documents = client.documents(limit=1)["total"]
    out.print(f"{len(ends)} files, {documents} documents.")
    return well and documents == sum(status["state"] == "SUCCESS" for _, status in ends.values())


def _as_expected(expected: Expected, status: dict[str, Any], client: Client) -> bool:
    error = status.get("error") or {}
    if status["state"] != expected.state or error.get("type") != expected.error_type:
        return False
    if expected.state != "SUCCESS":
        return True
    result = status["result"]
    says = _plain(expected.says or "")
    return bool(result["concepts"] and result["cluster_id"]) and says in _plain(
        client.document(result["doc_id"])["text"]
    )


def _plain(text: str) -> str:
    """Return the words of a text, as one hears them."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def _row(status: dict[str, Any]) -> tuple[str, str, str]:
    seconds = _seconds(status)
    if status["state"] != "SUCCESS":
        error = status.get("error") or {"type": "?", "message": ""}
        return status["state"], seconds, f"{error['type']}: {error['message']}"
    concepts = ", ".join(concept["name"] for concept in status["result"]["concepts"][:4])
    return status["state"], seconds, concepts


def _seconds(status: dict[str, Any]) -> str:
    """Seconds from submission to the end, as the API's own times say."""
    from datetime import datetime

    if not status.get("finished_at"):
        return ""
    end, start = (datetime.fromisoformat(status[name]) for name in ("finished_at", "created_at"))
    return f"{(end - start).total_seconds():.1f} s"
