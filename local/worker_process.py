"""The worker as a child process: started, its log followed, stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
# How long a stop may take, with jobs finished or given back, before the process is killed.
STOP_SECONDS: Final = 30.0


class WorkerProcess:
    """One worker, which may be started again after it ended. It inherits the environment.

    `log` gets every line that it prints, in a thread. `python` is the interpreter whose libraries it has, `queues`
    those that it works on (by default what every installation has).
    """

    def __init__(
        self,
        concurrency: int,
        log: Callable[[str], None],
        *,
        python: str = sys.executable,
        queues: tuple[str, ...] = (),
    ) -> None:
        self._concurrency = concurrency
        self._log = log
        self._python = python
        self._queues = queues
        self._process: subprocess.Popen[str] | None = None
        # The process that was asked to stop: asked again, it would hurry.
        self._asked: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, which is its group's too, or None when it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None before."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start it; return at once. Call it in a thread that lives on: its end is the worker's. Raise OSError."""
        command = [self._python, "-m", "local.worker", "--die-with-parent", str(os.getpid())]
        if self._queues:
            command += ["--queues", ",".join(self._queues)]
        self._process = subprocess.Popen(
            [*command, "--concurrency", str(self._concurrency)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C reaches the stack's process only, which stops things in order.
            start_new_session=True,
        )
        threading.Thread(target=self._follow, args=(self._process,), name="worker-log", daemon=True).start()

    def ask_to_stop(self) -> None:
        """Have it take no more jobs and end when those in hand are finished; return at once."""
        if self._process is not None and self._process is not self._asked:
            self._asked = self._process
            self._process.terminate()

    def stop(self) -> None:
        """Let it finish or give back what it has in hand; kill it if that takes longer than `STOP_SECONDS`."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            return
        with process.stdout:
            for line in process.stdout:
                self._log(line)
