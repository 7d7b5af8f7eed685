"""The handler of text recognition under AWS's own runtime client: real context, real errors, Lambda's time limit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from PIL import Image

from chalicelib.settings import queue_variable
from local.containers import CONTAINERS, RUNTIME
from local.environments import ROOT as ENVIRONMENTS
from local.environments import is_fresh, python_of
from tests.eventsource import Source
from tests.lambdaruntime import Environment, Function, Outcome, function_environment, in_process
from tests.stack import ROOT, RunningStack, eventually

SAMPLES = ROOT / "samples"
OCR = CONTAINERS["ocr"]
MISSING = [name for name, lock in (("ocr", OCR.lock), ("lambda", RUNTIME)) if not is_fresh(name, lock)]

# Handlers that tell what a client gives them, beside the real one.
PROBES = """
import json, os, time
from handler import handle

def tell(event, context):
    return {
        "milliseconds": context.get_remaining_time_in_millis(),
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "name": context.function_name,
        "pid": os.getpid(),
    }

def sleep(event, context):
    time.sleep(600)
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        bool(MISSING), reason=f"NOT TESTED UNDER LAMBDA'S CLIENT: not installed: {MISSING} (make setup)"
    ),
]


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack without a worker for pictures."""
    stack = RunningStack(
        tmp_path_factory.mktemp("lambda"), SYNCBOARD_LEASE_SECONDS="3", SYNCBOARD_CLOCK_SKEW_SECONDS="1"
    )
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def variables(waiting: RunningStack) -> dict[str, str]:
    """Where the stack's table, bucket and queues are."""
    note: dict[str, Any] = json.loads((waiting.data / "stack.json").read_text())
    return dict(note["environment"])


