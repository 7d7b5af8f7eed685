"""Keyword search over a library: ranked, filtered, with snippets, without ever reading the library.

One query reads the index's rows; each term then costs a block of each segment. Scores are BM25's (the terms'
impacts are computed when a document comes, `searchwords.impacts`; their rarity now). The best documents' rows say
whether they are still there and fit the filters; the texts of those that are shown give the snippets.

Documents that have all words come first and alone; only where there is none are those shown that have some.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
from ulid import ULID

from chalicelib.aws.objects import Objects
from chalicelib.aws.table import Table
from chalicelib.errors import Unavailable, UploadMissing
from chalicelib.ingest.document import Segment as SpokenPassage
from chalicelib.jobs.job import is_id
from chalicelib.knowledge.searchwords import Question, fold, phrase_pattern
from chalicelib.knowledge.snippets import Snippet, snippet, spoken
from chalicelib.library.documents import Document, Documents
from chalicelib.library.scoring import FreshSource, SegmentSource, Source, at_once, best_of, scores_of
from chalicelib.library.searchindex import Index, SearchIndex

# Of one page: rows that are read at most and at a time, and texts that phrases are looked for in.
_MAX_ROWS: Final = 500
_ROWS: Final = 50
_MAX_TEXTS: Final = 100
# Of a text so many bytes are looked through for a snippet, and for a phrase.
_SNIPPET_BYTES: Final = 256 * 1024
_PHRASE_BYTES: Final = 4 * 1024 * 1024
# A tidying may replace a file while it is being read.
_TRIES: Final = 3


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which documents are meant; what is empty does not matter. All of it must hold."""

    cluster_id: str = ""
    # `Document.source_type` and `Document.skill_level`.
    source_type: str = ""
    skill_level: str = ""
    # Made from … to …, both included, in milliseconds since the epoch.
    since: int | None = None
    until: int | None = None

    def admits_id(self, doc_id: str) -> bool:
        """Tell whether a document's id is of the time that is meant."""
        made = int.from_bytes(ULID.from_str(doc_id.upper()).bytes[:6]) if self.timed else 0
        return (self.since is None or made >= self.since) and (self.until is None or made <= self.until)

    @property
    def timed(self) -> bool:
        """Whether the time matters."""
        return self.since is not None or self.until is not None

    @property
    def read_on_rows(self) -> bool:
        """Whether anything is asked for that only a document's row tells."""
        return bool(self.cluster_id or self.source_type or self.skill_level)

    def admits(self, document: Document) -> bool:
        """Tell whether a document is one that is meant, its time aside."""
        pairs = (
            (self.cluster_id, document.cluster_id),
            (self.source_type, document.source_type),
            (self.skill_level, document.skill_level),
        )
        return all(not wanted or wanted == there for wanted, there in pairs)


class Rank(NamedTuple):
    """Where a document stands: the higher, the better."""

    score: float
    doc_id: str


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One document that was found."""

    document: Document
    score: float
    # None where its text is not at hand.
    snippet: Snippet | None
    # Of a recording: what was said with words that were asked for, and when.
    passages: list[SpokenPassage]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One page of what was found, the best first."""

    hits: list[Hit]
    # Where to go on, or None at the end.
    last: Rank | None
    # How many documents there are, the filters applied.
    total: int
    # False: that many at most. Only their rows and texts tell which of them are meant, and not all were read.
    exact: bool
    # "all": each has every word that was asked for. "some": no document has all.
    match: str


