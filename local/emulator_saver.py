"""Saving the emulator's state while it runs: what changed, when to save, and the forked child that does.

The child writes JSON from its copy-on-write memory, as Redis does for BGSAVE
(https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/), so requests wait only for the fork.
Measured at 50,000 items (MiniStack 1.5.33, 29 MB of JSON): 10 ms for the fork, 0.8 s of CPU and 200 MB in the child.

Runs inside the emulator's environment: imports nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from typing import IO, Any, Final

from local.emulator_snapshots import Snapshots, use_private_memory, write_snapshot

# Saving may take one part in this many of a core: a second of it is followed by nine of peace.
SAVE_SHARE: Final = 10
# A snapshot that takes longer than this hangs, seconds.
SNAPSHOT_LIMIT_SECONDS: Final = 300.0
# An answer may be out before its side effects are in (a bucket's event for a queue): look again after this, seconds.
SETTLE_SECONDS: Final = 1.0
# Sockets and files open at once.
OPEN_FILES: Final = 8192

_READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READ_PREFIXES: Final = ("Get", "List", "Describe", "BatchGet", "TransactGet", "Query", "Scan")
# A long poll that returned nothing answers `{}`; with a message it is longer.
_EMPTY_ANSWER_BYTES: Final = 2

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("syncboard.emulator")


def operation(path: str, target: str) -> str:
    """Return the AWS operation named by `X-Amz-Target` or by an RPC path, or "" where the body names it."""
    if target:
        return target.rsplit(".", 1)[-1]
    return path.rsplit("/operation/", 1)[1] if "/operation/" in path else ""


def may_change(method: str, path: str, target: str, answer_bytes: int) -> bool:
    """Tell whether a request may have changed the state. In doubt, yes."""
    if method in _READ_METHODS:
        return False
    name = operation(path, target)
    if name == "ReceiveMessage":
        return answer_bytes > _EMPTY_ANSWER_BYTES
    return not name.startswith(_READ_PREFIXES)


class Changes:
    """Notes when a request may last have changed the state. Wraps the ASGI application."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._happened = asyncio.Event()
        # Clock of the last change, seconds (monotonic).
        self.last = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection and note a change after its last byte."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        answer_bytes = 0

        async def counting_send(message: Message) -> None:
            nonlocal answer_bytes
            answer_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._application(scope, receive, counting_send)
        finally:
            target = next((v for k, v in scope["headers"] if k == b"x-amz-target"), b"").decode("latin-1")
            if may_change(scope["method"], scope["path"], target, answer_bytes):
                self.note()

    def note(self) -> None:
        """Note a change now."""
        self.last = time.monotonic()
        self._happened.set()

    def pending(self) -> bool:
        """Tell whether something changed that no snapshot was begun for."""
        return self._happened.is_set()

    async def wait(self) -> None:
        """Wait until something has changed."""
        await self._happened.wait()

    def begin_save(self) -> None:
        """Forget the changes that a snapshot begun now contains; the newest ones are looked at again."""
        if time.monotonic() - self.last > SETTLE_SECONDS:
            self._happened.clear()


class Saver:
    """Saves after changes: one snapshot at a time, at least `interval` seconds apart."""

    def __init__(self, changes: Changes, snapshots: Snapshots, interval: float, lock: IO[str]) -> None:
        self._changes = changes
        self._snapshots = snapshots
        self._interval = interval
        self._lock = lock
        self._child: int | None = None
        # What the last snapshot cost, CPU seconds.
        self._spent = 0.0
        self._can_fork = hasattr(os, "fork")

    async def run(self) -> None:
        """Save for ever. Cancel it to stop."""
        pause = self._interval
        while True:
            await self._changes.wait()
            await asyncio.sleep(pause)
            self._changes.begin_save()
            if not await self._save_safely():
                self._changes.note()
            pause = max(self._interval, (SAVE_SHARE - 1) * self._spent)

    async def _save_safely(self) -> bool:
        """Save; whatever goes wrong is logged and tried again, for without this loop nothing would be saved."""
        try:
            return await self._save()
        except Exception:
            log.exception("The state was not saved")
            return False

    async def _save(self) -> bool:
        if self._can_fork:
            return await self._save_in_child()
        return self._save_here()

    def _save_here(self) -> bool:
        before = time.thread_time()
        try:
            write_snapshot(self._snapshots)
        except Exception:
            log.exception("The state was not saved")
            return False
        finally:
            self._spent = time.thread_time() - before
        return True

    async def _save_in_child(self) -> bool:
        before = sum(os.times()[2:4])
        try:
            self._child = self._fork()
        except OSError as error:
            # Short of memory or processes for the moment.
            log.error("The state was not saved: cannot fork: %s", error)
            return False
        status = await self._reap(self._child)
        self._child = None
        self._spent = sum(os.times()[2:4]) - before
        if status == 0:
            return True
        log.error("The state was not saved: the snapshot ended with %s", status)
        if status < 0:
            # Killed by a signal. Some systems do not let a process with threads go on after a fork.
            self._can_fork = False
        return False

    def _fork(self) -> int:
        with warnings.catch_warnings():
            # Python 3.12 warns of forking with threads: the child touches no lock but the logger's, which Python
            # renews, and one that hangs all the same is killed.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            self._be_child()
        return child

    def _be_child(self) -> None:
        """Write the snapshot and end, in the forked child."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # A connection that the parent closes is closed only when the child has let go of it, too. The lock is
            # kept: nobody may start on this data before the snapshot is written.
            os.closerange(3, self._lock.fileno())
            os.closerange(self._lock.fileno() + 1, OPEN_FILES)
            os.nice(10)
            use_private_memory()
            write_snapshot(self._snapshots)
            code = 0
        except BaseException:
            log.exception("The snapshot failed")
        finally:
            os._exit(code)

    async def _reap(self, child: int) -> int:
        """Wait for the child; return its exit code, or minus the signal that ended it."""
        deadline = time.monotonic() + SNAPSHOT_LIMIT_SECONDS
        while True:
            try:
                pid, status = os.waitpid(child, os.WNOHANG)
            except ChildProcessError:
                # Somebody else took its exit code: whether it saved is not known.
                return 1
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            await asyncio.sleep(0.02)

    def finish(self) -> bool:
        """Save the last changes, after the server has stopped; tell whether all is on disk."""
        if self._child is not None:
            with contextlib.suppress(ChildProcessError, ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
                os.waitpid(self._child, 0)
            self._child = None
            self._changes.note()
        if not self._changes.pending():
            self._snapshots.confirm()
            return True
        use_private_memory()
        return self._save_here()
