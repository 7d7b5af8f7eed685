"""The term vector of a document: what clusters are made of.

TF-IDF against a background that is fixed and shipped, so that one document's vector never depends on the
others: no vocabulary to keep in step, and vectors of different days can be compared.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from typing import Final

from chalicelib.knowledge import background
from chalicelib.knowledge.tokens import BREAK, MAX_TOKEN, clean, is_unspaced, sample, stem, subwords, tokens

# A word that the background lacks may be a telling name or a typing error: it weighs like a rather rare word.
UNKNOWN_WEIGHT: Final = 8.0

_JOINTS: Final = re.compile(r"[-.&+]")
_IDENTIFIER: Final = re.compile(r"\b[^\W\d_]{1,80}_\w+|\b[a-z]+[A-Z]\w*\b|\b[A-Z][a-z]+(?:[A-Z][a-z0-9]+)+\b")


def term_vector(text: str, *, limit: int = 300) -> dict[str, float]:
    """Return the TF-IDF weights of the `limit` heaviest terms of `text`, of Euclidean length 1.

    Term frequency is sublinear (1 + ln tf), IDF is the background's. Terms are stems, subwords of identifiers,
    and character pairs where a script has no spaces. Of a long text only `tokens.sample` is read; whether it
    was cut, `tokens.sample(text).sampled` tells. A text without terms gives an empty vector.
    """
    counts = term_counts(clean(sample(text).text))
    weighted = {term: (1 + math.log(count)) * _weight(term) for term, count in counts.items()}
    heaviest = heapq.nlargest(limit, weighted.items(), key=lambda item: (item[1], item[0]))
    return unit(dict(heaviest))


def unit(vector: dict[str, float]) -> dict[str, float]:
    """Return `vector` scaled to Euclidean length 1; an empty or zero one as it is."""
    length = math.sqrt(sum(weight * weight for weight in vector.values()))
    return {term: weight / length for term, weight in vector.items()} if length else vector


def term_counts(text: str) -> Counter[str]:
    """Count the terms of cleaned text, without function words of its language."""
    words = [part for word in tokens(text) if word != BREAK for part in _JOINTS.split(word.lower())]
    stops = background.stops_for(words)
    counts: Counter[str] = Counter()
    for word, count in Counter(words).items():
        if word and is_unspaced(word):
            for pair in _pairs(word):
                counts[pair] += count
        elif len(word) > 1 and word not in stops:
            counts[stem(word)] += count
    for identifier, count in Counter(_IDENTIFIER.findall(text)).items():
        for part in map(str.lower, subwords(identifier) if len(identifier) <= 2 * MAX_TOKEN else ()):
            if len(part) > 2 and part not in stops:
                counts[stem(part)] += count
    return counts


def _pairs(run: str) -> list[str]:
    """Return the overlapping character pairs of a run; a single character stands for itself."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _weight(term: str) -> float:
    return background.weights().get(term, UNKNOWN_WEIGHT)
