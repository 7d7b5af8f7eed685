"""`find_duplicates_background`: every near duplicate of a library, found anew; its result lists the groups."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chalicelib.errors import HandOver, InvalidRequest
from chalicelib.jobs.run import Publication, Run
from chalicelib.jobs.states import Stage
from chalicelib.knowledge.minhash import SURE
from chalicelib.library.documents import Documents
from chalicelib.library.duplicates import Duplicates, Group, Groups
from chalicelib.library.pairs import KEPT, Pairs
from chalicelib.library.rescan import Scan, alike, read_page

# What a result may hold: a row of the table has 400 KB.
_MAX_GROUPS: Final = 200
_MAX_LISTED: Final = 500
_MAX_TITLE: Final = 80
# With so little time left the next run goes on.
_LAST_SECONDS: Final = 60.0


def find_duplicates(run: Run) -> None:
    """Read all documents, compare those that share a band, keep pairs that were not known.

    Takes the parameter `threshold`. Raise InvalidRequest; HandOver where the time does not suffice.
    """
    threshold = checked_threshold(run.job.params.get("threshold", SURE))
    owner = run.job.owner
    scan = _scan(run)
    run.progress(Stage.CLUSTERING, f"Comparing {len(scan.ids):,} documents")
    kept = Pairs(run.table, owner)
    known = {(pair.newer, pair.older) for pair in kept.all()}
    added = 0
    for pair in alike(scan):
        if (pair.newer, pair.older) in known:
            continue
        added += kept.add(pair)
        if added % 100 == 0:
            run.progress(Stage.SAVING, f"{added:,} pairs found that were not known")
            _hand_over_in_time(run, scan)
    groups = Duplicates(run.table, owner).groups(threshold)
    result = {
        "documents": len(scan.ids),
        "pairs_added": added,
        "threshold": threshold,
        "group_count": len(groups.groups),
        "groups": _listed(Documents(run.table, owner), groups),
    }
    run.publish(lambda: Publication(result=result))


def checked_threshold(value: Any) -> float:
    """Return a threshold; raise InvalidRequest for what is no similarity that is kept."""
    try:
        threshold = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        threshold = 0.0
    if not KEPT <= threshold <= 1:
        raise InvalidRequest(f"threshold is a number from {KEPT} to 1.", field="threshold")
    return threshold


def _scan(run: Run) -> Scan:
    """Read all documents' signatures, from where an earlier run stopped."""
    saved = run.checkpoint.load()
    scan = msgspec.msgpack.decode(saved, type=Scan) if saved else Scan()
    total = max(1, Documents(run.table, run.job.owner).count())
    while not scan.done:
        read_page(run.table, run.job.owner, scan)
        share = len(scan.ids) / total
        run.progress(Stage.EXTRACTING_TEXT, f"{len(scan.ids):,} documents read", share=share)
        _hand_over_in_time(run, scan)
    return scan


def _hand_over_in_time(run: Run, scan: Scan) -> None:
    if run.seconds_left() < _LAST_SECONDS:
        run.checkpoint.save(msgspec.msgpack.encode(scan))
        raise HandOver(f"Going on after {len(scan.ids):,} documents", queue=run.job.queue)


def _listed(documents: Documents, found: Groups) -> list[dict[str, Any]]:
    """Return the groups for the job's result: as many as fit, the most similar first."""
    chosen: list[Group] = []
    left = _MAX_LISTED
    for group in found.groups[:_MAX_GROUPS]:
        if left < 2:
            break
        chosen.append(msgspec.structs.replace(group, members=group.members[:left]))
        left -= len(chosen[-1].members)
    there = documents.find_many(doc_id for group in chosen for doc_id in group.members) if chosen else {}
    return [
        {
            "group_id": group.group_id,
            "similarity": group.similarity,
            "documents": [
                {"doc_id": doc_id, "title": there[doc_id].title[:_MAX_TITLE]}
                for doc_id in group.members
                if doc_id in there
            ],
        }
        for group in chosen
    ]
