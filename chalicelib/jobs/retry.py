"""The retry policy: given an error and the attempts so far, what happens to the job."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from chalicelib.errors import AttemptsExhausted


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Try again after `delay` seconds; `spent` says whether the attempt counts."""

    delay: float
    spent: bool


class GiveUp(msgspec.Struct, frozen=True, kw_only=True):
    """End in FAILURE with this error."""

    error: dict[str, Any]


def backoff(attempt: int, *, base: float, cap: float, jitter: float | None = None) -> float:
    """Return seconds to wait after attempt 1, 2, …: exponential with full jitter over its upper half.

    Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015. The lower half is kept so that a
    service that is down is not asked again at once.
    """
    share = random.random() if jitter is None else jitter  # noqa: S311 (spreads load, guards nothing)
    return float(min(cap, base * 2 ** (attempt - 1)) * (0.5 + share / 2))


def decide(
    error: dict[str, Any], *, attempt: int, max_attempts: int, base: float, cap: float
) -> Retry | GiveUp:
    """Decide by the error's own word whether a retry can help, and by the attempts whether one is left.

    An error with `retry_after` (seconds) defers the job and spends no attempt.
    """
    if "retry_after" in error:
        return Retry(delay=float(error["retry_after"]), spent=False)
    if not error.get("retryable"):
        return GiveUp(error=error)
    if attempt >= max_attempts:
        last = AttemptsExhausted(
            f"Gave up after {attempt} attempts. The last one said: {error['message']}", cause=error["type"]
        )
        return GiveUp(error=last.as_dict())
    return Retry(delay=backoff(attempt, base=base, cap=cap), spent=True)


def due_text(error: dict[str, Any]) -> str:
    """Return what a job says whose next run is due and has not begun."""
    return f"{error['message']} It will be tried again as soon as a worker is free."


def waiting_text(error: dict[str, Any], delay: float) -> str:
    """Return what a job says that waits `delay` seconds for its next run.

    A deferral that says how far the job is (`percent`) waits for jobs that it has started: nothing is tried again.
    """
    message = str(error["message"])
    return message if "percent" in error else f"{message} Trying again in {max(1, round(delay))} s."
