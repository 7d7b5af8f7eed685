"""`GET /health`: is it there, and what can it do. Needs no token and shows nothing private."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib import VERSION, capabilities, services, settings
from chalicelib.api import answers
from chalicelib.api.contract import Answer, Contract
from chalicelib.api.routing import Routes

routes = Routes(__name__)


@routes.route(
    "/health",
    methods=["GET"],
    contract=Contract(
        tag="The service", answers={200: Answer(shape=answers.Health)}, fails=(503,), public=True
    ),
)
def health() -> dict[str, Any]:
    """Answer once the table answers; 503 where it does not."""
    return {
        "status": "ok",
        "version": VERSION,
        "place": settings.get().place,
        "ai": {"provider": settings.get().ai_provider},
        "capabilities": msgspec.to_builtins(capabilities.current(services.table())),
    }
