"""An owner's figures as one item: written by the job `refresh_analytics`, read by `GET /analytics`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from chalicelib.aws.expressions import Delete, Key, Put
from chalicelib.aws.table import Table
from chalicelib.jobs.job import Job, isoformat
from chalicelib.jobs.states import State
from chalicelib.library.analytics_jobs import JobFigures, figures_of
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Counts, Documents, partition
from chalicelib.library.tally import PERIODS, Figures, Recent, Tally, begin_of

# A snapshot older than this is made anew when it is asked for; one that misses documents, after the shorter time.
MAX_AGE_MS: Final = 10 * 60_000
MIN_AGE_MS: Final = 60_000
_MAX_DAYS: Final = 3660
_RECENT: Final = 20
_NOTHING: Final = Figures(
    documents=0, clusters=0, concepts=0, source_types={}, skill_levels={}, by_cluster={}, top_concepts={}
)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of one owner as they were at one time."""

    # Milliseconds since the epoch; 0: never computed.
    as_of: int = 0
    # Documents that had been deleted by then (`Counts.removed`); another number now: it tells of one that is gone.
    removed: int = 0
    # Figures, and what jobs took, by period ("7d", "30d", "90d", "all").
    periods: dict[str, Figures] = {}
    jobs: dict[str, JobFigures] = {}
    # Documents by day (UTC); days without one are absent.
    days: dict[str, int] = {}
    # The newest documents.
    recent: list[Recent] = []
    # The newest failed jobs: id, file name and time.
    failures: list[dict[str, Any]] = []
    # Names of the clusters in `periods` and `recent`.
    names: dict[str, str] = {}
    # Rare concepts were left out of the count.
    pruned: bool = False

    @property
    def documents(self) -> int:
        """How many documents were counted."""
        return self.periods["all"].documents if "all" in self.periods else 0


def snapshot_of(table: Table, owner: str, tally: Tally, jobs: Sequence[Job]) -> Snapshot:
    """Return the snapshot of a tally that is done and of the jobs that have ended. Raise Unavailable."""
    shown = {cluster_id for figures in tally.periods.values() for cluster_id in figures.by_cluster}
    shown |= {recent.cluster_id for recent in tally.recent}
    since = {period: begin_of(period, tally.as_of) for period in PERIODS}
    return Snapshot(
        as_of=tally.as_of,
        removed=tally.removed,
        periods=tally.periods,
        jobs={
            period: figures_of(job for job in jobs if job.created_at >= begin)
            for period, begin in since.items()
        },
        days=dict(sorted(tally.days.items())[-_MAX_DAYS:]),
        recent=tally.recent,
        failures=[
            {"job_id": job.job_id, "filename": job.filename[:200], "at": job.finished_at}
            for job in jobs
            if job.state is State.FAILURE
        ][:_RECENT],
        names=Clusters(table, owner).names(shown),
        pruned=tally.pruned,
    )


def put_snapshot(owner: str, snapshot: Snapshot) -> Put:
    """Build the write that replaces an owner's snapshot."""
    # As JSON text: one attribute, under 200 KB whatever the library holds.
    text = msgspec.json.encode(snapshot).decode()
    pk, sk = _key(owner)
    return Put(item={"pk": pk, "sk": sk, "snapshot": text})


def find_snapshot(table: Table, owner: str) -> Snapshot | None:
    """Return an owner's snapshot, or None. Raise Unavailable."""
    item = table.get(_key(owner))
    return msgspec.json.decode(item["snapshot"], type=Snapshot) if item else None


def forget_snapshot(owner: str) -> Delete:
    """Build the write that drops an owner's snapshot, if there is one."""
    return Delete(key=_key(owner))


def forget_if_it_tells_of_the_deleted(table: Table, owner: str) -> None:
    """Drop a snapshot that was counted before a document was deleted. Raise Unavailable."""
    snapshot = find_snapshot(table, owner)
    counted = Counts(documents=snapshot.documents, removed=snapshot.removed) if snapshot else None
    if counted and some_are_gone(counted, Documents(table, owner).counts()):
        table.write(forget_snapshot(owner))


