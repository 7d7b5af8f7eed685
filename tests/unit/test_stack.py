"""The stack's care for its children, with children that die, fail and come back; no process is started."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib import settings
from local import deployment
from local import stack as module
from local.advice import why_not_bound
from local.console import Console
from local.deployment import check_marker
from local.emulator import EmulatorError, EmulatorLostState
from local.outputs import DeploymentError
from local.restarts import WELL_SECONDS, Restarts
from local.sessions import Session
from local.stack import Stack, StackError, StackOptions
from local.stop_signals import stop_on_signals
from local.worker_process import WorkerProcess

ENDPOINT = "http://127.0.0.1:9"
BROKEN = ClientError(
    {
        "Error": {"Code": "500", "Message": "broken"},
        "ResponseMetadata": {
            "HTTPStatusCode": 500,
            "HTTPHeaders": {},
            "HostId": "",
            "RequestId": "",
            "RetryAttempts": 0,
        },
    },
    "DescribeTable",
)
GONE = EndpointConnectionError(endpoint_url=ENDPOINT)


class FakeEmulator:
    """As `local.emulator.Emulator`, without a process."""

    endpoint_url = ENDPOINT
    pid = None

    def __init__(self, folder: Path) -> None:
        self.marker = folder / "deployed.json"
        self.lives = True
        self.starts = 0
        self.failure: Exception | None = None

    def alive(self) -> bool:
        return self.lives

    def start(self) -> None:
        if not self.lives:
            self.starts += 1
            if self.failure:
                raise self.failure
            self.lives = True

    def log_tail(self) -> str:
        return "its last words"


class Scene:
    """A stack that was started, whose clock and deployment the test holds."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.deployments = 0
        self.failure: Exception | None = None
        self.screen = io.StringIO()
        self.emulator = FakeEmulator(folder)
        self.stack = Stack(StackOptions(data=folder))
        self.stack.console = Console(folder / "syncboard.log", self.screen)
        self.stack._emulator = self.emulator  # type: ignore[assignment]
        self.stack._emulator_restarts = Restarts(lambda: self.now)
        self.stack._deployed = True
        patch.setattr(module, "deploy", self._deploy)
        patch.setattr(os, "environ", dict(os.environ))

    def _deploy(self, *_: Any, **__: Any) -> Any:
        self.deployments += 1
        if self.failure:
            raise self.failure
        return SimpleNamespace(environment={})

    def look(self, *, after: float = 0.0) -> None:
        self.now += after
        self.stack.look_after()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Scene(tmp_path, monkeypatch)
    yield made
    made.stack.console.close()


@pytest.mark.parametrize(
    "failure", [DeploymentError("down again"), EmulatorError("down again"), GONE, ZeroDivisionError("a bug")]
)
def test_an_emulator_that_dies_during_its_deployment_is_deployed_again(
    scene: Scene, failure: Exception
) -> None:
    scene.emulator.lives = False
    scene.failure = failure
    scene.look()
    assert (scene.emulator.starts, scene.deployments) == (1, 1)
    assert str(failure) in scene.screen.getvalue()
    # It lives, and has no resources.
    scene.failure = None
    scene.look(after=0.1)
    assert scene.deployments == 1, "not before the pause is over"
    scene.look(after=0.5)
    assert (scene.emulator.starts, scene.deployments) == (1, 2)
    scene.look(after=100)
    assert scene.deployments == 2, "it is deployed: nothing to do"


def test_failures_are_tried_again_after_pauses_that_double_up_to_half_a_minute(scene: Scene) -> None:
    scene.emulator.lives = False
    scene.emulator.failure = EmulatorError("no")
    moments = []
    for _ in range(2000):
        before = scene.emulator.starts
        scene.look(after=0.1)
        if scene.emulator.starts > before:
            moments.append(scene.now)
    pauses = [round(later - sooner, 1) for sooner, later in pairwise(moments)]
    assert pauses[:7] == pytest.approx([0.5, 1, 2, 4, 8, 16, 30], abs=0.2)
    assert max(pauses) < 31


@pytest.mark.parametrize(("well", "pause"), [(WELL_SECONDS + 1, 0.5), (WELL_SECONDS / 2, 4.0)])
def test_an_emulator_that_was_well_for_a_minute_begins_anew(scene: Scene, well: float, pause: float) -> None:
    for _ in range(3):
        scene.emulator.lives = False
        scene.look(after=60)
    assert scene.emulator.starts == 3
    scene.look(after=1)
    scene.look(after=well)
    for starts in (4, 4, 5):
        scene.emulator.lives = False
        scene.look(after=pause - 0.1 if starts == 4 and scene.emulator.starts == 4 else 0.2)
        assert scene.emulator.starts == starts


def test_a_worker_that_can_not_be_started_is_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []

    def fail(*_: Any, **__: Any) -> None:
        tries.append(scene.now)
        raise OSError("no more processes")

    scene.stack._worker = WorkerProcess(1, scene.stack.console.line)
    scene.stack._worker_restarts = Restarts(lambda: scene.now)
    monkeypatch.setattr(subprocess, "Popen", fail)
    for _ in range(4):
        scene.look(after=0.3)
    assert len(tries) == 2
    assert "no more processes" in scene.screen.getvalue()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GONE, "is it running"),
        (BROKEN, "500"),
    ],
)
def test_a_marker_that_can_not_be_checked_is_a_failed_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(**_: Any) -> None:
        raise error

    clients = SimpleNamespace(
        dynamodb=SimpleNamespace(describe_table=fail),
        s3=SimpleNamespace(head_bucket=fail),
        sqs=SimpleNamespace(get_queue_url=fail),
    )
    monkeypatch.setattr(Session, "data_clients", lambda _self: clients)
    marker = tmp_path / "deployed.json"
    marker.write_text('{"table": "t", "bucket": "b", "queues": [], "deployed_at": "2026-01-01"}')
    with pytest.raises(DeploymentError, match=said):
        check_marker(marker, ENDPOINT)


