"""The comparison: a no-op task on Celery and Redis, and its measurement.

Runs in an environment of its own (requirements/bench.txt), so it imports nothing of the project but this folder's
arithmetic. `bench.load` starts Redis, this application's worker, and then:

    python -m bench.celery_app --jobs 5000 --worker PID
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

from celery import Celery

from bench.figures import cpu_seconds, frozen, percentiles

_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
# Celery's own defaults but for the addresses: messages acknowledged early, four prefetched, results kept.
app = Celery("bench", broker=_URL, backend=_URL)


@app.task
def noop(echo: Any = None) -> Any:
    """Do nothing and hand back what came."""
    return echo


def _wait_for_results(redis: Any, number: int) -> None:
    """Wait until the backend holds `number` results."""
    while sum(1 for _ in redis.scan_iter("celery-task-meta-*", count=10_000)) < number:
        time.sleep(0.02)


def _end_to_end() -> float:
    """Return the milliseconds from the call to the result, asked for every 5 ms."""
    began = time.perf_counter()
    result = noop.delay()
    while not result.ready():
        time.sleep(0.005)
    return (time.perf_counter() - began) * 1000


def measure(jobs: int, worker: int) -> dict[str, float]:
    """Return the figures; times in ms, rates per second."""
    redis = app.backend.client
    [_end_to_end() for _ in range(20)]
    busy = percentiles([_end_to_end() for _ in range(200)])
    idle = []
    for _ in range(6):
        time.sleep(2.5)
        idle.append(_end_to_end())
    redis.flushdb()
    with frozen(worker):
        spent, began = cpu_seconds(), time.perf_counter()
        for _ in range(jobs):
            noop.delay()
        enqueued, enqueue_cpu = time.perf_counter() - began, cpu_seconds() - spent
    spent, began = cpu_seconds(), time.perf_counter()
    _wait_for_results(redis, jobs)
    worked, work_cpu = time.perf_counter() - began, cpu_seconds() - spent
    return {
        "enqueue_per_s": jobs / enqueued,
        "jobs_per_s": jobs / worked,
        "enqueue_cpu_ms": enqueue_cpu / jobs * 1000,
        "work_cpu_ms": work_cpu / jobs * 1000,
        "busy_p50_ms": busy.p50,
        "busy_p95_ms": busy.p95,
        "idle_p50_ms": percentiles(idle).p50,
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--worker", type=int, required=True, help="process id of the Celery worker")
    given = parser.parse_args()
    json.dump(measure(given.jobs, given.worker), sys.stdout)


if __name__ == "__main__":
    main()
