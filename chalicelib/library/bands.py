"""Whom a text may resemble: one item per band of its signature, which holds the ids of the documents that have it.

Most bands of a text nobody else has: those are made in one request. A band that is there is entered by one write,
which answers with the others in it. Of two documents at once, the later write sees the earlier one. What is
registered may belong to a document that is not published (yet, or never): readers look whether there is a row.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from chalicelib.aws.expressions import Absent, Delete, Equals, Fewer, Item, Key, Update
from chalicelib.aws.table import ConditionFailed, Table
from chalicelib.knowledge.minhash import Signature

# A band takes no more documents: the 65th letter from one template finds 64 others, and that is enough.
MAX_MEMBERS: Final = 64
# Of the documents that share a band, so many are compared: those that share the most bands.
MAX_CANDIDATES: Final = 64


class Bands:
    """The bands of one owner's documents."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner

    def register(self, doc_id: str, signature: Signature) -> list[str]:
        """Put a document into its bands; return the ids of those it may resemble. Twice does no harm.

        One request, and one more for each band that somebody has already. At most `MAX_CANDIDATES` ids, those first
        that share the most bands, of equals the newer first.
        """
        bands = signature.bands()
        shared: Counter[str] = Counter()
        for place in sorted(self.table.put_new([self._new(band, doc_id) for band in bands])):
            shared.update(self._enter(bands[place], doc_id))
        del shared[doc_id]
        return sorted(sorted(shared, reverse=True), key=lambda other: -shared[other])[:MAX_CANDIDATES]

    def withdraw(self, doc_id: str, signature: Signature) -> None:
        """Take a document out of its bands; nothing is left of bands that only it had. Twice does no harm."""
        for band in signature.bands():
            self._leave(band, doc_id)

    def holds(self, doc_id: str, signature: Signature) -> bool:
        """Tell whether a document is in any of these bands by now; up to 16 requests."""
        items = (self.table.get(self._key(band)) for band in signature.bands())
        return any(doc_id in item.get("members", set()) for item in items if item)

    def _new(self, band: str, doc_id: str) -> Item:
        pk, sk = self._key(band)
        return {"pk": pk, "sk": sk, "members": {doc_id}}

    def _enter(self, band: str, doc_id: str) -> set[str]:
        update = Update(
            key=self._key(band), insert={"members": {doc_id}}, when=(Fewer("members", MAX_MEMBERS),)
        )
        try:
            item = self.table.write(update)
        except ConditionFailed as full:
            item = full.item or {}
        members: set[str] = item.get("members", set())
        return members

    def _leave(self, band: str, doc_id: str) -> None:
        """Drop the band if nobody else has it; else the member. Whoever enters meanwhile makes the other one fit."""
        key = self._key(band)
        try:
            self.table.write(Delete(key=key, when=(Equals("members", {doc_id}),)))
        except ConditionFailed as refusal:
            if refusal.item is None:
                return
            members = refusal.item.get("members", set())
            if doc_id in members:
                members = self.table.write(Update(key=key, discard={"members": {doc_id}})).get("members")
            if not members:  # also where a process died before it could drop it
                self._drop_empty(key)

    def _drop_empty(self, key: Key) -> None:
        try:
            self.table.write(Delete(key=key, when=(Absent("members"),)))
        except ConditionFailed:
            return  # somebody has come in

    def _key(self, band: str) -> Key:
        return (f"KB#{self.owner}#B{band[:2]}#{band[3:]}", "BAND")
