"""MiniStack with every service on: what a deployment needs, and what the product itself keeps off (it runs code)."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from infra import interpreters
from infra.interpreters import Interpreter
from infra.templates import ROOT

_START_SECONDS = 60.0


def python_for(interpreter: Interpreter) -> Path:
    """Return the Python of an environment with the emulator: functions run in it, so it is the package's version."""
    folder = ROOT / ".venvs" / f"emulator-{interpreter.version}"
    return interpreters.environment(interpreter, ROOT / "requirements" / "emulator.txt", folder) / "python"


@contextmanager
def running(python: Path, folder: Path) -> Iterator[str]:
    """Run it on a free port of this machine with nothing kept; yield its address. Its log is in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    settings = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",
        "TMPDIR": str(folder),
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
    }
    with (folder / "ministack.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-E", "-s", "-m", "ministack"], cwd=folder, env=settings, stdout=log, stderr=log
        )
        try:
            _wait(url, process)
            yield url
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it with the functions that it has started: their processes outlive it otherwise."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    process.kill()
    process.wait()
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=10)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/_ministack/health").status_code == httpx.codes.OK:
                return
        assert process.poll() is None, "the emulator ended at its start"
        assert time.monotonic() < deadline, "the emulator does not answer"
        time.sleep(0.05)
