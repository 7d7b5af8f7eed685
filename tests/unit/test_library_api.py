"""`/search`, `/duplicates` and `DELETE /documents/{id}` as people use them, and as they do not."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from chalice.test import HTTPResponse

from chalicelib import services
from chalicelib.api.requests import encode_cursor
from chalicelib.api.search import _scope
from chalicelib.aws import clients
from chalicelib.aws.objects import Objects
from chalicelib.aws.table import DynamoTable
from chalicelib.jobs.job import new_id
from chalicelib.library.documents import Documents
from chalicelib.library.search import Filter
from tests.memory import MemoryObjects, MemoryTable
from tests.unit.conftest import Api
from tests.unit.libraries import Library, prose


@pytest.fixture(autouse=True)
def _world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Table and bucket in memory: a document is some thirty writes, and moto takes its time for each."""
    table, objects = MemoryTable(), MemoryObjects()
    monkeypatch.setattr(services, "table", lambda: table)
    monkeypatch.setattr(services, "objects", lambda: objects)


def library_of(api: Api) -> Library:
    """The caller's library, filled by the code that fills it in the service."""
    library = Library(api.user)
    library.table, library.objects = services.table(), services.objects()  # type: ignore[assignment]
    return library


def refused(answer: HTTPResponse, status: int, type_: str) -> str:
    assert (answer.status_code, answer.json_body["error"]["type"]) == (status, type_)
    message: str = answer.json_body["error"]["message"]
    return message


def search(api: Api, q: str, **more: Any) -> HTTPResponse:
    given = "".join(f"&{name}={quote(str(value))}" for name, value in more.items())
    return api.get(f"/search?q={quote(q)}{given}")


# --- Search --------------------------------------------------------------------------------------------------


def test_search_answers_with_documents_snippets_and_where_to_go_on(api: Api, stranger: Api) -> None:
    library = library_of(api)
    ids = [
        library.add(f"The kettle number {number} boils.", title=f"Kettle {number}")["doc_id"]
        for number in range(3)
    ]
    first = search(api, "kettles", limit=2).json_body
    assert (first["total"], first["match"], first["ignored"]) == (3, "all", [])
    result = first["results"][0]
    assert result["doc_id"] in ids
    assert [result["snippet"][start:end] for start, end in result["marks"]] == ["kettle"]
    assert result["cluster_name"]
    assert result["score"] > 0
    second = search(api, "kettles", limit=2, cursor=first["next_cursor"]).json_body
    assert second["next_cursor"] is None
    assert {entry["doc_id"] for entry in first["results"] + second["results"]} == set(ids)
    assert search(stranger, "kettle").json_body["results"] == []


def test_search_takes_phrases_beginnings_and_filters(api: Api) -> None:
    library = library_of(api)
    doc_id = library.add("The state of the art in kettles.", title="Art")["doc_id"]
    for q in ('"state of the art"', "kett*", "kettle state"):
        assert [entry["doc_id"] for entry in search(api, q).json_body["results"]] == [doc_id], q
    assert search(api, "kettle", type="pdf").json_body["results"] == []
    assert search(api, "kettle", type="pdf").json_body["total"] == 0
    assert search(api, "kettle", type="text", since="2020-01-01").json_body["total"] == 1
    assert search(api, "kettle", until="2020-01-01").json_body["total"] == 0


@pytest.mark.parametrize(
    "q", ["", "   ", "x" * 10_000, "!?", '"', "*", "a*", " ".join(f"w{n}" for n in range(40))]
)
def test_a_search_for_nothing_or_too_much_is_refused(api: Api, q: str) -> None:
    refused(search(api, q), 400, "invalid_request")
    refused(api.get("/search"), 400, "invalid_request")


def test_words_that_are_too_common_are_named(api: Api) -> None:
    library_of(api).add("the of and")
    body = search(api, "the of and").json_body
    assert (body["results"], body["total"], body["ignored"]) == ([], 0, ["the", "of", "and"])


@pytest.mark.parametrize(
    "given",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "many"},
        {"cursor": "x"},
        {"since": "yesterday"},
        {"since": "2026-02-01", "until": "2026-01-01"},
        {"cluster": "x" * 100},
        {"colour": "red"},
    ],
)
def test_a_parameter_that_does_not_fit_is_refused(api: Api, given: dict[str, Any]) -> None:
    refused(search(api, "kettle", **given), 400, "invalid_request")


@pytest.mark.parametrize(
    ("name", "value", "known"), [("skill", "expert", "advanced"), ("type", "nosuch", "pdf")]
)
def test_a_filter_that_can_not_hold_is_refused_with_those_that_can(
    api: Api, name: str, value: str, known: str
) -> None:
    error = refused(search(api, "kettle", **{name: value}), 400, "invalid_request")
    assert known in str(error)


