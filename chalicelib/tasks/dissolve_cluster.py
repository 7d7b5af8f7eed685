"""`dissolve_cluster`: a topic goes; its documents stay and join the topics that they are next most like."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from chalicelib.errors import HandOver
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import Stage
from chalicelib.knowledge.clusters import Share
from chalicelib.library.assignment import Assignment
from chalicelib.library.documents import Document, concept_names
from chalicelib.library.moves import Member, Moves
from chalicelib.library.wholelibrary import WholeLibrary

TASK: Final = "dissolve_cluster"
_PAGE: Final = 100
# With so little time left the next run goes on.
_LAST_SECONDS: Final = 60.0
# How often, and how far apart, the index is asked again while it names nobody.
_LOOKS: Final = 5
_PAUSE_SECONDS: Final = 0.4


def dissolve_cluster(run: Run) -> None:
    """Move all documents out of the cluster of the parameter `cluster_id`, which ends with the last one.

    Each joins the topic that it is most like, as if it came now; those like none go to the one for all that belongs
    nowhere, or the topic would come back under another id. Raise HandOver where the time does not suffice.
    """
    cluster_id = str(run.job.params.get("cluster_id", ""))
    library = WholeLibrary(run.table, run.objects, run.job.owner)
    assignment = Assignment(run.table, run.job.owner)
    moves = Moves(run.table, run.job.owner)
    moved: Counter[str] = Counter()
    for documents in _members(library, assignment, cluster_id):
        groups: defaultdict[str, list[Member]] = defaultdict(list)
        for document, vector in library.vectors(documents, lost=True):
            target = assignment.nearest_but(cluster_id, vector)
            share = Share(vector, concept_names(document))
            groups[target].append(Member(doc_id=document.doc_id, share=share))
        for target, members in sorted(groups.items()):
            moved[target] += len(moves.move(members, cluster_id, target))
        run.progress(Stage.CLUSTERING, f"{moved.total():,} documents moved")
        if run.seconds_left() < _LAST_SECONDS:
            raise HandOver(f"Going on after {moved.total():,} documents were moved", queue=run.job.queue)
    result = {"cluster_id": cluster_id, "moved": moved.total(), "clusters": dict(moved.most_common(50))}
    run.publish(lambda: Publication(result=result))


def _members(library: WholeLibrary, assignment: Assignment, cluster_id: str) -> Iterator[list[Document]]:
    """Yield documents of a cluster for as long as it has any.

    The index may be a moment behind. Where it names nobody although there are some, all documents are looked at.
    """
    looks = 0
    while assignment.clusters.find(cluster_id):
        found = library.documents.of_cluster(cluster_id, limit=_PAGE).documents
        if found:
            looks = 0
            yield found
        elif looks < _LOOKS:
            looks += 1
            time.sleep(_PAUSE_SECONDS)
        else:
            for page in library.pages():
                yield [document for document in page if document.cluster_id == cluster_id]
            return
