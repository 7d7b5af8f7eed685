"""Wires the API's routes and the event functions. Nothing else."""

from __future__ import annotations

from typing import Any

from chalice import Chalice, Rate

from chalicelib import functions, settings
from chalicelib.api import (
    analytics,
    batches,
    clusters,
    documents,
    duplicates,
    health,
    jobs,
    middleware,
    page,
    search,
    stats,
    suggestions,
    uploads,
    webhook,
)

_STAGE = settings.get().stage

app = Chalice(app_name="syncboard")
app.register_middleware(middleware.unify, "http")
app.register_middleware(middleware.authenticate, "http")
for module in (
    *(page, health, stats, uploads, batches, jobs, webhook),
    *(documents, clusters, duplicates, search, suggestions, analytics),
):
    app.register_blueprint(module.routes)


@app.on_sqs_message(queue=f"syncboard-{_STAGE}-intake", name="intake", batch_size=10)
def intake(event: Any) -> functions.BatchResponse:
    """Uploads that arrived."""
    return functions.take_in(event.to_dict())


@app.on_sqs_message(queue=f"syncboard-{_STAGE}-uploads", name="uploads", batch_size=1)
def work_on_uploads(event: Any) -> functions.BatchResponse:
    """Files with text in them."""
    return functions.work(event.to_dict(), event.context)


@app.on_sqs_message(queue=f"syncboard-{_STAGE}-low_priority", name="low_priority", batch_size=1)
def work_on_low_priority(event: Any) -> functions.BatchResponse:
    """What can wait."""
    return functions.work(event.to_dict(), event.context)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweeper")
def sweep(_event: Any) -> dict[str, int]:
    """Set right what got stuck."""
    return functions.sweep()
