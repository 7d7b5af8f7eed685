"""`GET /search`: keyword search over the library."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from chalicelib import services
from chalicelib.api import answers, queries, requests
from chalicelib.api.contract import ok
from chalicelib.api.envelopes import document_envelope
from chalicelib.api.routing import Routes
from chalicelib.errors import InvalidRequest
from chalicelib.ingest.formats import document_kinds
from chalicelib.knowledge.searchwords import question
from chalicelib.knowledge.skill import SkillLevel
from chalicelib.library.clusters import Clusters
from chalicelib.library.search import Filter, Found, Hit, Search, as_position, from_position

routes = Routes(__name__)

_MAX_QUERY: Final = 200
_MAX_NAME: Final = 64
_DEFAULT_PAGE: Final = 10
_FILTERS: Final = ("cluster", "type", "since", "until", "skill")


@routes.route("/search", methods=["GET"], contract=ok("Library", answers.SearchPage, query=queries.Search))
def search() -> dict[str, Any]:
    """Answer with the caller's documents that have the words asked for, the best first, each with a snippet."""
    given = requests.parameters(routes.current_request, "q", *_FILTERS, "limit", "cursor")
    q = given.get("q", "").strip()
    if not 1 <= len(q) <= _MAX_QUERY:
        raise InvalidRequest(f"q is 1 to {_MAX_QUERY} characters.", field="q")
    asked = question(q)
    wanted = _filter(given)
    limit = requests.limit(given, default=_DEFAULT_PAGE)
    scope = _scope(routes.owner, q, wanted)
    position = requests.decode_cursor(scope, given.get("cursor"), fits=from_position)
    after = from_position(position) if position else None
    if asked.empty:
        found = Found(hits=[], last=None, total=0, exact=True, match="all")
    else:
        finder = Search(services.table(), services.objects(), routes.owner)
        found = finder.find(asked, wanted, limit=limit, after=after)
    names = _cluster_names(found)
    return {
        "results": [_result(hit, names) for hit in found.hits],
        "next_cursor": requests.encode_cursor(scope, as_position(found.last) if found.last else None),
        "total": found.total,
        "total_is": "exact" if found.exact else "at_most",
        "match": found.match,
        "ignored": list(asked.ignored),
    }


def _filter(given: Mapping[str, str]) -> Filter:
    since, until = requests.moment(given, "since"), requests.moment(given, "until")
    if since is not None and until is not None and since > until:
        raise InvalidRequest("since is later than until.", field="since")
    if len(given.get("cluster", "")) > _MAX_NAME:
        raise InvalidRequest(f"cluster has more than {_MAX_NAME} characters.", field="cluster")
    for name, known in (("type", document_kinds()), ("skill", get_args(SkillLevel))):
        if given.get(name, known[0]) not in known:
            raise InvalidRequest(f"{name} is one of {', '.join(known)}.", field=name)
    return Filter(
        cluster_id=given.get("cluster", ""),
        source_type=given.get("type", ""),
        skill_level=given.get("skill", ""),
        since=since,
        until=until,
    )


def _scope(owner: str, q: str, wanted: Filter) -> str:
    """Return the scope of cursors: another question or filter is another list."""
    asked = msgspec.json.encode((q, wanted))
    return f"search:{owner}:{hashlib.sha256(asked).hexdigest()[:16]}"


def _cluster_names(found: Found) -> dict[str, str]:
    ids = {hit.document.cluster_id for hit in found.hits}
    return Clusters(services.table(), routes.owner).names(ids) if ids else {}


def _result(hit: Hit, names: Mapping[str, str]) -> dict[str, Any]:
    snippet = hit.snippet
    return {
        **document_envelope(hit.document, cluster_name=names.get(hit.document.cluster_id, "")),
        "score": hit.score,
        "snippet": snippet.text if snippet else None,
        # Where the words asked for stand in the snippet: [start, end], in characters.
        "marks": snippet.marks if snippet else [],
        "passages": [
            {"start": passage.start, "end": passage.end, "text": passage.text} for passage in hit.passages
        ],
    }
