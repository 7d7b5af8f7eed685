"""Projects that a library's own documents support, offline: shapes filled with concepts, each with its evidence.

What counts: how much of a topic is covered (documents), how deep (documents with the concept in focus), for which
readers (levels), which topics share concepts (bridges), and what many documents mention and almost none is about
(gaps). Pure functions; the figures here are judgement, not measurement, and are stated where they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any, Final

import msgspec

from chalicelib.knowledge.clusters import Centroid
from chalicelib.knowledge.suggestion_catalogue import SHAPES, Ground, Shape

METHOD: Final = "offline"
# Fewer documents than this support no project.
MIN_DOCUMENTS: Final = 3
# A document is about its first concepts, and mentions the others.
FOCUS: Final = 3
# A gap: in at least so many documents and this share of them, in focus in at most this share of those that have it.
GAP_DOCUMENTS: Final = 3
GAP_SHARE: Final = 0.05
GAP_FOCUS: Final = 0.15
# A concept is known well with so many documents; one in focus counts twice.
KNOWN_WELL: Final = 6
# Topics and, in each, concepts that are tried.
_TOPICS: Final = 30
_CONCEPTS: Final = 12
_BRIDGES: Final = 5
_GAPS: Final = 10
_LEVELS: Final = ("beginner", "intermediate", "advanced")
_EVIDENCE: Final = 3
_RESOURCES: Final = 5
_MAX_TITLE: Final = 200


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one document."""

    doc_id: str
    title: str
    cluster_id: str
    # beginner, intermediate, advanced, or empty.
    level: str
    # Names and categories, the leading one first.
    concepts: list[tuple[str, str]]


class _Concept(msgspec.Struct, kw_only=True):
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


class _Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster with what was read of it."""

    cluster: Centroid
    readings: list[Reading]
    # Its concepts, the most frequent first, by their keys.
    concepts: list[str]

    @property
    def levels(self) -> Counter[str]:
        """Documents by level."""
        return Counter(reading.level for reading in self.readings if reading.level in _LEVELS)


class _Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A shape with its slots filled."""

    shape: Shape
    topics: list[_Topic]
    subject: _Concept
    part: _Concept
    # Second concept, where the shape has one.
    other: _Concept | None = None

    @property
    def concepts(self) -> list[_Concept]:
        """The different concepts in its slots."""
        named = [self.subject, self.part, *([self.other] if self.other else [])]
        return list({_key(concept.name): concept for concept in named}.values())


def suggest(clusters: Sequence[Centroid], readings: Sequence[Reading], *, number: int) -> dict[str, Any]:
    """Return `{suggestions, method, summary, gaps, reasons, next_steps}`, at most `number` of them.

    A library that supports none gets an empty list, and reasons and next steps in words.
    """
    concepts = _concepts(readings)
    topics = _topics(clusters, readings, concepts)
    gaps = _gaps(concepts, len(readings))
    drafts = [*_cluster_drafts(topics, concepts), *_bridge_drafts(topics, concepts)]
    drafts += _gap_drafts(topics, concepts, gaps)
    enough = len(readings) >= MIN_DOCUMENTS
    chosen = _chosen(drafts, concepts, number) if enough else []
    reasons, next_steps = _reasons(readings, concepts, found=len(chosen))
    return {
        "suggestions": [_suggestion(draft, concepts, gaps) for draft in chosen],
        "method": METHOD,
        "summary": {
            "documents": len(readings),
            "clusters": len(clusters),
            "concepts": len(concepts),
            "skill_levels": dict(Counter(reading.level for reading in readings if reading.level)),
        },
        "gaps": [
            {"concept": gap.name, "mentioned_in": len(gap.mentions), "focus_of": len(gap.focus)}
            for gap in gaps
        ],
        "reasons": reasons,
        "next_steps": next_steps,
    }


# --- What the library holds ----------------------------------------------------------------------------------


def _key(name: str) -> str:
    return " ".join(name.casefold().split())


def _concepts(readings: Sequence[Reading]) -> dict[str, _Concept]:
    found: dict[str, _Concept] = {}
    for reading in readings:
        unique = {_key(name): (name, category) for name, category in reading.concepts if name.strip()}
        for place, (key, (name, category)) in enumerate(unique.items()):
            concept = found.setdefault(key, _Concept(name=name, category=category))
            concept.mentions.append(reading)
            if place < FOCUS:
                concept.focus.append(reading)
    return found


def _topics(
    clusters: Sequence[Centroid], readings: Sequence[Reading], concepts: dict[str, _Concept]
) -> list[_Topic]:
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
            topics.append(_Topic(cluster=cluster, readings=there, concepts=frequent))
    return topics[:_TOPICS]


