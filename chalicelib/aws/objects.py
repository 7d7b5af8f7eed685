"""S3: uploads, texts, presigned posts; and small ones of them as rows of the table.

Keys: `uploads/<job>/<random>` for presigned uploads (these raise events), `inline/<job>/source` for bytes that
came in a JSON body or out of an archive, `texts/<job>/<attempt>-…` for what a run extracted.

What is small is kept in the table, packed, under the same key with `rows/` before it: a request that writes is a
dollar for 200,000 to the bucket, and for 1.6 million KB to the table. Such an object has no link and no versions.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws import clients
from chalicelib.aws.expressions import Delete, Item, Key, Put
from chalicelib.aws.table import DynamoTable, query_all
from chalicelib.errors import Unavailable, UploadMissing
from chalicelib.logs import logger

_GONE = ("404", "NoSuchKey", "NoSuchVersion", "NotFound", "InvalidRange")
_CHUNK = 1024 * 1024
# What a key begins with that is a row; of how many packed bytes that is at most, and of how many before.
IN_ROWS: Final = "rows/"
_ROW_BYTES: Final = 4 * 1024
SMALL_BYTES: Final = 64 * 1024


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
    """The service's bucket, and the table that has its small objects."""

    def __init__(self, bucket: str, table: str) -> None:
        self.bucket = bucket
        self.rows = DynamoTable(table)

    def put_small(self, key: str, body: bytes, *, expires_at: int | None = None) -> str:
        """Store bytes that nobody asks a link for: as a row where they fit; return the key under which they are.

        `expires_at`: when a row may go, in seconds since the epoch; in the bucket its rules for the key hold.
        """
        row = row_of(key, body)
        if row is None:
            self.put(key, body)
            return key
        self.rows.write(Put(item=row | ({"expires_at": expires_at} if expires_at else {})))
        return IN_ROWS + key

    def get_rows(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Read those of many objects that are rows, in a request for a hundred."""
        wanted = {_row_key(key): key for key in keys if key.startswith(IN_ROWS)}
        found = self.rows.get_many(list(wanted)) if wanted else {}
        return {wanted[place]: zlib.decompress(item["data"]) for place, item in found.items()}

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
        offset, length = span or (0, first)
        if key.startswith(IN_ROWS):
            return self._row(key)[offset:][:length]
        parameters: dict[str, Any] = _pinned(version)
        if length is not None:
            parameters["Range"] = f"bytes={offset}-{offset + length - 1}"
        with _aws_errors(key):
            return clients.s3().get_object(Bucket=self.bucket, Key=key, **parameters)["Body"].read()

    def find(self, key: str) -> bytes | None:
        """Read an object; None if there is none, which is nothing to wonder at."""
        return self.get(key) if key in self.keys(key) else None

    def download(self, key: str, path: Path, *, version: str | None = None) -> None:
        """Copy an object into a file without holding it in memory."""
        if key.startswith(IN_ROWS):
            path.write_bytes(self._row(key))
            return
        with _aws_errors(key), path.open("wb") as file:
            body = clients.s3().get_object(Bucket=self.bucket, Key=key, **_pinned(version))["Body"]
            for chunk in body.iter_chunks(_CHUNK):
                file.write(chunk)

    def keys_of(self, folder: str) -> Iterator[str]:
        """Yield the keys in a folder (`texts/<job>/`), in the bucket and in rows."""
        pk, _ = _row_key(folder)
        for item in query_all(self.rows, ("pk", pk)):
            yield f"{IN_ROWS}{folder}{item['sk']}"
        yield from self.keys(folder)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys in the bucket that begin with `prefix`."""
        with _aws_errors(prefix):
            pages = clients.s3().get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", []))

    def delete(self, key: str) -> None:
        """Delete an object's current version. A missing one is no error."""
        if key.startswith(IN_ROWS):
            self.rows.write(Delete(key=_row_key(key)))
            return
        with _aws_errors(key):
            clients.s3().delete_object(Bucket=self.bucket, Key=key)

    def _row(self, key: str) -> bytes:
        item = self.rows.get(_row_key(key))
        if item is None:
            logger.warning("object is gone", extra={"key": key})
            raise UploadMissing("The stored file is gone.")
        return zlib.decompress(item["data"])

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


def _row_key(key: str) -> Key:
    """Return the key of the row that an object is, by its own with or without `IN_ROWS`."""
    folder, _, name = key.removeprefix(IN_ROWS).rpartition("/")
    return (f"BYTES#{folder}", name)


def row_of(key: str, body: bytes) -> Item | None:
    """Return the row that an object becomes; None for one that is too large."""
    data = zlib.compress(body, 9) if len(body) <= SMALL_BYTES else body
    pk, sk = _row_key(key)
    return {"pk": pk, "sk": sk, "data": data} if len(data) <= _ROW_BYTES else None
