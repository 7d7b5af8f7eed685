"""openapi.json: made of the routes, valid, served; and the pages that show it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from msgspec import Struct

from chalicelib.api import answers
from chalicelib.api.contract import Contract, ok
from infra import openapi
from tests import contracts
from tests.stack import ROOT
from tests.unit.conftest import Api

PAGE = ROOT / "chalicelib" / "page"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def every(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a JSON value."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from every(part)
    elif isinstance(value, list):
        for part in value:
            yield from every(part)


def test_the_file_is_what_the_routes_say() -> None:
    assert openapi.FILE.read_text() == openapi.text(), "run: .venv/bin/python -m infra.openapi"


def test_a_stale_file_is_told_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(openapi, "ROOT", tmp_path)
    monkeypatch.setattr(openapi, "FILE", tmp_path / "openapi.json")
    assert openapi.main(["--check"]) == 1
    assert "python -m infra.openapi" in capsys.readouterr().err
    assert not openapi.FILE.exists()
    assert openapi.main([]) == 0
    assert openapi.main(["--check"]) == 0
    openapi.FILE.write_text("{}")
    assert openapi.main(["--check"]) == 1


def test_every_route_is_in_it_once(document: dict[str, Any]) -> None:
    there = [(method, path) for method, path, _ in operations(document)]
    assert sorted(there) == sorted((method, path) for method, path, _ in contracts.routes())
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = [part["$ref"] for part in every(document) if "$ref" in part]
    assert found
    for reference in found:
        place: Any = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def test_every_schema_is_one(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        # An object without a word on other keys proves nothing; Problem is open on purpose.
        assert schema.get("type") != "object" or "additionalProperties" in schema or name == "Problem"


def test_who_needs_a_token_says_so(document: dict[str, Any]) -> None:
    contract_of = {(method, path): contract for method, path, contract in contracts.routes()}
    for method, path, operation in operations(document):
        contract = contract_of[method, path]
        assert contract is not None
        assert (operation.get("security") == []) == contract.public
        assert ("401" in operation["responses"]) != contract.public


def test_comments_over_fields_are_descriptions(document: dict[str, Any]) -> None:
    found = document["components"]["schemas"]
    assert found["Progress"]["properties"]["stage"]["description"] == "What it does or waits for."
    # Those of a class that is extended, too; over more than one line; of query parameters.
    assert found["AcceptedUpload"]["properties"]["filename"]["description"] == "File name or link."
    assert "description" not in found["Progress"]["properties"]["percent"]
    (period,) = document["paths"]["/analytics"]["get"]["parameters"]
    assert period["description"] == "Days back from now."
    assert period["schema"] == {"type": "string", "enum": ["7d", "30d", "90d", "all"], "default": "30d"}


@pytest.mark.parametrize(
    ("path", "contract", "says"),
    [
        ("/new", None, "no contract"),
        ("/new", ok("Elsewhere", Struct), "no tag"),
        ("/new/{colour}", ok("Follow", answers.JobPage), "colour"),
        ("/new", ok("Follow", answers.JobPage, fails=(418,)), "418"),
    ],
)
def test_a_route_that_does_not_say_enough_stops_the_writer(
    monkeypatch: pytest.MonkeyPatch, path: str, contract: Contract | None, says: str
) -> None:
    from chalice.app import RouteEntry

    import app

    def view() -> None:
        """Do something new."""

    vars(view)["contract"] = contract
    monkeypatch.setitem(app.app.routes, path, {"GET": RouteEntry(view, "view", path, "GET")})
    with pytest.raises(openapi.Unsaid, match=says):
        openapi.document()


def test_every_route_is_named_in_the_prose() -> None:
    prose = (ROOT / "docs" / "api.md").read_text()
    names = (f"{method} {re.sub(r'{[a-z_]+}', '{id}', path)}" for method, path, _ in contracts.routes())
    missing = [name for name in names if f"`{name}`" not in prose]
    assert not missing, f"add to the table at the top of docs/api.md, in code: {', '.join(missing)}"


# --- Served --------------------------------------------------------------------------------------------------


def test_it_is_served_without_a_token(api: Api) -> None:
    answer = api.client.http.get("/openapi.json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(answer.body) == json.loads(openapi.FILE.read_text())


def test_the_reference_loads_nothing_from_elsewhere(api: Api) -> None:
    answer = api.client.http.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    html = answer.body.decode()
    # Relative: below /stage/ the same files are there, too. No script and no style in the page itself.
    for link in re.findall(r'(?:href|src)="([^"#]+)"', html):
        assert not re.match(r"/|\w+:", link), link
        assert link in ("./", "openapi.json") or (PAGE / link.removeprefix("page/")).is_file(), link
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", html) == []
    assert api.client.http.get("/page/reference.js").status_code == 200
