"""Topic clusters as documents arrive: the nearest centroid, or a new cluster.

Pure functions on frozen values: whoever stores a centroid writes it under the condition that its `version` is
still the one that was read, and starts again when it is not.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from chalicelib.knowledge import background
from chalicelib.knowledge.tokens import is_unspaced

# Terms and concepts that a centroid keeps: its row is written anew with each document, so it has to be small (under
# 2 KB of prose). More terms also cluster worse: what all texts share is in the tail, and draws everything to the
# largest cluster. Adjusted Rand index at 300, 200, 150 and 100 terms, on 256 modules of Python's library cut to 8,000
# characters: .25 .29 .36 .37; cut to 800: .12 .12 .13 .13; on 40 short texts of 8 topics .83 at each
# (bench/clusters.py).
MAX_TERMS: Final = 150
MAX_CONCEPTS: Final = 48
# Decimal places that a term's weight is kept with. A text's weights are from 0.02 up.
_PLACES: Final = 4
# What is left of a term below this when a document leaves is no member's, but what rounding has added up to.
_LEAST: Final = 0.004
# A concept in less than this share of a cluster does not name it; one in this share names it alone.
MIN_SHARE: Final = 0.03
NAMING_SHARE: Final = 0.5
# By how much of the first one's weight each later concept weighs less when a cluster is named.
LATER: Final = 0.25
# Characters that a name made here, and a concept counted here, has at most.
MAX_NAME: Final = 60
# A document joins at this similarity: the base for a few words, the slope for each of a vector's 300 terms.
BASE_THRESHOLD: Final = 0.035
_VECTOR_TERMS: Final = 300
TERM_THRESHOLD: Final = 0.12 / _VECTOR_TERMS


# Most clusters that a library has: then a document that is like none of them joins the catch-all.
MAX_CLUSTERS: Final = 1000
# The cluster of texts without words, and of those that are like nothing else where there may be no further cluster.
# Nothing joins it for likeness.
CATCH_ALL: Final = "0" * 26
OTHER: Final = "Other"
# What a cluster of documents without concepts is called.
UNTITLED: Final = "Untitled"


class Centroid(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one cluster."""

    cluster_id: str
    # What is shown: the user's name, or the one that `cluster_name` gave.
    name: str
    # True: `name` is the user's and is never replaced.
    named_by_user: bool = False
    # Documents in it.
    size: int
    # Counts changes: the condition of a write.
    version: int
    # Running sum of the members' unit vectors, the MAX_TERMS heaviest terms.
    weights: dict[str, float]
    # Members that have the concept, by its name; the MAX_CONCEPTS most frequent.
    concept_counts: dict[str, int]


def is_catch_all(centroid: Centroid) -> bool:
    """Tell whether this is the cluster of what belongs nowhere."""
    return centroid.cluster_id == CATCH_ALL


def similarity(vector: Mapping[str, float], centroid: Centroid) -> float:
    """Return the mean cosine of a document's unit vector and the cluster's members, 0 to 1.

    The mean over members (average linkage), unlike the cosine with the centroid, means the same for a cluster
    of one and of a hundred.
    """
    if centroid.size < 1:
        return 0.0
    return sum(weight * centroid.weights.get(term, 0.0) for term, weight in vector.items()) / centroid.size


def threshold_for(vector: Mapping[str, float]) -> float:
    """Return the similarity at which a document joins a cluster: 0.035 to 0.155, rising with its terms.

    Short documents on one subject share few words, long ones on any two subjects share some, so no single
    figure serves both. Measured as the mean adjusted Rand index over random orders of arrival, on 40 texts of
    about 40 words on 8 topics (tests/unit/labelled_texts.py) and on 72 pages of manuals and novels from 6
    sources cut to 400, 1,500 and 8,000 characters: .80 .24 .62 .66. The best single figure for each set gives
    .80 .30 .62 .65, but each a different one (.04, .03, .07, .13), and at another's as little as .11.
    """
    return BASE_THRESHOLD + TERM_THRESHOLD * min(len(vector), _VECTOR_TERMS)


