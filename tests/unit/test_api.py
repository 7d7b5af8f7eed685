"""The API's answers: what people send, and what they send by mistake."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from chalice.test import HTTPResponse

from chalicelib import services, settings
from chalicelib.api import tokens
from chalicelib.aws.secrets import read_secret
from chalicelib.jobs import messages
from tests.unit.conftest import Api


def error(answer: HTTPResponse) -> dict[str, Any]:
    assert set(answer.json_body) == {"error"}
    found: dict[str, Any] = answer.json_body["error"]
    assert {"type", "message", "retryable"} <= set(found)
    assert "Traceback" not in found["message"]
    return found


# --- Files ---------------------------------------------------------------------------------------------------


def test_a_file_is_answered_with_a_waiting_job_at_once(api: Api) -> None:
    answer = api.upload()
    assert answer.status_code == 202
    job_id = answer.json_body["job_id"]
    assert answer.headers["Location"] == f"/jobs/{job_id}/status"
    assert answer.headers["Retry-After"] == "1"
    assert answer.json_body["state"] == "PENDING"
    assert answer.json_body["meta"]["stage"] == "queued"
    assert api.get(f"/jobs/{job_id}/status").json_body["filename"] == "notes.md"


def test_invariant_1_the_row_and_the_bytes_are_there_before_the_message(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    def send(_self: object, _queue: str, body: str, **_options: object) -> None:
        job = services.table().get((f"JOB#{messages.decode(body).job_id}", "JOB"))
        assert job is not None
        seen.append(services.objects().get(json.loads(job["params"])["source"]))

    monkeypatch.setattr("chalicelib.aws.queues.SqsQueues.send", send)
    api.upload(content=b"hello there")
    assert seen == [b"hello there"]


def test_an_upload_is_answered_with_a_form_and_a_job_that_waits_for_it(api: Api) -> None:
    answer = api.post(
        "/uploads", {"filename": "big.pdf", "size": 9_000_000, "content_type": "application/pdf"}
    )
    assert answer.status_code == 202
    body = answer.json_body
    assert body["meta"]["stage"] == "awaiting_upload"
    assert body["upload"]["max_bytes"] == 9_000_000
    fields = body["upload"]["fields"]
    assert fields["key"].startswith(f"uploads/{body['job_id']}/")
    policy = json.loads(base64.b64decode(fields["policy"]))
    assert ["content-length-range", 1, 9_000_000] in policy["conditions"]
    assert {"key": fields["key"]} in policy["conditions"]
    assert {"Content-Type": "application/pdf"} in policy["conditions"]


def test_two_uploads_have_keys_that_can_not_be_guessed_from_each_other(api: Api) -> None:
    body = {"filename": "a.txt", "size": 5}
    first, second = (api.post("/uploads", body).json_body["upload"]["fields"]["key"] for _ in range(2))
    assert first.rpartition("/")[2] != second.rpartition("/")[2]
    assert len(first.rpartition("/")[2]) >= 20


@pytest.mark.parametrize(
    ("filename", "shown"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\temp\\notes.txt", "notes.txt"),
        ("📚 reading list.md", "📚 reading list.md"),
    ],
)
def test_a_strange_file_name_is_made_harmless(api: Api, filename: str, shown: str) -> None:
    assert api.upload(filename).json_body["filename"] == shown


def test_a_very_long_file_name_keeps_its_ending(api: Api) -> None:
    shown = api.upload("a" * 300 + ".md").json_body["filename"]
    assert len(shown) <= 200
    assert shown.endswith(".md")


def test_a_file_over_4_mb_is_refused_and_the_way_round_named(api: Api) -> None:
    answer = api.upload(content=b"x" * (4 * 1024 * 1024 + 1))
    found = error(answer)
    assert (answer.status_code, found["type"]) == (413, "too_large")
    assert "POST /uploads" in found["message"]
    assert api.get("/jobs").json_body["jobs"] == []


@pytest.mark.parametrize(
    ("body", "status", "type_", "says"),
    [
        ({"filename": "a.txt", "content": "***"}, 400, "invalid_request", "base64"),
        ({"filename": "a.txt", "content": ""}, 422, "empty_file", "empty"),
        ({"filename": " ", "content": "aGk="}, 400, "invalid_request", "filename"),
        ({"filename": "a.txt"}, 400, "invalid_request", "content"),
        ({"filename": "a.txt", "content": "aGk=", "colour": 1}, 400, "invalid_request", "colour"),
        ({"filename": 7, "content": "aGk="}, 400, "invalid_request", "filename"),
        (["a"], 400, "invalid_request", "object"),
        (b"{not json", 400, "invalid_request", "not JSON"),
        (b"", 400, "invalid_request", "not JSON"),
        (b'{"filename": ' + b"[" * 100_000, 400, "invalid_request", ""),
        (b'{"filename": "\xff"}', 400, "invalid_request", ""),
        (
            {"filename": "a.bin", "content": base64.b64encode(bytes(range(256)) * 8).decode()},
            415,
            "unsupported_type",
            "",
        ),
    ],
)
def test_a_bad_upload_is_refused_with_its_cause_and_leaves_no_job(
    api: Api, body: Any, status: int, type_: str, says: str
) -> None:
    answer = api.post("/upload_file", body)
    found = error(answer)
    assert (answer.status_code, found["type"]) == (status, type_)
    assert says in found["message"]
    assert api.get("/jobs").json_body["jobs"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"filename": "a.txt", "size": 0}, 400),
        ({"filename": "a.txt", "size": -1}, 400),
        ({"filename": "a.txt", "size": "5"}, 400),
        ({"filename": "a.txt", "size": 3 * 1024**3}, 413),
        ({"filename": "a.txt", "size": 5, "content_type": "no"}, 400),
        ({"filename": "a.txt", "size": 5, "content_type": "text/plain\r\nX: y"}, 400),
        ({"filename": "a" * 2000, "size": 5}, 400),
    ],
)
def test_a_bad_upload_form_is_refused(api: Api, body: Any, status: int) -> None:
    answer = api.post("/uploads", body)
    assert answer.status_code == status
    error(answer)


def test_a_queue_that_is_away_does_not_lose_the_job(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.errors import Unavailable

    def away(*_: object, **__: object) -> None:
        raise Unavailable("The queue does not answer.")

    monkeypatch.setattr("chalicelib.aws.queues.SqsQueues.send", away)
    answer = api.upload()
    assert answer.status_code == 202
    assert api.get(f"/jobs/{answer.json_body['job_id']}/status").json_body["meta"]["stage"] == "scheduled"


# --- Reading -------------------------------------------------------------------------------------------------


def test_jobs_are_listed_newest_first_page_by_page(api: Api) -> None:
    made = [api.upload(f"{number}.md").json_body["job_id"] for number in range(5)]
    listed: list[str] = []
    cursor = ""
    for _ in range(3):
        page = api.get(f"/jobs?limit=2{cursor}").json_body
        listed += [job["job_id"] for job in page["jobs"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert listed == made[::-1]
    assert page["next_cursor"] is None


def test_a_status_that_has_not_changed_is_answered_304(api: Api) -> None:
    job_id = api.upload().json_body["job_id"]
    first = api.get(f"/jobs/{job_id}/status")
    again = api.get(f"/jobs/{job_id}/status", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.body) == (304, b"")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=-1",
        "limit=%EF%BC%95",
        "colour=red",
        "cursor=AAAA",
        "cursor=%FF",
    ],
)
@pytest.mark.parametrize("path", ["/jobs", "/documents"])
def test_a_bad_query_is_refused(api: Api, path: str, query: str) -> None:
    answer = api.get(f"{path}?{query}")
    assert answer.status_code == 400
    error(answer)


def test_a_cursor_of_another_list_or_owner_is_refused(api: Api, stranger: Api) -> None:
    for _ in range(2):
        api.upload()
    cursor = api.get("/jobs?limit=1").json_body["next_cursor"]
    assert api.get(f"/documents?cursor={cursor}").status_code == 400
    assert stranger.get(f"/jobs?cursor={cursor}").status_code == 400


@pytest.mark.parametrize("path", ["/jobs/{}/status", "/documents/{}"])
def test_invariant_2_unknown_and_foreign_ids_answer_alike(api: Api, stranger: Api, path: str) -> None:
    job_id = api.upload().json_body["job_id"]
    foreign, unknown = stranger.get(path.format(job_id)), api.get(path.format("0" * 26))
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert error(foreign)["message"] == error(unknown)["message"]


def test_a_library_without_documents_is_empty(api: Api) -> None:
    assert api.get("/documents").json_body == {"documents": [], "next_cursor": None, "total": 0}


# --- Tokens --------------------------------------------------------------------------------------------------


def forged(**changes: Any) -> str:
    config = settings.get()
    claims = {
        "sub": "ann",
        "iss": config.jwt_issuer,
        "aud": config.jwt_audience,
        "exp": int(time.time()) + 60,
    }
    key = changes.pop("key", read_secret(config.jwt_secret))
    algorithm = changes.pop("algorithm", "HS256")
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return "Bearer " + jwt.encode(claims, key, algorithm=algorithm)


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_only_a_token_of_this_installation_opens_the_door(api: Api) -> None:
    refused = {
        "none": None,
        "no scheme": "abc",
        "basic": "Basic YTpi",
        "garbage": "Bearer abc",
        "expired": forged(exp=int(time.time()) - 120),
        "no expiry": forged(exp=None),
        "no subject": forged(sub=None),
        "odd subject": forged(sub="a/../b"),
        "another key": forged(key="x" * 64),
        "unsigned": forged(key="", algorithm="none"),
        "another algorithm": forged(key="s" * 64, algorithm="HS512"),
        "another audience": forged(aud="elsewhere"),
        "another issuer": forged(iss="elsewhere"),
    }
    for name, header in refused.items():
        answer = api.client.http.get("/jobs", headers={"Authorization": header} if header else {})
        assert answer.status_code == 401, name
        assert error(answer)["type"] == "unauthorized"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert api.client.http.get("/jobs", headers={"Authorization": forged()}).status_code == 200


def test_every_route_but_the_open_ones_needs_a_token(api: Api) -> None:
    import app
    from chalicelib.api.middleware import OPEN_ROUTES

    for path, methods in app.app.routes.items():
        for method in methods:
            answer = api.client.http.request(method, path.replace("{name}", "app.js"), headers={})
            assert (answer.status_code == 401) is (path not in OPEN_ROUTES), (method, path)


def test_a_user_name_that_is_no_subject_gets_no_token(api: Api) -> None:
    with pytest.raises(ValueError, match="user name"):
        tokens.issue("a b", seconds=5)


# --- Shape ---------------------------------------------------------------------------------------------------


def test_a_wrong_method_is_answered_in_our_shape(api: Api) -> None:
    answer = api.client.http.delete("/jobs", headers=api.headers)
    assert answer.status_code == 405
    assert error(answer)["type"] == "method_not_allowed"


def test_a_wrong_content_type_is_answered_in_our_shape(api: Api) -> None:
    answer = api.client.http.post(
        "/upload_file", headers={**api.headers, "Content-Type": "text/xml"}, body=b"<a/>"
    )
    assert (answer.status_code, error(answer)["type"]) == (415, "unsupported_type")


def test_an_unexpected_error_is_answered_without_its_trace(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("chalicelib.jobs.store.JobStore.page", broken)
    answer = api.get("/jobs")
    assert answer.status_code == 500
    assert "secret" not in json.dumps(answer.json_body)


def test_health_lists_what_can_be_done_and_why_not(api: Api) -> None:
    body = api.client.http.get("/health").json_body
    assert body["status"] == "ok"
    assert body["capabilities"]["ocr"]["state"] == "unavailable"
    assert body["capabilities"]["ocr"]["cause"]


def test_the_page_and_its_files_are_served_with_a_strict_policy(api: Api) -> None:
    page = api.client.http.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert api.client.http.get("/page/app.js").headers["Content-Type"].startswith("text/javascript")
    for name in ("..", "nothing.js", "%2e%2e"):
        assert api.client.http.get(f"/page/{name}").status_code == 404
