"""Drafts of projects: the shapes of the catalogue, filled with what a library holds.

A draft joins only what stands together in some document, and rests on two documents at least: a shape that is filled
with what merely happens to be in the same library is nonsense, however well it is covered. Pure functions; the
figures here are judgement, not measurement, and are stated where they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import msgspec

from chalicelib.knowledge import background
from chalicelib.knowledge.holdings import LEVELS, Concept, Topic, concept_key, covers
from chalicelib.knowledge.suggestion_catalogue import SHAPES, Ground, Shape
from chalicelib.knowledge.tokens import singular

# Documents that a draft rests on at least, and how well what it requires is covered at least.
LEAST_DOCUMENTS: Final = 2
LEAST_COVERAGE: Final = 0.3
# Pairs of topics that are tried.
_BRIDGES: Final = 5
# Languages that describe or query: nothing is built with them alone, nor are they rivals of the others.
_DESCRIBING: Final = frozenset({"sql", "html", "css", "latex", "markdown", "xml", "json", "yaml"})
# Categories of what something can be about, other than a means to do it.
_MATTERS: Final = frozenset({"concept", "field", "method", "name"})
# A concept of several words, or one with a category of its own, names a subject better than a single word.
_TELLING: Final = 1.6
# A draft on what one document has counts less, like one that resembles so many chosen before.
_THIN: Final = 2


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

    @property
    def words(self) -> dict[str, str]:
        """What its shape's placeholders stand for."""
        other = self.other.name if self.other else ""
        return {"subject": self.subject.name, "part": self.part.name, "other": other}

    @property
    def title(self) -> str:
        """What it is called."""
        return self.shape.title.format(**self.words)


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
            draft = _filled(shape, topic, there)
            if draft and _rests_on(draft) and len(_levels(draft)) >= shape.levels:
                yield draft


def _filled(shape: Shape, topic: Topic, there: list[Concept]) -> Draft | None:
    """Fill a shape from one topic's concepts; None where a slot stays empty."""
    fitting = [concept for concept in there if not shape.part or concept.category in shape.part]
    if shape.pair or shape.builds:
        fitting = [concept for concept in fitting if concept_key(concept.name) not in _DESCRIBING]
    if shape.pair:
        for part, other in combinations(fitting, 2):
            if part.category == other.category and _together(part, other, topic):
                return Draft(shape=shape, topics=[topic], subject=part, part=part, other=other)
        return None
    matters = [concept for concept in there if not shape.topical or _is_matter(concept)]
    for part in fitting:
        if subject := _subject(topic, matters, part):
            return Draft(shape=shape, topics=[topic], subject=subject, part=part)
    return None


def _is_matter(concept: Concept) -> bool:
    """Tell whether something can be collected or done on a concept: "query" is a word of the trade, no matter."""
    head = singular(concept_key(concept.name).rpartition(" ")[2])
    fits = concept.category in _MATTERS and head not in background.technical_words()
    return fits and _is_telling(concept) and _stands(concept)


def _subject(topic: Topic, there: Sequence[Concept], part: Concept) -> Concept | None:
    """Return what the topic is most about, but for what fills the slot, and where both stand together."""
    words = set(concept_key(part.name).split())
    fitting = [
        concept
        for concept in there
        if not words & set(concept_key(concept.name).split()) and _together(concept, part, topic)
    ]
    return max(fitting, key=lambda concept: _merit(concept, topic), default=None)


def _merit(concept: Concept, topic: Topic) -> float:
    """Return how well a concept names a topic: its documents, those about it twice, and how telling it is."""
    ids = {reading.doc_id for reading in topic.readings}
    count = sum(reading.doc_id in ids for reading in [*concept.mentions, *concept.focus])
    return count * (_TELLING if _is_telling(concept) else 1.0)


def _is_telling(concept: Concept) -> bool:
    return " " in concept.name.strip() or concept.category not in ("concept", "name")


def _together(one: Concept, other: Concept, topic: Topic) -> bool:
    """Tell whether a document of the topic has both."""
    ids = {reading.doc_id for reading in other.mentions if reading.cluster_id == topic.cluster.cluster_id}
    return any(reading.doc_id in ids for reading in one.mentions)


def _rests_on(draft: Draft) -> bool:
    """Tell whether two documents of its topics have any of its concepts, and two each of those that are compared."""
    ids = [topic.cluster.cluster_id for topic in draft.topics]
    rivals = [draft.part, draft.other] if draft.shape.pair and draft.other else []
    if any(len(concept.mentions) < LEAST_DOCUMENTS for concept in rivals):
        return False
    documents = {reading.doc_id for concept in draft.concepts for reading in concept.within(ids)}
    return len(documents) >= LEAST_DOCUMENTS


