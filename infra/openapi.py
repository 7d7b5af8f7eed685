"""openapi.json (OpenAPI 3.1) from the route table: `python -m infra.openapi` writes it, `--check` compares.

What a route takes and answers stands beside it (`chalicelib.api.contract`); summary and description are its
docstring. The file is served at `GET /openapi.json` and shown at `GET /docs`.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from chalicelib import VERSION
from chalicelib.api import answers
from chalicelib.api.contract import IDEMPOTENCY_KEY, Answer, Contract, contract_of, failures
from infra import schemas
from infra.schemas import Schema
from infra.templates import ROOT

FILE: Final = ROOT / "chalicelib" / "page" / "openapi.json"

_JSON: Final = "application/json"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")

_ABOUT: Final = (
    "Files in; text, concepts and topic clusters out. Every submission answers 202 with a job at once; ask how it "
    "stands at its `status_url`, or be told by a webhook.\n\nWhat belongs to another user answers like what does not "
    "exist: 404. Errors have one shape; `retryable` says whether the same request can succeed later, `Retry-After` "
    "when. A parameter or field that is not named here is refused."
)
# Headings, in their order.
_TAGS: Final = {
    "Submit": "Files, links and tasks become jobs.",
    "Follow": "How jobs and batches stand.",
    "Steer": "Jobs are cancelled or started over.",
    "Be told": "The end of a job, posted to an address of yours.",
    "Library": "Documents, their topics, likenesses and figures.",
    "The service": "What needs no token.",
}
_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9a-hjkmnp-tv-z]{26}$"}
# Path parameters by name.
_PATHS: Final[dict[str, tuple[str, Schema]]] = {
    "job_id": ("Id of a job.", _ID),
    "batch_id": ("Id of a batch, or of the job of an archive.", _ID),
    "doc_id": ("Id of a document.", _ID),
    "cluster_id": ("Id of a cluster.", _ID),
    "a": ("Id of a document.", _ID),
    "b": ("Id of another document.", _ID),
    "name": ("Name of a file of the page.", {"type": "string", "minLength": 1, "examples": ["icon.svg"]}),
}
_TEXT: Final[Schema] = {"type": "string"}
_REQUEST_HEADERS: Final[dict[str, tuple[str, Schema]]] = {
    IDEMPOTENCY_KEY: (
        "For 24 hours the same key with the same body names the same jobs: a request whose answer was lost can be "
        "sent again. With another body it is a 409.",
        {"type": "string", "pattern": "^[!-~]{1,200}$"},
    ),
    "If-None-Match": ("The ETag of an answer before: 304 where nothing changed.", _TEXT),
}
_HEADERS: Final[dict[str, tuple[str, Schema]]] = {
    "Location": ("Where what was made can be asked for; a path.", {"type": "string", "pattern": "^/"}),
    "Retry-After": ("Seconds after which to ask again.", {"type": "integer", "minimum": 0}),
    "ETag": (
        "Changes with everything that the answer says.",
        {"type": "string", "pattern": '^"[0-9a-f]{20}"$'},
    ),
    "X-Next-Cursor": ("`cursor` of the next part; absent at the last one.", _TEXT),
    "Content-Disposition": (
        "A file name for what is downloaded.",
        {"type": "string", "pattern": "^attachment; filename="},
    ),
    "WWW-Authenticate": ("How to sign in.", _TEXT),
}
# Statuses of errors: name in `components`, meaning.
_ERRORS: Final = {
    400: ("BadRequest", "The body, a parameter, a header or a cursor is not what the route takes."),
    401: ("Unauthorized", "The token is missing, expired or forged."),
    404: ("NotFound", "No such thing, or not yours."),
    409: (
        "Conflict",
        "It is in a state in which this can't be done, or the idempotency key came with another body.",
    ),
    413: ("TooLarge", "Over a limit; the message names the way round it."),
    415: ("UnsupportedType", "The body is not JSON, or nothing here reads this kind of file."),
    422: ("NotUsable", "The file or link can't be used."),
    429: ("TooManyRequests", "Too many of your jobs wait already."),
    503: ("Unavailable", "A service behind this one does not answer."),
}


class Unsaid(Exception):
    """A route does not say enough of itself; the message says what is missing."""


def document() -> Schema:
    """Return the whole document."""
    routes = sorted(_routes(), key=lambda route: list(_TAGS).index(route[2].tag))
    paths: dict[str, Schema] = {}
    for method, path, contract, view in routes:
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, contract, view)
    used = {status for method, path, contract, _ in routes for status in failures(contract, method, path)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SyncBoard",
            "version": VERSION,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # Where this document is served, the routes are: also below /stage/.
        "servers": [{"url": "./"}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Of this installation (`syncboard token --user NAME`) or of its OIDC issuer.",
                }
            },
            "responses": {_ERRORS[status][0]: _error(status) for status in sorted(used)},
            "schemas": schemas.components(_shapes([contract for _, _, contract, _ in routes])),
        },
    }


def text() -> str:
    """Return the file's contents."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _routes() -> Iterator[tuple[str, str, Contract, Any]]:
    """Yield method, path, contract and view of every route."""
    import app

    for path, entries in app.app.routes.items():
        for method, entry in entries.items():
            contract = contract_of(entry.view_function)
            if contract is None:
                raise Unsaid(f"{method} {path} has no contract: see chalicelib/api/contract.py.")
            if contract.tag not in _TAGS:
                raise Unsaid(f"{method} {path}: there is no tag {contract.tag!r} in infra/openapi.py.")
            yield method, path, contract, entry.view_function


