"""Drafts of projects: what a library holds, and the shapes that it fills.

What counts: how much of a topic is covered (documents), how deep (documents with the concept in focus), for which
readers (levels), which topics share concepts (bridges), and what many documents mention and almost none is about
(gaps). Pure functions; the figures here are judgement, not measurement, and are stated where they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Final

import msgspec

from chalicelib.knowledge.clusters import Centroid
from chalicelib.knowledge.suggestion_catalogue import SHAPES, Ground, Shape

# A document is about its first concepts, and mentions the others.
FOCUS: Final = 3
# A gap: in at least so many documents and this share of them, in focus in at most this share of those that have it.
GAP_DOCUMENTS: Final = 3
GAP_SHARE: Final = 0.05
GAP_FOCUS: Final = 0.15
# A concept is known well with so many documents; one in focus counts twice.
KNOWN_WELL: Final = 6
LEVELS: Final = ("beginner", "intermediate", "advanced")
# Topics and, in each, concepts that are tried.
_TOPICS: Final = 30
_CONCEPTS: Final = 12
_BRIDGES: Final = 5
_GAPS: Final = 10


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one document."""

    doc_id: str
    title: str
    cluster_id: str
    # beginner, intermediate, advanced, or empty.
    level: str
    # Names and categories, the leading one first.
    concepts: list[tuple[str, str]]


class Concept(msgspec.Struct, kw_only=True):
    """One concept over all documents."""

    # As it was first written.
    name: str
    category: str
    # Documents that have it, the newest first, and those of them that are about it.
    mentions: list[Reading] = []
    focus: list[Reading] = []

    @property
    def known(self) -> float:
        """How well it is covered, 0 to 1."""
        return min(1.0, (len(self.mentions) + len(self.focus)) / KNOWN_WELL)

    def within(self, cluster_ids: Iterable[str]) -> list[Reading]:
        """Return its documents in some clusters, those about it first."""
        wanted = set(cluster_ids)
        ids = {reading.doc_id for reading in self.focus}
        there = [reading for reading in self.mentions if reading.cluster_id in wanted]
        return sorted(there, key=lambda reading: reading.doc_id not in ids)


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster with what was read of it."""

    cluster: Centroid
    readings: list[Reading]
    # Its concepts, the most frequent first, by their keys.
    concepts: list[str]

    @property
    def levels(self) -> Counter[str]:
        """Documents by level."""
        return Counter(reading.level for reading in self.readings if reading.level in LEVELS)


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A shape with its slots filled."""

    shape: Shape
    topics: list[Topic]
    subject: Concept
    part: Concept
    # Second concept, where the shape has one.
    other: Concept | None = None

    @property
    def concepts(self) -> list[Concept]:
        """The different concepts in its slots."""
        named = [self.subject, self.part, *([self.other] if self.other else [])]
        return list({concept_key(concept.name): concept for concept in named}.values())


# --- What the library holds ----------------------------------------------------------------------------------


def concept_key(name: str) -> str:
    """Return by what a concept is found, however it is written."""
    return " ".join(name.casefold().split())


def concepts_of(readings: Sequence[Reading]) -> dict[str, Concept]:
    """Return all concepts of the documents, by their keys."""
    found: dict[str, Concept] = {}
    for reading in readings:
        unique = {concept_key(name): (name, category) for name, category in reading.concepts if name.strip()}
        for place, (key, (name, category)) in enumerate(unique.items()):
            concept = found.setdefault(key, Concept(name=name, category=category))
            concept.mentions.append(reading)
            if place < FOCUS:
                concept.focus.append(reading)
    return found


def topics_of(
    clusters: Sequence[Centroid], readings: Sequence[Reading], concepts: dict[str, Concept]
) -> list[Topic]:
    """Return the largest clusters of which documents with concepts were read."""
    members: dict[str, list[Reading]] = {}
    for reading in readings:
        members.setdefault(reading.cluster_id, []).append(reading)
    largest = sorted(clusters, key=lambda cluster: (-cluster.size, cluster.cluster_id))
    topics = []
    for cluster in largest:
        there = members.get(cluster.cluster_id, [])
        frequent = _frequent(there, concepts)
        if frequent:
            topics.append(Topic(cluster=cluster, readings=there, concepts=frequent))
    return topics[:_TOPICS]


def _frequent(readings: Sequence[Reading], concepts: dict[str, Concept]) -> list[str]:
    """Return the keys of the most frequent concepts; one that a document is about counts twice."""
    counts: Counter[str] = Counter()
    for reading in readings:
        keys = list(dict.fromkeys(concept_key(name) for name, _ in reading.concepts if name.strip()))
        counts.update(keys)
        counts.update(keys[:FOCUS])
    ranked = sorted(counts, key=lambda key: (-counts[key], -len(concepts[key].mentions), key))
    return ranked[:_CONCEPTS]


