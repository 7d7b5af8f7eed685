"""Routes that can't forget how to answer: every view gets the error boundary."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from chalice import Blueprint, Response
from chalice.app import Request

from chalicelib.api import requests
from chalicelib.api.contract import Contract
from chalicelib.errors import SyncBoardError
from chalicelib.logs import logger

View = Callable[..., Any]

_OWNER = "syncboard_owner"


class Routes(Blueprint):  # type: ignore[misc]
    """A Chalice blueprint whose views may raise our errors."""

    def route(self, path: str, *, contract: Contract | None = None, **options: Any) -> Callable[[View], View]:
        """Register a view with what it takes and answers (a test wants that of each); see `chalice.Chalice.route`.

        A parameter that the contract does not name is refused, but on public routes.
        """
        register = super().route(path, **options)

        def decorate(view: View) -> View:
            checked = view if contract is None or contract.public else self._checked(view, contract)
            bounded = _bounded(checked)
            vars(bounded)["contract"] = contract
            return cast(View, register(bounded))

        return decorate

    def _checked(self, view: View, contract: Contract) -> View:
        @functools.wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            requests.parameters(self.current_request, *contract.parameters)
            return view(*args, **kwargs)

        return checked

    @property
    def owner(self) -> str:
        """The caller: the subject of the token that the middleware verified."""
        return cast(str, self.current_request.context[_OWNER])


def set_owner(request: Request, owner: str) -> None:
    """Remember who calls; done by the middleware alone."""
    request.context[_OWNER] = owner


def _bounded(view: View) -> View:
    @functools.wraps(view)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except SyncBoardError as error:
            return error_answer(error)
        except Exception:
            logger.exception("unexpected error in a route")
            return error_answer(SyncBoardError("Something unexpected went wrong; it has been logged."))

    return bounded


def error_answer(error: SyncBoardError) -> Response:
    """Return an error as every route answers it."""
    headers = {"Content-Type": "application/json"}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="syncboard"'
    if error.retryable:
        headers["Retry-After"] = str(error.details.get("retry_after", 5))
    return Response(body={"error": error.as_dict()}, status_code=error.status, headers=headers)
