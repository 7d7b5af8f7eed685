"""Which cluster a document joins, at a price that does not grow with the library.

One query reads the library's counts and the clusters that came after the directory was made; the directory, which a
process reads once, names a few candidates among the others; one batch read gets these. A library too young to have a
directory is read whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from chalicelib.aws.expressions import Item
from chalicelib.aws.table import Table
from chalicelib.errors import TransientError
from chalicelib.jobs.job import new_id, now_ms
from chalicelib.knowledge.clusters import CATCH_ALL, MAX_CLUSTERS, Centroid, founded, joined, nearest
from chalicelib.knowledge.directory import Directory
from chalicelib.library import regroup_jobs
from chalicelib.library.clusters import Clusters, cluster_key, from_item
from chalicelib.library.directory import Generation, StoredDirectory
from chalicelib.library.documents import counts_key, partition
from chalicelib.logs import logger

# Clusters that are not in the directory: the newest so many are looked at, and from so many on it is made anew.
RECENT: Final = 64
REPLACED_AT: Final = 24
_TRIES: Final = 3


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document goes."""

    # The cluster as it was read; None: `after` is new.
    before: Centroid | None
    # The cluster with the document.
    after: Centroid


class _Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one assignment looks at."""

    # What the directory does not have.
    recent: list[Centroid]
    # The row of counts.
    counts: Item | None
    generation: Generation
    directory: Directory | None


class Assignment:
    """Finds clusters for documents of one owner."""

    def __init__(self, table: Table, owner: str) -> None:
        self.table = table
        self.owner = owner
        self.clusters = Clusters(table, owner)
        self._stored = StoredDirectory(table, owner)
        # What the last choice has seen that should be done.
        self._stale: Generation | None = None
        self._due = ""

    def choose(
        self, vector: Mapping[str, float], concepts: list[str], *, beside: Sequence[str] = ()
    ) -> Choice:
        """Return the cluster that a document joins, or founds.

        `beside` are the clusters of documents that it nearly repeats, the most similar first: it joins the first.
        """
        sight = self._look()
        full = self._number(sight) >= MAX_CLUSTERS
        before = self._first(beside) or self._nearest(sight, vector)
        if before is None and (full or not vector):
            return self._outside(vector, concepts)
        after = joined(before, vector, concepts) if before else founded(new_id(), vector, concepts)
        return Choice(before=before, after=after)

    def _first(self, cluster_ids: Sequence[str]) -> Centroid | None:
        """Return the first of these clusters that is there; never the catch-all, which nothing joins for likeness."""
        wanted = [cluster_id for cluster_id in dict.fromkeys(cluster_ids) if cluster_id != CATCH_ALL]
        there = self.clusters.find_many(wanted) if wanted else {}
        return next((there[cluster_id] for cluster_id in wanted if cluster_id in there), None)

    def nearest_but(self, cluster_id: str, vector: Mapping[str, float]) -> str:
        """Return the cluster that a document belongs to if not to this one; the catch-all where there is none."""
        found = self._nearest(self._look(), vector, without=cluster_id)
        return found.cluster_id if found else CATCH_ALL

    def _nearest(self, sight: _Sight, vector: Mapping[str, float], *, without: str = "") -> Centroid | None:
        candidates = {centroid.cluster_id: centroid for centroid in sight.recent}
        if sight.directory and (wanted := sight.directory.shortlist(vector)):
            candidates |= self.clusters.find_many(wanted)
        candidates.pop(without, None)
        return nearest(vector, candidates.values())

    def _outside(self, vector: Mapping[str, float], concepts: list[str]) -> Choice:
        """Return the cluster of what belongs nowhere, with the document."""
        before = self.clusters.find(CATCH_ALL)
        if before:
            return Choice(before=before, after=joined(before, vector, concepts))
        # Its id is used again when it was emptied, its versions never are.
        return Choice(before=None, after=founded(CATCH_ALL, vector, concepts, version=now_ms()))

    def follow_up(self) -> None:
        """Have done what the last choice has seen that it is time for. Failing does no harm.

        The directory is made anew here, for the next documents need it; a regrouping is asked for.
        """
        if self._due:
            regroup_jobs.request(self.table, self.owner, self._due)
        if self._stale is None:
            return
        try:
            self._stored.replace(self._stale, self.clusters.all)
        except TransientError as error:
            logger.warning("directory not made", extra={"owner": self.owner, "cause": error.message})

    def _number(self, sight: _Sight) -> int:
        """Return how many clusters there are, about, and note what it is time for."""
        known = set(sight.directory.cluster_ids) if sight.directory else set()
        new = sum(centroid.cluster_id not in known for centroid in sight.recent)
        self._stale = sight.generation if new >= REPLACED_AT else None
        self._due = regroup_jobs.due(sight.counts, len(known) + new)
        return len(known) + new

    def _look(self) -> _Sight:
        """Read the counts, and the clusters that are not in the directory."""
        guess = self._stored.last_seen()
        for _ in range(_TRIES):
            page = self.table.query(
                ("pk", partition(self.owner)),
                # `COUNTS` sorts right behind the newest cluster.
                sort=("sk", "between", (cluster_key(self.owner, guess.since)[1], counts_key(self.owner)[1])),
                limit=1 + RECENT,
                forward=False,
            )
            counts, recent = _read(page.items)
            generation = Generation.of(counts)
            if not generation.generation:
                everything = recent if page.next_key is None and not guess.since else self.clusters.all()
                return _Sight(recent=everything, counts=counts, generation=generation, directory=None)
            directory = self._stored.load(generation)
            if directory is not None and guess == generation:
                return _Sight(recent=recent, counts=counts, generation=generation, directory=directory)
            guess = generation
        return _Sight(recent=self.clusters.all(), counts=counts, generation=guess, directory=None)


def _read(items: list[Item]) -> tuple[Item | None, list[Centroid]]:
    """Return the row of counts, and the clusters behind it."""
    counts = next((item for item in items if item["sk"] == "COUNTS"), None)
    return counts, [from_item(item) for item in items if item is not counts]
