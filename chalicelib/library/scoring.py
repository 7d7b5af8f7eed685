"""Scores of a search: which documents have the words, and how much they say of each (BM25).

Terms are looked up in each source of the index by itself, all sources at once.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from chalicelib.knowledge.postings import Postings, Segment
from chalicelib.knowledge.searchwords import Question, term

_THREADS: Final = 8

Given = TypeVar("Given")
Taken = TypeVar("Taken")


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


class SegmentSource:
    """A segment."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.size = segment.directory.documents

    def find(self, term: str) -> Iterable[Postings]:
        """See `Source.find`."""
        found = self.segment.find(term)
        return [found] if found else []

    def begins(self, prefix: str) -> Iterable[Postings]:
        """See `Source.begins`."""
        return [postings for _, postings in self.segment.begins(prefix)]

    def ids(self, numbers: Iterable[int]) -> dict[int, str]:
        """See `Source.ids`."""
        return self.segment.ids(numbers)


class FreshSource:
    """Documents that are in no segment yet, with their terms."""

    def __init__(self, fresh: dict[str, dict[str, int]]) -> None:
        self.names = list(fresh)
        self.terms = list(fresh.values())
        self.size = len(self.names)

    def find(self, term: str) -> Iterable[Postings]:
        """See `Source.find`."""
        there = [(number, impacts[term]) for number, impacts in enumerate(self.terms) if term in impacts]
        return [_postings(there)] if there else []

    def begins(self, prefix: str) -> Iterable[Postings]:
        """See `Source.begins`."""
        there = [
            (number, max(fitting))
            for number, impacts in enumerate(self.terms)
            if (fitting := [impact for name, impact in impacts.items() if name.startswith(prefix)])
        ]
        return [_postings(there)] if there else []

    def ids(self, numbers: Iterable[int]) -> dict[int, str]:
        """See `Source.ids`."""
        return {number: self.names[number] for number in numbers}


def _postings(there: Sequence[tuple[int, int]]) -> Postings:
    return Postings([number for number, _ in there], bytes(impact for _, impact in there))


def scores_of(sources: Sequence[Source], question: Question) -> tuple[list[dict[int, float]], str]:
    """Return by source the scores of the documents that have all words ("all"); else of those that have some."""
    wanted: list[tuple[str, bool]] = [
        *((term, False) for term in question.terms),
        *((prefix, True) for prefix in question.prefixes),
    ]
    # By source, by word: impact of each document.
    found = at_once(lambda source: [_impacts(source, *word) for word in wanted], sources)
    size = sum(source.size for source in sources)
    rarity = [_idf(size, sum(len(impacts[place]) for impacts in found)) for place in range(len(wanted))]
    everything = [_in_all(impacts) for impacts in found]
    match = "all" if any(everything) else "some"
    # Phrases need all of their words; a document with some of them can't have one.
    if match == "some" and not question.phrases:
        return [_sums(rarity, impacts) for impacts in found], match
    return [
        _whole_sums(numbers, rarity, impacts) for impacts, numbers in zip(found, everything, strict=True)
    ], match


def best_of(
    source: Source, scores: dict[int, float], *, number: int, below: float | None = None
) -> dict[str, float]:
    """Return the `number` best documents of a source by their ids, and all that equal the last of them.

    `below`: of those that score less; and, whatever their number, those that score just that.
    """
    equal = {}
    if below is not None:
        equal = {place: score for place, score in scores.items() if score == below}
        scores = {place: score for place, score in scores.items() if score < below}
    if len(scores) > number:
        least = heapq.nlargest(number, scores.values())[-1]
        scores = {place: score for place, score in scores.items() if score >= least}
    chosen = equal | scores
    names = source.ids(chosen)
    return {names[place]: score for place, score in chosen.items()}


def _in_all(impacts: Sequence[dict[int, int]]) -> Collection[int]:
    """Return the documents that have all words."""
    if not impacts:
        return ()
    rarest, *others = sorted(impacts, key=len)
    if not others:
        return rarest
    return [number for number in rarest if all(number in other for other in others)]


def _sums(rarity: Sequence[float], impacts: Sequence[dict[int, int]]) -> dict[int, float]:
    """Return the scores of the documents that have any word."""
    sums: defaultdict[int, float] = defaultdict(float)
    for weight, of_word in zip(rarity, impacts, strict=True):
        for number, impact in of_word.items():
            sums[number] += weight * impact
    return sums


def _whole_sums(
    numbers: Collection[int], rarity: Sequence[float], impacts: Sequence[dict[int, int]]
) -> dict[int, float]:
    """Return the scores of documents that have all words."""
    totals = [0.0] * len(numbers)
    for weight, of_word in zip(rarity, impacts, strict=True):
        totals = [total + weight * of_word[number] for total, number in zip(totals, numbers, strict=True)]
    return dict(zip(numbers, totals, strict=True))


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


def at_once(do: Callable[[Given], Taken], given: Sequence[Given]) -> list[Taken]:
    """Do the same for several at once: most of it is waiting for the bucket."""
    if len(given) < 2:
        return [do(one) for one in given]
    with ThreadPoolExecutor(max_workers=min(_THREADS, len(given))) as pool:
        return list(pool.map(do, given))
