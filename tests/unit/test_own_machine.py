"""A worker on a machine of one's own: its unit, its Compose services, its environment, its time."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib import settings
from chalicelib.jobs.supervisor import Limits
from chalicelib.settings import Settings
from chalicelib.tasks.registry import limits_of
from infra import images
from local.containers import CONTAINERS
from local.outputs import Outputs
from local.worker import options, slots
from local.worker_environment import lines
from tests.stack import ROOT
from tests.unit.engine import Engine

UNIT = ROOT / "infra" / "systemd" / "syncboard-worker@.service"
WORKERS: dict[str, Any] = yaml.safe_load((ROOT / "compose.workers.yaml").read_text())["services"]
# What a stop may take: draining, giving back, the end of a long poll.
STOP_SECONDS = 60 + 10 + 20


def values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


def started(queue: str) -> list[str]:
    """The words of ExecStart for an instance, without options of the machine."""
    (line,) = values("ExecStart")
    return line.replace("%i", queue).replace("$WORKER_OPTIONS", "").split()


class TestUnit:
    """The template for systemd."""

    def test_systemd_takes_it(self, tmp_path: Path) -> None:
        if not (verify := shutil.which("systemd-analyze")):
            pytest.skip("NOT VERIFIED: systemd-analyze is not here")
        # The installation that it expects is this checkout; the command line needs only to exist.
        command = str(Path(sys.prefix) / "bin" / "python")
        unit = tmp_path / "syncboard-worker@uploads-ocr.service"
        text = UNIT.read_text().replace("/opt/syncboard/.venv/bin/syncboard", command)
        unit.write_text(text.replace("/opt/syncboard", str(ROOT)))
        done = subprocess.run(
            [verify, "verify", "--man=no", unit], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("queue", options.JOB_QUEUES)
    def test_its_instances_are_queues(self, queue: str) -> None:
        assert re.fullmatch(r"[A-Za-z0-9:_.\\-]+", queue)
        program, verb, *arguments = started(queue)
        assert (Path(program).name, verb) == ("syncboard", "worker")
        assert options.parse(arguments).queues == (queue,)

    def test_a_stop_outlasts_a_lease_and_the_drain(self) -> None:
        (stop,) = map(int, values("TimeoutStopSec"))
        drain = options.parse(started("uploads")[2:]).drain_seconds
        assert drain == 60
        assert stop > max(Settings().hidden_seconds, STOP_SECONDS)

    def test_no_secret_is_in_it(self) -> None:
        assert values("EnvironmentFile")
        assert not re.search(r"SECRET|TOKEN|PASSWORD|ACCESS_KEY", UNIT.read_text())


class TestCompose:
    """The services of `compose.workers.yaml`, and LocalStack's of `compose.yaml`."""

    @pytest.mark.parametrize("name", WORKERS)
    def test_a_worker_is_confined_and_has_time_to_stop(self, name: str) -> None:
        service = WORKERS[name]
        assert service["env_file"] == "worker.env"
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert int(service["stop_grace_period"].removesuffix("s")) > STOP_SECONDS
        assert options.parse(service["command"]).drain_seconds == 60

    def test_each_containers_queue_has_a_worker_with_its_libraries(self) -> None:
        found = {
            service["build"].get("args", {}).get("LOCK"): options.parse(service["command"]).queues
            for service in WORKERS.values()
        }
        expected: dict[str | None, tuple[str, ...]] = {None: ("uploads", "low_priority")}
        expected |= {f"containers/{name}/requirements.txt": (it.queue,) for name, it in CONTAINERS.items()}
        assert found == expected

    def test_its_image_is_none_of_lambdas(self) -> None:
        assert "worker" not in images.names()
        for service in WORKERS.values():
            assert (ROOT / service["build"]["dockerfile"]).exists()

    def test_localstack_is_pinned_and_for_this_machine_only(self) -> None:
        services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        service = services["localstack"]
        # Compose starts nothing of a file that names an environment file which is not there.
        assert not [name for name, it in services.items() if "env_file" in it]
        assert re.search(r":-localstack/localstack:\d+\.\d+\.\d+\}$", service["image"])
        assert service["ports"] == ["127.0.0.1:4566:4566"]


def test_a_workers_environment_names_everything_and_holds_no_secret() -> None:
    outputs = Outputs(
        stage="prod",
        endpoint_url=None,
        region="eu-central-1",
        table="syncboard-prod",
        bucket="bucket",
        queues={queue: f"https://sqs/1/syncboard-prod-{queue}" for queue in settings.QUEUES},
        dead_letter_queues={},
        findings=[],
    )
    variables = dict(line.split("=", 1) for line in lines(outputs))
    read = settings.load(variables)
    assert (read.table, read.bucket, set(read.queues)) == ("syncboard-prod", "bucket", set(settings.QUEUES))
    assert variables["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert not [name for name in variables if "SECRET" in name or "ACCESS_KEY" in name]


class TestLongRuns:
    """SYNCBOARD_RUN_SECONDS: jobs that take longer than a function on Lambda may."""

    def test_it_lengthens_the_limits_of_tasks_that_have_none_of_their_own(self) -> None:
        longer = limits_of("process_file_upload", "uploads", run_seconds=7200)
        assert (longer.soft_seconds, longer.hard_seconds) == (7140, 7200)
        assert limits_of("process_file_upload", "uploads-media", run_seconds=7200) == longer

    def test_it_shortens_none_and_leaves_quick_tasks_quick(self) -> None:
        assert limits_of("process_file_upload", "uploads", run_seconds=5) == limits_of(
            "process_file_upload", "uploads"
        )
        assert limits_of("noop", "low_priority", run_seconds=7200) == limits_of("noop", "low_priority")

    @pytest.mark.parametrize(("seconds_left", "hard"), [(10_000.0, 7200.0), (660.0, 660.0)])
    def test_a_run_has_it_where_its_call_lasts_as_long(
        self, monkeypatch: pytest.MonkeyPatch, seconds_left: float, hard: float
    ) -> None:
        monkeypatch.setenv("SYNCBOARD_RUN_SECONDS", "7200")
        settings.get.cache_clear()
        try:
            engine, given = Engine(), list[Limits]()
            supervise = engine.consumer.supervisor.run

            def keep(job: Any, limits: Limits, heartbeat: Any) -> Any:
                given.append(limits)
                return supervise(job, limits, heartbeat)

            monkeypatch.setattr(engine.consumer.supervisor, "run", keep)
            engine.send(engine.job())
            engine.deliver(seconds_left=seconds_left)
            assert hard - 10 < given[0].hard <= hard
            assert slots._time_limit("uploads") == 7260
        finally:
            monkeypatch.undo()
            settings.get.cache_clear()

    def test_without_it_a_call_has_the_functions_time(self) -> None:
        assert slots._time_limit("uploads") == slots.FUNCTION_SECONDS
        assert slots._time_limit("uploads-ocr") == slots.CONTAINER_SECONDS
