"""`make localstack`: LocalStack is found, started, or said to be missing."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib import settings
from local import localstack
from local.localstack import NoLocalStack, ensure

ALL = dict.fromkeys(("cloudformation", "dynamodb", "s3", "sqs", "lambda"), "available")
NOWHERE = "http://127.0.0.1:1"


class Server:
    """Something that answers at an address."""

    def __init__(self) -> None:
        self.body: Any = {"services": ALL, "version": "4.14.0", "edition": "community"}
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(server.body).encode()
                self.send_response(200 if self.path == "/_localstack/health" and server.body else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture
def said() -> list[str]:
    return []


def test_one_that_runs_is_used(server: Server, said: list[str]) -> None:
    ensure(server.url, said.append)
    assert said == [f"LocalStack 4.14.0 (community) answers at {server.url}."]


def test_one_without_a_needed_service_is_refused(server: Server, said: list[str]) -> None:
    server.body["services"] = {**ALL, "sqs": "disabled", "lambda": "disabled"}
    with pytest.raises(NoLocalStack, match="runs without sqs"):
        ensure(server.url, said.append)


@pytest.mark.parametrize("body", [None, {"something": "else"}, ["x"]])
def test_something_else_at_the_address_is_refused(server: Server, said: list[str], body: Any) -> None:
    server.body = body
    with pytest.raises(NoLocalStack, match="is not LocalStack"):
        ensure(server.url, said.append)


def test_where_another_address_was_given_nothing_is_started(said: list[str]) -> None:
    with pytest.raises(NoLocalStack, match="start LocalStack there first"):
        ensure(NOWHERE, said.append)
    assert said == []


class TestByCompose:
    """Nothing answers at the default address."""

    @pytest.fixture(autouse=True)
    def default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(localstack, "DEFAULT_ENDPOINT", NOWHERE)

    def docker(self, folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "docker").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def test_without_docker_it_says_so(
        self, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(NoLocalStack, match="no Docker to start LocalStack with"):
            ensure(NOWHERE, said.append)

    def test_a_compose_that_fails_ends_it(
        self, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.docker(tmp_path, '[ "$1 $2 $3" = "compose up --detach" ] && exit 17; exit 1', monkeypatch)
        with pytest.raises(NoLocalStack, match="ended with 17"):
            ensure(NOWHERE, said.append)
        assert "docker compose up --detach --wait localstack" in said[0]

    def test_a_start_that_nothing_comes_of_is_no_success(
        self, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.docker(tmp_path, "exit 0", monkeypatch)
        with pytest.raises(NoLocalStack, match="but nothing answers"):
            ensure(NOWHERE, said.append)


def test_the_command_becomes_the_stack_on_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    became: list[Any] = []
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setattr("os.execve", lambda *words: became.append(words))
    settings.get.cache_clear()
    try:
        localstack.main(["--port", "0"])
    finally:
        monkeypatch.undo()
        settings.get.cache_clear()
    ((_program, command, environment),) = became
    assert command[1:] == ["-m", "syncboard.cli", "up", "--port", "0"]
    assert environment["AWS_ENDPOINT_URL"] == server.url
    assert "answers at" in capsys.readouterr().out


def test_the_command_says_in_one_line_why_it_can_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    settings.get.cache_clear()
    try:
        with pytest.raises(SystemExit, match=r"^Nothing answers at [^\n]*$"):
            localstack.main([])
    finally:
        monkeypatch.undo()
        settings.get.cache_clear()
