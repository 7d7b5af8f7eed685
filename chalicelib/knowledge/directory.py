"""A directory of clusters: which few a document may belong to, without looking at the others.

It holds the heaviest terms of each centroid as they were when it was made. Sums change afterwards, and clusters come
and go: so it names candidates, and the centroids themselves decide.
"""

from __future__ import annotations

import heapq
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from chalicelib.knowledge.clusters import Centroid, is_catch_all

# Terms of each centroid that are kept, and candidates for one document. The nearest cluster was among six candidates
# for all of 128 documents at 51 and 59 clusters of real modules, and of 150 at 300 generated ones, with 30 terms or
# more; with 20 for 95 to 100 %. Ten more are for sums that have changed since.
TERMS: Final = 40
SHORTLIST: Final = 6
# Mean weights are kept as whole numbers of this.
_UNIT: Final = 10_000


class Directory(msgspec.Struct, frozen=True, array_like=True):
    """Terms and the clusters that have them."""

    cluster_ids: list[str]
    # For each term the positions of its clusters, and its mean weight in each.
    terms: dict[str, tuple[list[int], list[int]]]

    def shortlist(self, vector: Mapping[str, float], number: int = SHORTLIST) -> list[str]:
        """Return the clusters most similar to a document's vector, the best first."""
        scores: defaultdict[int, float] = defaultdict(float)
        for term, weight in vector.items():
            for place, mean in zip(*self.terms.get(term, _NOTHING), strict=True):
                scores[place] += weight * mean
        best = heapq.nlargest(number, scores.items(), key=lambda item: (item[1], -item[0]))
        return [self.cluster_ids[place] for place, _ in best]

    def pack(self) -> bytes:
        """Return it as bytes: about 300 a cluster."""
        return zlib.compress(msgspec.msgpack.encode(self), 6)

    @classmethod
    def unpack(cls, data: bytes) -> Directory:
        """Return what `pack` was given."""
        return msgspec.msgpack.decode(zlib.decompress(data), type=cls)


_NOTHING: Final[tuple[list[int], list[int]]] = ([], [])


def directory_of(centroids: Iterable[Centroid]) -> Directory:
    """Return the directory of these clusters."""
    cluster_ids: list[str] = []
    terms: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for centroid in sorted(centroids, key=lambda centroid: centroid.cluster_id):
        if is_catch_all(centroid):
            continue
        heaviest = heapq.nlargest(TERMS, centroid.weights.items(), key=lambda item: (item[1], item[0]))
        for term, weight in heaviest:
            places, means = terms[term]
            places.append(len(cluster_ids))
            means.append(round(weight / max(1, centroid.size) * _UNIT))
        cluster_ids.append(centroid.cluster_id)
    return Directory(cluster_ids, dict(terms))
