"""The whole service on one machine: emulator, resources, API, worker; started in order, watched, stopped.

With `AWS_ENDPOINT_URL` set it uses that emulator instead of starting one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final, Self

import msgspec

from local.console import Console, Silence
from local.deployment import DeploymentError, check_marker, deploy
from local.emulator import LOCK_FILE, Emulator, EmulatorError
from local.environments import EnvironmentFailed, ensure_environment

ROOT: Final = Path(__file__).resolve().parent.parent
# In the data folder while a stack runs on it: its address, and the environment of its processes.
NOTE: Final = "stack.json"
SAMPLES: Final = ROOT / "samples"
# MiniStack holds a whole upload in memory, several times over.
EMBEDDED_MAX_UPLOAD: Final = 500 * 1024 * 1024
_RESTART_SECONDS: Final = 0.5
_RESTART_CAP_SECONDS: Final = 30.0
# A child that ran this long was well: its next death counts as the first.
_WELL_SECONDS: Final = 60.0
_WORKER_STOP_SECONDS: Final = 30.0


class StackError(RuntimeError):
    """The stack can't run; the message says why and what to do."""


class StackOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says."""

    host: str = "127.0.0.1"
    # 0: any free port.
    port: int = 8000
    # Everything that lasts is in this folder.
    data: Path = Path(".local")
    # Jobs at a time.
    concurrency: int = 2
    # Print log lines.
    verbose: bool = True


class Stack:
    """One running stack. A context manager: entering starts everything, leaving stops everything."""

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self.data = options.data.resolve()
        self._emulator: Emulator | None = None
        self._worker: subprocess.Popen[str] | None = None
        self._worker_deaths = 0
        self._worker_started = 0.0
        self._worker_due = 0.0
        self._emulator_due = 0.0
        self._emulator_deaths = 0
        self._stopping = threading.Event()
        self._exit = contextlib.ExitStack()

    @property
    def url(self) -> str:
        """The address for people and clients."""
        host = self.options.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "", "::") else f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self._gateway.server_address[1]}"

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, or None while it is down."""
        return self._worker.pid if self._worker and self._worker.poll() is None else None

    def token(self, user: str = "demo", *, seconds: int = 7 * 24 * 3600) -> str:
        """Sign a token of this installation."""
        from chalicelib.api import tokens

        return tokens.issue(user, seconds=seconds)

    def __enter__(self) -> Self:
        """Start everything; on failure stop what was started. Raise StackError."""
        try:
            self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything, in the reverse order."""
        self._stopping.set()
        self._exit.close()

    # --- Starting ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            self.console = Console(
                self.data / "logs" / "syncboard.log", sys.stderr if self.options.verbose else Silence()
            )
        except OSError as error:
            raise StackError(f"The data folder {self.data} can't be written: {error.strerror}.") from None
        endpoint = self._start_emulator()
        self._deploy(endpoint)
        self._start_gateway()
        self._spawn_worker()
        self._exit.callback(self._stop_worker)

    def _start_emulator(self) -> str:
        given = os.environ.get("AWS_ENDPOINT_URL")
        if given:
            return given
        try:
            python = ensure_environment("emulator", LOCK_FILE)
            self._emulator = Emulator(python, self.data)
            self._exit.enter_context(self._emulator)
        except (EmulatorError, EnvironmentFailed) as error:
            raise StackError(str(error)) from error
        return self._emulator.endpoint_url

    def _deploy(self, endpoint: str) -> None:
        """Deploy the resources and set this process's environment, which the worker inherits."""
        marker = self._emulator.marker if self._emulator else None
        try:
            if marker:
                check_marker(marker, endpoint)
            outputs = deploy(endpoint, stage="local", marker=marker)
        except (EmulatorError, DeploymentError) as error:
            raise StackError(str(error)) from error
        os.environ.update(outputs.environment)
        os.environ.update(
            {
                "SYNCBOARD_PLACE": "embedded" if self._emulator else "localstack",
                "SYNCBOARD_JWT_SECRET": f"file:{secret_file(self.data)}",
                "SYNCBOARD_UPLOAD_PATH": "/_s3",
                "POWERTOOLS_LOG_DEDUPLICATION_DISABLED": "true",
            }
        )
        if self._emulator:
            os.environ.setdefault("SYNCBOARD_MAX_UPLOAD_BYTES", str(EMBEDDED_MAX_UPLOAD))

    def _start_gateway(self) -> None:
        import app  # late: app.py reads the settings, which the deployment has just made
        from local.gateway import make_gateway

        try:
            self._gateway = make_gateway(
                app.app, host=self.options.host, port=self.options.port, samples=SAMPLES
            )
        except (OSError, OverflowError) as error:
            raise StackError(
                f"Port {self.options.port} of {self.options.host} can't be had ({error}). "
                "Choose another: make run PORT=8001."
            ) from None
        _log_to(self.console)
        thread = threading.Thread(target=self._gateway.serve_forever, name="gateway", daemon=True)
        thread.start()
        self._exit.callback(self._gateway.server_close)
        self._exit.callback(self._gateway.shutdown)
        self._announce()

    def _announce(self) -> None:
        """Leave a note of where this stack is, for the other commands; for this user's eyes only."""
        note = self.data / NOTE
        environment = {
            name: value for name, value in os.environ.items() if name.startswith(("SYNCBOARD_", "AWS_"))
        }
        write_private(note, json.dumps({"url": self.url, "pid": os.getpid(), "environment": environment}))
        self._exit.callback(note.unlink, missing_ok=True)

    def _spawn_worker(self) -> None:
        command = [sys.executable, "-m", "local.worker", "--die-with-parent"]
        self._worker = subprocess.Popen(
            [*command, "--concurrency", str(self.options.concurrency)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C reaches this process only, which stops things in order.
            start_new_session=True,
        )
        self._worker_started = time.monotonic()
        threading.Thread(target=self._follow, args=(self._worker,), name="worker-log", daemon=True).start()

    def _follow(self, worker: subprocess.Popen[str]) -> None:
        if worker.stdout is None:
            return
        with worker.stdout:
            for line in worker.stdout:
                self.console.line(line)

    # --- Watching ------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Restart what dies, with backoff, until stopped. Runs in the thread that started the stack."""
        while not self._stopping.wait(0.2):
            self.look_after()

    def look_after(self) -> None:
        """Restart what is dead and due."""
        now = time.monotonic()
        if self._emulator and not self._emulator.alive() and now >= self._emulator_due:
            self._emulator_deaths += 1
            self._emulator_due = now + _pause(self._emulator_deaths)
            self._revive_emulator(self._emulator)
        if self._worker and self._worker.poll() is not None and now >= self._worker_due:
            well = now - self._worker_started > _WELL_SECONDS
            self._worker_deaths = 1 if well else self._worker_deaths + 1
            self._worker_due = now + _pause(self._worker_deaths)
            self.console.say(f"! The worker ended (exit code {self._worker.returncode}); starting it again.")
            self._spawn_worker()

    def _revive_emulator(self, emulator: Emulator) -> None:
        self.console.say(f"! The emulator ended; starting it again.\n{emulator.log_tail()}")
        try:
            emulator.start()
            self._deploy(emulator.endpoint_url)
        except (EmulatorError, StackError) as error:
            self.console.say(f"! {error}")

    def stop(self) -> None:
        """Make `watch` return. Safe to call from a signal handler."""
        self._stopping.set()

    # --- Stopping ------------------------------------------------------------------------------------------

    def _stop_worker(self) -> None:
        """Let the worker finish or give back what it has in hand."""
        worker = self._worker
        if worker is None:
            return
        worker.terminate()
        try:
            worker.wait(_WORKER_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def secret_file(data: Path) -> Path:
    """Return the file with this installation's JWT secret; make it at first use, readable by its owner only."""
    path = data.resolve() / "jwt-secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        write_private(path, secrets.token_urlsafe(48), flags=os.O_EXCL)
    return path


def write_private(path: Path, text: str, *, flags: int = os.O_TRUNC) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def stop_on_signals(stack: Stack) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop the stack cleanly; a second one ends it at once."""

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stack._stopping.is_set():
            signal.signal(number, signal.SIG_DFL)
        stack.stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pause(deaths: int) -> float:
    return float(min(_RESTART_CAP_SECONDS, _RESTART_SECONDS * 2 ** (deaths - 1)))


def _log_to(console: Console) -> None:
    """Send this process's own log lines to the console."""
    from chalicelib.logs import logger

    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(console)
