"""The stack as a whole: started, interfered with, stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.stack import GIVEN_ENDPOINT, ROOT, RunningStack, eventually, run_all

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(GIVEN_ENDPOINT is not None, reason="these tests start and kill their own emulator"),
]

# Long enough to be caught in the act, short enough to parse in seconds.
LONG_TEXT = "\n\n".join(
    f"Paragraph {number} tells of harbour {number % 977}, its keepers and the tides of year {number}."
    for number in range(40_000)
)


def test_invariant_5_a_worker_killed_with_all_its_processes_loses_nothing(
    tmp_path: Path,
) -> None:
    stack = RunningStack(tmp_path / "data", SYNCBOARD_LEASE_SECONDS="4", SYNCBOARD_CLOCK_SKEW_SECONDS="1")
    stack.start()
    try:
        path = tmp_path / "long.txt"
        path.write_text(LONG_TEXT)
        with stack.client() as client:
            job_id = client.submit(path)["job_id"]
            eventually(lambda: client.status(job_id)["state"], lambda state: state == "PROCESSING")
            victims = [stack.worker(), *stack.worker().children(recursive=True)]
            for victim in victims:
                victim.kill()
            done = client.wait(job_id, timeout=60)
            assert (done["state"], done["attempt"]) == ("SUCCESS", 2)
            assert len(client.documents()["documents"]) == 1
    finally:
        stack.stop()


def test_a_job_whose_worker_alone_is_killed_is_given_back_at_once(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data")
    stack.start()
    try:
        path = tmp_path / "long.txt"
        path.write_text(LONG_TEXT)
        with stack.client() as client:
            job_id = client.submit(path)["job_id"]
            eventually(lambda: client.status(job_id)["state"], lambda state: state == "PROCESSING")
            victims = stack.worker().children(recursive=True)
            stack.worker().kill()
            done = client.wait(job_id, timeout=45)  # sooner than a lease ends
            assert done["state"] == "SUCCESS"
            assert len(client.documents()["documents"]) == 1
        _gone, alive = psutil.wait_procs(victims, timeout=10)
        assert not alive
    finally:
        stack.stop()


def test_ctrl_c_stops_everything_and_the_next_start_has_all_of_it(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data")
    stack.start()
    note = tmp_path / "note.md"
    note.write_text("# Tides\n\nThe moon pulls the sea, and spring tides follow the full moon.")
    with stack.client() as client:
        (done,) = run_all(client, note)
        # Somebody's long job is in the worker's hands when Ctrl-C comes.
        (tmp_path / "long.txt").write_text(LONG_TEXT)
        running = client.submit(tmp_path / "long.txt")["job_id"]
        eventually(lambda: client.status(running)["state"], lambda state: state == "PROCESSING")
    family = stack.family()
    assert len(family) >= 3
    assert stack.stop() == 0
    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert not alive

    stack.start()
    try:
        with stack.client() as client:
            assert client.status(done["job_id"])["result"] == done["result"]
            assert client.wait(running, timeout=60)["state"] == "SUCCESS"
            documents = client.documents()["documents"]
            assert len(documents) == 2
    finally:
        stack.stop(signal.SIGTERM)


def test_a_killed_stack_leaves_no_process_behind(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data")
    stack.start()
    family = stack.family()
    stack.kill()
    _gone, alive = psutil.wait_procs(family, timeout=15)
    assert not alive


def test_a_dead_emulator_is_started_again_and_jobs_go_on(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data")
    stack.start()
    try:
        with stack.client() as client:
            note = tmp_path / "note.md"
            note.write_text("# Tides\n\nThe moon pulls the sea, and spring tides follow the full moon.")
            run_all(client, note)
            emulator = next(
                child
                for child in stack.process.children()
                if "emulator_launcher" in " ".join(child.cmdline())
            )
            emulator.terminate()  # gracefully, as a restart of the machine would
            psutil.wait_procs([emulator], timeout=20)
            eventually(lambda: _documents(stack), lambda number: number == 1)
            (again,) = run_all(client, note)
            assert again["state"] == "SUCCESS"
    finally:
        stack.stop()


def test_an_emulator_killed_again_and_again_while_it_starts_comes_back(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data")
    stack.start()
    stack.stop()  # with everything saved
    stack.start()
    try:
        for _ in range(3):
            emulator = eventually(lambda: _child(stack, "emulator_launcher"), lambda found: found is not None)
            assert emulator is not None
            emulator.kill()
            psutil.wait_procs([emulator], timeout=10)
        eventually(lambda: _documents(stack), lambda number: number == 0)
        assert stack.process.is_running()
    finally:
        stack.stop()


def test_a_second_ctrl_c_ends_everything_at_once(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data")
    stack.start()
    family = stack.family()
    stack.worker().suspend()  # it will not stop by itself
    stack.process.send_signal(signal.SIGINT)
    eventually(lambda: "\n".join(stack.lines), lambda text: "Stopping" in text)
    began = time.monotonic()
    assert stack.stop() == 128 + signal.SIGINT
    assert time.monotonic() - began < 5
    _gone, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_it_runs_as_the_first_process_of_a_container(tmp_path: Path) -> None:
    space = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*space, "true"], capture_output=True).returncode:
        pytest.skip("no process space can be made here")
    command = [*space, sys.executable, "-m", "syncboard.cli", "up", "--port", "0", "--data", str(tmp_path)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SYNCBOARD_")}
    log = tmp_path / "logs" / "syncboard.log"
    with subprocess.Popen(command, cwd=ROOT, env=clean, stderr=subprocess.DEVNULL) as outer:
        try:
            text = eventually(
                lambda: log.read_text() if log.exists() else "",
                lambda text: "worker ready" in text or "worker ended" in text,
            )
            assert "worker ready" in text
        finally:
            outer.kill()


def _child(stack: RunningStack, name: str) -> psutil.Process | None:
    children = stack.process.children()
    return next((child for child in children if name in " ".join(child.cmdline())), None)


def _documents(stack: RunningStack) -> int:
    import httpx

    answer = httpx.get(
        f"{stack.url}/documents", headers={"Authorization": f"Bearer {stack.token}"}, timeout=60
    )
    return len(answer.json()["documents"]) if answer.status_code == 200 else -1


def _up(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "syncboard.cli", "up", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SYNCBOARD_")}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, env=clean)


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = _up("--port", str(port), "--data", str(tmp_path / "data"))
    assert ended.returncode == 1
    assert f"Port {port}" in ended.stderr
    assert "PORT=" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_host_that_does_not_exist_is_said_in_one_line(tmp_path: Path) -> None:
    ended = _up("--host", "nosuchhost.invalid", "--port", "0", "--data", str(tmp_path / "data"))
    assert ended.returncode == 1
    (said,) = ended.stderr.strip().splitlines()
    assert said.startswith("syncboard: Host nosuchhost.invalid can't be used")
    assert "PORT=" not in said


def test_a_data_folder_that_can_not_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = _up("--port", "0", "--data", str(tmp_path / "file" / "data"))
    assert ended.returncode == 1
    assert "can't be written" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_two_stacks_run_side_by_side_but_not_on_one_folder(stack: RunningStack) -> None:
    ended = _up("--port", "0", "--data", str(stack.data))
    assert ended.returncode == 1
    (said,) = ended.stderr.strip().splitlines()
    assert said.startswith(f"syncboard: The data folder {stack.data} is in use")
    assert stack.url in said
    with stack.client() as client:
        assert client.health()["status"] == "ok"
