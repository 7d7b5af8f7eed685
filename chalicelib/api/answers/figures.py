"""Answers about a library in figures."""

from __future__ import annotations

from msgspec import Struct

from chalicelib.api.answers.base import Count, Day, Id, Moment
from chalicelib.api.answers.library import ConceptCount


class Overview(Struct, forbid_unknown_fields=True, kw_only=True):
    """Figures of the whole library, days being those of now in UTC."""

    total_documents: Count
    total_clusters: Count
    total_concepts: Count
    # False: rare concepts were left out of the count.
    concepts_complete: bool
    documents_today: Count
    documents_this_week: Count
    documents_this_month: Count
    documents_in_period: Count


class DayCount(Struct, forbid_unknown_fields=True, kw_only=True):
    """Documents of one day."""

    date: Day
    documents: Count


class ClusterCount(Struct, forbid_unknown_fields=True, kw_only=True):
    """Documents of one cluster."""

    cluster_id: Id
    name: str
    documents: Count


class Distributions(Struct, forbid_unknown_fields=True, kw_only=True):
    """Documents of the period by what they are, the most frequent first."""

    source_types: dict[str, int]
    skill_levels: dict[str, int]
    clusters: list[ClusterCount]


class DocumentAdded(Struct, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="document_added"):
    """A document came."""

    at: Moment
    doc_id: Id
    title: str
    source_type: str
    cluster_id: Id
    cluster_name: str


class JobFailed(Struct, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="job_failed"):
    """A job failed."""

    at: Moment
    job_id: Id
    filename: str


class JobFigures(Struct, forbid_unknown_fields=True, kw_only=True):
    """What the period's jobs took and cost: those among the newest 500 that have ended."""

    jobs: Count
    succeeded: Count
    failed: Count
    # Seconds from the start of the first run to the end, of those that ran.
    seconds_total: float
    seconds_mean: float
    seconds_median: float
    seconds_longest: float
    # On AWS, by the jobs' own reckoning.
    dollars: float
    # Jobs by task.
    tasks: dict[str, int]


class Analytics(Struct, forbid_unknown_fields=True, kw_only=True):
    """The library in figures."""

    # 7d, 30d, 90d or all.
    time_period: str
    # When they were counted; None: never yet.
    as_of: Moment | None
    overview: Overview
    # Every day of the period, the oldest first.
    time_series: list[DayCount]
    distributions: Distributions
    top_concepts: list[ConceptCount]
    # The newest first.
    recent_activity: list[DocumentAdded | JobFailed]
    processing: JobFigures
    # Newer figures are on their way.
    refreshing: bool
