"""Workers as people run them: beside the stack's own, by hand, with options."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.stack import ROOT, RunningStack, eventually, run_all

pytestmark = [
    pytest.mark.e2e,
]

_LIST = (
    "import json, msgspec; from chalicelib import services, workers; "
    "print(json.dumps([msgspec.to_builtins(w) for w in workers.current(services.table())]))"
)


def environment(stack: RunningStack) -> dict[str, str]:
    """What the stack told its own worker."""
    return {**stack.worker().environ(), "PYTHONPATH": str(ROOT)}


def listed(environ: dict[str, str]) -> dict[int, dict[str, Any]]:
    """The workers that are alive, by process id."""
    command = [sys.executable, "-c", _LIST]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    return {worker["pid"]: worker for worker in json.loads(done.stdout.splitlines()[-1])}


@pytest.fixture
def api(stack: RunningStack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack.token_of('prober')}"}
    with httpx.Client(base_url=stack.url, headers=headers, timeout=60) as client:
        yield client


def submit(api: httpx.Client, number: int) -> list[str]:
    answers = [api.post("/jobs", json={"task": "noop"}) for _ in range(number)]
    assert {answer.status_code for answer in answers} == {202}, answers[0].text
    return [answer.json()["job_id"] for answer in answers]


def states(api: httpx.Client, jobs: list[str]) -> set[str]:
    return {api.get(f"/jobs/{job}/status").json()["state"] for job in jobs}


def test_a_noop_goes_all_the_way(api: httpx.Client) -> None:
    jobs = submit(api, 1)
    eventually(lambda: states(api, jobs), lambda found: found == {"SUCCESS"}, seconds=30)
    done = api.get(f"/jobs/{jobs[0]}/status").json()
    assert (done["attempt"], done["meta"]["percent"]) == (1, 100)


def test_more_light_jobs_than_an_owner_may_have_in_the_queue_all_succeed_once(api: httpx.Client) -> None:
    jobs = submit(api, 70)
    eventually(lambda: states(api, jobs), lambda found: found == {"SUCCESS"}, seconds=90)
    assert {api.get(f"/jobs/{job}/status").json()["attempt"] for job in jobs} == {1}


def unit_environment(stack: RunningStack) -> dict[str, str]:
    """What a unit of systemd gives a worker: what finds the deployed stack, and little else."""
    command = [sys.executable, "-m", "local.worker_environment", stack.stage]
    endpoint = environment(stack)["AWS_ENDPOINT_URL"]
    done = subprocess.run(
        [*command, "--endpoint-url", endpoint], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {"PATH": "/usr/bin:/bin", **dict(line.split("=", 1) for line in done.stdout.splitlines())}


def unit_command(queue: str, *options: str) -> list[str]:
    """What the unit starts for a queue, from this checkout."""
    unit = (ROOT / "infra" / "systemd" / "syncboard-worker@.service").read_text()
    (line,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    program, *words = line.replace("%i", queue).split()
    assert program == "/opt/syncboard/.venv/bin/syncboard"
    return [
        sys.executable,
        "-m",
        "syncboard.cli",
        *[word for word in words if word != "$WORKER_OPTIONS"],
        *options,
    ]


def test_the_units_worker_reports_itself_scales_between_its_bounds_and_signs_off(stack: RunningStack) -> None:
    environ = environment(stack)
    worker = subprocess.Popen(
        unit_command("low_priority", "--autoscale", "2,1"),
        cwd=ROOT,
        env=unit_environment(stack),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        reports = eventually(lambda: listed(environ), lambda found: worker.pid in found, seconds=60)
        report = reports[worker.pid]
        assert stack.worker().pid in reports
        assert report["queues"] == ["low_priority"]
        assert 1 <= report["busy"] + report["idle"] <= 2
        assert report["memory_bytes"] > 20_000_000
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
        assert worker.pid not in listed(environ)
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()


def test_an_idle_process_that_is_told_to_stop_ends_with_its_warm_child(
    stack: RunningStack, tmp_path: Path
) -> None:
    """The child waits for work on a pipe from its parent: without being told, both would wait for each other."""
    note = tmp_path / "note.md"
    note.write_text("# Tides\n\nThe moon pulls the sea, and spring tides follow the full moon.")
    with stack.client("stopper") as client:
        run_all(client, note)
    (fork_server,) = [child for child in stack.worker().children() if child.children()]
    warm = next(environment for environment in fork_server.children() if environment.children())
    family = [warm, *warm.children()]
    warm.terminate()
    _gone, alive = psutil.wait_procs(family, timeout=15)
    assert not alive
    with stack.client("stopper") as client:
        assert run_all(client, note)[0]["state"] == "SUCCESS"


def test_a_worker_with_a_bad_option_says_so_and_ends(stack: RunningStack) -> None:
    command = [sys.executable, "-m", "local.worker", "--queues", "upload"]
    done = subprocess.run(command, cwd=ROOT, env=environment(stack), capture_output=True, text=True)
    assert done.returncode == 2
    assert "no queue 'upload'" in done.stderr
    assert "Traceback" not in done.stderr
