"""Counting a library page by page, newest first, in bounded memory: figures for four periods in one pass.

As documents come newest first, what has been counted when the first document older than seven days is met *is* the
figure for seven days; so one running count serves all periods.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime
from typing import Final

import msgspec

from chalicelib.library.documents import Document, Documents

# Days of each period, the shortest first; 0: all there is.
PERIODS: Final[dict[str, int]] = {"7d": 7, "30d": 30, "90d": 90, "all": 0}
DAY_MS: Final = 86_400_000
_PAGE: Final = 100
# Different concepts that are counted at once; beyond, the rarest half is dropped (and `pruned` set).
MAX_COUNTED: Final = 50_000
# What is kept of each distribution, and of the newest documents.
_TOP: Final = 50
_TOP_CONCEPTS: Final = 20
_RECENT: Final = 20
_MAX_TITLE: Final = 200


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one period. Distributions have their largest values only."""

    documents: int
    # Different clusters and concepts; of concepts at least so many.
    clusters: int
    concepts: int
    # Documents by source type, by skill level, by cluster id, by concept: the most frequent first.
    source_types: dict[str, int]
    skill_levels: dict[str, int]
    by_cluster: dict[str, int]
    top_concepts: dict[str, int]


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """One of the newest documents."""

    doc_id: str
    title: str
    source_type: str
    cluster_id: str
    # Milliseconds since the epoch.
    created_at: int


class Tally(msgspec.Struct, kw_only=True):
    """What has been counted so far; msgpack keeps it for the next run."""

    # When the counting began, in milliseconds since the epoch.
    as_of: int
    # Documents that had been deleted by then: `documents.Counts.removed`.
    removed: int = 0
    documents: int = 0
    source_types: dict[str, int] = {}
    skill_levels: dict[str, int] = {}
    clusters: dict[str, int] = {}
    concepts: dict[str, int] = {}
    pruned: bool = False
    # Documents by day (UTC, ISO 8601); days without one are absent.
    days: dict[str, int] = {}
    recent: list[Recent] = []
    # Periods that are counted to their end.
    periods: dict[str, Figures] = {}
    # Last document counted, and whether it was the library's last.
    after: str | None = None
    done: bool = False


def read_page(documents: Documents, tally: Tally) -> None:
    """Count the next page; at the library's end close all periods and set `done`. Raise Unavailable."""
    page = documents.page(limit=_PAGE, after=tally.after)
    for document in page.documents:
        _close(tally, document.created_at)
        _count(tally, document)
    tally.after = page.last
    if page.last is None:
        for period in PERIODS:
            tally.periods.setdefault(period, _figures(tally))
        tally.done = True


def day_of(milliseconds: int) -> str:
    """Return the day (UTC) of a time: 2026-01-31."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()


def begin_of(period: str, now: int) -> int:
    """Return the first millisecond of a period that ends now: the midnight (UTC) at which its first day begins."""
    days = PERIODS[period]
    return now - now % DAY_MS - (days - 1) * DAY_MS if days else 0


def _close(tally: Tally, created_at: int) -> None:
    """Keep the figures of each period that a document of this time is too old for."""
    for period in PERIODS:
        if period not in tally.periods and created_at < begin_of(period, tally.as_of):
            tally.periods[period] = _figures(tally)


def _count(tally: Tally, document: Document) -> None:
    tally.documents += 1
    _add(tally.days, day_of(document.created_at))
    _add(tally.source_types, document.source_type or "unknown")
    _add(tally.skill_levels, document.skill_level or "unknown")
    _add(tally.clusters, document.cluster_id)
    for name in {str(concept["name"]) for concept in document.concepts}:
        _add(tally.concepts, name)
    if len(tally.concepts) > MAX_COUNTED:
        tally.concepts = _most(tally.concepts, MAX_COUNTED // 2)
        tally.pruned = True
    if len(tally.recent) < _RECENT:
        tally.recent.append(
            Recent(
                doc_id=document.doc_id,
                title=(document.title or document.filename)[:_MAX_TITLE],
                source_type=document.source_type,
                cluster_id=document.cluster_id,
                created_at=document.created_at,
            )
        )


def _add(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _figures(tally: Tally) -> Figures:
    return Figures(
        documents=tally.documents,
        clusters=len(tally.clusters),
        concepts=len(tally.concepts),
        source_types=_most(tally.source_types, _TOP),
        skill_levels=_most(tally.skill_levels, _TOP),
        by_cluster=_most(tally.clusters, _TOP),
        top_concepts=_most(tally.concepts, _TOP_CONCEPTS),
    )


def _most(counts: dict[str, int], number: int) -> dict[str, int]:
    return dict(heapq.nsmallest(number, counts.items(), key=lambda item: (-item[1], item[0])))
