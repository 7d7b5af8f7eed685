"""Run MiniStack and save its state every few seconds. A program for the emulator's own environment.

MiniStack saves only at a graceful stop: a kill would lose every queue and table. Here a change is followed, within
seconds, by a snapshot (`local.emulator_saver`). The data folder:

    <data>/lock         held while a launcher or one of its snapshots runs; who it is
    <data>/version      MiniStack's version that wrote the data
    <data>/state/       what MiniStack keeps beside its JSON, and `snapshots/00000012/*.json`
    <data>/s3/          objects, written by MiniStack at once
    <data>/saved        empty; its time is that of the last save
    <data>/tmp/         temporary files, emptied at every start

Imports nothing but the standard library, MiniStack and hypercorn: it can't see the project's libraries.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import IO, Any, Final

from local.emulator_disk import DiskGuard
from local.emulator_guard import SERVICES, BrowserGuard, restrict_resources
from local.emulator_order import keep_order
from local.emulator_saver import OPEN_FILES, Changes, Saver
from local.emulator_snapshots import SAVED, Snapshots
from local.emulator_speed import speed_up

# Exit codes that `local.emulator` turns into errors of their own.
EXIT_IN_USE: Final = 73
EXIT_NEWER_DATA: Final = 74

# How long a start waits for the lock of a launcher that is about to end, seconds.
LOCK_SECONDS: Final = 15.0

log = logging.getLogger("syncboard.emulator")


class LaunchError(Exception):
    """The emulator can't start on this data folder; `code` is the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


# --- The data folder ----------------------------------------------------------------------------------------


def acquire_lock(path: Path, parent: int) -> IO[str]:
    """Take the data folder's lock and write into it who holds it, or raise LaunchError.

    A holder that is about to end (its parent is gone, or only its snapshot still runs) is waited for.
    """
    file = path.open("a+", encoding="utf-8")
    deadline = time.monotonic() + LOCK_SECONDS
    while not _try_lock(file):
        file.seek(0)
        holder = _parse_holder(file.read())
        if all(map(_is_alive, holder.values())) or time.monotonic() > deadline:
            file.close()
            raise LaunchError(
                f"{path.parent} is in use by another running emulator (process {holder.get('launcher')}, "
                f"started by process {holder.get('parent')}). Stop that one, or use another data folder.",
                EXIT_IN_USE,
            )
        time.sleep(0.05)
    file.truncate(0)
    file.write(json.dumps({"launcher": os.getpid(), "parent": parent}))
    file.flush()
    return file


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
        "SERVICES": ",".join(SERVICES),
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
    restrict_resources()
    speed_up()
    keep_order()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    changes = Changes(DiskGuard(app.app, options.data))
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
    try:
        await hypercorn_serve(BrowserGuard(changes), config, shutdown_trigger=stopped)
    finally:
        saved = await finish(saver, tasks)
    return saved


async def finish(saver: Saver, tasks: Iterable[asyncio.Task[Any]]) -> bool:
    """End the tasks, however they stand, and make the last save; tell whether everything is saved."""
    running = list(tasks)
    for task in running:
        task.cancel()
    for outcome in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.error("A task of the emulator had ended.", exc_info=outcome)
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
        snapshots = Snapshots(options.data / "state" / "snapshots", saved=options.data / SAVED)
        check_version(options.data, installed_version("ministack"), snapshots)
    except LaunchError as error:
        log.error("%s", error)
        return error.code
    snapshots.discard_unfinished()
    shutil.rmtree(options.data / "tmp", ignore_errors=True)
    (options.data / "tmp").mkdir()
    os.environ.update(environment(options.data, options.port))
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most_files, OPEN_FILES), most_files))
    return 0 if asyncio.run(serve(options, snapshots, lock)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
