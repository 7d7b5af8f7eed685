"""What a deployed stack's resources really are: each property of the template read back, and set where it is not so.

Emulators answer CREATE_COMPLETE and drop properties: MiniStack 1.5.33 a table's TTL and point-in-time recovery
and a bucket's lifecycle. The wanted values come from the template itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from botocore.exceptions import ClientError

from local import bucket_properties
from local.stack_template import Resource

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

Outcome = Literal["ok", "set", "differs"]

# What the service relies on: without it work would be lost, stuck or kept for ever. The rest protects on AWS.
IMPORTANT: Final = frozenset(
    {
        "TimeToLiveSpecification",
        "VersioningConfiguration",
        "LifecycleConfiguration",
        "NotificationConfiguration",
        "CorsConfiguration",
        "VisibilityTimeout",
        "MessageRetentionPeriod",
        "RedrivePolicy",
        "KeySchema",
        "GlobalSecondaryIndexes",
    }
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One property of one resource: what the template wants and what there is."""

    # Logical name in the template.
    resource: str
    # CloudFormation's name of the property.
    name: str
    # As the service's API names and nests it.
    wanted: Any
    # What was read back at the end; None: nothing.
    found: Any
    # `ok`: was so. `set`: is so now. `differs`: could not be set, or may not.
    outcome: Outcome

    @property
    def important(self) -> bool:
        """Whether the service would work wrongly without it."""
        return self.name in IMPORTANT


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """How to read and set one property."""

    # CloudFormation's name of the property.
    name: str
    # The value as the service's API has it.
    wanted: Any
    # Returns the present value; a ClientError means that there is none.
    read: Callable[[], Any]
    # Sets it; None: fixed when the resource is made.
    write: Callable[[], object] | None


class Clients(msgspec.Struct, frozen=True, kw_only=True):
    """The three services whose resources are checked."""

    dynamodb: DynamoDBClient
    s3: S3Client
    sqs: SQSClient


def ensure(resources: Iterable[Resource], clients: Clients, *, write: bool) -> list[Finding]:
    """Read every known property back; with `write`, set what differs and read again. Idempotent."""
    handlers: dict[str, Callable[[dict[str, Any]], Iterator[Property]]] = {
        "AWS::DynamoDB::Table": partial(_table, clients.dynamodb),
        "AWS::S3::Bucket": partial(_bucket, clients.s3),
        "AWS::SQS::Queue": partial(_queue, clients.sqs),
    }
    return [
        _ensure(resource.logical_name, item, write=write)
        for resource in resources
        if resource.type in handlers
        for item in handlers[resource.type](resource.properties)
    ]


def contains(found: Any, wanted: Any) -> bool:
    """Tell whether `found` says all that `wanted` says; it may say more (defaults, identifiers).

    Lists are compared as sets: the services return them in any order.
    """
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            contains(found.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(any(contains(item, value) for item in found) for value in wanted)
        )
    return bool(_scalar(found) == _scalar(wanted))


def _scalar(value: Any) -> str:
    """Return a value as services print it: numbers and booleans come back as text, names in other case."""
    return str(value).lower()


def _ensure(resource: str, item: Property, *, write: bool) -> Finding:
    found = _read(item)
    outcome: Outcome = "ok" if contains(found, item.wanted) else "differs"
    if outcome == "differs" and write and item.write is not None and _written(item.write):
        found = _read(item)
        outcome = "set" if contains(found, item.wanted) else "differs"
    return Finding(resource=resource, name=item.name, wanted=item.wanted, found=found, outcome=outcome)


def _read(item: Property) -> Any:
    try:
        return item.read()
    except ClientError:
        return None


def _written(write: Callable[[], object]) -> bool:
    try:
        write()
    except ClientError:
        return False
    return True


# --- Tables -------------------------------------------------------------------------------------------------


