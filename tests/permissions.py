"""What a call to AWS needs to be allowed, and whether a function's policy allows it.

Emulators enforce no policies. So calls are looked at on their way (`tests.policies`), and held to the policies here.
Resources are named as the policies name them: by the data stack's exports.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from chalicelib.aws import clients
from chalicelib.settings import QUEUES
from infra import policy_checks, templates

# The IAM action behind an operation that is not called like it.
_ACTIONS = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "TransactGetItems": "GetItem",
    "HeadObject": "GetObject",
}
_SERVICES = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs"}
_OBJECT_OPERATIONS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
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

    def __str__(self) -> str:
        return f"{self.action} {self.resource}"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request to AWS as it was sent."""

    method: str
    # Path and query.
    target: str
    # Of the header X-Amz-Target; empty for S3.
    operation: str
    body: bytes


def needs(call: Call) -> Iterator[Need]:
    """Yield what a request needs. Raise ValueError for one that is not known here."""
    service, _, operation = call.operation.partition(".")
    if service:
        yield from needs_of(_SERVICES.get(service, service), operation, json.loads(call.body))
        return
    address = urlsplit(call.target)
    _, _, key = unquote(address.path).lstrip("/").partition("/")
    query = parse_qs(address.query, keep_blank_values=True)
    operation = _OBJECT_OPERATIONS[call.method] if key else "ListObjectsV2"
    yield from needs_of("s3", operation, {"Key": key, **({"VersionId": "v"} if "versionId" in query else {})})


def needs_of(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[Need]:
    """Yield what a call of the SDK needs, by its names. Raise ValueError for one that is not known here."""
    if service == "dynamodb":
        yield from _of_table(operation, parameters)
    elif service == "sqs":
        action = _ACTIONS.get(operation, operation)
        yield Need(action=f"sqs:{action}", resource=_queue(parameters["QueueUrl"]))
    elif service == "secretsmanager":
        yield Need(action=f"secretsmanager:{operation}", resource="JwtSecretArn")
    elif service == "s3" and operation == "ListObjectsV2":
        yield Need(action="s3:ListBucket", resource="BucketArn")
    elif service == "s3" and operation == "CreateBucket":
        # What botocore calls the signing of a form; ours are for uploads, where the signer must be allowed to put.
        yield Need(action="s3:PutObject", resource="BucketArn/uploads/job/file")
    elif service == "s3":
        version = "Version" if parameters.get("VersionId") else ""
        action = _ACTIONS.get(operation, operation)
        yield Need(action=f"s3:{action}{version}", resource=f"BucketArn/{parameters['Key']}")
    else:
        raise ValueError(f"what does {service} {operation} need?")


def _of_table(operation: str, parameters: Mapping[str, Any]) -> Iterator[Need]:
    if operation == "TransactWriteItems":
        for item in parameters["TransactItems"]:
            (kind,) = item
            yield Need(action=f"dynamodb:{_WRITES[kind]}", resource="TableArn")
    elif operation == "BatchExecuteStatement":
        for statement in parameters["Statements"]:
            verb = _STATEMENTS[statement["Statement"].split()[0].upper()]
            yield Need(action=f"dynamodb:PartiQL{verb}", resource="TableArn")
    else:
        index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
        yield Need(action=f"dynamodb:{_ACTIONS.get(operation, operation)}", resource=f"TableArn{index}")


def _queue(url: str) -> str:
    """Return the export that names a queue's ARN; the queue's own name ends the longest way it can."""
    physical = url.rpartition("/")[2]
    names = [f"{queue}{end}" for queue in QUEUES for end in ("", "-dlq")]
    name = max((name for name in names if physical.endswith(f"-{name}")), key=len)
    kind = "Dlq" if name.endswith("-dlq") else "Queue"
    words = name.removesuffix("-dlq").replace("_", "-").split("-")
    return "".join(map(str.capitalize, words)) + f"{kind}Arn"


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


@lru_cache(maxsize=1)
def _policies() -> dict[str, Any]:
    """Return all policies: those of .chalice by their file, those of roles in the template by the role."""
    return templates.policies() | templates.policies_within(templates.read(templates.FUNCTIONS))


@contextmanager
def watched(policy: str) -> Iterator[None]:
    """Hold what this process asks of AWS meanwhile to a function's policy: AssertionError for what it may not."""
    found: set[Need] = set()

    def listen(service: str, operation: str, parameters: dict[str, Any]) -> None:
        found.update(needs_of(service, operation, parameters))

    clients.on_call(listen)
    try:
        yield
    finally:
        clients._listeners.remove(listen)
    missing = denied(found, _policies()[policy])
    assert not missing, f"{policy} does not allow {', '.join(sorted(map(str, missing)))}"
