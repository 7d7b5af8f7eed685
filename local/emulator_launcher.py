"""Run MiniStack and save its state every few seconds. A program for the emulator's own environment.

MiniStack saves only at a graceful stop: a kill would lose every queue and table. Here a change is followed, within
seconds, by a snapshot: a forked child writes JSON from its copy-on-write memory, as Redis does for BGSAVE
(https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/), so requests wait only for the fork.

A snapshot is a directory of its own, renamed into place when it is complete: no torn file, no mixed set.

    <data>/lock         held while a launcher or one of its snapshots runs; who it is
    <data>/version      MiniStack's version that wrote the data
    <data>/state/       what MiniStack keeps beside its JSON, and `snapshots/00000012/*.json`
    <data>/s3/          objects, written by MiniStack at once
    <data>/tmp/         temporary files, emptied at every start

Imports nothing but the standard library, MiniStack and hypercorn: it can't see the project's packages.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import copy
import fcntl
import gc
import json
import logging
import os
import resource
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from importlib.metadata import version as installed_version
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, Final

# Exit codes that `local.emulator` turns into errors of their own.
EXIT_IN_USE: Final = 73
EXIT_NEWER_DATA: Final = 74

# How long a start waits for the lock of a launcher that is about to end, seconds.
LOCK_SECONDS: Final = 15.0
# Saving may take one part in this many of a core: a second of it is followed by nine of peace.
SAVE_SHARE: Final = 10
# A snapshot that takes longer than this hangs, seconds.
SNAPSHOT_LIMIT_SECONDS: Final = 300.0
# An answer may be out before its side effects are in (a bucket's event for a queue): look again after this, seconds.
SETTLE_SECONDS: Final = 1.0

# Sockets and files open at once.
_OPEN_FILES: Final = 8192

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


class LaunchError(Exception):
    """The emulator can't start on this data folder; `code` is the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


# --- Which requests change something ------------------------------------------------------------------------


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


# --- Snapshots on disk --------------------------------------------------------------------------------------


class Snapshots:
    """The numbered snapshot directories below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def latest(self) -> Path | None:
        """Return the newest complete snapshot, or None."""
        return max((path for path in self._root.iterdir() if path.name.isdigit()), default=None)

    def begin(self) -> Path:
        """Return a new empty directory to write the next snapshot into, dropping unfinished ones."""
        self.discard_unfinished()
        latest = self.latest()
        partial = self._root / f"{int(latest.name) + 1 if latest else 1:08d}.partial"
        partial.mkdir()
        return partial

    def finish(self, partial: Path) -> None:
        """Put a written snapshot in place of the one before. Files that it does not have are carried over."""
        previous = self.latest()
        for path in previous.glob("*.json") if previous else ():
            if not (partial / path.name).exists():
                os.link(path, partial / path.name)
        for path in partial.iterdir():
            _sync(path)
        partial.rename(partial.with_suffix(""))
        _sync(self._root)
        if previous:
            shutil.rmtree(previous)

    def discard_unfinished(self) -> None:
        """Remove what a killed snapshot left behind."""
        for path in self._root.glob("*.partial"):
            shutil.rmtree(path)

    def keep_copy(self, folder: Path) -> None:
        """Link the newest snapshot into `folder`, so that it outlives an upgrade of the emulator."""
        latest = self.latest()
        if latest and not folder.exists():
            shutil.copytree(latest, folder, copy_function=os.link)


def _sync(path: Path) -> None:
    """Have the disk hold what was written to `path`, against a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_snapshot(snapshots: Snapshots) -> None:
    """Write the whole state of this process as the newest snapshot; OSError if a part of it could not be written.

    MiniStack logs a failed save and goes on, so that every expected file is looked for.
    """
    from ministack import app
    from ministack.core import persistence

    partial = snapshots.begin()
    persistence.STATE_DIR = str(partial)
    failed: list[str] = []

    def checked(name: str, get_state: Callable[[], Any]) -> Callable[[], Any]:
        def get() -> Any:
            failed.append(name)
            state = get_state()
            if state is None:
                failed.remove(name)
            return state

        return get

    services = app._build_persistence_save_dict()
    persistence.save_all({name: checked(name, get_state) for name, get_state in services.items()})
    failed = [name for name in failed if not (partial / f"{name}.json").exists()]
    if failed:
        raise OSError(f"could not save {', '.join(failed)}")
    snapshots.finish(partial)


def _dump(data: Any, file: IO[str], **options: Any) -> None:
    file.write(json.dumps(data, **options))


def _identity(value: Any, memo: object = None) -> Any:
    return value


def _use_private_memory() -> None:
    """Make saving several times cheaper in a forked child or after the last request: nobody changes the state now.

    `copy.deepcopy` guards a state against changes while it is written: there are none. `json.dump` encodes in
    Python, `json.dumps` in C.
    """
    from ministack.core import persistence

    copy.deepcopy = _identity
    persistence.json = SimpleNamespace(dump=_dump)
    gc.disable()


