"""Holds every answer that a test gets to what its route declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx
import msgspec

from chalicelib.api import answers
from chalicelib.api.contract import Answer, Contract, contract_of, failures

HOW_TO = (
    "Say what the route takes and answers with the argument `contract` of its `@routes.route(…)`: shapes of answers "
    "stand in chalicelib/api/answers/, of queries in queries.py, helpers in contract.py; then run "
    "`.venv/bin/python -m infra.openapi`."
)
# Headers that a contract has to name.
NAMED: Final = ("Location", "Retry-After", "ETag", "X-Next-Cursor", "Content-Disposition")


class Reply(Protocol):
    """An answer of Chalice's test client, or of a real server."""

    @property
    def status_code(self) -> int:
        """Its status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers."""

    @property
    def body(self) -> bytes:
        """Its body."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A real server's answer."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


class Broken(AssertionError):
    """An answer that its route's contract does not allow."""


def routes() -> list[tuple[str, str, Contract | None]]:
    """Every route: method, path, contract."""
    import app

    return [
        (method, path, contract_of(entry.view_function))
        for path, entries in app.app.routes.items()
        for method, entry in entries.items()
    ]


def check(method: str, target: str, answer: Reply) -> None:
    """Raise Broken for an answer that the route's contract does not allow."""
    path = urlsplit(target).path
    for known, pattern, contract in routes():
        if contract is not None and known == method and _fits(pattern, path):
            _check(contract, f"{method} {pattern}", failures(contract, method, pattern), answer)
            return


def watch(client: httpx.Client) -> None:
    """Hold everything that a client gets from a running service to the contracts."""

    def received(response: httpx.Response) -> None:
        body = response.read()
        answer = Received(status_code=response.status_code, headers=response.headers, body=body)
        check(response.request.method, str(response.request.url), answer)

    client.event_hooks["response"].append(received)


def _fits(pattern: str, path: str) -> bool:
    parts, given = pattern.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        part.startswith("{") or part == there for part, there in zip(parts, given, strict=True)
    )


def _check(contract: Contract, route: str, errors: frozenset[int], answer: Reply) -> None:
    status = answer.status_code
    found = contract.answers.get(status)
    # 500 is a bug of ours: no contract names it, but it has the shape of an error, too.
    if found is None and status not in errors | {500}:
        raise Broken(f"{route} answered {status}, which it does not declare: {answer.body[:300]!r}. {HOW_TO}")
    try:
        if found is None:
            _read_error(route, answer)
        else:
            _read(route, found, answer)
    except msgspec.MsgspecError as error:
        raise Broken(
            f"{route} answered {status} in another shape than it declares: {error}. {HOW_TO}"
        ) from None


def _read_error(route: str, answer: Reply) -> None:
    error = msgspec.json.decode(answer.body, type=answers.Error).error
    if error.retryable and "Retry-After" not in answer.headers:
        raise Broken(f"{route}: a retryable error without Retry-After")


def _read(route: str, found: Answer, answer: Reply) -> None:
    kind = answer.headers.get("Content-Type", "application/json").partition(";")[0]
    if found.shape and kind == "application/json":
        msgspec.json.decode(answer.body, type=found.shape)
    elif found.media:
        if kind not in found.media:
            raise Broken(f"{route} answered {kind}, which it does not declare. {HOW_TO}")
    elif answer.body:
        raise Broken(f"{route} answered a body, which it does not declare. {HOW_TO}")
    missing = [name for name in found.headers if name not in answer.headers]
    unnamed = [
        name for name in NAMED if name in answer.headers and name not in (*found.headers, *found.may_have)
    ]
    if missing or unnamed:
        raise Broken(f"{route}: headers missing: {missing}, not declared: {unnamed}. {HOW_TO}")
