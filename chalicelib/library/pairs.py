"""Pairs of documents that are alike, as they are kept: found when the newer one came, removed with either.

Two items a pair, one each way round, so that all pairs of a document are found whichever it is. The one in `DUP#`
has the figures; the one in `DUPOF#` is a key and nothing else. A pair is *open* while it is not known whether the
other document will ever be published: two that arrived at once. It is settled when somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from chalicelib.aws.expressions import Act, Check, Delete, Item, Key, Present, Put, Update, Write
from chalicelib.aws.table import ConditionFailed, Table, TransactionFailed, query_all
from chalicelib.jobs.job import is_id
from chalicelib.knowledge.minhash import PACKED_BYTES, Likeness, Signature, likeness
from chalicelib.library.documents import Document, Documents, document_key

# A document keeps pairs with so many others, those most like it.
MAX_PAIRS: Final = 10
# Pairs less alike than this are not kept.
KEPT: Final = 0.5
_PAGE: Final = 1000


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two documents that are alike, or, while `kind` is empty, may be."""

    newer: str
    older: str
    # Jaccard similarity, or the share of the shorter text that the longer one contains; 0 to 1.
    similarity: float = 0.0
    # A `minhash.Kind`.
    kind: str = ""

    @property
    def open(self) -> bool:
        """Whether the two have not been compared."""
        return not self.kind


def signature_of(document: Document) -> Signature | None:
    """Return the signature of a document, or None for one whose text is too short."""
    packed = document.signature  # one of another length is of another time
    return Signature.unpack(packed) if len(packed) == PACKED_BYTES else None


def compared(newer: str, signature: Signature, others: Iterable[Document]) -> list[tuple[Pair, Document]]:
    """Return the pairs that a document makes with others, the most alike first, at most `MAX_PAIRS`."""
    found = []
    for other in others:
        theirs = signature_of(other)
        alike = likeness(signature, theirs, least=KEPT) if theirs else None
        if alike:
            found.append((pair_of(newer, other.doc_id, alike), other))
    found.sort(key=lambda entry: (entry[0].similarity, entry[1].doc_id), reverse=True)
    return found[:MAX_PAIRS]


def pair_of(a: str, b: str, alike: Likeness) -> Pair:
    """Return the pair of two ids; ids of a later time are newer."""
    older, newer = sorted((a, b))
    return Pair(newer=newer, older=older, similarity=alike.similarity, kind=alike.kind)


class Pairs:
    """The pairs of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner

    def writes(self, pairs: Sequence[Pair], *, new: str) -> list[Act]:
        """Build the writes that keep pairs, for the transaction that publishes the document `new` of each.

        The other document must be there at that moment, unless the pair is open.
        """
        checks = [
            Check(key=document_key(self.owner, other), when=(Present("pk"),))
            for pair in pairs
            if not pair.open and (other := pair.older if pair.newer == new else pair.newer)
        ]
        return [*checks, *(write for pair in pairs for write in self._puts(pair))]

    def add(self, pair: Pair) -> bool:
        """Keep a pair of two published documents; False where one of them is gone."""
        checks = [
            Check(key=document_key(self.owner, doc_id), when=(Present("pk"),))
            for doc_id in (pair.newer, pair.older)
        ]
        try:
            self.table.transact([*checks, *self._puts(pair)])
        except TransactionFailed as refusal:
            if not refusal.failed:
                raise
            return False
        return True

    def all(self) -> Iterator[Pair]:
        """Yield every pair, open ones too, those of the oldest documents first."""
        for item in query_all(self.table, ("pk", f"DUP#{self.owner}"), limit=_PAGE):
            yield _from_item(item)

    def of(self, doc_id: str) -> list[Pair]:
        """Return the pairs of one document; of those in which it is the older one, the ids only."""
        mine = ("sk", "begins_with", f"{doc_id}#")
        newer = query_all(self.table, ("pk", f"DUP#{self.owner}"), sort=mine, limit=_PAGE)
        older = query_all(self.table, ("pk", f"DUPOF#{self.owner}"), sort=mine, limit=_PAGE)
        return [
            *map(_from_item, newer),
            *(Pair(newer=item["sk"].partition("#")[2], older=doc_id) for item in older),
        ]

    def remove(self, doc_id: str) -> None:
        """Remove all pairs of a document."""
        for pair in self.of(doc_id):
            for key in self._keys(pair):
                self.table.write(Delete(key=key))

    def settle(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Compare open pairs whose documents are both published by now; return those that are alike."""
        ids = {doc_id for pair in pairs for doc_id in (pair.newer, pair.older)}
        documents = Documents(self.table, self.owner).find_many(sorted(filter(is_id, ids))) if ids else {}
        alike = []
        for pair in pairs:
            newer, older = documents.get(pair.newer), documents.get(pair.older)
            if newer is None or older is None:
                continue
            signature = signature_of(newer)
            found = compared(newer.doc_id, signature, [older]) if signature else []
            if found:
                alike.append(found[0][0])
                self._close(found[0][0])
            else:
                self._forget(pair)
        return alike

    def _close(self, pair: Pair) -> None:
        key = self._keys(pair)[0]
        update = Update(
            key=key,
            set={"similarity": pair.similarity, "kind": str(pair.kind)},
            when=(Present("kind"),),  # it has not been removed meanwhile
        )
        try:
            self.table.write(update)
        except ConditionFailed:
            return

    def _forget(self, pair: Pair) -> None:
        for key in self._keys(pair):
            self.table.write(Delete(key=key))

    def _puts(self, pair: Pair) -> list[Write]:
        (pk, sk), (other_pk, other_sk) = self._keys(pair)
        figures = {"similarity": pair.similarity, "kind": str(pair.kind)}
        return [Put(item={"pk": pk, "sk": sk, **figures}), Put(item={"pk": other_pk, "sk": other_sk})]

    def _keys(self, pair: Pair) -> tuple[Key, Key]:
        return (
            (f"DUP#{self.owner}", f"{pair.newer}#{pair.older}"),
            (f"DUPOF#{self.owner}", f"{pair.older}#{pair.newer}"),
        )


def _from_item(item: Item) -> Pair:
    newer, _, older = item["sk"].partition("#")
    return Pair(newer=newer, older=older, similarity=item["similarity"], kind=item["kind"])