def gaps_of(concepts: dict[str, Concept], documents: int) -> list[Concept]:
    """Return concepts that many documents mention and almost none is about, the most mentioned first."""
    least = max(GAP_DOCUMENTS, GAP_SHARE * documents)
    found = [
        concept
        for concept in concepts.values()
        if len(concept.mentions) >= least and len(concept.focus) <= GAP_FOCUS * len(concept.mentions)
    ]
    return sorted(found, key=lambda concept: (-len(concept.mentions), concept.name))[:_GAPS]


# --- Filling shapes ------------------------------------------------------------------------------------------


def _shapes(ground: Ground) -> list[Shape]:
    return [shape for shape in SHAPES if shape.ground == ground]


def cluster_drafts(topics: Sequence[Topic], concepts: dict[str, Concept]) -> Iterator[Draft]:
    """Yield a draft for each shape that one topic alone fills."""
    for topic in topics:
        there = [concepts[key] for key in topic.concepts]
        for shape in _shapes("cluster"):
            if len(topic.levels) < shape.levels:
                continue
            if draft := _filled(shape, topic, there):
                yield draft


def _filled(shape: Shape, topic: Topic, there: list[Concept]) -> Draft | None:
    """Fill a shape from one topic's concepts; None where a slot stays empty."""
    fitting = [concept for concept in there if not shape.part or concept.category in shape.part]
    if shape.pair:
        for part, other in combinations(fitting, 2):
            if part.category == other.category:
                return Draft(shape=shape, topics=[topic], subject=part, part=part, other=other)
        return None
    # The subject is what the topic is most about, but not what fills the slot.
    for part in fitting:
        subject = next((concept for concept in there if concept is not part), None)
        if subject is not None:
            return Draft(shape=shape, topics=[topic], subject=subject, part=part)
    return None


def bridge_drafts(topics: Sequence[Topic], concepts: dict[str, Concept]) -> list[Draft]:
    """Return drafts for the pairs of topics that share most."""
    found: list[tuple[int, Draft]] = []
    for first, second in combinations(topics, 2):
        shared = [key for key in first.concepts if key in second.concepts]
        ours = next((key for key in first.concepts if key not in shared), None)
        theirs = next((key for key in second.concepts if key not in shared), None)
        if not shared or ours is None or theirs is None:
            continue
        for shape in _shapes("bridge"):
            draft = Draft(
                shape=shape,
                topics=[first, second],
                subject=concepts[ours],
                part=concepts[shared[0]],
                other=concepts[theirs],
            )
            found.append((len(shared), draft))
    found.sort(key=lambda entry: -entry[0])
    return [draft for _, draft in found[:_BRIDGES]]


def gap_drafts(
    topics: Sequence[Topic], concepts: dict[str, Concept], gaps: Sequence[Concept]
) -> Iterator[Draft]:
    """Yield a draft for each gap, with the topic that mentions it most."""
    for gap in gaps:
        counts = Counter(reading.cluster_id for reading in gap.mentions)
        topic = max(topics, key=lambda topic: counts[topic.cluster.cluster_id], default=None)
        if topic is None or not counts[topic.cluster.cluster_id]:
            continue
        subject = next((concepts[key] for key in topic.concepts if concepts[key] is not gap), None)
        if subject is None:
            continue
        for shape in _shapes("gap"):
            yield Draft(shape=shape, topics=[topic], subject=subject, part=subject, other=gap)


def best_of(drafts: Sequence[Draft], concepts: dict[str, Concept], number: int) -> list[Draft]:
    """Return the best drafts, one by one; each that resembles one chosen already counts less."""
    left = list(drafts)
    chosen: list[Draft] = []
    shapes: Counter[str] = Counter()
    clusters: Counter[str] = Counter()

    def worth(draft: Draft) -> float:
        again = shapes[draft.shape.key] + max(clusters[topic.cluster.cluster_id] for topic in draft.topics)
        return draft.shape.weight * (0.5 + coverage_of(draft, concepts)) / (1 + again)

    while left and len(chosen) < number:
        best = max(left, key=worth)
        left.remove(best)
        chosen.append(best)
        shapes[best.shape.key] += 1
        clusters.update(topic.cluster.cluster_id for topic in best.topics)
    return chosen


def coverage_of(draft: Draft, concepts: dict[str, Concept]) -> float:
    """Return the mean of how well what a draft requires is covered, 0 to 1. Prerequisites weigh half."""
    known = [(concept.known, 1.0) for concept in draft.concepts]
    for name in draft.shape.prerequisites:
        known.append((concepts[concept_key(name)].known if concept_key(name) in concepts else 0.0, 0.5))
    return sum(share * weight for share, weight in known) / sum(weight for _, weight in known)
