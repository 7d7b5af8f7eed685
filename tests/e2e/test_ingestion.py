"""Real files through the public API of a running stack."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import SAMPLES
from syncboard.client import ApiError, Client
from tests.stack import RunningStack, eventually, run_all

pytestmark = pytest.mark.e2e

TEXT = """# Growing tomatoes

Tomato plants need warm soil, deep watering and six hours of sun. Prune the side shoots of cordon tomatoes.
Feed tomato plants with potash once the first fruit has set, and water the soil rather than the leaves.
"""


@pytest.fixture
def client(stack: RunningStack, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A user of this run of the test: an emulator that was given keeps what earlier runs left."""
    name = "".join(letter for letter in request.node.name if letter.isalnum())[:50] + secrets.token_hex(4)
    with stack.client(name) as made:
        yield made


def form_for(stack: RunningStack, client: Client, *, size: int = 10) -> dict[str, Any]:
    """Ask for a form to upload with, and do nothing with it yet."""
    body = {"filename": "a.txt", "size": size}
    answer = httpx.post(f"{stack.url}/uploads", json=body, headers=client._http.headers)
    made: dict[str, Any] = answer.json()
    return made


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "tomatoes.md"
    path.write_text(TEXT)
    return path


def test_a_file_becomes_a_document_with_concepts_and_a_cluster(client: Client, note: Path) -> None:
    job = client.submit(note)
    states = list(client.iter_progress(job["job_id"]))
    done = states[-1]
    assert done["state"] == "SUCCESS"
    percents = [state["meta"]["percent"] for state in states]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    result = done["result"]
    assert any("tomato" in concept["name"].lower() for concept in result["concepts"])
    document = client.document(result["doc_id"])
    assert document["text"].strip() == TEXT.strip()
    assert document["title"] == "Growing tomatoes"
    assert (document["cluster_id"], document["cluster_name"]) == (
        result["cluster_id"],
        result["cluster_name"],
    )
    assert [entry["doc_id"] for entry in client.documents()["documents"]] == [result["doc_id"]]


def test_a_small_file_may_come_in_the_body(stack: RunningStack, client: Client) -> None:
    body = {"filename": "tomatoes.md", "content": base64.b64encode(TEXT.encode()).decode()}
    answer = httpx.post(f"{stack.url}/upload_file", json=body, headers=client._http.headers)
    assert answer.status_code == 202
    assert (
        httpx.get(f"{stack.url}{answer.headers['Location']}", headers=client._http.headers).status_code == 200
    )
    assert client.wait(answer.json()["job_id"])["state"] == "SUCCESS"