def nearest(
    vector: Mapping[str, float], centroids: Iterable[Centroid], *, threshold: float | None = None
) -> Centroid | None:
    """Return the most similar centroid at or above `threshold` (`threshold_for` the vector), or None.

    Of equally similar ones, the larger, then the smaller id: the answer does not depend on their order. It is never
    the catch-all.
    """
    limit = threshold_for(vector) if threshold is None else threshold
    best: Centroid | None = None
    best_rank = (limit, 0, "")
    for centroid in centroids:
        score = similarity(vector, centroid)
        rank = (score, centroid.size, centroid.cluster_id)
        if score < limit or not score or is_catch_all(centroid):
            continue
        if best is None or rank[:2] > best_rank[:2] or (rank[:2] == best_rank[:2] and rank[2] < best_rank[2]):
            best, best_rank = centroid, rank
    return best


class Share(NamedTuple):
    """What a document adds to the sums of its cluster."""

    # Its term vector, of length 1.
    vector: Mapping[str, float]
    # Names of its concepts, the leading one first.
    concepts: Sequence[str]


def founded(
    cluster_id: str, vector: Mapping[str, float], concepts: Sequence[str], *, version: int = 1
) -> Centroid:
    """Return a new cluster of one document. `concepts` are concept names, the leading one first.

    `version` is its first one; of an id that may have been used before, one that was not.
    """
    return gathered(cluster_id, [Share(vector, concepts)], version=version)


def gathered(cluster_id: str, shares: Sequence[Share], *, version: int = 1) -> Centroid:
    """Return a new cluster of some documents."""
    empty = Centroid(
        cluster_id=cluster_id, name="", size=0, version=version - 1, weights={}, concept_counts={}
    )
    made = with_shares(empty, _central_first(shares))
    return msgspec.structs.replace(made, name=own_name(made))


def _central_first(shares: Sequence[Share]) -> list[Share]:
    """Return documents by how like all the others they are; of equals, those with more terms first."""
    sums: Counter[str] = Counter()
    for share in shares:
        sums.update(share.vector)

    def rank(share: Share) -> tuple[float, int]:
        alike = sum(weight * sums[term] for term, weight in share.vector.items())
        return (-round(alike, _PLACES), -len(share.vector))

    return sorted(shares, key=rank)


def joined(centroid: Centroid, vector: Mapping[str, float], concepts: Sequence[str]) -> Centroid:
    """Return the cluster with one more document."""
    return with_shares(centroid, [Share(vector, concepts)])


def with_shares(centroid: Centroid, shares: Sequence[Share]) -> Centroid:
    """Return the cluster with more documents, as one change.

    A name that was made here is made anew whenever the size passes a power of two: often enough to be right, seldom
    enough that a person finds the cluster again.
    """
    weights = dict(centroid.weights)
    counts = dict(centroid.concept_counts)
    for share in shares:
        for term, weight in share.vector.items():
            weights[term] = weights.get(term, 0.0) + weight
        for name in _short(share.concepts):
            counts[name] = counts.get(name, 0) + 1
    size = centroid.size + len(shares)
    changed = msgspec.structs.replace(
        centroid,
        size=size,
        version=centroid.version + 1,
        weights=_heaviest(weights),
        concept_counts=_most_frequent(counts),
    )
    rename = size.bit_length() > centroid.size.bit_length()
    # Named by all that was counted, not by what is kept.
    named = msgspec.structs.replace(changed, concept_counts=counts)
    return msgspec.structs.replace(changed, name=own_name(named)) if rename else changed


def left(centroid: Centroid, vector: Mapping[str, float], concepts: Sequence[str]) -> Centroid:
    """Return the cluster without a document that was in it; of size 0 when it was the last: delete it then."""
    return without_shares(centroid, [Share(vector, concepts)])


