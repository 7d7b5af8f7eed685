"""One document instead of several that say the same."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.aws.expressions import Present, Update
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import ConditionFailed, Table
from chalicelib.errors import InvalidRequest, NotFound
from chalicelib.jobs.job import is_id
from chalicelib.library.documents import Document, Documents, document_key
from chalicelib.library.removal import Removal


class Merging:
    """Merges documents of one owner."""

    def __init__(self, table: Table, objects: Objects, owner: str) -> None:
        self.table = table
        self.owner = owner
        self.documents = Documents(table, owner)
        self.removal = Removal(table, objects, owner)

    def merge(self, keep: str, remove: Sequence[str]) -> Document:
        """Delete documents; the one that is kept remembers their titles and file names. Return it.

        Those that were merged into it before are passed over, so the same request may be repeated. Raise NotFound
        before anything is done where one of the others is not there, InvalidRequest for a document with itself.
        """
        if keep in remove:
            raise InvalidRequest("A document can't be merged with itself.", field="remove")
        kept = self.documents.require(keep)
        there = self.documents.find_many(filter(is_id, remove))
        before = {entry["doc_id"] for entry in kept.merged}
        for doc_id in remove:
            if doc_id not in there and doc_id not in before:
                raise NotFound("There is no such document.", doc_id=doc_id)
        for doc_id in dict.fromkeys(remove):
            if doc_id not in there:
                continue
            # First the names, then the deletion: a crash in between leaves a document too many, never one too few.
            self._remember(kept, there[doc_id], before)
            try:
                self.removal.remove(doc_id, while_there=keep)
            except NotFound:
                continue  # somebody else was quicker
        return self.documents.require(keep)

    def _remember(self, kept: Document, gone: Document, before: set[str]) -> None:
        """Add a document, and what was merged into it, to the names that `kept` remembers."""
        named = {"doc_id": gone.doc_id, "title": gone.title, "filename": gone.filename}
        new = [entry for entry in (named, *gone.merged) if entry["doc_id"] not in before]
        if not new:
            return
        before.update(entry["doc_id"] for entry in new)
        update = Update(
            key=document_key(self.owner, kept.doc_id), append={"merged": new}, when=(Present("pk"),)
        )
        try:
            self.table.write(update)
        except ConditionFailed:
            raise NotFound("There is no such document.", doc_id=kept.doc_id) from None
