"""When the emulator's state is saved, and what is on disk then."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import emulator_disk, emulator_launcher, emulator_saver
from local.emulator_disk import DiskGuard
from local.emulator_launcher import LaunchError, acquire_lock, check_version
from local.emulator_saver import Changes, Message, Receive, Saver, Scope, Send, may_change
from local.emulator_snapshots import Snapshots


@pytest.mark.parametrize(
    ("method", "path", "target", "answer_bytes", "expected"),
    [
        ("GET", "/bucket/key", "", 5, False),
        ("HEAD", "/bucket/key", "", 0, False),
        ("PUT", "/bucket/key", "", 0, True),
        ("POST", "/bucket", "", 0, True),
        ("POST", "/", "DynamoDB_20120810.Query", 900, False),
        ("POST", "/", "DynamoDB_20120810.BatchGetItem", 900, False),
        ("POST", "/", "DynamoDB_20120810.UpdateItem", 2, True),
        ("POST", "/", "DynamoDB_20120810.BatchExecuteStatement", 2, True),
        ("POST", "/", "AmazonSQS.GetQueueAttributes", 200, False),
        ("POST", "/", "AmazonSQS.DeleteMessage", 2, True),
        ("POST", "/service/GraniteServiceVersion20100801/operation/GetMetricData", "", 9, False),
        ("POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "", 0, True),
    ],
)
def test_only_requests_that_may_change_something_ask_for_a_save(
    method: str, path: str, target: str, answer_bytes: int, expected: bool
) -> None:
    assert may_change(method, path, target, answer_bytes) is expected


def test_a_long_poll_that_returned_nothing_changes_nothing() -> None:
    assert not may_change("POST", "/", "AmazonSQS.ReceiveMessage", len(b"{}"))
    assert may_change("POST", "/", "AmazonSQS.ReceiveMessage", len(b'{"Messages":[{}]}'))


def serve(application: Any, method: str, **headers: str) -> list[Message]:
    """Send one request through an ASGI application; return what it sends."""
    sent: list[Message] = []
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    return sent


async def answer_ok(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def test_changes_are_pending_from_the_first_write_until_a_save_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = Changes(answer_ok)
    serve(changes, "POST", x_amz_target="DynamoDB_20120810.GetItem")
    assert not changes.pending()
    serve(changes, "POST", x_amz_target="DynamoDB_20120810.PutItem")
    assert changes.pending()
    monkeypatch.setattr(emulator_saver, "SETTLE_SECONDS", 0.0)
    changes.begin_save()
    assert not changes.pending()


def test_a_change_made_just_before_a_save_is_looked_at_again() -> None:
    changes = Changes(answer_ok)
    changes.note()
    changes.begin_save()
    assert changes.pending()


def test_a_request_that_fails_half_way_counts_as_a_change() -> None:
    async def crash(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionResetError

    changes = Changes(crash)
    with pytest.raises(ConnectionResetError):
        serve(changes, "POST", x_amz_target="AmazonSQS.SendMessage")
    assert changes.pending()


def snapshot(snapshots: Snapshots, **files: str) -> None:
    partial = snapshots.begin()
    for name, text in files.items():
        (partial / f"{name}.json").write_text(text)
    snapshots.finish(partial)


def contents(snapshots: Snapshots) -> dict[str, str]:
    latest = snapshots.latest()
    assert latest is not None
    return {path.stem: path.read_text() for path in latest.iterdir()}


def test_the_newest_snapshot_replaces_the_one_before(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "snapshots")
    assert snapshots.latest() is None
    snapshot(snapshots, sqs="1")
    snapshot(snapshots, sqs="2")
    assert contents(snapshots) == {"sqs": "2"}
    assert len(list((tmp_path / "snapshots").iterdir())) == 1


def test_a_service_that_a_snapshot_leaves_out_keeps_its_file(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshot(snapshots, sqs="1", dynamodb="1")
    snapshot(snapshots, sqs="2")
    assert contents(snapshots) == {"sqs": "2", "dynamodb": "1"}


def test_an_unfinished_snapshot_is_never_read_and_goes_with_the_next(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshot(snapshots, sqs="1")
    (snapshots.begin() / "sqs.json").write_text("torn")
    assert contents(snapshots) == {"sqs": "1"}
    snapshot(snapshots, sqs="2")
    assert [path.name for path in tmp_path.iterdir()] == ["00000002"]


def test_a_folder_written_by_a_newer_emulator_is_refused(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "state")
    check_version(tmp_path, "1.5.33", snapshots)
    with pytest.raises(LaunchError, match=r"written by MiniStack 1\.5\.33, and this is 1\.5\.9") as caught:
        check_version(tmp_path, "1.5.9", snapshots)
    assert caught.value.code == emulator_launcher.EXIT_NEWER_DATA


def test_an_older_folder_is_taken_over_and_its_last_state_kept(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "state")
    check_version(tmp_path, "1.5.9", snapshots)
    snapshot(snapshots, sqs="old")
    check_version(tmp_path, "1.5.33", snapshots)
    snapshot(snapshots, sqs="new")
    assert (tmp_path / "state-1.5.9" / "sqs.json").read_text() == "old"
    assert (tmp_path / "version").read_text() == "1.5.33\n"


def test_a_folder_in_use_is_refused_and_the_holder_named(tmp_path: Path) -> None:
    with (
        acquire_lock(tmp_path / "lock", os.getpid()),
        pytest.raises(LaunchError, match=f"process {os.getpid()}"),
    ):
        acquire_lock(tmp_path / "lock", os.getpid())


def test_a_folder_is_free_once_its_holder_has_let_go(tmp_path: Path) -> None:
    acquire_lock(tmp_path / "lock", 1).close()
    with acquire_lock(tmp_path / "lock", os.getpid()):
        assert json.loads((tmp_path / "lock").read_text()) == {"launcher": os.getpid(), "parent": os.getpid()}


@pytest.mark.parametrize(
    ("method", "headers"),
    [("PUT", {}), ("POST", {"content_type": "multipart/form-data; boundary=x"})],
)
def test_uploads_are_refused_when_the_disk_is_nearly_full(
    tmp_path: Path, method: str, headers: dict[str, str]
) -> None:
    guard = DiskGuard(answer_ok, tmp_path, reserve=10**18)
    assert serve(guard, method, **headers)[0]["status"] == 503


def test_an_upload_larger_than_the_disk_is_refused_and_a_small_one_taken(tmp_path: Path) -> None:
    guard = DiskGuard(answer_ok, tmp_path, reserve=0)
    assert serve(guard, "PUT", content_length=str(10**18))[0]["status"] == 503
    assert serve(guard, "PUT", content_length="1")[0]["status"] == 200


def test_other_calls_pass_a_full_disk(tmp_path: Path) -> None:
    guard = DiskGuard(answer_ok, tmp_path, reserve=10**18)
    assert serve(guard, "POST", x_amz_target="DynamoDB_20120810.UpdateItem")[0]["status"] == 200
    assert serve(guard, "DELETE")[0]["status"] == 200
    assert emulator_disk.RESERVE_BYTES > 0


class Writes:
    """Stands in for writing a snapshot; counts, and fails as told."""

    def __init__(self) -> None:
        self.count = 0
        self.error: OSError | None = None

    def __call__(self, snapshots: Snapshots) -> None:
        self.count += 1
        if self.error:
            raise self.error


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Writes:
    fake = Writes()
    monkeypatch.setattr(emulator_saver, "write_snapshot", fake)
    monkeypatch.setattr(emulator_saver, "use_private_memory", lambda: None)
    return fake


def saver_of(tmp_path: Path, changes: Changes) -> Saver:
    return Saver(changes, Snapshots(tmp_path), interval=0.0, lock=sys.stdout)


def run_until(saver: Saver, done: Callable[[], bool]) -> None:
    """Let the saver run until `done`, for at most five seconds."""

    async def run() -> None:
        task = asyncio.create_task(saver.run())
        async with asyncio.timeout(5):
            while not done():
                await asyncio.sleep(0.005)
        task.cancel()

    asyncio.run(run())


def test_where_forking_is_impossible_the_server_saves_itself(
    tmp_path: Path, writes: Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")
    changes = Changes(answer_ok)
    changes.note()
    run_until(saver_of(tmp_path, changes), lambda: writes.count > 0)


def test_where_forked_children_are_killed_the_server_saves_itself(
    tmp_path: Path, writes: Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork_and_die(_saver: Saver) -> int:
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        process.send_signal(signal.SIGKILL)
        # Reaped by the saver.
        process.returncode = -signal.SIGKILL
        return process.pid

    monkeypatch.setattr(Saver, "_fork", fork_and_die)
    changes = Changes(answer_ok)
    changes.note()
    run_until(saver_of(tmp_path, changes), lambda: writes.count > 0)


def test_a_save_that_fails_is_tried_again(
    tmp_path: Path, writes: Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")
    monkeypatch.setattr(emulator_saver, "SETTLE_SECONDS", 0.0)
    writes.error = OSError("No space left on device")
    changes = Changes(answer_ok)
    changes.note()
    run_until(saver_of(tmp_path, changes), lambda: writes.count >= 3)
    assert changes.pending()


def test_the_last_save_says_whether_everything_is_on_disk(tmp_path: Path, writes: Writes) -> None:
    changes = Changes(answer_ok)
    saver = saver_of(tmp_path, changes)
    assert saver.finish()
    assert writes.count == 0
    changes.note()
    assert saver.finish()
    assert writes.count == 1
    writes.error = OSError("No space left on device")
    assert not saver.finish()


def test_a_fork_that_fails_once_does_not_end_the_saving(
    tmp_path: Path, writes: Writes, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([OSError("Cannot allocate memory"), RuntimeError("unforeseen")])

    def fork(_saver: Saver) -> int:
        if error := next(failures, None):
            raise error
        writes.count += 1
        return subprocess.Popen([sys.executable, "-c", ""]).pid

    monkeypatch.setattr(Saver, "_fork", fork)
    # The process object is dropped: the saver reaps the child.
    monkeypatch.setattr(subprocess.Popen, "__del__", lambda _process: None)
    changes = Changes(answer_ok)
    changes.note()
    saver = saver_of(tmp_path, changes)
    run_until(saver, lambda: writes.count > 0 and saver._child is None)
    assert saver.finish()


def test_the_last_save_is_made_however_the_saving_ended(tmp_path: Path, writes: Writes) -> None:
    changes = Changes(answer_ok)
    changes.note()

    async def stop() -> bool:
        async def broken() -> None:
            raise RuntimeError("the loop has died")

        task = asyncio.create_task(broken())
        endless = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0)
        return await emulator_launcher.finish(saver_of(tmp_path, changes), [task, endless])

    assert asyncio.run(stop())
    assert writes.count == 1


def test_a_child_that_somebody_else_has_reaped_is_no_error(tmp_path: Path, writes: Writes) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    changes = Changes(answer_ok)
    saver = saver_of(tmp_path, changes)
    assert asyncio.run(saver._reap(process.pid)) == 1
    saver._child = process.pid
    assert saver.finish()
    # Whether that child had saved is not known.
    assert writes.count == 1
