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
from chalicelib.jobs.job import now_ms
from chalicelib.jobs.store import JobStore
from chalicelib.jobs.transitions import Lease
from chalicelib.tasks.registry import TASKS, Task
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
        "limit=" + "9" * 5000,
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


@pytest.mark.parametrize(
    "query",
    [
        *("state=", "state=DONE", "state=pending", "task=dig", "queue=intake", "queue=fast"),
        *("since=yesterday", "until=2026-13-01", "since=20260101T", "since=2026-02-01&until=2026-01-01"),
        *("q=", "q=%21%21", "q=" + "a" * 201, "sort=name"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_with_what_there_is(api: Api, query: str) -> None:
    answer = api.get(f"/jobs?{query}")
    assert answer.status_code == 400
    name = query.partition("=")[0]
    assert name in error(answer)["message"]


def test_a_cursor_of_another_filter_is_refused(api: Api) -> None:
    for _ in range(2):
        api.upload()
    cursor = api.get("/jobs?limit=1&state=PENDING").json_body["next_cursor"]
    assert api.get(f"/jobs?limit=1&state=PENDING&cursor={cursor}").status_code == 200
    for other in ("", "&state=FAILURE", "&state=PENDING&queue=uploads"):
        assert api.get(f"/jobs?limit=1{other}&cursor={cursor}").status_code == 400


def a_file(name: str = "notes.md", **more: Any) -> dict[str, Any]:
    return {"filename": name, "content": base64.b64encode(b"Some words.").decode(), **more}


def test_a_library_without_documents_is_empty(api: Api) -> None:
    assert api.get("/documents").json_body == {"documents": [], "next_cursor": None, "total": 0}


@pytest.mark.parametrize("depth", [33, 970, 972, 974, 100_000])
def test_parameters_of_a_task_are_not_nested_without_end(api: Api, depth: int) -> None:
    """Just below what Python can read an answer was a 500, and from a deeper place nobody could read the job."""
    answer = api.post("/jobs", b'{"task": "noop", "params": {"x": %s}}' % (b"[" * depth + b"]" * depth))
    assert (answer.status_code, error(answer)["type"]) == (400, "invalid_request")
    assert api.get("/jobs").json_body["jobs"] == []


def test_parameters_of_a_task_may_be_nested_as_people_do(api: Api) -> None:
    answer = api.post("/jobs", b'{"task": "noop", "params": {"x": %s}}' % (b"[" * 31 + b"]" * 31))
    assert answer.status_code == 202


# --- One job ------------------------------------------------------------------------------------------------


def test_a_job_tells_how_it_came_to_this(api: Api) -> None:
    job_id = api.post("/upload_file", a_file(password="opensesame")).json_body["job_id"]
    job = api.get(f"/jobs/{job_id}").json_body
    assert job["timeline"] == [
        {"state": "PENDING", "at": job["created_at"], "attempt": 0, "note": "submitted"}
    ]
    assert (job["queue"], job["worker"], job["batch_id"], job["webhook"]) == ("uploads", None, None, None)
    assert job["expires_at"] is None
    assert "opensesame" not in json.dumps(job)


def test_a_waiting_job_is_cancelled_at_once_and_an_ended_one_stays_as_it_is(api: Api) -> None:
    job_id = api.upload().json_body["job_id"]
    answer = api.send("DELETE", f"/jobs/{job_id}")
    assert (answer.status_code, answer.json_body["state"]) == (200, "REVOKED")
    before = api.get(f"/jobs/{job_id}").json_body
    again = api.send("DELETE", f"/jobs/{job_id}")
    assert (again.status_code, error(again)["type"]) == (409, "conflict")
    assert api.get(f"/jobs/{job_id}").json_body == before
    assert before["timeline"][-1]["note"] == "cancelled"
    assert before["expires_at"]


def running(api: Api) -> str:
    """Submit a job and take it, as a worker would; return its id."""
    job_id: str = api.upload().json_body["job_id"]
    lease = Lease(dispatch=1, run="r", worker="w", until=now_ms() + 60_000)
    JobStore(services.table()).take(job_id, lease)
    return job_id


def failed(api: Api, name: str = "notes.md", **wishes: str) -> str:
    """Submit a job and let it fail; return its id."""
    body = {"filename": name, "content": base64.b64encode(b"# Notes").decode(), **wishes}
    job_id: str = api.post("/upload_file", body).json_body["job_id"]
    store = JobStore(services.table())
    store.fail(
        store.require(job_id, api.user), {"type": "broken_file", "message": "It broke.", "retryable": False}
    )
    return job_id


def test_a_running_job_is_asked_to_stop_and_can_not_be_retried(api: Api) -> None:
    job_id = running(api)
    answer = api.send("DELETE", f"/jobs/{job_id}")
    assert (answer.status_code, answer.json_body["state"]) == (202, "PROCESSING")
    assert answer.json_body["meta"]["message"] == "Cancelling"
    assert answer.headers["Location"] == f"/jobs/{job_id}/status"
    refused = api.post(f"/jobs/{job_id}/retry", b"")
    assert (refused.status_code, error(refused)["type"]) == (409, "conflict")


def test_a_failed_job_is_started_over(api: Api) -> None:
    job_id = failed(api)
    answer = api.post(f"/jobs/{job_id}/retry", b"")
    assert (answer.status_code, answer.json_body["state"], answer.json_body["attempt"]) == (202, "PENDING", 0)
    assert api.get(f"/jobs/{job_id}").json_body["timeline"][-1]["note"] == f"retried by {api.user}"
    assert api.post(f"/jobs/{job_id}/retry", b"").status_code == 409


@pytest.mark.parametrize(("body", "kept"), [({"password": "right"}, "right"), ({}, "wrong"), (b"", "wrong")])
def test_a_retry_may_bring_the_password_that_the_file_wants(api: Api, body: Any, kept: str) -> None:
    job_id = failed(api, password="wrong")
    answer = api.post(f"/jobs/{job_id}/retry", body)
    assert answer.status_code == 202
    assert "right" not in json.dumps(api.get(f"/jobs/{job_id}").json_body)
    assert JobStore(services.table()).require(job_id, api.user).password == kept


def test_a_retry_takes_nothing_but_a_password(api: Api) -> None:
    refused = api.post(f"/jobs/{failed(api)}/retry", {"pasword": "typo"})
    assert (refused.status_code, error(refused)["type"]) == (400, "invalid_request")


def test_many_failed_jobs_are_started_over_page_by_page(api: Api) -> None:
    waiting = api.upload("report.md").json_body["job_id"]
    reports = [failed(api, f"report {number}.md") for number in range(3)]
    other = failed(api, "letter.md")
    body: dict[str, Any] = {"state": "FAILURE", "q": "report", "limit": 2}
    first = api.post("/jobs/retry", body).json_body
    second = api.post("/jobs/retry", {**body, "cursor": first["next_cursor"]}).json_body
    assert first["retried"] + second["retried"] == reports[::-1]
    assert (first["errors"], second["errors"], second["next_cursor"]) == ([], [], None)
    states = {job["job_id"]: job["state"] for job in api.get("/jobs").json_body["jobs"]}
    assert states == {waiting: "PENDING", other: "FAILURE", **dict.fromkeys(reports, "PENDING")}


def test_one_that_can_not_be_retried_does_not_keep_the_others_back(api: Api) -> None:
    never_came = api.post("/uploads", {"filename": "a.txt", "size": 5}).json_body["job_id"]
    store = JobStore(services.table())
    store.fail(
        store.require(never_came, api.user), {"type": "upload_missing", "message": "", "retryable": False}
    )
    good = failed(api)
    answer = api.post("/jobs/retry", {"state": "FAILURE"}).json_body
    assert answer["retried"] == [good]
    assert [(entry["job_id"], entry["error"]["type"]) for entry in answer["errors"]] == [
        (never_came, "conflict")
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"state": "SUCCESS"}, "FAILURE"),
        ({}, "state"),
        ({"state": "FAILURE", "limit": 101}, "limit"),
        ({"state": "FAILURE", "limit": 0}, "limit"),
        ({"state": "FAILURE", "task": "dig"}, "task"),
        ({"state": "FAILURE", "since": "never"}, "since"),
        ({"state": "FAILURE", "cursor": "AAAA"}, "cursor"),
        ({"state": "FAILURE", "q": ""}, "q is"),
        ({"state": "FAILURE", "colour": "red"}, "colour"),
    ],
)
def test_a_bad_bulk_retry_is_refused(api: Api, body: dict[str, Any], says: str) -> None:
    answer = api.post("/jobs/retry", body)
    assert answer.status_code == 400
    assert says in error(answer)["message"]


