"""Throughput and latency of no-op jobs on one machine, beside Celery + Redis in the same run.

    python -m bench.load --jobs 5000 --processes 2 [--without-celery] [--json FILE]

Starts the embedded stack on a free port with a data folder of its own, and, where `redis-server` is installed,
Celery with as many processes. What is measured and how: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import family, pss_mb
from local.emulator import ROOT
from local.environments import ensure_environment
from local.stack import Stack, StackOptions

_LOCK = ROOT / "requirements" / "bench.txt"
_LIMIT_SECONDS = 1200.0
_SETTLE_SECONDS = 5.0


def measure_stack(jobs: int, processes: int) -> dict[str, Any]:
    """Return the embedded stack's figures."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        began = time.perf_counter()
        with Stack(StackOptions(port=0, data=Path(folder), concurrency=processes, verbose=False)) as stack:
            started = time.perf_counter() - began
            time.sleep(_SETTLE_SECONDS)
            idle_mb = pss_mb(family(os.getpid()))
            figures = _run(
                [sys.executable, "-m", "bench.client", "--url", stack.url, "--token", stack.token()],
                jobs=jobs,
                worker=stack.worker_pid or 0,
            )
            time.sleep(_SETTLE_SECONDS)
            after_mb = pss_mb(family(os.getpid()))
    return {**figures, "start_s": started, "idle_mb": idle_mb, "after_mb": after_mb}


def measure_celery(jobs: int, processes: int) -> dict[str, Any] | None:
    """Return Celery's figures, or None where there is no Redis."""
    redis = shutil.which("redis-server")
    if redis is None:
        return None
    python = ensure_environment("bench", _LOCK)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as running:
        port = _free_port()
        environment = {
            **os.environ,
            "BENCH_REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "PYTHONPATH": str(ROOT),
        }
        server = [redis, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        redis_process = running.enter_context(_running(server, environment))
        _wait_for_port(port)
        command = [str(python), "-m", "celery", "--app", "bench.celery_app", "worker", "--pool", "prefork"]
        worker = running.enter_context(
            _running([*command, "--concurrency", str(processes), "--loglevel", "WARNING"], environment)
        )
        _wait_until_answered(command[:4], environment)
        figures = _run([str(python), "-m", "bench.celery_app"], jobs=jobs, worker=worker.pid, env=environment)
        figures["after_mb"] = pss_mb([*family(worker.pid), redis_process.pid])
    return figures


def _wait_until_answered(command: list[str], environment: dict[str, str]) -> None:
    for _ in range(20):
        ping = [*command, "bench.celery_app", "inspect", "ping", "--timeout", "2"]
        if subprocess.run(ping, env=environment, cwd=ROOT, capture_output=True).returncode == 0:
            return
    raise RuntimeError("the Celery worker does not answer")


def _run(command: list[str], *, jobs: int, worker: int, env: dict[str, str] | None = None) -> dict[str, Any]:
    done = subprocess.run(
        [*command, "--jobs", str(jobs), "--worker", str(worker)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        timeout=_LIMIT_SECONDS,
        check=True,
    )
    # The last line: a library may have logged before it.
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


# --- The table -----------------------------------------------------------------------------------------------

# What, key, unit.
_COMPARED = (
    ("enqueue", "enqueue_per_s", "jobs/s"),
    ("work on a backlog", "jobs_per_s", "jobs/s"),
    ("processor time of an enqueue", "enqueue_cpu_ms", "ms"),
    ("processor time of the work", "work_cpu_ms", "ms"),
    ("end to end, busy, p50", "busy_p50_ms", "ms"),
    ("end to end, busy, p95", "busy_p95_ms", "ms"),
    ("end to end, from idle, p50", "idle_p50_ms", "ms"),
    ("memory after, PSS", "after_mb", "MB"),
)


def show(stack: dict[str, Any], celery: dict[str, Any] | None) -> None:
    """Print the figures."""
    table = Table(title="No-op jobs")
    for heading in ("measure", "SyncBoard", "Celery + Redis", "ratio"):
        table.add_column(heading, justify="left" if heading == "measure" else "right")
    for name, key, unit in _COMPARED:
        other = celery[key] if celery else None
        table.add_row(
            name,
            f"{stack[key]:.1f} {unit}",
            f"{other:.1f} {unit}" if other is not None else "–",
            f"{stack[key] / other:.2f}" if other else "–",
        )
    for name, text in _alone(stack):
        table.add_row(name, text, "–", "–")
    Console().print(table)


def _alone(stack: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "start", f"{stack['start_s']:.1f} s"
    yield "first job after the start", f"{stack['first_ms']:.0f} ms"
    yield "memory idle, PSS", f"{stack['idle_mb']:.0f} MB"
    yield "requests a job: enqueue + work", f"{stack['requests']['enqueue']} + {stack['requests']['work']}"
    yield "one owner's backlog (500)", f"{stack['one_owner']['jobs_per_s']:.0f} jobs/s"
    if "http" in stack:
        yield "end to end over HTTP, busy, p50 / p95", _pair(stack["http"], "p50_ms", "p95_ms")
    for connections, figures in stack.get("submit", {}).items():
        text = f"{_pair(figures, 'p50_ms', 'p99_ms')}, {figures['per_s']:.0f}/s, {figures['errors']} errors"
        yield f"submit over HTTP, {connections} connections, p50 / p99", text


def _pair(figures: dict[str, float], first: str, second: str) -> str:
    return f"{figures[first]:.1f} / {figures[second]:.1f} ms"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.load", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--without-celery", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    before = os.getloadavg()
    celery = None if given.without_celery else measure_celery(given.jobs, given.processes)
    stack = measure_stack(given.jobs, given.processes)
    show(stack, celery)
    load = {"before": before, "after": os.getloadavg()}
    print(f"load averages (1, 5, 15 min): {load}; {os.cpu_count()} cores")
    if given.json:
        given.json.write_text(json.dumps({"stack": stack, "celery": celery, "load": load}, indent=2))


if __name__ == "__main__":
    main()
