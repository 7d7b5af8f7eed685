"""A large library, filled in a tenth of the time: what is the same at every size is not done by the service's code.

The author of a text tells its concepts, terms and cluster; signatures and search words are computed ahead by other
processes; the search index takes in thousands of documents at once. All else is the service's own publication.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Any, Final, NamedTuple

from bench.filling import Library, replaced
from bench.texts import Author
from chalicelib.ingest.document import Extracted
from chalicelib.jobs.run import Run
from chalicelib.knowledge.clusters import joined
from chalicelib.knowledge.concepts import Concept, ConceptReport
from chalicelib.knowledge.minhash import Signature, signature
from chalicelib.knowledge.searchwords import impacts
from chalicelib.library import searchindex
from chalicelib.library.assignment import Assignment, Choice
from chalicelib.tasks import ingestion
from chalicelib.tasks.concepts import FoundConcepts
from chalicelib.tasks.tidy_library import tidy_library
from tests import memory

_LEVELS: Final = ("beginner", "intermediate", "advanced")
_PROCESSES: Final = 3
_BATCH: Final = 2000
# So many documents come between two tidyings, and one step of them takes all in.
_TIDIED: Final = 5000


class Prepared(NamedTuple):
    """A text, and what was found out ahead."""

    text: str
    topic: int
    signature: Signature | None
    words: dict[str, int]


def prepare(text: str, topic: int, name: str) -> Prepared:
    """Find out what other processes can."""
    return Prepared(text, topic, signature(text), impacts(text, (name, f"{name}.txt")))


def fill(library: Library, author: Author, texts: Iterator[str], size: int) -> None:
    """Let a library grow to a size."""
    hurry = Hurry(author)
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool, hurry.at_work():
        for start in range(len(library.ids), size, _BATCH):
            places = range(start, min(size, start + _BATCH))
            batch = [(text, author.topic) for text in islice(texts, len(places))]
            names = [f"document {place}" for place in places]
            for place, ready in zip(
                places, pool.map(prepare, *zip(*batch, strict=True), names, chunksize=50), strict=True
            ):
                hurry.ready = ready
                library.add(ready.text, place)
                if place % _TIDIED == _TIDIED - 1:
                    library.upkeep("tidy_library", tidy_library)


class Hurry:
    """Stands in for what takes longest. Which cluster a topic has is found out with its first text."""

    def __init__(self, author: Author) -> None:
        self.author = author
        self.ready = Prepared("", 0, None, {})
        self._homes: dict[int, str] = {}
        self._choose = Assignment.choose

    def at_work(self) -> Any:
        """Stand in meanwhile."""

        def choice(
            assignment: Assignment, vector: Mapping[str, float], concepts: list[str], **options: Any
        ) -> Choice:
            return self._choice(assignment, vector, concepts)

        return replaced(
            {
                (ingestion, "find_concepts"): self._concepts,
                (ingestion, "term_vector"): lambda _text: dict.fromkeys(self._topic()[:16], 0.25),
                (ingestion, "signature"): lambda _text: self.ready.signature,
                (ingestion, "impacts"): lambda _text, _names: self.ready.words,
                (Assignment, "choose"): choice,
                (searchindex, "_MAX_FRESH"): _TIDIED,
                # No transaction of DynamoDB's takes so many: the table in memory must not mind.
                (memory, "_MAX_WRITES"): 2 * _TIDIED,
            }
        )

    def _topic(self) -> list[str]:
        return self.author.topics[self.ready.topic]

    def _concepts(self, _run: Run, _extracted: Extracted) -> FoundConcepts:
        words = self._topic()[:8]
        found = tuple(Concept(name=word, category="concept", confidence=0.5) for word in words)
        level = _LEVELS[self.ready.topic % len(_LEVELS)]
        return FoundConcepts(ConceptReport(concepts=found, primary_topic=words[0], skill_level=level))

    def _choice(self, assignment: Assignment, vector: Mapping[str, float], concepts: list[str]) -> Choice:
        before = assignment.clusters.find(self._homes.get(self.ready.topic, ""))
        if before:
            return Choice(before=before, after=joined(before, vector, concepts))
        found = self._choose(assignment, vector, concepts)
        self._homes[self.ready.topic] = found.after.cluster_id
        return found