def _frequent(readings: Sequence[Reading], concepts: dict[str, _Concept]) -> list[str]:
    """Return the keys of the most frequent concepts; one that a document is about counts twice."""
    counts: Counter[str] = Counter()
    for reading in readings:
        keys = list(dict.fromkeys(_key(name) for name, _ in reading.concepts if name.strip()))
        counts.update(keys)
        counts.update(keys[:FOCUS])
    ranked = sorted(counts, key=lambda key: (-counts[key], -len(concepts[key].mentions), key))
    return ranked[:_CONCEPTS]


def _gaps(concepts: dict[str, _Concept], documents: int) -> list[_Concept]:
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


def _cluster_drafts(topics: Sequence[_Topic], concepts: dict[str, _Concept]) -> Iterator[_Draft]:
    for topic in topics:
        there = [concepts[key] for key in topic.concepts]
        for shape in _shapes("cluster"):
            if len(topic.levels) < shape.levels:
                continue
            if draft := _filled(shape, topic, there):
                yield draft


def _filled(shape: Shape, topic: _Topic, there: list[_Concept]) -> _Draft | None:
    """Fill a shape from one topic's concepts; None where a slot stays empty."""
    fitting = [concept for concept in there if not shape.part or concept.category in shape.part]
    if shape.pair:
        for part, other in combinations(fitting, 2):
            if part.category == other.category:
                return _Draft(shape=shape, topics=[topic], subject=part, part=part, other=other)
        return None
    # The subject is what the topic is most about, but not what fills the slot.
    for part in fitting:
        subject = next((concept for concept in there if concept is not part), None)
        if subject is not None:
            return _Draft(shape=shape, topics=[topic], subject=subject, part=part)
    return None


def _bridge_drafts(topics: Sequence[_Topic], concepts: dict[str, _Concept]) -> list[_Draft]:
    """Return drafts for the pairs of topics that share most."""
    found: list[tuple[int, _Draft]] = []
    for first, second in combinations(topics, 2):
        shared = [key for key in first.concepts if key in second.concepts]
        ours = next((key for key in first.concepts if key not in shared), None)
        theirs = next((key for key in second.concepts if key not in shared), None)
        if not shared or ours is None or theirs is None:
            continue
        for shape in _shapes("bridge"):
            draft = _Draft(
                shape=shape,
                topics=[first, second],
                subject=concepts[ours],
                part=concepts[shared[0]],
                other=concepts[theirs],
            )
            found.append((len(shared), draft))
    found.sort(key=lambda entry: -entry[0])
    return [draft for _, draft in found[:_BRIDGES]]


def _gap_drafts(
    topics: Sequence[_Topic], concepts: dict[str, _Concept], gaps: Sequence[_Concept]
) -> Iterator[_Draft]:
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
            yield _Draft(shape=shape, topics=[topic], subject=subject, part=subject, other=gap)


def _chosen(drafts: Sequence[_Draft], concepts: dict[str, _Concept], number: int) -> list[_Draft]:
    """Return the best drafts, one by one; each that resembles one chosen already counts less."""
    left = list(drafts)
    chosen: list[_Draft] = []
    shapes: Counter[str] = Counter()
    clusters: Counter[str] = Counter()

    def worth(draft: _Draft) -> float:
        again = shapes[draft.shape.key] + max(clusters[topic.cluster.cluster_id] for topic in draft.topics)
        return draft.shape.weight * (0.5 + _coverage(draft, concepts)) / (1 + again)

    while left and len(chosen) < number:
        best = max(left, key=worth)
        left.remove(best)
        chosen.append(best)
        shapes[best.shape.key] += 1
        clusters.update(topic.cluster.cluster_id for topic in best.topics)
    return chosen


def _coverage(draft: _Draft, concepts: dict[str, _Concept]) -> float:
    """Return the mean of how well what a draft requires is covered, 0 to 1. Prerequisites weigh half."""
    known = [(concept.known, 1.0) for concept in draft.concepts]
    for name in draft.shape.prerequisites:
        known.append((concepts[_key(name)].known if _key(name) in concepts else 0.0, 0.5))
    return sum(share * weight for share, weight in known) / sum(weight for _, weight in known)


# --- In words ------------------------------------------------------------------------------------------------


