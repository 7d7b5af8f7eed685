"""Batches: one bad item does not sink the others, one figure says how far all are, one call cancels the rest."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from chalicelib import services, settings
from chalicelib.jobs.job import Job, now_ms
from chalicelib.jobs.states import State
from chalicelib.jobs.store import JobStore
from chalicelib.jobs.submission import Submission, Wishes
from chalicelib.jobs.transitions import Lease, RunToken, success
from chalicelib.tasks.registry import TASKS, Task
from tests.unit.conftest import Api


def a_file(name: str = "notes.md", **more: Any) -> dict[str, Any]:
    return {"filename": name, "content": base64.b64encode(b"Some words.").decode(), **more}


def submit(api: Api, number: int = 3) -> tuple[str, list[str]]:
    body = api.post("/upload_batch", {"files": [a_file(f"{i}.md") for i in range(number)]}).json_body
    return body["batch_id"], [job["job_id"] for job in body["jobs"]]


@pytest.fixture(autouse=True)
def _links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links have a task, whatever this installation registers."""
    task = Task(name="process_url_upload", queue="uploads", target="chalicelib.tasks.noop:noop")
    monkeypatch.setitem(TASKS, task.name, task)


def test_a_batch_of_files_is_answered_with_a_job_each(api: Api) -> None:
    answer = api.post("/upload_batch", {"files": [a_file("a.md"), a_file("b.md")]})
    body = answer.json_body
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/batches/{body['batch_id']}" == body["batch_url"]
    assert answer.headers["Retry-After"] == "1"
    assert [job["filename"] for job in body["jobs"]] == ["a.md", "b.md"]
    assert body["errors"] == []
    for job in body["jobs"]:
        assert api.get(f"/jobs/{job['job_id']}").json_body["batch_id"] == body["batch_id"]


def test_a_batch_of_links_is_answered_with_a_job_each(api: Api) -> None:
    urls = ["https://example.com/a", "https://example.com/b.pdf"]
    body = api.post("/upload_batch_urls", {"urls": urls}).json_body
    assert [job["url"] for job in body["jobs"]] == urls
    listed = api.get(f"/batches/{body['batch_id']}").json_body["jobs"]
    assert [(job["task"], job["filename"]) for job in listed] == [("process_url_upload", url) for url in urls]


def test_bad_files_are_named_by_their_position_and_the_others_go_on(api: Api) -> None:
    files = [
        a_file("good.md"),
        {"filename": "bad64.md", "content": "***"},
        {"filename": "no content.md"},
        {"filename": 7, "content": "aGk="},
        "not a file",
        {"filename": "empty.md", "content": ""},
        a_file("hook.md", webhook="nowhere"),
        a_file("odd.md", colour="red"),
        a_file("also good.md"),
    ]
    body = api.post("/upload_batch", {"files": files}).json_body
    assert [job["filename"] for job in body["jobs"]] == ["good.md", "also good.md"]
    told = [(error["index"], error["filename"], error["error"]["type"]) for error in body["errors"]]
    assert told == [
        (1, "bad64.md", "invalid_request"),
        (2, "no content.md", "invalid_request"),
        (3, None, "invalid_request"),
        (4, "not a file", "invalid_request"),
        (5, "empty.md", "empty_file"),
        (6, "hook.md", "invalid_request"),
        (7, "odd.md", "invalid_request"),
    ]
    batch = api.get(f"/batches/{body['batch_id']}").json_body
    assert batch["errors"] == body["errors"]
    assert [job["job_id"] for job in batch["jobs"]] == [job["job_id"] for job in body["jobs"]]


def test_bad_links_are_named_by_their_position(api: Api) -> None:
    urls = ["https://example.com/", "ftp://example.com/", 7, "http://127.0.0.1/"]
    body = api.post("/upload_batch_urls", {"urls": urls}).json_body
    assert len(body["jobs"]) == 1
    told = [(error["index"], error["url"], error["error"]["type"]) for error in body["errors"]]
    assert told == [
        (1, "ftp://example.com/", "unsupported_url"),
        (2, None, "invalid_request"),
        (3, "http://127.0.0.1/", "blocked_address"),
    ]


@pytest.mark.parametrize(("path", "field"), [("/upload_batch", "files"), ("/upload_batch_urls", "urls")])
@pytest.mark.parametrize("number", [0, 101])
def test_an_empty_batch_and_one_of_101_are_refused(api: Api, path: str, field: str, number: int) -> None:
    item = a_file() if field == "files" else "https://example.com/"
    answer = api.post(path, {field: [item] * number})
    assert answer.status_code == 400
    assert "1 to 100" in answer.json_body["error"]["message"]
    assert api.get("/jobs").json_body["jobs"] == []