# --- Saving while it runs -----------------------------------------------------------------------------------


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
            if not await self._save():
                self._changes.note()
            pause = max(self._interval, (SAVE_SHARE - 1) * self._spent)

    async def _save(self) -> bool:
        if self._can_fork:
            return await self._save_in_child()
        return self._save_here()

    def _save_here(self) -> bool:
        before = time.thread_time()
        try:
            write_snapshot(self._snapshots)
        except OSError as error:
            log.error("The state was not saved: %s", error)
            return False
        finally:
            self._spent = time.thread_time() - before
        return True

    async def _save_in_child(self) -> bool:
        before = sum(os.times()[2:4])
        self._child = self._fork()
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
            os.closerange(self._lock.fileno() + 1, _OPEN_FILES)
            os.nice(10)
            _use_private_memory()
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
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            await asyncio.sleep(0.02)

    def finish(self) -> bool:
        """Save the last changes, after the server has stopped; tell whether all is on disk."""
        if self._child is not None:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            self._changes.note()
        if not self._changes.pending():
            return True
        _use_private_memory()
        return self._save_here()


# --- The data folder ----------------------------------------------------------------------------------------


def acquire_lock(path: Path, parent: int) -> IO[str]:
    """Take the data folder's lock and write into it who holds it, or raise LaunchError.

    A holder that is about to end (its parent is gone, or only its snapshot still runs) is waited for.
    """
    file = path.open("a+", encoding="utf-8")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            file.seek(0)
            holder = _parse_holder(file.read())
            if all(map(_is_alive, holder.values())) or time.monotonic() > deadline:
                raise LaunchError(
                    f"{path.parent} is in use by another running emulator (process {holder.get('launcher')}, "
                    f"started by process {holder.get('parent')}). Stop that one, or use another data folder.",
                    EXIT_IN_USE,
                ) from None
            time.sleep(0.05)
    file.truncate(0)
    file.write(json.dumps({"launcher": os.getpid(), "parent": parent}))
    file.flush()
    return file


def _parse_holder(text: str) -> dict[str, int]:
    return {str(key): int(value) for key, value in json.loads(text).items()} if text else {"launcher": 0}


def _is_alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def check_version(data: Path, running: str, snapshots: Snapshots) -> None:
    """Refuse data of a newer MiniStack; keep a copy of an older one's last snapshot; stamp the folder."""
    stamp = data / "version"
    written = stamp.read_text(encoding="utf-8").strip() if stamp.exists() else running
    if _number(written) > _number(running):
        raise LaunchError(
            f"{data} was written by MiniStack {written}, and this is {running}, which may not understand it. "
            "Install the newer environment again, or use another data folder.",
            EXIT_NEWER_DATA,
        )
    if written != running:
        snapshots.keep_copy(data / f"state-{written}")
    stamp.write_text(f"{running}\n", encoding="utf-8")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split("."))


def environment(data: Path, port: int) -> Mapping[str, str]:
    """Return MiniStack's settings. They are read when it is imported."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(data / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(data / "s3"),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # It would look for containers to remove: none of them are ours.
        "DOCKER_HOST": "unix:///nonexistent",
        "TMPDIR": str(data / "tmp"),
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
    }


# --- The program --------------------------------------------------------------------------------------------


async def _watch_parent(parent: int, stop: asyncio.Event) -> None:
    """Stop when the process that started this one is gone: nothing is left running."""
    while os.getppid() == parent:
        await asyncio.sleep(0.25)
    log.warning("Process %s, which started the emulator, is gone: stopping.", parent)
    stop.set()


async def serve(options: argparse.Namespace, snapshots: Snapshots, lock: IO[str]) -> bool:
    """Serve until SIGTERM or SIGINT or the parent's end; tell whether everything is saved."""
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack import app
    from ministack.core import persistence

    # Read from the newest snapshot; `write_snapshot` sets it to a new directory at every save.
    persistence.STATE_DIR = str(snapshots.latest() or options.data / "state" / "none")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    changes = Changes(app.app)
    saver = Saver(changes, snapshots, options.save_seconds, lock)
    tasks = [loop.create_task(saver.run()), loop.create_task(_watch_parent(options.parent, stop))]

    async def stopped() -> None:
        await stop.wait()
        # The last save is `saver.finish`, after the last request.
        app.PERSIST_STATE = False

    config = Config()
    config.bind = [f"fd://{options.socket}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1.0
    config.loglevel = "WARNING"
    await hypercorn_serve(changes, config, shutdown_trigger=stopped)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return saver.finish()


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument(
        "--socket", type=int, required=True, help="inherited descriptor of a bound TCP socket"
    )
    parser.add_argument("--port", type=int, required=True, help="the socket's port")
    parser.add_argument("--parent", type=int, required=True, help="process to end with")
    parser.add_argument("--save-seconds", type=float, default=2.0, help="least time between two snapshots")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the emulator; return the exit code."""
    logging.basicConfig(format="%(asctime)s [%(name)s] %(levelname)s: %(message)s")
    options = _parse_arguments(arguments)
    try:
        lock = acquire_lock(options.data / "lock", options.parent)
        snapshots = Snapshots(options.data / "state" / "snapshots")
        check_version(options.data, installed_version("ministack"), snapshots)
    except LaunchError as error:
        log.error("%s", error)
        return error.code
    snapshots.discard_unfinished()
    shutil.rmtree(options.data / "tmp", ignore_errors=True)
    (options.data / "tmp").mkdir()
    os.environ.update(environment(options.data, options.port))
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most_files, _OPEN_FILES), most_files))
    return 0 if asyncio.run(serve(options, snapshots, lock)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
