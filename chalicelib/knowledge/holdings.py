"""What a library holds, as suggestions see it: concepts over all documents, topics, gaps.

What counts: how much of a topic is covered (documents), how deep (documents with the concept in focus), for which
readers (levels), and what many documents mention and almost none is about (gaps). Pure functions; the figures here
are judgement, not measurement, and are stated where they stand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from chalicelib.knowledge.clusters import Centroid, is_catch_all
from chalicelib.knowledge.minhash import PACKED_BYTES, Kind, Signature, likeness
from chalicelib.knowledge.tokens import stem

# A document is about its first concepts, and mentions the others.
FOCUS: Final = 3
# A gap: in at least so many documents and this share of them, in focus in at most this share of those that have it.
GAP_DOCUMENTS: Final = 3
GAP_SHARE: Final = 0.05
GAP_FOCUS: Final = 0.15
# A concept is known well with so many documents; one in focus counts twice.
KNOWN_WELL: Final = 6
# Documents of one topic with so much of their concepts in common are versions of one another: the newest counts.
SAME: Final = 0.8
LEVELS: Final = ("beginner", "intermediate", "advanced")
# Persons and places are no knowledge to acquire.
_NO_GAPS: Final = frozenset({"name"})
# Topics and, in each, concepts that are tried.
_TOPICS: Final = 30
_CONCEPTS: Final = 12
_GAPS: Final = 10
_MAX_TITLE: Final = 200
# What designers fill pages with: the words that stand for it alone, and those that are Latin besides.
_FILLING: Final = frozenset({"lorem", "ipsum"})
_PLACEHOLDERS: Final = frozenset(
    (
        "dolor", "sit", "amet", "consectetur", "consetetur", "consectetuer", "adipiscing", "adipisicing",
        "sadipscing", "elit", "elitr", "sed", "diam", "nonumy", "eirmod", "eiusmod", "tempor", "incididunt",
        "invidunt", "ut", "labore", "et", "dolore", "magna", "aliqua", "aliquyam", "erat", "voluptua", "vero",
        "eos", "accusam", "justo", "duo", "dolores", "ea", "rebum", "stet", "clita", "kasd", "gubergren",
        "takimata", "sanctus", "est",
    )
)  # fmt: skip
# Ends of a firm's name, and what stands before a single customer's.
_FIRMS: Final = frozenset({"ltd", "inc", "llc", "llp", "plc", "gmbh", "corp", "sarl", "bv", "oy", "ag"})
_PARTIES: Final = frozenset(
    {"customer", "client", "supplier", "vendor", "buyer", "seller", "kunde", "lieferant"}
)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one document."""

    doc_id: str
    title: str
    cluster_id: str
    # beginner, intermediate, advanced, or empty.
    level: str
    # Names and categories, the leading one first.
    concepts: list[tuple[str, str]]
    # What versions of it are told by: `minhash.Signature`, packed; empty where it has none.
    signature: bytes = b""

    @property
    def keys(self) -> list[str]:
        """By what its concepts are found, the leading one first, each once."""
        return list(dict.fromkeys(concept_key(name) for name, _ in self.concepts if is_knowledge(name)))


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


def distinct(readings: Sequence[Reading]) -> list[Reading]:
    """Return the documents without older versions of the same, which would count for knowledge twice.

    Versions are what the library shows as near duplicates, and documents of one topic with nearly the same concepts.
    What a larger document has in it whole counts with that one.
    """
    kept: list[Reading] = []
    by_cluster: dict[str, list[frozenset[str]]] = {}
    repeats = _repeats(readings)
    for place, reading in enumerate(readings):
        keys = frozenset(reading.keys)
        there = by_cluster.setdefault(reading.cluster_id, [])
        same = keys and any(len(keys & other) >= SAME * len(keys | other) for other in there)
        if same or place in repeats:
            continue
        there.append(keys)
        kept.append(reading)
    return kept


def _repeats(readings: Sequence[Reading]) -> set[int]:
    """Return the places of documents that nearly repeat a newer one, or are in a larger one; by their signatures."""
    found: set[int] = set()
    bands: dict[str, list[int]] = {}
    signatures: dict[int, Signature] = {}
    for place, reading in enumerate(readings):
        if len(reading.signature) != PACKED_BYTES:
            continue
        signatures[place] = mine = Signature.unpack(reading.signature)
        keys = mine.bands()
        for other in sorted({other for key in keys for other in bands.get(key, [])} - found):
            alike = likeness(mine, signatures[other])
            if alike and alike.kind == Kind.OVERLAP and mine.shingles > signatures[other].shingles:
                found.add(other)
            elif alike:
                found.add(place)
                break
        for key in keys:
            bands.setdefault(key, []).append(place)
    return found


def is_knowledge(name: str) -> bool:
    """Tell whether a concept may be learned: not what fills a page for its looks, nor who one trades with."""
    words = re.findall(r"[^\W\d_]+", name.casefold())
    if not words or _FILLING & set(words) or _PLACEHOLDERS.issuperset(words):
        return False
    return not (_FIRMS & set(words[1:]) or (len(words) > 1 and words[0] in _PARTIES and name != name.lower()))


def covers(concepts: dict[str, Concept], name: str) -> bool:
    """Tell whether a concept is a kind of `name`: "load test" is one of "testing", "test file" is none."""
    wanted = [stem(word) for word in name.lower().split()]
    return any(_ends_with([stem(word) for word in key.split()], wanted) for key in concepts)


def _ends_with(words: list[str], wanted: list[str]) -> bool:
    return bool(wanted) and words[-len(wanted) :] == wanted


def concept_key(name: str) -> str:
    """Return by what a concept is found, however it is written."""
    return " ".join(name.casefold().split())


def concepts_of(readings: Sequence[Reading]) -> dict[str, Concept]:
    """Return all concepts of the documents, by their keys."""
    found: dict[str, Concept] = {}
    for reading in readings:
        unique = {
            concept_key(name): (name, category) for name, category in reading.concepts if is_knowledge(name)
        }
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
    named = [cluster for cluster in clusters if not is_catch_all(cluster)]
    largest = sorted(named, key=lambda cluster: (-cluster.size, cluster.cluster_id))
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
        counts.update(reading.keys)
        counts.update(reading.keys[:FOCUS])
    ranked = sorted(counts, key=lambda key: (-counts[key], -len(concepts[key].mentions), key))
    return ranked[:_CONCEPTS]


def gaps_of(concepts: dict[str, Concept], documents: int) -> list[Concept]:
    """Return concepts that many documents mention and almost none is about, the most mentioned first."""
    least = max(GAP_DOCUMENTS, GAP_SHARE * documents)
    found = [
        concept
        for concept in concepts.values()
        if concept.category not in _NO_GAPS
        and len(concept.mentions) >= least
        and len(concept.focus) <= GAP_FOCUS * len(concept.mentions)
    ]
    return sorted(found, key=lambda concept: (-len(concept.mentions), concept.name))[:_GAPS]


# --- In words ------------------------------------------------------------------------------------------------


def grade(score: float) -> str:
    """Return a score from 0 to 1 as high, medium or low."""
    if score >= 0.7:
        return "high"
    return "medium" if score >= 0.4 else "low"


def resource(reading: Reading) -> dict[str, str]:
    """Return a document as something to read."""
    title = reading.title[:_MAX_TITLE]
    return {"doc_id": reading.doc_id, "title": title, "skill_level": reading.level}
