"""The whole service on one machine: emulator, resources, API, worker; started in order, watched, stopped.

With `AWS_ENDPOINT_URL` set it uses that emulator instead of starting one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Final, Self

import msgspec

from chalicelib import settings
from local.advice import address_in, is_address, why_not_bound
from local.console import Console, Silence
from local.containers import MODELS
from local.deployment import deploy
from local.emulator import LOCK_FILE, Emulator, EmulatorError, EmulatorInUse, EmulatorLostState
from local.environments import EnvironmentFailed, ensure_environment
from local.outputs import DeploymentError
from local.private_files import secret_file as secret_file
from local.private_files import signing_secret, write_private
from local.restarts import Restarts
from local.worker_process import WorkerProcess

ROOT: Final = Path(__file__).resolve().parent.parent
# In the data folder while a stack runs on it: its address, and the environment of its processes.
NOTE: Final = "stack.json"
SAMPLES: Final = ROOT / "samples"
# MiniStack holds a whole upload in memory, several times over.
EMBEDDED_MAX_UPLOAD: Final = 500 * 1024 * 1024


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
    # Deployment stage: two stacks on one emulator need two.
    stage: str = "local"
    # Folders of `containers/` whose work this machine does, too.
    containers: tuple[str, ...] = ()
    # Print log lines.
    verbose: bool = True


class Stack:
    """One running stack. A context manager: entering starts everything, leaving stops everything."""

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self.data = options.data.resolve()
        self._emulator: Emulator | None = None
        self._worker: WorkerProcess | None = None
        self._worker_restarts = Restarts()
        # Whether the resources are on the emulator that runs now.
        self._deployed = False
        self._serving = False
        self._emulator_restarts = Restarts()
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
        return self._worker.pid if self._worker else None

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

    def _start(self) -> None:
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            self.console = Console(
                self.data / "logs" / "syncboard.log", sys.stderr if self.options.verbose else Silence()
            )
        except OSError as error:
            raise StackError(f"The data folder {self.data} can't be written: {error.strerror}.") from None
        self._exit.callback(self.console.close)
        endpoint = self._start_emulator()
        self._deploy(endpoint)
        self._start_gateway()
        self._start_worker()
        self._start_containers()

    def _start_emulator(self) -> str:
        given = os.environ.get("AWS_ENDPOINT_URL")
        if given:
            if not is_address(given):
                raise StackError(f"AWS_ENDPOINT_URL={given} is no address such as http://127.0.0.1:4566.")
            return given
        try:
            python = ensure_environment("emulator", LOCK_FILE)
            self._emulator = Emulator(python, self.data)
            self._exit.enter_context(self._emulator)
        except EmulatorInUse:
            raise StackError(
                f"The data folder {self.data} is in use by another running stack{address_in(self.data / NOTE)}. "
                "Stop that one, or use another folder: syncboard up --data FOLDER."
            ) from None
        except (EmulatorError, EnvironmentFailed) as error:
            raise StackError(str(error)) from error
        return self._emulator.endpoint_url

    def _deploy(self, endpoint: str) -> None:
        """Deploy the resources and set this process's environment, which the worker inherits."""
        marker = self._emulator.marker if self._emulator else None
        try:
            outputs = deploy(endpoint, stage=self.options.stage, marker=marker)
        except EmulatorLostState as error:
            # At a start that is for people to decide. A running stack says so, and goes on: what is lost is what
            # came within seconds of the kill, all of it when the stack was only just made.
            if not self._serving:
                raise StackError(str(error)) from error
            self.console.line(f"! {error} This stack goes on with empty data.")
            outputs = deploy(endpoint, stage=self.options.stage, marker=marker, accept_loss=True)
        except (EmulatorError, DeploymentError) as error:
            raise StackError(str(error)) from error
        secret = self._secret()
        os.environ.update(outputs.environment)
        os.environ.update(
            {
                "SYNCBOARD_PLACE": "embedded" if self._emulator else "localstack",
                "SYNCBOARD_JWT_SECRET": secret,
                "SYNCBOARD_UPLOAD_PATH": "/_s3",
                "SYNCBOARD_MODEL_FOLDER": os.environ.get("SYNCBOARD_MODEL_FOLDER") or str(MODELS),
                "POWERTOOLS_LOG_DEDUPLICATION_DISABLED": "true",
            }
        )
        if self._emulator:
            # Signs forms and links, which the gateway checks: an installation's own, where "test" is everybody's.
            os.environ["AWS_SECRET_ACCESS_KEY"] = signing_secret(secret_file(self.data))
            os.environ.setdefault("SYNCBOARD_MAX_UPLOAD_BYTES", str(EMBEDDED_MAX_UPLOAD))
        # An import may have read them already (the logger asks for its level): that was before they were made.
        settings.get.cache_clear()
        self._deployed = True

    def _secret(self) -> str:
        """Return the reference of this installation's secret, which is there and can be used."""
        from chalicelib.aws.secrets import read_secret
        from chalicelib.settings import SettingsError

        try:
            reference = f"file:{secret_file(self.data)}"
            read_secret(reference)
        except OSError as error:
            raise StackError(f"No secret can be made in {self.data}: {error.strerror}.") from None
        except SettingsError as error:
            raise StackError(str(error)) from None
        return reference

    def _start_gateway(self) -> None:
        import app  # late: app.py reads the settings, which the deployment has just made
        from local.gateway import make_gateway

        try:
            self._gateway = make_gateway(
                app.app, host=self.options.host, port=self.options.port, samples=SAMPLES
            )
        except (OSError, OverflowError, UnicodeError) as error:
            raise StackError(why_not_bound(self.options.host, self.options.port, error)) from None
        self.console.take_own_lines()
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

    def _start_worker(self) -> None:
        self._worker = WorkerProcess(self.options.concurrency, self.console.line)
        self._worker.start()
        self._exit.callback(self._worker.stop)

    def _start_containers(self) -> None:
        from local.container_workers import running  # late: it reads the settings, as app.py does

        self._exit.enter_context(running(self.options.containers, self.console.line))
        if self._worker is not None:
            # First of all: while the containers' workers finish theirs, this one must not start more jobs.
            self._exit.callback(self._worker.ask_to_stop)

    def watch(self) -> None:
        """Restart what dies, with backoff, until stopped. Runs in the thread that started the stack."""
        self._serving = True
        while not self._stopping.wait(0.2):
            self.look_after()

    def look_after(self) -> None:
        """Restart what is dead and due. Nothing that goes wrong ends this: it is logged, and tried again later."""
        for care in (self._look_after_emulator, self._look_after_worker):
            try:
                care()
            except (EmulatorError, StackError) as error:
                self.console.line(f"! {error}")
            except Exception as error:
                self.console.line("! " + "".join(traceback.format_exception(error)))

    def _look_after_emulator(self) -> None:
        """Have an emulator that runs and has the resources."""
        emulator = self._emulator
        if emulator is None:
            return
        alive = emulator.alive()
        self._deployed = self._deployed and alive
        if self._deployed:
            self._emulator_restarts.well()
        elif self._emulator_restarts.due():
            ended = (
                "Deploying again."
                if alive
                else f"The emulator ended; starting it again.\n{emulator.log_tail()}"
            )
            self.console.line(f"! {ended}")
            try:
                emulator.start()
                self._deploy(emulator.endpoint_url)
            finally:
                self._emulator_restarts.tried()

    def _look_after_worker(self) -> None:
        worker = self._worker
        if worker is None:
            return
        if worker.pid is not None:
            self._worker_restarts.well()
        elif self._worker_restarts.due():
            self.console.line(f"! The worker ended (exit code {worker.exit_code}); starting it again.")
            try:
                worker.start()
            finally:
                self._worker_restarts.tried()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Make `watch` return. Safe to call from a signal handler."""
        self._stopping.set()

    def kill(self) -> None:
        """Kill the children and theirs; changes of the last seconds are lost. Safe in a signal handler."""
        for pid in (self.worker_pid, self._emulator.pid if self._emulator else None):
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)  # each leads a session of its own
