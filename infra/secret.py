"""The secret that signs bearer tokens: made once for a stage, by this machine, never printed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from infra.cloud import Cloud

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.type_defs import DescribeSecretResponseTypeDef

# 48 random bytes: more than the 32 that HS256 needs (RFC 7518, section 3.2).
_BYTES: Final = 48


def name(stage: str) -> str:
    """Return the secret's name."""
    return f"syncboard/{stage}/jwt"


def ensure(cloud: Cloud, stage: str) -> str:
    """Return the ARN of the stage's secret; make it where there is none, bring it back where it was deleted."""
    client, found = cloud.secretsmanager, _find(cloud, stage)
    if found is not None:
        if "DeletedDate" in found:
            client.restore_secret(SecretId=name(stage))
        return found["ARN"]
    made = client.create_secret(
        Name=name(stage),
        Description=f"Signs the bearer tokens of SyncBoard, stage {stage}",
        SecretString=secrets.token_urlsafe(_BYTES),
        Tags=[{"Key": "syncboard:stage", "Value": stage}],
    )
    return made["ARN"]


def read(cloud: Cloud, arn: str) -> str:
    """Return the secret, for the token of the smoke test."""
    return cloud.secretsmanager.get_secret_value(SecretId=arn)["SecretString"]


def delete(cloud: Cloud, stage: str) -> None:
    """Delete the secret; for a week it can be brought back."""
    found = _find(cloud, stage)
    if found is not None and "DeletedDate" not in found:
        cloud.secretsmanager.delete_secret(SecretId=name(stage), RecoveryWindowInDays=7)


def _find(cloud: Cloud, stage: str) -> DescribeSecretResponseTypeDef | None:
    try:
        return cloud.secretsmanager.describe_secret(SecretId=name(stage))
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
