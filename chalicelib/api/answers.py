"""The shapes of answers, for openapi.json and the tests. Routes build plain dicts; nothing is checked at run time.

Key by key: what is not here is not answered (`forbid_unknown_fields`), what has no default is always there.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib.capabilities import CapabilityState
from chalicelib.jobs.states import Stage, State
from chalicelib.knowledge.minhash import Kind

# What our ids look like (ULIDs).
Id = Annotated[str, Meta(pattern="^[0-9a-hjkmnp-tv-z]{26}$")]
# ISO 8601 in UTC with milliseconds.
Moment = Annotated[
    str,
    Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$", extra_json_schema={"format": "date-time"}),
]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", extra_json_schema={"format": "date"})]
Percent = Annotated[int, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]


class Problem(Struct, kw_only=True):
    """What went wrong. May have more keys: the limit, the field, an address to use instead."""

    # Part of the API: never changes.
    type: str
    # What to do about it, for people.
    message: Annotated[str, Meta(min_length=1)]
    # Whether the same request can succeed later.
    retryable: bool


class Error(Struct, forbid_unknown_fields=True, kw_only=True):
    """Every error has this shape."""

    error: Problem


# --- Jobs ----------------------------------------------------------------------------------------------------


class Progress(Struct, forbid_unknown_fields=True, kw_only=True):
    """How far a job is."""

    # What it does or waits for.
    stage: Stage
    # The same in words.
    message: str
    percent: Percent
    # Why it failed.
    error: str | UnsetType = UNSET


class JobStatus(Struct, forbid_unknown_fields=True, kw_only=True):
    """A job as it stands."""

    job_id: Id
    state: State
    meta: Progress
    # What came of it; which keys it has depends on the task.
    result: dict[str, Any] | None
    task: str
    # File name or link.
    filename: str
    # Runs so far.
    attempt: Count
    # What a user should know although it went well.
    warnings: list[str]
    created_at: Moment
    updated_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    # Why it failed, or why it will be tried again.
    error: Problem | UnsetType = UNSET


class AcceptedJob(JobStatus, forbid_unknown_fields=True, kw_only=True):
    """A job that is going to be worked on."""

    # Where to ask how it stands; also in the header Location.
    status_url: str


class UploadForm(Struct, forbid_unknown_fields=True, kw_only=True):
    """A form to post the file with: `fields`, then `file`, as multipart/form-data, without the token."""

    url: str
    fields: dict[str, str]
    max_bytes: Count
    expires_at: Moment


class AcceptedUpload(AcceptedJob, forbid_unknown_fields=True, kw_only=True):
    """A job that waits for its file."""

    upload: UploadForm


class TimelineEntry(Struct, forbid_unknown_fields=True, kw_only=True):
    """A transition of a job."""

    state: State
    at: Moment
    attempt: Count
    note: str


class Cost(Struct, forbid_unknown_fields=True, kw_only=True):
    """What a job's last run cost on AWS, by a price table."""

    # Requests by kind.
    requests: dict[str, float]
    gb_seconds: float
    dollars: float


class JobDetails(JobStatus, forbid_unknown_fields=True, kw_only=True):
    """All that is told of one job."""

    timeline: list[TimelineEntry]
    queue: str
    worker: str | None
    cost: Cost | None
    batch_id: Id | None
    # Where its end is reported to.
    webhook: str | None
    # When a finished job is forgotten.
    expires_at: Moment | None


class JobPage(Struct, forbid_unknown_fields=True, kw_only=True):
    """A page of jobs; a short or empty one may have a next one."""

    jobs: list[JobStatus]
    next_cursor: str | None


class NotRetried(Struct, forbid_unknown_fields=True, kw_only=True):
    """A job that could not be started over."""

    job_id: Id
    error: Problem


class RetriedJobs(Struct, forbid_unknown_fields=True, kw_only=True):
    """What became of many."""

    retried: list[Id]
    errors: list[NotRetried]
    next_cursor: str | None


# --- Batches -------------------------------------------------------------------------------------------------


class BatchJob(Struct, forbid_unknown_fields=True, kw_only=True):
    """The job of one item, with the item's name: `filename` of a file, `url` of a link."""

    job_id: Id
    filename: str | UnsetType | None = UNSET
    url: str | UnsetType | None = UNSET