def test_a_cursor_of_another_search_is_refused(api: Api) -> None:
    library = library_of(api)
    for _ in range(3):
        library.add("kettle ladder")
    cursor = search(api, "kettle", limit=1).json_body["next_cursor"]
    assert search(api, "kettle", limit=1, cursor=cursor).status_code == 200
    refused(search(api, "ladder", limit=1, cursor=cursor), 400, "invalid_request")
    refused(search(api, "kettle", limit=1, cursor=cursor, type="pdf"), 400, "invalid_request")


ID = "01aaaaaaaaaaaaaaaaaaaaaaaa"


@pytest.mark.parametrize(
    "position", ["abc", f"nan {ID}", f"1e999 {ID}", f"- {ID}", "9" * 5000 + f" {ID}", "1.0 " + "a" * 5000]
)
@pytest.mark.parametrize(
    ("path", "scope"),
    [("/duplicates?", "duplicates:{user}:0.8"), ("/clusters?sort=largest&", "clusters:{user}:largest")],
)
def test_a_position_that_no_list_gave_is_refused(api: Api, path: str, scope: str, position: str) -> None:
    cursor = encode_cursor(scope.format(user=api.user), position)
    refused(api.get(f"{path}cursor={cursor}"), 400, "invalid_request")


@pytest.mark.parametrize("position", ["abc", f"nan {ID}", f"1e999 {ID}", "1.0 " + "a" * 5000])
def test_a_position_that_no_search_gave_is_refused(api: Api, position: str) -> None:
    cursor = encode_cursor(_scope(api.user, "kettle", Filter()), position)
    refused(search(api, "kettle", cursor=cursor), 400, "invalid_request")


@pytest.mark.parametrize("path", ["/documents", "/clusters"])
def test_a_cursor_that_names_no_id_is_refused(api: Api, path: str) -> None:
    scope = {"/documents": "documents:{}", "/clusters": "clusters:{}:newest"}[path].format(api.user)
    assert api.get(f"{path}?cursor={encode_cursor(scope, ID)}").status_code == 200
    for last in ("x", "x" * 5000, "\0"):
        refused(api.get(f"{path}?cursor={encode_cursor(scope, last)}"), 400, "invalid_request")


# --- Duplicates ----------------------------------------------------------------------------------------------


def test_groups_of_duplicates_are_listed_page_by_page(api: Api, stranger: Api) -> None:
    library = library_of(api)
    for seed in range(3):
        for _ in range(2):
            library.add(prose(seed))
    first = api.get("/duplicates?threshold=0.9&limit=2").json_body
    assert (len(first["groups"]), first["total"], first["complete"]) == (2, 3, True)
    group = first["groups"][0]
    assert (group["size"], group["similarity"], len(group["documents"])) == (2, 1.0, 2)
    assert group["pairs"][0]["kind"] == "identical"
    second = api.get(f"/duplicates?threshold=0.9&limit=2&cursor={first['next_cursor']}").json_body
    assert (len(second["groups"]), second["next_cursor"]) == (1, None)
    assert len({entry["group_id"] for entry in first["groups"] + second["groups"]}) == 3
    assert stranger.get("/duplicates").json_body["groups"] == []


@pytest.mark.parametrize("threshold", ["0", "2", "-1", "0.2", "nan", "inf", "much", ""])
def test_a_threshold_out_of_range_is_refused(api: Api, threshold: str) -> None:
    assert "threshold" in refused(api.get(f"/duplicates?threshold={threshold}"), 400, "invalid_request")


def test_two_documents_are_shown_side_by_side(api: Api, stranger: Api) -> None:
    library = library_of(api)
    a, b = library.add(prose(1))["doc_id"], library.add(prose(1) + " and an end")["doc_id"]
    body = api.get(f"/duplicates/{a}/{b}").json_body
    assert body["similarity"] > 0.9
    assert (body["kind"], body["complete"], body["a"]["doc_id"]) == ("near_duplicate", True, a)
    (passage,) = body["passages"]
    assert passage["words"] == 120
    assert passage["a"]["start"] == passage["b"]["start"] == 0
    for path in (f"/duplicates/{a}/{new_id()}", f"/duplicates/x/{b}"):
        refused(api.get(path), 404, "not_found")
    refused(stranger.get(f"/duplicates/{a}/{b}"), 404, "not_found")
    refused(api.get(f"/duplicates/{a}/{a}"), 400, "invalid_request")


def test_a_document_names_what_it_is_alike_to_and_what_was_merged_into_it(api: Api) -> None:
    library = library_of(api)
    a = library.add(prose(1), title="One")["doc_id"]
    b = library.add(prose(1) + " and an end", title="Two")["doc_id"]
    library.add(prose(2), title="Other")
    for doc_id, other, title in ((a, b, "Two"), (b, a, "One")):
        (alike,) = api.get(f"/documents/{doc_id}").json_body["near_duplicates"]
        assert (alike["doc_id"], alike["title"], alike["kind"]) == (other, title, "near_duplicate")
        assert alike["similarity"] > 0.9
    assert api.post("/duplicates/merge", {"keep": a, "remove": [b]}).status_code == 200
    kept = api.get(f"/documents/{a}").json_body
    assert kept["near_duplicates"] == []
    assert [entry["title"] for entry in kept["merged"]] == ["Two"]


