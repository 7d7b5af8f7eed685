"""S3: uploads, texts, presigned posts.

Keys: `uploads/<job>/<random>` for presigned uploads (these raise events), `inline/<job>/source` for bytes that
came in a JSON body or out of an archive, `texts/<job>/<attempt>/…` for what a run extracted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws import clients
from chalicelib.errors import Unavailable, UploadMissing
from chalicelib.logs import logger

_GONE = ("404", "NoSuchKey", "NoSuchVersion", "NotFound", "InvalidRange")
_CHUNK = 1024 * 1024


class ObjectHead(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a stored object."""

    size: int
    etag: str
    # Version that is pinned by a job, or None where the bucket keeps none.
    version: str | None


class PresignedPost(msgspec.Struct, frozen=True, kw_only=True):
    """A form that a browser may post a file with."""

    url: str
    # Form fields to send before the field `file`.
    fields: dict[str, str]


@contextmanager
def _aws_errors(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _GONE:
            logger.warning("object is gone", extra={"key": key})
            raise UploadMissing("The stored file is gone.") from error
        raise Unavailable(f"The storage answered {code}.") from error
    except BotoCoreError as error:
        raise Unavailable("The storage does not answer.") from error


def _pinned(version: str | None) -> dict[str, Any]:
    return {"VersionId": version} if version else {}


class Objects:
    """The service's bucket."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> str | None:
        """Store bytes; return the version."""
        with _aws_errors(key):
            answer = clients.s3().put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)
        return answer.get("VersionId")

    def upload(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> str | None:
        """Store a file's bytes without holding them in memory; return the version."""
        with _aws_errors(key), path.open("rb") as file:
            answer = clients.s3().put_object(Bucket=self.bucket, Key=key, Body=file, ContentType=content_type)
        return answer.get("VersionId")

    def head(self, key: str, *, version: str | None = None) -> ObjectHead:
        """Describe an object; raise UploadMissing if there is none."""
        with _aws_errors(key):
            answer = clients.s3().head_object(Bucket=self.bucket, Key=key, **_pinned(version))
        return ObjectHead(
            size=answer["ContentLength"],
            etag=answer["ETag"],
            version=version or answer.get("VersionId"),
        )

    def get(
        self,
        key: str,
        *,
        version: str | None = None,
        first: int | None = None,
        span: tuple[int, int] | None = None,
    ) -> bytes:
        """Read an object, its first bytes, or a span (offset, length); raise UploadMissing if there is none."""
        parameters: dict[str, Any] = _pinned(version)
        offset, length = span or (0, first)
        if length is not None:
            parameters["Range"] = f"bytes={offset}-{offset + length - 1}"
        with _aws_errors(key):
            return clients.s3().get_object(Bucket=self.bucket, Key=key, **parameters)["Body"].read()

    def find(self, key: str) -> bytes | None:
        """Read an object; None if there is none, which is nothing to wonder at."""
        return self.get(key) if key in self.keys(key) else None

    def download(self, key: str, path: Path, *, version: str | None = None) -> None:
        """Copy an object into a file without holding it in memory."""
        with _aws_errors(key), path.open("wb") as file:
            body = clients.s3().get_object(Bucket=self.bucket, Key=key, **_pinned(version))["Body"]
            for chunk in body.iter_chunks(_CHUNK):
                file.write(chunk)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with `prefix`."""
        with _aws_errors(prefix):
            pages = clients.s3().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", []))

    def delete(self, key: str) -> None:
        """Delete an object's current version. A missing one is no error."""
        with _aws_errors(key):
            clients.s3().delete_object(Bucket=self.bucket, Key=key)

    def presign_get(self, key: str, *, seconds: int) -> str:
        """Return a link that reads the object for `seconds`."""
        return clients.s3().generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=seconds
        )

    def presign_post(self, key: str, *, content_type: str, max_bytes: int, seconds: int) -> PresignedPost:
        """Return a form whose policy fixes key, type and a size of 1 to `max_bytes`."""
        answer = clients.s3().generate_presigned_post(
            self.bucket,
            key,
            Fields={"Content-Type": content_type},
            Conditions=[
                {"Content-Type": content_type},
                ["content-length-range", 1, max_bytes],
            ],
            ExpiresIn=seconds,
        )
        return PresignedPost(url=answer["url"], fields=answer["fields"])
