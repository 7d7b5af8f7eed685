"""The AWS clients of deploying, for one account and region; an emulator's where an endpoint is given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

_EMULATOR: Final = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


class Cloud:
    """Clients for one region. `endpoint_url` None: AWS, with the credentials that the AWS CLI would take."""

    def __init__(self, region: str, *, endpoint_url: str | None = None) -> None:
        self.region = region
        self.endpoint_url = endpoint_url
        # Between two looks at something in progress.
        self.poll_seconds = 0.1 if endpoint_url else 3.0
        self._session = boto3.session.Session(region_name=region, **(_EMULATOR if endpoint_url else {}))  # type: ignore[arg-type]
        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            s3={"addressing_style": "path" if endpoint_url else "auto"},
        )

    def account(self) -> str:
        """Return the number of the account that the credentials belong to."""
        return str(self.client("sts").get_caller_identity()["Account"])

    def partition(self) -> str:
        """Return the partition of the region: aws, aws-cn …"""
        return str(self._session.get_partition_for_region(self.region))

    def client(self, service: str) -> Any:
        """Return a client of any service."""
        create: Any = self._session.client
        return create(service, endpoint_url=self.endpoint_url, config=self._config)

    @property
    def cloudformation(self) -> CloudFormationClient:
        """Return a client for stacks."""
        return self.client("cloudformation")  # type: ignore[no-any-return]

    @property
    def s3(self) -> S3Client:
        """Return a client for buckets."""
        return self.client("s3")  # type: ignore[no-any-return]

    @property
    def dynamodb(self) -> DynamoDBClient:
        """Return a client for tables."""
        return self.client("dynamodb")  # type: ignore[no-any-return]

    @property
    def sqs(self) -> SQSClient:
        """Return a client for queues."""
        return self.client("sqs")  # type: ignore[no-any-return]

    @property
    def secretsmanager(self) -> SecretsManagerClient:
        """Return a client for secrets."""
        return self.client("secretsmanager")  # type: ignore[no-any-return]


def default_region() -> str:
    """Return the region that the AWS CLI would take, or us-east-1."""
    return boto3.session.Session().region_name or os.environ.get("AWS_REGION", "us-east-1")
