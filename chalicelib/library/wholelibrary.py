"""All documents of a library with what each adds to its cluster's sums, in bounded memory.

Of a large library a sample of `SAMPLE` documents is kept. Texts come from the bucket by some threads at a time, and
are gone as soon as their terms are known.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from chalicelib.aws.objects import Objects
from chalicelib.aws.table import Table
from chalicelib.errors import UploadMissing
from chalicelib.knowledge.clusters import Share
from chalicelib.knowledge.packedvectors import PackedVectors
from chalicelib.knowledge.terms import term_vector
from chalicelib.library.documents import Document, Documents, concept_names

# Documents whose likenesses are looked at; the others of a larger library go where these lead.
SAMPLE: Final = 20_000
PAGE: Final = 200
_THREADS: Final = 8


class Sampled:
    """The documents that are kept, by their places."""

    def __init__(self) -> None:
        self.doc_ids: list[str] = []
        # Where each of them is.
        self.cluster_ids: list[str] = []
        self.vectors = PackedVectors()
        self._concepts: list[tuple[str, ...]] = []
        self._names: dict[str, str] = {}
        # How many documents have each concept.
        self.concept_counts: Counter[str] = Counter()
        # Every document of the library is here.
        self.complete = True

    def add(self, document: Document, vector: dict[str, float]) -> None:
        """Keep a document."""
        self.doc_ids.append(document.doc_id)
        self.cluster_ids.append(document.cluster_id)
        self.vectors.append(vector)
        names = tuple(self._names.setdefault(name, name) for name in concept_names(document))
        self._concepts.append(names)
        self.concept_counts.update(set(names))

    def share(self, place: int) -> Share:
        """Return what a document adds to its cluster's sums."""
        return Share(self.vectors[place], self._concepts[place])

    def concept_shares(self) -> dict[str, float]:
        """Return the share of the documents that have a concept, by its name."""
        return {name: count / len(self.doc_ids) for name, count in self.concept_counts.items()}


class WholeLibrary:
    """Reads all documents of one owner."""

    def __init__(self, table: Table, objects: Objects, owner: str) -> None:
        self.objects = objects
        self.documents = Documents(table, owner)

    def pages(self, after: str = "") -> Iterator[list[Document]]:
        """Yield documents, the newest first, those after (older than) the document `after`."""
        last: str | None = after or None
        while True:
            page = self.documents.page(limit=PAGE, after=last)
            yield page.documents
            last = page.last
            if last is None:
                return

    def sample(self, goes_on: Callable[[int], bool]) -> Sampled:
        """Return all documents, or a sample of as many as may be kept.

        `goes_on` is told how many were read, and may end the reading early.
        """
        total = self.documents.count()
        found, read = Sampled(), 0
        for page in self.pages():
            chosen = [document for document in page if _chosen(document.doc_id, total)]
            for document, vector in self.vectors(chosen):
                found.add(document, vector)
            read += len(page)
            found.complete = found.complete and len(chosen) == len(page)
            if not goes_on(read):
                found.complete = False
                return found
        return found

    def vectors(
        self, documents: Sequence[Document], *, lost: bool = False
    ) -> Iterable[tuple[Document, dict[str, float]]]:
        """Yield documents with their term vectors.

        Those whose text is gone are being deleted and left out; with `lost` they have empty ones.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            for start in range(0, len(documents), _THREADS):
                some = documents[start : start + _THREADS]
                for document, text in zip(some, pool.map(self._text, some), strict=True):
                    if text is not None or lost:
                        yield document, term_vector(text or "")

    def _text(self, document: Document) -> str | None:
        try:
            return self.objects.get(document.text_key).decode()
        except UploadMissing:
            return None


def _chosen(doc_id: str, total: int) -> bool:
    """Tell whether a document is in the sample: always the same answer for a library of the same size."""
    return total <= SAMPLE or zlib.crc32(doc_id.encode()) % total < SAMPLE
