"""The built images, run as Lambda runs them, on real jobs: `make images-test`, after `make images`.

Read-only, an unprivileged user, no capability, no shared memory, limited memory, AWS's runtime client in the image
against a Runtime API of ours. Table, queues and bucket are the embedded emulator's.
"""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import boto3
import pytest

from chalicelib.settings import queue_variable
from infra import images
from local.containers import CONTAINERS
from syncboard.client import Client
from tests.eventsource import Source
from tests.lambdaruntime import Environment, Function, function_environment
from tests.stack import ROOT, RunningStack

SAMPLES = ROOT / "samples"
MEMORY_MB: Final = 3008


# Has an image do its job, and looks at what came of it: gets a client, and what delivers the queue's next message.
Work = Callable[[Client, Callable[[], None]], None]


def reads(sample: str, says: str) -> Work:
    """A file becomes a document that says something."""

    def work(client: Client, deliver: Callable[[], None]) -> None:
        job = client.submit(SAMPLES / sample)
        deliver()
        document = client.document(succeeded(client, job)["result"]["doc_id"])
        assert says in " ".join(str(document["text"]).split())

    return work


def regroups(client: Client, deliver: Callable[[], None]) -> None:
    """A library of two topics has two topics afterwards."""
    alike = ("postgres-indexes.md", "slow-queries.md")
    jobs = [client.submit(SAMPLES / name) for name in (*alike, "sourdough.txt")]
    for job in jobs:
        succeeded(client, job)
    job = client.submit_task("regroup_library")
    deliver()
    result = succeeded(client, job)["result"]
    assert (result["documents"], result["clusters_after"]) == (3, 2)
    topics = {it["filename"]: it["cluster_id"] for it in client.documents()["documents"]}
    assert topics[alike[0]] == topics[alike[1]] != topics["sourdough.txt"]


def succeeded(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    status = client.wait(job["job_id"], timeout=60)
    assert status["state"] == "SUCCESS", status
    assert client.job(job["job_id"])["attempt"] == 1
    return status


# For each image; one without its line here fails.
WORK: Final[dict[str, tuple[Work, ...]]] = {
    "ocr": (
        reads("recipe-photo.jpg", "two litres of vegetable stock"),
        reads("minutes-scan.pdf", "The crane on the eastern quay needs a new cable before winter"),
    ),
    "media": (
        reads("standup.mp3", "database migration on the staging server fails"),
        reads("screencast.webm", "Press the green button to upload a file"),
    ),
    "analysis": (regroups,),
}
# Where an image can't live without what Lambda has not, this is where it shows.
PROBE = """
import json, os, pathlib
def writes(folder):
    try:
        pathlib.Path(folder, "probe").write_text("x")
    except OSError:
        return False
    return True
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "ids": [os.getuid(), os.getgid()],
    "capabilities": int(status["CapEff"], 16),
    "shared_memory": os.path.exists("/dev/shm"),
    "writes": [folder for folder in ("/var/task", "/opt", "/root", "/tmp") if writes(folder)],
}))
"""


def engine() -> str:
    try:
        return images.find_engine()
    except images.NoEngine as error:
        pytest.skip(f"IMAGES WERE NOT TESTED: {error}", allow_module_level=True)


ENGINE = engine()
pytestmark = pytest.mark.timeout(900)


def like_lambda(name: str) -> list[str]:
    """The command that runs an image as Lambda does, but for what follows the options."""
    return [
        *(
            ENGINE,
            "run",
            "--rm",
            "--name",
            name,
            "--network",
            "host",
            "--read-only",
            "--tmpfs",
            "/tmp:size=2g",
        ),
        *("--ipc", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "993:990"),
        *("--memory", f"{MEMORY_MB}m", "--memory-swap", f"{MEMORY_MB}m", "--pids-limit", "1024"),
    ]


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack without containers' workers: the images are what works."""
    stack = RunningStack(tmp_path_factory.mktemp("images"))
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def variables(waiting: RunningStack) -> dict[str, str]:
    note: dict[str, Any] = json.loads((waiting.data / "stack.json").read_text())
    return dict(note["environment"])


@pytest.fixture(scope="module", params=images.names())
def name(request: pytest.FixtureRequest) -> str:
    """The folder of an image, which is built."""
    folder: str = request.param
    if not images.exists(folder, ENGINE):
        pytest.skip(f"NOT TESTED: {images.tag(folder)} is not built (make images)")
    return folder


@pytest.fixture(scope="module")
def source(name: str, variables: dict[str, str]) -> Iterator[Source]:
    """The queue of an image, with the image behind it."""
    sqs = boto3.client(
        "sqs",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
    with Function(lambda api: start(name, function_environment(variables, api, MEMORY_MB))) as function:
        yield Source(sqs, variables[queue_variable(CONTAINERS[name].queue)], function)


def start(name: str, variables: Mapping[str, str]) -> Environment:
    container = f"syncboard-test-{uuid.uuid4().hex[:8]}"
    # The image's own: Lambda leaves them as they are.
    given = {key: value for key, value in variables.items() if key not in ("PATH", "LAMBDA_TASK_ROOT")}
    options = [option for key, value in given.items() for option in ("--env", f"{key}={value}")]
    return Environment(
        [*like_lambda(container), *options, images.tag(name)], kill=[ENGINE, "kill", container]
    )


def test_every_image_has_work_here(name: str) -> None:
    assert WORK.get(name), f"containers/{name} has no job in this module"


def test_it_runs_without_what_lambda_has_not(name: str) -> None:
    probe = [
        *like_lambda(f"syncboard-test-{uuid.uuid4().hex[:8]}"),
        "--entrypoint",
        "/opt/syncboard/bin/python",
        images.tag(name),
        *("-c", PROBE),
    ]
    seen = json.loads(subprocess.run(probe, check=True, capture_output=True, text=True).stdout)
    assert seen == {"ids": [993, 990], "capabilities": 0, "shared_memory": False, "writes": ["/tmp"]}


def test_nothing_of_the_machine_that_built_it_is_left_in_it(name: str) -> None:
    history = subprocess.run(
        [ENGINE, "history", "--no-trunc", images.tag(name)], check=True, capture_output=True, text=True
    ).stdout
    assert str(ROOT) not in history
    for secret in ("TOKEN", "SECRET", "PASSWORD", "INDEX_URL"):
        assert secret not in history.upper()


def test_it_works_on_real_jobs(name: str, source: Source, waiting: RunningStack) -> None:
    def deliver() -> None:
        outcome = source.deliver(seconds=600.0)
        assert outcome.result == {"batchItemFailures": []}, [outcome, *source.function.logs[-30:]]

    with waiting.client(name) as client:
        for work in WORK[name]:
            work(client, deliver)


def test_an_event_that_no_job_is_behind_is_an_error_that_lambda_shows(source: Source) -> None:
    record = {
        "messageId": "1",
        "receiptHandle": "r",
        "body": "{}",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:foreign",
    }
    outcome = source.function.call({"Records": [record]}, seconds=120.0)
    assert outcome.error is not None
    assert outcome.error["errorType"] == "SettingsError"
