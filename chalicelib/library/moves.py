"""Documents that move from one cluster to another: small transactions, so that sums are right whatever comes between.

Each takes some documents of one cluster, gives them to another, and changes both sums, all under the versions that
were read. What meanwhile moved by itself or was deleted is left out; what is cut short is simply not done.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from chalicelib.aws.expressions import Act, Equals, Update
from chalicelib.aws.table import Table, TransactionFailed
from chalicelib.errors import RetryAfter
from chalicelib.jobs.job import now_ms
from chalicelib.knowledge.clusters import Centroid, Share, gathered, with_shares, without_shares
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import cluster_mark, document_key

# Documents of one transaction: each is a row of some kilobytes, and an ingestion may want the same clusters.
AT_ONCE: Final = 24
_TRIES: Final = 14
_BUSY_SECONDS: Final = 5.0


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A document of a cluster."""

    doc_id: str
    # What it adds to the cluster's sums.
    share: Share


class Moves:
    """Moves documents of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner
        self.clusters = Clusters(table, owner)
        # Versions of clusters that nobody but these moves has changed since they were noted here.
        self.untouched: dict[str, int] = {}

    def move(self, members: Sequence[Member], source: str, target: str) -> list[str]:
        """Move documents from one cluster to another, which is founded if need be; return those that were moved.

        Raise RetryAfter where others want the same clusters all the time; Unavailable.
        """
        moved: list[str] = []
        for start in range(0, len(members), AT_ONCE):
            moved += self._together(list(members[start : start + AT_ONCE]), source, target)
        return moved

    def _together(self, members: list[Member], source: str, target: str) -> list[str]:
        for attempt in range(_TRIES):
            before = self.clusters.find(source)
            if before is None or not members:
                return []
            there = self.clusters.find(target)
            shares = [member.share for member in members]
            smaller = without_shares(before, shares)
            larger = with_shares(there, shares) if there else self._founded(target, shares)
            writes: list[Act] = [
                self.clusters.shrink(before, smaller),
                self.clusters.save(there, larger),
                *(self._moved(member.doc_id, source, target) for member in members),
            ]
            try:
                self.table.transact(writes)
            except TransactionFailed as error:
                members = [member for place, member in enumerate(members, 2) if place not in error.failed]
            else:
                self._note(before, smaller)
                self._note(there, larger)
                return [member.doc_id for member in members]
            time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 6)))  # noqa: S311 (spreads load, guards nothing)
        raise RetryAfter("The library is busy; trying again in a moment.", _BUSY_SECONDS)

    def _note(self, before: Centroid | None, after: Centroid) -> None:
        if before is None or self.untouched.get(before.cluster_id) == before.version:
            self.untouched[after.cluster_id] = after.version
        else:
            self.untouched.pop(after.cluster_id, None)

    def _founded(self, cluster_id: str, shares: list[Share]) -> Centroid:
        # It may have been there before: its id is used again, its versions never are.
        return gathered(cluster_id, shares, version=now_ms())

    def _moved(self, doc_id: str, source: str, target: str) -> Update:
        return Update(
            key=document_key(self.owner, doc_id),
            set={"cluster_id": target, "cluster": cluster_mark(self.owner, target)},
            when=(Equals("cluster_id", source),),
        )
