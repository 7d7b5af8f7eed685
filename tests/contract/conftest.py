"""The stores on which the contract holds: in memory, and moto's DynamoDB; the emulator's in the e2e tier."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from chalicelib.aws import clients
from chalicelib.aws.table import DynamoTable, Table
from infra.templates import DATA, read
from tests.memory import MemoryTable

NAME = "syncboard-contract"


def create_table() -> None:
    """Create the table of infra/data.yaml under the contract's name."""
    properties = next(
        resource["Properties"]
        for resource in read(DATA)["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
    )
    boto3.client("dynamodb").create_table(
        TableName=NAME,
        **{
            key: properties[key]
            for key in ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")
        },
    )


@pytest.fixture(params=["memory", "moto"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    if request.param == "memory":
        yield MemoryTable()
        return
    with mock_aws():
        clients._client.cache_clear()
        create_table()
        yield DynamoTable(NAME)
    clients._client.cache_clear()
