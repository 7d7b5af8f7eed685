"""AWS clients: made when first used, one set per process.

A forked child must not share its parent's connections, so the cache is keyed by process id.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from chalicelib import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

# All tries of a call together stay well below half a lease: a heartbeat must not outlive what it renews.
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=64,
    tcp_keepalive=True,
)
# Requests to table and queues are built by this package alone, and checking each against botocore's model takes a
# third of their time; the service checks them anyway.
_TRUSTED_CONFIG = _CONFIG.merge(Config(parameter_validation=False))
# Long polls last 20 s.
_POLL_CONFIG = _TRUSTED_CONFIG.merge(Config(read_timeout=30))
# SigV4 always: boto3 presigns SigV2 in us-east-1 by default, and only SigV4 posts carry all conditions.
# Path-style addresses on an emulator, where no name resolves to a bucket.
_S3_CONFIG = _CONFIG.merge(Config(signature_version="s3v4", read_timeout=30))
_S3_LOCAL_CONFIG = _S3_CONFIG.merge(Config(s3={"addressing_style": "path"}))


@lru_cache(maxsize=16)
def _client(service: str, _pid: int, *, polling: bool = False) -> Any:
    endpoint = settings.get().endpoint_url
    trusted = _TRUSTED_CONFIG if service in ("dynamodb", "sqs") else _CONFIG
    config = _POLL_CONFIG if polling else trusted
    if service == "s3":
        config = _S3_LOCAL_CONFIG if endpoint else _S3_CONFIG
    client = boto3.session.Session().client(service, endpoint_url=endpoint, config=config)  # type: ignore[call-overload]
    client.meta.events.register("provide-client-params", _told)
    return client


# Told of every call: service, operation, parameters.
_listeners: list[Callable[[str, str, dict[str, Any]], None]] = []


def on_call(listener: Callable[[str, str, dict[str, Any]], None]) -> None:
    """Have `listener` told of every call that this process makes."""
    _listeners.append(listener)


def _told(params: dict[str, Any], event_name: str, **_others: Any) -> None:
    _, service, operation = event_name.split(".", 2)
    for listener in _listeners:
        listener(service, operation, params)


def dynamodb() -> DynamoDBClient:
    """Return this process's DynamoDB client."""
    return _client("dynamodb", os.getpid())  # type: ignore[no-any-return]


def sqs() -> SQSClient:
    """Return this process's SQS client."""
    return _client("sqs", os.getpid())  # type: ignore[no-any-return]


def sqs_polling() -> SQSClient:
    """Return this process's SQS client for long polls."""
    return _client("sqs", os.getpid(), polling=True)  # type: ignore[no-any-return]


def s3() -> S3Client:
    """Return this process's S3 client."""
    return _client("s3", os.getpid())  # type: ignore[no-any-return]


def secretsmanager() -> SecretsManagerClient:
    """Return this process's Secrets Manager client."""
    return _client("secretsmanager", os.getpid())  # type: ignore[no-any-return]
