"""The embedded emulator: what a kill costs, what a stop keeps, and that nothing is left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from local.emulator import LOCK_FILE, ROOT, Emulator, EmulatorDataNewer, EmulatorError, EmulatorInUse
from local.environments import ensure_environment

pytestmark = pytest.mark.e2e

SAVE_SECONDS = 0.1


@pytest.fixture(scope="module")
def python() -> Path:
    return ensure_environment("emulator", LOCK_FILE)


@pytest.fixture
def emulator(python: Path, tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(python, tmp_path, save_seconds=SAVE_SECONDS) as running:
        yield running


class Services:
    """Calls the three services that matter, and knows one table, one queue and one bucket."""

    def __init__(self, endpoint_url: str) -> None:
        session = boto3.session.Session("test", "test", region_name="us-east-1")
        clients: Any = [session.client(name, endpoint_url=endpoint_url) for name in ("dynamodb", "sqs", "s3")]
        self.dynamodb, self.sqs, self.s3 = clients

    def create(self) -> None:
        self.dynamodb.create_table(
            TableName="things",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.sqs.create_queue(QueueName="things")
        self.s3.create_bucket(Bucket="things")

    def write(self, text: str) -> None:
        """Write `text` to all three."""
        self.s3.put_object(Bucket="things", Key=text, Body=text.encode())
        self.sqs.send_message(QueueUrl=self.queue_url(), MessageBody=text)
        self.dynamodb.put_item(TableName="things", Item={"pk": {"S": text}})

    def queue_url(self) -> str:
        return str(self.sqs.get_queue_url(QueueName="things")["QueueUrl"])

    def contents(self) -> tuple[set[str], set[str], set[str]]:
        """Return what table, queue and bucket hold. The messages are taken."""
        items = self.dynamodb.scan(TableName="things")["Items"]
        messages = self.sqs.receive_message(
            QueueUrl=self.queue_url(), MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages", [])
        objects = self.s3.list_objects_v2(Bucket="things").get("Contents", [])
        bodies = {
            self.s3.get_object(Bucket="things", Key=item["Key"])["Body"].read().decode() for item in objects
        }
        return {item["pk"]["S"] for item in items}, {message["Body"] for message in messages}, bodies


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll until `condition` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def is_saved(emulator: Emulator, text: str) -> bool:
    """Tell whether the newest snapshot holds `text` in the table's state."""
    files = (emulator.folder / "state" / "snapshots").glob("[0-9]*[0-9]/dynamodb.json")
    # A newer snapshot may take the place of the one that is being read.
    with contextlib.suppress(FileNotFoundError):
        return any(f'"{text}"' in file.read_text() for file in files)
    return False


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill(emulator: Emulator) -> None:
    assert emulator.pid is not None
    os.kill(emulator.pid, signal.SIGKILL)
    eventually(lambda: not emulator.alive())


def test_what_was_written_a_save_interval_before_a_kill_survives_it(emulator: Emulator) -> None:
    services = Services(emulator.endpoint_url)
    services.create()
    services.write("first")
    eventually(lambda: is_saved(emulator, "first"))
    services.write("second")
    eventually(lambda: is_saved(emulator, "second"))
    address = emulator.endpoint_url
    kill(emulator)
    emulator.start()
    assert emulator.endpoint_url == address
    both = {"first", "second"}
    assert services.contents() == (both, both, both)


def test_a_kill_in_the_middle_of_saving_leaves_a_whole_state(emulator: Emulator) -> None:
    services = Services(emulator.endpoint_url)
    services.create()
    services.write("first")
    eventually(lambda: is_saved(emulator, "first"))
    snapshots = emulator.folder / "state" / "snapshots"
    services.write("second")
    eventually(lambda: any(snapshots.glob("*.partial")) or is_saved(emulator, "second"))
    kill(emulator)
    emulator.start()
    items, messages, _objects = services.contents()
    assert items >= {"first"}
    # One moment's state: the message went before the item.
    assert messages >= items


def test_a_graceful_stop_keeps_everything(python: Path, tmp_path: Path) -> None:
    # No snapshot in between: only the last save.
    with Emulator(python, tmp_path, save_seconds=3600) as emulator:
        services = Services(emulator.endpoint_url)
        services.create()
        for text in ("a", "b", "c"):
            services.write(text)
        emulator.restart()
        assert services.contents() == ({"a", "b", "c"},) * 3


def test_an_idle_emulator_writes_nothing(emulator: Emulator) -> None:
    services = Services(emulator.endpoint_url)
    services.create()
    snapshots = emulator.folder / "state" / "snapshots"

    def newest() -> float:
        return max((path.stat().st_mtime for path in snapshots.glob("*")), default=0.0)

    eventually(lambda: 0.0 < newest() < time.time() - 1.2)
    before = newest()
    deadline = time.monotonic() + 5 * SAVE_SECONDS
    while time.monotonic() < deadline:
        services.contents()
    assert newest() == before


def test_two_emulators_run_side_by_side(emulator: Emulator, python: Path, tmp_path: Path) -> None:
    with Emulator(python, tmp_path / "other") as other:
        assert other.endpoint_url != emulator.endpoint_url
        Services(emulator.endpoint_url).create()
        assert Services(other.endpoint_url).dynamodb.list_tables()["TableNames"] == []


def test_a_data_folder_in_use_is_refused_at_once(emulator: Emulator, python: Path, tmp_path: Path) -> None:
    with pytest.raises(EmulatorInUse, match=f"process {emulator.pid}"):
        Emulator(python, tmp_path).start()
    assert emulator.alive()


def test_a_data_folder_of_a_newer_emulator_is_refused(emulator: Emulator) -> None:
    emulator.stop()
    (emulator.folder / "version").write_text("999.0.0\n")
    with pytest.raises(EmulatorDataNewer, match=r"written by MiniStack 999\.0\.0"):
        emulator.start()


def test_a_crash_at_the_start_shows_the_last_log_lines(emulator: Emulator) -> None:
    emulator.stop()
    (emulator.folder / "state" / "snapshots" / "00009999.partial").write_text("a file in a folder's place")
    with pytest.raises(EmulatorError, match="NotADirectoryError"):
        emulator.start()
    assert not emulator.alive()


def test_a_port_that_is_taken_is_an_error(emulator: Emulator, python: Path, tmp_path: Path) -> None:
    port = int(emulator.endpoint_url.rsplit(":", 1)[1])
    with pytest.raises(EmulatorError, match="cannot start"):
        Emulator(python, tmp_path / "other", port=port).start()


def test_it_listens_on_this_machine_only(emulator: Emulator) -> None:
    connections = psutil.Process(emulator.pid).net_connections("inet")
    assert {item.laddr.ip for item in connections if item.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


PARENT = """
import sys, time
from pathlib import Path
from local.emulator import Emulator
emulator = Emulator(Path(sys.argv[1]), Path(sys.argv[2]), save_seconds=3600)
emulator.start()
print(emulator.pid, emulator.endpoint_url, flush=True)
time.sleep(60)
"""


def test_it_ends_with_its_parent_and_saves_first(python: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(python), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, endpoint_url = parent.stdout.readline().split()
        services = Services(endpoint_url)
        services.create()
        services.write("last words")
        parent.kill()
    # A new start waits for the old one's last save.
    with Emulator(python, tmp_path) as emulator:
        assert is_gone(int(pid))
        assert Services(emulator.endpoint_url).contents() == ({"last words"},) * 3
