"""The parameters of queries, for openapi.json and the tests. `api.requests` and the routes read them.

A field is a parameter; the comment over it is its description.
"""

from __future__ import annotations

from typing import Annotated, Final, get_args

from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib.api.requests import MAX_PAGE
from chalicelib.ingest.formats import document_kinds
from chalicelib.jobs.history import WAITING
from chalicelib.jobs.states import State
from chalicelib.jobs.statistics import MAX_HOURS
from chalicelib.knowledge.skill import SkillLevel
from chalicelib.library.tally import PERIODS
from chalicelib.settings import QUEUES
from chalicelib.tasks.registry import TASKS


def _one_of(names: list[str]) -> Meta:
    return Meta(extra_json_schema={"enum": names})


_WHEN: Final = {
    "oneOf": [{"format": "date"}, {"format": "date-time"}],
    "examples": ["2026-01-31", "2026-01-31T12:00:00Z"],
}
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
Moment = Annotated[str, Meta(extra_json_schema=_WHEN)]
Words = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(max_length=64)]


class Page(Struct, kw_only=True):
    """Where to go on in a list."""

    # Entries of a page, at most.
    limit: Limit = 25
    # `next_cursor` of the page before, with otherwise the same parameters.
    cursor: str | UnsetType = UNSET


class Jobs(Page, kw_only=True):
    """Which jobs are meant."""

    # WAITING: jobs that wait for their turn because many of yours are in the queue.
    state: Annotated[str, _one_of([*State, WAITING])] | UnsetType = UNSET
    # Name of a task.
    task: Annotated[str, _one_of(list(TASKS))] | UnsetType = UNSET
    # Name of a queue.
    queue: Annotated[str, _one_of([name for name in QUEUES if name != "intake"])] | UnsetType = UNSET
    # Submitted at this date or time or later; UTC without an offset.
    since: Moment | UnsetType = UNSET
    # Submitted at this date or time or earlier.
    until: Moment | UnsetType = UNSET
    # Beginnings of words of the file name, or the id of a job or batch.
    q: Words | UnsetType = UNSET
    # Id of a batch.
    batch: str | UnsetType = UNSET


class ClusterList(Page, kw_only=True):
    """In which order."""

    # What comes first.
    sort: Annotated[str, _one_of(["newest", "largest"])] = "newest"


class Export(Page, kw_only=True):
    """What kind of file."""

    # json or markdown.
    format: Annotated[str, _one_of(["json", "markdown"])] = "json"
    # Documents of one file, at most.
    limit: Limit = MAX_PAGE


class DuplicateList(Page, kw_only=True):
    """How alike documents have to be."""

    # Least similarity of a pair: Jaccard, or the share of the shorter text that the longer one contains.
    threshold: Annotated[float, Meta(ge=0.5, le=1)] = 0.8


class Search(Page, kw_only=True):
    """What is looked for."""

    # Words; `"…"` asks for a phrase, `word*` for a beginning.
    q: Words
    # Id of a cluster.
    cluster: Name | UnsetType = UNSET
    # Source type.
    type: Annotated[str, _one_of(list(document_kinds()))] | UnsetType = UNSET
    # For whom a document is written.
    skill: Annotated[str, _one_of(list(get_args(SkillLevel)))] | UnsetType = UNSET
    # Added at this date or time or later; UTC without an offset.
    since: Moment | UnsetType = UNSET
    # Added at this date or time or earlier.
    until: Moment | UnsetType = UNSET
    # Results of a page, at most.
    limit: Limit = 10


class Period(Struct, kw_only=True):
    """Of which time."""

    # Days back from now.
    time_period: Annotated[str, _one_of(list(PERIODS))] = "30d"


class Hours(Struct, kw_only=True):
    """Of which time."""

    # Hours back from now.
    hours: Annotated[int, Meta(ge=1, le=MAX_HOURS)] = 1
