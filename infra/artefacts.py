"""What a deployment uploads: zips and templates in a bucket of the account, under names that tell their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from infra import templates
from infra.cloud import Cloud
from infra.templates import Template

# Long enough to go back to an older version; a running function keeps its own copy.
KEEP_DAYS: Final = 180


class Artefacts:
    """The account's bucket for deployments; made when it is first needed."""

    def __init__(self, cloud: Cloud, account: str) -> None:
        self._cloud = cloud
        self._client = cloud.s3
        self.bucket = f"syncboard-artefacts-{account}-{cloud.region}"

    def ensure(self) -> None:
        """Make the bucket unless it is there: private, encrypted, by TLS only, forgetting after half a year."""
        try:
            self._client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
        else:
            return
        place: Any = {"CreateBucketConfiguration": {"LocationConstraint": self._cloud.region}}
        self._client.create_bucket(Bucket=self.bucket, **({} if self._cloud.region == "us-east-1" else place))
        self._client.put_public_access_block(
            Bucket=self.bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
        )
        self._client.put_bucket_encryption(
            Bucket=self.bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        )
        self._client.put_bucket_lifecycle_configuration(
            Bucket=self.bucket,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "old",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "Expiration": {"Days": KEEP_DAYS},
                    }
                ]
            },
        )
        self._client.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(self._tls_only()))

    def _tls_only(self) -> dict[str, Any]:
        arn = f"arn:{self._cloud.partition()}:s3:::{self.bucket}"
        statement = {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return {"Version": "2012-10-17", "Statement": [statement]}

    def upload(self, path: Path) -> str:
        """Upload a file under its hash, unless it is there; return its `s3://` address."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        key = f"{path.stem}/{digest}{path.suffix}"
        if not self._is_there(key):
            self._client.upload_file(str(path), self.bucket, key)
        return f"s3://{self.bucket}/{key}"

    def url(self, address: str) -> str:
        """Return the https address of something uploaded, as CloudFormation wants a template's."""
        key = address.removeprefix(f"s3://{self.bucket}/")
        if self._cloud.endpoint_url:
            return f"{self._cloud.endpoint_url}/{self.bucket}/{key}"
        suffix = "amazonaws.com.cn" if self._cloud.partition() == "aws-cn" else "amazonaws.com"
        return f"https://{self.bucket}.s3.{self._cloud.region}.{suffix}/{key}"

    def _is_there(self, key: str) -> bool:
        try:
            self._client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True


def pointed(template: Template, addresses: Mapping[str, str]) -> Template:
    """Return `template` with its local files (`./deployment.zip`) replaced by where they were uploaded."""
    copy: Template = templates.parse(json.dumps(template))
    for mapping in templates.walk(copy):
        for key in ("CodeUri", "ContentUri"):
            if isinstance(value := mapping.get(key), str):
                mapping[key] = addresses[Path(value).name]
    return copy