def _shapes(contracts: list[Contract]) -> Iterator[schemas.Shape]:
    yield answers.Error
    for contract in contracts:
        if contract.body:
            yield contract.body
        for answer in contract.answers.values():
            if answer.shape:
                yield answer.shape


# --- One route -----------------------------------------------------------------------------------------------


def _operation(method: str, path: str, contract: Contract, view: Any) -> Schema:
    summary, _, description = (inspect.getdoc(view) or "").partition("\n\n")
    if not summary:
        raise Unsaid(f"{method} {path} has no docstring.")
    operation: Schema = {
        "operationId": view.__name__,
        "tags": [contract.tag],
        "summary": " ".join(summary.split()).rstrip("."),
        **({"description": description} if description else {}),
        **({"security": []} if contract.public else {}),
        "parameters": [*_path_parameters(path), *schemas.parameters(contract.query), *_headers_in(contract)],
    }
    if contract.body:
        operation["requestBody"] = {
            "required": not contract.body_optional,
            "content": {_JSON: {"schema": schemas.reference(contract.body)}},
        }
    operation["responses"] = {
        **{str(status): _answer(status, answer) for status, answer in sorted(contract.answers.items())},
        **{str(status): _error_reference(status) for status in sorted(failures(contract, method, path))},
    }
    return {name: value for name, value in operation.items() if value or name == "security"}


def _path_parameters(path: str) -> list[Schema]:
    found = []
    for name in _PARAMETER.findall(path):
        if name not in _PATHS:
            raise Unsaid(f"{path}: say what {{{name}}} is, in _PATHS of infra/openapi.py.")
        text, schema = _PATHS[name]
        found.append({"name": name, "in": "path", "required": True, "description": text, "schema": schema})
    return found


def _headers_in(contract: Contract) -> list[Schema]:
    found = []
    for name in contract.headers:
        text, schema = _REQUEST_HEADERS[name]
        found.append({"name": name, "in": "header", "required": False, "description": text, "schema": schema})
    return found


def _answer(status: int, answer: Answer) -> Schema:
    content: Schema = {_JSON: {"schema": schemas.reference(answer.shape)}} if answer.shape else {}
    for media in answer.media:
        content[media] = {"schema": {"type": "object"} if media == _JSON else _TEXT}
    found: Schema = {"description": HTTPStatus(status).phrase}
    headers = {name: _header(name, required=True) for name in answer.headers}
    headers |= {name: _header(name, required=False) for name in answer.may_have}
    if headers:
        found["headers"] = headers
    if content:
        found["content"] = content
    return found


def _header(name: str, *, required: bool) -> Schema:
    text, schema = _HEADERS[name]
    return {"description": text, "required": required, "schema": schema}


def _error_reference(status: int) -> Schema:
    if status not in _ERRORS:
        raise Unsaid(f"Say what {status} means, in _ERRORS of infra/openapi.py.")
    return {"$ref": f"#/components/responses/{_ERRORS[status][0]}"}


def _error(status: int) -> Schema:
    _, meaning = _ERRORS[status]
    headers = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    found: Schema = {"description": meaning}
    if status in headers:
        found["headers"] = {headers[status]: _header(headers[status], required=True)}
    return {**found, "content": {_JSON: {"schema": schemas.reference(answers.Error)}}}


def main(arguments: list[str]) -> int:
    """Write the file, or tell whether it is fresh; return 1 if it is not."""
    try:
        fresh = text()
    except Unsaid as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if arguments != ["--check"]:
        FILE.write_text(fresh, encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == fresh:
        return 0
    sys.stderr.write(
        f"{FILE.relative_to(ROOT)} is not what the routes say. Run: .venv/bin/python -m infra.openapi\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
