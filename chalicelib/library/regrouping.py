"""Regrouping a library: its topics found anew, and each document moved to the one that it belongs to.

What is planned is carried out in small moves (`library.moves`), in any number of runs: the state between any two of
them is a valid one, documents may come, go and move meanwhile, and whoever starts again finds what is left to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from chalicelib.aws.expressions import Absent, Condition, Equals, Present, Update
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import ConditionFailed, Table
from chalicelib.errors import RetryAfter
from chalicelib.jobs.job import now_ms
from chalicelib.knowledge.clusters import (
    CATCH_ALL,
    MAX_CLUSTERS,
    Centroid,
    Share,
    gathered,
    is_catch_all,
    nearest,
    own_name,
)
from chalicelib.knowledge.directory import directory_of
from chalicelib.library.clusters import Clusters
from chalicelib.library.destinations import kin_of, targets_of
from chalicelib.library.directory import Generation, StoredDirectory
from chalicelib.library.documents import Document, concept_names, counts_key
from chalicelib.library.moves import Member, Moves
from chalicelib.library.wholelibrary import Sampled, WholeLibrary

# Documents whose moves are put together: the more, the fewer transactions.
_BLOCK: Final = 1000
# A regrouping that says nothing for so long is dead.
_ALONE_MS: Final = 15 * 60_000
_BUSY_SECONDS: Final = 30.0
_TRIES: Final = 3


class Plan(msgspec.Struct, kw_only=True):
    """Which document belongs where, and how far that is done; what a checkpoint holds."""

    documents: int
    clusters_before: int
    # Where the documents go whose likenesses were looked at.
    targets: dict[str, str]
    # The topics as they will be, for those whose likenesses were not; empty where there are none.
    centroids: list[Centroid] = []
    # Share of the documents that have a concept, by name.
    concept_shares: dict[str, float] = {}
    # Documents that were moved.
    moved: int = 0
    # The document that was looked at last.
    after: str = ""


class Guide:
    """Leads documents that are not in the sample to their topic."""

    def __init__(self, centroids: list[Centroid]) -> None:
        self._centroids = {centroid.cluster_id: centroid for centroid in centroids}
        self._directory = directory_of(centroids)

    def nearest(self, share: Share) -> str:
        """Return the topic that a document is most like."""
        candidates = [self._centroids[cluster_id] for cluster_id in self._directory.shortlist(share.vector)]
        found = nearest(share.vector, candidates, threshold=0.0)
        return found.cluster_id if found else CATCH_ALL


class Regrouping:
    """Regroups the library of one owner."""

    def __init__(self, table: Table, objects: Objects, owner: str) -> None:
        self.table = table
        self.owner = owner
        self.library = WholeLibrary(table, objects, owner)
        self.clusters = Clusters(table, owner)
        self.moves = Moves(table, owner)
        # What this process has read of the documents: after a hop, nothing.
        self._sampled = Sampled()
        self._places: dict[str, int] = {}

    # --- One at a time ---------------------------------------------------------------------------------------

    def claim(self, job_id: str) -> bool:
        """Become the only one that regroups this library; False where there is no library.

        Raise RetryAfter where another job does.
        """
        counts = self.table.get(counts_key(self.owner))
        if counts is None:
            return False
        until = counts.get("regroup_until", 0)
        if until > now_ms() and counts.get("regroup_by") != job_id:
            raise RetryAfter("The library is being regrouped already.", _BUSY_SECONDS)
        same: Condition = Equals("regroup_until", until) if until else Absent("regroup_until")
        fields = {"regroup_by": job_id, "regroup_until": now_ms() + _ALONE_MS}
        try:
            self.table.write(Update(key=counts_key(self.owner), set=fields, when=(Present("pk"), same)))
        except ConditionFailed:
            raise RetryAfter("The library is being regrouped already.", _BUSY_SECONDS) from None
        return True

    def release(self, job_id: str, *, documents: int, clusters: int) -> None:
        """Let others regroup this library, and remember what it was like."""
        done = Update(
            key=counts_key(self.owner),
            set={"regrouped": documents, "regrouped_clusters": clusters},
            remove=("regroup_by", "regroup_until"),
            when=(Equals("regroup_by", job_id),),
        )
        try:
            self.table.write(done)
        except ConditionFailed:
            return  # it was emptied, or this run took too long

    # --- Planning ----------------------------------------------------------------------------------------------

    def plan(self, goes_on: Callable[[int], bool], on_progress: Callable[[float], None]) -> Plan:
        """Read the library, find its topics, and return where each document belongs.

        `goes_on` is told how many documents were read, and may end the reading early; `on_progress` the share of the
        rest that is done.
        """
        # Late: only the container has what this needs.
        from chalicelib.knowledge import communities

        before = self.clusters.all()
        # Before the documents: see `_made_anew`.
        self.moves.untouched = {cluster.cluster_id: cluster.version for cluster in before}
        self._sampled = sampled = self.library.sample(goes_on)
        self._places = {doc_id: place for place, doc_id in enumerate(sampled.doc_ids)}
        labels = communities.labels_of(sampled.vectors, on_progress)
        named = [cluster for cluster in before if cluster.named_by_user and not is_catch_all(cluster)]
        kin = {cluster.cluster_id: kin_of(sampled, cluster) for cluster in named}
        there = ["" if cluster_id == CATCH_ALL else cluster_id for cluster_id in sampled.cluster_ids]
        topics = communities.matched(labels, there, kin=kin, most=MAX_CLUSTERS)
        targets = targets_of(sampled, labels, topics, kin)
        return Plan(
            documents=self.library.documents.count(),
            clusters_before=len(before),
            targets=targets,
            centroids=[] if sampled.complete else self._centroids(targets),
            concept_shares=sampled.concept_shares(),
        )

    def _centroids(self, targets: dict[str, str]) -> list[Centroid]:
        members: defaultdict[str, list[int]] = defaultdict(list)
        for doc_id, cluster_id in targets.items():
            members[cluster_id].append(self._places[doc_id])
        return [
            gathered(cluster_id, [self._sampled.share(place) for place in places])
            for cluster_id, places in members.items()
        ]

    # --- Carrying out ------------------------------------------------------------------------------------------

    def carry_out(self, plan: Plan) -> Iterator[None]:
        """Move documents until all are where they belong; yields after each block, and may be left there.

        Raise RetryAfter, Unavailable.
        """
        guide = Guide(plan.centroids) if plan.centroids else None
        for block in self._blocks(plan.after):
            for (source, target), members in sorted(self._groups(block, plan, guide).items()):
                moved = self.moves.move(members, source, target)
                plan.moved += len(moved)
                for doc_id in moved:
                    if doc_id in self._places:
                        self._sampled.cluster_ids[self._places[doc_id]] = target
            if block:
                plan.after = block[-1].doc_id
            yield

    def _groups(
        self, block: list[Document], plan: Plan, guide: Guide | None
    ) -> dict[tuple[str, str], list[Member]]:
        """Return the documents that must move, by where they are and where they belong.

        Of a library that was read whole, documents that came meanwhile stay where they are.
        """
        groups: defaultdict[tuple[str, str], list[Member]] = defaultdict(list)
        looked_at = [
            document
            for document in block
            if plan.targets.get(document.doc_id, "" if guide else document.cluster_id) != document.cluster_id
        ]
        for document, share in self._shares(looked_at):
            target = plan.targets.get(document.doc_id)
            if target is None and guide:
                target = guide.nearest(share)
            if target and target != document.cluster_id:
                groups[document.cluster_id, target].append(Member(doc_id=document.doc_id, share=share))
        return groups

    def _blocks(self, after: str) -> Iterator[list[Document]]:
        block: list[Document] = []
        for page in self.library.pages(after):
            block += page
            if len(block) >= _BLOCK:
                yield block
                block = []
        yield block

    def _shares(self, documents: list[Document]) -> Iterator[tuple[Document, Share]]:
        """Yield documents with what they add to sums, from memory as far as it is there."""
        unknown = []
        for document in documents:
            place = self._places.get(document.doc_id)
            if place is None:
                unknown.append(document)
            else:
                yield document, self._sampled.share(place)
        for document, vector in self.library.vectors(unknown):
            yield document, Share(vector, concept_names(document))

    # --- Names, sums, directory --------------------------------------------------------------------------------

    def finish(self, plan: Plan) -> int:
        """Make names and sums anew where that is due, and the directory; return how many clusters there are."""
        members: defaultdict[str, list[int]] = defaultdict(list)
        for place, cluster_id in enumerate(self._sampled.cluster_ids):
            members[cluster_id].append(place)
        number = 0
        for cluster in self.clusters.all():
            number += 1
            self._renew(cluster, members[cluster.cluster_id], plan)
        generation = Generation.of(self.table.get(counts_key(self.owner)))
        StoredDirectory(self.table, self.owner).replace(generation, self.clusters.all)
        return number

    def _renew(self, cluster: Centroid, places: list[int], plan: Plan) -> None:
        for _ in range(_TRIES):
            after = self._made_anew(cluster, places, plan.concept_shares)
            if after == msgspec.structs.replace(cluster, version=after.version):
                return
            try:
                self.table.write(self.clusters.save(cluster, after))
            except ConditionFailed:
                changed = self.clusters.find(cluster.cluster_id)
                if changed is None:
                    return
                cluster = changed
            else:
                return

    def _made_anew(self, cluster: Centroid, places: list[int], shares: dict[str, float]) -> Centroid:
        """Return a cluster with its name made anew, and its sums where its members are known for sure.

        That is so where nobody but this regrouping has changed it since before the documents were read. Then terms
        that were cut off as it grew, and what rounding has added up to, are as if all had come at once.
        """
        sure = self._sampled.complete and self.moves.untouched.get(cluster.cluster_id) == cluster.version
        if not sure or len(places) != cluster.size:
            return msgspec.structs.replace(
                cluster, name=own_name(cluster, shares), version=cluster.version + 1
            )
        made = gathered(
            cluster.cluster_id, [self._sampled.share(place) for place in places], version=cluster.version + 1
        )
        named = msgspec.structs.replace(made, name=cluster.name, named_by_user=cluster.named_by_user)
        return msgspec.structs.replace(named, name=own_name(named, shares))
