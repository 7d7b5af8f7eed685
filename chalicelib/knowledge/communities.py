"""Topics of a whole library at once: communities of the graph of likenesses, and which topic of before each one is.

Needs numpy, scipy, scikit-learn and networkx: only `containers/analysis` has them.

Each document is joined with the 15 that are most like it by the cosine of TF-IDF vectors, and Louvain's method
(Blondel et al., 2008) finds communities. An edge that is weak beside a document's best ones is left out: else many
small topics melt into few large ones (300 topics of 6 documents: adjusted Rand index .30 with all edges, .97 without
the weak).

Three steps set right what Louvain's method is known to do where sizes differ much, or where documents come in
versions. Of documents that nearly repeat each other one stands for all: else each family is a topic (three versions
of each of 40 texts: .26, so .81). A community that falls into clear parts by itself is split: a large family makes it
put other topics together. Communities that are as like each other as each is in itself are one: it cuts a large
family into pieces. bench/clusters.py measures all of it.

Better a topic of one than one of strangers: so an edge has to rest on more than what long texts share by chance, or
short ones in one word, and who is like a single member of a community is none.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol

import networkx as nx
import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfTransformer

# Neighbours of a document in the graph.
NEIGHBOURS: Final = 15
# Weakest edge: the base for a few words, and so much for each of the shorter vector's terms (two long texts share
# some by chance); where one word is all that two share, another figure. And weakest as a share of the mean of a
# document's three best.
_LEAST: Final = 0.035
_LEAST_A_TERM: Final = 0.08 / 300
_LEAST_OF_ONE: Final = 0.1
_BESIDE_BEST: Final = 0.4
_BEST: Final = 3
# A document that is as like another one as this is a version of it, and goes where that goes.
_REPEATS: Final = 0.7
# Louvain's resolution: above 1 communities are smaller.
_RESOLUTION: Final = 1.5
# The same for parts of a community, which count from this modularity on, in communities of so many documents.
_PART_RESOLUTION: Final = 0.7
_CLEAR: Final = 0.35
_DIVISIBLE: Final = 6
# A document whose mean likeness with the others of its community is below this share of the weakest edge is none of
# it: it came by one neighbour. Larger communities than this are not looked at, for there each has edges enough.
_COHESION: Final = 0.7
_CHAINED: Final = 30
# Two communities are one where documents of both are alike by this share of what documents of one are, on average.
_SAME: Final = 0.7
_SEED: Final = 1
# Heaviest terms of a document that the graph looks at, in a library of more than `_SMALL` documents.
_GRAPH_TERMS: Final = 100
_SMALL: Final = 2000
# Rows of the matrix of likenesses that are in memory at a time.
_CHUNK: Final = 512
# A topic that its user has named is a community where it is at least this share of it.
_NAMED_SHARE: Final = 0.25
# Label of a document that is like no other.
ALONE: Final = -1

Matrix = Any  # scipy.sparse.csr_array of float32
Graph = Any  # networkx.Graph


class Vectors(Protocol):
    """Vectors by their place: a list of them, or `PackedVectors`."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> Mapping[str, float]: ...


def labels_of(vectors: Vectors, on_progress: Callable[[float], None] = lambda _share: None) -> list[int]:
    """Return a community number for each vector, the largest community 0; `ALONE` for what is like nothing else.

    The same vectors in the same order give the same numbers. `on_progress` is told the share that is done.
    """
    labels = [ALONE] * len(vectors)
    wordy = [number for number in range(len(vectors)) if vectors[number]]
    if len(wordy) < 2:
        return labels
    heads = _heads(_matrix(vectors, wordy), lambda share: on_progress(0.4 * share))
    families = Counter(heads)
    found = _communities(
        _matrix(vectors, [wordy[head] for head in families]), lambda share: on_progress(0.4 + 0.4 * share)
    )
    # By the places of heads. What is no community is one if it is a family.
    placed = dict(zip(families, found, strict=True))
    own = {
        head: -2 - head if label == ALONE and families[head] > 1 else label for head, label in placed.items()
    }
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number, head in zip(wordy, heads, strict=True):
        if own[head] != ALONE:
            groups[own[head]].append(number)
    for label, members in enumerate(sorted(groups.values(), key=lambda members: (-len(members), members[0]))):
        for number in members:
            labels[number] = label
    return labels


def _heads(matrix: Matrix, on_progress: Callable[[float], None]) -> list[int]:
    """Return for each row the first one that it nearly repeats; for most rows, the row itself."""
    number = matrix.shape[0]
    heads = list(range(number))
    is_head = np.zeros(number, dtype=bool)
    for start in range(0, number, _CHUNK):
        likeness = (matrix[start : start + _CHUNK] @ matrix.T).toarray()
        for row in range(start, start + likeness.shape[0]):
            earlier = np.where(is_head[:row], likeness[row - start, :row], 0.0)
            if row and earlier.max() >= _REPEATS:
                heads[row] = int(earlier.argmax())
            else:
                is_head[row] = True
        on_progress(min(1.0, (start + _CHUNK) / number))
    return heads


