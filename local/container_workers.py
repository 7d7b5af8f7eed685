"""The containers on one machine: each one's requirements in an environment of its own, a worker on its queue.

What is an image on AWS is an environment here. They are large, so they are installed behind a page that is up
already; until then each one's capabilities say how far that is, and jobs that need them wait and say so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from chalicelib import capabilities, services
from chalicelib.capabilities import Capability, CapabilityState
from chalicelib.errors import SyncBoardError
from chalicelib.logs import logger
from local.containers import CONTAINERS, Container
from local.environments import ROOT as ENVIRONMENTS
from local.environments import is_fresh, python_of
from local.restarts import Restarts
from local.worker_process import ROOT, WorkerProcess

# Between two looks at an installation, and at a worker.
_LOOK_SECONDS: Final = 1.0
# A worker that has had nothing to do for this long is let go; the next one takes a few seconds to start.
_REST_SECONDS: Final = 300.0
# After an installation failed (no network, say): before the next try.
_AGAIN_SECONDS: Final = 60.0
_MB: Final = 1024 * 1024


class _Failed(Exception):
    """A step ended badly; the message is its last word."""


class ContainerWorker:
    """Installs one container's environment and keeps a worker in it while there is work."""

    def __init__(self, container: Container, say: Callable[[str], None]) -> None:
        self.container = container
        self._say = say
        self._stopping = threading.Event()
        self._step: subprocess.Popen[str] | None = None
        # One thread for all of it: a child that ends with its parent's thread must not lose it.
        self._thread = threading.Thread(target=self._run, name=f"container-{container.name}", daemon=True)

    def start(self) -> None:
        """Start; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop what is installed or works, and wait for it."""
        self._stopping.set()
        if self._step is not None:
            _end(self._step)
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._install()
                self._keep_working()
            except (_Failed, OSError) as error:
                if not self._stopping.is_set():
                    self._say(f"! {self.container.title} is not available: {error}")
                    self._report(CapabilityState.UNAVAILABLE, str(error))
                    self._stopping.wait(_AGAIN_SECONDS)

    # --- Installing --------------------------------------------------------------------------------------------

    def _install(self) -> None:
        """Make the environment, unless it is there. Raise _Failed."""
        container = self.container
        if not is_fresh(container.name, container.lock):
            self._say(
                f"Installing {container.title} (once, about {container.megabytes} MB); all else works meanwhile …"
            )
            arguments = ["-m", "local.environments", container.name, str(container.lock), str(os.getpid())]
            self._follow([sys.executable, *arguments])
            self._say(f"Installed {container.title}.")
        if container.prepare:
            self._report(CapabilityState.PREPARING, "being prepared")
            self._follow([str(python_of(container.name)), *container.prepare])

    def _follow(self, command: list[str]) -> None:
        """Run one step to its end and tell how far it is; raise _Failed."""
        with subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as step:
            self._step = step
            said = ""
            while not self._stopping.is_set():
                try:
                    said = step.communicate(timeout=_LOOK_SECONDS)[0]
                    break
                except subprocess.TimeoutExpired:
                    self._report(CapabilityState.PREPARING, self._progress())
            if self._stopping.is_set():
                _end(step)
        self._step = None
        if step.returncode and not self._stopping.is_set():
            raise _Failed(said.strip() or f"{command[-1]} ended with {step.returncode}")

    def _progress(self) -> str:
        made = _size(ENVIRONMENTS / self.container.name) // _MB
        return f"being installed: {made} of about {self.container.megabytes} MB"

    # --- Working -----------------------------------------------------------------------------------------------

    def _keep_working(self) -> None:
        """Have a worker while there is work for it, until told to stop: at rest, a recogniser takes 0.4 GB."""
        python = str(python_of(self.container.name))
        worker = WorkerProcess(1, self._say, python=python, queues=(self.container.queue,))
        restarts = Restarts()
        last_work = time.monotonic()
        self._report(CapabilityState.READY, "")
        try:
            while not self._stopping.is_set():
                if self._has_work():
                    last_work = time.monotonic()
                    if worker.pid is None and restarts.due():
                        worker.start()
                        restarts.tried()
                elif worker.pid is not None and time.monotonic() - last_work > _REST_SECONDS:
                    worker.stop()
                if worker.pid is not None:
                    restarts.well()
                self._stopping.wait(_LOOK_SECONDS)
        finally:
            worker.stop()

    def _has_work(self) -> bool:
        """Tell whether its queue holds a message, waiting or in work."""
        try:
            return services.queues().depth(self.container.queue).total > 0
        except SyncBoardError:
            return False

    def _report(self, state: CapabilityState, cause: str) -> None:
        report(self.container, state, cause)


def report(container: Container, state: CapabilityState, cause: str) -> None:
    """Say how it stands with all that a container can do."""
    try:
        capabilities.report_queue(
            services.table(), container.queue, Capability(state=state, cause=cause[:500])
        )
    except SyncBoardError as error:
        logger.warning("capability not reported", extra={"queue": container.queue, "cause": error.message})


@contextlib.contextmanager
def running(names: tuple[str, ...], say: Callable[[str], None]) -> Iterator[None]:
    """Keep the workers of these containers running; the others are said to be left out."""
    workers = [ContainerWorker(CONTAINERS[name], say) for name in names]
    for name, container in CONTAINERS.items():
        if name in names:
            report(container, CapabilityState.PREPARING, "starting")
        else:
            report(container, CapabilityState.UNAVAILABLE, "this stack was started without it")
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        threads = [threading.Thread(target=worker.stop) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _end(process: subprocess.Popen[str]) -> None:
    """End a step with everything that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _size(folder: Path) -> int:
    """Return the bytes below a folder; what vanishes meanwhile is not counted."""
    total = 0
    for path, _folders, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size  # noqa: PTH118 (ten thousands of them)
    return total