def _nothing(**_: Any) -> None:
    raise ClientError({"Error": {"Code": "404"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "Look")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(("saved_at", "lost"), [(None, False), (-5, False), (5, True)])
def test_an_emulator_killed_before_its_first_save_lost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved_at: int | None, lost: bool
) -> None:
    clients = SimpleNamespace(
        dynamodb=SimpleNamespace(describe_table=_nothing),
        s3=SimpleNamespace(head_bucket=_nothing),
        sqs=SimpleNamespace(get_queue_url=_nothing),
    )
    monkeypatch.setattr(Session, "data_clients", lambda _self: clients)
    marker = tmp_path / "deployed.json"
    marker.write_text('{"table": "t", "bucket": "b", "queues": [], "deployed_at": "2026-01-01"}')
    if saved_at is not None:
        saved = tmp_path / "saved"
        saved.touch()
        moment = marker.stat().st_mtime + saved_at
        os.utime(saved, (moment, moment))
    if lost:
        with pytest.raises(EmulatorLostState):
            check_marker(marker, ENDPOINT)
    else:
        check_marker(marker, ENDPOINT)
    assert marker.exists() is lost


def test_an_endpoint_where_nothing_runs_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise GONE

    monkeypatch.setattr(deployment, "_apply", fail)
    with pytest.raises(DeploymentError, match=f"{ENDPOINT}: is it running"):
        deployment.deploy(ENDPOINT, stage="unit")


# --- What is said at the start -------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["localhost:4566", "http://", "http://x:port", "ftp://x", "http://x:0"])
def test_an_endpoint_that_is_no_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(StackError, match="no address"), Stack(StackOptions(data=tmp_path)):
        pass


@pytest.mark.parametrize(
    ("host", "error", "said"),
    [
        ("nosuchhost.invalid", socket.gaierror(-2, "Name or service not known"), "Host nosuchhost.invalid"),
        ("192.0.2.1", OSError(99, "Cannot assign requested address"), "Host 192.0.2.1"),
        ("x" * 70, UnicodeError("label too long"), "Host xxx"),
        ("127.0.0.1", OSError(98, "Address already in use"), "Port 8000"),
        ("127.0.0.1", PermissionError(13, "Permission denied"), "Port 8000"),
    ],
)
def test_whether_host_or_port_is_wrong_is_said(host: str, error: Exception, said: str) -> None:
    text = why_not_bound(host, 8000, error)
    assert text.startswith(said)
    assert ("PORT=" in text) == said.startswith("Port")


def test_settings_that_an_import_has_read_are_read_again_when_the_stack_has_made_them(scene: Scene) -> None:
    settings.get()
    scene.stack._deploy(ENDPOINT)
    assert settings.get().place == "embedded"
    settings.get.cache_clear()


def test_a_secret_that_is_none_stops_the_start_with_what_to_do(scene: Scene) -> None:
    (scene.stack.data / "jwt-secret").write_text("")
    with pytest.raises(StackError, match="Delete the file"):
        scene.stack._deploy(ENDPOINT)


# --- Ctrl-C --------------------------------------------------------------------------------------------------


def test_no_worker_starts_jobs_while_another_one_finishes_its_own(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []

    class Worker:
        def __init__(self, *_: object) -> None: ...

        def __getattr__(self, name: str) -> Callable[[], None]:
            return lambda: happened.append(f"worker: {name}")

    @contextlib.contextmanager
    def running(*_: object) -> Iterator[None]:
        yield
        happened.append("containers: stop")

    monkeypatch.setattr("local.stack.WorkerProcess", Worker)
    monkeypatch.setattr("local.container_workers.running", running)
    scene.stack._start_worker()
    scene.stack._start_containers()
    scene.stack._exit.close()
    assert happened == ["worker: start", "worker: ask_to_stop", "containers: stop", "worker: stop"]


def test_a_worker_that_was_asked_to_stop_is_not_hurried() -> None:
    class Process:
        told = 0

        def terminate(self) -> None:
            self.told += 1

        def wait(self, _seconds: float) -> None: ...

    worker = WorkerProcess(1, lambda _line: None)
    process = Process()
    worker._process = process  # type: ignore[assignment]
    worker.ask_to_stop()
    worker.stop()
    assert process.told == 1


def test_a_second_ctrl_c_kills_the_children_and_ends_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleep, start_new_session=True, text=True) as worker, stop_on_signals(scene.stack):
        scene.stack._worker = WorkerProcess(1, scene.stack.console.line)
        scene.stack._worker._process = worker
        signal.raise_signal(signal.SIGINT)
        assert (scene.stack.stopping, ends, worker.poll()) == (True, [], None)
        signal.raise_signal(signal.SIGINT)
        assert ends == [128 + signal.SIGINT]
        assert worker.wait(10) == -signal.SIGKILL