def _communities(matrix: Matrix, on_progress: Callable[[float], None]) -> list[int]:
    """Return a community number for each row, or `ALONE`."""
    labels = [ALONE] * matrix.shape[0]
    if matrix.shape[0] < 2:
        return labels
    graph: Graph = nx.Graph()
    graph.add_nodes_from(range(matrix.shape[0]))
    for start in range(0, matrix.shape[0], _CHUNK):
        graph.add_weighted_edges_from(zip(*_edges(matrix, start), strict=True))
        on_progress(min(1.0, (start + _CHUNK) / matrix.shape[0]))
    graph.remove_nodes_from([node for node, degree in list(graph.degree()) if not degree])
    parts = [part for community in _louvain(graph, _RESOLUTION) for part in _parts(graph, community)]
    for label, members in enumerate(_united(matrix, [sorted(part) for part in parts])):
        for row in _held_together(matrix, members):
            labels[row] = label
    return labels


def _held_together(matrix: Matrix, members: list[int]) -> list[int]:
    """Return the members of a community without those that are like one other member, and hardly like the rest."""
    if not 2 < len(members) <= _CHAINED:
        return members
    rows = matrix[members]
    likeness = (rows @ rows.T).toarray()
    np.fill_diagonal(likeness, 0.0)
    least = _least(np.diff(rows.indptr))
    np.fill_diagonal(least, 0.0)
    kept = likeness.sum(axis=1) >= _COHESION * least.sum(axis=1)
    held = [row for row, stays in zip(members, kept.tolist(), strict=True) if stays]
    return held if len(held) > 1 else []


def _least(terms: Any, others: Any = None) -> Any:
    """Return the weight of the weakest edge between rows with so many terms and others, each with each by default."""
    shorter = np.minimum(terms[:, None], terms[None, :] if others is None else others)
    return _LEAST + _LEAST_A_TERM * shorter


def _louvain(graph: Graph, resolution: float) -> list[set[int]]:
    found = nx.community.louvain_communities(graph, weight="weight", resolution=resolution, seed=_SEED)
    return [set(members) for members in found]


def _parts(graph: Graph, community: set[int]) -> list[set[int]]:
    """Return the parts of a community where these are clear, else the community."""
    if len(community) < _DIVISIBLE:
        return [community]
    # Made anew, for the order of a view's nodes is that of a set.
    inner: Graph = nx.Graph()
    inner.add_nodes_from(sorted(community))
    inner.add_edges_from(edge for edge in graph.edges(sorted(community), data=True) if edge[1] in community)
    parts = _louvain(inner, _PART_RESOLUTION)
    clear = len(parts) > 1 and nx.community.modularity(inner, parts, weight="weight") >= _CLEAR
    return parts if clear else [community]


def _united(matrix: Matrix, communities: list[list[int]]) -> list[list[int]]:
    """Return communities of rows; those that are as like each other as each is in itself are united."""
    if not communities:
        return []
    rows = np.repeat(np.arange(len(communities)), [len(members) for members in communities])
    columns = np.concatenate([np.asarray(members) for members in communities])
    shape = (len(communities), matrix.shape[0])
    sums = sparse.csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape) @ matrix
    # Sums of the likenesses of all pairs, one of each pair of communities, a document's with itself among them.
    pairs = (sums @ sums.T).toarray().astype(np.float64)
    sizes = np.array([len(members) for members in communities], dtype=np.float64)
    united = [list(members) for members in communities]
    # How often each has grown, and whether it is none of another one's by now.
    ages = [0] * len(united)
    there = np.ones(len(united), dtype=bool)

    def ratios(place: int) -> Any:
        """Return how like each community is to this one, as a share of how like each is in itself."""
        own = np.diag(pairs)
        within = np.where(sizes > 1, (own - sizes) / np.maximum(sizes * (sizes - 1), 1), 1.0)
        between = pairs[place] / (sizes * sizes[place])
        return between / np.maximum(np.minimum(within, within[place]), 1e-9)

    # For each community the one that it is most like, if that is the same; looked for again when either has changed.
    queue: list[tuple[float, int, int, int, int]] = []

    def look(place: int) -> None:
        found = np.where(there, ratios(place), -1.0)
        found[place] = -1.0
        other = int(found.argmax())
        if found[other] >= _SAME:
            heapq.heappush(queue, (-float(found[other]), place, other, ages[place], ages[other]))

    for place in range(len(united)):
        look(place)
    while queue:
        _, place, other, *then = heapq.heappop(queue)
        if not there[place]:
            continue
        if not there[other] or then != [ages[place], ages[other]]:
            look(place)
            continue
        first, second = min(place, other), max(place, other)
        pairs[first] += pairs[second]
        pairs[:, first] += pairs[:, second]
        sizes[first] += sizes[second]
        united[first] += united[second]
        there[second] = False
        ages[first] += 1
        look(first)
    return [members for members, alive in zip(united, there.tolist(), strict=True) if alive]


