"""One document instead of several that say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chalicelib.aws.expressions import Present, Update
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import Table
from chalicelib.errors import InvalidRequest, NotFound
from chalicelib.library.documents import Document, Documents, document_key
from chalicelib.library.removal import Removal

# A document remembers the names of so many others, each by so many characters: its row has to fit 400 KB, and pages
# of a hundred rows are read at once.
MAX_MERGED: Final = 200
_MAX_NAME: Final = 100


class Merging:
    """Merges documents of one owner."""

    def __init__(self, table: Table, objects: Objects, owner: str) -> None:
        self.owner = owner
        self.documents = Documents(table, owner)
        self.removal = Removal(table, objects, owner)

    def merge(self, keep: str, remove: Sequence[str]) -> Document:
        """Delete documents; the one that is kept remembers their titles and file names. Return it.

        Each is deleted and remembered in one transaction. Those that were merged into it before are passed over, so
        the same request may be repeated. Raise NotFound before anything is done where one of the others is not
        there, InvalidRequest for a document with itself and for more than one can remember.
        """
        if keep in remove:
            raise InvalidRequest("A document can't be merged with itself.", field="remove")
        kept = self.documents.require(keep)
        before = {entry["doc_id"] for entry in kept.merged}
        wanted = [doc_id for doc_id in dict.fromkeys(remove) if doc_id not in before]
        # One by one: what was published this moment must be seen.
        for doc_id in wanted:
            self.documents.require(doc_id)
        for doc_id in wanted:
            try:
                self.removal.remove(doc_id, into=lambda gone: self._remembering(keep, gone))
            except NotFound:
                continue  # somebody else was quicker, or the one to keep is gone
        return self.documents.require(keep)

    def _remembering(self, keep: str, gone: Document) -> Update:
        """Build the write that adds a document, and what was merged into it, to the names that another remembers."""
        kept = self.documents.require(keep)
        known = {entry["doc_id"] for entry in kept.merged}
        named = {
            "doc_id": gone.doc_id,
            "title": gone.title[:_MAX_NAME],
            "filename": gone.filename[:_MAX_NAME],
        }
        new = [entry for entry in (named, *gone.merged) if entry["doc_id"] not in known]
        if len(known) + len(new) > MAX_MERGED:
            raise InvalidRequest(
                f"{MAX_MERGED} documents at most can be merged into one, and this one has taken in {len(known)}.",
                field="remove",
                limit=MAX_MERGED,
            )
        return Update(key=document_key(self.owner, keep), append={"merged": new}, when=(Present("pk"),))
