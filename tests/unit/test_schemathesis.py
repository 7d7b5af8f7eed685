"""Schemathesis against the served API: thousands of requests made from openapi.json, by a fixed seed.

No answer is a 5xx, has a status that its route does not name or a shape that it does not declare; what the document
forbids is refused; no route answers without a token.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

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
