"""A text file of 1 KB from its upload to the SUCCESS that its owner sees, over HTTP, on the embedded stack.

    python -m bench.ingestion [--documents 60]

One after the other, looking every 5 ms; the first ten are not counted. Printed are the median and the 95th
percentile, the processor time that the whole stack (API, emulator, workers) spends on one, and what the job says it
asked of AWS.
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import time
import urllib.request
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.figures import cpu_seconds, percentiles
from bench.texts import Author
from tests.stack import RunningStack

_WARM: Final = 10
_TEXT: Final = 1000
_PAUSE: Final = 0.005


def call(stack: RunningStack, method: str, path: str, body: Any = None) -> Any:
    """Ask the stack's API for something."""
    headers = {"Authorization": f"Bearer {stack.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(stack.url + path, method=method, data=data, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def ingest(stack: RunningStack, name: str, text: str) -> str:
    """Upload a text; return the job's id when it is done."""
    body = {"filename": name, "content": base64.b64encode(text.encode()).decode()}
    job_id: str = call(stack, "POST", "/upload_file", body)["job_id"]
    while (state := call(stack, "GET", f"/jobs/{job_id}/status")["state"]) not in ("SUCCESS", "FAILURE"):
        time.sleep(_PAUSE)
    assert state == "SUCCESS", call(stack, "GET", f"/jobs/{job_id}")
    return job_id


def main() -> None:
    """Start a stack, ingest, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=60)
    given = parser.parse_args()
    texts = Author(7).texts()
    took = []
    with TemporaryDirectory() as folder:
        stack = RunningStack(Path(folder))
        stack.start()
        try:
            for number, text in enumerate(islice(texts, _WARM)):
                ingest(stack, f"first{number}.txt", text[:_TEXT])
            cpu = cpu_seconds(stack.process.pid)
            for number, text in enumerate(islice(texts, given.documents)):
                started = time.perf_counter()
                job_id = ingest(stack, f"note{number}.txt", text[:_TEXT])
                took.append(1000 * (time.perf_counter() - started))
            cpu = 1000 * (cpu_seconds(stack.process.pid) - cpu) / given.documents
            cost = call(stack, "GET", f"/jobs/{job_id}")["cost"]
        finally:
            stack.stop()
    found = percentiles(took)
    print(f"p50 {statistics.median(took):.0f} ms, p95 {found.p95:.0f} ms, least {min(took):.0f} ms")
    print(f"{cpu:.0f} ms of processor time, polls included; cost {json.dumps(cost)}")


if __name__ == "__main__":
    main()
