"""What a hostile file is, and what it must come to."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

MB = 1024 * 1024
NOTE = "The harbour is dredged every spring."
NOISE = random.Random(7).randbytes(20_000)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A hostile file."""

    # Said by the test's name.
    name: str
    # What the user calls it.
    filename: str
    make: Callable[[], bytes]
    # Types of the errors (of `chalicelib.errors`) that it may end with: "too_large broken_file".
    ends: str = ""
    # What its text holds, where it may be read; None: it must not be.
    says: str | None = None
    password: str | None = None


def case(filename: str, name: str, make: Callable[[], bytes] | bytes, ends: str = "", **more: Any) -> Case:
    made = make if callable(make) else partial(bytes, make)
    return Case(name=name.replace(" ", "-"), filename=filename, make=made, ends=ends, **more)