def _matrix(vectors: Vectors, numbers: Sequence[int]) -> Matrix:
    """Return one row of length 1 for each of these vectors, weighted by how rare a term is among the texts, too."""
    shortened = (_shortened(vectors[number], len(numbers)) for number in numbers)
    counted = DictVectorizer(dtype=np.float32).fit_transform(shortened)
    return sparse.csr_array(TfidfTransformer().fit_transform(counted), dtype=np.float32)


def _shortened(vector: Mapping[str, float], documents: int) -> Mapping[str, float]:
    if documents <= _SMALL or len(vector) <= _GRAPH_TERMS:
        return vector
    return dict(sorted(vector.items(), key=lambda item: (-item[1], item[0]))[:_GRAPH_TERMS])


def _edges(matrix: Matrix, start: int) -> tuple[list[int], list[int], list[float]]:
    """Return the edges of some rows as rows, columns and weights."""
    likeness = (matrix[start : start + _CHUNK] @ matrix.T).toarray()
    number = likeness.shape[0]
    own = np.arange(number)
    likeness[own, own + start] = 0.0
    kept = min(NEIGHBOURS, matrix.shape[0] - 1)
    columns = np.argpartition(-likeness, kept - 1, axis=1)[:, :kept]
    weights = np.take_along_axis(likeness, columns, axis=1)
    best = np.sort(weights, axis=1)[:, -_BEST:].mean(axis=1, keepdims=True)
    terms = np.diff(matrix.indptr)
    strong = (weights >= _least(terms[own + start], terms[columns])) & (weights >= _BESIDE_BEST * best)
    rows, columns, weights = np.nonzero(strong)[0] + start, columns[strong], weights[strong]
    shared = (matrix[rows].multiply(matrix[columns]) > 0).sum(axis=1)
    telling = (shared > 1) | (weights >= _LEAST_OF_ONE)
    return rows[telling].tolist(), columns[telling].tolist(), weights[telling].astype(float).tolist()


def matched(
    labels: Sequence[int], before: Sequence[str], *, kin: Mapping[str, Collection[int]], most: int
) -> dict[int, str]:
    """Return for each community the topic of before that it is; those that are new are missing.

    The assignment that keeps most documents where they are (Hungarian method); first for the topics that their user
    has named. `kin` are the documents that are in such a topic or like it, by their places: the topic is a community
    only where it makes up a quarter of it, and its kin more than half. All communities of which a named topic has
    more than half are that one. `most` is how many communities count, the largest first.
    """
    found: dict[int, str] = {}
    overlaps = Counter(
        (label, topic) for label, topic in zip(labels, before, strict=True) if 0 <= label < most and topic
    )
    sizes = Counter(labels)
    own = {pair: count for pair, count in overlaps.items() if pair[1] in kin}
    alike = Counter((labels[place], topic) for topic, places in kin.items() for place in places)
    worthy = {
        (label, topic): count
        for (label, topic), count in own.items()
        if count >= _NAMED_SHARE * sizes[label] and 2 * alike[label, topic] > sizes[label]
    }
    found.update(_best_pairs(worthy))
    found.update({label: topic for (label, topic), count in own.items() if 2 * count > sizes[label]})
    others = {
        (label, topic): count
        for (label, topic), count in overlaps.items()
        if topic not in kin and label not in found
    }
    found.update(_best_pairs(others))
    return found


def _best_pairs(overlaps: Mapping[tuple[int, str], int]) -> dict[int, str]:
    """Return the pairs of label and topic with the largest sum; each label and each topic once."""
    if not overlaps:
        return {}
    labels = sorted({label for label, _ in overlaps})
    topics = sorted({topic for _, topic in overlaps})
    rows = {label: place for place, label in enumerate(labels)}
    columns = {topic: place for place, topic in enumerate(topics)}
    gain = np.zeros((len(labels), len(topics)))
    for (label, topic), count in overlaps.items():
        gain[rows[label], columns[topic]] = count
    chosen = zip(*linear_sum_assignment(gain, maximize=True), strict=True)
    return {labels[row]: topics[column] for row, column in chosen if gain[row, column] > 0}
