"""The same request with the same Idempotency-Key has one effect, whatever happened to its first answer."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from chalicelib import services
from chalicelib.aws.table import query_all
from chalicelib.jobs.store import JobStore
from tests.unit.conftest import Api

FILE = {"filename": "notes.md", "content": base64.b64encode(b"Some words.").decode()}
OTHER = {"filename": "other.md", "content": base64.b64encode(b"Other words.").decode()}

# Every route that submits, with two bodies, and where its answer names the one job.
SUBMISSIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/upload_file": (FILE, OTHER),
    "/uploads": ({"filename": "a.txt", "size": 5}, {"filename": "a.txt", "size": 6}),
    "/jobs": ({"task": "noop"}, {"task": "noop", "params": {"echo": 1}}),
    "/upload_batch": ({"files": [FILE, OTHER]}, {"files": [OTHER]}),
}


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 202, answer.body
    body = answer.json_body
    return (
        [body["batch_id"], *(job["job_id"] for job in body["jobs"])] if "jobs" in body else [body["job_id"]]
    )


def all_jobs(api: Api) -> list[str]:
    return [job["job_id"] for job in api.get("/jobs?limit=100").json_body["jobs"]]


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


@pytest.mark.parametrize("path", SUBMISSIONS)
def test_invariant_12_the_same_request_with_the_same_key_makes_the_same_jobs(api: Api, path: str) -> None:
    body, other = SUBMISSIONS[path]
    first, again = (api.post(path, body, **key("k-1")) for _ in range(2))
    assert ids(first) == ids(again)
    assert len(all_jobs(api)) == len(set(ids(first)) & set(all_jobs(api)))
    assert ids(api.post(path, body, **key("k-2"))) != ids(first)
    refused = api.post(path, other, **key("k-1"))
    assert (refused.status_code, refused.json_body["error"]["type"]) == (409, "conflict")


@pytest.mark.parametrize("path", SUBMISSIONS)
def test_another_owners_key_is_another_key(api: Api, stranger: Api, path: str) -> None:
    body, other = SUBMISSIONS[path]
    assert ids(api.post(path, body, **key("k"))) != ids(stranger.post(path, body, **key("k")))
    assert stranger.post(path, other, **key("k")).status_code == 409


def test_the_same_key_at_another_address_is_another_key(api: Api) -> None:
    first = api.post("/jobs", {"task": "noop"}, **key("k"))
    assert ids(api.post("/upload_file", FILE, **key("k"))) != ids(first)


def test_without_a_key_each_request_makes_its_own(api: Api) -> None:
    assert ids(api.upload()) != ids(api.upload())


@pytest.mark.parametrize("bad", ["", "a b", "ä", "x" * 201])
def test_a_key_that_is_none_is_refused(api: Api, bad: str) -> None:
    assert api.post("/upload_file", FILE, **key(bad)).status_code == 400
    assert all_jobs(api) == []


def test_a_request_that_does_not_fit_leaves_its_key_free(api: Api) -> None:
    assert api.post("/upload_file", {"filename": "notes.md"}, **key("k")).status_code == 400
    assert api.post("/upload_file", FILE, **key("k")).status_code == 202


@pytest.mark.parametrize("path", [path for path in SUBMISSIONS if path != "/uploads"])
def test_an_answer_lost_after_the_row_is_given_again(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The process dies between row and message: the second request finds the row and makes no other."""
    body, _ = SUBMISSIONS[path]

    def dies(*_: object, **__: object) -> None:
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("chalicelib.aws.queues.SqsQueues.send", dies)
        assert api.post(path, body, **key("k")).status_code == 500
    left = all_jobs(api)
    assert len(left) == 1
    answer = api.post(path, body, **key("k"))
    assert left[0] in ids(answer)
    assert len(all_jobs(api)) == len(body.get("files", [1]))


def test_an_answer_lost_before_the_row_is_made_good(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> None:
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(JobStore, "create", dies)
        assert api.post("/upload_file", FILE, **key("k")).status_code == 500
    assert all_jobs(api) == []
    assert (
        ids(api.post("/upload_file", FILE, **key("k")))
        == all_jobs(api)
        == ids(api.post("/upload_file", FILE, **key("k")))
    )


def test_an_upload_that_is_asked_for_again_has_the_same_place_in_the_bucket(api: Api) -> None:
    body, _ = SUBMISSIONS["/uploads"]
    first, again = (
        api.post("/uploads", body, **key("k")).json_body["upload"]["fields"]["key"] for _ in range(2)
    )
    assert first == again


def test_a_batch_that_comes_again_tells_the_same_errors(api: Api) -> None:
    body = {"files": [FILE, {"filename": "bad.md", "content": "***"}, OTHER]}
    first, again = (api.post("/upload_batch", body, **key("k")).json_body for _ in range(2))
    assert first == again
    assert len(first["jobs"]) == 2


# --- Retries ---------------------------------------------------------------------------------------------------


def failed(api: Api, name: str = "notes.md") -> str:
    job_id: str = api.upload(name).json_body["job_id"]
    fail(api, job_id)
    return job_id


def fail(api: Api, job_id: str) -> None:
    store = JobStore(services.table())
    store.fail(
        store.require(job_id, api.user), {"type": "broken_file", "message": "It broke.", "retryable": False}
    )


def test_a_retry_that_comes_again_is_done_once(api: Api) -> None:
    job_id = failed(api)
    path = f"/jobs/{job_id}/retry"
    assert api.post(path, b"", **key("k")).status_code == 202
    assert api.post(path, b"", **key("k")).status_code == 202
    assert api.post(path, b"", **key("other")).status_code == 409
    fail(api, job_id)  # it fails again: the old request must not start it over once more
    assert api.post(path, b"", **key("k")).json_body["state"] == "FAILURE"
    assert api.post(path, b"", **key("new")).json_body["state"] == "PENDING"


def test_a_bulk_retry_that_comes_again_does_not_go_on_to_the_next_ones(api: Api) -> None:
    older, newer = failed(api, "1.md"), failed(api, "2.md")
    body = {"state": "FAILURE", "limit": 1}
    first, again = (api.post("/jobs/retry", body, **key("k")).json_body for _ in range(2))
    assert first["retried"] == again["retried"] == [newer]
    assert first["next_cursor"] == again["next_cursor"] is not None
    assert JobStore(services.table()).require(older, api.user).state == "FAILURE"


def test_a_bulk_retry_that_died_half_way_is_completed(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [failed(api, f"{number}.md") for number in range(3)]
    body = {"state": "FAILURE"}
    seen: list[str] = []

    def dies_at_the_second(self: object, _queue: str, body: str, **_: object) -> None:
        seen.append(body)
        if len(seen) == 2:
            raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("chalicelib.aws.queues.SqsQueues.send", dies_at_the_second)
        assert api.post("/jobs/retry", body, **key("k")).status_code == 500
    answer = api.post("/jobs/retry", body, **key("k")).json_body
    assert answer["retried"] == made[::-1]
    store = JobStore(services.table())
    for job_id in made:
        job = store.require(job_id, api.user)
        assert (job.state, sum("retried" in str(line[3]) for line in job.timeline)) == ("PENDING", 1)


def test_claims_expire(api: Api) -> None:
    api.post("/upload_file", FILE, **key("k"))
    items = query_all(
        services.table(), ("pk", f"OWNER#{api.user}"), sort=("sk", "begins_with", "IDEMPOTENCY#")
    )
    assert all(item["expires_at"] > 0 for item in items)
