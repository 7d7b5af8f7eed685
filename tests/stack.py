"""`syncboard up` as a child process, for tests that use it as people do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from syncboard.client import Client

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90.0
# Under this name processes that run tests hand it on.
_HANDED_ON = "SYNCBOARD_TESTED_ENDPOINT"
# The emulator to test against, if one was given. Taken out of the environment: what runs on moto in this process
# would write to that emulator instead.
GIVEN_ENDPOINT = os.environ.pop("AWS_ENDPOINT_URL", None) or os.environ.get(_HANDED_ON)
if GIVEN_ENDPOINT:
    os.environ[_HANDED_ON] = GIVEN_ENDPOINT
STOP_SECONDS = 60.0
_READY = re.compile(r"SyncBoard is on (?P<url>\S+) .*#token=(?P<token>\S+)")

Value = TypeVar("Value")


def eventually(read: Callable[[], Value], good: Callable[[Value], bool], *, seconds: float = 60.0) -> Value:
    """Return what `read` gives as soon as it is good; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if good(value):
            return value
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
        time.sleep(0.02)


class RunningStack:
    """One stack on a data folder; may be stopped and started again."""

    def __init__(self, data: Path, *, containers: str = "none", **environment: str) -> None:
        self.data = data
        self.containers = containers
        self.environment = environment
        # Other stacks may be on the same emulator, if it is not this one's own.
        self.stage = f"t{uuid.uuid4().hex[:12]}" if GIVEN_ENDPOINT else "local"
        self.lines: list[str] = []
        self.url = ""
        self.token = ""
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()

    def start(self, *arguments: str) -> None:
        """Start it on a free port and wait until it says that it is ready."""
        self._ready.clear()
        # What the unit tests set is for them; the stack makes its own settings.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SYNCBOARD_")}
        if GIVEN_ENDPOINT:
            clean["AWS_ENDPOINT_URL"] = GIVEN_ENDPOINT
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "syncboard.cli",
                "up",
                "--port",
                "0",
                "--data",
                str(self.data),
                "--containers",
                self.containers,
                "--stage",
                self.stage,
                *arguments,
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**clean, "PYTHONPATH": str(ROOT), **self.environment},
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        if not self._ready.wait(START_SECONDS) or self._process.poll() is not None:
            self.kill()
            raise AssertionError("the stack did not start:\n" + "\n".join(self.lines[-30:]))

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line.rstrip())
                if match := _READY.search(line):
                    self.url, self.token = match["url"], match["token"]
                    self._ready.set()
        self._ready.set()

    @property
    def process(self) -> psutil.Process:
        """The command's process."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def family(self) -> list[psutil.Process]:
        """Every process of the stack but the first."""
        return self.process.children(recursive=True)

    def worker(self) -> psutil.Process:
        """The worker's process."""
        return next(child for child in self.process.children() if "local.worker" in " ".join(child.cmdline()))

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does; return its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def client(self, user: str | None = None) -> Client:
        """A client signed in as the local user, or as `user`."""
        return self.client_of(self.token_of(user) if user else self.token)

    def client_of(self, token: str) -> Client:
        """A client with this token; an answer that the route's contract does not allow fails its test."""
        from tests import contracts  # reads the settings, which some have not made yet

        client = Client(self.url, token)
        contracts.watch(client._http)
        return client

    def token_of(self, user: str) -> str:
        """A token that `syncboard token` prints."""
        command = [sys.executable, "-m", "syncboard.cli", "token", "--user", user, "--data", str(self.data)]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def run_all(client: Client, *paths: Path, **options: Any) -> list[dict[str, Any]]:
    """Submit files and return their final statuses."""
    jobs = [client.submit(path, **options) for path in paths]
    return [client.wait(job["job_id"], timeout=120) for job in jobs]
