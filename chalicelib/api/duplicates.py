"""`/duplicates`: documents that are alike: listed, compared, merged."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from chalicelib import services
from chalicelib.api import answers, queries, requests
from chalicelib.api.contract import ok
from chalicelib.api.routing import Routes
from chalicelib.errors import InvalidRequest
from chalicelib.jobs.job import isoformat
from chalicelib.knowledge.minhash import SURE, likeness
from chalicelib.knowledge.passages import Passage, Place, compare
from chalicelib.library.documents import Document, Documents
from chalicelib.library.duplicates import MAX_MEMBERS, Duplicates, Group
from chalicelib.library.merging import Merging
from chalicelib.library.pairs import signature_of
from chalicelib.tasks.find_duplicates import checked_threshold

routes = Routes(__name__)

# Of one group, so many pairs are listed; of one merge, so many documents are deleted while its caller waits.
_MAX_PAIRS: Final = 100
_MAX_REMOVED: Final = 20
# Enough for the part of a text that is compared, whatever its characters.
_TEXT_BYTES: Final = 4 * 1024 * 1024
# Where a list goes on: the similarity and id of its last group.
_POSITION: Final = re.compile(r"[01]\.\d{1,20} [0-9a-z]{26}")


class Merge(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `POST /duplicates/merge`."""

    # Id of the document that stays.
    keep: Annotated[str, Meta(examples=["01k9zjv8e0n2c6p4r7s8t9v0wx"])]
    # Ids of those that go: 1 to 20.
    remove: Annotated[
        list[str],
        Meta(
            examples=[["01k9zjv8e1m3d7q5s8t9v0w1yz"]],
            extra_json_schema={"minItems": 1, "maxItems": _MAX_REMOVED},
        ),
    ]


@routes.route(
    "/duplicates", methods=["GET"], contract=ok("Library", answers.DuplicatePage, query=queries.DuplicateList)
)
def list_duplicates() -> dict[str, Any]:
    """Answer with groups of documents that are alike, the most similar first."""
    given = requests.parameters(routes.current_request, "threshold", "limit", "cursor")
    threshold = checked_threshold(given.get("threshold", SURE))
    limit = requests.limit(given)
    scope = f"duplicates:{routes.owner}:{threshold}"
    after = requests.decode_cursor(scope, given.get("cursor"), fits=_POSITION.fullmatch)
    duplicates = Duplicates(services.table(), routes.owner)
    found = duplicates.groups(threshold)
    below = _after(found.groups, after)
    page = below[:limit]
    documents = duplicates.documents(page)
    groups = [_group(group, documents) for group in page]
    return {
        # A group of which one document is left is none: the others were deleted this moment.
        "groups": [group for group in groups if len(group["documents"]) > 1],
        "next_cursor": requests.encode_cursor(scope, _position(page[-1]) if len(below) > limit else None),
        "total": len(found.groups),
        "complete": found.complete,
        "threshold": threshold,
    }


@routes.route("/duplicates/{a}/{b}", methods=["GET"], contract=ok("Library", answers.Comparison))
def compare_duplicates(a: str, b: str) -> dict[str, Any]:
    """Answer with how alike two documents are, and the passages that both have."""
    documents = Documents(services.table(), routes.owner)
    first, second = documents.require(a), documents.require(b)
    if a == b:
        raise InvalidRequest("These are one document.", field="b")
    found = compare(*(_text(documents, document) for document in (first, second)))
    ours, theirs = signature_of(first), signature_of(second)
    alike = likeness(ours, theirs) if ours and theirs else None
    return {
        "a": _brief(first),
        "b": _brief(second),
        "kind": alike.kind if alike else None,
        "similarity": round(found.similarity, 3),
        "contained": {"a": round(found.contained_a, 3), "b": round(found.contained_b, 3)},
        "passages": [_passage(passage) for passage in found.passages],
        "complete": not found.cut,
    }


@routes.route(
    "/duplicates/merge", methods=["POST"], contract=ok("Library", answers.Merged, body=Merge, fails=(404,))
)
def merge_duplicates() -> dict[str, Any]:
    """Keep one document, delete the others; the same request may be repeated."""
    given = requests.body(routes.current_request, Merge)
    if not 1 <= len(given.remove) <= _MAX_REMOVED:
        raise InvalidRequest(f"remove has 1 to {_MAX_REMOVED} ids.", field="remove")
    merging = Merging(services.table(), services.objects(), routes.owner)
    kept = merging.merge(given.keep, given.remove)
    return {"kept": kept.doc_id, "removed": list(dict.fromkeys(given.remove)), "merged": kept.merged}


def _after(groups: list[Group], position: str | None) -> list[Group]:
    """Return the groups after a position, which may be that of a group that is gone."""
    if position is None:
        return groups
    return [group for group in groups if _order(_position(group)) > _order(position)]


def _position(group: Group) -> str:
    return f"{group.similarity!r} {group.group_id}"


def _order(position: str) -> tuple[float, str]:
    similarity, _, group_id = position.partition(" ")
    return (-float(similarity), group_id)


def _group(group: Group, documents: dict[str, Document]) -> dict[str, Any]:
    shown = [documents[doc_id] for doc_id in group.members[:MAX_MEMBERS] if doc_id in documents]
    return {
        "group_id": group.group_id,
        "similarity": group.similarity,
        "size": len(group.members),
        "documents": [_brief(document) for document in shown],
        "pairs": [
            {"a": pair.older, "b": pair.newer, "similarity": pair.similarity, "kind": pair.kind}
            for pair in group.pairs[:_MAX_PAIRS]
        ],
    }


def _brief(document: Document) -> dict[str, Any]:
    return {
        "doc_id": document.doc_id,
        "title": document.title,
        "filename": document.filename,
        "characters": document.characters,
        "created_at": isoformat(document.created_at),
    }


def _passage(passage: Passage) -> dict[str, Any]:
    return {"words": passage.words, "a": _place(passage.a), "b": _place(passage.b)}


def _place(place: Place) -> dict[str, Any]:
    return {"start": place.start, "end": place.end, "text": place.text}


def _text(documents: Documents, document: Document) -> str:
    return documents.text(document, services.objects(), first=_TEXT_BYTES).decode(errors="ignore")