@pytest.fixture(scope="module")
def task_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image holds in /var/task."""
    folder = tmp_path_factory.mktemp("task")
    (folder / "chalicelib").symlink_to(ROOT / "chalicelib")
    (folder / "handler.py").symlink_to(ROOT / "containers" / "ocr" / "handler.py")
    (folder / "probes.py").write_text(PROBES)
    return folder


@pytest.fixture(scope="module")
def function(variables: dict[str, str], task_root: Path) -> Iterator[Function]:
    """The function, which all these tests call: it stays warm."""
    with make(variables, task_root, "handler.handle") as function:
        yield function


def make(variables: Mapping[str, str], task_root: Path, handler: str) -> Function:
    libraries = next((ENVIRONMENTS / "lambda" / "lib").glob("python3*")) / "site-packages"
    start: Callable[[Mapping[str, str]], Environment] = in_process(
        python_of("ocr"), libraries, task_root, handler
    )
    return Function(lambda api: start(function_environment(variables, api)))


@pytest.fixture(scope="module")
def source(variables: dict[str, str], function: Function) -> Source:
    """The queue of pictures, with the function behind it."""
    sqs = boto3.client(
        "sqs",
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
    return Source(sqs, variables[queue_variable(OCR.queue)], function)


def text(stack: RunningStack, user: str, job_id: str) -> str:
    with stack.client(user) as client:
        status = client.wait(job_id, timeout=30)
        assert status["state"] == "SUCCESS", status
        return " ".join(str(client.document(status["result"]["doc_id"])["text"]).split())


def test_a_picture_is_read_by_the_function(waiting: RunningStack, source: Source) -> None:
    with waiting.client("reader") as client:
        job = client.submit(SAMPLES / "recipe-photo.jpg")
    outcome = source.deliver()
    assert outcome == Outcome(result={"batchItemFailures": []}), source.function.logs[-20:]
    assert "two litres of vegetable stock" in text(waiting, "reader", job["job_id"])
    with waiting.client("reader") as client:
        # The function says itself what it can do: nobody else does on AWS.
        assert client.health()["capabilities"]["ocr"]["state"] == "ready"
        assert client.job(job["job_id"])["attempt"] == 1


def test_a_run_that_sees_its_time_end_hands_the_rest_to_the_next_call(
    waiting: RunningStack, source: Source, tmp_path: Path
) -> None:
    """With less than half a minute left one page is read, for there has to be one, and no other is begun."""
    pages = tmp_path / "pages.tiff"
    with Image.open(SAMPLES / "recipe-photo.jpg") as photo:
        page = photo.convert("L")
    page.save(pages, save_all=True, append_images=[page])
    with waiting.client("hopper") as client:
        source.function.start()
        job = client.submit(pages)
        calls = 0
        while client.status(job["job_id"])["state"] in ("PENDING", "PROCESSING"):
            assert source.deliver(seconds=40.0).result == {"batchItemFailures": []}
            calls += 1
        assert calls == 2
        assert client.job(job["job_id"])["attempt"] == 1
    assert text(waiting, "hopper", job["job_id"]).count("two litres of vegetable stock") == 2


def test_a_call_that_outlives_its_time_is_killed_and_the_next_attempt_succeeds(
    waiting: RunningStack, source: Source
) -> None:
    function = source.function
    function.start()
    frozen = psutil.Process(function.environment.pid)
    with waiting.client("victim") as client, ThreadPoolExecutor(1) as thread:
        job = client.submit(SAMPLES / "recipe-photo.jpg")
        call = thread.submit(source.deliver, seconds=6.0)
        eventually(lambda: client.status(job["job_id"])["state"], lambda state: state == "PROCESSING")
        family = [frozen, *frozen.children(recursive=True)]
        for process in family:
            process.suspend()
        assert call.result().timed_out
        _gone, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
        # The function had shortened the mapping's visibility, an hour, to its lease: the message is back in seconds.
        while client.status(job["job_id"])["state"] != "SUCCESS":
            assert source.deliver(within=30.0).error is None
        assert client.job(job["job_id"])["attempt"] == 2
        assert len(client.documents()["documents"]) == 1


def test_what_a_handler_raises_reaches_lambda_as_its_error_and_the_environment_lives_on(
    function: Function,
) -> None:
    function.start()
    pid = function.environment.pid
    record = {
        "messageId": "1",
        "receiptHandle": "r",
        "body": "{}",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:foreign",
    }
    outcome = function.call({"Records": [record]})
    assert outcome.error is not None
    assert outcome.error["errorType"] == "SettingsError"
    assert "holds the queue foreign" in outcome.error["errorMessage"]
    assert any("functions.py" in line for line in outcome.error["stackTrace"])
    assert function.call({"Records": []}).result == {"batchItemFailures": []}
    assert function.environment.pid == pid


def test_the_context_is_lambdas_own(variables: dict[str, str], task_root: Path) -> None:
    with make(variables, task_root, "probes.tell") as probe:
        first, second = probe.call({}, seconds=30.0).result, probe.call({}, seconds=5.0).result
    assert 20_000 < first["milliseconds"] < 31_000
    assert 0 < second["milliseconds"] < 6_000
    assert first["request_id"] != second["request_id"]
    assert first["pid"] == second["pid"] != os.getpid()
    assert first["arn"].startswith("arn:aws:lambda:")
    assert (first["memory"], first["name"]) == ("2048", "tested")


def test_a_handler_that_is_not_there_is_an_error_of_the_start(
    variables: dict[str, str], task_root: Path
) -> None:
    with make(variables, task_root, "handler.no_such_thing") as missing:
        outcome = missing.call({})
    assert outcome.error is not None
    assert outcome.error["errorType"] == "Runtime.HandlerNotFound"


def test_a_call_that_sleeps_is_killed_and_the_next_gets_a_new_environment(
    variables: dict[str, str], task_root: Path
) -> None:
    with make(variables, task_root, "probes.sleep") as sleeper:
        sleeper.start()
        first = sleeper.environment.pid
        assert sleeper.call({}, seconds=0.5).timed_out
        eventually(lambda: psutil.pid_exists(first), lambda there: not there, seconds=10)
        sleeper.start()
        assert sleeper.environment.pid != first