class Search:
    """Searches the library of one owner."""

    def __init__(self, table: Table, objects: Objects, owner: str) -> None:
        self.index = SearchIndex(table, objects, owner)
        self.documents = Documents(table, owner)
        self.objects = objects
        # Texts that are rows, by their keys: small ones, and never more than a page looks at.
        self._texts: dict[str, bytes] = {}

    def find(self, question: Question, wanted: Filter, *, limit: int, after: Rank | None = None) -> Found:
        """Return up to `limit` documents after the rank `after`; fewer with a position: go on from there.

        Raise Unavailable.
        """
        for _ in range(_TRIES):
            try:
                ranks, total, match = self._ranked(question, wanted, after)
                break
            except UploadMissing:
                continue
        else:
            raise Unavailable("The search index is being rewritten; try again.")
        hits, last = self._page(ranks, question, wanted, limit, after)
        if last is None and after is None:
            return Found(hits=hits, last=last, total=len(hits), exact=True, match=match)
        exact = not question.phrases and not wanted.read_on_rows
        return Found(hits=hits, last=last, total=total, exact=exact, match=match)

    def _ranked(self, question: Question, wanted: Filter, after: Rank | None) -> tuple[list[Rank], int, str]:
        """Return the documents that may be on the page, how many there are in all, and whether they have all words.

        Ids are read of those only, unless it is ids that tell who is meant. Raise UploadMissing.
        """
        index = self.index.read()
        sources = self._sources(index)
        scores, match = scores_of(sources, question)
        whole = wanted.timed or bool(index.deleted)
        everybody = sum(map(len, scores))
        number = everybody if whole else _MAX_ROWS + 1
        below = after.score if after and not whole else None
        ranks = [
            Rank(score, doc_id)
            for source, of_source in zip(sources, scores, strict=True)
            for doc_id, score in best_of(source, of_source, number=number, below=below).items()
            if doc_id not in index.deleted and wanted.admits_id(doc_id)
        ]
        return ranks, len(ranks) if whole else everybody, match

    def _sources(self, index: Index) -> list[Source]:
        return [
            *(SegmentSource(self.index.open(segment)) for segment in index.segments),
            FreshSource(index.fresh),
        ]

    def _page(
        self, ranks: list[Rank], question: Question, wanted: Filter, limit: int, after: Rank | None
    ) -> tuple[list[Hit], Rank | None]:
        below = [rank for rank in ranks if after is None or rank < after]
        best = heapq.nlargest(_MAX_ROWS + 1, below)
        kept: list[tuple[Rank, Document]] = []
        read = texts = 0
        while read < min(len(best), _MAX_ROWS) and len(kept) < limit and texts < _MAX_TEXTS:
            batch = best[read : min(_MAX_ROWS, read + (limit if not read else _ROWS))]
            fitting = self._fitting(batch, wanted)
            texts += len(fitting) if question.phrases else 0
            kept += self._with_phrases(fitting, question)
            read += len(batch)
        kept, rest = kept[:limit], kept[limit:]
        last = kept[-1][0] if rest else best[read - 1] if read < len(best) else None
        return self._hits(kept, question), last

    def _fitting(self, ranks: Sequence[Rank], wanted: Filter) -> list[tuple[Rank, Document]]:
        """Return the documents that are still there and are meant."""
        rows = self.documents.find_many(rank.doc_id for rank in ranks)
        there = [(rank, rows[rank.doc_id]) for rank in ranks if rank.doc_id in rows]
        return [(rank, document) for rank, document in there if wanted.admits(document)]

    def _with_phrases(
        self, fitting: list[tuple[Rank, Document]], question: Question
    ) -> list[tuple[Rank, Document]]:
        if not question.phrases:
            return fitting
        self._read_rows(document for _, document in fitting)
        has = at_once(lambda entry: self._has_phrases(entry[1], question), fitting)
        return [entry for entry, there in zip(fitting, has, strict=True) if there]

    def _has_phrases(self, document: Document, question: Question) -> bool:
        text = self._text(document, _PHRASE_BYTES) or ""
        folded = fold("\n".join((document.title, document.filename, text)))
        return all(phrase_pattern(phrase).search(folded) for phrase in question.phrases)

    def _hits(self, kept: list[tuple[Rank, Document]], question: Question) -> list[Hit]:
        self._read_rows(document for _, document in kept)
        return at_once(lambda entry: self._hit(*entry, question), kept)

    def _hit(self, rank: Rank, document: Document, question: Question) -> Hit:
        text = self._text(document, _SNIPPET_BYTES)
        return Hit(
            document=document,
            score=round(rank.score, 3),
            snippet=None if text is None else snippet(text, question, markup=document.source_type != "code"),
            passages=self._passages(document, question),
        )

    def _text(self, document: Document, length: int) -> str | None:
        """Return the beginning of a document's text; None where it was deleted this moment."""
        body = self._texts.get(document.text_key)
        if body is None:
            try:
                body = self.objects.get(document.text_key, first=length)
            except UploadMissing:
                return None
        return body[:length].decode(errors="ignore")

    def _read_rows(self, documents: Iterable[Document]) -> None:
        """Read the texts that are rows, a hundred in a request."""
        keys = [document.text_key for document in documents if document.text_key not in self._texts]
        self._texts |= self.objects.get_rows(keys)

    def _passages(self, document: Document, question: Question) -> list[SpokenPassage]:
        if not document.segments_key:
            return []
        try:
            data = self.objects.get(document.segments_key)
        except UploadMissing:
            return []
        return spoken(msgspec.json.decode(data, type=list[SpokenPassage]), question)


def as_position(rank: Rank) -> str:
    """Return a rank as the text of a cursor."""
    return f"{rank.score!r} {rank.doc_id}"


def from_position(text: str) -> Rank | None:
    """Read what `as_position` gave; None for anything else."""
    score, _, doc_id = text.partition(" ")
    try:
        rank = Rank(float(score), doc_id)
    except ValueError:
        return None
    return rank if math.isfinite(rank.score) and is_id(doc_id) else None
