"""Looking for what is left of a deleted document: in every item of a table and every object of a bucket.

Nothing is asked of the code that stores and deletes: items and objects are read as they are, packed parts unpacked,
and searched for ids, keys and words.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from chalicelib.aws import clients
from chalicelib.aws.expressions import Item, Key, decode_item

# Rows of jobs are records of what was asked for and answered, not the library; they expire.
RECORDS = ("JOB#",)


def traces(
    items: Mapping[Key, Item],
    bodies: Mapping[str, bytes],
    needles: Collection[str],
    *,
    spared: Callable[[Key], bool] = lambda key: key[0].startswith(RECORDS),
) -> list[str]:
    """Return where any of `needles` is found, upper and lower case aside: "pk sk: needle" or "object: needle"."""
    wanted = {needle.casefold() for needle in needles}
    places = {" ".join(key): _text(item) for key, item in items.items() if not spared(key)}
    places |= {name: f"{name} {_text(body)}" for name, body in bodies.items()}
    return sorted(
        f"{place}: {needle}"
        for place, text in places.items()
        for needle in wanted
        if needle in text.casefold()
    )


def all_items(table: str) -> dict[Key, Item]:
    """Return every item of a DynamoDB table."""
    pages = clients.dynamodb().get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    items = [decode_item(raw) for page in pages for raw in page["Items"]]
    return {(item["pk"], item["sk"]): item for item in items}


def all_bodies(bucket: str, prefix: str = "") -> dict[str, bytes]:
    """Return every object of a bucket whose key begins like this."""
    pages = clients.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key: clients.s3().get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def _text(value: Any) -> str:
    """Return a value as text to be searched."""
    if isinstance(value, bytes):
        return "\n".join(part.decode("utf-8", "replace") for part in _unpacked(value))
    if isinstance(value, Mapping):
        return "\n".join(f"{name} {_text(entry)}" for name, entry in value.items())
    if isinstance(value, set | list | tuple):
        return "\n".join(map(_text, value))
    return str(value)


def _unpacked(data: bytes) -> Iterator[bytes]:
    """Yield bytes as they are, then what is in each part packed by zlib, one after the other, from the start."""
    yield data
    while data:
        packed = zlib.decompressobj()
        try:
            yield packed.decompress(data) + packed.flush()
        except zlib.error:
            return
        data = packed.unused_data
