"""Who may talk to the emulator, and what it can't be told to do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra import templates
from local.deployment import TEMPLATE
from local.emulator_guard import RESOURCES, SERVICES, BrowserGuard, is_allowed
from local.emulator_launcher import environment
from local.emulator_saver import Message, Receive, Scope, Send

HOST = (b"host", b"127.0.0.1:4566")


@pytest.mark.parametrize("host", [b"127.0.0.1", b"127.0.0.1:4566", b"localhost:4566", b"LOCALHOST"])
def test_a_client_on_this_machine_is_served(host: bytes) -> None:
    assert is_allowed("/bucket/key", [(b"host", host), (b"authorization", b"AWS4")])


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"evil.example")],
        [(b"host", b"localhost.evil.example")],
        [(b"host", b"127.0.0.1.evil.example:4566")],
        [(b"host", b"x@localhost")],
        [],
        [HOST, HOST],
        [HOST, (b"origin", b"https://evil.example")],
        [HOST, (b"origin", b"null")],
        [HOST, (b"sec-fetch-site", b"same-origin")],
        [HOST, (b"sec-fetch-site", b"none")],
    ],
)
def test_a_web_page_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert not is_allowed("/bucket/key", headers)


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/config", "/_localstack/health"])
def test_nobody_resets_or_configures_it(path: str) -> None:
    assert not is_allowed(path, [HOST])
    assert is_allowed("/_ministack/health", [HOST])


def serve(headers: list[tuple[bytes, bytes]], kind: str = "http") -> list[Message]:
    sent: list[Message] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        given = [(b"Access-Control-Allow-Origin", b"*"), (b"access-control-max-age", b"9"), (b"etag", b"x")]
        await send({"type": "http.response.start", "status": 200, "headers": given})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(BrowserGuard(answer)({"type": kind, "path": "/", "headers": headers}, receive, send))
    return sent


def test_answers_carry_no_cors_headers() -> None:
    assert serve([HOST])[0] == {"type": "http.response.start", "status": 200, "headers": [(b"etag", b"x")]}


def test_a_refusal_is_403_and_ends_the_connection() -> None:
    start = serve([HOST, (b"origin", b"null")])[0]
    assert start["status"] == 403
    assert (b"connection", b"close") in start["headers"]


def test_no_websocket_is_opened() -> None:
    assert [message["type"] for message in serve([HOST], "websocket")] == ["websocket.close"]


def test_only_the_services_of_the_data_stack_run(tmp_path: Path) -> None:
    started = environment(tmp_path, 1)["SERVICES"].split(",")
    assert sorted(started) == sorted(SERVICES)
    assert not {"lambda", "ecs", "stepfunctions", "codebuild", "iam"} & set(started)


def test_the_data_stack_is_made_of_what_it_may_be_made_of() -> None:
    resources = templates.read(TEMPLATE)["Resources"].values()
    assert {resource["Type"] for resource in resources} == RESOURCES