def without_shares(centroid: Centroid, shares: Sequence[Share]) -> Centroid:
    """Return the cluster without some documents that were in it, as one change.

    Terms that were cut off as the cluster grew are not brought back. A name that was made here of a concept which
    nobody else has is made anew: nothing of a deleted document stays.
    """
    weights = dict(centroid.weights)
    counts = dict(centroid.concept_counts)
    for share in shares:
        for term, weight in share.vector.items():
            if term in weights:
                weights[term] -= weight
        for name in _short(share.concepts):
            if name in counts:
                counts[name] -= 1
    fewer = msgspec.structs.replace(
        centroid,
        size=max(0, centroid.size - len(shares)),
        version=centroid.version + 1,
        weights={term: round(weight, _PLACES) for term, weight in weights.items() if weight > _LEAST},
        concept_counts={name: count for name, count in counts.items() if count > 0},
    )
    if _is_named_after(centroid.name, fewer.concept_counts):
        return fewer
    return msgspec.structs.replace(fewer, name=own_name(fewer))


def _is_named_after(name: str, concepts: Iterable[str]) -> bool:
    """Tell whether each part of a name that `cluster_name` gave begins one of these concepts."""
    known = [concept.casefold() for concept in concepts]
    return all(any(concept.startswith(part) for concept in known) for part in name.casefold().split(", "))


def own_name(centroid: Centroid, background_shares: Mapping[str, float] | None = None) -> str:
    """Return what a cluster is to be called: the user's name for it, else one made here (see `cluster_name`)."""
    if centroid.named_by_user:
        return centroid.name
    if is_catch_all(centroid):
        return OTHER
    return cluster_name(centroid.concept_counts, centroid.size, background_shares)


def cluster_name(
    concept_counts: Mapping[str, int], size: int, background_shares: Mapping[str, float] | None = None
) -> str:
    """Return a name of one or two concepts, those with the highest frequency × lift; "Untitled" without any.

    `background_shares` gives the share of all the library's documents that have a concept; where it is silent,
    general English decides. Lift is a concept's share in the cluster over that share, on a logarithmic scale.
    Two concepts where no single one is in half of the cluster. Counts come with the leading concepts first, and
    a later one weighs less: without that, a cluster of one document is named after its rarest word. Where no concept
    is in two documents, the first names the cluster: that of the document that is most like all (`gathered`).
    """
    shares = background_shares or {}
    least = max(1.0, MIN_SHARE * size)
    scored = {
        name: count
        / max(size, 1)
        * _log_lift(name, count / max(size, 1), shares.get(name))
        / (1 + LATER * place)
        for place, (name, count) in enumerate(concept_counts.items())
        if count >= least
    }
    if size > 1 and max(concept_counts.values(), default=0) == 1:
        scored = dict(list(scored.items())[:1])
    names = heapq.nlargest(2, scored, key=lambda name: scored[name])
    if not names:
        return UNTITLED
    alone = len(names) == 1 or concept_counts[names[0]] >= NAMING_SHARE * size or scored[names[1]] <= 0
    name = names[0] if alone else f"{names[0]}, {names[1]}"
    return (name[0].upper() + name[1:])[:MAX_NAME]


def _log_lift(name: str, share: float, background_share: float | None) -> float:
    if background_share:
        return math.log1p(share / background_share)
    words = name.lower().split()
    if not words or is_unspaced(words[0]):
        return background.rarest()
    return sum(map(background.idf, words)) / len(words)


def _short(concepts: Iterable[str]) -> list[str]:
    """Return different names, cut to MAX_NAME characters, at most 20."""
    return list(dict.fromkeys(name[:MAX_NAME] for name in concepts if name))[:20]


def _heaviest(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the MAX_TERMS heaviest terms, rounded: what is stored is what is computed with."""
    heaviest = heapq.nlargest(MAX_TERMS, weights.items(), key=lambda item: (item[1], item[0]))
    return {term: round(weight, _PLACES) for term, weight in heaviest}


def _most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the MAX_CONCEPTS most frequent, of equals those that came first."""
    return dict(heapq.nlargest(MAX_CONCEPTS, counts.items(), key=lambda item: item[1]))
