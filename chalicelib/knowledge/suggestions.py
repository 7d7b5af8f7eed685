"""Projects that a library's own documents support, offline: drafts in words, each with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from chalicelib.knowledge.clusters import Centroid
from chalicelib.knowledge.holdings import (
    LEVELS,
    Concept,
    Reading,
    Topic,
    concepts_of,
    covers,
    distinct,
    gaps_of,
    grade,
    resource,
    topics_of,
)
from chalicelib.knowledge.suggestion_catalogue import Shape
from chalicelib.knowledge.suggestion_drafts import (
    LEAST_DOCUMENTS,
    Draft,
    best_of,
    bridge_drafts,
    cluster_drafts,
    coverage_of,
    gap_drafts,
)

__all__ = ["METHOD", "MIN_DOCUMENTS", "Reading", "suggest"]

METHOD: Final = "offline"
# Fewer documents than this support no project.
MIN_DOCUMENTS: Final = 3
_EVIDENCE: Final = 3
_RESOURCES: Final = 5
_MAX_TITLE: Final = 200
# Topics that are named where there is nothing to suggest.
_NAMED_TOPICS: Final = 3


def suggest(clusters: Sequence[Centroid], readings: Sequence[Reading], *, number: int) -> dict[str, Any]:
    """Return `{suggestions, method, summary, gaps, reasons, next_steps}`, at most `number` of them.

    A library that supports none gets an empty list, and reasons and next steps in words.
    """
    different = distinct(readings)
    concepts = concepts_of(different)
    topics = topics_of(clusters, different, concepts)
    gaps = gaps_of(concepts, len(different))
    drafts = [*cluster_drafts(topics, concepts), *bridge_drafts(topics, concepts)]
    drafts += gap_drafts(topics, concepts, gaps)
    enough = len(readings) >= MIN_DOCUMENTS
    chosen = best_of(drafts, concepts, number) if enough else []
    reasons, next_steps = ([], []) if chosen else _reasons(readings, topics)
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


# --- In words ------------------------------------------------------------------------------------------------


def _suggestion(draft: Draft, concepts: dict[str, Concept], gaps: Sequence[Concept]) -> dict[str, Any]:
    coverage = coverage_of(draft, concepts)
    missing = _missing(draft, concepts, gaps)
    level = _complexity(draft)
    resources = _resources(draft)
    words = draft.words

    def fill(template: str) -> str:
        text = template.format(**words)
        return text[0].upper() + text[1:]

    return {
        "title": fill(draft.shape.title),
        "description": fill(draft.shape.description),
        "feasibility": grade(coverage - 0.1 * len(missing)),
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
        "knowledge_coverage": grade(coverage),
        "coverage_score": round(coverage, 3),
        "evidence": _evidence(draft),
        "recommended_resources": [resource(reading) for reading in resources],
        "starter_code": None,
        "file_structure": None,
        "troubleshooting_tips": None,
        "shape": draft.shape.key,
        "method": METHOD,
    }


def _missing(draft: Draft, concepts: dict[str, Concept], gaps: Sequence[Concept]) -> list[str]:
    """Return prerequisites that no document has, and gaps of the topics concerned, at most two."""
    ids = {topic.cluster.cluster_id for topic in draft.topics}
    absent = [name for name in draft.shape.prerequisites if not covers(concepts, name)]
    used = [draft.other] if draft.shape.ground == "gap" and draft.other else []
    near = [gap for gap in gaps if gap not in used and any(read.cluster_id in ids for read in gap.mentions)]
    return list(dict.fromkeys([*absent, *(gap.name for gap in [*used, *near[:2]])]))


def _complexity(draft: Draft) -> str:
    """Return the level that most of the documents concerned are for; a project of two topics is a step harder."""
    counts = sum((topic.levels for topic in draft.topics), Counter[str]())
    most = max(LEVELS, key=lambda level: counts[level]) if counts else "intermediate"
    step = LEVELS.index(most) + (len(draft.topics) > 1)
    return LEVELS[min(step, len(LEVELS) - 1)]


def _effort(shape: Shape, level: str, missing: int) -> str:
    """Return working days in words: the shape's, half as many again for the advanced, one for each thing to learn."""
    factor = 1.5 if level == "advanced" else 1.0
    low, high = (round(days * factor) + missing for days in shape.days)
    return f"{low}-{high} days"


def _evidence(draft: Draft) -> list[dict[str, str]]:
    """Return for each concept in the draft up to three documents that have it, those about it first."""
    ids = [topic.cluster.cluster_id for topic in draft.topics]
    return [
        {"doc_id": reading.doc_id, "concept": concept.name, "title": reading.title[:_MAX_TITLE]}
        for concept in draft.concepts
        for reading in concept.within(ids)[:_EVIDENCE]
    ]


def _resources(draft: Draft) -> list[Reading]:
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
    return LEVELS.index(reading.level) if reading.level in LEVELS else 1


def _learning_path(resources: Sequence[Reading], missing: Sequence[str]) -> list[str]:
    path = [f"Read “{reading.title[:_MAX_TITLE]}” ({reading.level or 'any level'})." for reading in resources]
    return path + [f"Find a source on {name}: your library has none that is about it." for name in missing]


def _reasons(readings: Sequence[Reading], topics: Sequence[Topic]) -> tuple[list[str], list[str]]:
    """Return in words why there is nothing, and what to do."""
    if not readings:
        return ["The library is empty."], [f"Add at least {MIN_DOCUMENTS} documents on one topic."]
    if len(readings) < MIN_DOCUMENTS:
        more = MIN_DOCUMENTS - len(readings)
        return (
            [f"The library has {len(readings)} of the {MIN_DOCUMENTS} documents that suggestions need."],
            [f"Add {more} more, best on the topic of those that are there."],
        )
    if not any(reading.keys for reading in readings):
        return ["No concepts were found in the documents."], ["Add documents with running text."]
    if all(len(topic.readings) < LEAST_DOCUMENTS for topic in topics):
        return (
            [
                f"The {len(readings)} documents are on as many topics: nothing can be built on one document alone."
            ],
            [f"Add another document on “{topic.cluster.name}”." for topic in topics[:_NAMED_TOPICS]]
            or ["Add more documents on the topics that are there."],
        )
    return (
        ["No topic has two concepts that stand together and of which enough is known."],
        ["Add longer documents, or more of them on the topics that are there."],
    )