def test_duplicates_are_merged_and_the_request_may_be_repeated(api: Api) -> None:
    library = library_of(api)
    keep, gone = library.add(prose(1), title="One")["doc_id"], library.add(prose(1), title="Two")["doc_id"]
    for _ in range(2):
        body = api.post("/duplicates/merge", {"keep": keep, "remove": [gone, gone]}).json_body
        assert (body["kept"], body["removed"]) == (keep, [gone])
        assert [entry["title"] for entry in body["merged"]] == ["Two"]
    refused(api.get(f"/documents/{gone}"), 404, "not_found")
    assert api.get("/documents").json_body["total"] == 1


def test_a_merge_that_makes_no_sense_is_refused(api: Api, stranger: Api) -> None:
    library = library_of(api)
    a, b = library.add(prose(1))["doc_id"], library.add(prose(1))["doc_id"]
    theirs = library_of(stranger).add(prose(1))["doc_id"]
    for remove in ([a], [b, a], [], [b] * 21):
        refused(api.post("/duplicates/merge", {"keep": a, "remove": remove}), 400, "invalid_request")
    for keep, remove in ((a, [theirs]), (a, [new_id()]), (theirs, [b]), ("x", [b]), (a, ["", "é" * 3000])):
        refused(api.post("/duplicates/merge", {"keep": keep, "remove": remove}), 404, "not_found")
    for body in (
        {"keep": a},
        {"keep": a, "remove": "b"},
        {"keep": 1, "remove": []},
        {"keep": a, "remove": [b], "x": 1},
    ):
        refused(api.post("/duplicates/merge", body), 400, "invalid_request")
    assert api.get("/documents").json_body["total"] == 2


def test_a_search_for_duplicates_can_be_submitted(api: Api) -> None:
    answer = api.post("/jobs", {"task": "find_duplicates_background", "params": {"threshold": 0.7}})
    assert answer.status_code == 202
    refused(api.post("/jobs", {"task": "tidy_library"}), 400, "invalid_request")


# --- Deleting ------------------------------------------------------------------------------------------------


def test_a_document_is_deleted_for_good(api: Api, stranger: Api) -> None:
    library = library_of(api)
    doc_id, other = library.add(prose(1), sha256="a" * 64)["doc_id"], library.add(prose(2))["doc_id"]
    refused(stranger.send("DELETE", f"/documents/{doc_id}"), 404, "not_found")
    answer = api.send("DELETE", f"/documents/{doc_id}")
    assert (answer.status_code, answer.body) == (204, b"")
    for method in ("GET", "DELETE"):
        refused(api.send(method, f"/documents/{doc_id}"), 404, "not_found")
    body = api.get("/documents").json_body
    assert ([entry["doc_id"] for entry in body["documents"]], body["total"]) == ([other], 1)


def test_a_document_that_is_deleted_while_it_is_read_is_not_there(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = library_of(api)
    stays, goes = library.add(prose(1))["doc_id"], library.add(prose(1))["doc_id"]
    find = Documents.find

    def meanwhile(documents: Documents, doc_id: str) -> Any:
        found = find(documents, doc_id)
        if doc_id == goes and found:
            monkeypatch.undo()
            library.delete(goes)
        return found

    for path in (f"/documents/{goes}", f"/duplicates/{stays}/{goes}", f"/duplicates/{goes}/{stays}"):
        monkeypatch.setattr(Documents, "find", meanwhile)
        refused(api.get(path), 404, "not_found")
        goes = library.add(prose(1))["doc_id"]


@pytest.mark.parametrize("doc_id", ["x", "0" * 26, "%00", "a" * 3000])
def test_what_is_no_document_can_not_be_deleted(api: Api, doc_id: str) -> None:
    refused(api.send("DELETE", f"/documents/{doc_id}"), 404, "not_found")


def test_on_dynamodb_and_s3_nothing_is_left_either(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "table", lambda: DynamoTable("unit-table"))
    monkeypatch.setattr(services, "objects", lambda: Objects("unit-bucket", "unit-table"))
    library = library_of(api)
    first, second = (library.add(prose(1), title=title)["doc_id"] for title in ("One", "Two"))
    assert [entry["doc_id"] for entry in search(api, "one").json_body["results"]] == []
    assert len(api.get("/duplicates").json_body["groups"]) == 1
    assert library.tidy()["added"] == 2
    assert search(api, prose(1).split()[0]).json_body["total"] == 2
    for doc_id in (first, second):
        assert api.send("DELETE", f"/documents/{doc_id}").status_code == 204
    assert library.tidy()["removed"] == 2
    rows = clients.dynamodb().scan(TableName="unit-table")["Items"]
    left = [row["pk"]["S"] for row in rows if api.user in row["pk"]["S"].replace("#", " ").split()]
    assert left == []
    assert [key for key in library.objects.keys("") if key.startswith(("search/", "texts/"))] == []
