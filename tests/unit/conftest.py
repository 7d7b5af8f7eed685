"""An API on moto: table, bucket and queues made once; every test has an owner of its own."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from chalice.test import Client, HTTPResponse
from moto import mock_aws

from chalicelib import settings
from chalicelib.api import tokens
from chalicelib.aws.expressions import Item, Put
from chalicelib.aws.table import ConditionFailed, DynamoTable
from infra.templates import DATA, read
from tests import contracts, permissions
from tests.caches import forget

if TYPE_CHECKING:
    from tests.unit.terminals import Terminal

_numbers = itertools.count(1)


class Api:
    """Calls the API as one user.

    An answer that the route's contract does not allow fails the test, and so does a call to AWS that the function's
    policy does not.
    """

    def __init__(self, client: Client, user: str) -> None:
        self.client = client
        self.user = user
        self.headers = {
            "Authorization": f"Bearer {tokens.issue(user, seconds=60)}",
            "Content-Type": "application/json",
        }

    def get(self, path: str, **headers: str) -> HTTPResponse:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> HTTPResponse:
        return self.send("POST", path, body, **headers)

    def send(self, method: str, path: str, body: Any = b"", **headers: str) -> HTTPResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        with permissions.watched("policy-api.json"):
            answer = self.client.http.request(method, path, headers={**self.headers, **headers}, body=raw)
        contracts.check(method, path, answer)
        return answer

    def upload(self, name: str = "notes.md", content: bytes = b"# Notes\n\nSome words.") -> HTTPResponse:
        return self.post("/upload_file", {"filename": name, "content": base64.b64encode(content).decode()})


@contextmanager
def in_memory_aws(secret: Path) -> Iterator[None]:
    """Make table, bucket and queues on moto, and a secret for tokens in a file."""
    secret.write_text("s" * 64, encoding="ascii")
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        sqs = boto3.client("sqs")
        for name in settings.QUEUES:
            url = sqs.create_queue(QueueName=f"unit-{name}")["QueueUrl"]
            patch.setenv(settings.queue_variable(name), url)
        patch.setenv("SYNCBOARD_JWT_SECRET", f"file:{secret}")
        create_table("unit-table")
        boto3.client("s3").create_bucket(Bucket="unit-bucket")
        patch.setattr(DynamoTable, "put_new", put_new_one_by_one)
        forget()
        yield
    forget()


@pytest.fixture(scope="module")
def _aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with in_memory_aws(tmp_path_factory.mktemp("secret") / "jwt-secret"):
        yield


def put_new_one_by_one(table: DynamoTable, items: Sequence[Item]) -> set[int]:
    """Do what `put_new` does: moto's PartiQL takes no parameters in an INSERT."""
    refused = set()
    for place, item in enumerate(items):
        try:
            table.write(Put(item=item, new=True))
        except ConditionFailed:
            refused.add(place)
    return refused


def create_table(name: str) -> None:
    """Create the table of infra/data.yaml under another name."""
    properties = next(
        resource["Properties"]
        for resource in read(DATA)["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
    )
    keys = ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")
    boto3.client("dynamodb").create_table(TableName=name, **{key: properties[key] for key in keys})


@pytest.fixture
def api(_aws: None) -> Iterator[Api]:
    import app

    with Client(app.app) as client:
        yield Api(client, f"user{next(_numbers)}")


@pytest.fixture
def stranger(api: Api) -> Api:
    """Somebody else, on the same API."""
    return Api(api.client, f"stranger{next(_numbers)}")


@pytest.fixture
def terminal(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    from syncboard.place import Place
    from tests.unit.terminals import Terminal

    terminal = Terminal(api, tmp_path)
    monkeypatch.setattr(Place, "client", lambda _self: terminal.client())
    return terminal
