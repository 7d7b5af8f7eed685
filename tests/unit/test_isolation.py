"""What one owner has, another one neither sees nor touches: on every route of the table, the next one included."""

from __future__ import annotations

import base64
import copy
import itertools
import re
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from chalice.test import HTTPResponse

from chalicelib import services, settings
from chalicelib.api import middleware
from chalicelib.aws.secrets import read_secret
from chalicelib.jobs.job import new_id
from tests import contracts
from tests.memory import MemoryObjects, MemoryTable
from tests.unit.conftest import Api
from tests.world import World, make_world

ROUTES = contracts.routes()
WITH_TOKEN = [(method, path) for method, path, contract in ROUTES if not (contract and contract.public)]
WITH_ID = [(method, path) for method, path in WITH_TOKEN if "{" in path]
# Every route whose path has no id: what the stranger asks for may say something of others.
WITHOUT_ID = [(method, path) for method, path in WITH_TOKEN if "{" not in path]

# --- What a new route needs here -----------------------------------------------------------------------------

# By path parameter: what its owner has of that kind.
OWNED: dict[str, Callable[[World], list[str]]] = {
    "job_id": lambda world: world.jobs,
    "batch_id": lambda world: world.batches,
    "doc_id": lambda world: world.documents,
    "cluster_id": lambda world: world.clusters,
    "a": lambda world: world.documents[:1],
    "b": lambda world: world.documents[1:2],
}

FILE = {"filename": "mine.md", "content": base64.b64encode(b"Mine.").decode()}
# By route without an id that takes a body: bodies by which somebody might reach for what another one has.
BODIES: dict[str, Callable[[World], list[Any]]] = {
    "POST /upload_file": lambda world: [FILE],
    "POST /upload_image": lambda world: [FILE],
    "POST /uploads": lambda world: [{"filename": "mine.md", "size": 5}],
    "POST /upload": lambda world: [{"url": "https://example.com/mine"}],
    "POST /upload_batch": lambda world: [{"files": [FILE]}],
    "POST /upload_batch_urls": lambda world: [{"urls": ["https://example.com/mine"]}],
    "POST /jobs": lambda world: [
        {"task": "noop", "params": {"job_id": world.jobs[0]}},
        {"task": "refresh_analytics", "params": {"owner": world.owner}},
        {"task": "find_duplicates_background", "params": {"owner": world.owner}},
        {"task": "generate_build_suggestions", "params": {"owner": world.owner}},
    ],
    "POST /jobs/retry": lambda world: [
        {"state": "FAILURE"},
        {"state": "FAILURE", "batch": world.batches[0]},
        {"state": "FAILURE", "q": world.jobs[2]},
        {"state": "FAILURE", "q": world.word},
    ],
    "PUT /webhook": lambda world: [{"url": "https://example.com/mine"}],
    "POST /clusters/compact": lambda world: [{}],
    "POST /duplicates/merge": lambda world: [
        {"keep": world.documents[0], "remove": [world.documents[1]]},
        {"keep": new_id(), "remove": world.documents[:2]},
    ],
    "POST /what_can_i_build": lambda world: [{}],
}
# By route that reads: queries by which it is asked for everything, and whether its owner sees the word in the answer.
QUERIES: dict[str, Callable[[World], list[str]]] = {
    "GET /jobs": lambda world: [
        "",
        f"?q={world.word}",
        f"?q={world.jobs[0]}",
        f"?batch={world.batches[0]}",
        "?state=FAILURE",
    ],
    "GET /documents": lambda _: [""],
    "GET /clusters": lambda _: ["", "?sort=largest"],
    "GET /duplicates": lambda _: [""],
    "GET /search": lambda world: [f"?q={world.word}", f"?q={world.word}&cluster={world.clusters[0]}"],
    "GET /analytics": lambda _: ["?time_period=all"],
    "GET /analytics/export": lambda _: ["?time_period=all"],
    "GET /webhook": lambda _: [""],
}
# Without an id, a body or anything to read but numbers of the whole installation.
NOTHING_TO_REACH_FOR = {"DELETE /webhook", "GET /stats"}


def test_every_route_has_its_entry_here() -> None:
    """A new route can't be forgotten."""
    for method, path in WITH_ID:
        for name in re.findall(r"\{(\w+)\}", path):
            assert name in OWNED, (
                f"{method} {path}: say in OWNED (and tests/world.py) what an owner has as {{{name}}}"
            )
    named = {*BODIES, *QUERIES, *NOTHING_TO_REACH_FOR}
    there = {f"{method} {path}" for method, path in WITHOUT_ID}
    assert there - named == set(), "give these an entry in BODIES or QUERIES of tests/unit/test_isolation.py"
    assert named - there == set(), "these routes are gone"


def test_open_routes_are_those_that_say_so() -> None:
    assert {path for _, path, contract in ROUTES if contract and contract.public} == set(
        middleware.OPEN_ROUTES
    )


# --- Two owners ----------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryTable, MemoryObjects]:
    table, objects = MemoryTable(), MemoryObjects()
    monkeypatch.setattr(services, "table", lambda: table)
    monkeypatch.setattr(services, "objects", lambda: objects)
    return table, objects


@pytest.fixture
def world(api: Api, memory: object) -> World:
    return make_world(api.user, "zwieback")


@pytest.fixture
def held(memory: tuple[MemoryTable, MemoryObjects], world: World) -> Callable[[], Any]:
    """Return a look at everything that the owner has, rows and objects."""
    table, objects = memory

    def look() -> Any:
        rows = {key: item for key, item in table.items.items() if world.tells(repr((key, item)).encode())}
        return copy.deepcopy((rows, objects.bodies))

    return look


