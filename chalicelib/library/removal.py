"""Deleting a document: in one transaction it is gone for everybody, then its traces are removed.

The transaction takes the row, its share of cluster and count, its claim of the file's bytes, and leaves a row that
says what is still to be removed (`GONE#`, beside the search index). Whoever comes later can finish from that row:
the same request repeated, or the job `tidy_library`, which alone can take the words out of the search index.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from chalicelib.aws.expressions import Act, Condition, Delete, Equals, Item, Present, Put, Update
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import ConditionFailed, Table, query_all
from chalicelib.errors import NotFound, TransientError, UploadMissing
from chalicelib.jobs.job import is_id
from chalicelib.jobs.store import JobStore
from chalicelib.jobs.transitions import transact_patiently
from chalicelib.knowledge.clusters import left
from chalicelib.knowledge.minhash import MAX_CHARACTERS, PACKED_BYTES, Signature, signature
from chalicelib.knowledge.questions import digest_of
from chalicelib.knowledge.terms import term_vector
from chalicelib.library import upkeep
from chalicelib.library.analytics import forget_snapshot
from chalicelib.library.answers import Answers
from chalicelib.library.bands import Bands
from chalicelib.library.claims import Claims
from chalicelib.library.clusters import Clusters
from chalicelib.library.directory import StoredDirectory
from chalicelib.library.documents import (
    Document,
    Documents,
    concept_names,
    count_removed,
    counts_key,
    document_key,
)
from chalicelib.library.pairs import Pairs
from chalicelib.library.searchindex import fresh_key, gone_key
from chalicelib.logs import logger

# What the texts of runs are called; see `jobs.job.text_key`.
_TEXT_SUFFIX: Final = ".txt"
_ID_CHARACTERS: Final = 26
# Pairs of a document that are removed while somebody waits: of a family of letters some have hundreds.
MAX_AT_ONCE: Final = 40
# As much of a text as its signature is made of, whatever its characters.
_SIGNED_BYTES: Final = 4 * MAX_CHARACTERS


class Removal:
    """Deletes documents of one owner."""

    def __init__(self, table: Table, objects: Objects, owner: str) -> None:
        self.table = table
        self.objects = objects
        self.owner = owner
        self.documents = Documents(table, owner)
        self.clusters = Clusters(table, owner)

    def remove(self, doc_id: str, *, into: Callable[[Document], Act] | None = None) -> None:
        """Delete a document with all its traces; those that can't be removed now are removed by `tidy_library`.

        `into` builds the write that another document remembers it by: both are done, or nothing. Raise NotFound, also
        for one that was deleted before; Unavailable or RetryAfter where nothing was done or that is not known: the
        same request again tells.
        """
        document = self.documents.find(doc_id)
        if document is None:
            self._finish_earlier(doc_id)
            raise NotFound("There is no such document.", doc_id=doc_id)
        # First, and due in a minute: what a crash leaves from here on is removed by it.
        upkeep.request(self.table, self.owner)
        self._publish(document, into)
        try:
            self.finish(doc_id, most=MAX_AT_ONCE)
        except TransientError as error:
            logger.warning("traces left to be removed", extra={"doc_id": doc_id, "cause": error.message})

    def finish(self, doc_id: str, *, most: int = 0) -> None:
        """Remove the traces of a document that is gone. Twice does no harm. Raise Unavailable.

        One with more than `most` pairs (0: any number) is left to `tidy_library`: somebody waits for the answer.
        """
        key = gone_key(self.owner, doc_id)
        gone = self.table.get(key)
        if gone is None:
            return
        if "keys" in gone and not self._remove_traces(doc_id, gone, most):
            return
        if gone["indexed"]:
            # Its words are in a segment: only the job takes them out, and this row with them.
            with suppress(ConditionFailed):
                self.table.write(Update(key=key, remove=("keys", "signature"), when=(Present("indexed"),)))
        else:
            self.table.write(Delete(key=key))

    def finish_all(self) -> int:
        """Remove the traces of all documents that are gone; return how many are."""
        pk, sk = gone_key(self.owner, "")
        rows = list(query_all(self.table, ("pk", pk), sort=("sk", "begins_with", sk), limit=1000))
        for row in rows:
            if "keys" in row or not row["indexed"]:
                self.finish(row["sk"].partition("#")[2])
        return len(rows)

    # --- What is gone at once ------------------------------------------------------------------------------

    def _publish(self, document: Document, into: Callable[[Document], Act] | None) -> None:
        """Take a document out of the library. Raise NotFound where somebody else did."""
        text = self._text(document)
        vector = term_vector(text)
        names = concept_names(document)

        def writes() -> list[Act]:
            # Read afresh: the document may have moved, and the cluster has changed where this is tried again.
            current = self.documents.require(document.doc_id)
            cluster_id = current.cluster_id
            same: list[Condition] = [Equals("cluster_id", cluster_id)]
            if into:
                same.append(Equals("merged", current.merged))
            acts: list[Act] = [
                count_removed(self.owner),
                # Not while it moves: its share must be taken from the cluster that it is in.
                Delete(key=document_key(self.owner, document.doc_id), when=tuple(same)),
                *self._search_writes(
                    document, answers=digest_of(text) if document.method != "offline" else ""
                ),
                *([into(current)] if into else []),
            ]
            if document.sha256:
                claim = Claims(self.table, self.owner, document.job_id).release(
                    document.sha256, document.doc_id
                )
                acts += [claim] if claim else []
            if cluster := self.clusters.find(cluster_id):
                acts.append(self.clusters.shrink(cluster, left(cluster, vector, names)))
            return acts

        transact_patiently(self.table, writes)

    def _search_writes(self, document: Document, *, answers: str) -> list[Act]:
        """Build the writes that take away a document's fresh terms, and those that say what is left.

        `answers`: what a model's kept answers about it are found by, where it was asked.
        """
        pk, sk = gone_key(self.owner, document.doc_id)
        fresh = fresh_key(self.owner, document.doc_id)
        indexed = self.table.get(fresh) is None
        keys = [document.text_key, *([document.segments_key] if document.segments_key else [])]
        gone: Item = {
            "pk": pk,
            "sk": sk,
            "indexed": indexed,
            "keys": [*keys, *self._sources(document)],
            "signature": document.signature,
            "answers": answers,
        }
        return [Put(item=gone), *([] if indexed else [Delete(key=fresh, when=(Present("pk"),))])]

    def _sources(self, document: Document) -> list[str]:
        """Return the file that it was made of, if it was one of its own."""
        job = JobStore(self.table).find(document.job_id)
        source = job.params.get("source") if job else None
        return [str(source)] if source and document.job_id in str(source) else []

    def _text(self, document: Document) -> str:
        try:
            return self.objects.get(document.text_key).decode()
        except UploadMissing:
            return ""

    # --- Traces --------------------------------------------------------------------------------------------

    def _finish_earlier(self, doc_id: str) -> None:
        if is_id(doc_id):
            self.finish(doc_id, most=MAX_AT_ONCE)

    def _remove_traces(self, doc_id: str, gone: Item, most: int) -> bool:
        """Remove what the row names; False where that was not all."""
        if not self.documents.count():
            self.table.write(forget_snapshot(self.owner))
            StoredDirectory(self.table, self.owner).drop()
            with suppress(
                ConditionFailed
            ):  # the last document takes the counter along, and what is named there
                self.table.write(Delete(key=counts_key(self.owner), when=(Equals("documents", 0),)))
        for key in gone["keys"]:
            self.objects.delete(key)
        Answers(self.table, self.owner).forget(gone.get("answers", ""))
        if not Pairs(self.table, self.owner).remove(doc_id, most=most):
            return False
        if len(gone["signature"]) == PACKED_BYTES:
            Bands(self.table, self.owner).withdraw(doc_id, Signature.unpack(gone["signature"]))
        return True


def withdraw_unpublished(table: Table, objects: Objects, owner: str, key: str) -> None:
    """Take what a run left under a key of its own out of the bands, before that object is deleted.

    The text tells its signature, the signature its bands: nothing has to be kept for a run that may be killed.
    """
    stem, dot, suffix = key.rpartition(".")
    doc_id = stem[-_ID_CHARACTERS:]
    if f"{dot}{suffix}" != _TEXT_SUFFIX or not is_id(doc_id):
        return
    try:
        found = signature(objects.get(key, first=_SIGNED_BYTES).decode(errors="ignore"))
    except UploadMissing:
        return
    if found:
        Bands(table, owner).withdraw(doc_id, found)
