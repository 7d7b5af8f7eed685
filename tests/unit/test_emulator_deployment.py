"""The template as CloudFormation resolves it, and properties read back and set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra import templates
from local import stack_properties
from local.bucket_properties import lifecycle
from local.deployment import TEMPLATE, report
from local.outputs import Outputs
from local.stack_properties import Clients, contains
from local.stack_template import Resolver, Resource, TemplateError

REGION = "us-east-1"
ACCOUNT = "123456789012"


@pytest.fixture
def resources() -> list[Resource]:
    template = templates.read(TEMPLATE)
    return Resolver(template, {"Stage": "test"}, account=ACCOUNT, region=REGION).resources()


@pytest.fixture
def clients(resources: list[Resource]) -> Iterator[Clients]:
    with mock_aws():
        made = Clients(
            dynamodb=boto3.client("dynamodb", REGION),
            s3=boto3.client("s3", REGION),
            sqs=boto3.client("sqs", REGION),
        )
        yield made
        # A mock within another one (the API's, made once) is not emptied at its end.
        for resource in by_name(resources).values():
            remove(resource, made)


def remove(properties: dict[str, Any], clients: Clients) -> None:
    """Remove a resource, if the test made it."""
    with contextlib.suppress(ClientError):
        if "TableName" in properties:
            clients.dynamodb.delete_table(TableName=properties["TableName"])
        elif "BucketName" in properties:
            clients.s3.delete_bucket(Bucket=properties["BucketName"])
        else:
            url = clients.sqs.get_queue_url(QueueName=properties["QueueName"])["QueueUrl"]
            clients.sqs.delete_queue(QueueUrl=url)


def by_name(resources: list[Resource]) -> dict[str, dict[str, Any]]:
    return {resource.logical_name: resource.properties for resource in resources}


def test_names_and_arns_are_resolved(resources: list[Resource]) -> None:
    properties = by_name(resources)
    assert properties["Table"]["TableName"] == "syncboard-test"
    assert properties["Bucket"]["BucketName"] == f"syncboard-test-{ACCOUNT}-{REGION}"
    target = properties["UploadsQueue"]["RedrivePolicy"]["deadLetterTargetArn"]
    assert target == f"arn:aws:sqs:{REGION}:{ACCOUNT}:syncboard-test-uploads-dlq"


def test_a_parameter_replaces_its_default() -> None:
    template = templates.read(TEMPLATE)
    values = {"Stage": "test", "CorsOrigin": "https://board.example"}
    bucket = by_name(Resolver(template, values, account=ACCOUNT, region=REGION).resources())["Bucket"]
    assert bucket["CorsConfiguration"]["CorsRules"][0]["AllowedOrigins"] == ["https://board.example"]


@pytest.mark.parametrize(
    "value", [{"Fn::Join": ["-", ["a", "b"]]}, {"Ref": "Nothing"}, {"Fn::GetAtt": "Queue.QueueName"}]
)
def test_what_cannot_be_resolved_is_an_error_and_no_guess(value: dict[str, Any]) -> None:
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": value}}}}
    with pytest.raises(TemplateError):
        Resolver(template, {}, account=ACCOUNT, region=REGION).resources()


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ("180", 180, True),
        ("true", True, True),
        ("60", 180, False),
        (None, 180, False),
        ({"a": 1, "default": 2}, {"a": 1}, True),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, False),
        ([{"id": 2}, {"id": 1}], [{"id": 1}, {"id": 2}], True),
        ([{"id": 1}, {"id": 2}], [{"id": 1}], False),
    ],
)
def test_found_says_all_that_is_wanted(found: Any, wanted: Any, expected: bool) -> None:
    assert contains(found, wanted) is expected


def test_an_unknown_lifecycle_setting_is_an_error() -> None:
    with pytest.raises(ValueError, match="Transitions is not understood"):
        lifecycle({"Rules": [{"Id": "x", "Status": "Enabled", "Transitions": []}]})


def make_bare(resources: list[Resource], clients: Clients) -> None:
    """Make the resources as a careless emulator does: names only."""
    for resource in resources:
        wanted = resource.properties
        if resource.type == "AWS::SQS::Queue":
            clients.sqs.create_queue(QueueName=wanted["QueueName"])
        elif resource.type == "AWS::S3::Bucket":
            clients.s3.create_bucket(Bucket=wanted["BucketName"])
        else:
            keys = ("TableName", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode")
            clients.dynamodb.create_table(**{key: wanted[key] for key in keys})


def test_dropped_properties_are_set_and_read_back(resources: list[Resource], clients: Clients) -> None:
    make_bare(resources, clients)
    findings = stack_properties.ensure(resources, clients, write=True)
    outcomes = {(item.resource, item.name): item.outcome for item in findings}
    assert outcomes["Table", "TimeToLiveSpecification"] == "set"
    assert outcomes["Bucket", "LifecycleConfiguration"] == "set"
    assert outcomes["Bucket", "NotificationConfiguration"] == "set"
    assert outcomes["UploadsQueue", "RedrivePolicy"] == "set"
    assert "differs" not in {item.outcome for item in findings if item.important}
    ttl = clients.dynamodb.describe_time_to_live(TableName="syncboard-test")["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires_at")

    again = stack_properties.ensure(resources, clients, write=True)
    assert {item.outcome for item in again if item.important} == {"ok"}


def test_without_leave_to_write_differences_are_only_reported(
    resources: list[Resource], clients: Clients
) -> None:
    make_bare(resources, clients)
    findings = stack_properties.ensure(resources, clients, write=False)
    ttl = next(item for item in findings if item.name == "TimeToLiveSpecification")
    assert (ttl.outcome, ttl.important) == ("differs", True)
    assert "differs  Table.TimeToLiveSpecification  wanted" in report(findings)
    status = clients.dynamodb.describe_time_to_live(TableName="syncboard-test")["TimeToLiveDescription"]
    assert status["TimeToLiveStatus"] == "DISABLED"


def outputs(endpoint_url: str | None) -> Outputs:
    return Outputs(
        stage="test",
        endpoint_url=endpoint_url,
        region=REGION,
        table="t",
        bucket="b",
        queues={"uploads-ocr": "http://q"},
        dead_letter_queues={},
        findings=[],
    )


def test_the_environment_has_dummy_credentials_for_an_emulator_only() -> None:
    local = outputs("http://127.0.0.1:4566").environment
    assert local["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert local["SYNCBOARD_QUEUE_UPLOADS_OCR"] == "http://q"
    assert local["AWS_ACCESS_KEY_ID"] == "test"
    on_aws = outputs(None).environment
    assert not {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} & on_aws.keys()