class ItemError(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is wrong with one item."""

    # Its place in the request, from 0.
    index: Count
    error: Problem
    filename: str | UnsetType | None = UNSET
    url: str | UnsetType | None = UNSET


class AcceptedBatch(Struct, forbid_unknown_fields=True, kw_only=True):
    """A batch that is going to be worked on."""

    batch_id: Id
    jobs: list[BatchJob]
    errors: list[ItemError]
    # Where to ask how it stands; also in the header Location.
    batch_url: str


class BatchStatus(Struct, forbid_unknown_fields=True, kw_only=True):
    """A batch as it stands."""

    batch_id: Id
    # Mean of its jobs; an ended one counts as 100.
    percent: Percent
    # Jobs by state.
    counts: dict[State, int]
    jobs: list[JobStatus]
    errors: list[ItemError]
    created_at: Moment
    expires_at: Moment | None


class CancelledBatch(Struct, forbid_unknown_fields=True, kw_only=True):
    """What cancelling a batch did, in jobs."""

    batch_id: Id
    # Ended at once.
    cancelled: Count
    # Asked to stop.
    stopping: Count
    # Had ended before.
    ended: Count


class Webhook(Struct, forbid_unknown_fields=True, kw_only=True):
    """Where the end of jobs is reported to by default, and the secret that signs all deliveries."""

    url: str | None
    secret: str


# --- Library -------------------------------------------------------------------------------------------------


class Concept(Struct, forbid_unknown_fields=True, kw_only=True):
    """Something that a document is about."""

    name: str
    # language, framework, library, database, platform, tool, protocol, format, method, field, name or concept.
    category: str
    # Estimated chance that a reader would name it too.
    confidence: Share


class Document(Struct, forbid_unknown_fields=True, kw_only=True):
    """A document without its text."""

    doc_id: Id
    # The job that published it.
    job_id: Id
    title: str
    filename: str
    # pdf, text, markdown, code, …
    source_type: str
    # Programming language of code, else empty.
    language: str
    concepts: list[Concept]
    primary_topic: str
    cluster_id: Id
    cluster_name: str
    # beginner, intermediate, advanced or empty.
    skill_level: str
    # How the concepts were found: offline or bedrock.
    method: str
    characters: Count
    words: Count
    # Pages of a paged document, else 0.
    pages: Count
    created_at: Moment


class DocumentPage(Struct, forbid_unknown_fields=True, kw_only=True):
    """A page of documents."""

    documents: list[Document]
    next_cursor: str | None
    # In the whole library.
    total: Count


class NearDuplicate(Struct, forbid_unknown_fields=True, kw_only=True):
    """A document that another one is like."""

    doc_id: Id
    # Its title, or its file name.
    title: str
    similarity: Share
    kind: Kind


class MergedDocument(Struct, forbid_unknown_fields=True, kw_only=True):
    """A document that another one stands for now."""

    doc_id: Id
    title: str
    filename: str


class FullDocument(Document, forbid_unknown_fields=True, kw_only=True):
    """A document with its text, or where to fetch it."""

    # Author, date and the like, as the file says.
    metadata: dict[str, str]
    warnings: list[str]
    # None: it is longer than 1 MB, see `text_url`.
    text: str | None
    text_url: str | UnsetType = UNSET
    # Of a transcript: its passages with times.
    segments_url: str | UnsetType = UNSET
    near_duplicates: list[NearDuplicate]
    # All that were merged into it.
    merged: list[MergedDocument]


class Passage(Struct, forbid_unknown_fields=True, kw_only=True):
    """What was said, and when, in seconds."""

    start: float
    end: float
    text: str


class SearchResult(Document, forbid_unknown_fields=True, kw_only=True):
    """A document that was found."""

    score: float
    snippet: str | None
    # Where the words asked for stand in the snippet: [start, end], in characters.
    marks: list[tuple[int, int]]
    # Of a transcript.
    passages: list[Passage]


class SearchPage(Struct, forbid_unknown_fields=True, kw_only=True):
    """What was found, the best first."""

    results: list[SearchResult]
    next_cursor: str | None
    total: Count
    # Whether the results have all words, or some.
    match: str
    # Words too common to be looked for.
    ignored: list[str]


# --- Clusters ------------------------------------------------------------------------------------------------


class ConceptCount(Struct, forbid_unknown_fields=True, kw_only=True):
    """A concept, and how many documents have it."""

    name: str
    documents: Count


class Cluster(Struct, forbid_unknown_fields=True, kw_only=True):
    """A topic of the library."""

    cluster_id: Id
    name: str
    # The name is a user's and stays.
    named_by_user: bool
    # Documents in it.
    size: Count
    # The most frequent ones.
    concepts: list[ConceptCount]


class ClusterPage(Struct, forbid_unknown_fields=True, kw_only=True):
    """A page of clusters."""

    clusters: list[Cluster]
    next_cursor: str | None


class ClusterDocuments(Cluster, forbid_unknown_fields=True, kw_only=True):
    """A cluster and a page of its documents."""

    documents: list[Document]
    next_cursor: str | None


class ExportedDocument(Document, forbid_unknown_fields=True, kw_only=True):
    """A document with its text; None: it does not fit into one answer."""

    text: str | None


class ClusterExport(Struct, forbid_unknown_fields=True, kw_only=True):
    """A cluster and its documents with their texts."""

    cluster: Cluster
    documents: list[ExportedDocument]
    next_cursor: str | None


# --- Duplicates ----------------------------------------------------------------------------------------------


class BriefDocument(Struct, forbid_unknown_fields=True, kw_only=True):
    """What tells a document from another."""

    doc_id: Id
    title: str
    filename: str
    characters: Count
    created_at: Moment


class Pair(Struct, forbid_unknown_fields=True, kw_only=True):
    """Two documents that are alike, by their ids."""

    a: Id
    b: Id
    similarity: Share
    kind: Kind


class DuplicateGroup(Struct, forbid_unknown_fields=True, kw_only=True):
    """Documents each of which is alike to another one of them."""

    group_id: Id
    # Of its most similar pair.
    similarity: Share
    # Documents in it; the first 50 are shown.
    size: Count
    documents: list[BriefDocument]
    # The most similar 100.
    pairs: list[Pair]


class DuplicatePage(Struct, forbid_unknown_fields=True, kw_only=True):
    """Groups of duplicates, the most similar first."""

    groups: list[DuplicateGroup]
    next_cursor: str | None
    total: Count
    # False: there were more pairs than one answer looks at.
    complete: bool
    threshold: Share


class Place(Struct, forbid_unknown_fields=True, kw_only=True):
    """A passage in one document, in characters."""

    start: Count
    end: Count
    text: str


class SharedPassage(Struct, forbid_unknown_fields=True, kw_only=True):
    """A passage that two documents have."""

    words: Count
    a: Place
    b: Place


class Contained(Struct, forbid_unknown_fields=True, kw_only=True):
    """How much of each document is in the other."""

    a: Share
    b: Share


class Comparison(Struct, forbid_unknown_fields=True, kw_only=True):
    """Two documents side by side."""

    a: BriefDocument
    b: BriefDocument
    # None: not alike, or too short to tell.
    kind: Kind | None
    similarity: Share
    contained: Contained
    passages: list[SharedPassage]
    # False: only the beginnings of long texts were compared.
    complete: bool


class Merged(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is left after a merge."""

    # Id of the document that stays.
    kept: Id
    removed: list[Id]
    # All that it stands for.
    merged: list[MergedDocument]


# --- Analytics and health ------------------------------------------------------------------------------------


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


class Ai(Struct, forbid_unknown_fields=True, kw_only=True):
    """Who finds concepts and writes suggestions."""

    # offline or bedrock.
    provider: str


class Capability(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whether jobs that need something will run."""

    state: CapabilityState
    # Why it is not ready; empty when it is.
    cause: str


class Health(Struct, forbid_unknown_fields=True, kw_only=True):
    """What this installation is and can do."""

    status: str
    version: str
    # aws, embedded or localstack.
    place: str
    ai: Ai
    # By name: text, pdf, office, web, ocr, speech, youtube.
    capabilities: dict[str, Capability]


class QueueDepth(Struct, forbid_unknown_fields=True, kw_only=True):
    """A queue's messages, in SQS's own approximate counts."""

    queue: str
    waiting: Count
    in_flight: Count
    delayed: Count
    # Messages that were given up.
    dead_letters: Count


class WorkerState(Struct, forbid_unknown_fields=True, kw_only=True):
    """A worker process that is alive."""

    # Queues it polls, the most urgent first.
    queues: list[str]
    # Processes that run jobs: those at work, those with nothing to do.
    busy: Count
    idle: Count
    # Since it started.
    jobs_done: Count
    memory_bytes: Count
    started_at: Moment | None


class Ended(Struct, forbid_unknown_fields=True, kw_only=True):
    """Jobs that ended; None where there is nothing to divide."""

    ended: Count
    # By state.
    states: dict[State, Count]
    # SUCCESS among SUCCESS and FAILURE.
    success_rate: Share | None
    # Attempts for each job that ended; more than a little over 1 says that workers die or leases are too short.
    executions_per_job: float | None
    # From submission to the first run.
    wait_seconds_mean: float | None
    # From the first run to the end. Median and 95th percentile are read from a histogram in powers of two.
    run_seconds_mean: float | None
    run_seconds_median: float | None
    run_seconds_p95: float | None


class EndedOfTask(Ended, forbid_unknown_fields=True, kw_only=True):
    """Jobs of one task that ended."""

    task: str


class EndedInSpan(Struct, forbid_unknown_fields=True, kw_only=True):
    """Jobs that ended in one span of time, by state."""

    at: Moment
    SUCCESS: Count
    FAILURE: Count
    REVOKED: Count


class Stats(Struct, forbid_unknown_fields=True, kw_only=True):
    """How the installation works, for all its users together."""

    as_of: Moment
    hours: Count
    queues: list[QueueDepth]
    workers: list[WorkerState]
    totals: Ended
    # Those with most ends first.
    tasks: list[EndedOfTask]
    # Length of a span, in minutes.
    span_minutes: Count
    # The oldest first.
    time_series: list[EndedInSpan]
