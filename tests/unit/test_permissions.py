"""The judge of recorded requests (`tests.permissions`) knows what they need and what a policy allows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra import templates
from tests import permissions
from tests.permissions import Call, Need

QUEUE = "http://127.0.0.1:1/000000000000/syncboard-try-uploads-ocr"


def table(operation: str, **body: Any) -> Call:
    return Call(
        method="POST", target="/", operation=f"DynamoDB_20120810.{operation}", body=json.dumps(body).encode()
    )


def queue(operation: str, url: str) -> Call:
    body = json.dumps({"QueueUrl": url}).encode()
    return Call(method="POST", target="/", operation=f"AmazonSQS.{operation}", body=body)


def bucket(method: str, target: str) -> Call:
    return Call(method=method, target=target, operation="", body=b"")


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (table("GetItem"), ["dynamodb:GetItem TableArn"]),
        (table("Query", IndexName="by_check"), ["dynamodb:Query TableArn/index/by_check"]),
        (
            table("TransactWriteItems", TransactItems=[{"Put": {}}, {"ConditionCheck": {}}]),
            ["dynamodb:PutItem TableArn", "dynamodb:ConditionCheckItem TableArn"],
        ),
        (
            table("BatchExecuteStatement", Statements=[{"Statement": 'INSERT INTO "t" VALUE {}'}]),
            ["dynamodb:PartiQLInsert TableArn"],
        ),
        (queue("SendMessageBatch", QUEUE), ["sqs:SendMessage UploadsOcrQueueArn"]),
        (queue("ReceiveMessage", f"{QUEUE}-dlq"), ["sqs:ReceiveMessage UploadsOcrDlqArn"]),
        (
            queue("SendMessage", QUEUE.replace("uploads-ocr", "low_priority")),
            ["sqs:SendMessage LowPriorityQueueArn"],
        ),
        (bucket("HEAD", "/b/uploads/j/x?versionId=v"), ["s3:GetObjectVersion BucketArn/uploads/j/x"]),
        (bucket("GET", "/b?list-type=2&prefix=texts"), ["s3:ListBucket BucketArn"]),
        (bucket("PUT", "/b/texts/j/1-d.txt"), ["s3:PutObject BucketArn/texts/j/1-d.txt"]),
    ],
)
def test_each_kind_of_request_needs_its_action_on_its_resource(call: Call, wanted: list[str]) -> None:
    assert list(map(str, permissions.needs(call))) == wanted


def test_a_request_that_nobody_has_thought_of_is_an_error() -> None:
    with pytest.raises(ValueError, match="SNS Publish"):
        list(permissions.needs(Call(method="POST", target="/", operation="SNS.Publish", body=b"{}")))


def test_what_a_policy_does_not_say_is_denied() -> None:
    policy = templates.policies()["policy-intake.json"]
    good = {
        Need(action="sqs:SendMessage", resource="UploadsOcrQueueArn"),
        Need(action="dynamodb:Query", resource="TableArn/index/by_standing"),
        Need(action="s3:GetObjectVersion", resource="BucketArn/uploads/j/x"),
    }
    bad = {
        Need(action="sqs:SendMessage", resource="IntakeQueueArn"),
        Need(action="dynamodb:Scan", resource="TableArn"),
        Need(action="s3:GetObject", resource="BucketArn/texts/j/x"),
        Need(action="secretsmanager:GetSecretValue", resource="JwtSecretArn"),
    }
    assert permissions.denied(good | bad, policy) == bad
    secret = Need(action="secretsmanager:GetSecretValue", resource="JwtSecretArn")
    assert permissions.denied({secret}, templates.policies()["policy-api.json"]) == set()
