"""Which SyncBoard a command talks to: one that it is told by address and token, or the one that runs here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import msgspec

from syncboard.client import Client

# Left in the data folder by a stack that runs on it (local/stack.py).
_NOTE: Final = "stack.json"
_TOKEN_SECONDS: Final = 3600
LOCAL_USER: Final = "demo"
# How to name another place: to commands that ask the API, and to those that need table and queues themselves.
_OTHER_API: Final = "set SYNCBOARD_URL and SYNCBOARD_TOKEN"
_OWN_QUEUES: Final = (
    "set SYNCBOARD_TABLE and the queues as for a worker (this command reads them itself, not through the API)"
)


class NoPlace(Exception):
    """There is nothing to talk to; the message says what to do."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A SyncBoard's API, as one user."""

    url: str
    token: str

    def client(self) -> Client:
        """Return a client; use it in a `with` block."""
        return Client(self.url, self.token)


def find(*, data: Path, user: str, url: str | None, token: str | None) -> Place:
    """Return the place at `url`, or the one that runs on the data folder, signed in as `user`. Raise NoPlace."""
    if url:
        if not token:
            raise NoPlace("SYNCBOARD_URL is set but SYNCBOARD_TOKEN is not: both are needed.")
        return Place(url=url, token=token)
    note = _read(data)
    _enter(note)
    from chalicelib.api import tokens

    try:
        return Place(url=note["url"], token=token or tokens.issue(user, seconds=_TOKEN_SECONDS))
    except ValueError as error:
        raise NoPlace(str(error)) from None


def enter(data: Path) -> None:
    """Let this process reach table and queues: by its own environment, else as the stack that runs here does."""
    from chalicelib import settings

    if not settings.get().table:
        _enter(_read(data, _OWN_QUEUES))


def _enter(note: dict[str, Any]) -> None:
    from chalicelib import settings

    os.environ.update(note["environment"])
    settings.get.cache_clear()


def _read(data: Path, otherwise: str = _OTHER_API) -> dict[str, Any]:
    try:
        note: dict[str, Any] = json.loads((data / _NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoPlace(
            f"No SyncBoard runs on {data}: start one with `syncboard up`, name its folder with --data, "
            f"or {otherwise}."
        ) from None
    except (OSError, ValueError) as error:
        raise NoPlace(f"{data / _NOTE} can't be read: {error}.") from None
    return note
