"""What rows of an earlier version lack, added once at a start."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws.expressions import Equals, Put, Update, decode_item, encode, encode_key, request
from chalicelib.library.documents import cluster_mark, document_key, partition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Says that every document is in the index `by_cluster`.
_DONE: Final = ("SYSTEM", "UPGRADE#by_cluster")


def index_documents(client: DynamoDBClient, table: str) -> int:
    """Put documents that were published before there was the index `by_cluster` into it; return how many.

    Reads the whole table, once in its life. Cut short it does no harm: the next start does all of it.
    """
    if "Item" in client.get_item(TableName=table, Key=encode_key(_DONE), ConsistentRead=True):
        return 0
    added = 0
    pages = client.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="begins_with(sk, :doc) AND attribute_not_exists(#c)",
        ProjectionExpression="pk, doc_id, cluster_id",
        ExpressionAttributeNames={"#c": "cluster"},
        ExpressionAttributeValues={":doc": encode("DOC#")},
        ConsistentRead=True,
    )
    for page in pages:
        for raw in page["Items"]:
            added += _indexed(client, table, decode_item(raw))
    _, parameters = request(Put(item=dict(zip(("pk", "sk"), _DONE, strict=True))), table)
    client.put_item(**parameters)
    return added


def _indexed(client: DynamoDBClient, table: str, row: dict[str, Any]) -> bool:
    """Add a document to the index, unless it was deleted, or moved by a version that does it itself."""
    owner = row["pk"].removeprefix(partition(""))
    update = Update(
        key=document_key(owner, row["doc_id"]),
        set={"cluster": cluster_mark(owner, row["cluster_id"])},
        when=(Equals("cluster_id", row["cluster_id"]),),
    )
    with contextlib.suppress(client.exceptions.ConditionalCheckFailedException):
        client.update_item(**request(update, table)[1])
        return True
    return False
