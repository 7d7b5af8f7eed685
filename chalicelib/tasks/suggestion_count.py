"""How many suggestions a job makes: for the API, which must not load what makes them."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.errors import InvalidRequest

TASK: Final = "generate_build_suggestions"
DEFAULT_SUGGESTIONS: Final = 5
MAX_SUGGESTIONS: Final = 10


def checked_number(value: Any) -> int:
    """Return how many suggestions to make; raise InvalidRequest."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SUGGESTIONS:
        raise InvalidRequest(
            f"max_suggestions is a whole number from 1 to {MAX_SUGGESTIONS}.", field="max_suggestions"
        )
    return value
