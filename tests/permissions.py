"""What a call to AWS needs to be allowed, and whether a function's policy allows it.

Emulators enforce no policies. So calls are looked at on their way (`tests.recorder`), and held to the policies here.
Resources are named as the policies name them: by the data stack's exports.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from infra import policy_checks

# The IAM action behind an operation that is not called like it.
_ACTIONS = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "TransactGetItems": "GetItem",
}
_WRITES = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
_STATEMENTS = {"INSERT": "Insert", "UPDATE": "Update", "DELETE": "Delete", "SELECT": "Select"}


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """An action on a resource."""

    action: str
    resource: str


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request to AWS as it was sent."""

    method: str
    # Path and query.
    target: str
    # Of the header X-Amz-Target; empty for S3.
    operation: str
    body: bytes


def needs(call: Call) -> Iterator[Need]:
    """Yield what a call needs. Raise ValueError for one that is not known here."""
    service, _, operation = call.operation.partition(".")
    if service.startswith("DynamoDB"):
        yield from _of_table(operation, json.loads(call.body))
    elif service == "AmazonSQS":
        action = _ACTIONS.get(operation, operation)
        yield Need(action=f"sqs:{action}", resource=_queue(json.loads(call.body)["QueueUrl"]))
    elif service == "secretsmanager":
        yield Need(action=f"secretsmanager:{operation}", resource="JwtSecretArn")
    elif not service:
        yield from _of_bucket(call.method, call.target)
    else:
        raise ValueError(f"what does {call.operation} need?")


def _of_table(operation: str, body: dict[str, Any]) -> Iterator[Need]:
    if operation == "TransactWriteItems":
        for item in body["TransactItems"]:
            (kind,) = item
            yield Need(action=f"dynamodb:{_WRITES[kind]}", resource="TableArn")
    elif operation == "BatchExecuteStatement":
        for statement in body["Statements"]:
            verb = _STATEMENTS[statement["Statement"].split()[0].upper()]
            yield Need(action=f"dynamodb:PartiQL{verb}", resource="TableArn")
    else:
        index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
        yield Need(action=f"dynamodb:{_ACTIONS.get(operation, operation)}", resource=f"TableArn{index}")


def _of_bucket(method: str, target: str) -> Iterator[Need]:
    address = urlsplit(target)
    _, _, key = unquote(address.path).lstrip("/").partition("/")
    query = parse_qs(address.query, keep_blank_values=True)
    if method == "POST" and "delete" in query:
        yield Need(action="s3:DeleteObject", resource="BucketArn/*")
    elif not key:
        yield Need(action="s3:ListBucket", resource="BucketArn")
    else:
        action = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}[
            method
        ]
        version = "Version" if "versionId" in query else ""
        yield Need(action=f"s3:{action}{version}", resource=f"BucketArn/{key}")


def _queue(url: str) -> str:
    """Return the export that names a queue's ARN."""
    name = url.rpartition("/")[2].split("-", 2)[2]  # syncboard-<stage>-…
    words = name.replace("_", "-").split("-")
    kind = "Dlq" if words[-1] == "dlq" else "Queue"
    return "".join(word.capitalize() for word in words if word != "dlq") + kind + "Arn"


def denied(found: set[Need], policy: Mapping[str, Any]) -> set[Need]:
    """Return the needs that a policy does not allow."""
    allowed = [
        (action, _name(resource))
        for statement in policy_checks.statements(policy)
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    ]
    return {
        need
        for need in found
        if not any(
            need.action == action and fnmatch.fnmatchcase(need.resource, resource)
            for action, resource in allowed
        )
    }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _name(resource: Any) -> str:
    """Return what a policy calls a resource: `BucketArn/texts/*`."""
    if isinstance(resource, str):
        return resource
    if "Ref" in resource:
        return str(resource["Ref"])
    if "Fn::ImportValue" in resource:
        return str(resource["Fn::ImportValue"]["Fn::Sub"]).removeprefix("${DataStack}-")
    text = resource["Fn::Sub"]
    if isinstance(text, str):
        return text
    pattern, values = text
    return str(pattern).replace("${Arn}", _name(values["Arn"]))
