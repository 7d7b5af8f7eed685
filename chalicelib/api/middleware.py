"""What happens around every request: token, one error shape, security headers, one log line.

In all three places the same code checks tokens, with the same 401 body: a Chalice authorizer would answer 403
with another body locally, and API Gateway would cache its policies by token.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from chalice import Response
from chalice.app import Request

from chalicelib import settings
from chalicelib.api import tokens
from chalicelib.api.headers import EXPOSED, SECURITY_HEADERS, STRICT_TRANSPORT
from chalicelib.api.routing import error_answer, set_owner
from chalicelib.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    SyncBoardError,
    UnsupportedType,
)
from chalicelib.logs import logger

Next = Callable[[Request], Response]

# Everything else needs a token. Paths as in the route table.
OPEN_ROUTES: Final = frozenset({"/", "/page/{name}", "/health", "/docs", "/openapi.json"})

# What Chalice itself says, in our words and shape.
_CHALICE_ERRORS: Final[dict[int, SyncBoardError]] = {
    400: InvalidRequest("The request could not be read."),
    404: NotFound("There is no such address."),
    405: MethodNotAllowed("This address does not take that method."),
    415: UnsupportedType("Send JSON with Content-Type: application/json."),
}


def authenticate(request: Request, call_next: Next) -> Response:
    """Verify the token of every route that is not open; views find its subject as `routes.owner`."""
    if request.context.get("resourcePath") not in OPEN_ROUTES:
        try:
            set_owner(request, tokens.verify(request.headers.get("authorization")))
        except SyncBoardError as error:
            return error_answer(error)
    return call_next(request)


def unify(request: Request, call_next: Next) -> Response:
    """Give every answer the same error shape and headers, and log it."""
    began = time.perf_counter()
    try:
        response = call_next(request)
    except Exception:  # of another middleware: a secret that can't be read
        logger.exception("unexpected error before a route")
        response = error_answer(SyncBoardError("Something unexpected went wrong; it has been logged."))
    if response.status_code >= 400 and isinstance(response.body, dict) and "error" not in response.body:
        allow = {name: value for name, value in response.headers.items() if name == "Allow"}
        error = _CHALICE_ERRORS.get(response.status_code, SyncBoardError("Something unexpected went wrong."))
        response = error_answer(error)
        response.headers.update(allow)
    _secure(request, response)
    logger.info(
        "request",
        extra={
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "ms": round((time.perf_counter() - began) * 1000, 1),
        },
    )
    return response


def _secure(request: Request, response: Response) -> None:
    """Add the headers that every answer has; those of the view come first."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    if request.headers.get("x-forwarded-proto") == "https":
        response.headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
    if settings.get().cors_origin:
        response.headers.setdefault("Access-Control-Allow-Origin", settings.get().cors_origin)
        response.headers.setdefault("Access-Control-Expose-Headers", EXPOSED)