def shape(answer: HTTPResponse) -> tuple[int, str, Any]:
    """Return what an error says, whatever id it was asked for."""
    error = answer.json_body["error"]
    return answer.status_code, error["type"], re.sub(r"[0-9a-z]{26}", "…", str(error))


def filled(path: str, choose: Callable[[str], str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: choose(match[1]), path)


@pytest.mark.parametrize(("method", "path"), WITH_ID)
def test_a_foreign_id_answers_like_an_unknown_one_and_nothing_happens(
    api: Api, stranger: Api, world: World, held: Callable[[], Any], method: str, path: str
) -> None:
    body = {"name": "Mine"} if method == "PUT" else b""
    unknown = shape(stranger.send(method, filled(path, lambda _: new_id()), body))
    assert unknown[:2] == (404, "not_found")
    names = re.findall(r"\{(\w+)\}", path)
    before = held()
    for ids in itertools.product(*(OWNED[name](world) for name in names)):
        given = dict(zip(names, ids, strict=True))
        assert shape(stranger.send(method, filled(path, given.__getitem__), body)) == unknown
    if len(names) > 1:
        # One of one's own and a foreign one.
        mine = make_world(stranger.user, "knaeckebrot")
        before = held()
        for own in names:
            given = {name: OWNED[name](mine if name == own else world)[0] for name in names}
            assert shape(stranger.send(method, filled(path, given.__getitem__), body)) == unknown
    assert held() == before
    # The test can fail: to their owner the same addresses are no secrets.
    answers = [
        api.send(method, filled(path, dict(zip(names, ids, strict=True)).__getitem__), body)
        for ids in itertools.product(*(OWNED[name](world) for name in names))
    ]
    assert 404 not in {answer.status_code for answer in answers}
    assert any(answer.status_code < 400 for answer in answers)


@pytest.mark.parametrize("route", QUERIES)
def test_nobody_reads_what_another_one_has(api: Api, stranger: Api, world: World, route: str) -> None:
    method, _, path = route.partition(" ")
    for query in QUERIES[route](world):
        assert world.tells(api.send(method, path + query).body), query
        answer = stranger.send(method, path + query)
        asked_for = re.escape(query.partition("=")[2])
        told = re.sub(asked_for, "", answer.body.decode()) if asked_for else answer.body.decode()
        assert not world.tells(told.encode()), query


@pytest.mark.parametrize("route", [*BODIES, *NOTHING_TO_REACH_FOR])
def test_nobody_touches_what_another_one_has(
    stranger: Api, world: World, held: Callable[[], Any], route: str
) -> None:
    method, _, path = route.partition(" ")
    # Their own things look alike: nothing of the owner's may get mixed with them.
    make_world(stranger.user, "knaeckebrot")
    before_rows, before_objects = held()
    bodies = BODIES[route](world) if route in BODIES else [b""]
    for body in bodies:
        answer = stranger.send(method, path, body)
        named = answer.body.decode()
        for given in re.findall(r"[0-9a-z]{26}|zwieback", str(body)):
            named = named.replace(given, "")
        assert not world.tells(named.encode())
    rows, objects = held()
    # A job of the stranger's may name what it was asked with; rows of the owner's stay what they are.
    assert {key: rows.get(key) for key in before_rows} == before_rows
    assert {key: objects.get(key) for key in before_objects} == before_objects


# --- Tokens --------------------------------------------------------------------------------------------------


def token(key: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
    """Sign a token that is good but for what is said."""
    config = settings.get()
    now = int(time.time())
    good = {"sub": "ann", "iss": config.jwt_issuer, "aud": config.jwt_audience, "iat": now, "exp": now + 60}
    made = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return jwt.encode(made, read_secret(config.jwt_secret) if key is None else key, algorithm=algorithm)


BAD_TOKENS: dict[str, Callable[[], str | None]] = {
    "none": lambda: None,
    "empty": lambda: "Bearer ",
    "another scheme": lambda: "Basic YW5uOmFubg==",
    "no token": lambda: "Bearer not.a.token",
    "another key": lambda: f"Bearer {token('x' * 64)}",
    "unsigned": lambda: f"Bearer {token('', algorithm='none')}",
    "another algorithm": lambda: f"Bearer {token(algorithm='HS512')}",
    "expired": lambda: f"Bearer {token(exp=int(time.time()) - 3600)}",
    "foreign audience": lambda: f"Bearer {token(aud='another-api')}",
    "foreign issuer": lambda: f"Bearer {token(iss='another')}",
    "without end": lambda: f"Bearer {token(exp=None)}",
    "without subject": lambda: f"Bearer {token(sub=None)}",
    "subject with a line break": lambda: f"Bearer {token(sub='ann' + chr(10))}",
}


@pytest.mark.parametrize(("method", "path"), WITH_TOKEN)
def test_without_a_good_token_every_route_answers_401_and_does_nothing(
    api: Api, memory: tuple[MemoryTable, MemoryObjects], method: str, path: str
) -> None:
    table, objects = memory
    address = filled(path, lambda _: new_id())
    for name, make in BAD_TOKENS.items():
        given = make()
        headers = {"Content-Type": "application/json"} | ({"Authorization": given} if given else {})
        answer = api.client.http.request(method, address, headers=headers, body=b"{}")
        contracts.check(method, address, answer)
        assert answer.status_code == 401, name
        assert set(answer.json_body) == {"error"}
        assert answer.json_body["error"]["type"] == "unauthorized"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert (table.items, objects.bodies) == ({}, {})
