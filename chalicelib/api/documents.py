"""`GET /documents`, `GET` and `DELETE /documents/{doc_id}`: the library."""

from __future__ import annotations

from typing import Any

from chalice import Response

from chalicelib import services
from chalicelib.api import answers, queries, requests
from chalicelib.api.contract import no_content, ok
from chalicelib.api.envelopes import document_envelope
from chalicelib.api.routing import Routes
from chalicelib.library.clusters import Clusters
from chalicelib.library.documents import Document, Documents
from chalicelib.library.duplicates import Duplicates
from chalicelib.library.removal import Removal

routes = Routes(__name__)

# Longer texts are fetched by link: an answer of API Gateway holds 10 MB, one of Lambda 6 MB.
MAX_TEXT_BYTES = 1024 * 1024
_LINK_SECONDS = 900


@routes.route("/documents", methods=["GET"], contract=ok("Library", answers.DocumentPage, query=queries.Page))
def list_documents() -> dict[str, Any]:
    """Answer with the caller's documents, newest first, without their texts."""
    given = requests.parameters(routes.current_request, "limit", "cursor")
    scope = f"documents:{routes.owner}"
    documents = Documents(services.table(), routes.owner)
    page = documents.page(
        limit=requests.limit(given), after=requests.decode_cursor(scope, given.get("cursor"))
    )
    names = Clusters(services.table(), routes.owner).names({entry.cluster_id for entry in page.documents})
    return {
        "documents": [
            document_envelope(entry, cluster_name=names.get(entry.cluster_id, "")) for entry in page.documents
        ],
        "next_cursor": requests.encode_cursor(scope, page.last),
        "total": documents.count(),
    }


@routes.route("/documents/{doc_id}", methods=["GET"], contract=ok("Library", answers.FullDocument))
def get_document(doc_id: str) -> dict[str, Any]:
    """Answer with one document: `text` up to 1 MB, `text_url` beyond; `segments_url` for a transcript."""
    documents = Documents(services.table(), routes.owner)
    document = documents.require(doc_id)
    names = Clusters(services.table(), routes.owner).names({document.cluster_id})
    answer: dict[str, Any] = {
        **document_envelope(document, cluster_name=names.get(document.cluster_id, "")),
        "metadata": document.metadata,
        "warnings": document.warnings,
        "near_duplicates": _near_duplicates(document),
        # Those that were merged into it: id, title and file name of each.
        "merged": document.merged,
    }
    if document.segments_key:
        passages = services.objects().presign_get(document.segments_key, seconds=_LINK_SECONDS)
        answer["segments_url"] = requests.bucket_url(routes.current_request, passages)
    # A character has one to four bytes: read the text only if it may fit.
    if document.characters <= MAX_TEXT_BYTES:
        text = documents.text(document, services.objects())
        if len(text) <= MAX_TEXT_BYTES:
            return {**answer, "text": text.decode()}
    link = services.objects().presign_get(document.text_key, seconds=_LINK_SECONDS)
    return {**answer, "text": None, "text_url": requests.bucket_url(routes.current_request, link)}


@routes.route("/documents/{doc_id}", methods=["DELETE"], contract=no_content("Library"))
def delete_document(doc_id: str) -> Response:
    """Delete a document with every trace of it; its words leave the search index's files within minutes."""
    Removal(services.table(), services.objects(), routes.owner).remove(doc_id)
    return Response(body="", status_code=204, headers={"Content-Type": "text/plain"})


def _near_duplicates(document: Document) -> list[dict[str, Any]]:
    """Return what it is alike to, as the result of an ingestion tells it."""
    alike = Duplicates(services.table(), routes.owner).of(document)
    return [
        {
            "doc_id": other.doc_id,
            "title": other.title or other.filename,
            "filename": other.filename,
            "similarity": pair.similarity,
            "kind": str(pair.kind),
        }
        for pair, other in alike
    ]
