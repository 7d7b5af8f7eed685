"""Pairs of documents that are alike, as they are kept: found when the newer one came, removed with either.

Two items a pair, one each way round, so that all pairs of a document are found whichever it is. The one in `DUP#`
has the figures; the one in `DUPOF#` is a key and nothing else.

Of two that arrive at once, one is published while it is not known whether the other will ever be. Such a pair is
*open*: two keys in `DUPOPEN#`, until the next tidying, or until somebody looks, whatever comes first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from chalicelib.aws.expressions import Act, Check, Delete, Item, Key, Present, Put, Write
from chalicelib.aws.table import Table, TransactionFailed, query_all
from chalicelib.errors import Unavailable
from chalicelib.jobs.job import is_id
from chalicelib.knowledge.minhash import PACKED_BYTES, Likeness, Signature, likeness
from chalicelib.library.bands import Bands
from chalicelib.library.documents import Document, Documents, document_key

# A document keeps pairs with so many others, those most like it.
MAX_PAIRS: Final = 10
# Pairs less alike than this are not kept.
KEPT: Final = 0.5
_PAGE: Final = 1000
# Conflicts with other transactions on the same documents.
_TRIES: Final = 5


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two documents that are alike."""

    newer: str
    older: str
    # Jaccard similarity, or the share of the shorter text that the longer one contains; 0 to 1.
    similarity: float
    # A `minhash.Kind`.
    kind: str


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of open pairs."""

    # Those that are alike; they are kept by now.
    alike: list[Pair]
    # Some are open still.
    left: bool


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
        self.documents = Documents(table, owner)
        self.bands = Bands(table, owner)

    def writes(self, pairs: Sequence[Pair], *, new: str) -> list[Act]:
        """Build the writes that keep pairs, for the transaction that publishes the document `new` of each.

        The other document must be there at that moment.
        """
        others = [pair.older if pair.newer == new else pair.newer for pair in pairs]
        checks = [Check(key=document_key(self.owner, other), when=(Present("pk"),)) for other in others]
        return [*checks, *(write for pair in pairs for write in self._puts(pair))]

    def add(self, pair: Pair) -> bool:
        """Keep a pair of two published documents; False where one of them is gone."""
        checks = [
            Check(key=document_key(self.owner, doc_id), when=(Present("pk"),))
            for doc_id in (pair.newer, pair.older)
        ]
        for attempt in range(_TRIES):
            try:
                self.table.transact([*checks, *self._puts(pair)])
            except TransactionFailed as refusal:
                if refusal.failed:
                    return False
                time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 (spreads load, guards nothing)
            else:
                return True
        raise Unavailable("The database was busy with the same documents.")

    def all(self) -> Iterator[Pair]:
        """Yield every pair, those of the oldest documents first."""
        for item in query_all(self.table, ("pk", f"DUP#{self.owner}"), limit=_PAGE):
            yield _from_item(item)

    def others(self, doc_id: str) -> list[str]:
        """Return the ids of the documents that make a pair with this one, open pairs aside."""
        return sorted({*self._beside(doc_id, "DUP"), *self._beside(doc_id, "DUPOF")})

    def remove(self, doc_id: str, *, most: int = 0) -> bool:
        """Remove all pairs of a document, open ones too; False, and none, where there are more than `most` (0: any).

        Of the two items of a pair, the one by which it is found goes last: what is cut short is finished later.
        """
        below, above = self._beside(doc_id, "DUP"), self._beside(doc_id, "DUPOF")
        if most and len(below) + len(above) > most:
            return False
        for older in below:
            self._delete(reversed(self._keys(older, doc_id)))
        for newer in above:
            self._delete(self._keys(doc_id, newer))
        for other in self._beside(doc_id, "DUPOPEN"):
            self._delete(self._open_keys(other, doc_id))
        return True

    def _beside(self, doc_id: str, kind: str) -> list[str]:
        mine = ("sk", "begins_with", f"{doc_id}#")
        items = query_all(self.table, ("pk", f"{kind}#{self.owner}"), sort=mine, limit=_PAGE)
        return [_ids(item)[1] for item in items]

    # --- Open pairs ----------------------------------------------------------------------------------------

    def opening(self, doc_id: str, others: Sequence[str]) -> list[Act]:
        """Build the writes that remember whom a document met that was not published yet; part of its publication."""
        return [
            Put(item={"pk": pk, "sk": sk}) for other in others for pk, sk in self._open_keys(doc_id, other)
        ]

    def settle(self, *, most: int, looked_at: int = 0) -> Settled:
        """Compare the documents of open pairs; keep those that are alike. Raise Unavailable.

        At most `most` pairs are settled; at most `looked_at` (`most` by default) are looked at, for some may have to
        wait. A document that is in no band of the other one any more was deleted, or will never be published.
        """
        looked_at = looked_at or most
        read = min(_PAGE, 2 * looked_at)
        every = query_all(self.table, ("pk", f"DUPOPEN#{self.owner}"), limit=read)
        items = list(islice(every, 2 * looked_at))
        # Each pair is there twice: whichever comes first stands for it.
        pairs = dict.fromkeys((max(ids), min(ids)) for ids in map(_ids, items))
        chosen = list(islice(pairs, looked_at))
        ids = sorted(filter(is_id, {doc_id for pair in chosen for doc_id in pair}))
        there = self.documents.find_many(ids) if ids else {}
        alike: list[Pair] = []
        settled = 0
        for newer, older in chosen:
            if settled == most:
                break
            found = [there.get(doc_id) or self.documents.find(doc_id) for doc_id in (newer, older)]
            pair = self._compared(*found)
            if (pair is None and self._may_come(newer, older, found)) or (pair and not self.add(pair)):
                continue
            alike += [pair] if pair else []
            settled += 1
            self._delete(self._open_keys(older, newer))
        return Settled(alike=alike, left=settled < len(pairs) or len(items) == 2 * looked_at)

    def _compared(self, newer: Document | None, older: Document | None) -> Pair | None:
        signature = signature_of(newer) if newer and older else None
        found = compared(newer.doc_id, signature, [older]) if newer and older and signature else []
        return found[0][0] if found else None

    def _may_come(self, newer: str, older: str, found: Sequence[Document | None]) -> bool:
        """Tell whether one of the two, which is not there, is on its way still."""
        (one,) = [document for document in found if document] if found.count(None) == 1 else [None]
        signature = signature_of(one) if one else None
        if one is None or signature is None:
            return False
        return self.bands.holds(older if one.doc_id == newer else newer, signature)

    # --- Keys ----------------------------------------------------------------------------------------------

    def _delete(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.table.write(Delete(key=key))

    def _puts(self, pair: Pair) -> list[Write]:
        (pk, sk), (other_pk, other_sk) = self._keys(pair.older, pair.newer)
        figures = {"similarity": pair.similarity, "kind": str(pair.kind)}
        return [Put(item={"pk": pk, "sk": sk, **figures}), Put(item={"pk": other_pk, "sk": other_sk})]

    def _keys(self, older: str, newer: str) -> tuple[Key, Key]:
        return ((f"DUP#{self.owner}", f"{newer}#{older}"), (f"DUPOF#{self.owner}", f"{older}#{newer}"))

    def _open_keys(self, a: str, b: str) -> tuple[Key, Key]:
        return ((f"DUPOPEN#{self.owner}", f"{a}#{b}"), (f"DUPOPEN#{self.owner}", f"{b}#{a}"))


def _from_item(item: Item) -> Pair:
    newer, older = _ids(item)
    return Pair(newer=newer, older=older, similarity=item["similarity"], kind=item["kind"])


def _ids(item: Item) -> tuple[str, str]:
    first, _, second = item["sk"].partition("#")
    return first, second
