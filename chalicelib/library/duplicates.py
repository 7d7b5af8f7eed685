"""Groups of documents that are alike, from the pairs that were kept when they arrived. Nothing is compared here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Final

import msgspec

from chalicelib.aws.table import Table
from chalicelib.library.documents import Document, Documents
from chalicelib.library.pairs import Pair, Pairs, compared, signature_of

# One answer looks at so many pairs (some 3 MB), settles so many open ones, and shows so many members of a group.
MAX_PAIRS_READ: Final = 20_000
MAX_SETTLED: Final = 25
MAX_MEMBERS: Final = 50


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Documents each of which is alike to another one of them."""

    # Id of its oldest document.
    group_id: str
    # Of its most similar pair.
    similarity: float
    # Ids of its documents, oldest first.
    members: list[str]
    # Its pairs, the most similar first.
    pairs: list[Pair]


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """All groups of a library."""

    # The most similar first.
    groups: list[Group]
    # False when there were more pairs than one answer looks at.
    complete: bool


def grouped(pairs: Iterable[Pair]) -> list[Group]:
    """Return the groups that pairs form, the most similar first, of equals the oldest."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = name = parents[parents[name]]
        return name

    kept = sorted(pairs, key=lambda pair: (-pair.similarity, pair.older, pair.newer))
    for pair in kept:
        older, newer = sorted((root(pair.older), root(pair.newer)))
        parents[newer] = older
    of_root: dict[str, list[Pair]] = defaultdict(list)
    for pair in kept:
        of_root[root(pair.older)].append(pair)
    groups = [
        Group(
            group_id=name,
            similarity=members[0].similarity,
            members=sorted({doc_id for pair in members for doc_id in (pair.older, pair.newer)}),
            pairs=members,
        )
        for name, members in of_root.items()
    ]
    return sorted(groups, key=lambda group: (-group.similarity, group.group_id))


class Duplicates:
    """The near duplicates of one owner's library."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner

    def groups(self, threshold: float) -> Groups:
        """Return the groups whose pairs have at least this similarity (`pairs.KEPT` to 1)."""
        kept = Pairs(self.table, self.owner)
        kept.settle(most=MAX_SETTLED)
        read = list(islice(kept.all(), MAX_PAIRS_READ + 1))
        return Groups(
            groups=grouped(pair for pair in read[:MAX_PAIRS_READ] if pair.similarity >= threshold),
            complete=len(read) <= MAX_PAIRS_READ,
        )

    def of(self, document: Document) -> list[tuple[Pair, Document]]:
        """Return what one document is alike to, the most similar first: two queries and one read of many."""
        signature = signature_of(document)
        ids = Pairs(self.table, self.owner).others(document.doc_id) if signature else []
        if not signature or not ids:
            return []
        there = Documents(self.table, self.owner).find_many(ids)
        return compared(document.doc_id, signature, there.values())

    def documents(self, groups: Iterable[Group]) -> dict[str, Document]:
        """Return the documents that these groups show, by id; those that are gone are left out."""
        shown = [doc_id for group in groups for doc_id in group.members[:MAX_MEMBERS]]
        return Documents(self.table, self.owner).find_many(shown) if shown else {}
