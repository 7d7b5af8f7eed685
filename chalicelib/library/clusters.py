"""Clusters of one owner: running sums, each guarded by a version, so that no concurrent update is lost.

The arithmetic is `knowledge.clusters`; this is where it is kept.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.aws.expressions import Delete, Equals, Item, Key, Present, Put, Update, Write
from chalicelib.aws.table import ConditionFailed, Table, query_all
from chalicelib.errors import NotFound
from chalicelib.jobs.job import is_id
from chalicelib.knowledge.clusters import Centroid
from chalicelib.library.documents import partition

# Kept as JSON text: one attribute each, floats exact, and half the size of DynamoDB's own maps.
_JSON_FIELDS = ("weights", "concept_counts")


def cluster_key(owner: str, cluster_id: str) -> Key:
    """Return the key of a cluster's row."""
    return (partition(owner), f"CLUSTER#{cluster_id}")


class ClusterPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of an owner's clusters, newest first."""

    clusters: list[Centroid]
    # Id of the last cluster when more follow.
    last: str | None


class Clusters:
    """The clusters of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner

    def all(self) -> list[Centroid]:
        """Return every cluster."""
        rows = query_all(self.table, ("pk", partition(self.owner)), sort=("sk", "begins_with", "CLUSTER#"))
        return [_from_item(row) for row in rows]

    def find(self, cluster_id: str) -> Centroid | None:
        """Return a cluster, or None."""
        row = self.table.get(cluster_key(self.owner, cluster_id))
        return _from_item(row) if row else None

    def require(self, cluster_id: str) -> Centroid:
        """Return a cluster; raise NotFound, also for another owner's."""
        # A key of DynamoDB has a limit; what is no id of ours is not looked up.
        cluster = self.find(cluster_id) if is_id(cluster_id) else None
        if cluster is None:
            raise NotFound("There is no such cluster.", cluster_id=cluster_id)
        return cluster

    def page(self, *, limit: int, after: str | None = None) -> ClusterPage:
        """Return clusters, newest first, after the cluster `after`."""
        start: Item | None = None
        if after:
            start = dict(zip(("pk", "sk"), cluster_key(self.owner, after), strict=True))
        page = self.table.query(
            ("pk", partition(self.owner)),
            sort=("sk", "begins_with", "CLUSTER#"),
            limit=limit,
            forward=False,
            start=start,
        )
        clusters = [_from_item(item) for item in page.items]
        return ClusterPage(
            clusters=clusters, last=clusters[-1].cluster_id if page.next_key and clusters else None
        )

    def rename(self, cluster_id: str, name: str) -> Centroid:
        """Give a cluster its user's name, which stays; return it. Raise NotFound.

        The write touches the name alone and raises the version: a document that joins at the same time has read the
        cluster without that name, is refused, and reads it again. So neither is lost, and this one needs no retry.
        """
        key = cluster_key(self.owner, self.require(cluster_id).cluster_id)
        named = {"name": name, "named_by_user": True}
        try:
            row = self.table.write(Update(key=key, set=named, add={"version": 1}, when=(Present("pk"),)))
        except ConditionFailed:
            raise NotFound("There is no such cluster.", cluster_id=cluster_id) from None
        return _from_item(row)

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

    def shrink(self, before: Centroid, after: Centroid) -> Write:
        """Build the write from `before` to `after`, which is smaller; a cluster without members disappears."""
        if after.size:
            return self.save(before, after)
        key = cluster_key(self.owner, before.cluster_id)
        return Delete(key=key, when=(Equals("version", before.version),))


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