def test_similar_documents_share_a_cluster_and_others_do_not(client: Client, tmp_path: Path) -> None:
    texts = {
        "a.md": TEXT,
        "b.md": TEXT.replace("potash", "compost")
        + "Tomatoes ripen in warm weather; pick tomato fruit often.",
        "c.md": "# Kubernetes\n\nA Kubernetes cluster schedules containers as pods. The scheduler puts pods on nodes "
        "and the kubelet starts containers. Services route network traffic to pods.",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    a, b, c = (run_all(client, tmp_path / name)[0]["result"]["cluster_id"] for name in texts)
    assert a == b
    assert a != c


def test_broken_and_locked_pdfs_end_with_their_reason(client: Client) -> None:
    broken, locked = run_all(client, SAMPLES / "broken.pdf", SAMPLES / "locked.pdf")
    assert (broken["state"], broken["error"]["type"]) == ("FAILURE", "broken_file")
    assert (locked["state"], locked["error"]["type"]) == ("FAILURE", "password_required")
    assert not locked["error"]["retryable"]
    assert client.documents()["documents"] == []


def test_an_unknown_type_fails_at_once_and_says_what_is_taken(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "noise.txt"
    path.write_bytes(bytes(range(256)) * 50)
    (done,) = run_all(client, path)
    assert (done["state"], done["error"]["type"]) == ("FAILURE", "unsupported_type")


def test_invariant_12_the_same_bytes_become_one_document(client: Client, note: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.md"
    again.write_bytes(note.read_bytes())
    first, second = run_all(client, note, again)
    assert {first["state"], second["state"]} == {"SUCCESS"}
    assert first["result"]["doc_id"] == second["result"]["doc_id"]
    assert [job["result"].get("duplicate_of") for job in (first, second)].count(
        first["result"]["doc_id"]
    ) == 1
    assert len(client.documents()["documents"]) == 1


def test_a_form_can_be_used_again_and_still_makes_one_document(client: Client, note: Path) -> None:
    job = client.submit(note)
    for _ in range(2):
        with note.open("rb") as file:
            httpx.post(job["upload"]["url"], data=job["upload"]["fields"], files={"file": file})
    assert client.wait(job["job_id"])["state"] == "SUCCESS"
    assert len(client.documents()["documents"]) == 1


def test_a_form_takes_no_more_than_it_was_made_for(stack: RunningStack, client: Client) -> None:
    job = form_for(stack, client)
    form = job["upload"]
    refused = httpx.post(form["url"], data=form["fields"], files={"file": b"x" * 11})
    assert refused.status_code in (400, 403)
    assert httpx.post(
        form["url"], data={**form["fields"], "key": "uploads/other"}, files={"file": b"x"}
    ).is_error
    assert client.status(job["job_id"])["meta"]["stage"] == "awaiting_upload"
    assert httpx.post(form["url"], data=form["fields"], files={"file": b"some words"}).is_success
    assert client.wait(job["job_id"])["state"] == "SUCCESS"


def test_the_port_of_the_api_shows_nothing_else_of_the_bucket(stack: RunningStack, client: Client) -> None:
    url = form_for(stack, client)["upload"]["url"]
    for method, target in (
        ("GET", url),
        ("GET", f"{url}?list-type=2"),
        ("GET", f"{url}/texts/x?X-Amz-Signature=a&list-type=2"),
        ("POST", f"{url}?delete"),
        ("PUT", f"{url}/texts/x"),
        ("DELETE", f"{url}/texts/x"),
        ("GET", f"{url}/../"),
    ):
        assert httpx.request(method, target).status_code == 404, (method, target)


def test_a_long_text_is_read_by_a_link_on_the_same_port(
    stack: RunningStack, client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "long.txt"
    path.write_text("".join(f"Line {number} of a long text about tides.\n" for number in range(40_000)))
    (done,) = run_all(client, path)
    document = client.document(done["result"]["doc_id"])
    assert document["text"] is None
    assert document["text_url"].startswith(stack.url)
    assert httpx.get(document["text_url"]).text == path.read_text()
    assert httpx.get(document["text_url"].replace("X-Amz-Signature=", "X-Amz-Signature=0")).is_error


def test_a_foreign_document_is_not_there(stack: RunningStack, client: Client, note: Path) -> None:
    (done,) = run_all(client, note)
    with stack.client("stranger") as stranger:
        with pytest.raises(ApiError) as refused:
            stranger.status(done["job_id"])
        assert refused.value.status == 404
        with pytest.raises(ApiError) as refused:
            stranger.document(done["result"]["doc_id"])
        assert refused.value.status == 404


def test_only_a_browser_on_this_machine_is_signed_in_without_typing(stack: RunningStack) -> None:
    session = f"{stack.url}/_local/session"
    assert httpx.get(session).json()["token"]
    for headers in ({"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "10.0.0.5:8000"}):
        assert httpx.get(session, headers=headers).status_code == 404


def test_addresses_that_do_not_exist_answer_in_the_one_shape(stack: RunningStack) -> None:
    for path in ("/nothing", "/jobs/x/y/z", "/_local/nothing", "/_s3/other-bucket"):
        answer = httpx.get(stack.url + path)
        assert answer.status_code in (401, 404)
        assert answer.json()["error"]["message"]


def test_health_says_what_the_worker_can_do(stack: RunningStack, client: Client) -> None:
    health = eventually(client.health, lambda answer: answer["capabilities"]["pdf"]["state"] == "ready")
    assert health["status"] == "ok"
    assert health["capabilities"]["speech"]["state"] == "unavailable"
