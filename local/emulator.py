"""The AWS emulator as a child process: started, waited for, watched, stopped.

It runs MiniStack in an environment of its own (`local.environments`) by `local/emulator_launcher.py`, which also
saves its state every few seconds. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from local.emulator_launcher import EXIT_IN_USE, EXIT_NEWER_DATA

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK_FILE: Final = ROOT / "requirements" / "emulator.txt"
LAUNCHER: Final = "local.emulator_launcher"

# How long a start may take. Loading a state takes about a second per 50,000 items.
START_SECONDS: Final = 60.0
# How long a stop may take, with its last save, before the process is killed.
STOP_SECONDS: Final = 30.0

_HEALTH: Final = "/_ministack/health"
_LOG_LIMIT_BYTES: Final = 5_000_000
_TAIL_LINES: Final = 12
# What the child sees of this process's environment: no AWS settings, no settings of another MiniStack.
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")


class EmulatorError(RuntimeError):
    """The emulator did not start, or is not running; the message ends with its last log lines."""


class EmulatorInUse(EmulatorError):
    """Another running emulator holds the data folder."""


class EmulatorDataNewer(EmulatorError):
    """The data folder was written by a newer emulator, which this one may not understand."""


class EmulatorLostState(EmulatorError):
    """Something was deployed into this data folder, and the emulator came up without it."""


_ERRORS: Final = {EXIT_IN_USE: EmulatorInUse, EXIT_NEWER_DATA: EmulatorDataNewer}


class Emulator:
    """One emulator on one data folder. A context manager: entering starts it, leaving stops it.

    `python` is the interpreter of the emulator's environment; `data` is the service's data folder, of which it uses
    `emulator/` and `logs/emulator.log`. Without `port` it takes the port of the last time, or any that is free.
    A change is on disk about `save_seconds` after it was made; a graceful stop saves everything.
    """

    def __init__(
        self, python: Path, data: Path, *, port: int | None = None, save_seconds: float = 2.0
    ) -> None:
        self._python = python
        self._port = port
        self._save_seconds = save_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self.folder = data.resolve() / "emulator"
        self.log = data.resolve() / "logs" / "emulator.log"
        # Written by `local.deployment` at the first deployment into this folder.
        self.marker = self.folder / "deployed.json"

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """The address for `AWS_ENDPOINT_URL`. Stays the same over restarts."""
        if self._port is None:
            raise EmulatorError("the emulator was not started")
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id, or None when it is not running."""
        return self._process.pid if self._process is not None and self.alive() else None

    def alive(self) -> bool:
        """Tell whether the process runs. Cheap: call it as often as you like."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = START_SECONDS) -> None:
        """Start it and wait until it answers; do nothing if it runs. Raises EmulatorError."""
        if self.alive():
            return
        try:
            self._launch()
        except OSError as error:
            raise EmulatorError(f"cannot start the emulator in {self.folder}: {error}") from error
        try:
            self._wait_until_ready(timeout)
        except BaseException:
            self._kill()
            raise
        (self.folder / "port").write_text(f"{self._port}\n", encoding="utf-8")

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop it with everything saved; kill it if that takes longer than `timeout` seconds."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        self._kill()

    def restart(self, timeout: float = START_SECONDS) -> None:
        """Start it anew on the same port, whether it still runs or not."""
        self.stop()
        self.start(timeout)

    def log_tail(self) -> str:
        """Return the last lines that the emulator logged since its start."""
        try:
            with self.log.open("rb") as file:
                file.seek(self._log_start)
                lines = file.read().decode(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-_TAIL_LINES:])

    def _launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self._bind() as listener, self._open_log() as log:
            self._port = listener.getsockname()[1]
            # -E -s: neither PYTHONPATH nor the user's packages get into the emulator's environment. A session of
            # its own: Ctrl-C reaches the command, which stops things in order.
            self._process = subprocess.Popen(
                [
                    *(str(self._python), "-E", "-s", "-m", LAUNCHER, "--data", str(self.folder)),
                    *("--socket", str(listener.fileno()), "--port", str(self._port)),
                    *("--parent", str(os.getpid()), "--save-seconds", str(self._save_seconds)),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                env={name: os.environ[name] for name in _INHERITED if name in os.environ}
                | {"TMPDIR": str(self.folder / "tmp")},
                start_new_session=True,
            )

    def _bind(self) -> socket.socket:
        """Return a bound socket, which the child inherits: nobody can take the port in between."""
        if self._port is not None:
            return _bound(self._port)
        with contextlib.suppress(FileNotFoundError, ValueError, OSError):
            return _bound(int((self.folder / "port").read_text(encoding="utf-8")))
        return _bound(0)

    def _open_log(self) -> BinaryIO:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        file = self.log.open("ab")
        self._log_start = file.tell()
        return file

    def _wait_until_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._answers():
            if not self.alive():
                raise self._start_error()
            if time.monotonic() > deadline:
                raise EmulatorError(f"the emulator did not answer within {timeout:g} s.\n{self.log_tail()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", _HEALTH)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _start_error(self) -> EmulatorError:
        code = self._process.returncode if self._process else None
        kind = _ERRORS.get(code or 0)
        if kind:
            return kind(self.log_tail())
        return EmulatorError(
            f"the emulator ended at its start (exit code {code}). {self.log}:\n{self.log_tail()}"
        )

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener
