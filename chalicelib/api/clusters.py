"""`/clusters`: the topics of a library: listed, named, read, exported, found anew, deleted."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec
from chalice import Response
from msgspec import Meta

from chalicelib import services
from chalicelib.api import answers, queries, requests, submissions
from chalicelib.api.contract import Answer, Contract, ok
from chalicelib.api.envelopes import document_envelope
from chalicelib.api.routing import Routes
from chalicelib.api.submissions import ACCEPTED, Wish, accepted, submission, submits, wishes
from chalicelib.errors import Conflict, InvalidRequest, UploadMissing
from chalicelib.jobs.job import is_id, new_id
from chalicelib.knowledge.clusters import CATCH_ALL, Centroid
from chalicelib.library import regroup_jobs
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Document, Documents
from chalicelib.tasks import dissolve_cluster

routes = Routes(__name__)

_MAX_NAME: Final = 120
_TOP_CONCEPTS: Final = 10
_SORTS: Final = ("newest", "largest")
_FORMATS: Final = ("json", "markdown")
# Texts of one export, in bytes of UTF-8. As JSON a character takes up to three times its bytes, and an answer of
# Lambda holds 6 MB.
_EXPORT_BYTES: Final = 1_500_000
# Where the list of the largest goes on: the size and id of its last cluster.
_POSITION: Final = re.compile(r"\d{1,12} [0-9a-z]{26}", re.ASCII)


class Rename(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Body of `PUT /clusters/{cluster_id}`."""

    # What to call it from now on: up to 120 characters.
    name: Annotated[str, Meta(examples=["Sorting"])]


@routes.route(
    "/clusters", methods=["GET"], contract=ok("Library", answers.ClusterPage, query=queries.ClusterList)
)
def list_clusters() -> dict[str, Any]:
    """Answer with the caller's clusters: the newest first, or the largest.

    A library has a thousand at most.
    """
    given = requests.parameters(routes.current_request, "sort", "limit", "cursor")
    sort = _one_of(given, "sort", _SORTS)
    limit = requests.limit(given)
    scope = f"clusters:{routes.owner}:{sort}"
    fits = is_id if sort == "newest" else _POSITION.fullmatch
    after = requests.decode_cursor(scope, given.get("cursor"), fits=fits)
    clusters = Clusters(services.table(), routes.owner)
    if sort == "newest":
        page = clusters.page(limit=limit, after=after)
        shown, last = page.clusters, page.last
    else:
        shown, last = _largest(clusters.all(), limit=limit, after=after)
    return {
        "clusters": [_envelope(cluster) for cluster in shown],
        "next_cursor": requests.encode_cursor(scope, last),
    }


@routes.route(
    "/clusters/{cluster_id}",
    methods=["GET"],
    contract=ok("Library", answers.ClusterDocuments, query=queries.Page),
)
def get_cluster(cluster_id: str) -> dict[str, Any]:
    """Answer with a cluster and a page of its documents, newest first; a short page may have a next one."""
    given = requests.parameters(routes.current_request, "limit", "cursor")
    cluster = Clusters(services.table(), routes.owner).require(cluster_id)
    scope = f"cluster:{routes.owner}:{cluster_id}"
    after = requests.decode_cursor(scope, given.get("cursor"))
    page = Documents(services.table(), routes.owner).of_cluster(
        cluster_id, limit=requests.limit(given), after=after
    )
    return {
        **_envelope(cluster),
        "documents": [document_envelope(document, cluster_name=cluster.name) for document in page.documents],
        "next_cursor": requests.encode_cursor(scope, page.last),
    }


@routes.route("/clusters/{cluster_id}", methods=["PUT"], contract=ok("Library", answers.Cluster, body=Rename))
def rename_cluster(cluster_id: str) -> dict[str, Any]:
    """Give a cluster a name that stays; answer with the cluster."""
    clusters = Clusters(services.table(), routes.owner)
    clusters.require(cluster_id)  # before the body: who may not know of it learns nothing else
    name = _checked_name(requests.body(routes.current_request, Rename).name)
    return _envelope(clusters.rename(cluster_id, name))


@routes.route(
    "/clusters/{cluster_id}/export",
    methods=["GET"],
    contract=Contract(
        tag="Library",
        query=queries.Export,
        answers={
            200: Answer(
                shape=answers.ClusterExport,
                media=("text/markdown",),
                headers=("Content-Disposition",),
                may_have=("X-Next-Cursor",),
            )
        },
    ),
)
def export_cluster(cluster_id: str) -> Response:
    """Answer with a cluster and its documents' texts as one file, JSON or Markdown, a page at a time.

    Texts beyond 1.5 MB in all are left out (`text` is null). The header `X-Next-Cursor` leads to the next file.
    """
    given = requests.parameters(routes.current_request, "format", "limit", "cursor")
    kind = _one_of(given, "format", _FORMATS)
    cluster = Clusters(services.table(), routes.owner).require(cluster_id)
    scope = f"export:{routes.owner}:{cluster_id}"
    after = requests.decode_cursor(scope, given.get("cursor"))
    limit = requests.limit(given, default=requests.MAX_PAGE)
    page = Documents(services.table(), routes.owner).of_cluster(cluster_id, limit=limit, after=after)
    entries = _with_texts(page.documents, cluster.name)
    cursor = requests.encode_cursor(scope, page.last)
    headers = {"X-Next-Cursor": cursor} if cursor else {}
    if kind == "markdown":
        headers |= _file_headers(f"cluster-{cluster_id}.md", "text/markdown; charset=utf-8")
        return Response(body=_markdown(cluster, entries), headers=headers)
    headers |= _file_headers(f"cluster-{cluster_id}.json", "application/json")
    body = {"cluster": _envelope(cluster), "documents": entries, "next_cursor": cursor}
    return Response(body=body, headers=headers)


@routes.route("/clusters/compact", methods=["POST"], contract=submits("Library", Wish, body_optional=True))
def compact_clusters() -> Response:
    """Have the topics of the whole library found anew; answer with the job.

    Documents move to where they belong; ids of topics and the names that their user gave stay. The service does it by
    itself whenever the library has doubled. The result says how many documents moved.
    """
    request, owner = routes.current_request, routes.owner
    given = requests.body(request, Wish) if request.raw_body else Wish()
    source = submissions.ids(request, owner)
    made = submission(owner, source).task(regroup_jobs.TASK, wishes=wishes(given, owner))
    return accepted(request, made)


@routes.route(
    "/clusters/{cluster_id}",
    methods=["DELETE"],
    contract=Contract(tag="Library", answers={202: ACCEPTED}, fails=(409, 429)),
)
def delete_cluster(cluster_id: str) -> Response:
    """Have a topic taken apart; answer with the job. Its documents stay.

    Each joins the topic that it is next most like; those like none join "Other", the one topic that can't be
    deleted (409). The topic is listed until its last document has left it.
    """
    request, owner = routes.current_request, routes.owner
    Clusters(services.table(), owner).require(cluster_id)
    if cluster_id == CATCH_ALL:
        raise Conflict(
            "This topic holds what belongs to no other one: delete its documents, or give it a name.",
            cluster_id=cluster_id,
        )
    params: dict[str, object] = {"cluster_id": cluster_id}
    made = submission(owner, new_id).task(dissolve_cluster.TASK, params=params, wishes=wishes(Wish(), owner))
    return accepted(request, made)


def _one_of(given: dict[str, str], name: str, known: tuple[str, ...]) -> str:
    """Return a parameter, the first of `known` by default; raise InvalidRequest."""
    value = given.get(name, known[0])
    if value not in known:
        raise InvalidRequest(f"{name} is one of: {', '.join(known)}.", field=name)
    return value


def _checked_name(given: str) -> str:
    name = given.strip()
    if not 1 <= len(name) <= _MAX_NAME or not name.isprintable():
        raise InvalidRequest(
            f"name has 1 to {_MAX_NAME} characters, no line breaks among them.", field="name"
        )
    return name


def _envelope(cluster: Centroid) -> dict[str, Any]:
    ranked = sorted(cluster.concept_counts.items(), key=lambda item: -item[1])
    return {
        "cluster_id": cluster.cluster_id,
        "name": cluster.name,
        "named_by_user": cluster.named_by_user,
        "size": cluster.size,
        "concepts": [{"name": name, "documents": count} for name, count in ranked[:_TOP_CONCEPTS]],
    }


def _largest(clusters: list[Centroid], *, limit: int, after: str | None) -> tuple[list[Centroid], str | None]:
    """Return the largest clusters after a position, of equals the newest first, and the next position."""
    ranked = sorted(clusters, key=_rank, reverse=True)
    if after is not None:
        size, _, cluster_id = after.partition(" ")
        ranked = [cluster for cluster in ranked if _rank(cluster) < (int(size), cluster_id)]
    shown = ranked[:limit]
    return shown, f"{shown[-1].size} {shown[-1].cluster_id}" if len(ranked) > limit else None


def _rank(cluster: Centroid) -> tuple[int, str]:
    return (cluster.size, cluster.cluster_id)


def _with_texts(documents: list[Document], cluster_name: str) -> list[dict[str, Any]]:
    """Return documents with their texts, as far as these fit into one answer."""
    left = _EXPORT_BYTES
    entries = []
    for document in documents:
        text = _text(document, left)
        left -= len(text) if text else 0
        shown = document_envelope(document, cluster_name=cluster_name)
        entries.append({**shown, "text": text.decode() if text is not None else None})
    return entries


def _text(document: Document, most: int) -> bytes | None:
    """Return a text of at most so many bytes, else None; also for one that is being deleted."""
    if document.characters > most:
        return None
    try:
        text = services.objects().get(document.text_key)
    except UploadMissing:
        return None
    return text if len(text) <= most else None


def _file_headers(name: str, kind: str) -> dict[str, str]:
    return {"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'}


def _markdown(cluster: Centroid, entries: list[dict[str, Any]]) -> str:
    """Return a heading for the cluster, one for each document, and the texts as they are."""
    parts = [f"# {_line(cluster.name)}"]
    for entry in entries:
        concepts = ", ".join(_line(str(concept["name"])) for concept in entry["concepts"])
        about = [f"- File: {_line(entry['filename'])}", f"- Added: {entry['created_at']}"]
        about += [f"- Concepts: {concepts}"] if concepts else []
        text = entry["text"]
        parts += [f"## {_line(entry['title'] or entry['filename'])}", "\n".join(about)]
        parts.append("*The text is too long for this file.*" if text is None else text.strip())
    return "\n\n".join(parts) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())