def _table(client: DynamoDBClient, properties: dict[str, Any]) -> Iterator[Property]:
    name = properties["TableName"]
    yield from _fixed_table_properties(client, name, properties)
    if ttl := properties.get("TimeToLiveSpecification"):

        def read_ttl() -> Any:
            found = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
            return {**found, "Enabled": found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")}

        yield Property(
            name="TimeToLiveSpecification",
            wanted=ttl,
            read=read_ttl,
            write=partial(client.update_time_to_live, TableName=name, TimeToLiveSpecification=ttl),
        )
    if recovery := properties.get("PointInTimeRecoverySpecification"):

        def read_recovery() -> Any:
            found = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
            status = found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
            return {"PointInTimeRecoveryEnabled": status == "ENABLED"}

        yield Property(
            name="PointInTimeRecoverySpecification",
            wanted=recovery,
            read=read_recovery,
            write=partial(
                client.update_continuous_backups, TableName=name, PointInTimeRecoverySpecification=recovery
            ),
        )


def _fixed_table_properties(
    client: DynamoDBClient, name: str, properties: dict[str, Any]
) -> Iterator[Property]:
    for key in ("KeySchema", "GlobalSecondaryIndexes"):
        if key in properties:
            yield Property(
                name=key,
                wanted=properties[key],
                read=partial(lambda key: client.describe_table(TableName=name)["Table"].get(key), key),
                write=None,
            )
    if encryption := properties.get("SSESpecification"):

        def read_encryption() -> Any:
            found = client.describe_table(TableName=name)["Table"].get("SSEDescription", {})
            return {"SSEEnabled": found.get("Status") == "ENABLED"}

        yield Property(
            name="SSESpecification",
            wanted=encryption,
            read=read_encryption,
            write=partial(
                client.update_table,
                TableName=name,
                SSESpecification={"Enabled": bool(encryption["SSEEnabled"])},
            ),
        )


# --- Buckets ------------------------------------------------------------------------------------------------


def _bucket(client: S3Client, properties: dict[str, Any]) -> Iterator[Property]:
    """Yield a bucket's configurations."""
    s3: Any = client
    bucket = properties["BucketName"]
    for name, method, argument, convert in _BUCKET_ROWS:
        if name in properties:
            wanted = convert(properties[name])
            yield Property(
                name=name,
                wanted=wanted,
                read=partial(_read_bucket, getattr(s3, f"get_{method}"), bucket, argument),
                write=partial(getattr(s3, f"put_{method}"), Bucket=bucket, **{argument: wanted}),
            )


def _read_bucket(get: Callable[..., Any], bucket: str, key: str) -> Any:
    """Return a configuration: some answers nest it under its name, some are it."""
    answer = get(Bucket=bucket)
    return answer.get(key, answer)


# Name in templates; the API's method; its argument; how the value is converted.
_BUCKET_ROWS: Final[tuple[tuple[str, str, str, Callable[[dict[str, Any]], dict[str, Any]]], ...]] = (
    ("VersioningConfiguration", "bucket_versioning", "VersioningConfiguration", bucket_properties.same),
    (
        "PublicAccessBlockConfiguration",
        "public_access_block",
        "PublicAccessBlockConfiguration",
        bucket_properties.same,
    ),
    ("OwnershipControls", "bucket_ownership_controls", "OwnershipControls", bucket_properties.same),
    (
        "BucketEncryption",
        "bucket_encryption",
        "ServerSideEncryptionConfiguration",
        bucket_properties.encryption,
    ),
    ("CorsConfiguration", "bucket_cors", "CORSConfiguration", bucket_properties.cors),
    (
        "LifecycleConfiguration",
        "bucket_lifecycle_configuration",
        "LifecycleConfiguration",
        bucket_properties.lifecycle,
    ),
    (
        "NotificationConfiguration",
        "bucket_notification_configuration",
        "NotificationConfiguration",
        bucket_properties.notification,
    ),
)


# --- Queues -------------------------------------------------------------------------------------------------


def _queue(client: SQSClient, properties: dict[str, Any]) -> Iterator[Property]:
    sqs: Any = client
    url = sqs.get_queue_url(QueueName=properties["QueueName"])["QueueUrl"]
    # All in one request; read again only after something was set.
    found: dict[str, str] = {}

    def refresh() -> None:
        found.update(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])

    def read(name: str) -> Any:
        text = found.get(name)
        return json.loads(text) if text and isinstance(properties[name], dict) else text

    def write(name: str, value: Any) -> None:
        text = json.dumps(value) if isinstance(value, dict) else _scalar(value)
        sqs.set_queue_attributes(QueueUrl=url, Attributes={name: text})
        refresh()

    refresh()
    for name, value in properties.items():
        if name not in ("QueueName", "Tags"):
            yield Property(
                name=name, wanted=value, read=partial(read, name), write=partial(write, name, value)
            )