def _suggestion(draft: _Draft, concepts: dict[str, _Concept], gaps: Sequence[_Concept]) -> dict[str, Any]:
    coverage = _coverage(draft, concepts)
    missing = _missing(draft, concepts, gaps)
    level = _complexity(draft)
    resources = _resources(draft)
    words = {
        "subject": draft.subject.name,
        "part": draft.part.name,
        "other": draft.other.name if draft.other else "",
    }

    def fill(template: str) -> str:
        text = template.format(**words)
        return text[0].upper() + text[1:]

    return {
        "title": fill(draft.shape.title),
        "description": fill(draft.shape.description),
        "feasibility": _grade(coverage - 0.1 * len(missing)),
        "effort_estimate": _effort(draft.shape, level, len(missing)),
        "complexity_level": level,
        "required_skills": [concept.name for concept in draft.concepts] + list(draft.shape.prerequisites),
        "missing_knowledge": missing,
        "relevant_clusters": [
            {"cluster_id": topic.cluster.cluster_id, "name": topic.cluster.name} for topic in draft.topics
        ],
        "starter_steps": [fill(step) for step in draft.shape.steps],
        "learning_path": _learning_path(resources, missing),
        "expected_outcomes": [fill(outcome) for outcome in draft.shape.outcomes],
        "knowledge_coverage": _grade(coverage),
        "coverage_score": round(coverage, 3),
        "evidence": _evidence(draft),
        "recommended_resources": [
            {"doc_id": reading.doc_id, "title": reading.title[:_MAX_TITLE], "skill_level": reading.level}
            for reading in resources
        ],
        "starter_code": None,
        "file_structure": None,
        "troubleshooting_tips": None,
        "shape": draft.shape.key,
        "method": METHOD,
    }


def _missing(draft: _Draft, concepts: dict[str, _Concept], gaps: Sequence[_Concept]) -> list[str]:
    """Return prerequisites that no document has, and gaps of the topics concerned, at most two."""
    ids = {topic.cluster.cluster_id for topic in draft.topics}
    absent = [name for name in draft.shape.prerequisites if _key(name) not in concepts]
    used = [draft.other] if draft.shape.ground == "gap" and draft.other else []
    near = [gap for gap in gaps if gap not in used and any(read.cluster_id in ids for read in gap.mentions)]
    return list(dict.fromkeys([*absent, *(gap.name for gap in [*used, *near[:2]])]))


def _complexity(draft: _Draft) -> str:
    """Return the level that most of the documents concerned are for; a project of two topics is a step harder."""
    counts = sum((topic.levels for topic in draft.topics), Counter[str]())
    most = max(_LEVELS, key=lambda level: counts[level]) if counts else "intermediate"
    step = _LEVELS.index(most) + (len(draft.topics) > 1)
    return _LEVELS[min(step, len(_LEVELS) - 1)]


def _effort(shape: Shape, level: str, missing: int) -> str:
    """Return working days in words: the shape's, half as many again for the advanced, one for each thing to learn."""
    factor = 1.5 if level == "advanced" else 1.0
    low, high = (round(days * factor) + missing for days in shape.days)
    return f"{low}-{high} days"


def _grade(score: float) -> str:
    if score >= 0.7:
        return "high"
    return "medium" if score >= 0.4 else "low"


def _evidence(draft: _Draft) -> list[dict[str, str]]:
    """Return for each concept in the draft up to three documents that have it, those about it first."""
    ids = [topic.cluster.cluster_id for topic in draft.topics]
    return [
        {"doc_id": reading.doc_id, "concept": concept.name}
        for concept in draft.concepts
        for reading in concept.within(ids)[:_EVIDENCE]
    ]


def _resources(draft: _Draft) -> list[Reading]:
    """Return the documents that have most of the draft's concepts, the easiest first."""
    ids = [topic.cluster.cluster_id for topic in draft.topics]
    counts: Counter[str] = Counter()
    by_id: dict[str, Reading] = {}
    for concept in draft.concepts:
        for reading in concept.within(ids):
            counts[reading.doc_id] += 1
            by_id[reading.doc_id] = reading
    best = [by_id[doc_id] for doc_id, _ in counts.most_common(_RESOURCES)]
    return sorted(best, key=_level)


def _level(reading: Reading) -> int:
    return _LEVELS.index(reading.level) if reading.level in _LEVELS else 1


def _learning_path(resources: Sequence[Reading], missing: Sequence[str]) -> list[str]:
    path = [f"Read “{reading.title[:_MAX_TITLE]}” ({reading.level or 'any level'})." for reading in resources]
    return path + [f"Find a source on {name}: your library has none that is about it." for name in missing]


def _reasons(
    readings: Sequence[Reading], concepts: dict[str, _Concept], *, found: int
) -> tuple[list[str], list[str]]:
    """Return in words why there is nothing, and what to do."""
    if found:
        return [], []
    if not readings:
        return ["The library is empty."], [f"Add at least {MIN_DOCUMENTS} documents on one topic."]
    if len(readings) < MIN_DOCUMENTS:
        more = MIN_DOCUMENTS - len(readings)
        return (
            [f"The library has {len(readings)} of the {MIN_DOCUMENTS} documents that suggestions need."],
            [f"Add {more} more, best on the topic of those that are there."],
        )
    if not concepts:
        return ["No concepts were found in the documents."], ["Add documents with running text."]
    return (
        ["No topic has two concepts that a project could join."],
        ["Add longer documents, or more of them on the topics that are there."],
    )
