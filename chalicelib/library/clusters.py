"""Clusters of one owner: running sums, each guarded by a version, so that no concurrent update is lost.

The arithmetic is `knowledge.clusters`; this is where it is kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from chalicelib.aws.expressions import Delete, Equals, Item, Key, Present, Put, Update, Write
from chalicelib.aws.table import ConditionFailed, Table, query_all
from chalicelib.errors import NotFound
from chalicelib.jobs.job import is_id
from chalicelib.knowledge.clusters import Centroid
from chalicelib.library.documents import partition

# What is kept as one attribute, packed. Rows of before have these as JSON texts, until they are next written.
_PACKED: Final = ("weights", "concept_counts")
# Weights are kept as whole numbers of this.
_UNIT: Final = 10_000


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
        """Return every cluster: a little over `MAX_CLUSTERS` at most, 2 KB each."""
        # As many at a time as fit into an answer of the database, 1 MB.
        prefix = cluster_key(self.owner, "")[1]
        rows = query_all(
            self.table, ("pk", partition(self.owner)), sort=("sk", "begins_with", prefix), limit=1000
        )
        return [from_item(row) for row in rows]

    def find(self, cluster_id: str) -> Centroid | None:
        """Return a cluster, or None."""
        row = self.table.get(cluster_key(self.owner, cluster_id))
        return from_item(row) if row else None

    def find_many(self, cluster_ids: Iterable[str]) -> dict[str, Centroid]:
        """Return those of some clusters that exist, by id."""
        rows = self.table.get_many([cluster_key(self.owner, cluster_id) for cluster_id in cluster_ids])
        return {row["cluster_id"]: from_item(row) for row in rows.values()}

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
        clusters = [from_item(item) for item in page.items]
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
        return from_item(row)

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
        return Update(key=(pk, sk), set=fields, remove=_PACKED, when=(Equals("version", before.version),))

    def shrink(self, before: Centroid, after: Centroid) -> Write:
        """Build the write from `before` to `after`, which is smaller; a cluster without members disappears."""
        if after.size:
            return self.save(before, after)
        key = cluster_key(self.owner, before.cluster_id)
        return Delete(key=key, when=(Equals("version", before.version),))


class _Sums(msgspec.Struct, frozen=True, array_like=True):
    """The sums of a cluster as they are packed: columns compress better than pairs."""

    # In the order of the alphabet, with their weights.
    terms: list[str]
    weights: list[int]
    # In their own order, with their counts.
    concepts: list[str]
    counts: list[int]


def _to_fields(centroid: Centroid) -> dict[str, Any]:
    terms = sorted(centroid.weights)
    sums = _Sums(
        terms=terms,
        weights=[round(centroid.weights[term] * _UNIT) for term in terms],
        concepts=list(centroid.concept_counts),
        counts=list(centroid.concept_counts.values()),
    )
    fields: dict[str, Any] = msgspec.to_builtins(centroid)
    kept = {name: value for name, value in fields.items() if name not in _PACKED}
    return {**kept, "sums": zlib.compress(msgspec.msgpack.encode(sums), 9)}


def from_item(item: Item) -> Centroid:
    """Return the cluster that a row holds."""
    return msgspec.convert({**item, **_unpacked(item)}, Centroid)


def _unpacked(item: Item) -> dict[str, Any]:
    if "sums" not in item:
        return {name: msgspec.json.decode(item[name]) for name in _PACKED}
    sums = msgspec.msgpack.decode(zlib.decompress(item["sums"]), type=_Sums)
    weights = {term: weight / _UNIT for term, weight in zip(sums.terms, sums.weights, strict=True)}
    return {"weights": weights, "concept_counts": dict(zip(sums.concepts, sums.counts, strict=True))}
