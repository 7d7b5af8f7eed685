"""Answers about documents that are alike."""

from __future__ import annotations

from msgspec import Struct

from chalicelib.api.answers.base import Count, Id, Moment, Share
from chalicelib.api.answers.library import MergedDocument
from chalicelib.knowledge.minhash import Kind


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
