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
    property: str
    # As the service's API names and nests it.
    wanted: Any
    # What was read back at the end; None: nothing.
    found: Any
    # `ok`: was so. `set`: is so now. `differs`: could not be set, or may not.
    outcome: Outcome

    @property
    def important(self) -> bool:
        """Whether the service would work wrongly without it."""
        return self.property in IMPORTANT


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
    handlers = {
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
    found, outcome = _read(item), "ok"
    if not contains(found, item.wanted):
        outcome = "differs"
        if write and item.write is not None and _written(item.write):
            found = _read(item)
            outcome = "set" if contains(found, item.wanted) else "differs"
    return Finding(
        resource=resource,
        property=item.name,
        wanted=item.wanted,
        found=found,
        outcome=outcome,  # type: ignore[arg-type]
    )


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
    """Yield a bucket's configurations. Each: its name in templates, in answers, and in requests."""
    s3: Any = client
    rows = (
        ("VersioningConfiguration", "bucket_versioning", None, "VersioningConfiguration", _same),
        (
            "PublicAccessBlockConfiguration",
            "public_access_block",
            *("PublicAccessBlockConfiguration",) * 2,
            _same,
        ),
        ("OwnershipControls", "bucket_ownership_controls", *("OwnershipControls",) * 2, _same),
        ("BucketEncryption", "bucket_encryption", *("ServerSideEncryptionConfiguration",) * 2, _encryption),
        ("CorsConfiguration", "bucket_cors", None, "CORSConfiguration", _cors),
        (
            "LifecycleConfiguration",
            "bucket_lifecycle_configuration",
            None,
            "LifecycleConfiguration",
            _lifecycle,
        ),
        ("NotificationConfiguration", "bucket_notification_configuration", None)
        + ("NotificationConfiguration", _notification),
    )
    for name, method, answer_key, argument, convert in rows:
        if name in properties:
            bucket = properties["BucketName"]
            wanted = convert(properties[name])
            yield Property(
                name=name,
                wanted=wanted,
                read=partial(_read_bucket, getattr(s3, f"get_{method}"), bucket, answer_key),
                write=partial(getattr(s3, f"put_{method}"), Bucket=bucket, **{argument: wanted}),
            )


def _read_bucket(get: Callable[..., Any], bucket: str, key: str | None) -> Any:
    answer = get(Bucket=bucket)
    answer.pop("ResponseMetadata", None)
    return answer[key] if key else answer


def _same(value: dict[str, Any]) -> dict[str, Any]:
    return value


def _encryption(value: dict[str, Any]) -> dict[str, Any]:
    rules = value["ServerSideEncryptionConfiguration"]
    return {
        "Rules": [
            {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]} for rule in rules
        ]
    }


def _cors(value: dict[str, Any]) -> dict[str, Any]:
    names = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds", "Id": "ID"}
    return {"CORSRules": [{names.get(k, k): v for k, v in rule.items()} for rule in value["CorsRules"]]}


def _lifecycle(value: dict[str, Any]) -> dict[str, Any]:
    return {"Rules": [_lifecycle_rule(rule) for rule in value["Rules"]]}


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {
        "ID": rule["Id"],
        "Status": rule["Status"],
        "Filter": {"Prefix": rule.get("Prefix", "")},
    }
    expiration = {"ExpirationInDays": "Days", "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker"}
    for key, item in rule.items():
        if key in expiration:
            number = int(item) if key == "ExpirationInDays" else item
            converted.setdefault("Expiration", {})[expiration[key]] = number
        elif key in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
            converted[key] = {name: int(days) for name, days in item.items()}
        elif key not in ("Id", "Status", "Prefix"):
            raise ValueError(f"lifecycle rule {rule['Id']}: {key} is not understood")
    return converted


def _notification(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "QueueConfigurations": [
            {
                "QueueArn": item["Queue"],
                "Events": [item["Event"]],
                "Filter": {"Key": {"FilterRules": item["Filter"]["S3Key"]["Rules"]}},
            }
            for item in value["QueueConfigurations"]
        ]
    }


# --- Queues -------------------------------------------------------------------------------------------------


def _queue(client: SQSClient, properties: dict[str, Any]) -> Iterator[Property]:
    url = client.get_queue_url(QueueName=properties["QueueName"])["QueueUrl"]
    found: dict[str, str] = dict(
        client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    )

    def read(name: str) -> Any:
        return json.loads(found.get(name, "null")) if isinstance(properties[name], dict) else found.get(name)

    def write(name: str, value: Any) -> None:
        text = json.dumps(value) if isinstance(value, dict) else _scalar(value)
        client.set_queue_attributes(QueueUrl=url, Attributes={name: text})
        found.update(client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])

    for name, value in properties.items():
        if name not in ("QueueName", "Tags"):
            yield Property(
                name=name, wanted=value, read=partial(read, name), write=partial(write, name, value)
            )
