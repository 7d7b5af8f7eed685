"""What all answers are made of, and the one shape of errors."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

# What our ids look like (ULIDs).
Id = Annotated[str, Meta(pattern="^[0-9a-hjkmnp-tv-z]{26}$")]
# ISO 8601 in UTC with milliseconds.
Moment = Annotated[
    str,
    Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$", extra_json_schema={"format": "date-time"}),
]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", extra_json_schema={"format": "date"})]
Percent = Annotated[int, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]


class Problem(Struct, kw_only=True):
    """What went wrong. May have more keys: the limit, the field, an address to use instead."""

    # Part of the API: never changes.
    type: str
    # What to do about it, for people.
    message: Annotated[str, Meta(min_length=1)]
    # Whether the same request can succeed later.
    retryable: bool


class Error(Struct, forbid_unknown_fields=True, kw_only=True):
    """Every error has this shape."""

    error: Problem
