"""AWS clients for deploying, at AWS or at an emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from local import stack_properties

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

# Where emulators live.
LOCAL_REGION: Final = "us-east-1"
LOCAL_CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class Session:
    """Clients for one endpoint (None: AWS)."""

    def __init__(self, endpoint_url: str | None, region: str) -> None:
        credentials: dict[str, Any] = {}
        if endpoint_url:
            credentials = {name.lower(): value for name, value in LOCAL_CREDENTIALS.items()}
        self._session = boto3.session.Session(region_name=region, **credentials)
        self._endpoint_url = endpoint_url
        # Between two looks at a stack in progress.
        self.poll_seconds = 0.1 if endpoint_url else 3.0
        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": 4},
            s3={"addressing_style": "path" if endpoint_url else "auto"},
        )

    def cloudformation(self) -> CloudFormationClient:
        """Return a client for the stack itself."""
        return self._session.client("cloudformation", endpoint_url=self._endpoint_url, config=self._config)

    def data_clients(self) -> stack_properties.Clients:
        """Return the clients for what the stack makes."""
        options: Any = {"endpoint_url": self._endpoint_url, "config": self._config}
        return stack_properties.Clients(
            dynamodb=self._session.client("dynamodb", **options),
            s3=self._session.client("s3", **options),
            sqs=self._session.client("sqs", **options),
        )
