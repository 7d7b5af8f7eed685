"""Clusters of one owner: running sums, each guarded by a version, so that no concurrent update is lost.

The arithmetic is `knowledge.clusters`; this is where it is kept.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.aws.expressions import Equals, Item, Key, Put, Update, Write
from chalicelib.aws.table import Table, query_all
from chalicelib.knowledge.clusters import Centroid
from chalicelib.library.documents import partition

# Kept as JSON text: one attribute each, floats exact, and half the size of DynamoDB's own maps.
_JSON_FIELDS = ("weights", "concept_counts")


def cluster_key(owner: str, cluster_id: str) -> Key:
    """Return the key of a cluster's row."""
    return (partition(owner), f"CLUSTER#{cluster_id}")


class Clusters:
    """The clusters of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner

    def all(self) -> list[Centroid]:
        """Return every cluster."""
        rows = query_all(self.table, ("pk", partition(self.owner)), sort=("sk", "begins_with", "CLUSTER#"))
        return [_from_item(row) for row in rows]

    def names(self, cluster_ids: set[str]) -> dict[str, str]:
        """Return the names of those clusters that exist."""
        rows = self.table.get_many(
            [cluster_key(self.owner, cluster_id) for cluster_id in sorted(cluster_ids)]
        )
        return {row["cluster_id"]: row["name"] for row in rows.values()}

    def save(self, before: Centroid | None, after: Centroid) -> Write:
        """Build the write from `before` (None: new) to `after`, refused if someone else changed it meanwhile."""
        pk, sk = cluster_key(self.owner, after.cluster_id)
        fields = _to_fields(after)
        if before is None:
            return Put(item={"pk": pk, "sk": sk, **fields}, new=True)
        return Update(key=(pk, sk), set=fields, when=(Equals("version", before.version),))


def _to_fields(centroid: Centroid) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(centroid)
    return {
        name: msgspec.json.encode(value).decode() if name in _JSON_FIELDS else value
        for name, value in fields.items()
    }


def _from_item(item: Item) -> Centroid:
    fields = {
        name: msgspec.json.decode(value) if name in _JSON_FIELDS else value
        for name, value in item.items()
        if name not in ("pk", "sk")
    }
    return msgspec.convert(fields, Centroid)
