"""The clients: what they send, when they try again, and that trying again never doubles."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncboard.async_client import AsyncClient
from syncboard.calls import Calls
from syncboard.client import ApiError, Client

Reply = httpx.Response | Exception
URL = "http://api.test/stage"


class Server:
    """Answers from a list; the last one again and again. Keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.replies: list[Reply] = [httpx.Response(200, json={})]
        self.slept: list[float] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._reply(request)

    async def handle_async(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return self._reply(request)

    def _reply(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.asked if request.content]


class Both:
    """Does the same with each client; a test that uses it runs once with each."""

    def __init__(self, server: Server, kind: str) -> None:
        self.server = server
        self.kind = kind

    def do(self, call: Callable[[Calls[Any, Any]], Any]) -> Any:
        if self.kind == "blocking":
            with Client(URL, "secret", transport=httpx.MockTransport(self.server.handle)) as client:
                return call(client)
        return asyncio.run(self._awaited(call))

    async def _awaited(self, call: Callable[[Calls[Any, Any]], Any]) -> Any:
        transport = httpx.MockTransport(self.server.handle_async)
        async with AsyncClient(URL, "secret", transport=transport) as client:
            return await call(client)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr("syncboard.client.time.sleep", server.slept.append)

    async def sleep(seconds: float) -> None:
        server.slept.append(seconds)

    monkeypatch.setattr("syncboard.async_client.asyncio.sleep", sleep)
    return server


@pytest.fixture(params=["blocking", "asynchronous"])
def both(request: pytest.FixtureRequest, server: Server) -> Both:
    return Both(server, request.param)


def refusal(status: int, type_: str, *, retryable: bool, **headers: str) -> httpx.Response:
    error = {"type": type_, "message": "No.", "retryable": retryable}
    return httpx.Response(status, json={"error": error}, headers=headers)


def state(name: str, **headers: str) -> httpx.Response:
    return httpx.Response(200, json={"job_id": "j", "state": name}, headers=headers)


CALLS: list[tuple[Callable[[Calls[Any, Any]], Any], str, str, Any]] = [
    (
        lambda c: c.submit_url("https://e.com/", force=True),
        "POST",
        "/upload",
        {"url": "https://e.com/", "force": True},
    ),
    (lambda c: c.submit_urls(["https://e.com/"]), "POST", "/upload_batch_urls", {"urls": ["https://e.com/"]}),
    (
        lambda c: c.submit_files([("a.txt", b"hi")], password="x", force=True),
        "POST",
        "/upload_batch",
        {"files": [{"filename": "a.txt", "content": "aGk=", "password": "x"}], "force": True},
    ),
    (lambda c: c.submit_task("noop", {"echo": 1}), "POST", "/jobs", {"task": "noop", "params": {"echo": 1}}),
    (
        lambda c: c.submit_bytes("a.txt", b"hi", webhook="https://e.com/h", password=None),
        "POST",
        "/upload_file",
        {"filename": "a.txt", "content": "aGk=", "webhook": "https://e.com/h"},
    ),
    (lambda c: c.status("j"), "GET", "/jobs/j/status", None),
    (lambda c: c.job("j"), "GET", "/jobs/j", None),
    (lambda c: c.jobs(state="FAILURE", q="a b", limit=5), "GET", "/jobs?limit=5&state=FAILURE&q=a+b", None),
    (lambda c: c.cancel("j"), "DELETE", "/jobs/j", None),
    (lambda c: c.retry("j"), "POST", "/jobs/j/retry", {}),
    (lambda c: c.retry("j", password="x"), "POST", "/jobs/j/retry", {"password": "x"}),
    (
        lambda c: c.retry_failed(task="noop", cursor="x"),
        "POST",
        "/jobs/retry",
        {"state": "FAILURE", "limit": 100, "task": "noop", "cursor": "x"},
    ),
    (lambda c: c.batch("b"), "GET", "/batches/b", None),
    (lambda c: c.cancel_batch("b"), "DELETE", "/batches/b", None),
    (lambda c: c.documents(cursor="x"), "GET", "/documents?limit=25&cursor=x", None),
    (lambda c: c.document("d"), "GET", "/documents/d", None),
    (lambda c: c.delete_document("d"), "DELETE", "/documents/d", None),
    (
        lambda c: c.search('a "b c"', type="pdf", cluster=None, cursor="x"),
        "GET",
        "/search?q=a+%22b+c%22&limit=10&cursor=x&type=pdf",
        None,
    ),
    (lambda c: c.clusters(sort="largest"), "GET", "/clusters?sort=largest&limit=25", None),
    (lambda c: c.cluster("k", limit=5), "GET", "/clusters/k?limit=5", None),
    (lambda c: c.rename_cluster("k", "Tides"), "PUT", "/clusters/k", {"name": "Tides"}),
    (lambda c: c.delete_cluster("k"), "DELETE", "/clusters/k", None),
    (lambda c: c.regroup(), "POST", "/clusters/compact", {}),
    (lambda c: c.duplicates(threshold=0.7), "GET", "/duplicates?limit=25&threshold=0.7", None),
    (lambda c: c.compare("a", "b"), "GET", "/duplicates/a/b", None),
    (lambda c: c.merge("a", ("b",)), "POST", "/duplicates/merge", {"keep": "a", "remove": ["b"]}),
    (
        lambda c: c.find_duplicates(threshold=0.7),
        "POST",
        "/jobs",
        {"task": "find_duplicates_background", "params": {"threshold": 0.7}},
    ),
    (lambda c: c.what_can_i_build(max_suggestions=3), "POST", "/what_can_i_build", {"max_suggestions": 3}),
    (lambda c: c.analytics(time_period="7d"), "GET", "/analytics?time_period=7d", None),
    (lambda c: c.webhook(), "GET", "/webhook", None),
    (lambda c: c.set_webhook("https://e.com/"), "PUT", "/webhook", {"url": "https://e.com/"}),
    (lambda c: c.delete_webhook(), "DELETE", "/webhook", None),
    (lambda c: c.health(), "GET", "/health", None),
    (lambda c: c.stats(hours=24), "GET", "/stats?hours=24", None),
]


@pytest.mark.parametrize(("call", "method", "path", "body"), CALLS)
def test_each_call_asks_for_what_it_says(
    both: Both, call: Callable[[Calls[Any, Any]], Any], method: str, path: str, body: Any
) -> None:
    both.server.replies = [httpx.Response(200, json={"ok": True})]
    assert both.do(call) == {"ok": True}
    (asked,) = both.server.asked
    assert (asked.method, str(asked.url)) == (method, URL + path)
    assert asked.headers["Authorization"] == "Bearer secret"
    assert both.server.bodies() == ([] if body is None else [body])
    assert ("Idempotency-Key" in asked.headers) is (method == "POST")


def test_texts_come_as_they_are_and_a_foreign_address_gets_no_token(both: Both) -> None:
    both.server.replies = [httpx.Response(200, text="a,b\n")]
    assert both.do(lambda client: client.analytics_csv(time_period="7d")) == "a,b\n"
    assert both.do(lambda client: client.fetch_text("http://bucket.test/k?sig=1")) == "a,b\n"
    assert [str(asked.url) for asked in both.server.asked] == [
        f"{URL}/analytics/export?time_period=7d",
        "http://bucket.test/k?sig=1",
    ]
    assert ["Authorization" in asked.headers for asked in both.server.asked] == [True, False]


def test_an_export_is_put_together_from_its_pages(both: Both) -> None:
    def page(number: int, cursor: str | None) -> httpx.Response:
        headers = {"X-Next-Cursor": cursor} if cursor else {}
        body = {"cluster": {"name": "k"}, "documents": [{"doc_id": number}], "next_cursor": cursor}
        return httpx.Response(200, json=body, headers=headers)

    both.server.replies = [page(1, "x"), page(2, None)]
    whole = both.do(lambda client: client.export_cluster("k"))
    assert whole == {"cluster": {"name": "k"}, "documents": [{"doc_id": 1}, {"doc_id": 2}]}
    assert str(both.server.asked[1].url) == f"{URL}/clusters/k/export?format=json&cursor=x"
    both.server.replies = [
        httpx.Response(200, text="# k\n", headers={"X-Next-Cursor": "x"}),
        httpx.Response(200, text="# k again\n"),
    ]
    assert both.do(lambda client: client.export_cluster_markdown("k")) == "# k\n\n# k again\n"


def test_an_empty_answer_is_an_empty_object(both: Both) -> None:
    both.server.replies = [httpx.Response(204)]
    assert both.do(lambda client: client.delete_webhook()) == {}


@pytest.mark.parametrize(
    "trouble",
    [
        refusal(503, "unavailable", retryable=True),
        refusal(429, "too_many_requests", retryable=True),
        httpx.Response(502, text="<html>Bad gateway"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("the answer was lost"),
    ],
)
def test_a_post_that_is_sent_again_carries_the_same_key(both: Both, trouble: Reply) -> None:
    both.server.replies = [trouble, trouble, httpx.Response(202, json={"job_id": "j"})]
    assert both.do(lambda client: client.submit_task("noop")) == {"job_id": "j"}
    keys = [request.headers["Idempotency-Key"] for request in both.server.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(both.server.slept) == 2
    both.do(lambda client: client.submit_task("noop"))
    assert both.server.asked[-1].headers["Idempotency-Key"] not in keys


def test_it_waits_as_long_as_the_api_asks(both: Both) -> None:
    both.server.replies = [
        refusal(503, "unavailable", retryable=True, **{"Retry-After": "7"}),
        httpx.Response(200, json={}),
    ]
    both.do(lambda client: client.health())
    assert both.server.slept == [7.0]


def test_an_error_that_a_retry_can_not_help_is_raised_at_once(both: Both) -> None:
    both.server.replies = [refusal(409, "conflict", retryable=False)]
    with pytest.raises(ApiError) as raised:
        both.do(lambda client: client.retry("j"))
    error = raised.value
    assert (error.status, error.type, error.message, error.retryable) == (409, "conflict", "No.", False)
    assert len(both.server.asked) == 1


@pytest.mark.parametrize(
    "trouble", [refusal(503, "unavailable", retryable=True), httpx.ConnectError("refused")]
)
def test_it_gives_up_in_the_end(both: Both, trouble: Reply) -> None:
    both.server.replies = [trouble]
    with pytest.raises((ApiError, httpx.ConnectError)):
        both.do(lambda client: client.health())
    assert len(both.server.asked) == 5


# --- Files -----------------------------------------------------------------------------------------------------


def form(url: str = "http://bucket.test/b") -> httpx.Response:
    return httpx.Response(202, json={"job_id": "j", "upload": {"url": url, "fields": {"key": "uploads/j/x"}}})


def test_a_file_is_posted_by_form_without_the_token_and_again_from_its_beginning(
    both: Both, tmp_path: Path
) -> None:
    path = tmp_path / "notes.md"
    path.write_bytes(b"# Notes\n")
    both.server.replies = [form(), httpx.ReadError("broke off"), httpx.Response(204)]
    assert both.do(lambda client: client.submit(path, password="x"))["job_id"] == "j"
    announced, *posts = both.server.asked
    body = json.loads(announced.content)
    assert body == {"filename": "notes.md", "size": 8, "content_type": "text/markdown", "password": "x"}
    assert [str(post.url) for post in posts] == ["http://bucket.test/b"] * 2
    for post in posts:
        assert "Authorization" not in post.headers
        assert b'name="key"\r\n\r\nuploads/j/x' in post.content
        assert b"# Notes\n" in post.content


def test_many_bytes_go_by_form_and_few_in_the_request(both: Both) -> None:
    both.server.replies = [form(), httpx.Response(204)]
    both.do(lambda client: client.submit_bytes("big.bin", b"x" * 2_000_000))
    assert both.server.asked[0].url.path == "/stage/uploads"
    assert len(both.server.asked[1].content) > 2_000_000


def test_an_upload_that_the_bucket_refuses_says_so(both: Both) -> None:
    both.server.replies = [form(), httpx.Response(403, text="<Code>AccessDenied</Code>")]
    with pytest.raises(ApiError, match="AccessDenied") as raised:
        both.do(lambda client: client.submit_bytes("big.bin", b"x" * 2_000_000))
    assert raised.value.type == "upload_refused"


# --- Waiting ---------------------------------------------------------------------------------------------------


def test_waiting_asks_as_often_as_the_api_says_and_with_the_last_tag(both: Both) -> None:
    both.server.replies = [
        state("PENDING", **{"Retry-After": "1", "ETag": '"a"'}),
        httpx.Response(304, headers={"Retry-After": "2"}),
        state("SUCCESS", ETag='"b"'),
    ]
    assert both.do(lambda client: client.wait("j"))["state"] == "SUCCESS"
    assert [request.headers.get("If-None-Match") for request in both.server.asked] == [None, '"a"', '"a"']
    assert both.server.slept == [1.0, 2.0]


def test_waiting_ends_with_its_time(both: Both) -> None:
    both.server.replies = [state("PROCESSING")]
    with pytest.raises(TimeoutError):
        both.do(lambda client: client.wait("j", timeout=0.02))
    assert both.server.asked


def test_many_are_waited_for_in_their_order(server: Server) -> None:
    server.replies = [
        httpx.Response(200, json={"job_id": name, "state": done})
        for name, done in (("a", "PROCESSING"), ("a", "SUCCESS"), ("b", "FAILURE"))
    ]
    with Client(URL, "secret", transport=httpx.MockTransport(server.handle)) as client:
        ends = client.wait_all(["a", "b"])
    assert [(end["job_id"], end["state"]) for end in ends] == [("a", "SUCCESS"), ("b", "FAILURE")]


def progress() -> Iterator[Reply]:
    yield state("PENDING")
    yield httpx.Response(304)
    yield state("PROCESSING")
    yield state("REVOKED")


def test_progress_yields_what_changed(server: Server) -> None:
    server.replies = list(progress())
    with Client(URL, "secret", transport=httpx.MockTransport(server.handle)) as client:
        assert [status["state"] for status in client.iter_progress("j")] == [
            "PENDING",
            "PROCESSING",
            "REVOKED",
        ]


def test_progress_yields_what_changed_to_an_asynchronous_program_too(server: Server) -> None:
    server.replies = list(progress())

    async def collect() -> list[str]:
        async with AsyncClient(URL, "secret", transport=httpx.MockTransport(server.handle_async)) as client:
            seen = [status["state"] async for status in client.iter_progress("j")]
            server.replies = [state("SUCCESS")]
            return [*seen, *(end["state"] for end in await client.wait_all(["a", "b"]))]

    collecting: Coroutine[Any, Any, list[str]] = collect()
    assert asyncio.run(collecting) == ["PENDING", "PROCESSING", "REVOKED", "SUCCESS", "SUCCESS"]
