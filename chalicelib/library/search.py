"""Keyword search over a library: ranked, filtered, with snippets, without ever reading the library.

One query reads the index's rows; each term then costs a block of each segment. Scores are BM25's (the terms'
impacts are computed when a document comes, `searchwords.impacts`; their rarity now). The best documents' rows say
whether they are still there and fit the filters; the texts of those that are shown give the snippets.

Documents that have all words come first and alone; only where there is none are those shown that have some.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec
from ulid import ULID

from chalicelib.aws.objects import Objects
from chalicelib.aws.table import Table
from chalicelib.errors import Unavailable, UploadMissing
from chalicelib.ingest.document import Segment as SpokenPassage
from chalicelib.jobs.job import is_id
from chalicelib.knowledge.postings import Postings, Segment
from chalicelib.knowledge.searchwords import Question, fold, phrase_pattern, term
from chalicelib.knowledge.snippets import Snippet, snippet, spoken
from chalicelib.library.documents import Document, Documents
from chalicelib.library.searchindex import Index, SearchIndex

# Of one page: rows that are read at most and at a time, and texts that phrases are looked for in.
_MAX_ROWS: Final = 500
_ROWS: Final = 50
_MAX_TEXTS: Final = 100
# Of a text so many bytes are looked through for a snippet, and for a phrase.
_SNIPPET_BYTES: Final = 256 * 1024
_PHRASE_BYTES: Final = 4 * 1024 * 1024
_THREADS: Final = 8
# A tidying may replace a file while it is being read.
_TRIES: Final = 3

Given = TypeVar("Given")
Taken = TypeVar("Taken")


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
    # How many documents the index has for this; whatever the filters but for time are.
    total: int
    # "all": each has every word that was asked for. "some": no document has all.
    match: str


class Search:
    """Searches the library of one owner."""

    def __init__(self, table: Table, objects: Objects, owner: str) -> None:
        self.index = SearchIndex(table, objects, owner)
        self.documents = Documents(table, owner)
        self.objects = objects

    def find(self, question: Question, wanted: Filter, *, limit: int, after: Rank | None = None) -> Found:
        """Return up to `limit` documents after the rank `after`; fewer with a position: go on from there.

        Raise Unavailable.
        """
        for _ in range(_TRIES):
            try:
                index = self.index.read()
                scores, match = _scores(self._sources(index), question)
                break
            except UploadMissing:
                continue
        else:
            raise Unavailable("The search index is being rewritten; try again.")
        ranks = [
            Rank(score, doc_id)
            for doc_id, score in scores.items()
            if doc_id not in index.deleted and wanted.admits_id(doc_id)
        ]
        hits, last = self._page(ranks, question, wanted, limit, after)
        return Found(hits=hits, last=last, total=len(ranks), match=match)

    def _sources(self, index: Index) -> list[Source]:
        return [
            *(_SegmentSource(self.index.open(segment)) for segment in index.segments),
            _FreshSource(index.fresh),
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
        has = _at_once(lambda entry: self._has_phrases(entry[1], question), fitting)
        return [entry for entry, there in zip(fitting, has, strict=True) if there]

    def _has_phrases(self, document: Document, question: Question) -> bool:
        text = self._text(document, _PHRASE_BYTES) or ""
        folded = fold("\n".join((document.title, document.filename, text)))
        return all(phrase_pattern(phrase).search(folded) for phrase in question.phrases)

    def _hits(self, kept: list[tuple[Rank, Document]], question: Question) -> list[Hit]:
        return _at_once(lambda entry: self._hit(*entry, question), kept)

    def _hit(self, rank: Rank, document: Document, question: Question) -> Hit:
        text = self._text(document, _SNIPPET_BYTES)
        return Hit(
            document=document,
            score=round(rank.score, 3),
            snippet=None if text is None else snippet(text, question),
            passages=self._passages(document, question),
        )

    def _text(self, document: Document, length: int) -> str | None:
        """Return the beginning of a document's text; None where it was deleted this moment."""
        try:
            return self.objects.get(document.text_key, first=length).decode(errors="ignore")
        except UploadMissing:
            return None

    def _passages(self, document: Document, question: Question) -> list[SpokenPassage]:
        if not document.segments_key:
            return []
        try:
            data = self.objects.get(document.segments_key)
        except UploadMissing:
            return []
        return spoken(msgspec.json.decode(data, type=list[SpokenPassage]), question)


