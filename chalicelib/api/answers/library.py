"""Answers about documents, searches and topics."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from chalicelib.api.answers.base import Count, Id, Moment, Share
from chalicelib.knowledge.minhash import Kind


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
    filename: str
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
    # How many documents there are on all pages: exactly, or, with a filter other than time or a phrase and more than
    # one page, at most.
    total: Count
    total_is: Literal["exact", "at_most"]
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