def _is_thin(draft: Draft) -> bool:
    """Tell whether a subject, or the other topic's, is one document's in its topic."""
    subjects = (
        [draft.subject, draft.other] if draft.shape.ground == "bridge" and draft.other else [draft.subject]
    )
    return any(
        len(subject.within([topic.cluster.cluster_id])) < LEAST_DOCUMENTS
        for subject, topic in zip(subjects, draft.topics, strict=True)
    )


def _levels(draft: Draft) -> set[str]:
    """Return the levels of the documents that a draft stands on."""
    ids = [topic.cluster.cluster_id for topic in draft.topics]
    there = {reading.level for concept in draft.concepts for reading in concept.within(ids)}
    return there & set(LEVELS)


def bridge_drafts(topics: Sequence[Topic], concepts: dict[str, Concept]) -> list[Draft]:
    """Return drafts for the pairs of topics that share most, where each side has the shared one with its own."""
    found: list[tuple[int, Draft]] = []
    several = [topic for topic in topics if len(topic.readings) >= LEAST_DOCUMENTS]
    for first, second in combinations(several, 2):
        shared = [key for key in first.concepts if key in second.concepts]
        own = [
            [concepts[key] for key in topic.concepts if key not in shared and _stands(concepts[key])]
            for topic in (first, second)
        ]
        for part in (concepts[key] for key in shared if concepts[key].category != "name"):
            ours, theirs = _subject(first, own[0], part), _subject(second, own[1], part)
            if ours is None or theirs is None:
                continue
            found += [
                (
                    len(shared),
                    Draft(shape=shape, topics=[first, second], subject=ours, part=part, other=theirs),
                )
                for shape in _shapes("bridge")
            ]
            break
    found.sort(key=lambda entry: -entry[0])
    return [draft for _, draft in found[:_BRIDGES]]


def _stands(concept: Concept) -> bool:
    """Tell whether a concept is more than one document's word."""
    return len(concept.mentions) >= LEAST_DOCUMENTS or concept.category not in ("concept", "name")


def gap_drafts(
    topics: Sequence[Topic], concepts: dict[str, Concept], gaps: Sequence[Concept]
) -> Iterator[Draft]:
    """Yield a draft for each gap, with the topic that mentions it most."""
    for gap in gaps:
        counts = Counter(reading.cluster_id for reading in gap.mentions)
        topic = max(topics, key=lambda topic: counts[topic.cluster.cluster_id], default=None)
        if topic is None or not counts[topic.cluster.cluster_id]:
            continue
        if subject := _subject(topic, [concepts[key] for key in topic.concepts], gap):
            for shape in _shapes("gap"):
                yield Draft(shape=shape, topics=[topic], subject=subject, part=subject, other=gap)


def best_of(drafts: Sequence[Draft], concepts: dict[str, Concept], number: int) -> list[Draft]:
    """Return the best drafts, one by one; each that resembles one chosen already counts less.

    What little is known of is not suggested, however few that leaves.
    """
    left = [draft for draft in drafts if coverage_of(draft, concepts) >= LEAST_COVERAGE]
    chosen: list[Draft] = []
    shapes: Counter[str] = Counter()
    clusters: Counter[str] = Counter()
    subjects: Counter[frozenset[str]] = Counter()

    def worth(draft: Draft) -> float:
        again = shapes[draft.shape.key] + max(clusters[topic.cluster.cluster_id] for topic in draft.topics)
        again += 2 * subjects[_subject_key(draft)]
        again += _THIN * _is_thin(draft)
        return draft.shape.weight * (0.5 + coverage_of(draft, concepts)) / (1 + again)

    while left and len(chosen) < number:
        best = max(left, key=worth)
        same = (best.shape.key, _subject_key(best))
        left = [
            draft
            for draft in left
            if (draft.shape.key, _subject_key(draft)) != same and draft.title != best.title
        ]
        chosen.append(best)
        shapes[best.shape.key] += 1
        subjects[_subject_key(best)] += 1
        clusters.update(topic.cluster.cluster_id for topic in best.topics)
    return chosen


def _subject_key(draft: Draft) -> frozenset[str]:
    """Return the concepts of a draft: two of the same are one idea, whatever their topics."""
    return frozenset(concept_key(concept.name) for concept in draft.concepts)


def coverage_of(draft: Draft, concepts: dict[str, Concept]) -> float:
    """Return the mean of how well what a draft requires is covered, 0 to 1. Prerequisites weigh half."""
    known = [(concept.known, 1.0) for concept in draft.concepts]
    for name in draft.shape.prerequisites:
        known.append((1.0 if covers(concepts, name) else 0.0, 0.5))
    return sum(share * weight for share, weight in known) / sum(weight for _, weight in known)
