"""The served API: what it logs, what the port answers, and Schemathesis: some thousand requests by a fixed seed.

No answer is a 5xx, has a status that its route does not name or a shape that it does not declare; what the document
forbids is refused; no route answers without a token.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest

from chalicelib.api.headers import SECURITY_HEADERS
from infra import openapi
from tests.served import Served, served

SEED: Final = 1
# Per route, beside the cases that follow from the document alone.
EXAMPLES: Final = 6
# A valid request may be refused for what no schema says: base64 that is none, a cursor of another list.
LEFT_OUT: Final = "positive_data_acceptance"


def configuration(api: Served) -> str:
    """Return schemathesis.toml: two of three ids are real ones, so that requests get further than 404."""
    lines = []
    names = {**dict.fromkeys(api.ids), "a": None, "b": None}
    for name in names:
        values = api.ids.get(name, api.ids["doc_id"])
        lines += [f"[dictionaries.{name}]", f"values = {msgspec.json.encode(values).decode()}"]
    lines.append("[parameters]")
    lines += [f'"path.{name}" = {{ dictionary = "{name}", probability = 0.67 }}' for name in names]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with served(folder) as running:
        yield running


def run(api: Served, folder: Path, *options: str) -> str:
    config = folder / "schemathesis.toml"
    config.write_text(configuration(api), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", str(openapi.FILE)),
        *("--url", api.url, "--no-color", "--seed", str(SEED), "--generation-database", "none"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--no-shrink"),
        "--continue-on-failure",
        *("--exclude-checks", LEFT_OUT, "--warnings", "off", *options),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=170)
    (folder / "report").write_text(done.stdout + done.stderr, encoding="utf-8")
    assert done.returncode == 0, (done.stdout + done.stderr)[-12_000:]
    return done.stdout


def number(pattern: str, report: str) -> int:
    found = re.search(pattern, report)
    assert found is not None, report[-2000:]
    return int(found[1])


def test_no_request_is_answered_otherwise_than_the_document_says(api: Served, tmp_path: Path) -> None:
    report = run(api, tmp_path, "-H", f"Authorization: Bearer {api.token}")
    operations = sum(len(methods) for methods in openapi.document()["paths"].values())
    assert number(r"Tested: (\d+)", report) == operations
    assert number(r"(\d+) generated", report) > 20 * operations
    # It got further than the door: these have been changed and are gone.
    logged = api.log.read_text(encoding="utf-8")
    for method, route, status in (
        ("DELETE", "documents", 204),
        ("PUT", "clusters", 200),
        ("POST", "jobs", 202),
    ):
        assert re.search(rf'"method":"{method}","path":"/{route}[^"]*","status":{status}', logged)
    assert '"level":"ERROR"' not in logged


def test_no_log_of_it_holds_a_secret(api: Served) -> None:
    """After a request of each kind that carries one; the run above, where it came first, is in the log, too."""
    secret = (api.log.parent / "jwt-secret").read_text(encoding="ascii")
    signed = {"Authorization": f"Bearer {api.token}"}
    forged = f"Bearer {api.token[:-8]}aaaaaaaa"
    with httpx.Client(base_url=api.url) as client:
        hook = client.put("/webhook", headers=signed, json={"url": "https://example.com/h"}).json()["secret"]
        upload = {"filename": "a.txt", "size": 5, "password": "opensesame"}
        form = client.post("/uploads", headers=signed, json=upload).json()["upload"]["fields"]
        client.get("/jobs", headers={"Authorization": forged})
        client.get("/jobs", params={"token": api.token}, headers=signed)
        client.post("/upload", headers=signed, json={"url": "https://ann:opensesame@example.com/"})
        client.post("/upload_file", headers=signed, content=b'{"password": "opensesame", ')
    logged = api.log.read_text(encoding="utf-8")
    assert logged.count('"message":"request"') > 5
    signature = form.get("x-amz-signature") or form["signature"]
    for kept in (
        secret,
        api.token,
        api.token.rpartition(".")[2],
        forged,
        hook,
        signature,
        form["policy"],
        "opensesame",
    ):
        assert kept not in logged


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("BREW", "/jobs", 405),
        ("GET", "/jobs?a b", 400),
        ("PUT", "/_local/session", 404),
    ],
)
def test_what_the_port_itself_answers_has_the_same_headers(
    api: Served, method: str, path: str, status: int
) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    for name, value in SECURITY_HEADERS.items():
        assert f"\r\n{name}: {value}\r\n" in answer
