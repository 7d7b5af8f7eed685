"""What a running stack can do, seen by a client of its own process. `bench.load` starts it and reads its JSON.

The environment names table, bucket and queues; the API's address and token come as arguments.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import threading
import time
from collections import Counter
from typing import Any, Final
from urllib.parse import urlsplit

from bench.figures import cpu_seconds, frozen, percentiles
from chalicelib import services, settings
from chalicelib.aws import clients
from chalicelib.aws.queues import MAX_BATCH
from chalicelib.aws.table import query_all
from chalicelib.jobs.job import now_ms
from chalicelib.jobs.light import LightConsumer
from chalicelib.jobs.states import TERMINAL, State
from chalicelib.jobs.submission import Submission

# Owners of a backlog, so that all of it fits into their windows; as many users would have it.
_WINDOW: Final = 50
_POLL_SECONDS: Final = 0.005
_PATIENCE_SECONDS: Final = 600.0


def submission(owner: str) -> Submission:
    """Return a way to make jobs for one owner."""
    return Submission(services.table(), services.queues(), services.objects(), owner=owner)


def end_to_end(jobs: Submission) -> tuple[float, float]:
    """Return ms to submit a no-op, and ms until its SUCCESS is seen, asked for every 5 ms."""
    began = time.perf_counter()
    job = jobs.task("noop")
    submitted = time.perf_counter()
    while (row := jobs.store.require(job.job_id, jobs.owner)).state not in TERMINAL:
        time.sleep(_POLL_SECONDS)
    if row.state is not State.SUCCESS:
        raise RuntimeError(f"a no-op ended as {row.state}: {row.error}")
    return (submitted - began) * 1000, (time.perf_counter() - began) * 1000


def succeeded() -> int:
    """Return how many jobs of this stack have succeeded, from its counters."""
    day = time.strftime("%Y-%m-%d", time.gmtime(now_ms() / 1000))
    return sum(item.get("SUCCESS", 0) for item in query_all(services.table(), ("pk", f"STATS#{day}")))


def backlog(jobs: int, worker: int, *, owners: int) -> dict[str, float]:
    """Enqueue while the worker is stopped, one owner after the other, then let it work: jobs/s both ways."""
    before = succeeded()
    ways = [submission(f"owner{number}") for number in range(owners)]
    burst = -(-jobs // owners)
    with frozen(worker):
        spent, began = cpu_seconds(), time.perf_counter()
        for number in range(jobs):
            ways[number // burst].task("noop")
        enqueued, enqueue_cpu = time.perf_counter() - began, cpu_seconds() - spent
    spent, began = cpu_seconds(), time.perf_counter()
    while succeeded() - before < jobs:
        if time.perf_counter() - began > _PATIENCE_SECONDS:
            raise RuntimeError(f"only {succeeded() - before} of {jobs} jobs are done")
        time.sleep(0.05)
    worked, work_cpu = time.perf_counter() - began, cpu_seconds() - spent
    return {
        "enqueue_per_s": jobs / enqueued,
        "jobs_per_s": jobs / worked,
        "enqueue_cpu_ms": enqueue_cpu / jobs * 1000,
        "work_cpu_ms": work_cpu / jobs * 1000,
    }


def requests_per_job(worker: int) -> dict[str, float]:
    """Count the requests of one batch of light jobs, submitted and worked on in this process."""
    made: Counter[str] = Counter()
    clients.on_call(lambda service, operation, _parameters: made.update([f"{service}.{operation}"]))
    queues, lease = services.queues(), settings.get().lease_seconds
    with frozen(worker):
        jobs = submission("counted")
        for _ in range(MAX_BATCH):
            jobs.task("noop")
        enqueue = sum(made.values())
        made.clear()
        received = queues.receive("low_priority", limit=MAX_BATCH, wait=0, visibility=lease)
        consumer = LightConsumer(services.table(), queues, services.objects(), worker="bench")
        keep = consumer.consume(received, seconds_left=60)
        queues.delete_many("low_priority", [message.receipt for message in received])
    if keep or len(received) != MAX_BATCH:
        raise RuntimeError(f"{len(received)} received, {len(keep)} kept")
    return {"enqueue": enqueue / MAX_BATCH, "work": sum(made.values()) / MAX_BATCH}


class Api:
    """One connection to the API, kept open."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Return status and body of one call."""
        raw = json.dumps(body) if body is not None else None
        self._connection.request(method, path, body=raw, headers=self._headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def submit(self) -> float:
        """Return the ms of one submission; raise RuntimeError where it is not taken."""
        began = time.perf_counter()
        status, answer = self.call("POST", "/jobs", {"task": "noop"})
        if status != http.HTTPStatus.ACCEPTED:
            raise RuntimeError(f"POST /jobs answered {status}: {answer}")
        return (time.perf_counter() - began) * 1000


def submit_latency(url: str, token: str, *, connections: int, each: int) -> dict[str, float]:
    """Submit over several connections at once; return ms and errors."""
    taken: list[float] = []
    errors: list[str] = []

    def run() -> None:
        api = Api(url, token)
        for _ in range(each):
            try:
                taken.append(api.submit())
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                errors.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if len(taken) < 2:
        raise RuntimeError(f"nothing was taken: {errors[:1]}")
    found = percentiles(taken)
    return {
        "p50_ms": found.p50,
        "p99_ms": found.p99,
        "per_s": len(taken) / seconds,
        "errors": len(errors),
    }


def http_end_to_end(api: Api) -> float:
    """Return the ms from `POST /jobs` until a status says SUCCESS, asked for every 5 ms."""
    began = time.perf_counter()
    status, job = api.call("POST", "/jobs", {"task": "noop"})
    if status != http.HTTPStatus.ACCEPTED:
        raise RuntimeError(f"POST /jobs answered {status}: {job}")
    while api.call("GET", f"/jobs/{job['job_id']}/status")[1]["state"] != State.SUCCESS:
        time.sleep(_POLL_SECONDS)
    return (time.perf_counter() - began) * 1000


def measure(jobs: int, worker: int, url: str, token: str) -> dict[str, Any]:
    """Return all figures; times in ms, rates per second."""
    one = submission("latency")
    figures: dict[str, Any] = {"first_ms": end_to_end(one)[1]}
    for _ in range(20):
        end_to_end(one)
    busy = percentiles([end_to_end(one)[1] for _ in range(200)])
    figures |= {"busy_p50_ms": busy.p50, "busy_p95_ms": busy.p95}
    idle = []
    for _ in range(6):
        time.sleep(2.5)
        idle.append(end_to_end(one)[1])
    figures["idle_p50_ms"] = percentiles(idle).p50
    figures |= backlog(jobs, worker, owners=max(1, -(-jobs // _WINDOW)))
    figures["one_owner"] = backlog(min(jobs, 500), worker, owners=1)
    figures["requests"] = requests_per_job(worker)
    api = Api(url, token)
    if api.call("POST", "/jobs", {"task": "noop"})[0] != http.HTTPStatus.NOT_FOUND:
        over_http = percentiles([http_end_to_end(api) for _ in range(100)])
        figures["http"] = {"p50_ms": over_http.p50, "p95_ms": over_http.p95}
        figures["submit"] = {
            str(connections): submit_latency(url, token, connections=connections, each=each)
            for connections, each in ((1, 300), (16, 30), (64, 10))
        }
    return figures


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--jobs", "--worker"):
        parser.add_argument(name, type=int, required=True)
    for name in ("--url", "--token"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    json.dump(measure(given.jobs, given.worker, given.url, given.token), sys.stdout)


if __name__ == "__main__":
    main()
