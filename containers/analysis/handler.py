"""The function that looks at a whole library: an SQS event in, its failures out."""

from __future__ import annotations

from typing import Any

from chalicelib import functions


def handle(event: dict[str, Any], context: functions.LambdaContext) -> functions.BatchResponse:
    """Work on the jobs that an event of the queue `analysis` calls for."""
    return functions.work(event, context)
