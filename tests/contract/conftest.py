"""The stores on which the contracts hold: in memory and on moto; in the e2e tier on emulators that really listen.

`embedded` is MiniStack as the stack runs it; `endpoint` is what AWS_ENDPOINT_URL names, LocalStack say.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from moto import mock_aws

from chalicelib import settings
from chalicelib.aws import clients
from chalicelib.aws.queues import Queues, Received, SqsQueues
from chalicelib.aws.table import DynamoTable, Table
from infra.templates import DATA, read
from local.emulator import LOCK_FILE, Emulator
from local.environments import ensure_environment
from tests.memory import MemoryQueues, MemoryTable
from tests.stack import GIVEN_ENDPOINT

QUEUE = "uploads"
# Nobody listens on port 1.
NOWHERE = "http://127.0.0.1:1"
BACKENDS = [
    "memory",
    "moto",
    pytest.param("embedded", marks=pytest.mark.e2e),
    pytest.param(
        "endpoint",
        marks=[
            pytest.mark.e2e,
            pytest.mark.skipif(GIVEN_ENDPOINT is None, reason="AWS_ENDPOINT_URL names no emulator"),
        ],
    ),
]
_numbers = itertools.count(time.time_ns())


class FullQueues(Queues, Protocol):
    """Queues, and what the worker needs beyond the engine."""

    def receive(self, queue: str, *, limit: int, wait: int, visibility: int) -> list[Received]:
        """See `SqsQueues.receive`."""

    def delete_many(self, queue: str, receipts: Sequence[str]) -> None:
        """See `SqsQueues.delete_many`."""


class TestedQueue:
    """One queue of its own, and the ways in which a test may act on its world."""

    __test__ = False

    def __init__(
        self, queues: FullQueues, *, later: Callable[[float], None], go_away: Callable[[], None]
    ) -> None:
        self.queues = queues
        # Lets time pass.
        self.later = later
        # Makes the queue unreachable.
        self.go_away = go_away


def create_table(name: str) -> None:
    """Create the table of infra/data.yaml under another name."""
    properties = next(
        resource["Properties"]
        for resource in read(DATA)["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
    )
    keys = ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")
    clients.dynamodb().create_table(TableName=name, **{key: properties[key] for key in keys})
    clients.dynamodb().get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an emulator of these tests' own."""
    python: Path = ensure_environment("emulator", LOCK_FILE)
    with Emulator(python, tmp_path_factory.mktemp("contract")) as emulator:
        yield emulator.endpoint_url


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make the process's clients talk to one backend; return its name."""
    name: str = request.param
    endpoint: str = request.getfixturevalue("embedded") if name == "embedded" else GIVEN_ENDPOINT or ""
    if name in ("memory", "moto"):
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    _forget()
    if name == "moto":
        with mock_aws():
            yield name
    else:
        yield name
    monkeypatch.undo()
    _forget()


@pytest.fixture
def table(backend: str) -> Iterator[Table]:
    """An empty table."""
    if backend == "memory":
        yield MemoryTable()
        return
    name = f"contract-{next(_numbers)}"
    create_table(name)
    yield DynamoTable(name)
    clients.dynamodb().delete_table(TableName=name)


@pytest.fixture
def queue(backend: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestedQueue]:
    """An empty queue."""
    if backend == "memory":
        yield _memory_queue()
        return
    url = clients.sqs().create_queue(QueueName=f"contract-{next(_numbers)}")["QueueUrl"]

    def at(address: str) -> None:
        monkeypatch.setenv(settings.queue_variable(QUEUE), address)
        _forget()

    def go_away() -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
        at(f"{NOWHERE}/0/contract")

    at(url)
    yield TestedQueue(SqsQueues(), later=time.sleep, go_away=go_away)
    monkeypatch.undo()


def _memory_queue() -> TestedQueue:
    now = [1000.0]
    queues = MemoryQueues(lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += seconds

    def go_away() -> None:
        queues.down = True

    return TestedQueue(queues, later=later, go_away=go_away)


def _forget() -> None:
    clients._client.cache_clear()
    settings.get.cache_clear()
