"""What a route takes and answers, said beside it.

`python -m infra.openapi` makes openapi.json of it, the tests hold every answer to it, and a parameter that it does
not name is refused. Shapes are msgspec structs: bodies beside their routes, answers in `api.answers`, queries in
`api.queries`. The comment over a field is its description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

# Of a POST: the same key with the same body names the same jobs.
IDEMPOTENCY_KEY: Final = "Idempotency-Key"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is no error."""

    # Its JSON; None: no body, or not JSON.
    shape: type[msgspec.Struct] | None = None
    # Media types of a body that is not JSON (or not always).
    media: tuple[str, ...] = ()
    # Headers that it always has, and those that it may have.
    headers: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What one route takes and answers. Path parameters and the summary come from path and docstring."""

    # Heading that it stands under.
    tag: str
    # By status.
    answers: Mapping[int, Answer]
    # Its JSON body, and whether it may be left out.
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    # Parameters of its query.
    query: type[msgspec.Struct] | None = None
    # Request headers that it heeds, beside those of every route.
    headers: tuple[str, ...] = ()
    # Statuses of errors beside those that `failures` adds by itself.
    fails: tuple[int, ...] = ()
    # It needs no token.
    public: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of its query's parameters."""
        return tuple(field.encode_name for field in msgspec.structs.fields(self.query)) if self.query else ()


def ok(
    tag: str,
    shape: type[msgspec.Struct],
    *,
    body: type[msgspec.Struct] | None = None,
    query: type[msgspec.Struct] | None = None,
    may_have: tuple[str, ...] = (),
    fails: tuple[int, ...] = (),
) -> Contract:
    """Return the contract of a route that answers 200 with JSON."""
    answer = Answer(shape=shape, may_have=may_have)
    return Contract(tag=tag, answers={200: answer}, body=body, query=query, fails=fails)


def no_content(tag: str) -> Contract:
    """Return the contract of a route that answers 204."""
    return Contract(tag=tag, answers={204: Answer()})


def contract_of(view: Callable[..., Any]) -> Contract | None:
    """Return what was declared with a view, or None."""
    found = getattr(view, "contract", None)
    return found if isinstance(found, Contract) else None


def failures(contract: Contract, method: str, path: str) -> frozenset[int]:
    """Return the statuses of errors that a route may answer.

    Every route with a token: 400 (it refuses what it does not know), 401, 503. With a path parameter 404, with a
    method that brings a body 415, with a body 413.
    """
    found = set(contract.fails)
    if not contract.public:
        found |= {400, 401, 503}
    if "{" in path:
        found.add(404)
    if method in ("POST", "PUT"):
        found.add(415)
    if contract.body:
        found.add(413)
    return frozenset(found)