# --- Scores --------------------------------------------------------------------------------------------------


class Source(Protocol):
    """A part of the index: where terms occur, in numbers of its own."""

    # Number of documents.
    size: int

    def find(self, term: str) -> Iterable[Postings]:
        """Return where a term occurs."""

    def begins(self, prefix: str) -> Iterable[Postings]:
        """Return where terms that begin so occur."""

    def ids(self, numbers: Iterable[int]) -> dict[int, str]:
        """Return the ids of documents by number."""


class _SegmentSource:
    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.size = segment.directory.documents

    def find(self, term: str) -> Iterable[Postings]:
        found = self.segment.find(term)
        return [found] if found else []

    def begins(self, prefix: str) -> Iterable[Postings]:
        return [postings for _, postings in self.segment.begins(prefix)]

    def ids(self, numbers: Iterable[int]) -> dict[int, str]:
        return self.segment.ids(numbers)


class _FreshSource:
    def __init__(self, fresh: dict[str, dict[str, int]]) -> None:
        self.names = list(fresh)
        self.terms = list(fresh.values())
        self.size = len(self.names)

    def find(self, term: str) -> Iterable[Postings]:
        there = [(number, impacts[term]) for number, impacts in enumerate(self.terms) if term in impacts]
        return [_postings(there)] if there else []

    def begins(self, prefix: str) -> Iterable[Postings]:
        there = [
            (number, max(fitting))
            for number, impacts in enumerate(self.terms)
            if (fitting := [impact for name, impact in impacts.items() if name.startswith(prefix)])
        ]
        return [_postings(there)] if there else []

    def ids(self, numbers: Iterable[int]) -> dict[int, str]:
        return {number: self.names[number] for number in numbers}


def _postings(there: Sequence[tuple[int, int]]) -> Postings:
    return Postings([number for number, _ in there], bytes(impact for _, impact in there))


def _scores(sources: Sequence[Source], question: Question) -> tuple[dict[str, float], str]:
    """Return the scores of the documents that have all words; where none has, of those that have some."""
    wanted: list[tuple[str, bool]] = [
        *((term, False) for term in question.terms),
        *((prefix, True) for prefix in question.prefixes),
    ]
    # By source, by word: impact of each document.
    found = _at_once(lambda source: [_impacts(source, *word) for word in wanted], sources)
    size = sum(source.size for source in sources)
    rarity = [_idf(size, sum(len(impacts[place]) for impacts in found)) for place in range(len(wanted))]
    everything = [set.intersection(*map(set, impacts)) if impacts else set() for impacts in found]
    match = "all" if any(everything) else "some"
    scores: dict[str, float] = {}
    # Phrases need all of their words; a document with some of them can't have one.
    chosen = (
        everything if match == "all" or question.phrases else [set().union(*impacts) for impacts in found]
    )
    for source, impacts, numbers in zip(sources, found, chosen, strict=True):
        sums: dict[int, float] = defaultdict(float)
        for weight, of_word in zip(rarity, impacts, strict=True):
            for number in numbers & of_word.keys():
                sums[number] += weight * of_word[number]
        names = source.ids(sums)
        scores |= {names[number]: score for number, score in sums.items()}
    return scores, match


def _impacts(source: Source, text: str, prefix: bool) -> dict[int, int]:
    """Return the impact of a word on each document; of the words that one beginning stands for, the largest."""
    best: dict[int, int] = {}
    # The term of a whole word may be shorter than the word: `kettle*` means kettles, too, whose term is kettl.
    for postings in [*source.begins(text), *source.find(term(text))] if prefix else source.find(text):
        if not best:
            best = dict(zip(postings.numbers, postings.impacts, strict=True))
            continue
        for number, impact in zip(postings.numbers, postings.impacts, strict=True):
            best[number] = max(impact, best.get(number, 0))
    return best


def _idf(documents: int, having: int) -> float:
    """Return a word's weight for an impact of 1: BM25's IDF over 255."""
    return math.log(1 + (documents - having + 0.5) / (having + 0.5)) / 255


def _at_once(do: Callable[[Given], Taken], given: Sequence[Given]) -> list[Taken]:
    """Do the same for several at once: most of it is waiting for the bucket."""
    if len(given) < 2:
        return [do(one) for one in given]
    with ThreadPoolExecutor(max_workers=min(_THREADS, len(given))) as pool:
        return list(pool.map(do, given))


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