def some_are_gone(counted: Counts, now: Counts) -> bool:
    """Tell whether documents that were counted were deleted since; an empty library has forgotten how many were."""
    return counted.removed != now.removed or counted.documents > now.documents


def _key(owner: str) -> Key:
    return (partition(owner), "ANALYTICS")


def is_stale(snapshot: Snapshot | None, *, now: int, counts: Counts) -> bool:
    """Tell whether the figures are to be made anew, `counts` being those of now."""
    if snapshot is None:
        return True
    age = now - snapshot.as_of
    changed = (snapshot.documents, snapshot.removed) != (counts.documents, counts.removed)
    return age > MAX_AGE_MS or (age > MIN_AGE_MS and changed)


def report(snapshot: Snapshot, period: str, *, now: int) -> dict[str, Any]:
    """Return a snapshot as it is told for one period; one never computed has zeros and `as_of` null.

    Days are those of `now` (ms since the epoch, UTC), so that a snapshot of yesterday says nothing of today.
    """
    figures = snapshot.periods.get(period, _NOTHING)
    everything = snapshot.periods.get("all", _NOTHING)
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    return {
        "time_period": period,
        "as_of": isoformat(snapshot.as_of),
        "overview": {
            "total_documents": everything.documents,
            "total_clusters": everything.clusters,
            "total_concepts": everything.concepts,
            "concepts_complete": not snapshot.pruned,
            "documents_today": _since(snapshot.days, today, 1),
            "documents_this_week": _since(snapshot.days, today, 7),
            "documents_this_month": _since(snapshot.days, today, 30),
            "documents_in_period": figures.documents,
        },
        "time_series": _series(snapshot.days, period, today),
        "distributions": {
            "source_types": figures.source_types,
            "skill_levels": figures.skill_levels,
            "clusters": [
                {"cluster_id": cluster_id, "name": snapshot.names.get(cluster_id, ""), "documents": count}
                for cluster_id, count in figures.by_cluster.items()
            ],
        },
        "top_concepts": [{"name": name, "documents": count} for name, count in figures.top_concepts.items()],
        "recent_activity": _activity(snapshot),
        "processing": msgspec.to_builtins(snapshot.jobs.get(period, JobFigures())),
    }


def _since(days: dict[str, int], today: date, number: int) -> int:
    first = (today - timedelta(days=number - 1)).isoformat()
    return sum(count for day, count in days.items() if first <= day <= today.isoformat())


def _series(days: dict[str, int], period: str, today: date) -> list[dict[str, Any]]:
    """Return each day of a period with its documents, zeros included, the oldest first."""
    number = PERIODS[period]
    if not number:
        first = date.fromisoformat(min(days, default=today.isoformat()))
        number = min(_MAX_DAYS, max(1, (today - first).days + 1))
    wanted = [(today - timedelta(days=back)).isoformat() for back in reversed(range(number))]
    return [{"date": day, "documents": days.get(day, 0)} for day in wanted]


def _activity(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return the newest documents and failed jobs, the newest first."""
    events: list[tuple[int, dict[str, Any]]] = [
        (
            recent.created_at,
            {
                "type": "document_added",
                "doc_id": recent.doc_id,
                "title": recent.title,
                "source_type": recent.source_type,
                "cluster_id": recent.cluster_id,
                "cluster_name": snapshot.names.get(recent.cluster_id, ""),
            },
        )
        for recent in snapshot.recent
    ]
    events += [
        (failure["at"], {"type": "job_failed", "job_id": failure["job_id"], "filename": failure["filename"]})
        for failure in snapshot.failures
    ]
    events.sort(key=lambda event: -event[0])
    return [{**event, "at": isoformat(at)} for at, event in events[:_RECENT]]