def test_a_batch_of_100_is_taken(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    one = JobStore(services.table()).require(submit(api, 1)[1][0], api.user)

    def link(self: Submission, url: str, _wishes: Wishes) -> Job:
        return msgspec.structs.replace(one, job_id=self.ids(), filename=url)

    monkeypatch.setattr(Submission, "link", link)  # what each takes is not the question here
    body = api.post("/upload_batch_urls", {"urls": ["https://example.com/"] * 100}).json_body
    assert len({job["job_id"] for job in body["jobs"]}) == 100


@pytest.mark.parametrize("body", [{}, {"files": {}}, {"files": "a"}, {"urls": []}, {"files": [], "x": 1}, []])
def test_what_is_no_batch_is_refused(api: Api, body: Any) -> None:
    assert api.post("/upload_batch", body).status_code == 400


def test_wishes_of_the_batch_hold_for_its_files_unless_they_have_their_own(api: Api) -> None:
    hook, own = "https://example.com/all", "https://example.com/one"
    files = [a_file(), a_file(webhook=own, password="x")]
    body = api.post("/upload_batch", {"files": files, "force": True, "webhook": hook}).json_body
    rows = [JobStore(services.table()).require(job["job_id"], api.user) for job in body["jobs"]]
    assert [row.webhook for row in rows] == [hook, own]
    assert [row.params["force"] for row in rows] == [True, True]
    assert [row.password for row in rows] == ["", "x"]


# --- How it stands ---------------------------------------------------------------------------------------------


def take(job_id: str) -> RunToken:
    lease = Lease(dispatch=1, run="r", worker="w", until=now_ms() + 60_000)
    return RunToken.of(JobStore(services.table()).take(job_id, lease))


def test_one_figure_says_how_far_a_batch_is(api: Api) -> None:
    batch_id, (done, half, broken) = submit(api)
    store = JobStore(services.table())
    assert api.get(f"/batches/{batch_id}").json_body["percent"] == 0

    take(done)
    services.table().transact([success(store.require(done, api.user), result={}, warnings=[])])
    store.renew(take(half), lease_until=now_ms() + 60_000, progress={"percent": 50})
    store.fail(store.require(broken, api.user), {"type": "t", "message": "m", "retryable": False})
    answer = api.get(f"/batches/{batch_id}")
    assert answer.json_body["percent"] == (100 + 50 + 100) // 3
    assert answer.json_body["counts"] == {"PROCESSING": 1, "SUCCESS": 1, "FAILURE": 1}
    assert answer.headers["Retry-After"]


def test_an_ended_batch_is_at_100_and_needs_no_further_look(api: Api) -> None:
    batch_id, _ = submit(api)
    api.send("DELETE", f"/batches/{batch_id}")
    answer = api.get(f"/batches/{batch_id}")
    assert (answer.json_body["percent"], answer.json_body["counts"]) == (100, {"REVOKED": 3})
    assert "Retry-After" not in answer.headers


def test_cancelling_a_batch_says_how_many_and_leaves_what_has_ended(api: Api) -> None:
    batch_id, (ended, at_work, _waiting) = submit(api)
    api.send("DELETE", f"/jobs/{ended}")
    take(at_work)
    answer = api.send("DELETE", f"/batches/{batch_id}")
    assert answer.status_code == 202
    assert answer.json_body == {"batch_id": batch_id, "cancelled": 1, "stopping": 1, "ended": 1}
    states = {job["job_id"]: job["state"] for job in api.get(f"/batches/{batch_id}").json_body["jobs"]}
    assert states[at_work] == State.PROCESSING
    assert api.get(f"/jobs/{at_work}/status").json_body["meta"]["message"] == "Cancelling"


def test_cancelling_a_batch_does_not_let_its_own_waiting_jobs_in_first(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = msgspec.structs.replace(settings.get(), max_dispatched=2)
    monkeypatch.setattr(settings, "get", lambda: narrow)
    batch_id, _ = submit(api, 6)
    assert len(api.get("/jobs?state=WAITING").json_body["jobs"]) == 4
    before = services.queues().depth("uploads").total
    answer = api.send("DELETE", f"/batches/{batch_id}")
    assert (answer.status_code, answer.json_body["cancelled"]) == (200, 6)
    assert services.queues().depth("uploads").total == before


def test_a_batch_whose_jobs_have_expired_is_still_there(api: Api) -> None:
    from chalicelib.aws.expressions import Delete
    from chalicelib.jobs.job import job_key

    batch_id, job_ids = submit(api, 2)
    services.table().write(Delete(key=job_key(job_ids[0])))
    batch = api.get(f"/batches/{batch_id}").json_body
    assert [job["job_id"] for job in batch["jobs"]] == job_ids[1:]
    assert batch["expires_at"] > batch["created_at"]
