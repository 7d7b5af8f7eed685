"""Whom a document that is about to be published resembles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from chalicelib.aws.expressions import Act
from chalicelib.aws.table import Table
from chalicelib.errors import Cancelled, StaleRun
from chalicelib.knowledge.minhash import LEAST, SURE, Kind
from chalicelib.library.bands import Bands
from chalicelib.library.documents import Document, Documents
from chalicelib.library.pairs import MAX_PAIRS, Pair, Pairs, compared, signature_of
from chalicelib.logs import logger

# Told of at its arrival: what is sure, or worth a look. Less similar pairs are kept, and shown on request.
_TOLD: Final = LEAST


class Near(NamedTuple):
    """What was found at one moment."""

    # For the job's result: `{doc_id, title, similarity, kind}`, the most similar first.
    found: list[dict[str, Any]]
    # What keeps the pairs, for the transaction that publishes the document.
    writes: Sequence[Act]
    # The clusters of those that it surely repeats, the most similar first.
    clusters: Sequence[str] = ()


class Resemblance:
    """The near duplicates of one document, which is not published yet."""

    def __init__(self, table: Table, owner: str, document: Document) -> None:
        self.document = document
        self.documents = Documents(table, owner)
        self.pairs = Pairs(table, owner)
        self.bands = Bands(table, owner)
        self.signature = signature_of(document)
        self.candidates: list[str] = []
        # Some of them were not published when it was looked last.
        self.open = False
        self._registered = False

    def register(self) -> None:
        """Enter the document into its bands; 1 to 17 requests. Its text must be stored by now.

        What a killed run registered is found from that text: `removal.withdraw_unpublished`.
        """
        if self.signature:
            self.candidates = self.bands.register(self.document.doc_id, self.signature)
        self._registered = True

    def look(self) -> Near:
        """Compare it with the candidates that are published by now; one request, none without candidates."""
        if not self.signature or not self.candidates:
            return Near([], ())
        there = self.documents.find_many(self.candidates)
        doc_id = self.document.doc_id
        found = compared(doc_id, self.signature, there.values())
        # They came at the same time and may be published after this one: compared by the next tidying.
        waiting = [other for other in self.candidates if other not in there][:MAX_PAIRS]
        self.open = bool(waiting)
        return Near(
            [_told(pair, other) for pair, other in found if _is_told(pair)],
            [
                *self.pairs.writes([pair for pair, _ in found], new=doc_id),
                *self.pairs.opening(doc_id, waiting),
            ],
            [other.cluster_id for pair, other in found if _is_repeat(pair)],
        )

    @contextmanager
    def until_published(self, gone: Callable[[], None]) -> Iterator[None]:
        """Take the document out of its bands where what is done within ends without publishing it.

        `gone` is called when it surely is neither published nor in any band. Else its text must stay: an error may
        leave open whether it was published, and the bands are found from the text.
        """
        try:
            yield
        except Exception as error:
            if self._withdrawn(refused=isinstance(error, Cancelled | StaleRun)):
                gone()
            raise

    def _withdrawn(self, *, refused: bool) -> bool:
        """Leave the bands; False where that must not be, or could not."""
        doc_id = self.document.doc_id
        try:
            if self._registered and not (refused and self.documents.find(doc_id) is None):
                return False
            if self.signature:
                self.bands.withdraw(doc_id, self.signature)
        except Exception as error:
            logger.warning("bands not left", extra={"doc_id": doc_id, "cause": str(error)})
            return False
        return True


def _is_told(pair: Pair) -> bool:
    return pair.kind != Kind.NEAR_DUPLICATE or pair.similarity >= _TOLD


def _is_repeat(pair: Pair) -> bool:
    """Tell whether two texts are the same for sure; one that contains the other may be about more than that."""
    return pair.kind != Kind.OVERLAP and pair.similarity >= SURE


def _told(pair: Pair, other: Document) -> dict[str, Any]:
    return {
        "doc_id": other.doc_id,
        "title": other.title,
        "similarity": pair.similarity,
        "kind": str(pair.kind),
    }