# --- Tasks by name, links, webhooks ---------------------------------------------------------------------------


def test_a_task_is_submitted_by_name(api: Api) -> None:
    answer = api.post("/jobs", {"task": "noop", "params": {"echo": "hello"}})
    assert (answer.status_code, answer.json_body["task"]) == (202, "noop")
    job = api.get(f"/jobs/{answer.json_body['job_id']}").json_body
    assert job["queue"] == "low_priority"


@pytest.mark.parametrize("task", ["dig", "process_file_upload", ""])
def test_a_task_that_can_not_be_submitted_is_refused_with_those_that_can(api: Api, task: str) -> None:
    answer = api.post("/jobs", {"task": task})
    assert (answer.status_code, error(answer)["type"]) == (400, "invalid_request")
    assert "noop" in error(answer)["message"]
    assert api.get("/jobs").json_body["jobs"] == []


def test_parameters_beyond_all_measure_are_refused(api: Api) -> None:
    assert api.post("/jobs", {"task": "noop", "params": {"echo": "x" * 20_000}}).status_code == 400


def test_a_link_is_answered_with_a_job(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with_links(monkeypatch)
    answer = api.post("/upload", {"url": " HTTPS://Example.com/a b.pdf#page=2", "password": "x"})
    assert (answer.status_code, answer.json_body["task"]) == (202, "process_url_upload")
    assert answer.json_body["filename"] == "https://example.com/a%20b.pdf"
    row = JobStore(services.table()).find(answer.json_body["job_id"])
    assert row is not None
    assert (row.params, row.password) == ({"url": "https://example.com/a%20b.pdf"}, "x")


@pytest.mark.parametrize(
    "url",
    ["", "notes.md", "ftp://example.com/a", "file:///etc/passwd", "http://", "https://a:b@example.com/"],
)
def test_what_is_no_link_is_refused(api: Api, url: str) -> None:
    answer = api.post("/upload", {"url": url})
    assert (answer.status_code, error(answer)["type"]) == (422, "unsupported_url")
    for bad in ("http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/"):
        assert error(api.post("/upload", {"url": bad}))["type"] == "blocked_address"


def with_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sure that links have a task, whatever this installation registers."""
    task = Task(name="process_url_upload", queue="uploads", target="chalicelib.tasks.noop:noop")
    monkeypatch.setitem(TASKS, task.name, task)


@pytest.mark.parametrize("path", ["/upload_file", "/uploads", "/upload", "/jobs", "/upload_batch"])
@pytest.mark.parametrize(
    "url", ["", "no", "ftp://example.com/", "http://", "https://e.com/" + "a" * 2000, "http://10.0.0.1/"]
)
def test_a_webhook_that_is_no_address_is_refused_everywhere(api: Api, path: str, url: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "/upload_file": a_file(),
        "/uploads": {"filename": "a.txt", "size": 5},
        "/upload": {"url": "https://example.com/"},
        "/jobs": {"task": "noop"},
        "/upload_batch": {"files": [a_file()]},
    }
    answer = api.post(path, {**bodies[path], "webhook": url})
    assert (answer.status_code, error(answer)["type"]) == (400, "invalid_request")
    assert "webhook" in error(answer)["message"]
    assert api.get("/jobs").json_body["jobs"] == []


def test_force_and_webhook_reach_the_job(api: Api) -> None:
    hook = "https://example.com/hook"
    job_id = api.post("/upload_file", a_file(force=True, webhook=hook)).json_body["job_id"]
    row = JobStore(services.table()).require(job_id, api.user)
    assert (row.webhook, row.params["force"]) == (hook, True)
    assert api.get(f"/jobs/{job_id}").json_body["webhook"] == hook


def test_the_default_webhook_is_for_jobs_without_their_own(api: Api, stranger: Api) -> None:
    secret = api.get("/webhook").json_body["secret"]
    assert api.get("/webhook").json_body == {"url": None, "secret": secret}
    put = api.send("PUT", "/webhook", {"url": "https://example.com/default"})
    assert put.json_body == {"url": "https://example.com/default", "secret": secret}
    assert api.get("/webhook").json_body == put.json_body

    def hook_of(user: Api, **more: Any) -> str:
        job_id = user.post("/upload_file", a_file(**more)).json_body["job_id"]
        return JobStore(services.table()).require(job_id, user.user).webhook

    assert hook_of(api) == "https://example.com/default"
    assert hook_of(api, webhook="https://example.com/own") == "https://example.com/own"
    assert hook_of(stranger) == ""
    assert api.send("DELETE", "/webhook").status_code == 204
    assert hook_of(api) == ""
    assert api.get("/webhook").json_body["secret"] != secret


@pytest.mark.parametrize(
    "body", [{"url": "nowhere"}, {"url": ""}, {}, {"url": None}, {"url": "http://[::1]/"}]
)
def test_a_default_webhook_that_is_no_address_is_refused(api: Api, body: dict[str, Any]) -> None:
    answer = api.send("PUT", "/webhook", body)
    assert (answer.status_code, error(answer)["type"]) == (400, "invalid_request")
    assert api.get("/webhook").json_body["url"] is None


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

    monkeypatch.setattr("chalicelib.jobs.history.History.page", broken)
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


def test_a_picture_comes_with_its_description(api: Api) -> None:
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
    answer = api.post(
        "/upload_image", {"filename": "cat.png", "content": png, "description": "A cat on a warm wall"}
    )
    assert answer.status_code == 202
    job = JobStore(services.table()).require(answer.json_body["job_id"], api.user)
    assert (job.queue, job.params["description"]) == ("uploads-ocr", "A cat on a warm wall")
    refused = api.post("/upload_image", {"filename": "cat.png", "content": png, "description": "x" * 5001})
    assert (refused.status_code, refused.json_body["error"]["field"]) == (400, "description")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_batch_with_an_endless_id_is_unknown(api: Api, method: str) -> None:
    assert api.send(method, "/batches/" + "a" * 5000).status_code == 404
