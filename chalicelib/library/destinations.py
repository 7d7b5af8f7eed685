"""Where a regrouping puts each document: communities as topics, what users have named, what is like nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from chalicelib.jobs.job import new_id
from chalicelib.knowledge.clusters import CATCH_ALL, MAX_CLUSTERS, Centroid, similarity, threshold_for
from chalicelib.library.wholelibrary import Sampled

# Topics up to which a document that is like nothing else gets one of its own: the rest is for what is to come.
_MOST_WITH_SINGLES: Final = MAX_CLUSTERS // 2


def kin_of(sampled: Sampled, cluster: Centroid) -> set[int]:
    """Return the places of the documents that are like a topic, by more than one word; its own, like its others."""
    found = set()
    for place, present in enumerate(sampled.cluster_ids):
        vector = sampled.vectors[place]
        alike = similarity(vector, cluster)
        if present == cluster.cluster_id and cluster.size > 1:
            alike = (alike * cluster.size - 1) / (cluster.size - 1)
        if alike >= threshold_for(vector) and sum(term in cluster.weights for term in vector) > 1:
            found.add(place)
    return found


def targets_of(
    sampled: Sampled, labels: Sequence[int], topics: Mapping[int, str], kin: Mapping[str, Collection[int]]
) -> dict[str, str]:
    """Return where each document belongs.

    A topic that its user has named (those of `kin`) never disappears: what is in it stays where it is like the rest
    of it, and all stays where no community is that topic. What is like nothing else is in a topic of its own.
    Communities beyond the most that there may be are none.
    """
    sizes = Counter(labels)
    new = {label: new_id() for label in sizes if 0 <= label < MAX_CLUSTERS and label not in topics}
    ids = {**topics, **new}
    taken = set(ids.values())
    own = set(kin) - taken
    stay = taken | own
    targets: dict[str, str] = {}
    for place, (doc_id, label) in enumerate(zip(sampled.doc_ids, labels, strict=True)):
        present = sampled.cluster_ids[place]
        if not sampled.vectors[place]:
            targets[doc_id] = CATCH_ALL
        elif present in own or place in kin.get(present, ()):
            targets[doc_id] = present
        elif label in ids:
            targets[doc_id] = ids[label]
        elif present == CATCH_ALL or (label >= 0 and present in stay):
            targets[doc_id] = present
        elif present not in stay:
            targets[doc_id] = present
            stay.add(present)
        elif len(stay) < _MOST_WITH_SINGLES:
            targets[doc_id] = new_id()
            stay.add(targets[doc_id])
        else:
            targets[doc_id] = CATCH_ALL
    return targets
