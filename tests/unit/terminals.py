"""A terminal for tests: commands as people type them, answered by the API in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner, Result

from syncboard.cli import app
from syncboard.client import Client
from tests.unit.conftest import Api


class Terminal:
    """Types commands as one user of the API."""

    def __init__(self, api: Api, data: Path) -> None:
        self.api = api
        self.data = data
        token = api.headers["Authorization"].removeprefix("Bearer ")
        self.environment: dict[str, str | None] = {
            "SYNCBOARD_URL": "http://api.test",
            "SYNCBOARD_TOKEN": token,
        }

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(app, list(words), env=self.environment)

    def json(self, *words: str) -> Any:
        done = self.type(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def client(self) -> Client:
        token = self.environment["SYNCBOARD_TOKEN"] or ""
        return Client("http://api.test", token, transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        headers = {name.title(): value for name, value in request.headers.items()}
        path = request.url.raw_path.decode()
        answer = self.api.client.http.request(request.method, path, headers=headers, body=request.read())
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.body)
